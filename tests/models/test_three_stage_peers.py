"""LowRank3SLS with rank="full" against systemfit, AER and linearmodels.

Scripts and data of the references are in tests/reference/.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import sm_alsgls
from tests.reference import three_stage_linearmodels as peers

if not hasattr(sm_alsgls, "LowRank3SLS"):
    pytest.skip("LowRank3SLS is not there", allow_module_level=True)

from sm_alsgls import LowRank3SLS

# Klein's profits have a first-stage F of 2.
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")

REFERENCE = peers.HERE
KLEIN = {
    "consump": "consump ~ corpProf + corpProfLag + wages",
    "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    "privWage": "privWage ~ gnp + gnpLag + trend",
}
KLEIN_INSTRUMENTS = "~ " + " + ".join(peers.KLEIN_EXOGENOUS)
KLEIN_OWN = {
    "consump": "~ govExp + taxes + govWage + corpProfLag",
    "invest": "~ govExp + taxes + capitalLag + corpProfLag",
    "privWage": "~ govExp + taxes + trend + gnpLag",
}
MARKET = {"demand": "consump ~ price + income", "supply": "consump ~ price + farmPrice + trend"}
SYSTEMS = {
    "klein": (KLEIN, KLEIN_INSTRUMENTS, peers.klein),
    "klein_own": (KLEIN, KLEIN_OWN, peers.klein),
    "kmenta": (MARKET, "~ income + farmPrice + trend", lambda: kmenta()),
    "kmenta_own": (
        MARKET,
        {"demand": "~ income + farmPrice", "supply": "~ income + farmPrice + trend"},
        lambda: kmenta(),
    ),
}
# Sigma = E'E / N, as theirs.
PLAIN = {"debiased": False}
FIXED = {"iterate": True, "rel_tol": 1e-12}


def kmenta():
    return pd.read_csv(REFERENCE / "kmenta.csv")


def model_of(system):
    formulas, instruments, data = SYSTEMS[system]
    return LowRank3SLS.from_formula(formulas, data(), rank="full", instruments=instruments)


def simulated(equations, data):
    """From linearmodels' own formulas: endogenous regressors and instruments in brackets."""
    formulas = {
        name: f"{y} ~ {' + '.join(exog)} + [{' + '.join(endog)} ~ {' + '.join(z)}]"
        for name, (y, exog, endog, z) in equations.items()
    }
    return LowRank3SLS.from_formula(formulas, data, rank="full")


@pytest.fixture(scope="module")
def tables():
    return {
        name: pd.read_csv(REFERENCE / f"three_stage_{name}.csv", comment="#", keep_default_na=False)
        for name in ("systemfit", "linearmodels")
    }


def of(table, system, method, quantity):
    rows = table[
        (table["system"] == system) & (table["method"] == method) & (table["quantity"] == quantity)
    ]
    assert len(rows)
    names = [n.replace("(Intercept)", "Intercept").replace("_const", "_Intercept")
             for n in rows["name"]]  # fmt: skip
    return pd.Series(rows["value"].to_numpy(dtype=float), names)


def compare(res, table, system, method, rtol=1e-8, errors=True):
    """Coefficients in units of standard errors: one may be zero."""
    coef, se = (of(table, system, method, q) for q in ("coef", "std_err"))
    assert sorted(coef.index) == sorted(res.params.index)
    assert_allclose((res.params[coef.index] - coef) / se, 0.0, atol=rtol)
    if errors:
        assert_allclose(res.bse[se.index], se, rtol=rtol)


def compare_sigma(res, table, system, method, rtol=1e-8):
    equations = res.model.equations
    dense = pd.DataFrame(res.sigma.to_dense(), equations, equations)
    size = pd.Series(np.sqrt(np.diag(dense)), equations)
    for pair, value in of(table, system, method, "sigma").items():
        i, j = pair.split(":")
        assert dense.loc[i, j] / (size[i] * size[j]) == pytest.approx(
            value / (size[i] * size[j]), abs=rtol
        )


@pytest.mark.parametrize("system", SYSTEMS)
def test_2sls_is_systemfits(system, tables):
    res = model_of(system).fit(method="2sls", **PLAIN)
    compare(res, tables["systemfit"], system, "2sls")


@pytest.mark.parametrize("theirs", ["GLS", "IV", "GMM", "Schmidt", "EViews"])
@pytest.mark.parametrize("method", ["iv", "gmm"])
@pytest.mark.parametrize("system", ["klein", "kmenta"])
def test_with_common_instruments_every_form_is_3sls(system, method, theirs, tables):
    res = model_of(system).fit(method=method, **PLAIN)
    # Where Z'Z of levels is inverted, theirs has an error of 7e-10.
    compare(res, tables["systemfit"], system, theirs)
    compare_sigma(res, tables["systemfit"], system, theirs)


@pytest.mark.parametrize("system", ["klein_own", "kmenta_own"])
def test_with_own_instruments_iv_and_gmm_are_systemfits(system, tables):
    model, table = model_of(system), tables["systemfit"]
    # Their standard errors of "IV" are roots of the diagonal of an inverse that is not symmetric.
    iv = model.fit(method="iv", **PLAIN)
    compare(iv, table, system, "IV", errors=False)
    compare_sigma(iv, table, system, "IV")
    compare(model.fit(method="gmm", **PLAIN), table, system, "GMM")


def test_without_surplus_gmm_is_2sls():
    model = model_of("kmenta_own")
    one, other = (model.fit(method=m, **PLAIN) for m in ("gmm", "2sls"))
    assert_allclose(one.params, other.params, rtol=1e-9)
    assert one.j_test().df == 0


@pytest.mark.parametrize(
    ("system", "theirs"),
    [
        ("klein", "GLS iterated"),
        ("kmenta", "GLS iterated"),
        ("klein_own", "IV iterated"),
        ("kmenta_own", "IV iterated"),
    ],
)
def test_the_fixed_point_is_systemfits(system, theirs, tables):
    res = model_of(system).fit(method="iv", **FIXED, **PLAIN)
    assert res.converged
    table, own = tables["systemfit"], system.endswith("own")
    # Both stop where coefficients move by 1e-12 of their length, at rates up to .8 an iteration.
    compare(res, table, system, theirs, rtol=1e-8, errors=not own)
    compare_sigma(res, table, system, theirs, rtol=1e-8)


def test_kleins_j_is_linearmodels(tables):
    res = model_of("klein").fit(method="gmm", **PLAIN)
    J = of(tables["linearmodels"], "klein", "gmm homoskedastic", "J")
    test = res.j_test()
    assert test.df == int(J.index[0]) == 12
    assert test.statistic == pytest.approx(J.iloc[0], rel=1e-10)


def frames():
    return {"simulated_own": peers.OWN, "simulated_common": peers.common(peers.OWN)}


def test_the_simulated_system_is_the_stored_one():
    stored = pd.read_csv(peers.SIMULATED)
    pd.testing.assert_frame_equal(stored, peers.simulate(), rtol=1e-12)


@pytest.mark.parametrize("system", frames())
@pytest.mark.parametrize("weight", ["homoskedastic", "heteroskedastic"])
def test_gmm_is_linearmodels(system, weight, tables):
    table, method = tables["linearmodels"], f"gmm {weight}"
    res = simulated(frames()[system], pd.read_csv(peers.SIMULATED)).fit(
        method="gmm", weight=weight, **PLAIN
    )
    # Theirs of the heteroskedastic weight are a sandwich with the last residuals in the middle.
    compare(res, table, system, method, errors=weight == "homoskedastic")
    J = of(table, system, method, "J")
    assert res.j_test().df == int(J.index[0])
    assert res.j_test().statistic == pytest.approx(J.iloc[0], rel=1e-9)
    if weight == "homoskedastic":
        compare_sigma(res, table, system, method)
    else:
        robust = res.get_robustcov_results("HC0")
        compare(robust, table, system, method)


def test_3sls_is_linearmodels(tables):
    table, system = tables["linearmodels"], "simulated_common"
    data = pd.read_csv(peers.SIMULATED)
    model = simulated(frames()[system], data)
    res = model.fit(method="iv", **PLAIN)
    compare(res, table, system, "3sls")
    compare_sigma(res, table, system, "3sls")
    compare(model.fit(method="iv", **FIXED, **PLAIN), table, system, "3sls iterated")
    compare(res.get_robustcov_results("HC0"), table, system, "3sls HC0")


def test_brackets_and_one_list_are_the_same():
    """linearmodels' way to write Klein's model, and systemfit's."""
    data = peers.klein()
    one = simulated(peers.klein_equations(), data).fit(**PLAIN)
    other = model_of("klein").fit(**PLAIN)
    assert_allclose(one.params[other.params.index], other.params, rtol=1e-9)


def test_first_stages_and_sargan_are_ivregs(tables):
    for system in ("klein", "klein_own", "kmenta"):
        res = model_of(system).fit(method="2sls", **PLAIN)
        first, sargan = res.first_stage.table, res.sargan()
        value, df = (of(tables["systemfit"], system, "ivreg", q) for q in ("statistic", "df"))
        for name, expected in value.items():
            equation, test, regressor = name.split(":")
            if test == "Sargan":
                assert sargan.loc[equation, "sargan"] == pytest.approx(expected, rel=1e-8)
                assert sargan.loc[equation, "df"] == df[name]
            else:
                found = first.loc[(equation, regressor), "fvalue"]
                assert found == pytest.approx(expected, rel=1e-8)


def test_the_peers_formula_is_not_consistent_with_own_instruments():
    """y - Xhat b in place of y - X b: IV3SLS is 1 - .7 in the limit, by far more than it says."""
    rng = np.random.default_rng(0)
    N = 20_000
    z = rng.standard_normal((N, 2))
    E = rng.standard_normal((N, 2)) @ np.linalg.cholesky([[1.0, 0.7], [0.7, 1.0]]).T
    W = z.sum(axis=1)[:, None] + 0.6 * E + 0.8 * rng.standard_normal((N, 2))
    Y = W + E
    model = LowRank3SLS(Y, [W[:, [0]], W[:, [1]]], [z[:, [0]], z[:, [1]]], rank="full")
    fits = {method: model.fit(method=method) for method in ("2sls", "iv", "gmm")}
    for res in fits.values():
        assert (np.abs(res.params - 1.0) < 4 * res.bse).all()
    # Their normal equations at the same Sigma, for scalar Xhat.
    P = np.linalg.inv(fits["iv"].sigma.to_dense())
    fitted = z * (z * W).sum(axis=0) / (z * z).sum(axis=0)
    theirs = np.linalg.solve(P * (fitted.T @ fitted), (P * (fitted.T @ Y)).sum(axis=1))
    assert_allclose(theirs, 0.3, atol=0.05)
    assert (np.abs(theirs - 1.0) > 20 * fits["iv"].bse).all()
