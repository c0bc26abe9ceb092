"""The maximum over everything: against brute force, its gradient, its ends."""

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.laws import maximise as module
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.profile import profile
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.exceptions import OptionError
from tests.core import systems
from tests.core.laws import dense
from tests.core.systems import ring
from tests.worked.law import SpatialErrors

N, K = 40, 5
# Without the pairs it takes more than twice as many.
MOST_STEPS = 25
TIGHT = ALSOptions(gtol=1e-9)
# A bound that bites: it must not move with the values.
FLOOR = ALSOptions(gtol=1e-9, d_floor=0.2)
# Rows with holes have a Sigma-step that is not exact to more.
HOLES = ALSOptions(gtol=1e-7)


def sample(seed=0, n=N, k=K, rho=0.6, delta=0.8):
    rng = np.random.default_rng(seed)
    blocks, _ = systems.system(rng, n, k, 1, 2)
    z = rng.standard_normal((n, 1))
    U = systems.factor_data(rng, n, k, 1) * np.exp(0.5 * delta * z)
    E = np.empty_like(U)
    E[0] = U[0] / np.sqrt(1 - rho**2)
    for i in range(1, n):
        E[i] = rho * E[i - 1] + U[i]
    return blocks, E + 1.0, z


def systems_of_laws():
    blocks, Y, z = sample()
    mask = np.random.default_rng(4).random((N, K)) > 0.15
    # More equations than rows, a rho for each.
    short, short_Y, _ = sample(0, 14, 3)
    wide, wide_Y, _ = sample(1, 20, 24)
    both = Chain([AR.of(N, np.zeros(1), K), RowScale(z, K, np.zeros(1))])
    holes = Chain([AR.of(N, np.zeros(1), K, mask=mask), RowScale(z, K, np.zeros(1), mask=mask)])
    return {
        "ar": RawSystem(Y, blocks, AR.of(N, np.zeros(1), K), TIGHT),
        "ar each": RawSystem(Y, blocks, AR.of(N, np.zeros(K), K), TIGHT),
        "scale": RawSystem(Y, blocks, RowScale(z, K, np.zeros(1)), TIGHT),
        "both": RawSystem(Y, blocks, both, TIGHT),
        "holes": RawSystem(np.where(mask, Y, np.nan), blocks, holes, HOLES, mask=mask),
        "heywood": RawSystem(short_Y, short, AR.of(14, np.zeros(1), 3), FLOOR),
        "wide": RawSystem(wide_Y, wide, AR.of(20, np.zeros(24), 24), TIGHT),
        "spatial": RawSystem(Y, blocks, both, TIGHT, law=spatial),
    }


class Spatial(SpatialErrors):
    """The worked law with its gradient, by differences at given beta and inner Sigma."""

    def gradient(self, E, cov):
        def f(values):
            law = self.at(values)
            return law.left.nll(E @ law.A.T, cov.inner) - law.nuisance.log_jacobian

        return dense.differences(f, self.nuisance.values)

    def at(self, values):
        return Spatial(self.K, self.n_obs, self.W, float(values[0]))


def spatial(rows):
    return Spatial(rows.Y.shape[1], rows.n_obs, ring(rows.Y.shape[1]), 0.0)


@pytest.fixture(scope="module", params=systems_of_laws())
def fitted(request):
    raw = systems_of_laws()[request.param]
    return raw, maximise(raw, 1)


def psi(raw, fit, values):
    """The profile at other values, from the maximum."""
    system = raw.at(values)
    problem = system.problem().with_floor(fit.problem.floor)
    beta = fit.problem.design.to_beta(fit.found.best.gamma)
    start = module.Start(gamma=problem.design.from_beta(beta), near=fit.found.best.cov)
    solution = als(problem, 1, start)
    assert solution.converged
    return solution.nll - system.filter.log_jacobian


def test_the_profile_is_stationary_and_its_gradient_that_of_differences(fitted):
    raw, fit = fitted
    best = fit.found.best
    assert best.converged
    # In standard errors, what a climb ends at is 10 gtol (1e-6) for each of m values.
    g, cov = fit.gradient, best.nuisance.cov
    assert len(raw.Y) * np.sqrt(g @ cov @ g) < 1.2e-5 * np.sqrt(len(g))
    assert psi(raw, fit, best.nuisance.values) == pytest.approx(best.nll, abs=1e-10)
    # And off the maximum, of up to three values.
    away = best.nuisance.values * 0.7
    climb = module._Climb(raw, 1, None)
    climb.run(True, 1, None, None)
    found = climb.evaluate(away).gradient
    m = min(3, len(away))

    def f(first):
        return psi(raw, fit, np.concatenate([first, away[m:]]))

    # A Heywood case among the samples has an NLL that is known to 1e-10: of a smaller step that is
    # what differences would be.
    expected = dense.differences(f, away[:m], 1e-3)
    np.testing.assert_allclose(found[:m], expected, rtol=2e-7, atol=1e-8)


def test_a_sample_with_a_heywood_case_is_one():
    assert maximise(systems_of_laws()["heywood"], 1).found.best.at_bound.any()


def test_pairs_of_steps_make_up_for_what_the_information_lacks():
    """24 coefficients from 20 rows: half as many steps with them."""
    assert maximise(systems_of_laws()["wide"], 1).steps <= MOST_STEPS


def test_no_direction_is_lower(fitted):
    raw, fit = fitted
    values, rng = fit.found.best.nuisance.values, np.random.default_rng(0)
    for size in (1e-2, 1e-1):
        step = size * rng.standard_normal(len(values))
        assert psi(raw, fit, values + step) > fit.found.best.nll


def test_it_is_the_maximum_over_everything_by_brute_force():
    """theta = (rho, beta, F, log d), the covariance of all cells in full."""
    blocks, Y, _ = sample(8, 14, 3)
    fit = maximise(RawSystem(Y, blocks, AR.of(14, np.zeros(1), 3), TIGHT), 1)
    best = fit.found.best

    def f(theta):
        rho, beta, F, log_d = np.split(theta, [1, 7, 10])
        b = beta.reshape(3, 2)
        E = Y - np.column_stack([X @ c for X, c in zip(blocks, b, strict=True)])
        Sigma = np.outer(F, F) + np.diag(np.exp(log_d))
        return dense.nll(E, dense.stationary(float(rho[0]), np.arange(14), Sigma))

    low = best.cov.low_rank
    beta = np.concatenate(fit.problem.design.to_beta(best.gamma))
    theta = np.r_[best.nuisance.values, beta, low.loadings[:, 0], np.log(low.uniquenesses)]
    assert f(theta) == pytest.approx(best.nll, rel=1e-10)
    if best.at_bound.any():
        pytest.fail("choose a sample without a Heywood case")
    better = scipy.optimize.minimize(f, theta, method="BFGS", options={"gtol": 1e-7})
    assert better.fun > best.nll - 1e-9
    # The covariance is that block of the inverse of the whole information.
    eye, h = np.eye(len(theta)), 1e-4
    H = np.array([
        [
            sum(s * t * f(theta + h * (s * a + t * b)) for s in (1, -1) for t in (1, -1))
            for a in eye
        ]
        for b in eye
    ]) / (4.0 * h * h)  # fmt: skip
    expected = np.linalg.inv(14 * H)[0, 0]
    assert best.nuisance.cov[0, 0] == pytest.approx(expected, rel=1e-3)  # differences


def test_at_nothing_to_find_it_is_the_search():
    blocks, Y, _ = sample(3)
    fit = maximise(RawSystem(Y, blocks, Chain([]), TIGHT), 1)
    assert fit.found.best.nll == pytest.approx(search(Problem(blocks, Y, TIGHT), 1).best.nll)
    assert fit.found.best.nuisance.names == ()
    assert fit.steps == 0


def test_a_law_without_filters_as_profile_finds_it():
    blocks, Y, _ = sample(4)
    fit = maximise(RawSystem(Y, blocks, Chain([]), TIGHT, law=spatial), 1)
    other = profile(Problem(blocks, Y, TIGHT), SpatialErrors(K, N, ring(K), 0.0), 1)
    assert fit.found.best.nll == pytest.approx(other.best.nll, abs=1e-9)
    nuisance, expected = fit.found.best.nuisance, other.best.nuisance
    np.testing.assert_allclose(nuisance.values, expected.values, atol=1e-5)
    np.testing.assert_allclose(nuisance.cov, expected.cov, rtol=1e-2)  # differences of both


def test_the_way_from_far_comes_to_the_same_place():
    blocks, Y, z = sample()
    law = Chain([AR.of(N, np.zeros(1), K), RowScale(z, K, np.zeros(1))])
    fits = [
        maximise(RawSystem(Y, blocks, law.at(np.array(v)), TIGHT), 1, guess=False)
        for v in ([0.0, 0.0], [-0.8, -1.0], [0.9, 2.0])
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(
            fit.found.best.nuisance.values, fits[0].found.best.nuisance.values, atol=1e-6
        )


def test_a_unit_root_ends_on_the_bound_and_has_no_covariance():
    rng = np.random.default_rng(0)
    Y = 1.05 ** np.arange(300)[:, None] * (1.0 + 1e-3 * rng.standard_normal((300, 3)))
    X = [rng.standard_normal((300, 1)) for _ in range(3)]
    fit = maximise(RawSystem(Y, X, AR.of(300, np.zeros(1), 3), TIGHT), 0)
    best = fit.found.best
    assert best.nuisance.values[0] == pytest.approx(0.999, abs=1e-5)
    assert np.isnan(best.nuisance.cov).all()
    assert fit.gradient[0] < 0.0


def test_many_values_have_the_information_s_covariance(monkeypatch):
    blocks, Y, _ = sample(5, 400, 4)
    raw = RawSystem(Y, blocks, AR.of(400, np.zeros(4), 4), TIGHT)
    exact = maximise(raw, 1).found.best.nuisance
    monkeypatch.setattr(module, "DIFFERENCED", 1)
    quick = maximise(raw, 1).found.best.nuisance
    np.testing.assert_array_equal(quick.values, exact.values)
    # They differ by the estimation of Sigma, of the order of 1/N.
    np.testing.assert_allclose(quick.cov, exact.cov, atol=0.05 * exact.cov.max())
    assert (quick.cov != exact.cov).all()


@pytest.mark.parametrize("after", [1, 12, 25])
def test_a_callback_ends_everything(after):
    blocks, Y, _ = sample()
    seen = []

    def stop(sweep):
        seen.append(sweep)
        return len(seen) >= after

    fit = maximise(RawSystem(Y, blocks, AR.of(N, np.zeros(1), K), TIGHT), 1, callback=stop)
    best = fit.found.best
    assert not best.converged
    assert best.status == "stopped by the callback"
    assert np.isnan(best.nuisance.cov).all()
    assert len(seen) <= after + 2


def test_first_values_out_of_bounds_are_refused():
    blocks, Y, _ = sample()
    raw = RawSystem(Y, blocks, AR.of(N, np.array([0.9995]), K), TIGHT)
    with pytest.raises(OptionError, match=r"rho must lie between -0.999 and 0.999, got 0.9995"):
        maximise(raw, 1, guess=False)


def test_compressed_rows_give_the_same():
    """500 rows of two shared columns are compressed after the filter, 40 of own ones are not."""
    rng = np.random.default_rng(6)
    X = np.column_stack([np.ones(500), rng.standard_normal(500)])
    _, Y, _ = sample(6, 500, 3)
    fit = maximise(RawSystem(Y, [X] * 3, AR.of(500, np.zeros(1), 3), TIGHT), 0)
    assert len(fit.problem.Y) < 10
    assert fit.problem.n_obs == 500
    whole = Problem.from_rows(
        module.RawSystem(Y, [X] * 3, fit.system.filter, TIGHT).unfiltered().rows,
        TIGHT,
        law=lambda rows: CompleteErrors(3, 500),
    )
    assert len(whole.Y) == 500
    assert np.abs(fit.gradient).max() < 1e-8
