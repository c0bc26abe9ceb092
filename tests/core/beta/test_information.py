"""H^-1 of the coefficients by its three routes, against the stacked system's inverse."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from sm_alsgls.core.beta import whole_rows
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.whole_rows import WholeRows
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.covariance import LowRankDiag


def system(N, K, r, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((N, 1 + j % 3)) * 10.0 ** rng.integers(-3, 4) for j in range(K)]
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), rng.uniform(0.1, 1.0, K))
    Z = block_diag(*X)
    precision = np.kron(np.linalg.inv(cov.to_dense()), np.eye(N))
    return X, cov, np.linalg.inv(Z.T @ precision @ Z)


@pytest.mark.parametrize(("N", "K", "r"), [(30, 6, 2), (12, 20, 1), (9, 5, 0), (15, 1, 0)])
@pytest.mark.parametrize("route", ["dense", "dual", "cg"])
def test_routes_agree_with_the_stacked_inverse(N, K, r, route):
    X, cov, V = system(N, K, r)
    C = CoefficientCovariance(Design(X), cov, N)
    C.__dict__["route"] = route
    scale = np.sqrt(np.diag(V))
    np.testing.assert_allclose(C.variances(), np.diag(V), rtol=1e-9)
    stop = np.cumsum([x.shape[1] for x in X])
    for j in (0, K // 2, K - 1):
        at = slice(stop[j] - X[j].shape[1], stop[j])
        np.testing.assert_allclose(
            C.block(j) / np.outer(scale[at], scale[at]),
            V[at, at] / np.outer(scale[at], scale[at]),
            atol=1e-10,
        )
    R = np.random.default_rng(1).standard_normal((3, len(V))) / scale
    np.testing.assert_allclose(C.combinations(R), R @ V @ R.T, rtol=1e-9)
    np.testing.assert_allclose(C.combinations(R[:1], R[1:]), R[:1] @ V @ R[1:].T, rtol=1e-8)
    np.testing.assert_allclose(
        np.asarray(C) / np.outer(scale, scale), V / np.outer(scale, scale), atol=1e-10
    )
    assert C.shape == V.shape


@pytest.mark.parametrize("route", ["dense", "cg"])
def test_ridge_enters_the_normal_matrix(route):
    X, cov, V = system(30, 5, 1)
    rng = np.random.default_rng(2)
    weights = [rng.uniform(0.1, 2.0, x.shape[1]) for x in X]
    design = Design(X)
    C = CoefficientCovariance(design, cov, 30, design.ridge(weights))
    C.__dict__["route"] = route
    expected = np.linalg.inv(np.linalg.inv(V) + 30 * np.diag(np.concatenate(weights)))
    np.testing.assert_allclose(C.variances(), np.diag(expected), rtol=1e-9)


def test_the_cheapest_route_is_chosen():
    X, cov, _ = system(4, 60, 1)
    assert CoefficientCovariance(Design(X), cov, 4).route == "dual"
    X, cov, _ = system(40, 6, 1)
    assert CoefficientCovariance(Design(X), cov, 40).route == "dense"


@pytest.mark.parametrize(("N", "K", "r"), [(6, 9, 1), (11, 4, 2), (20, 5, 3)])
def test_costs_are_the_flops_and_bytes_of_what_is_done(N, K, r, monkeypatch):
    X, cov, _ = system(N, K, r)
    kernel = WholeRows(Design(X), cov, N)
    P, m, squares = sum(x.shape[1] for x in X), N * r, r * (r + 1) // 2
    products, cholesky, inverse = N * P**2, P**3 / 3, P**3 / 3
    dense = products + cholesky + inverse
    # T's blocks by symmetric updates, its factor, and two triangular solves of P columns.
    dual = squares * N**2 * P + m**3 / 3 + m**2 * P
    cg = 60 * P * (N * P + N * K * r)
    costs = kernel.costs()
    assert costs == pytest.approx({"dense": dense, "dual": dual, "cg": cg}, rel=1e-12)
    for name, numbers in (("dense", 2 * P**2), ("dual", m**2 + squares * N**2)):
        monkeypatch.setattr(whole_rows, "MEMORY", 8 * numbers)
        assert np.isfinite(kernel.costs()[name])
        monkeypatch.setattr(whole_rows, "MEMORY", 8 * numbers - 1)
        assert kernel.costs()[name] == np.inf
        assert np.isfinite(kernel.costs()["cg"])
