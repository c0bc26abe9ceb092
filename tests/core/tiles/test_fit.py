"""Equations in tiles, whole or in shards, against the same loop on arrays in memory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.tiles import normal as tiles_normal
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.fit import fit_tiles
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.source import ArraySource, Tile
from sm_alsgls.exceptions import IllegalRankError
from tests.core.tiles.shards import in_shards

N, K, R = 160, 170, 2


def system(seed, p=3, d=None, offset=0.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((K, N, p))
    X[:, :, 0] = 1.0
    X[:, :, 1:] += offset
    F = rng.standard_normal((K, R))
    d = rng.uniform(0.5, 1.5, K) if d is None else d
    E = rng.standard_normal((N, R)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    return X, E + np.einsum("knp,kp->nk", X, rng.standard_normal((K, p)))


@pytest.fixture(scope="module")
def data():
    return system(0)


@pytest.fixture(scope="module")
def local(data):
    problem = Problem(list(data[0]), data[1], ALSOptions())
    found = als(problem, R)
    assert found.converged
    return problem, found


def together(parts):
    """Coefficients, F and d of all shards, and the first one's fit."""
    return (
        np.concatenate([part.beta for part in parts]),
        np.concatenate([part.F for part in parts]),
        np.concatenate([part.d for part in parts]),
        parts[0],
    )


@settings(max_examples=7, deadline=None)
@given(st.lists(st.integers(1, K - 1), max_size=4, unique=True), st.integers(1, 60))
@pytest.mark.slow
def test_any_shards_and_tiles_give_the_local_fit(data, local, cuts, size):
    X, Y = data
    problem, found = local
    edges = [0, *sorted(cuts), K]
    sources = [ArraySource(X, Y, size, a, b) for a, b in pairwise(edges)]
    parts = in_shards(lambda source, across: fit_tiles(source, across, rank=R), sources)
    beta, F, d, first = together(parts)
    np.testing.assert_allclose(beta, problem.design.to_params(found.gamma), rtol=0, atol=1e-12)
    np.testing.assert_allclose(d, found.cov.uniquenesses, rtol=1e-11)
    np.testing.assert_allclose(F @ F.T, found.cov.loadings @ found.cov.loadings.T, atol=1e-11)
    assert first.nll == pytest.approx(found.nll, rel=1e-14)
    assert {part.nll for part in parts} == {first.nll}
    assert first.converged
    assert len(first.trace) == len(found.trace)
    np.testing.assert_allclose(
        [row[1:7] for row in first.trace[1:]],
        [row[1:7] for row in found.trace[1:]],
        rtol=1e-6,
        atol=1e-9,
    )


@pytest.mark.slow
def test_regressors_far_from_zero_keep_their_digits():
    # Cross-products of X have no digit left of these.
    X, Y = system(1, offset=1e6)
    X, Y = X[:50], np.ascontiguousarray(Y[:, :50])
    problem = Problem(list(X), Y, ALSOptions())
    beta = np.stack(problem.design.to_beta(als(problem, R).gamma))
    fit = fit_tiles(ArraySource(X, Y, size=15), rank=R)
    np.testing.assert_allclose(fit.beta.reshape(50, 3)[:, 1:], beta[:, 1:], atol=1e-7)
    assert fit.converged


@pytest.mark.slow
def test_heywood_cases_end_at_the_same_maximum():
    d = np.full(K, 1.0)
    d[7], d[100] = 1e-9, 1e-3
    X, Y = system(2, d=d)
    problem = Problem(list(X), Y, ALSOptions())
    found = als(problem, R)
    halves = [ArraySource(X, Y, 30, 0, 50), ArraySource(X, Y, 30, 50, K)]
    beta, _, d, first = together(
        in_shards(lambda source, across: fit_tiles(source, across, rank=R), halves)
    )
    assert first.nll == pytest.approx(found.nll, rel=1e-9)
    np.testing.assert_allclose(beta, problem.design.to_params(found.gamma), atol=1e-5)
    np.testing.assert_array_equal(
        np.concatenate([first.at_bound, np.zeros(K - 50, dtype=bool)])[:50],
        found.at_bound[:50],
    )


def test_rank_zero_is_least_squares(data):
    X, Y = data
    fit = fit_tiles(ArraySource(X, Y, size=20), rank=0)
    for j in (0, 99, K - 1):
        expected = np.linalg.lstsq(X[j], Y[:, j], rcond=None)[0]
        np.testing.assert_allclose(fit.beta.reshape(K, 3)[j], expected, atol=1e-12)
    np.testing.assert_allclose(fit.d, fit.s_ols)


class Ragged:
    """Two tiles with different numbers of regressors."""

    def __init__(self, data):
        self._X, self._Y = data
        self.n, self.K, self.first = N, K, 0
        self.bounds = [slice(0, 60), slice(60, K)]
        self.p = np.repeat([3, 2], [60, K - 60])

    def read(self, t):
        at = self.bounds[t]
        X = self._X[at].transpose(0, 2, 1)[:, : self.p[at.start]]
        return Tile(np.ascontiguousarray(X), np.ascontiguousarray(self._Y[:, at].T))


def test_tiles_may_have_different_numbers_of_regressors(data):
    X, Y = data
    problem = Problem([*X[:60], *X[60:, :, :2]], Y, ALSOptions())
    found = als(problem, R)
    fit = fit_tiles(Ragged(data), rank=R)
    np.testing.assert_allclose(fit.beta, problem.design.to_params(found.gamma), atol=1e-12)


def test_stationarity_is_that_of_arrays(data):
    X, Y = data
    problem, tiled = (
        Problem(list(X), Y, ALSOptions()),
        TiledProblem(ArraySource(X, Y, size=31), ALSOptions()),
    )
    early = als(problem, R, max_sweeps=1)
    again = als(tiled, R, max_sweeps=1)
    held = np.zeros(K, dtype=bool)
    expected = problem.stationarity(early.gamma, early.E, early.cov, held)
    got = tiled.stationarity(again.gamma, again.E, again.cov, held)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert expected.score_beta > 1e-3


def test_a_step_that_is_foreseen_takes_no_pass(data, local, monkeypatch):
    tiled = TiledProblem(ArraySource(*data, size=31), ALSOptions())
    problem, found = local
    part = PartOfLowRank(found.cov.loadings, found.cov.uniquenesses, ALONE)
    normals = problem.normal(found.cov), tiled.normal(part)
    b = normals[0].score(problem.E_ols, problem.gamma_ols)
    size = np.sqrt(b @ (b / normals[0].diagonal))
    passes = []
    method = tiles_normal.over_tiles
    monkeypatch.setattr(tiles_normal, "over_tiles", lambda *a: passes.append(1) or method(*a))
    for tol in (0.05 * size, 1e-8 * size):
        spent = []
        for leaves in (1.0, 0.01):
            passes.clear()
            expected = problem.solve(normals[0], b, tol=tol, leaves=leaves)
            got = tiled.solve(normals[1], b, tol=tol, leaves=leaves)
            spent.append(len(passes))
            left = b - normals[0].apply(got.x)
            assert np.sqrt(left @ (left / normals[0].diagonal)) <= tol
            np.testing.assert_allclose(got.x, expected.x, rtol=0, atol=tol)
        assert got.iterations == expected.iterations
        # Of the first solve all but the last pass.
        assert spent == ([2, 0] if tol > 1e-2 * size else [got.iterations] * 2)


def test_what_a_beta_step_led_to_takes_no_pass(data, local, monkeypatch):
    """The Sigma-step knows it, and the last one's follows from the score: no objective is asked."""
    problem = TiledProblem(ArraySource(*data, size=31), ALSOptions())
    whole = TiledProblem.objective
    monkeypatch.delattr(TiledProblem, "objective")
    found = als(problem, R)
    assert found.nll == pytest.approx(
        whole(problem, found.gamma, found.E, found.cov), rel=1e-13, abs=1e-13
    )
    np.testing.assert_allclose(
        [row.nll_beta for row in found.trace],
        [row.nll_beta for row in local[1].trace],
        rtol=1e-9,
    )


def test_dependent_columns_name_the_equation_of_the_whole_system(data):
    X, Y = data[0].copy(), data[1]
    X[90, :, 2] = 2.0 * X[90, :, 1]
    with pytest.raises(DependentColumnsError) as raised:
        fit_tiles(ArraySource(X, Y, 10, 40), rank=1)
    assert raised.value.equation == 90


def test_a_rank_that_is_not_identified_is_refused(data):
    with pytest.raises(IllegalRankError, match="largest legal rank is 3"):
        fit_tiles(ArraySource(data[0], data[1], 4, 0, 7), rank=4)
