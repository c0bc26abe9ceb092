"""Predicted effects against whole matrices; of new groups, of groups without rows."""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed.effects import effects, left_of_change, moved_by_law
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.structures import LowRank, Unstructured
from tests.core.mixed import dense


@pytest.mark.parametrize("law", ["common", "levels", "ar", "levels ar"])
@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("kind", [lambda q: LowRank(q, 1), Unstructured])
def test_effects_and_their_covariances_are_those_of_whole_matrices(law, reml, kind):
    d = dense.data(seed=4, m=20, law=law, weights=law == "levels")
    fit = mixed_fit(d.products(), kind(3), d.law, reml=reml, n_starts=1)
    found = effects(fit)
    expected = dense.blups(d, fit.G, fit.s2, fit.theta)
    for one, two in zip(
        (found.mean, found.conditional, found.cov, found.with_b), expected, strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-8, atol=1e-9)
    b, cov, *_ = dense.gls(d, fit.G, fit.s2, fit.theta)
    np.testing.assert_allclose(fit.b, b, rtol=1e-9)
    np.testing.assert_allclose(fit.cov_b, cov, rtol=1e-8)
    assert fit.llf == pytest.approx(dense.llf(d, fit.G, fit.s2, fit.theta, reml), rel=1e-11)


def test_effects_of_new_groups_are_given_their_own_rows():
    d = dense.data(seed=4, m=20)
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1)
    new = dense.data(seed=9, m=4, sizes=(2, 5))
    found = effects(fit, new.products())
    G, cov_b = fit.G, fit.cov_b
    for i, at in enumerate(dense.groups(new)):
        Z, X = new.Z[at], new.X[at]
        gain = G @ Z.T @ np.linalg.inv(Z @ G @ Z.T + fit.s2 * np.eye(len(at)))
        np.testing.assert_allclose(found.mean[i], gain @ (new.y[at] - X @ fit.b), atol=1e-9)
        error = G - gain @ Z @ G + gain @ X @ cov_b @ X.T @ gain.T
        np.testing.assert_allclose(found.cov[i], error, atol=1e-9)


def test_a_group_without_rows_has_the_population_mean():
    d = dense.data(seed=4, m=20)
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1)
    found = effects(fit, replace(d, m=21).products())
    np.testing.assert_allclose(found.mean[20], 0.0, atol=1e-14)
    np.testing.assert_allclose(found.cov[20], fit.G, rtol=1e-10)
    np.testing.assert_allclose(found.mean[:20], effects(fit).mean, atol=1e-10)


def test_what_a_group_leaves_of_a_change_of_g():
    d = dense.data(seed=4, m=20)
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1)
    expected = np.eye(3) - fit.W @ (fit.G / fit.s2)
    np.testing.assert_allclose(left_of_change(fit), expected, atol=1e-10)
    np.testing.assert_allclose(left_of_change(fit, d.products()), expected, atol=1e-10)
    empty = left_of_change(fit, replace(d, m=21).products())[20]
    np.testing.assert_allclose(empty, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("law", ["common", "levels", "ar"])
def test_the_residual_law_moves_a_groups_error_through_its_rows(law):
    """d mse of the best predictor of x'b + z'b_i, its weights held: L'dV L."""
    d = dense.data(seed=4, m=20, law=law, weights=law == "levels")
    fit = mixed_fit(d.products(), LowRank(3, 1), d.law, n_starts=1)
    of_groups = np.array([2, 7, 11])
    cross, own = moved_by_law(fit, of_groups)
    assert cross.shape == (3, d.law.size, 2, 3)
    assert own.shape == (3, d.law.size, 3, 3)
    _, C, _, inverse, X, _, order = dense.gls(d, fit.G, fit.s2, fit.theta)
    Z, codes = d.Z[order], d.codes[order]
    x, z = np.array([1.0, 2.5]), np.array([1.0, -0.5, 0.8])
    for t in range(d.law.size):
        dV = dense.derivative(lambda theta: dense.whole(d, fit.G, fit.s2, theta)[0], fit.theta, t)
        for k, i in enumerate(of_groups):
            of_z = np.where(codes == i, Z @ fit.G @ z, 0.0)
            a = x - X.T @ inverse @ of_z
            L = inverse @ (X @ C @ a + of_z)
            of_b = (X @ C @ a) @ inverse @ dV @ inverse @ (X @ C @ a)
            found = 2.0 * a @ C @ cross[k, t] @ z + fit.s2 * z @ own[k, t] @ z
            np.testing.assert_allclose(of_b + found, L @ dV @ L, rtol=1e-6, atol=1e-10)
    if law != "ar":
        # Groups of other products, in another basis.
        some = np.flatnonzero((d.codes >= 5) & (d.codes < 15))
        again = replace(d.rows(some), m=21).products()
        assert not np.allclose(again.basis.z, fit.products.basis.z, rtol=1e-2)
        moved = moved_by_law(fit, np.array([7, 20]), again)
        np.testing.assert_allclose(moved[0][0], cross[1], atol=1e-10)
        np.testing.assert_allclose(moved[1][0], own[1], atol=1e-10)
        # One without rows is moved by none.
        np.testing.assert_array_equal(moved[1][1], 0.0)
