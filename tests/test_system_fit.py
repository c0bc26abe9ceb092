"""R-squared and F of the system, tests across equations, nested systems."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from linearmodels.system import SUR

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import ConvergenceWarning, OptionError, ShapeError
from tests.systems import simulate, wide_grunfeld

# Small samples of real and simulated systems: a factor often fits one equation alone.
# Some systems here have no factor on purpose, or fewer than are fitted.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]


def grunfeld(rank=2, formula="invest ~ value + capital", **kwargs):
    data = kwargs.pop("data", load_grunfeld())
    return LowRankSUR.from_formula(formula, data, groups="firm", time="year", rank=rank)


@pytest.fixture(scope="module")
def res():
    return grunfeld().fit()


@pytest.fixture(scope="module")
def small():
    """One regressor less."""
    return grunfeld(formula="invest ~ value").fit()


@pytest.fixture(scope="module")
def mixed():
    """Designs with a constant, without, and with one hidden among dummies."""
    X, Y, _ = simulate(50, 6, 3, 1, seed=2)
    dummy = (np.arange(50) % 2).astype(float)
    X[1] = X[1][:, 1:]
    X[2] = np.column_stack([dummy, 1.0 - dummy, 1e3 * X[2][:, 1]])
    X[4] = np.ones((50, 1))
    return X, Y


class TestSystemRsquared:
    def test_linearmodels_values_at_our_sigma(self, res):
        systems = {
            firm: {"dependent": y, "exog": x[["const", "value", "capital"]]}
            for firm, (y, x) in wide_grunfeld().items()
        }
        peer = SUR(systems, sigma=res.sigma.to_dense()).fit(method="gls")
        # Its coefficients are ours to about 1e-8.
        pd.testing.assert_series_equal(
            res.system_rsquared, peer.system_rsquared, rtol=1e-7, check_names=False
        )

    def test_definitions_without_constants(self, mixed):
        X, Y = mixed
        res = LowRankSUR(Y, X, rank=1).fit()
        E, Yc, S = res.resid.to_numpy(), Y - Y.mean(0), res.sigma.to_dense()
        r2 = res.system_rsquared
        inverse = np.linalg.inv(S)
        ratio = np.trace(E @ inverse @ E.T) / np.trace(Yc @ inverse @ Yc.T)
        assert r2["mcelroy"] == pytest.approx(1 - ratio, rel=1e-10)
        det = np.linalg.det(S) / np.linalg.det(Yc.T @ Yc / 50)
        assert r2["berndt"] == pytest.approx(1 - det, rel=1e-9)
        assert r2["judge"] == pytest.approx(1 - (E**2).sum() / (Yc**2).sum(), rel=1e-10)
        weights = (Yc**2).sum(0) / (Yc**2).sum()
        own = [res.equations[name].rsquared for name in res.model.equations]
        assert r2["dhrymes"] == pytest.approx(weights @ own, rel=1e-10)
        assert r2["dhrymes"] != pytest.approx(r2["judge"], rel=1e-3)

    def test_units(self, mixed):
        X, Y = mixed
        scale = 10.0 ** np.array([8, -8, 0, 3, -3, 5])
        one = LowRankSUR(Y, X, rank=1).fit(n_starts=1).system_rsquared
        other = LowRankSUR(Y * scale, X, rank=1).fit(n_starts=1).system_rsquared
        # To what two fits share.
        np.testing.assert_allclose(
            other[["mcelroy", "berndt"]], one[["mcelroy", "berndt"]], rtol=1e-6
        )

    def test_more_equations_than_rows(self):
        X, Y, _ = simulate(20, 30, 2, 1, seed=1)
        r2 = LowRankSUR(Y, X, rank=1).fit(n_starts=1).system_rsquared
        assert np.isnan(r2["berndt"])
        assert r2.drop("berndt").between(0.0, 1.0).all()

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.OneEquationWarning")
    def test_one_equation_is_ols(self):
        data = load_grunfeld().query("firm == 'IBM'")
        res = LowRankSUR.from_formula("invest ~ value", data).fit()
        ols = smf.ols("invest ~ value", data).fit()
        np.testing.assert_allclose(res.system_rsquared, ols.rsquared, rtol=1e-10)
        assert res.fvalue == pytest.approx(ols.fvalue, rel=1e-9)
        assert res.f_pvalue == pytest.approx(ols.f_pvalue, rel=1e-9)


class TestSlopes:
    def brute_force(self, res, R):
        wald = res.wald_test(R, scalar=True)
        return float(wald.statistic), float(wald.pvalue)

    @pytest.mark.parametrize("debiased", [True, False])
    def test_quadratic_form_without_its_matrix(self, mixed, debiased):
        X, Y = mixed
        res = LowRankSUR(Y, X, rank=1).fit(debiased=debiased)
        keep = np.array([c != "const" for x in res.model.labels.regressors for c in x])
        R = np.eye(len(keep))[keep]
        hidden = res.model.labels.columns(2).stop - 3
        at = np.flatnonzero(R[:, hidden])[0]
        R[at, hidden + 1] = -1.0  # the two dummies are equal
        R = np.delete(R, at + 1, axis=0)
        assert len(R) == 2 * 5 - 0
        R /= np.sqrt(np.diagonal(R @ res.cov_params().to_numpy() @ R.T))[:, None]
        statistic, pvalue = self.brute_force(res, R)
        own = res.fvalue if debiased else res.fvalue * len(R)
        assert own == pytest.approx(statistic, rel=1e-8)
        assert res.f_pvalue == pytest.approx(pvalue, rel=1e-6, abs=1e-300)

    def test_robust_covariance_is_used(self, res):
        robust = grunfeld().fit(cov_type="sandwich")
        at = np.array([not name.endswith("Intercept") for name in res.model.exog_names])
        R = np.eye(33)[at] / np.asarray(robust.bse)[at][:, None]
        assert robust.fvalue == pytest.approx(self.brute_force(robust, R)[0], rel=1e-6)
        assert robust.fvalue != pytest.approx(res.fvalue, rel=1e-2)

    def test_no_slopes(self):
        _, Y, _ = simulate(30, 4, 2, 1)
        res = LowRankSUR(Y, np.ones((30, 1)), rank=1).fit()
        assert np.isnan(res.fvalue)
        assert np.isnan(res.f_pvalue)


class TestAcross:
    def test_zero_and_equal_by_brute_force(self, res):
        names = res.model.exog_names
        at = [i for i, name in enumerate(names) if name.endswith("_value")]
        b, V = res.params.to_numpy()[at], res.cov_params().to_numpy()[np.ix_(at, at)]
        zero = res.test_across("value")
        assert zero.fvalue == pytest.approx(b @ np.linalg.solve(V, b) / 11, rel=1e-8)
        assert (zero.df_num, zero.df_denom) == (11, 20 - 3 - 2)
        C = np.eye(11)[1:] - np.eye(11)[:-1]  # other contrasts of the same hypothesis
        wald = (C @ b) @ np.linalg.solve(C @ V @ C.T, C @ b)
        equal = res.test_across("value", null="equal")
        assert equal.fvalue == pytest.approx(wald / 10, rel=1e-8)
        assert equal.df_num == 10

    def test_strings_say_the_same(self, res):
        strings = ", ".join(f"{firm.replace(' ', '_')}_value = 0" for firm in ("IBM", "Goodyear"))
        some = LowRankSUR.from_formula(
            "invest ~ value + capital",
            load_grunfeld().query("firm in ('IBM', 'Goodyear')"),
            groups="firm",
            time="year",
            rank=0,
        ).fit()
        direct = some.wald_test(strings, scalar=True)
        assert some.test_across("value").fvalue == pytest.approx(direct.fvalue, rel=1e-10)

    def test_normal_quantiles(self, res):
        plain = grunfeld().fit(debiased=False).test_across("capital")
        assert plain.distribution == "chi2"
        assert plain.df_denom == 11

    def test_only_the_equations_that_have_it(self):
        X, Y, _ = simulate(40, 4, 3, 1, seed=3)
        frames = [pd.DataFrame(x, columns=["const", "a", "b"]) for x in X]
        frames[0] = frames[0][["const", "a"]]
        frames[2] = frames[2].rename(columns={"b": "own"})
        res = LowRankSUR(Y, frames, rank=1).fit()
        assert res.test_across("b").df_num == 2
        single = res.test_across("own")
        assert single.fvalue == pytest.approx(res.tvalues["y3_own"] ** 2, rel=1e-10)
        with pytest.raises(OptionError, match="only one equation has 'own'"):
            res.test_across("own", null="equal")
        with pytest.raises(OptionError, match="no variable|no equation has.*'const', 'a', 'b'"):
            res.test_across("c")
        with pytest.raises(OptionError, match="'zero' or 'equal'; got 'same'"):
            res.test_across("a", null="same")

    def test_units_do_not_make_it_singular(self):
        X, Y, _ = simulate(40, 5, 2, 1, seed=5)
        scale = 10.0 ** np.array([9, -9, 0, 4, -4])
        one = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        other = LowRankSUR(Y * scale, X, rank=1).fit(n_starts=1)
        assert other.test_across("x1").fvalue == pytest.approx(
            one.test_across("x1").fvalue, rel=1e-5
        )


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
class TestTerms:
    @pytest.fixture
    def terms(self, engine, monkeypatch):
        from statsmodels.formula import options

        monkeypatch.setattr(options, "formula_engine", engine)
        data = load_grunfeld()
        data["era"] = np.where(data["year"] < 1940, "a", np.where(data["year"] < 1946, "b", "c"))
        return grunfeld(1, "invest ~ value + capital + C(era)", data=data).fit()

    def test_a_row_a_term(self, terms):
        table = terms.wald_test_terms().table
        assert sorted(table.index) == ["C(era)", "Intercept", "capital", "value"]
        assert list(table.columns) == ["statistic", "pvalue", "df_constraint", "df_denom"]
        assert table.loc["C(era)", "df_constraint"] == 22
        for name in ("value", "C(era)"):
            test = terms.test_across(name)
            assert table.loc[name, "statistic"] == pytest.approx(test.fvalue, rel=1e-12)
            assert table.loc[name, "pvalue"] == pytest.approx(float(test.pvalue), rel=1e-12)
        assert terms.test_across("C(era)", null="equal").df_num == 20

    def test_options(self, terms):
        R = np.eye(len(terms.params))[:2]
        table = terms.wald_test_terms(
            skip_single=True, combine_terms=["cap", "a"], extra_constraints=[("mine", R)]
        ).table
        assert list(table.index[-3:]) == ["cap", "a", "mine"]
        assert table.loc["cap", "statistic"] == table.loc["capital", "statistic"]
        assert table.loc["a", "df_constraint"] == 44
        assert table.loc["mine", "df_constraint"] == 2
        with pytest.raises(OptionError, match="no term contains 'zzz'"):
            terms.wald_test_terms(combine_terms=["zzz"])


def test_terms_without_formulas():
    X, Y, _ = simulate(40, 3, 3, 0, seed=3)
    frames = [pd.DataFrame(x, columns=["const", "a", f"own{j}"]) for j, x in enumerate(X)]
    res = LowRankSUR(Y, frames, rank=0).fit(debiased=False)
    result = res.wald_test_terms()
    assert list(result.table.index) == ["const", "a", "own0", "own1", "own2"]
    assert list(result.table.columns) == ["statistic", "pvalue", "df_constraint"]
    assert "P>chi2" in str(result)
    assert list(res.wald_test_terms(skip_single=True).table.index) == ["const", "a"]


class TestCompare:
    def test_by_hand(self, res, small):
        test = res.compare_lr(small)
        plain = 2 * (res.llf - small.llf)
        assert test.statistic == pytest.approx(plain * (20 - 3 - 2) / 20, rel=1e-12)
        assert res.compare_lr(small, debiased=False).statistic == pytest.approx(plain, rel=1e-12)
        assert test.df_diff == 11
        statistic, pvalue, df = test
        assert 0.0 < pvalue < 1e-6 < statistic
        assert df == 11

    @pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.OneEquationWarning")
    def test_diagonal_is_statsmodels(self):
        data = load_grunfeld().query("firm == 'IBM'")
        ours = [LowRankSUR.from_formula(f, data).fit() for f in ("invest ~ value + capital",
                                                                 "invest ~ value")]  # fmt: skip
        theirs = [smf.ols(f, data).fit() for f in ("invest ~ value + capital", "invest ~ value")]
        np.testing.assert_allclose(
            ours[0].compare_lr(ours[1], debiased=False),
            theirs[0].compare_lr_test(theirs[1]),
            rtol=1e-9,
        )

    def test_errors_say_why(self, res, small):
        data = load_grunfeld()
        with pytest.raises(OptionError, match=r"33 parameters|larger of the two"):
            small.compare_lr(res)
        with pytest.raises(OptionError, match="ranks 2 and 1"):
            res.compare_lr(grunfeld(1, "invest ~ value").fit(n_starts=1))
        data["other"] = np.random.default_rng(0).standard_normal(len(data))
        with pytest.raises(OptionError, match="not nested: equation 'General Motors'"):
            res.compare_lr(grunfeld(formula="invest ~ other", data=data).fit())
        with pytest.raises(ShapeError, match="same responses, rows"):
            res.compare_lr(grunfeld(formula="capital ~ value").fit())
        with pytest.raises(OptionError, match="the restricted fit has a ridge"):
            res.compare_lr(grunfeld(formula="invest ~ value").fit(lam_B=0.1))
        with pytest.raises(OptionError, match="must be the results of"):
            res.compare_lr(3)

    def test_a_missed_maximum_is_said(self, res, small):
        small = copy.copy(small._results)
        maximum = replace(small.estimate.likelihood, nll=res.nll_per_row - 1.0)
        small.estimate = replace(small.estimate, maximum=maximum)
        with pytest.warns(ConvergenceWarning, match="poorer local maximum"):
            res.compare_lr(small)

    def test_other_coordinates_of_the_same_columns_are_nested(self, res):
        data = load_grunfeld()
        data["mix"] = 1e6 * (data["value"] - 2.0 * data["capital"])
        assert res.compare_lr(grunfeld(formula="invest ~ mix", data=data).fit()).df_diff == 11


@pytest.mark.slow
def test_size_of_joint_tests():
    """90 systems, N=100, K=6, r=1, one start: p-values of a true null are uniform.

    The share below 5 % is at most three se (.0230) above it, and the mean within three se (.0304)
    of one half, which a statistic or degrees of freedom too small would leave as well.
    """
    rng = np.random.default_rng(11)
    X, _, S = simulate(100, 6, 3, 1, seed=1)
    root = np.linalg.cholesky(S)
    small = [x[:, :2] if j < 2 else x for j, x in enumerate(X)]
    found = []
    for _ in range(90):
        Y = rng.standard_normal((100, 6)) @ root.T + np.column_stack([x[:, 1] for x in X])
        res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
        found.append([
            res.test_across("x2").pvalue,
            res.test_across("x1", null="equal").pvalue,
            res.compare_lr(LowRankSUR(Y, small, rank=1).fit(n_starts=1)).pvalue,
        ])  # fmt: skip
    p = np.array(found)
    assert ((p < 0.05).mean(axis=0) < 0.05 + 3 * 0.0230).all()
    assert (abs(p.mean(axis=0) - 0.5) < 3 * 0.0304).all()


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_berndt_is_none_where_responses_add_up(scale):
    """Residuals are not dependent, the regressors differ; |Yc'Yc| is zero all the same."""
    X, Y, _ = simulate(50, 5, 3, 1, seed=2)
    Y[:, 4] = 3.0 + Y[:, :3].sum(axis=1)
    r2 = LowRankSUR(Y * scale, X, rank=1).fit(n_starts=1).system_rsquared
    assert np.isnan(r2["berndt"])
    assert r2.drop("berndt").notna().all()
    Y[:, 4] += 1e-4 * np.random.default_rng(0).standard_normal(50)
    r2 = LowRankSUR(Y * scale, X, rank=1).fit(n_starts=1).system_rsquared
    assert np.isfinite(r2["berndt"])
