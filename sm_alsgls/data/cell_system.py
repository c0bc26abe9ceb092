"""A system of which some cells are left out or weighted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.data.read import read_system
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import LARGEST, check_finite, check_missing, distinct
from sm_alsgls.data.weights import check_weights, normalised, read_weights
from sm_alsgls.exceptions import DegenerateResponseError, InsufficientRowsError, ShapeError


def cell_system(
    endog: Any, exog: Any, missing: str, weights: Any, together: bool = False
) -> System:
    """Read ``endog`` and ``exog`` in any of the forms `LowRankSUR` documents, cell by cell.

    1. A cell (n, j) is there where y_nj and every regressor of equation j in row n are.
    2. Weights are checked in cells that are there; zero takes a cell out.
    3. What is missing elsewhere is dropped by rows ("drop"), cells ("fiml"), or refused.
    4. Rows without a cell are dropped; every equation must have more rows than regressors.
    5. Weights are taken over their mean in each equation, or in all of them ``together``.

    Raises
    ------
    ShapeError, NonFiniteError, OptionError, InsufficientRowsError, DegenerateResponseError
    """
    check_missing(missing)
    system = read_system(endog, exog, drop=False)
    names, index = system.names, system.index
    N, K = system.Y.shape
    if N == 0:
        raise ShapeError(f"the system is empty: 0 rows, {K} equations")
    present = _present(system)
    used, w = present, None
    wanted = np.ones((1, 1), dtype=bool)
    if weights is not None:
        w = read_weights(weights, names, system.provenance)
        check_weights(w, present, names, index)
        with np.errstate(invalid="ignore"):
            wanted = (w if w.ndim == 2 else w[:, None]) > 0.0
        used = present & wanted
    keep = np.asarray(used.any(axis=1))
    if missing == "drop":
        keep &= (present | ~wanted).all(axis=1)
    elif missing != "fiml" and (wanted & ~present).any():
        check_finite(system)
    if not keep.any():
        raise InsufficientRowsError(
            f"no row is left of {N}: every one misses something or has weight 0"
            + ("; missing='fiml' keeps rows that miss some cells" if missing == "drop" else "")
        )
    system = system.kept(keep)
    used, w = used[keep], None if w is None else w[keep]
    _check_infinite(system)
    counts = used.sum(axis=0)
    _check_counts(system, counts)
    _check_vary(system, used)
    out = ~used & ~np.isnan(system.Y)
    if w is not None and (out & present[keep]).any():
        # A cell of weight zero is one that is not there.
        system = replace(system, Y=np.where(out & present[keep], np.nan, system.Y))
    mask = None if used.all() else np.asfortranarray(used)
    if w is not None:
        w = normalised(w, used, together)
        w = None if ((w == 1.0) | (w == 0.0)).all() else w  # 0 is a hole without a weight
    if mask is None and w is None:
        return system
    return replace(system, used=Cells(system.nobs, K, mask, w))


def _present(system: System) -> np.ndarray:
    out = ~np.isnan(system.Y)
    whole = {id(X): ~np.isnan(X).any(axis=1) for X in distinct(system.blocks)}
    for j, X in enumerate(system.blocks):
        out[:, j] &= whole[id(X)]
    return out


def _check_infinite(system: System) -> None:
    largest = (np.fmax.reduce(np.abs(A).ravel(), initial=0.0) for A in system.arrays)
    if not all(size <= LARGEST for size in largest):
        check_finite(system.mapped(lambda A: np.where(np.isnan(A), 0.0, A)))


def _check_counts(system: System, counts: np.ndarray) -> None:
    short = [j for j, columns in enumerate(system.columns) if counts[j] <= len(columns)]
    if short:
        j = short[0]
        more = f" (and {len(short) - 1} more equations have too few)" if len(short) > 1 else ""
        raise InsufficientRowsError(
            f"equation {system.names[j]!r} has {len(system.columns[j])} regressors but only "
            f"{counts[j]} of {system.nobs} rows are there{more}; it needs at least "
            f"{len(system.columns[j]) + 1} rows: drop regressors, or the equation"
        )


def _check_vary(system: System, used: np.ndarray) -> None:
    Y = np.where(used, system.Y, np.nan)
    varies = np.nanmax(Y, axis=0) > np.nanmin(Y, axis=0)
    if not varies.all():
        j = int(np.flatnonzero(~varies)[0])
        raise DegenerateResponseError(
            f"the response of equation {system.names[j]!r} is constant ({np.nanmax(Y[:, j]):g} in "
            f"all {used[:, j].sum()} rows that it has); drop the equation"
        )
