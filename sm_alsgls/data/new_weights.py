"""Weights of new rows: of the columns that ``weights=`` named, where new data have them.

A row's error has the variance sigma_jj / w, w over the mean of the rows that were estimated from.
Weights that were given as values have no names to look for in new data: weights are 1 there, that
mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name
from sm_alsgls.border.frames import level_names, table
from sm_alsgls.border.labels import shown
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.system import System
from sm_alsgls.data.weights import weights_of_data
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError
from sm_alsgls.formula.right_side import Named, named


@dataclass(frozen=True, eq=False)
class NewWeights:
    """Columns that hold weights, one of all equations or one of each, and what they were over.

    Attributes
    ----------
    columns : Named
    mean : ndarray, shape (K,)
        Of the weights of the rows that were estimated from.
    """

    columns: Named
    mean: np.ndarray

    @classmethod
    def of_model(
        cls, weights: Any, frame: pd.DataFrame, system: System, rows: Provenance
    ) -> NewWeights | None:
        """As a model was given them with its data, ``frame``; None where they name no columns."""
        columns = _columns(weights, frame, system.names)
        if columns is None:
            return None
        each = weights_of_data(weights, rows, system.names)
        assert each is not None
        shape = (system.nobs, len(system.names))
        w = np.broadcast_to(each if each.ndim == 2 else each[:, None], shape)
        root = np.broadcast_to(system.cells.root, shape)
        with np.errstate(invalid="ignore"):
            told = np.isfinite(w) & (w > 0.0) & (root > 0.0)
        if system.cells.mask is not None:
            told &= system.cells.mask
        at = told.argmax(axis=0), np.arange(shape[1])
        return cls(columns, w[at] / np.square(root[at]))

    def of(self, data: Any) -> np.ndarray | None:
        """Weights (n, K) of the rows of data, NaN where one is missing; None without the columns.

        Raises
        ------
        NonFiniteError, OptionError
            One is infinite, or negative.
        """
        frame = table(data)
        known = [*frame.columns, *level_names(frame.index)]
        if any(name not in known for name in self.columns.names):
            return None
        made = self.columns.of(frame)
        w = made.to_numpy(dtype=float)
        for bad, what, error in (
            (np.isinf(w), "infinite", NonFiniteError),
            (w < 0.0, "negative", OptionError),
        ):
            found = np.argwhere(bad)
            if len(found):
                n, i = found[0]
                raise error(
                    f"weights: row {shown(made.index[n])} of the data to predict has the {what} "
                    f"weight {w[n, i]:g} in {made.columns[i]!r}; give a number >= 0, or leave the "
                    "column out: weights are 1 then"
                )
        return w / self.mean


def _columns(weights: Any, frame: pd.DataFrame, names: list[str]) -> Named | None:
    """One column, or one of each equation in their order; None for values."""
    if not isinstance(weights, Mapping):
        found = None if weights is None else named(weights, frame, "weights")
        return found if found is not None and len(found.names) in (1, len(names)) else None
    at = by_name(weights, names, "weights", ShapeError, noun="equation")
    given = list(weights.values())
    each = [named(given[i], frame, "weights") for i in at]
    known = [one.names[0] for one in each if one is not None and len(one.names) == 1]
    return Named(tuple(known), "weights") if len(known) == len(names) else None
