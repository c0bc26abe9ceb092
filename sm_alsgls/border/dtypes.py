"""Columns of any pandas dtype as what NumPy and the formula engines know."""

from __future__ import annotations

import datetime
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

from sm_alsgls.border.labels import shown

# What `infer_dtype` calls objects that are numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}


def plain(column: pd.Series, whole: bool = True) -> pd.Series:
    """A column as bool, numbers, times or objects, with NaN (NaT) where it misses something.

    By kind of the dtype, not from a list of them: Arrow's, pandas' nullable, sparse ones and those
    of other packages become bool (object beside a missing value), integers (float beside one),
    float (decimals), datetime64 and timedelta64, else objects. Objects that are all numbers become
    numbers, and those that are all missing NaN. Unordered dictionaries of Arrow are an encoding of
    their values and become those. Categoricals stay, on plain categories.

    Parameters
    ----------
    column : Series
    whole : bool
        Whether what is neither a number nor text, and has a dtype in pandas only (periods,
        intervals, times in a time zone), becomes objects too.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.dtypes import plain
    >>> plain(pd.Series([1, None], dtype="Int64")).tolist()
    [1.0, nan]
    >>> plain(pd.Series(["a", None], dtype="string")).tolist()
    ['a', nan]
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        values = pd.Series(dtype.categories)
        known = plain(values, whole)
        return column if known is values else column.cat.rename_categories(pd.Index(known))
    if isinstance(dtype, ExtensionDtype):
        return _of_kind(column, dtype, whole)
    if not is_object_dtype(dtype):
        return column
    kind = infer_dtype(column, skipna=True)
    if kind == "empty" and len(column):
        return _like(column, np.full(len(column), np.nan))
    if kind in _NUMBERS:
        numbers = pd.to_numeric(column.map(_number), errors="coerce")
        return numbers if numbers.isna().equals(column.isna()) else column
    return column


def _of_kind(column: pd.Series, dtype: Any, whole: bool) -> pd.Series:
    gaps = column.isna().to_numpy()
    if is_numeric_dtype(dtype) and not is_bool_dtype(dtype):
        kind = np.dtype(float)
        if dtype.kind in "iu" and not gaps.any():
            kind = np.dtype(getattr(dtype, "numpy_dtype", None) or f"{dtype.kind}8")
        return _like(column, column.to_numpy(kind, na_value=np.nan))
    if is_bool_dtype(dtype) and not gaps.any():
        return _like(column, column.to_numpy(bool))
    if gaps.all() and dtype.kind not in "mM":
        return _like(column, np.full(len(column), np.nan))
    if dtype.kind in "mM" and not isinstance(dtype, pd.DatetimeTZDtype):
        made = column.astype(_timed(dtype))
        return plain(made, whole)
    if not whole and issubclass(dtype.type, (pd.Period, pd.Interval, pd.Timestamp)):
        return column
    values = np.array(column, dtype=object)
    values[gaps] = np.nan
    return pd.Series(values, column.index, dtype=object, name=column.name)


def _timed(dtype: Any) -> str:
    """pandas' own name of Arrow's times and durations."""
    known = np.dtype(dtype.numpy_dtype).name  # datetime64[us]
    if dtype.type is datetime.date:
        return "datetime64[s]"
    zone = getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)
    return known if zone is None else known.replace("]", f", {zone}]")


def _number(value: Any) -> Any:
    return np.nan if pd.isna(value) else float(value) if hasattr(value, "as_tuple") else value


def _like(column: pd.Series, values: np.ndarray) -> pd.Series:
    return pd.Series(values, column.index, name=column.name)


def numeric(value: pd.Series | pd.DataFrame) -> np.ndarray:
    """A column (n,) or columns (n, m) as float, NaN where missing; no copy of a float array.

    Raises
    ------
    TypeError, ValueError
        A column is not numeric; the message names it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.dtypes import numeric
    >>> numeric(pd.DataFrame({"a": [True, False], "b": pd.array([1, None], "Int64")}))
    array([[ 1.,  1.],
           [ 0., nan]])
    """
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    simple = True
    for label, dtype in zip(frame.columns, frame.dtypes, strict=True):
        extension = isinstance(dtype, ExtensionDtype)
        simple = simple and not extension and not is_object_dtype(dtype)
        known = is_numeric_dtype(dtype) or is_bool_dtype(dtype) or is_object_dtype(dtype)
        if isinstance(dtype, pd.CategoricalDtype) or not known or is_complex_dtype(dtype):
            raise TypeError(f"column {shown(label)} is {dtype}, not numeric")
    if simple or frame.shape[1] == 0:
        return value.to_numpy(dtype=float)
    columns = [_as_float(frame.iloc[:, i], label) for i, label in enumerate(frame.columns)]
    return columns[0] if isinstance(value, pd.Series) else np.column_stack(columns)


def _as_float(column: pd.Series, label: Any) -> np.ndarray:
    try:
        return plain(column).to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise TypeError(f"column {shown(label)} is {column.dtype}, not numeric: {error}") from None


def plain_index(index: pd.Index) -> pd.Index:
    """Labels that compare as their values do, whatever their dtype: times in UTC, NaN for gaps.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.dtypes import plain_index
    >>> paris = pd.date_range("2000-01-01 01:00", periods=2, tz="Europe/Paris")
    >>> plain_index(paris)[0]
    Timestamp('2000-01-01 00:00:00+0000', tz='UTC')
    """
    if isinstance(index, pd.MultiIndex):
        levels = [plain_index(index.get_level_values(i)) for i in range(index.nlevels)]
        return pd.MultiIndex.from_arrays(levels)
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    made = pd.Index(plain(pd.Series(index), whole=False))
    if isinstance(made, pd.DatetimeIndex):
        return made if made.tz is None else made.tz_convert("UTC")
    if isinstance(made.dtype, ExtensionDtype):
        return made
    gaps = made.isna()
    return made.where(~gaps, np.nan) if gaps.any() and is_object_dtype(made.dtype) else made
