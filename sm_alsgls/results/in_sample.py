"""Residuals, fitted values and R-squared on the rows that were estimated from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept


@kept
def residuals(estimate: Estimate) -> np.ndarray:
    """Y - X beta (N, K), in the units of Y whatever the weights; NaN in missing cells."""
    return estimate.sample.residuals(estimate.beta)


def used_residuals(estimate: Estimate) -> np.ndarray:
    """Residuals times the roots of the weights, zero in missing cells, (N, K).

    Where errors follow laws they are what filters leave, independent between rows, of covariance
    `Estimate.row_sigma`.
    """
    if estimate.laws is None:
        return estimate.sample.cells.used(residuals(estimate))
    return estimate.sample.used_residuals(estimate.beta)


def innovations(estimate: Estimate) -> np.ndarray:
    """The same of covariance `Estimate.sigma`: also without what neighbours sent, (N, K)."""
    if estimate.laws is None:
        return used_residuals(estimate)
    return estimate.sample.innovations(estimate.beta)


def used_fitted(estimate: Estimate) -> np.ndarray:
    """What `used_residuals` are about: fitted values of the rows that likelihoods see, (N, K)."""
    return np.asarray(estimate.sample.responses - used_residuals(estimate))


def fitted(estimate: Estimate) -> np.ndarray:
    """X beta (N, K), a spatial lag's part with it; NaN where a regressor is missing."""
    model = estimate.model
    if estimate.sample.cells.complete:
        return model.endog - residuals(estimate)
    made = np.column_stack([X @ b for X, b in zip(model.exog, estimate.beta, strict=True)])
    for beside in (estimate.sample.lagged, estimate.sample.levels(estimate.beta)):
        made = made if beside is None else made + beside
    return made


@kept
def constants(estimate: Estimate) -> list[np.ndarray | None]:
    """For each equation the coefficients a (p_j,) with X_j a = 1, None where there are none."""
    return _before(estimate).constants


def _before(estimate: Estimate) -> Rows:
    """The rows as they came: filters of laws leave no constants."""
    sample = estimate.sample
    return sample.problem.rows if estimate.laws is None else sample.model.system.rows


def spans_constant(estimate: Estimate) -> np.ndarray:
    """Whether each design spans a constant (K,), explicitly or through dummies."""
    return np.array([a is not None for a in constants(estimate)])


def regressors(estimate: Estimate) -> int:
    """Free coefficients less constants, what statsmodels calls ``Df Model``.

    A constant that equations share is one, as is one that is hidden among dummies.
    """
    labels, bound = estimate.labels, estimate.model.restrictions
    every = np.arange(labels.P)
    ones = {
        tuple(every[labels.columns(j)][np.flatnonzero(a)])
        for j, a in enumerate(constants(estimate))
        if a is not None
    }
    return labels.P - len(ones) - (0 if bound is None else len(bound.q))


@kept
def rsquared(estimate: Estimate) -> np.ndarray:
    """1 - SSR/SST of each equation (K,); SST about the mean where its design spans a constant."""
    rows, E = _before(estimate), estimate.sample.E
    if estimate.laws is not None or estimate.sample.problem.errors.swept:
        E = np.nan_to_num(residuals(estimate))
    about = np.where(spans_constant(estimate), rows.centred(rows.Y), rows.Y)
    return 1.0 - np.square(E).sum(axis=0) / np.square(about).sum(axis=0)


def by_row(estimate: Estimate, values: np.ndarray) -> pd.DataFrame:
    """Values (N, K) with the labels of rows and equations."""
    return pd.DataFrame(values, index=estimate.sample.index, columns=estimate.equations)


def by_equation(estimate: Estimate, values: np.ndarray, name: str) -> pd.Series:
    """Values (K,) with the names of the equations."""
    return pd.Series(values, index=pd.Index(estimate.equations, name="equation"), name=name)
