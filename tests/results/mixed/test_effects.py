"""Random effects, deviations and criteria: those of MixedLM and lme4."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.optimize import approx_fprime

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_sleepstudy
from sm_alsgls.exceptions import NoFactorsError, UnrestrictedSigmaError
from tests.core.mixed import dense_mixed
from tests.core.mixed.references import rows, values
from tests.models.mixed.data import frame, made
from tests.results.mixed import dense

SLOPE = ["sleepstudy slope REML", "sleepstudy slope few ML", "orthodont age REML"]


def lme4(name):
    """The fit, and lme4's values of it."""
    data, expected = rows(values("lme4")[name]), values("lme4")[name]
    groups = [data.groups[code] for code in data.codes]
    model = LowRankMixedLM(data.y, data.X, groups, data.Z, "full")
    return model.fit(reml=name.endswith("REML")), expected


@pytest.fixture(scope="module")
def sleep():
    data = load_sleepstudy()
    model = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject")
    return data, model.fit()


@pytest.fixture(scope="module")
def ranked():
    return made(frame(60), 1).fit()


@pytest.mark.parametrize("name", SLOPE)
def test_are_lme4s(name):
    res, expected = lme4(name)
    found = np.array([res.random_effects[group] for group in expected["groups"]])
    size = np.abs(expected["ranef"]).max()
    np.testing.assert_allclose(found, expected["ranef"], atol=1e-4 * size)
    found = np.array([res.random_effects_cov[group] for group in expected["groups"]])
    size = np.abs(expected["cond_var"]).max()
    np.testing.assert_allclose(found, expected["cond_var"], atol=1e-4 * size)
    np.testing.assert_allclose(res.cov_re, expected["cov_re"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(res.scale), expected["sigma"], rtol=1e-5)
    np.testing.assert_allclose(res.bse_fe, expected["se"], rtol=1e-5)
    np.testing.assert_allclose(res.llf, expected["llf"], atol=1e-5)


def test_are_mixedlms(sleep):
    data, res = sleep
    other = smf.mixedlm("Reaction ~ Days", data, re_formula="~ Days", groups="Subject").fit()
    assert set(res.random_effects) == set(other.random_effects)
    for group in (308, 335, 372):
        one, two = res.random_effects[group], other.random_effects[group]
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-3)
        one, two = res.random_effects_cov[group], other.random_effects_cov[group]
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(res.fittedvalues, other.fittedvalues, atol=1e-3)
    np.testing.assert_allclose(res.resid, other.resid, atol=1e-3)
    np.testing.assert_allclose(res.predict(), other.predict(), rtol=1e-6)
    np.testing.assert_allclose(res.bse_fe, other.bse_fe, rtol=1e-4)
    assert res.df_resid == other.df_resid
    assert (res.k_fe, res.k_re, res.method) == (2, 2, other.method)
    np.testing.assert_allclose(res.cov_re_unscaled * res.scale, res.cov_re)


def test_aic_is_of_all_parameters():
    """MixedLM's of ML, by its own count; of REML it has none."""
    data = load_sleepstudy()
    model = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject")
    res = model.fit(reml=False)
    other = smf.mixedlm("Reaction ~ Days", data, re_formula="~ Days", groups="Subject")
    other = other.fit(reml=False)
    np.testing.assert_allclose([res.aic, res.bic], [other.aic, other.bic], rtol=1e-6)
    assert model.fit().aic == pytest.approx(2 * 871.814136 + 12, abs=1e-4)


def test_intervals_have_the_error_of_the_coefficients(sleep):
    _, res = sleep
    found = res.random_effects_frame(0.1)
    rows_, G, s2 = res.model.rows, res.cov_re.to_numpy(), res.scale
    # z'b_i alone: x = 0.
    for j, name in enumerate(res.model.exog_re_names):
        variance = dense.error(rows_, G, s2, np.zeros(2), np.eye(2)[j], 3)
        row = found.loc[res.model.group_labels[3]].loc[name]
        assert row["std_error"] == pytest.approx(np.sqrt(variance), rel=1e-8)
        assert row["conf_high"] - row["estimate"] == pytest.approx(1.6448536 * row["std_error"])
    assert found.index.names == ["Subject", "effect"]


@pytest.mark.parametrize("reml", [True, False])
def test_standard_errors_of_variances_are_of_the_observed_information(sleep, reml):
    data, _ = sleep
    model = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject")
    res = model.fit(reml=reml)
    rows_ = res.model.rows

    def nll(a):
        return -dense_mixed.log_likelihood(
            rows_.X, rows_.y, dense.covariance(rows_, *dense.unpacked(a, 2)), reml
        )

    a = dense.packed(res.cov_re.to_numpy(), res.scale)
    H = dense.slopes(lambda at: dense.slopes(nll, at), a)
    se = np.sqrt(np.diagonal(np.linalg.inv((H + H.T) / 2)))[:3]
    np.testing.assert_allclose(res.bse_re, se, rtol=1e-3)
    assert res.bse_re.index.tolist() == ["Group Var", "Group x Days Cov", "Days Var"]


def test_standard_errors_of_a_low_rank_are_the_delta_methods(ranked):
    """The slopes of G in (loadings, psi, s2), by differences, and a generalised inverse."""
    res = ranked
    fit = res.estimate.fit
    x = np.concatenate([fit.point.phi, [np.log(fit.s2)]])

    def element(at, j, k):
        root = np.linalg.solve(fit.products.basis.z, fit.profile.root(at[:-1]))
        return np.exp(at[-1]) * (root @ root.T)[j, k]

    def nll(at):
        # The likelihood at s2 given, from the profiled one.
        point, f = fit.profile.at(at[:-1]), fit.profile.freedom
        ratio = point.s2 / np.exp(at[-1])
        return point.nll + 0.5 * f * (ratio - 1.0 - np.log(ratio))

    H = dense.slopes(lambda at: dense.slopes(nll, at), x)
    A = np.linalg.pinv((H + H.T) / 2, rcond=1e-7)
    for (j, k), name in (((0, 0), "Group Var"), ((0, 1), "Group x x1 Cov"), ((3, 3), "x3 Var")):
        g = approx_fprime(x, element, 1e-7, j, k)
        assert res.bse_re[name] == pytest.approx(np.sqrt(g @ A @ g), rel=2e-3)


def test_factors_are_parts_of_the_covariance(ranked):
    res = ranked
    L, psi = res.loadings, res.uniquenesses
    np.testing.assert_allclose(L @ L.T + np.diag(psi), res.cov_re, rtol=1e-9)
    share = (L**2).sum(axis=1) / np.diagonal(res.cov_re)
    np.testing.assert_allclose(res.communalities, share, rtol=1e-9)
    np.testing.assert_allclose(res.sd_re**2, np.diagonal(res.cov_re))
    root = res.sd_re.to_numpy()
    np.testing.assert_allclose(res.corr_re * np.outer(root, root), res.cov_re, rtol=1e-10)
    assert res.re_table.columns.tolist() == [
        "variance", "sd", "uniqueness", "communality", "heywood",
    ]  # fmt: skip
    turned = res.rotated_loadings("varimax", standardized=False)
    np.testing.assert_allclose(turned @ turned.T, L @ L.T, rtol=1e-9)
    assert (res.rank, L.index.name, list(L)) == (1, "effect", ["factor1"])


def test_what_has_no_factors_says_so(sleep):
    _, res = sleep
    assert res.rank == "full"
    for name in ("loadings", "uniquenesses", "communalities"):
        with pytest.raises(UnrestrictedSigmaError, match="rank='full'"):
            getattr(res, name)
    diagonal = made(frame(), "diagonal").fit()
    assert diagonal.loadings.shape == (4, 0)
    with pytest.raises(NoFactorsError, match="uncorrelated"):
        diagonal.rotated_loadings()


def test_a_heywood_case_is_told():
    data = frame(25)
    # Slopes of x3 that do not differ.
    rng = np.random.default_rng(0)
    data["y"] = data["x1"] + rng.standard_normal(len(data))
    with pytest.warns(UserWarning, match="zero"):
        res = made(data, "diagonal").fit()
    assert res.heywood
    assert res.re_table.loc[res.heywood, "heywood"].all()
    assert "On the boundary (*)" in str(res.summary())
    zero = [name for name in res.heywood if res.sd_re[name] == 0.0]
    assert res.corr_re.loc[zero].isna().all().all()


def test_names_of_others_say_ours(sleep):
    _, res = sleep
    for name, ours in (
        ("ranef", "random_effects"), ("fixef", "fe_params"), ("VarCorr", "cov_re"),
        ("sigma", "scale"), ("vcomp", "vc_formula"), ("logLik", "llf"), ("fitted", "fittedvalues"),
    ):  # fmt: skip
        assert not hasattr(res, name)
        with pytest.raises(AttributeError, match=ours):
            getattr(res, name)


def test_glance_and_trace(sleep):
    _, res = sleep
    row = res.glance().iloc[0]
    assert (row["nobs"], row["n_groups"], row["n_effects"], row["rank"]) == (180, 18, 2, "full")
    assert row["llf"] == res.llf
    assert res.trace["nll"].iloc[-1] == pytest.approx(-res.llf, abs=1e-6)
    assert res.mle_retvals["starts_at_best"] == len(res.mle_retvals["starts"]) > 1
    assert isinstance(res.mle_retvals["starts"], pd.DataFrame)
