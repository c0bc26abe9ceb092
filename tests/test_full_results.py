"""Everything that results offer, for fits with an unrestricted Sigma: limits, errors, habits."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sm_alsgls import LowRankSUR, diagnostics
from sm_alsgls.core.beta.estimated_unrestricted import added_covariance
from sm_alsgls.covariance import Unrestricted
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    HeywoodWarning,
    IllegalRankError,
    NoFactorsError,
    OptionError,
    RankWarning,
    UnrestrictedSigmaError,
)
from sm_alsgls.rank import select_rank

FIRMS = ["General Motors", "Chrysler", "US Steel"]


def data(K=3, holes=False, weights=False):
    frame = load_grunfeld()
    frame = frame[frame["firm"].isin(FIRMS[:K])].reset_index(drop=True)
    if holes:
        frame.loc[[3, 17, 30, 44, 45], "invest"] = np.nan
    if weights:
        frame["w"] = np.linspace(0.5, 1.5, len(frame))
    return frame


def model(K=3, holes=False, weights=False, common=False):
    return LowRankSUR.from_formula(
        "invest ~ value + capital",
        data(K, holes, weights),
        groups="firm",
        time="year",
        rank="full",
        weights="w" if weights else None,
        common=["capital"] if common else False,
    )


KINDS = {
    "plain": {},
    "holes": {"holes": True},
    "weights": {"weights": True},
    "common": {"common": True},
    "all": {"holes": True, "weights": True, "common": True},
}


@pytest.fixture(scope="module", params=KINDS)
def fit(request):
    return model(**KINDS[request.param]).fit()


def simulated(K, N, p=2, seed=0, common=0.0):
    rng = np.random.default_rng(seed)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]) for _ in range(K)]
    E = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
    return E, X


class TestFit:
    def test_it_is_converged_at_its_likelihood(self, fit):
        assert fit.converged
        assert fit.rank == fit.model.rank == "full"
        assert isinstance(fit.sigma, Unrestricted)
        assert fit.llf == pytest.approx(fit.model.loglike(fit.params, fit.sigma), rel=1e-12)
        free = len(fit.params) - (2 if fit.model.restrictions is not None else 0)
        assert fit.df_model == free + 6
        assert fit.mle_retvals["starts_at_best"] >= 1
        assert fit.heywood == []

    def test_the_score_vanishes(self, fit):
        score = fit.model.score(fit.params, fit.sigma)
        if fit.model.restrictions is not None:
            return  # those of shared coefficients add up to nothing, each alone does not
        assert_allclose(score * fit.bse, 0.0, atol=1e-6)
        rows = fit.model.score_obs(fit.params, fit.sigma)
        assert_allclose(rows.sum(axis=0), score, atol=1e-6 * np.abs(rows).sum(axis=0).max())

    def test_plain_standard_errors_are_those_of_the_information(self):
        for holes in (False, True):
            made = model(holes=holes)
            res = made.fit(debiased=False)
            V = np.linalg.inv(made.information(res.params, res.sigma))
            assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-8)
            assert_allclose(res.cov_params(), V, rtol=1e-6, atol=1e-9 * np.abs(V).max())

    def test_small_sample_standard_errors_are_what_the_module_says(self):
        """V + 2 Lambda / (N - p - K) at the covariance of OLS residuals, dense."""
        res, N, p, K = model().fit(), 20, 3, 3
        made = model()
        X, Y = [np.asarray(x) for x in made.exog], made.endog
        E = np.column_stack(
            [y - x @ np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(X, Y.T, strict=True)]
        )
        S = E.T @ E / (N - p)
        assert_allclose(res.sigma_inference.to_dense(), S, rtol=1e-10)
        QR = [np.linalg.qr(x) for x in X]
        Q, P = np.concatenate([q for q, _ in QR], axis=1), np.linalg.inv(S)
        owner = np.repeat(np.arange(K), p)
        V = np.linalg.inv(P[np.ix_(owner, owner)] * (Q.T @ Q))
        more = added_covariance(P, owner, Q.T @ Q, V, exact=False)
        want = []
        for j in range(K):
            at = slice(p * j, p * j + p)
            back = np.linalg.inv(QR[j][1])
            block = back @ (V[at, at] + 2.0 * more[at, at] / (N - p - K)) @ back.T
            want.append(np.sqrt(np.diag(block)))
        assert_allclose(res.bse, np.concatenate(want), rtol=1e-9)

    def test_equal_designs_are_least_squares(self):
        Y, X = simulated(4, 40)
        res = LowRankSUR(Y, X[0], rank="full").fit()
        ols = LowRankSUR(Y, X[0], rank=0).fit()
        assert_allclose(res.params, ols.params, rtol=1e-10)
        assert_allclose(res.bse, ols.bse, rtol=1e-10)
        assert_allclose(res.pvalues, ols.pvalues, rtol=1e-8)

    def test_one_equation_is_least_squares(self):
        Y, X = simulated(1, 30)
        res, ols = LowRankSUR(Y, X, rank="full").fit(), LowRankSUR(Y, X, rank=0).fit()
        assert_allclose(res.bse, ols.bse, rtol=1e-10)
        assert res.llf == pytest.approx(ols.llf, rel=1e-12)

    def test_three_equations_without_a_heywood_case_are_one_factor(self):
        full = model().fit(debiased=False, gtol=1e-9)
        low = LowRankSUR.from_formula(
            "invest ~ value + capital", data(), groups="firm", time="year", rank=1
        ).fit(debiased=False, gtol=1e-9)
        assert full.llf == pytest.approx(low.llf, rel=1e-11)
        assert_allclose(full.params, low.params, rtol=1e-6)
        assert_allclose(full.bse, low.bse, rtol=1e-6)

    def test_units_and_order_change_nothing(self):
        Y, X = simulated(4, 60)
        c = np.array([1e-6, 1.0, 1e5, 3.0])
        one = LowRankSUR(Y, X, rank="full").fit()
        other = LowRankSUR(Y * c, X, rank="full").fit()
        assert_allclose(other.params / np.repeat(c, 2), one.params, rtol=1e-6)
        assert_allclose(other.bse / np.repeat(c, 2), one.bse, rtol=1e-6)
        turned = LowRankSUR(Y[:, ::-1], X[::-1], rank="full").fit()
        at = np.concatenate([np.arange(2 * j, 2 * j + 2) for j in (3, 2, 1, 0)])
        assert_allclose(np.asarray(turned.params)[at], one.params, rtol=1e-6)
        assert turned.llf == pytest.approx(one.llf, rel=1e-11)

    def test_the_better_of_two_maxima_is_found(self):
        """Three states of Munnell's: the OLS start ends 2.9 units below the union's."""
        pytest.importorskip("linearmodels")
        from sm_alsgls.datasets import load_munnell

        frame = load_munnell()
        states = sorted(frame["state"].unique())[:3]
        frame = frame[frame["state"].isin(states)]
        made = LowRankSUR.from_formula(
            "np.log(gsp) ~ np.log(p_cap) + np.log(pc) + np.log(emp) + unemp",
            frame, groups="state", time="year", rank="full",
        )  # fmt: skip
        alone, best = made.fit(n_starts=1), made.fit()
        assert best.llf - alone.llf == pytest.approx(2.893, abs=0.01)
        assert not best.curvature().is_saddle

    def test_chunks(self):
        Y, X = simulated(3, 90)
        whole = LowRankSUR(Y, X, rank="full").fit()
        parts = ((Y[i : i + 30], [x[i : i + 30] for x in X]) for i in range(0, 90, 30))
        res = LowRankSUR.from_chunks(parts, rank="full").fit()
        assert_allclose(res.params, whole.params, rtol=1e-7)
        assert_allclose(res.bse, whole.bse, rtol=1e-7)


class TestTwoSteps:
    @pytest.mark.parametrize("rank", [0, 1, "full"])
    def test_it_says_what_it_is(self, rank):
        Y, X = simulated(6, 60)
        res = LowRankSUR(Y, X, rank=rank).fit(method="two-step")
        assert "Two steps (Zellner)" in str(res.summary())
        assert "no maximum" in str(res.summary())
        best = LowRankSUR(Y, X, rank=rank).fit()
        assert res.llf <= best.llf + 1e-9
        assert_allclose(res.params, best.params, atol=0.5 * float(best.bse.max()))

    def test_under_restrictions(self):
        res = model().fit_constrained("Chrysler_value = US Steel_value", method="two-step")
        assert res.params["Chrysler_value"] == pytest.approx(res.params["US Steel_value"], rel=1e-9)

    def test_with_holes(self):
        res = model(holes=True).fit(method="two-step")
        assert res.converged
        assert_allclose(res.params, model(holes=True).fit().params, atol=2 * float(res.bse.max()))


class TestResults:
    def test_what_needs_factors_says_that_there_are_none(self, fit):
        asked = [
            lambda: fit.loadings,
            lambda: fit.communalities,
            lambda: fit.uniquenesses,
            lambda: fit.factor_scores,
            lambda: fit.rotated_loadings(),
            lambda: fit.exogeneity_test(),
            lambda: fit.plot_loadings(),
            lambda: fit.plot_communalities(),
            lambda: fit.equations["Chrysler"].loadings,
            lambda: fit.equations["Chrysler"].communality,
            lambda: diagnostics.rank_test(fit),
        ]
        for ask in asked:
            with pytest.raises(UnrestrictedSigmaError, match="rank='full' has no factors"):
                ask()
        assert issubclass(UnrestrictedSigmaError, NoFactorsError)

    def test_summary(self, fit):
        text = str(fit.summary())
        assert "unrestricted" in text
        assert "Rank r" not in text
        assert "ommunality" not in text
        assert "std(e)" in text
        assert "unrestricted" in str(fit.equations["Chrysler"].summary())
        assert fit.glance()["rank"].iloc[0] == "full"

    def test_tests(self, fit):
        R = np.eye(len(fit.params))[[1, 4]]
        joint = fit.wald_test(R)
        assert 0.0 <= joint.pvalue <= 1.0
        assert fit.fvalue > 0.0
        single = fit.t_test(R[0])
        assert_allclose(single.sd.ravel()[0], fit.bse.iloc[1], rtol=1e-9)

    @pytest.mark.parametrize("cov_type", ["HC0", "HC1", "HC2", "HC3", "HAC", "sandwich", "KH"])
    def test_covariances(self, fit, cov_type):
        if not fit.model.system.cells.complete and cov_type in ("sandwich", "KH"):
            with pytest.raises(OptionError, match="missing cells"):
                fit.get_robustcov_results(cov_type)
            return
        other = fit.get_robustcov_results(cov_type)
        assert np.isfinite(other.bse).all()
        # Twenty rows: they are of one size with the model-based ones.
        assert 0.5 < np.median(other.bse / fit.bse) < 1.5

    def test_sandwich_is_model_based_where_sigma_is_the_residuals_own(self):
        res = model().fit()
        assert_allclose(res.get_robustcov_results("sandwich").bse, res.bse, rtol=1e-9)
        plain = model().fit(debiased=False)
        assert_allclose(plain.get_robustcov_results("sandwich").bse, plain.bse, rtol=1e-9)

    def test_kackar_harville_at_the_plug_in(self):
        plain = model().fit(debiased=False)
        ratio = plain.get_robustcov_results("KH").bse / plain.bse
        assert (ratio >= 1.0).all()
        # No more than (K - 1) / N.
        assert (ratio <= np.sqrt(1.0 + 2.0 / 20) + 1e-9).all()

    def test_conditional_predictions_are_dense(self):
        res = model().fit()
        made = res.get_prediction(given=True)
        Sigma = res.sigma.to_dense()
        E = np.asarray(res.resid)
        j, others = 1, [0, 2]
        b = np.linalg.solve(Sigma[np.ix_(others, others)], Sigma[others, j])
        want = np.asarray(res.fittedvalues)[:, j] + E[:, others] @ b
        got = made.predicted_mean
        assert_allclose(got[res.model.equations[j]], want, rtol=1e-9)

    def test_imputation_is_the_dense_conditional_mean(self):
        res = model(holes=True).fit()
        made = res.impute()
        Sigma, Y = res.sigma.to_dense(), res.model.endog
        fitted, mask = np.asarray(res.fittedvalues), res.model.system.cells.mask
        # Rows of the panel that have no cell in an equation have its regressors.
        n, j = (int(v) for v in np.argwhere(~mask)[0])
        seen = np.flatnonzero(mask[n])
        b = np.linalg.solve(Sigma[np.ix_(seen, seen)], Sigma[seen, j])
        X = np.asarray(res.model.exog[j])[n]
        beta = np.asarray(
            res.params[[c for c in res.params.index if c.startswith(res.model.equations[j])]]
        )
        want = X @ beta + b @ (Y[n, seen] - fitted[n, seen])
        assert made.values.iloc[n, j] == pytest.approx(want, rel=1e-9)
        assert int(made.filled.to_numpy().sum()) == 5
        assert (made.se.to_numpy()[~mask] > 0.0).all()

    def test_bootstrap(self, fit):
        boot = fit.bootstrap(20, rng=0)
        assert np.isfinite(boot.std_errors).all()
        again = fit.bootstrap(20, rng=0, n_jobs=2)
        assert_allclose(boot.std_errors, again.std_errors, rtol=1e-12)

    def test_pickles_and_saves(self, fit, tmp_path):
        _ = fit.bse
        again = pickle.loads(pickle.dumps(fit))
        assert_allclose(again.bse, fit.bse)
        fit.save(tmp_path / "fit.pickle", remove_data=False)
        loaded = type(fit).load(tmp_path / "fit.pickle")
        assert_allclose(loaded.sigma.root, fit.sigma.root)
        assert str(loaded.summary())

    def test_without_data(self):
        res = model().fit()
        before = str(res.summary().tables[1])
        res.remove_data()
        assert str(res.summary().tables[1]) == before

    def test_diagnostics(self, fit):
        table = fit.diagnostics().table
        assert table.loc["equations that others determine", "verdict"] == "ok"
        assert table.loc["last factor", "verdict"] == "-"

    def test_plots(self, fit):
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")
        for plot in (fit.plot_residual_correlation, fit.plot_scree, fit.plot_trace):
            assert plot() is not None
        matplotlib.pyplot.close("all")

    def test_unique_residuals_are_what_the_others_leave(self):
        res = model().fit()
        long = res.augment().pivot(index="row", columns="equation", values="unique_resid")
        P = np.linalg.inv(res.sigma.to_dense())
        W = np.asarray(res.resid) @ P / np.sqrt(np.diag(P))
        assert_allclose(long[res.model.equations], W, rtol=1e-9)

    def test_likelihood_ratio_of_restrictions(self):
        made = model()
        full, restricted = made.fit(), made.fit_constrained("Chrysler_value = US Steel_value")
        statistic = full.compare_lr(restricted)[0]
        assert 0.0 < statistic < 2.0 * (full.llf - restricted.llf) + 1e-9
        low = LowRankSUR.from_formula(
            "invest ~ value + capital", data(), groups="firm", time="year", rank=0
        ).fit()
        with pytest.raises(OptionError, match="ranks full and 0"):
            full.compare_lr(low)

    def test_diagonality(self):
        res = model().fit()
        test = diagnostics.diagonality_test(res, method="lr")
        diagonal = LowRankSUR.from_formula(
            "invest ~ value + capital", data(), groups="firm", time="year", rank=0
        ).fit()
        assert test.statistic == pytest.approx(2.0 * (res.llf - diagonal.llf), rel=1e-8)
        assert "unrestricted" in str(test)


class TestRefusals:
    def test_too_many_equations(self):
        Y, X = simulated(12, 14)
        with pytest.raises(IllegalRankError, match=r"12 equations.*14 rows less 2.*rank='auto'"):
            LowRankSUR(Y, X, rank="full")
        # One row more than that is legal.
        LowRankSUR(Y[:, :11], X[:11], rank="full")

    def test_equations_that_never_meet(self):
        Y, X = simulated(3, 40)
        Y[:20, 0], Y[20:, 2] = np.nan, np.nan
        Y = pd.DataFrame(Y, columns=["a", "b", "c"])
        with pytest.raises(IllegalRankError, match="'a' and 'c' share no row"):
            LowRankSUR(Y, X, rank="full", missing="fiml")

    def test_options_of_factors(self):
        made = model()
        with pytest.raises(OptionError, match="lam_F"):
            made.fit(lam_F=0.1)
        with pytest.raises(OptionError, match="method='em'.*'two-step'"):
            made.fit(method="em")
        with pytest.raises(OptionError, match="rank full"):
            made.fit(cov_type="pcse")

    def test_a_ridge_on_slopes(self):
        res = model().fit(lam_B=0.1)
        assert res.converged
        assert abs(res.params["Chrysler_value"]) < abs(model().fit().params["Chrysler_value"])

    def test_near_miss(self):
        with pytest.raises(IllegalRankError, match="'full'"):
            LowRankSUR(*simulated(3, 30), rank="ful")

    def test_sigma_of_another_kind(self):
        made = model()
        with pytest.raises(OptionError, match="Unrestricted"):
            made.loglike(np.zeros(9), np.eye(3))


class TestWarnings:
    def test_many_equations(self):
        Y, X = simulated(6, 24)
        with pytest.warns(RankWarning, match=r"21 parameters of Sigma.*rank='auto'.*two-step"):
            LowRankSUR(Y, X, rank="full").fit()
        # Two steps are what it recommends, and equal designs lose nothing.
        LowRankSUR(Y, X, rank="full").fit(method="two-step")
        LowRankSUR(Y, X[0], rank="full").fit()

    def test_no_maximum(self):
        """Eight firms: 17 columns and 8 responses for 20 rows."""
        firms = [*FIRMS, "General Electric", "Westinghouse", "Atlantic Refining", "IBM", "Goodyear"]
        frame = load_grunfeld()
        made = LowRankSUR.from_formula(
            "invest ~ value + capital", frame[frame["firm"].isin(firms)],
            groups="firm", time="year", rank="full",
        )  # fmt: skip
        with pytest.warns(RankWarning) as caught:
            res = made.fit()
        assert any("has no maximum" in str(w.message) for w in caught)
        assert "has no maximum" in str(res.summary()).replace("\n    ", " ")

    def test_the_same_response_twice(self):
        """Kmenta's demand and supply: their difference is fitted exactly."""
        from tests.test_full import kmenta

        made, _ = kmenta()
        with pytest.warns(HeywoodWarning, match="Sigma is singular.*two-step"):
            res = made.fit()
        assert res.heywood == ["supply"]

    def test_heywood_cases_of_few_equations_recommend_it(self):
        rng = np.random.default_rng(3)
        for _ in range(50):
            Y = rng.standard_normal((25, 3))
            made = LowRankSUR(Y, [np.ones((25, 1)) + 0 * Y[:, :1] for _ in range(3)], rank=1)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made.fit()
            said = [str(w.message) for w in caught if w.category is HeywoodWarning]
            if said:
                assert "rank='full'" in said[0]
                return
        pytest.fail("no Heywood case in fifty draws")

    def test_two_equations_and_auto_recommend_it(self):
        with pytest.warns(RankWarning, match="rank='full'"):
            LowRankSUR(*simulated(2, 30))


class TestSelection:
    def five(self):
        firms = [*FIRMS, "General Electric", "Westinghouse"]
        frame = load_grunfeld()
        return LowRankSUR.from_formula(
            "invest ~ value + capital", frame[frame["firm"].isin(firms)],
            groups="firm", time="year", rank=1,
        )  # fmt: skip

    def test_it_is_the_last_candidate(self):
        made = self.five()
        chosen = select_rank(made, "bic", candidates=[0, 1, "full"])
        plain = select_rank(made, "bic", candidates=[0, 1])
        pd.testing.assert_frame_equal(
            chosen.table.loc[[0, 1]].reset_index(drop=True), plain.table.reset_index(drop=True)
        )
        row = chosen.table.loc["full"]
        assert row["llf"] == pytest.approx(-458.0629073747, abs=1e-6)
        assert row["parameters"] == 30
        assert row["bic"] == pytest.approx(-2 * row["llf"] + np.log(20) * 30)
        assert np.isnan(row["ic1"])
        assert "full" in str(chosen.summary())

    def test_it_can_be_chosen(self):
        rng = np.random.default_rng(0)
        E = rng.multivariate_normal(np.zeros(2), [[1.0, 0.8], [0.8, 1.0]], 60)
        X = [np.column_stack([np.ones(60), rng.standard_normal(60)]) for _ in range(2)]
        made = LowRankSUR(E, X, rank=0)
        for method in ("bic", "bic_ols", "aic_ols"):
            chosen = select_rank(made, method, candidates=[0, "full"])
            assert chosen.rank == "full", method
        assert LowRankSUR(E, X, rank=chosen.rank).fit().rank == "full"

    def test_what_it_does_not_go_with(self):
        made = self.five()
        with pytest.raises(OptionError, match="'full' goes with"):
            select_rank(made, "cv", candidates=[0, "full"])
        Y, X = simulated(12, 14)
        with pytest.raises(IllegalRankError, match="12 equations"):
            select_rank(LowRankSUR(Y, X, rank=1), "bic", candidates=[0, "full"])


def test_command_line(tmp_path, monkeypatch, capsys):
    from sm_alsgls.__main__ import main

    monkeypatch.chdir(tmp_path)
    data().to_csv("panel.csv", index=False)
    arguments = ["panel.csv", "--formula", "invest ~ value + capital", "--groups", "firm"]
    main([*arguments, "--time", "year", "--rank", "full", "--out", "out", "--quiet"])
    assert "unrestricted" in capsys.readouterr().out
    written = pd.read_csv("out/sigma.csv", index_col="equation")
    assert_allclose(written, model().fit().sigma.to_dense(), rtol=1e-12)
