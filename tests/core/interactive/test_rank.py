"""How many factors: criteria of residuals, blocks; and which regressors have no slope."""

import numpy as np
import pytest

from sm_alsgls.core.interactive.blocks import block_scores, folds
from sm_alsgls.core.interactive.identified import (
    COLLINEAR,
    EFFECTS,
    LOW_RANK,
    OVER_TIME,
    OVER_UNITS,
    scarce,
    unidentified,
)
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.rank import chosen, rank_criteria
from sm_alsgls.core.interactive.search import interactive_fit
from tests.core.interactive import dense


def test_criteria_are_bai_and_ngs_on_units_of_equal_length():
    panel, _, _ = dense.bai(np.random.default_rng(0), 40, 30)
    fit = interactive_fit(panel, Effects.of(40, 30), 4, n_random=0)
    found = rank_criteria(fit)
    R = panel.Y - np.tensordot(fit.beta, panel.X, 1)
    R /= np.sqrt(np.mean(R**2, axis=0))
    s = np.linalg.svd(R, compute_uv=False)
    V = np.array([np.sum(s[r:] ** 2) for r in range(5)]) / (40 * 30)
    g2 = (70 / 1200) * np.log(30)
    np.testing.assert_allclose(found["ic2"], np.log(V) + np.arange(5) * g2, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found["pc2"], V + V[4] * np.arange(5) * g2, rtol=1e-8)
    np.testing.assert_allclose(found["er"][1:], (s[:4] / s[1:5]) ** 2, rtol=1e-8)


@pytest.mark.slow
def test_two_factors_are_found_in_bais_design():
    wrong = dict.fromkeys(["ic2", "er", "gr", "ed"], 0)
    for seed in range(5):
        panel, _, _ = dense.bai(np.random.default_rng([4, seed]), 50, 50)
        fit = interactive_fit(panel, Effects.of(50, 50, unit=True), 5, n_random=0)
        found = chosen(rank_criteria(fit))
        for name in wrong:
            wrong[name] += found[name] != 2
    assert wrong == dict.fromkeys(wrong, 0)


def test_blocks_find_two_factors_and_predict_by_cell():
    panel, _, b = dense.bai(np.random.default_rng(4), 40, 30, variance=0.5)
    effects = Effects.of(40, 30, unit=True)
    d = interactive_fit(panel, effects, 4, n_random=0).d
    found = block_scores(panel, effects, (0, 1, 2, 3), d, beta=b)
    assert found.best == 2
    # A fold by hand: what the others say of its cells.
    fold = folds(40, 30, 5, np.random.default_rng(0))
    kept = Panel(panel.Y, panel.X, fold != 3)
    fit = interactive_fit(kept, effects, 2, d=d, beta=b, only_given=True)
    explained = np.tensordot(fit.beta, panel.X, 1)
    rest = fit.panel.Y - np.tensordot(fit.beta, fit.panel.X, 1)
    loss = (np.square(panel.Y - explained - rest) / d)[fold == 3].mean()
    np.testing.assert_allclose(found.losses[3, 2], loss, rtol=1e-3)
    # Held-out cells are predicted about as well as cells of a panel that is known are fitted.
    assert 0.9 < found.mean[2] < 1.6


def _six(seed=0, T=12, n=9):
    rng = np.random.default_rng(seed)
    good = rng.standard_normal((T, n))
    unit, time = rng.standard_normal(n), rng.standard_normal(T)
    over_time = np.broadcast_to(unit, (T, n))
    over_units = np.broadcast_to(time[:, None], (T, n))
    return Panel(
        rng.standard_normal((T, n)),
        np.stack([good, over_time, over_units, over_time + over_units, np.outer(time, unit)]),
    )


@pytest.mark.parametrize("holes", [False, True])
def test_regressors_without_a_slope(holes):
    panel = _six()
    if holes:
        panel = dense.with_holes(panel, np.random.default_rng(1), 0.1)
    both = Effects.of(12, 9, unit=True, time=True)
    reasons = {u.column: u.reason for u in unidentified(panel, both, 2)}
    assert reasons.pop(4, None) == (None if holes else LOW_RANK)
    assert reasons.pop(3, None) in ({EFFECTS, None} if holes else {EFFECTS})
    assert reasons == {1: OVER_TIME, 2: OVER_UNITS}


def test_what_moves_a_little_has_a_slope():
    """A regressor whose movement is a thousandth of its size is not constant."""
    panel = _six()
    rng = np.random.default_rng(2)
    moved = panel.X[1:] + 1e-3 * rng.standard_normal((4, 12, 9))
    both = Effects.of(12, 9, unit=True, time=True)
    assert unidentified(Panel(panel.Y, moved[:2]), both, 2) == ()
    # Here nine tenths are effects, or factors.
    assert unidentified(Panel(panel.Y, panel.X[[3, 4]] + 10.0 * moved[:1]), both, 1) == ()


def test_constants_have_slopes_where_nothing_takes_them():
    panel = _six().taken(slice(None), slice(None))
    few = Panel(panel.Y, panel.X[:3])
    assert unidentified(few, Effects.of(12, 9), 0) == ()
    assert [u.column for u in unidentified(few, Effects.of(12, 9, unit=True), 0)] == [1]
    assert [u.column for u in unidentified(few, Effects.of(12, 9, time=True), 0)] == [2]
    assert [u.column for u in unidentified(few, Effects.of(12, 9), 1)] == [1, 2]


def test_combinations_are_named_with_what_they_combine():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 10, 8))
    X[3] = 1e5 * (X[0] - 2.0 * X[2]) + rng.standard_normal(8)
    found = unidentified(Panel(X[0], X), Effects.of(10, 8, unit=True), 1)
    assert [tuple(u) for u in found] == [(3, COLLINEAR, (0, 2))]


def test_units_and_periods_with_too_few_cells():
    panel = _six()
    seen = np.ones((12, 9), bool)
    seen[3:, 2] = False
    seen[5, 2:] = False
    found = scarce(Panel(panel.Y, panel.X, seen), Effects.of(12, 9, unit=True), 2)
    np.testing.assert_array_equal(found.units, [2])
    np.testing.assert_array_equal(found.periods, [5])
