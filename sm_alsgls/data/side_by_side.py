"""Two designs of one equation as one, each with its names or without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import check_rows
from sm_alsgls.border.labels import spell
from sm_alsgls.border.numbers import numbers
from sm_alsgls.data.read import numbered
from sm_alsgls.exceptions import ShapeError


def side_by_side(equation: str, letter: str, *parts: tuple[str, Any]) -> Any:
    """Designs of the same rows in one; those that are None are left out.

    Parameters
    ----------
    equation : str
        For messages.
    letter : str
        Columns without names are const, x1, x2, ... where it is x.
    *parts : (str, array_like (N, p), (N,), Series or DataFrame)
        What the caller calls each, and its values.

    Returns
    -------
    DataFrame, ndarray or None
        An array where nothing has labels, None where nothing is given.

    Raises
    ------
    ShapeError
        Rows or their labels differ, or two columns have one name.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sm_alsgls.data.side_by_side import side_by_side
    >>> exog = pd.DataFrame({"const": [1.0, 1.0], "x": [1.0, 2.0]})
    >>> list(side_by_side("a", "x", ("exog", exog), ("endog", np.array([5.0, 6.0]))))
    ['const', 'x', 'x1']
    """
    given = [(argument, value) for argument, value in parts if value is not None]
    if len(given) < 2:
        return given[0][1] if given else None
    columns, blocks = [], []
    index = None
    for argument, value in given:
        what = f"{argument} of equation {equation!r}"
        X = numbers(value, what)
        blocks.append(X[:, None] if X.ndim == 1 else X)
        if X.ndim not in (1, 2):
            raise ShapeError(f"{what} must be (N, p), got {X.ndim} dimensions")
        if len(blocks[-1]) != len(blocks[0]):
            raise ShapeError(
                f"{what} has shape {X.shape}, {given[0][0]} has {len(blocks[0])} rows; give both "
                "the same rows"
            )
        if isinstance(value, (pd.Series, pd.DataFrame)):
            if index is not None:
                check_rows(value.index, index, what, ShapeError)
            index = value.index if index is None else index
        columns.append(_names(value, blocks[-1].shape[1]))
    values = np.column_stack(blocks)
    if index is None:
        return values
    labels = [label for names in columns for label in names]
    nameless = [i for i, label in enumerate(labels) if label is None]
    ones = (bool((values[:, i] == 1.0).all()) for i in nameless)
    taken = {label for label in labels if label is not None}
    spare = iter(numbered(ones, letter, taken))
    named = [next(spare) if label is None else label for label in labels]
    return pd.DataFrame(values, index=index, columns=named)


def _names(value: Any, p: int) -> list[str | None]:
    """Names of the columns, None for one that has none."""
    if isinstance(value, pd.DataFrame):
        return [spell(column) for column in value.columns]
    if isinstance(value, pd.Series) and value.name is not None:
        return [spell(value.name)]
    return [None] * p
