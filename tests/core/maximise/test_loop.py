"""When the loop stops, what it tells and what it notes, on a method that only counts."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import _near_enough
from sm_alsgls.core.maximise.loop import iterate


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


def test_the_last_beta_step_of_als_moves_log_d_by_less_than_a_third_of_a_tolerance():
    N = np.array([1.0, 10.0, 25.0, 100.0, 1000.0, 2000.0, 1e4, 1e9])
    size = np.array([_near_enough(n) for n in N])
    assert ((size >= 1.0) & (size <= 10.0)).all()
    between = (size > 1.0) & (size < 10.0)
    np.testing.assert_allclose((size * np.sqrt(2.0 / N))[between], 0.3, rtol=1e-12)
    assert between.tolist() == [False, False, True, True, True, True, False, False]
