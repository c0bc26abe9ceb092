"""Arrays of real numbers from whatever a caller passed, missing values as NaN.

What is no number is refused, not converted: text (also digits), dates, complex numbers (also
those whose imaginary part is 0), lists of different lengths. The message names the array, and in
it the column and the row by their labels.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_complex_dtype,
    is_numeric_dtype,
    is_object_dtype,
)

from sm_alsgls.border.dtypes import plain
from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import ShapeError, SystemInputError

# What `infer_dtype` calls objects that are numbers, or missing.
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty")


def numbers(
    value: Any, where: str, error: type[SystemInputError] = ShapeError, remedy: str = ""
) -> np.ndarray:
    """A float array of the shape of ``value``; no copy where it is a float array already.

    Parameters
    ----------
    value : array_like, Series or DataFrame
    where : str
        What the caller calls it, "exog of equation 'GM'"; messages begin with it.
    error : type
        To raise.
    remedy : str
        What to do, at the end of the message.

    Raises
    ------
    SystemInputError
        Of the type ``error``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.numbers import numbers
    >>> numbers([1, None, pd.NA], "endog")
    array([ 1., nan, nan])
    >>> numbers(pd.Series(["1", "2"], name="x"), "endog")
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.ShapeError: endog: column 'x' holds text, '1' in row 0; convert it with \
pandas.to_numeric, or encode it
    """
    if isinstance(value, (pd.Series, pd.DataFrame)):
        return _of_frame(value, where, error, remedy)
    if np.ma.isMaskedArray(value):
        kind = value.dtype.kind
        value = np.ma.filled(value.astype(float), np.nan) if kind in "fiub" else value.data
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as problem:
        raise error(f"{where}: {_ragged(value) or problem}{remedy}") from problem
    if array.dtype.kind == "O":
        return _of_objects(array, where, error, remedy)
    if array.dtype.kind not in "fiub":
        raise error(f"{where} holds {_kind(array)}, not real numbers{remedy}")
    return np.asarray(array, dtype=float)


def depth(value: Any) -> int:
    """Number of dimensions, of lists along their first items, which need not make an array.

    >>> depth([[1, 2], [3]]), depth([1.0]), depth("x")
    (2, 1, 0)
    """
    if isinstance(value, (list, tuple)):
        return 1 + (depth(value[0]) if value else 0)
    return int(getattr(value, "ndim", 0))


def _of_frame(
    value: pd.Series | pd.DataFrame, where: str, error: type[SystemInputError], remedy: str
) -> np.ndarray:
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    columns, simple = [], True
    for i, (label, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        column, extension = frame.iloc[:, i], isinstance(dtype, ExtensionDtype)
        simple = simple and not extension and not is_object_dtype(dtype)
        made = column
        if extension and not isinstance(dtype, pd.CategoricalDtype):
            made = plain(column)
        known = is_numeric_dtype(made.dtype) or is_bool_dtype(made.dtype)
        if not known or is_complex_dtype(made.dtype):
            bad = None
            if is_object_dtype(made.dtype):
                bad = _first_that_is_none(made.to_numpy(dtype=object))
            if bad is not None or not is_object_dtype(made.dtype):
                named = f"{where}: column {shown(label)}" if label is not None else where
                said = f"is {dtype}, not numeric" if bad is None else _no_number(made, bad, dtype)
                raise error(f"{named} {said}{remedy}")
        columns.append(made)
    if simple or not columns:
        return value.to_numpy(dtype=float)
    try:
        arrays = [column.to_numpy(dtype=float, na_value=np.nan) for column in columns]
    except (TypeError, ValueError, OverflowError) as problem:
        raise error(f"{where} is not numeric ({problem}){remedy}") from problem
    return arrays[0] if isinstance(value, pd.Series) else np.column_stack(arrays)


def _no_number(column: pd.Series, at: int, dtype: Any) -> str:
    item = column.iloc[at]
    if isinstance(item, str):
        return (
            f"holds text, {shown(item)} in row {shown(column.index[at])}; convert it with "
            "pandas.to_numeric, or encode it"
        )
    return f"holds {shown(item)} in row {shown(column.index[at])}, which is not a real number"


def _of_objects(
    array: np.ndarray, where: str, error: type[SystemInputError], remedy: str
) -> np.ndarray:
    bad = _first_that_is_none(array.ravel())
    if bad is not None:
        item = array.ravel()[bad]
        at = np.unravel_index(bad, array.shape)
        place = f"[{', '.join(str(int(i)) for i in at)}]" if array.ndim else ""
        what = f"text, {shown(item)}" if isinstance(item, str) else _short(item)
        raise error(f"{where} holds {what}{' at ' if place else ''}{place}, not a number{remedy}")
    missing = pd.isna(array)
    out = np.full(array.shape, np.nan)
    try:
        out[~missing] = array[~missing].astype(float)
    except (TypeError, ValueError, OverflowError) as problem:
        raise error(f"{where} is not numeric ({problem}){remedy}") from problem
    return out


def _first_that_is_none(items: np.ndarray) -> int | None:
    """Position of the first object that is neither a real number nor missing."""
    if infer_dtype(items, skipna=True) in _NUMBERS and not any(
        item is pd.NaT for item in items[pd.isna(items)]
    ):
        return None
    for i, item in enumerate(items):
        if isinstance(item, Real) or item is None or item is pd.NA:
            continue
        if infer_dtype([item], skipna=True) not in _NUMBERS or item is pd.NaT:
            return i
    return None


def _kind(array: np.ndarray) -> str:
    kinds = {"U": "text", "S": "bytes", "M": "dates", "m": "times", "c": "complex numbers"}
    return f"{kinds.get(array.dtype.kind, 'something')} ({array.dtype})"


def _short(item: Any) -> str:
    text = " ".join(shown(item).split())
    return text if len(text) < 60 else f"an object of {type(item).__name__}"


def _ragged(value: Any) -> str:
    """What is wrong with lists that make no array, where it is their lengths."""
    if not isinstance(value, (list, tuple)):
        return ""
    lengths = [np.shape(item)[:1] if not isinstance(item, (list, tuple)) else (len(item),)
               for item in value]  # fmt: skip
    if len(set(lengths)) < 2:
        return ""
    i = next(i for i, n in enumerate(lengths) if n != lengths[0])
    size = [f"{n[0]} items" if n else "a number" for n in (lengths[0], lengths[i])]
    return f"its rows have different lengths, the first {size[0]}, number {i + 1} {size[1]}"
