"""Autoregressive errors across missing cells, Sigma exchangeable or unrestricted: dense twins."""

import numpy as np
import pytest

from sm_alsgls.core.errors.exchangeable_observed import ObservedExchangeable
from sm_alsgls.core.errors.law import law_of
from sm_alsgls.core.errors.unrestricted_observed import ObservedUnrestrictedErrors
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem, bridges_gaps
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.second_order.curvature import lowest_curvature
from sm_alsgls.core.sigma.unrestricted_gaps import GapLikelihood
from sm_alsgls.covariance import LowRankDiag, Unrestricted
from sm_alsgls.covariance.factored import factored
from sm_alsgls.covariance.patterns import Patterns
from tests.core.laws import dense
from tests.core.laws.test_gaps import CASES, K, N, dense_covariance, holes

U = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
EQUAL = LowRankDiag(0.9 * U[:, None], 0.6 * U**2)


def any_sigma(seed=0, k=K):
    A = np.random.default_rng(seed).standard_normal((k, k))
    return Unrestricted.from_dense(A @ A.T + 0.2 * np.eye(k))


@pytest.fixture(params=list(CASES))
def case(request):
    rng = np.random.default_rng(0)
    values, times = CASES[request.param]
    mask = holes(rng)
    return values, times, rng.standard_normal((N, K)), mask


def law_over_gaps(name, mask, spread):
    made = ObservedExchangeable(Patterns(mask), U) if name == "tied" else (
        ObservedUnrestrictedErrors(Patterns(mask))
    )  # fmt: skip
    assert bridges_gaps(made)
    return made.over_gaps(spread)


def sigma_of(name):
    return EQUAL if name == "tied" else any_sigma()


@pytest.mark.parametrize("size", [1.0, 1e-5])
def test_k_factors_are_any_sigma(size):
    cov = any_sigma().scaled(np.array([1.0, size, 1.0, 1e3, 1.0]))
    S = cov.to_dense()
    root = np.sqrt(np.diag(S))
    made = factored(cov)
    np.testing.assert_allclose(made.to_dense() / np.outer(root, root), S / np.outer(root, root),
                               rtol=1e-13, atol=1e-14)  # fmt: skip
    assert (made.uniquenesses > 0.0).all()
    assert np.linalg.matrix_rank(made.loadings / root[:, None]) == K


@pytest.mark.parametrize("name", ["tied", "full"])
def test_the_likelihood_is_that_of_the_observed_cells(case, name):
    values, times, E, mask = case
    cov = sigma_of(name)
    ar = AR.of(N, values, K, times=times, mask=mask)
    law = law_over_gaps(name, mask, ar.spread)
    found = law.nll(ar.rows(E), cov) - ar.log_jacobian
    assert found == pytest.approx(dense.nll(E, dense_covariance(values, times, cov), mask))
    if np.any(values):
        plain = type(law)(Patterns(mask)).nll(ar.rows(E), cov) - ar.log_jacobian
        assert abs(plain - found) > 1e-3


def test_the_gradient_in_the_root_is_that_of_differences(case):
    values, times, E, mask = case
    ar = AR.of(N, values, K, times=times, mask=mask)
    likelihood = GapLikelihood(ar.rows(E), Patterns(mask), ar.spread)
    cov, upper = any_sigma(), np.triu_indices(K)
    point = likelihood(Unrestricted.from_dense(cov.to_dense()))

    def f(x):
        return likelihood(point.moved(x, np.full(K, -50.0))).nll

    point = likelihood(point.cov)
    expected = dense.differences(f, np.zeros(len(upper[0])))
    np.testing.assert_allclose(point.gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["tied", "full"])
def test_the_slope_in_the_weights_is_that_of_differences(case, name):
    values, times, E, mask = case
    cov, patterns = sigma_of(name), Patterns(mask)

    def f(v):
        spread = AR.of(N, v, K, times=times, mask=mask).spread
        return law_over_gaps(name, mask, spread).nll(TE, cov)

    ar = AR.of(N, values, K, times=times, mask=mask)
    TE = ar.rows(E)
    law = law_over_gaps(name, mask, ar.spread)
    found = ar.through_spread(law.spread_slope(TE, cov))
    np.testing.assert_allclose(found, dense.differences(f, values), rtol=1e-6, atol=1e-8)
    assert not type(law)(patterns).spread_slope(TE, cov).any()


def test_the_gradient_in_two_variances_is_that_of_differences(case):
    values, times, E, mask = case
    ar = AR.of(N, values, K, times=times, mask=mask)
    law, TE = law_over_gaps("tied", mask, ar.spread), ar.rows(E)

    def f(theta):
        a, s = np.exp(theta[0] + theta[1]), np.exp(theta[1])
        return law.nll(TE, LowRankDiag(np.sqrt(a) * U[:, None], s * U**2))

    theta = np.log([0.81 / 0.6, 0.6])
    expected = np.abs(dense.differences(f, theta))
    bound = np.zeros(K, dtype=bool)
    assert law.slope(TE, EQUAL, bound) == pytest.approx(expected.max(), rel=1e-7)
    assert law.slope(TE, EQUAL, ~bound) == pytest.approx(expected[0], rel=1e-7)


def test_one_variance_needs_no_gaps(case):
    values, times, E, mask = case
    ar = AR.of(N, values, K, times=times, mask=mask)
    law = ObservedExchangeable(Patterns(mask), U, level=False)
    known = {"floor": np.zeros(K), "near": None, "d": None, "block": None, "gtol": 1e-8}
    TE = ar.rows(E)
    plain, over = law.sigma(TE, 0, **known), law.over_gaps(ar.spread).sigma(TE, 0, **known)
    np.testing.assert_allclose(over.cov.diag(), plain.cov.diag(), rtol=1e-12)
    assert over.nll == pytest.approx(plain.nll)


def system(seed, law, mask, sigma, rho=0.6, gtol=1e-8):
    rng = np.random.default_rng(seed)
    n, k = mask.shape
    S = np.full((k, k), 0.7) + 0.5 * np.eye(k)
    E = rng.standard_normal((n, k)) @ np.linalg.cholesky(S).T
    E[0] /= np.sqrt(1.0 - rho**2)
    for i in range(1, n):
        E[i] += rho * E[i - 1]
    X = [np.column_stack([np.ones(n), rng.standard_normal(n)]) for _ in range(k)]
    options = ALSOptions(gtol=gtol)
    return RawSystem(np.where(mask, E, 0.0), X, law, options, law_of(sigma).make, mask=mask)


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("sigma", ["exchangeable", "full"])
@pytest.mark.slow
def test_the_fit_is_the_maximum_of_the_dense_likelihood(sigma, m):
    n, k = 40, 4
    mask = np.random.default_rng(2).random((n, k)) > 0.2
    mask[0] = True
    fit = maximise(system(3, AR.of(n, np.zeros(m), k, mask=mask), mask, sigma), 1)
    raw, best = fit.system, fit.found.best
    assert best.converged
    beta = fit.problem.design.to_beta(best.gamma)
    p = np.cumsum([len(b) for b in beta])[:-1]
    P, S = sum(len(b) for b in beta), best.cov.to_dense()
    lower = np.tril_indices(k)
    if sigma == "full":
        start = np.linalg.cholesky(S)[lower]
    else:
        start = np.log([S[0, 1], S[0, 0] - S[0, 1]])

    def f(theta):
        b = np.split(theta[:P], p)
        E = raw.Y - np.column_stack([X @ c for X, c in zip(raw.raw, b, strict=True)])
        part, rho = theta[P : P + len(start)], theta[P + len(start) :]
        if sigma == "full":
            L = np.zeros((k, k))
            L[lower] = part
            Sigma = L @ L.T
        else:
            Sigma = np.full((k, k), np.exp(part[0])) + np.exp(part[1]) * np.eye(k)
        Omega = (
            dense.stationary(rho[0], np.arange(n), Sigma)
            if m == 1
            else dense.recursion(rho, n, Sigma)
        )
        return dense.nll(E, Omega, mask)

    theta = np.concatenate([*beta, start, best.nuisance.values])
    assert f(theta) == pytest.approx(best.nll, rel=1e-10)
    assert np.abs(dense.differences(f, theta, 1e-4)).max() < 5e-6
    hessian = fit.problem.hessian(best.gamma, best.E, best.cov)
    if sigma == "full":
        assert lowest_curvature(hessian).lowest > -1e-5
    # Standard errors are of the dense information.
    at = np.flatnonzero(mask.ravel())
    Omega = (
        dense.stationary(best.nuisance.values[0], np.arange(n), S)
        if m == 1
        else dense.recursion(best.nuisance.values, n, S)
    )[np.ix_(at, at)]
    X = np.zeros((n, k, P))
    for j, B in enumerate(raw.raw):
        X[:, j, 2 * j : 2 * j + 2] = B
    X = X.reshape(n * k, P)[at]
    expected = np.linalg.inv(X.T @ np.linalg.solve(Omega, X))
    cov = fit.problem.covariance(best.cov)
    np.testing.assert_allclose(cov.times(np.eye(P)), expected, rtol=1e-7, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", ["exchangeable", "full"])
def test_rho_has_the_bias_of_whole_panels(sigma):
    """A fifth of the cells missing: -.037 (.004) where an innovation over a gap is taken for one of
    its last row, 0 (.003) here, of ten panels; four are drawn, of a standard error of .005."""
    short, whole = [], []
    for seed in range(4):
        mask = np.random.default_rng(seed).random((200, 5)) >= 0.2
        for seen, out in ((mask, short), (np.ones_like(mask), whole)):
            law = AR.of(200, np.zeros(1), 5, mask=seen)
            raw = system(seed, law, seen, sigma, gtol=1e-6)
            out.append(maximise(raw, 1, n_starts=1).found.best.nuisance.values[0])
    assert abs(np.mean(short) - np.mean(whole)) < 0.02
