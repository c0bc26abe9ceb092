"""Where the estimator must coincide with others: OLS, stacked GLS, unrestricted SUR, peers."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from linearmodels.system import SUR
from scipy.linalg import block_diag
from sklearn.decomposition import FactorAnalysis

from sm_alsgls import LowRankDiag, LowRankSUR
from tests.systems import simulate, wide_grunfeld


def stacked(X, Y, sigma):
    """Statsmodels' GLS on the stacked system with a known covariance."""
    N = len(Y)
    model = sm.GLS(Y.T.ravel(), block_diag(*X), sigma=np.kron(sigma, np.eye(N)))
    res = model.fit(cov_type="fixed scale", cov_kwds={"scale": 1.0}, use_t=False)
    return res


def test_rank_zero_is_ols_equation_by_equation():
    X, Y, _ = simulate(40, 6, 3, 1)
    res = LowRankSUR(Y, X, rank=0).fit()
    for j, name in enumerate(res.model.equations):
        ols = sm.OLS(Y[:, j], X[j]).fit()
        eq = res.equations[name]
        np.testing.assert_allclose(eq.params, ols.params, rtol=1e-10)
        np.testing.assert_allclose(eq.bse, ols.bse, rtol=1e-10)
        np.testing.assert_allclose(eq.pvalues, ols.pvalues, rtol=1e-9)
        np.testing.assert_allclose(eq.rsquared, ols.rsquared, rtol=1e-10)
        np.testing.assert_allclose(eq.rsquared_adj, ols.rsquared_adj, rtol=1e-10)
        np.testing.assert_allclose(eq.conf_int(), ols.conf_int(), rtol=1e-9)
    total = sum(sm.OLS(Y[:, j], X[j]).fit().llf for j in range(6))
    np.testing.assert_allclose(res.llf, total, rtol=1e-12)


def test_one_equation_is_ols():
    X, Y, _ = simulate(30, 1, 3, 1)
    res = LowRankSUR(Y[:, 0], X[0]).fit()
    ols = sm.OLS(Y[:, 0], X[0]).fit()
    assert res.rank == 0
    np.testing.assert_allclose(res.params, ols.params, rtol=1e-10)
    np.testing.assert_allclose(res.bse, ols.bse, rtol=1e-10)
    np.testing.assert_allclose(res.llf, ols.llf, rtol=1e-12)


@pytest.mark.parametrize("copies", [True, False])
def test_equal_designs_give_ols_coefficients(copies):
    X, Y, _ = simulate(50, 8, 4, 2)
    exog = [X[0].copy() for _ in range(8)] if copies else X[0]
    res = LowRankSUR(Y, exog, rank=2).fit()
    ols = np.linalg.lstsq(X[0], Y, rcond=None)[0]
    np.testing.assert_allclose(res.params.to_numpy().reshape(8, 4).T, ols, rtol=1e-10)
    assert res.trace["cg_iterations"].sum() == 0
    assert res.converged


@pytest.mark.parametrize(("N", "K", "r"), [(60, 8, 2), (20, 30, 2)])
def test_plug_in_is_stacked_gls_and_linearmodels_given_sigma(N, K, r):
    X, Y, _ = simulate(N, K, 3, r, seed=2)
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    res = LowRankSUR(Y, X, rank=r).fit(debiased=False)
    sigma = res.sigma.to_dense()
    gls = stacked(X, Y, sigma)
    np.testing.assert_allclose(res.params, gls.params, atol=1e-8, rtol=1e-8)
    np.testing.assert_allclose(res.bse, gls.bse, rtol=1e-8)
    np.testing.assert_allclose(res.cov_params(), gls.cov_params(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(res.conf_int(), gls.conf_int(), rtol=1e-7, atol=1e-8)
    assert res.llf == pytest.approx(gls.llf, rel=1e-10)
    eqs = {f"e{j}": {"dependent": Y[:, j], "exog": X[j]} for j in range(K)}
    peer = SUR(eqs, sigma=sigma).fit(method="gls", cov_type="unadjusted")
    np.testing.assert_allclose(res.params, peer.params, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize(("K", "r"), [(3, 1), (6, 3)])
def test_saturated_rank_is_iterated_unrestricted_sur(K, r):
    """(K - r)^2 = K + r leaves no degree of freedom: Sigma is S wherever F F' + D reaches it."""
    for seed in range(40):
        X, Y, _ = simulate(300, K, 3, r, seed=seed)
        with_heywood = LowRankSUR(Y, X, rank=r)
        try:
            res = with_heywood.fit(gtol=1e-9)
        except UserWarning:
            continue
        S = res.resid.to_numpy().T @ res.resid.to_numpy() / 300
        if np.abs(res.sigma.to_dense() - S).max() < 1e-7:
            break
    else:
        pytest.fail("no data set without a Heywood case")
    eqs = {f"e{j}": {"dependent": Y[:, j], "exog": X[j]} for j in range(K)}
    peer = SUR(eqs).fit(
        method="gls", iterate=True, iter_limit=5000, tol=1e-14, cov_type="unadjusted"
    )
    np.testing.assert_allclose(res.params, peer.params, atol=1e-7)
    np.testing.assert_allclose(res.sigma.to_dense(), peer.sigma, atol=1e-7)


def test_debiased_standard_errors_rescale_sigma_by_degrees_of_freedom():
    X, Y, _ = simulate(30, 5, 4, 1, seed=5)
    X = [x[:, : 2 + j % 3] for j, x in enumerate(X)]
    res = LowRankSUR(Y, X, rank=1).fit()
    df = np.array([30 - x.shape[1] - 1 for x in X])
    c = np.sqrt(30 / df)
    total = np.square(res.resid.to_numpy()).sum(axis=0) / df
    np.testing.assert_allclose(res.sigma_inference.diag(), total, rtol=1e-6)
    gls = stacked(X, Y, res.sigma_inference.to_dense())
    # What estimating Sigma adds comes on top, tests/core/beta/test_estimated_sigma.py.
    plain = res.estimate.sample.problem.covariance(res.sigma_inference).variances()
    np.testing.assert_allclose(np.sqrt(plain), gls.bse, rtol=1e-9)
    assert (res.bse > gls.bse).all()
    np.testing.assert_allclose(res.bse, gls.bse, rtol=0.05)
    # Loadings under their prior (tests/core/sigma/test_loading_prior.py) are not far from it.
    at_maximum = stacked(X, Y, res.sigma.to_dense() * np.outer(c, c))
    np.testing.assert_allclose(gls.bse, at_maximum.bse, rtol=0.08)
    eq = res.equations["y3"]
    from scipy import stats

    expected = 2 * stats.t.sf(np.abs(eq.tvalues), df[2])
    np.testing.assert_allclose(eq.pvalues, expected, rtol=1e-12)
    np.testing.assert_allclose(res.pvalues["y3_const"], expected[0], rtol=1e-12)


def test_grunfeld_given_sigma_equals_stacked_gls():
    system = wide_grunfeld()
    res = LowRankSUR.from_system(system, rank=2).fit(debiased=False)
    X = [X.to_numpy() for _, X in system.values()]
    Y = np.column_stack([y for y, _ in system.values()])
    gls = stacked(X, Y, res.sigma.to_dense())
    np.testing.assert_allclose(res.params, gls.params, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(res.bse, gls.bse, rtol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_intercepts_only_is_factor_analysis_at_least_as_good_as_the_peers(seed):
    rng = np.random.default_rng(seed)
    N, K, r = 150, 10, 2
    Y = rng.standard_normal((N, r)) @ rng.standard_normal((r, K)) + rng.standard_normal((N, K))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = LowRankSUR(Y, np.ones((N, 1)), rank=r).fit()
        peer = FactorAnalysis(r, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(Y)
        corr = np.corrcoef(Y.T)
        fa = sm.Factor(corr=corr, n_factor=r, method="ml", nobs=N)
        np.random.seed(0)  # noqa: NPY002  statsmodels' Factor starts from the global generator
        # Complex, of no imaginary part, with the newest SciPy.
        load = np.real(fa.fit(opt={"maxiter": 2000}).loadings)
    assert res.nll_per_row <= -peer.score(Y) + 1e-6
    spread = Y.std(axis=0)
    centered = (Y - Y.mean(axis=0)) / spread
    # statsmodels may end beyond a bound; any (F, d) is a candidate that ours must not lose to.
    unique = np.maximum(1.0 - (load**2).sum(1), 1e-8)
    theirs = LowRankDiag.from_factors(load, unique).nll(centered)
    assert res.nll_per_row <= theirs + np.log(spread).sum() + 1e-6


def test_the_toeplitz_saddle_is_escaped():
    """DESIGN 5: with equal starting shares the first factor of 0.4^|i-j| ends on a saddle."""
    corr = 0.4 ** np.abs(np.subtract.outer(range(4), range(4)))
    Q = np.linalg.qr(np.column_stack([np.ones(50), np.random.default_rng(0).normal(size=(50, 4))]))
    Y = np.sqrt(50) * Q[0][:, 1:] @ np.linalg.cholesky(corr).T
    for n_starts in (1, "auto"):
        res = LowRankSUR(Y, np.ones((50, 1)), rank=1).fit(n_starts=n_starts)
        # DESIGN's -3.60362148 is twice f - trace: f = (log|Sigma| + 4) / 2 here.
        f = res.nll_per_row - 2 * np.log(2 * np.pi)
        assert 2 * f == pytest.approx(3.60362148, abs=1e-7)
        assert res.curvature().lowest > 0
