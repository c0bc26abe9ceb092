"""Rows in the order of time, and what that says about standard errors."""

from __future__ import annotations

import pandas as pd
from statsmodels.stats.stattools import durbin_watson

from sm_alsgls.core.residuals.pooled_serial import pooled_serial
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import used_residuals

# Numbers in the designs up to which a summary asks for serial correlation.
_QUICK = 20_000_000


def in_time_order(estimate: Estimate) -> bool:
    """Whether rows are labelled by times, in their order."""
    recipe = estimate.model.formula_system
    return ordered(estimate.sample.index, None if recipe is None else recipe.time_axis)


def ordered(index: pd.Index, time: str | None) -> bool:
    """The same of an index, and of the column of times that a panel was built by."""
    if time is not None:
        return True
    dated = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))
    return dated and bool(index.is_monotonic_increasing)


def order_note(estimate: Estimate) -> str | None:
    """What the order of rows in time says about the standard errors, for a summary.

    None where rows are not known to be in the order of time, cells are missing, or the system is
    so large that the answer would cost as much as the fit.
    """
    if not estimate.complete or estimate.nobs * estimate.labels.P > _QUICK:
        return None
    try:
        if not in_time_order(estimate):
            return None
        E = used_residuals(estimate)
    except DataRemovedError:
        return None
    dw = durbin_watson(E)
    note = f"Rows are in the order of time: Durbin-Watson from {dw.min():.2f} to {dw.max():.2f}."
    together = pooled_serial(E, estimate.row_sigma.solve(E), estimate.sample.blocks)
    if together.pvalue < 0.05 and estimate.choice.cov_type not in ("HAC", "cluster"):
        note += (
            f" They are serially correlated ({together.rho:+.2f}, p = {together.pvalue:.3f}), so "
            "that standard errors and tests for independent rows mislead; see diagnostics()."
        )
    return note
