"""Robust variances over tiles and shards, beside dense twins and `LowRankSUR`."""

import numpy as np
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta.robust import Clusters, Kernel, White, kernel_weights
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.tiles.robust import TileSandwich
from sm_alsgls.core.tiles.source import ArraySource
from sm_alsgls.core.tiles.variance import TileVariance
from sm_alsgls.results.coefficients import df_coefficients
from sm_alsgls.results.covariance import sigma_inference
from tests.core.tiles.shards import in_shards
from tests.core.tiles.systems import dense, system
from tests.core.tiles.test_variance import SHAPES, _relative


def _weights(n):
    code = np.random.default_rng(5).permutation(np.arange(n) % 7)
    return {
        "white": (White(), np.eye(n)),
        "cluster": (Clusters(code, debias=True), 7 / 6 * (code[:, None] == code)),
        "hac": (
            Kernel(kernel_weights("bartlett", 3, n)),
            np.maximum(1.0 - np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / 4.0, 0.0),
        ),
    }


def _twin(blocks, Y, beta, F, d, omega):
    """V M V as it is defined, in extended precision."""
    V, precision = dense(blocks, F, d)
    cuts = np.cumsum([x.shape[1] for x in blocks])[:-1]
    parts = zip(blocks, np.split(beta.astype(V.dtype), cuts), strict=True)
    W = (Y - np.column_stack([x @ b for x, b in parts])) @ precision
    scores = np.concatenate([x * w[:, None] for x, w in zip(blocks, W.T, strict=True)], axis=1)
    return V @ (scores.T @ omega @ scores) @ V


def _point(blocks, Y, seed=9):
    """Coefficients near least squares, not at it: residuals are what they are."""
    rng = np.random.default_rng(seed)
    beta = [np.linalg.lstsq(x, y)[0] for x, y in zip(blocks, Y.T, strict=True)]
    return np.concatenate([b + 0.1 * np.abs(b) * rng.standard_normal(len(b)) for b in beta])


@pytest.mark.parametrize("kind", ["white", "cluster", "hac"])
@pytest.mark.parametrize("shape", SHAPES)
def test_variances_are_those_of_the_dense_sandwich(shape, kind):
    blocks, Y, F, d, source = system(**shape)
    beta = _point(blocks, Y)
    weights, omega = _weights(len(Y))[kind]
    right = np.diagonal(_twin(blocks, Y, beta, F, d, omega))
    made = TileSandwich(source, beta, F, d, weights)
    assert _relative(made.variances(), right) < 1e-10
    again = TileVariance(source, F, d).dual
    assert (
        _relative(TileSandwich(source, beta, F, d, weights, dual=again).variances(), right) < 1e-10
    )


@pytest.mark.parametrize("kind", ["white", "cluster", "hac"])
def test_influences_give_blocks(kind):
    blocks, Y, F, d, source = system()
    beta = _point(blocks, Y)
    weights, omega = _weights(len(Y))[kind]
    right, found = _twin(blocks, Y, beta, F, d, omega), {}
    stop = np.cumsum(source.p)

    def put(equations, influences):
        for j, rows in zip(range(equations.start, equations.stop), influences, strict=True):
            found[j] = weights.inner(rows, rows)

    TileSandwich(source, beta, F, d, weights).each(put)
    assert sorted(found) == list(range(source.K))
    for j, block in found.items():
        own = right[stop[j] - source.p[j] : stop[j], stop[j] - source.p[j] : stop[j]]
        size = np.sqrt(np.diagonal(own))
        assert np.abs((block - own) / np.outer(size, size)).max() < 1e-10


@pytest.mark.parametrize("kind", ["white", "cluster"])
@pytest.mark.parametrize("constant", [True, False])
def test_shards_have_what_one_has(kind, constant):
    blocks, Y, F, d, source = system(constant=constant)
    beta, weights = _point(blocks, Y), _weights(len(Y))[kind][0]
    whole = TileSandwich(source, beta, F, d, weights).variances()
    stop = np.concatenate([[0], np.cumsum(source.p)])

    def program(tiles, across):
        part, at = source.part(tiles)
        own = beta[stop[at.start] : stop[at.stop]]
        return TileSandwich(part, own, F[at], d[at], weights, across).variances()

    found = in_shards(program, [slice(0, 2), slice(2, 4)])
    assert _relative(np.concatenate(found), whole) < 1e-11


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("constant", [True, False])
def test_standard_errors_are_those_of_the_fit(constant, rank):
    rng = np.random.default_rng(4)
    K, n, p, r = 15, 50, 3, rank
    X = rng.standard_normal((K, n, p))
    if constant:
        X[:, :, 0] = 1.0
    Y = rng.standard_normal((n, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((n, K))
    code = np.arange(n) // 5
    fit = LowRankSUR(Y, list(X), rank=r).fit()
    # As the covariances of results: the fit's own Sigma and residuals.
    source, F, d = ArraySource(X, Y, size=4), fit.sigma.loadings, fit.sigma.uniquenesses
    small = np.sqrt(n / (n - p - r))
    for cov_type, kwds, weights, factor in [
        ("HC0", {}, White(), 1.0),
        ("HC1", {}, White(), small),
        ("HC1", {"dof": "p"}, White(), np.sqrt(n / (n - p))),
        ("cluster", {"groups": code, "correction": "CR0"}, Clusters(code), 1.0),
        ("cluster", {"groups": code, "correction": "CR1"}, Clusters(code, debias=True), small),
        ("HAC", {"maxlags": 4}, Kernel(kernel_weights("bartlett", 4, n)), small),
    ]:
        right = np.ravel(fit.get_robustcov_results(cov_type, **kwds).bse)
        beta = np.ravel(fit.params)
        made = TileSandwich(source, beta, F, d, weights)
        assert _relative(factor * np.sqrt(made.variances()), right) < 1e-10


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("constant", [True, False])
def test_multipliers_and_degrees_of_freedom_are_those_of_the_fit(constant, rank):
    rng = np.random.default_rng(8)
    K, n, p, r = 15, 50, 3, rank
    X = rng.standard_normal((K, n, p))
    if constant:
        X[:, :, 0] = 1.0
    Y = rng.standard_normal((n, 2)) @ rng.standard_normal((2, K)) + rng.standard_normal((n, K))
    code = rng.permutation(np.arange(n) % 9)
    fit = LowRankSUR(Y, list(X), rank=r).fit()
    source, F, d = ArraySource(X, Y, size=4), fit.sigma.loadings, fit.sigma.uniquenesses
    sigma = sigma_inference(fit.estimate)
    made = TileVariance(source, sigma.loadings, sigma.uniquenesses, estimated=True)
    factor = made.stretches() * np.sqrt((n - p) / (n - p - r))
    rows, groups = (White(), Units(n)), (Clusters(code), Units(n, code))
    for cov_type, kwds, (weights, units), power, small in [
        ("HC0", {}, rows, 0.0, 1.0),
        ("HC2", {}, rows, 0.5, factor),
        ("HC3", {}, rows, 1.0, factor),
        ("cluster", {"groups": code}, groups, 0.5, factor),
        ("cluster", {"groups": code, "correction": "CR3"}, groups, 1.0, factor),
    ]:
        right = fit.get_robustcov_results(cov_type, **kwds)
        found = TileSandwich(source, np.ravel(fit.params), F, d, weights, units=units, power=power)
        assert _relative(small * np.sqrt(found.variances()), np.ravel(right.bse)) < 1e-10
        df = df_coefficients(right.estimate)
        assert _relative(found.coefficient_df(), df) < 1e-10
