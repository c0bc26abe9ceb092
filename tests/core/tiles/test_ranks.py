"""The criterion of the default rank in tiles and shards, against that of arrays in memory."""

from itertools import pairwise

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.default import default_criterion
from sm_alsgls.core.tiles.ranks import rank_part
from sm_alsgls.core.tiles.source import ArraySource
from tests.core.tiles.shards import in_shards
from tests.core.tiles.test_fit import K, N, R, system

RANKS = range(8)


@pytest.fixture(scope="module")
def data():
    return system(3)


@pytest.fixture(scope="module")
def local(data):
    X, Y = data
    return default_criterion(Problem(list(X), Y, ALSOptions()), RANKS, K * X.shape[2])


@pytest.mark.parametrize("size", [7, 60, K])
def test_tiles_have_the_criterion_of_arrays(data, local, size):
    X, Y = data
    found = rank_part(ArraySource(X, Y, size=size), ALONE, RANKS, ALSOptions())
    assert list(found) == list(local) == [0, 1, 2, 3]
    assert min(found, key=found.get) == R
    # Both end at a gradient of 1e-4 in log d: 2 N K 1e-8 of the criterion.
    for rank, value in local.items():
        assert found[rank] == pytest.approx(value, abs=2 * N * K * 1e-8)


@pytest.mark.parametrize("cuts", [[50], [3, 90, 120]])
@pytest.mark.slow
def test_shards_have_the_same_and_stop_together(data, local, cuts):
    X, Y = data
    sources = [ArraySource(X, Y, 40, a, b) for a, b in pairwise([0, *cuts, K])]
    parts = in_shards(lambda *where: rank_part(*where, RANKS, ALSOptions()), sources)
    for part in parts:
        assert part == parts[0]
    for rank, value in local.items():
        assert parts[0][rank] == pytest.approx(value, abs=2 * N * K * 1e-8)


def test_it_is_the_criterion_of_the_dense_likelihood(data):
    """At its own maximum: F and d by statsmodels' factor analysis of OLS residuals."""
    from statsmodels.multivariate.factor import Factor

    X, Y = data
    X, Y = X[:12], Y[:, :12]
    found = rank_part(ArraySource(X, Y, size=5), ALONE, [2], ALSOptions())
    E = np.column_stack([y - x @ np.linalg.lstsq(x, y)[0] for x, y in zip(X, Y.T, strict=True)])
    S = E.T @ E / N
    scale = np.sqrt(np.diag(S))
    fit = Factor(corr=S / np.outer(scale, scale), n_factor=2, method="ml", nobs=N).fit()
    Sigma = (fit.loadings @ fit.loadings.T + np.diag(fit.uniqueness)) * np.outer(scale, scale)
    nll = 0.5 * (
        np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S)) + 12 * np.log(2 * np.pi)
    )
    n = N - X.shape[2]
    expected = 2 * n * nll + np.log(n) * (12 * 2 + 12 - 1)
    assert found[2] == pytest.approx(expected, abs=1e-3)
