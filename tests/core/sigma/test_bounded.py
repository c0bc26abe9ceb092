"""At which ranks the likelihood has a bound: counted, and seen in spikes that are there or not."""

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.maximise.als import ALSOptions, Problem, Start, als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.sigma.bounded import is_bounded, largest_bounded_rank
from sm_alsgls.exceptions import RankWarning
from tests.core import systems


def own(N, K, p, seed=0):
    """A constant and p - 1 own regressors in each of K equations."""
    rng = np.random.default_rng(seed)
    blocks = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    return Problem(blocks, rng.standard_normal((N, K)), ALSOptions())


@pytest.mark.parametrize("N", [9, 11, 12, 17, 20])
def test_own_regressors_beside_a_common_constant(N):
    """q = (p - 1)(r + 1) + 1."""
    problem = own(N, 8, 4)
    for r in range(1, 4):
        assert is_bounded(problem.design, r, N) == (3 * (r + 1) + 1 + r < N)


def test_shared_regressors_need_only_their_own_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 4))
    problem = Problem([X] * 8, rng.standard_normal((12, 8)), ALSOptions())
    # Of eight equations the largest legal rank is 4.
    assert [is_bounded(problem.design, r, 12) for r in (1, 4)] == [True, True]
    # Equal spans in other coordinates are no different.
    turned = [X @ rng.standard_normal((4, 4)) for _ in range(8)]
    assert is_bounded(Problem(turned, problem.Y, ALSOptions()).design, 4, 12)


def test_munnell_has_no_maximum_from_rank_3_on():
    blocks, Y = systems.munnell()
    problem = Problem(blocks, Y, ALSOptions())
    assert largest_bounded_rank(problem.design, 8, 17) == 2
    assert largest_bounded_rank(problem.design, 1, 17) == 1


def spike(problem, i, j):
    """Coefficients with e_i proportional to e_j, where q + 1 >= N allows it."""
    X = np.concatenate([problem.design.basis(i), problem.design.basis(j)], axis=1)
    # y_i + a y_j in span(X): one number a for N - q = 1 condition.
    U, size, _ = np.linalg.svd(X)
    out = U[:, int(np.sum(size > 1e-10)) :]
    assert out.shape[1] == 1
    a = -(out[:, 0] @ problem.Y[:, i]) / (out[:, 0] @ problem.Y[:, j])
    total = np.linalg.lstsq(X, problem.Y[:, i] + a * problem.Y[:, j], rcond=None)[0]
    gamma = problem.gamma_ols.copy()
    p = problem.design.p[i]
    gamma[problem.design.equation_slice(i)] = total[:p]
    gamma[problem.design.equation_slice(j)] = total[p:] / a
    return gamma


def test_the_height_of_a_spike_is_set_by_the_floor():
    """Two equations and one factor, q + 1 = N."""
    N = 10
    problem = own(N, 5, 5, seed=3)
    assert not is_bounded(problem.design, 1, N)
    levels = []
    for floor in (1e-6, 1e-8):
        again = Problem(problem.rows.blocks, problem.Y, ALSOptions(d_floor=floor))
        d = again.s_ols.copy()
        d[:2] = again.floor[:2]
        found = als(again, 1, Start("spike", gamma=spike(again, 0, 1), d=d), max_sweeps=20)
        assert found.at_bound[:2].all()
        levels.append(found.nll)
    # One of the two uniquenesses is the factor's; the other is log(100) / 2 of a row's NLL.
    assert levels[0] - levels[1] == pytest.approx(0.5 * np.log(100.0), abs=0.3)


def test_where_there_is_no_maximum_a_search_does_not_look_for_spikes():
    problem = own(10, 5, 5, seed=3)
    found = search(problem, 1)
    assert not found.bounded
    assert [run.start for run in found.runs if run.start != "off a saddle"] == ["ols"]
    assert len(search(problem, 1, n_starts=3).runs) >= 3
    assert search(own(20, 5, 5), 1).bounded
    # Ridged loadings and restricted coefficients have a bound.
    ridged = Problem(problem.rows.blocks, problem.Y, ALSOptions(lam_F=0.1))
    assert search(ridged, 1).bounded
    R = np.zeros((4, 25))
    R[np.arange(4), np.arange(1, 5)] = 1.0
    R[np.arange(4), np.arange(6, 10)] = -1.0
    binding = Restrictions(R, np.zeros(4))
    tied = Problem(problem.rows.blocks, problem.Y, ALSOptions(), binding=binding)
    assert search(tied, 1).bounded


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
@pytest.mark.filterwarnings("ignore:rank=1 is plainly too high")
def test_a_fit_without_a_maximum_says_so():
    problem = own(10, 5, 5, seed=3)
    model = LowRankSUR(problem.Y, problem.rows.blocks, rank=1)
    with pytest.warns(RankWarning, match="no maximum at rank=1: with so few rows 2 equations"):
        res = model.fit()
    assert "The likelihood has no maximum at rank=1" in str(res.summary())
