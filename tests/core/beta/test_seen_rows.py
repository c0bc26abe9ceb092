"""Standard errors with missing cells, against brute force."""

import numpy as np
import pytest

from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense_observed as dense
from tests.core import systems


def system(N=40, K=7, r=2, p=(1, 3, 2, 2, 3, 2, 1), share=0.6, seed=0):
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, N, K, max(r, 1), p)
    mask = dense.holes(rng, N, K, share, least=8)
    cov = LowRankDiag.from_factors(rng.standard_normal((K, r)), rng.uniform(0.3, 1, K))
    return Problem(blocks, Y, ALSOptions(), mask=mask), blocks, Y, mask, cov


@pytest.mark.parametrize("r", [0, 2])
@pytest.mark.parametrize("route", ["dense", "dual", "cg"])
def test_covariance_is_the_dense_inverse(route, r, monkeypatch):
    if route == "cg":
        monkeypatch.setattr("sm_alsgls.core.beta.information._SMALL", 0)
    problem, blocks, _, mask, cov = system(r=r)
    V = problem.covariance(cov)
    V.__dict__["route"] = route
    expected = np.linalg.inv(dense.information(blocks, mask, cov.to_dense()))
    assert V.shape == expected.shape
    np.testing.assert_allclose(V.variances(), expected.diagonal(), rtol=1e-9)
    start = 0
    for j, p in enumerate(problem.design.p):
        at = slice(start, start + int(p))
        np.testing.assert_allclose(V.block(j), expected[at, at], rtol=0, atol=1e-9)
        start += int(p)
    R = np.random.default_rng(1).standard_normal((3, start))
    np.testing.assert_allclose(V.combinations(R), R @ expected @ R.T, rtol=1e-8)
    np.testing.assert_allclose(V.times(R), expected @ R.T, rtol=0, atol=1e-8)
    if route == "dense":
        np.testing.assert_allclose(V.dense(), expected, rtol=0, atol=1e-9)


def test_the_cheapest_route_that_fits(monkeypatch):
    short, _, _, _, cov = system(N=9, K=7, r=1)
    assert short.covariance(cov).route == "dual"
    problem, _, _, _, cov = system(N=100, K=7, r=2)
    assert problem.covariance(cov).route == "dense"
    monkeypatch.setattr("sm_alsgls.core.beta.seen_rows.MEMORY", 0)
    assert problem.covariance(cov).route == "cg"


@pytest.mark.parametrize(("N", "r"), [(9, 1), (40, 2)])
def test_costs_are_the_flops_and_bytes_of_what_is_done(N, r, monkeypatch):
    problem, blocks, _, _, cov = system(N=N, r=r)
    kernel = problem.covariance(cov)._kernel
    P, m = sum(x.shape[1] for x in blocks), N * r
    costs = kernel.costs()
    # H from m rows, its Cholesky factor and inverse; m rows of P against one another and back.
    assert costs["dense"] == pytest.approx(m * P**2 + 2 * P**3 / 3, rel=1e-12)
    assert costs["dual"] == pytest.approx(2 * P * m**2 + m**3 / 3, rel=1e-12)
    assert costs["cg"] == pytest.approx(60 * P * N * (P + 7 * r), rel=1e-12)
    for name, numbers in (("dense", 2 * P**2), ("dual", m * (P + 2 * m))):
        monkeypatch.setattr("sm_alsgls.core.beta.seen_rows.MEMORY", 8 * numbers)
        assert np.isfinite(kernel.costs()[name])
        monkeypatch.setattr("sm_alsgls.core.beta.seen_rows.MEMORY", 8 * numbers - 1)
        assert kernel.costs()[name] == np.inf


def test_chunks_of_rows_add_up(monkeypatch):
    problem, blocks, _, mask, cov = system()
    monkeypatch.setattr("sm_alsgls.core.beta.seen_rows._CHUNK_BYTES", 8 * 14 * 2 * 7)
    expected = np.linalg.inv(dense.information(blocks, mask, cov.to_dense()))
    np.testing.assert_allclose(problem.covariance(cov).variances(), expected.diagonal(), rtol=1e-10)


def test_ridge_is_part_of_it():
    rng = np.random.default_rng(0)
    blocks, Y = systems.system(rng, 40, 4, 1, 2)
    mask = dense.holes(rng, 40, 4, 0.7, least=8)
    problem = Problem(blocks, Y, ALSOptions(lam_B=0.5), mask=mask)
    cov = LowRankDiag.from_factors(rng.standard_normal((4, 1)), np.ones(4))
    H = dense.information(blocks, mask, cov.to_dense())
    for j, X in enumerate(blocks):
        seen = mask[:, j]
        e = Y[seen, j] - X[seen] @ np.linalg.lstsq(X[seen], Y[seen, j], rcond=None)[0]
        # Constants are free; the slope's penalty is lam_B mean(x^2) / s for each observed row.
        H[2 * j + 1, 2 * j + 1] += 0.5 * np.square(X[seen, 1]).sum() / np.mean(e**2)
    np.testing.assert_allclose(problem.covariance(cov).dense(), np.linalg.inv(H), atol=1e-10)


@pytest.mark.parametrize("tiled", [False, True])
def test_normal_equations_are_the_dense_ones(tiled, monkeypatch):
    if tiled:
        monkeypatch.setattr("sm_alsgls.core.design.normal._LARGE", 0)
        monkeypatch.setattr("sm_alsgls.core.design.normal._TILE_BYTES", 16 * 40 * 2)
    problem, blocks, _, mask, cov = system()
    normal, design = problem.normal(cov), problem.design
    H = dense.information(blocks, mask, cov.to_dense())
    rng = np.random.default_rng(2)
    beta = [rng.standard_normal(p) for p in design.p]
    applied = normal.apply(design.from_beta(beta))
    expected = np.split(H @ np.concatenate(beta), np.cumsum(design.p)[:-1])
    for j, h in enumerate(expected):
        np.testing.assert_allclose(
            applied[design.equation_slice(j)], design.beta_map(j).T @ h, rtol=0, atol=1e-10
        )
