"""given= as a mapping: labels of its vectors count, and so do their lengths."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.simulate import simulate_sur


@pytest.fixture(scope="module")
def fitted():
    made = simulate_sur(120, 8, 2, rank=1, rng=0)
    index = pd.Index([f"row {n}" for n in range(120)])
    Y = pd.DataFrame(np.asarray(made.endog), index=index, columns=list("abcdefgh"))
    X = {
        name: pd.DataFrame(np.asarray(x), index=index) for name, x in zip(Y, made.exog, strict=True)
    }
    return LowRankSUR(Y, X, 1).fit(), Y


def test_a_series_in_the_order_of_the_rows_is_its_numbers(fitted):
    res, Y = fitted
    expected = res.predict(given=["c"])
    pd.testing.assert_frame_equal(res.predict(given={"c": Y["c"]}), expected)
    pd.testing.assert_frame_equal(res.predict(given={"c": Y["c"].to_numpy()}), expected)


def test_a_series_with_other_labels_is_not_taken_by_position(fitted):
    res, Y = fitted
    expected = res.predict(given=["a", "c"])
    got = res.predict(given={"a": Y["a"], "c": Y["c"].iloc[::-1]})
    pd.testing.assert_frame_equal(got, expected)
    with pytest.raises(ShapeError, match=r"given\['c'\] has no label for row 'row 0'"):
        res.predict(given={"a": Y["a"], "c": Y["c"].rename({"row 0": "row O"})})


@pytest.mark.parametrize("value", [1.0, np.ones(119)])
def test_a_vector_of_another_length_is_named(fitted, value):
    res, _ = fitted
    with pytest.raises(ShapeError, match=r"given\['c'\] must hold one response for each of 120"):
        res.predict(given={"c": value})
