"""``weights=`` of a system, in all forms, as one array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name, nameless, rows_by_label
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import shown, spell
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError


def read_weights(weights: Any, names: list[str], rows: Provenance) -> np.ndarray:
    """Weights as numbers: (N,), one a row, or (N, K), one a row and equation.

    Labelled ones are put in the order of the rows, and of the equations.

    Raises
    ------
    ShapeError, OptionError
    """
    weights = to_pandas(weights, "weights")
    if isinstance(weights, Mapping):
        at = by_name(weights, names, "weights", ShapeError, noun="equation")
        given = list(weights.values())
        pairs = zip(names, at, strict=True)
        return np.column_stack([_vector(given[i], rows, name) for name, i in pairs])
    if isinstance(weights, pd.DataFrame):
        labels = [spell(column, names) for column in weights.columns]
        if not labels:
            raise ShapeError("weights is a DataFrame without columns")
        if len(labels) > 1 or labels == names:
            columns = weights.iloc[:, _columns(weights.columns, names)]
            return _numbers(_aligned(columns, rows, None), None)
        weights = weights.iloc[:, 0]
    if isinstance(weights, pd.Series):
        return _vector(weights, rows, None)
    values: np.ndarray = _numbers(weights, None)
    shape, n = values.shape, len(rows.index)
    if shape not in ((n,), (n, len(names)), (n, 1)):
        raise ShapeError(
            f"weights must hold one for each of {n} rows, or for each row and each of "
            f"{len(names)} equations; got shape {values.shape}"
        )
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def weights_of_data(weights: Any, source: Provenance, names: list[str]) -> np.ndarray | None:
    """Weights given with a formula, for the rows that it made of the data.

    Parameters
    ----------
    weights : str, array_like, Series, DataFrame, mapping, or None
        What belongs to rows in one of the ways that `Provenance` reads: a column of the data, or
        values of their n rows or of the N rows of the system; of a long panel a row of the data is
        a cell. Of wide data also one such vector for each equation.
    source : Provenance
        Which rows of the data the formula kept.
    names : list of str (K,)
        Equations.

    Returns
    -------
    ndarray (N,) or (N, K), or None

    Raises
    ------
    FormulaError, ShapeError, OptionError
    """
    if weights is None:
        return None
    weights = to_pandas(weights, "weights")
    if isinstance(weights, Mapping):
        at = by_name(weights, names, "weights", ShapeError, noun="equation")
        given = [to_pandas(value, "weights") for value in weights.values()]
        pairs = [(names[j], given[i]) for j, i in enumerate(at)]
        columns = [one for name, value in pairs for one in _read(value, source, name)]
    else:
        if isinstance(weights, pd.DataFrame) and weights.shape[1] > 1 and not source.is_panel:
            weights = weights.iloc[:, _columns(weights.columns, names)]
        columns = _read(weights, source, None)
    if len(columns) == 1 and not isinstance(weights, Mapping):
        return columns[0]
    if source.is_panel:
        raise ShapeError(
            f"weights of a long panel must hold one for each of its {len(source.given)} rows, "
            "which are the cells: a column of the data, or a vector"
        )
    if len(columns) != len(names):
        raise ShapeError(
            f"weights must hold one for each row, or for each row and each of {len(names)} "
            f"equations; got {len(columns)} columns"
        )
    return np.column_stack(columns)


def row_weights_of_data(weights: Any, source: Provenance) -> np.ndarray | None:
    """As `weights_of_data`, of a system whose weights are of rows: (N,), or None.

    Of a long panel they must be the same in all cells of a period.

    Raises
    ------
    FormulaError, ShapeError, NonFiniteError, OptionError
    """
    if weights is None:
        return None
    if depth(weights) == 0 and not isinstance(weights, str):
        raise OptionError(f"weights must be a column of the data or a vector, got {weights!r}")
    vectors = source.per_row(
        weights, "weights", "a system with instruments has one weight a row of the system"
    )
    if len(vectors) != 1:
        raise OptionError(
            f"weights: a system with instruments has one weight a row, got {len(vectors)} columns; "
            "give a column of the data, or a vector"
        )
    return _numbers(vectors[0].reset_index(drop=True), None)


def _read(value: Any, source: Provenance, name: str | None) -> list[np.ndarray]:
    if depth(value) == 0 and not isinstance(value, str):
        raise OptionError(f"weights must be a column of the data or vectors, got {value!r}")
    return [
        _numbers(pd.DataFrame(one), name) if one.ndim == 2 else _numbers(pd.Series(one), name)
        for one in source.per_cell(value, "weights")
    ]


def check_weights(
    weights: np.ndarray, present: np.ndarray, names: list[str], index: pd.Index
) -> None:
    """Numbers that are not negative, wherever there is a cell (N, K) that they weigh.

    Raises
    ------
    NonFiniteError, OptionError
        The row and, of weights by equation, the equation are named.
    """
    each = weights if weights.ndim == 2 else weights[:, None]
    for bad, what, error in (
        (~np.isfinite(each), "missing or infinite", NonFiniteError),
        (each < 0.0, "negative", OptionError),
    ):
        found = np.argwhere(bad & present)
        if len(found):
            n, j = found[0]
            where = f"equation {names[j]!r}, " if weights.ndim == 2 else ""
            value = each[n, j if weights.ndim == 2 else 0]
            raise error(
                f"weights: {where}row {shown(index[n])} has the {what} weight {value:g}; give a "
                "number >= 0, and 0 to leave it out"
            )


def normalised(weights: np.ndarray, mask: np.ndarray, together: bool = False) -> np.ndarray:
    """Weights over their mean: of the rows, or of the used cells of each equation.

    ``together`` is over that of all used cells: where all equations have one variance, a weight
    says as much between equations as it does within one.

    A cell that is not used keeps its weight, since imputation needs the variance sigma_jj / w of
    a missing response; where it has no number above zero the weight is 0.
    """
    if weights.ndim == 1:
        return weights / weights.mean()
    with np.errstate(invalid="ignore"):
        given = np.where(np.isfinite(weights) & (weights > 0.0), weights, 0.0)
    axis = None if together else 0
    return given / (np.where(mask, given, 0.0).sum(axis=axis) / mask.sum(axis=axis))


def _columns(labels: pd.Index, names: list[str]) -> np.ndarray:
    """Which column belongs to each equation: by name, or by position where columns have none."""
    if nameless(labels) and len(labels) == len(names):
        return np.arange(len(names))
    return by_name(labels, names, "weights", ShapeError, noun="equation")


def _vector(value: Any, rows: Provenance, name: str | None) -> np.ndarray:
    value = to_pandas(value, "weights")
    if isinstance(value, pd.DataFrame) and value.shape[1] == 1:
        value = value.iloc[:, 0]
    if isinstance(value, pd.Series):
        value = _aligned(value, rows, name)
    values = _numbers(value, name)
    n = len(rows.index)
    if values.shape != (n,):
        of = "" if name is None else f" of equation {name!r}"
        raise ShapeError(f"weights{of} must hold {n} numbers, got {values.shape}")
    return values


def _aligned(value: Any, rows: Provenance, name: str | None) -> Any:
    """In the order of the rows; of rows that we have numbered, if it leaves no doubt."""
    of = "" if name is None else f" of equation {name!r}"
    alone = not rows.labelled and len(value) == len(rows.index)
    if alone and not value.index.isin(rows.index).any():
        return value  # labels of something else, in the order of the rows
    at = rows_by_label(value.index, rows.index, f"weights{of}", ShapeError)
    if at is None:
        return value
    if alone and not np.array_equal(value.iloc[at].to_numpy(), value.to_numpy()):
        raise ShapeError(
            f"weights{of} has labels that number the rows in another order, and endog and exog "
            "have none; pass a plain array in the order of their rows"
        )
    return value.iloc[at]


def _numbers(value: Any, name: str | None) -> np.ndarray:
    where = "weights" if name is None else f"weights of equation {name!r}"
    return numbers(value, where, OptionError)
