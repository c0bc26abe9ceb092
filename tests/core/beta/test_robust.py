"""Meats by their omega, written out as N x N matrices."""

import numpy as np
import pytest

from sm_alsgls.core.beta.robust import Clusters, Kernel, White, kernel_weights

N = 23


def omega(kind, rng):
    """The weights, and omega (N, N) of its definition."""
    if kind == "white":
        return White(), np.eye(N)
    if kind.startswith("clusters"):
        code = rng.permutation(np.r_[np.arange(6), rng.integers(0, 6, N - 6)])
        debias = kind.endswith("debiased")
        same = np.equal.outer(code, code).astype(float)
        return Clusters(code, debias), same * (6 / 5 if debias else 1.0)
    weights = kernel_weights(kind, 4, N)
    lag = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    return Kernel(weights), np.where(
        lag < len(weights), weights[np.minimum(lag, len(weights) - 1)], 0.0
    )


@pytest.mark.parametrize(
    "kind",
    ["white", "clusters", "clusters debiased", "bartlett", "parzen", "quadratic-spectral"],
)
def test_a_meat_is_its_omega(kind):
    rng = np.random.default_rng(3)
    weights, matrix = omega(kind, rng)
    U, V = rng.standard_normal((N, 4)), rng.standard_normal((N, 2))
    A, B = weights.reduce(U).T, weights.reduce(V).T
    np.testing.assert_allclose(weights.inner(A, B), U.T @ matrix @ V, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(
        weights.diagonal(A), np.diag(U.T @ matrix @ U), rtol=1e-11, atol=1e-11
    )
    assert weights.reduce(U).shape[0] == (6 if kind.startswith("clusters") else N)


def test_kernels():
    z = np.arange(6) / 6
    np.testing.assert_allclose(kernel_weights("bartlett", 5, 100), 1.0 - z)
    parzen = np.where(z <= 0.5, 1 - 6 * z**2 + 6 * z**3, 2 * (1 - z) ** 3)
    np.testing.assert_allclose(kernel_weights("parzen", 5, 100), parzen)
    x = 6 * np.pi * np.arange(1, 30) / (5 * 3.5)
    qs = 3 / x**2 * (np.sin(x) / x - np.cos(x))
    np.testing.assert_allclose(kernel_weights("quadratic-spectral", 3.5, 30)[1:], qs, rtol=1e-12)
    for name in ("bartlett", "parzen", "quadratic-spectral"):
        np.testing.assert_array_equal(kernel_weights(name, 0, 9), [1.0])
        assert len(kernel_weights(name, 50, 9)) == 9
        assert kernel_weights(name, 4, 9)[0] == 1.0
