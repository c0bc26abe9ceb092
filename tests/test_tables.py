"""tidy, glance, augment, summary_col: every number against its definition."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col, summary_model, summary_params

from sm_alsgls import LowRankDiag, LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.tables import unique_residuals
from tests.systems import simulate


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=2
    ).fit()


@pytest.fixture(scope="module")
def plain():
    X, Y, _ = simulate(60, 6, 3, 1, seed=4)
    return LowRankSUR(Y, [x[:, : 2 + j % 2] for j, x in enumerate(X)], rank=1).fit()


def wide_frame():
    X, Y, _ = simulate(30, 4, 2, 1, seed=2, strength=2.0)
    index = pd.Index(np.arange(1990, 2020), name="year")
    return pd.DataFrame(Y, index, list("abcd")).assign(x=X[0][:, 1])


class TestTidy:
    def test_schema(self, res):
        table = res.tidy()
        assert list(table.columns) == [
            "equation",
            "term",
            "estimate",
            "std_error",
            "statistic",
            "p_value",
            "conf_low",
            "conf_high",
        ]
        assert list(table.index) == list(range(33))
        assert all(isinstance(name, str) for name in table["equation"])
        assert all(kind.kind == "f" for kind in table.dtypes.iloc[2:])
        assert list(res.tidy(conf_int=False).columns) == list(table.columns[:6])

    def test_labels_and_values(self, plain):
        table = plain.tidy(alpha=0.2)
        names = table["equation"] + "_" + table["term"]
        assert list(names) == list(plain.params.index)
        one = table[table["equation"] == "y2"].set_index("term")
        view = plain.equations["y2"]
        assert list(one.index) == ["const", "x1", "x2"]
        for column, values in {
            "estimate": view.params,
            "std_error": view.bse,
            "statistic": view.params / view.bse,
            "p_value": view.pvalues,
            "conf_low": view.conf_int(0.2)[0],
            "conf_high": view.conf_int(0.2)[1],
        }.items():
            np.testing.assert_allclose(one[column], values, rtol=1e-12)

    def test_rejects_alpha(self, plain):
        with pytest.raises(OptionError, match="alpha"):
            plain.tidy(alpha=5.0)


class TestGlance:
    def test_values(self, res):
        table = res.glance()
        assert list(table.columns) == [
            "nobs",
            "neqs",
            "rank",
            "n_params",
            "llf",
            "nll_per_row",
            "aic",
            "bic",
            "df_model",
            "df_resid",
            "converged",
            "sweeps",
            "starts",
            "starts_at_best",
            "cov_type",
        ]
        assert table.shape[0] == 1
        row = table.iloc[0]
        assert list(row[["nobs", "neqs", "rank", "n_params"]]) == [20, 11, 2, 33]
        sigma = 11 * 2 + 11 - 1
        assert (row["df_model"], row["df_resid"]) == (33 + sigma, 220 - 33 - sigma)
        assert row["aic"] == pytest.approx(-2 * row["llf"] + 2 * (33 + sigma))
        assert row["nll_per_row"] == pytest.approx(-row["llf"] / 20)
        assert row["sweeps"] == len(res.trace) - 1
        assert row["starts"] == len(res.mle_retvals["starts"])
        assert 1 <= row["starts_at_best"] <= row["starts"]
        assert row["converged"]
        assert row["cov_type"] == "nonrobust"

    def test_covariance_type(self, plain):
        assert plain.get_robustcov_results("HC0").glance()["cov_type"].item() == "HC0"

    def test_fits_stack(self, res, plain):
        assert len(pd.concat([res.glance(), plain.glance()])) == 2


COLUMNS = ["row", "equation", "observed", "fitted", "resid", "std_resid", "unique_resid"]


class TestAugment:
    def test_values(self, plain):
        table = plain.augment()
        assert list(table.columns) == COLUMNS
        assert list(table["row"]) == list(range(60)) * 6
        assert list(table["equation"]) == list(np.repeat(plain.model.equations, 60))
        E = plain.resid.to_numpy()
        F, d = plain.loadings.to_numpy(), plain.uniquenesses.to_numpy()
        left = (E - plain.factor_scores.to_numpy() @ F.T) / np.sqrt(d)
        for column, values in {
            "observed": plain.model.endog,
            "fitted": plain.fittedvalues.to_numpy(),
            "resid": E,
            "std_resid": E / np.sqrt(np.diag(plain.sigma.to_dense())),
            "unique_resid": left,
        }.items():
            wide = table.pivot(index="row", columns="equation", values=column)
            np.testing.assert_allclose(wide[plain.model.equations], values, rtol=1e-9, atol=1e-12)

    def test_rows_carry_their_labels(self, res):
        table = res.augment()
        assert table["row"].tolist() == list(range(1935, 1955)) * 11
        ibm = table[table["equation"] == "IBM"].set_index("row")
        pd.testing.assert_series_equal(
            ibm["resid"], res.resid["IBM"], check_names=False, check_freq=False
        )

    def test_rows_with_gaps_use_what_they_have(self):
        rng = np.random.default_rng(3)
        sigma = LowRankDiag(rng.standard_normal((5, 2)), rng.uniform(0.5, 2.0, 5))
        E = sigma.sample(rng, 6)
        E[1, 2], E[3], E[4, :4] = np.nan, np.nan, np.nan
        out = unique_residuals(sigma, E)
        assert (np.isnan(out) == np.isnan(E)).all()
        F, d = sigma.loadings, sigma.uniquenesses
        for n in (0, 1, 4):
            at = ~np.isnan(E[n])
            z = F[at].T @ np.linalg.solve(sigma.to_dense()[np.ix_(at, at)], E[n, at])
            np.testing.assert_allclose(out[n, at], (E[n, at] - F[at] @ z) / np.sqrt(d[at]))

    def test_rank_0(self):
        X, Y, _ = simulate(40, 3, 2, 1)
        table = LowRankSUR(Y, X, rank=0).fit().augment()
        np.testing.assert_allclose(table["unique_resid"], table["std_resid"])
        assert np.mean(table["std_resid"] ** 2) == pytest.approx(1.0)

    def test_training_data_as_new_data(self, engine):
        wide = wide_frame().assign(b=lambda t: np.exp(t["b"]))
        formulas = {"A": "a ~ center(x)", "B": "np.log(b) ~ x", "C": "c ~ 1", "D": "I(d / 2) ~ x"}
        res = LowRankSUR.from_formula(formulas, wide, rank=1).fit()
        pd.testing.assert_frame_equal(res.augment(wide), res.augment(), rtol=1e-9, atol=1e-9)
        again = res.augment(wide.drop(columns=["c"]))
        gone = again["equation"] == "C"
        assert (
            again.loc[gone, ["observed", "resid", "std_resid", "unique_resid"]]
            .isna()
            .all(axis=None)
        )
        assert again.loc[~gone].notna().all(axis=None)
        assert again.loc[gone, "fitted"].notna().all()
        as_dict = res.augment(wide.to_dict("list"))
        np.testing.assert_allclose(as_dict["resid"], res.augment()["resid"], rtol=1e-9)

    def test_several_responses(self, engine):
        wide = wide_frame()
        res = LowRankSUR.from_formula("a + b + c + d ~ x", wide, rank=1).fit()
        pd.testing.assert_frame_equal(res.augment(wide), res.augment(), rtol=1e-9, atol=1e-9)

    def test_new_long_data(self, engine, data):
        model = LowRankSUR.from_formula(
            "invest ~ value + capital", data, groups="firm", time="year", rank=2
        )
        res = model.fit()
        shuffled = data.sample(frac=1.0, random_state=1)
        table = res.augment(shuffled)
        assert list(table.columns) == COLUMNS
        assert list(table["row"]) == list(shuffled.index)
        assert list(table["equation"]) == list(shuffled["firm"])
        table = table.assign(row=shuffled["year"].to_numpy()).set_index(["row", "equation"])
        expected = res.augment().set_index(["row", "equation"])
        pd.testing.assert_frame_equal(table.loc[expected.index], expected, rtol=1e-9, atol=1e-9)
        assert res.augment(data.drop(columns="year"))["unique_resid"].isna().all()
        blind = res.augment(data.drop(columns="invest"))
        assert blind["observed"].isna().all()
        np.testing.assert_allclose(blind["fitted"], res.predict(data))

    def test_long_data_without_time_are_matched_by_order(self, data):
        res = LowRankSUR.from_formula("invest ~ value + capital", data, groups="firm", rank=2).fit()
        table = res.augment(data)
        expected = res.augment()
        for firm in ("IBM", "Goodyear"):
            np.testing.assert_allclose(
                table.loc[table["equation"] == firm, "unique_resid"],
                expected.loc[expected["equation"] == firm, "unique_resid"],
                rtol=1e-9,
            )

    def test_new_designs(self, plain):
        table = plain.augment([X[:3] for X in plain.model.exog])
        assert list(table.columns) == COLUMNS
        assert len(table) == 18
        assert table[["observed", "resid", "std_resid", "unique_resid"]].isna().all(axis=None)
        expected = plain.fittedvalues.iloc[:3].to_numpy().ravel("F")
        np.testing.assert_allclose(table["fitted"], expected)


def ols_of(data, firm, formula="invest ~ value + capital"):
    return smf.ols(formula, data[data["firm"] == firm]).fit()


class TestSummaryCol:
    def test_beside_ols(self, res, data):
        table = summary_col([res.equations["IBM"], ols_of(data, "IBM")], stars=True).tables[0]
        assert list(table.columns) == ["IBM", "invest"]
        stub = ["Intercept", "", "value", "", "capital", "", "R-squared", "R-squared Adj."]
        assert list(table.index) == stub
        view = res.equations["IBM"]
        assert table["IBM"].iloc[2] == f"{view.params['value']:.4f}***"
        assert table["IBM"].iloc[3] == f"({view.bse['value']:.4f})"
        assert table.loc["R-squared", "IBM"] == f"{view.rsquared:.4f}"

    def test_system(self, res):
        table = summary_col([res]).tables[0]
        assert list(table.columns) == ["SUR of 11 equations"]
        assert table.index[0] == "General Motors_Intercept"
        assert table.iloc[0, 0] == f"{res.params.iloc[0]:.4f}"

    def test_equations_side_by_side(self, res):
        firms = ["IBM", "General Electric", "US Steel"]
        table = summary_col(
            [res.equations[firm] for firm in firms],
            info_dict={"N": lambda r: f"{r.nobs}", "F": lambda r: f"{r.fvalue:.2f}"},
            regressor_order=["capital"],
        )
        assert list(table.tables[0].columns) == firms
        assert table.tables[0].index[0] == "capital"
        assert list(table.tables[0].loc["N"]) == ["20"] * 3
        for text in (table.as_latex(), table.as_html()):
            assert "General Electric" in text

    def test_other_tables_of_statsmodels(self, res):
        view = res.equations["IBM"]
        params = summary_params(view)
        assert list(params.index) == ["Intercept", "value", "capital"]
        info = summary_model(view)
        assert info["Dependent Variable:"] == "IBM"
        assert float(info["F-statistic:"]) == pytest.approx(view.fvalue, rel=1e-3)

    def test_what_stargazer_reads(self, res):
        # stargazer 0.0.7, extract_statsmodels_data: names and kinds, copied by hand.
        view = res.equations["IBM"]
        assert view.model.endog_names == "IBM"
        assert list(view.params.index) == view.model.exog_names == ["Intercept", "value", "capital"]
        assert list(view.conf_int().columns) == [0, 1]
        for name in ("rsquared", "rsquared_adj", "fvalue", "f_pvalue", "df_model", "df_resid"):
            assert isinstance(getattr(view, name), float)
        assert view.nobs == 20
        assert view.df_model == 2.0
        assert view.df_resid == 20 - 3 - 2
        assert view.use_t is True
        assert (view.resid**2).sum() > 0
        assert view.cov_type == "nonrobust"
        assert view.k_constant == view.model.k_constant == 1


class TestOverallTest:
    @pytest.mark.parametrize(
        "formula",
        [
            "invest ~ value + capital",
            "invest ~ value + capital - 1",
            "invest ~ value",
            "invest ~ C(year > 1944) + value",
        ],
    )
    def test_rank_0_is_ols(self, data, formula):
        res = LowRankSUR.from_formula(formula, data, groups="firm", time="year", rank=0).fit()
        for firm in ("IBM", "General Motors"):
            view, ols = res.equations[firm], ols_of(data, firm, formula)
            assert view.fvalue == pytest.approx(ols.fvalue, rel=1e-9)
            assert view.f_pvalue == pytest.approx(ols.f_pvalue, rel=1e-7)
            assert view.df_model == ols.df_model
            assert view.df_resid == ols.df_resid
            assert view.rsquared_adj == pytest.approx(ols.rsquared_adj, rel=1e-9)

    def test_constant_spanned_by_dummies(self):
        data = wide_frame().assign(late=lambda t: t.index > 2005)
        explicit, implicit = (
            LowRankSUR.from_formula(f"a + b + c + d ~ {right}", data, rank=1).fit()
            for right in ("C(late) + x", "C(late) + x - 1")
        )
        for name in "abcd":
            one, other = explicit.equations[name], implicit.equations[name]
            assert other.k_constant == 1
            assert "Intercept" not in other.params
            assert other.df_model == one.df_model == 2.0
            # The two fits stop at gradients of 1e-6, not at the same point.
            assert other.fvalue == pytest.approx(one.fvalue, rel=1e-5)

    def test_is_the_wald_test(self, res):
        view = res.equations["US Steel"]
        R = np.zeros((2, 33))
        R[0, list(res.params.index).index("US Steel_value")] = 1.0
        R[1, list(res.params.index).index("US Steel_capital")] = 1.0
        f = res.f_test(R)
        assert view.fvalue == pytest.approx(float(f.fvalue), rel=1e-10)
        assert view.f_pvalue == pytest.approx(float(f.pvalue), rel=1e-8)

    def test_normal_quantiles(self, plain):
        z = plain.model.fit(debiased=False)
        R = np.eye(len(z.params))[[1]]
        wald = z.wald_test(R, scalar=True)
        assert z.equations["y1"].fvalue == pytest.approx(float(wald.statistic), rel=1e-9)
        assert z.equations["y1"].f_pvalue == pytest.approx(float(wald.pvalue), rel=1e-8)

    def test_follows_the_covariance_type(self, plain):
        robust = plain.get_robustcov_results("HC1")
        b = robust.equations["y2"].params[1:]
        V = robust.cov_params().loc["y2_x1":"y2_x2", "y2_x1":"y2_x2"]
        chi2 = robust.equations["y2"].wald_test(np.eye(3)[1:], use_f=False)
        assert chi2.statistic == pytest.approx(b @ np.linalg.solve(V, b), rel=1e-9)
        f = robust.f_test("y2_x1 = 0, y2_x2 = 0")
        assert robust.equations["y2"].fvalue == pytest.approx(float(f.fvalue), rel=1e-9)
        assert robust.equations["y2"].fvalue != pytest.approx(plain.equations["y2"].fvalue)

    def test_no_slopes(self):
        X, Y, _ = simulate(60, 6, 3, 1, seed=4)
        res = LowRankSUR(Y, [X[0][:, :1], *X[1:]], rank=1).fit()
        assert np.isnan(res.equations["y1"].fvalue)
        assert np.isnan(res.equations["y1"].f_pvalue)
        assert np.isfinite(res.equations["y2"].fvalue)

    def test_a_constant_of_another_size(self):
        X, Y, _ = simulate(40, 4, 3, 1)
        fits = [
            LowRankSUR(Y, [x * [c, 1.0, 1.0] for x in X], rank=1).fit().equations["y3"]
            for c in (1.0, 50.0)
        ]
        assert fits[0].fvalue == pytest.approx(fits[1].fvalue, rel=1e-6)

    def test_equations_of_other_packages_agree_in_kind(self, plain):
        ols = sm.OLS(plain.model.endog[:, 1], plain.model.exog[1]).fit()
        view = plain.equations["y2"]
        for name in ("fvalue", "f_pvalue", "df_model", "df_resid", "rsquared", "rsquared_adj"):
            assert isinstance(getattr(ols, name), float)
            assert type(getattr(view, name)) is float


def test_a_summary_says_what_chose_the_rank():
    from sm_alsgls import LowRankSUR
    from sm_alsgls.datasets import load_grunfeld

    data = load_grunfeld()
    panel = {"groups": "firm", "time": "year"}
    chosen = LowRankSUR.from_formula("invest ~ value", data, **panel).fit()
    given = LowRankSUR.from_formula("invest ~ value", data, rank=1, **panel).fit()
    said = " ".join(str(chosen.summary()).split())
    assert f"Rank {chosen.rank} is chosen by BIC of the factor structure of OLS residuals" in said
    assert "is chosen by" not in str(given.summary())
