"""A system of labelled equations: what every accepted form of input becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from pandas.api.types import is_complex_dtype, is_numeric_dtype, is_object_dtype

from sm_alsgls.exceptions import (
    DegenerateResponseError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    ShapeError,
)
from sm_alsgls.labels import shown


@dataclass(frozen=True)
class System:
    """K labelled equations on N labelled rows.

    Attributes
    ----------
    names : list of str
        Equations.
    index : pandas.Index
        Rows.
    Y : ndarray, shape (N, K)
    blocks : list of ndarray
        K designs (N, p_j). Equal designs may be one object.
    columns : list of list of str
        Regressor names, equation by equation.
    """

    names: list[str]
    index: pd.Index
    Y: np.ndarray
    blocks: list[np.ndarray]
    columns: list[list[str]]

    @property
    def param_names(self) -> list[str]:
        """``equation_variable`` for each coefficient."""
        return [
            f"{name}_{column}"
            for name, columns in zip(self.names, self.columns, strict=True)
            for column in columns
        ]


def build_system(endog: Any, exog: Any, missing: str = "none") -> System:
    """Read ``endog`` and ``exog`` in any of the forms `LowRankSUR` documents.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, OptionError
    """
    if missing not in ("none", "drop", "raise"):
        raise OptionError(f"missing must be 'none', 'drop' or 'raise', got {missing!r}")
    names, Y, y_index = _responses(endog)
    blocks, columns, x_index = _designs(exog, names)
    N = len(Y)
    for name, X in zip(names, blocks, strict=True):
        if len(X) != N:
            raise ShapeError(
                f"equation {name!r}: exog has {len(X)} rows but endog has {N}; give both the "
                "same rows"
            )
        if X.shape[1] == 0:
            raise ShapeError(f"equation {name!r}: exog has no columns; give at least a constant")
    index = _common_index(y_index, x_index, names, N)
    if missing == "drop":
        keep = ~np.isnan(Y).any(axis=1)
        for X in _distinct(blocks):
            keep &= ~np.isnan(X).any(axis=1)
        if not keep.all():
            index, Y = index[keep], Y[keep]
            kept = {id(X): X[keep] for X in _distinct(blocks)}
            blocks = [kept[id(X)] for X in blocks]
    system = System(names, index, Y, blocks, columns)
    _check(system)
    return system


def _distinct(blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    return list({id(X): X for X in blocks}.values())


def _check(system: System) -> None:
    """Finite numbers, more rows than regressors, and responses that vary."""
    N, K = system.Y.shape
    if K == 0 or N == 0:
        raise ShapeError(f"the system is empty: {N} rows, {K} equations")
    if not np.isfinite(system.Y).all():
        j = int(np.flatnonzero(~np.isfinite(system.Y).all(axis=0))[0])
        bad = ~np.isfinite(system.Y[:, j])
        values = system.Y[bad, j]
        raise NonFiniteError(_where(system, "endog", system.names[j], None, bad, values))
    seen: set[int] = set()
    for name, X, columns in zip(system.names, system.blocks, system.columns, strict=True):
        if id(X) in seen:
            continue
        seen.add(id(X))
        # A sum is finite when its terms are, and touches the data once without a copy.
        if not np.isfinite(X.sum()) and not np.isfinite(X).all():
            i = int(np.flatnonzero(~np.isfinite(X).all(axis=0))[0])
            bad = ~np.isfinite(X[:, i])
            raise NonFiniteError(_where(system, "exog", name, columns[i], bad, X[bad, i]))
        if X.shape[1] >= N:
            raise InsufficientRowsError(
                f"equation {name!r} has {X.shape[1]} regressors but only {N} rows; it needs at "
                f"least {X.shape[1] + 1} rows: drop regressors or add observations"
            )
    constant = (system.Y == system.Y[0]).all(axis=0)
    if constant.any():
        j = int(np.flatnonzero(constant)[0])
        raise DegenerateResponseError(
            f"the response of equation {system.names[j]!r} is constant "
            f"({system.Y[0, j]:g} in all {N} rows); drop the equation"
        )


def _where(
    system: System,
    argument: str,
    name: str,
    column: str | None,
    bad: np.ndarray,
    values: np.ndarray,
) -> str:
    first = system.index[int(np.flatnonzero(bad)[0])]
    what = f"column {column!r} of equation {name!r}" if column else f"equation {name!r}"
    count = len(values)
    missing = bool(np.isnan(values).all())
    kind = "missing" if missing else "infinite" if np.isinf(values).all() else "missing or infinite"
    remedy = "drop or fill such rows" + (", or pass missing='drop'" if missing else "")
    return (
        f"{argument}: {what} has {count} {kind} value{'s' if count > 1 else ''}, the first in row "
        f"{shown(first)}; {remedy}"
    )


# -- reading -----------------------------------------------------------------------------------


def _responses(endog: Any) -> tuple[list[str], np.ndarray, pd.Index | None]:
    if isinstance(endog, Mapping):
        if not endog:
            raise ShapeError("endog is an empty mapping; give at least one equation")
        names = [str(key) for key in endog]
        vectors = {}
        index: pd.Index | None = None
        for name, value in zip(names, endog.values(), strict=True):
            vectors[name] = np.squeeze(_numbers(value, "endog", name))
            if vectors[name].ndim != 1:
                raise ShapeError(
                    f"equation {name!r}: endog must be one vector, got shape "
                    f"{np.shape(np.asarray(value))}"
                )
            index = index if index is not None else _index_of(value)
            if isinstance(value, (pd.Series, pd.DataFrame)) and index is not None:
                _same_index(value.index, index, f"endog of equation {name!r}")
        lengths = {len(v) for v in vectors.values()}
        if len(lengths) > 1:
            raise ShapeError(
                "equations have different numbers of rows: "
                + ", ".join(f"{k!r} {len(v)}" for k, v in list(vectors.items())[:8])
                + "; align them on common rows"
            )
        Y = np.asfortranarray(np.column_stack(list(vectors.values())))
    else:
        Y = _numbers(endog, "endog", None)
        if Y.ndim == 1:
            Y = Y[:, None]
        if Y.ndim != 2:
            raise ShapeError(f"endog must be (N, K), got {Y.ndim} dimensions")
        index = endog.index if isinstance(endog, (pd.DataFrame, pd.Series)) else None
        if isinstance(endog, pd.DataFrame):
            names = [_label(c) for c in endog.columns]
        elif isinstance(endog, pd.Series):
            names = [_label(endog.name) if endog.name is not None else "y"]
        else:
            names = [f"y{j}" for j in range(1, Y.shape[1] + 1)] if Y.shape[1] > 1 else ["y"]
    repeated = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if repeated:
        raise ShapeError(f"equation names must be unique, {repeated[0]!r} is repeated")
    return names, Y, index


def _designs(
    exog: Any, names: list[str]
) -> tuple[list[np.ndarray], list[list[str]], list[pd.Index | None]]:
    """Blocks, column names and row labels of each equation's regressors."""
    if isinstance(exog, Mapping):
        given = {str(key): value for key, value in exog.items()}
        missing = [name for name in names if name not in given]
        extra = [key for key in given if key not in names]
        if missing or extra:
            raise ShapeError(
                "exog and endog name different equations: "
                + (f"exog lacks {missing[:5]}" if missing else "")
                + (" and " if missing and extra else "")
                + (f"endog lacks {extra[:5]}" if extra else "")
            )
        values = [given[name] for name in names]
    elif isinstance(exog, (list, tuple)) and (len(exog) == 0 or np.ndim(exog[0]) > 0):
        values = list(exog)
        if len(values) != len(names):
            raise ShapeError(
                f"exog lists {len(values)} designs for {len(names)} equations; give one per "
                "equation, or a single array that all share"
            )
    else:
        values = [exog] * len(names)
    blocks: list[np.ndarray] = []
    columns: list[list[str]] = []
    known: dict[int, tuple[np.ndarray, list[str]]] = {}
    for name, value in zip(names, values, strict=True):
        if id(value) not in known:
            X = _numbers(value, "exog", name)
            X = X[:, None] if X.ndim == 1 else X
            if X.ndim != 2:
                raise ShapeError(f"equation {name!r}: exog must be (N, p), got {X.ndim} dimensions")
            known[id(value)] = X, _column_names(value, X, name)
        X, labels = known[id(value)]
        blocks.append(X)
        columns.append(labels)
    return blocks, columns, [_index_of(value) for value in values]


def _numbers(value: Any, argument: str, name: str | None) -> np.ndarray:
    """A float array, missing values as NaN; no copy when it is a float array already."""
    where = f"{argument} of equation {name!r}" if name else argument
    if isinstance(value, (pd.Series, pd.DataFrame)):
        frame = value.to_frame() if isinstance(value, pd.Series) else value
        for label, dtype in zip(frame.columns, frame.dtypes, strict=True):
            if not (is_numeric_dtype(dtype) or is_object_dtype(dtype)) or is_complex_dtype(dtype):
                raise ShapeError(
                    f"{where}: column {shown(label)} is {dtype}, not numeric; encode it, for "
                    "example with C() through from_formula"
                )
        # na_value makes a copy, which numpy's own dtypes do not need.
        nullable = any(isinstance(dtype, ExtensionDtype) for dtype in frame.dtypes)
        kwds = {"na_value": np.nan} if nullable else {}
    else:
        value = np.ma.filled(value.astype(float), np.nan) if np.ma.isMaskedArray(value) else value
        if np.asarray(value).dtype.kind not in "fiubO":
            raise ShapeError(f"{where} holds {np.asarray(value).dtype}, not real numbers")
    try:
        if isinstance(value, (pd.Series, pd.DataFrame)):
            return value.to_numpy(dtype=float, **kwds)
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{where} is not numeric ({error})") from error


def _index_of(value: Any) -> pd.Index | None:
    return value.index if isinstance(value, (pd.Series, pd.DataFrame)) else None


def _column_names(value: Any, X: np.ndarray, name: str) -> list[str]:
    if isinstance(value, pd.DataFrame):
        labels = [_label(c) for c in value.columns]
        if len(set(labels)) < len(labels):
            twice = next(c for c in labels if labels.count(c) > 1)
            raise ShapeError(f"equation {name!r}: exog has two columns named {twice!r}")
        return labels
    if isinstance(value, pd.Series):
        return [_label(value.name) if value.name is not None else "x1"]
    labels, count = [], 0
    for i in range(X.shape[1]):
        is_constant = len(X) > 0 and X[0, i] == 1.0 and X[-1, i] == 1.0 and (X[:, i] == 1.0).all()
        if is_constant and "const" not in labels:
            labels.append("const")
        else:
            count += 1
            labels.append(f"x{count}")
    return labels


def _label(column: Any) -> str:
    return "_".join(str(part) for part in column) if isinstance(column, tuple) else str(column)


def _common_index(
    y_index: pd.Index | None, x_index: list[pd.Index | None], names: list[str], N: int
) -> pd.Index:
    index = y_index
    for name, other in zip(names, x_index, strict=True):
        if other is not None:
            if index is None:
                index = other
            elif other is not index:
                _same_index(other, index, f"exog of equation {name!r}")
    return pd.RangeIndex(N) if index is None else index


def _same_index(one: pd.Index, other: pd.Index, what: str) -> None:
    if len(one) == len(other) and not one.equals(other):
        i = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        raise ShapeError(
            f"row labels of {what} differ from the others', first at position {i} "
            f"({shown(one[i])} against {shown(other[i])}); align them before, for example "
            "with reindex"
        )
