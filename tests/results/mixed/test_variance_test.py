"""Likelihood ratios of structures, ranks and designs of mixed models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankMixedLM
from sm_alsgls.datasets import load_orthodont, load_sleepstudy
from sm_alsgls.exceptions import (
    DataRemovedError,
    IllegalRankError,
    NotApplicableError,
    OptionError,
    ShapeError,
)


def sleep(rank="full", formula="Reaction ~ Days", re_formula="~ Days", reml=False, **how):
    return LowRankMixedLM.from_formula(
        formula, load_sleepstudy(), groups="Subject", re_formula=re_formula, rank=rank, **how
    ).fit(reml=reml)


@pytest.mark.parametrize("reml", [False, True])
def test_a_slope(reml):
    full, small = sleep(reml=reml), sleep(re_formula="1", reml=reml)
    test = full.variance_test("Days")
    assert test.llf_null == pytest.approx(small.llf, abs=1e-6)
    assert test.statistic == pytest.approx(2 * (full.llf - small.llf), abs=1e-5)
    expected = 0.5 * sum(stats.chi2.sf(test.statistic, df) for df in (1, 2))
    assert test.pvalue == pytest.approx(expected)
    found = full.compare_lr(small)
    assert found[0] == pytest.approx(test.statistic, abs=1e-5)
    assert found[1] == pytest.approx(expected, rel=1e-4)
    assert found[2] == test.df_diff == 2


def test_structures():
    full, diagonal = sleep(), sleep("diagonal")
    test = full.variance_test(null="diagonal")
    assert test.law == "chi2(1)"
    assert test.pvalue == pytest.approx(stats.chi2.sf(2 * (full.llf - diagonal.llf), 1), rel=1e-4)
    again = diagonal.variance_test(alternative="full")
    assert again.pvalue == pytest.approx(test.pvalue, rel=1e-4)
    assert full.compare_lr(diagonal)[1] == pytest.approx(test.pvalue, rel=1e-4)
    one = sleep(re_formula="1").variance_test()
    assert one.law == "0.5 chi2(0) + 0.5 chi2(1)"
    assert one.null == "no random effects"
    both = diagonal.variance_test("Days")
    assert both.law == "0.5 chi2(0) + 0.5 chi2(1)"


@pytest.mark.slow
def test_the_bootstrap():
    full = sleep()
    told = full.variance_test(null="diagonal", method="bootstrap", reps=60, rng=1)
    assert len(told.draws) == 60
    law = full.variance_test(null="diagonal").pvalue
    assert abs(told.pvalue - law) < 0.2
    again = full.variance_test(null="diagonal", method="bootstrap", reps=9, rng=1)
    np.testing.assert_array_equal(again.draws, told.draws[:9])
    test = full.variance_test(reps=19)
    assert test.law == "19 draws from the null"
    assert test.pvalue == pytest.approx(1 / 20)


@pytest.mark.slow
def test_a_rank_in_a_higher_one():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(60), 10)
    Z = rng.standard_normal((600, 5))
    effects = rng.standard_normal((60, 1)) * 0.8 + 0.7 * rng.standard_normal((60, 5))
    y = (Z * effects[codes]).sum(axis=1) + rng.standard_normal(600)
    res = LowRankMixedLM(y, np.ones((600, 1)), codes, Z, 1).fit()
    assert not res.estimate.fit.at_bound.any()
    test = res.variance_test(null=0, reps=19)
    assert test.pvalue == pytest.approx(1 / 20)
    assert "diagonal" in test.null
    up = res.variance_test(alternative=2, reps=9)
    assert up.statistic >= 0.0
    assert res.variance_test(alternative="full").law == "chi2(5)"
    assert res.variance_test("x_re2").law == "0.5 chi2(1) + 0.5 chi2(2)"
    with pytest.raises(IllegalRankError):
        res.variance_test(alternative=4)
    with pytest.raises(OptionError, match="not nested"):
        res.variance_test(null=2)
    with pytest.raises(NotApplicableError, match="bootstrap"):
        res.variance_test(null=0, method="mixture")


def test_what_is_asked_wrong():
    res = sleep()
    with pytest.raises(OptionError, match="no random effect"):
        res.variance_test("Dais")
    with pytest.raises(OptionError, match="give one"):
        res.variance_test("Days", null=0)
    with pytest.raises(OptionError, match="'diagonal' or 'full'"):
        res.variance_test(null="low")


def test_autoregressive_draws_need_rows():
    res = sleep("diagonal", ar="groups")
    assert res.variance_test("Days", method="bootstrap", reps=3).pvalue > 0
    res.remove_data()
    with pytest.raises(DataRemovedError):
        res.variance_test("Days", method="bootstrap", reps=3)
    assert res.variance_test("Days").law == "0.5 chi2(0) + 0.5 chi2(1)"


def test_fixed_effects():
    full, small = sleep(), sleep(formula="Reaction ~ 1")
    statistic, pvalue, df = full.compare_lr(small)
    assert df == 1
    assert statistic == pytest.approx(2 * (full.llf - small.llf))
    assert pvalue == pytest.approx(stats.chi2.sf(statistic, 1))
    with pytest.raises(OptionError, match="reml=False"):
        sleep(reml=True).compare_lr(sleep(formula="Reaction ~ 1", reml=True))
    with pytest.raises(OptionError, match="by REML and the other"):
        full.compare_lr(sleep(reml=True))
    with pytest.raises(OptionError, match="not nested"):
        small.compare_lr(full)
    with pytest.raises(OptionError, match="same model"):
        full.compare_lr(sleep())
    with pytest.raises(OptionError, match="restricted must be"):
        full.compare_lr(None)
    with pytest.raises(NotApplicableError, match="variance_test"):
        sleep("diagonal").compare_lr(full)
    data = load_sleepstudy().iloc[:-1]
    less = LowRankMixedLM.from_formula("Reaction ~ Days", data, groups="Subject", rank="full")
    with pytest.raises(ShapeError, match="same data"):
        full.compare_lr(less.fit(reml=False))


def test_a_slope_and_a_fixed_effect_together():
    full, small = sleep(), sleep(formula="Reaction ~ 1", re_formula="1")
    statistic, pvalue, df = full.compare_lr(small)
    assert df == 3
    expected = 0.5 * sum(stats.chi2.sf(statistic, df) for df in (2, 3))
    assert pvalue == pytest.approx(expected, rel=1e-6, abs=0.0)


def test_residual_variances():
    data = load_orthodont()
    how = {"groups": "Subject", "rank": "full"}
    small = LowRankMixedLM.from_formula("distance ~ age", data, **how).fit()
    full = LowRankMixedLM.from_formula("distance ~ age", data, residual="~ 0 + Sex", **how).fit()
    statistic, pvalue, df = full.compare_lr(small)
    assert df == 1
    assert pvalue == pytest.approx(stats.chi2.sf(statistic, 1))
    with pytest.raises(OptionError, match="not nested"):
        small.compare_lr(full)


def test_it_reads_well():
    test = sleep(reml=True).variance_test("Days")
    assert str(test).startswith("Null: without Days; alternative: full covariance of")
    assert isinstance(pd.Series(vars(test)), pd.Series)
