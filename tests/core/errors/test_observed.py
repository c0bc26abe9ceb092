"""Exact maximum likelihood with missing cells, against brute force and the complete-data loop."""

import numpy as np
import pytest

from sm_alsgls.core.maximise.als import Start, als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import RankDeficientError, ShapeError
from tests.core import dense_observed as dense
from tests.core import systems

# N, K, r, p, share
CASES = {
    "K=4": (40, 4, 1, 2, 0.8),
    "K=8": (60, 8, 2, 2, 0.7),
    "ragged": (60, 6, 1, (1, 4, 2, 3, 2, 5), 0.7),
    "half": (60, 8, 1, 2, 0.5),
    "K > N": (15, 25, 1, 2, 0.7),
    "no factor": (40, 6, 0, 3, 0.6),
    "patterns": (80, 6, 1, 2, None),
}


def case(name, seed=0):
    N, K, r, p, share = CASES[name]
    rng = np.random.default_rng(seed)
    blocks, Y = systems.system(rng, N, K, max(r, 1), p)
    if share is None:
        few = dense.holes(rng, 5, K, 0.6, least=1)
        mask = few[rng.integers(5, size=N)]
    else:
        mask = dense.holes(rng, N, K, share, least=8)
    return blocks, np.where(mask, Y, np.nan), mask, r


def fitted(blocks, Y, mask, r, start=None, **options):
    problem = Problem(blocks, Y, ALSOptions(**options), mask=mask)
    return problem, als(problem, r, start)


def beta_of(problem, fit):
    return np.concatenate(problem.design.to_beta(fit.gamma))


def theta_of(problem, fit):
    return np.r_[beta_of(problem, fit), fit.cov.loadings.ravel(), np.log(fit.cov.uniquenesses)]


def check_monotone(fit):
    levels = np.array([row.nll for row in fit.trace])
    assert np.all(np.diff(levels) <= 1e-12 * np.maximum(1.0, np.abs(levels[1:])))


def check_stationary(blocks, Y, mask, problem, fit, tol):
    """Both conditions by dense algebra on the caller's own rows, and the likelihood there."""
    E = dense.residuals(blocks, np.where(mask, Y, 0.0), mask, beta_of(problem, fit))
    np.testing.assert_allclose(fit.E, E, rtol=0, atol=1e-10 * np.abs(E).max())
    Sigma = fit.cov.to_dense()
    assert fit.nll == pytest.approx(dense.nll(E, mask, Sigma), abs=1e-9)
    W = dense.solve(E, mask, Sigma)
    precision = np.einsum("nij->ij", dense.inverses(mask, Sigma)).diagonal() / mask.sum(axis=0)
    for j, X in enumerate(blocks):
        seen = X * mask[:, [j]]
        Q = np.linalg.qr(seen / np.linalg.norm(seen, axis=0))[0]
        assert np.abs(Q.T @ W[:, j]).max() / np.sqrt(precision[j]) <= tol
    F, d = fit.cov.loadings, fit.cov.uniquenesses
    g_F, g_x = dense.gradient_sigma(E, mask, F, d)
    free = ~fit.at_bound
    assert np.abs(g_x[free]).max(initial=0.0) <= tol
    assert np.abs(np.sqrt(d)[:, None] * g_F)[free].max(initial=0.0) <= tol
    assert np.all(g_x[fit.at_bound] > 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_converges_to_a_stationary_point_without_rising(name, seed):
    blocks, Y, mask, r = case(name, seed)
    problem, fit = fitted(blocks, Y, mask, r, d_floor=1e-4)
    assert fit.converged, fit.status
    assert fit.status == "stationary"
    check_monotone(fit)
    check_stationary(blocks, Y, mask, problem, fit, 1.1e-6)
    assert max(fit.gradient_d, fit.score_beta) <= 1e-6


@pytest.mark.parametrize("name", ["K=4", "K=8", "ragged", "half", "patterns"])
def test_estimates_are_the_dense_maximum(name):
    """L-BFGS-B and Newton on the brute-force likelihood, from a point nearby: equal to 1e-8."""
    blocks, Y, mask, r = case(name)
    problem, fit = fitted(blocks, Y, mask, r, gtol=1e-10, d_floor=1e-3)
    full = dense.FullLikelihood(blocks, np.where(mask, Y, 0.0), mask, r)
    theta = theta_of(problem, fit)
    near = theta + 0.05 * np.random.default_rng(1).standard_normal(len(theta))
    other = full.maximum(near, np.log(problem.floor))
    assert fit.nll == pytest.approx(full(other)[0], abs=1e-10)
    beta, F, d = full.split(other)
    np.testing.assert_allclose(beta_of(problem, fit), beta, rtol=0, atol=1e-8)
    # A d_j on its bound is fixed in both.
    np.testing.assert_allclose(fit.cov.to_dense(), F @ F.T + np.diag(d), rtol=0, atol=1e-7)
    assert np.abs(full(theta)[1][: -problem.K]).max() < 1e-8


@pytest.mark.parametrize("name", ["K=8", "ragged", "K > N"])
def test_given_sigma_it_is_dense_gls(name):
    blocks, Y, mask, _ = case(name)
    K = Y.shape[1]
    rng = np.random.default_rng(9)
    cov = LowRankDiag.from_factors(rng.standard_normal((K, 2)), rng.uniform(0.3, 1, K))
    problem = Problem(blocks, Y, ALSOptions(), mask=mask)
    V = problem.covariance(cov)
    normal = problem.normal(cov)
    score = normal.score(problem.E_ols, problem.gamma_ols)
    gamma = problem.gamma_ols + V._solve_gamma(score[:, None])[:, 0]
    expected = dense.gls(blocks, np.where(mask, Y, 0.0), mask, cov.to_dense())
    np.testing.assert_allclose(
        np.concatenate(problem.design.to_beta(gamma)), expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("N", "K", "r", "p"), [(120, 8, 2, 3), (40, 12, 2, 3), (15, 25, 1, 2), (50, 3, 1, 2)]
)
def test_complete_data_is_the_complete_loop(N, K, r, p):
    blocks, Y = systems.system(np.random.default_rng(0), N, K, r, p)
    options = ALSOptions(gtol=1e-9)
    one = als(Problem(blocks, Y, options), r)
    problem = Problem(blocks, Y, options, mask=np.ones(Y.shape, bool))
    other = als(problem, r)
    assert one.converged
    assert other.converged
    assert other.nll == pytest.approx(one.nll, abs=1e-9)
    there = Problem(blocks, Y, options).design.to_beta(one.gamma)
    np.testing.assert_allclose(beta_of(problem, other), np.concatenate(there), rtol=0, atol=1e-8)
    np.testing.assert_allclose(other.cov.to_dense(), one.cov.to_dense(), rtol=0, atol=2e-8)
    np.testing.assert_array_equal(other.at_bound, one.at_bound)


def test_rank_zero_is_ols_on_the_observed_rows():
    blocks, Y, mask, _ = case("no factor")
    problem, fit = fitted(blocks, Y, mask, 0)
    assert fit.converged
    for j, beta in enumerate(problem.design.to_beta(fit.gamma)):
        seen = mask[:, j]
        ols, rss, *_ = np.linalg.lstsq(blocks[j][seen], Y[seen, j], rcond=None)
        np.testing.assert_allclose(beta, ols, rtol=0, atol=1e-10)
        assert fit.cov.uniquenesses[j] == pytest.approx(rss[0] / seen.sum(), rel=1e-10)


def test_equations_of_different_lengths_and_pairs_that_never_meet():
    rng = np.random.default_rng(5)
    blocks, Y = systems.system(rng, 90, 7, 1, 2)
    mask = np.ones(Y.shape, bool)
    mask[45:, 0] = False
    mask[:45, 1] = False  # 0 and 1 are never seen together
    mask[20:, 2] = False
    problem, fit = fitted(blocks, Y, mask, 1, gtol=1e-8)
    assert fit.converged
    assert problem.errors.patterns.G == 3
    check_stationary(blocks, Y, mask, problem, fit, 1.1e-8)


def test_what_is_missing_does_not_matter():
    blocks, Y, mask, r = case("ragged")
    _, fit = fitted(blocks, Y, mask, r)
    rng = np.random.default_rng(3)
    noisy = [np.where(mask[:, [j]], X, rng.choice([np.nan, 1e30])) for j, X in enumerate(blocks)]
    _, again = fitted(noisy, np.where(mask, Y, np.inf), mask, r)
    np.testing.assert_array_equal(again.gamma, fit.gamma)
    assert again.nll == fit.nll


def test_order_of_rows_and_equations():
    blocks, Y, mask, r = case("ragged")
    rng = np.random.default_rng(7)
    problem, fit = fitted(blocks, Y, mask, r, gtol=1e-9)
    rows, equations = rng.permutation(len(Y)), rng.permutation(Y.shape[1])
    other, again = fitted(
        [blocks[j][rows][:, ::-1] for j in equations],
        Y[rows][:, equations],
        mask[rows][:, equations],
        r,
        gtol=1e-9,
    )
    assert again.nll == pytest.approx(fit.nll, abs=1e-9)
    there = problem.design.to_beta(fit.gamma)
    for i, b in enumerate(other.design.to_beta(again.gamma)):
        np.testing.assert_allclose(b[::-1], there[equations[i]], rtol=0, atol=1e-7)


@pytest.mark.parametrize("lam", [0.0, 0.2])
def test_units_do_not_matter(lam):
    blocks, Y, mask, r = case("K=8")
    rng = np.random.default_rng(5)
    c = 10.0 ** rng.uniform(-6, 6, 8)
    scales = [10.0 ** rng.uniform(-6, 6, X.shape[1]) for X in blocks]
    options = {"lam_B": lam, "lam_F": 0.1 * lam, "gtol": 1e-9}
    one, fit = fitted(blocks, Y, mask, r, **options)
    scaled = [X * a for X, a in zip(blocks, scales, strict=True)]
    other, again = fitted(scaled, Y * c, mask, r, **options)
    # Each observed cell brings its own unit.
    shift = np.log(c) @ mask.sum(axis=0) / len(Y)
    assert again.nll - shift == pytest.approx(fit.nll, abs=1e-9)
    there = one.design.to_beta(fit.gamma)
    for j, b in enumerate(other.design.to_beta(again.gamma)):
        np.testing.assert_allclose(b * scales[j] / c[j], there[j], rtol=0, atol=1e-7)


def test_ridges_are_those_of_complete_data():
    blocks, Y = systems.system(np.random.default_rng(4), 60, 5, 1, 3)
    options = ALSOptions(lam_B=0.3, lam_F=0.05, gtol=1e-9)
    one = als(Problem(blocks, Y, options), 1)
    problem = Problem(blocks, Y, options, mask=np.ones(Y.shape, bool))
    other = als(problem, 1)
    assert other.nll == pytest.approx(one.nll, abs=1e-9)
    there = Problem(blocks, Y, options).design.to_beta(one.gamma)
    np.testing.assert_allclose(beta_of(problem, other), np.concatenate(there), rtol=0, atol=1e-8)


def test_a_heywood_case_of_a_whole_system():
    rng = np.random.default_rng(11)
    S = np.eye(5)
    S[:3, :3] = [[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1.0]]
    blocks, _ = systems.system(rng, 300, 5, 1, 2)
    Y = systems.data_with_covariance(rng, 300, S)
    mask = dense.holes(rng, 300, 5, 0.9)
    problem, fit = fitted(blocks, Y, mask, 1)
    assert fit.converged
    check_monotone(fit)
    np.testing.assert_array_equal(fit.at_bound, [True, False, False, False, False])
    assert fit.cov.uniquenesses[0] == pytest.approx(problem.floor[0], rel=1e-12)


def test_starts():
    blocks, Y, mask, r = case("half", seed=1)
    problem, fit = fitted(blocks, Y, mask, r, gtol=1e-8)
    again = als(problem, r, Start("again", gamma=fit.gamma, cov=fit.cov, block=fit.block))
    assert again.converged
    assert len(again.trace) - 1 <= 2
    assert again.nll == pytest.approx(fit.nll, abs=1e-10)
    rng = np.random.default_rng(2)
    far = LowRankDiag.from_factors(rng.standard_normal((8, 1)), rng.uniform(0.3, 1, 8))
    for start in (
        Start("sigma", cov=far),
        Start("d", d=problem.s_ols * 0.3),
        Start("beta", gamma=problem.gamma_ols + 1.0),
    ):
        other = als(problem, r, start)
        assert other.converged
        assert other.label == start.label
        assert other.nll == pytest.approx(fit.nll, abs=1e-8)


def test_a_problem_and_its_data_are_left_as_they_were():
    blocks, Y, mask, r = case("K=8")
    kept = [X.copy() for X in blocks], Y.copy(), mask.copy()
    problem, first = fitted(blocks, Y, mask, r)
    second = als(problem, r)
    assert first.nll == second.nll
    np.testing.assert_array_equal(first.gamma, second.gamma)
    for X, old in zip(blocks, kept[0], strict=True):
        np.testing.assert_array_equal(X, old)
    np.testing.assert_array_equal(Y, kept[1])
    np.testing.assert_array_equal(mask, kept[2])


def test_other_responses():
    blocks, Y, mask, r = case("K=8")
    problem, _ = fitted(blocks, Y, mask, r)
    other = np.random.default_rng(0).standard_normal(Y.shape)
    again = als(problem.with_responses(other), r)
    _, expected = fitted(blocks, other, mask, r)
    np.testing.assert_array_equal(again.gamma, expected.gamma)


def test_bad_shapes_are_named():
    blocks, Y, mask, _ = case("K=4")
    with pytest.raises(ShapeError, match="mask"):
        Problem(blocks, Y, ALSOptions(), mask=mask[:, :3])
    mask[2:, 1] = False
    mask[:2, 1] = [True, False]
    with pytest.raises(RankDeficientError, match="equation 1"):
        Problem(blocks, Y, ALSOptions(), mask=mask)


def test_likelihood_is_that_of_a_state_space_model():
    """statsmodels' Kalman filter with the same parameters: intercepts and slopes of one x."""
    from statsmodels.tsa.api import DynamicFactor

    rng = np.random.default_rng(6)
    N, K = 70, 5
    x = rng.standard_normal((N, 2))
    blocks = [x] * K
    Y = systems.system(rng, N, K, 1, 2)[1]
    mask = dense.holes(rng, N, K, 0.7)
    Y[~mask] = np.nan
    problem, fit = fitted(blocks, Y, mask, 1, gtol=1e-8, d_floor=1e-4)
    model = DynamicFactor(
        Y, exog=x, k_factors=1, factor_order=0, error_cov_type="diagonal", error_order=0
    )
    params = np.r_[fit.cov.loadings[:, 0], beta_of(problem, fit), fit.cov.uniquenesses]
    assert len(params) == len(model.param_names)
    assert -N * fit.nll == pytest.approx(model.loglike(params), abs=1e-7)
