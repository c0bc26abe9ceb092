"""The score of a large system from what steps have left: Q'e, and the factors' F'D^-1 E'."""

import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns

N, K, R = 500, 401, 3  # more elements than are taken whole


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(3)
    design = Design([rng.standard_normal((N, 2 + j % 2)) for j in range(K)])
    return design, np.asfortranarray(rng.standard_normal((N, K))), rng.standard_normal(design.P)


def covariance(smallest):
    rng = np.random.default_rng(4)
    d = rng.uniform(0.5, 2.0, K)
    d[:2] = smallest
    return LowRankDiag.from_factors(rng.standard_normal((K, R)), d)


@pytest.mark.parametrize("smallest", [1.0, 1e-8], ids=["plain", "Heywood"])
def test_score_is_the_same(system, smallest):
    design, E, step = system
    cov = covariance(smallest)
    normal = design.normal(cov, N)
    moved = E - design.fitted(step)
    own = design.project(E) - step
    scores = (cov.loadings / cov.uniquenesses[:, None]).T @ moved.T
    expected = design.project(cov.solve(moved))
    size = np.abs(expected).max()
    for known in (None, scores):
        got = normal.score(moved, step, own, known)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11 * size)


def test_rows_that_lack_cells_are_read():
    mask = np.random.default_rng(5).random((N, K)) < 0.97
    cov = ObservedCovariance(covariance(1.0), Patterns(mask))
    assert not cov.piecewise(N).know(np.zeros((R, N)))
