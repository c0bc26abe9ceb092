"""What interactive effects are made of, labelled: factors, loadings, effects, fitted values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.given import given_slopes
from sm_alsgls.data.panel_cells import EFFECTS
from sm_alsgls.exceptions import NoFactorsError, NotApplicableError
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.interactive_estimate import InteractiveEstimate

Array = np.ndarray


def factors(estimate: InteractiveEstimate) -> pd.DataFrame:
    """F (T, r) by period, with F'F / T = I."""
    at, cells = estimate.at, estimate.cells
    return pd.DataFrame(at.F, index=cells.periods, columns=estimate.names)


def loadings(estimate: InteractiveEstimate) -> pd.DataFrame:
    """Lambda (n, r) by unit, in units of the response."""
    at, cells = estimate.at, estimate.cells
    return pd.DataFrame(at.loadings, index=cells.units, columns=estimate.names)


def error_variances(estimate: InteractiveEstimate) -> pd.Series:
    """d (n,) by unit, drawn towards one another; one number where fit(weighted=False)."""
    return pd.Series(estimate.fit.d, index=estimate.cells.units, name="variance")


def effects(estimate: InteractiveEstimate) -> pd.Series:
    """Additive effects by unit or period; of both by ("entity" or "time", label)."""
    unit, time = EFFECTS[estimate.model.effects]
    if not unit and not time:
        raise NotApplicableError(
            "the model has no additive effects; make it with effects='entity', 'time' or 'both'"
        )
    cells = estimate.cells
    own, of_periods = estimate.at.parts
    found = {}
    if unit:
        found["entity"] = pd.Series(own[0], index=cells.units, name="effect")
    if time:
        found["time"] = pd.Series(of_periods, index=cells.periods, name="effect")
    if len(found) == 1:
        return next(iter(found.values()))
    return pd.concat(found, names=["effects", "label"]).rename("effect")


def unit_slopes(estimate: InteractiveEstimate) -> pd.DataFrame:
    """Coefficients of units (n, k) of the series that ``heterogeneous=`` names."""
    cells, k = estimate.cells, len(estimate.cells.series_names)
    if not k:
        raise NotApplicableError(
            "no series has coefficients of units; name them when the model is made, "
            "heterogeneous=['trend']"
        )
    own = estimate.at.parts[0]
    return pd.DataFrame(own[len(own) - k :].T, index=cells.units, columns=cells.series_names)


def fittedvalues(estimate: InteractiveEstimate) -> pd.DataFrame:
    """x'b, effects and factors (T, n); NaN where nothing was observed."""
    return estimate.cells.frame(estimate.cells.panel.Y - estimate.at.E)


def resid(estimate: InteractiveEstimate) -> pd.DataFrame:
    """y less `fittedvalues` (T, n)."""
    return estimate.cells.frame(estimate.at.E)


def interactive_effects(estimate: InteractiveEstimate) -> pd.DataFrame:
    """F Lambda' (T, n), what factors add to every cell, observed or not."""
    cells = estimate.cells
    return pd.DataFrame(estimate.at.common, index=cells.periods, columns=cells.units)


@kept
def rsquared(estimate: InteractiveEstimate) -> float:
    """Share of the variance of y over all cells that is no residual."""
    seen = estimate.cells.seen
    y, e = estimate.cells.panel.Y[seen], estimate.at.E[seen]
    return float(1.0 - e @ e / np.sum(np.square(y - y.mean())))


@kept
def rsquared_slopes(estimate: InteractiveEstimate) -> float:
    """Share that slopes explain of what effects and factors leave of y.

    1 - |E|^2 / |E_0|^2, E_0 the residual of effects and as many factors alone.
    """
    return float(1.0 - np.sum(np.square(estimate.at.E)) / np.sum(np.square(_alone(estimate).E)))


def _alone(estimate: InteractiveEstimate) -> InteractiveFit:
    return given_slopes(estimate.fit, np.zeros(len(estimate.params)))


def bias_table(estimate: InteractiveEstimate) -> pd.DataFrame:
    """From the least sum of squares to the coefficients, (p, columns).

    ``unweighted`` is Bai's (2009) estimator, ``least_squares`` the weighted one; ``units``,
    ``periods`` and ``lags`` are what "analytic" adds, ``jackknife`` what that adds; ``params`` is
    their sum with ``least_squares``.
    """
    fit = estimate.fit
    columns: dict[str, Array] = {"unweighted": fit.bai, "least_squares": fit.beta}
    if estimate.bias is not None:
        columns |= estimate.bias._asdict()
    elif estimate.corrected:
        columns[estimate.corrected] = estimate.params - fit.beta
    columns["params"] = estimate.params
    return pd.DataFrame(columns, index=estimate.labels.params)


def retvals(estimate: InteractiveEstimate) -> dict[str, Any]:
    """How the fit went.

    Starts, and the steps from them, are with equal variances; where cells are weighted by an
    estimated correlation in time, those of the search with it, and not of the one before.
    """
    fit = estimate.fit
    runs = pd.DataFrame(fit.runs, columns=["start", "ssr", "gap", "steps", "ended"])
    return {
        "converged": fit.converged,
        "message": fit.status,
        "iterations": int(runs["steps"].sum()),
        "weight_rounds": fit.weight_steps,
        "starts": runs,
        "starts_at_best": int((runs["gap"] <= 1e-8).sum()),
        "worst_gap": float(runs["gap"].max()),
    }


def need_factors(estimate: InteractiveEstimate, what: str) -> None:
    """Refuse ``what`` at rank 0.

    Raises
    ------
    NoFactorsError
    """
    if estimate.rank == 0:
        raise NoFactorsError(f"{what}: the model has rank 0, and no factors")
