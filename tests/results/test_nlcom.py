"""Functions of coefficients: what may be written, derivatives, intervals and tests."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import CallableError, NonFiniteError, OptionError, RestrictionError
from sm_alsgls.results.expression import Expression


@pytest.fixture(scope="module")
def res():
    return LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=1
    ).fit()


NAMES = ["a", "b", "US Steel_x", "y_np.log(x)", "y_I(a - b)", "ab", "y_x:z"]


@pytest.mark.parametrize(
    ("text", "python", "used"),
    [
        ("a + b * 2", lambda b: b[0] + b[1] * 2, [0, 1]),
        ("-a ** 2", lambda b: -(b[0] ** 2), [0]),
        ("2 ** -a ** b", lambda b: 2 ** -(b[0] ** b[1]), [0, 1]),
        ("(a - b) / ab", lambda b: (b[0] - b[1]) / b[5], [0, 1, 5]),
        ("`US Steel_x` / US Steel_x + 1", lambda b: 2.0, [2]),
        ("exp(log(y_np.log(x)) / 2)", lambda b: np.sqrt(b[3]), [3]),
        ("`y_I(a - b)` - a", lambda b: b[4] - b[0], [4, 0]),
        ("sqrt(y_x:z) * 1e-3", lambda b: np.sqrt(b[6]) * 1e-3, [6]),
        ("3", lambda b: 3.0, []),
    ],
)
def test_what_may_be_written(text, python, used):
    b = np.array([0.7, 1.3, 2.0, 3.0, 5.0, 0.9, 4.0])
    read = Expression(text, NAMES)
    assert float(read(b)) == pytest.approx(python(b), rel=1e-14)
    assert sorted(read.used) == sorted(used)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "a.real", "a[0]", "lambda: a", "a if b else 1", "a < b",
        "[a, b]", "(a, b)", "a; b", "a := 1", "f'{a}'", "'a'", "True", "abs(a)", "exp(a, b)",
        "exp(x=a)", "a @ b", "a // b", "a %% b", "not a", "", "a b", "c", "b0_", "(lambda: 1)()",
        "exp.__class__", "1j", "eval('1')", "*a",
    ],
)  # fmt: skip
def test_nothing_else(text):
    with pytest.raises(OptionError):
        Expression(text, NAMES)


def test_what_may_be_given_is_said_with_names_of_the_model(res):
    first, last = res.params.index[[0, -1]]
    with pytest.raises(OptionError, match=f"text such as '{first} / {last}'.*got 3"):
        res.nlcom(3)


def test_an_unknown_name_has_its_neighbours(res):
    with pytest.raises(OptionError, match="no coefficient 'IBM_valu'.*'IBM_value'"):
        res.nlcom("IBM_valu / 2")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 10.0), min_size=7, max_size=7))
def test_complex_steps_are_exact(values):
    from sm_alsgls.results.nlcom import Functions

    b = np.array(values)
    made = Functions(["a / b", "a ** ab + exp(-b)", lambda p: p["a"] * p["b"]], NAMES)
    G = made.jacobian(b, b)
    expected = np.zeros((3, 7))
    expected[0, :2] = 1 / b[1], -b[0] / b[1] ** 2
    power = b[0] ** b[5]
    expected[1, [0, 1, 5]] = b[5] * power / b[0], -np.exp(-b[1]), power * np.log(b[0])
    expected[2, :2] = b[1], b[0]
    np.testing.assert_allclose(G, expected, rtol=1e-12, atol=1e-14)


def test_differences_where_complex_numbers_do_not_go(res):
    plain = res.nlcom("IBM_value").gradient
    for f in (
        lambda b: abs(b["IBM_value"]),
        lambda b: float(np.real(b["IBM_value"])),
        lambda b: max(b["IBM_value"], 0.0),
        lambda b: np.real(b["IBM_value"]),
    ):
        np.testing.assert_allclose(res.nlcom(f).gradient, plain, atol=1e-8)


def test_differences_keep_ten_digits():
    """Steps of eps^(1/3): rounding and the third derivative are both of order eps^(2/3)."""
    from sm_alsgls.results.nlcom import Functions

    b = np.linspace(0.5, 2.0, 7)

    def real_only(p):
        return np.array([np.exp(float(np.real(p["a"]))), np.log(float(np.real(p["b"])))])

    for size in (1.0, 0.1, 3.0):
        G = Functions([real_only], NAMES).jacobian(b, np.full(7, size))
        np.testing.assert_allclose(G[0, 0], np.exp(b[0]), rtol=5e-10)
        np.testing.assert_allclose(G[1, 1], 1.0 / b[1], rtol=5e-10)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC1", "sandwich"])
def test_linear_functions_are_t_test(res, cov_type):
    got = res.get_robustcov_results(cov_type)
    made = got.nlcom(["IBM_value - 2 * IBM_capital", "Goodyear_value - IBM_value"])
    for i, text in enumerate(["IBM_value - 2 * IBM_capital = 0", "Goodyear_value = IBM_value"]):
        t = got.t_test(text)
        assert made.bse.iloc[i] == pytest.approx(float(t.sd[0, 0]), rel=1e-8)
        assert made.pvalues.iloc[i] == pytest.approx(float(t.pvalue), rel=1e-6)
        np.testing.assert_allclose(made.conf_int(0.1).iloc[i], t.conf_int(0.1)[0], rtol=1e-6)
    both = got.wald_test("IBM_value - 2 * IBM_capital = 0, Goodyear_value = IBM_value", scalar=True)
    assert float(made.test().pvalue) == pytest.approx(float(both.pvalue), rel=1e-6)


def test_the_delta_method(res):
    made = res.nlcom({"long run": "IBM_value / (1 - IBM_capital)"})
    b, V = res.params, res.cov_params()
    g = pd.Series(0.0, index=b.index)
    g["IBM_value"] = 1 / (1 - b["IBM_capital"])
    g["IBM_capital"] = b["IBM_value"] / (1 - b["IBM_capital"]) ** 2
    assert made.bse["long run"] == pytest.approx(np.sqrt(g @ V @ g), rel=1e-10)
    assert made.df["long run"] == 20 - 3 - 1
    value = made.estimate["long run"] - 1.7 * made.bse["long run"]
    assert float(made.test(value).fvalue) == pytest.approx(1.7**2)
    assert float(made.test(pd.Series({"long run": value})).fvalue) == pytest.approx(1.7**2)
    with pytest.raises(OptionError, match="long run"):
        made.test(pd.Series({"short run": 1.0}))
    np.testing.assert_allclose(
        res.delta_method("IBM_value / (1 - IBM_capital)").bse, made.bse.to_numpy(), rtol=1e-12
    )
    assert "long run" in repr(made)
    assert res.get_robustcov_results("nonrobust", use_t=False).nlcom("IBM_value").df is None


def test_a_callable_of_several_numbers(res):
    made = res.nlcom(lambda b: [b["IBM_value"] * 2, b["IBM_capital"] ** 2])
    assert list(made.estimate.index) == ["<lambda>[0]", "<lambda>[1]"]
    np.testing.assert_allclose(made.cov.to_numpy(), made.cov.to_numpy().T)


def test_bad_functions(res):
    with pytest.raises(NonFiniteError, match=r"log\(-1 \* IBM_value\) is not finite"):
        res.nlcom("log(-1 * IBM_value)")
    with pytest.raises(NonFiniteError, match="derivatives of"):
        res.nlcom(lambda b: np.sqrt(b["IBM_value"] - res.params["IBM_value"]))
    for what in ([], 3, [3], lambda b: "x", lambda b: []):
        with pytest.raises(OptionError):
            res.nlcom(what)


def test_bootstrap(res):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boot = res.bootstrap(30, rng=0)
    made = boot.nlcom({"sum": "IBM_value + IBM_capital"})
    draws = boot.params["IBM_value"] + boot.params["IBM_capital"]
    np.testing.assert_allclose(made.draws["sum"], draws)
    assert made.std_errors["sum"] == pytest.approx(draws.std())
    np.testing.assert_allclose(made.conf_int().loc["sum"], draws.quantile([0.025, 0.975]))


@pytest.mark.parametrize("mark", ["b0_", "b_0_", "b1_", "ｂ0_", "b\u0663_"])
def test_what_stands_for_coefficients_cannot_be_written(mark):
    """`b0_` in text is a name like others, not the first coefficient that the text has."""
    with pytest.raises(OptionError, match="no coefficient|cannot read"):
        Expression(f"a + {mark}", NAMES)


def test_deep_and_long_text():
    deep = "-" * 5_000 + "a", "(" * 300 + "a" + ")" * 300, " + ".join(["a"] * 2_000)
    for text in (*deep, "log(" * 450 + "a" + ")" * 450, "a + 1" + "0" * 400, "1" + "0" * 5_000):
        with pytest.raises(OptionError) as caught:
            Expression(text, NAMES)
        assert len(str(caught.value)) < 400
    assert float(Expression(" + ".join(["a"] * 300), NAMES)(np.ones(7))) == 300.0
    with pytest.raises(OptionError, match="beyond 1e308"):
        Expression("a * 1e999", NAMES)


def test_a_callable_that_raises_is_chained(res):
    def broken(b):
        raise KeyError("x")

    with pytest.raises(CallableError, match="broken raised KeyError") as caught:
        res.nlcom(broken)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(CallableError, match="KeyError"):
        res.bootstrap(2).nlcom(lambda b: b["no"])


def test_a_callable_cannot_write_to_the_coefficients(res):
    before = res.params.copy()

    def greedy(b):
        value = b.iloc[0] * 2.0
        b.iloc[:] = 0.0
        return value

    assert res.nlcom(greedy).estimate.iloc[0] == 2.0 * before.iloc[0]
    assert res.params.equals(before)


@pytest.mark.parametrize("what", [lambda b: "a", lambda b: [], lambda b: 1j, lambda b: None])
def test_what_is_no_number(res, what):
    with pytest.raises(OptionError, match="must return real numbers"):
        res.nlcom(what)


def test_as_many_numbers_everywhere(res):
    at = res.params.iloc[0]
    with pytest.raises(OptionError, match="returned 1 numbers at the estimates and 2 beside"):
        res.nlcom(lambda b: np.ones(1 + (b.iloc[0] != at)))
    with pytest.raises(OptionError, match="returned 1 numbers at the estimates and 2 elsewhere"):
        res.bootstrap(2).nlcom(lambda b: np.ones(1 + (b.iloc[0] != at)))


def test_values_to_test(res):
    two = res.nlcom({"u": "IBM_value", "v": "IBM_capital"})
    by_name = two.test(pd.Series({"v": 2.0, "u": 1.0}))
    assert by_name.fvalue == pytest.approx(two.test([1.0, 2.0]).fvalue)
    for bad in ("0", ["1", "2"], [1.0, 2.0, 3.0], np.nan, 1j, pd.Series({"u": 1.0, "w": 0.0})):
        with pytest.raises(OptionError):
            two.test(bad)
    assert two.test(1e300).pvalue == 0.0


def test_a_function_that_does_not_move_is_not_tested(res):
    still = res.nlcom({"still": lambda b: 0.0 * b.iloc[0], "u": "IBM_value"})
    assert np.isnan(still.tvalues["still"])
    with pytest.raises(RestrictionError, match="'still' does not move with the coefficients"):
        still.test()
