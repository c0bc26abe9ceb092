"""Scales of the errors of new rows: what explains them, of the data that are predicted from.

A row has exp((z - c)'delta) times the variance of a mean one, z made as in the model's own data (by
its formula, with what this memorised, or of columns of the same names) and c its mean there. Scales
that were given as values have no names to look for in new data, and neither have designs that are
given in the place of data: rows are of mean scale there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.data.error_laws import SCALE_NAME
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import Laid
from sm_alsgls.results.new_rows import NewRows


def scales_of(estimate: Estimate, rows: NewRows) -> np.ndarray | None:
    """Scales of new rows, (n, K), NaN where z misses something; None: of mean scale.

    Of a long panel's data each of their rows has one, in all K columns.

    Raises
    ------
    FormulaError
        The data have no z.
    ShapeError
        Scales are of rows of the system, and z differs within one of them.
    """
    laws, spec = estimate.laws, estimate.model.laws
    if laws is None or spec is None or SCALE_NAME not in laws.places:
        return None
    if rows.data is None or spec.variables is None:
        return None
    made, shape = spec.variables.of(rows.data), (len(rows.index), estimate.neqs)
    formula = estimate.model.formula_system
    if laws.cells and formula is not None and formula.groups is None:
        z = made[estimate.equations].to_numpy()[:, :, None]
    else:
        z = made.to_numpy()[:, None, :]
    if not laws.cells and rows.columns is None and rows.systems is not None:
        _same_within(made, rows.systems)
    return np.broadcast_to(laws.scales(z), shape)


def laid_scales(estimate: Estimate, laid: Laid) -> np.ndarray | None:
    """The same of a table of rows of the system (T, K); cells that are not there are mean ones."""
    found = scales_of(estimate, laid.everything)
    if found is None or laid.everything.columns is not None:
        return found
    out = np.ones(laid.there.shape)
    for piece in laid.everything.pieces:
        out[laid.codes[piece.at], piece.j] = found[piece.at, piece.j]
    return out


def _same_within(z: pd.DataFrame, systems: pd.Index) -> None:
    """Raise where scales of rows differ between cells of one."""
    values = z.set_axis(pd.RangeIndex(len(z)))
    spread = values.groupby(systems.to_numpy()).agg(lambda one: one.max() - one.min())
    differs = (spread > 0.0).to_numpy()
    if differs.any():
        t, i = (int(at[0]) for at in np.nonzero(differs))
        raise ShapeError(
            f"row_scale: {z.columns[i]!r} differs within row {shown(spread.index[t])} of the data "
            "to predict; cell_scale= is of variables that differ between cells of a row"
        )
