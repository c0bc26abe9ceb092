"""When the loop stops, what it tells and what it notes, on a method that only counts; and ALS."""

import itertools

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import ALSOptions, Problem, als
from sm_alsgls.core.maximise.loop import iterate
from sm_alsgls.core.maximise.settling import Settling, near_enough
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


@pytest.mark.parametrize(
    ("gradient", "score", "before", "near"),
    [
        (0.7, 0.1, 1e3, True),
        (0.7, 0.29, 1e3, True),
        (0.7, 0.31, 1e3, False),
        (0.4, 0.7, 1e3, False),
        (0.0, 0.99, 1e3, True),
        (0.99, 0.0, 1e3, True),
        (1.01, 0.0, 1e3, False),
        # Slow sweeps: eight gtol move the gradient by one.
        (0.4, 0.1, 0.5, False),
        (0.4, 0.5 * 8.0 / 318.2, 0.01, True),
        (0.4, 0.7 * 8.0 / 318.2, 0.01, False),
    ],
)
def test_the_last_beta_step_is_tried_where_the_gradient_is_to_stay_below(
    gradient, score, before, near
):
    """Scores in units of what moves the gradient by gtol."""
    gtol, whole = 1e-6, near_enough(1000, 1000)
    settling = Settling(1000, 1000, gtol)
    assert settling.is_near(gradient * gtol, score * whole * gtol, before * whole * gtol) == near


def test_after_failed_attempts_half_of_gtol_is_left_for_what_they_move():
    settling = Settling(1000, 1000, 1e-6)
    told = []
    while not settling.only_once:
        told.append(settling.is_near(0.0, 250e-6, 1.0))
        settling.failed()
    assert told == [True, False, False]
    assert settling.is_near(0.49e-6, 0.99e-6, 1.0)
    assert not settling.is_near(0.51e-6, 0.0, 1.0)
    assert not settling.is_near(0.0, 1.01e-6, 1.0)


def test_the_last_sweep_is_foreseen_from_what_the_one_before_left():
    settling = Settling(1000, 1000, 1e-6)
    assert settling.is_last(1e-2, 0.2)  # 5e-4 of 1.6e-3
    assert not settling.is_last(0.15, 10.0)  # 2.2e-3
    assert not settling.is_last(1e-3, 5e-3)  # slow sweeps
    assert not settling.is_last(0.0, 1.0)


@pytest.mark.parametrize(
    ("size", "rank", "seed", "sweeps"), [((1000, 120), 2, 3, 3), ((400, 200), 3, 0, 4)]
)
def test_unrelated_regressors_take_few_sweeps(size, rank, seed, sweeps):
    """One more, and two, where the score may move half of gtol only."""
    X, Y, _ = simulate(*size, 3, rank, seed=seed)
    fit = als(Problem(X, Y, ALSOptions()), rank)
    assert fit.converged
    assert len(fit.trace) - 1 <= sweeps
    assert max(fit.gradient_d, fit.score_beta) <= 1e-6
    last = fit.trace[-1]
    assert last.gradient_d + last.score_beta / near_enough(*size) <= 1e-6


@pytest.mark.parametrize("seed", [1, 5])
def test_a_few_equations_with_all_of_the_score_are_solved(seed):
    """Most have a constant only, so that the norm of all scores is that of a few."""
    rng = np.random.default_rng(seed)
    N, K = 100, 300
    X = [np.ones((N, 1)) for _ in range(K - 8)]
    X += [np.column_stack([np.ones(N), rng.standard_normal((N, 3))]) for _ in range(8)]
    Y = rng.standard_normal((N, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((N, K))
    fit = als(Problem(X, Y, ALSOptions(gtol=1e-10)), 2)
    assert fit.converged
    scores = [row.score_beta for row in fit.trace]
    assert all(then < before for before, then in itertools.pairwise(scores))


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
