"""Series with coefficients of units: a trend beside fixed factors, and beside averages."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.exceptions import (
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
    RankDeficientError,
)
from tests.pages import ROOT

KEPT = ROOT / "tests" / "reference"
FORMULA = "np.log(sales) ~ np.log(price) + np.log(ndi)"
PLM = pd.read_csv(KEPT / "interactive_plm.csv").query("data == 'trend'")


@pytest.fixture(scope="module")
def cigar():
    data = pd.read_csv(KEPT / "cigar.csv")
    return data.assign(trend=data["year"] - 60.0, square=(data["year"] - 77.0) ** 2)


def model(data, rank=1, effects="both", formula=FORMULA, own=("trend",), **how):
    return LowRankPanel.from_formula(
        formula, data, rank, entity="state", time="year", effects=effects, factors="fixed",
        heterogeneous=list(own), **how,
    )  # fmt: skip


@pytest.fixture(scope="module")
def res(cigar):
    return model(cigar, own=["trend", "square"]).fit(n_starts=1)


def test_slopes_are_those_of_detrended_data(cigar):
    found = model(cigar, 2, "entity").fit(weighted=False, bias=None)
    B = np.column_stack([np.ones(30), np.arange(30)])
    M = np.eye(30) - B @ np.linalg.pinv(B)
    wide = [np.log(cigar.pivot(index="year", columns="state", values=v)) for v in
            ("sales", "price", "ndi")]  # fmt: skip
    y, *X = ((M @ frame).set_axis(frame.index).stack().swaplevel() for frame in wide)
    x = pd.DataFrame({"price": X[0], "ndi": X[1]})
    plain = LowRankPanel(y, x, 2, factors="fixed").fit(weighted=False, bias=None)
    assert np.allclose(found.params, plain.params, rtol=1e-8)
    assert np.allclose(found.resid, plain.resid, atol=1e-8)
    # Units' constants and trends are counted.
    assert plain.df_resid - found.df_resid == 2 * (46 - 2)


@pytest.mark.slow
def test_parts_add_up_to_the_response(cigar, res):
    X = res.model.cells.panel.X
    assert list(res.unit_slopes) == ["trend", "square"]
    assert list(res.params.index) == ["np.log(price)", "np.log(ndi)"]
    S = np.column_stack([np.arange(63, 93) - 60.0, (np.arange(63, 93) - 77.0) ** 2])
    a = res.effects
    whole = (
        np.tensordot(res.params.to_numpy(), X, 1)
        + a["entity"].to_numpy()
        + a["time"].to_numpy()[:, None]
        + S @ res.unit_slopes.to_numpy().T
        + res.interactive_effects.to_numpy()
    )
    assert np.allclose(whole, res.fittedvalues, atol=1e-9)
    assert np.allclose(S.T @ a["time"], 0.0, atol=1e-8)
    assert "coefficients of 'trend', 'square'" in " ".join(str(res.summary()).split())
    assert "units' own: trend, square" in repr(res.model)


@pytest.mark.slow
def test_a_trend_is_found_where_there_is_one():
    rng = np.random.default_rng(0)
    T, n = 25, 30
    b, a = rng.standard_normal(n), rng.standard_normal(n)
    f, L = rng.standard_normal((T, 1)), rng.standard_normal((n, 1))
    t = np.arange(T)[:, None]
    # The regressor has a trend too, of like size: without the units' own slopes are biased.
    x = f @ L.T + 0.1 * t * b + rng.standard_normal((T, n))
    y = x + f @ L.T + a + 0.1 * t * b + 0.1 * rng.standard_normal((T, n))
    y[rng.random((T, n)) < 0.1] = np.nan
    index = pd.MultiIndex.from_product([range(T), range(n)], names=["t", "i"]).swaplevel()
    X = pd.DataFrame({"x": x.ravel(), "trend": np.broadcast_to(t, (T, n)).ravel()}, index)
    made = LowRankPanel(pd.Series(y.ravel(), index), X, 1, factors="fixed", effects="entity",
                        heterogeneous=["trend"])  # fmt: skip
    found = made.fit(n_starts=1)
    assert abs(found.params["x"] - 1.0) < 0.03
    # Factors are what of them is orthogonal to constants and the trend; the rest is these'.
    of_f = np.linalg.lstsq(np.column_stack([np.ones(T), t]), f, rcond=None)[0]
    assert np.allclose(found.unit_slopes["trend"], 0.1 * b + of_f[1] * L[:, 0], atol=0.03)
    assert np.allclose(found.effects, a + of_f[0] * L[:, 0], atol=0.3)
    assert found.factor_test().table["pvalue"].between(0.0, 1.0).all()
    gap = found.counterfactual({0: 18, 1: 18}, reps=3)
    assert abs(gap.effect) < 0.3
    assert made.select_rank(most=3).rank >= 0


def test_columns_of_the_data_join_the_formula(cigar):
    named = model(cigar, formula=FORMULA + " + trend")
    joined = model(cigar)
    assert named.exog_names == joined.exog_names == ["np.log(price)", "np.log(ndi)"]
    assert np.array_equal(named.cells.series, joined.cells.series)
    term = model(cigar, formula=FORMULA + " + np.sqrt(trend)", own=["np.sqrt(trend)"])
    assert term.cells.series_names == ["np.sqrt(trend)"]


@pytest.mark.parametrize(("kind", "own"), [("p", ["trend"]), ("mg", True)])
def test_trends_beside_averages_are_those_of_plm(cigar, kind, own):
    formula = FORMULA + (" + trend" if own is True else "")
    found = LowRankPanel.from_formula(
        formula, cigar, entity="state", time="year", factors="cce", heterogeneous=own
    ).fit()
    theirs = PLM[PLM["model"] == kind]
    assert np.allclose(found.params, theirs["estimate"], rtol=1e-9)
    assert np.allclose(found.bse, theirs["se"], rtol=1e-9)
    assert np.isclose(np.nansum(found.resid**2), theirs["rss"].iloc[0], rtol=1e-9)
    assert "Averages:                             3" in str(found.summary())


@pytest.mark.slow
def test_what_is_no_series_is_named(cigar):
    with pytest.raises(OptionError, match=r"heterogeneous= .*'np.log\(price\)' differs between"):
        model(cigar, own=["np.log(price)"])
    with pytest.raises(OptionError, match=r"no regressor 'tredn'.*trend"):
        model(cigar, formula=FORMULA + " + trend", own=["tredn"])
    with pytest.raises(RankDeficientError, match=r"'one' does not change over 'year'"):
        model(cigar.assign(one=2.0), own=["one"])
    with pytest.raises(RankDeficientError, match="combination of the others"):
        model(cigar.assign(more=2.0 * cigar["trend"] + 1.0), own=["trend", "more"])
    with pytest.raises(OptionError, match="'trend' twice: name it once"):
        model(cigar, own=["trend", "trend"])
    with pytest.raises(OptionError, match="'Intercept' is the constant.*effects='entity'"):
        model(cigar, own=["Intercept"])
    with pytest.raises(RankDeficientError, match=r"heterogeneous=\['trend'\]"):
        model(cigar, formula=FORMULA + " + trend", own=[])
    with pytest.raises(InsufficientRowsError, match="units '3' were"):
        model(cigar[(cigar["state"] != 3) | (cigar["year"] < 66)])
    with pytest.raises(NotApplicableError, match="heterogeneous="):
        _ = model(cigar, own=[]).fit(n_starts=1).unit_slopes
    with pytest.raises(OptionError, match="differs between"):
        LowRankPanel.from_formula(
            FORMULA, cigar, entity="state", time="year", factors="cce",
            heterogeneous=["np.log(price)"],
        )  # fmt: skip


def cce(data, own):
    return LowRankPanel.from_formula(
        FORMULA + " + s", data, entity="state", time="year", factors="cce", heterogeneous=own
    )


def test_series_of_any_sign_are_read_beside_holes(cigar):
    """Holes of a regressor are zeros, which no negative series has."""
    data = cigar.assign(s=cigar["year"] - 200.0)
    data.loc[[40, 700], "sales"] = np.nan
    with np.errstate(invalid="ignore"):
        found = model(data, own=["s"])
    assert np.array_equal(found.cells.series[:, 0], np.arange(63, 93) - 200.0)


def test_series_are_the_same_to_rounding_of_their_size(cigar):
    noise = np.random.default_rng(0).standard_normal(len(cigar))
    year = cigar["year"]
    for size in (1.0, 1e9):
        near = model(cigar.assign(s=size * (year + 1e-9 * noise)), own=["s"]).cells.series[:, 0]
        assert np.allclose(near, size * np.arange(63, 93), rtol=1e-9)
        with pytest.raises(OptionError, match="'s' differs"):
            model(cigar.assign(s=size * (year + 1e-4 * noise)), own=["s"])
    # 1e-2 of 1e11 is rounding of it.
    assert model(cigar.assign(s=1e11 + 1e9 * year + 1e-2 * noise), own=["s"]).cells.series.any()


def test_what_is_constant_has_no_coefficients_of_units(cigar):
    """Beside averages it is left among regressors, and said to have no slope there."""
    with pytest.raises(RankDeficientError, match="'s' .*constant over time"):
        cce(cigar.assign(s=7.0), True).fit()


def test_slopes_of_units_are_where_averages_are(cigar):
    data = cigar.assign(s=np.arange(len(cigar)) * 1.0)
    with pytest.raises(OptionError, match="factors='cce' has slopes of units"):
        model(data, own=["s"])
    with pytest.raises(OptionError, match="may have coefficients of units$"):
        cce(data, ["s"])


def test_series_are_not_written_to(cigar):
    with pytest.raises(ValueError, match="read-only"):
        model(cigar).cells.series[0] = 1.0


@pytest.mark.parametrize("how", [{"factors": "fixed", "rank": 1}, {"factors": "cce"}])
def test_columns_are_named_by_labels_that_are_no_strings(cigar, how):
    long = np.log(cigar.set_index(["state", "year"])[["sales", "price"]])
    X = pd.DataFrame({0: long["price"], 1: long.index.get_level_values("year") * 1.0})
    assert LowRankPanel(long["sales"], X, heterogeneous=[1], **how).cells.series_names == ["1"]


def test_squares_of_years_have_as_many_digits_as_those_of_trends(cigar):
    """Beside constants the two are the same, however far from zero; six digits had been."""
    t = cigar["year"] - 77.0
    far = cigar.assign(year_of=2e6 + t, its_square=(2e6 + t) ** 2)
    near = model(cigar.assign(t=t, its_square=t**2), own=["t", "its_square"])
    near, far = (
        m.fit(n_starts=1, ar=0.5) for m in (near, model(far, own=["year_of", "its_square"]))
    )
    assert np.allclose(far.params, near.params, rtol=1e-8)
    slopes = far.unit_slopes
    assert np.allclose(slopes["its_square"], near.unit_slopes["its_square"], rtol=1e-4, atol=1e-9)
    # a + b s + c s^2 with s = 2e6 + t.
    own = slopes["year_of"] + 2.0 * 2e6 * slopes["its_square"]
    assert np.allclose(own, near.unit_slopes["t"], rtol=1e-3, atol=1e-6)
    assert np.allclose(far.effects["time"], near.effects["time"], atol=1e-8)
