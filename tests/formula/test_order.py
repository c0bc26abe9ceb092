"""Terms that take their values from neighbouring rows, in a long panel."""

import random

import numpy as np
import pandas as pd
import pytest

from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula import order as formula_order
from sm_alsgls.formula.build import build_system

PANEL = {"groups": "unit", "time": "t"}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    data = pd.DataFrame([(u, t) for u in "abc" for t in range(8)], columns=["unit", "t"])
    data["x"], data["z"], data["y"] = rng.standard_normal((3, len(data)))
    data["s"] = rng.choice(["low", "high"], len(data))
    data["odd name"] = data["x"] ** 2
    return data


def neighbours(x):
    return x.shift(1)


def double(x):
    return 2 * x


legacy = np.random  # whose state belongs to the user
DRAWS = ["np.random.normal(0, 1, len(x))", "rng.standard_normal(len(x))", "I(x * random.random())"]
MOVING = [
    "x.shift(1)",
    "x.diff()",
    "x.cumsum()",
    "np.roll(x, 1)",
    "np.cumsum(x)",
    "I(x.rolling(3, 1).mean())",
    "I(x.ewm(2).mean())",
    "I(x.rolling(3, 1, True).mean())",
    "I(x - x.iloc[0])",
    "neighbours(x)",
    "C(s.shift(1))",
    "lag(x.shift(1))",
    "I(np.sort(x))",
    'neighbours(Q("odd name"))',
]
STANDING = [
    "center(x)",
    "standardize(x)",
    "scale(x)",
    "bs(x, df=4)",
    "np.log(np.abs(x))",
    "np.where(x > 0, x, 0)",
    "x.clip(-1, 1)",
    "x.rank()",
    "double(x)",
    "double(mine)",
    "mine",
    "x - np.mean(x)",
    "s.str.upper()",
    "lag(double(x))",
    'double(Q("odd name"))',
    "C(s)",
]


# Each term by both engines, one of them with times.
@pytest.mark.parametrize(
    ("term", "engine", "time"),
    [
        (term, engine, ("t", None)[(i + j) % 2])
        for i, term in enumerate(MOVING)
        for j, engine in enumerate(["patsy", "formulaic"])
    ],
    indirect=["engine"],
)
def test_terms_that_move_are_refused(engine, data, term, time):
    term = term if time else term.replace("lag(", "I(")
    scope = {"np": np, "neighbours": neighbours}
    with pytest.raises(FormulaError, match="by their order") as caught:
        build_system(f"y ~ z + {term}", data, groups="unit", time=time, scope=scope)
    text = str(caught.value)
    assert text.replace("'odd name'", '"odd name"').startswith(f"Equation 'y': {term} of ")
    assert (', 1), lead(Q("odd name"), 1)' if "odd" in term else ", 1), lead(") in text
    assert ".groupby('unit')" in text
    assert (".sort_values('t')" in text) == (time is not None)


@pytest.mark.parametrize("term", ["y.shift(-1)", "np.cumsum(y)"])
def test_responses_too(engine, data, term):
    with pytest.raises(FormulaError, match="by their order"):
        build_system(f"{term} ~ x", data, **PANEL, scope={"np": np})


@pytest.mark.parametrize("term", STANDING)
def test_terms_that_stand_are_not(engine, data, term):
    scope = {"np": np, "double": double, "mine": np.arange(24.0) ** 2}
    before = data.copy()
    one = build_system(f"y ~ z + {term}", data, **PANEL, scope=scope)
    pd.testing.assert_frame_equal(data, before)
    order = np.random.default_rng(1).permutation(24)
    other = scope | {"mine": scope["mine"][order]}
    two = build_system(f"y ~ z + {term}", data.iloc[order], **PANEL, scope=other)
    for name, X in zip(two.endog, two.exog, strict=True):
        pd.testing.assert_frame_equal(X, one.exog[list(one.endog).index(name)])


def test_wide_rows_are_in_the_users_order(engine, data):
    system = build_system("y ~ x.shift(1)", data)
    np.testing.assert_array_equal(system.exog[0].iloc[:, 1], data["x"].to_numpy()[:-1])


def test_plain_formulas_are_evaluated_once(engine, data, monkeypatch):
    seen = []
    evaluate = formula_order._evaluate
    monkeypatch.setattr(
        formula_order, "_evaluate", lambda code, data: (seen.append(code), evaluate(code, data))[1]
    )
    scope = {"np": np, "double": double}
    for term in ("x", "np.log(np.abs(x))", "center(x) + C(s) + lag(x)", "x:z + I(x**2)",
                 "bs(x, df=4)", 'Q("odd name")'):  # fmt: skip
        build_system(f"y ~ {term}", data, **PANEL, scope=scope)
    assert seen == []
    for term in ("double(x)", "x.abs()", "I(x - np.mean(x))", "log(x)"):
        build_system(f"y ~ z + {term}", data, **PANEL, scope={**scope, "log": double})
        assert seen == [term] * 2
        seen.clear()


def test_a_callers_name_hides_a_known_one(engine, data):
    with pytest.raises(FormulaError, match=r"center\(x\)"):
        build_system("y ~ center(x)", data, **PANEL, scope={"center": neighbours})


def test_draws_at_random_are_no_order(engine, data):
    rng = np.random.default_rng(3)
    scope = {"np": np, "rng": rng, "random": random}
    for term in DRAWS:
        build_system(f"y ~ {term}", data, **PANEL, scope=scope)


def test_what_is_drawn_later_is_what_would_be(engine, data, monkeypatch):
    def after():
        random.seed(4)
        legacy.seed(4)
        rng = np.random.default_rng(4)
        for term in DRAWS:
            scope = {"np": np, "rng": rng, "random": random}
            build_system(f"y ~ {term}", data, **PANEL, scope=scope)
        return legacy.random(), rng.random(), random.random()

    with_check = after()
    monkeypatch.setattr(formula_order, "_moves", lambda code, data: False)
    assert after() == with_check


def test_two_rows_and_one(engine):
    two = pd.DataFrame({"unit": ["a", "b"], "t": [1, 1], "x": [1.0, 2.0], "y": [1.0, 5.0]})
    with pytest.raises(FormulaError, match="by their order"):
        build_system("y ~ x.cumsum()", two, **PANEL)
    build_system("y ~ x.cumsum()", two.iloc[:1], **PANEL)


def test_moments_at_a_large_offset(engine, data):
    data["x"] += 1e8
    for term in ("double(center(x))", "center(double(x))", "double(standardize(z))"):
        build_system(f"y ~ {term}", data, **PANEL, scope={"double": double})
