"""Standard errors from the observed profile: closed forms, differences, and coverage."""

from functools import partial

import numpy as np
import pytest

from sm_alsgls.core.design.restricted import Restrictions
from sm_alsgls.core.laws import observed_information as module
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise, maximise_from
from sm_alsgls.core.laws.observed_information import observed_covariance
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.shrunken_ar import shrunken_ar, shrunken_from
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.exceptions import NotApplicableError
from tests.core.laws.panels import panel

TIGHT = ALSOptions(gtol=1e-9)


def test_one_regression_in_closed_form():
    """l = -(N/2) log(RSS + (b - b0)^2 x'Mx): J = H N / (N + 1) a standard error away."""
    rng = np.random.default_rng(0)
    N = 15
    X, y = rng.standard_normal((N, 3)), rng.standard_normal((N, 1))
    fit = maximise(RawSystem(y, [X], Chain([]), TIGHT), 0)
    found = observed_covariance(fit, np.array([1]), partial(maximise_from, rank=0))
    b, rss = np.linalg.lstsq(X, y, rcond=None)[:2]
    H = N / rss[0] / np.linalg.inv(X.T @ X)[1, 1]
    assert found.expected[0, 0] == pytest.approx(H, rel=1e-6)
    assert found.observed[0, 0] == pytest.approx(H * N / (N + 1), rel=1e-6)
    expected = (N + 1) ** 2 / N**2 / H * N / (N - 3)
    assert found.cov[0, 0] == pytest.approx(expected, rel=1e-6)
    assert fit.problem.design.to_params(fit.found.best.gamma)[1] == pytest.approx(b[1, 0])


@pytest.mark.parametrize("which", [[1], [0, 1]])
def test_scores_are_those_of_the_profile(which, monkeypatch):
    """J against differences of the profile likelihood itself, everything estimated again."""
    monkeypatch.setattr(module, "_GTOL", 1e-9)
    rng = np.random.default_rng(1)
    T, K = 25, 6
    raw = panel(rng, AR.of(T, np.zeros(1), K), T, K, 0.6, TIGHT)
    fit = maximise(raw, 1)
    refit = partial(maximise_from, rank=1)
    which = np.array(which)
    found = observed_covariance(fit, which, refit)
    best = fit.found.best
    b = fit.problem.design.to_params(best.gamma)[which]
    R = np.eye(2)[which]

    def loglike(values):
        system = module.replace(fit.system, binding=Restrictions(R, values, raw.binding))
        return -T * refit(fit, system).found.best.nll

    def slope(values):
        out = []
        for k in range(len(which)):
            step = 1e-4 * (np.arange(len(which)) == k)
            out.append((loglike(values + step) - loglike(values - step)) / 2e-4)
        return np.array(out)

    h = 1.0 / np.sqrt(np.diagonal(found.expected))
    J = np.array([
        -(slope(b + h * unit) - slope(b - h * unit)) / (2.0 * h[k])
        for k, unit in enumerate(np.eye(len(which)))
    ]).T  # fmt: skip
    np.testing.assert_allclose(found.observed, 0.5 * (J + J.T), rtol=2e-4, atol=2e-4 * J.max())
    inverse = np.linalg.inv(0.5 * (J + J.T))
    V = inverse @ found.expected @ inverse * T / (T - 2.0 / K)
    np.testing.assert_allclose(found.cov, V, rtol=1e-3)
    # H is that of GLS with everything known.
    known = fit.problem.covariance(best.cov).combinations(R)
    np.testing.assert_allclose(np.linalg.inv(found.expected), known, rtol=1e-6)


def test_own_constants_count_one():
    rng = np.random.default_rng(2)
    T, K = 30, 5
    raw = panel(rng, AR.of(T, np.zeros(K), K), T, K, 0.5, own_constants=True)
    fit = shrunken_ar(raw, 1)
    found = observed_covariance(fit, np.array([0]), partial(shrunken_from, rank=1))
    ratio = found.cov[0, 0] * found.observed[0, 0] ** 2 / found.expected[0, 0]
    assert ratio == pytest.approx(T / (T - 1.0 - 1.0 / K), rel=1e-8)
    assert found.observed[0, 0] < found.expected[0, 0]


@pytest.mark.slow
def test_intervals_cover_where_those_of_gls_do_not():
    """40 panels of T = 15, 10 units with constants of their own: GLS .80 or so."""
    covered = []
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        rho = rng.uniform(0.5, 0.9, 10)
        raw = panel(rng, AR.of(15, np.zeros(10), 10), 15, 10, rho, own_constants=True)
        fit = shrunken_ar(raw, 1, n_starts=1)
        V = observed_covariance(fit, np.array([0]), partial(shrunken_from, rank=1))
        error = abs(fit.problem.design.to_params(fit.found.best.gamma)[0] - 1.0)
        covered.append([error < 1.96 * V.cov[0, 0] ** 0.5, error < 1.96 / V.expected[0, 0] ** 0.5])
    mine, plain = np.mean(covered, axis=0)
    # The Monte Carlo standard error at .95 is .034.
    assert mine > 0.85
    assert plain < mine - 0.04


def test_restrictions_have_no_profile():
    rng = np.random.default_rng(3)
    raw = panel(rng, AR.of(20, np.zeros(1), 4), 20, 4, 0.5)
    tied = module.replace(raw, binding=Restrictions(np.eye(2)[:1], np.array([0.5]), raw.binding))
    fit = maximise(tied, 1)
    with pytest.raises(NotApplicableError, match="restrictions"):
        observed_covariance(fit, np.array([1]), partial(maximise_from, rank=1))
