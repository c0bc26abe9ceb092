"""The closed forms against sums over the elements of Sigma."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

from sm_alsgls.core.beta.estimated_unrestricted import added_covariance


def system(seed, K, n, p, shared=0.0, holes=False):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, p))
    Q = [
        np.linalg.qr(np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((n, p)))[
            0
        ]
        for _ in range(K)
    ]
    root = rng.standard_normal((K + 2, K))
    Sigma = root.T @ root
    owner = np.repeat(np.arange(K), p)
    return Q, Sigma, owner


def dense_lambda(Q, Sigma, V):
    """Kackar and Harville (1984), parameter by parameter, with N = 1."""
    K, n = len(Sigma), len(Q[0])
    X, P = block_diag(*Q), np.linalg.inv(Sigma)
    pairs = [(i, j) for i in range(K) for j in range(i + 1)]
    slopes = []
    for i, j in pairs:
        dS = np.zeros((K, K))
        dS[i, j] = dS[j, i] = 1.0
        slopes.append(dS)
    information = np.array([[0.5 * np.trace(P @ a @ P @ b) for b in slopes] for a in slopes])
    W = np.linalg.inv(information)
    products = [-X.T @ np.kron(P @ dS @ P, np.eye(n)) @ X for dS in slopes]
    inner = 0.0
    for a in range(len(pairs)):
        for b in range(len(pairs)):
            outer = X.T @ np.kron(P @ slopes[a] @ P @ slopes[b] @ P, np.eye(n)) @ X
            inner = inner + W[a, b] * (outer - products[a] @ V @ products[b])
    return V @ inner @ V


@pytest.mark.parametrize(("K", "shared"), [(2, 0.0), (3, 0.0), (3, 0.9), (4, 0.5)])
def test_the_exact_form_is_kackar_and_harvilles(K, shared):
    Q, Sigma, owner = system(K, K, 8, 2, shared)
    X, P = block_diag(*Q), np.linalg.inv(Sigma)
    V = np.linalg.inv(X.T @ np.kron(P, np.eye(8)) @ X)
    C = np.concatenate(Q, axis=1).T @ np.concatenate(Q, axis=1)
    got = added_covariance(P, owner, C, V, exact=True)
    want = dense_lambda(Q, Sigma, V)
    assert_allclose(got, want, rtol=0, atol=1e-9 * np.abs(V).max())


def test_under_restrictions():
    Q, Sigma, owner = system(7, 3, 8, 2)
    X, P = block_diag(*Q), np.linalg.inv(Sigma)
    free = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 4)))[0]
    H = X.T @ np.kron(P, np.eye(8)) @ X
    V = free @ np.linalg.inv(free.T @ H @ free) @ free.T
    C = np.concatenate(Q, axis=1).T @ np.concatenate(Q, axis=1)
    got = added_covariance(P, owner, C, V, exact=True)
    assert_allclose(got, dense_lambda(Q, Sigma, V), rtol=0, atol=1e-9 * np.abs(V).max())


def test_equal_designs_add_nothing():
    _, Sigma, owner = system(1, 3, 9, 2, shared=1.0)
    P = np.linalg.inv(Sigma)
    C = np.tile(np.eye(2), (3, 3))
    V = np.kron(Sigma, np.eye(2))
    for exact in (True, False):
        got = added_covariance(P, owner, C, V, exact=exact)
        assert_allclose(got, 0.0, atol=1e-7 * np.abs(V).max())


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_the_short_form_is_near(shared):
    """Standard errors within 2 %, where Lambda is a quarter of V."""
    Q, Sigma, owner = system(3, 5, 40, 3, shared)
    X, P = np.concatenate(Q, axis=1), np.linalg.inv(Sigma)
    C = X.T @ X
    V = np.linalg.inv(P[owner[:, None], owner] * C)
    more = [
        np.diagonal(V + 0.05 * added_covariance(P, owner, C, V, exact=e)) for e in (True, False)
    ]
    assert_allclose(np.sqrt(more[1]), np.sqrt(more[0]), rtol=0.02)


@pytest.mark.parametrize("largest", [3_000, 1])
@pytest.mark.parametrize(("debiased", "share"), [(True, 2.0 / (40 - 2 - 3)), (False, 1.0 / 40)])
def test_stretch_of_orthogonal_designs(monkeypatch, largest, debiased, share):
    # m Lambda = (K - 1) V there, over N - p - K twice or over N once, with matrices and without.
    from sm_alsgls.core.beta import estimated_unrestricted as module
    from sm_alsgls.core.design.per_equation import Design

    monkeypatch.setattr(module, "_LARGEST", largest)
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((40, 6)))[0]
    design = Design([Q[:, 2 * j : 2 * j + 2] for j in range(3)])
    A = rng.standard_normal((3, 3))
    precision = np.linalg.inv(A @ A.T + np.eye(3))
    H = design.stacked.spread(precision)
    made = module.EstimatedUnrestricted(
        design, precision, np.full(3, 40), lambda: H, debiased=debiased
    )
    for j in range(3):
        np.testing.assert_allclose(
            made.stretch(j), np.sqrt(1.0 + 2.0 * share) * np.eye(2), atol=1e-12
        )
