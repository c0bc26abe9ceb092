"""Checks of a mixed model: distances and scores by n x n matrices, and what each check is for."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sm_alsgls import LowRankMixedLM
from sm_alsgls.core.mixed.group_checks import Conditional, distances, following
from sm_alsgls.datasets import load_sleepstudy
from tests.models.mixed.data import frame, made
from tests.results.mixed import dense

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


@pytest.fixture(scope="module", params=["full", 1])
def res(request):
    return made(frame(40), request.param).fit()


def matrices(res):
    rows = res.model.rows
    V = dense.covariance(rows, res.cov_re.to_numpy(), res.scale)
    Vi = np.linalg.inv(V)
    C = np.linalg.inv(rows.X.T @ Vi @ rows.X)
    return rows, V, Vi, Vi - Vi @ rows.X @ C @ rows.X.T @ Vi


def test_distances_are_those_of_whole_matrices(res):
    rows, _, Vi, _ = matrices(res)
    found, e = distances(res.estimate.fit), rows.y - rows.X @ res.params
    for i in range(rows.m):
        at = rows.codes == i
        W = Vi[np.ix_(at, at)]
        assert found.responses[i] == pytest.approx(e[at] @ W @ e[at], rel=1e-8)
        Z = rows.Z[at]
        v = Z.T @ W @ e[at]
        assert found.effects[i] == pytest.approx(
            v @ np.linalg.pinv(Z.T @ W @ Z, rcond=1e-9) @ v, rel=1e-5
        )
        assert found.rank[i] == np.linalg.matrix_rank(Z)


def test_distances_know_of_autoregression():
    res = made(frame(40), "full", "y ~ x1", "~ 1", ar="groups", time="t").fit()
    rows, rho = res.model.rows, res.residual_params["rho"]
    apart = np.abs(rows.times[:, None] - rows.times)
    R = res.scale * np.sign(rho) ** apart * np.abs(rho) ** apart
    V = np.where(rows.codes[:, None] == rows.codes, res.cov_re.iloc[0, 0] + R, 0.0)
    e = rows.y - rows.X @ res.params
    expected = [e[at] @ np.linalg.solve(V[np.ix_(at, at)], e[at]) for at in _groups(rows)]
    np.testing.assert_allclose(distances(res.estimate.fit).responses, expected, rtol=1e-8)


def _groups(rows):
    return [np.flatnonzero(rows.codes == i) for i in range(rows.m)]


def test_conditional_residuals_have_the_covariance_of_whole_matrices(res):
    rows, _, _, P = matrices(res)
    fit, s = res.estimate.fit, np.sqrt(res.scale)
    resid = rows.sorted(res.resid)
    found = Conditional(fit, rows.Z, rows.X, resid, rows.codes, np.full(rows.nobs, s))
    np.testing.assert_allclose(found.variances(), res.scale * np.diagonal(P), rtol=1e-8)
    t = np.flatnonzero(rows.codes[1:] == rows.codes[:-1]) + 1
    np.testing.assert_allclose(
        found.covariance(t, t - 1), res.scale * P[t, t - 1], rtol=1e-7, atol=1e-10
    )
    np.testing.assert_allclose(found.r, s * P @ rows.y, rtol=1e-6, atol=1e-8)
    # The numerator of the multiplier is the score.
    score = ((s * P @ rows.y)[t] * (s * P @ rows.y)[t - 1] - res.scale * P[t, t - 1]).sum()
    made_ = following(fit, found, rows.codes)
    assert made_.rho == pytest.approx(score / len(t), rel=1e-6)
    assert np.sign(made_.statistic) == np.sign(score)


def draw(rng, m, T, rho=0.0):
    """Random intercepts, errors that follow each other."""
    e = rng.standard_normal((m, T))
    for t in range(1, T):
        e[:, t] = rho * e[:, t - 1] + np.sqrt(1.0 - rho**2) * e[:, t]
    x = rng.standard_normal((m, T))
    y = 1.0 + x + rng.standard_normal((m, 1)) + e
    data = {"y": y.ravel(), "x": x.ravel(), "g": np.repeat(np.arange(m), T)}
    return pd.DataFrame(data)


def fitted(data):
    return LowRankMixedLM.from_formula("y ~ x", data, groups="g").fit(n_starts=1)


@pytest.mark.slow
def test_clean_data_have_few_doubts():
    """At 5 %, 100 draws: no check rejects in more than 12."""
    rng = np.random.default_rng(0)
    seen = [fitted(draw(rng, 50, 6)).diagnostics().doubts for _ in range(100)]
    for name in (
        "normality, effects", "normality, residuals", "heteroscedasticity",
        "serial correlation within groups", "outlying groups", "outlying effects",
    ):  # fmt: skip
        assert sum(name in doubts for doubts in seen) <= 12, name


def look(data):
    return fitted(data).diagnostics().doubts


def test_each_check_sees_what_it_is_for():
    rng = np.random.default_rng(1)
    clean = draw(rng, 80, 8)
    assert look(clean) == []
    assert "serial correlation within groups" in look(draw(rng, 80, 8, rho=0.4))
    odd = clean.copy()
    odd["y"] += 2.0 * odd["x"] * rng.standard_normal(len(odd))
    assert "heteroscedasticity" in look(odd)
    odd = clean.copy()
    odd.loc[odd["g"] == 7, "y"] += 9.0
    report = fitted(odd).diagnostics()
    assert {"outlying effects", "normality, effects"} <= set(report.doubts)
    assert report.groups["effect_distance"].idxmax() == 7
    odd = clean.copy()
    odd.loc[odd["g"] == 5, "y"] += 6.0 * rng.standard_normal(8)
    report = fitted(odd).diagnostics()
    assert "outlying groups" in report.doubts
    assert report.groups["pvalue"].idxmin() == 5
    odd = clean.copy()
    odd["y"] += stats.t(2).rvs(len(odd), random_state=3)
    assert "normality, residuals" in look(odd)


def test_what_is_not_to_be_seen_is_left_out():
    data = frame(40)
    res = made(data, "full", "y ~ x1", "~ 1", ar="groups", time="t").fit()
    table = res.diagnostics().table
    assert table.loc["serial correlation within groups", "verdict"] == "-"
    parts = made(iter([data.iloc[:90], data.iloc[90:]]), 1).fit()
    table = parts.diagnostics().table
    assert table.loc["heteroscedasticity", "found"] == "the rows are not kept"
    assert table.loc["outlying groups", "verdict"] != "-"
    few = made(data[data["g"] < 6], "diagonal", "y ~ x1", "~ 1").fit().diagnostics().table
    assert few.loc["normality, effects", "found"] == "too few groups"


def test_singular_covariances_want_a_look():
    res = made(frame(12, seed=2), "full").fit()
    report = res.diagnostics()
    assert "boundary of variances" in report.doubts
    assert "has variance 0" in report.table.loc["boundary of variances", "found"]


def test_report_reads():
    data = load_sleepstudy()
    res = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject").fit()
    report = res.diagnostics()
    assert "18 Groups, 180 Observations" in str(report)
    assert "outlying groups" in repr(report)
    assert report.effects.index.tolist() == ["Group", "Days"]
    assert report.groups.index.name == "Subject"
