"""The Sigma-step: gradient, maximum, bounds, invariances."""

import warnings

import numpy as np
import pytest

from sm_alsgls.core.across import ALONE
from sm_alsgls.core.sigma import climb, factor, spectrum
from sm_alsgls.core.sigma.factor import auto_rank, fit_factor, largest_rank
from sm_alsgls.exceptions import IllegalRankError
from tests.core import dense, systems


def covariance(E, n_obs=None):
    return E.T @ E / (n_obs or len(E))


def evaluate(E, x, r, lam_F=0.0, n_obs=None):
    N = n_obs or len(E)
    S = covariance(E, N)
    source = spectrum.DenseSpectrum(E, N, r)

    def sums(d, V, lam, seen):
        return factor._without_cancellation(E, d, V, lam, N)

    return climb._objective(source, sums, np.diag(S).copy(), lam_F, ALONE)(x, 1e-12)


def nll_at(fit, S):
    Sigma = dense.sigma(fit.F, fit.d)
    return 0.5 * (np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S)))


# -- ranks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [*range(1, 60), 1000, 4950, 4951, 10_000])
def test_largest_rank_is_ledermanns(K):
    legal = [r for r in range(K) if (K - r) ** 2 >= K + r]
    assert largest_rank(K) == max(legal)


def test_largest_rank_leaves_degrees_of_freedom():
    for K in (5, 20, 48):
        for n_obs in range(1, 30):
            for p in range(6):
                legal = [r for r in range(K) if (K - r) ** 2 >= K + r and n_obs - p - r > 0]
                assert largest_rank(K, n_obs, p) == max(legal, default=0)


def test_auto_rank():
    for K in range(1, 200):
        rule = max(1, min(8, -(-K // 10)))
        assert auto_rank(K) == min(rule, largest_rank(K))
        assert auto_rank(K, 9, 4) == min(rule, largest_rank(K, 9, 4))


@pytest.mark.parametrize(("K", "rank"), [(1, 1), (3, 2), (6, 4), (5, -1)])
def test_illegal_ranks(K, rank):
    with pytest.raises(IllegalRankError, match=f"largest legal rank is {largest_rank(K)}"):
        fit_factor(np.random.default_rng(0).standard_normal((20, K)), rank)


# -- gradient -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lam_F", [0.0, 0.05])
@pytest.mark.parametrize(("n", "K", "r"), [(30, 6, 2), (5, 8, 2), (30, 4, 1)])
def test_gradient_in_log_d(n, K, r, lam_F):
    rng = np.random.default_rng(0)
    E = systems.factor_data(rng, n, K, r)
    N = n + 7
    s = np.diag(covariance(E, N))
    for low in (0.01, 0.3):
        x = np.log(s * rng.uniform(low, 0.9, K))
        point = evaluate(E, x, r, lam_F, N)
        value, gradient = dense.profile_gradient_mp(E, np.exp(x), r, lam_F, N)
        assert point.nll == pytest.approx(value, abs=1e-12)
        np.testing.assert_allclose(point.gradient, gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("lam_F", [0.0, 0.05])
@pytest.mark.parametrize("small", [(0,), (3,), (0, 3)])
@pytest.mark.parametrize("share", [1e-8, 1e-5])
def test_gradient_near_heywood(small, share, lam_F):
    """d_j = 1e-8 s_j, where s_j/d_j - |f_j|^2/d_j has no digit left."""
    rng = np.random.default_rng(1)
    E = systems.factor_data(rng, 25, 6, 2)
    s = np.diag(covariance(E))
    d = s * rng.uniform(0.2, 0.8, 6)
    d[list(small)] = share * s[list(small)]
    point = evaluate(E, np.log(d), 2, lam_F)
    value, gradient = dense.profile_gradient_mp(E, np.exp(np.log(d)), 2, lam_F)
    # Eigenvalues up to 1e8 are known to 1e-8, and the others to no better.
    assert point.nll == pytest.approx(value, abs=1e-7)
    np.testing.assert_allclose(point.gradient, gradient, rtol=0, atol=1e-7)


@pytest.mark.parametrize("lam_F", [0.0, 0.1])
@pytest.mark.parametrize(("n", "K"), [(60, 8), (7, 12)])
def test_returned_point_is_what_it_says(n, K, lam_F):
    rng = np.random.default_rng(2)
    E = systems.factor_data(rng, n, K, 2, noise=(0.8, 1.5))
    fit = fit_factor(E, 2, lam_F=lam_F, d_floor=1e-3)
    S = covariance(E)
    value, F = dense.profile(S, fit.d, 2, lam_F)
    assert fit.nll == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(fit.F @ fit.F.T, F @ F.T, rtol=0, atol=1e-9)
    g_F, g_x = dense.gradient_sigma(S, fit.F, fit.d)
    g_F = g_F + lam_F * fit.F / fit.d[:, None]
    g_x = g_x - 0.5 * lam_F * np.sum(fit.F**2, axis=1) / fit.d
    assert fit.converged
    assert np.abs(np.sqrt(fit.d)[:, None] * g_F).max() < 1e-7
    assert np.abs(g_x[~fit.at_bound]).max() < 1e-7
    assert fit.gradient <= 1e-8


def test_ridge_shrinks_and_has_no_units():
    rng = np.random.default_rng(3)
    E = systems.factor_data(rng, 80, 8, 2)
    sizes = [
        np.sum(f.F**2 / f.d[:, None]) for f in (fit_factor(E, 2, lam_F=v) for v in (0, 0.1, 1))
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    c = 10.0 ** rng.integers(-8, 9, 8)
    one, other = fit_factor(E, 2, lam_F=0.1), fit_factor(E * c, 2, lam_F=0.1)
    assert other.nll - np.log(c).sum() == pytest.approx(one.nll, abs=1e-10)


# -- the maximum --------------------------------------------------------------------------------

SIMULATED = [
    (60, 6, 1), (100, 8, 2), (150, 10, 3), (80, 12, 2), (300, 15, 4),
    (50, 9, 3), (200, 20, 3), (120, 7, 2), (90, 16, 1), (400, 12, 5),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_likelihood_is_at_least_that_of_other_packages(seed):
    from sklearn.decomposition import FactorAnalysis
    from statsmodels.multivariate.factor import Factor

    n, K, r = SIMULATED[seed]
    rng = np.random.default_rng(seed)
    E = systems.factor_data(rng, n, K, r)
    E -= E.mean(axis=0)
    S = covariance(E)
    # The seventh data set has three maxima, which a third of all starts reach each.
    starts = [None, *(np.diag(S) * rng.uniform(0.1, 0.9, K) for _ in range(8))]
    fit = min((fit_factor(E, r, d=d) for d in starts), key=lambda fit: fit.nll)
    assert fit.converged
    assert fit.nll == pytest.approx(nll_at(fit, S), abs=1e-6 if fit.at_bound.any() else 1e-10)
    with warnings.catch_warnings():
        # EM may run out of steps and L-BFGS of precision: the bound below does not mind.
        warnings.simplefilter("ignore")
        sk = FactorAnalysis(r, svd_method="lapack", tol=1e-10, max_iter=3000).fit(E)
        sm = Factor(E, n_factor=r, method="ml").fit(maxiter=500, rng=np.random.default_rng(0))
    theirs = -sk.score(E) - 0.5 * K * np.log(2 * np.pi)
    assert fit.nll <= theirs + 1e-6
    sd = E.std(axis=0)
    # Complex, of no imaginary part, with the newest SciPy.
    F, d = np.real(sm.loadings) * sd[:, None], np.real(sm.uniqueness) * sd**2
    theirs = dense.nll(E, dense.sigma(F, d), with_constant=False)
    assert fit.nll <= theirs + 1e-6


@pytest.mark.parametrize("seed", [8, 9, 10])
@pytest.mark.parametrize(("n", "K", "r"), [(40, 6, 1), (60, 7, 2), (9, 14, 1), (12, 15, 2)])
def test_reaches_the_brute_force_minimum(n, K, r, seed):
    rng = np.random.default_rng(seed)
    E = systems.factor_data(rng, n, K, r, noise=(1.0, 2.0))
    best = dense.factor_optimum(covariance(E), r, rng, starts=6, floor=1e-3)
    fit = fit_factor(E, r, d_floor=1e-3)
    assert fit.converged
    assert fit.nll == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("lam_F", [0.0, 0.02])
@pytest.mark.parametrize(("n", "K", "n_obs"), [(80, 50, 80), (40, 70, 40), (60, 60, 500)])
def test_iterated_spectrum_gives_the_same_fit(monkeypatch, n, K, n_obs, lam_F):
    rng = np.random.default_rng(8)
    E = systems.factor_data(rng, n, K, 3) * np.sqrt(n_obs / n)
    exact = fit_factor(E, 3, n_obs=n_obs, lam_F=lam_F)
    monkeypatch.setattr(spectrum, "DENSE_LIMIT", 0)
    iterated = fit_factor(E, 3, n_obs=n_obs, lam_F=lam_F)
    assert exact.block is None
    assert iterated.block is not None
    assert iterated.converged
    assert iterated.gradient <= 1e-8
    assert iterated.nll == pytest.approx(exact.nll, abs=1e-8)
    np.testing.assert_allclose(iterated.F @ iterated.F.T, exact.F @ exact.F.T, rtol=0, atol=1e-5)
    again = fit_factor(E, 3, n_obs=n_obs, lam_F=lam_F, d=iterated.d, block=iterated.block)
    assert again.evaluations <= 3
    assert again.nll == pytest.approx(exact.nll, abs=1e-8)


def test_toeplitz_minimum_and_not_its_saddle():
    """R's factanal stops at the symmetric saddle; the minimum of -loglik = 2 f is 3.60362148."""
    S = 0.4 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    rng = np.random.default_rng(9)
    E = systems.data_with_covariance(rng, 50, S)
    fit = fit_factor(E, 1)
    best = dense.factor_optimum(S, 1, rng, starts=20)
    assert fit.nll == pytest.approx(best, abs=1e-10)
    assert fit.nll == pytest.approx(3.60362148 / 2, abs=1e-8)
    symmetric = fit_factor(E, 1, d=np.full(4, 0.5))
    assert symmetric.converged
    assert symmetric.nll > fit.nll + 1e-6


@pytest.mark.parametrize(("K", "r"), [(3, 1), (6, 3)])
def test_saturated_rank_reproduces_the_covariance(K, r):
    rng = np.random.default_rng(10)
    F = rng.standard_normal((K, r)) + 0.5
    S = F @ F.T + np.diag(rng.uniform(0.8, 1.5, K))
    fit = fit_factor(systems.data_with_covariance(rng, 40, S), r, gtol=1e-10)
    assert not fit.at_bound.any()
    np.testing.assert_allclose(dense.sigma(fit.F, fit.d), S, rtol=0, atol=1e-7)
    assert fit.nll == pytest.approx(0.5 * (np.linalg.slogdet(S)[1] + K), abs=1e-12)


def test_rank_zero():
    E = np.random.default_rng(11).standard_normal((30, 5)) * np.arange(1, 6)
    fit = fit_factor(E, 0, n_obs=40)
    s = np.sum(E**2, axis=0) / 40
    np.testing.assert_allclose(fit.d, s, rtol=1e-14)
    assert fit.F.shape == (5, 0)
    assert fit.converged
    assert fit.nll == pytest.approx(0.5 * np.sum(np.log(s) + 1), abs=1e-12)


def test_out_of_evaluations_is_not_converged():
    E = systems.factor_data(np.random.default_rng(12), 100, 12, 2)
    fit = fit_factor(E, 2, max_iter=3)
    assert not fit.converged
    assert fit.evaluations <= 5


# -- bounds -------------------------------------------------------------------------------------


def heywood_covariance():
    """lambda_1^2 = 0.9 x 0.8 / 0.5 = 1.44 > 1: the first equation has no unique variance left."""
    return np.array([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1.0]])


@pytest.mark.parametrize("d_floor", [1e-8, 1e-4])
def test_heywood_case_is_reported_and_is_a_kkt_point(d_floor):
    S = heywood_covariance() * np.outer([1, 3, 0.1], [1, 3, 0.1])
    E = systems.data_with_covariance(np.random.default_rng(13), 30, S)
    fit = fit_factor(E, 1, d_floor=d_floor)
    floor = d_floor * np.diag(S)
    assert fit.converged
    np.testing.assert_array_equal(fit.at_bound, [True, False, False])
    assert fit.d[0] == pytest.approx(floor[0], rel=1e-12)
    # In d, not in log d, whose slope vanishes with d: f rises from the bound inwards.
    value = dense.profile(S, fit.d, 1)[0]
    for share in (1e-3, 1e-2, 0.1):
        d = fit.d.copy()
        d[0] += share * S[0, 0]
        slope = (dense.profile(S, d, 1)[0] - value) / (d[0] - fit.d[0])
        assert slope * S[0, 0] > 0.01
    for j in (1, 2):
        d = fit.d * np.exp(1e-4 * np.eye(3)[j])
        assert dense.profile(S, d, 1)[0] > value
        d = fit.d * np.exp(-1e-4 * np.eye(3)[j])
        assert dense.profile(S, d, 1)[0] > value
    assert fit.nll == pytest.approx(
        dense.factor_optimum(S, 1, np.random.default_rng(0), floor=d_floor), abs=1e-7
    )


@pytest.mark.parametrize("K", [6, 20])
@pytest.mark.parametrize("where", [(0,), (1, 3), (5,)])
def test_lifts_off_a_bound_where_it_was_started(where, K):
    rng = np.random.default_rng(14)
    E = systems.factor_data(rng, 200, K, 1, noise=(0.8, 1.2))
    good = fit_factor(E, 1)
    assert not good.at_bound.any()
    start = good.d.copy()
    s = np.diag(covariance(E))
    start[list(where)] = 1e-8 * s[list(where)]
    fit = fit_factor(E, 1, d=start)
    assert not fit.at_bound.any()
    assert fit.converged
    assert fit.nll == pytest.approx(good.nll, abs=1e-9)


@pytest.mark.parametrize("gtol", [1e-3, 1e-5, 1e-8])
def test_a_heywood_case_ends_on_its_bound_however_loose_the_tolerance(gtol):
    """The slope in log d_j vanishes with d_j, so any tolerance is met far from the bound too."""
    rng = np.random.default_rng(20)
    E = systems.data_with_covariance(rng, 30, heywood_covariance())
    for _ in range(8):
        fit = fit_factor(E, 1, d=rng.uniform(0.01, 0.9, 3), gtol=gtol)
        assert fit.converged
        np.testing.assert_array_equal(fit.at_bound, [True, False, False])
        assert fit.d[0] == pytest.approx(1e-8, rel=1e-12)


@pytest.mark.parametrize("lam_F", [0.0, 0.01])
@pytest.mark.parametrize("iterated", [False, True])
def test_converges_where_variances_dwarf_uniquenesses(monkeypatch, iterated, lam_F):
    """With s_j/d_j of 10 to 1e4 f is a difference of such numbers; its rounding is no ascent."""
    if iterated:
        monkeypatch.setattr(spectrum, "DENSE_LIMIT", 0)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        E = systems.factor_data(rng, 40, 12, 2, noise=(1e-3, 0.5))
        fit = fit_factor(E, 2, d_floor=10.0 ** rng.uniform(-4, -2), lam_F=lam_F)
        assert fit.converged, (seed, fit.gradient)


def test_started_with_everything_on_the_bound():
    E = systems.factor_data(np.random.default_rng(15), 200, 8, 2, noise=(0.8, 1.2))
    fit = fit_factor(E, 2, d=np.full(8, 1e-30))
    assert fit.nll == pytest.approx(fit_factor(E, 2).nll, abs=1e-9)


def test_floor_in_units_of_d_replaces_the_share():
    E = systems.factor_data(np.random.default_rng(16), 100, 5, 1)
    free = fit_factor(E, 1)
    j = int(np.argmin(free.d))
    floor = np.full(5, 1e-8)
    floor[j] = 1.5 * free.d[j]
    fit = fit_factor(E, 1, floor=floor)
    np.testing.assert_array_equal(fit.at_bound, np.arange(5) == j)
    assert fit.d[j] == pytest.approx(floor[j], rel=1e-12)
    assert fit.nll > free.nll


# -- invariances --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "K"), [(80, 7), (8, 12)])
def test_scale_equivariance(seed, n, K):
    rng = np.random.default_rng(seed)
    E = systems.factor_data(rng, n, K, 2, noise=(1.0, 2.0))
    c = 10.0 ** rng.uniform(-8, 8, K)
    # A floor a user would feel keeps Heywood cases, frequent at n = 8, away from rounding.
    one, other = fit_factor(E, 2, d_floor=1e-3), fit_factor(E * c, 2, d_floor=1e-3)
    assert other.nll - np.log(c).sum() == pytest.approx(one.nll, abs=1e-10)
    np.testing.assert_allclose(other.d / c**2, one.d, rtol=1e-6)
    scaled = other.F / c[:, None]
    np.testing.assert_allclose(scaled @ scaled.T, one.F @ one.F.T, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(one.at_bound, other.at_bound)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_equations_and_rows(seed):
    rng = np.random.default_rng(seed)
    E = systems.factor_data(rng, 80, 8, 2, noise=(0.8, 1.5))
    one = fit_factor(E, 2)
    rows, columns = rng.permutation(80), rng.permutation(8)
    other = fit_factor(E[rows][:, columns], 2)
    assert other.nll == pytest.approx(one.nll, abs=1e-10)
    np.testing.assert_allclose(other.d, one.d[columns], rtol=1e-5)  # f is flat: gtol^(1/2) in x
    np.testing.assert_allclose(
        dense.sigma(other.F, other.d),
        dense.sigma(one.F, one.d)[np.ix_(columns, columns)],
        rtol=0,
        atol=1e-5,
    )
    np.testing.assert_allclose(fit_factor(E[rows], 2).d, one.d, rtol=1e-7)


def test_variances_are_reproduced():
    """At a maximum d_j + |f_j|^2 = s_j where d_j is free."""
    E = systems.factor_data(np.random.default_rng(17), 60, 9, 3)
    fit = fit_factor(E, 3)
    total = fit.d + np.sum(fit.F**2, axis=1)
    s = np.diag(covariance(E))
    np.testing.assert_allclose(total[~fit.at_bound], s[~fit.at_bound], rtol=1e-6)


def test_likelihood_rises_with_the_rank():
    E = systems.factor_data(np.random.default_rng(18), 60, 12, 3)
    levels = [fit_factor(E, r).nll for r in range(6)]
    assert np.all(np.diff(levels) < 0)


def test_inputs_are_not_changed():
    rng = np.random.default_rng(19)
    E = systems.factor_data(rng, 40, 6, 2)
    d, floor = np.full(6, 0.3), np.full(6, 1e-6)
    kept = E.copy(), d.copy(), floor.copy()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fit_factor(E, 2, d=d, floor=floor)
    for now, old in zip((E, d, floor), kept, strict=True):
        np.testing.assert_array_equal(now, old)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_heywood_case_ends_on_its_bound_and_is_reported():
    """Its slope in log d vanishes with d, so it may look stationary a decade above the bound."""
    from tests.systems import simulate

    _, Y, _ = simulate(60, 3, 2, 1, seed=3)
    Z = np.column_stack([np.ones(60), np.arange(60.0)])
    E = Y - Z @ np.linalg.lstsq(Z, Y, rcond=None)[0]
    for start in (0.2, 0.5, 0.9):
        fit = fit_factor(E, 1, d=start * (E**2).mean(0), gtol=1e-6)
        assert list(np.flatnonzero(fit.at_bound)) == [1]
        assert fit.d[1] == pytest.approx(1e-8 * (E[:, 1] ** 2).mean(), rel=1e-9)
