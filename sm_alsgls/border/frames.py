"""Frames of any library as pandas' own, without importing a library that the caller did not."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls import exceptions as exc
from sm_alsgls.border.dask_inputs import is_dask
from sm_alsgls.border.dtypes import plain
from sm_alsgls.border.numbers import depth

# What has none of these belongs to no library of frames.
_SIGNS = (
    "__arrow_c_stream__",
    "__dataframe__",
    "__narwhals_dataframe__",
    "__narwhals_lazyframe__",
    "__narwhals_series__",
    "to_pandas",
    "toPandas",
    "_to_pandas",
    "collect",
)
_PLAIN = (pd.DataFrame, pd.Series, np.ndarray, dict, list, tuple, str, int, float, type(None))


def to_pandas(value: Any, argument: str = "data") -> Any:
    """A frame or column of any library as a DataFrame or Series; anything else as it is.

    Parameters
    ----------
    value : object
        polars (lazy too), pyarrow, duckdb, modin, dask, ibis and whatever else narwhals reads
        (where it is installed) or has Arrow's stream, pandas' exchange protocol or a method
        ``to_pandas``; xarray's datasets, by ``to_dataframe``, and arrays, by ``to_pandas``.
    argument : str
        For messages.

    Raises
    ------
    SystemInputError
        The library fails, or needs pyarrow.

    Examples
    --------
    >>> import pandas as pd
    >>> import pyarrow
    >>> from sm_alsgls.border.frames import to_pandas
    >>> to_pandas(pyarrow.table({"x": [1, None], "s": ["a", "b"]}))["x"].tolist()
    [1.0, nan]
    >>> to_pandas("x")
    'x'
    """
    if isinstance(value, (*_PLAIN, type, np.generic)):
        return value
    library = type(value).__module__.partition(".")[0]
    if library != "xarray" and not any(hasattr(value, sign) for sign in _SIGNS):
        return value
    try:
        return _converted(value, library)
    except exc.SystemInputError:
        raise
    except ImportError as error:
        raise exc.SystemInputError(
            f"{argument}: reading a {type(value).__name__} of {library} fails ({error}); install "
            'what it needs, with pip install "sm_alsgls[frames]"'
        ) from error
    except Exception as error:
        raise exc.SystemInputError(
            f"{argument}: a {type(value).__name__} of {library} cannot be made a pandas "
            f"DataFrame: {error}"
        ) from error


def _converted(value: Any, library: str) -> Any:
    if library == "xarray":
        return value.to_dataframe() if hasattr(value, "data_vars") else value.to_pandas()
    if is_dask(value):
        return value.compute()
    # Of a frame that has the exchange protocol only, narwhals 1.40 reads no more than names.
    more = any(hasattr(value, sign) for sign in _SIGNS if sign != "__dataframe__")
    if more and library != "pyarrow" and find_spec("narwhals") is not None:
        import narwhals as nw

        frame = nw.from_native(value, allow_series=True, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
        if isinstance(frame, (nw.DataFrame, nw.Series)):
            if frame.implementation.is_pandas_like():
                return frame.to_pandas()
            value = frame.to_arrow()
    elif library == "polars" and hasattr(value, "collect"):
        value = value.collect()
    if hasattr(value, "__arrow_c_stream__") or type(value).__module__.startswith("pyarrow"):
        return _of_arrow(value)
    for method in ("_to_pandas", "to_pandas", "toPandas"):
        if hasattr(value, method):
            return getattr(value, method)()
    if hasattr(value, "__dataframe__"):
        with warnings.catch_warnings():
            # pandas says that it is deprecated, to whoever passes no better protocol.
            warnings.simplefilter("ignore")
            return pd.api.interchange.from_dataframe(value)
    return value


def _of_arrow(value: Any) -> Any:
    """Through Arrow's own types, of which NumPy's are made by kind; see `plain`."""
    import pyarrow as pa

    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return plain(pd.Series(value.to_pandas(types_mapper=pd.ArrowDtype)))
    table = value if isinstance(value, pa.Table) else pa.table(value)
    for i, field in enumerate(table.schema):
        kind = _known(field.type)
        if kind != field.type:
            table = table.set_column(i, field.with_type(kind), table.column(i).cast(kind))
    written = table.schema.pandas_metadata or {}
    declared = {
        column["name"]
        for column in written.get("columns", ())
        if column["pandas_type"] == "categorical"
    }
    # Dictionaries that declare levels stay categories; others are an encoding of text.
    levels = [
        field.name
        for field in table.schema
        if pa.types.is_dictionary(field.type)
        and (field.type.ordered or field.name in declared or _is_enum(field))
    ]

    def mapped(kind: Any) -> Any:
        # Periods and intervals travel as extensions, which pandas turns back itself.
        own = pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType)
        return None if own else pd.ArrowDtype(kind)

    frame = table.to_pandas(types_mapper=mapped)
    levels_of_index = [name for name in written.get("index_columns", ()) if isinstance(name, str)]
    if levels_of_index:  # the mapper makes numbers of its periods
        frame.index = table.select(levels_of_index).to_pandas().index
    for name in frame.columns:
        column = frame[name]
        if isinstance(column, pd.DataFrame):
            continue  # a name that is there twice; whoever uses it is told
        if isinstance(column.dtype, pd.CategoricalDtype) and name not in levels:
            column = column.astype(object)
        frame[name] = plain(column)
    return frame


def _known(kind: Any) -> Any:
    """The Arrow type that pandas reads in place of ``kind``: polars' layouts it reads in part."""
    import pyarrow as pa

    if str(kind) == "string_view":
        return pa.large_string()
    if pa.types.is_dictionary(kind) and pa.types.is_unsigned_integer(kind.index_type):
        return pa.dictionary(pa.int64(), _known(kind.value_type), kind.ordered)
    return kind


def _is_enum(field: Any) -> bool:
    """Whether polars wrote an Enum; older ones do not call its levels ordered."""
    return any(key.startswith(b"_PL_ENUM_VALUES") for key in field.metadata or ())


def table(data: Any, argument: str = "data") -> pd.DataFrame:
    """``data`` as a DataFrame: any library's, or a mapping of columns (of scalars: one row).

    Raises
    ------
    SystemInputError
    """
    data = to_pandas(data, argument)
    if isinstance(data, pd.DataFrame):
        return data
    if not isinstance(data, Mapping):
        raise exc.SystemInputError(
            f"{argument} must be a pandas DataFrame, or one of another library, got "
            f"{type(data).__name__}."
        )
    columns = {name: to_pandas(value, argument) for name, value in data.items()}
    try:
        return pd.DataFrame(columns, index=[0] if one_row(columns) else None)
    except Exception as error:
        raise exc.SystemInputError(f"{argument} cannot be made a DataFrame: {error}") from error


def one_row(columns: Mapping[Any, Any]) -> bool:
    """Whether a mapping has scalars only, and so is one row."""
    return len(columns) > 0 and all(depth(value) == 0 for value in columns.values())


def with_levels(data: pd.DataFrame, wanted: Iterable[Any]) -> pd.DataFrame:
    """A shallow copy with the index levels that are ``wanted``, and no columns, as columns."""
    if data.columns.nlevels > 1:
        return data
    level = {name: i for i, name in enumerate(level_names(data.index)) if name is not None}
    found = [name for name in dict.fromkeys(wanted) if name in level and name not in data.columns]
    if not found:
        return data
    levels = {name: data.index.get_level_values(level[name]).array for name in found}
    return pd.concat([data, pd.DataFrame(levels, index=data.index)], axis=1)


def level_names(index: pd.Index) -> list[Any]:
    """Names of an index's levels; of two without names, those that linearmodels gives them."""
    if index.nlevels != 2:
        return list(index.names)
    pairs = zip(index.names, ("entity", "time"), strict=True)
    return [usual if name is None else name for name, usual in pairs]
