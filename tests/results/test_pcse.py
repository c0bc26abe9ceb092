"""Panel-corrected standard errors: plm and Stata on Grunfeld, and their definition."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import OptionError
from tests.systems import simulate

# plm's vcovBK(cluster = "time") and Stata's xtpcse, inv ~ value + capital, 10 firms, 1935-1954.
# xtpcse prints 6.780965 .0072124 .0278862.
REFERENCE = [6.7809648475, 0.0072124377, 0.0278862130]


def ten_firms():
    data = load_grunfeld()
    return data[data["firm"] != "American Steel"]


def grunfeld(**kwds):
    return LowRankSUR.from_formula(
        "invest ~ value + capital", ten_firms(), groups="firm", time="year", rank=0, **kwds
    )


def test_pooled_slopes_are_those_of_stata():
    res = grunfeld(common=True).fit(cov_type="pcse")
    np.testing.assert_allclose(res.bse, REFERENCE, rtol=1e-8)
    data = ten_firms()
    X = np.column_stack([np.ones(len(data)), data["value"], data["capital"]])
    ols = np.linalg.lstsq(X, data["invest"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(res.params, ols, rtol=1e-8)
    assert "Least squares" in str(res.summary())
    assert res.llf < grunfeld(common=True).fit().llf


def dense(X, E, common):
    """(Z'Z)^-1 Z'(S x I)Z (Z'Z)^-1, Z with one column for the second regressor of all if common."""
    N, Z = len(E), block_diag(*X)
    if common:
        Z = np.column_stack([np.concatenate([x[:, 1] for x in X]), np.delete(Z, [1, 4, 7, 10], 1)])
    V = np.linalg.inv(Z.T @ Z)
    return V @ Z.T @ np.kron(E.T @ E / N, np.eye(N)) @ Z @ V


@pytest.mark.parametrize("common", [False, True])
def test_definition(common):
    X, Y, _ = simulate(25, 4, 3, 1, seed=1)
    model = LowRankSUR(Y, X, rank=0, common=["x1"] if common else False)
    res = model.fit(cov_type="pcse")
    np.testing.assert_allclose(
        res.cov_params(), dense(X, res.resid.to_numpy(), common), rtol=1e-8, atol=1e-14
    )
    assert res.f_test(np.eye(len(res.params))[[0, 2]]).method == "Hotelling"
    assert np.isfinite(res.pvalues).all()


def test_separate_slopes_need_no_refit():
    res = grunfeld().fit()
    direct = grunfeld().fit(cov_type="pcse")
    np.testing.assert_allclose(res.get_robustcov_results("pcse").bse, direct.bse, rtol=1e-8)


def test_where_it_does_not_apply():
    with pytest.raises(OptionError, match=r"fit\(cov_type='pcse'\)"):
        _ = grunfeld(common=True).fit().get_robustcov_results("pcse").bse
    X, Y, _ = simulate(25, 4, 3, 1, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OptionError, match="rank 1"):
            LowRankSUR(Y, X, rank=1).fit(cov_type="pcse")
    with pytest.raises(OptionError, match="lam_B"):
        LowRankSUR(Y, X, rank=0).fit(cov_type="pcse", lam_B=0.1)
    Y = pd.DataFrame(Y)
    Y.iloc[0, 0] = np.nan
    with pytest.raises(OptionError, match="missing cells"):
        LowRankSUR(Y, X, rank=0, missing="fiml").fit(cov_type="pcse")
