"""spatialreg's values on Columbus: errors, a lag, both; standard errors, effects, tests."""

import numpy as np
import pytest

from sm_alsgls.core.errors.equal_variances import equal_variances
from sm_alsgls.core.laws.chain import Chain
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.spatial_effects import spatial_effects
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_information import expected_covariance
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.core.laws.spatial_rows import SpatialRows
from sm_alsgls.core.laws.spatial_tests import spatial_tests
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.same_products import Rows
from tests.core.laws.columbus import columbus, of_rows, reference

TIGHT = ALSOptions(gtol=1e-9)


def fitted(*, error=False, lag=False):
    Y, X, weights = of_rows()
    law = Chain([SpatialRows(weights, 0.0)] if error else [])
    of_lag = SpatialLag(weights) if lag else None
    return maximise(RawSystem(Y, [X], law, TIGHT, lag=of_lag), 0)


def params(fit):
    return fit.problem.design.to_params(fit.found.best.gamma)


def values(fit):
    found = fit.found.best.nuisance
    short = {"spatial_error": "lam", "spatial_lag": "rho"}
    return {short[n]: v for n, v in zip(found.names, found.values, strict=True)}


@pytest.mark.parametrize(
    ("kind", "laws"),
    [
        ("error", {"error": True}),
        ("lag", {"lag": True}),
        ("both", {"error": True, "lag": True}),
    ],
)
def test_estimates_and_expected_standard_errors(kind, laws):
    fit, expected = fitted(**laws), reference()
    found = values(fit)
    assert fit.found.best.converged
    for name, value in found.items():
        assert value == pytest.approx(expected[f"{kind}.{name}"], abs=1e-6)
    np.testing.assert_allclose(params(fit), expected[f"{kind}.b"], rtol=1e-6)
    assert -49 * fit.found.best.nll == pytest.approx(expected[f"{kind}.llf"], abs=1e-7)
    s2 = float(fit.found.best.cov.diag()[0])
    assert s2 == pytest.approx(expected[f"{kind}.s2"], rel=1e-6)
    W = columbus()[2].W
    made = expected_covariance(
        columbus()[1],
        params(fit),
        s2,
        lag=(W, found["rho"]) if "rho" in found else None,
        error=(W, found["lam"]) if "lam" in found else None,
    )
    np.testing.assert_allclose(np.sqrt(np.diag(made.params)), expected[f"{kind}.b.se"], rtol=1e-6)
    se = [expected[f"{kind}.{name}.se"] for name in ("rho", "lam") if name in found]
    np.testing.assert_allclose(np.sqrt(np.diag(made.values)), se, rtol=1e-6)


def test_one_row_of_49_equations_is_the_cross_section():
    """The law across equations, at the lam found among rows: one Sigma of 49, one row."""
    weights = columbus()[2]
    fit = fitted(error=True)
    E = fit.system.residuals(fit.problem.design, fit.found.best.gamma).T
    law = SpatialError(equal_variances(Rows.of([np.ones((1, 1))] * 49, E)), weights, 0.0)
    law = law.at(fit.found.best.nuisance.values)
    step = law.sigma(E, 0, floor=np.zeros(49), near=None, d=None, block=None, gtol=1e-9)
    assert step.nll + law.constant == pytest.approx(49 * fit.found.best.nll, rel=1e-10)
    assert law.gradient(E, step.cov)[0] == pytest.approx(0.0, abs=1e-5)


def test_effects():
    fit, expected = fitted(lag=True), reference()
    _, X, weights = columbus()
    rho = values(fit)["rho"]
    made = expected_covariance(
        X, params(fit), float(fit.found.best.cov.diag()[0]), lag=(weights.W, rho)
    )
    cov = np.block([[made.params, made.both], [made.both.T, made.values]])[1:, 1:]
    found = spatial_effects(weights, rho, params(fit)[1:], cov)
    for name in ("direct", "indirect", "total"):
        np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-6)


def test_lagrange_multipliers():
    Y, X, weights = of_rows()
    found = spatial_tests(Problem.from_rows(Rows.of([X], Y), ALSOptions()), weights)
    names = ("LMerr", "LMlag", "RLMerr", "RLMlag", "SARMA")
    for test, name in zip(found, names, strict=True):
        statistic, pvalue = reference()[name]
        assert test.statistic == pytest.approx(statistic, rel=1e-9)
        assert test.pvalue == pytest.approx(pvalue, rel=1e-9)


def test_the_interval():
    np.testing.assert_allclose(columbus()[2].interval, reference()["interval"], rtol=1e-9)
