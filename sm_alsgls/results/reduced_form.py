"""Means and variances of rows of responses that follow laws: the reduced form of a spatial lag.

y = rho W y + X b + e has y = A^-1 (X b + e), A = I - rho W, so that the mean of a unit depends on
the regressors of its neighbours, and of theirs: only whole rows (of units that are equations), or
whole periods (of units that are rows), have one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import listed
from sm_alsgls.core.laws.marginal import NewRows as Rows
from sm_alsgls.core.laws.spatial_lag import SpatialLag
from sm_alsgls.data.error_laws import LAG_NAME
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import Laid, laid_out
from sm_alsgls.results.new_rows import NewRows, rows_of_system
from sm_alsgls.results.new_scales import laid_scales, scales_of
from sm_alsgls.results.roots_of_weights import new_roots, own_roots
from sm_alsgls.results.row_laws import (
    lag_of,
    of_estimation_rows,
    of_new_row,
    of_new_rows,
    of_units,
)
from sm_alsgls.results.row_means import RowMeans


def reduced_rows(
    estimate: Estimate, exog: Any, transform: bool, equations: Any
) -> tuple[NewRows, Laid, RowMeans]:
    """Rows to predict where there is a spatial lag, with their means."""
    rows = rows_of_system(estimate.model, exog, transform, equations)
    laid = laid_out(estimate.model, rows, exog, transform, "spatial_lag=")
    return rows, laid, reduced_means(estimate, laid)


def reduced_means(estimate: Estimate, laid: Laid) -> RowMeans:
    """Means of all rows of a table, through the lag if there is one.

    Raises
    ------
    OptionError
        Some units of a row are not in the data, and there is a lag.
    """
    lag, laws = lag_of(estimate), estimate.laws
    if lag is None or laws is None:
        return RowMeans(estimate, laid.designs, _direct(estimate, laid.designs))
    if laws.over_rows:
        return _of_periods(estimate, laid, lag)
    whole_rows(estimate, laid)
    return mixed(estimate, laid.designs, _direct(estimate, laid.designs), lag)


def whole_rows(estimate: Estimate, laid: Laid) -> None:
    """Raise where a row lacks units, of which a lag needs all.

    Raises
    ------
    OptionError
    """
    lacking = ~laid.there
    part = lacking.any(axis=1)
    if part.any():
        t = int(np.flatnonzero(part)[0])
        names = [repr(estimate.equations[j]) for j in np.flatnonzero(lacking[t])]
        where = "" if laid.labels is None else f" {shown(laid.labels[t])}"
        raise OptionError(
            "exog: with a spatial lag a unit's mean depends on its neighbours' regressors, and row"
            f"{where} lacks {listed(names)}; give rows with all units (equations= chooses what is "
            "returned)"
        )


def mixed(
    estimate: Estimate,
    designs: list[np.ndarray],
    base: np.ndarray,
    lag: SpatialLag,
    slopes: np.ndarray | None = None,
) -> RowMeans:
    """A^-1 of rows m (T, K), of which ``slopes`` (T, K, m) are in the laws' parameters."""
    assert estimate.laws is not None
    unknown = np.isnan(base).any(axis=1)
    mean = lag.inverse(np.where(unknown[:, None], 0.0, base))
    D = np.zeros((*base.shape, len(estimate.laws.values)))
    if slopes is not None:
        for i in range(D.shape[2]):
            D[:, :, i] = lag.inverse(np.where(unknown[:, None], 0.0, slopes[:, :, i]))
    place = estimate.laws.places[LAG_NAME].start
    D[:, :, place] += lag.inverse(lag.weights.lagged(mean))
    mean = np.where(unknown[:, None], np.nan, mean)
    mix = lag.inverse(np.eye(base.shape[1])).T
    return RowMeans(estimate, designs, mean, mix, D)


def variances_of(estimate: Estimate, laid: Laid, own: bool) -> np.ndarray:
    """Of responses about their means, (T, K); ``own``: the table is that of the estimation rows."""
    if own:
        found = of_estimation_rows(estimate)
        alone = of_new_row(estimate).diag()
        return np.where(found > 0.0, found, alone)
    cells = [(slice(None), j) for j in range(estimate.neqs)]
    scale = laid_scales(estimate, laid)
    return new_variances(estimate, laid.labels, len(laid.there), scale, cells)


def variances_of_pieces(estimate: Estimate, rows: NewRows, own: bool) -> list[np.ndarray] | None:
    """The same of rows without a lag, piece by piece; None where all are those of Sigma."""
    if estimate.laws is None:
        return _weighted(estimate, rows, own)
    if own:
        found = of_estimation_rows(estimate)
        alone = of_new_row(estimate).diag()
        return [np.where(found[:, p.j] > 0.0, found[:, p.j], alone[p.j]) for p in rows.pieces]
    labels = rows.systems if rows.columns is None else rows.index
    long = rows.columns is None
    cells = [(piece.at if long else slice(None), piece.j) for piece in rows.pieces]
    every = new_variances(estimate, labels, len(rows.index), scales_of(estimate, rows), cells)
    return [every[at] for at in cells]


def _weighted(estimate: Estimate, rows: NewRows, own: bool) -> list[np.ndarray] | None:
    """sigma_jj / w, piece by piece."""
    root = own_roots(estimate) if own else new_roots(estimate, rows)
    if root is None:
        return None
    each, long = estimate.sigma.diag(), rows.columns is None and not own
    cells = [(piece.at if long else slice(None), piece.j) for piece in rows.pieces]
    # A cell of hardly any weight may have a variance beyond the largest double.
    with np.errstate(over="ignore"):
        return [each[j] / np.square(root[at, j]) for at, j in cells]


def new_variances(
    estimate: Estimate,
    labels: pd.Index | None,
    n: int,
    scale: np.ndarray | None,
    cells: list[tuple[Any, int]],
) -> np.ndarray:
    """The same of new rows (n, K) with scales (n, K), and a unit's own where units are rows.

    ``cells`` are those that there are: rows and equation. Without scales rows are mean ones, and so
    are neighbours that are not among the rows. A row that is no unit gets the units' mean.
    """
    K = estimate.neqs
    own = np.ones((n, K)) if scale is None else scale
    out = of_new_rows(estimate, Rows(own))
    if of_units(estimate) is None:
        return out
    at = _units(estimate, labels)
    if at is None:
        at = np.full(n, -1)
    around = np.ones((len(estimate.model.system.index), K))
    for rows, j in cells:
        known = np.arange(n)[rows][at[rows] >= 0]
        around[at[known], j] = np.where(np.isnan(own[known, j]), 1.0, own[known, j])
    alone, among = of_units(estimate), of_units(estimate, around)
    assert alone is not None
    assert among is not None
    share = np.where((at >= 0)[:, None], among[at], own * alone.mean())
    return np.where(np.isnan(own), np.nan, share) * estimate.row_sigma.diag()


def _units(estimate: Estimate, labels: pd.Index | None) -> np.ndarray | None:
    """Which unit each row is, -1 where it is none; None where rows have no labels."""
    units = estimate.model.system.index
    plain = labels is None or labels.equals(pd.RangeIndex(len(labels)))
    if plain and not units.equals(pd.RangeIndex(len(units))):
        return None
    return np.asarray(units.get_indexer(labels))


def _direct(estimate: Estimate, designs: list[np.ndarray]) -> np.ndarray:
    return np.column_stack([X @ b for X, b in zip(designs, estimate.beta, strict=True)])


def _of_periods(estimate: Estimate, laid: Laid, lag: SpatialLag) -> RowMeans:
    """A^-1 on the columns of a table whose rows are all units, in any order."""
    assert estimate.laws is not None
    units = estimate.model.system.index
    at = _units(estimate, laid.labels)
    order = np.arange(len(units)) if at is None else at
    lacking = np.setdiff1d(np.arange(len(units)), order)
    present = laid.there.any(axis=0)
    holes = ~laid.there[:, present]
    if len(order) != len(units) or len(lacking) or holes.any() or (order < 0).any():
        names = [shown(units[i]) for i in lacking[:5]]
        if not names and laid.labels is not None:
            names = [shown(laid.labels[t]) for t in np.flatnonzero(holes.any(axis=1))[:5]]
        raise OptionError(
            "exog: with a spatial lag a unit's mean depends on its neighbours' regressors; give "
            f"every unit of the model, and no other, in every period: {listed(names)} lacking, "
            f"{len(laid.there)} rows for {len(units)} units"
        )
    back = np.argsort(order)
    inside = [X[back] for X in laid.designs]
    inside = [np.full(X.shape, np.nan) if np.isnan(X).any() else lag.inverse(X) for X in inside]
    mean = _direct(estimate, inside)
    D = np.zeros((*mean.shape, len(estimate.laws.values)))
    known = np.isfinite(mean)
    place = estimate.laws.places[LAG_NAME].start
    D[:, :, place] = lag.inverse(lag.weights.lagged(np.where(known, mean, 0.0)))
    return RowMeans(estimate, [Z[order] for Z in inside], mean[order], None, D[order])
