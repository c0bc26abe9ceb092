"""Inverses of filters against their dense matrices, column by column."""

import numpy as np
import pytest

from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.row_weights import RowWeights
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_rows import SpatialRows
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from tests.core.laws.test_filters import K, N, filters


def neighbours(n, seed=5):
    W = np.random.default_rng(seed).random((n, n)) * (1.0 - np.eye(n))
    return SpatialWeights(W / W.sum(axis=1, keepdims=True))


def cases():
    made = dict(filters())
    rows = SpatialRows(RowWeights(neighbours(N), K), 0.5)
    z = np.random.default_rng(6).standard_normal((N, K, 1))
    made["rows"] = (rows, None)
    made["rows, cells"] = (Chain([rows, RowScale(z, K, np.array([0.6]))]), None)
    blocks = SpatialRows(RowWeights(neighbours(N // 3), K), 0.5)
    made["rows of three periods"] = (blocks, None)
    return made


def matrix(law, j):
    """T of equation j (N, N), by what ``rows`` makes of unit columns."""
    out = np.empty((N, N))
    for n in range(N):
        M = np.zeros((N, K))
        M[n, j] = 1.0
        out[:, n] = law.rows(M)[:, j]
    return out


@pytest.fixture(params=list(cases()))
def case(request):
    law, mask = cases()[request.param]
    return law, np.ones((N, K), dtype=bool) if mask is None else mask


def test_inverse_undoes_rows(case):
    law, mask = case
    M = np.where(mask, np.random.default_rng(7).standard_normal((N, K)), 0.0)
    np.testing.assert_allclose(law.inverse(law.rows(M)), M, atol=1e-12)
    np.testing.assert_allclose(law.rows(law.inverse(M)), M, atol=1e-12)


def test_variances_are_the_diagonal_of_the_covariance(case):
    law, mask = case
    V = np.where(mask, np.random.default_rng(8).uniform(0.5, 2.0, (N, K)), 0.0)
    found = law.variances(V)
    for j in range(K):
        at = mask[:, j]
        L = np.linalg.inv(matrix(law, j)[np.ix_(at, at)])
        expected = np.diagonal(L @ np.diag(V[at, j]) @ L.T)
        np.testing.assert_allclose(found[at, j], expected, rtol=1e-11)
    assert (found[~mask] == 0.0).all()


@pytest.mark.parametrize("over_rows", [True, False])
def test_lags_and_spatial_errors(over_rows):
    M = np.random.default_rng(9).standard_normal((N, K))
    weights = RowWeights(neighbours(N), K) if over_rows else neighbours(K)
    lag = SpatialLag(weights, 0.4)
    np.testing.assert_allclose(lag.inverse(lag.responses(M)), M, atol=1e-12)
    if not over_rows:
        from sm_alsgls.core.errors.complete import CompleteErrors

        law = SpatialError(CompleteErrors(K, N), weights, 0.4)
        np.testing.assert_allclose(law.unfiltered(law.filtered(M)), M, atol=1e-12)


def test_covariances_of_rows_and_maps_after(case):
    law, mask = case
    if not mask.all():
        return
    rng = np.random.default_rng(10)
    R = rng.standard_normal((K, K))
    S = R @ R.T
    T = [np.linalg.inv(matrix(law, j)) for j in range(K)]
    found = law.covariances(np.broadcast_to(S, (N, K, K)))
    expected = np.array([[S[j, k] * (T[j] * T[k]).sum(axis=1) for k in range(K)] for j in range(K)])
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), rtol=1e-10)


@pytest.mark.parametrize("name", ["rows", "rows, cells", "cells", "none"])
def test_a_lag_of_rows_after_the_filter(name):
    law, _ = cases()[name]
    V = np.random.default_rng(11).uniform(0.5, 2.0, (N, K))
    lag = SpatialLag(RowWeights(neighbours(N, 12), K), 0.3)
    found = law.variances(V, lag.inverse)
    A = np.linalg.inv(np.eye(N) - 0.3 * neighbours(N, 12).W.toarray())
    for j in range(K):
        L = A @ np.linalg.inv(matrix(law, j))
        np.testing.assert_allclose(found[:, j], np.square(L) @ V[:, j], rtol=1e-11)
