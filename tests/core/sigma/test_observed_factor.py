"""The Sigma-step on what is observed: its gradient is right, and it ends at a maximum."""

import numpy as np
import pytest

from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.observed_factor import _with_uniqueness, fit_observed
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.core.sigma.observed_start import available_cells
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns
from tests.core import dense_observed as dense
from tests.core import systems

CONSTANT = 0.5 * np.log(2 * np.pi)


def residuals(N, K, r, share, seed=0):
    rng = np.random.default_rng(seed)
    mask = dense.holes(rng, N, K, share)
    E = np.asfortranarray(np.where(mask, systems.factor_data(rng, N, K, r), 0.0))
    return E, mask, rng


def fit(E, mask, r, **options):
    patterns = Patterns(mask)
    s = np.square(E).sum(axis=0) / mask.sum(axis=0)
    start = options.pop("start", None) or available_cells(E, patterns, r)
    floor = options.pop("floor", 1e-8) * s
    return fit_observed(E, patterns, start, floor, **options)


@pytest.mark.parametrize(
    ("K", "N", "r", "share"), [(4, 30, 1, 0.7), (8, 60, 2, 0.5), (20, 12, 3, 0.6)]
)
def test_value_and_gradient_are_the_dense_ones(K, N, r, share):
    E, mask, rng = residuals(N, K, r, share)
    F, d = rng.standard_normal((K, r)), rng.uniform(0.1, 2, K)
    point = ObservedObjective(E, Patterns(mask))(F, np.log(d))
    Sigma = F @ F.T + np.diag(d)
    g_F, g_x = dense.gradient_sigma(E, mask, F, d)
    assert point.nll + CONSTANT * mask.sum() / N == pytest.approx(
        dense.nll(E, mask, Sigma), rel=1e-13
    )
    np.testing.assert_allclose(point.gradient, np.r_[g_F.ravel(), g_x], rtol=0, atol=1e-11)


@pytest.mark.parametrize("lam_F", [0.0, 0.1])
def test_gradient_is_the_difference_quotient(lam_F):
    E, mask, rng = residuals(40, 5, 2, 0.6)
    F, x = rng.standard_normal((5, 2)), rng.uniform(-1, 1, 5)
    objective = ObservedObjective(E, Patterns(mask), lam_F)
    gradient, h = objective(F, x).gradient, 1e-6
    theta = np.r_[F.ravel(), x]
    for i in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[i] += h
        down[i] -= h
        values = [objective(v[:10].reshape(5, 2), v[10:]).nll for v in (up, down)]
        # Rounding of f over h.
        assert gradient[i] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("heywood", [(1,), (0, 3), (0, 2, 4)])
def test_heywood_cases_keep_their_digits(heywood):
    """Value and gradient at d_j = 1e-8 against 50 digits; two bound equations meet or do not."""
    E, mask, rng = residuals(15, 6, 2, 0.6, seed=3)
    F, d = rng.standard_normal((6, 2)), rng.uniform(0.3, 1, 6)
    d[list(heywood)] = 1e-8
    z = rng.standard_normal((15, 2))
    E = np.where(mask, z @ F.T + rng.standard_normal(E.shape) * np.sqrt(d), 0.0)
    point = ObservedObjective(np.asfortranarray(E), Patterns(mask))(F, np.log(d))
    value, g_F, g_x = dense.nll_gradient_mp(E, mask, F, d)
    # More of them than factors: Sigma itself amplifies the rounding of F and E by 1e4.
    scale = 1e4 if len(heywood) > F.shape[1] else 1.0
    assert point.nll + CONSTANT * mask.sum() / 15 == pytest.approx(value, abs=scale * 1e-9)
    root = np.sqrt(d)[:, None]
    np.testing.assert_allclose(point.phi, root * g_F, rtol=0, atol=scale * 1e-9)
    np.testing.assert_allclose(point.delta, g_x, rtol=0, atol=scale * 1e-9)
    if scale == 1.0:
        np.testing.assert_allclose(point.phi / root, g_F, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("K", "N", "r"), [(6, 200, 1), (12, 80, 2), (30, 20, 2)])
def test_complete_data_is_factor_analysis(K, N, r):
    E, _, _ = residuals(N, K, r, 1.0)
    closed = fit_factor(E, r, gtol=1e-10)
    found = fit(E, np.ones(E.shape, bool), r, gtol=1e-10)
    assert found.converged
    assert found.nll == pytest.approx(closed.nll, abs=1e-10)
    np.testing.assert_allclose(found.F @ found.F.T, closed.F @ closed.F.T, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.d, closed.d, rtol=0, atol=1e-8)


@pytest.mark.parametrize("share", [0.8, 0.5])
@pytest.mark.parametrize(("K", "N", "r"), [(8, 100, 1), (12, 60, 2), (40, 30, 2)])
def test_ends_at_a_stationary_point(K, N, r, share):
    E, mask, _ = residuals(N, K, r, share)
    found = fit(E, mask, r, gtol=1e-8, floor=1e-4)
    assert found.converged
    g_F, g_x = dense.gradient_sigma(E, mask, found.F, found.d)
    free = ~found.at_bound
    assert np.abs(g_x[free]).max() <= 2e-8
    assert np.abs(np.sqrt(found.d)[:, None] * g_F)[free].max() <= 2e-8
    assert np.all(g_x[found.at_bound] > 0)


def test_tens_of_evaluations():
    E, mask, _ = residuals(500, 200, 3, 0.8)
    found = fit(E, mask, 3, gtol=1e-6)
    assert found.converged
    assert found.evaluations <= 15


def test_never_above_its_start():
    E, mask, rng = residuals(50, 8, 2, 0.6)
    for _ in range(10):
        start = LowRankDiag.from_factors(rng.standard_normal((8, 2)), rng.uniform(0.01, 3, 8))
        before = dense.nll(E, mask, start.to_dense())
        after = fit(E, mask, 2, start=start, gtol=1e-2, max_iter=3)
        assert after.nll + CONSTANT * mask.sum() / 50 <= before + 1e-12


def test_a_rotated_start_takes_the_same_path():
    E, mask, rng = residuals(60, 10, 3, 0.7)
    F, d = 0.5 * rng.standard_normal((10, 3)), rng.uniform(0.5, 1, 10)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    one, other = (
        fit(E, mask, 3, start=LowRankDiag.from_factors(G, d), gtol=1e-2) for G in (F, F @ turn)
    )
    assert one.evaluations == other.evaluations
    assert other.nll == pytest.approx(one.nll, abs=1e-10)
    np.testing.assert_allclose(one.F @ turn, other.F, rtol=0, atol=1e-7)


def test_units_do_not_matter():
    E, mask, rng = residuals(60, 10, 2, 0.7)
    c = 10.0 ** rng.uniform(-6, 6, 10)
    one, other = fit(E, mask, 2), fit(np.asfortranarray(E * c), mask, 2)
    assert other.evaluations == one.evaluations
    np.testing.assert_allclose(other.d / c**2, one.d, rtol=1e-6)


def test_a_heywood_case_ends_on_its_bound():
    """Correlations 0.9, 0.8, 0.5 of three equations ask for a loading above one."""
    rng = np.random.default_rng(11)
    S = np.eye(5)
    S[:3, :3] = [[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1.0]]
    E = systems.data_with_covariance(rng, 300, S)
    mask = rng.random(E.shape) < 0.9
    mask[~mask.any(axis=1), 0] = True
    E = np.asfortranarray(E * mask)
    found = fit(E, mask, 1, gtol=1e-8)
    assert found.converged
    np.testing.assert_array_equal(found.at_bound, [True, False, False, False, False])
    up = found.d.copy()
    up[0] = 1e-3
    assert dense.nll(E, mask, found.F @ found.F.T + np.diag(up)) > (
        found.nll + CONSTANT * mask.sum() / 300
    )


def test_rank_zero_is_closed_form():
    E, mask, _ = residuals(30, 5, 1, 0.6)
    found = fit(E, mask, 0)
    np.testing.assert_allclose(found.d, np.square(E).sum(axis=0) / mask.sum(axis=0), rtol=1e-14)
    value = dense.nll(E, mask, np.diag(found.d))
    assert found.nll + CONSTANT * mask.sum() / 30 == pytest.approx(value, rel=1e-13)


def test_an_earlier_memory_is_used_and_kept():
    E, mask, _ = residuals(100, 20, 2, 0.7)
    first = fit(E, mask, 2, gtol=1e-6)
    E = np.asfortranarray(E + 0.001 * np.sin(E) * mask)
    pairs = len(first.block)
    start = LowRankDiag.from_factors(first.F, first.d)
    cold = fit(E, mask, 2, start=start, gtol=1e-8)
    warm = fit(E, mask, 2, start=start, gtol=1e-8, memory=first.block.copy())
    assert warm.evaluations <= cold.evaluations
    assert warm.nll == pytest.approx(cold.nll, abs=1e-12)
    assert len(first.block) == pairs


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_start_from_available_cells_is_consistent(share):
    rng = np.random.default_rng(2)
    cov = LowRankDiag.from_factors(rng.uniform(0.5, 1, (10, 1)), rng.uniform(0.5, 1, 10))
    mask = dense.holes(rng, 20_000, 10, share)
    E = np.asfortranarray(cov.sample(rng, 20_000) * mask)
    start = available_cells(E, Patterns(mask), 1)
    np.testing.assert_allclose(start.to_dense(), cov.to_dense(), rtol=0, atol=0.06)


@pytest.mark.parametrize("share", [1e-8, 1e-3, 0.5])
def test_a_uniqueness_that_is_moved_leaves_its_variance(share):
    """f_j'f_j + d_j is held, and the others stay."""
    E, mask, rng = residuals(40, 5, 2, 0.6)
    F, d = rng.standard_normal((5, 2)), rng.uniform(0.1, 2, 5)
    point = ObservedObjective(E, Patterns(mask))(F, np.log(d))
    chosen = np.array([False, True, False, True, False])
    wanted = share * (np.square(F).sum(axis=1) + d)
    F_new, x_new = _with_uniqueness(point, chosen, wanted)
    np.testing.assert_allclose(
        np.square(F_new).sum(axis=1) + np.exp(x_new), np.square(F).sum(axis=1) + d, rtol=1e-12
    )
    np.testing.assert_allclose(np.exp(x_new), np.where(chosen, wanted, d), rtol=1e-12)
    np.testing.assert_array_equal(F_new[~chosen], F[~chosen])
