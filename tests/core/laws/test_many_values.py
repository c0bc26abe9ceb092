"""AR coefficients of many equations beside one of neighbours: the covariance of all of them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws import maximise as module
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.options import ALSOptions

K, N = 14, 150


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(4)
    W = 0.5 * (np.eye(K, k=1) + np.eye(K, k=-1) + np.eye(K, k=K - 1) + np.eye(K, k=1 - K))
    E = rng.standard_normal((N, 1)) * 0.7 + rng.standard_normal((N, K))
    for n in range(1, N):
        E[n] += 0.5 * E[n - 1]
    X = [rng.standard_normal((N, 2)) for _ in range(K)]
    Y = np.linalg.solve(np.eye(K) - 0.4 * W, (np.column_stack([x.sum(axis=1) for x in X]) + E).T).T
    law = AR.of(N, np.zeros(K), K)
    return RawSystem(
        Y, X, law, ALSOptions(gtol=1e-9), low_rank, lag=SpatialLag(SpatialWeights(csr_array(W)))
    )


def test_that_of_neighbours_is_differenced_beside_the_information(system, monkeypatch):
    few = maximise(system, 1, n_starts=1)
    monkeypatch.setattr(module, "DIFFERENCED", K + 1)
    whole = maximise(system, 1, n_starts=1)
    mine, theirs = (fit.found.best.nuisance for fit in (few, whole))
    np.testing.assert_allclose(mine.values, theirs.values, atol=1e-8)
    se, other = (np.sqrt(np.diagonal(one.cov)) for one in (mine, theirs))
    # The information of the filter is that at given Sigma.
    np.testing.assert_allclose(se[:K], other[:K], rtol=0.1)
    np.testing.assert_allclose(se[K], other[K], rtol=0.01)
    # What each has in common with the coefficient of neighbours.
    together, apart = (one.cov[K, :K] / np.sqrt(np.diagonal(one.cov)[:K]) for one in (mine, theirs))
    np.testing.assert_allclose(together, apart, atol=0.06 * np.abs(apart).max())
    np.testing.assert_allclose(few.slopes[:, K], whole.slopes[:, K], rtol=1e-6, atol=1e-9)
    assert not few.slopes[:, :K].any()
