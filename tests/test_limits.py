"""Where the estimator must coincide with others: OLS, stacked GLS, unrestricted SUR, peers."""

import numpy as np
import pytest
import statsmodels.api as sm
from linearmodels.system import SUR
from scipy.linalg import block_diag

from sm_alsgls import LowRankSUR
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
    gls = stacked(X, Y, res.sigma.to_dense() * np.outer(c, c))
    np.testing.assert_allclose(res.bse, gls.bse, rtol=1e-9)
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
