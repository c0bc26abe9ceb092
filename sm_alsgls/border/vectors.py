"""Variables by row in the forms that callers have: values of any type, and labels if there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.dtypes import plain_index
from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import OptionError, ShapeError

KINDS = (pd.Series, pd.DataFrame, pd.Index, np.ndarray, pd.api.extensions.ExtensionArray)


class Vector(NamedTuple):
    """One variable as the caller passed it."""

    values: pd.Series  # of any type, numbered
    labels: pd.Index | None
    name: Any = None

    @classmethod
    def of(cls, values: pd.Series, labels: pd.Index | None, name: Any = None) -> Vector:
        """A Series without its index, which is given beside it."""
        return cls(values.reset_index(drop=True), labels, name)


def columns(value: Any, argument: str) -> list[Vector]:
    """The columns of a Series, a DataFrame, or of what has no labels.

    Raises
    ------
    OptionError
        It has no rows.
    """
    if isinstance(value, pd.Series):
        return [Vector.of(value, value.index, value.name)]
    if isinstance(value, pd.DataFrame):
        names = enumerate(value.columns)
        return [Vector.of(value.iloc[:, i], value.index, name) for i, name in names]
    table = _table(value, argument)
    return [Vector.of(table.iloc[:, i], None) for i in range(table.shape[1])]


def _table(value: Any, argument: str) -> pd.DataFrame:
    """What has no labels, as numbered rows and columns."""
    if isinstance(value, (pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(value).to_frame()
    if np.ma.isMaskedArray(value):
        value = np.where(np.ma.getmaskarray(value), None, np.asarray(value, dtype=object))
    try:
        # Not np.asarray of a list: beside strings it would write a missing value as 'nan'.
        array = list(value) if isinstance(value, (list, tuple)) else np.asarray(value)
        if np.ndim(array) == 0:
            raise TypeError("it has no rows")
        return pd.DataFrame(array)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{argument} takes a column of the data by its name, or a value for each row (a "
            f"Series, a DataFrame or an array); got {shown(value)[:80]} ({error})"
        ) from error


def once(vector: Vector, argument: str) -> tuple[pd.Series, pd.Index]:
    """A labelled vector with every label once; equal labels must have equal values.

    Raises
    ------
    ShapeError
    """
    values, labels = vector.values, pd.Index([]) if vector.labels is None else vector.labels
    if labels.is_unique:
        return values, labels
    codes = {"label": pd.factorize(labels)[0], "value": pd.factorize(values)[0]}
    pairs = pd.DataFrame(codes).drop_duplicates()
    again = pairs["label"].duplicated().to_numpy()
    if again.any():
        where = labels[int(pairs.index[again][0])]
        raise ShapeError(
            f"{argument}: row labels repeat with different values, the first is {shown(where)}, so "
            "they cannot be aligned; pass a column of the data by its name, or a plain array"
        )
    at = pairs.index.to_numpy()
    return values.iloc[at].reset_index(drop=True), labels[at]


def take(values: pd.Series, at: np.ndarray) -> pd.Series:
    """Values at positions, missing at -1."""
    return values.reindex(np.where(at >= 0, at, len(values))).reset_index(drop=True)


def find(labels: pd.Index, target: pd.Index) -> np.ndarray:
    """Where each of ``target`` is among ``labels``, -1 for nowhere."""
    try:
        return plain_index(labels).get_indexer(plain_index(target))
    except (TypeError, ValueError):  # kinds of labels that cannot be compared are not the same
        return np.full(len(target), -1)


def alike(one: pd.Series, other: pd.Series) -> bool:
    """The same values in the same order; missing ones are alike."""
    a, b = (x.to_numpy(dtype=object, na_value=None) for x in (one, other))
    return bool(np.array_equal(a, b))
