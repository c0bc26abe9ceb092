"""Influences, covariances and bias terms, against whole matrices and loops."""

import numpy as np
import pytest

from sm_alsgls.core.interactive.best_fills import best_fills
from sm_alsgls.core.interactive.bias import bias
from sm_alsgls.core.interactive.covariance import KINDS, bandwidth, covariance
from sm_alsgls.core.interactive.influence import influence
from sm_alsgls.core.interactive.jackknife import jackknife
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.search import interactive_fit
from tests.core.interactive import dense


def _fit(kind="both", share=0.0, seed=0, T=14, n=11, r=2, spread=0.7, **how):
    rng = np.random.default_rng(seed)
    panel, _, b = dense.bai(rng, T, n, r=r, spread=spread)
    if share:
        panel = dense.with_holes(panel, rng, share)
    return interactive_fit(panel, dense.effects_of(panel, kind), r, beta=b, only_given=True, **how)


@pytest.mark.parametrize("kind", ["none", "unit", "time", "both"])
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_influence_is_the_residual_of_a_regression_on_the_tangent_space(kind, share):
    fit = _fit(kind, share, r=1)
    found = influence(fit)
    # Where a factor all but fits a cell, what it leaves of it is known to fewer digits.
    np.testing.assert_allclose(found.Z, dense.influence(fit), atol=1e-5 if share else 1e-9)
    if not share:
        # Shares that sum to what is estimated of means.
        T, n = fit.panel.Y.shape
        np.testing.assert_allclose((T - found.g.sum()) * (n - found.h.sum()), fit.df_resid + 2)


def test_the_bread_is_how_b_answers_to_y():
    """b of slightly other data, to first order: (H/2)^-1 Z e."""
    fit = _fit("both", weighted=False)
    found = influence(fit)
    assert found.curved
    e = np.random.default_rng(1).standard_normal(fit.panel.Y.shape)
    # Along Z alone: other errors turn the factors too, which is E's part of the score.
    e = np.tensordot([0.7, -0.3], found.Z, 1) * np.sqrt(fit.d)
    ends = []
    for h in (1e-4, -1e-4):
        moved = Panel(fit.panel.Y + h * e, fit.panel.X)
        ends.append(
            interactive_fit(
                moved, fit.effects, 2, d=fit.d, beta=fit.beta, only_given=True, gtol=1e-12
            ).beta
        )
    slope = (ends[0] - ends[1]) / 2e-4
    flat = found.Z.reshape(2, -1)
    first = found.bread @ (flat @ flat.T) @ [0.7, -0.3]
    # Without E in the factors' answer these would be equal; its part is a few per cent here.
    np.testing.assert_allclose(slope, first, rtol=0.15)
    assert np.abs(slope - [0.7, -0.3]).max() > np.abs(slope - first).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_covariances_are_sums_over_pairs_of_cells(kind, share):
    fit = _fit("unit", share, r=1, spread=1.0)
    found = influence(fit)
    T, n = fit.panel.Y.shape
    e = found.E / np.sqrt(np.outer(1.0 - found.g, 1.0 - found.h))
    lags = 3
    meat = np.zeros((2, 2))
    v = fit.variances
    mean = (v.nu0 * v.d0 + v.nu * v.raw) / (v.nu0 + v.nu - 2.0)
    spread = mean / v.d
    z = np.array([np.trace(found.bread @ found.Z[:, :, i] @ found.Z[:, :, i].T) for i in range(n)])
    kept = min(np.sum(z * v.raw / v.d) / np.sum(z * spread), 1.0)
    assert kept < 1.0
    for i in range(n):
        for t in range(T):
            z = found.Z[:, t, i] * e[t, i]
            if kind == "nonrobust":
                one = found.Z[:, t, i]
                meat += spread[i] * np.outer(one, one) * np.sum(found.E**2) / fit.df_resid
            elif kind == "hetero":
                meat += np.outer(z, z)
            elif kind == "period":
                for j in range(n):
                    meat += np.outer(z, found.Z[:, t, j] * e[t, j]) * T / (T - 1.0)
            else:
                for s in range(T):
                    k = max(1.0 - abs(t - s) / (lags + 1.0), 0.0)
                    k = k if kind == "serial" else n / (n - 1.0)
                    meat += k * np.outer(z, found.Z[:, s, i] * e[s, i])
    expected = found.bread @ meat @ found.bread / (1.0 if kind == "nonrobust" else kept)
    got = covariance(found, fit.df_resid, kind, lags)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_an_unknown_covariance_is_refused():
    fit = _fit()
    with pytest.raises(ValueError, match="none of"):
        covariance(influence(fit), fit.df_resid, "HC9")
    assert bandwidth(50) == 3


def test_bias_terms_are_those_of_moon_and_weidner():
    """Whole matrices, as their theorem 4.3 has them, with kernels in loops."""
    fit = _fit("unit")
    found = influence(fit)
    got = bias(fit, found, serial=2, predetermined=3)
    T, n = fit.panel.Y.shape
    U, s, V, _ = fit.at.factors
    f, lam = U * s, V
    Mf, Mlam = np.eye(T) - U @ U.T, np.eye(n) - V @ V.T
    pseudo = f @ np.linalg.inv(f.T @ f) @ np.linalg.inv(lam.T @ lam) @ lam.T
    both = np.column_stack([fit.W.L, U])
    Pf = both @ both.T
    E = found.E
    ei, et = E / np.sqrt(1.0 - found.h), E / np.sqrt(1.0 - found.g)[:, None]
    omega_n = np.diag(np.diag(ei.T @ ei))
    omega_t, lags = et @ et.T, np.zeros((T, T))
    for t in range(T):
        for u in range(T):
            omega_t[t, u] *= max(1.0 - abs(t - u) / 3.0, 0.0)
    want = np.zeros((3, 2))
    for k, X in enumerate(fit.W.X):
        want[0, k] = np.trace(omega_n @ Mlam @ X.T @ pseudo)
        want[1, k] = np.trace(omega_t @ Mf @ X @ pseudo.T)
        EX = (E / (1.0 - found.g)[:, None]) @ (X @ Mlam).T
        lags = np.array([[EX[u, t] if 0 < t - u <= 3 else 0.0 for u in range(T)] for t in range(T)])
        want[2, k] = np.trace(Pf @ lags)
    np.testing.assert_allclose(np.stack(got), want @ found.bread, rtol=1e-8)
    np.testing.assert_allclose(got.total, want.sum(0) @ found.bread, rtol=1e-8)


def _dynamic(rng, T, n, rho=0.5):
    """y on its lag and an x that loads on the factor, unit effects (Moon and Weidner 2017)."""
    F = rng.standard_normal(T + 50)
    for t in range(1, T + 50):
        F[t] = 0.5 * F[t - 1] + np.sqrt(0.5) * F[t]
    G, a = 1.0 + rng.standard_normal(n), rng.standard_normal(n)
    x = np.outer(F, G) + rng.standard_normal((T + 50, n))
    y, e = np.zeros((T + 50, n)), rng.standard_normal((T + 50, n))
    for t in range(1, T + 50):
        y[t] = rho * y[t - 1] + x[t] + a + F[t] * G + e[t]
    return Panel(y[50:], np.stack([y[49:-1], x[50:]]))


def test_the_bias_of_a_lagged_response_is_taken_away():
    """20 periods x 100 units: b of the lag is .055 too low, .014 after the correction."""
    raw, corrected, covered = [], [], []
    for seed in range(12):
        panel = _dynamic(np.random.default_rng([8, seed]), 20, 100)
        fit = interactive_fit(
            panel, Effects.of(20, 100, unit=True), 1, beta=np.array([0.5, 1.0]), only_given=True
        )
        found = influence(fit)
        raw.append(fit.beta[0] - 0.5)
        corrected.append(raw[-1] + bias(fit, found, predetermined=3).total[0])
        se = np.sqrt(covariance(found, fit.df_resid)[0, 0])
        covered.append(abs(corrected[-1]) < 1.96 * se)
    assert np.mean(raw) < -0.03
    assert abs(np.mean(corrected)) < 0.4 * abs(np.mean(raw))
    assert np.mean(covered) >= 0.6


@pytest.mark.slow
def test_bais_design_at_50_x_50():
    """A slice of benchmarks/interactive.py: weights beat Bai, and standard errors are right."""
    errors, others, inside = [], [], []
    for seed in range(30):
        panel, _, b = dense.bai(np.random.default_rng([9, seed]), 50, 50)
        fit = interactive_fit(panel, Effects.of(50, 50), 2, beta=b, only_given=True)
        found = influence(fit)
        V = covariance(found, fit.df_resid, "nonrobust")
        errors.append(fit.beta - b)
        others.append(fit.bai - b)
        inside.append(np.abs(fit.beta - b) < 1.96 * np.sqrt(np.diag(V)))
    assert np.square(errors).mean() < 0.85 * np.square(others).mean()
    # 60 slopes: 1 standard error of the share is .028.
    assert np.mean(inside) > 0.86


def test_the_jackknife_is_three_less_two_means_of_halves():
    fit = _fit("unit", T=22, n=19)
    got = jackknife(fit, splits=1, rng=np.random.default_rng(3))
    order = np.random.default_rng(3).permutation(19)
    halves = [
        (slice(0, 11), slice(None)),
        (slice(11, 22), slice(None)),
        (slice(None), np.sort(order[:10])),
        (slice(None), np.sort(order[9:])),
    ]
    found = [
        interactive_fit(
            fit.panel.taken(*half),
            fit.effects.taken(*half),
            2,
            d=fit.d[half[1]],
            beta=fit.beta,
            only_given=True,
        ).beta
        for half in halves
    ]
    want = 3.0 * fit.beta - (found[0] + found[1]) / 2.0 - (found[2] + found[3]) / 2.0
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_a_direction_without_curvature_ends_the_fills():
    """Of K that rounding has left not quite positive: nothing is divided by zero."""
    A, hole = np.array([[[1.0, 3.0]]]), np.array([[False, True]])
    K = np.array([[1.0, 0.5], [0.5, 0.0]])
    assert np.array_equal(best_fills(A, lambda M: M @ K, hole), np.zeros_like(A))
    # Nor where the square of a small regressor is no number.
    small = 4e-161 * A
    assert np.isfinite(best_fills(small, lambda M: 0.05 * M, hole)).all()
