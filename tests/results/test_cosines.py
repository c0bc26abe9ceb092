"""Covariances of short series, whose tests know how short they are."""

import numpy as np
import pytest
from scipy import stats

from sm_alsgls import LowRankSUR
from sm_alsgls.core.beta.cosine_weights import default_terms
from sm_alsgls.exceptions import InsufficientRowsError, OptionError
from tests.systems import simulate


@pytest.fixture(scope="module")
def res():
    X, Y, _ = simulate(40, 5, 3, 1, seed=3)
    return LowRankSUR(Y, X, rank=1).fit(n_starts=1)


def test_is_the_sandwich_of_cosines(res):
    robust = res.get_robustcov_results("HAC", kernel="cosine", terms=7)
    E, W = res.resid.to_numpy(), np.linalg.inv(res.sigma.to_dense())
    X, p, K = res.model.exog, 3, 5
    V = np.zeros((15, 15))
    scores = np.column_stack([X[j] * (E @ W)[:, j : j + 1] for j in range(K)])
    for j in range(K):
        for m in range(K):
            V[p * j : p * j + p, p * m : p * m + p] = W[j, m] * X[j].T @ X[m]
    V = np.linalg.inv(V)
    t = (np.arange(40) + 0.5) / 40
    sums = np.array([np.sqrt(2) * np.cos(np.pi * b * t) @ scores for b in range(1, 8)])
    meat = sums.T @ sums / 7
    factor = np.sqrt(40 / (40 - 3 - 1))
    np.testing.assert_allclose(robust.bse, factor * np.sqrt(np.diag(V @ meat @ V)), rtol=1e-7)
    quantile = stats.t.ppf(0.975, 7)
    half = (robust.conf_int()[1] - robust.conf_int()[0]) / 2
    np.testing.assert_allclose(half, quantile * robust.bse)
    assert "7 cosines" in str(robust.summary())


def test_joint_tests_have_hotellings_law(res):
    robust = res.get_robustcov_results("HAC", kernel="cosine", terms=7)
    R = np.eye(15)[[1, 4, 7]]
    Q = (R @ robust.params) @ np.linalg.solve(R @ robust.cov_params() @ R.T, R @ robust.params)
    test = robust.f_test(R)
    assert test.fvalue == pytest.approx(Q * (7 - 3 + 1) / (7 * 3), rel=1e-7)
    assert (test.df_num, test.df_denom) == (3, 5)
    with pytest.raises(InsufficientRowsError, match="7 degrees of freedom"):
        robust.f_test(np.eye(15)[:8])


def test_defaults_and_errors(res):
    robust = res.get_robustcov_results("HAC", kernel="cosine")
    assert robust.cov_kwds["terms"] == default_terms(40)
    with pytest.raises(OptionError, match="terms="):
        res.get_robustcov_results("HAC", kernel="cosine", maxlags=3)
    with pytest.raises(OptionError, match="kernel='cosine'"):
        res.get_robustcov_results("HAC", terms=3)
    for terms in (0, 40, 2.5, True):
        with pytest.raises(OptionError, match="terms must be a whole number"):
            res.get_robustcov_results("HAC", kernel="cosine", terms=terms)
