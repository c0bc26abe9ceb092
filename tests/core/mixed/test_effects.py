"""Predicted effects against whole matrices; of new groups, of groups without rows."""

from dataclasses import replace

import numpy as np
import pytest

from sm_alsgls.core.mixed.effects import effects, left_of_change
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
