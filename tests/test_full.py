"""rank="full", an unrestricted Sigma, against systemfit, linearmodels and lavaan.

Scripts and data of the references are in tests/reference/.
"""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_berndt_wood, load_grunfeld
from sm_alsgls.exceptions import RankWarning

REFERENCE = Path(__file__).parent / "reference"
FIRMS = [
    "General Motors", "Chrysler", "US Steel", "General Electric", "Westinghouse",
    "Atlantic Refining", "IBM", "Union Oil", "Goodyear", "Diamond Match", "American Steel",
]  # fmt: skip
INPUTS = ["capital", "labor", "energy", "materials"]
# Log-likelihoods fall to second order of what coefficients move.
PLAIN = {"debiased": False, "gtol": 1e-9, "rel_tol": 1e-12}


def grunfeld(K):
    data = load_grunfeld()
    data = data[data["firm"].isin(FIRMS[:K])].assign(firm=lambda d: d["firm"].str.replace(" ", ""))
    model = LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank="full"
    )
    names = {f"{e}_{v}.{e}": f"{e}_{v}" for e in model.equations for v in ("value", "capital")}
    return model, names


def kmenta():
    data = pd.read_csv(REFERENCE / "kmenta.csv")
    formulas = {
        "demand": "consump ~ price + income",
        "supply": "consump ~ price + farmPrice + trend",
    }
    return LowRankSUR.from_formula(formulas, data, rank="full"), {}


def ppine():
    data = pd.read_csv(REFERENCE / "ppine.csv")
    formulas = {
        "height": "hg ~ np.log(tht) + elev + cr",
        "diameter": "dg ~ np.log(dbh) + cr + ba",
    }
    names = {"height_log(tht)": "height_np.log(tht)", "diameter_log(dbh)": "diameter_np.log(dbh)"}
    return LowRankSUR.from_formula(formulas, data, rank="full"), names


def translog(dropped):
    """Berndt and Wood: model, restrictions, and systemfit's names of the coefficients."""
    data = load_berndt_wood()
    shares = data[[f"{i}_share" for i in INPUTS]].set_axis(INPUTS, axis=1)
    shares["materials"] = 1 - shares[["capital", "labor", "energy"]].sum(axis=1)
    prices = np.log(data[[f"{i}_price" for i in INPUTS]].set_axis(INPUTS, axis=1))
    left = [i for i in INPUTS if i != dropped]
    exog = prices[left].sub(prices[dropped], axis=0).assign(Intercept=1.0)
    symmetry = [f"{i}_{j} = {j}_{i}" for i in left for j in left if i < j]
    names = {f"{i}_p.{j}": f"{i}_{j}" for i in left for j in left}
    return LowRankSUR(shares[left], exog, rank="full"), symmetry, names


def reference(system, method):
    table = pd.read_csv(REFERENCE / "full_systemfit.csv", comment="#", keep_default_na=False)
    table = table[(table["system"] == system) & (table["method"] == method)]
    value = table.set_index(["quantity", "name"])["value"].astype(float)
    return value["coef"], value["std_err"], value["sigma"], float(value["llf"].iloc[0])


def renamed(names, index):
    return [names.get(n, n).replace("(Intercept)", "Intercept") for n in index]


def compare(res, system, method, names, rtol):
    coef, se, sigma, llf = reference(system, method)
    mine = renamed(names, coef.index)
    assert sorted(mine) == sorted(res.params.index)
    # In units of standard errors: a coefficient may be zero.
    assert_allclose((res.params[mine] - coef.to_numpy()) / se.to_numpy(), 0.0, atol=rtol)
    assert_allclose(res.bse[mine], se, rtol=rtol)
    dense = pd.DataFrame(res.sigma.to_dense(), res.model.equations, res.model.equations)
    size = np.sqrt(res.sigma.diag())
    size = pd.Series(size, res.model.equations)
    for pair, value in sigma.items():
        i, j = pair.split(":")
        assert_allclose(
            dense.loc[i, j] / (size[i] * size[j]), value / (size[i] * size[j]), atol=rtol
        )
    return llf


def large_k(system):
    """Five firms and twenty years are a warning."""
    return pytest.warns(RankWarning, match="two-step") if "5" in system else nullcontext()


ITERATED = {
    "grunfeld2": lambda: grunfeld(2),
    "grunfeld3": lambda: grunfeld(3),
    "grunfeld5": lambda: grunfeld(5),
    "ppine": ppine,
}
TWO_STEP = {**ITERATED, "grunfeld11": lambda: grunfeld(11), "kmenta": kmenta}


@pytest.mark.parametrize("system", ITERATED)
def test_iterated_is_systemfits(system):
    model, names = ITERATED[system]()
    with large_k(system):
        res = model.fit(**PLAIN)
    assert res.converged
    llf = compare(res, system, "ml", names, 1e-8)
    assert res.llf == pytest.approx(llf, rel=1e-11)


@pytest.mark.parametrize("system", TWO_STEP)
def test_two_steps_are_systemfits(system):
    model, names = TWO_STEP[system]()
    res = model.fit(method="two-step", debiased=False)
    # systemfit's log-likelihood is at the residuals' own covariance, ours at sigma.
    compare(res, system, "two-step", names, 1e-9)
    assert res.llf == pytest.approx(model.loglike(res.params, res.sigma), rel=1e-12)


@pytest.mark.parametrize("dropped", INPUTS)
def test_the_translog_of_berndt_and_wood(dropped):
    """Whichever share is dropped: Barten (1969)."""
    model, symmetry, names = translog(dropped)
    # Finer than `PLAIN`: one coefficient is 3e-14, 1e-11 of its standard error, from where the
    # printed one would be rounded to its neighbour.
    res = model.fit_constrained(symmetry, **{**PLAIN, "gtol": 1e-11})
    llf = compare(res, f"berndt_wood_{dropped}", "ml", names, 1e-7)
    assert res.llf == pytest.approx(llf, rel=1e-11)
    assert res.llf == pytest.approx(344.4673779, abs=1e-6)
    if dropped == "materials":
        assert res.params["capital_labor"] == pytest.approx(-4.709088e-05, abs=5e-12)
    two = model.fit_constrained(symmetry, method="two-step", debiased=False)
    compare(two, f"berndt_wood_{dropped}", "two-step", names, 1e-8)


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("iterate", [True, False])
def test_linearmodels(K, iterate):
    SUR = pytest.importorskip("linearmodels.system").SUR
    model, _ = grunfeld(K)
    theirs = SUR(
        {
            name: {"dependent": y, "exog": X}
            for name, y, X in zip(model.equations, model.endog.T, model.exog, strict=True)
        }
    ).fit(method="gls", iterate=iterate, iter_limit=5000, tol=1e-12, cov_type="unadjusted")
    with large_k(str(K) if iterate else ""):
        ours = model.fit(**PLAIN) if iterate else model.fit(method="two-step", debiased=False)
    assert_allclose((ours.params - theirs.params.to_numpy()) / ours.bse, 0.0, atol=1e-8)
    assert_allclose(ours.bse, theirs.std_errors.to_numpy(), rtol=1e-8)
    if iterate:
        assert_allclose(ours.sigma.to_dense(), theirs.sigma.to_numpy(), rtol=1e-7)


def test_missing_cells_are_lavaans():
    path = REFERENCE / "full_lavaan.csv"
    header = dict(
        line[2:].split(" ", 1) for line in path.read_text().splitlines() if line[0] == "#"
    )
    value = pd.read_csv(path, comment="#").set_index(["quantity", "name"])["value"]
    firms = {"General Motors": "gm", "Chrysler": "ch", "US Steel": "us"}
    data = load_grunfeld()
    data = data[data["firm"].isin(firms)].assign(firm=lambda d: d["firm"].map(firms))
    data[["invest", "value", "capital"]] /= 100.0
    gone = {"gm": [1935, 1936, 1937], "ch": [1937, 1938, 1950], "us": [1953]}
    for firm, years in gone.items():
        data.loc[(data["firm"] == firm) & data["year"].isin(years), "invest"] = np.nan
    res = LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank="full"
    ).fit(**PLAIN)
    names = {
        **{f"i_{f}_v_{f}": f"{f}_value" for f in gone},
        **{f"i_{f}_k_{f}": f"{f}_capital" for f in gone},
        **{f"i_{f}_Intercept": f"{f}_Intercept" for f in gone},
    }
    coef, se = value["coef"], value["std_err"]
    mine = [names[n] for n in coef.index]
    # lavaan stops at a gradient of 1.5e-5.
    assert_allclose((res.params[mine] - coef.to_numpy()) / se.to_numpy(), 0.0, atol=2e-5)
    # Standard errors are others: lavaan's expected information is that of regressors drawn anew,
    # whichever cells are missing.
    assert_allclose(res.bse[mine], se, rtol=0.15)
    assert res.llf == pytest.approx(float(header["llf"]), abs=1e-8)
    dense = pd.DataFrame(res.sigma.to_dense(), res.model.equations, res.model.equations)
    for pair, s in value["sigma"].items():
        i, j = (part.removeprefix("i_") for part in pair.split(":"))
        assert dense.loc[i, j] == pytest.approx(s, rel=1e-4, abs=1e-6)
