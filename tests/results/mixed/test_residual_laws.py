"""Results of fits with levels of the residual variance and autoregression within groups."""

import numpy as np
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_orthodont, load_sleepstudy
from sm_alsgls.exceptions import (
    DataRemovedError,
    NotApplicableError,
    OptionError,
    UnbalancedPanelError,
)
from tests.core.mixed.references import frame, values

HOW = {"re_formula": "~ 1", "groups": "Subject"}
BOTH = {"residual": "~ 0 + Sex", "ar": "groups", "time": "occasion"}


def few(method="ML", **law):
    data = frame("orthodont", few=True)
    model = LowRankMixedLM.from_formula("distance ~ age + Sex", data, rank="full", **HOW, **law)
    return model.fit(reml=method == "REML")


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_levels_with_autoregression_are_nlmes(method):
    expected = values("nlme")[f"orthodont levels ar few {method}"]
    res = few(method, **BOTH)
    assert res.llf == pytest.approx(expected["llf"], abs=1e-5)
    first = res.model.law.labels[0]
    other = "Male" if first == "Female" else "Female"
    ratio = expected["ratios"][other] / expected["ratios"][first]
    np.testing.assert_allclose(np.exp(res.residual_params.iloc[0] / 2), ratio, rtol=1e-3)
    np.testing.assert_allclose(res.residual_params["rho"], expected["phi"], atol=1e-3)
    assert res.df_model == few(method).df_model + 2


@pytest.mark.slow
def test_levels_with_autoregression_have_what_results_have():
    res = few("REML", **BOTH)
    text = str(res.summary())
    assert "first level" in text
    assert "rho" in text
    found = res.conf_int_re()
    assert list(found.index[-2:]) == [f"sd {' / '.join(reversed(res.model.law.labels))}", "rho"]
    assert ((found["lower"] <= found["estimate"]) & (found["estimate"] <= found["upper"])).all()
    new = frame("orthodont").iloc[[0, 60]]
    made = res.get_prediction(new, level="group")
    ratio = np.exp(res.residual_params.iloc[0])
    size = dict(zip(res.model.law.labels, (res.scale, res.scale * ratio), strict=True))
    np.testing.assert_allclose(made.var_resid, [size[sex] for sex in new["Sex"]])
    assert (made.df(True) > 1.0).all()
    assert 0.0 < res.r2().marginal < res.r2().conditional < 1.0
    again = res.bootstrap(5, rng=0)
    assert np.isfinite(again.params.to_numpy()).all()
    checks = res.diagnostics().table
    assert checks.loc["serial correlation within groups", "verdict"] == "-"


def test_one_law_in_both():
    both, levels = few(**BOTH), few(residual="~ 0 + Sex")
    ar = few(ar="groups", time="occasion")
    for small, df in ((levels, 1), (ar, 1), (few(), 2)):
        test = both.compare_lr(small)
        assert test[2] == df
        assert test[0] >= -1e-6
    with pytest.raises(OptionError, match="not nested"):
        levels.compare_lr(ar)


def test_two_rows_of_a_group_at_one_time():
    with pytest.raises(UnbalancedPanelError, match="need one row for each time"):
        few(residual="~ 0 + Sex", ar="groups", time=np.zeros(len(frame("orthodont", few=True))))


LAWS = {
    "levels": {"residual": "~ 0 + Sex"},
    "ar": {"ar": "groups"},
    "both": {"residual": "~ 0 + Sex", "ar": "groups"},
}


def children(law, **how):
    """Not every child at all ages: where all are, nothing is added to standard errors."""
    data = load_orthodont()
    data = data.drop(data.index[::5])
    return LowRankMixedLM.from_formula(
        "distance ~ age * Sex", data, groups="Subject", re_formula="~ 1", **LAWS[law]
    ).fit(**how)


@pytest.mark.parametrize("law", LAWS)
def test_kenward_roger_is_what_reml_has(law):
    res = children(law)
    assert res.cov_type == "kenward-roger"
    assert children(law, reml=False).cov_type == "nonrobust"
    plain = res.get_robustcov_results("satterthwaite")
    # Products of groups and rows, against what the first of both has: near, and not the same.
    np.testing.assert_allclose(res.bse, plain.bse, rtol=0.02)
    assert (abs(res.bse / plain.bse - 1.0) > 1e-8).any()
    known = res.get_robustcov_results("kenward-roger", variant="first-order")
    assert (known.bse >= plain.bse).all()
    F = res.wald_test("age:Sex[T.Male] = 0", scalar=True)
    assert F.statistic == pytest.approx(res.t_test("age:Sex[T.Male] = 0").tvalue.item() ** 2)


def test_rows_may_go_after_the_fit():
    res, again = children("ar"), children("ar")
    bse = again.bse
    res.model.remove_data()
    np.testing.assert_allclose(res.bse, bse)
    plain = res.get_robustcov_results("satterthwaite")
    assert np.isfinite(plain.bse).all()
    with pytest.raises(DataRemovedError):
        plain.get_robustcov_results("kenward-roger").bse  # noqa: B018
    again.remove_data()
    np.testing.assert_allclose(again.bse, bse)


def test_kenward_roger_of_maximum_likelihood():
    model = LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", ar="groups"
    )
    with pytest.raises(NotApplicableError, match="reml=True"):
        model.fit(reml=False, cov_type="kenward-roger")
