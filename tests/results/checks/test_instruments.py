"""What diagnostics() says of instruments: planted faults are found, clean systems left alone."""

import warnings

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from sm_alsgls import LowRank3SLS
from sm_alsgls.results.checks.instruments import OVER, STRENGTH, SYSTEM
from tests.core.instruments.twin import system

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning"),
]


def draw(seed=0, N=200, K=6, q=4, strength=1.0):
    X, Z, Y, *_ = system(
        np.random.default_rng(seed), N=N, K=K, q=(q,) * K, p=(2,) * K, strength=strength
    )
    return X, Z, Y


def fitted(X, Z, Y, rank=1, **kwds):
    return LowRank3SLS(Y, X, Z, rank=rank).fit(**kwds)


@pytest.mark.slow
def test_clean():
    res = fitted(*draw())
    report = res.diagnostics()
    table = report.table
    assert not {"curvature", "last factor", "factors and regressors"} & set(table.index)
    assert (table.verdict[[STRENGTH, OVER, SYSTEM]] == "ok").all()
    stage = res.first_stage
    assert table.statistic[STRENGTH] == pytest.approx(stage.compared.iloc[stage.margin.argmin()])
    assert table.statistic[OVER] == pytest.approx(res.j_test().statistic)
    assert table.pvalue[SYSTEM] == pytest.approx(res.hausman().pvalue)
    np.testing.assert_allclose(report.equations["sargan"], res.sargan()["sargan_pvalue"])
    np.testing.assert_allclose(report.equations["strength"], stage.margin.to_numpy())
    assert "1 of" not in table.found[STRENGTH]


@pytest.mark.slow
def test_weak_instruments_are_named():
    X, Z, Y = draw()
    x = 0.05 * Z[2][:, 1] + Y[:, 2] - X[2].sum(axis=1) + np.random.default_rng(1).normal(size=200)
    X[2] = np.column_stack([np.ones(200), x])
    report = fitted(X, Z, Y).diagnostics()
    assert report.table.verdict[STRENGTH] == "look"
    assert "'y3_x1'" in report.table.found[STRENGTH]
    assert report.table.statistic[STRENGTH] < 10.0
    assert report.equations["strength"].idxmin() == "y3"
    assert "wild_test" in report.table.advice[STRENGTH]


def test_an_instrument_that_moves_with_its_errors_is_named():
    X, Z, Y = draw()
    Z[1][:, 2] += Y[:, 1] - X[1].sum(axis=1)
    report = fitted(X, Z, Y, method="gmm").diagnostics()
    assert report.table.verdict[OVER] == "look"
    assert "1 of 6 equations: 'y2'" in report.table.found[OVER]


@pytest.mark.slow
def test_one_that_moves_with_the_errors_of_another_equation():
    rng = np.random.default_rng(3)
    f, own = rng.standard_normal((1500, 1)), rng.standard_normal((1500, 6))
    E = f + 0.5 * own
    Z = [np.column_stack([np.ones(1500), rng.standard_normal((1500, 2))]) for _ in range(6)]
    for j in range(1, 6):
        Z[j][:, 1] += own[:, 0]  # no part of e_j
    X = [
        np.column_stack([np.ones(1500), z[:, 1:].sum(axis=1) + e + rng.standard_normal(1500)])
        for z, e in zip(Z, E.T, strict=True)
    ]
    Y = np.column_stack([x.sum(axis=1) for x in X]) + E
    table = fitted(X, Z, Y).diagnostics().table
    assert table.verdict[SYSTEM] == "look"
    assert table.verdict[STRENGTH] == "ok"


def test_what_cannot_be_made():
    X, Z, Y = draw(q=2)
    table = fitted(X, Z, Y, method="2sls").diagnostics().table
    assert (table.verdict[[OVER, SYSTEM]] == "-").all()
    assert table.found[SYSTEM] == "this is 2SLS"
    own = [z[:, :2] for z in Z]
    table = fitted(own, own, Y).diagnostics().table
    assert table.found[STRENGTH] == "no regressor is endogenous"
    restricted = LowRank3SLS(Y, X, Z, rank=1).fit_constrained("y1_x1 = y2_x1")
    assert restricted.diagnostics().table.verdict[SYSTEM] == "-"


def test_equations_are_counted_by_holm():
    res = fitted(*draw(seed=2))
    plain = res.sargan()["sargan_pvalue"].to_numpy()
    assert (plain < 0.05).any()
    assert not multipletests(plain, 0.05, "holm")[0].any()
    assert "rejects in 0 of 6" in res.diagnostics().table.found[OVER]


DRAWS = 25


@pytest.mark.slow
def test_clean_systems_are_left_alone():
    looks = {OVER: 0, SYSTEM: 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(DRAWS):
            table = fitted(*draw(seed)).diagnostics().table
            for name in looks:
                looks[name] += table.verdict[name] == "look"
    # Two tests at 5 % behind the first.
    assert looks[OVER] <= stats.binom.ppf(0.999, DRAWS, 0.1)
    assert looks[SYSTEM] <= stats.binom.ppf(0.999, DRAWS, 0.06)
