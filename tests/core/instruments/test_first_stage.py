"""First-stage statistics against linearmodels, least squares written out, and limits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.datasets import card
from linearmodels.iv import IV2SLS
from scipy import stats

from sm_alsgls.core.beta.robust import Clusters, White
from sm_alsgls.core.instruments.first_stage import robust_fvalue, strength
from sm_alsgls.core.instruments.partialled import Partialled, partial_out
from tests.core.instruments.draws import equation


def peer(y, X, Z, endogenous, **kwds):
    """linearmodels' table; its unadjusted F is the textbook's where debiased."""
    k = int((~endogenous).sum())
    names = [f"x{i}" for i in range(X.shape[1])]
    exog = pd.DataFrame(X[:, :k], columns=names[:k])
    endog = pd.DataFrame(X[:, k:], columns=names[k:])
    own = pd.DataFrame(Z[:, k:], columns=[f"z{i}" for i in range(Z.shape[1] - k)])
    fit = IV2SLS(pd.Series(y, name="y"), exog, endog, own).fit(debiased=True, **kwds)
    return fit.first_stage.diagnostics


def conditional(X, Z, endogenous, i):
    """Sanderson and Windmeijer's F: 2SLS of one on the others, then its first stage."""
    P = Z @ np.linalg.pinv(Z)
    at = np.flatnonzero(endogenous)[i]
    others = np.delete(X, at, axis=1)
    hat = P @ others
    u = X[:, at] - others @ np.linalg.solve(hat.T @ others, hat.T @ X[:, at])
    exog = X[:, ~endogenous]
    M = np.eye(len(X)) - exog @ np.linalg.pinv(exog)
    L = Z.shape[1] - exog.shape[1]
    num = u @ (P @ M @ u) / (L - endogenous.sum() + 1)
    return num / ((u @ u - u @ P @ u) / (len(X) - Z.shape[1]))


@pytest.mark.parametrize(("m", "L"), [(1, 1), (1, 4), (2, 2), (2, 5), (3, 4)])
def test_against_linearmodels(m, L):
    y, X, Z, endogenous = equation(m=m, L=L, seed=m + L)
    part = partial_out(X, Z, endogenous)
    got = strength(part)
    want = peer(y, X, Z, endogenous, cov_type="unadjusted")
    for mine, theirs in [
        (got.rsquared, "rsquared"), (got.partial_rsquared, "partial.rsquared"),
        (got.shea_rsquared, "shea.rsquared"), (got.fvalue, "f.stat"), (got.f_pvalue, "f.pval"),
    ]:  # fmt: skip
        np.testing.assert_allclose(mine, want[theirs].to_numpy(float), rtol=1e-8, err_msg=theirs)
    robust = peer(y, X, Z, endogenous, cov_type="robust")["f.stat"].to_numpy(float) / L
    np.testing.assert_allclose(robust_fvalue(part, White(), 80 / part.df), robust, rtol=1e-8)
    sw = [conditional(X, Z, endogenous, i) for i in range(m)]
    np.testing.assert_allclose(got.sanderson_windmeijer, sw, rtol=1e-8)
    assert (got.L, got.df) == (L, 80 - 2 - L)
    np.testing.assert_allclose(got.sw_pvalue, stats.f.sf(sw, L - m + 1, 78 - L), rtol=1e-8)
    if m == 1:
        np.testing.assert_allclose(got.sanderson_windmeijer, got.fvalue, rtol=1e-12)
        np.testing.assert_allclose(got.shea_rsquared, got.partial_rsquared, rtol=1e-12)


def test_without_a_constant_the_total_is_about_zero():
    y, X, Z, endogenous = equation(L=2, seed=3)
    X, Z, endogenous = X[:, 1:], Z[:, 1:], endogenous[1:]
    got = strength(partial_out(X, Z, endogenous))
    want = peer(y, X, Z, endogenous, cov_type="unadjusted")["rsquared"].to_numpy(float)
    np.testing.assert_allclose(got.rsquared, want, rtol=1e-8)


def test_card():
    """Card's (1995) schooling with two colleges: linearmodels, and clusters by statsmodels."""
    data = card.load().dropna(subset=["lwage", "educ", "exper"])
    exog = data[["exper", "expersq", "black", "south", "smsa"]].assign(one=1.0).to_numpy(float)
    own = data[["nearc2", "nearc4"]].to_numpy(float)
    X = np.column_stack([exog, data["educ"]])
    Z = np.column_stack([exog, own])
    endogenous = np.arange(7) == 6
    part = partial_out(X, Z, endogenous)
    got = strength(part)
    want = peer(data["lwage"].to_numpy(), X, Z, endogenous, cov_type="unadjusted").iloc[0]
    assert got.fvalue[0] == pytest.approx(want["f.stat"], rel=1e-8)
    assert got.partial_rsquared[0] == pytest.approx(want["partial.rsquared"], rel=1e-8)
    code = data["age"].factorize()[0]
    fit = sm.OLS(X[:, 6], Z).fit(cov_type="cluster", cov_kwds={"groups": code})
    R = np.eye(8)[6:]
    N = len(X)
    mine = robust_fvalue(part, Clusters(code, debias=True), (N - 1) / part.df)
    assert mine[0] == pytest.approx(float(fit.f_test(R).fvalue), rel=1e-8)


AER = pd.read_csv(Path(__file__).parents[2] / "reference" / "card_aer.csv", comment="#")


@pytest.mark.parametrize("fit", ["one", "two"])
def test_card_against_aer(fit):
    data = card.load().dropna(subset=["lwage", "educ", "exper"]).assign(one=1.0)
    names = {
        "one": (["one", "exper", "expersq", "black", "south", "smsa"], ["educ"], []),
        "two": (["one", "black", "south", "smsa"], ["educ", "exper"], ["age"]),
    }
    exog, endog, more = names[fit]
    X = data[exog + endog].to_numpy(float)
    Z = data[[*exog, "nearc2", "nearc4", *more]].to_numpy(float)
    part = partial_out(X, Z, np.isin(exog + endog, endog))
    want = AER[AER["fit"] == fit].pivot(index="regressor", columns="covariance").loc[endog]
    np.testing.assert_allclose(strength(part).fvalue, want["statistic", "classical"], rtol=1e-9)
    hc1 = robust_fvalue(part, White(), len(X) / part.df)
    np.testing.assert_allclose(hc1, want["statistic", "HC1"], rtol=1e-9)
    assert (want["df1"] == part.L).all(axis=None)
    assert (want["df2"] == part.df).all(axis=None)


def test_compressed_rows_have_the_same_statistics():
    _, X, Z, endogenous = equation(m=2, L=4, seed=5)
    whole = strength(partial_out(X, Z, endogenous))
    R = np.linalg.qr(np.column_stack([X, Z, np.ones(80)]), mode="r")
    p, q = X.shape[1], Z.shape[1]
    few = partial_out(R[:, :p], R[:, p : p + q], endogenous, 80)
    got = strength(few, R[:, -1])
    for name in ("rsquared", "partial_rsquared", "shea_rsquared", "fvalue", "sanderson_windmeijer"):
        np.testing.assert_allclose(getattr(got, name), getattr(whole, name), rtol=1e-9)
    assert got.df == whole.df


def test_what_instruments_repeat_is_left_out():
    _, X, Z, endogenous = equation(L=3, seed=6)
    want = strength(partial_out(X, Z, endogenous))
    # A sum of instruments, an exogenous regressor in other units, and a rotation of all.
    rng = np.random.default_rng(0)
    more = np.column_stack([Z, Z[:, 2] + Z[:, 3], 1e6 * X[:, 0], Z @ rng.standard_normal((5, 5))])
    part = partial_out(X, more, endogenous)
    assert part.L == 3
    np.testing.assert_allclose(strength(part).fvalue, want.fvalue, rtol=1e-8)


def test_units_and_zeros_do_not_matter():
    _, X, Z, endogenous = equation(m=2, L=4, seed=7)
    want = strength(partial_out(X, Z, endogenous))
    scaled = strength(partial_out(X * np.logspace(-8, 8, 4), Z * np.logspace(8, -8, 6), endogenous))
    np.testing.assert_allclose(scaled.sanderson_windmeijer, want.sanderson_windmeijer, rtol=1e-8)
    np.testing.assert_allclose(scaled.rsquared, want.rsquared, rtol=1e-8)
    shifted = strength(partial_out(X + 1e6, Z + 1e6, endogenous))
    # Of columns a million from zero ten digits are left.
    np.testing.assert_allclose(shifted.fvalue, want.fvalue, rtol=1e-6)


def test_under_identified_and_perfect():
    _, X, Z, endogenous = equation(m=2, L=1, seed=8)
    got = strength(partial_out(X, Z, endogenous))
    assert np.isnan(got.sanderson_windmeijer).all()
    assert np.isnan(got.sw_pvalue).all()
    assert np.isfinite(got.fvalue).all()
    # One combination of instruments behind both regressors in the sample: rank 1.
    _, X, Z, endogenous = equation(m=1, L=3, seed=8)
    part = partial_out(X, Z, endogenous)
    noise = part.left(np.random.default_rng(1).standard_normal(80))
    noise -= part.W @ (part.W.T @ noise)
    twice = np.column_stack([X, 2.0 * X[:, 2] + noise])
    got = strength(partial_out(twice, Z, np.array([False, False, True, True])))
    np.testing.assert_allclose(got.sanderson_windmeijer, 0.0, atol=1e-20)
    assert (got.fvalue > 5).all()
    # Exactly nothing of the second.
    eye = np.eye(30)
    Y = np.column_stack([eye[:, 0] + eye[:, 5], eye[:, 6]])
    got = strength(Partialled(Y, eye[:, :0], Y, eye[:, :2], 30))
    np.testing.assert_array_equal(got.sanderson_windmeijer, 0.0)
    np.testing.assert_array_equal(got.shea_rsquared, 0.0)


def test_what_is_left_is_orthogonal_though_columns_are_far_from_zero():
    _, X, Z, endogenous = equation(m=1, L=3, seed=7)
    far = [0.0, 0.0, 1e8]
    part = partial_out(X + far, Z + 1e8 * np.array([0, 0, 1, 1, -1]), endogenous)
    np.testing.assert_allclose(part.basis.T @ part.W, 0.0, atol=1e-14)
    np.testing.assert_allclose(part.basis.T @ part.Y, 0.0, atol=1e-12)
    assert part.L == 3


@pytest.mark.parametrize("offset", [1e6, -1e6, 1e8])
def test_the_origin_of_an_exogenous_regressor_adds_no_instrument(offset):
    """Of 1e6 + x the span has x to 1e-10 only: what is left is rounding."""
    rng = np.random.default_rng(0)
    one, x, z, w = rng.standard_normal((4, 80, 1))
    one[:], w = 1.0, z + w
    endogenous = np.array([False, False, True])
    Z = np.hstack([one, x, z])
    plain = strength(partial_out(np.hstack([one, x, w]), Z, endogenous))
    moved = strength(partial_out(np.hstack([one, x + offset, w]), Z, endogenous))
    assert moved.L == 1
    np.testing.assert_allclose(moved.fvalue, plain.fvalue, rtol=1e-6)
