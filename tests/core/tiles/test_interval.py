"""The Sigma of small-sample standard errors over tiles and shards, and what `fit` prints of it."""

import itertools

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.tiles.fit import fit_tiles
from sm_alsgls.core.tiles.interval import interval_factors
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.core.tiles.standard_errors import standard_errors
from sm_alsgls.core.tiles.variance import TileVariance
from sm_alsgls.results.covariance import sigma_inference
from tests.core.tiles.shards import in_shards
from tests.core.tiles.test_variance import _relative


def _data(K, n, p, r, strength=1.0):
    rng = np.random.default_rng(K + n)
    X = rng.standard_normal((K, n, p))
    X[:, :, 0] = 1.0
    F = strength * rng.standard_normal((r, K))
    Y = rng.standard_normal((n, r)) @ F + rng.standard_normal((n, K))
    return X, Y


def _program(X, Y, beta, F, d):
    def program(at, across):
        source = ArraySource(X, Y, size=7, first=at.start, stop=at.stop)
        problem = TiledProblem(source, ALSOptions(), across)
        E = problem.residuals(problem.design.from_beta(beta[at].ravel()))
        found = interval_factors(problem, E, F[at], d[at])
        return *found, TileVariance(source, *found, across, estimated=True).variances()

    return program


@pytest.mark.parametrize("strength", [0.7, 1.0, 20.0])
@pytest.mark.parametrize(("K", "n", "p", "r"), [(40, 60, 3, 2), (25, 20, 2, 3)])
@pytest.mark.slow
def test_standard_errors_are_those_of_the_fit(K, n, p, r, strength):
    X, Y = _data(K, n, p, r, strength)
    fit = LowRankSUR(Y, list(X), rank=r).fit()
    right = sigma_inference(fit.estimate)
    beta = np.ravel(fit.params).reshape(K, p)
    program = _program(X, Y, beta, fit.sigma.loadings, fit.sigma.uniquenesses)
    for cuts in ([slice(0, K)], [slice(0, 9), slice(9, K)]):
        F, d, v = (np.concatenate(parts) for parts in zip(*in_shards(program, cuts), strict=True))
        Sigma = F @ F.T + np.diag(d)
        size = np.sqrt(right.diag())
        # Both end where the gradient is below 1e-8, along paths of their own.
        assert np.abs((Sigma - right.to_dense()) / np.outer(size, size)).max() < 1e-7
        assert _relative(np.sqrt(v), np.ravel(fit.bse)) < 1e-7


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.slow
def test_from_data_to_standard_errors(debiased):
    """Fit, Sigma of the intervals and standard errors, all over tiles, beside the model's."""
    X, Y = _data(30, 50, 3, 2)
    right = LowRankSUR(Y, list(X), rank=2).fit(debiased=debiased)

    def program(source, across):
        fit = fit_tiles(source, across, rank=2)
        bse = standard_errors(source, fit.beta, fit.F, fit.d, across, debiased=debiased)
        return fit.beta, bse

    for cuts in ([0, 30], [0, 11, 30]):
        sources = [ArraySource(X, Y, 8, *cut) for cut in itertools.pairwise(cuts)]
        parts = zip(*in_shards(program, sources), strict=True)
        beta, bse = (np.concatenate(part) for part in parts)
        # Fits end at a score of 1e-6 standard errors, along paths of their own.
        assert np.abs((beta - np.ravel(right.params)) / bse).max() < 1e-5
        assert _relative(bse, np.ravel(right.bse)) < 1e-6
