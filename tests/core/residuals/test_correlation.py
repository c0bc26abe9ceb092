"""Sums over pairs of equations, pair by pair."""

import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.residuals.correlation import (
    robust_squares,
    standardised_squares,
    sum_of_correlations,
    sum_of_squared_correlations,
    unit_columns,
)


def pairs(K):
    return [(j, m) for j in range(K) for m in range(j + 1, K)]


@pytest.mark.parametrize(("n", "K"), [(20, 6), (5, 12), (30, 1)])
def test_sums_of_correlations(n, K):
    E = np.random.default_rng(n).standard_normal((n, K)) * np.geomspace(1e-6, 1e6, K)
    Z = unit_columns(E)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=0), 1.0, rtol=1e-14)
    r = np.array([Z[:, j] @ Z[:, m] for j, m in pairs(K)])
    assert sum_of_correlations(Z) == pytest.approx(r.sum(), abs=1e-12)
    assert sum_of_squared_correlations(Z) == pytest.approx(np.square(r).sum(), abs=1e-12)


@pytest.mark.parametrize("K", [5, 300])
def test_robust_squares(K):
    """More than 256 equations are worked on in parts; two that never meet have nothing to say."""
    E = np.random.default_rng(0).standard_normal((11, K))
    E[:6, 0] = 0.0
    E[6:, 1] = 0.0
    expected = 0.0
    for j, m in pairs(K):
        product = E[:, j] * E[:, m]
        spread = np.square(product).sum()
        expected += product.sum() ** 2 / spread - 1.0 if spread > 0.0 else 0.0
    assert robust_squares(E) == pytest.approx(expected, rel=1e-10)


def residual_maker(X):
    return np.eye(len(X)) - X @ np.linalg.pinv(X)


@pytest.mark.parametrize("shared", [True, False])
def test_moments_of_squared_correlations(shared):
    rng = np.random.default_rng(2)
    N, K = 14, 4
    X = [rng.standard_normal((N, 2 + j % 2 * (not shared))) for j in range(K)]
    X = [X[0]] * K if shared else X
    M = [residual_maker(x) for x in X]
    E = np.column_stack([m @ rng.standard_normal(N) for m in M])
    Z, total = unit_columns(E), 0.0
    for j, m in pairs(K):
        a, b = np.trace(M[j] @ M[m]), np.trace(M[j] @ M[m] @ M[j] @ M[m])
        p, q = np.trace(M[j]), np.trace(M[m])
        mu = a / (p * q)
        fourth = 3.0 * (a**2 + 2.0 * b) / (p * (p + 2.0) * q * (q + 2.0))
        total += ((Z[:, j] @ Z[:, m]) ** 2 - mu) / np.sqrt(fourth - mu**2)
    assert standardised_squares(Z, Design(X), N) == pytest.approx(total, rel=1e-9)


def test_they_are_the_moments_of_draws():
    """Mean 0 and variance 1 under the null, for designs that overlap."""
    rng = np.random.default_rng(3)
    common = rng.standard_normal((12, 2))
    X = [np.column_stack([common, rng.standard_normal(12)]) for _ in range(2)]
    M, design = [residual_maker(x) for x in X], Design(X)
    draws = [
        standardised_squares(
            unit_columns(np.column_stack([m @ rng.standard_normal(12) for m in M])), design, 12
        )
        for _ in range(4000)
    ]
    assert np.mean(draws) == pytest.approx(0.0, abs=0.06)
    assert np.var(draws) == pytest.approx(1.0, abs=0.15)
