"""The wild restricted efficient bootstrap: a draw written out, its size, and its interval."""

import numpy as np
import pytest
from linearmodels.iv import IV2SLS

from sm_alsgls.core.beta.robust import Clusters, White
from sm_alsgls.core.instruments.partialled import partial_out
from sm_alsgls.core.instruments.wild_restricted import (
    rademacher,
    tsls_t,
    under_null,
    wild_interval,
    wild_test,
)
from tests.core.instruments.draws import equation


def tsls(y, X, Z, endogenous, **kwds):
    k = int((~endogenous).sum())
    return IV2SLS(y, X[:, :k], X[:, k:], Z[:, k:]).fit(debiased=True, **kwds)


def one_draw(y, X, Z, endogenous, at, value, s):
    """Davidson and MacKinnon's steps with whole matrices: new y and endogenous regressors."""
    N, k = len(y), int((~endogenous).sum())
    exog, own = X[:, :k], X[:, k:]
    target = y - value * own[:, at]
    rest = np.column_stack([exog, np.delete(own, at, axis=1)])
    hat = Z @ np.linalg.pinv(Z) @ rest
    coef = np.linalg.solve(hat.T @ rest, hat.T @ target)
    u = target - rest @ coef
    first = np.linalg.lstsq(np.column_stack([Z, u]), own, rcond=None)[0][:-1]
    V = own - Z @ first
    u, V = u * np.sqrt(N / (N - rest.shape[1])), V * np.sqrt(N / (N - Z.shape[1]))
    Y = Z @ first + s[:, None] * V
    b = np.insert(coef[k:], at, value)
    return exog @ coef[:k] + Y @ b + s * u, np.column_stack([exog, Y])


@pytest.mark.parametrize(("m", "at", "L"), [(1, 0, 1), (1, 0, 3), (2, 1, 3), (3, 0, 3)])
def test_draws_against_linearmodels(m, at, L):
    y, X, Z, endogenous = equation(N=50, m=m, L=L, seed=m + L, strength=0.8, uneven=True)
    k, value = 2, 0.7
    part = partial_out(X, Z, endogenous)
    signs = rademacher(np.random.default_rng(0), 70, 50)
    code = np.arange(50) // 5
    even = wild_test(y, part, at, value, signs)
    uneven = wild_test(y, part, at, value, signs, weights=White(), factor=50 / (50 - k - m))
    clusters = wild_test(
        y, part, at, value, signs[:, :10], code=code, weights=Clusters(code, debias=True),
        factor=49 / (50 - k - m),
    )  # fmt: skip
    for test, kwds, each in [
        (even, {"cov_type": "unadjusted"}, signs),
        (uneven, {"cov_type": "robust"}, signs),
        (clusters, {"cov_type": "clustered", "clusters": code}, signs[:, code]),
    ]:

        def t(y, X, kwds=kwds):
            fit = tsls(y, X, Z, endogenous, **kwds)
            return (fit.params.iloc[k + at] - value) / fit.std_errors.iloc[k + at]

        assert test.statistic == pytest.approx(t(y, X), rel=1e-8)
        for i in (0, 1, 69):  # 64 draws are made at once
            want = t(*one_draw(y, X, Z, endogenous, at, value, each[i].astype(float)))
            assert test.draws[i] == pytest.approx(want, rel=1e-7)
        exceed = np.sum(np.abs(test.draws) >= abs(test.statistic))
        assert test.pvalue == pytest.approx((1 + exceed) / 71)


def test_null_is_efficient_and_keeps_what_u_explains():
    y, X, Z, endogenous = equation(m=2, L=4, seed=3)
    part = partial_out(X, Z, endogenous)
    null = under_null(y, part, 0, 1.3)
    assert null.b[0] == 1.3
    u = part.left(y) - part.Y @ null.b
    np.testing.assert_allclose(null.u, u * np.sqrt(80 / (80 - 2 - 1)))
    full = np.column_stack([part.W, null.u])
    coef = np.linalg.lstsq(full, part.Y, rcond=None)[0]
    np.testing.assert_allclose(null.C, coef[:-1], rtol=1e-9)
    # Errors of the two stages stay as correlated as they are.
    assert np.all(np.abs(null.u @ null.V) > 10.0)


def test_signs():
    signs = rademacher(np.random.default_rng(0), 400, 30)
    assert signs.dtype == np.int8
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(signs.mean()) < 0.04
    again = rademacher(np.random.default_rng(0), 400, 30)
    np.testing.assert_array_equal(signs, again)


def test_value_at_the_estimate():
    y, X, Z, endogenous = equation(L=3, seed=6)
    part = partial_out(X, Z, endogenous)
    b = float(tsls(y, X, Z, endogenous).params.iloc[-1])
    u = part.left(y) - part.Y @ [b]
    assert tsls_t(u[None], part.Y.T[None], part, 0)[0] == pytest.approx(0.0, abs=1e-8)
    assert wild_test(y, part, 0, b, rademacher(np.random.default_rng(0), 99, 80)).pvalue > 0.98


def test_interval_inverts_the_test():
    y, X, Z, endogenous = equation(L=3, seed=6, strength=1.0, uneven=True)
    part = partial_out(X, Z, endogenous)
    signs = rademacher(np.random.default_rng(1), 199, 80)
    low, high = wild_interval(y, part, 0, 0.1, signs, weights=White())
    fit = tsls(y, X, Z, endogenous, cov_type="robust")
    assert low < fit.params.iloc[-1] < high
    se = fit.std_errors.iloc[-1]
    for end, out in ((low, -1), (high, 1)):
        inside = wild_test(y, part, 0, end - out * 0.01 * se, signs, weights=White())
        outside = wild_test(y, part, 0, end + out * 0.01 * se, signs, weights=White())
        assert inside.pvalue >= 0.1 > outside.pvalue
    # Strong instruments: near the interval of the normal distribution.
    assert (high - low) / (2 * 1.645 * se) == pytest.approx(1.0, abs=0.25)


def test_interval_has_no_end_where_instruments_say_nothing():
    y, X, Z, endogenous = equation(N=40, L=2, seed=1, strength=0.0)
    part = partial_out(X, Z, endogenous)
    signs = rademacher(np.random.default_rng(1), 99, 40)
    assert np.isinf(wild_interval(y, part, 0, 0.05, signs)).any()


@pytest.mark.slow
def test_size_with_weak_instruments():
    """600 draws at 5 %, a standard error of .009: the t test rejects .30."""
    rejected = wald = 0
    for seed in range(600):
        y, X, Z, endogenous = equation(N=60, L=3, seed=seed, strength=0.2, uneven=True)
        part = partial_out(X, Z, endogenous)
        signs = rademacher(np.random.default_rng(seed), 199, 60)
        test = wild_test(y, part, 0, 1.0, signs, weights=White(), factor=60 / 57)
        rejected += test.pvalue <= 0.05
        wald += abs(test.statistic) > 2.0
    assert 0.02 < rejected / 600 < 0.085
    assert wald / 600 > 0.2
