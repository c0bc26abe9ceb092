"""Common correlated effects: plm's values, and what they are by hand."""

import numpy as np
import pandas as pd
import pytest

from sm_alsgls.core.interactive.cce import cce, half_panel
from sm_alsgls.core.interactive.panel import Panel
from tests.core.interactive import dense

PLM = pd.read_csv(dense.REFERENCE / "interactive_plm.csv")


def _plm(data, model):
    one = PLM[(PLM["data"] == data) & (PLM["model"] == model)]
    return one["estimate"].to_numpy(), one["se"].to_numpy(), one["rss"].to_numpy()[0]


def _panel(name):
    if name == "produc":
        return dense.produc()
    panel = dense.cigar()
    if name == "unbalanced":
        # The rows that interactive_plm.R leaves out, by state and then year.
        out = np.r_[4, 39, 40, 299, 776, 1199:1210]
        seen = np.ones(panel.Y.size, bool)
        seen[out] = False
        seen = seen.reshape(panel.n, panel.T).T
        panel = Panel(np.where(seen, panel.Y, 1e9), np.where(seen, panel.X, -1e9), seen)
    return panel


@pytest.mark.parametrize("name", ["cigar", "produc", "unbalanced", "trend"])
def test_plm(name):
    panel = _panel(name)
    L = np.ones((panel.T, 1))
    if name == "trend":
        L = np.column_stack([L, np.arange(panel.T)])
    found = cce(panel, L)
    # plm inverts S_i by a pseudo-inverse and h'h by normal equations: 1e-7 of slopes.
    close = {"rtol": 1e-6, "atol": 2e-7}
    estimate, se, rss = _plm(name, "p")
    np.testing.assert_allclose(found.pooled, estimate, **close)
    np.testing.assert_allclose(np.sum(found.E_pooled**2), rss, rtol=1e-6)
    # plm divides S_i by the fewest periods of a unit, and their sum by all rows: where numbers of
    # periods differ its standard errors are too large by what these differ.
    ours = np.sqrt(np.diag(found.cov_pooled))
    T_i = found.used.sum(axis=0)
    np.testing.assert_allclose(ours * T_i.mean() / T_i.min(), se, **close)
    estimate, se, rss = _plm(name, "mg")
    np.testing.assert_allclose(found.mean_group, estimate, **close)
    np.testing.assert_allclose(np.sqrt(np.diag(found.cov_mean_group)), se, **close)
    np.testing.assert_allclose(np.sum(found.E_mean_group**2), rss, rtol=1e-6)


def test_produc_to_twelve_digits():
    """Of tests/reference/interactive_cce.py, with 50 digits."""
    panel = dense.produc()
    found = cce(panel, np.ones((panel.T, 1)))
    pooled = [0.0432375977191, 0.0363921915636, 0.820963173081, -0.00209254341389]
    mean = [0.0899850372642, 0.0335783993902, 0.625865870669, -0.00311779372594]
    np.testing.assert_allclose(found.pooled, pooled, rtol=1e-11)
    np.testing.assert_allclose(found.mean_group, mean, rtol=1e-11)


def test_lags_are_regressions_with_lagged_averages():
    rng = np.random.default_rng(0)
    panel, _, _ = dense.bai(rng, 30, 8, p=1, r=1)
    y, x = panel.Y, panel.X[0]
    dynamic = Panel(y[1:], np.stack([y[:-1], x[1:]]))
    found = cce(dynamic, np.ones((29, 1)), lags=1)
    assert not found.used[0].any()
    rows = np.arange(1, 29)
    z = np.column_stack([y[1:].mean(1), y[:-1].mean(1), x[1:].mean(1)])
    # The average of lagged y is the lag of that of y: counted once.
    H = np.column_stack([np.ones(28), z[rows], z[rows - 1][:, 1:]])
    for i in range(8):
        D = np.column_stack([dynamic.X[:, rows, i].T, H])
        b = np.linalg.lstsq(D, dynamic.Y[rows, i], rcond=None)[0]
        np.testing.assert_allclose(found.of_units[i], b[:2], rtol=1e-8)
    np.testing.assert_allclose(found.mean_group, found.of_units.mean(0))
    np.testing.assert_allclose(found.cov_mean_group, np.cov(found.of_units.T) / 8.0)
    assert found.averages.shape == (29, 6)


def test_a_unit_that_says_nothing_is_told_and_left_out_of_the_mean():
    panel, _, _ = dense.bai(np.random.default_rng(0), 30, 8)
    X = panel.X.copy()
    X[1, :, 3] = 4.0
    found = cce(Panel(panel.Y, X), np.ones((30, 1)))
    np.testing.assert_array_equal(np.flatnonzero(found.singular), [3])
    assert np.isnan(found.of_units[3]).all()
    np.testing.assert_allclose(found.mean_group, np.delete(found.of_units, 3, 0).mean(0))
    assert np.isfinite(found.pooled).all()


def test_units_of_measurement_change_nothing():
    panel, _, _ = dense.bai(np.random.default_rng(0), 30, 12)
    one = cce(panel, np.ones((30, 1)))
    size = np.array([1e-6, 1e5])
    two = cce(Panel(1e8 * panel.Y, size[:, None, None] * panel.X), np.ones((30, 1)))
    np.testing.assert_allclose(two.pooled * size / 1e8, one.pooled, rtol=1e-8)
    np.testing.assert_allclose(two.mean_group * size / 1e8, one.mean_group, rtol=1e-8)


def test_half_panels():
    panel, _, _ = dense.bai(np.random.default_rng(0), 41, 12)
    L = np.ones((41, 1))
    every = slice(None)
    halves = (slice(0, 21), slice(20, 41))
    parts = [cce(panel.taken(rows, every), L[rows], lags=1) for rows in halves]
    assert sum(int(part.used.sum()) for part in parts) == 40 * 12
    whole = cce(panel, L, lags=1)
    pooled, mean = half_panel(panel, L, lags=1)
    np.testing.assert_allclose(pooled, 2 * whole.pooled - (parts[0].pooled + parts[1].pooled) / 2)
    np.testing.assert_allclose(
        mean, 2 * whole.mean_group - (parts[0].mean_group + parts[1].mean_group) / 2
    )
