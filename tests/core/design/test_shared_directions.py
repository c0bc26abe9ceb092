"""Directions that many designs share, against the mean of their projections."""

import numpy as np
import pytest

from sm_alsgls.core.design import shared_directions as module
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.shared_directions import shared_directions


def designs(n=40, K=12, shared=2, own=1, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, shared))
    return [np.column_stack([common, rng.standard_normal((n, own))]) for _ in range(K)]


def mean_projection(X, weights):
    return sum(v * x @ np.linalg.pinv(x) for v, x in zip(weights / weights.sum(), X, strict=True))


@pytest.mark.parametrize("K", [3, 12])
def test_all_directions(K):
    X = designs(15, K)
    weights = np.random.default_rng(1).uniform(0.1, 3.0, K)
    V, share = shared_directions(Design(X), weights, exact=True)
    np.testing.assert_allclose(V.T @ V, np.eye(15), atol=1e-12)
    np.testing.assert_allclose((V * share) @ V.T, mean_projection(X, weights), atol=1e-12)
    assert ((share >= 0.0) & (share <= 1.0)).all()


@pytest.mark.parametrize(("n", "K", "shared"), [(120, 30, 2), (60, 30, 5), (150, 20, 20)])
def test_those_of_a_large_share(n, K, shared):
    """Twenty shared directions are more than the first block of the iteration holds."""
    X, weights = designs(n, K, shared), np.ones(K)
    V, share = shared_directions(Design(X), weights, exact=False)
    values, vectors = np.linalg.eigh(mean_projection(X, weights))
    wanted = values > module._SHARE
    assert len(share) == wanted.sum() == shared
    np.testing.assert_allclose(np.sort(share), values[wanted], rtol=1e-3)
    # The same space, to a few digits.
    top = vectors[:, wanted]
    np.testing.assert_allclose(np.linalg.norm(top.T @ V, axis=0), 1.0, atol=1e-3)


def test_a_tile_holds_one_equation_at_least():
    assert module.tile_size(10**9, 10) == 1
    assert module.tile_size(1, 1) == module._TILE_BYTES // 8
    assert module.tile_size(10, 4) == module._TILE_BYTES // 320
