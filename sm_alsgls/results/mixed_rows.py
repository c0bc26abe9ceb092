"""Fitted values and residuals of the rows that a mixed model was estimated from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_effects import effects_of_groups
from sm_alsgls.results.mixed_estimate import MixedEstimate


@kept
def fitted_rows(estimate: MixedEstimate) -> tuple[np.ndarray, np.ndarray]:
    """X b and, with their group's effects, X b + Z bhat_i, (n,) each, group by group."""
    rows, mean = estimate.rows, effects_of_groups(estimate).mean
    population = rows.X @ estimate.params
    return population, population + np.einsum("nq,nq->n", rows.Z, mean[rows.codes])


def by_caller(estimate: MixedEstimate, values: np.ndarray, name: str | None = None) -> pd.Series:
    """Values (n,) of the rows group by group, in the caller's order with his labels."""
    rows = estimate.rows
    return pd.Series(rows.restored(values), index=rows.index, name=name)


def fittedvalues(estimate: MixedEstimate) -> pd.Series:
    """X b + Z bhat_i (n,), the effects of the row's group with it, as MixedLM's."""
    return by_caller(estimate, fitted_rows(estimate)[1])


def resid(estimate: MixedEstimate) -> pd.Series:
    """y - X b - Z bhat_i (n,), as MixedLM's."""
    return by_caller(estimate, estimate.rows.y - fitted_rows(estimate)[1])


def level_ratios(estimate: MixedEstimate) -> np.ndarray:
    """Residual variance of each level over ``scale`` (L,); [1] where there is one."""
    return estimate.fit.law.variances(estimate.theta)


def variances(estimate: MixedEstimate) -> np.ndarray:
    """Residual variance of each row (n,), group by group: by level and weight."""
    rows, ratios = estimate.rows, level_ratios(estimate)
    codes = 0 if rows.levels is None or len(ratios) == 1 else rows.levels.codes
    made = np.full(rows.nobs, estimate.scale) * ratios[codes]
    return made if rows.weights is None else made / rows.weights
