"""Autoregressive errors across single missing cells: the likelihood of observed cells, dense."""

import numpy as np
import pytest

from sm_alsgls.core.errors.observed import ObservedErrors
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.gaps import LONGEST
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.row_scale import RowScale
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.second_order.curvature import lowest_curvature
from sm_alsgls.core.sigma.gap_likelihood import GapObjective
from sm_alsgls.covariance import LowRankDiag, over_gaps
from sm_alsgls.covariance.cores import frame
from sm_alsgls.covariance.over_gaps import GapCovariance
from sm_alsgls.covariance.patterns import Patterns
from tests.core.laws import dense

N, K, R = 12, 5, 2
EACH = np.array([0.7, -0.4, 0.3, 0.9, 0.0])
ROWS = np.arange(N)
TIMES = np.array([0, 1, 2, 5, 6, 8, 9, 10, 14, 15, 16, 19])
CASES = {
    "common": (np.array([0.6]), ROWS),
    "negative": (np.array([-0.6]), ROWS),
    "irregular": (np.array([0.7]), TIMES),
    "zero": (np.array([0.0]), TIMES),
    "each": (EACH, ROWS),
}


def holes(rng):
    """Cells inside, ends too, and a row with one cell: every equation has its first row."""
    mask = rng.random((N, K)) > 0.35
    mask[0] = True
    mask[5] = False
    mask[5, 1] = True
    mask[8:, 2] = False
    return mask


def covariance(rng, r=R):
    return LowRankDiag(rng.standard_normal((K, r)), rng.uniform(0.4, 1.5, K))


def value(E, mask, cov, times, values):
    law = AR.of(N, values, K, times=times, mask=mask)
    seen = GapCovariance(cov, Patterns(mask), law.spread)
    return seen.nll(law.rows(E)) - law.log_jacobian


def dense_covariance(values, times, cov):
    if len(values) == 1:
        return dense.stationary(values[0], times, cov.to_dense())
    return dense.recursion(values, N, cov.to_dense())


@pytest.fixture(params=list(CASES))
def case(request):
    rng = np.random.default_rng(0)
    values, times = CASES[request.param]
    return values, times, rng.standard_normal((N, K)), holes(rng), covariance(rng)


@pytest.mark.parametrize("r", [0, 1, 2, 3])
def test_the_likelihood_is_that_of_the_observed_cells(case, r):
    values, times, E, mask, _ = case
    cov = covariance(np.random.default_rng(r), r)
    expected = dense.nll(E, dense_covariance(values, times, cov), mask)
    assert value(E, mask, cov, times, values) == pytest.approx(expected, rel=1e-12)


def test_without_factors_equations_are_exact_one_by_one():
    rng = np.random.default_rng(8)
    E, mask, cov = (
        rng.standard_normal((N, K)),
        holes(rng),
        LowRankDiag.diagonal(np.arange(1.0, 6.0)),
    )
    law = AR.of(N, EACH, K, mask=mask)
    seen, plain = GapCovariance(cov, Patterns(mask), law.spread), cov.seen(Patterns(mask))
    TE = law.rows(E)
    assert seen.nll(TE) == pytest.approx(plain.nll(TE), rel=1e-13)
    np.testing.assert_allclose(seen.precision_diag(), plain.precision_diag())
    np.testing.assert_allclose(seen.solve(TE), plain.solve(TE))
    assert not seen.slope(TE).any()


def test_units_that_end_early_are_exact_and_have_no_spread():
    """Those that start late have in their first row the covariance Sigma with the others there."""
    rng = np.random.default_rng(1)
    E, cov, mask = rng.standard_normal((N, K)), covariance(rng), np.ones((N, K), dtype=bool)
    mask[7:, 0] = mask[9:, 3] = False
    law = AR.of(N, np.array([0.6]), K, mask=mask)
    assert law.spread is None
    found = cov.seen(Patterns(mask)).nll(law.rows(E)) - law.log_jacobian
    expected = dense.nll(E, dense.stationary(0.6, ROWS, cov.to_dense()), mask)
    assert found == pytest.approx(expected, rel=1e-12)
    # Late: the dense recursion from each unit's own first row, u of all rows N(0, Sigma).
    mask[:4, 1] = False
    E = np.where(mask, E, 0.0)
    law = AR.of(N, EACH, K, mask=mask)
    L = np.zeros((N * K, N * K))
    for j, rho in enumerate(EACH):
        first = int(mask[:, j].argmax())
        for n in range(first, N):
            for m in range(first, n + 1):
                start = 1.0 / np.sqrt(1.0 - rho**2) if m == first else 1.0
                L[n * K + j, m * K + j] = rho ** (n - m) * start
    Omega = L @ np.kron(np.eye(N), cov.to_dense()) @ L.T
    found = cov.seen(Patterns(mask)).nll(law.rows(E)) - law.log_jacobian
    assert found == pytest.approx(dense.nll(E, Omega, mask), rel=1e-12)


def test_the_gradient_in_rho_is_that_of_differences(case):
    values, times, E, mask, cov = case
    law = AR.of(N, values, K, times=times, mask=mask)
    seen, TE = GapCovariance(cov, Patterns(mask), law.spread), law.rows(E)
    found = law.gradient(np.where(mask, E, 0.0), TE, seen.solve(TE))
    found = found + law.through_spread(seen.slope(TE))
    expected = dense.differences(lambda v: value(E, mask, cov, times, v), values)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("lam_F", [0.0, 0.1])
def test_the_gradient_in_sigma_is_that_of_differences(case, lam_F):
    values, times, E, mask, cov = case
    law = AR.of(N, values, K, times=times, mask=mask)
    patterns, TE = Patterns(mask), law.rows(E)
    objective = GapObjective(TE, patterns, law.spread, lam_F)
    x = np.log(cov.uniquenesses)
    point = objective(cov.loadings, x)

    def f(theta):
        return objective(theta[: K * R].reshape(K, R), theta[K * R :]).nll

    expected = dense.differences(f, np.concatenate([cov.loadings.ravel(), x]))
    np.testing.assert_allclose(point.gradient, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("r", [0, R])
def test_products_and_information_are_those_of_the_dense_covariance(case, r):
    values, times, E, mask, _ = case
    cov = covariance(np.random.default_rng(r), r)
    law = AR.of(N, values, K, times=times, mask=mask)
    seen, TE = GapCovariance(cov, Patterns(mask), law.spread), law.rows(E)
    at = np.flatnonzero(mask.ravel())
    T = np.array([law.rows(e.reshape(N, K)).ravel() for e in np.eye(N * K)]).T[np.ix_(at, at)]
    Omega = dense_covariance(values, times, cov)[np.ix_(at, at)]
    Omega = T @ Omega @ T.T
    P = np.linalg.inv(Omega)
    np.testing.assert_allclose(seen.solve(TE).ravel()[at], P @ TE.ravel()[at], rtol=1e-9, atol=1e-9)
    assert seen.logdet() == pytest.approx(np.linalg.slogdet(Omega)[1], rel=1e-10)
    cells = np.full(N * K, np.nan)
    cells[at] = np.diag(P)
    expected = np.nanmean(cells.reshape(N, K), axis=0)
    np.testing.assert_allclose(seen.precision_diag(), expected, rtol=1e-9)
    blocks = [np.random.default_rng(j).standard_normal((N, 1 + j % 2)) for j in range(K)]
    X = np.zeros((N, K, sum(B.shape[1] for B in blocks)))
    stop = 0
    for j, B in enumerate(blocks):
        X[:, j, stop : stop + B.shape[1]] = B
        stop += B.shape[1]
    X = X.reshape(N * K, -1)[at]
    np.testing.assert_allclose(seen.information(blocks), X.T @ P @ X, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("at_once", [0.0, 1e9])
def test_blocks_of_the_inverse_are_those_of_the_dense_one(case, at_once, monkeypatch):
    values, times, _, mask, cov = case
    spread = AR.of(N, values, K, times=times, mask=mask).spread
    own = frame(cov.loadings / np.sqrt(cov.uniquenesses)[:, None])
    M = np.kron(np.eye(N), own.prior)
    A = np.zeros((N, K, N, R))
    A[np.arange(N), :, np.arange(N)] = spread.spans.simple[:, :, None] * own.A
    entries = zip(spread.spans.cell, spread.spans.source, spread.weight, strict=True)
    for c, k, w in entries:
        n, j = spread.spans.row[c], spread.spans.equation[c]
        A[n, j, k] = w * own.A[j]
    A = A.reshape(N * K, N * R)
    M = M + A.T @ A
    monkeypatch.setattr(over_gaps, "_AT_ONCE", at_once)
    precision = over_gaps.FactorPrecision(own, spread)
    assert precision.logdet() == pytest.approx(np.linalg.slogdet(M)[1] - N * own.logdet, rel=1e-12)
    dense_blocks = np.linalg.inv(M).reshape(N, R, N, R)
    found = precision.blocks()
    assert found.shape == (spread.spans.width, N, R, R)
    for lag, k in np.ndindex(spread.spans.width, N):
        expected = dense_blocks[k + lag, :, k] if k + lag < N else np.zeros((R, R))
        np.testing.assert_allclose(found[lag, k], expected, rtol=1e-9, atol=1e-13)


def system(rng, law, mask, n=40, k=6, rho=0.6, options=None):
    F, d = rng.uniform(0.5, 1.5, k), rng.uniform(0.3, 0.8, k)
    E = rng.standard_normal((n, 1)) * F + rng.standard_normal((n, k)) * np.sqrt(d)
    E[0] /= np.sqrt(1.0 - rho**2)
    for i in range(1, n):
        E[i] += rho * E[i - 1]
    X = [np.column_stack([np.ones(n), rng.standard_normal(n)])[:, : 1 + j % 2] for j in range(k)]
    return RawSystem(np.where(mask, E, 0.0), X, law, options or ALSOptions(gtol=1e-8), mask=mask)


@pytest.mark.parametrize("m", [1, 6])
def test_the_fit_is_the_maximum_of_the_dense_likelihood(m):
    """Its gradient in (beta, F, log d, rho) is zero by differences of the dense likelihood."""
    rng = np.random.default_rng(2)
    mask = rng.random((40, 6)) > 0.2
    mask[0] = True
    raw = system(rng, AR.of(40, np.zeros(m), 6, mask=mask), mask)
    fit = maximise(raw, 1)
    best = fit.found.best
    assert best.converged
    beta = fit.problem.design.to_beta(best.gamma)
    p = np.cumsum([len(b) for b in beta])[:-1]
    low, P = best.cov.low_rank, sum(len(b) for b in beta)

    def f(theta):
        b = np.split(theta[:P], p)
        E = raw.Y - np.column_stack([X @ c for X, c in zip(raw.raw, b, strict=True)])
        F, d = theta[P : P + 6], np.exp(theta[P + 6 : P + 12])
        rho, Sigma = theta[P + 12 :], np.outer(F, F) + np.diag(d)
        Omega = (
            dense.stationary(rho[0], np.arange(40), Sigma)
            if m == 1
            else dense.recursion(rho, 40, Sigma)
        )
        return dense.nll(E, Omega, mask)

    theta = np.concatenate(
        [*beta, low.loadings.ravel(), np.log(low.uniquenesses), best.nuisance.values]
    )
    assert f(theta) == pytest.approx(best.nll, rel=1e-11)
    assert np.abs(dense.differences(f, theta, 1e-4)).max() < 2e-6
    assert lowest_curvature(fit.problem.hessian(best.gamma, best.E, best.cov)).lowest > -1e-5


def test_without_factors_kernels_have_rows_of_no_factor():
    rng = np.random.default_rng(3)
    mask = rng.random((40, 6)) > 0.2
    mask[0] = True
    cov = LowRankDiag(np.zeros((6, 0)), rng.uniform(0.5, 1.5, 6))
    for law in (AR.of(40, np.array([0.6]), 6, mask=mask), RowScale(np.zeros((40, 1)), 6, [0.0])):
        raw = system(rng, law, mask)
        problem = raw.problem()
        kernel = problem.errors.information(problem.design, cov)._kernel
        V = kernel.half(slice(0, problem.design.n))
        assert V.shape == (0, problem.design.P)
        np.testing.assert_allclose(kernel.matrix(), kernel.matrix() - V.T @ V)


def test_standard_errors_are_of_the_dense_information():
    rng = np.random.default_rng(3)
    mask = rng.random((40, 6)) > 0.2
    mask[0] = True
    raw = system(rng, AR.of(40, np.array([0.6]), 6, mask=mask), mask)
    problem, cov = raw.problem(), LowRankDiag(rng.uniform(0.5, 1.5, (6, 1)), np.ones(6))
    at = np.flatnonzero(mask.ravel())
    Omega = dense.stationary(0.6, np.arange(40), cov.to_dense())[np.ix_(at, at)]
    P = sum(X.shape[1] for X in raw.raw)
    X, stop = np.zeros((40, 6, P)), 0
    for j, B in enumerate(raw.raw):
        X[:, j, stop : stop + B.shape[1]] = B
        stop += B.shape[1]
    X = X.reshape(240, P)[at]
    expected = np.linalg.inv(X.T @ np.linalg.solve(Omega, X))
    found = problem.covariance(cov)
    np.testing.assert_allclose(found.times(np.eye(P)), expected, rtol=1e-8, atol=1e-12)
    kernel = problem.errors.information(problem.design, cov)._kernel
    dual, block = kernel.dual(), problem.design.equation_slice(1)
    H = kernel.matrix()
    np.testing.assert_allclose(dual.block(1), np.linalg.inv(H)[block, block], rtol=1e-8)
    np.testing.assert_allclose(
        kernel.iterate(np.eye(P), 1e-12, 200), np.linalg.inv(H), rtol=1e-6, atol=1e-9
    )


@pytest.mark.slow
def test_rho_has_the_bias_of_whole_panels():
    """A fifth of the cells missing: an innovation over a gap taken for one of its last row has
    .04 less than whole panels have; 10 panels of 6 units, T = 200, standard error .007."""
    short, full = [], []
    for seed in range(10):
        for some, out in ((0.2, short), (0.0, full)):
            rng = np.random.default_rng(seed)
            mask = rng.random((200, 6)) >= some
            law = AR.of(200, np.zeros(1), 6, mask=mask)
            raw = system(rng, law, mask, 200, options=ALSOptions())
            out.append(maximise(raw, 1, n_starts=1).found.best.nuisance.values[0])
    assert abs(np.mean(short) - np.mean(full)) < 0.021


def test_scales_after_the_filter_leave_the_weights():
    rng = np.random.default_rng(4)
    mask = holes(rng)
    ar = AR.of(N, EACH, K, mask=mask)
    chain = Chain([ar, RowScale(rng.standard_normal((N, 1)), K, np.ones(1), mask=mask)])
    assert chain.spread is ar.spread
    np.testing.assert_allclose(chain.through_spread(np.ones(K)), [1, 1, 1, 1, 1, 0])
    assert Chain([]).spread is None
    assert AR.of(N, EACH, K).spread is None


def test_of_long_gaps_the_last_rows_are_left():
    mask = np.ones((100, 1), dtype=bool)
    mask[5:90] = False
    spread = AR.of(100, np.array([0.8]), 1, mask=mask).spread
    assert len(spread.weight) == LONGEST == spread.spans.width
    assert np.sum(spread.weight**2) == pytest.approx(1.0)


def test_other_laws_of_sigma_keep_independent_rows():
    rng = np.random.default_rng(5)
    mask = rng.random((40, 6)) > 0.2
    raw = system(rng, AR.of(40, np.array([0.5]), 6, mask=mask), mask)
    assert isinstance(raw.problem().errors, ObservedErrors)
    assert type(raw.problem().observed(covariance_of_six())) is GapCovariance
    assert type(raw.unfiltered().observed(covariance_of_six())) is not GapCovariance


def covariance_of_six():
    return LowRankDiag(np.ones((6, 1)), np.ones(6))
