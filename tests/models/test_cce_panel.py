"""``LowRankPanel(factors="cce")``: plm's values under labels, the core's, and what is refused."""

import io

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankPanel
from sm_alsgls.core.interactive.cce import cce, default_lags, half_panel
from sm_alsgls.exceptions import (
    DataRemovedError,
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
    RankDeficientError,
)
from sm_alsgls.models.cce import CCEPanel
from tests.pages import ROOT

KEPT = ROOT / "tests" / "reference"
FORMULAS = {
    "cigar": "np.log(sales) ~ np.log(price) + np.log(ndi)",
    "produc": "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp",
}
LAGGED = "np.log(sales) ~ lag(np.log(sales)) + np.log(price)"


def data(name):
    if name == "unbalanced":
        whole = pd.read_csv(KEPT / "cigar.csv")
        return whole.drop(index=[4, 39, 40, 299, 776, *range(1199, 1210)])
    return pd.read_csv(KEPT / f"{name}.csv")


def model(name="cigar", formula=None, **how):
    formula = formula or FORMULAS.get(name, FORMULAS["cigar"])
    return LowRankPanel.from_formula(
        formula, data(name), entity="state", time="year", factors="cce", **how
    )


# plm's own slopes of Produc are off by 1e-7: its generalised inverses drop what is small.
@pytest.mark.parametrize("name", ["cigar", "produc", "unbalanced"])
@pytest.mark.parametrize("kind", ["p", "mg"])
def test_values_are_those_of_plm(name, kind):
    theirs = pd.read_csv(KEPT / "interactive_plm.csv")
    theirs = theirs[(theirs["data"] == name) & (theirs["model"] == kind)]
    res = model(name, heterogeneous=kind == "mg").fit()
    assert np.allclose(res.params, theirs["estimate"], rtol=2e-6, atol=1e-7)
    if (name, kind) != ("unbalanced", "p"):  # plm scales S_i by the fewest periods there
        assert np.allclose(res.bse, theirs["se"], rtol=2e-6)
    assert np.isclose(np.nansum(res.resid**2), theirs["rss"].iloc[0], rtol=1e-5)
    assert type(res.model) is CCEPanel


def wide(names):
    frame = data("cigar")
    return [np.log(frame.pivot(index="year", columns="state", values=n)).to_numpy() for n in names]


def test_lags_are_the_recommended_ones_and_the_jackknife_the_cores():
    res = model(formula=LAGGED).fit()
    assert res.lags == default_lags(29) == 3
    assert model().fit().lags == 0
    from sm_alsgls.core.interactive.panel import Panel

    y, x = wide(["sales", "price"])
    panel, L = Panel(y[1:], np.stack([y[:-1], x[1:]])), np.ones((29, 1))
    assert np.allclose(res.params, cce(panel, L, lags=3).pooled)
    mean = model(formula=LAGGED, heterogeneous=True)
    halved = mean.fit(lags=1, bias="jackknife")
    assert np.allclose(halved.params, half_panel(panel, L, lags=1)[1])
    assert np.array_equal(halved.bse, mean.fit(lags=1).bse)
    assert "jackknife" in str(halved.summary())
    with pytest.raises(InsufficientRowsError, match="half of the panel"):
        model(formula=LAGGED).fit(lags=4, bias="jackknife")


def test_units_have_slopes_and_both_estimates_stand_beside():
    res, mean = model().fit(), model(heterogeneous=True).fit()
    assert np.allclose(res.slopes.mean(), mean.params)
    assert np.allclose(res.slopes.std(ddof=1) / np.sqrt(46), mean.bse)
    table = res.comparison
    assert np.array_equal(table["pooled"], res.params)
    assert np.array_equal(table["mean_group_se"], mean.bse)
    assert res.df_resid_inference == 45
    assert np.allclose(res.fittedvalues + res.resid, wide(["sales"])[0])
    assert 0.9 < res.rsquared < mean.rsquared < 1.0
    assert res.predict().equals(res.fittedvalues)


def test_summary_and_files():
    res = model(heterogeneous=True).fit()
    text = str(res.summary())
    for words in ("mean group", "nonparametric", "Pesaran 2006", "state, units:"):
        assert words in text
    file = io.BytesIO()
    res.save(file)
    file.seek(0)
    assert np.array_equal(type(res).load(file).slopes, res.slopes)
    table = res.tidy()
    res.remove_data()
    assert res.tidy().equals(table)
    with pytest.raises(DataRemovedError):
        _ = res.slopes


def test_what_there_is_not_is_refused_by_name():
    with pytest.raises(OptionError, match="rank=2 with factors='cce'"):
        model(rank=2)
    with pytest.raises(OptionError, match="effects of periods"):
        model(effects="both")
    with pytest.raises(OptionError, match="all of them"):
        model(heterogeneous=["np.log(price)"])
    with pytest.raises(OptionError, match="ar= with factors='cce'"):
        model(ar="common")
    with pytest.raises(OptionError, match="within units"):
        model().fit(cov_type="HC1")
    with pytest.raises(RankDeficientError, match="'year' is constant over units"):
        model(formula="np.log(sales) ~ np.log(price) + year")
    with pytest.raises(NotApplicableError, match="new periods"):
        model().fit().predict(data("cigar"))
    with pytest.raises(InsufficientRowsError, match="averages"):
        model().fit(lags=9)
