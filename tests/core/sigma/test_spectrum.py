"""Leading eigenpairs, exact and iterated."""

import numpy as np
import pytest
import scipy.linalg

from sm_alsgls.core.sigma import spectrum as module
from sm_alsgls.core.sigma.block_spectrum import BlockSpectrum
from sm_alsgls.core.sigma.spectrum import DenseSpectrum, spectrum
from tests.core import dense, systems


def standardised(E, d, n_obs):
    u = 1 / np.sqrt(d)
    return (E.T @ E / n_obs) * u * u[:, None]


def leading(M, r):
    values, vectors = np.linalg.eigh(M)
    return values[::-1][:r], vectors[:, ::-1][:, :r]


def signless(V):
    return V @ V.T


@pytest.mark.parametrize(("n", "K"), [(60, 20), (20, 60), (30, 30)])
@pytest.mark.parametrize("n_obs", [None, 400])
@pytest.mark.parametrize("kind", [DenseSpectrum, BlockSpectrum])
def test_pairs_are_eigenpairs(n, K, n_obs, kind):
    rng = np.random.default_rng(0)
    r, N = 3, n_obs or n
    E = systems.factor_data(rng, n, K, r) * np.sqrt(N / n)
    d = rng.uniform(0.3, 1.5, K)
    theta, V, residual = kind(E, N, r).pairs(d, 1e-10)
    values, vectors = leading(standardised(E, d, N), r)
    np.testing.assert_allclose(theta, values, rtol=1e-10)
    np.testing.assert_allclose(signless(V), signless(vectors), rtol=0, atol=1e-8)
    np.testing.assert_allclose(V.T @ V, np.eye(r), rtol=0, atol=1e-12)
    assert residual <= 1e-10


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-8])
def test_residual_is_the_gradient_in_the_loadings(tol):
    rng = np.random.default_rng(1)
    n, K, r = 80, 50, 2
    E = systems.factor_data(rng, n, K, r)
    d = rng.uniform(0.3, 1.5, K)
    theta, V, residual = BlockSpectrum(E, n, r).pairs(d, tol)
    assert residual <= tol
    F = np.sqrt(d)[:, None] * V * np.sqrt(np.maximum(theta - 1, 0))
    g_F, _ = dense.gradient_sigma(E.T @ E / n, F, d)
    actual = V.T @ (np.sqrt(d)[:, None] * g_F)
    gradient = np.sqrt(d)[:, None] * g_F
    # Ritz pairs: nothing is left inside the block; the rest is measured in the eigenbasis.
    np.testing.assert_allclose(actual, 0, rtol=0, atol=1e-12)
    assert np.abs(gradient).max() == pytest.approx(residual, rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_weak_separation(tol):
    """No factors in the data: the wanted eigenvalues lie in the bulk, a percent apart."""
    rng = np.random.default_rng(2)
    n, K, r = 400, 160, 4
    E = rng.standard_normal((n, K))
    d = np.full(K, 0.5)
    source = BlockSpectrum(E, n, r)
    for _ in range(12):
        # What one call leaves, the next one goes on from.
        theta, V, residual = source.pairs(d, tol)
        values, _ = leading(standardised(E, d, n), r)
        assert np.all(theta <= values * (1 + 1e-12))
        if residual <= tol:
            break
    assert residual <= tol
    # A Ritz value errs by the square of its residual over the gap, here about 0.05.
    np.testing.assert_allclose(theta, values, rtol=max(1e-9, 100 * tol**2))
    np.testing.assert_allclose(V.T @ V, np.eye(r), rtol=0, atol=1e-12)


def test_another_d_costs_no_product_within_the_space():
    """S W is kept: pairs for a new d are those of the projected pencil (W'SW, W'DW)."""
    rng = np.random.default_rng(9)
    n, K, r = 60, 40, 3
    E = systems.factor_data(rng, n, K, r)
    d = rng.uniform(0.3, 1.5, K)
    source = BlockSpectrum(E, n, r)
    source.pairs(d, 1e-6)
    spent, W = source.products, source._W[: source._m].T
    other = d * rng.uniform(0.9, 1.1, K)
    theta, V, residual = source.pairs(other, np.inf)
    assert source.products == spent
    S = E.T @ E / n
    values = scipy.linalg.eigh(W.T @ S @ W, W.T @ (other[:, None] * W), eigvals_only=True)
    np.testing.assert_allclose(theta, values[::-1][:r], rtol=1e-10)
    gap = standardised(E, other, n) @ V - V * theta
    assert residual == pytest.approx(np.abs(gap * np.sqrt(theta - 1) / theta).max(), rel=1e-8)


@pytest.mark.parametrize("ratio", [1e-6, 1e6])
def test_d_that_moves_by_orders_of_magnitude(ratio):
    """As when a Heywood case is put on its bound: W is made orthonormal again."""
    rng = np.random.default_rng(10)
    n, K, r = 60, 40, 3
    E = systems.factor_data(rng, n, K, r)
    d = rng.uniform(0.3, 1.5, K)
    source = BlockSpectrum(E, n, r)
    source.pairs(d, 1e-6)
    d[[2, 5]] *= ratio
    theta, V, _ = source.pairs(d, 1e-9)
    values, vectors = leading(standardised(E, d, n), r)
    np.testing.assert_allclose(theta, values, rtol=1e-8)  # they span seven orders of magnitude
    np.testing.assert_allclose(signless(V), signless(vectors), rtol=0, atol=1e-8)
    np.testing.assert_allclose(V.T @ V, np.eye(r), rtol=0, atol=1e-10)


def test_repeated_eigenvalues():
    n, K, r = 30, 24, 3
    rng = np.random.default_rng(3)
    S = np.eye(K)
    S[:6, :6] += 4 * np.eye(6)
    E = systems.data_with_covariance(rng, n, S)
    theta, V, residual = BlockSpectrum(E, n, r).pairs(np.ones(K), 1e-9)
    np.testing.assert_allclose(theta, 5.0, rtol=1e-10)
    np.testing.assert_allclose(
        S @ V, 5 * V, rtol=0, atol=1e-6
    )  # vectors: square root of the values
    assert residual <= 1e-9


@pytest.mark.parametrize(("n", "K", "r"), [(50, 10, 6), (12, 40, 8), (9, 9, 5), (50, 10, 4)])
def test_rank_close_to_the_smaller_side(n, K, r):
    rng = np.random.default_rng(4)
    E = rng.standard_normal((n, K))
    d = rng.uniform(0.1, 0.5, K)
    values, vectors = leading(standardised(E, d, n), r)
    for kind in (DenseSpectrum, BlockSpectrum):
        theta, V, residual = kind(E, n, r).pairs(d, 1e-9)
        assert theta.shape == (r,)
        assert V.shape == (K, r)
        assert residual <= 1e-9
        np.testing.assert_allclose(theta, values, rtol=1e-10)
        np.testing.assert_allclose(signless(V), signless(vectors), rtol=0, atol=1e-7)


def test_warm_start_saves_products():
    rng = np.random.default_rng(5)
    E = systems.factor_data(rng, 200, 180, 3)
    d = rng.uniform(0.3, 1.5, 180)
    cold = BlockSpectrum(E, 200, 3)
    cold.pairs(d, 1e-8)
    warm = BlockSpectrum(E, 200, 3, cold.block)
    theta, _, residual = warm.pairs(d * 1.001, 1e-8)
    assert residual <= 1e-8
    assert warm.products < cold.products
    np.testing.assert_allclose(theta, leading(standardised(E, d * 1.001, 200), 3)[0], rtol=1e-10)


def test_a_start_of_another_shape_is_replaced():
    rng = np.random.default_rng(6)
    E = systems.factor_data(rng, 40, 30, 2)
    other = BlockSpectrum(E, 40, 3)
    fresh, given = BlockSpectrum(E, 40, 2), BlockSpectrum(E, 40, 2, other.block)
    np.testing.assert_array_equal(fresh.block, given.block)


def test_choice_follows_the_smaller_side(monkeypatch):
    rng = np.random.default_rng(7)
    E = rng.standard_normal((40, 30))
    assert isinstance(spectrum(E, 40, 2), DenseSpectrum)
    monkeypatch.setattr(module, "DENSE_LIMIT", 10)
    assert isinstance(spectrum(E, 40, 2), BlockSpectrum)
    assert isinstance(spectrum(E[:9], 9, 2), DenseSpectrum)
    # Where the block would be as wide as the matrix, iterating is pointless.
    assert isinstance(spectrum(E, 40, 14), DenseSpectrum)


@pytest.mark.parametrize("kind", [DenseSpectrum, BlockSpectrum])
def test_residuals_and_random_state_are_left_alone(kind):
    E = np.random.default_rng(8).standard_normal((30, 20))
    kept = E.copy()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    source = kind(E, 30, 2)
    source.pairs(np.ones(20), 1e-6)
    np.testing.assert_array_equal(E, kept)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(("n", "K", "r"), [(30, 7, 3), (60, 12, 1), (40, 6, 2)])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_hessian_is_the_derivative_of_the_gradient(n, K, r, scale):
    """Also where only some of the r eigenvalues exceed 1 (scale 3)."""
    rng = np.random.default_rng(n + K)
    E = np.asfortranarray(systems.factor_data(rng, n, K, r))
    s = np.einsum("nk,nk->k", E, E) / n
    source = DenseSpectrum(E, n, r)
    x = np.log(scale * s * rng.uniform(0.2, 0.6, K))

    def gradient(x):
        d = np.exp(x)
        theta, V, _ = source.pairs(d)
        return 0.5 * (1.0 + np.square(V) @ (np.maximum(theta, 1.0) - 1.0) - s / d)

    H, h = source.hessian(np.exp(x)), 1e-5
    numeric = [(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in np.eye(K)]
    np.testing.assert_allclose(H, numeric, rtol=0, atol=1e-8)


def test_no_hessian_where_it_is_dear():
    rng = np.random.default_rng(0)
    d = np.ones(40)
    assert DenseSpectrum(np.asfortranarray(rng.standard_normal((90, 40))), 90, 2).hessian(d) is None
    wide = DenseSpectrum(np.asfortranarray(rng.standard_normal((9, 20))), 9, 2)
    assert wide.hessian(np.ones(20)) is None


def test_a_start_that_sees_no_factor_is_not_believed():
    """Random vectors have Ritz values near the mean eigenvalue, here 0.2."""
    rng = np.random.default_rng(12)
    n, K, r = 400, 200, 3
    E = np.asfortranarray(systems.factor_data(rng, n, K, r))
    d = np.einsum("nk,nk->k", E, E) / n / 0.2
    theta, _, residual = BlockSpectrum(E, n, r).pairs(d, 1e-8)
    np.testing.assert_allclose(theta, leading(standardised(E, d, n), r)[0], rtol=1e-10)
    assert residual <= 1e-8


@pytest.mark.parametrize(("strength", "narrow"), [(1.0, True), (0.0, False)])
def test_a_space_grows_by_what_is_asked_for_where_that_stands_out(strength, narrow, monkeypatch):
    rng = np.random.default_rng(5)
    E = np.asfortranarray(rng.standard_normal((200, 300)))
    E += strength * rng.standard_normal((200, 3)) @ rng.standard_normal((3, 300))
    source, widths = BlockSpectrum(E, 200, 3), []
    extend = source._extend
    monkeypatch.setattr(source, "_extend", lambda W: (widths.append(W.shape[1]), extend(W)))
    theta, V, left = source.pairs(np.full(300, 0.5), 1e-6)
    values = np.linalg.eigvalsh(E @ E.T / (0.5 * 200))[::-1][:3]
    np.testing.assert_allclose(theta, values, rtol=1e-9)
    np.testing.assert_allclose(V.T @ V, np.eye(3), atol=1e-12)
    assert left <= 1e-6
    assert (4 in widths[1:]) == narrow
    assert set(widths) <= {4, 8}
