"""The test of Gibbons, Ross and Shanken, and its version with factors."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import InsufficientRowsError, OptionError


def draw(N, K, seed=0, rank=1):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.standard_normal((N, 2)), np.ones(N)])
    F = rng.standard_normal((K, rank))
    E = rng.standard_normal((N, rank)) @ F.T + rng.standard_normal((N, K))
    return pd.DataFrame(X, columns=["mkt", "size", "alpha"]), X[:, :2] @ np.ones((2, K)) + E


def fit(Y, X, rank=1, **kwds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LowRankSUR(Y, X, rank=rank).fit(n_starts=1, **kwds)


def textbook(Y, factors):
    """N rows, K portfolios, L factors; Gibbons, Ross and Shanken (1989)."""
    (N, K), L = Y.shape, factors.shape[1]
    design = np.column_stack([np.ones(N), factors])
    beta = np.linalg.lstsq(design, Y, rcond=None)[0]
    E = Y - design @ beta
    mean = factors.mean(axis=0)
    sharpe = mean @ np.linalg.solve(np.cov(factors.T, bias=True), mean)
    F = (N - K - L) / K * (beta[0] @ np.linalg.solve(E.T @ E / N, beta[0])) / (1 + sharpe)
    return F, stats.f.sf(F, K, N - K - L), N - K - L


@pytest.mark.parametrize("kwds", [{}, {"debiased": False}, {"cov_type": "HC1"}])
@pytest.mark.parametrize("rank", [0, 1])
def test_exact(kwds, rank):
    X, Y = draw(50, 8)
    got = fit(Y, X, rank, **kwds).grs_test()
    F, p, df = textbook(Y, X.to_numpy()[:, :2])
    assert (got.method, got.variable) == ("exact", "alpha")
    assert got.statistic == pytest.approx(F, rel=1e-8)
    assert got.pvalue == pytest.approx(p, rel=1e-8)
    assert (got.df_num, got.df_denom) == (8, pytest.approx(df))
    assert "F(8, 40)" in str(got)


def test_factor_version_is_the_wald_test_of_the_default():
    X, Y = draw(50, 8)
    res = fit(Y, X)
    R = np.zeros((8, 24))
    R[np.arange(8), 2 + 3 * np.arange(8)] = 1.0
    b = R @ res.params.to_numpy()
    got = res.grs_test(method="factor")
    W = b @ np.linalg.solve(res.cov_params(r_matrix=R), b) / 8
    assert got.statistic == pytest.approx(W, rel=1e-8)
    assert got.df_denom == 50 - 3 - 1
    assert got.alphas.to_numpy() == pytest.approx(b)


def test_beyond_the_rows():
    X, Y = draw(30, 60)
    res = fit(Y, X)
    assert res.grs_test().method == "factor"
    with pytest.raises(InsufficientRowsError, match="60 equations.*27"):
        res.grs_test(method="exact")
    assert 0.0 < res.grs_test().pvalue < 1.0


def test_another_variable():
    X, Y = draw(50, 4)
    res = fit(Y, X)
    assert res.grs_test("mkt").pvalue < 1e-8
    np.testing.assert_array_equal(res.grs_test("mkt").alphas, res.params.to_numpy()[::3])


def test_errors():
    X, Y = draw(40, 4)
    designs = [X, X, X.assign(mkt=1.0 * X["mkt"].to_numpy()[::-1]), X]
    with pytest.raises(OptionError, match="'y3' are not those of 'y1'"):
        fit(Y, designs).grs_test()
    res = fit(Y, X)
    with pytest.raises(OptionError, match="mean 'mkt'"):
        res.grs_test("mkts")
    with pytest.raises(OptionError, match="'auto', 'exact', 'factor'"):
        res.grs_test(method="f")
    with pytest.raises(OptionError, match="variable="):
        fit(Y, X[["mkt", "size"]]).grs_test()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tied = res.model.fit_constrained("y1_mkt = y2_mkt", n_starts=1)
    with pytest.raises(OptionError, match="restrictions"):
        tied.grs_test()
    holes = Y.copy()
    holes[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse = LowRankSUR(holes, X, rank=1, missing="fiml").fit(n_starts=1)
    with pytest.raises(OptionError, match="cells are missing"):
        sparse.grs_test()


def test_too_few_factors_are_named():
    rng = np.random.default_rng(2)
    X, _ = draw(60, 12)
    Sigma = 0.9 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    Y = rng.standard_normal((60, 12)) @ np.linalg.cholesky(Sigma).T
    assert "still correlated" in fit(Y, X).grs_test(method="factor").note
