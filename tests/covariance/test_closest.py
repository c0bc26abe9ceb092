"""Factor analysis of a matrix: its derivatives, its minimum, and the arrangement of loadings."""

import numpy as np
import pytest

from sm_alsgls.covariance.closest import canonical_loadings, closest, concentrated, hessian


def correlations(K, r, seed=0):
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((60, K)) + rng.standard_normal((60, r)) @ rng.standard_normal((r, K))
    return np.corrcoef(E.T)


def root_of(R):
    values, axes = np.linalg.eigh(R)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * axes.T


def discrepancy(R, F, d):
    Sigma = F @ F.T + np.diag(d)
    return 0.5 * (np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, R)))


@pytest.mark.parametrize(("K", "r"), [(6, 1), (9, 3), (5, 4)])
def test_derivatives_are_difference_quotients(K, r):
    R = correlations(K, 2)
    Y, x = root_of(R), np.random.default_rng(1).uniform(-1.5, -0.1, K)
    _, gradient, theta, V, top = concentrated(x, Y, r)
    H = hessian(theta, V, top)
    for j in range(K):
        e = 1e-5 * np.eye(K)[j]
        up, down = concentrated(x + e, Y, r), concentrated(x - e, Y, r)
        assert (up[0] - down[0]) / 2e-5 == pytest.approx(gradient[j], abs=1e-8)
        np.testing.assert_allclose((up[1] - down[1]) / 2e-5, H[j], atol=1e-7)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_the_value_is_that_of_the_best_loadings(r):
    R = correlations(7, 2)
    x = np.random.default_rng(2).uniform(-1.5, -0.1, 7)
    value, _, theta, V, top = concentrated(x, root_of(R), r)
    root = np.exp(0.5 * x)
    F = root[:, None] * V[:, top] * np.sqrt(theta[top] - 1.0)
    assert value == pytest.approx(discrepancy(R, F, root**2), rel=1e-12)
    rng = np.random.default_rng(3)
    for _ in range(20):
        near = F + 0.05 * rng.standard_normal(F.shape)
        assert discrepancy(R, near, root**2) >= value - 1e-12


@pytest.mark.parametrize(("K", "r"), [(8, 1), (8, 2), (12, 3)])
def test_a_sigma_of_that_form_is_found_again(K, r):
    rng = np.random.default_rng(K)
    F, d = rng.standard_normal((K, r)), rng.uniform(0.3, 1.0, K)
    size = np.geomspace(1e-4, 1e4, K)
    Sigma = (F @ F.T + np.diag(d)) * np.outer(size, size)
    loadings, uniquenesses = closest(Sigma, r, 1e-8, 1e-8, 500)
    np.testing.assert_allclose(uniquenesses, d * size**2, rtol=1e-6)
    found = (loadings @ loadings.T + np.diag(uniquenesses)) / np.outer(size, size)
    np.testing.assert_allclose(found, F @ F.T + np.diag(d), atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_start_does_better(seed):
    """A minimum with equal variances, to first order, below every random neighbour."""
    R = correlations(7, 2, seed)
    F, d = closest(R, 2, 1e-6, 1e-8, 500)
    np.testing.assert_allclose(np.square(F).sum(axis=1) + d, 1.0, atol=1e-7)
    best, rng = discrepancy(R, F, d), np.random.default_rng(seed)
    for _ in range(40):
        other = d * np.exp(0.2 * rng.standard_normal(7))
        assert concentrated(np.log(np.clip(other, 1e-6, 1.0)), root_of(R), 2)[0] >= best - 1e-9


def test_canonical_loadings():
    rng = np.random.default_rng(0)
    F, d = rng.standard_normal((9, 3)), rng.uniform(0.3, 1.0, 9)
    turned = F @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    one, other = canonical_loadings(F, d), canonical_loadings(turned, d)
    np.testing.assert_allclose(one, other, atol=1e-10)
    np.testing.assert_allclose(one @ one.T, F @ F.T, atol=1e-12)
    G = one.T @ (one / d[:, None])
    np.testing.assert_allclose(G, np.diag(np.diag(G)), atol=1e-10)
    assert (np.diff(np.diag(G)) <= 0.0).all()
    assert (one.sum(axis=0) >= 0.0).all()
    # Columns that add up to nothing: the first loading is positive.
    even = canonical_loadings(np.array([[-1.0], [1.0], [0.0]]), np.ones(3))
    np.testing.assert_allclose(even, [[1.0], [-1.0], [0.0]])
    # More factors than equations: columns of zeros at the end.
    wide = canonical_loadings(rng.standard_normal((2, 3)), np.ones(2))
    assert wide.shape == (2, 3)
    np.testing.assert_array_equal(wide[:, 2], 0.0)
