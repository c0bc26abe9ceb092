"""``diagnostics`` of panels with fixed factors, and with averages: what they find and what not."""

import functools

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.datasets import load_cigarettes
from sm_alsgls.exceptions import DegenerateResponseError

T, N = 24, 20


def panel(seed=0, kind="clean", share=0.0):
    rng = np.random.default_rng(seed)
    F, L = rng.standard_normal((T, 1)), 1.0 + rng.standard_normal((N, 1))
    x = 0.5 * F @ L.T + rng.standard_normal((T, N))
    e = rng.standard_normal((T + 20, N))
    if kind == "serial":
        for t in range(1, T + 20):
            e[t] = 0.5 * e[t - 1] + np.sqrt(0.75) * e[t]
    e = e[20:]
    if kind == "factor":
        e = e + 1.5 * rng.standard_normal((T, 1)) @ rng.standard_normal((1, N))
    if kind == "skewed":
        e = rng.chisquare(1.0, (T, N)) - 1.0
    if kind == "uneven":
        e = e * np.exp(0.6 * (x - x.mean(axis=0)))
    if kind == "outlier":
        e[3, 7] = 9.0
    y = x + F @ L.T + e * rng.uniform(0.5, 1.5, N)
    y[rng.random((T, N)) < share] = np.nan
    index = pd.MultiIndex.from_product([range(T), range(N)], names=["t", "i"]).swaplevel()
    return pd.Series(y.ravel(), index, name="y"), pd.DataFrame({"x": x.ravel()}, index)


def fitted(factors, *data, ar=0, **how):
    """Not weighted by a correlation in time, which residuals would have no more."""
    y, X = panel(*data)
    if factors == "cce":
        return LowRankPanel(y, X, factors="cce", **how).fit()
    model = LowRankPanel(y, X, 1, factors="fixed", effects="entity", **how)
    return model.fit(n_starts=2, ar=ar)


@functools.cache
def reported(*of):
    """The report of such a panel, which several tests look at."""
    return fitted(*of).diagnostics()


NAMES = [
    "cross-section dependence", "cross-section dependence, weighted",
    "serial correlation, jointly", "serial correlation, units", "normality, jointly",
    "normality, units", "heteroscedasticity", "outlying cells",
]  # fmt: skip


@pytest.mark.parametrize("factors", ["fixed", "cce"])
@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.slow
def test_clean_panels_are_rarely_doubted(factors, share):
    looks = pd.Series(0.0, index=NAMES)
    for seed in range(20):
        table = reported(factors, seed, "clean", share).table
        looks += (table.loc[NAMES, "verdict"] == "look") / 20
    # Of 20, .05 has a standard error of .05.
    assert (looks <= 0.25).all(), looks
    assert looks.mean() < 0.1


@pytest.mark.parametrize("factors", ["fixed", "cce"])
@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("serial", "serial correlation, jointly"), ("skewed", "normality, jointly"),
        ("uneven", "heteroscedasticity"), ("outlier", "outlying cells"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(factors, kind, check):
    for seed in range(3):
        made = fitted(factors, seed, kind, 0.05 * (seed == 2)).diagnostics()
        assert made.table.loc[check, "verdict"] == "look", seed
        assert made.table.loc[check, "pvalue"] < 0.05
        if kind == "outlier":
            worst = made.cells.iloc[0]
            assert (worst["unit"], worst["period"]) == ("7", 3)
            assert "'7, 3'" in made.table.loc[check, "found"]


@pytest.mark.slow
def test_a_factor_that_is_left_is_found():
    found = [fitted("fixed", seed, "factor").diagnostics() for seed in range(6)]
    clean = [reported("fixed", seed, "clean", 0.0) for seed in range(6)]
    size = [np.mean([one.across["mean_absolute"] for one in some]) for some in (found, clean)]
    assert size[0] > 1.4 * size[1]
    looks = [one.table.loc["cross-section dependence, weighted", "verdict"] for one in found]
    assert looks.count("look") >= 3
    pair = found[0].pairs.iloc[0]
    e = fitted("fixed", 0, "factor").resid
    e = e - 0.0
    a, b = e[pair["unit"]], e[pair["other"]]
    assert pair["correlation"] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-8)
    assert found[0].pairs["correlation"].abs().is_monotonic_decreasing


def test_the_report_says_what_it_is_of():
    made = fitted("fixed").diagnostics(alpha=0.01)
    assert "20 Units, 480 Observations" in str(made)
    assert {"convergence", "curvature", "factors of one unit", *NAMES} == set(made.table.index)
    assert made.table.loc["convergence", "verdict"] == "ok"
    assert list(made.units) == ["cells", "variance", "correlation", "serial", "normality"]
    assert made.doubts == list(made.table.index[made.table["verdict"] == "look"])
    both = fitted("cce", 0, "clean", 0.0, heterogeneous=True).diagnostics()
    assert both.table.loc["units without slopes", "found"].startswith("0 of 20")
    assert both.table.loc["cross-section dependence", "verdict"] == "-"


def test_names_of_other_packages_lead_here():
    res = fitted("cce")
    for name in ("test_serial_correlation", "durbin_watson", "pesaran_cd"):
        with pytest.raises(AttributeError, match="diagnostics"):
            getattr(res, name)


def test_a_unit_that_is_a_factor_is_named():
    y, X = panel()
    y[y.index.get_level_values("i") == 4] += 40.0 * np.random.default_rng(0).standard_normal(T)
    made = LowRankPanel(y, X, 2, factors="fixed").fit(weighted=False, n_starts=2).diagnostics()
    line = made.table.loc["factors of one unit"]
    assert line["verdict"] == "look"
    assert "'4'" in line["found"]


def test_cigarettes_are_correlated_in_time():
    model = LowRankPanel.from_formula(
        "np.log(sales) ~ np.log(price / cpi) + np.log(ndi / cpi)", load_cigarettes(), rank=2,
        entity="state", time="year", effects="both", factors="fixed",
    )  # fmt: skip
    res = model.fit(ar=0)
    line = res.diagnostics().table.loc["serial correlation, jointly"]
    # Residuals' own correlation, which estimated factors take towards minus one.
    e = res.resid / np.sqrt(res.error_variances)
    plain = float((e.to_numpy()[1:] * e.to_numpy()[:-1]).sum() / (e.to_numpy() ** 2).sum())
    assert line["verdict"] == "look"
    assert 0.3 < plain < 0.42
    assert "correlation +0.4" in line["found"]
    assert "beyond" not in line["found"]


def test_what_cells_are_weighted_by_is_no_doubt():
    for seed in range(3):
        res = fitted("fixed", seed, "serial", ar="auto")
        line = res.diagnostics().table.loc["serial correlation, jointly"]
        assert line["pvalue"] > 0.01, seed
        assert f"beyond the {res.ar:.2f} that cells are weighted by" in line["found"]
        # Wrong weights are: innovations of twice the correlation have one of the other sign.
        wrong = fitted("fixed", seed, "serial", ar=0.95).diagnostics()
        assert wrong.table.loc["serial correlation, jointly", "verdict"] == "look", seed


@pytest.mark.parametrize("own", [False, True])
def test_units_with_as_many_averages_as_periods_are_left_out(own):
    """Their residuals are rounding, and two of them had headed the table of pairs."""
    y, X = panel(3)
    t, i = (y.index.get_level_values(k) for k in ("t", "i"))
    # Constant, averages of y and x, and the unit's slope.
    gone = np.isin(i, [4, 11]) & (t >= (4 if own else 3))
    res = LowRankPanel(y[~gone], X[~gone], factors="cce", heterogeneous=own).fit()
    made = res.diagnostics()
    assert made.units.index[made.units["variance"].isna()].tolist() == ["4", "11"]
    assert made.units.loc["4", "cells"] == 0
    assert not {"4", "11"} & {*made.pairs["unit"], *made.pairs["other"], *made.cells["unit"]}
    assert made.units["variance"].dropna().between(0.05, 10.0).all()
    assert np.isfinite(list(made.across.values())[:3]).all()


def test_as_many_coefficients_as_periods_are_no_residuals_whatever_rounding_is():
    """Slopes of regressors that differ by 1e-3 leave more of it than those that are apart."""
    y, X = panel(3)
    t, i = (y.index.get_level_values(k) for k in ("t", "i"))
    z = np.random.default_rng(6).standard_normal(len(X))
    X["z"] = np.where(i == 4, X["x"] + 1e-3 * z, z)
    gone = (i == 4) & (t >= 6)
    made = LowRankPanel(y[~gone], X[~gone], factors="cce", heterogeneous=True).fit().diagnostics()
    assert made.table.loc["units without slopes", "found"].startswith("0 of 20")
    assert made.units.index[made.units["variance"].isna()].tolist() == ["4"]


@pytest.mark.parametrize("factors", ["fixed", "cce"])
def test_units_that_are_constant_are_left_out(factors):
    y, X = panel(4)
    i = y.index.get_level_values("i")
    y[i == 5] = 3.0
    X.loc[i == 5, "x"] = 1.0
    if factors == "fixed":
        made = LowRankPanel(y, X, 1, factors="fixed", effects="entity").fit(ar=0).diagnostics()
    else:
        made = LowRankPanel(y, X, factors="cce").fit().diagnostics()
    assert made.units.index[made.units["variance"].isna()].tolist() == ["5"]
    assert not made.units.loc["5", ["serial", "normality"]].notna().any()
    assert "5" not in {*made.pairs["unit"], *made.pairs["other"], *made.cells["unit"]}


@pytest.mark.parametrize("factors", ["fixed", "cce"])
def test_where_all_units_are_fitted_exactly_nothing_is_checked(factors):
    _, X = panel(5)
    y = 2.0 * X["x"].rename("y")
    how = {} if factors == "cce" else {"effects": "entity", "rank": 0}
    res = LowRankPanel(y, X, factors=factors, **how)
    res = res.fit() if factors == "cce" else res.fit(weighted=False)
    with pytest.raises(DegenerateResponseError, match="all units are fitted exactly"):
        res.diagnostics()
