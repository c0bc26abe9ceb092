"""LowRankSURResults: every number against its definition, every habit of a statsmodels user."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from sm_alsgls import LowRankDiag, LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import OptionError, ShapeError, UnseenLevelError
from sm_alsgls.results.coefficients import bse
from sm_alsgls.results.in_sample import spans_constant
from sm_alsgls.results.summary import COMPACT_FROM
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
def arrays():
    X, Y, _ = simulate(60, 8, 3, 1, seed=4)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    return X, Y, LowRankSUR(Y, X, rank=1).fit()


class TestNumbers:
    def test_residuals_and_fit(self, arrays):
        X, Y, res = arrays
        fitted = np.column_stack([X[j] @ res.equations[n].params for j, n in
                                  enumerate(res.model.equations)])  # fmt: skip
        np.testing.assert_allclose(res.fittedvalues, fitted, rtol=1e-12)
        np.testing.assert_allclose(res.resid, Y - fitted, rtol=1e-12)

    def test_likelihood(self, arrays):
        *_, res = arrays
        sigma = res.sigma.to_dense()
        llf = stats.multivariate_normal(np.zeros(8), sigma).logpdf(res.resid).sum()
        assert res.llf == pytest.approx(llf, rel=1e-12)
        assert res.nll_per_row == pytest.approx(-llf / 60, rel=1e-12)
        assert res.model.loglike(res.params, res.sigma) == pytest.approx(llf, rel=1e-12)
        k = 20 + 8 + 8  # coefficients, loadings, uniquenesses
        assert res.df_model == k
        assert res.df_resid == 60 * 8 - k
        assert res.aic == pytest.approx(-2 * llf + 2 * k)
        assert res.bic == pytest.approx(-2 * llf + np.log(60) * k)

    def test_rotations_are_not_parameters(self, res):
        assert res.df_model == 33 + 2 * 11 + 11 - 1

    def test_factors(self, res):
        F, d = res.loadings.to_numpy(), res.uniquenesses.to_numpy()
        assert isinstance(res.sigma, LowRankDiag)
        np.testing.assert_allclose(F @ F.T + np.diag(d), res.sigma.to_dense(), rtol=1e-12)
        within = F.T @ (F / d[:, None])
        assert abs(within[0, 1]) < 1e-9 * within[0, 0]
        assert within[0, 0] > within[1, 1]
        assert (F.sum(axis=0) >= 0).all()
        np.testing.assert_allclose(
            res.communalities, (F**2).sum(1) / ((F**2).sum(1) + d), rtol=1e-10
        )
        expected = res.resid.to_numpy() @ np.linalg.solve(res.sigma.to_dense(), F)
        np.testing.assert_allclose(res.factor_scores, expected, rtol=1e-8, atol=1e-10)
        assert list(res.factor_scores.index) == list(range(1935, 1955))

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.OneEquationWarning")
    def test_r_squared_is_centered_only_with_a_constant(self, data):
        wide = data[data["firm"] == "IBM"]
        for formula, implicit in (("invest ~ value", True), ("invest ~ value - 1", False)):
            res = LowRankSUR.from_formula(formula, wide).fit()
            ols = smf.ols(formula, wide).fit()
            assert res.equations["invest"].rsquared == pytest.approx(ols.rsquared, rel=1e-10)
            assert spans_constant(res.estimate)[0] == implicit
        dummies = LowRankSUR.from_formula("invest ~ C(year > 1944) - 1 + value", wide).fit()
        assert spans_constant(dummies.estimate)[0]

    def test_standard_errors_of_combinations(self, arrays):
        *_, res = arrays
        V = res.cov_params()
        assert list(V.columns) == list(res.params.index)
        np.testing.assert_allclose(np.sqrt(np.diag(V)), res.bse, rtol=1e-12)
        R = np.random.default_rng(0).standard_normal((3, len(res.params)))
        np.testing.assert_allclose(res.cov_params(r_matrix=R), R @ V.to_numpy() @ R.T, rtol=1e-9)
        np.testing.assert_allclose(
            res.cov_params(r_matrix=R[:1], other=R), R[:1] @ V.to_numpy() @ R.T, rtol=1e-9
        )
        np.testing.assert_allclose(
            res.cov_params(column=[1, 4]), V.to_numpy()[np.ix_([1, 4], [1, 4])], rtol=1e-9
        )
        assert res.cov_params(column=2) == pytest.approx(V.iloc[2, 2])
        assert np.ndim(res.cov_params(r_matrix=R[0])) == 0
        with pytest.raises(ValueError, match="column"):
            res.cov_params(column=1, r_matrix=R)
        with pytest.raises(ValueError, match="other"):
            res.cov_params(other=R)

    def test_plug_in_uses_the_normal(self, arrays):
        X, Y, _ = arrays
        res = LowRankSUR(Y, X, rank=1).fit(debiased=False)
        assert not res.use_t
        np.testing.assert_allclose(res.pvalues, 2 * stats.norm.sf(np.abs(res.tvalues)))
        low = res.params - stats.norm.ppf(0.95) * res.bse
        np.testing.assert_allclose(res.conf_int(0.1)[0], low)


class TestHabits:
    def test_t_wald_and_f_tests_with_strings_and_matrices(self, res):
        string = "General Motors_value = US Steel_value, IBM_capital = 0"
        names = list(res.params.index)
        R = np.zeros((2, 33))
        R[0, names.index("General Motors_value")] = 1
        R[0, names.index("US Steel_value")] = -1
        R[1, names.index("IBM_capital")] = 1
        b, V = R @ res.params.to_numpy(), R @ res.cov_params().to_numpy() @ R.T
        t = res.t_test(string)
        np.testing.assert_allclose(t.effect, b)
        np.testing.assert_allclose(t.sd, np.sqrt(np.diag(V)), rtol=1e-9)
        wald = res.wald_test(R, use_f=False, scalar=True)
        assert wald.statistic == pytest.approx(b @ np.linalg.solve(V, b), rel=1e-8)
        f = res.f_test(string)
        assert f.fvalue == pytest.approx(wald.statistic / 2, rel=1e-8)
        assert f.df_denom == 20 - 3 - 2

    def test_equations_are_a_mapping(self, res):
        assert len(res.equations) == 11
        assert next(iter(res.equations)) == "General Motors"
        with pytest.raises(KeyError, match="no equation 'Ford'.*'General Motors'"):
            res.equations["Ford"]
        eq = res.equations["IBM"]
        flat = [n for n in res.params.index if n.startswith("IBM_")]
        np.testing.assert_array_equal(eq.params, res.params[flat])
        np.testing.assert_allclose(eq.bse, res.bse[flat], rtol=1e-12)
        np.testing.assert_allclose(eq.pvalues, res.pvalues[flat], rtol=1e-9)
        np.testing.assert_allclose(eq.conf_int(), res.conf_int().loc[flat], rtol=1e-12)
        np.testing.assert_allclose(
            eq.cov_params(), res.cov_params().loc[flat, flat], rtol=1e-9, atol=1e-12
        )
        assert list(eq.params.index) == ["Intercept", "value", "capital"]
        assert eq.uniqueness == res.uniquenesses["IBM"]
        assert eq.communality == res.communalities["IBM"]
        assert eq.std_error == pytest.approx(np.sqrt(res.sigma.to_dense()[5, 5] * 20 / 15))
        pd.testing.assert_series_equal(eq.resid, res.resid["IBM"])
        pd.testing.assert_series_equal(eq.fittedvalues, res.fittedvalues["IBM"])

    def test_one_equations_errors_do_not_need_the_rest(self, data):
        res = LowRankSUR.from_formula(
            "invest ~ value + capital", data, groups="firm", time="year", rank=2
        ).fit(n_starts=1)
        one = res.equations["IBM"].bse
        assert not bse.is_known(res.estimate)
        np.testing.assert_allclose(one, res.bse[[n for n in res.bse.index if "IBM" in n]])

    def test_bad_alpha(self, res):
        with pytest.raises(OptionError, match="alpha"):
            res.conf_int(1.5)


class TestPredict:
    def test_long_panel_is_a_series_on_its_rows(self, res, data):
        shuffled = data.sample(frac=1.0, random_state=0)
        got = res.predict(shuffled)
        assert (got.index == shuffled.index).all()
        long = res.fittedvalues.stack()
        expected = [long[(y, f)] for y, f in zip(shuffled["year"], shuffled["firm"], strict=True)]
        np.testing.assert_allclose(got, expected, rtol=1e-10)
        pd.testing.assert_frame_equal(res.predict(), res.fittedvalues)
        with pytest.raises(UnseenLevelError, match="Ford"):
            res.predict(data.head(3).assign(firm="Ford"))

    def test_wide_formulas_replay_transforms(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.uniform(1, 2, (40, 3)), columns=["a", "b", "x"])
        frame["g"] = np.where(np.arange(40) % 3, "p", "q")
        model = LowRankSUR.from_formula({"A": "a ~ center(x) + g", "B": "np.log(b) ~ x"}, frame, 0)
        res = model.fit()
        got = res.predict(frame.iloc[5:9])
        np.testing.assert_allclose(got, res.fittedvalues.iloc[5:9], rtol=1e-10)
        assert list(got.columns) == ["A", "B"]
        only_q = frame[frame["g"] == "q"]
        np.testing.assert_allclose(res.predict(only_q), res.fittedvalues.loc[only_q.index])
        with pytest.raises(UnseenLevelError, match="'z'|z"):
            res.predict(frame.head(2).assign(g="z"))

    def test_arrays(self, arrays):
        X, _, res = arrays
        new = [x[:5] * 2 for x in X]
        got = res.predict(new)
        np.testing.assert_allclose(got["y2"], new[1] @ res.equations["y2"].params)
        by_name = res.predict(dict(zip(res.model.equations, new, strict=True)))
        np.testing.assert_array_equal(got, by_name)
        with pytest.raises(ShapeError, match="'y2': exog has 2 columns, the model has 3"):
            res.predict([x[:, :2] for x in new])
        with pytest.raises(ShapeError, match="lacks equations"):
            res.predict({"y1": new[0]})

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
    def test_shared_design(self):
        X, Y, _ = simulate(40, 4, 3, 1, seed=1)
        res = LowRankSUR(Y, X[0], rank=1).fit()
        got = res.predict(pd.DataFrame(X[0][:3], index=["p", "q", "r"]))
        np.testing.assert_allclose(got, res.fittedvalues.iloc[:3])
        assert list(got.index) == ["p", "q", "r"]


class TestSummary:
    def test_text_holds_every_coefficient(self, res):
        text = str(res.summary())
        for eq in res.equations:
            assert f"Equation: {eq}" in text
        for word in (
            "Log-Likelihood",
            "NLL per Row",
            "AIC",
            "BIC",
            "Sweeps",
            "Rank r",
            "Converged",
            "Covariance Type",
            "communality",
            "No. Coefficients P:                 33",
        ):
            assert word in text
        assert f"{res.params['IBM_value']:.4f}" in text
        assert max(len(line) for line in text.splitlines()) <= 90

    def test_level_and_names(self, res):
        text = str(res.summary(alpha=0.1, title="Mine", xname=[f"b{i}" for i in range(33)]))
        assert "[0.05" in text
        assert "0.95]" in text
        assert "Mine" in text
        assert "b32" in text
        with pytest.raises(OptionError, match="33 names"):
            res.summary(xname=["a"])

    def test_many_equations_are_one_line_each(self):
        X, Y, _ = simulate(60, COMPACT_FROM, 2, 1, seed=3)
        res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        text = str(res.summary())
        assert "Equation: " not in text
        assert sum(line.startswith("y") for line in text.splitlines()) == 20
        assert "the 10 that fit best and worst (R-squared) of 21" in text
        some = str(res.summary(equations=["y3", "y7"]))
        assert "Equation: y3" in some
        assert "Equation: y4" not in some
        assert str(res.summary(equations="all")).count("Equation: ") == COMPACT_FROM
        with pytest.raises(OptionError, match="'y99'"):
            res.summary(equations="y99")
        assert "One start" in text
        flat = " ".join(text.split())
        assert "Coefficients are not shown" in flat
        assert "Coefficients are not shown" not in " ".join(some.split())

    def test_html_and_latex(self, res):
        html, latex = res.summary().as_html(), res.summary().as_latex()
        assert html.count("<table") == 13
        assert "Equation: IBM" in html
        assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 13
        assert r"\textbf{Equation: General Motors}" in latex
        assert "F F'" in latex

    def test_one_equation(self, res):
        text = str(res.equations["IBM"].summary())
        assert "Equation: IBM" in text
        assert "R-squared:                       0.945" in text
