import numpy as np
import pytest
from statsmodels.multivariate.factor_rotation import rotate_factors

from sm_alsgls.core.sigma.rotation import METHODS, OBLIQUE, ORTHOGONAL, rotate


def structured(K=12, r=3, seed=0):
    """Simple loadings, turned: a rotation has something to find."""
    rng = np.random.default_rng(seed)
    simple = 0.1 * rng.standard_normal((K, r))
    simple[np.arange(K), np.arange(K) % r] += rng.uniform(0.5, 1.0, K)
    return simple @ np.linalg.qr(rng.standard_normal((r, r)))[0]


def arranged(L):
    """Columns and signs as `rotate` arranges them."""
    L = L[:, np.argsort(-np.square(L).sum(axis=0))]
    return L * np.where(L.sum(axis=0) < 0, -1.0, 1.0)


@pytest.mark.parametrize("method", [*ORTHOGONAL, *OBLIQUE])
def test_equals_statsmodels(method):
    A = structured()
    with np.errstate(all="ignore"):
        L, _ = rotate_factors(A, method, tol=1e-7, max_tries=5000)
    # From a slope of 1e-7 loadings are within 1e-7; at less its line search ends in no step that is
    # small enough, 5000 times over.
    np.testing.assert_allclose(rotate(A, method).loadings, arranged(L), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_sigma_is_kept_and_factors_have_unit_variance(method):
    A = structured(20, 4, 1)
    L, Phi = rotate(A, method)
    np.testing.assert_allclose(L @ Phi @ L.T, A @ A.T, atol=1e-10)
    np.testing.assert_allclose(np.diag(Phi), 1.0, atol=1e-12)
    oblique = np.abs(Phi - np.eye(4)).max() > 1e-3
    assert oblique == (method not in ORTHOGONAL)
    assert (L.sum(axis=0) >= 0).all()
    assert (np.diff(np.square(L).sum(axis=0)) <= 0).all()


def test_promax_is_the_regression_of_powers_on_varimax_loadings():
    A = structured()
    V = rotate(A, "varimax").loadings
    S = np.linalg.solve(V.T @ V, V.T @ (np.sign(V) * V**4))
    S = S * np.sqrt(np.diag(np.linalg.inv(S.T @ S)))
    np.testing.assert_allclose(rotate(A, "promax").loadings, arranged(V @ S), atol=1e-8)


def test_one_factor_only_gets_its_sign():
    A = -structured(6, 1)
    for method in METHODS:
        np.testing.assert_array_equal(np.abs(rotate(A, method).loadings), np.abs(A))
