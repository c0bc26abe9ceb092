"""``res.diagnostics()``: planted faults are found by name, clean systems are left alone."""

import functools
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.stattools import durbin_watson

from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.core.residuals.residual_tests import arch, ljung_box
from sm_alsgls.exceptions import DataRemovedError, OptionError
from sm_alsgls.results.checks.report import Diagnostics
from sm_alsgls.results.checks.tails import tail
from tests.systems import simulate

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]
CHECKS = [
    "convergence", "curvature", "Heywood cases", "communalities", "condition of designs",
    "last factor", "factors left", "residual correlation", "factors and regressors",
    "normality, jointly",
    "normality, equations", "serial correlation, jointly", "serial correlation, equations",
    "serial correlation, factors", "ARCH, equations", "heteroscedasticity, equations",
    "heteroscedasticity, rows", "outlying rows", "leverage of rows",
]  # fmt: skip
TESTED = [name for name in CHECKS[6:-1] if name != "residual correlation"]


def labelled(N=120, K=12, p=3, r=2, seed=7):
    X, Y, _ = simulate(N, K, p, r, seed=seed)
    index = pd.period_range("2000-01", periods=N, freq="M").astype(str)
    Y = pd.DataFrame(Y, index, [f"firm {j}" for j in range(K)])
    return Y, [pd.DataFrame(x, index, ["one", *(f"z{i}" for i in range(1, p))]) for x in X]


def diagnosed(Y, X, rank=2, **kwds):
    return LowRankSUR(Y, X, rank=rank).fit(n_starts=1).diagnostics(**kwds)


@functools.cache
def of_clean(rank):
    """Of as many factors as there are."""
    return diagnosed(*labelled(r=rank), rank=rank)


@pytest.fixture(scope="module")
def clean():
    return of_clean(2)


@pytest.mark.slow
def test_shape_of_the_report(clean):
    assert isinstance(clean, Diagnostics)
    assert list(clean.table.index) == CHECKS
    assert list(clean.table.columns) == ["statistic", "pvalue", "verdict", "found", "advice"]
    assert set(clean.table.verdict) <= {"ok", "look", "-"}
    assert list(clean.equations) == [
        "condition", "communality", "heywood", "jarque_bera", "normality", "durbin_watson",
        "ljung_box", "arch", "koenker",
    ]  # fmt: skip
    assert list(clean.rows) == ["distance", "pvalue", "leverage"]
    assert list(clean.factors) == ["ljung_box", "durbin_watson"]
    assert (len(clean.equations), len(clean.rows), len(clean.factors)) == (12, 120, 2)
    assert len(clean.pairs) == 10
    text = str(clean)
    assert all(name in text for name in CHECKS)
    assert "<table" in clean._repr_html_()
    assert repr(clean).startswith("<Diagnostics: ")
    again = pickle.loads(pickle.dumps(clean))
    pd.testing.assert_frame_equal(again.table, clean.table)


@pytest.mark.slow
def test_numbers_are_those_of_the_results():
    Y, X = labelled()
    res = LowRankSUR(Y, X, rank=2).fit(n_starts=1)
    report = res.diagnostics()
    E, Sigma = res.resid.to_numpy(), res.sigma.to_dense()
    distance = np.einsum("nk,kl,nl->n", E, np.linalg.inv(Sigma), E)
    np.testing.assert_allclose(report.rows.distance, distance, rtol=1e-8)
    np.testing.assert_allclose(report.equations.communality, res.communalities)
    S, scale = E.T @ E / 120, np.sqrt(np.diag(Sigma))
    R = (S - Sigma) / np.outer(scale, scale)
    first = report.pairs.iloc[0]
    at = [list(Y.columns).index(first[name]) for name in ("equation", "other")]
    assert first.correlation == pytest.approx(R[at[0], at[1]], rel=1e-6)
    assert abs(first.correlation) == pytest.approx(np.abs(np.triu(R, 1)).max(), rel=1e-6)
    Z = E / np.sqrt(res.uniquenesses.to_numpy())
    root = np.linalg.eigvalsh(Z.T @ Z / 120)[::-1][2]
    assert report.table.statistic["factors left"] == pytest.approx(root, rel=1e-2)
    means = [np.diag(x @ np.linalg.pinv(x)) for x in map(np.asarray, X)]
    np.testing.assert_allclose(report.rows.leverage, np.mean(means, axis=0), rtol=1e-8)


def test_pesaran_statistics_before_and_after_the_factors():
    res = LowRankSUR(*labelled(), rank=2).fit(n_starts=1)
    found = res.diagnostics().table.found["residual correlation"]
    before, after = (float(word) for word in re.findall(r"(?:CD|,) (-?[\d.]+) of ", found))
    Y, X = labelled()
    E = np.column_stack(
        [
            y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
            for y, x in zip(Y.T.to_numpy(), map(np.asarray, X), strict=True)
        ]
    )
    F, P = res.sigma.loadings, np.linalg.inv(res.sigma.to_dense())
    e = res.resid.to_numpy()
    upper = np.triu_indices(12, 1)
    for cd, residuals in ((before, E), (after, e - e @ P @ F @ F.T)):
        unit = residuals / np.linalg.norm(residuals, axis=0)
        total = (unit.T @ unit)[upper].sum()
        assert cd == pytest.approx(np.sqrt(2 * 120 / (12 * 11)) * total, abs=0.051)


def test_checks_of_factors_are_those_of_their_scores():
    res = LowRankSUR(*labelled(), rank=2).fit(n_starts=1)
    report = res.diagnostics()
    scores = res.factor_scores.to_numpy()
    np.testing.assert_allclose(report.factors.durbin_watson, durbin_watson(scores), rtol=1e-12)
    lags = report.table.found["serial correlation, equations"]
    m = int(lags.split("Ljung-Box, ")[1].split(" lags")[0])
    nominal = ljung_box(scores, m)[1]
    assert report.table.pvalue["serial correlation, factors"] == pytest.approx(
        min(1.0, 2 * report.factors.ljung_box.min())
    )
    # Corrected for tails of the approximation: the order is that of the nominal values.
    assert list(np.argsort(report.factors.ljung_box)) == list(np.argsort(nominal))
    assert report.table.statistic["curvature"] == res.curvature().lowest


def test_without_factors_there_is_nothing_to_say_of_them():
    report = LowRankSUR(*labelled(), rank=0).fit().diagnostics()
    assert report.table.verdict["serial correlation, factors"] == "-"
    assert report.table.found["serial correlation, factors"] == "there are no factors"
    assert report.table.found["curvature"] == "no factors, no other maximum"
    assert report.factors.empty
    # Two factors are in the errors, and the 199 draws without any never look so.
    assert report.table.pvalue["residual correlation"] == pytest.approx(1 / 200)
    assert "199 draws of uncorrelated errors" in report.table.found["residual correlation"]


@pytest.mark.parametrize(("N", "lags"), [(36, 3), (60, 4), (19, 1)])
@pytest.mark.slow
def test_arch_looks_back_a_tenth_of_the_rows(N, lags):
    res = LowRankSUR(*labelled(N, 4, 2, 1), rank=1).fit(n_starts=1)
    p = tail("arch", N, lags)(arch(res.resid.to_numpy(), lags)[1])
    report = res.diagnostics()
    np.testing.assert_allclose(report.equations.arch, p, rtol=1e-6)
    assert report.lags == min(10, N // 5)


def plant_outlier(Y, X, rng):
    Y.iloc[40] += 9.0 * rng.choice([-1, 1], Y.shape[1])


def plant_serial(Y, X, rng):
    shocks = rng.standard_normal(len(Y))
    for t in range(1, len(Y)):
        shocks[t] += 0.9 * shocks[t - 1]
    Y["firm 3"] += 3 * shocks


def plant_arch(Y, X, rng):
    volatility, e = 1.0, np.zeros(len(Y))
    for t in range(len(Y)):
        e[t] = np.sqrt(volatility) * rng.standard_normal()
        volatility = 0.2 + 0.95 * e[t] ** 2
    Y["firm 5"] += 6 * e


def plant_tails(Y, X, rng):
    Y["firm 7"] += 4 * rng.standard_t(1.5, len(Y))


def plant_collinear(Y, X, rng):
    X[8]["z2"] = X[8]["z1"] + 1e-3 * rng.standard_normal(len(Y))


def plant_pair(Y, X, rng):
    shared = 6 * rng.standard_normal(len(Y))
    Y["firm 1"] += shared
    Y["firm 2"] -= shared


def plant_leverage(Y, X, rng):
    for x in X:
        x.iloc[60, 1:] = 30.0


def plant_heywood(Y, X, rng):
    Y["firm 9"] = Y["firm 0"] + 1e-4 * rng.standard_normal(len(Y))
    X[9] = X[0]


def plant_common_serial(Y, X, rng):
    shocks = 0.7 * rng.standard_normal(Y.shape)
    for t in range(1, len(Y)):
        shocks[t] += 0.5 * shocks[t - 1]
    Y += shocks


def plant_variance(Y, X, rng):
    Y["firm 4"] += 2 * np.exp(0.7 * X[4]["z1"]) * rng.standard_normal(len(Y))


def plant_row_variance(Y, X, rng):
    shared = rng.standard_normal(len(Y))
    for x in X:
        x["z1"] = 0.5 * x["z1"] + shared
    Y += 2 * np.exp(0.7 * shared)[:, None] * rng.standard_normal(Y.shape)


# What is planted, the check that finds it, what it names, and true and fitted ranks.
FAULTS = [
    (plant_outlier, "outlying rows", "'2003-05'", 2, 2),
    (plant_serial, "serial correlation, equations", "'firm 3'", 2, 2),
    (plant_common_serial, "serial correlation, jointly", "+0.", 2, 2),
    (plant_arch, "ARCH, equations", "'firm 5'", 2, 2),
    (plant_variance, "heteroscedasticity, equations", "'firm 4'", 2, 2),
    (plant_row_variance, "heteroscedasticity, rows", "'z1'", 2, 2),
    (plant_tails, "normality, equations", "'firm 7'", 2, 2),
    (plant_tails, "normality, jointly", "whitened", 2, 2),
    (plant_collinear, "condition of designs", "'firm 8'", 2, 2),
    (plant_pair, "residual correlation", "'firm 1' and 'firm 2'", 0, 0),
    (plant_pair, "factors left", "eigenvalue", 0, 0),
    (plant_leverage, "leverage of rows", "'2005-01'", 2, 2),
    (plant_heywood, "Heywood cases", "'firm 9'", 2, 3),
]


@pytest.mark.parametrize(("plant", "check", "name", "true", "rank"), FAULTS)
def test_a_planted_fault_is_named(plant, check, name, true, rank):
    Y, X = labelled(r=true)
    assert of_clean(true).table.verdict[check] == "ok"
    plant(Y, X, np.random.default_rng(2))
    report = diagnosed(Y, X, rank=rank)
    line = report.table.loc[check]
    assert line.verdict == "look"
    assert name in line.found
    assert check in report.doubts
    assert line.advice.split()[0] in str(report)


def test_too_many_factors_and_no_convergence_are_doubts():
    Y, X = labelled(r=1, seed=3)
    report = diagnosed(Y, X, rank=4)
    assert report.table.verdict["last factor"] == "look"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = LowRankSUR(Y, X, rank=1).fit(n_starts=1, max_sweeps=1)
    assert short.diagnostics().table.verdict["convergence"] == "look"


@pytest.mark.slow
@pytest.mark.parametrize(("N", "K", "draws"), [(36, 6, 40), (36, 45, 25)])
def test_size_on_clean_systems(N, K, draws):
    """Each test with a p-value looks in 5 % of clean draws; three standard errors above that."""
    looks = []
    for seed in range(draws):
        X, Y, _ = simulate(N, K, 3, 2 if K > 6 else 1, seed=1000 + seed)
        model = LowRankSUR(Y, X, rank=2 if K > 6 else 1)
        looks.append(model.fit(n_starts=1, gtol=1e-4).diagnostics().table.verdict[TESTED] == "look")
    share = pd.DataFrame(looks).mean()
    assert (share < 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)).all(), share
    assert 0.01 < share.mean() < 0.08


def test_a_level_and_lags(clean):
    Y, X = labelled()
    strict = diagnosed(Y, X, alpha=1e-9, lags=3)
    assert not [name for name in strict.doubts if name in TESTED]
    assert strict.lags == 3
    assert clean.lags == 10
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    for lags in (0, 60, 1.5, True):
        with pytest.raises(OptionError, match="lags must be a whole number from 1 to 59"):
            res.diagnostics(lags=lags)
    with pytest.raises(OptionError, match="alpha"):
        res.diagnostics(alpha=2)


@pytest.mark.slow
def test_small_and_extreme_systems():
    X, Y, _ = simulate(7, 1, 2, 0)
    one = LowRankSUR(Y, X, rank=0).fit().diagnostics()
    assert one.table.verdict["residual correlation"] == "-"
    assert one.table.verdict["normality, equations"] == "-"
    assert list(one.table.index) == CHECKS
    X, Y, _ = simulate(40, 300, 3, 2)
    wide = LowRankSUR(Y, X, rank=2).fit(n_starts=1).diagnostics()
    assert wide.equations.notna().all().all()


def test_without_rows():
    X, Y, _ = simulate(120, 6, 3, 1)
    parts = [(Y[i : i + 60], [x[i : i + 60] for x in X]) for i in (0, 60)]
    stream = LowRankSUR.from_chunks(parts, rank=1).fit(n_starts=1).diagnostics()
    whole = LowRankSUR(Y, X, rank=1).fit(n_starts=1)
    assert list(stream.table.index) == CHECKS
    assert (stream.table.verdict[CHECKS[8:]] == "-").all()
    report = whole.diagnostics()
    np.testing.assert_allclose(
        stream.table.statistic[CHECKS[2:8]].astype(float),
        report.table.statistic[CHECKS[2:8]].astype(float),
        rtol=1e-4,
    )
    whole.remove_data()
    with pytest.raises(DataRemovedError):
        whole.diagnostics()


def test_missing_cells_leave_what_needs_complete_rows_open():
    rng = np.random.default_rng(8)
    drawn = simulate_sur(60, 6, 2, 1, rng)
    Y = drawn.endog.copy()
    Y[rng.random(Y.shape) < 0.15] = np.nan
    Y[11] += 9.0
    res = LowRankSUR(Y, drawn.exog, rank=1, missing="fiml").fit()
    report = res.diagnostics()
    assert report.table.loc["outlying rows", "verdict"] == "look"
    assert report.rows["pvalue"].idxmin() == 11
    seen = np.isfinite(Y[11])
    e = (Y[11] - np.array([x[11] @ b for x, b in zip(drawn.exog, res.estimate.beta, strict=True)]))[
        seen
    ]
    Sigma = res.sigma.to_dense()[np.ix_(seen, seen)]
    np.testing.assert_allclose(report.rows["distance"][11], e @ np.linalg.solve(Sigma, e))
    open_ = report.table["verdict"] == "-"
    assert set(report.table.index[~open_]) == {
        "convergence", "curvature", "Heywood cases", "communalities", "condition of designs",
        "outlying rows",
    }  # fmt: skip
    assert "needs complete rows" in str(report)


def test_weighted_residuals_are_those_of_equal_variance():
    rng = np.random.default_rng(9)
    drawn = simulate_sur(120, 5, 2, 1, rng)
    w = np.exp(rng.normal(0.0, 1.5, 120))
    fitted = np.column_stack([x @ b for x, b in zip(drawn.exog, drawn.beta, strict=True)])
    Y = fitted + (drawn.endog - fitted) / np.sqrt(w)[:, None]
    report = LowRankSUR(Y, drawn.exog, rank=1, weights=w).fit().diagnostics()
    assert report.table.loc["normality, equations", "verdict"] == "ok"
    plain = LowRankSUR(Y, drawn.exog, rank=1).fit().diagnostics()
    assert plain.table.loc["normality, equations", "verdict"] == "look"


def test_two_equations_whose_errors_are_correlated_want_a_look():
    rng = np.random.default_rng(11)
    looks = []
    for rho in (0.0, 0.5):
        e = rng.standard_normal((120, 2))
        e[:, 1] = rho * e[:, 0] + np.sqrt(1 - rho**2) * e[:, 1]
        X = [np.column_stack([np.ones(120), rng.standard_normal(120)]) for _ in range(2)]
        report = LowRankSUR(e, X, rank=0).fit().diagnostics()
        line = report.table.loc["residual correlation"]
        looks.append(line.verdict)
        assert (line.pvalue < 0.05) == (line.verdict == "look")
    assert looks == ["ok", "look"]


def test_many_weak_correlations_over_time_are_seen_together():
    """Each of 40 short series alone shows nothing (Holm), all of them do."""
    rng = np.random.default_rng(12)
    N, K = 17, 40
    e = rng.standard_normal((N, K))
    for n in range(1, N):
        e[n] += 0.3 * e[n - 1]
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 2))]) for _ in range(K)]
    report = LowRankSUR(e, X, rank=1).fit(n_starts=1).diagnostics()
    assert report.table.verdict["serial correlation, equations"] == "ok"
    line = report.table.loc["serial correlation, jointly"]
    assert line.verdict == "look"
    assert 0.1 < line.statistic < 0.5
    assert "time" in line.advice


def test_numbers_of_the_report():
    """Whole ones as they are, large and broken ones in four digits, none as a dash."""
    from sm_alsgls.results.checks.report import _number

    shown = [_number(v) for v in (3.0, -120.0, 999999.0, 1e6, 0.12345, 123456.7, np.nan)]
    assert shown == ["3", "-120", "999999", "1e+06", "0.1235", "1.235e+05", "-"]
    assert _number(2.0, 3) == "2.000"
