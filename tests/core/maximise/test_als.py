"""The loop: it descends, it stops where it should, and it says why."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import scipy.optimize

from sm_alsgls.core.maximise.als import ALSOptions, Problem, Start, Sweep, als
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError
from tests.core import dense, systems
from tests.systems import simulate

CASES = {
    "N > K": (120, 8, 2, 3),
    "compressed": (200, 6, 1, 2),
    "not compressed": (40, 12, 2, 3),
    "K > N": (15, 25, 1, 2),
    "ragged": (60, 6, 1, (1, 4, 2, 3, 2, 5)),
    "saturated": (50, 3, 1, 2),
}


def case(name, seed=0):
    N, K, r, p = CASES[name]
    return (*systems.system(np.random.default_rng(seed), N, K, r, p), r)


def beta_of(problem, solution):
    return problem.design.to_beta(solution.gamma)


def check_stationary(blocks, Y, problem, fit, tol=1e-6):
    """Both conditions, by dense algebra on the caller's own rows."""
    E = dense.residuals(blocks, Y, beta_of(problem, fit))
    F, d = fit.cov.loadings, fit.cov.uniquenesses
    Sigma = dense.sigma(F, d)
    assert fit.nll == pytest.approx(dense.nll(E, Sigma), abs=1e-9)
    assert dense.score_in_standard_errors(blocks, E, Sigma) <= tol
    g_F, g_x = dense.gradient_sigma(E.T @ E / len(Y), F, d)
    assert np.abs(g_x[~fit.at_bound]).max(initial=0.0) <= tol
    assert np.all(g_x[fit.at_bound] > 0)
    assert np.abs(np.sqrt(d)[:, None] * g_F).max(initial=0.0) <= 2 * tol  # its own measure has r


def check_monotone(fit):
    levels = np.array([row.nll for row in fit.trace])
    assert np.all(np.diff(levels) <= 1e-12 * np.maximum(1.0, np.abs(levels[1:])))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_converges_to_a_stationary_point_without_rising(name, seed):
    blocks, Y, r = case(name, seed)
    problem = Problem(blocks, Y, ALSOptions())
    fit = als(problem, r)
    assert fit.converged
    assert fit.status == "stationary"
    check_monotone(fit)
    check_stationary(blocks, Y, problem, fit)
    assert fit.gradient_d <= 1e-6
    assert fit.score_beta <= 1e-6
    np.testing.assert_allclose(
        problem.residuals(fit.gamma), fit.E, rtol=0, atol=1e-10 * np.abs(fit.E).max()
    )


@pytest.mark.parametrize("gtol", [1e-3, 1e-8])
def test_gtol_is_obeyed(gtol):
    blocks, Y, r = case("not compressed")
    problem = Problem(blocks, Y, ALSOptions(gtol=gtol))
    fit = als(problem, r)
    assert fit.converged
    # Twice, for what differences of rounding leave at 1e-8.
    check_stationary(blocks, Y, problem, fit, tol=2 * gtol)


@pytest.mark.parametrize("gtol", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("ridges", [{}, {"lam_B": 0.1}, {"lam_F": 0.05}])
@pytest.mark.parametrize("lacking", [0.0, 0.1])
def test_the_last_beta_step_lowers_the_nll_by_what_its_quadratic_says(gtol, ridges, lacking):
    """At a gtol of 1e-4 by 3e-12 of it or more; at one of 1e-2 the objective is asked."""
    for seed in range(3):
        blocks, Y, r = case("not compressed", seed)
        there = np.random.default_rng(seed).random(Y.shape) >= lacking
        problem = Problem(blocks, Y, ALSOptions(gtol=gtol, **ridges), mask=there)
        asked = []
        objective = problem.objective
        problem.objective = lambda *args, of=objective, to=asked: to.append(args) or of(*args)
        fit = als(problem, r)
        assert fit.converged
        whole = objective(fit.gamma, problem.residuals(fit.gamma), fit.cov)
        assert fit.nll == pytest.approx(whole, abs=1e-13 * abs(whole), rel=0)
        if gtol == 1e-4:
            assert fit.trace[-1].nll - fit.nll > 1e-12 * abs(whole)
        if gtol < 1e-2:  # once a sweep
            assert len(asked) == len(fit.trace) - 1


def test_sweeps_after_the_beta_step_lie_between():
    blocks, Y, r = case("not compressed")
    fit = als(Problem(blocks, Y, ALSOptions()), r)
    accepted = [row for row in fit.trace[1:] if row.accept_t > 0]
    assert accepted
    for row in accepted:
        assert row.nll <= row.nll_beta + 1e-12 * abs(row.nll)
    assert [row.sweep for row in fit.trace] == list(range(len(fit.trace)))
    assert np.all(np.diff([row.seconds for row in fit.trace]) >= 0)
    # Plain alternation's first beta-step cannot rise.
    assert accepted[0].nll_beta <= fit.trace[0].nll + 1e-12


@pytest.mark.parametrize("name", ["compressed", "not compressed", "K > N"])
def test_is_a_maximum_of_the_whole_likelihood(name):
    """L-BFGS over everything, started near the solution, finds nothing better."""
    blocks, Y, r = case(name)
    problem = Problem(blocks, Y, ALSOptions(d_floor=1e-4))
    fit = als(problem, r)
    full = dense.FullLikelihood(blocks, dense.slices_of(blocks), Y, r)
    theta = np.concatenate(
        [*beta_of(problem, fit), fit.cov.loadings.ravel(), np.log(fit.cov.uniquenesses)]
    )
    value, _ = full(theta)
    assert value == pytest.approx(fit.nll, abs=1e-9)
    bounds = [(None, None)] * (len(theta) - len(Y.T)) + [(v, None) for v in np.log(problem.floor)]
    rng = np.random.default_rng(1)
    start = theta + 0.01 * rng.standard_normal(len(theta))
    options = {"maxiter": 3000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-8}
    other = scipy.optimize.minimize(
        full, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    assert fit.nll == pytest.approx(other.fun, abs=1e-8)


def test_rank_zero_is_ols():
    blocks, Y, _ = case("ragged")
    problem = Problem(blocks, Y, ALSOptions())
    fit = als(problem, 0)
    assert fit.converged
    assert len(fit.trace) <= 2
    for j, beta in enumerate(beta_of(problem, fit)):
        ols, rss, *_ = np.linalg.lstsq(blocks[j], Y[:, j], rcond=None)
        np.testing.assert_allclose(beta, ols, rtol=0, atol=1e-10)
        assert fit.cov.uniquenesses[j] == pytest.approx(rss[0] / len(Y), rel=1e-10)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_equal_designs_are_ols(rank):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((70, 3))
    Y = systems.factor_data(rng, 70, 8, 2)
    problem = Problem([X.copy() for _ in range(8)], Y, ALSOptions())
    fit = als(problem, rank)
    assert fit.converged
    ols = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(np.array(beta_of(problem, fit)).T, ols, rtol=0, atol=1e-10)
    assert len(fit.trace) <= 3
    assert all(row.cg_iterations == 0 for row in fit.trace)


def test_saturated_rank_is_iterated_unrestricted_sur():
    rng = np.random.default_rng(1)
    blocks, Y = systems.system(rng, 50, 3, 1, 2)
    # A factor that all three load on alike: no Heywood case, so any S is reproduced.
    Y = Y + 2.0 * rng.standard_normal((50, 1)) + rng.standard_normal((50, 3))
    r = 1
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-9))
    fit = als(problem, r)
    assert not fit.at_bound.any()
    beta = [np.linalg.lstsq(X, y, rcond=None)[0] for X, y in zip(blocks, Y.T, strict=True)]
    for _ in range(200):
        E = dense.residuals(blocks, Y, beta)
        beta = dense.gls(blocks, Y, E.T @ E / len(Y))
    np.testing.assert_allclose(
        np.concatenate(beta_of(problem, fit)), np.concatenate(beta), rtol=0, atol=1e-8
    )
    np.testing.assert_allclose(fit.cov.to_dense(), E.T @ E / len(Y), rtol=0, atol=1e-7)


# -- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status"), [(True, "stopped by the callback"), ("enough", "enough")]
)
def test_callback_sees_every_sweep_and_stops(answer, status):
    blocks, Y, r = case("not compressed")
    seen = []

    def callback(sweep):
        seen.append(sweep)
        return answer if sweep.sweep == 2 else None

    fit = als(Problem(blocks, Y, ALSOptions()), r, callback=callback)
    assert not fit.converged
    assert fit.status == status
    assert tuple(seen) == fit.trace
    assert [row.sweep for row in seen] == [0, 1, 2]


def test_callback_on_the_opening_sweep():
    blocks, Y, r = case("not compressed")
    fit = als(Problem(blocks, Y, ALSOptions()), r, callback=lambda sweep: True)
    assert len(fit.trace) == 1
    assert not fit.converged


@pytest.mark.parametrize("how", ["option", "argument"])
def test_out_of_sweeps_names_the_remedy(how):
    blocks, Y, r = case("not compressed")
    options = ALSOptions(max_sweeps=2) if how == "option" else ALSOptions()
    problem = Problem(blocks, Y, options)
    fit = als(problem, r, max_sweeps=None if how == "option" else 2)
    assert not fit.converged
    assert "raise max_sweeps" in fit.status
    assert len(fit.trace) == 3
    assert fit.nll == pytest.approx(
        dense.nll(dense.residuals(blocks, Y, beta_of(problem, fit)), fit.cov.to_dense()), abs=1e-10
    )


@pytest.mark.parametrize("name", CASES)
def test_warm_start_is_at_rest(name):
    blocks, Y, r = case(name)
    problem = Problem(blocks, Y, ALSOptions())
    fit = als(problem, r)
    again = als(problem, r, Start("again", gamma=fit.gamma, d=fit.cov.uniquenesses))
    assert again.converged
    assert again.label == "again"
    assert len(again.trace) - 1 <= 2
    assert again.nll == pytest.approx(fit.nll, abs=1e-10)


def test_a_covariance_opens_with_its_own_beta_step():
    blocks, Y, r = case("ragged")
    rng = np.random.default_rng(9)
    cov = LowRankDiag.from_factors(rng.standard_normal((6, 1)), rng.uniform(0.3, 1, 6))
    problem = Problem(blocks, Y, ALSOptions())
    opened = als(problem, r, Start("sigma", cov=cov), callback=lambda sweep: True)
    expected = dense.gls(blocks, Y, cov.to_dense())
    # The opening solves to a hundredth of a standard error.
    np.testing.assert_allclose(
        np.concatenate(beta_of(problem, opened)), np.concatenate(expected), rtol=0, atol=0.02
    )
    assert np.abs(opened.gamma - problem.gamma_ols).max() > 0.1
    fit, plain = als(problem, r, Start("sigma", cov=cov)), als(problem, r)
    assert fit.converged
    assert fit.nll == pytest.approx(plain.nll, abs=1e-9)


# -- options ------------------------------------------------------------------------------------

BAD = [
    ("lam_F", -1e-3), ("lam_F", np.nan), ("lam_F", np.inf), ("lam_F", "0"), ("lam_F", None),
    ("lam_B", -1.0), ("lam_B", True), ("lam_B", [0.0]),
    ("rel_tol", -1e-6), ("rel_tol", np.nan),
    ("d_floor", 0.0), ("d_floor", 1.0), ("d_floor", np.nan), ("d_floor", -1e-8),
    ("d_floor", 1e-200),
    ("cg_tol", 0.0), ("cg_tol", 1.0), ("cg_tol", "small"),
    ("gtol", 0.0), ("gtol", -1.0), ("gtol", np.nan), ("gtol", np.inf),
    ("max_sweeps", 0), ("max_sweeps", 10.0), ("max_sweeps", -3), ("max_sweeps", False),
    ("cg_maxit", 0), ("cg_maxit", "many"), ("cg_maxit", np.float64(5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_options_are_named(name, value):
    with pytest.raises(OptionError, match=name):
        ALSOptions(**{name: value})


def test_good_options():
    options = ALSOptions(
        lam_F=0, lam_B=np.float32(0.5), rel_tol=0, gtol=1, max_sweeps=np.int64(3), cg_maxit=1
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.gtol = 2.0
    assert ALSOptions().lam_F == ALSOptions().lam_B == 0


# -- ridges -------------------------------------------------------------------------------------


def ridge_weights(blocks, Y, lam_B):
    """The documented penalty: lam_B (slope rms(x) / s_OLS)^2 / 2, constants free."""
    weights = []
    for X, y in zip(blocks, Y.T, strict=True):
        e = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        varies = np.ptp(X, axis=0) > 0
        weights.append(lam_B * varies * np.mean(X**2, axis=0) / np.mean(e**2))
    return weights


@pytest.mark.parametrize(("N", "K"), [(60, 4), (12, 8)])
@pytest.mark.parametrize("lam_F", [0.0, 0.05])
def test_ridge_is_the_penalised_optimum(N, K, lam_F):
    rng = np.random.default_rng(4)
    blocks, Y = systems.system(rng, N, K, 1, 3)
    lam_B = 0.3
    problem = Problem(blocks, Y, ALSOptions(lam_B=lam_B, lam_F=lam_F, gtol=1e-8, d_floor=1e-3))
    fit = als(problem, 1)
    assert fit.converged
    weights = ridge_weights(blocks, Y, lam_B)
    full = dense.FullLikelihood(blocks, dense.slices_of(blocks), Y, 1, weights)

    def objective(theta):
        value, gradient = full(theta)
        _, F, d = full.split(theta)
        share = np.sum(F**2, axis=1) / d
        gradient[full.P : -K] += (lam_F * F / d[:, None]).ravel()
        gradient[-K:] -= 0.5 * lam_F * share
        return value + 0.5 * lam_F * share.sum(), gradient

    start = np.concatenate(
        [problem.gamma_ols * 0, fit.cov.loadings.ravel() + 0.1, np.log(problem.s_ols / 2)]
    )
    bounds = [(None, None)] * (len(start) - K) + [(v, None) for v in np.log(problem.floor)]
    options = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9}
    other = scipy.optimize.minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    assert fit.nll == pytest.approx(other.fun, abs=1e-9)
    beta = np.concatenate(beta_of(problem, fit))
    np.testing.assert_allclose(
        beta, other.x[: full.P], rtol=0, atol=1e-5
    )  # root of the value's 1e-10
    theta = np.concatenate([beta, fit.cov.loadings.ravel(), np.log(fit.cov.uniquenesses)])
    value, gradient = objective(theta)
    assert fit.nll == pytest.approx(value, abs=1e-10)
    free = np.concatenate([np.ones(len(start) - K, bool), ~fit.at_bound])
    assert np.abs(gradient[free]).max() < 1e-6


@pytest.mark.parametrize("lam_B", [0.0, 0.2])
def test_fit_does_not_depend_on_units(lam_B):
    rng = np.random.default_rng(5)
    blocks, Y = systems.system(rng, 40, 5, 1, 3)
    c, scales = 10.0 ** rng.uniform(-8, 8, 5), [10.0 ** rng.uniform(-8, 8, 3) for _ in range(5)]
    options = ALSOptions(lam_B=lam_B, lam_F=0.1 * lam_B, gtol=1e-9)
    one = Problem(blocks, Y, options)
    other = Problem([X * a for X, a in zip(blocks, scales, strict=True)], Y * c, options)
    fit, scaled = als(one, 1), als(other, 1)
    assert scaled.nll - np.log(c).sum() == pytest.approx(fit.nll, abs=1e-9)
    for j, (b, bs) in enumerate(zip(beta_of(one, fit), beta_of(other, scaled), strict=True)):
        np.testing.assert_allclose(bs * scales[j] / c[j], b, rtol=0, atol=1e-7)


def test_ridge_shrinks_slopes_and_not_constants():
    rng = np.random.default_rng(6)
    blocks, Y = systems.system(rng, 80, 4, 1, 2)
    for X in blocks:
        X[:, 1] -= X[:, 1].mean()
    Y = Y + 50.0
    fits = []
    for lam_B in (0.0, 1e6):
        problem = Problem(blocks, Y, ALSOptions(lam_B=lam_B))
        fits.append(np.array(beta_of(problem, als(problem, 1))))
    assert np.abs(fits[1][:, 1]).max() < 1e-4
    np.testing.assert_allclose(
        fits[1][:, 0], Y.mean(axis=0), rtol=0, atol=1e-4
    )  # slopes of 1e-5 remain


# -- metamorphic --------------------------------------------------------------------------------


def test_order_of_equations_rows_and_columns():
    blocks, Y, r = case("ragged")
    rng = np.random.default_rng(7)
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-9))
    fit = als(problem, r)
    equations, rows = rng.permutation(6), rng.permutation(len(Y))
    flipped = [blocks[j][rows][:, ::-1] for j in equations]
    other = Problem(flipped, Y[rows][:, equations], ALSOptions(gtol=1e-9))
    again = als(other, r)
    assert again.nll == pytest.approx(fit.nll, abs=1e-9)
    there = beta_of(problem, fit)
    for i, b in enumerate(beta_of(other, again)):
        np.testing.assert_allclose(b[::-1], there[equations[i]], rtol=0, atol=1e-7)


def test_an_offset_moves_only_the_constant():
    rng = np.random.default_rng(8)
    blocks, Y = systems.system(rng, 60, 4, 1, 2)
    moved = [X + np.array([0.0, 1e8]) for X in blocks]
    # What is left of x beside 1e8 is known to 1e-8, so compare with that.
    kept = [X - np.array([0.0, 1e8]) for X in moved]
    one, other = Problem(kept, Y, ALSOptions(gtol=1e-9)), Problem(moved, Y, ALSOptions())
    fit, shifted = als(one, 1), als(other, 1)
    # Condition number 1e8: slopes, and the spaces that the likelihood depends on, keep 8 digits.
    for b, bs in zip(beta_of(one, fit), beta_of(other, shifted), strict=True):
        assert bs[1] == pytest.approx(b[1], rel=1e-5)
    assert shifted.nll == pytest.approx(fit.nll, abs=1e-7)


def test_adding_regressors_to_the_response_adds_to_the_coefficients():
    blocks, Y, r = case("not compressed")
    rng = np.random.default_rng(10)
    shift = [rng.standard_normal(3) for _ in blocks]
    moved = Y + np.column_stack([X @ b for X, b in zip(blocks, shift, strict=True)])
    one, other = Problem(blocks, Y, ALSOptions()), Problem(blocks, moved, ALSOptions())
    fit, again = als(one, r), als(other, r)
    assert again.nll == pytest.approx(fit.nll, abs=1e-9)
    for b, bs, a in zip(beta_of(one, fit), beta_of(other, again), shift, strict=True):
        np.testing.assert_allclose(bs - a, b, rtol=0, atol=1e-5)  # gtol in standard errors of 0.15


def test_compressed_rows_give_the_same_fit(monkeypatch):
    blocks, Y, r = case("compressed")
    short = Problem(blocks, Y, ALSOptions(gtol=1e-8))
    assert len(short.Y) == 1 + 6 + 6
    assert short.n_obs == 200
    monkeypatch.setattr("sm_alsgls.core.problem.compress_rows", Rows.of)
    long = Problem(blocks, Y, ALSOptions(gtol=1e-8))
    assert len(long.Y) == 200
    one, other = als(short, r), als(long, r)
    assert one.nll == pytest.approx(other.nll, abs=1e-10)
    np.testing.assert_allclose(
        np.concatenate(beta_of(short, one)), np.concatenate(beta_of(long, other)), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("name", ["compressed", "K > N"])
def test_nothing_of_the_callers_is_changed(name):
    blocks, Y, r = case(name)
    Y = np.asfortranarray(Y)
    kept = [X.copy() for X in blocks], Y.copy()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    problem = Problem(blocks, Y, ALSOptions(lam_B=0.01))
    gamma = problem.gamma_ols.copy() + 1.0
    d = np.full(len(Y.T), 0.7)
    als(problem, r, Start("own", gamma=gamma, d=d))
    for X, old in zip(blocks, kept[0], strict=True):
        np.testing.assert_array_equal(X, old)
    np.testing.assert_array_equal(Y, kept[1])
    np.testing.assert_array_equal(gamma, problem.gamma_ols + 1.0)
    np.testing.assert_array_equal(d, 0.7)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_problem_is_left_as_it_was():
    blocks, Y, r = case("not compressed")
    problem = Problem(blocks, Y, ALSOptions())
    first, second = als(problem, r), als(problem, r)
    assert first.nll == second.nll
    np.testing.assert_array_equal(first.gamma, second.gamma)


def test_heywood_case_of_a_whole_system():
    """Correlations 0.9, 0.8, 0.5 ask for a loading above one: d_0 ends on its bound."""
    rng = np.random.default_rng(11)
    N = 200
    S = np.array([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1.0]])
    blocks, _ = systems.system(rng, N, 3, 1, 2)
    Y = systems.data_with_covariance(rng, N, S)
    problem = Problem(blocks, Y, ALSOptions())
    fit = als(problem, 1)
    assert fit.converged
    check_monotone(fit)
    np.testing.assert_array_equal(fit.at_bound, [True, False, False])
    assert fit.cov.uniquenesses[0] == pytest.approx(problem.floor[0], rel=1e-12)
    E = dense.residuals(blocks, Y, beta_of(problem, fit))
    value = dense.profile(E.T @ E / N, fit.cov.uniquenesses, 1)[0]
    up = fit.cov.uniquenesses.copy()
    up[0] += 1e-3 * problem.s_ols[0]
    assert dense.profile(E.T @ E / N, up, 1)[0] > value
    # Sigma has condition number 1e8: its dense inverse keeps eight digits, times scores of 1e2.
    assert dense.score_in_standard_errors(blocks, E, fit.cov.to_dense()) < 1e-4


def test_a_rotated_start_is_the_same_start():
    blocks, Y, r = case("not compressed")
    rng = np.random.default_rng(12)
    F, d = rng.standard_normal((12, r)), rng.uniform(0.3, 1, 12)
    turn = np.linalg.qr(rng.standard_normal((r, r)))[0]
    problem = Problem(blocks, Y, ALSOptions(gtol=1e-8))
    one, other = (
        als(problem, r, Start("sigma", cov=LowRankDiag.from_factors(G, d))) for G in (F, F @ turn)
    )
    assert other.nll == pytest.approx(one.nll, abs=1e-10)
    np.testing.assert_allclose(other.gamma, one.gamma, rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [[3], [1, 3]])
def test_memory_of_residuals_is_used_again_and_nobody_elses(seed, sizes, monkeypatch):
    """Rejected sweeps, Newton steps and attempts to settle among them."""
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((25, sizes[j % len(sizes)])) for j in range(8)]
    Y = rng.standard_normal((25, 1)) + rng.standard_normal((25, 8))
    problem = Problem(X, Y, ALSOptions(gtol=1e-9))
    moved, seen = Problem.moved, []

    def watched(self, E, direction, out=None):
        expected = E - self.design.fitted(direction)
        if out is not None:
            assert out is E
            assert not np.shares_memory(out, problem.E_ols)
        step = moved(self, E, direction, out)
        assert np.shares_memory(step, E) == (out is not None)
        seen.append(out)
        np.testing.assert_allclose(step, expected, atol=1e-13)
        return step

    monkeypatch.setattr(Problem, "moved", watched)
    kept = [als(problem, rank) for rank in (1, 2, 3)]
    assert sum(out is not None for out in seen) > len(kept)
    for solution in kept:
        np.testing.assert_allclose(solution.E, problem.residuals(solution.gamma), atol=1e-13)
    np.testing.assert_allclose(problem.E_ols, problem.residuals(problem.gamma_ols), atol=1e-13)


def test_a_run_has_one_array_of_residuals_beside_those_of_least_squares():
    X, Y, _ = simulate(300, 700, 2, 2, seed=0)
    problem = Problem(X, Y, ALSOptions())
    size = problem.E_ols.nbytes
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        solution = als(problem, 2)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert len(solution.trace) > 2
    # And what is of K times a dozen.
    assert 1.0 * size < peak < 2.0 * size


@pytest.mark.parametrize(("K", "seed"), [(8, 0), (8, 1), (60, 0), (60, 1)])
def test_what_a_step_leaves_is_measured_again_after_a_sweep_that_falls_slowly(K, seed, monkeypatch):
    """Regressors of different equations that share a direction, and such that do not."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((300, 1)) * (K == 8)
    X = [rng.standard_normal((300, 2)) + common for _ in range(K)]
    Y = rng.standard_normal((300, 1)) * rng.uniform(0.5, 2.0, K) + rng.standard_normal((300, K))
    Y += common
    events, whole = [], Problem.solve

    def watched(self, normal, b, *, tol, leaves=1.0):
        found = whole(self, normal, b, tol=tol, leaves=leaves)
        if tol > 1e-9:  # Not the last, which begins anew.
            events.append((leaves, found.leaves))
        return found

    monkeypatch.setattr(Problem, "solve", watched)
    solution = als(Problem(X, Y, ALSOptions()), 1, callback=lambda row: events.append(row))
    assert solution.converged
    known, before, slow, quick = 1.0, np.inf, 0, 0
    for event in events:
        if not isinstance(event, Sweep):
            assert event[0] == known
            known = event[1]
        else:
            falls_slowly = event.score_beta > 0.1 * before
            known = 1.0 if falls_slowly else known
            slow, quick = slow + falls_slowly, quick + (known < 1.0)
            before = event.score_beta
    assert quick > 0 if K == 60 else slow > 0
