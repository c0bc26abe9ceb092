"""GLS with shared coefficients against stacked GLS, by every route."""

import numpy as np
import pytest

from sm_alsgls.core.beta.estimated_sigma import EstimatedSigma
from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.design.pooled import PooledDesign
from sm_alsgls.core.design.restricted import RestrictedVariance
from sm_alsgls.covariance import LowRankDiag
from tests.core.design.test_pooled import SHARES, N, flat, made, stacked


def errors(K, seed=0):
    rng = np.random.default_rng(seed)
    return LowRankDiag.from_factors(rng.standard_normal((K, 2)), rng.uniform(0.1, 1.0, K))


def twin(blocks, places, cov):
    """(G' (Sigma^-1 x I) G)^-1, G and Sigma^-1 x I."""
    G = stacked(blocks, places)
    precision = np.kron(np.linalg.inv(cov.to_dense()), np.eye(N))
    size = np.abs(G).max(axis=0)
    V = np.linalg.inv((G / size).T @ precision @ (G / size)) / np.outer(size, size)
    return V, G, precision


def covariance_of(design, cov):
    return design.variance(lambda part: CoefficientCovariance(part, cov, N))


def assert_like(got, want):
    """Relative to standard errors."""
    size = np.sqrt(np.diag(want))
    np.testing.assert_allclose(got / np.outer(size, size), want / np.outer(size, size), atol=1e-10)


@pytest.mark.parametrize("route", ["dense", "dual", "cg"])
@pytest.mark.parametrize("kind", SHARES)
def test_covariance_is_that_of_the_stacked_system(kind, route, monkeypatch):
    blocks, places = made(kind)
    cov = errors(len(blocks))
    V, *_ = twin(blocks, places, cov)
    monkeypatch.setattr(CoefficientCovariance, "route", route)
    if route == "cg":
        monkeypatch.setattr("sm_alsgls.core.beta.information._SMALL", 0)
    design = PooledDesign(Design(blocks), places)

    def fresh():
        return covariance_of(design, cov)

    np.testing.assert_allclose(fresh().variances(), np.diag(V), rtol=1e-10)
    covariance = fresh()
    for j, at in enumerate(places.columns):
        assert_like(covariance.block(j), V[np.ix_(at, at)])
        np.testing.assert_array_equal(covariance.selector(j), np.eye(places.P)[at])
    rng = np.random.default_rng(1)
    R, other = (rng.standard_normal((k, places.P)) / np.sqrt(np.diag(V)) for k in (3, 2))
    np.testing.assert_allclose(covariance.combinations(R), R @ V @ R.T, atol=1e-10)
    np.testing.assert_allclose(covariance.combinations(R, other), R @ V @ other.T, atol=1e-10)
    size = np.sqrt(np.diag(V))[:, None]
    np.testing.assert_allclose(covariance.times(R) / size, V @ R.T / size, atol=1e-10)
    L = np.column_stack([design.to_params(e) for e in np.eye(places.P)])
    solved = design.drop(covariance.solve_combinations(R))
    np.testing.assert_allclose(L @ solved / size, V @ R.T / size, atol=1e-9)
    assert_like(fresh().dense(), V)
    assert_like(np.asarray(fresh()), V)
    assert covariance.tied.tolist() == [(np.array(share) >= 0).any() for share in SHARES[kind]]


@pytest.mark.parametrize("large", [0, 200_000])
@pytest.mark.parametrize("kind", SHARES)
def test_normal_equations(kind, large, monkeypatch):
    """In tiles, and of whole arrays."""
    monkeypatch.setattr("sm_alsgls.core.design.normal._LARGE", large)
    blocks, places = made(kind)
    cov = errors(len(blocks))
    V, G, precision = twin(blocks, places, cov)
    design = PooledDesign(Design(blocks), places)
    normal = design.normal(cov, N)
    Q = np.column_stack([flat(design.fitted(e)) for e in np.eye(places.P)])
    H = Q.T @ precision @ Q
    g = np.random.default_rng(2).standard_normal(places.P)
    np.testing.assert_allclose(normal.apply(g), H @ g, rtol=1e-10, atol=1e-10)
    B = design.lift(np.eye(places.P))
    within = np.diag(B.T @ np.diag(design.free.expand(cov.precision_diag())) @ B)
    np.testing.assert_allclose(normal.diagonal, within, rtol=1e-11)
    E = np.random.default_rng(3).standard_normal((N, len(blocks)))
    score = normal.score(E, g)
    np.testing.assert_allclose(score, Q.T @ precision @ flat(E), atol=1e-10)
    solution = conjugate_gradients(normal.apply, score, normal.diagonal, tol=1e-12, max_iter=500)
    assert solution.converged
    theta = design.to_params(solution.x)
    want = V @ (G.T @ precision @ flat(E))
    np.testing.assert_allclose(theta / np.sqrt(np.diag(V)), want / np.sqrt(np.diag(V)), atol=1e-9)
    assert normal.score_size(score) == pytest.approx(
        design.largest_norm(score / np.sqrt(normal.diagonal))
    )


def restrictions(places):
    """Equal coefficients as restrictions on the free ones."""
    at = np.concatenate(places.columns)
    pairs = [
        (places[0], k)
        for places in (np.flatnonzero(at == i) for i in range(places.m))
        for k in places[1:]
    ]
    R = np.zeros((len(pairs), len(at)))
    R[np.arange(len(pairs)), [a for a, _ in pairs]] = 1.0
    R[np.arange(len(pairs)), [b for _, b in pairs]] = -1.0
    return R


@pytest.mark.parametrize("kind", SHARES)
def test_stretched_is_the_stretched_free_covariance_under_restrictions(kind):
    blocks, places = made(kind, scale=False)
    cov, design = errors(len(blocks)), PooledDesign(Design(blocks), places)
    ours = covariance_of(design, cov)
    free = Design(blocks)
    plain = RestrictedVariance(CoefficientCovariance(free, cov, N), restrictions(places))
    first = np.ix_(places.first, places.first)
    assert_like(ours.dense(), plain.dense()[first])
    theirs = plain.stretched(EstimatedSigma(free, cov, N).stretch)
    got = ours.stretched(EstimatedSigma(design.free, cov, N).stretch)
    assert_like(got.dense(), theirs.dense()[first])
    np.testing.assert_allclose(got.variances(), np.diag(got.dense()), rtol=1e-10)
    assert np.abs(got.variances() / ours.variances() - 1.0).max() > 1e-3


def test_directions_span_what_pooling_leaves():
    blocks, places = made("mixed", scale=False)
    cov, design = errors(len(blocks)), PooledDesign(Design(blocks), places)
    ours = covariance_of(design, cov)
    rng = np.random.default_rng(4)
    to_beta = np.triu(rng.uniform(1, 2, (design.free.P,) * 2))
    directions = ours.directions(to_beta)
    np.testing.assert_allclose(directions.T @ directions, np.eye(places.P), atol=1e-12)
    np.testing.assert_allclose(restrictions(places) @ to_beta @ directions, 0.0, atol=1e-10)
