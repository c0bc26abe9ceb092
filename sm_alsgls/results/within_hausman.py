"""Hausman's comparison of a panel's estimate with the within estimator.

Within rows (units, where these are independent) every effect of the row is swept out, so that the
within estimator needs no assumption on how effects and regressors move together; the estimate b
at Sigma takes them as independent. With J the regressors of all cells, M the deviations from rows'
means, and both linear in the errors,

    b_w = (J'MJ)^+ J'M y,    V_w = (J'MJ)^+ J'M Sigma M J (J'MJ)^+,    V = (J'Sigma^-1 J)^-1,
    H = (b_w - b)' (V_w - V)^+ (b_w - b) ~ chi2(rank),

over the common coefficients of what varies within rows. b has the smallest variance at Sigma, so
that V_w - V is that of the difference, and no direction of it is negative.

Hausman (1978, Econometrica 46).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.data.error_laws import EACH
from sm_alsgls.data.panel_layout import PanelLayout
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted_laws import FittedLaws
from sm_alsgls.results.shown import ShownText

# Directions whose variance is below this share of that of the within estimator have none.
_NONE = 1e-9
# Numbers in the regressors of all cells, up to which they are laid out.
_LARGEST = 2**27


@dataclass(frozen=True, eq=False)
class WithinHausman(ShownText):
    """The within estimator against the estimate.

    Attributes
    ----------
    statistic, df, pvalue : float
    coefficients : DataFrame
        A row a coefficient: ``within``, ``estimate``, ``difference``, ``std_err`` of that.
    """

    statistic: float
    df: float
    pvalue: float
    coefficients: pd.DataFrame

    def __str__(self) -> str:
        return (
            f"Within against the estimate (Hausman): chi2({self.df:.0f}) = {self.statistic:.4g}, "
            f"p = {self.pvalue:.4g}\n"
            + self.coefficients.to_string(float_format=lambda value: f"{value:.4g}")
        )

    def __repr__(self) -> str:
        return f"<WithinHausman: chi2({self.df:.0f}) = {self.statistic:.4g}, p = {self.pvalue:.4g}>"


def within_hausman(estimate: Estimate, layout: PanelLayout) -> WithinHausman:
    """See `LowRankPanelResults.hausman`."""
    if layout.swept:
        raise NotApplicableError(
            f"effects={layout.effects!r} are swept out, so that these are within estimates; "
            "compare a fit with effects=None or of the equations only"
        )
    _check_laws(estimate.laws)
    sample = estimate.sample
    problem, design = sample.problem, sample.problem.design
    n, K = problem.Y.shape
    if design.P * n * K > _LARGEST:
        raise NotApplicableError(
            f"the regressors of {design.P} coefficients in {n * K} cells do not fit; test the "
            "means over periods, mundlak=True, in its place"
        )
    mask = sample.cells.mask
    there = np.ones((n, K)) if mask is None else mask.astype(float)
    T = there.sum(axis=1, keepdims=True)

    def within(M: np.ndarray) -> np.ndarray:
        return there * (M - (M.sum(axis=1, keepdims=True) / T))

    sigma = estimate.row_sigma
    columns = [design.fitted(e) for e in np.eye(design.P)]
    seen = problem.observed(sigma)
    moved = np.stack([within(M) for M in columns])
    A = _products(moved, moved)
    B = _products(moved, np.stack([sigma.times(M) for M in moved]))
    H = _products(np.stack(columns), np.stack([seen.solve(np.asfortranarray(M)) for M in columns]))
    size = np.sqrt(np.maximum(np.diagonal(A), 0.0))
    raw = np.sqrt(np.square(np.stack(columns)).sum(axis=(1, 2)))
    unit = np.where(size > _NONE * raw, size, np.inf)
    inverse = np.linalg.pinv(A / np.multiply.outer(unit, unit), rcond=_NONE, hermitian=True)
    inverse /= np.multiply.outer(unit, unit)
    g = inverse @ np.array([np.vdot(M, problem.Y) for M in moved])
    labels = estimate.labels
    rows = np.eye(labels.P)[[i for i in labels.common if labels.params[i] != layout.constant]]
    C = design.on_flat(rows)
    known = np.abs(A @ (inverse @ C) - C).max(axis=0) <= 1e-6 * np.abs(C).max(axis=0)
    if not known.any():
        raise NotApplicableError("no common regressor varies within rows")
    C, rows = C[:, known], rows[known]
    names = [labels.params[int(np.flatnonzero(row)[0])] for row in rows]
    origin = design.to_params(np.zeros(design.P))
    b = rows @ estimate.params
    b_within = C.T @ g + rows @ origin
    V_within = C.T @ inverse @ B @ inverse @ C
    V = V_within - C.T @ np.linalg.solve(H, C)
    scale = np.sqrt(np.diagonal(V_within))
    values, vectors = np.linalg.eigh(V / np.multiply.outer(scale, scale))
    left = values > _NONE
    if not left.any():
        raise NotApplicableError(
            "these estimates are the within estimates, so that there is nothing to compare: "
            + ("mundlak_test() tests the means" if layout.mundlak else "fit without effects")
        )
    part = vectors[:, left].T @ ((b_within - b) / scale)
    statistic, df = float(part @ (part / values[left])), float(left.sum())
    table = pd.DataFrame(
        {
            "within": b_within,
            "estimate": b,
            "difference": b_within - b,
            "std_err": np.sqrt(np.maximum(np.diagonal(V), 0.0)),
        },
        index=names,
    )
    return WithinHausman(statistic, df, float(stats.chi2.sf(statistic, df)), table)


def _check_laws(laws: FittedLaws | None) -> None:
    """Raise where filters of the rows leave no effect that is the same in all cells of a row."""
    if laws is None:
        return
    if laws.lag is not None:
        raise NotApplicableError(
            "with spatial_lag= its coefficient moves with those of the regressors, and in another "
            "way in the within estimator; use mundlak=True and mundlak_test()"
        )
    if laws.ar == EACH or laws.cells:
        what = "cell_scale=" if laws.cells else "ar='entity'"
        raise NotApplicableError(
            f"with {what} the effect of a row is another in each of its filtered cells, so that "
            "deviations from means do not sweep it out; compare fits with one AR coefficient or "
            "scales of rows"
        )


def _products(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return np.asarray(A.reshape(len(A), -1) @ B.reshape(len(B), -1).T)
