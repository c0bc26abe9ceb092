"""Joint tests of systems with instruments: by Sigma, by the residuals' own covariance, by rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sm_alsgls import LowRank3SLS
from sm_alsgls.exceptions import NotApplicableError
from tests.core.instruments.twin import Twin, system

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
HYPOTHESIS = np.eye(30)[[1, 4, 11]]
SHAPE = {"N": 80, "K": 12, "r": 2, "q": (3, 4) * 6, "p": (2, 3) * 6, "strength": 2.0}
AT = np.array([1.1, 0.9, 1.0])


def fitted(rank, method="iv"):
    blocks, instruments, Y, _, _ = system(np.random.default_rng(0), **SHAPE)
    return LowRank3SLS(Y, blocks, instruments, rank=rank).fit(method), blocks, instruments, Y


def hotelling(gap, V, nu):
    m = len(gap)
    F = gap @ np.linalg.solve(V, gap) * (nu - m + 1) / (nu * m)
    return F, stats.f.sf(F, m, nu - m + 1)


@pytest.mark.parametrize("method", ["iv", "gmm", "2sls"])
def test_a_rank_that_is_too_low_is_not_trusted(method):
    res, blocks, instruments, Y = fitted(0, method)
    test = res.wald_test((HYPOTHESIS, AT), scalar=True)
    assert "residuals are still correlated after 0 factors" in test.note
    # Sigma of the solve is diagonal, so that all are 2SLS; E'E in its place.
    twin = Twin(blocks, instruments, Y, np.eye(12))
    M = twin.weights("2sls")
    N, p = len(Y), np.array([X.shape[1] for X in blocks])
    E = (twin.y - twin.X @ (M @ twin.y)).reshape(12, N).T * np.sqrt(N / (N - p))
    V = HYPOTHESIS @ M @ np.kron(E.T @ E / N, np.eye(N)) @ M.T @ HYPOTHESIS.T
    F, pvalue = hotelling(HYPOTHESIS @ M @ twin.y - AT, V, N - 3.0)
    assert_allclose(test.statistic, F, rtol=1e-7)
    assert_allclose(test.pvalue, pvalue, rtol=1e-7)
    own = res.get_robustcov_results("sandwich").wald_test((HYPOTHESIS, AT), scalar=True)
    assert_allclose(own.statistic, F, rtol=1e-7)


def test_a_rank_that_is_right_is_trusted():
    res, *_ = fitted("full")
    test = res.wald_test((HYPOTHESIS, AT), scalar=True)
    gap = HYPOTHESIS @ np.asarray(res.params) - AT
    V = res.cov_params(HYPOTHESIS)
    assert_allclose(test.statistic, gap @ np.linalg.solve(V, gap) / 3, rtol=1e-8)
    assert test.method == "F"
    assert not test.note


@pytest.mark.parametrize("cov_type", ["HC1", "HC3"])
def test_robust_ones_have_the_fewest_degrees_of_freedom(cov_type):
    res = fitted(2)[0].get_robustcov_results(cov_type)
    test = res.wald_test((HYPOTHESIS, AT), scalar=True)
    gap = HYPOTHESIS @ np.asarray(res.params) - AT
    V = res.cov_params(HYPOTHESIS)
    nu = res.estimate.covariances(res.estimate, res.estimate.choice).joint_df(HYPOTHESIS)
    F, pvalue = hotelling(gap, V, nu)
    assert_allclose(test.statistic, F, rtol=1e-7)
    assert_allclose(test.pvalue, pvalue, rtol=1e-7)
    assert test.method == "Hotelling"


def test_the_exact_test_of_least_squares_is_refused():
    rng = np.random.default_rng(1)
    Z = rng.standard_normal((50, 3))
    X = Z[:, :1] + rng.standard_normal((50, 1))
    res = LowRank3SLS(X + rng.standard_normal((50, 2)), X, Z, rank=0).fit()
    with pytest.raises(NotApplicableError, match="instrumented"):
        res.grs_test()


@pytest.mark.parametrize("kernel", [{"kernel": "cosine", "terms": 9}, {"maxlags": 3}])
def test_rows_over_time_have_the_degrees_of_freedom_of_the_t_tests(kernel):
    """Satterthwaite's would be of rows that are independent."""
    res = fitted(2)[0].get_robustcov_results("HAC", **kernel)
    test = res.wald_test((HYPOTHESIS, AT), scalar=True)
    nu = kernel.get("terms", float(res.df_resid_inference))
    V = res.cov_params(r_matrix=HYPOTHESIS)
    F, pvalue = hotelling(HYPOTHESIS @ np.asarray(res.params) - AT, V, nu)
    assert_allclose([test.statistic, test.df_denom, test.pvalue], [F, nu - 2.0, pvalue], rtol=1e-9)
