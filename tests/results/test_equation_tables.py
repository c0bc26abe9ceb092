"""tidy, glance, augment and the likelihood of one equation, each against its definition."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from sm_alsgls import LowRank3SLS, LowRankSUR
from sm_alsgls.datasets import load_grunfeld, load_klein
from sm_alsgls.exceptions import NoLikelihoodError, OptionError

# Klein's instruments are weak, and a fit says so.
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")
FORMULA = "invest ~ value + capital"
PANEL = {"groups": "firm", "time": "year"}


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR.from_formula(FORMULA, data, rank=2, **PANEL).fit()


@pytest.fixture(scope="module")
def ibm(res):
    return res.equations["IBM"]


def weights_of(data):
    return 1.0 / (1.0 + data["capital"] / data["capital"].mean())


class TestLikelihood:
    def test_rank_0_is_least_squares(self, data):
        res = LowRankSUR.from_formula(FORMULA, data, rank=0, **PANEL).fit()
        for firm, view in res.equations.items():
            ols = smf.ols(FORMULA, data[data["firm"] == firm]).fit()
            assert view.llf == pytest.approx(ols.llf, rel=1e-10)
            # statsmodels does not count the variance.
            assert view.aic == pytest.approx(ols.aic + 2.0, rel=1e-10)
            assert view.bic == pytest.approx(ols.bic + np.log(20), rel=1e-10)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("missing", ["none", "fiml"])
    def test_of_independent_equations_they_add_up(self, data, weighted, missing):
        more = {"weights": weights_of(data)} if weighted else {}
        if missing == "fiml":
            data = data.assign(invest=data["invest"].mask(data.index.isin([3, 50, 51, 120])))
        res = LowRankSUR.from_formula(FORMULA, data, rank=0, missing=missing, **more, **PANEL).fit()
        assert sum(view.llf for view in res.equations.values()) == pytest.approx(res.llf, rel=1e-9)

    def test_is_the_normal_density_of_residuals(self, res, ibm):
        scale = np.sqrt(res.sigma.diag()[res.model.equations.index("IBM")])
        wanted = stats.norm.logpdf(res.resid["IBM"], scale=scale).sum()
        assert ibm.llf == pytest.approx(wanted, rel=1e-12)
        assert sum(view.llf for view in res.equations.values()) < res.llf

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
    def test_restrictions_leave_fewer_parameters(self, res):
        tied = res.model.fit_constrained(["IBM_value = 0.1", "IBM_capital = 0"]).equations["IBM"]
        assert tied.aic == pytest.approx(-2.0 * tied.llf + 2.0 * 2)

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")
    def test_stays_when_the_data_go(self, data):
        res = LowRankSUR.from_formula(
            FORMULA, data, rank=1, weights=weights_of(data), **PANEL
        ).fit()
        before = res.equations["IBM"].glance()
        res.remove_data()
        pd.testing.assert_frame_equal(res.equations["IBM"].glance(), before)

    def test_there_is_none(self, data):
        ar = LowRankSUR.from_formula(FORMULA, data, rank=0, ar="common", **PANEL).fit()
        equations = {"c": "consump ~ wages + corpProfLag", "i": "invest ~ corpProf + capitalLag"}
        exogenous = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag"
        three = LowRank3SLS.from_formula(
            equations, load_klein(), instruments=exogenous, rank="full"
        ).fit()
        for view, word in ((ar.equations["IBM"], "laws"), (three.equations["c"], "no likelihood")):
            assert not hasattr(view, "llf")
            with pytest.raises(NoLikelihoodError, match=word):
                _ = view.aic
            row = view.glance().iloc[0]
            assert np.isnan(row["llf"])
            assert row["rsquared"] == pytest.approx(view.rsquared)
            assert len(view.augment()) == view.nobs


class TestTables:
    def test_tidy(self, res, ibm):
        whole = res.tidy(alpha=0.2)
        whole = whole[whole["equation"] == "IBM"].drop(columns="equation").reset_index(drop=True)
        pd.testing.assert_frame_equal(ibm.tidy(alpha=0.2), whole, rtol=1e-12)
        assert list(ibm.tidy(conf_int=False)) == list(whole.columns[:5])

    def test_glance_has_what_the_view_has(self, ibm):
        row = ibm.glance().iloc[0]
        same = ("rsquared", "rsquared_adj", "std_error", "fvalue", "f_pvalue", "df_model")
        for name in (*same, "llf", "aic", "bic", "df_resid", "nobs", "communality", "cov_type"):
            assert row[name] == getattr(ibm, name), name
        assert (row["equation"], row["n_params"]) == ("IBM", 3)

    def test_augment(self, res, ibm, data):
        whole = res.augment()
        whole = whole[whole["equation"] == "IBM"].drop(columns="equation").reset_index(drop=True)
        pd.testing.assert_frame_equal(ibm.augment(), whole)
        mine = data[data["firm"] == "IBM"]
        new = ibm.augment(mine.drop(columns="firm"))
        for name in ("observed", "fitted", "resid", "std_resid"):
            np.testing.assert_allclose(new[name], whole[name], rtol=1e-9)
        assert list(new["row"]) == list(mine.index)
        assert new["unique_resid"].isna().all()
        assert ibm.augment(mine.drop(columns="invest"))["observed"].isna().all()

    def test_augment_of_an_equation_of_several_formulas(self, data):
        wide = data.pivot(index="year", columns="firm")
        frame = pd.DataFrame(
            {
                "ibm": wide["invest", "IBM"],
                "v": wide["value", "IBM"],
                "us": wide["invest", "US Steel"],
            }
        )
        res = LowRankSUR.from_formula(["us ~ v", "ibm ~ v"], frame, rank=0).fit()
        new = res.equations["ibm"].augment(frame[["ibm", "v"]])
        np.testing.assert_allclose(new["resid"], res.resid["ibm"], atol=1e-9)

    def test_new_rows_beside_laws_have_their_own_scale(self, data):
        res = LowRankSUR.from_formula(
            FORMULA, data, rank=0, cell_scale="~ np.log(value)", **PANEL
        ).fit()
        mine = data[data["firm"] == "IBM"]
        whole = res.augment(mine)
        np.testing.assert_allclose(
            res.equations["IBM"].augment(mine)["std_resid"], whole["std_resid"], rtol=1e-9
        )

    def test_brooms_names(self, res, ibm):
        assert list(ibm.tidy(style="broom")) == [
            "term", "estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high"
        ]  # fmt: skip
        assert list(res.tidy(style="broom"))[:4] == ["equation", "term", "estimate", "std.error"]
        assert list(ibm.glance(style="broom"))[1:11] == [
            "r.squared", "adj.r.squared", "sigma", "statistic", "p.value", "df", "logLik", "AIC",
            "BIC", "df.residual",
        ]  # fmt: skip
        assert {"logLik", "df.residual"} <= set(res.glance(style="broom"))
        assert list(ibm.augment(style="broom"))[2:5] == [".fitted", ".resid", ".std.resid"]

    @pytest.mark.parametrize("ask", ["tidy", "glance", "augment"])
    def test_what_there_is_not(self, res, ibm, ask):
        for results in (res, ibm):
            with pytest.raises(OptionError, match="style"):
                getattr(results, ask)(style="dotted")
            with pytest.raises(OptionError, match="backend"):
                getattr(results, ask)(backend="duckdb")
