"""Labels in messages, and group labels that change their type on the way to new data."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import (
    NonFiniteError,
    OptionError,
    ShapeError,
    UnseenLevelError,
)
from sm_alsgls.formula.panel import equation_name, equation_names
from tests.systems import simulate

N = 40


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (np.int64(3), "3"),
        (np.float64(0.5), "0.5"),
        (np.str_("a"), "'a'"),
        (np.bool_(True), "True"),
        ("a", "'a'"),
        ((np.int64(1), "a"), "(1, 'a')"),
        ((np.int64(1),), "(1,)"),
        (np.datetime64("2001-01-01"), "2001-01-01"),
    ],
)
def test_shown(label, text):
    assert shown(label) == text


@pytest.fixture(scope="module")
def wide():
    X, Y, _ = simulate(N, 3, 2, 0)
    index = pd.Index(np.arange(N), name="row")
    frames = [pd.DataFrame(x, columns=["const", "x"], index=index) for x in X]
    return pd.DataFrame(Y, columns=list("abc"), index=index), frames


def test_messages_hold_plain_labels(wide):
    Y, frames = wide
    res = LowRankSUR(Y, frames, rank=0).fit()
    groups = pd.Series(np.arange(N) // 2.0, index=Y.index)
    hole = groups.mask(groups.index == 7)
    gap = Y.copy()
    gap.loc[5, "b"] = np.nan
    moved = [frames[0].set_axis(Y.index + 1), *frames[1:]]
    numbered = [f.set_axis([0, 1], axis=1).astype({1: str}) for f in frames]
    for call, error, match in (
        (lambda: res.model.fit(cov_type="cluster", cov_kwds={"groups": hole}), NonFiniteError, "7"),
        (
            lambda: res.get_robustcov_results("cluster", groups=groups.drop(9)),
            ShapeError,
            "no label for row 9",
        ),
        (lambda: LowRankSUR(gap, frames), NonFiniteError, "the first in row 5"),
        (lambda: LowRankSUR(Y, moved), ShapeError, r"\(1 against 0\)"),
        (lambda: LowRankSUR(Y, numbered), ShapeError, "column 1 holds text"),
        (lambda: res.get_prediction().cov_mean(99), OptionError, "no row 99; rows are 0, 1, 2"),
        (lambda: res.get_prediction().cov_mean(np.int64(99)), OptionError, "no row 99;"),
    ):
        with pytest.raises(error, match=match) as caught:
            call()
        assert "np." not in str(caught.value)


def long(dtype):
    X, Y, _ = simulate(N, 3, 2, 0, seed=1)
    parts = [
        pd.DataFrame({"firm": j + 1, "t": np.arange(N), "y": Y[:, j], "x": X[j][:, 1]})
        for j in range(3)
    ]
    return pd.concat(parts, ignore_index=True).astype({"firm": dtype})


def test_unseen_levels_are_plain():
    data = long(int)
    data["s"] = data["t"] % 2
    res = LowRankSUR.from_formula("y ~ C(s)", data, groups="firm", time="t", rank=0).fit()
    with pytest.raises(UnseenLevelError, match=r"'s' 7 \(known: 0, 1\)"):
        res.predict(data.assign(s=7))
    with pytest.raises(UnseenLevelError, match="no equation for '4'"):
        res.predict(data.assign(firm=4))


@pytest.mark.parametrize("old", ["int64", "float64", "Int64", "category", "object"])
@pytest.mark.parametrize("new", ["int64", "float64", "Int64", "category", "object", "int8"])
def test_groups_match_as_integers_and_floats(old, new):
    data = long(old)
    res = LowRankSUR.from_formula("y ~ x", data, groups="firm", time="t", rank=0).fit()
    other = long(new).sample(30, random_state=1)
    got = res.predict(other)
    a, b = res.params.to_numpy().reshape(3, 2)[other["firm"].astype(int) - 1].T
    np.testing.assert_allclose(got, a + b * other["x"])
    augmented = res.augment(other)
    assert set(augmented["equation"]) == set(res.model.equations)
    np.testing.assert_allclose(augmented["resid"], other["y"] - got)
    for wanted in ([2], [2.0], [np.float32(2.0)], [res.model.equations[1]]):
        chosen = res.predict(other, equations=wanted)
        pd.testing.assert_series_equal(chosen, got[(other["firm"].astype(int) == 2).to_numpy()])


def test_a_label_upcast_beside_a_missing_value():
    data = long("int64")
    res = LowRankSUR.from_formula("y ~ x", data, groups="firm", time="t", rank=0).fit()
    merged = pd.concat([data, pd.DataFrame({"x": [0.0]})]).iloc[:-1]  # firm: 1.0, 2.0, 3.0
    assert merged["firm"].dtype == float
    np.testing.assert_array_equal(res.predict(merged), res.predict(data))
    with pytest.raises(UnseenLevelError, match=r"'1\.5'"):
        res.predict(merged.assign(firm=1.5))


def test_mapping_of_designs_goes_by_number(wide):
    Y, frames = wide
    res = LowRankSUR(Y.set_axis([1, 2, 3], axis=1), frames, rank=0).fit()
    designs = {float(j): np.ones((2, 2)) * j for j in (1, 2, 3)}
    np.testing.assert_array_equal(res.predict(designs), res.predict(list(designs.values())))


def test_equation_name():
    known = ["1", "2.0", "True", "1.0"]
    assert equation_name(1.0, known) == "1.0"  # as it prints comes first
    assert equation_name(2, known) == "2.0"
    assert equation_name(1, ["1.0"]) == "1.0"
    assert equation_name("1.0", ["1"]) == "1.0"  # a string is no number
    assert equation_name(float("inf"), known) == "inf"
    assert equation_name(3.0, known) == "3.0"
    values = pd.Series([2.0, 1.0, 2.0], index=[5, 6, 7])
    assert equation_names(values, ["1", "2"]).to_dict() == {5: "2", 6: "1", 7: "2"}
