"""What fits warn of, in the words of their results."""

from types import SimpleNamespace

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.exceptions import HeywoodWarning
from sm_alsgls.models import doubts
from sm_alsgls.models.doubts import warn_of_stages
from sm_alsgls.results.maximum import Messages


def test_the_first_eight_of_many_equations_are_named_and_the_rest_are_counted():
    names = [f"e{j}" for j in range(12)]
    found = SimpleNamespace(converged=True, at_bound=np.arange(12) != 3, method="iv")
    with pytest.warns(HeywoodWarning, match="'e7', 'e8' and 3 more is at its lower bound"):
        warn_of_stages(names, found)
    said = Messages(2, True).heywood(names, found.at_bound)
    assert "'e7', 'e8' and 3 more is at its lower bound" in said
    assert "'e11' and" not in Messages(2, False).heywood(names, np.arange(12) > 9)


def test_the_last_factor_of_the_best_start_is_compared_once(monkeypatch):
    seen = []
    real = doubts.spare_factor

    def counted(problem, solution, rank):
        seen.append(solution)
        return real(problem, solution, rank)

    monkeypatch.setattr(doubts, "spare_factor", counted)
    rng = np.random.default_rng(0)
    X = [np.column_stack([np.ones(40), rng.standard_normal(40)]) for _ in range(6)]
    Y = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 6))
    res = LowRankSUR(Y, X, rank=1).fit()
    assert len(seen) == 1
    assert res.mle_retvals["starts"]["gap"].iloc[0] == 0.0

    spare = doubts.Spare(Messages(1, True), 1)
    problem, first = Problem(X, Y, ALSOptions()), seen[0]
    spare.look_at(problem, first)
    kept = spare.of(problem, first)
    assert len(seen) == 2
    assert kept is not None
    # Another solution is looked at for itself.
    other = als(problem, 1, max_sweeps=1)
    spare.of(problem, other)
    assert len(seen) == 3
    assert seen[-1] is other
