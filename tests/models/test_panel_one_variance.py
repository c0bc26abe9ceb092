"""One variance for all cells: least squares with dummies, whatever is missing or weighted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankPanel

N, T = 30, 6
HOLES = [7, 8, 50, 99, 121]
#: independent=, effects=
LAYOUTS = [
    ("entity", "entity"), ("time", "entity"), ("entity", "time"), ("time", "time"),
    ("entity", "both"), ("time", "both"),
]  # fmt: skip


def panel(holes):
    rng = np.random.default_rng(0)
    d = pd.DataFrame([(i, t) for i in range(N) for t in range(T)], columns=["i", "t"])
    a = 3.0 * rng.standard_normal(N)[d["i"]]
    d["x"] = rng.standard_normal(N * T) + a
    d["z"] = rng.standard_normal(N * T) * (1.0 + np.abs(a))
    d["w"] = 10.0 ** rng.uniform(0.0, 2.0, N)[d["i"]] * rng.uniform(0.5, 2.0, N * T)
    d["y"] = d["x"] + a + rng.standard_normal(N * T) * (1.0 + np.abs(d["z"]))
    return d.drop(index=HOLES) if holes else d


def fitted(d, independent, effects, **kw):
    model = LowRankPanel.from_formula(
        "y ~ x + z", d, "spherical", entity="i", time="t", independent=independent,
        effects=effects, **kw,
    )  # fmt: skip
    return model.fit()


def dummies(d, effects):
    """Regressors with a column for each unit, each period, or both but one."""
    out = [d[["x", "z"]].to_numpy()]
    if effects in ("entity", "both"):
        out.append(pd.get_dummies(d["i"]).to_numpy(float))
    if effects in ("time", "both"):
        out.append(pd.get_dummies(d["t"]).to_numpy(float)[:, effects == "both" :])
    return np.column_stack(out)


class TestLeastSquaresWithDummies:
    """Coefficients, standard errors and t tests of PanelOLS and xtreg, fe."""

    @pytest.mark.parametrize("holes", [False, True])
    @pytest.mark.parametrize(("independent", "effects"), LAYOUTS)
    def test_everything_is_that_of_dummies(self, holes, independent, effects):
        d = panel(holes)
        res, Z = fitted(d, independent, effects), dummies(d, effects)
        bread = np.linalg.inv(Z.T @ Z)
        b = bread @ Z.T @ d["y"]
        e, df = d["y"].to_numpy() - Z @ b, len(d) - Z.shape[1]
        names = ["x", "z"]
        np.testing.assert_allclose(res.params[names], b[:2], rtol=1e-8)
        se = np.sqrt(np.diag(bread)[:2] * (e @ e) / df)
        np.testing.assert_allclose(res.bse[names], se, rtol=1e-8)
        # Cells less coefficients, and less the parameter of Sigma.
        assert res.df_resid_inference == df
        assert res.df_resid == df - 1
        np.testing.assert_allclose(
            res.pvalues[names], 2.0 * stats.t.sf(np.abs(b[:2] / se), df), rtol=1e-6
        )
        # Rows are what is independent.
        scores = pd.DataFrame(Z * e[:, None]).groupby(
            d[{"entity": "i", "time": "t"}[independent]].to_numpy()
        )
        meat = scores.sum().to_numpy()
        by_hand = np.sqrt(np.diag(bread @ meat.T @ meat @ bread))[:2]
        robust = res.get_robustcov_results("HC0")
        np.testing.assert_allclose(robust.bse[names], by_hand, rtol=1e-8)

    @pytest.mark.parametrize("cov_type", ["HC1", "HC2", "HC3", "HAC"])
    def test_a_missing_cell_changes_robust_errors_by_little(self, cov_type):
        whole, holes = (
            fitted(panel(h), "entity", "entity").get_robustcov_results(cov_type).bse[["x", "z"]]
            for h in (False, True)
        )
        np.testing.assert_allclose(holes, whole, rtol=0.25)

    @pytest.mark.parametrize(("independent", "effects"), LAYOUTS)
    def test_residuals_are_those_of_dummies_beside_missing_cells(self, independent, effects):
        d = panel(True)
        res, Z = fitted(d, independent, effects), dummies(d, effects)
        e = d["y"].to_numpy() - Z @ np.linalg.lstsq(Z, d["y"], rcond=None)[0]
        found = res.resid if independent == "entity" else res.resid.T
        np.testing.assert_allclose(found.stack().dropna(), e, atol=1e-8)
        np.testing.assert_allclose(
            (res.fittedvalues + res.resid).stack().dropna(),
            pd.DataFrame(res.model.endog).stack().dropna(), atol=1e-9,
        )  # fmt: skip


class TestNeighbours:
    """Spatial errors of one variance, whole or with missing responses: the same degrees."""

    @pytest.mark.parametrize("holes", [False, True])
    def test_errors(self, holes):
        d = panel(False)
        if holes:
            d.loc[HOLES, "y"] = np.nan
        W = 0.5 * (np.roll(np.eye(N), 1, axis=1) + np.roll(np.eye(N), -1, axis=1))
        model = LowRankPanel.from_formula(
            "y ~ x + z", d, "spherical", entity="i", time="t", independent="time",
            spatial_error=W, missing="fiml",
        )  # fmt: skip
        res = model.fit()
        d = d.sort_values(["t", "i"])
        seen = d["y"].notna().to_numpy()
        B = np.linalg.inv(np.eye(N) - res.law_params()["coef"].iloc[0] * W)
        Omega = np.kron(np.eye(T), B @ B.T)[np.ix_(seen, seen)]
        X = np.column_stack([np.ones(N * T), d[["x", "z"]]])[seen]
        df = seen.sum() - 3
        assert res.df_resid_inference == df
        s = res.sigma.diag()[0] * seen.sum() / df
        V = s * np.linalg.inv(X.T @ np.linalg.solve(Omega, X))
        names = ["Intercept", "x", "z"]
        np.testing.assert_allclose(res.bse[names], np.sqrt(np.diag(V)), rtol=1e-6)


class TestWeights:
    """They compare cells of different equations as well."""

    @pytest.mark.parametrize("holes", [False, True])
    @pytest.mark.parametrize("independent", ["entity", "time"])
    def test_weighted_least_squares_over_all_cells(self, holes, independent):
        d = panel(holes)
        res = fitted(d, independent, None, weights="w")
        Z, w = np.column_stack([np.ones(len(d)), d[["x", "z"]]]), d["w"].to_numpy()
        bread = np.linalg.inv(Z.T @ (Z * w[:, None]))
        b = bread @ Z.T @ (w * d["y"])
        e, df = d["y"].to_numpy() - Z @ b, len(d) - 3
        names = ["Intercept", "x", "z"]
        np.testing.assert_allclose(res.params[names], b, rtol=1e-8)
        se = np.sqrt(np.diag(bread) * (w @ e**2) / df)
        np.testing.assert_allclose(res.bse[names], se, rtol=1e-8)
        s = (w @ e**2) / len(d)
        llf = stats.norm.logpdf(e, scale=np.sqrt(s / w)).sum()
        assert res.llf == pytest.approx(llf, abs=1e-8)

    @pytest.mark.parametrize("holes", [False, True])
    def test_exchangeable_errors_at_the_dense_likelihood(self, holes):
        d = panel(holes)
        model = LowRankPanel.from_formula(
            "y ~ x + z", d, "exchangeable", entity="i", time="t", independent="entity", weights="w"
        )
        res = model.fit(gtol=1e-9)
        Z = np.column_stack([np.ones(len(d)), d[["x", "z"]]])
        scale = d["w"].to_numpy() / d["w"].mean()

        def llf(b, s, c):
            e = pd.Series((d["y"].to_numpy() - Z @ b) * np.sqrt(scale), index=d["i"].to_numpy())
            out = 0.5 * np.log(scale).sum()
            for _, one in e.groupby(level=0):
                sigma = s * np.eye(len(one)) + c
                out += stats.multivariate_normal.logpdf(one, cov=sigma)
            return out

        Sigma = res.sigma.to_dense()
        b, c = res.params[["Intercept", "x", "z"]].to_numpy(), Sigma[0, 1]
        s = Sigma[0, 0] - c
        assert res.llf == pytest.approx(llf(b, s, c), abs=1e-8)
        for at in range(5):
            h = 1e-5 * np.array([1.0, 1.0, 1.0, s, s])
            steps = [np.array([*b, s, c]) + sign * h * (np.arange(5) == at) for sign in (1, -1)]
            slope = (llf(steps[0][:3], *steps[0][3:]) - llf(steps[1][:3], *steps[1][3:])) / (
                2.0 * h[at]
            )
            assert abs(slope) * max(1.0, s) < 2e-3


def test_intervals_of_pooled_slopes_where_periods_are_few():
    """A pooled slope is one coefficient, not one of every equation: 95 % were 100 before."""
    rng = np.random.default_rng(5)
    inside, reps = 0, 60
    for _ in range(reps):
        d = pd.DataFrame([(i, t) for i in range(20) for t in range(5)], columns=["i", "t"])
        d[["x", "z"]] = rng.standard_normal((100, 2))
        d["y"] = d["x"] + rng.standard_normal(20)[d["i"]] + rng.standard_normal(100)
        low, high = fitted(d, "time", "entity").conf_int().loc["x"]
        inside += low < 1.0 < high
        assert high - low < 4.0 * 1.5 / np.sqrt(80)
    # Monte Carlo error .028.
    assert inside / reps > 0.95 - 3.0 * 0.028
