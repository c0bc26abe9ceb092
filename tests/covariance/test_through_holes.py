"""A covariance seen through holes, against the dense covariance of the observed cells."""

import numpy as np
import pytest
import scipy.sparse

from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.filtered import Filtered
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.through_holes import Holes, ThroughHoles


def ring(K, lam, rng):
    W = rng.random((K, K)) * (rng.random((K, K)) < 0.4) * (1 - np.eye(K))
    W /= np.maximum(W.sum(axis=1, keepdims=True), 1e-9)
    return scipy.sparse.csr_array(np.eye(K) - lam * W)


class Case:
    def __init__(self, N, K, lag, repeated=False, seed=0):
        rng = np.random.default_rng(seed)
        self.N, self.K, self.rng = N, K, rng
        inner = LowRankDiag.from_factors(rng.standard_normal((K, 2)), rng.uniform(0.5, 2.0, K))
        self.cov = Filtered(inner, ring(K, 0.5, rng))
        self.A = ring(K, -0.4, rng) if lag else None
        mask = rng.random((N, K)) < 0.7
        mask[0], mask[1, 1:] = True, False
        if repeated:
            mask = mask[rng.integers(0, 5, N)]
        self.mask = mask
        self.seen = ThroughHoles(self.cov, Holes(Patterns(mask), self.A))
        back = np.eye(K) if self.A is None else np.linalg.inv(self.A.toarray())
        self.back, self.Omega = back, back @ self.cov.to_dense() @ back.T

    def M(self, n):
        """M_n in coordinates of e = A y: what is missing of y has no part in it."""
        o = self.mask[n]
        inner = np.zeros((self.K, self.K))
        inner[np.ix_(o, o)] = np.linalg.inv(self.Omega[np.ix_(o, o)])
        return self.back.T @ inner @ self.back

    def rows(self):
        E = self.rng.standard_normal((self.N, self.K))
        return E if self.A is not None else E * self.mask


@pytest.fixture(
    params=[(30, 7, False), (30, 7, True), (6, 9, False), (6, 9, True), (40, 7, False, True)],
    ids=["error", "lag", "wide", "wide lag", "few patterns"],
)
def case(request):
    return Case(*request.param)


def test_products_are_those_of_the_dense_inverse(case):
    E, M = case.rows(), [case.M(n) for n in range(case.N)]
    expected = np.stack([m @ e for m, e in zip(M, E, strict=True)])
    np.testing.assert_allclose(case.seen.solve(E), expected, atol=1e-11)
    assert case.seen.quad(E) == pytest.approx(np.vdot(expected, E), rel=1e-12)
    rows = case.N if case.A is not None else case.mask.sum(axis=0)
    diagonal = sum(np.diag(m) for m in M) / rows
    np.testing.assert_allclose(case.seen.precision_diag(), diagonal, rtol=1e-10)
    for rows, precision in case.seen.precisions():
        np.testing.assert_allclose(precision, M[rows[0]], atol=1e-11)


def test_the_likelihood_is_that_of_the_observed_cells(case):
    E = case.rows()
    jacobian = 0.0 if case.A is None else np.linalg.slogdet(case.A.toarray())[1]
    total = 0.0
    for e, o in zip(E @ case.back.T, case.mask, strict=True):
        S = case.Omega[np.ix_(o, o)]
        total += np.linalg.slogdet(S)[1] + e[o] @ np.linalg.solve(S, e[o])
        total += o.sum() * np.log(2.0 * np.pi)
    assert case.seen.nll(E) - jacobian == pytest.approx(0.5 * total / case.N, rel=1e-12)


def test_moments_of_filled_and_extra_rows_are_the_expected_ones(case):
    E = case.rows()
    expected = np.zeros((case.K, case.K))
    A = np.eye(case.K) if case.A is None else case.A.toarray()
    for e, o in zip(E, case.mask, strict=True):
        y, S = case.back @ e, case.Omega
        gain = S[np.ix_(~o, o)] @ np.linalg.inv(S[np.ix_(o, o)])
        y[~o] = gain @ y[o]
        left = np.zeros_like(S)
        left[np.ix_(~o, ~o)] = S[np.ix_(~o, ~o)] - gain @ S[np.ix_(o, ~o)]
        expected += A @ (np.outer(y, y) + left) @ A.T
    found = sum(rows.T @ rows for rows in (case.seen.filled(E), *case.seen.extra()))
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_information_is_a_sum_over_rows(case):
    X = [case.rng.standard_normal((case.N, 2)) for _ in range(case.K)]
    expected = 0.0
    for n in range(case.N):
        x = np.zeros((2 * case.K, case.K))
        for j in range(case.K):
            x[2 * j : 2 * j + 2, j] = X[j][n]
        expected = expected + x @ case.M(n) @ x.T
    np.testing.assert_allclose(case.seen.information(X), expected, atol=1e-10)


def test_cells_given_the_others_of_their_row():
    case = Case(25, 6, False)
    E = case.rows()
    found = case.seen.conditional(E)
    n, j = np.indices(E.shape).reshape(2, -1)
    weights = case.seen.weights(n, j)
    for i, (row, cell) in enumerate(zip(n, j, strict=True)):
        o = case.mask[row].copy()
        o[cell] = False
        S = case.Omega
        w = np.linalg.solve(S[np.ix_(o, o)], S[o, cell])
        assert found.mean[row, cell] == pytest.approx(w @ E[row, o], abs=1e-11)
        assert found.variance[row, cell] == pytest.approx(S[cell, cell] - w @ S[o, cell])
        np.testing.assert_allclose(weights[i, o], w, atol=1e-11)
        assert not weights[i, ~o].any()
