"""Fits that are weighted by the correlation of errors in time, against whole matrices."""

import numpy as np
import pytest

from sm_alsgls.core.interactive.correlated import correlated_fit
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import scaled
from sm_alsgls.core.interactive.search import interactive_fit
from sm_alsgls.core.interactive.serial import MOST, beyond_chance, coloured, whitened
from tests.core.interactive import dense


def _correlated(rng, T, n, rho, spread=0.7):
    """Bai's design with errors that are AR(1)."""
    panel, d, b = dense.bai(rng, T, n, variance=1e-12, spread=spread)
    e = coloured(rng.standard_normal((T, n)), rho) * np.sqrt(2e12 * d)
    return Panel(panel.Y + e, panel.X), b


def test_units_of_the_errors_are_a_root_of_their_inverse():
    R = 0.7 ** np.abs(np.subtract.outer(range(9), range(9)))
    P = whitened(np.eye(9), 0.7)
    np.testing.assert_allclose(P.T @ P, np.linalg.inv(R), atol=1e-12)
    M = np.random.default_rng(0).standard_normal((2, 9, 4))
    np.testing.assert_allclose(coloured(whitened(M, -0.4), -0.4), M, atol=1e-12)


@pytest.mark.parametrize("kind", ["none", "unit", "both"])
def test_it_is_the_fit_of_a_panel_that_was_turned(kind):
    """P Y, P X and P l in place of Y, X and l, and everything turned back."""
    rng = np.random.default_rng(1)
    panel, b = _correlated(rng, 15, 12, 0.6)
    effects = dense.effects_of(panel, kind)
    turned = Panel(whitened(panel.Y, 0.6), whitened(panel.X, 0.6))
    there = interactive_fit(
        turned, Effects(whitened(effects.L, 0.6), effects.C), 2, beta=b, only_given=True
    )
    here = interactive_fit(panel, effects, 2, rho=0.6, beta=b, only_given=True)
    np.testing.assert_allclose(here.beta, there.beta, rtol=1e-8)
    np.testing.assert_allclose(here.d, there.d, rtol=1e-8)
    np.testing.assert_allclose(whitened(here.E, 0.6), there.E, atol=1e-8)
    np.testing.assert_allclose(here.F @ here.loadings.T, here.common, atol=1e-9)
    np.testing.assert_allclose(whitened(here.common, 0.6), there.common, atol=1e-7)
    np.testing.assert_allclose(here.F.T @ here.F / 15, np.eye(2), atol=1e-9)
    whole = np.tensordot(here.beta, panel.X, 1) + here.common + here.additive + here.E
    np.testing.assert_allclose(whole, panel.Y, atol=1e-9)
    jacobian = -0.5 * 14 * 12 * np.log(1.0 - 0.36)
    np.testing.assert_allclose(here.loglike, there.loglike + jacobian, rtol=1e-9)


@pytest.mark.slow
def test_rho_is_a_fixed_point_and_near_what_errors_have():
    found = []
    for seed in range(4):
        panel, _ = _correlated(np.random.default_rng([2, seed]), 30, 30, 0.5)
        fit = correlated_fit(panel, Effects.of(30, 30), 2, n_random=0)
        U = np.column_stack([fit.W.L, fit.at.factors.U])
        assert abs(beyond_chance(fit.at.E, U)) <= 0.01 / np.sqrt(fit.df_resid)
        found.append(fit.rho)
    # A standard error of rho is .03, of the mean .015.
    assert abs(np.mean(found) - 0.5) < 0.045


def _near_one(seed, T=30, n=20, rho=0.95):
    """One factor, errors that are AR(1) of .95."""
    rng = np.random.default_rng(5)
    f, a = rng.standard_normal((T, 1)), rng.standard_normal((n, 1))
    x = f @ a.T + rng.standard_normal((T, n))
    e = coloured(np.random.default_rng(seed).standard_normal((T, n)), rho)
    return Panel(2.0 * x + 3.0 * f @ a.T + np.e * e, x[None])


@pytest.mark.parametrize("seed", [8, 16])
def test_rho_that_goes_to_and_fro_comes_to_rest(seed):
    """Rounds of .9181, .9159, .9178, .9162 had gone on to the twentieth."""
    fit = correlated_fit(_near_one(seed), Effects.of(30, 20), 1, n_random=0)
    U = np.column_stack([fit.W.L, fit.at.factors.U])
    assert abs(beyond_chance(fit.at.E, U)) <= 0.01 / np.sqrt(fit.df_resid)
    assert fit.converged


def test_rho_that_is_not_at_rest_is_said(monkeypatch):
    effects = Effects.of(30, 20)
    monkeypatch.setattr("sm_alsgls.core.interactive.correlated._MOST_ROUNDS", 1)
    fit = correlated_fit(_near_one(8), effects, 1, n_random=0)
    assert not fit.converged
    assert "1 rounds of the correlation in time did not suffice" in fit.status
    assert "give it, ar=0.9" in fit.status


def test_rho_at_its_bound_is_at_rest():
    panel = _near_one(20)
    fit = correlated_fit(panel, Effects.of(30, 20), 1, n_random=0)
    assert fit.rho == MOST
    assert fit.beta[0] == pytest.approx(2.0, abs=0.3)
    assert fit.converged
    given = interactive_fit(panel, fit.effects, 1, rho=MOST, beta=fit.beta, only_given=True)
    assert given.converged
    np.testing.assert_allclose(given.beta, fit.beta, rtol=1e-6)


def test_independent_errors_are_left_as_they_are():
    """Chance is passed in one of twenty panels; the first has it not."""
    panel, _, _ = dense.bai(np.random.default_rng(3), 25, 20)
    fit = correlated_fit(panel, Effects.of(25, 20), 2)
    assert fit.rho == 0.0
    np.testing.assert_array_equal(fit.beta, interactive_fit(panel, Effects.of(25, 20), 2).beta)


def test_residuals_of_independent_errors_have_the_correlation_that_is_taken_off():
    rng, T = np.random.default_rng(4), 12
    U = np.linalg.qr(np.column_stack([np.ones(T), np.arange(T)]))[0]
    e = rng.standard_normal((T, 40_000))
    E = e - U @ (U.T @ e)
    assert abs(beyond_chance(E, U)) < 0.006
    assert np.vdot(E[1:], E[:-1]) / np.vdot(E, E) < -0.1


@pytest.mark.slow
def test_correlated_errors_are_not_taken_for_factors():
    """A slice of benchmarks/interactive.py: 20 x 20, AR(1) of .5."""
    mine, others = [], []
    for seed in range(8):
        panel, b = _correlated(np.random.default_rng([5, seed]), 20, 20, 0.5)
        fit = correlated_fit(panel, Effects.of(20, 20), 2, n_random=0, gtol=1e-5)
        mine.append(fit.beta - b)
        others.append(fit.bai - b)
    assert np.square(mine).mean() < 0.4 * np.square(others).mean()


def test_missing_cells_leave_rho_out():
    rng = np.random.default_rng(6)
    panel, b = _correlated(rng, 15, 12, 0.6)
    panel = dense.with_holes(panel, rng, 0.1)
    fit = correlated_fit(panel, Effects.of(15, 12), 1, beta=b, only_given=True)
    assert fit.rho == 0.0
    assert scaled(panel, fit.effects, fit.d).rho == 0.0


def test_where_cells_are_missing_nothing_is_turned():
    rng = np.random.default_rng(3)
    panel, _ = _correlated(rng, 30, 20, 0.6)
    whole = correlated_fit(panel, Effects.of(30, 20), 2)
    assert whole.rho > 0.3
    seen = rng.random((30, 20)) > 0.05
    holes = correlated_fit(Panel(panel.Y, panel.X, seen), Effects.of(30, 20), 2)
    assert holes.rho == 0.0
