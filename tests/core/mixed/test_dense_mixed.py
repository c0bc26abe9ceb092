"""The dense twin against lme4, lmerTest, pbkrtest, nlme and clubSandwich (tests/reference).

At R's own estimates of variances, so that no optimizer comes between.
"""

import numpy as np
import pytest

from tests.core.mixed import dense_mixed as dense
from tests.core.mixed.references import rows, values

LME4, NLME, CLUSTER = values("lme4"), values("nlme"), values("cluster")
LINEAR = [name for name, fit in LME4.items() if not fit["weighted"]]


def residual(fit, data):
    """R = s2 S C S of a fit: correlations, levels' ratios, weights."""
    ratios = fit.get("ratios", {"Female": 1.0, "Male": 1.0})
    scales = np.where(data.female, ratios["Female"], ratios["Male"]) / np.sqrt(data.weights)
    C = dense.ar1(data.codes, data.times, fit["phi"]) if "phi" in fit else np.eye(len(data.y))
    return fit["sigma"] ** 2 * scales[:, None] * C * scales


def problem(fit):
    """Rows, V, dV (residual laws: of G and s2 alone)."""
    data, G = rows(fit), np.array(fit["cov_re"])
    R = residual(fit, data)
    V = dense.marginal(data.Z, data.codes, G, R)
    units = dense.symmetric_units(len(G), fit.get("diagonal", False))
    return data, V, dense.linear_derivatives(data.Z, data.codes, units, R / fit["sigma"] ** 2)


def hypotheses(fit):
    """Single rows, all but the constant, all."""
    eye = np.eye(len(fit["fixef"]))
    return list(eye), eye[1:], eye


@pytest.mark.parametrize("package", ["lme4", "nlme", "cluster"])
def test_likelihood_and_coefficients(package):
    for name, fit in values(package).items():
        data, V, _ = problem(fit)
        llf = dense.log_likelihood(data.X, data.y, V, name.endswith("REML"))
        np.testing.assert_allclose(llf, fit["llf"], rtol=1e-9, err_msg=name)
        b, Phi, _ = dense.estimate(data.X, data.y, V)
        np.testing.assert_allclose(b, fit["fixef"], rtol=1e-6, err_msg=name)
        if "vcov" in fit:
            np.testing.assert_allclose(Phi, fit["vcov"], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", LME4)
def test_effects_and_their_covariances(name):
    fit = LME4[name]
    data, V, _ = problem(fit)
    e = np.linalg.solve(V, data.y - data.X @ np.array(fit["fixef"]))
    G = np.array(fit["cov_re"])
    for i, group in enumerate(dense.blocks(data.codes)):
        Z = data.Z[group]
        np.testing.assert_allclose(G @ Z.T @ e[group], fit["ranef"][i], rtol=1e-5, atol=1e-6)
        if fit.get("cond_var"):
            known = G - G @ Z.T @ np.linalg.solve(V[np.ix_(group, group)], Z) @ G
            np.testing.assert_allclose(known, fit["cond_var"][i], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LINEAR)
def test_satterthwaite(name):
    """lmerTest's derivatives are numerical."""
    fit, reml = LME4[name], name.endswith("REML")
    data, V, dV = problem(fit)
    single, joint, both = hypotheses(fit)
    found = [dense.satterthwaite(data.X, data.y, V, dV, row, reml) for row in single]
    expected = fit["satterthwaite"]
    np.testing.assert_allclose(found, expected["df"], rtol=5e-6)
    for L, test in ((joint, "joint"), (both, "both")):
        df = dense.satterthwaite(data.X, data.y, V, dV, L, reml)
        np.testing.assert_allclose(df, expected[test]["ddf"], rtol=5e-6)


@pytest.mark.parametrize("name", [name for name in LINEAR if name.endswith("REML")])
def test_kenward_roger(name):
    fit, expected = LME4[name], LME4[name]["kenward_roger"]
    data, V, dV = problem(fit)
    adjusted, _ = dense.kenward_roger_covariance(data.X, V, dV)
    np.testing.assert_allclose(adjusted, expected["vcov"], rtol=1e-6, atol=1e-9)
    single, joint, both = hypotheses(fit)
    tests = list(zip(single, expected["single"], strict=True))
    for L, test in [*tests, (joint, expected["joint"]), (both, expected["both"])]:
        found = dense.kenward_roger(data.X, data.y, V, dV, L)
        np.testing.assert_allclose(found, [test["F"], test["ddf"], test["scaling"]], rtol=1e-6)


@pytest.mark.parametrize("name", CLUSTER)
@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
def test_clusters(name, kind):
    fit = CLUSTER[name]
    data, V, _ = problem(fit)
    expected = fit[kind]
    found = dense.cluster_covariance(data.X, data.y, V, data.codes, kind)
    np.testing.assert_allclose(found, expected["vcov"], rtol=1e-6, atol=1e-9)
    single, joint, _ = hypotheses(fit)
    df = [dense.cluster_df(data.X, V, data.codes, kind, row) for row in single]
    np.testing.assert_allclose(df, expected["df"], rtol=1e-6)
    if kind == "CR2":
        test = expected["joint"]
        found = dense.cluster_joint(data.X, data.y, V, data.codes, kind, joint)
        np.testing.assert_allclose(found, [test["F"], test["ddf"], test["scaling"]], rtol=1e-6)


def autoregressive(fit, point):
    """V, dV, d2V at (G, s2, rho), with their first and second derivatives in all three."""
    data = rows(fit)
    g, s2, rho = point
    lag = np.abs(data.times[:, None] - data.times[None, :])
    C = dense.ar1(data.codes, data.times, rho)
    slope, curve = C * lag / rho, C * lag * (lag - 1.0) / rho**2
    V = dense.marginal(data.Z, data.codes, np.array([[g]]), s2 * C)
    dV = [*dense.linear_derivatives(data.Z, data.codes, [np.eye(1)], C), s2 * slope]
    d2V = [[None] * 3, [None, None, slope], [None, slope, s2 * curve]]
    return data, V, dV, d2V


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_information_where_the_law_is_not_linear_is_the_scores_change(method):
    fit, reml = NLME[f"sleepstudy ar intercept few {method}"], method == "REML"
    point = np.array([fit["cov_re"][0][0], fit["sigma"] ** 2, fit["phi"]])

    def score(at):
        data, V, dV, _ = autoregressive(fit, at)
        return dense.score(data.X, data.y, V, dV, reml)

    data, V, dV, d2V = autoregressive(fit, point)
    found = dense.observed_information(data.X, data.y, V, dV, reml, d2V)
    np.testing.assert_allclose(score(point) * point, 0.0, atol=1e-3)  # nlme's maximum
    steps = np.diag(1e-5 * point)
    differences = [(score(point - h) - score(point + h)) / (2.0 * h.sum()) for h in steps]
    np.testing.assert_allclose(found, differences, rtol=1e-5)
