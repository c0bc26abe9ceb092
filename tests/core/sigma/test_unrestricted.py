"""The Sigma-step without restrictions: closed form, gradient, EM, and dense likelihoods."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from sm_alsgls.core.sigma.unrestricted import (
    ObservedLikelihood,
    available_pairs,
    fit_observed_unrestricted,
    on_floor,
)
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted
from tests.core import dense_observed

FLOOR = np.full(9, 1e-12)


def residuals(seed, N, K, share=0.7):
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((N, 1)) + rng.standard_normal((N, K))
    mask = rng.random((N, K)) < share
    mask[np.arange(N), rng.integers(0, K, N)] = True
    return np.where(mask, E, 0.0), Patterns(mask)


def dense_nll(Sigma, E, patterns):
    """Row by row, without the constant."""
    value = dense_observed.nll(E, patterns.mask, Sigma)
    return value - 0.5 * patterns.n_cells * np.log(2 * np.pi) / len(E)


def em_step(Sigma, E, patterns):
    """Little and Rubin (2002), section 8.2.1, row by row."""
    total = np.zeros_like(Sigma)
    for n in range(len(E)):
        seen = patterns.mask[n]
        B = np.linalg.solve(Sigma[np.ix_(seen, seen)], Sigma[seen]).T
        filled = B @ E[n, seen]
        total += np.outer(filled, filled) + Sigma - B @ Sigma[seen]
    return total / len(E)


def fitted(E, patterns, scale=1.0, **kwds):
    K = E.shape[1]
    floor = FLOOR[:K] * np.square(scale)
    return fit_observed_unrestricted(E, patterns, available_pairs(E, patterns), floor, **kwds)


def test_complete_rows_have_a_closed_form():
    E, _ = residuals(0, 40, 5, 2.0)
    cov, low = on_floor(E, 80, FLOOR[:5])
    assert_allclose(cov.to_dense(), E.T @ E / 80, rtol=1e-12)
    assert not low.any()


def test_a_combination_that_vanishes_ends_on_the_floor():
    E, _ = residuals(0, 40, 5, 2.0)
    E[:, 4] = E[:, 0] - E[:, 2]
    cov, low = on_floor(E, 40, np.full(5, 1e-6))
    assert low.tolist() == [False, False, False, False, True]
    assert cov.root[4, 4] == pytest.approx(1e-3)
    assert_allclose(cov.to_dense() - E.T @ E / 40, np.diag([0, 0, 0, 0, 1e-6]), atol=1e-14)


def test_value_and_gradient_by_differences():
    E, patterns = residuals(1, 50, 4)
    likelihood = ObservedLikelihood(E, patterns)
    cov = Unrestricted.from_residuals(np.random.default_rng(2).standard_normal((9, 4)))
    point = likelihood(cov)
    assert_allclose(point.nll, dense_nll(cov.to_dense(), E, patterns), rtol=1e-12)
    h, got = 1e-6, []
    for i in range(10):
        step = np.zeros(10)
        step[i] = h
        sides = [
            dense_nll(point.moved(s, np.full(4, -9.0)).to_dense(), E, patterns)
            for s in (step, -step)
        ]
        got.append((sides[0] - sides[1]) / (2 * h))
    # Central differences of h = 1e-6 have eight digits.
    assert_allclose(point.gradient, got, rtol=1e-6, atol=1e-8)


def test_a_step_along_the_gradient_is_em_to_first_order():
    E, patterns = residuals(3, 60, 4)
    cov = available_pairs(E, patterns)
    target = em_step(cov.to_dense(), E, patterns)
    point = ObservedLikelihood(E, patterns)(cov)
    Gamma = np.zeros((4, 4))
    Gamma[np.triu_indices(4)] = point.gradient
    Gamma = Gamma + np.triu(Gamma, 1).T
    assert_allclose(target, cov.root.T @ (np.eye(4) - Gamma) @ cov.root, rtol=1e-10)


@pytest.mark.parametrize(("N", "K", "share"), [(50, 3, 0.7), (200, 6, 0.5), (120, 2, 0.9)])
def test_it_is_the_fixed_point_of_em(N, K, share):
    E, patterns = residuals(4, N, K, share)
    fit = fit_observed_unrestricted(
        E, patterns, available_pairs(E, patterns), FLOOR[: E.shape[1]], gtol=1e-10
    )
    assert fit.converged
    Sigma = fit.cov.to_dense()
    assert_allclose(em_step(Sigma, E, patterns), Sigma, rtol=0, atol=1e-8)
    assert_allclose(fit.nll, dense_nll(Sigma, E, patterns), rtol=1e-12)
    # EM alone, from the same start, needs more steps than ours has evaluations.
    slow = available_pairs(E, patterns).to_dense()
    for _ in range(fit.evaluations):
        slow = em_step(slow, E, patterns)
    assert np.abs(slow - Sigma).max() > 1e-8


def test_another_optimiser_finds_nothing_lower():
    E, patterns = residuals(5, 40, 3, 0.6)
    fit = fitted(E, patterns)

    def objective(theta):
        L = np.zeros((3, 3))
        L[np.tril_indices(3)] = theta
        return dense_nll(L @ L.T + 1e-9 * np.eye(3), E, patterns)

    found = minimize(
        objective,
        np.eye(3)[np.tril_indices(3)],
        method="Nelder-Mead",
        options={"maxiter": 4000, "maxfev": 4000, "xatol": 1e-9, "fatol": 1e-12},
    )
    # Nelder-Mead's own accuracy.
    assert_allclose(found.fun, fit.nll, rtol=0, atol=1e-7)


def test_complete_rows_end_on_the_closed_form():
    E, patterns = residuals(6, 40, 5, 2.0)
    start = Unrestricted.from_dense(np.diag(np.arange(1.0, 6.0)))
    fit = fit_observed_unrestricted(E, patterns, start, FLOOR[:5], gtol=1e-10)
    assert_allclose(fit.cov.to_dense(), E.T @ E / 40, rtol=0, atol=1e-8)


def test_units_do_not_matter():
    E, patterns = residuals(7, 80, 4)
    c = np.array([1e-9, 1.0, 1e7, 3.0])
    one = fitted(E, patterns)
    other = fit_observed_unrestricted(
        E * c, patterns, available_pairs(E * c, patterns), FLOOR[:4] * c * c
    )
    assert other.evaluations == one.evaluations
    assert_allclose(other.cov.to_dense() / np.outer(c, c), one.cov.to_dense(), rtol=1e-9)


def test_a_warm_start_is_cheap():
    E, patterns = residuals(8, 300, 8, 0.6)
    first = fit_observed_unrestricted(
        E, patterns, available_pairs(E, patterns), FLOOR[: E.shape[1]]
    )
    moved = np.where(patterns.mask, E + 1e-3, 0.0)
    again = fit_observed_unrestricted(
        moved, patterns, first.cov, FLOOR[:8], memory=first.memory.copy()
    )
    assert again.converged
    assert again.evaluations < 0.7 * first.evaluations
