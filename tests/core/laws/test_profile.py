"""Profiles of the laws' values: against fits at every value, and their intervals."""

import functools

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.profile import Profile
from sm_alsgls.core.laws.profile_interval import profile_interval
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.options import ALSOptions
from tests.core.laws.panels import panel

TIGHT = ALSOptions(gtol=1e-8)
T, K = 20, 4


@pytest.fixture(scope="module")
def both():
    """AR and a row scale, with constants of each equation."""
    rng = np.random.default_rng(3)
    z = rng.standard_normal((T, 1))
    law = Chain([AR.of(T, np.zeros(1), K), RowScale(z, K, np.zeros(1))])
    raw = panel(rng, law, T, K, 0.5, TIGHT, own_constants=True)
    return raw, maximise(raw, 1)


def dense(raw, ml, values, restricted):
    """N psi or N psi_R at given values, everything else estimated; H over rows and cells."""
    system = raw.at(np.asarray(values))
    problem = system.problem(compress=False).with_floor(ml.problem.floor)
    inner = als(problem, 1, Start(near=ml.found.best.cov))
    out = T * (inner.nll - system.beside)
    if not restricted:
        return out
    P = np.linalg.inv(inner.cov.to_dense())
    X = np.zeros((T, K, 1 + K))
    for j, B in enumerate(system.filter.blocks(raw.raw)):
        X[:, j, 0], X[:, j, 1 + j] = B[:, 1], B[:, 0]
    H = np.einsum("tjp,jl,tlq->pq", X, P, X)
    return out + 0.5 * np.linalg.slogdet(H)[1]


@pytest.mark.parametrize("restricted", [False, True])
def test_it_is_the_lowest_of_all_other_values(both, restricted):
    raw, ml = both
    profile = Profile(ml, 1, restricted)
    best = profile.value(profile.best)
    rho = -0.1
    lowest = minimize_scalar(
        lambda v: dense(raw, ml, [rho, v], restricted), bounds=(-1.5, 1.5), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    found = profile.held(np.array([rho, np.nan]))
    assert found.found.best.nuisance.values[0] == rho
    # Square roots of rounding.
    assert found.found.best.nuisance.values[1] == pytest.approx(lowest.x, abs=2e-4)
    assert profile.value(found) == pytest.approx(lowest.fun, abs=1e-7)
    ratio = profile.ratio(found)
    assert ratio == pytest.approx(2.0 * (profile.value(found) - best), abs=1e-9)
    assert ratio > 0.1
    at = profile.best.found.best.nuisance.values
    assert best == pytest.approx(dense(raw, ml, at, restricted), abs=1e-7)
    # All held: the criterion itself.
    everything = profile.held(np.array([0.1, -0.2]))
    value = dense(raw, ml, [0.1, -0.2], restricted)
    assert profile.value(everything) == pytest.approx(value, abs=1e-7)


@functools.cache
def on_a_grid(restricted):
    """The maximum of a panel, its profile, and the criterion at many values of rho."""
    rng = np.random.default_rng(8)
    raw = panel(rng, AR.of(T, np.zeros(1), K), T, K, 0.6, TIGHT, own_constants=True)
    ml = maximise(raw, 1)
    grid = np.linspace(-0.2, 0.998, 60)
    values = np.array([dense(raw, ml, [v], restricted) for v in grid])
    return ml, Profile(ml, 1, restricted), grid, values


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_intervals_are_those_of_a_grid(restricted, factor):
    ml, profile, grid, values = on_a_grid(restricted)
    found = profile_interval(profile, 0, 0.1, factor)
    inside = 2.0 * factor * (values - profile.value(profile.best)) <= stats.chi2.ppf(0.9, 1)
    step = grid[1] - grid[0]
    assert not inside[[0, -1]].any()
    assert abs(found.low - grid[inside][0]) <= step
    assert abs(found.high - grid[inside][-1]) <= step
    assert not found.low_is_bound
    assert not found.high_is_bound
    se = np.sqrt(
        profile.best.found.best.nuisance.cov[0, 0]
        if restricted
        else ml.found.best.nuisance.cov[0, 0]
    )
    assert found.high - found.low == pytest.approx(2 * 1.645 * se / factor**0.5, rel=0.15)


def test_an_interval_ends_on_a_bound():
    rng = np.random.default_rng(0)
    Y = 1.05 ** np.arange(300)[:, None] * (1.0 + 1e-3 * rng.standard_normal((300, 3)))
    X = [rng.standard_normal((300, 1)) for _ in range(3)]
    on = maximise(RawSystem(Y, X, AR.of(300, np.zeros(1), 3), TIGHT), 0)
    found = profile_interval(Profile(on, 0, False), 0)
    assert found.high == 0.999
    assert found.high_is_bound
    assert 0.9 < found.low < 0.999
    assert not found.low_is_bound


def test_values_of_laws_and_lags_are_held_too():
    rng = np.random.default_rng(2)
    ring = np.roll(np.eye(6), 1, axis=1)
    weights = SpatialWeights(0.5 * (ring + ring.T))
    X = [rng.standard_normal((40, 2)) for _ in range(6)]
    Y = rng.standard_normal((40, 6)) @ np.linalg.inv(np.eye(6) - 0.5 * weights.W.toarray()).T
    raw = RawSystem(
        Y, X, Chain([]), TIGHT, law=lambda rows: SpatialError(low_rank(rows), weights, 0.0),
        lag=SpatialLag(weights),
    )  # fmt: skip
    profile = Profile(maximise(raw, 0), 0, False)
    for held in ([0.0, np.nan], [np.nan, 0.0], [0.0, 0.0]):
        held = np.array(held)
        there = profile.held(held)
        values = there.found.best.nuisance.values
        np.testing.assert_array_equal(values[~np.isnan(held)], 0.0)
        assert np.all(np.abs(values[np.isnan(held)]) > 0.1)
    # Without the laws it is a fit that has none.
    plain = maximise(RawSystem(Y, X, Chain([]), TIGHT), 0)
    assert there.found.best.nll == pytest.approx(plain.found.best.nll, abs=1e-9)
    lag = RawSystem(Y, X, Chain([]), TIGHT, lag=SpatialLag(weights))
    alone = maximise(lag, 0).found.best
    of_lag = profile.held(np.array([0.0, np.nan])).found.best
    assert of_lag.nll == pytest.approx(alone.nll, abs=1e-9)
    assert of_lag.nuisance.values[1] == pytest.approx(alone.nuisance.values[0], abs=1e-5)


def test_a_best_that_was_none_is_left(both):
    """From a fit that is not the maximum of all, the ratio goes to what it finds."""
    _, ml = both
    profile = Profile(ml, 1, False)
    null = profile.lowest(np.array([0.0, np.nan]))
    expected = profile.ratio(null)
    worse = Profile(ml, 1, False)
    far = ml.system.holding(np.array([-0.6, 0.5]))
    worse.best = maximise_from(ml, far, 1)
    assert worse.ratio(null) == pytest.approx(expected, abs=1e-6)
