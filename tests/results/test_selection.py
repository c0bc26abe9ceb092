"""Coefficients picked by name or position."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.selection import positions
from tests.systems import simulate

NAMES = ["a_x", "a_z", "b_x"]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("b_x", 2),
        (1, 1),
        (np.int64(-1), 2),
        (["b_x", 0], [2, 0]),
        (("a_z",), [1]),
        (pd.Index(["a_z", "a_x"]), [1, 0]),
        (np.array([2, 0]), [2, 0]),
        ([True, False, True], [0, 2]),
        ([], []),
    ],
)
def test_positions(chosen, expected):
    at = positions(chosen, NAMES, "cols")
    assert at.ndim == np.ndim(expected)
    assert at.tolist() == expected


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("b_y", "cols: no coefficient is called 'b_y'.*did you mean 'b_x'"),
        (["a_x", "b_y"], "no coefficient is called 'b_y'"),
        (3, "positions from 0 to 2; got 3"),
        (np.int64(-4), "got -4"),
        (1.0, "got 1.0"),
        ([True, False], "a mask needs one value for each of 3"),
    ],
)
def test_errors(chosen, message):
    with pytest.raises(OptionError, match=message):
        positions(chosen, NAMES, "cols")


def test_results_take_names():
    X, Y, _ = simulate(40, 3, 3, 0)
    res = LowRankSUR(Y, X, rank=0).fit()
    chosen = ["y3_x1", "y1_const"]
    V = res.cov_params()
    pd.testing.assert_frame_equal(res.conf_int(0.1, cols=chosen), res.conf_int(0.1).loc[chosen])
    pd.testing.assert_frame_equal(res.conf_int(cols="y3_x1"), res.conf_int().loc[["y3_x1"]])
    pd.testing.assert_frame_equal(res.cov_params(column=chosen), V.loc[chosen, chosen])
    assert res.cov_params(column="y3_x1") == pytest.approx(V.loc["y3_x1", "y3_x1"])
    assert res._results.conf_int(cols="y3_x1").shape == (2,)
    with pytest.raises(OptionError, match="column: no coefficient is called 'x1'"):
        res.cov_params(column="x1")
