"""Findings of a fresh pair of eyes before the first release, each with the test that holds it."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from sm_alsgls import LowRankSUR
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.maximise.search import curvature_at, search
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.curvature import LikelihoodHessian
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import IllegalRankError, OptionError, RankWarning, ShapeError
from sm_alsgls.results.covariance import covariance
from tests.systems import simulate


@pytest.fixture(scope="module")
def system():
    return simulate(60, 8, 3, 1, seed=4)[:2]


def test_two_equations_are_not_silently_ols():
    X, Y, _ = simulate(50, 2, 3, 1)
    with pytest.warns(RankWarning, match="two equations identify no factor"):
        model = LowRankSUR(Y, X)
    res = model.fit()
    assert "errors are uncorrelated between equations, OLS for each" in str(res.summary())
    assert "One start" not in str(res.summary())
    LowRankSUR(Y, X, rank=0)
    LowRankSUR(Y[:, 0], X[0])


@pytest.mark.parametrize(("lam_B", "lam_F"), [(0.7, 0.0), (0.0, 0.4), (0.3, 0.2)])
def test_the_hessian_knows_the_ridges(lam_B, lam_F):
    rng = np.random.default_rng(0)
    N, K, r = 30, 5, 2
    design = Design([rng.standard_normal((N, 1 + j % 3)) for j in range(K)])
    Y = np.asfortranarray(rng.standard_normal((N, K)))
    weights = [lam_B * rng.uniform(0.5, 2.0, p) for p in design.p]
    ridge = design.ridge(weights) if lam_B else None

    def gradient(v):
        g, F = v[: design.P], v[design.P : -K].reshape(K, r)
        d = np.exp(v[-K:])
        P = np.linalg.inv(F @ F.T + np.diag(d))
        W = (Y - design.fitted(g)) @ P
        delta = P - W.T @ W / N
        in_g = -design.project(np.asfortranarray(W)) / N
        in_g += ridge.apply(g) if ridge else 0.0
        in_F = delta @ F + lam_F * F / d[:, None]
        in_x = 0.5 * d * np.diag(delta) - 0.5 * lam_F * (F**2).sum(1) / d
        return np.concatenate([in_g, in_F.ravel(), in_x])

    v = rng.standard_normal(design.P + K * r + K)
    g, F, d = v[: design.P], v[design.P : -K].reshape(K, r), np.exp(v[-K:])
    hessian = LikelihoodHessian(
        design, Y - design.fitted(g), LowRankDiag(F, d), N, None, ridge, lam_F
    )
    u, h = rng.standard_normal(len(v)), 1e-6
    scale = hessian._scale
    expected = scale * (gradient(v + h * scale * u) - gradient(v - h * scale * u)) / (2 * h)
    np.testing.assert_allclose(hessian.apply(u), expected, rtol=1e-6, atol=1e-6)


def test_a_converged_ridge_fit_is_no_saddle(system):
    X, Y = system
    for lam_B, lam_F in ((1.0, 0.0), (0.0, 0.5)):
        problem = Problem(X, Y, ALSOptions(lam_F=lam_F, lam_B=lam_B))
        best = search(problem, 1, n_starts=1).best
        assert best.converged
        assert not curvature_at(problem, best).is_saddle


def test_mappings_of_lists(system):
    X, Y = system
    y = {f"e{j}": Y[:, j].tolist() for j in range(8)}
    res = LowRankSUR(y, X, rank=1).fit(n_starts=1)
    assert res.resid.shape == Y.shape
    mixed = dict(y, e1=pd.Series(Y[:, 1], index=range(5, 65)))
    assert list(LowRankSUR(mixed, X, rank=1).system.index) == list(range(5, 65))


def test_widths_are_checked(system):
    X, Y = system
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    P = len(res.params)
    for bad in (P - 1, P + 10):
        with pytest.raises(ShapeError, match=f"{P}.*got .*{bad}"):
            res.cov_params(r_matrix=np.ones((1, bad)))
        with pytest.raises(OptionError, match=f"params must hold {P}"):
            res.model.loglike(np.zeros(bad), res.sigma)


def test_standard_error_of_regression_is_that_of_ols_at_rank_zero(system):
    X, Y = system
    res = LowRankSUR(Y, X, rank=0).fit()
    ols = sm.OLS(Y[:, 2], X[2]).fit()
    assert res.equations["y3"].std_error == pytest.approx(np.sqrt(ols.mse_resid), rel=1e-12)
    plain = LowRankSUR(Y, X, rank=0).fit(debiased=False)
    assert plain.equations["y3"].std_error == pytest.approx(np.sqrt(ols.ssr / 60), rel=1e-12)


def test_t_test_of_one_equation_agrees_with_pvalues(system):
    X, Y = system
    X = [x[:, : 1 + j % 3] for j, x in enumerate(X)]
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    P = len(res.params)
    every = res.t_test(np.eye(P))
    np.testing.assert_allclose(every.pvalue, res.pvalues, rtol=1e-9)
    np.testing.assert_allclose(every.conf_int(), res.conf_int(), rtol=1e-9)
    across = res.t_test("y1_const = y3_const")
    assert across.df_denom == 60 - 3 - 1
    assert "P>|t|" in str(across.summary())


def test_one_equations_block_does_not_make_them_all():
    X, Y, _ = simulate(40, 1100, 2, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    one = res.equations["y7"].bse
    operator = covariance(res.estimate)
    assert not {"_dense_root", "_dual"} & set(vars(operator))
    np.testing.assert_allclose(one, res.bse[["y7_const", "y7_x1"]], rtol=1e-9)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.ones(60, dtype=complex), "complex"),
        (np.array(["1"] * 60), "holds text"),
        (pd.Categorical([1, 2] * 30), "category"),
        (pd.date_range("2020", periods=60), "datetime"),
        (pd.to_timedelta(range(60), unit="D"), "timedelta"),
    ],
)
def test_what_is_not_a_number_is_refused(system, column, message):
    _, Y = system
    frame = pd.DataFrame({"const": 1.0, "odd": column})
    with pytest.raises(ShapeError, match=f"'y1'.*{message}"):
        LowRankSUR(Y, frame, rank=1)


def test_missing_values_of_every_kind_are_missing(system):
    X, Y = system
    nullable = pd.DataFrame(X[0], columns=["const", "a", "b"]).astype("Float64")
    nullable.iloc[3, 1] = pd.NA
    model = LowRankSUR(Y, nullable, rank=1, missing="drop")
    assert model.nobs == 59
    assert model.n_dropped == 1
    assert "1 row with missing values was" in str(model.fit(n_starts=1).summary())
    masked = np.ma.masked_array(X[0], mask=np.zeros_like(X[0], dtype=bool))
    masked[5, 2] = np.ma.masked
    assert LowRankSUR(Y, masked, rank=1, missing="drop").nobs == 59
    whole = pd.DataFrame(X[0]).astype("Float64")
    np.testing.assert_array_equal(LowRankSUR(Y, whole, rank=1).exog[0], X[0])


def test_heywood_positions_are_in_mle_retvals():
    X, Y, _ = simulate(30, 5, 3, 1, seed=4)
    with pytest.warns(UserWarning, match="'y4'"):
        res = LowRankSUR(Y, X, rank=1).fit()
    assert res.mle_retvals["heywood"] == [3]


def test_uncentered_r_squared_says_so(system):
    X, Y = system
    res = LowRankSUR(Y, [x[:, 1:] if j == 2 else x for j, x in enumerate(X)], rank=1).fit(
        n_starts=1
    )
    assert "R-squared (uncent.):" in str(res.equations["y3"].summary())
    assert "uncentered" in str(res.summary())
    assert "R-squared:" in str(res.equations["y1"].summary())


def test_messages(system):
    X, Y = system
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    with pytest.raises(OptionError, match="alpha"):
        res.equations["y1"].conf_int(2)
    with pytest.raises(IllegalRankError, match="whole number >= 0, got -1"):
        LowRankSUR(Y, X, rank=-1)
    with pytest.raises(IllegalRankError, match="long panel needs groups="):
        LowRankSUR(Y[:, 0], X[0], rank=1)
    with pytest.raises(OptionError, match="^cg_maxit must be at least 1, got 0$"):
        res.model.fit(cg_maxit=0)
    bad = res.params.to_numpy().copy()
    bad[4] = np.nan
    with pytest.raises(OptionError, match="start_params is not finite for 'y2_x1'"):
        res.model.fit(start_params=bad)
    with pytest.raises(OptionError, match="start_params holds text"):
        res.model.fit(start_params=["a"] * len(bad))


def test_start_params_are_matched_by_name(system):
    X, Y = system
    model = LowRankSUR(Y, X, rank=1)
    res = model.fit(n_starts=1)
    again = model.fit(start_params=res.params.sample(frac=1, random_state=0), n_starts=1)
    assert again.mle_retvals["iterations"] < res.mle_retvals["iterations"]
    assert again.llf == pytest.approx(res.llf, abs=1e-7)
