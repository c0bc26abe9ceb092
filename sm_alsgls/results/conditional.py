"""Predictions given what is known of the other equations in the same row.

With e_n = y_n - X_n beta ~ N(0, Sigma) and O the equations, other than j, whose response is known,

    E[y_nj | y_nO]   = x_nj' beta_j + w' e_nO,      w = Sigma_OO^-1 Sigma_Oj
    Var[y_nj | y_nO] = sigma_jj - w' Sigma_Oj       = v_nj

from the row's factors, filtered from what is seen (`covariance.observed`). The estimated mean
is linear in beta, with gradient g: x_nj in the coefficients of equation j, -w_l x_nl in those of
l in O. So its variance is g' V g, and that of the response about it v_nj + g' V g. Sigma is taken
as known.

A weighted row has sqrt(weight) e_nj in place of e_nj (`results.roots_of_weights`); a cell without a
weight counts as 1.

Where errors follow laws, e_n has the covariance that a row has by itself (`results.row_laws`): the
rows before are not given. Where filters differ between equations rows have covariances of their
own, O(N K^3); where cells are missing as well, scales of cells are as weights, which beside
autoregressive errors is near only: correlations are those of cells of mean scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol

import numpy as np
import pandas as pd

from sm_alsgls.core.laws.marginal import NewRows as Rows
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.coefficients import df_of_equations
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import Laid, Table, known_cells, laid_out
from sm_alsgls.results.new_rows import NewRows, rows_of_system, select
from sm_alsgls.results.new_scales import laid_scales
from sm_alsgls.results.prediction import SystemPrediction, frozen
from sm_alsgls.results.reduced_form import reduced_means, variances_of
from sm_alsgls.results.roots_of_weights import laid_roots, own_roots
from sm_alsgls.results.row_laws import (
    covariances_of_estimation_rows,
    of_new_row,
    of_new_rows,
    seen,
    uneven,
)
from sm_alsgls.results.row_means import RowMeans
from sm_alsgls.results.rows_of_their_own import RowsOfTheirOwn


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
    conditional = Conditional.of(estimate, rows, exog, transform, given)
    mean, explained = conditional.mean, conditional.variance
    wanted = np.zeros(mean.shape, dtype=bool)
    wanted[:, chosen] = True
    variance = conditional.of_means(wanted)
    by_piece = [(piece.j, t) for piece, t in conditional.places]
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
    made = Conditional.of(estimate, rows, exog, transform, given)
    return rows.label(rows.fill(made.mean[t, piece.j] for piece, t in made.places))


def _covariances(estimate: Estimate, laid: Laid, new: bool) -> tuple[np.ndarray | None, Any]:
    """Of each row (T, K, K), where they differ by more than a factor, and which cells have one."""
    if not new:
        return covariances_of_estimation_rows(estimate), True
    scale = laid_scales(estimate, laid) if uneven(estimate, len(laid.there)) else None
    if scale is None:
        return None, True
    known = np.isfinite(scale)
    return of_new_rows(estimate, Rows(np.where(known, scale, 1.0)), covariances=True), known


def _weighted(estimate: Estimate, laid: Laid, table: Table, new: bool) -> Table:
    """With roots of weights, and without responses of weight 0."""
    if not new:
        root = own_roots(estimate)
        return table if root is None else table._replace(root=root)
    found = laid_roots(estimate, laid)
    if found is None:
        return table
    root, out = found
    return table._replace(root=root, Y=np.where(out, np.nan, table.Y))


class RowsSeen(Protocol):
    """Rows seen through holes: of one Sigma, or of one each."""

    def conditional(self, E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances of cells given the others, (T, K)."""
        ...

    def weights(self, t: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Of the others in the means of cells, (n, K)."""
        ...


class Conditional:
    """Means and variances of the cells of a table given the others of their row, (T, K).

    ``means`` are the unconditional ones; ``seen`` makes what rows times the roots of the table
    are through the holes of a mask.
    """

    def __init__(
        self, table: Table, means: RowMeans, seen: Callable[[np.ndarray], RowsSeen]
    ) -> None:
        self.places, self._root, self._means = table.places, table.root, means
        E = (table.Y - means.mean) * table.root
        mask = np.isfinite(E)
        self._observed = seen(mask)
        mean, variance = self._observed.conditional(np.where(mask, E, 0.0))
        self.mean = means.mean + mean / table.root
        # A cell of hardly any weight may have a variance beyond the largest double.
        with np.errstate(over="ignore"):
            self.variance = variance / np.square(table.root)

    @classmethod
    def of(
        cls, estimate: Estimate, rows: NewRows, exog: Any, transform: bool, given: Any
    ) -> Conditional:
        """Of rows to predict."""
        laid = laid_out(estimate.model, rows, exog, transform, "given=")
        table = known_cells(estimate.model, laid, exog, transform, given)
        if estimate.laws is None:
            table = _weighted(estimate, laid, table, exog is not None)
            pairs = zip(laid.designs, estimate.beta, strict=True)
            fitted = np.column_stack([X @ b for X, b in pairs])
            means = RowMeans(estimate, laid.designs, fitted)
            return cls(table, means, lambda mask: estimate.sigma.seen(Patterns(mask)))
        own, known = _covariances(estimate, laid, exog is not None)
        if own is not None:
            table = table._replace(root=np.where(known, table.root, np.nan))
            return cls(table, reduced_means(estimate, laid), partial(RowsOfTheirOwn, own))
        cov = seen(of_new_row(estimate))
        variances = variances_of(estimate, laid, exog is None)
        # Rows and cells of scales of their own are as those with weights.
        table = table._replace(root=np.sqrt(cov.diag() / variances))
        return cls(table, reduced_means(estimate, laid), lambda mask: cov.seen(Patterns(mask)))

    def of_means(self, wanted: np.ndarray) -> np.ndarray:
        """Variances g' V g of the estimated means of the ``wanted`` cells, NaN elsewhere.

        O(P^2) a cell with V whole; beyond P = 4,000 a linear solve a cell.
        """
        out, root = np.full(wanted.shape, np.nan), self._root
        seen = np.nan_to_num(root)  # what has no scale is not seen, and has no part in others
        for j in range(wanted.shape[1]):
            t = np.flatnonzero(np.isfinite(self._means.mean[:, j]) & wanted[:, j])
            if not len(t):
                continue
            c = -self._observed.weights(t, np.full(len(t), j)) * seen[t] / root[t, j][:, None]
            c[:, j] = 1.0
            out[t, j] = self._means.of_combinations(t, c)
        return out
