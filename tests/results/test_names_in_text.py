"""Hypotheses and functions of coefficients whose names could be read in two ways."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel, LowRankSUR
from sm_alsgls.data.constraint_text import read_constraints
from sm_alsgls.exceptions import OptionError, RestrictionError
from sm_alsgls.results.expression import Expression

NUMBERS = ["x", "0", "1", "2", "nan", "inf", "1e3", "-1", "1 2"]
# The first two look the same with the spaces around them, the others by the spaces in them.
SPACED = ["a_const", " a_const", "x 1", "x1"]


def read(text, names):
    """Rows of R by name, and q, each over the size of the first weight."""
    R, q = read_constraints(text, names)
    made = []
    for row, value in zip(R, q, strict=True):
        at = np.flatnonzero(row)
        size = abs(row[at[0]])
        made.append(({names[k]: row[k] / size for k in at}, value / size))
    return made


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
class TestNumbersInHypotheses:
    @pytest.fixture(autouse=True)
    def of_engine(self, engine, monkeypatch):
        from statsmodels.formula import options

        monkeypatch.setattr(options, "formula_engine", engine)

    @pytest.mark.parametrize(
        ("text", "value"),
        [("x = 1", 1.0), ("x = 1.5", 1.5), ("x = 12", 12.0), ("x = 1e3", 1e3), ("x = -1", -1.0)],
    )
    def test_a_bare_number_is_a_number(self, text, value, engine):
        if engine == "formulaic" and text in ("x = 1e3", "x = -1"):
            pytest.skip("formulaic reads no such numbers in hypotheses")
        assert read(text, NUMBERS) == [({"x": 1.0}, value)]

    @pytest.mark.parametrize("name", NUMBERS)
    def test_backticks_name_a_coefficient(self, name):
        assert read(f"`{name}` = 3", NUMBERS) == [({name: 1.0}, 3.0)]

    def test_both_together(self):
        assert read("`1` = 1", NUMBERS) == [({"1": 1.0}, 1.0)]
        assert read("x = 1 = `0`", NUMBERS) == [({"x": 1.0}, 1.0), ({"0": -1.0}, -1.0)]

    @pytest.mark.parametrize(("text", "name"), [("1 = 1", "1"), ("nan = 0", "nan"), ("2 = 2", "2")])
    def test_what_names_none_says_how(self, text, name):
        with pytest.raises(RestrictionError, match=f"numbers stand in backticks, '`{name}` = 0'"):
            read_constraints(text, NUMBERS)


@pytest.fixture(scope="module")
def hours():
    """A panel whose coefficients x, 0, 1, 2 come from dummies of hours."""
    rng = np.random.default_rng(0)
    d = pd.DataFrame([(i, t) for i in range(8) for t in range(24)], columns=["i", "t"])
    d["x"] = rng.standard_normal(len(d))
    d["y"] = 0.8 * d["x"] + d["t"] % 3 * 0.5 + rng.standard_normal(len(d))
    exog = pd.concat([d[["x"]], pd.get_dummies(d["t"] % 3)], axis=1).astype(float)
    model = LowRankPanel(d["y"], exog, 0, entity=d["i"], time=d["t"])
    return model, model.fit()


def test_dummies_of_numbers(hours):
    model, res = hours
    b, se = res.params, res.bse
    assert res.t_test("x = 1").tvalue.item() == pytest.approx((b["x"] - 1.0) / se["x"])
    assert res.t_test("`1` = 0").effect.item() == pytest.approx(b["1"])
    assert res.nlcom("x * 2").estimate.item() == pytest.approx(2.0 * b["x"])
    assert res.nlcom("x * `2`").estimate.item() == pytest.approx(b["x"] * b["2"])
    assert model.fit_constrained("x = 1").params["x"] == pytest.approx(1.0)
    assert model.fit_constrained("`1` = `2`").params["1"] == pytest.approx(
        model.fit_constrained("`2` = `1`").params["2"]
    )
    with pytest.raises(RestrictionError, match="others: '`1` = 2'"):
        model.fit_constrained("`1` = 1, `1` = 2")


def test_numbers_in_functions():
    b = np.arange(1.0, 1.0 + len(NUMBERS))
    for text, value in (("x * 2", 2.0), ("`2` * 2", 8.0), ("1e3 - `1e3`", 993.0), ("-1", -1.0)):
        assert Expression(text, NUMBERS)(b) == value
    with pytest.raises(OptionError, match="no coefficient 'nan' outside backticks; write '`nan`'"):
        Expression("nan + x", NUMBERS)


@pytest.mark.parametrize("text", ["a_const = 0", " a_const = 0", "2*a_const=0", "x  1 = 0"])
def test_spaces_that_do_not_tell(text):
    with pytest.raises(RestrictionError, match="differ in spaces; .* backticks, .* a matrix R"):
        read_constraints(text, SPACED)


@pytest.mark.parametrize("name", SPACED)
def test_backticks_hold_names_as_they_are(name):
    assert read(f"`{name}` = 1", SPACED) == [({name: 1.0}, 1.0)]
    b = np.arange(1.0, 5.0)
    assert Expression(f"2 * `{name}`", SPACED)(b) == 2.0 * b[SPACED.index(name)]


def test_spaces_that_tell():
    """Names as they are written; those of formulas may be spaced in any way."""
    assert read("x1 = 0", SPACED) == [({"x1": 1.0}, 0.0)]
    assert read("x 1 = 0", SPACED) == [({"x 1": 1.0}, 0.0)]
    assert read("I(x1**2) = 0", ["I(x1 ** 2)"]) == [({"I(x1 ** 2)": 1.0}, 0.0)]
    assert read("`I(x1**2)` = 0", ["I(x1 ** 2)"]) == [({"I(x1 ** 2)": 1.0}, 0.0)]
    assert read("a_x = 0", [" a_x", "b_x"]) == [({" a_x": 1.0}, 0.0)]


def test_spaces_in_functions():
    b = np.arange(1.0, 5.0)
    assert Expression("x 1 / x1", SPACED)(b) == 0.75
    assert Expression("2 * a_x", [" a_x", "b"])(b) == 2.0
    with pytest.raises(OptionError, match="may be any of .*differ in spaces"):
        Expression("2 * a_const", SPACED)


def test_a_column_without_a_name():
    """An empty name is nowhere in a text."""
    assert read("x = 1", ["", "x"]) == [({"x": 1.0}, 1.0)]


def test_equations_that_differ_in_a_space():
    rng = np.random.default_rng(1)
    Y = pd.DataFrame(rng.standard_normal((40, 2)), columns=["a", " a"])
    res = LowRankSUR(Y, pd.DataFrame({"const": np.ones(40)}), 0).fit()
    with pytest.raises(RestrictionError, match="differ in spaces"):
        res.t_test(" a_const = 0")
    assert res.t_test("` a_const` = 0").effect.item() == pytest.approx(res.params[" a_const"])
