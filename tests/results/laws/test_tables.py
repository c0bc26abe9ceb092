"""Parameters of laws and effects of a lag: what tables say, against dense algebra."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankPanel
from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.data.error_laws import left_of
from sm_alsgls.results.beside_laws import BesideLaws
from sm_alsgls.results.covariance import covariance

K, T = 8, 40
RING = 0.5 * (np.roll(np.eye(K), 1, axis=1) + np.roll(np.eye(K), -1, axis=1))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((T, K))
    u = rng.standard_normal((T, 1)) + rng.standard_normal((T, K))
    y = (1.0 + x + u) @ np.linalg.inv(np.eye(K) - 0.4 * RING).T
    t, i = np.indices((T, K))
    return pd.DataFrame({"y": y.ravel(), "x": x.ravel(), "t": t.ravel(), "i": i.ravel()})


def panel(data, **laws):
    return LowRankPanel.from_formula(
        "y ~ x", data, 1, entity="i", time="t", independent="time", **laws
    )


@pytest.fixture(scope="module")
def lagged(data):
    return panel(data, spatial_lag=RING).fit()


def test_parameters_have_normal_tests_and_intervals(data, lagged):
    for res in (lagged, panel(data, ar="common").fit()):
        row = res.law_params(alpha=0.1).iloc[0].to_numpy()
        b, se = row[:2]
        np.testing.assert_allclose(row[2], b / se)
        np.testing.assert_allclose(row[3], 2.0 * stats.norm.sf(abs(b / se)))
        np.testing.assert_allclose(row[4:], b + se * stats.norm.ppf([0.05, 0.95]))


def test_errors_of_spatial_parameters_miss_what_factors_take(data, lagged):
    """N / (N - r) times the curvature's variance; of AR coefficients that itself."""
    for res, factor in ((lagged, T / (T - 1.0)), (panel(data, ar="common").fit(), 1.0)):
        plain = res.estimate.sample.laws.found.best.nuisance.cov
        np.testing.assert_allclose(res.law_params()["std err"].iloc[0] ** 2, factor * plain[0, 0])


def test_effects_of_a_lag_by_numerical_derivatives(lagged):
    laws, params = lagged.estimate.laws, np.asarray(lagged.params)
    at = list(lagged.params.index).index("x")

    def effects(b, rho):
        S = b * np.linalg.inv(np.eye(K) - rho * RING)
        direct, total = np.trace(S) / K, S.sum() / K
        return np.array([direct, total - direct, total])

    b, rho, h = params[at], laws.rho, 1e-6
    J = np.column_stack(
        [
            effects(b + h, rho) - effects(b - h, rho),
            effects(b, rho + h) - effects(b, rho - h),
        ]
    ) / (2.0 * h)
    V = np.empty((2, 2))
    V[0, 0] = np.asarray(lagged.cov_params())[at, at]
    V[0, 1] = V[1, 0] = laws.slopes[at, 0] * laws.cov[0, 0]
    V[1, 1] = laws.cov[0, 0]
    assert abs(V[0, 1]) > 0.05 * np.sqrt(V[0, 0] * V[1, 1])
    table = lagged.spatial_effects().loc["x"]
    np.testing.assert_allclose(table["effect"], effects(b, rho), rtol=1e-9)
    np.testing.assert_allclose(table["std err"], np.sqrt(np.diagonal(J @ V @ J.T)), rtol=1e-6)


def test_coefficients_beside_a_lag_have_the_whole_information(lagged):
    V = covariance(lagged.estimate)
    assert isinstance(V, BesideLaws)
    laws, labels = lagged.estimate.laws, lagged.estimate.labels
    more = laws.slopes @ laws.cov @ laws.slopes.T
    given = V.dense() - more
    assert (np.diagonal(more) > 0.01 * np.diagonal(given)).any()
    assert (np.linalg.eigvalsh(given) > 0.0).all()
    problem = lagged.estimate.sample.problem
    sigma = lagged.sigma_inference
    bread = problem.covariance(sigma)
    stretch = problem.errors.stretch(bread.design, sigma)
    bread = bread if stretch is None else bread.stretched(stretch)
    np.testing.assert_allclose(given, bread.dense(), rtol=1e-8)
    np.testing.assert_allclose(V.variances(), np.diagonal(V.dense()))
    np.testing.assert_allclose(np.asarray(lagged.bse) ** 2, np.diagonal(V.dense()))
    at = labels.columns(0)
    np.testing.assert_allclose(V.block(0), V.dense()[at][:, at])
    R = np.random.default_rng(0).standard_normal((2, labels.P))
    np.testing.assert_allclose(V.combinations(R), R @ V.dense() @ R.T)


def test_a_rank_is_chosen_from_residuals_without_what_neighbours_sent(data):
    model = panel(data, spatial_error=RING)
    raw = model.raw_system(ALSOptions(), model.laws, law_of(0)).at(np.array([0.3]))
    left = left_of(model.system, raw)
    E = raw.problem(compress=False).E_ols
    np.testing.assert_allclose(left.Y, E @ (np.eye(K) - 0.3 * RING).T, atol=1e-12)
