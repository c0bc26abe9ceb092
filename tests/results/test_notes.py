"""The notes below a summary say what the fit knows, with its numbers."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from tests.systems import simulate

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.RankWarning"),
]


def notes(res):
    return " ".join(str(res.summary()).partition("Notes:")[2].split())


@pytest.fixture(scope="module")
def treacherous():
    X, Y, _ = simulate(25, 7, 2, 1, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LowRankSUR(Y, X, rank=2).fit(n_starts=12)


def test_starts_that_fell_short_are_counted_in_log_likelihood_units(treacherous):
    starts = treacherous.mle_retvals["starts"]
    short = treacherous.nobs * (starts["nll"].max() - starts["nll"].min())
    found = re.search(
        r"(\d+) of 12 starts reached this likelihood; the worst ended ([\d.]+) log- ?likelihood "
        r"units below",
        notes(treacherous),
    )
    at_best = int((starts["nll"] < starts["nll"].min() + 1e-5).sum())
    assert 1 < at_best < 12
    assert int(found[1]) == treacherous.mle_retvals["starts_at_best"] == at_best
    assert float(found[2]) == pytest.approx(short, rel=1e-3)


def test_starts_that_agree(treacherous):
    X, Y, _ = simulate(200, 5, 2, 1, seed=1, strength=2.0)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=3)
    assert "All 3 starts reached this likelihood." in notes(res)
    assert "starts reached" not in notes(LowRankSUR(Y, X, rank=0).fit())
    assert "Rank 0: errors are uncorrelated" in notes(LowRankSUR(Y, X, rank=0).fit())


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("cov_type", ["nonrobust", "KH", "sandwich", "HC1"])
def test_what_standard_errors_assume(cov_type, debiased):
    X, Y, _ = simulate(40, 4, 2, 1, seed=1)
    res = LowRankSUR(Y, X, rank=1).fit(n_starts=1, cov_type=cov_type, debiased=debiased)
    said = notes(res).partition(" [2]")[0]
    assert ("Sigma = F F' + D holds" in said) == (cov_type in ("nonrobust", "KH"))
    assert ("Kackar-Harville" in said) == (cov_type == "KH")
    if cov_type in ("nonrobust", "KH"):
        assert ("N - p - r degrees of freedom" in said) == debiased
        assert ("and known" in said) == (cov_type == "nonrobust" and not debiased)


def test_a_trace_is_one_whichever_start_was_continued(treacherous):
    sweeps = treacherous.trace.index.to_numpy()
    np.testing.assert_array_equal(sweeps, np.arange(len(sweeps)))
    assert (np.diff(treacherous.trace["seconds"]) >= 0.0).all()


def test_clusters_are_said_with_their_number_and_ways(treacherous):
    pairs = np.arange(25) // 2
    one = notes(treacherous.get_robustcov_results("cluster", groups=pairs))
    assert "robust to cluster correlation (13 clusters of rows, CR2)" in one
    assert "V_ab" not in one
    both = np.column_stack([pairs, np.arange(25) % 5])
    two = notes(treacherous.get_robustcov_results("cluster", groups=both))
    assert "robust to two-way cluster correlation (13 and 5 clusters of rows, CR2)" in two
    assert "V_a + V_b - V_ab" in two


def test_rows_that_were_dropped_are_said_with_their_reason():
    X, Y, _ = simulate(30, 4, 2, 1, seed=1)
    Y[3, 1] = np.nan
    some = notes(LowRankSUR(Y, X, rank=1, missing="drop").fit(n_starts=1))
    assert "1 row with missing values was dropped" in some
    weights = np.linspace(0.5, 1.5, 30)
    weights[[7, 9]] = 0.0
    none = notes(LowRankSUR(Y, X, rank=1, missing="drop", weights=weights).fit(n_starts=1))
    assert "3 rows with missing values or weight 0 were dropped" in none


def test_common_coefficients_are_printed_with_their_own_tests():
    X, _, _ = simulate(40, 4, 3, 1, seed=1)
    Y = np.random.default_rng(3).standard_normal((40, 4))
    res = LowRankSUR(Y, X, rank=1, common=["x1"]).fit(n_starts=1)
    assert 0.05 < res.pvalues["x1"] < 0.9
    table = str(res.summary()).partition("Common coefficients")[2]
    row = next(line.split() for line in table.splitlines() if line.startswith("x1"))
    at = list(res.params.index).index("x1")
    low, high = np.asarray(res.conf_int())[at]
    shown = [float(cell) for cell in row[1:]]
    expected = [
        res.params.iloc[at], res.bse.iloc[at], res.tvalues.iloc[at], res.pvalues.iloc[at], low, high
    ]  # fmt: skip
    np.testing.assert_allclose(shown, expected, atol=6e-4)


@pytest.mark.parametrize(("name", "wide"), [("x", 14), ("a name of twenty chr", 20)])
def test_names_have_fourteen_characters_or_as_many_as_the_longest(name, wide):
    X, Y, _ = simulate(30, 3, 2, 1, seed=1)
    frames = [pd.DataFrame(x, columns=["one", name]) for x in X]
    lines = str(LowRankSUR(Y, frames, rank=0).fit().summary()).splitlines()
    headers = [line for line in lines if line.split()[:1] == ["coef"]]
    assert {line.index("coef") + len("coef") for line in headers} == {wide + 11}
