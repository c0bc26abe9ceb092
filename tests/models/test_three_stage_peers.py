"""LowRank3SLS with rank="full" against systemfit, AER and linearmodels.

Scripts and data of the references are in tests/reference/.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.base.model import LikelihoodModel

import sm_alsgls
from tests.reference import three_stage_linearmodels as peers

if not hasattr(sm_alsgls, "LowRank3SLS"):
    pytest.skip("LowRank3SLS is not there", allow_module_level=True)

from sm_alsgls import LowRank3SLS
from sm_alsgls.exceptions import NotApplicableError

# Klein's profits have a first-stage F of 2.
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")
needs_formulas = pytest.mark.skipif(
    LowRank3SLS.from_formula.__func__ is LikelihoodModel.from_formula.__func__,
    reason="formulas are not there",
)

REFERENCE = peers.HERE
# Of an equation: response, exogenous, endogenous, excluded instruments.
KLEIN_OWN = {
    name: (*of, excluded)
    for (name, of), excluded in zip(
        peers.KLEIN.items(),
        (["govExp", "taxes", "govWage"], ["govExp", "taxes"], ["govExp", "taxes"]),
        strict=True,
    )
}
MARKET_OWN = {
    "demand": ("consump", ["income"], ["price"], ["farmPrice"]),
    "supply": ("consump", ["farmPrice", "trend"], ["price"], ["income"]),
}
MARKET = {**MARKET_OWN, "demand": ("consump", ["income"], ["price"], ["farmPrice", "trend"])}
SYSTEMS = {
    "klein": (peers.klein_equations(), peers.klein),
    "klein_own": (KLEIN_OWN, peers.klein),
    "kmenta": (MARKET, lambda: pd.read_csv(REFERENCE / "kmenta.csv")),
    "kmenta_own": (MARKET_OWN, lambda: pd.read_csv(REFERENCE / "kmenta.csv")),
    "simulated_own": (peers.OWN, lambda: pd.read_csv(peers.SIMULATED)),
    "simulated_common": (peers.common(peers.OWN), lambda: pd.read_csv(peers.SIMULATED)),
}
# Sigma = E'E / N, as theirs.
PLAIN = {"debiased": False}
FIXED = {"iterate": True, "tol": 1e-12, "maxiter": 2000}


def model_of(system):
    """Of frames; formulas make the same model, see below."""
    equations, data = SYSTEMS[system]
    data = data().assign(Intercept=1.0)
    return LowRank3SLS(
        {name: data[y] for name, (y, *_) in equations.items()},
        {name: data[["Intercept", *x, *w]] for name, (_, x, w, _) in equations.items()},
        {name: data[["Intercept", *x, *z]] for name, (_, x, _, z) in equations.items()},
        rank="full",
    )


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


def compare_sigma(res, table, system, method, rtol=1e-8, quantity="residual_sigma"):
    """Of the last residuals, as a correlation matrix where it is one."""
    equations = res.model.equations
    dense = pd.DataFrame(res.sigma.to_dense(), equations, equations)
    size = pd.Series(np.sqrt(np.diag(dense)), equations)
    for pair, value in of(table, system, method, quantity).items():
        i, j = pair.split(":")
        assert dense.loc[i, j] / (size[i] * size[j]) == pytest.approx(
            value / (size[i] * size[j]), abs=rtol
        )


@pytest.mark.parametrize("system", ["klein", "klein_own", "kmenta", "kmenta_own"])
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
    with pytest.raises(NotApplicableError, match="no moment is left"):
        one.j_test()


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


def test_the_simulated_system_is_the_stored_one():
    stored = pd.read_csv(peers.SIMULATED)
    pd.testing.assert_frame_equal(stored, peers.simulate(), rtol=1e-12)


@pytest.mark.parametrize("system", ["simulated_own", "simulated_common"])
@pytest.mark.parametrize("weight", ["homoskedastic", "heteroskedastic"])
def test_gmm_is_linearmodels(system, weight, tables):
    table, method = tables["linearmodels"], f"gmm {weight}"
    model = model_of(system)
    res = model.fit(method="gmm", weight=weight, **PLAIN)
    # Theirs of the heteroskedastic weight are a sandwich with the last residuals in the middle.
    compare(res, table, system, method, errors=weight == "homoskedastic")
    J = of(table, system, method, "J")
    assert res.j_test().df == int(J.index[0])
    assert res.j_test().statistic == pytest.approx(J.iloc[0], rel=1e-9)
    if weight == "homoskedastic":
        compare_sigma(model.fit(method="2sls", **PLAIN), table, system, method, quantity="sigma")
    else:
        robust = res.get_robustcov_results("HC0")
        compare(robust, table, system, method)


def test_3sls_is_linearmodels(tables):
    table, system = tables["linearmodels"], "simulated_common"
    model = model_of(system)
    res = model.fit(method="iv", **PLAIN)
    compare(res, table, system, "3sls")
    # Theirs is the Sigma of 2SLS residuals, which made the weights.
    compare_sigma(model.fit(method="2sls", **PLAIN), table, system, "3sls", quantity="sigma")
    compare(model.fit(method="iv", **FIXED, **PLAIN), table, system, "3sls iterated")
    group = pd.read_csv(peers.SIMULATED)["group"]
    compare(res.get_robustcov_results("HC0"), table, system, "3sls HC0")
    clustered = res.get_robustcov_results("cluster", groups=group, correction="CR0")
    compare(clustered, table, system, "3sls CR0")
    hac = res.get_robustcov_results("HAC", maxlags=3, use_correction=False)
    compare(hac, table, system, "3sls HAC 3")


ONE_LIST = {
    "consump": "consump ~ corpProf + corpProfLag + wages",
    "invest": "invest ~ corpProf + corpProfLag + capitalLag",
    "privWage": "privWage ~ gnp + gnpLag + trend",
}


@needs_formulas
def test_every_way_to_write_kleins_model_is_the_same():
    """systemfit's list, linearmodels' brackets, reg3's all of the system, and frames."""
    data, expected = peers.klein(), model_of("klein").fit(**PLAIN).params
    every = " + ".join(peers.KLEIN_EXOGENOUS)
    brackets = {
        name: f"{y} ~ {' + '.join(x)} + [{' + '.join(w)} ~ {' + '.join(z)}]"
        for name, (y, x, w, z) in peers.klein_equations().items()
    }
    own = {
        name: f"{y} ~ {' + '.join(x)} + [{' + '.join(w)} ~ {' + '.join(z)}]"
        for name, (y, x, w, z) in KLEIN_OWN.items()
    }
    make = LowRank3SLS.from_formula
    models = {
        "list": make(ONE_LIST, data, rank="full", instruments=f"~ {every}"),
        "mapping": make(ONE_LIST, data, "full", instruments=dict.fromkeys(ONE_LIST, f"~ {every}")),
        "brackets": make(brackets, data, rank="full"),
        "common": make(own, data, rank="full", common_instruments=True),
    }
    for model in models.values():
        params = model.fit(**PLAIN).params
        assert_allclose(params[expected.index], expected, rtol=1e-9)
        assert model.endogenous == {"consump": ["corpProf", "wages"], "invest": ["corpProf"],
                                    "privWage": ["gnp"]}  # fmt: skip


def test_first_stages_and_sargan_are_ivregs(tables):
    for system, method in (("klein", "2sls"), ("klein_own", "iv"), ("kmenta", "gmm")):
        res = model_of(system).fit(method=method, **PLAIN)
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
    N = 200_000
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
    assert_allclose(theirs, 0.3, atol=0.02)
    assert (np.abs(theirs - 1.0) > 100 * fits["iv"].bse).all()
