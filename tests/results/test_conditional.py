"""Predictions given the rest of the row, against dense conditional normals and differences."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    DataRemovedError,
    HeywoodWarning,
    OptionError,
    ShapeError,
)
from tests.core import dense_observed as dense
from tests.systems import simulate

N, K = 60, 6


def system(weights=None, holes=True, **options):
    X, Y, _ = simulate(N, K, 3, 1, seed=3)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    mask = dense.holes(np.random.default_rng(8), N, K, 0.75, least=12)
    mask = mask if holes else np.ones_like(mask)
    Z = np.where(mask, Y, np.nan)
    res = LowRankSUR(Z, X, 1, missing="fiml", weights=weights).fit(**options)
    return res, X, Y, mask


@pytest.fixture(scope="module")
def case():
    return system(debiased=False)


def parts(X, Y, res, root=1.0):
    b = res.model.labels.by_equation(res.params.to_numpy())
    fitted = np.column_stack([x @ v for x, v in zip(X, b, strict=True)])
    return fitted, (Y - fitted) * root


def gradients(X, mask, Sigma, n, j):
    """d E[y_nj | y_nO] / d beta, by the definition."""
    stops = np.cumsum([0, *(x.shape[1] for x in X)])
    seen = mask[n].copy()
    seen[j] = False
    w = np.zeros(K)
    w[seen] = np.linalg.solve(Sigma[np.ix_(seen, seen)], Sigma[seen, j])
    g = np.zeros(stops[-1])
    for el, x in enumerate(X):
        g[stops[el] : stops[el + 1]] = (1.0 if el == j else -w[el]) * x[n]
    return g


class TestAgainstDense:
    def test_means_and_variances(self, case):
        res, X, Y, mask = case
        fitted, E = parts(X, Y, res)
        mean, variance = dense.conditional(E, mask, res.sigma.to_dense())
        made = res.get_prediction(given=True)
        np.testing.assert_allclose(made.predicted_mean, fitted + mean, atol=1e-9)
        np.testing.assert_allclose(res.predict(given=True), fitted + mean, atol=1e-9)
        np.testing.assert_allclose(made.var_resid, variance, rtol=1e-9)

    @pytest.mark.parametrize("cov_type", ["nonrobust", "HC0"])
    def test_the_coefficients_part(self, case, cov_type):
        res, X, _, mask = case
        res = res.get_robustcov_results(cov_type)
        V, Sigma = res.cov_params().to_numpy(), res.sigma.to_dense()
        made = np.asarray(res.get_prediction(given=True).var_pred_mean)
        for n in (0, 7, 33):
            for j in range(K):
                g = gradients(X, mask, Sigma, n, j)
                assert made[n, j] == pytest.approx(g @ V @ g, rel=1e-8)

    def test_debiased(self):
        res, X, Y, mask = system()
        _, E = parts(X, Y, res)
        _, variance = dense.conditional(E, mask, res.sigma.to_dense())
        p = np.array([x.shape[1] for x in X])
        n = mask.sum(axis=0)
        made = res.get_prediction(given=True)
        np.testing.assert_allclose(made.var_resid, variance * n / (n - p - 1), rtol=1e-9)
        frame = made.summary_frame()
        total = np.asarray(made.var_pred_mean) + np.asarray(made.var_resid)
        np.testing.assert_allclose(made.se_obs, np.sqrt(total), rtol=1e-12)
        assert (frame["obs_ci_upper"] > frame["mean"]).all()

    @pytest.mark.parametrize("kind", ["rows", "cells"])
    def test_weights(self, kind):
        rng = np.random.default_rng(0)
        w = rng.uniform(0.3, 2.0, N) if kind == "rows" else rng.uniform(0.3, 2.0, (N, K))
        res, X, Y, mask = system(w, debiased=False)
        each = np.broadcast_to(w[:, None], Y.shape) if kind == "rows" else w
        used = np.where(mask, each, 0.0)
        mean_w = w.mean() if kind == "rows" else used.sum(axis=0) / mask.sum(axis=0)
        root = np.sqrt(each / mean_w)  # a missing response keeps its weight
        fitted, E = parts(X, Y, res, root)
        mean, variance = dense.conditional(E, mask, res.sigma.to_dense())
        made = res.get_prediction(given=True)
        np.testing.assert_allclose(made.predicted_mean, fitted + mean / root, atol=1e-9)
        np.testing.assert_allclose(made.var_resid, variance / root**2, rtol=1e-9)
        blocks = [x * root[:, [j]] for j, x in enumerate(X)]
        V = res.cov_params().to_numpy()
        g = gradients(blocks, mask, res.sigma.to_dense(), 5, 2) / root[5, 2]
        assert np.asarray(made.var_pred_mean)[5, 2] == pytest.approx(g @ V @ g, rel=1e-8)

    def test_complete_data(self):
        """Leaving one out of a full row: Dempster's formula."""
        res, X, Y, _ = system(holes=False, debiased=False)
        _, E = parts(X, Y, res)
        P = np.linalg.inv(res.sigma.to_dense())
        left_out = E @ P / np.diag(P)
        np.testing.assert_allclose(res.leave_one_out(), left_out, atol=1e-9)
        np.testing.assert_allclose(
            res.leave_one_out(standardised=True), left_out * np.sqrt(np.diag(P)), atol=1e-9
        )
        np.testing.assert_allclose(Y - res.predict(given=True), left_out, atol=1e-9)

    def test_no_factors_no_news(self):
        X, Y, _ = simulate(40, 4, 2, 1)
        res = LowRankSUR(Y, X, 0).fit()
        np.testing.assert_allclose(res.predict(given=True), res.fittedvalues, atol=1e-12)
        plain, told = res.get_prediction(), res.get_prediction(given=True)
        np.testing.assert_allclose(told.se_obs, plain.se_obs, rtol=1e-10)


class TestForms:
    def test_new_rows(self, case):
        res, X, Y, _ = case
        new = [x[:7] + 0.1 for x in X]
        known = Y[:7].copy()
        known[:, 2] = np.nan
        known[3] = np.nan
        mask = np.isfinite(known)
        fitted, E = parts(new, known, res)
        mean, variance = dense.conditional(np.where(mask, E, 0), mask, res.sigma.to_dense())
        made = res.get_prediction(new, given=known)
        np.testing.assert_allclose(made.predicted_mean, fitted + mean, atol=1e-9)
        np.testing.assert_allclose(made.var_resid, variance, rtol=1e-9)
        # A row of which nothing is known is predicted as ever.
        plain = res.get_prediction(new)
        np.testing.assert_allclose(made.se_obs.loc[3], plain.se_obs.loc[3], rtol=1e-9)
        names = res.model.equations
        frame = pd.DataFrame(known, columns=names)
        for given in (
            frame.drop(columns="y3"),
            {name: known[:, j] for j, name in enumerate(names) if j != 2},
            frame.iloc[:, ::-1],
        ):
            pd.testing.assert_frame_equal(res.predict(new, given=given), made.predicted_mean)

    def test_equations_and_names(self, case):
        res, *_ = case
        whole = res.predict(given=True)
        pd.testing.assert_frame_equal(
            res.predict(equations=["y5", "y2"], given=True), whole[["y5", "y2"]]
        )
        only = res.model.data.orig_endog[["y1", "y4"]]
        pd.testing.assert_frame_equal(res.predict(given=["y1", "y4"]), res.predict(given=only))
        pd.testing.assert_frame_equal(res.predict(given=False), res.predict())

    def test_formulas_and_long_panels(self):
        data = load_grunfeld()
        model = LowRankSUR.from_formula(
            "invest ~ value + capital", data, groups="firm", time="year", rank=2
        )
        res = model.fit()
        wide = res.predict(given=True)
        shuffled = data.sample(frac=1.0, random_state=0)
        long = res.predict(shuffled, given=True)
        assert long.index.equals(shuffled.index)
        cells = shuffled.assign(p=long).pivot(index="year", columns="firm", values="p")
        np.testing.assert_allclose(cells[wide.columns], wide, atol=1e-7)
        # Without a firm's responses the others' predictions change and its own do not.
        hidden = shuffled.assign(invest=shuffled["invest"].mask(shuffled["firm"] == "IBM"))
        again = res.predict(hidden, given=True)
        ibm = shuffled["firm"] == "IBM"
        np.testing.assert_allclose(again[ibm], long[ibm], rtol=1e-9)
        assert (again[~ibm] - long[~ibm]).abs().max() > 1e-3
        pd.testing.assert_series_equal(res.predict(shuffled, given=hidden["invest"]), again)
        one = res.predict(shuffled, equations="IBM", given=True)
        pd.testing.assert_series_equal(one, long[ibm], check_names=False)

    def test_wide_formulas(self):
        X, Y, _ = simulate(120, 5, 2, 1, seed=3)
        data = pd.DataFrame(Y, columns=list("abcde")).assign(x=X[0][:, 1])
        res = LowRankSUR.from_formula("a + b + c + d + e ~ x", data, rank=1).fit()
        told = res.predict(data.head(4), given=True)
        np.testing.assert_allclose(told, res.predict(given=True).head(4))
        pd.testing.assert_frame_equal(
            res.predict(data[["x", "a", "d"]].head(4), given=True),
            res.predict(given=["a", "d"]).head(4),
        )
        with pytest.raises(OptionError, match="the data hold no response"):
            res.predict(data[["x"]], given=True)

    def test_refusals(self, case):
        res, X, Y, _ = case
        with pytest.raises(OptionError, match="given=True needs data with the responses"):
            res.predict(X, given=True)
        with pytest.raises(ShapeError, match=r"shape \(60, 6\), got \(59, 6\)"):
            res.predict(X, given=Y[1:])
        with pytest.raises(OptionError, match="no equation 'y9'"):
            res.predict(given=["y9"])
        frame = pd.DataFrame(Y, columns=[f"z{j}" for j in range(K)])
        with pytest.raises(OptionError, match="no equation 'z0'"):
            res.predict(given=frame)
        with pytest.raises(ShapeError, match="given has no label for row 0"):
            res.predict(given=frame.set_axis(res.model.equations, axis=1).set_axis(range(1, 61)))
        with pytest.raises(OptionError, match="given must be True"):
            res.predict(given=["a", 3.0])
        with pytest.raises(OptionError, match="without given="):
            res.get_prediction(given=True).cov_mean(0)
        data = load_grunfeld()
        model = LowRankSUR.from_formula("invest ~ value", data, groups="firm", time="year", rank=0)
        panel = model.fit()
        with pytest.raises(OptionError, match="make the model with time="):
            panel.predict(data.drop(columns="year"), given=True)
        with pytest.raises(OptionError, match="several rows of the data are one cell"):
            panel.predict(pd.concat([data, data.head(1)], ignore_index=True), given=True)


class TestWithoutRows:
    """Predictions given responses need no estimation rows."""

    def test_streams_and_removed_data(self):
        X, Y, _ = simulate(120, 5, 2, 1, seed=3)
        expected = LowRankSUR(Y, X, 1).fit()
        new, known = [x[:4] for x in X], Y[:4]
        stream = LowRankSUR.from_chunks(
            [(Y[:70], [x[:70] for x in X]), (Y[70:], [x[70:] for x in X])], 1
        ).fit()
        told = expected.get_prediction(new, given=known)
        np.testing.assert_allclose(stream.predict(new, given=known), told.predicted_mean, atol=1e-6)
        expected.remove_data()
        again = expected.get_prediction(new, given=known)
        pd.testing.assert_frame_equal(again.se_obs, told.se_obs)
        for what in (lambda: expected.predict(given=True), expected.impute):
            with pytest.raises(DataRemovedError):
                what()

    def test_a_solve_for_each_cell_gives_the_same(self, case, monkeypatch):
        from sm_alsgls.results import row_means as conditional

        res, *_ = case
        expected = res.get_prediction(given=True).var_pred_mean
        monkeypatch.setattr(conditional, "DENSE", 0)
        got = res.get_prediction(given=True).var_pred_mean
        np.testing.assert_allclose(got, expected, rtol=1e-8)
        # There the coefficients' part is left out of what impute tells.
        less = res.impute().se.to_numpy()
        filled = less > 0
        told = np.sqrt(res.get_prediction(given=True).var_resid.to_numpy())
        np.testing.assert_allclose(less[filled], told[filled], rtol=1e-12)


class TestEstimationRows:
    def test_impute(self, case):
        res, _, Y, mask = case
        whole = res.impute()
        made = res.get_prediction(given=True)
        np.testing.assert_array_equal(whole.filled, ~mask)
        np.testing.assert_array_equal(whole.values.to_numpy()[mask], Y[mask])
        np.testing.assert_allclose(
            whole.values.to_numpy()[~mask], made.predicted_mean.to_numpy()[~mask]
        )
        np.testing.assert_allclose(whole.se.to_numpy()[~mask], made.se_obs.to_numpy()[~mask])
        assert (whole.se.to_numpy()[mask] == 0).all()
        assert repr(whole) == f"<Imputation: {(~mask).sum()} cells filled>"

    def test_a_missing_response_keeps_its_weight_in_every_form(self):
        """Weights of rows are those of their cells, however they are handed in."""
        X, Y, _ = simulate(N, K, 3, 1, seed=4)
        rng = np.random.default_rng(5)
        w = rng.uniform(0.2, 5.0, N)
        Z = np.where(dense.holes(rng, N, K, 0.8, least=12), Y, np.nan)
        x = X[0]
        long = pd.DataFrame(
            {
                "y": Z.T.ravel(),
                "a": np.tile(x[:, 1], K),
                "b": np.tile(x[:, 2], K),
                "g": np.repeat([f"y{j + 1}" for j in range(K)], N),
                "t": np.tile(np.arange(N), K),
                "w": np.tile(w, K),
            }
        )
        # In half of the holes the panel has no row: nobody knows a weight, or a regressor.
        absent = long["y"].isna() & (rng.random(len(long)) < 0.5)
        cells = np.repeat(w[:, None], K, axis=1)
        models = {
            "rows": LowRankSUR(Z, x, 1, missing="fiml", weights=w),
            "cells": LowRankSUR(Z, x, 1, missing="fiml", weights=cells),
            "mapping": LowRankSUR(
                Z, x, 1, missing="fiml", weights={f"y{j + 1}": w for j in range(K)}
            ),
            "panel": LowRankSUR.from_formula(
                "y ~ a + b", long[~absent], 1, groups="g", time="t", weights="w"
            ),
        }
        made = {name: m.fit(gtol=1e-9, rel_tol=1e-12).impute() for name, m in models.items()}
        want = made.pop("rows")
        for name, other in made.items():
            at = other.filled.to_numpy()
            assert at.sum() == (
                np.isnan(Z).sum() if name != "panel" else (~absent & long["y"].isna()).sum()
            )
            for part in ("values", "se"):
                a, b = (getattr(i, part).to_numpy()[at] for i in (other, want))
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-7, err_msg=f"{name} {part}")

    def test_a_hole_without_a_weight_has_the_mean_one(self):
        X, Y, _ = simulate(N, K, 3, 1, seed=4)
        w = np.random.default_rng(5).uniform(0.2, 5.0, (N, K))
        Y[7, 2] = np.nan
        unknown = w.copy()
        unknown[7, 2] = np.nan
        mean = np.delete(w[:, 2], 7).mean()
        w[7, 2] = mean
        one, other = (
            LowRankSUR(Y, X, 1, missing="fiml", weights=v).fit().impute() for v in (unknown, w)
        )
        np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
        np.testing.assert_allclose(one.se, other.se, rtol=1e-12)

    def test_impute_leaves_what_has_no_regressors(self):
        X, Y, _ = simulate(50, 5, 3, 1)
        X = [x.copy() for x in X]
        X[2][4, 1] = np.nan
        Y[6, 2] = np.nan
        Y[4, 2] = np.nan
        whole = LowRankSUR(Y, X, 1, missing="fiml").fit().impute()
        assert np.isnan(whole.values.iloc[4, 2])
        assert np.isnan(whole.se.iloc[4, 2])
        assert not whole.filled.iloc[4, 2]
        assert whole.filled.to_numpy().sum() == 1
        assert np.isfinite(whole.values.iloc[6, 2])

    def test_complete_data_have_nothing_to_fill(self):
        X, Y, _ = simulate(50, 5, 3, 1)
        whole = LowRankSUR(Y, X, 1).fit().impute()
        np.testing.assert_array_equal(whole.values, Y)
        assert not whole.filled.to_numpy().any()

    def test_leave_one_out(self, case):
        res, X, Y, mask = case
        _, E = parts(X, Y, res)
        mean, variance = dense.conditional(E, mask, res.sigma.to_dense())
        left = res.leave_one_out()
        np.testing.assert_array_equal(left.notna(), mask)
        np.testing.assert_allclose(left.to_numpy()[mask], (E - mean)[mask], atol=1e-9)
        z = res.leave_one_out(standardised=True).to_numpy()[mask]
        np.testing.assert_allclose(z, ((E - mean) / np.sqrt(variance))[mask], atol=1e-9)
        assert 0.8 < z.std() < 1.2


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.slow
def test_intervals_of_hidden_cells_cover(debiased):
    """95 % intervals over 40 systems with 25 % hidden: within 3 Monte Carlo standard errors."""
    inside, total, closer = 0.0, 0, []
    for seed in range(40):
        X, Y, _ = simulate(80, 8, 3, 1, seed=seed, strength=1.5)
        rng = np.random.default_rng(seed)
        hidden = rng.random(Y.shape) < 0.25
        model = LowRankSUR(np.where(hidden, np.nan, Y), X, 1, missing="fiml")
        res = _quiet(model, debiased)
        whole = res.impute()
        half = 1.96 * whole.se.to_numpy()[hidden]
        error = (whole.values.to_numpy() - Y)[hidden]
        inside += np.sum(np.abs(error) < half)
        total += hidden.sum()
        plain = (res.fittedvalues.to_numpy() - Y)[hidden]
        closer.append(np.mean(error**2) / np.mean(plain**2))
    coverage = inside / total
    # Cells of a row share factors: count rows, 40 * 80.
    se = np.sqrt(0.95 * 0.05 / (40 * 80))
    assert abs(coverage - 0.95) < 3 * se + (0.0 if debiased else 0.012)
    assert np.mean(closer) < 0.6


def _quiet(model, debiased):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeywoodWarning)
        return model.fit(debiased=debiased, n_starts=1)
