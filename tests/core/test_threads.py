"""A fit runs on one BLAS thread and leaves the caller's number as it was."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sm_alsgls import LowRankSUR
from sm_alsgls.core.threads import on_one_thread
from tests.systems import simulate


def threads():
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_one_inside_and_the_callers_number_after():
    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}
        assert on_one_thread(threads)() == {1}
        assert threads() == {2}


def test_restored_after_an_error():
    @on_one_thread
    def fail():
        raise RuntimeError("inside")

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(RuntimeError, match="inside"):
            fail()
        assert threads() == {2}


def test_a_fit_runs_on_one(monkeypatch):
    X, Y, _ = simulate(80, 8, 3, 1, seed=0)
    seen = []
    with threadpool_limits(2, user_api="blas"):
        LowRankSUR(Y, X, rank=1).fit(n_starts=1, callback=lambda sweep: seen.append(threads()))
        assert threads() == {2}
    assert seen
    assert all(number == {1} for number in seen)


def test_names_and_arguments_pass_through():
    @on_one_thread
    def power(base, *, exponent=2):
        """Base to the exponent."""
        return base**exponent

    assert power(3, exponent=3) == 27
    assert power.__doc__ == "Base to the exponent."
    np.testing.assert_array_equal(power(np.arange(3.0)), [0.0, 1.0, 4.0])
