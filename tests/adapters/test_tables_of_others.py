"""Tables that other packages make of results, each by the package itself."""

import numpy as np
import pytest
from statsmodels.iolib.summary2 import summary_col

from sm_alsgls import LowRank3SLS, LowRankMixedLM, LowRankPanel, LowRankSUR
from sm_alsgls.adapters import stargazer as ours
from sm_alsgls.datasets import load_grunfeld, load_klein

# Klein's instruments are weak, and a fit says so.
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")
FORMULA = "invest ~ value + capital"


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR.from_formula(FORMULA, data, groups="firm", time="year", rank=2).fit()


@pytest.fixture(scope="module")
def others(data):
    """Results of the other models."""
    mixed = LowRankMixedLM.from_formula(FORMULA, data, groups="firm", rank=0).fit()
    panel = LowRankPanel.from_formula(FORMULA, data, 0, entity="firm", time="year").fit()
    equations = {"c": "consump ~ wages + corpProfLag", "i": "invest ~ corpProf + capitalLag"}
    exogenous = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag"
    three = LowRank3SLS.from_formula(equations, load_klein(), instruments=exogenous, rank="full")
    return {"mixed": mixed, "panel": panel, "three": three.fit()}


def numbers(view):
    return [f"{view.params.iloc[1]:.3f}", f"{view.bse.iloc[1]:.3f}"]


def test_summary_col(res, others):
    firms = [res.equations[firm] for firm in ("IBM", "General Motors")]
    table = str(summary_col([*firms, res, *others.values()], float_format="%.3f"))
    for one in (*firms, res, *others.values()):
        for number in numbers(one):
            assert number in table
    assert "SUR of 11 equations" in table


def test_maketables(res, others):
    maketables = pytest.importorskip("maketables")
    ibm = res.equations["IBM"]
    made = maketables.ETable([ibm, res, others["panel"]], model_stats=["N", "r2", "aic"])
    text = made.df.to_string()
    assert list(made.df.columns.get_level_values(0)[:2]) == ["IBM", "SUR of 11 equations"]
    for one in (ibm, res, others["panel"]):
        for number in numbers(one):
            assert number in text
    row = made.df.loc[("stats", "AIC")]
    assert float(row.iloc[0]) == pytest.approx(ibm.aic, abs=6e-3)  # two decimals
    assert float(row.iloc[1].replace(",", "")) == pytest.approx(res.aic, abs=6e-3)


def test_stargazer_of_systems_and_equations(res, others):
    stargazer = pytest.importorskip("stargazer.stargazer")
    ours.register()
    models = [res, res.equations["IBM"], *others.values()]
    table = stargazer.Stargazer(models)
    for text in (table.render_latex(), table.render_html()):
        for one in models:
            for number in numbers(one):
                assert number in text
        assert f"{res.fvalue:.3f}" in text
        assert f"(df=22; {res.df_resid_inference:.0f})" in text
        assert f"{res.system_rsquared['mcelroy']:.3f}" in text


def test_great_tables(res):
    great_tables = pytest.importorskip("great_tables")
    pytest.importorskip("polars")
    ibm = res.equations["IBM"]
    for frame in (ibm.tidy(), ibm.tidy(backend="polars"), res.tidy(), ibm.glance(style="broom")):
        html = great_tables.GT(frame).as_raw_html()
        for name in frame.columns:
            assert name in html
    html = great_tables.GT(ibm.tidy(backend="polars")).fmt_number("estimate", decimals=3)
    assert f"{ibm.params['value']:.3f}" in html.as_raw_html()


def test_styler(res):
    pytest.importorskip("jinja2")
    ibm = res.equations["IBM"]
    html = ibm.tidy().style.format(precision=3).to_html()
    assert f"{ibm.params['value']:.3f}" in html


def test_polars_and_pandas_hold_the_same(res):
    pytest.importorskip("polars")
    for ask in ("tidy", "augment", "glance"):
        for results in (res, res.equations["IBM"]):
            one, other = getattr(results, ask)(), getattr(results, ask)(backend="polars")
            assert list(one.columns) == other.columns
            for name in one:
                values = one[name].to_numpy()
                if values.dtype.kind == "f":
                    np.testing.assert_array_equal(
                        np.array(other[name].to_list(), dtype=float), values
                    )
                else:
                    assert other[name].to_list() == one[name].tolist()


def test_what_is_missing_in_polars_is_null(data):
    pytest.importorskip("polars")
    holes = data.assign(invest=data["invest"].mask(data.index == 3))
    res = LowRankSUR.from_formula(
        FORMULA, holes, groups="firm", time="year", rank=1, missing="fiml"
    ).fit()
    made = res.augment(backend="polars")
    assert made["observed"].null_count() == made["resid"].null_count() == 1
    assert made["fitted"].null_count() == 0


class TestXarray:
    def test_every_number_is_at_its_labels(self, res):
        pytest.importorskip("xarray")
        made = res.to_xarray()
        assert dict(made.sizes) == {"equation": 11, "variable": 3, "factor": 2}
        for firm, view in res.equations.items():
            for term in view.params.index:
                at = {"equation": firm, "variable": term}
                assert float(made.coefficients.sel(at)) == view.params[term]
                assert float(made.std_errors.sel(at)) == view.bse[term]
            np.testing.assert_array_equal(made.loadings.sel(equation=firm), res.loadings.loc[firm])
        np.testing.assert_array_equal(made.uniquenesses, res.uniquenesses)
        np.testing.assert_array_equal(made.sigma_diag, res.sigma.diag())
        assert made.attrs["nobs"] == 20

    def test_designs_of_their_own_leave_holes(self, data):
        pytest.importorskip("xarray")
        wide = data.pivot(index="year", columns="firm")
        Y = wide["invest"][["IBM", "Goodyear", "Chrysler"]]
        exog = {name: wide["value"][[name]].set_axis([f"v{j}"], axis=1) for j, name in enumerate(Y)}
        made = LowRankSUR(Y, exog, rank=0).fit().to_xarray()
        assert "loadings" not in made
        np.testing.assert_array_equal(np.isnan(made.coefficients), ~np.eye(3, dtype=bool))

    def test_common_coefficients_stand_in_each_equation(self, data, others):
        pytest.importorskip("xarray")
        three = data[data["firm"].isin(["General Motors", "US Steel", "IBM"])]
        res = LowRankSUR.from_formula(
            FORMULA, three, groups="firm", time="year", rank="full", common=["value"]
        ).fit()
        made = res.to_xarray()
        assert set(made.coefficients.sel(variable="value").to_numpy()) == {res.params["value"]}
        assert set(made.std_errors.sel(variable="value").to_numpy()) == {res.bse["value"]}
        assert "uniquenesses" not in made
        assert dict(others["three"].to_xarray().sizes) == {"equation": 2, "variable": 5}
