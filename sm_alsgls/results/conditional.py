"""Predictions given what is known of the other equations in the same row.

With e_n = y_n - X_n beta ~ N(0, Sigma) and O the equations, other than j, whose response is known,

    E[y_nj | y_nO]   = x_nj' beta_j + w' e_nO,      w = Sigma_OO^-1 Sigma_Oj
    Var[y_nj | y_nO] = sigma_jj - w' Sigma_Oj       = v_nj

from the row's factors, filtered from what is seen (`covariance.observed`). The estimated mean
is linear in beta, with gradient g: x_nj in the coefficients of equation j, -w_l x_nl in those of
l in O. So its variance is g' V g, and that of the response about it v_nj + g' V g. Sigma is taken
as known.

A weighted row has sqrt(weight) e_nj in place of e_nj; a cell without a weight counts as 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.coefficients import df_of_equations
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import Table, known_cells
from sm_alsgls.results.new_rows import rows_of_system, select
from sm_alsgls.results.prediction import SystemPrediction, frozen

# Coefficients up to which V is made whole, and elements of gradients at a time.
DENSE, _CHUNK = 4_000, 2**22


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalPrediction(SystemPrediction):
    """A `SystemPrediction` given the other equations' responses in the row.

    ``predicted_mean`` is E[y_nj | y_nO], ``se_mean`` what estimating the coefficients adds,
    ``var_resid`` Var[y_nj | y_nO] (times N_j / (N_j - p_j - r) where the results are debiased),
    ``se_obs`` the standard error of the response.
    """

    def cov_mean(self, row: Any) -> NoReturn:
        """Not of conditional means.

        Raises
        ------
        OptionError
            Always.
        """
        raise OptionError(
            "cov_mean is of unconditional means: what one equation's mean is given another is "
            "for each cell by itself; call get_prediction without given="
        )


def conditional_prediction(
    estimate: Estimate, exog: Any, transform: bool, equations: Any, given: Any
) -> ConditionalPrediction:
    """See `LowRankSURResults.get_prediction`."""
    chosen = select(estimate.model, equations)
    rows = rows_of_system(estimate.model, exog, transform, equations)
    table = known_cells(estimate.model, rows, exog, transform, given)
    conditional = Conditional(estimate, table)
    mean, explained = conditional.mean, conditional.variance
    wanted = np.zeros(mean.shape, dtype=bool)
    wanted[:, chosen] = True
    variance = conditional.of_means(wanted)
    by_piece = [(piece.j, t) for piece, t in table.places]
    correction = np.square(estimate.df.correction)
    return ConditionalPrediction(
        rows.kept(estimate.equations),
        frozen(rows.fill(mean[t, j] for j, t in by_piece)),
        frozen(rows.fill(variance[t, j] for j, t in by_piece)),
        [frozen(explained[t, j] * correction[j]) for j, t in by_piece],
        frozen(df_of_equations(estimate)[[j for j, _ in by_piece]]) if estimate.use_t else None,
        covariance(estimate),
        estimate.labels,
    )


def conditional_means(
    estimate: Estimate, exog: Any, transform: bool, equations: Any, given: Any
) -> pd.DataFrame | pd.Series:
    """See `LowRankSURResults.predict`: the means alone cost O(n K r^2)."""
    rows = rows_of_system(estimate.model, exog, transform, equations)
    table = known_cells(estimate.model, rows, exog, transform, given)
    mean = Conditional(estimate, table).mean
    return rows.label(rows.fill(mean[t, piece.j] for piece, t in table.places))


class Conditional:
    """Means and variances of the cells of a table given the others of their row, (T, K)."""

    def __init__(self, estimate: Estimate, table: Table) -> None:
        self._estimate, self._table = estimate, table
        pairs = zip(table.designs, estimate.beta, strict=True)
        self._fitted = np.column_stack([X @ b for X, b in pairs])
        E = (table.Y - self._fitted) * table.root
        mask = np.isfinite(E)
        self._observed = estimate.sigma.seen(Patterns(mask))
        mean, variance = self._observed.conditional(np.where(mask, E, 0.0))
        self.mean = self._fitted + mean / table.root
        # A cell of hardly any weight may have a variance beyond the largest double.
        with np.errstate(over="ignore"):
            self.variance = variance / np.square(table.root)

    def of_means(self, wanted: np.ndarray) -> np.ndarray:
        """Variances g' V g of the estimated means of the ``wanted`` cells, NaN elsewhere.

        O(P^2) a cell with V whole; beyond P = 4,000 a linear solve a cell.
        """
        estimate, table = self._estimate, self._table
        out = np.full(wanted.shape, np.nan)
        labels, operator = estimate.labels, covariance(estimate)
        P, stop = labels.P, np.cumsum(labels.p)
        V = operator.dense() if P <= DENSE else None
        owner = np.repeat(np.arange(len(stop)), labels.p)
        flat = np.concatenate([np.where(np.isnan(X), 0.0, X) for X in table.designs], axis=1)
        flat *= table.root[:, owner]
        step = max(1, (_CHUNK if V is not None else 128 * P) // P)
        for j in np.flatnonzero(wanted.any(axis=0)):
            rows = np.flatnonzero(np.isfinite(self._fitted[:, j]) & wanted[:, j])
            at = slice(int(stop[j] - labels.p[j]), int(stop[j]))
            for start in range(0, len(rows), step):
                n = rows[start : start + step]
                weights = self._observed.weights(n, np.full(len(n), j))
                g = -weights[:, owner] * flat[n]
                g[:, at] = flat[n, at]
                g = labels.gather(g / table.root[n, j][:, None])
                if V is not None:
                    out[n, j] = np.einsum("np,np->n", g @ V, g)
                else:
                    out[n, j] = np.diagonal(operator.combinations(g))
        return out
