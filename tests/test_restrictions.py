"""Restricted fits: the restricted maximum, linearmodels given Sigma, and what cannot be obeyed."""

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
from linearmodels.system import SUR

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import HeywoodWarning, OptionError, RestrictionError
from tests.systems import simulate

THREE = "y1_x1 = y2_x1, y3_x2 = 0.5, y4_x1 + y4_x2 = 1"


@pytest.fixture(scope="module")
def system():
    X, Y, _ = simulate(60, 8, 3, 1, seed=4)
    return X, Y


@pytest.fixture(scope="module")
def model(system):
    X, Y = system
    return LowRankSUR(Y, X, rank=1)


@pytest.fixture(scope="module")
def free(model):
    return model.fit()


@pytest.fixture(scope="module")
def bound(model):
    return model.fit_constrained(THREE, debiased=False)


def test_restrictions_hold_exactly(bound, free):
    b = bound.params
    assert b["y1_x1"] == pytest.approx(b["y2_x1"], abs=1e-14)
    assert b["y3_x2"] == pytest.approx(0.5, abs=1e-14)
    assert b["y4_x1"] + b["y4_x2"] == pytest.approx(1.0, abs=1e-14)
    assert bound.converged
    assert bound.llf < free.llf
    assert bound.df_model == free.df_model - 3
    assert "3 linear restrictions" in str(bound.summary())
    assert bound.bse["y3_x2"] == 0.0
    assert np.isnan(bound.tvalues["y3_x2"])
    assert bound.bse["y1_x1"] == pytest.approx(bound.bse["y2_x1"], rel=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("nonrobust", None), ("HC0", "robust"), ("HAC", "kernel")]
)
def test_equals_linearmodels_given_sigma(system, bound, ours, theirs):
    X, Y = system
    frames = [pd.DataFrame(x, columns=["const", "x1", "x2"]) for x in X]
    peer = SUR(
        {f"e{j}": {"dependent": Y[:, j], "exog": frames[j]} for j in range(8)},
        sigma=bound.sigma.to_dense(),
    )
    r = bound.model.restrictions
    peer.add_constraints(pd.DataFrame(r.R, columns=peer.param_names), pd.Series(r.q))
    kwds = {"kernel": "bartlett", "bandwidth": 3} if theirs == "kernel" else {}
    fit = peer.fit(method="gls", cov_type=theirs or "unadjusted", **kwds)
    np.testing.assert_allclose(bound.params, fit.params, atol=1e-9)
    if theirs is None:
        # Dense: T (T'HT)^-1 T' with T a basis of the null space of R.
        from scipy.linalg import block_diag, null_space

        Z, T = block_diag(*X), null_space(r.R)
        H = Z.T @ np.kron(np.linalg.inv(bound.sigma.to_dense()), np.eye(60)) @ Z
        V = T @ np.linalg.inv(T.T @ H @ T) @ T.T
        got = bound.cov_params()
    else:
        V = fit.cov.to_numpy()
        options = {"maxlags": 3, "use_correction": False} if theirs == "kernel" else {}
        got = bound.get_robustcov_results(ours, **options).cov_params()
    np.testing.assert_allclose(got, V, atol=1e-10)


def test_is_the_restricted_maximum():
    """Against a general optimiser over free coefficients, loadings and log uniquenesses."""
    X, Y, _ = simulate(60, 4, 2, 1, seed=8)
    res = LowRankSUR(Y, X, rank=1).fit_constrained("y1_x1 = y2_x1")

    def nll(v):
        b = np.insert(v[:7], 3, v[1]).reshape(4, 2)
        F, d = v[7:11], np.exp(v[11:])
        S = np.outer(F, F) + np.diag(d)
        E = Y - np.column_stack([x @ bj for x, bj in zip(X, b, strict=True)])
        quadratic = np.einsum("nk,kl,nl->", E, np.linalg.inv(S), E) / 60
        return 0.5 * (4 * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + quadratic)

    start = np.concatenate(
        [np.delete(res.params.to_numpy(), 3), res.sigma.loadings[:, 0],
         np.log(res.sigma.uniquenesses)]
    )  # fmt: skip
    assert nll(start) == pytest.approx(res.nll_per_row, rel=1e-12)
    rng = np.random.default_rng(0)
    for scale in (0.0, 0.1, 0.3):
        found = scipy.optimize.minimize(nll, start + scale * rng.standard_normal(len(start)))
        assert res.nll_per_row <= found.fun + 1e-8


def test_common_coefficients(system, free):
    X, Y = system
    res = LowRankSUR(Y, X, rank=1, common=["x1"]).fit()
    assert list(res.params.index[:4]) == ["x1", "y1_const", "y1_x2", "y2_const"]
    assert len(res.params) == 17
    assert {one.params["x1"] for one in res.equations.values()} == {res.params["x1"]}
    assert res.df_model == free.df_model - 7
    every = LowRankSUR(Y, X, rank=1, common=True).fit()
    assert list(every.params.index) == ["const", "x1", "x2"]
    strings = LowRankSUR(Y, X, rank=1).fit_constrained(
        [f"y1_x1 - y{j}_x1 = 0" for j in range(2, 9)]
    )
    assert strings.llf == pytest.approx(res.llf, abs=1e-6)
    assert strings.params["y1_x1"] == pytest.approx(res.params["x1"], abs=1e-5)
    assert strings.bse["y8_x1"] == pytest.approx(res.bse["x1"], rel=1e-4)


def test_equal_designs_are_no_longer_ols(system):
    X, Y = system
    res = LowRankSUR(Y, X[0], rank=1, common=["x1"]).fit()
    ols = np.linalg.lstsq(X[0], Y, rcond=None)[0]
    ours = np.column_stack([one.params for one in res.equations.values()])
    assert np.abs(ours - ols).max() > 1e-3
    assert res.mle_retvals["score_beta"] <= 1e-6


def test_from_formula_and_a_panel():
    kwds = {"groups": "firm", "time": "year", "rank": 1}
    res = LowRankSUR.from_formula(
        "invest ~ value + capital", load_grunfeld(), common=["capital"], **kwds
    ).fit()
    assert [n for n in res.params.index if n.endswith("capital")] == ["capital"]
    assert res.converged


def test_restrictions_add_to_common_ones(system):
    X, Y = system
    model = LowRankSUR(Y, X, rank=1, common=["x1"])
    res = model.fit_constrained("x1 = 0.25, y1_x2 = y2_x2")
    assert res.params["x1"] == pytest.approx(0.25, abs=1e-14)
    assert res.params["y1_x2"] == pytest.approx(res.params["y2_x2"], abs=1e-13)
    assert (res.bse["x1"], model.restrictions, len(res.model.restrictions.q)) == (0.0, None, 2)
    strings = LowRankSUR(Y, X, rank=1).fit_constrained(
        [*(f"y{j}_x1 = 0.25" for j in range(1, 9)), "y1_x2 = y2_x2"]
    )
    assert strings.llf == pytest.approx(res.llf, abs=1e-6)
    own = strings.bse[strings.bse > 0.0]
    np.testing.assert_allclose(res.bse[own.index], own, rtol=1e-4)
    assert res.df_model == strings.df_model


def test_bootstrap_obeys(bound):
    boot = bound.bootstrap(5, rng=1)
    np.testing.assert_allclose(boot.params["y3_x2"], 0.5, atol=1e-12)
    np.testing.assert_allclose(boot.params["y1_x1"], boot.params["y2_x1"], atol=1e-12)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (["y1_x1 = 0", "y1_x1 = 1"], "contradict.*'y1_x1 = 1'"),
        (["y1_x1 = 0", "2*y1_x1 = 0"], "follow from the others: '2 y1_x1 = 0'"),
        (["y1_x1 = y2_x1", "y2_x1 = y3_x1", "y1_x1 = y3_x1"], "follow from"),
        ("y1_zz = 0", "cannot read.*y1_zz.*y1_const"),
        ({"y1_x1": 0.0}, "strings, a matrix R or a pair"),
        (np.ones((1, 3)), "3 columns for 24"),
        ((np.full((1, 24), np.nan), 0.0), "missing or infinite"),
        (np.zeros((1, 24)), "'0 = 0'"),
    ],
)
def test_bad_restrictions_are_named(model, constraints, message):
    with pytest.raises(RestrictionError, match=message):
        model.fit_constrained(constraints)


def test_common_needs_a_shared_regressor(system):
    X, Y = system
    with pytest.raises(RestrictionError, match=r"'wage' \(shared are 'const', 'x1', 'x2'"):
        LowRankSUR(Y, X, rank=1, common=["wage"])


def test_slope_ridges_are_refused(model):
    with pytest.raises(OptionError, match="lam_B"):
        model.fit_constrained("y1_x1 = 0", lam_B=0.1)


def test_three_tests_of_the_restrictions(model, bound, free, system):
    # Three restrictions that the data contradict: by hand, then a true one: all accept.
    X, _ = system
    plain = model.fit(debiased=False)
    table = bound.restriction_tests(plain)
    assert list(table.index) == ["LR", "Wald", "score"]
    assert table.loc["LR", "statistic"] == pytest.approx(2 * (plain.llf - bound.llf), rel=1e-9)
    r = bound.model.restrictions
    gap = r.R @ plain.params.to_numpy() - r.q
    V = r.R @ plain.cov_params().to_numpy() @ r.R.T
    assert table.loc["Wald", "statistic"] == pytest.approx(gap @ np.linalg.solve(V, gap), rel=1e-8)
    W = bound.resid.to_numpy() @ np.linalg.inv(bound.sigma.to_dense())
    u = np.concatenate([x.T @ W[:, j] for j, x in enumerate(X)])
    from scipy.linalg import block_diag

    Z = block_diag(*X)
    H = Z.T @ np.kron(np.linalg.inv(bound.sigma.to_dense()), np.eye(60)) @ Z
    assert table.loc["score", "statistic"] == pytest.approx(u @ np.linalg.solve(H, u), rel=1e-8)
    assert (table["pvalue"] < 1e-6).all()
    # Debiased: Sigma grows by N / (N - p - r) in all equations, and score is an F statistic.
    corrected = model.fit_constrained(THREE).restriction_tests(free)
    assert corrected.loc["score", "statistic"] == pytest.approx(
        table.loc["score", "statistic"] * 56 / 60 / 3, rel=1e-6
    )
    true = free.params["y1_x1"]
    near = model.fit_constrained(f"y1_x1 = {true:.10f}")
    calm = near.restriction_tests(free)
    assert (calm["pvalue"] > 0.99).all()
    assert calm.loc["Wald", "df_denom"] == 60 - 3 - 1
    with pytest.raises(OptionError, match="no restrictions"):
        free.restriction_tests()


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_hypotheses_read_alike_in_both_engines(engine, monkeypatch):
    """formulaic reads a = b = c as one row; patsy has no backticks; neither likes commas."""
    from statsmodels.formula import options

    from sm_alsgls.data.constraint_text import read_constraints

    monkeypatch.setattr(options, "formula_engine", engine)
    names = ["US Steel_value", "GM_C(x, Sum)[S.a]", "IBM_value", "IBM_value2"]
    R, q = read_constraints("US Steel_value = IBM_value = IBM_value2", names)
    np.testing.assert_array_equal(R, [[1, 0, -1, 0], [0, 0, 1, -1]])
    R, q = read_constraints(["2*`US Steel_value` = 3", "GM_C(x, Sum)[S.a] - IBM_value = 0"], names)
    np.testing.assert_allclose(R / R[:, :2].sum(axis=1)[:, None], [[1, 0, 0, 0], [0, 1, -1, 0]])
    np.testing.assert_allclose(q / np.abs(R[:, :2]).sum(axis=1), [1.5, 0])
    for bad in ("Foo = 0", "IBM_value3 = 0", "IBM_value ==", np.eye(3)):
        with pytest.raises(RestrictionError):
            read_constraints(bad, names)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_chains_in_fits_and_tests(model, free, engine, monkeypatch):
    from statsmodels.formula import options

    monkeypatch.setattr(options, "formula_engine", engine)
    res = model.fit_constrained("y1_x1 = y2_x1 = y3_x1", n_starts=1)
    np.testing.assert_allclose(res.params[["y2_x1", "y3_x1"]], res.params["y1_x1"], atol=1e-12)
    chain = free.wald_test("y1_x1 = y2_x1 = y3_x1", use_f=False)
    pairs = free.wald_test("y1_x1 = y2_x1, y2_x1 = y3_x1", use_f=False)
    assert chain.statistic == pytest.approx(pairs.statistic, rel=1e-10)
    assert len(free.t_test("y1_x1 = y2_x1 = y3_x1").effect) == 2
    with pytest.raises(RestrictionError, match="y1_zz"):
        free.f_test("y1_zz = 0")
    with pytest.raises(RestrictionError, match="5 columns for 24"):
        free.f_test(np.eye(5))


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning")
def test_far_starts_do_not_overflow():
    """common=["value"] on Grunfeld at rank 2: residuals of far starts are a million."""
    with pytest.warns(HeywoodWarning, match="lower bound") as caught:
        res = LowRankSUR.from_formula(
            "invest ~ value + capital",
            load_grunfeld(),
            groups="firm",
            time="year",
            rank=2,
            common=["value"],
        ).fit()
    assert not [w for w in caught if issubclass(w.category, RuntimeWarning)]
    assert res.llf == pytest.approx(-818.723, abs=1e-3)
