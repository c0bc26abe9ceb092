"""The sum of squares as a function of b, and its derivatives."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.interactive.climb import climb
from sm_alsgls.core.interactive.leading import leading
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.profile import gauss_newton, hessian, point
from sm_alsgls.core.interactive.scaled import scaled
from tests.core.interactive import dense

KINDS = ["none", "unit", "time", "both"]


def _made(kind, T=14, n=11, seed=0, r=2):
    panel, d, b = dense.bai(np.random.default_rng(seed), T, n, p=3, r=r)
    return panel, dense.effects_of(panel, kind), d, b


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_effects_and_weights_are_projected_out_as_dummies_are(kind, rank):
    panel, effects, d, b = _made(kind)
    W = scaled(panel, effects, d)
    y, X = dense.projected(panel, effects, d)
    np.testing.assert_allclose(W.y, y, atol=1e-10)
    np.testing.assert_allclose(W.X, X, atol=1e-10)
    at = point(W, rank, b)
    np.testing.assert_allclose(at.S, dense.sum_of_squares(panel, effects, d, rank, b), rtol=1e-11)


def test_trends_of_units_are_effects_as_well():
    panel, _, d, b = _made("none")
    t = np.arange(14.0)
    effects = Effects(np.column_stack([np.ones(14), t]), np.ones((11, 1)))
    at = point(scaled(panel, effects, d), 2, b)
    np.testing.assert_allclose(at.S, dense.sum_of_squares(panel, effects, d, 2, b), rtol=1e-11)


@pytest.mark.parametrize(("T", "n", "rank"), [(14, 11, 1), (11, 14, 3), (90, 70, 2), (70, 95, 4)])
def test_derivatives_are_those_of_differences(T, n, rank):
    panel, effects, d, b = _made("both", T, n)
    W = scaled(panel, effects, d)
    at = point(W, rank, b)
    H = hessian(W, at, 1e-12)
    h = 1e-3
    for j, e in enumerate(np.eye(3)):
        # Differences of the fourth order: h^4 is 1e-12.
        four = [point(W, rank, b + k * h * e) for k in (-2, -1, 1, 2)]
        weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
        slope = weights @ [one.S for one in four]
        np.testing.assert_allclose(at.gradient[j], slope, rtol=1e-6, atol=1e-7 * at.S)
        second = weights @ np.array([one.gradient for one in four])
        np.testing.assert_allclose(H[j], second, rtol=1e-6, atol=1e-6 * np.abs(H).max())


def test_the_hessian_without_errors_is_what_factors_and_loadings_leave():
    rng = np.random.default_rng(0)
    panel, _, b = dense.bai(rng, 12, 9, variance=1e-14)
    W = scaled(panel, Effects.of(12, 9), np.ones(9))
    at = point(W, 2, b)
    np.testing.assert_allclose(hessian(W, at), gauss_newton(W, at), rtol=1e-5)


@pytest.mark.parametrize("shape", [(90, 70), (70, 90), (300, 65)])
@pytest.mark.parametrize("near", [False, True])
def test_leading_triplets_are_those_of_the_whole_decomposition(shape, near):
    rng = np.random.default_rng(0)
    W = rng.standard_normal(shape) + 2.0 * np.outer(
        rng.standard_normal(shape[0]), rng.standard_normal(shape[1])
    )
    block = leading(W + 1e-3 * rng.standard_normal(shape), 3).block if near else None
    found = leading(W, 3, block)
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    np.testing.assert_allclose(found.s, s[:3], rtol=1e-12)
    np.testing.assert_allclose(found.product(), (U[:, :3] * s[:3]) @ Vt[:3], atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_climb_ends_where_bais_alternation_and_a_simplex_do(kind):
    panel, effects, d, b = _made(kind, 20, 16)
    W = scaled(panel, effects, d)
    found = climb(W, 2, b)
    assert found.converged
    np.testing.assert_allclose(found.at.beta, dense.alternate(panel, effects, d, 2, b), rtol=1e-8)
    other = scipy.optimize.minimize(
        lambda x: dense.sum_of_squares(panel, effects, d, 2, x),
        b,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 2000},
    )
    # A simplex knows b to the root of the rounding of S.
    np.testing.assert_allclose(found.at.beta, other.x, rtol=1e-5)


def test_a_panel_without_regressors_has_only_factors():
    Y = np.random.default_rng(0).standard_normal((8, 6))
    W = scaled(Panel(Y, np.empty((0, 8, 6))), Effects.of(8, 6), np.ones(6))
    found = climb(W, 2, np.empty(0))
    assert found.converged
    np.testing.assert_allclose(found.at.S, np.sum(np.linalg.svd(Y)[1][2:] ** 2))
