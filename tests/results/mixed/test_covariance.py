"""cov_type of mixed models, and the tests that results make of each."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.data.labels import Labels
from sm_alsgls.datasets import load_sleepstudy
from sm_alsgls.exceptions import (
    HeywoodWarning,
    NotApplicableError,
    OptionError,
    UnknownArgumentError,
)
from sm_alsgls.results.coefficients import bse, df_of, pvalues
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.joint import joint_test
from sm_alsgls.results.mixed_covariance import build_mixed, choose_mixed, choose_or_usual
from tests.core.mixed.references import rows, values
from tests.models.mixed.data import frame, made


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimated(Fitted):
    fit: MixedFit


def estimate(name, cov_type="nonrobust", use_t=True, **kwds):
    """Of a fit of lme4's."""
    data = rows(values("lme4")[name])
    reml = name.endswith("REML")
    model = LowRankMixedLM(data.y, data.X, data.codes, data.Z, "full")
    fit = model.fit(reml=reml).estimate.fit
    return Estimated(
        model=model, labels=Labels.of_one("y", model.exog_names), params=fit.b, nobs=model.nobs,
        df_model=model.df_model, choice=choose_mixed(cov_type, kwds, fit), use_t=use_t,
        covariances=build_mixed, fit=fit,
    )  # fmt: skip


NAMES = ["sleepstudy slope few REML", "orthodont interaction REML", "orthodont sex few REML"]


@pytest.mark.parametrize("name", [*NAMES, "orthodont sex ML"])
def test_satterthwaite(name):
    expected, found = values("lme4")[name]["satterthwaite"], estimate(name)
    np.testing.assert_allclose(bse(found), values("lme4")[name]["se"], rtol=1e-5)
    np.testing.assert_allclose(pvalues(found), expected["p"], rtol=1e-3)
    eye = np.eye(len(found.params))
    for R, which in ((eye[1:], "joint"), (eye, "both")):
        test = joint_test(found, R, np.zeros(len(R)))
        made = [test.fvalue, test.df_num, test.df_denom]
        np.testing.assert_allclose(made, [expected[which][k] for k in ("F", "ndf", "ddf")], 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_kenward_roger(name):
    expected = values("lme4")[name]["kenward_roger"]
    found = estimate(name, "kenward-roger")
    np.testing.assert_allclose(bse(found), expected["se"], rtol=1e-6)
    eye = np.eye(len(found.params))
    np.testing.assert_allclose(df_of(found, eye), expected["ddf"], rtol=1e-6)
    for R, which in ((eye[1:], "joint"), (eye, "both")):
        test = joint_test(found, R, np.zeros(len(R)))
        made = [test.fvalue, test.df_num, test.df_denom, test.pvalue]
        want = [expected[which][k] for k in ("F", "ndf", "ddf", "p")]
        np.testing.assert_allclose(made, want, rtol=1e-5)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
def test_clusters(kind):
    name = "orthodont sex few REML"
    expected = values("cluster")["orthodont intercept few REML"][kind]
    found = estimate(name, "cluster", correction=kind)
    assert estimate(name, kind).choice == found.choice
    np.testing.assert_allclose(bse(found), expected["se"], rtol=1e-5)
    np.testing.assert_allclose(pvalues(found), expected["p"], rtol=1e-3)
    if kind == "CR2":
        assert estimate(name, "cluster").choice == found.choice
        test = joint_test(found, np.eye(3)[1:], np.zeros(2))
        made = [test.fvalue, test.df_num, test.df_denom]
        joint = expected["joint"]
        np.testing.assert_allclose(made, [joint[k] for k in ("F", "ndf", "ddf")], rtol=1e-5)
        assert test.method == "approximate Hotelling"


def test_the_normal_law_is_statsmodels_own():
    from statsmodels.regression.mixed_linear_model import MixedLM

    data = rows(values("lme4")["sleepstudy slope few REML"])
    found = estimate("sleepstudy slope few REML", use_t=False)
    theirs = MixedLM(data.y, data.X, data.codes, data.Z).fit()
    np.testing.assert_allclose(bse(found), theirs.bse_fe, rtol=1e-3)
    np.testing.assert_allclose(np.log(pvalues(found)), np.log(theirs.pvalues[:2]), rtol=1e-3)


@pytest.mark.parametrize(
    ("cov_type", "kwds", "error", "said"),
    [
        ("KH", {}, OptionError, "use 'kenward-roger'"),
        ("HC1", {}, OptionError, "use 'cluster'"),
        ("bootstrap", {}, OptionError, r"bootstrap\(\)"),
        ("cluster", {"groups": [1, 2]}, OptionError, "leave groups= out"),
        ("cluster", {"correction": "CR9"}, OptionError, "correction must be"),
        ("CR1", {"correction": "CR2"}, OptionError, "leave one out"),
        ("cluster", {"correction": "CR2", "use_correction": True}, OptionError, "leave one out"),
        ("nonrobust", {"correction": "CR2"}, UnknownArgumentError, "has no argument"),
        ("kr", {"variant": 2004}, OptionError, "variant must be"),
    ],
)
def test_what_there_is_not(cov_type, kwds, error, said):
    with pytest.raises(error, match=said):
        estimate("sleepstudy intercept REML", cov_type, **kwds)


def of_sleep(**how):
    structure = {key: how.pop(key) for key in ("ar", "residual", "re_formula") if key in how}
    data, structure = load_sleepstudy(), {"re_formula": "~ Days", **structure}
    return LowRankMixedLM.from_formula(
        "Reaction ~ Days", data, rank="full", groups="Subject", **structure
    ).fit(n_starts=1, **how)


@pytest.mark.parametrize(
    ("how", "cov_type", "said"),
    [
        ({}, "kenward-roger", "by Kenward and Roger"),
        ({"reml": False}, "nonrobust", "by Satterthwaite"),
        ({"use_t": False}, "nonrobust", "assume the covariance of random effects"),
        ({"residual": "~ 0 + C(Days > 4)"}, "kenward-roger", "by Kenward and Roger"),
        ({"ar": "groups", "re_formula": "~ 1"}, "kenward-roger", "by Kenward and Roger"),
        ({"cov_type": "satterthwaite"}, "nonrobust", "by Satterthwaite"),
        ({"cov_type": "CR2"}, "cluster", "CR2"),
    ],
)
def test_default(how, cov_type, said):
    res = of_sleep(**how)
    assert res.cov_type == cov_type
    assert said in res.cov_kwds["description"]
    assert said in " ".join(str(res.summary()).split())


def test_default_is_that_of_its_name():
    data = frame(15)
    usual, asked, other = (
        made(data, 1).fit(cov_type=name) for name in (None, "kenward-roger", "nonrobust")
    )
    assert (asked.bse > other.bse).all()
    for name in ("bse", "pvalues"):
        np.testing.assert_array_equal(getattr(usual, name), getattr(asked, name))
    assert usual.mle_retvals["iterations"] == other.mle_retvals["iterations"]


def test_default_of_large_problems_is_satterthwaites_and_says_so(monkeypatch):
    fit = of_sleep().estimate.fit
    few = fit.structure.size * (18 * 4 * 4 + 16)
    for limit, cov_type in ((few, "kenward-roger"), (few - 1, "nonrobust")):
        monkeypatch.setattr("sm_alsgls.core.mixed.kenward_roger.LARGE", limit)
        chosen = choose_or_usual(None, None, fit, True)
        assert chosen.cov_type == cov_type
        assert ("takes long" in chosen.description) == (cov_type == "nonrobust")
    monkeypatch.setattr("sm_alsgls.core.mixed.kenward_roger.LARGE", few - 1)
    assert "takes long" not in choose_or_usual(None, None, fit, False).description
    assert choose_or_usual("kenward-roger", None, fit, True).cov_type == "kenward-roger"


def test_options_are_of_a_type():
    with pytest.raises(OptionError, match="give cov_type="):
        of_sleep(cov_kwds={"correction": "CR1"})


def test_few_groups_have_a_test_of_several_hypotheses():
    """Kenward and Roger's formulas give negative F where F has no variance."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(5), 8)
    x = np.column_stack([np.ones(40), rng.standard_normal((40, 2))])
    y = (x * rng.standard_normal((5, 3))[g]).sum(axis=1) + rng.standard_normal(40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeywoodWarning)
        res = LowRankMixedLM(y, x, g, x, "full").fit()
    assert res.cov_type == "kenward-roger"
    joint = res.wald_test(np.eye(3), scalar=True)
    assert joint.method == "Bonferroni"
    assert "so few groups" in joint.note
    single = [float(res.t_test(row).pvalue) for row in np.eye(3)]
    assert joint.pvalue == pytest.approx(min(1.0, 3 * min(single)))
    one = res.wald_test(np.eye(3)[:1], scalar=True)
    assert one.pvalue == pytest.approx(single[0])


def test_maximum_likelihood_has_no_kenward_roger():
    with pytest.raises(NotApplicableError, match="reml=True"):
        estimate("sleepstudy intercept ML", "kenward-roger")
