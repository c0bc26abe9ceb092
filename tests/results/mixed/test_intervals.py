"""Intervals, the bootstrap, R2 and ICC of a mixed model's results."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_orthodont, load_sleepstudy
from sm_alsgls.exceptions import ConvergenceWarning, DataRemovedError, OptionError
from tests.core.mixed import dense
from tests.core.mixed.references import values


def sleep(reml=False, **how):
    how = {"re_formula": "~ Days", "rank": "full", **how}
    return LowRankMixedLM.from_formula(
        "Reaction ~ Days", load_sleepstudy(), groups="Subject", **how
    ).fit(reml=reml)


def test_profile_intervals_are_those_of_lme4():
    expected = values("lme4")["sleepstudy slope ML"]["profile"]
    res = sleep()
    found = res.conf_int_re()
    first = res.model.exog_re_names[0]
    assert list(found.index) == [f"sd {first}", "sd Days", f"corr {first}, Days", "sigma"]
    order = [0, 2, 1, 3]  # lme4 has the correlation second
    np.testing.assert_allclose(found["lower"].iloc[order], expected["lower"][:4], rtol=1e-3)
    np.testing.assert_allclose(found["upper"].iloc[order], expected["upper"][:4], rtol=1e-3)
    np.testing.assert_allclose(found["estimate"].iloc[:2], np.sqrt(np.diag(res.cov_re)))
    wald = res.conf_int_re(method="wald", alpha=0.1, parameters=["sigma", "sd Days"])
    assert list(wald.index) == ["sigma", "sd Days"]
    assert (wald["lower"] > found.loc[wald.index, "lower"] - 0.5).all()
    assert ((wald["lower"] < wald["estimate"]) & (wald["estimate"] < wald["upper"])).all()
    with pytest.raises(OptionError, match="none of the model's"):
        res.conf_int_re(parameters="sd days")


def test_residual_laws_have_intervals():
    data = load_orthodont()
    res = LowRankMixedLM.from_formula(
        "distance ~ age", data, groups="Subject", rank="full", residual="~ 0 + Sex"
    ).fit()
    for method in ("profile", "wald"):
        found = res.conf_int_re(method=method)
        ratio = found.iloc[-1]
        assert found.index[-1].startswith("sd ")
        assert ratio["estimate"] == pytest.approx(np.exp(res.estimate.theta[0] / 2))
        assert ratio["lower"] < ratio["estimate"] < ratio["upper"]
    found = sleep(ar="groups", re_formula="1").conf_int_re(parameters="rho").iloc[0]
    assert -1 < found["lower"] < found["estimate"] < found["upper"] < 1


@pytest.mark.slow
def test_low_rank():
    d = dense.data(seed=3, m=50, q=5, sizes=(7, 12))
    res = LowRankMixedLM(d.y, d.X, d.codes, d.Z, 1).fit()
    found = res.conf_int_re()
    assert len(found) == 5 + 10 + 1
    assert not found.isna().any(axis=None)
    assert ((found["lower"] <= found["estimate"]) & (found["estimate"] <= found["upper"])).all()


@pytest.mark.slow
def test_bootstrap():
    res = sleep(reml=True)
    made = res.bootstrap(80, rng=3)
    assert list(made.params.columns) == ["Intercept", "Days"]
    np.testing.assert_allclose(made.std_errors, res.bse, rtol=0.25)
    for kind in ("percentile", "percentile-t"):
        ends = made.conf_int(kind=kind)
        assert (ends[0] < made.estimate).all()
        assert (made.estimate < ends[1]).all()
    frame = made.variance_frame()
    assert list(frame.index) == list(res.conf_int_re(method="wald").index)
    np.testing.assert_allclose(made.variances["sigma"].mean(), np.sqrt(res.scale), rtol=0.05)
    pd.testing.assert_frame_equal(res.bootstrap(80, rng=3).params, made.params)


def test_r2_and_icc():
    for reml, name in ((True, "sleepstudy slope REML"), (False, "sleepstudy slope ML")):
        expected, res = values("lme4")[name]["r2"], sleep(reml)
        np.testing.assert_allclose(
            [*res.r2(), *res.icc()],
            [expected[k] for k in ("marginal", "conditional", "icc_adjusted", "icc_unadjusted")],
            rtol=1e-5,
        )
    data = load_orthodont()
    res = LowRankMixedLM.from_formula(
        "distance ~ age", data, groups="Subject", rank="full", residual="~ 0 + Sex"
    ).fit()
    first = res.model.law.labels[0]
    ratio = np.where(data["Sex"].astype(str).str.contains(first.split("[")[-1].strip("]")), 1.0, 0)
    each = np.where(ratio > 0, 1.0, np.exp(res.estimate.theta[0])) * res.scale
    share = res.cov_re.iloc[0, 0] / (res.cov_re.iloc[0, 0] + each.mean())
    assert res.icc().adjusted == pytest.approx(share)


def test_shares_need_rows():
    res = sleep()
    res.remove_data()
    with pytest.raises(DataRemovedError):
        res.r2()


class TestFixedEffects:
    def test_profile_intervals_are_those_of_lme4(self):
        # Of a REML fit as well: lme4's confint fits by maximum likelihood first.
        expected = values("lme4")["sleepstudy slope ML"]
        ml = sleep().conf_int_fe()
        assert list(ml.index) == ["Intercept", "Days"]
        assert ml.index.name == "parameter"
        np.testing.assert_allclose(ml["estimate"], expected["fixef"], rtol=1e-6)
        for side in ("lower", "upper"):
            np.testing.assert_allclose(ml[side], expected["profile"][side][4:], rtol=1e-4)
        pd.testing.assert_frame_equal(sleep(reml=True).conf_int_fe(), ml, rtol=1e-6)

    def test_some_of_them_at_other_levels(self):
        res = sleep()
        found = res.conf_int_fe(alpha=0.3173105, parameters=["Days"])
        assert list(found.index) == ["Days"]
        half = (found["upper"] - found["lower"]).item() / 2.0
        assert half == pytest.approx(res.bse["Days"], rel=0.05)
        with pytest.raises(OptionError, match="none of the model's"):
            res.conf_int_fe(parameters="days")
        with pytest.raises(OptionError, match="alpha"):
            res.conf_int_fe(alpha=95)

    def test_units_and_streams(self):
        data = load_sleepstudy()
        again = data.assign(Days=1e3 * data["Days"] + 5e4)
        how = {"groups": "Subject", "re_formula": "~ Days", "rank": "full"}
        chunks = iter([again.iloc[:70], again.iloc[70:]])
        stream = LowRankMixedLM.from_formula("Reaction ~ Days", chunks, **how).fit(reml=False)
        one, two = sleep().conf_int_fe(), stream.conf_int_fe()
        np.testing.assert_allclose(1e3 * two.loc["Days"], one.loc["Days"], rtol=1e-6)

    def test_a_fit_that_failed_has_none(self):
        with pytest.warns(ConvergenceWarning):
            res = LowRankMixedLM.from_formula(
                "Reaction ~ Days", load_sleepstudy(), "~ Days", "full", groups="Subject"
            ).fit(reml=False, maxiter=1)
        with pytest.warns(ConvergenceWarning, match="2 intervals lack a limit, 'Intercept' first"):
            assert res.conf_int_fe()[["lower", "upper"]].isna().all(axis=None)
