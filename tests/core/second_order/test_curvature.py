"""Hessian products and the lowest curvature, against differences of a dense gradient."""

import numpy as np
import pytest

from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.maximise.als import ALSOptions, Problem, Start, als
from sm_alsgls.core.maximise.search import curvature_at
from sm_alsgls.core.second_order.curvature import Curvature, LikelihoodHessian, lowest_curvature
from sm_alsgls.covariance import LowRankDiag
from tests.core import dense, systems


def drawn_system(N, K, r, p, n_obs=None, free=None, seed=0):
    """A Hessian at no special point, the dense twin in the same coordinates, and the point."""
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, N, K, max(r, 1), p)
    design = Design(blocks)
    gamma = design.project(Y) + 0.3 * rng.standard_normal(design.P)
    F, d = 0.7 * rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)
    cov = LowRankDiag.from_factors(F, d)
    hessian = LikelihoodHessian(design, Y - design.fitted(gamma), cov, n_obs or N, free)
    bases = [design.basis(j) for j in range(K)]
    slices = [design.equation_slice(j) for j in range(K)]
    full = dense.FullLikelihood(bases, slices, Y, r, n_obs=n_obs)
    theta = np.concatenate([gamma, F.ravel(), np.log(d)])
    return rng, hessian, full, theta


def unscaled(hessian, v):
    gamma, F, x = hessian.split(v)
    return np.concatenate([gamma, F.ravel(), x])


SHAPES = [(30, 5, 2, 3), (8, 12, 2, 2), (25, 4, 1, (1, 3, 2, 2)), (20, 4, 0, 2), (20, 1, 1, 2)]


def difference(full, theta, u, h=1e-5):
    """Directional derivative of the gradient, fourth order in h."""

    def g(a):
        return full(theta + a * h * u)[1]

    return (8 * (g(1) - g(-1)) - (g(2) - g(-2))) / (12 * h)


@pytest.mark.parametrize("n_obs", [None, 77])
@pytest.mark.parametrize(("N", "K", "r", "p"), SHAPES)
def test_products_are_differences_of_the_gradient(N, K, r, p, n_obs):
    rng, hessian, full, theta = drawn_system(N, K, r, p, n_obs)
    assert hessian.size == len(theta)
    for part in range(4):
        v = rng.standard_normal(hessian.size)
        # Each group of parameters alone, then all together.
        edges = [0, full.P, full.P + K * r, hessian.size]
        if part < 3:
            v[: edges[part]] = 0.0
            v[edges[part + 1] :] = 0.0
        # The transpose of split's scaling, which is diagonal.
        change = difference(full, theta, unscaled(hessian, v))
        expected = unscaled(hessian, change)
        actual = hessian.apply(v)
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max(initial=1e-9)
        )


@pytest.mark.parametrize(("N", "K", "r", "p"), SHAPES)
def test_symmetric(N, K, r, p):
    rng, hessian, _, _ = drawn_system(N, K, r, p)
    for _ in range(5):
        u, v = rng.standard_normal((2, hessian.size))
        size = np.linalg.norm(hessian.apply(v)) * np.linalg.norm(u)
        assert u @ hessian.apply(v) == pytest.approx(v @ hessian.apply(u), abs=1e-10 * size)


@pytest.mark.parametrize("frozen", [(0,), (1, 4)])
def test_frozen_uniquenesses_do_not_move(frozen):
    free = np.ones(5, dtype=bool)
    free[list(frozen)] = False
    rng, hessian, _, _ = drawn_system(30, 5, 2, 3, free=free)
    _, whole, _, _ = drawn_system(30, 5, 2, 3)
    v = rng.standard_normal(hessian.size)
    assert np.all(hessian.split(v)[2][~free] == 0.0)
    assert np.all(hessian.apply(v)[-5:][~free] == 0.0)
    held = v.copy()
    held[-5:][~free] = 0.0
    expected = whole.apply(held)
    expected[-5:][~free] = 0.0
    np.testing.assert_allclose(hessian.apply(v), expected, rtol=0, atol=1e-13)


def test_does_not_change_its_argument():
    rng, hessian, _, _ = drawn_system(30, 5, 2, 3)
    v = rng.standard_normal(hessian.size)
    kept = v.copy()
    first, second = hessian.apply(v), hessian.apply(v)
    np.testing.assert_array_equal(v, kept)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("N", "K", "r", "p"), SHAPES)
def test_lowest_curvature_is_the_lowest_eigenvalue(N, K, r, p):
    _, hessian, full, theta = drawn_system(N, K, r, p)
    H = full.hessian(theta)
    scale = unscaled(hessian, np.ones(hessian.size))
    scaled = scale[:, None] * H * scale
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    found = lowest_curvature(hessian, hessian.size)
    # Differences of the gradient are good to 1e-9 or so.
    assert found.lowest == pytest.approx(values[0], abs=1e-7)
    assert found.lowest <= lowest_curvature(hessian, 4).lowest + 1e-12
    direction = np.concatenate([found.gamma, found.F.ravel(), found.x]) / scale
    direction /= np.linalg.norm(direction)
    if values[1] - values[0] > 1e-2:
        assert abs(direction @ vectors[:, 0]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("r", [1, 2, 3])
@pytest.mark.slow
def test_rotations_are_flat_at_a_maximum(r):
    rng = np.random.default_rng(1)
    blocks, Y = systems.system(rng, 60, 10, r, 2)
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-9))
    fit = als(problem, r)
    hessian = LikelihoodHessian(problem.design, fit.E, fit.cov, problem.n_obs)
    F = fit.cov.loadings
    for a in range(r):
        for b in range(a):
            turn = np.zeros((r, r))
            turn[a, b], turn[b, a] = 1.0, -1.0
            v = np.zeros(hessian.size)
            v[problem.design.P : -10] = (F @ turn / np.sqrt(fit.cov.uniquenesses)[:, None]).ravel()
            np.testing.assert_allclose(hessian.apply(v), 0.0, rtol=0, atol=1e-7 * np.linalg.norm(v))
    found = lowest_curvature(hessian, hessian.size)
    assert found.lowest > (-1e-7 if r > 1 else 1e-4)
    assert not found.is_saddle


def test_rank_zero_maximum():
    rng = np.random.default_rng(2)
    blocks, Y = systems.system(rng, 30, 4, 1, 2)
    problem = Problem(blocks, Y, ALSOptions())
    found = curvature_at(problem, als(problem, 0))
    # In these coordinates an uncorrelated system has the identity for its Hessian, but for
    # gamma with log d: zero at the maximum, where scores vanish.
    assert found.lowest == pytest.approx(1.0, abs=1e-9)


def toeplitz(rng, n=60):
    S = 0.4 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    E = systems.data_with_covariance(rng, n, S)
    # A regressor orthogonal to E leaves S as it is.
    x = rng.standard_normal((n, 1))
    x -= E @ np.linalg.lstsq(E, x, rcond=None)[0]
    return [x] * 4, E


def test_saddle_is_seen():
    blocks, Y = toeplitz(np.random.default_rng(3))
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-9))
    saddle = als(problem, 1, Start("symmetric", d=np.full(4, 0.5)))
    minimum = als(problem, 1, Start("asymmetric", d=np.linspace(0.3, 0.7, 4)))
    assert saddle.converged
    assert saddle.nll > minimum.nll + 1e-6
    assert curvature_at(problem, saddle).is_saddle
    assert not curvature_at(problem, minimum).is_saddle
    # Downhill both ways along the direction found.
    found = curvature_at(problem, saddle)
    S = Y.T @ Y / len(Y)
    F, x = saddle.cov.loadings, np.log(saddle.cov.uniquenesses)
    # The curvature is some -1e-3 and third derivatives are of order one: a short step.
    size = 3e-3 / np.abs(found.x).max()
    for step in (size, -size):
        Sigma = dense.sigma(F + step * found.F, np.exp(x + step * found.x))
        value = 0.5 * (np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S)))
        assert value + 2 * np.log(2 * np.pi) < saddle.nll


def test_bounds_are_frozen_at_a_heywood_case():
    S = np.array([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1.0]])
    rng = np.random.default_rng(4)
    blocks = [rng.standard_normal((40, 1))] * 3
    problem = Problem(blocks, systems.data_with_covariance(rng, 40, S), ALSOptions(d_floor=1e-4))
    fit = als(problem, 1)
    np.testing.assert_array_equal(fit.at_bound, [True, False, False])
    found = curvature_at(problem, fit)
    assert found.x[0] == 0.0
    assert not found.is_saddle


def test_threshold():
    nothing = np.zeros(0)
    assert Curvature(-1e-3, nothing, nothing, nothing).is_saddle
    assert not Curvature(-1e-7, nothing, nothing, nothing).is_saddle
