"""What must not change a mixed model: order, names, units, bases; and what it counts."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankMixedLM, select_rank
from tests.models.mixed.data import frame, made

FORMULA = "y ~ x1 + x2 + x3"
seeds = st.integers(0, 2**20)
# The law of the residuals, and structures of G.
laws = st.sampled_from([{}, {"residual": "~ 0 + kind"}, {"ar": "groups", "time": "t"}])
ranks = st.sampled_from(["diagonal", 1, "full"])
few = settings(max_examples=6, deadline=None)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.ConvergenceWarning"),
]
# Enough rows that all maxima are sharp.
DATA = frame(m=40, seed=11, most=12)


@functools.cache
def plain(rank, reml=True, **how):
    """Of the data as they are; no test changes it."""
    return fitted(DATA, rank, reml, **how)


def fitted(data, rank, reml=True, **how):
    return made(data, rank, **how).fit(reml=reml, cov_type="nonrobust")


@given(seeds, ranks, laws, st.booleans())
@few
@pytest.mark.slow
def test_order_of_rows_and_names_of_groups_say_nothing(seed, rank, how, reml):
    rng = np.random.default_rng(seed)
    again = DATA.iloc[rng.permutation(len(DATA))].copy()
    spelt = rng.permutation([f"group {k}" for k in range(40)])
    again["g"] = spelt[again["g"]]
    one, two = plain(rank, reml, **how), fitted(again, rank, reml, **how)
    assert two.llf == pytest.approx(one.llf, abs=1e-7)
    np.testing.assert_allclose(two.params, one.params, atol=1e-6)
    np.testing.assert_allclose(two.bse, one.bse, rtol=1e-5)
    np.testing.assert_allclose(two.cov_re, one.cov_re, atol=1e-5)
    np.testing.assert_allclose(two.fittedvalues[DATA.index], one.fittedvalues, atol=1e-5)
    for g in (0, 17):
        own = two.random_effects[spelt[g]]
        np.testing.assert_allclose(own, one.random_effects[g], atol=1e-5)


@given(st.floats(-6, 6), st.floats(-4, 4), ranks, laws, st.booleans())
@few
@pytest.mark.slow
def test_units_are_units(of_y, of_x, rank, how, reml):
    a, c = 10.0**of_y, 10.0**of_x
    again = DATA.assign(y=a * DATA["y"], x1=c * DATA["x1"])
    one, two = plain(rank, reml, **how), fitted(again, rank, reml, **how)
    n, p = one.nobs, 4
    # Of REML log|X'X| changes, and p rows less have a unit.
    shift = -(n - p if reml else n) * np.log(a) - (np.log(c) if reml else 0.0)
    assert two.llf == pytest.approx(one.llf + shift, abs=1e-6)
    unit = np.array([1.0, 1.0 / c, 1.0, 1.0]) * a
    np.testing.assert_allclose(two.params / unit, one.params, atol=1e-6)
    np.testing.assert_allclose(two.bse / unit, one.bse, rtol=1e-5)
    G = two.cov_re.to_numpy() / np.outer(unit, unit)
    np.testing.assert_allclose(G, one.cov_re, atol=1e-5)
    assert two.scale / a**2 == pytest.approx(one.scale, rel=1e-5)
    np.testing.assert_allclose(two.residual_params, one.residual_params, atol=1e-5)
    np.testing.assert_allclose(two.pvalues, one.pvalues, rtol=1e-3, atol=1e-9)


@given(seeds, laws, st.booleans())
@few
@pytest.mark.slow
def test_any_basis_of_the_random_effects_is_one_model_under_full(seed, how, reml):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((3, 3)) + 2.0 * np.eye(3)
    names = ["z1", "z2", "z3"]
    Z = DATA[["x1", "x2", "x3"]].to_numpy() @ B
    again = DATA.assign(**dict(zip(names, Z.T, strict=True)))
    one = plain("full", reml, **how)
    two = fitted(again, "full", reml, re_formula="~ z1 + z2 + z3", **how)
    assert two.llf == pytest.approx(one.llf, abs=1e-6)
    np.testing.assert_allclose(two.params, one.params, atol=1e-5)
    whole = np.eye(4)
    whole[1:, 1:] = B
    np.testing.assert_allclose(whole @ two.cov_re.to_numpy() @ whole.T, one.cov_re, atol=2e-5)
    np.testing.assert_allclose(two.fittedvalues, one.fittedvalues, atol=1e-5)


@given(st.floats(0.1, 10), ranks, st.booleans())
@few
@pytest.mark.slow
def test_only_ratios_of_weights_matter(factor, rank, reml):
    one = plain(rank, reml, weights="w")
    two = fitted(DATA.assign(w=factor * DATA["w"]), rank, reml, weights="w")
    assert two.llf == pytest.approx(one.llf, abs=1e-7)
    np.testing.assert_allclose(two.params, one.params, atol=1e-7)
    assert two.scale == pytest.approx(one.scale, rel=1e-6)


@given(st.floats(-1e3, 1e3), st.floats(-50, 50), laws, st.booleans())
@few
@pytest.mark.slow
def test_what_fixed_effects_say_is_no_residual(constant, slope, how, reml):
    again = DATA.assign(y=DATA["y"] + constant + slope * DATA["x2"])
    one, two = plain(1, reml, **how), fitted(again, 1, reml, **how)
    assert two.llf == pytest.approx(one.llf, abs=1e-5)
    np.testing.assert_allclose(two.params - [constant, 0, slope, 0], one.params, atol=1e-5)
    np.testing.assert_allclose(two.cov_re, one.cov_re, atol=1e-4)


def test_a_row_of_weight_two_is_two_means_of_one():
    # Two rows of one x whose mean is y tell of b what y with weight 2 tells, at the same variances.
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(30), 6)
    x = rng.standard_normal(180)
    y = 1.0 + x + rng.standard_normal(30)[g] + rng.standard_normal(180)
    X = np.column_stack([np.ones(180), x])
    off = 0.8 * rng.standard_normal(180)
    twice = np.repeat(np.arange(180), 2)
    two = LowRankMixedLM(
        y[twice] + np.column_stack([off, -off]).ravel(), X[twice], g[twice], rank="full"
    ).fit(reml=False)
    # The likelihood of the pairs is that of means, and of n squares of differences.
    s2, G = two.scale, two.cov_re.iloc[0, 0]
    V = np.where(g[:, None] == g, G, 0.0) + np.diag(np.full(180, s2 / 2.0))
    Vi = np.linalg.inv(V)
    np.testing.assert_allclose(two.params, np.linalg.solve(X.T @ Vi @ X, X.T @ Vi @ y), rtol=1e-8)
    e = y - X @ two.params.to_numpy()
    of_means = -0.5 * (180 * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + e @ Vi @ e)
    # A pair's differences are N(0, 2 s2); mean and difference are a rotation of a pair but for 1.
    d = 2.0 * off
    of_differences = -0.5 * np.sum(np.log(2 * np.pi * 2 * s2) + d**2 / (2 * s2))
    assert two.llf == pytest.approx(of_means + of_differences, abs=1e-6)


class TestParameters:
    """Every parameter of the residuals counts, wherever parameters are counted."""

    LAWS = (({}, 0), ({"residual": "~ 0 + kind"}, 1), ({"ar": "groups", "time": "t"}, 1))

    @pytest.mark.parametrize(("how", "more"), LAWS)
    @pytest.mark.parametrize(("rank", "of_G"), [("diagonal", 4), (1, 8), ("full", 10)])
    def test_are_counted(self, how, more, rank, of_G):
        res = plain(rank, False, **how)
        k = 4 + of_G + more + 1
        assert made(DATA, rank, **how).df_model == k
        assert res.df_model == k
        assert res.glance()["df_model"].item() == k
        assert res.aic == pytest.approx(-2.0 * res.llf + 2.0 * k, rel=1e-12)
        assert res.bic == pytest.approx(-2.0 * res.llf + np.log(res.nobs) * k, rel=1e-12)

    @pytest.mark.parametrize(("how", "more"), LAWS)
    def test_are_counted_of_candidates(self, how, more):
        model = made(DATA, 1, **how)
        found = select_rank(model, candidates=[0, 1, "full"]).table
        k_G = np.array([4, 8, 10])
        others = 4 + more + 1
        n, m = len(DATA), 40
        assert found["parameters"].tolist() == (others + k_G).tolist()
        deviance = -2.0 * found["llf"].to_numpy()
        np.testing.assert_allclose(found["aic"], deviance + 2.0 * (others + k_G))
        np.testing.assert_allclose(found["bic"], deviance + np.log(n) * (others + k_G))
        of_groups = deviance + np.log(n) * others + np.log(m) * k_G
        np.testing.assert_allclose(found["bic_groups"], of_groups)
        one = plain(1, False, **how)
        assert found.loc[1, "bic"] == pytest.approx(one.bic, abs=1e-4)
        assert found.loc[1, "parameters"] == one.df_model

    def test_levels_of_three(self):
        data = DATA.assign(kind=np.resize(list("abc"), len(DATA)))
        model = made(data, "diagonal", residual="kind")
        assert model.df_model == 4 + 4 + 2 + 1
        assert select_rank(model, candidates=[0]).table["parameters"].tolist() == [11]


def test_a_column_in_other_units_has_effects_in_those():
    again = DATA.assign(x1=1000.0 * DATA["x1"])
    one, two = plain(1), fitted(again, 1)
    ratio = pd.Series([1.0, 1e-3, 1.0, 1.0], one.loadings.index)
    np.testing.assert_allclose(two.loadings.div(ratio, axis=0), one.loadings, atol=1e-5)
    np.testing.assert_allclose(two.uniquenesses / ratio**2, one.uniquenesses, atol=1e-5)
    np.testing.assert_allclose(two.communalities, one.communalities, atol=1e-5)


@pytest.mark.parametrize("rank", [1, "full"])
@pytest.mark.slow
def test_which_level_is_first_changes_its_name_only(rank):
    turned = DATA.assign(kind=DATA["kind"].map({"high": "z", "low": "a"}))
    one, two = plain(rank, residual="~ 0 + kind"), fitted(turned, rank, residual="~ 0 + kind")
    assert two.llf == pytest.approx(one.llf, abs=1e-7)
    ratio = np.exp(one.residual_params.item())
    assert two.scale == pytest.approx(one.scale * ratio, rel=1e-5)
    assert two.residual_params.item() == pytest.approx(-one.residual_params.item(), abs=1e-5)
    np.testing.assert_allclose(two.bse_re, one.bse_re, rtol=2e-3)
    np.testing.assert_allclose(two.conf_int(), one.conf_int(), rtol=1e-3)
    np.testing.assert_allclose(two.r2(), one.r2(), rtol=1e-5)
    clusters = [res.get_robustcov_results("cluster").bse for res in (one, two)]
    np.testing.assert_allclose(*clusters, rtol=1e-4)
    resid = [res.augment()["std_resid"] for res in (one, two)]
    np.testing.assert_allclose(*resid, atol=1e-4)
    names = [f"sd {one.model.exog_re_names[1]}"]
    limits = [res.conf_int_re(parameters=names).to_numpy() for res in (one, two)]
    np.testing.assert_allclose(*limits, rtol=1e-3)
    ml = (
        plain(rank, False, residual="~ 0 + kind"),
        fitted(turned, rank, False, residual="~ 0 + kind"),
    )
    fixed = [res.conf_int_fe(parameters="x1").to_numpy() for res in ml]
    np.testing.assert_allclose(*fixed, rtol=1e-5)


def test_time_that_runs_backwards_changes_no_autoregression():
    how = {"ar": "groups", "time": "t"}
    one, two = plain("diagonal", **how), fitted(DATA.assign(t=-DATA["t"]), "diagonal", **how)
    assert two.llf == pytest.approx(one.llf, abs=1e-7)
    np.testing.assert_allclose(two.residual_params, one.residual_params, atol=1e-5)
    np.testing.assert_allclose(two.bse, one.bse, rtol=1e-5)
    a, b = (r.get_prediction(DATA.iloc[:9], level="group") for r in (one, two))
    np.testing.assert_allclose(b.summary_frame(), a.summary_frame(), rtol=1e-4)
    np.testing.assert_allclose(b.df(obs=True), a.df(obs=True), rtol=1e-3)
