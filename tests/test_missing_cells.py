"""missing="fiml": against brute force, the complete-data code, and rows that were taken out."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from scipy import stats

from sm_alsgls import LowRankSUR, diagnostics
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    DataRemovedError,
    DegenerateResponseError,
    HeywoodWarning,
    IllegalRankError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    RankWarning,
    ShapeError,
)
from sm_alsgls.rank import select_rank
from sm_alsgls.results.covariance import covariance
from tests.core import dense_observed as dense
from tests.systems import simulate

TIGHT = {"gtol": 1e-9, "rel_tol": 1e-12}


def holes(seed=3, N=60, K=6, r=1, share=0.7, x_too=True):
    """Frames with NaN in responses and regressors, and the arrays, mask and blocks behind them."""
    X, Y, _ = simulate(N, K, 3, r, seed)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    rng = np.random.default_rng(seed + 100)
    mask = dense.holes(rng, N, K, share, least=10)
    index = pd.Index([f"t{n}" for n in range(N)], name="t")
    frames = {}
    for j, x in enumerate(X):
        frame = pd.DataFrame(x.copy(), index, ["const", "a", "b"][: x.shape[1]])
        gone = ~mask[:, j] & (rng.random(N) < 0.5) if x_too else np.zeros(N, bool)
        frame.loc[gone, "a"] = np.nan
        frames[f"e{j}"] = frame
    endog = pd.DataFrame(Y, index, list(frames))
    known = rng.random((N, K)) < 0.5
    lacks = np.column_stack([f.isna().any(axis=1) for f in frames.values()])
    # A response beside a missing regressor may be there: the cell is out all the same.
    endog = endog.mask(~mask & ~(lacks & known))
    return endog, frames, Y, X, mask


@pytest.fixture(scope="module")
def case():
    endog, frames, Y, X, mask = holes()
    model = LowRankSUR(endog, frames, 1, missing="fiml")
    return model, model.fit(debiased=False, **TIGHT), Y, X, mask


class TestBruteForce:
    def test_cells_in_use(self, case):
        model, res, _, _, mask = case
        np.testing.assert_array_equal(model.counts, mask.sum(axis=0))
        pd.testing.assert_series_equal(res.counts, model.counts, check_names=False)
        assert model.n_cells == res.n_cells == mask.sum()
        assert model.nobs == len(mask)
        assert res.df_resid == mask.sum() - len(res.params) - sigma_parameters(6, 1)

    def test_likelihood_and_estimates(self, case):
        _, res, Y, X, mask = case
        E = dense.residuals(X, Y, mask, np.asarray(res.params))
        Sigma = res.sigma.to_dense()
        assert res.llf == pytest.approx(-len(Y) * dense.nll(E, mask, Sigma), abs=1e-8)
        np.testing.assert_allclose(res.params, dense.gls(X, Y, mask, Sigma), rtol=0, atol=1e-8)
        full = dense.FullLikelihood(X, np.where(mask, Y, 0.0), mask, 1)
        theta = np.r_[res.params, res.sigma.loadings.ravel(), np.log(res.sigma.uniquenesses)]
        near = theta + 0.05 * np.random.default_rng(1).standard_normal(len(theta))
        other = full.maximum(near, np.full(6, -20.0))
        np.testing.assert_allclose(res.params, other[: len(res.params)], rtol=0, atol=1e-8)
        _, F, d = full.split(other)
        np.testing.assert_allclose(Sigma, F @ F.T + np.diag(d), rtol=0, atol=1e-7)

    def test_standard_errors(self, case):
        _, res, _, X, mask = case
        V = np.linalg.inv(dense.information(X, mask, res.sigma.to_dense()))
        np.testing.assert_allclose(res.bse, np.sqrt(np.diag(V)), rtol=1e-8)
        np.testing.assert_allclose(res.cov_params(), V, rtol=0, atol=1e-9)
        at = slice(*np.cumsum([0, *(x.shape[1] for x in X)])[2:4])
        np.testing.assert_allclose(res.equations["e2"].bse, np.sqrt(np.diag(V))[at], rtol=1e-8)

    def test_debiased_standard_errors_have_the_equation_s_own_rows(self, case):
        model, _, _, X, mask = case
        debiased = model.fit(**TIGHT)
        p = np.array([x.shape[1] for x in X])
        left = mask.sum(axis=0) - p - 1
        # Loadings under their prior: tests/core/sigma/test_loading_prior.py.
        V = np.linalg.inv(dense.information(X, mask, debiased.sigma_inference.to_dense()))
        plain = debiased.estimate.sample.problem.covariance(debiased.sigma_inference).variances()
        np.testing.assert_allclose(plain, np.diag(V), rtol=1e-6)
        # On top comes the estimation of Sigma, tests/core/beta/test_estimated_sigma.py.
        added = debiased.bse / np.sqrt(np.diag(V)) - 1
        assert (added > 0.0).all()
        assert (added < 2.0 / left.min()).all()
        t = debiased.params / debiased.bse
        expected = 2 * stats.t.sf(np.abs(t), np.repeat(left, p))
        np.testing.assert_allclose(debiased.pvalues, expected, rtol=1e-10)
        assert debiased.equations["e1"].nobs == mask[:, 1].sum()
        assert debiased.equations["e1"].df_resid == left[1]

    @pytest.mark.parametrize("kind", ["HC0", "HC1", "cluster", "HAC"])
    def test_robust_standard_errors(self, case, kind):
        _, res, Y, X, mask = case
        N = len(mask)
        E = dense.residuals(X, Y, mask, np.asarray(res.params))
        Sigma = res.sigma.to_dense()
        W = dense.solve(E, mask, Sigma)
        U = np.concatenate([x * W[:, [j]] for j, x in enumerate(X)], axis=1)
        V = np.linalg.inv(dense.information(X, mask, Sigma))
        groups = np.arange(N) // 4
        kwds = {"cluster": {"groups": groups, "use_correction": False}}
        kwds["HAC"] = {"maxlags": 2, "use_correction": False}
        if kind == "cluster":
            sums = np.array([U[groups == g].sum(axis=0) for g in range(groups.max() + 1)])
            meat = sums.T @ sums
        elif kind == "HAC":
            meat = U.T @ U
            for lag in (1, 2):
                cross = U[lag:].T @ U[:-lag]
                meat += (1 - lag / 3) * (cross + cross.T)
        else:
            meat = U.T @ U
        expected = V @ meat @ V
        if kind == "HC1":
            p = np.array([x.shape[1] for x in X])
            n = mask.sum(axis=0)
            c = np.repeat(np.sqrt(n / (n - p - 1)), p)
            expected *= np.outer(c, c)
        other = res.get_robustcov_results(kind, **kwds.get(kind, {}))
        np.testing.assert_allclose(other.cov_params(), expected, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(other.bse, np.sqrt(np.diag(expected)), rtol=1e-7)

    def test_derivatives_at_any_point(self, case):
        model, res, Y, X, mask = case
        b = np.asarray(res.params) + 0.1
        Sigma = res.sigma.to_dense()
        E = dense.residuals(X, Y, mask, b)
        W = dense.solve(E, mask, Sigma)
        rows = np.concatenate([x * W[:, [j]] for j, x in enumerate(X)], axis=1)
        value = -len(Y) * dense.nll(E, mask, Sigma)
        assert model.loglike(b, res.sigma) == pytest.approx(value, abs=1e-8)
        np.testing.assert_allclose(model.score_obs(b, res.sigma), rows, rtol=0, atol=1e-9)
        np.testing.assert_allclose(model.score(b, res.sigma), rows.sum(axis=0), atol=1e-8)
        H = dense.information(X, mask, Sigma)
        np.testing.assert_allclose(model.information(b, res.sigma), H, rtol=0, atol=1e-8)

    def test_factor_scores(self, case):
        _, res, Y, X, mask = case
        E = dense.residuals(X, Y, mask, np.asarray(res.params))
        W = dense.solve(E, mask, res.sigma.to_dense())
        np.testing.assert_allclose(res.factor_scores, W @ res.sigma.loadings, atol=1e-9)

    def test_state_space_likelihood(self):
        """statsmodels' Kalman filter on a common-regressor system with holes."""
        from statsmodels.tsa.api import DynamicFactor

        rng = np.random.default_rng(6)
        x = rng.standard_normal((150, 2))
        Y = simulate(150, 5, 2, 1, seed=6)[1]
        Y[rng.random(Y.shape) < 0.3] = np.nan
        res = LowRankSUR(Y, x, 1, missing="fiml").fit()
        model = DynamicFactor(
            Y, exog=x, k_factors=1, factor_order=0, error_cov_type="diagonal", error_order=0
        )
        params = np.r_[res.sigma.loadings[:, 0], res.params, res.sigma.uniquenesses]
        assert res.llf == pytest.approx(model.loglike(params), abs=1e-7)


class TestCompleteData:
    def test_nothing_missing_is_the_complete_fit(self):
        X, Y, _ = simulate(50, 5, 3, 1)
        one = LowRankSUR(Y, X, 1).fit()
        model = LowRankSUR(Y, X, 1, missing="fiml")
        other = model.fit()
        assert other.llf == one.llf
        np.testing.assert_array_equal(other.params, one.params)
        np.testing.assert_array_equal(other.bse, one.bse)
        assert "cells" not in str(other.summary())

    def test_a_single_hole_goes_through_the_other_code(self):
        """One cell is missing in an equation of its own: the others, complete, must agree."""
        X, Y, _ = simulate(50, 5, 3, 1)
        rng = np.random.default_rng(1)
        own = np.column_stack([np.ones(50), rng.standard_normal(50)])
        y = rng.standard_normal(50)
        y[7] = np.nan
        one = LowRankSUR(Y, X, 0).fit(debiased=False)
        other = LowRankSUR(np.column_stack([Y, y]), [*X, own], 0, missing="fiml").fit(
            debiased=False
        )
        P = len(one.params)
        np.testing.assert_allclose(other.params[:P], one.params, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.bse[:P], one.bse, rtol=1e-9)
        seen = np.isfinite(y)
        ols = LowRankSUR(y[seen], own[seen], 0).fit(debiased=False)
        np.testing.assert_allclose(other.params[P:], ols.params, rtol=1e-9)
        assert other.llf == pytest.approx(one.llf + ols.llf, abs=1e-9)

    def test_rows_without_a_cell_are_dropped_and_counted(self):
        endog, frames, *_ = holes()
        endog.iloc[[4, 9]] = np.nan
        model = LowRankSUR(endog, frames, 1, missing="fiml")
        assert (model.nobs, model.n_dropped) == (58, 2)
        keep = np.delete(np.arange(60), [4, 9])
        again = LowRankSUR(
            endog.iloc[keep], {k: v.iloc[keep] for k, v in frames.items()}, 1, missing="fiml"
        )
        res = model.fit()
        assert res.llf == pytest.approx(again.fit().llf, abs=1e-8)
        assert "2 rows without a cell were dropped" in str(res.summary())

    def test_the_caller_s_data_are_left_alone(self):
        endog, frames, *_ = holes()
        kept = endog.copy(), {k: v.copy() for k, v in frames.items()}
        LowRankSUR(endog, frames, 1, missing="fiml").fit().bse  # noqa: B018
        pd.testing.assert_frame_equal(endog, kept[0])
        for name, frame in frames.items():
            pd.testing.assert_frame_equal(frame, kept[1][name])


class TestResults:
    def test_nan_where_a_cell_has_none(self, case):
        model, res, Y, X, mask = case
        np.testing.assert_array_equal(res.resid.notna(), mask)
        known = np.column_stack([np.isfinite(x).all(axis=1) for x in model.exog])
        assert (known & ~mask).any()
        np.testing.assert_array_equal(res.fittedvalues.notna(), known)
        fitted = np.column_stack(
            [
                x @ b
                for x, b in zip(X, model.labels.by_equation(np.asarray(res.params)), strict=True)
            ]
        )
        np.testing.assert_allclose(res.fittedvalues.to_numpy()[known], fitted[known])
        np.testing.assert_allclose(res.resid.to_numpy()[mask], (Y - fitted)[mask], atol=1e-12)
        one = res.equations["e3"]
        pd.testing.assert_series_equal(one.resid, res.resid["e3"])
        pd.testing.assert_series_equal(one.fittedvalues, res.fittedvalues["e3"])
        pd.testing.assert_frame_equal(res.predict(), res.fittedvalues)
        table = res.get_prediction().summary_frame()
        np.testing.assert_array_equal(table["mean_se"].notna(), known.ravel())

    def test_r_squared_is_of_the_equation_s_own_rows(self, case):
        model, res, Y, _, mask = case
        for j, name in enumerate(model.equations):
            seen = mask[:, j]
            e, y = res.resid.to_numpy()[seen, j], Y[seen, j]
            expected = 1 - e @ e / np.sum((y - y.mean()) ** 2)
            assert res.equations[name].rsquared == pytest.approx(expected, rel=1e-12)
        found = res.system_rsquared
        e, y = res.resid.fillna(0).to_numpy(), np.where(mask, Y, np.nan)
        total = np.nansum((y - np.nanmean(y, axis=0)) ** 2)
        assert found["judge"] == pytest.approx(1 - np.sum(e**2) / total, rel=1e-12)
        assert np.isnan(found["berndt"])
        centred = np.where(mask, Y - np.nanmean(y, axis=0), 0.0)
        Sigma = res.sigma.to_dense()
        quad = [np.sum(M * dense.solve(M, mask, Sigma)) for M in (e, centred)]
        assert found["mcelroy"] == pytest.approx(1 - quad[0] / quad[1], rel=1e-10)

    def test_tests_use_the_covariance(self, case):
        _, res, *_ = case
        V, b = res.cov_params().to_numpy(), np.asarray(res.params)
        R = np.zeros((1, len(b)))
        R[0, [1, 3]] = 1, -1
        test = res.t_test("e0_a = e1_a")
        assert test.sd.item() == pytest.approx(np.sqrt(R @ V @ R.T).item(), rel=1e-8)
        slopes = [i for i, n in enumerate(res.params.index) if not n.endswith("const")]
        wald = b[slopes] @ np.linalg.solve(V[np.ix_(slopes, slopes)], b[slopes])
        assert res.fvalue == pytest.approx(wald / len(slopes), rel=1e-7)
        assert res.test_across("a").df_denom == 6

    def test_summary_says_what_is_used(self, case):
        _, res, _, _, mask = case
        text = " ".join(str(res.summary()).split())
        n = mask.sum(axis=0)
        assert f"{n.sum()} of 360 cells are used ({n.sum() / 360:.1%})" in text
        assert f"{n.min()} to {n.max()} rows an equation" in text
        lines = str(res.summary()).splitlines()
        start = next(i for i, line in enumerate(lines) if "communality" in line)
        listed = [int(line.split()[1]) for line in lines[start + 2 : start + 8]]
        assert listed == n.tolist()

    def test_pickle_and_remove_data(self, case):
        model, res, *_ = case
        again = pickle.loads(pickle.dumps(res))
        pd.testing.assert_frame_equal(again.resid, res.resid)
        assert again.model.fit(debiased=False, **TIGHT).llf == pytest.approx(res.llf, abs=1e-9)
        before = str(again.summary()).splitlines()
        V = again.cov_params()
        again.remove_data()
        assert [a for a in str(again.summary()).splitlines() if "Time" not in a] == [
            b for b in before if "Time" not in b
        ]
        pd.testing.assert_frame_equal(again.cov_params(), V)
        pd.testing.assert_series_equal(again.model.counts, model.counts)
        for what in ("resid", "factor_scores"):
            with pytest.raises(DataRemovedError):
                getattr(again, what)
        with pytest.raises(DataRemovedError):
            again.get_robustcov_results("HC0")

    def test_augment_and_tidy(self, case):
        _, res, _, _, mask = case
        table = res.augment()
        np.testing.assert_array_equal(table["resid"].notna(), mask.ravel("F"))
        E = np.where(mask, res.resid.fillna(0), 0.0)
        W = dense.solve(E, mask, res.sigma.to_dense()) * np.sqrt(res.sigma.uniquenesses)
        seen = mask.ravel("F")
        np.testing.assert_allclose(table["unique_resid"][seen], W.ravel("F")[seen], atol=1e-9)
        assert len(res.tidy()) == len(res.params)
        assert res.glance()["nobs"].item() == 60

    @pytest.mark.slow
    def test_bootstrap(self, case):
        model, *_ = case
        res = model.fit()
        for method in ("parametric", "wild"):
            drawn = res.bootstrap(30, method, rng=1)
            assert drawn.converged.all()
            ratio = drawn.std_errors / res.bse
            # Of 30 draws, one ratio has a standard error of 13 %, their median half of that.
            assert 0.75 < ratio.median() < 1.3
        for method in ("residual", "block"):
            with pytest.raises(OptionError, match="'parametric' or 'wild'"):
                res.bootstrap(5, method)

    def test_compare_lr(self, case):
        _, res, *_ = case
        endog, frames, *_ = holes()
        small = {name: f[["const"]] if name == "e0" else f for name, f in frames.items()}
        cells = endog.mask(~case[4])
        full = LowRankSUR(cells, frames, 1, missing="fiml").fit(debiased=False, **TIGHT)
        assert full.llf == pytest.approx(res.llf, abs=1e-9)
        less = LowRankSUR(cells, small, 1, missing="fiml").fit(debiased=False, **TIGHT)
        test = full.compare_lr(less)
        assert test[0] == pytest.approx(2 * (full.llf - less.llf), rel=1e-12)
        assert test[2] == 1
        other = cells.copy()
        other.iloc[0, int(np.argmax(case[4][0]))] = np.nan
        with pytest.raises(ShapeError, match="other cells"):
            full.compare_lr(LowRankSUR(other, small, 1, missing="fiml").fit())

    def test_curvature(self, case):
        _, res, *_ = case
        assert res.curvature().lowest > -1e-5
        assert res.mle_retvals["lowest_curvature"] == res.curvature().lowest


class TestRestrictions:
    @pytest.mark.slow
    def test_against_dense(self, case):
        _, _, Y, X, mask = case
        endog, frames, *_ = holes()
        model = LowRankSUR(endog, frames, 1, missing="fiml")
        text = "e0_a = e1_a, e2_const = 0.5"
        res = model.fit_constrained(text, debiased=False, **TIGHT)
        b = res.params
        assert b["e0_a"] == pytest.approx(b["e1_a"], abs=1e-12)
        assert b["e2_const"] == pytest.approx(0.5, abs=1e-12)
        R, q = model.fit_constrained(text, debiased=False).model.restrictions.R, [0.0, 0.5]
        Sigma = res.sigma.to_dense()
        H = dense.information(X, mask, Sigma)
        free = dense.gls(X, Y, mask, Sigma)
        V = np.linalg.inv(H)
        gain = V @ R.T @ np.linalg.inv(R @ V @ R.T)
        np.testing.assert_allclose(b, free - gain @ (R @ free - q), rtol=0, atol=1e-8)
        np.testing.assert_allclose(res.cov_params(), V - gain @ R @ V, rtol=0, atol=1e-9)
        table = res.restriction_tests()
        assert table.loc["LR", "df"] == 2
        u = model.score(np.asarray(b), res.sigma)
        assert table.loc["score", "statistic"] == pytest.approx(u @ V @ u, rel=1e-7)

    def test_common(self):
        endog, frames, *_ = holes()
        res = LowRankSUR(endog, frames, 1, missing="fiml", common=["a"]).fit()
        assert [n for n in res.params.index if n.endswith("a")] == ["a"]
        draws = res.bootstrap(3, rng=0).params
        assert list(draws.columns) == list(res.params.index)
        assert draws["a"].nunique() == 3


class TestRefusals:
    def test_covariance_types(self, case):
        model, res, *_ = case
        for kind in ("KH", "sandwich"):
            with pytest.raises(OptionError, match=f"{kind!r} is not defined with missing cells"):
                res.get_robustcov_results(kind)
            with pytest.raises(OptionError, match="missing cells"):
                model.fit(cov_type=kind)

    def test_em_streams_and_rank_selection(self, case):
        model, *_ = case
        with pytest.raises(OptionError, match="method='als'"):
            model.fit(method="em")
        endog, frames, *_ = holes()
        with pytest.raises(OptionError, match="stream"):
            LowRankSUR.from_chunks([(endog, frames)], 1, missing="fiml")
        with pytest.raises(OptionError, match=r"compare res\.bic"):
            select_rank(model)

    @pytest.mark.slow
    def test_diagnostics(self, case):
        _, res, *_ = case
        for method in ("lm", "lm_adj", "cd"):
            with pytest.raises(OptionError, match="residuals of every cell"):
                diagnostics.diagonality_test(res, method)
        with pytest.raises(OptionError, match="sufficiency_test"):
            diagnostics.sufficiency_test(res)
        none = LowRankSUR(
            case[0].data.orig_endog,
            dict(zip(case[0].equations, case[0].exog, strict=True)),
            0,
            missing="fiml",
        ).fit()
        test = diagnostics.diagonality_test(res, "lr", reps=9)
        assert test.statistic == pytest.approx(2 * (res.llf - none.llf), rel=1e-8)
        larger = diagnostics.rank_test(res)
        assert larger.statistic > -1e-6
        assert larger.df == 5

    def test_bad_values(self):
        endog, frames, *_ = holes()
        with pytest.raises(OptionError, match="'fiml'"):
            LowRankSUR(endog, frames, 1, missing="ml")
        with pytest.raises(NonFiniteError, match="'fiml'"):
            LowRankSUR(endog, frames, 1)
        bad = endog.copy()
        bad.iloc[3, 2] = np.inf
        with pytest.raises(NonFiniteError, match=r"equation 'e2' has 1 infinite .* row 't3'"):
            LowRankSUR(bad, frames, 1, missing="fiml")
        x = frames["e1"].copy()
        x.iloc[5, 1] = -np.inf
        with pytest.raises(NonFiniteError, match=r"column 'a' of equation 'e1'.* row 't5'"):
            LowRankSUR(endog, {**frames, "e1": x}, 1, missing="fiml")
        few = endog.copy()
        few.iloc[:, 3] = np.nan
        few.iloc[[1, 2, 3], 3] = [1.0, 2.0, 4.0]
        with pytest.raises(InsufficientRowsError, match=r"'e3' has 3 regressors but only \d of 60"):
            LowRankSUR(few, frames, 1, missing="fiml")
        flat = endog.copy()
        flat["e4"] = flat["e4"].where(flat["e4"].isna(), 2.0)
        with pytest.raises(DegenerateResponseError, match="'e4' is constant"):
            LowRankSUR(flat, frames, 1, missing="fiml")
        with pytest.raises(InsufficientRowsError, match="no row is left"):
            LowRankSUR(endog * np.nan, frames, 1, missing="fiml")

    def test_rank_is_of_the_shortest_equation(self):
        X, Y, _ = simulate(40, 8, 3, 1)
        Y[5:, 2] = np.nan
        assert LowRankSUR(Y, X, 1, missing="fiml").rank == 1
        with pytest.raises(IllegalRankError, match="in equation 'y3', 5 rows less 3 regressors"):
            LowRankSUR(Y, X, 2, missing="fiml")
        Y[4:, 2] = np.nan
        with pytest.warns(RankWarning, match="in equation 'y3', 4 rows less 3"):
            assert LowRankSUR(Y, X, missing="fiml").rank == 0


class TestHabits:
    def test_nullable_and_masked_input(self):
        endog, frames, _, _, mask = holes(x_too=False)
        expected = LowRankSUR(endog, frames, 1, missing="fiml").fit().llf
        nullable = endog.convert_dtypes()
        assert str(nullable.dtypes.iloc[0]) == "Float64"
        assert LowRankSUR(nullable, frames, 1, missing="fiml").fit().llf == expected
        masked = np.ma.masked_array(endog.fillna(1e9).to_numpy(), ~mask)
        blocks = [f.to_numpy() for f in frames.values()]
        assert LowRankSUR(masked, blocks, 1, missing="fiml").fit().llf == expected

    def test_callback_and_start_params(self, case):
        model, res, *_ = case
        sweeps = []
        again = model.fit(start_params=res.params, n_starts=1, callback=sweeps.append)
        assert again.mle_retvals["iterations"] + 1 == len(sweeps)
        assert sweeps[0].score_beta < 10.0
        assert again.llf == pytest.approx(res.llf, abs=1e-7)
        assert again.mle_retvals["starts"]["start"].tolist() == ["start_params"]

    def test_ridges(self, case):
        model, res, *_ = case
        ridged = model.fit(lam_B=0.5, lam_F=0.1)
        assert ridged.llf < res.llf
        slopes = [n for n in res.params.index if not n.endswith("const")]
        assert np.abs(ridged.params[slopes]).sum() < np.abs(res.params[slopes]).sum()
        loglike = model.loglike(ridged.params, ridged.sigma)
        assert ridged.llf == pytest.approx(loglike, abs=1e-8)

    def test_summary_col(self, case):
        from statsmodels.iolib.summary2 import summary_col

        _, res, *_ = case
        text = str(summary_col([res.equations["e0"], res.equations["e1"]]))
        assert f"{res.params['e1_b']:.4f}" in text

    def test_a_short_panel_through_the_command_line(self, tmp_path, capsys):
        from sm_alsgls.__main__ import main

        data = load_grunfeld()
        data[data["firm"].ne("IBM") | data["year"].lt(1950)].to_csv(tmp_path / "g.csv")
        options = ["--groups", "firm", "--time", "year", "--rank", "0", "--quiet"]
        command = [str(tmp_path / "g.csv"), "--formula", "invest ~ value", *options]
        assert main(command) == 0
        assert "215 of 220 cells are used" in " ".join(capsys.readouterr().out.split())
        assert main([*command, "--missing", "drop"]) == 2
        assert "IBM (5 absent" in capsys.readouterr().err


def test_restricted_covariance_by_conjugate_gradients(case, monkeypatch):
    """Beyond the size where H is made: the same numbers."""
    from sm_alsgls.core.beta import information

    model, *_ = case
    res = model.fit_constrained("e0_a = e1_a", debiased=False, **TIGHT)
    expected = covariance(res.estimate).combinations(np.eye(len(res.params)))
    monkeypatch.setattr(information, "_SMALL", 0)
    again = res.estimate.sample.problem.covariance(res.estimate.likelihood.search.best.cov)
    got = again.combinations(np.eye(len(res.params)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


class TestShapesOfHoles:
    def test_pairs_that_never_meet(self):
        X, Y, _ = simulate(80, 6, 3, 1)
        Y[40:, 0] = np.nan
        Y[:40, 1] = np.nan
        res = LowRankSUR(Y, X, 1, missing="fiml").fit()
        assert res.converged
        assert np.isfinite(res.bse).all()
        assert not (res.resid["y1"].notna() & res.resid["y2"].notna()).any()

    @pytest.mark.parametrize("seed", range(4))
    def test_half_of_the_cells(self, seed):
        X, Y, Sigma = simulate(120, 10, 3, 2, seed)
        rng = np.random.default_rng(seed)
        Y[rng.random(Y.shape) < 0.5] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HeywoodWarning)
            res = LowRankSUR(Y, X, 2, missing="fiml").fit()
        assert res.converged
        assert np.isfinite(res.bse).all()
        assert np.abs(_correlation(res.sigma.to_dense()) - _correlation(Sigma)).max() < 0.5

    @pytest.mark.slow
    def test_too_few_joint_rows_raise_the_floor_and_are_named(self):
        X, Y, _ = simulate(60, 5, 2, 1)
        Y[:29, 0] = np.nan
        Y[30:, 1] = np.nan  # rows 29 only
        model = LowRankSUR(Y, X, 1, missing="fiml")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HeywoodWarning)
            res = model.fit()
        assert res.mle_settings["d_floor"] == 1e-2
        text = " ".join(str(res.summary()).split())
        assert "Equations 'y1', 'y2' share 1 rows only" in text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HeywoodWarning)
            assert model.fit(d_floor=1e-6).mle_settings["d_floor"] == 1e-6
            Y[:29, 0] = 1.0 + np.arange(29) % 3
            again = LowRankSUR(Y, X, 1, missing="fiml").fit()
        assert again.mle_settings["d_floor"] == 1e-8
        assert "d_floor" not in " ".join(str(again.summary()).split()).split("Heywood")[0]


def _correlation(S):
    s = np.sqrt(np.diag(S))
    return S / np.outer(s, s)


class TestPanels:
    def test_unbalanced_is_fiml(self):
        data = load_grunfeld()
        rng = np.random.default_rng(3)
        # Firms of different lengths: the last years of some are cut.
        lengths = dict(zip(data["firm"].unique(), rng.integers(13, 21, 11), strict=True))
        short = data[data["year"] - 1935 < data["firm"].map(lengths)].copy()
        short.loc[short.index[5], "value"] = np.nan
        model = LowRankSUR.from_formula(
            "invest ~ value + capital", short, groups="firm", time="year", rank=0
        )
        expected = pd.Series(lengths)
        expected[short["firm"].iloc[5]] -= 1
        np.testing.assert_array_equal(model.counts, expected[model.equations])
        res = model.fit()
        assert res.converged
        wide = {
            firm: part.set_index("year").reindex(range(1935, 1955))
            for firm, part in short.groupby("firm", sort=False)
        }
        by_hand = LowRankSUR.from_system(
            {
                firm: (part["invest"], part[["value", "capital"]].assign(Intercept=1.0))
                for firm, part in wide.items()
            },
            0,
            missing="fiml",
        ).fit()
        assert res.llf == pytest.approx(by_hand.llf, abs=1e-7)
        np.testing.assert_allclose(res.params["IBM_value"], by_hand.params["IBM_value"], rtol=1e-6)
        predicted = res.predict(data)
        assert len(predicted) == 220
        assert predicted.notna().all()


def test_block_diagonal_of_two_systems_that_share_no_row():
    """Rows that no equation of the other half has: the likelihood is that of two systems."""
    X, Y, _ = simulate(60, 3, 2, 1, seed=2)
    Z = np.full((120, 6), np.nan)
    Z[:60, :3], Z[60:, 3:] = Y, Y
    blocks = [np.vstack([x, x]) for x in X] * 2
    one = LowRankSUR(Y, X, 1).fit(debiased=False, **TIGHT)
    both = LowRankSUR(Z, blocks, 1, missing="fiml").fit(debiased=False, **TIGHT)
    assert both.llf == pytest.approx(2 * one.llf, abs=1e-6)
    np.testing.assert_allclose(both.params, np.tile(one.params, 2), rtol=0, atol=1e-6)
    V = scipy.linalg.block_diag(one.cov_params(), one.cov_params())
    np.testing.assert_allclose(both.cov_params(), V, rtol=0, atol=1e-7)
