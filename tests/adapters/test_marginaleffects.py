"""marginaleffects on our results: each number against one of our own, or of statsmodels."""

import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR
from sm_alsgls.adapters.marginaleffects import adapt
from sm_alsgls.datasets import load_grunfeld, load_klein
from sm_alsgls.exceptions import MissingExtraError, NotApplicableError, SystemInputError

# polars 1.44 says that marginaleffects 0.6 calls what polars 2 has no more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FORMULA = "invest ~ value + capital"
PANEL = {"groups": "firm", "time": "year"}


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR.from_formula(FORMULA, data, rank=2, **PANEL).fit()


@pytest.fixture(scope="module")
def me():
    # Versions before 0.6 ask other questions of a model.
    return pytest.importorskip("marginaleffects", reason="marginaleffects is not installed")


@pytest.fixture(scope="module")
def wide(data):
    table = data.pivot(index="year", columns="firm")
    return pd.DataFrame(
        {
            "ibm": table["invest", "IBM"],
            "us": table["invest", "US Steel"],
            "v": table["value", "IBM"],
            "u": table["value", "US Steel"],
            "half": ["early"] * 10 + ["late"] * 10,
        }
    )


def test_slopes_of_a_long_panel_are_coefficients(me, res, data):
    found = me.avg_slopes(adapt(res, data), variables="value", by="firm")
    names = [f"{firm}_value" for firm in found["firm"]]
    np.testing.assert_allclose(found["estimate"], res.params[names], rtol=1e-6)
    # Differences of differences: half of the digits of .02 at fitted values of hundreds.
    np.testing.assert_allclose(found["std_error"], res.bse[names], rtol=1e-3)
    np.testing.assert_allclose(found["conf_low"], res.conf_int()[0][names], rtol=5e-3, atol=1e-4)


def test_an_average_slope_has_the_covariance_between_equations(me, res, data):
    found = me.avg_comparisons(adapt(res, data), variables={"value": 100})
    names = [name for name in res.params.index if name.endswith("_value")]
    V = res.cov_params().loc[names, names].to_numpy()
    np.testing.assert_allclose(found["estimate"], [100 * res.params[names].mean()], rtol=1e-8)
    np.testing.assert_allclose(found["std_error"], [100 * np.sqrt(V.sum()) / 11], rtol=1e-6)


@pytest.mark.parametrize("vcov", [True, "HC1"])
def test_predictions_are_ours(me, res, data, vcov):
    new = data.iloc[[3, 25, 199]]
    found = me.predictions(adapt(res, data), newdata=new, vcov=vcov)
    ours = res if vcov is True else res.get_robustcov_results(vcov)
    table = ours.get_prediction(new).summary_frame()
    np.testing.assert_allclose(found["estimate"], table["mean"], rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], table["mean_se"], rtol=1e-6)
    if vcov is True:
        np.testing.assert_allclose(found["conf_low"], table["mean_ci_lower"], rtol=1e-6)


def test_coefficients_move_as_they_are_moved(me, res, data):
    model, new = adapt(res, data), data.iloc[[3, 25, 199]]
    rows = model.get_exog(model.get_modeldata()[[3, 25, 199]])
    step = 0.1 * np.arange(1.0, 34.0)
    moved, still = (model.get_predict(model.get_coef() + by, rows) for by in (step, 0.0 * step))
    ours = res.model.predict(res.params + step, new) - res.predict(new)
    np.testing.assert_allclose(moved["estimate"] - still["estimate"], ours, rtol=1e-6)


def test_without_standard_errors(me, res, data):
    found = me.predictions(adapt(res, data), vcov=False)
    np.testing.assert_allclose(found["estimate"], res.predict(data), rtol=1e-10)
    assert "std_error" not in found.columns


def test_equations_that_share_rows_are_groups(me, wide):
    res = LowRankSUR.from_formula(["ibm ~ v * half", "us ~ u"], wide, rank="full").fit()
    model = adapt(res, wide)
    found = me.avg_comparisons(model, variables="half")
    at = dict(zip(found["group"], found["estimate"], strict=True))
    se = dict(zip(found["group"], found["std_error"], strict=True))
    r = np.zeros(6)
    names = list(res.params.index)
    r[names.index("ibm_half[T.late]")] = 1.0
    r[names.index("ibm_v:half[T.late]")] = wide["v"].mean()
    test = res.t_test(r)
    assert at["ibm"] == pytest.approx(float(test.effect[0]), rel=1e-8)
    assert se["ibm"] == pytest.approx(float(test.sd[0, 0]), rel=1e-6)
    assert at["us"] == 0.0
    grid = me.datagrid(model=model, u=[100.0, 200.0])
    found = me.predictions(model, newdata=grid).filter(pl_is("us"))
    np.testing.assert_allclose(np.diff(found["estimate"]), 100.0 * res.params["us_u"], rtol=1e-9)


def pl_is(group):
    import polars

    return polars.col("group") == group


def test_what_is_not_linear(me, wide):
    """A ratio of predictions, against statsmodels' OLS in marginaleffects and the delta method."""
    res = LowRankSUR.from_formula(["ibm ~ v", "us ~ u"], wide, rank=0).fit()
    ours = me.comparisons(
        adapt(res, wide), variables={"v": 100}, comparison="ratio", newdata=wide.tail(1)
    )
    ours = ours.filter(pl_is("ibm"))
    ols = smf.ols("ibm ~ v", wide.reset_index()).fit()
    a, b = ols.params
    hi, lo = (np.array([1.0, wide["v"].iloc[-1] + shift]) for shift in (50, -50))
    gradient = hi / (lo @ ols.params) - lo * (hi @ ols.params) / (lo @ ols.params) ** 2
    wanted = np.sqrt(gradient @ ols.cov_params() @ gradient)
    assert ours["estimate"][0] == pytest.approx((a + b * hi[1]) / (a + b * lo[1]), rel=1e-9)
    # Forward differences with steps of a thousandth.
    assert ours["std_error"][0] == pytest.approx(wanted, rel=5e-3)


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")
def test_the_other_models(me, data):
    panel = LowRankPanel.from_formula(FORMULA, data, 0, entity="firm", time="year").fit()
    mixed = LowRankMixedLM.from_formula(FORMULA, data, groups="firm", rank=0).fit()
    within = LowRankPanel.from_formula(
        FORMULA, data, 0, entity="firm", time="year", effects="entity"
    ).fit()
    for one in (panel, mixed, within):
        found = me.avg_comparisons(adapt(one, data), variables={"value": 1})
        assert found["estimate"][0] == pytest.approx(one.params["value"], rel=1e-6)
        assert found["std_error"][0] == pytest.approx(one.bse["value"], rel=1e-3)
    equations = {"c": "consump ~ wages + corpProfLag", "i": "invest ~ corpProf + capitalLag"}
    exogenous = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag"
    klein = load_klein()
    three = LowRank3SLS.from_formula(equations, klein, instruments=exogenous, rank="full").fit()
    found = me.avg_comparisons(adapt(three, klein), variables={"wages": 1}).filter(pl_is("c"))
    assert found["std_error"][0] == pytest.approx(three.bse["c_wages"], rel=1e-4)


def test_holes_and_frames_of_polars(me, data):
    polars = pytest.importorskip("polars")
    holes = data.assign(value=data["value"].mask(data.index == 7))
    res = LowRankSUR.from_formula(FORMULA, holes, rank=1, missing="fiml", **PANEL).fit()
    found = me.predictions(adapt(res, polars.from_pandas(holes)))
    assert len(found) == 219


class TestWhatItRefuses:
    def test_arrays(self, me):
        rng = np.random.default_rng(0)
        res = LowRankSUR(rng.standard_normal((30, 3)), rng.standard_normal((30, 2)), rank=0).fit()
        with pytest.raises(SystemInputError, match="made from arrays"):
            adapt(res, pd.DataFrame({"x": [1.0]}))

    def test_lags(self, me, data):
        res = LowRankSUR.from_formula("invest ~ lag(value)", data, rank=0, **PANEL).fit()
        with pytest.raises(NotApplicableError, match="lag"):
            adapt(res, data)

    def test_neighbours_responses(self, me, data):
        W = np.ones((11, 11)) - np.eye(11)
        res = LowRankSUR.from_formula(
            FORMULA, data, rank=0, spatial_lag=W, standardize=True, **PANEL
        ).fit()
        with pytest.raises(NotApplicableError, match="more than its regressors"):
            adapt(res, data)


def test_without_the_package(monkeypatch, res, data):
    from sm_alsgls.adapters import marginaleffects as ours

    ours._classes.cache_clear()
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        adapt(res, data)
