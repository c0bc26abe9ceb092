import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.stattools import durbin_watson

from sm_alsgls import LowRankSUR


def fitted(rho, index=None, seed=0):
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((40, 6)) @ (np.eye(6) + 0.3)
    for n in range(1, 40):
        e[n] += rho * e[n - 1]
    X = [pd.DataFrame({"one": 1.0, "x": rng.standard_normal(40)}, index=index) for _ in range(6)]
    Y = pd.DataFrame(e, index=index)
    return LowRankSUR(Y, X, rank=1).fit(n_starts=1)


def text(results):
    return " ".join(str(results.summary()).split())


def test_a_summary_of_rows_in_time_says_how_they_are_correlated():
    months = pd.period_range("2001-01", periods=40, freq="M")
    white, dependent = fitted(0.0, months), fitted(0.6, months)
    dw = durbin_watson(dependent.resid.to_numpy())
    assert f"Durbin-Watson from {dw.min():.2f} to {dw.max():.2f}" in text(dependent)
    assert "They are serially correlated" in text(dependent)
    assert "Durbin-Watson" in text(white)
    assert "serially correlated" not in text(white)
    robust = dependent.get_robustcov_results("HAC", maxlags=3)
    assert "serially correlated" not in text(robust)


@pytest.mark.parametrize("index", [None, list(range(40)), [f"r{i}" for i in range(40)]])
def test_rows_without_times_are_not_ordered(index):
    assert "Durbin-Watson" not in text(fitted(0.6, index))


def test_a_long_panel_with_time_is_ordered():
    res = fitted(0.6)
    long = res.model.data.orig_endog.stack().rename("y").reset_index()
    long.columns = ["t", "g", "y"]
    panel = LowRankSUR.from_formula("y ~ 1", long, groups="g", time="t", rank=1).fit(n_starts=1)
    assert "They are serially correlated" in text(panel)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC1", "sandwich"])
def test_every_summary_says_what_rows_are_taken_for(cov_type):
    res = fitted(0.0)
    assert "independent rows" in text(res.get_robustcov_results(cov_type))
