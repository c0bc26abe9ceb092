"""The textbook chapter: its pages show books' numbers as the reference has them, and ours too.

That other pages print what they show is tests/test_docs.py's.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sm_alsgls.datasets import load_grunfeld
from tests.pages import ROOT, ran

REFERENCE = ROOT / "tests" / "reference"
FIVE = ["General Motors", "Chrysler", "General Electric", "Westinghouse", "US Steel"]


def stored(name):
    """Series of values by (system, method, quantity, name) of a reference file."""
    table = pd.read_csv(REFERENCE / f"{name}.csv", comment="#").fillna({"name": ""})
    return table.set_index(["system", "method", "quantity", "name"])["value"].sort_index()


@pytest.fixture(scope="module")
def textbook():
    return stored("textbook_systemfit")


PAGES = sorted((ROOT / "docs" / "textbook").glob("*.md"))


@pytest.fixture(scope="module")
def page():
    """Names of a page after its code has run; each page runs once."""
    return lambda name: ran(f"textbook/{name}.md")[0].names


@pytest.mark.parametrize("name", [path.stem for path in PAGES])
def test_code_runs_and_prints_what_is_shown(name):
    page, wrong = ran(f"textbook/{name}.md")
    assert not wrong
    assert bool(page.names) == (name != "index")


def same_fit(res, theirs, rtol=1e-6, names=None):
    """Coefficients and standard errors of ``res`` are the stored ones."""
    names = list(theirs["coef"].index) if names is None else names
    ours = [str(n) for n in names]
    assert len(ours) == len(res.params)
    assert_allclose(res.params[ours], theirs["coef"][names], rtol=rtol)
    assert_allclose(res.bse[ours], theirs["std_err"][names], rtol=rtol)


def rounded(shown, exact, digits):
    """``shown`` are the values rounded to ``digits``, half a unit and what binary costs."""
    assert_allclose(shown, exact, rtol=0, atol=0.5 * 10.0**-digits * (1 + 1e-6))


# -- Grunfeld's data and Greene's tables ----------------------------------------------------------


def test_load_grunfeld_is_the_dissertations(textbook):
    """AER's Grunfeld, which Kleiber and Zeileis (2010) took from the dissertation."""
    sums = textbook["grunfeld", "data", "weighted_sum"]
    data = load_grunfeld().sort_values(["firm", "year"])
    years = np.arange(1, 21)
    found = {
        f"{firm}_{v}": float(part[v].to_numpy() @ years)
        for firm, part in data.groupby("firm")
        for v in ("invest", "value", "capital")
    }
    assert set(found) == set(sums.index)
    assert len(found) == 33
    assert_allclose([found[n] for n in sums.index], sums, rtol=1e-12)


def test_greenes_data_differ_in_the_cells_that_the_page_names(textbook, page):
    names = page("grunfeld")
    cells = {f"US Steel_{year}_{v}": x for (year, v), x in names["errors"].items()}
    assert cells == textbook["greene", "data", "cell"].to_dict()
    right = names["right"].set_index(["firm", "year"])
    for cell, value in textbook["grunfeld", "data", "cell"].items():
        firm, year, v = cell.split("_")
        assert right.loc[(firm, int(year)), v] == value


def test_greenes_fgls(textbook, page):
    names = page("grunfeld")
    theirs = textbook["greene", "sur"]
    table = names["table"]
    rounded(table["book"], theirs["coef"][table.index], 4)
    rounded(table["(se)"], theirs["std_err"][table.index], 4)
    same_fit(names["fgls"]["ours"], theirs)
    same_fit(names["fgls"]["right data"], textbook["grunfeld", "sur"])
    for pair, value in theirs["residual_sigma"].items():
        i, j = (FIVE.index(firm) for firm in pair.split(":"))
        assert names["S"][i, j] == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    ("frame", "system"), [("Greene's data", "greene"), ("right data", "grunfeld")]
)
def test_grunfelds_maximum_and_the_tests_of_sigma(textbook, page, frame, system):
    from sm_alsgls.diagnostics import diagonality_test

    res = page("grunfeld")["ml"][frame]
    theirs = textbook[system, "ml"]
    # The likelihood is flat along Westinghouse's small coefficients: 1e-5 of them is 1e-6 of a
    # standard error.
    names = list(theirs["coef"].index)
    gap = np.abs(res.params[names] - theirs["coef"].to_numpy()) / theirs["std_err"].to_numpy()
    assert gap.max() < 1e-6
    assert_allclose(res.bse[names], theirs["std_err"], rtol=1e-6)
    assert res.llf == pytest.approx(theirs["llf", ""], rel=1e-10)
    assert diagonality_test(res).statistic == pytest.approx(textbook[system, "ols", "lm", ""])
    ols = textbook[system, "ols", "ssr_over_n"]
    S = theirs["residual_sigma"]
    sigma = np.zeros((5, 5))
    for pair, value in S.items():
        i, j = (FIVE.index(firm) for firm in pair.split(":"))
        sigma[i, j] = sigma[j, i] = value
    ratio = 20 * (np.log(ols).sum() - np.linalg.slogdet(sigma)[1])
    test = diagonality_test(res, "lr")
    assert test.statistic == pytest.approx(ratio, rel=1e-8)
    assert test.df == 10
    assert "oadings" not in str(test)  # there are none
    assert "many rows" in str(test)


@pytest.mark.slow
def test_the_pages_values_of_systemfits_maximum(textbook, page):
    theirs = textbook["greene", "ml"]
    for firm, rows in page("grunfeld")["systemfit"].items():
        names = [f"{firm}_{x}" for x in ("Intercept", "value", "capital")]
        rounded([b for b, _ in rows], theirs["coef"][names], 4)
        rounded([se for _, se in rows], theirs["std_err"][names], 4)


def test_pooled_fgls_is_greenes_after_three_rounds(textbook, page):
    rows = page("grunfeld")["rows"]
    order = ["value", "capital", "Intercept"]
    theirs = textbook["greene", "pooled_sur", "coef"][order]
    rounded(rows["Greene's FGLS, by systemfit"], theirs, 4)
    assert_allclose(rows["three rounds"], theirs, rtol=1e-8)
    assert_allclose(rows["one round"], rows["ours, two-step"], rtol=1e-8)
    top = textbook["greene", "pooled_ml", "coef"][order]
    rounded(rows["iterated, by systemfit"], top, 4)
    errors = textbook["greene", "pooled_ml", "std_err"][order]
    assert (np.abs(rows["ours, maximum"] - top) / errors).max() < 1e-4


# -- Zellner's two firms --------------------------------------------------------------------------


def test_theils_digits_are_systemfits(textbook, page):
    theil, order = page("zellner")["theil"], page("zellner")["sur"].params.index
    for method, coef, error in (("ols", "OLS", "(se)"), ("sur", "SUR", " (se)")):
        rounded(theil[coef], textbook["two", method, "coef"][order], 3)
        rounded(theil[error], textbook["two", method, "std_err"][order], 3)


def test_zellners_two_firms(textbook, page):
    names = page("zellner")
    same_fit(names["ols"], textbook["two", "ols"])
    same_fit(names["sur"], textbook["two", "sur"])
    geomean = textbook["two", "geomean"]
    order = geomean["coef"].index
    assert_allclose(names["sur"].params[order], geomean["coef"], rtol=1e-8)
    assert_allclose(names["sur"].bse[order] * np.sqrt(20 / 17), geomean["std_err"], rtol=1e-8)
    F = names["wald"].statistic / 2 / names["denominator"]
    assert F == pytest.approx(textbook["two", "sur", "theil_f", "slopes"], rel=1e-8)
    assert names["wald"].statistic == pytest.approx(textbook["two", "sur", "wald", "slopes"])
    restricted, table = textbook["two", "restricted"], names["table"]
    order = table.index
    assert_allclose(table["nearest"], restricted["coef"][order], rtol=1e-8)
    assert_allclose(table[" (se)"], restricted["std_err"][order], rtol=1e-8)
    rounded(table["Theil"], restricted["coef"][order], 3)
    rounded(table["(se)"], restricted["std_err"][order], 3)


# -- Klein's model I ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "method"), [("2SLS", "2sls"), ("3SLS", "GLS"), ("I3SLS", "GLS iterated")]
)
def test_klein(page, shown, method):
    names = page("klein")
    theirs = stored("three_stage_systemfit")["klein", method]
    res = names["fits"][shown]
    order = [n.replace("Intercept", "(Intercept)") for n in res.params.index]
    rounded([b for b, _ in names["greene"][shown]], theirs["coef"][order], 3)
    rounded([se for _, se in names["greene"][shown]], theirs["std_err"][order], 3)
    assert_allclose(res.params, theirs["coef"][order], rtol=1e-6)
    assert_allclose(res.bse, theirs["std_err"][order], rtol=1e-6)


# -- Berndt and Wood's shares ---------------------------------------------------------------------


def test_berndt_and_wood(textbook, page):
    names = page("berndt_wood")
    theirs = stored("full_systemfit")["berndt_wood_materials", "ml"]
    order = {n.replace("(Intercept)", "const").replace("_p.", "_"): n for n in theirs["coef"].index}
    res, table = names["res"], names["table"]
    assert set(order) == set(table.index)
    at = [order[n] for n in table.index]
    rounded(table["systemfit"], theirs["coef"][at], 5)
    rounded(table["(se)"], theirs["std_err"][at], 5)
    gap = (table["ours"] - theirs["coef"][at].to_numpy()) / table[" (se)"]
    assert np.abs(gap).max() < 1e-6
    assert_allclose(table[" (se)"], theirs["std_err"][at], rtol=1e-6)
    assert res.llf == pytest.approx(theirs["llf", ""], rel=1e-9)
    for name in ("homogeneous", "neither"):
        assert names[name].llf == pytest.approx(textbook["berndt_wood", name, "llf", ""], rel=1e-9)


def test_what_adding_up_implies_is_what_the_dropped_equation_has(page):
    """Coefficients and standard errors, by the delta method and by another dropped share."""
    implied = page("berndt_wood")["implied"].dropna()
    assert len(implied) == 4
    gap = np.abs(implied["coef"] - implied["capital dropped"]) / implied["(se)"]
    assert gap.max() < 1e-5
    assert_allclose(implied["std err"], implied["(se)"], rtol=1e-5)


def test_the_maximum_does_not_depend_on_the_dropped_share_and_two_steps_do(page):
    rows = pd.DataFrame(page("berndt_wood")["rows"]).T
    assert rows.loc["maximum"].std().max() < 1e-6
    assert rows.loc["two-step", "g_EE"].std() > 0.005


# -- Gibbons, Ross and Shanken --------------------------------------------------------------------


@pytest.mark.slow
def test_grs_in_three_forms(page):
    rows = pd.DataFrame(page("grs")["rows_of_windows"]).T
    assert len(rows) == 6
    assert_allclose(rows["ours"], rows["formula"], rtol=1e-10)
    assert_allclose(rows["ours"], rows["Sharpe"], rtol=1e-10)
    assert (rows["Omega / (N - 1)"] > rows["ours"] * (1 + 1e-6)).all()


def test_wald_and_likelihood_ratio_are_the_functions_of_F_that_the_page_says(page):
    """Dense: residual covariances with constants and without."""
    names = page("grs")
    months, factors = names["data"].loc["2006":"2015"], ["MktRF"]
    N, K, L = len(months), 30, 1
    y = months[names["portfolios"]].to_numpy()
    x = months[factors].to_numpy()
    F = names["ours"](months, factors).statistic

    def sigma(X):
        e = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        return e.T @ e / N

    X = np.column_stack([np.ones(N), x])
    S, alpha = sigma(X), np.linalg.lstsq(X, y, rcond=None)[0][0]
    wald = alpha @ np.linalg.solve(S, alpha) / np.linalg.inv(X.T @ X)[0, 0]
    ratio = N * (np.linalg.slogdet(sigma(x))[1] - np.linalg.slogdet(S)[1])
    assert F == pytest.approx((N - K - L) / (K * N) * wald, rel=1e-10)
    assert F == pytest.approx((N - K - L) / K * np.expm1(ratio / N), rel=1e-10)


def test_the_exact_test_has_its_size_up_to_the_last_degree_of_freedom(page):
    rates = pd.DataFrame(page("grs")["rows"]).T
    assert list(rates.index) == [10, 30, 50, 58]
    assert np.abs(rates["true null"] - 0.05).max() < 3 * np.sqrt(0.05 * 0.95 / 2000)
