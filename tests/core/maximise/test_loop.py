"""When the loop stops, what it tells and what it notes, on a method that only counts; and ALS."""

import itertools

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import ALSOptions, Problem, als
from sm_alsgls.core.maximise.loop import iterate
from sm_alsgls.core.maximise.settling import near_enough
from tests.systems import simulate


class Counting:
    """A state is a number; done at ``goal``, stuck at ``wall``."""

    def __init__(self, goal=5, wall=None):
        self.goal, self.wall, self.steps = goal, wall, 0

    def init(self):
        return 0

    def done(self, state):
        return "stationary" if state >= self.goal else ""

    def step(self, state):
        self.steps += 1
        return state + 1

    def stuck(self, state):
        return "stuck" if state == self.wall else ""

    def exhausted(self, limit):
        return f"no more than {limit}"

    def row(self, number, state, seconds):
        return number, state, seconds

    def close(self, state, status, trace):
        return state, status, trace


def test_it_goes_on_until_it_is_done():
    method = Counting()
    state, status, trace = iterate(method, 100)
    assert (state, status, method.steps) == (5, "stationary", 5)
    assert [row[:2] for row in trace] == [(i, i) for i in range(6)]
    seconds = [row[2] for row in trace]
    assert seconds == sorted(seconds)
    assert seconds[0] >= 0.0


def test_a_method_that_is_done_takes_no_step():
    method = Counting(goal=0)
    assert iterate(method, 100)[:2] == (0, "stationary")
    assert method.steps == 0


@pytest.mark.parametrize(("limit", "status"), [(4, "no more than 4"), (5, "stationary")])
def test_the_limit_counts_sweeps_beside_the_first_state(limit, status):
    method = Counting()
    state, said, trace = iterate(method, limit)
    assert (state, said, len(trace)) == (limit, status, limit + 1)


def test_where_it_is_stuck_it_stops():
    state, status, trace = iterate(Counting(wall=3), 100)
    assert (state, status, len(trace)) == (3, "stuck", 4)


@pytest.mark.parametrize(
    ("answer", "status"), [(True, "stopped by the callback"), ("mine", "mine")]
)
def test_a_callback_sees_every_sweep_and_may_stop(answer, status):
    seen = []

    def watch(row):
        seen.append(row[0])
        return answer if row[0] == 2 else None

    state, said, trace = iterate(Counting(), 100, watch)
    assert (state, said, seen) == (2, status, [0, 1, 2])
    assert len(trace) == 3
    # Before the first sweep too; an empty answer goes on; being stuck is the better reason.
    assert iterate(Counting(), 100, lambda row: answer)[:2] == (0, status)
    assert iterate(Counting(), 100, lambda row: "")[:2] == (5, "stationary")
    assert iterate(Counting(wall=2), 100, lambda row: answer if row[0] == 2 else 0)[1] == "stuck"


def test_the_score_that_the_last_beta_step_may_find_grows_with_rows_and_equations():
    sizes = [(1, 1), (8, 1), (60, 4), (200, 500), (500, 200), (1000, 1000), (10**6, 10**4)]
    found = [near_enough(*size) for size in sizes]
    expected = [1.0, 1.0, *(0.45 * half**0.5 for half in (120.0, 5e4, 5e4, 5e5)), 600.0]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("size", [(1000, 300), (300, 120), (60, 20)])
def test_a_run_is_settled_at_the_first_sweep_that_is_expected_to_benear_enough(size):
    N, K = size
    near = near_enough(N, K)
    for seed in range(3):
        X, Y, _ = simulate(N, K, 3, 2, seed=seed)
        problem = Problem(X, Y, ALSOptions())
        fit = als(problem, 2)
        assert fit.converged
        assert max(fit.gradient_d, fit.score_beta) <= 1e-6
        assert fit.score_beta <= 4e-10
        expected = [row.gradient_d + row.score_beta / near for row in fit.trace]
        assert expected[-1] <= 1e-6
        # Sweeps of these are quick, so that nothing else holds an attempt back.
        scores = [row.score_beta for row in fit.trace]
        quick = [then <= 0.1 * before for before, then in itertools.pairwise(scores)]
        assert all(one > 1e-6 or not q for one, q in zip(expected[1:-1], quick, strict=False))


def test_an_attempt_to_settle_that_is_not_the_last_is_the_next_beta_step(monkeypatch):
    X, Y, _ = simulate(60, 8, 3, 2, seed=1)
    problem = Problem(X, Y, ALSOptions())
    plain = als(problem, 2)
    assert plain.converged
    asked = []
    whole = Problem.stationarity

    def first_not(self, *args):
        asked.append(args[0])
        found = whole(self, *args)
        return found._replace(gradient_d=1.0) if len(asked) == 1 else found

    monkeypatch.setattr(Problem, "stationarity", first_not)
    again = als(problem, 2)
    # One more sweep, from the coefficients that were tried, which costs no iteration.
    assert again.converged
    assert len(asked) == 2
    assert len(again.trace) == len(plain.trace) + 1
    assert again.trace[-1].cg_iterations == 0
    assert again.trace[-1].nll_beta <= again.trace[-2].nll + 1e-12 * abs(plain.nll)
    assert again.nll == pytest.approx(plain.nll, rel=1e-12)
    np.testing.assert_allclose(again.gamma, plain.gamma, rtol=1e-6, atol=1e-6)
