"""The Anderson-Rubin test by the name of a coefficient, for every covariance type."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import (
    InstrumentError,
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
)
from sm_alsgls.results.anderson_rubin import AndersonRubinTest, anderson_rubin
from tests.core.instruments.draws import equation
from tests.results.instrumented_system import fit


def estimate_of(draws, cov_type="nonrobust", weights=None, **kwds):
    return fit(draws, weights, cov_type=cov_type, cov_kwds=kwds or None).estimate


@pytest.fixture(scope="module")
def draws():
    return [
        equation(L=3, seed=6, strength=1.0, uneven=True),
        equation(m=2, L=4, seed=3, strength=1.5),
        equation(L=2, seed=2, strength=0.0),
    ]


CODE = np.arange(80) // 5


@pytest.mark.parametrize(
    ("cov_type", "kwds", "peer"),
    [
        ("nonrobust", {}, {}),
        ("HC1", {}, {"cov_type": "HC1", "use_t": True}),
        ("HC3", {}, {"cov_type": "HC1", "use_t": True}),
        ("cluster", {"groups": CODE}, {"cov_type": "cluster", "cov_kwds": {"groups": CODE}}),
        (
            "HAC",
            {"maxlags": 3},
            {"cov_type": "HAC", "use_t": True, "cov_kwds": {"maxlags": 3, "use_correction": True}},
        ),
    ],
)
def test_follows_the_covariance_type(draws, cov_type, kwds, peer):
    got = anderson_rubin(estimate_of(draws, cov_type, **kwds), "e0_p0", 0.8, 0.1)
    y, X, Z, _ = draws[0]
    want = sm.OLS(y - 0.8 * X[:, 2], Z).fit(**peer).f_test(np.eye(5)[2:])
    assert got.statistic == pytest.approx(float(want.fvalue), rel=1e-8)
    assert (got.df_num, got.df_denom) == (3, 75)
    assert got.kind == "interval"
    ((low, high),) = got.intervals
    for end in (low, high):
        again = anderson_rubin(estimate_of(draws, cov_type, **kwds), "e0_p0", end, 0.1)
        assert again.pvalue == pytest.approx(0.1, rel=1e-6)
    assert got.contains((low + high) / 2)
    assert not got.contains(high + 0.01)
    hat = Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    assert got.coef == pytest.approx(np.linalg.lstsq(hat, y, rcond=None)[0][2])


def test_heteroscedastic_weights_ask_for_a_robust_test(draws):
    res = fit([draws[0]], method="gmm", weight="heteroskedastic")
    plain = fit([draws[0]], method="gmm", cov_type="HC1")
    assert res.anderson_rubin("e0_p0", 0.8) == replace(
        plain.anderson_rubin("e0_p0", 0.8), coef=res.params["e0_p0"]
    )


def test_several_endogenous_regressors(draws):
    got = anderson_rubin(estimate_of(draws), "e1_p1", 1.0)
    assert (got.df_num, got.df_denom) == (3, 74)
    assert got.contains(1.0) == (got.pvalue >= 0.05)
    assert "Subset test" in str(got)
    other = anderson_rubin(estimate_of(draws), "e1_p0", 1.0)
    assert other.statistic != got.statistic


def test_by_position(draws):
    estimate = estimate_of(draws)
    assert anderson_rubin(estimate, 2, 0.8) == anderson_rubin(estimate, "e0_p0", 0.8)


def test_weights(draws):
    w = np.random.default_rng(0).uniform(0.2, 2.0, 80)
    w /= w.mean()
    got = anderson_rubin(estimate_of(draws, weights=w), "e0_p0", 0.8)
    y, X, Z, _ = draws[0]
    want = sm.WLS(y - 0.8 * X[:, 2], Z, weights=w).fit().f_test(np.eye(5)[2:])
    assert got.statistic == pytest.approx(float(want.fvalue), rel=1e-8)


def test_words(draws):
    got = anderson_rubin(estimate_of(draws), "e0_p0", 0.8)
    assert repr(got).startswith("<Anderson-Rubin test of e0_p0 = 0.8: F(3, 75) = ")
    text = str(got)
    assert "the coefficient e0_p0 is 0.8" in text
    assert "95% confidence set:" in text
    assert "Exact for independent normal errors" in text
    assert "Anderson-Rubin" in got.summary().as_html()
    line = anderson_rubin(estimate_of(draws), "e2_p0")
    assert line.kind == "line"
    assert "every value" in str(line)


@pytest.mark.parametrize(
    ("intervals", "kind", "said"),
    [
        ((), "empty", "empty: no value"),
        (((-np.inf, np.inf),), "line", "every value"),
        (((1.0, 2.0),), "interval", "[1, 2]"),
        (((-np.inf, 1.0), (2.0, np.inf)), "rays", "(-inf, 1] and [2, inf)"),
        (((-np.inf, 1.0),), "rays", "(-inf, 1]"),
        (((0.0, 1.0), (2.0, 3.0)), "union", "[0, 1] and [2, 3]"),
        (((-np.inf, 0.0), (1.0, 2.0), (3.0, np.inf)), "union", "[3, inf)"),
    ],
)
def test_shapes(intervals, kind, said):
    got = AndersonRubinTest("a_x", 0.0, 1.0, 0.5, 2, 30, intervals, 0.05, 1.0, "")
    assert got.kind == kind
    assert said in got.said
    assert said in repr(got)


def test_errors(draws):
    estimate = estimate_of(draws)
    with pytest.raises(InstrumentError, match="'e1_x' is exogenous.*'e1_p0', 'e1_p1'"):
        anderson_rubin(estimate, "e1_x")
    with pytest.raises(OptionError, match="no coefficient is called 'e0_q0'.*'e0_p0'"):
        anderson_rubin(estimate, "e0_q0")
    with pytest.raises(OptionError, match="one coefficient"):
        anderson_rubin(estimate, ["e0_p0"])
    with pytest.raises(OptionError, match="alpha"):
        anderson_rubin(estimate, "e0_p0", alpha=2)
    with pytest.raises(OptionError, match="value"):
        anderson_rubin(estimate, "e0_p0", np.nan)
    with pytest.raises(OptionError, match="'e1'.*'HC1'.*nonrobust"):
        anderson_rubin(estimate_of(draws, "HC1"), "e1_p0")
    few = np.arange(80) % 2
    with pytest.raises(InsufficientRowsError, match="2 clusters are too few.*3 instruments"):
        anderson_rubin(estimate_of(draws, "cluster", groups=few), "e0_p0")
    both = np.column_stack([CODE, np.arange(80) % 10])
    with pytest.raises(OptionError, match="two"):
        anderson_rubin(estimate_of(draws, "cluster", groups=both), "e0_p0")
    plain = LowRankSUR(draws[0][0][:, None], draws[0][1], rank=0).fit()
    with pytest.raises(NotApplicableError, match="no instruments"):
        anderson_rubin(plain.estimate, 2)
