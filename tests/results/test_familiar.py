"""Names that users of other packages try: each leads to what there is, and that is there."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    DataRemovedError,
    OptionError,
    RestrictionError,
    UnknownAttributeError,
    UnknownEquationError,
)
from sm_alsgls.results import familiar
from sm_alsgls.results.cov_types import COV_TYPES


@pytest.fixture(scope="module")
def res():
    data = load_grunfeld()
    model = LowRankSUR.from_formula("invest ~ value", data, 1, groups="firm", time="year")
    return model.fit(n_starts=1)


class TestAttributes:
    @pytest.mark.parametrize("name", familiar._SYSTEM)
    def test_of_results(self, res, name):
        self.check(res, name, familiar._SYSTEM[name])
        self.check(res._results, name, familiar._SYSTEM[name])

    @pytest.mark.parametrize("name", familiar._EQUATION)
    def test_of_an_equation(self, res, name):
        view = res.equations["IBM"]
        if hasattr(type(view), name):
            return  # both share names, of which an equation has some
        self.check(view, name, familiar._EQUATION[name])

    @staticmethod
    def check(owner, name, ours):
        assert not hasattr(owner, name)
        with pytest.raises(UnknownAttributeError, match=f"no attribute '{name}'; ") as caught:
            getattr(owner, name)
        assert isinstance(caught.value, AttributeError)
        if ours:
            assert f"use {ours}" in str(caught.value)
            first = re.match(r"\w+", ours)[0]
            assert hasattr(owner, first), first
        else:
            assert "do not hold" in str(caught.value)

    def test_an_unknown_name(self, res):
        for owner in (res, res.equations["IBM"]):
            with pytest.raises(AttributeError, match="has no attribute 'nonsense'$"):
                _ = owner.nonsense
            assert not hasattr(owner, "__nonsense__")
            assert not hasattr(owner, "_nonsense")

    def test_what_needs_data_says_so(self, res):
        """A property that raises an AttributeError is not one that there is not."""
        without = copy.deepcopy(res)
        without.remove_data()
        for owner in (without, without.equations["IBM"]):
            with pytest.raises(DataRemovedError, match="remove_data"):
                _ = owner.resid
            assert not hasattr(owner, "fittedvalues")

    def test_copies_and_pickles(self, res):
        for again in (copy.copy(res), copy.deepcopy(res), pickle.loads(pickle.dumps(res))):
            np.testing.assert_array_equal(again.bse, res.bse)
            np.testing.assert_array_equal(again.equations["IBM"].bse, res.equations["IBM"].bse)


@pytest.mark.parametrize("name", [*familiar._COV_TYPES, "hc1", "hac", "Robust"])
def test_cov_types(res, name):
    with pytest.raises(OptionError) as caught:
        res.get_robustcov_results(name)
    said = str(caught.value).partition(f"got {name!r}")[2]
    assert any(repr(known) in said for known in COV_TYPES) or "bootstrap()" in said


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(0)
    d = pd.DataFrame(rng.standard_normal((60, 4)), columns=["y1", "y2", "x1", "x2"])
    formulas = {"a": "y1 ~ I(x1**2) + x2", "b": "y2 ~ np.minimum(x1, x2)"}
    return LowRankSUR.from_formula(formulas, d, 0).fit()


class TestHypotheses:
    @pytest.mark.parametrize(
        "text", ["a_I(x1**2)", "a_I(x1 ** 2)", "a_I( x1** 2 )", "`a_I(x1**2)`", " a_I(x1 **2) "]
    )
    def test_spacing(self, fit, text):
        want = fit.params["a_I(x1 ** 2)"]
        assert fit.t_test(f"{text} = 0").effect[0] == want
        assert fit.t_test(f"2*{text} - a_x2 = 0").effect[0] == pytest.approx(
            2 * want - fit.params["a_x2"]
        )
        joint = fit.f_test(f"{text} = 0, b_np.minimum(x1,x2) = 0")
        assert joint.df_num == 2

    def test_names_that_differ_in_spaces(self):
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.standard_normal((60, 2)), columns=["x 1", "x1"])
        fit = LowRankSUR(rng.standard_normal((60, 2)), X, 0).fit()
        assert fit.t_test("y1_x 1 = 0").effect[0] == fit.params["y1_x 1"]
        assert fit.t_test("y1_x1 = 0").effect[0] == fit.params["y1_x1"]

    @pytest.mark.parametrize("sign", [">=", "<=", ">", "<", "!=", "=="])
    def test_inequalities(self, fit, sign):
        with pytest.raises(RestrictionError, match=f"'{sign}' is not for hypotheses.*one-sided"):
            fit.t_test(f"a_x2 {sign} 0")

    def test_a_name_with_a_sign_is_a_name(self):
        rng = np.random.default_rng(0)
        d = pd.DataFrame(rng.standard_normal((60, 3)), columns=["y1", "y2", "x"])
        fit = LowRankSUR.from_formula({"a": "y1 ~ I(1.0*(x>=0))", "b": "y2 ~ x"}, d, 0).fit()
        (name,) = (n for n in fit.params.index if "I(" in n)
        assert fit.t_test(f"{name} = 0").effect[0] == fit.params[name]
        assert fit.t_test("a_I(1.0*(x>=0)) = b_x").effect.shape == (1,)

    def test_a_name_that_there_is_not(self, fit):
        with pytest.raises(RestrictionError, match=r"called 'a_X2' \(did you mean 'a_x2'"):
            fit.t_test("a_X2 = 0")


class TestEquations:
    def test_did_you_mean(self, res):
        for error in (KeyError, OptionError, UnknownEquationError):
            with pytest.raises(error, match=r"no equation 'Ibm' \(did you mean 'IBM'\?\)"):
                res.equations["Ibm"]
        for call in (
            lambda: res.summary(equations=["Ibm"]),
            lambda: res.predict(equations="Ibm"),
            lambda: res.plot_fit("Ibm"),
        ):
            with pytest.raises(UnknownEquationError, match="did you mean 'IBM'"):
                call()
        assert "Ibm" not in res.equations
        assert res.equations.get("Ibm") is None
        assert "IBM" in res.equations

    @pytest.mark.parametrize("kind", [int, np.int64, float, str])
    def test_labels_that_are_numbers(self, kind):
        data = load_grunfeld()
        model = LowRankSUR.from_formula("invest ~ value", data, 0, groups="year", time="firm")
        res = model.fit()
        want = res.equations["1938"].params
        label = kind(1938) if kind is not str else "1938"
        np.testing.assert_array_equal(res.equations[label].params, want)
        assert label in res.equations
        text = str(res.summary(equations=[label]))
        assert "Equation: 1938" in text
        assert "Equation: 1938" in str(res.summary(equations=label))
        assert "Equation: 1939" not in text
        assert list(res.predict(equations=[label])) == ["1938"]
        assert res.predict(equations=label).shape[1] == 1
        assert res.predict(data, equations=[label]).notna().sum() == 11
        with pytest.raises(UnknownEquationError, match="1960"):
            res.equations[1960]


class TestOrder:
    """Equations of a panel are in the order of their labels where these have one."""

    @pytest.mark.parametrize(
        ("labels", "ordered"),
        [
            ([1976, 9, 1974], [9, 1974, 1976]),
            ([2.5, -1.0, 10.0], [-1.0, 2.5, 10.0]),
            (list("bca"), list("bca")),
            (pd.to_datetime(["2001-01-01", "1999-01-01", "2000-01-01"]), [1, 2, 0]),
            (pd.PeriodIndex(["2001", "1999", "2000"], freq="Y"), [1, 2, 0]),
            (pd.Categorical(list("bca"), list("cab"), ordered=True), list("bca")),
            (pd.Categorical([1976, 9, 1974], [1974, 9, 1976]), [9, 1974, 1976]),
            (pd.Categorical(list("bca"), list("cab")), list("bca")),
            (np.array([1976, 9, 1974], dtype=object), [9, 1974, 1976]),
            (np.array(["10", "9", "1"], dtype=object), ["10", "9", "1"]),
        ],
        ids=str,
    )
    def test_equations(self, labels, ordered):
        rng = np.random.default_rng(0)
        d = pd.DataFrame({"t": np.tile(range(20), 3), "y": rng.standard_normal(60)})
        d["g"] = pd.Series(labels).repeat(20).reset_index(drop=True)
        d["x"] = rng.standard_normal(60)
        if isinstance(labels, (pd.DatetimeIndex, pd.PeriodIndex)):
            ordered = [labels[i] for i in ordered]
        model = LowRankSUR.from_formula("y ~ x", d, 0, groups="g", time="t")
        assert model.equations == [str(label) for label in ordered]
        for label in labels:
            own = d.loc[(d["g"] == label).to_numpy(), "y"].to_numpy()
            at = model.equations.index(str(label))
            np.testing.assert_array_equal(model.endog[:, at], own)
            assert model.fit().equations[label].name == str(label)
