"""A design of new rows, by the names of its columns or by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name, nameless
from sm_alsgls.border.frames import table, to_pandas
from sm_alsgls.border.labels import spell
from sm_alsgls.border.names import listed
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import ShapeError


def new_design(
    value: Any, where: str, labels: list[str], named: bool
) -> tuple[np.ndarray, pd.Index | None]:
    """Regressors (n, p), and row labels where they have some; ``where`` is what errors call them.

    Columns go by name where both sides have names, and others beside those of the model do no
    harm; else by position.

    Raises
    ------
    ShapeError
    """
    value = to_pandas(value, "exog")
    value = _labelled(table(value, where) if isinstance(value, Mapping) else value, labels, named)
    index = value.index if isinstance(value, (pd.DataFrame, pd.Series)) else None
    if isinstance(value, pd.DataFrame):
        known = {spell(column, labels) for column in value.columns}
        if set(labels) <= known or (named and not nameless(value.columns)):
            at = by_name(value.columns, labels, where, ShapeError, others=True)
            value = value.iloc[:, at]
    X = numbers(value, where)
    if X.ndim == 1 and len(labels) == 1:
        X = X[:, None]
    elif X.ndim < 2:
        X, index = np.atleast_2d(X), None
    if X.ndim != 2 or X.shape[1] != len(labels):
        got = f"{X.shape[1]} columns" if X.ndim == 2 else f"{X.ndim} dimensions"
        raise ShapeError(f"{where} has {got}, the model has {len(labels)} ({listed(labels)})")
    return X, index


def _labelled(value: Any, labels: list[str], named: bool) -> Any:
    """A labelled row, or a named column, as a frame; anything else as it is."""
    if not isinstance(value, pd.Series):
        return value
    is_row = set(labels) <= {spell(label, labels) for label in value.index}
    if is_row or (len(labels) > 1 and named and not nameless(value.index)):
        rows = pd.RangeIndex(1) if value.name is None else pd.Index([value.name])
        return pd.DataFrame([value.to_numpy()], index=rows, columns=value.index)
    return value if value.name is None or len(labels) > 1 else value.to_frame()
