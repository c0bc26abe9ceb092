"""Rows to predict as a table of cells of the system, and the responses that are known there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import by_name, nameless, rows_by_label
from sm_alsgls.border.frames import table, to_pandas
from sm_alsgls.border.labels import shown
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError
from sm_alsgls.formula.replay import replay_responses
from sm_alsgls.results.model import Model
from sm_alsgls.results.new_rows import NewRows, Piece, rows_of_system, select


class Laid(NamedTuple):
    """Rows to predict as a table of rows of the system."""

    designs: list[np.ndarray]  # K, (T, p_j), NaN in cells without regressors
    there: np.ndarray  # (T, K), cells that the data have
    places: list[tuple[Piece, np.ndarray]]  # pieces to predict, and the rows t of each
    everything: NewRows  # all that the data have, what is not to be predicted as well
    codes: np.ndarray  # the row t of each of their rows
    labels: pd.Index | None  # (T,) of the rows t


class Table(NamedTuple):
    """Cells (t, j) of a table of rows of the system: designs, responses, roots of weights."""

    designs: list[np.ndarray]  # K, (T, p_j), NaN in cells without regressors
    Y: np.ndarray  # (T, K), NaN where unknown
    root: np.ndarray  # (T, K)
    places: list[tuple[Piece, np.ndarray]]  # pieces to predict, and the rows t of each


def laid_out(model: Model, rows: NewRows, exog: Any, transform: bool, argument: str) -> Laid:
    """Rows to predict as a table; ``argument`` is what asks for it.

    Raises
    ------
    OptionError
        Which rows of a long panel are one row of the system is not known.
    """
    everything = rows_of_system(model, exog, transform, None)
    long = everything.columns is None
    if long:
        codes, labels = _times(everything, argument)
        T = len(labels)
    else:
        labels = everything.index
        codes, T = np.arange(len(labels)), len(labels)
    designs = [np.full((T, int(p)), np.nan) for p in model.labels.p]
    there = np.zeros((T, model.neqs), dtype=bool)
    for piece in everything.pieces:
        t = codes[piece.at] if long else codes
        designs[piece.j][t] = piece.X
        there[t, piece.j] = True
    if long:
        # Rows of the groups that were asked for, in the data that were given.
        at = _positions(rows, everything)
        places = [(piece, codes[at[piece.at]]) for piece in rows.pieces]
    else:
        places = [(piece, codes) for piece in rows.pieces]
    return Laid(designs, there, places, everything, codes, labels)


def known_cells(model: Model, laid: Laid, exog: Any, transform: bool, given: Any) -> Table:
    """All that is known of the rows to predict, but for weights: roots are 1."""
    everything, codes = laid.everything, laid.codes
    long = everything.columns is None
    if given is True or _names_only(given):
        known = _own(model, exog, transform, long)
    else:
        known = _given(given, model, everything, long)
    T, K = laid.there.shape
    Y = np.full((T, K), np.nan)
    for piece in everything.pieces:
        t = codes[piece.at] if long else codes
        Y[t, piece.j] = known[piece.at] if long else known[:, piece.j]
    if _names_only(given):
        Y[:, np.setdiff1d(np.arange(K), select(model, given))] = np.nan
    return Table(laid.designs, Y, np.ones((T, K)), laid.places)


def _names_only(given: Any) -> bool:
    if isinstance(given, str):
        return True
    return isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)


def _positions(rows: NewRows, everything: NewRows) -> np.ndarray:
    """Which row of all the data each row to predict is."""
    if len(rows.index) == len(everything.index):
        return np.arange(len(rows.index))
    chosen = {piece.j for piece in rows.pieces}
    at = [np.asarray(piece.at) for piece in everything.pieces if piece.j in chosen]
    return np.sort(np.concatenate(at))


def _times(rows: NewRows, argument: str) -> tuple[np.ndarray, pd.Index]:
    """Number of the system's row that each row of a long panel belongs to, and their labels."""
    if rows.systems is None:
        raise OptionError(
            f"{argument}: which rows of a long panel belong together is not known; make the model "
            "with time=, and give that column in the data"
        )
    if rows.systems.hasnans:
        raise OptionError(f"{argument}: the time column of the data misses values")
    codes, labels = pd.factorize(rows.systems)
    owner = np.empty(len(codes), dtype=np.intp)
    for piece in rows.pieces:
        owner[piece.at] = piece.j
    again = pd.DataFrame({"t": codes, "j": owner}).duplicated().to_numpy()
    if again.any():
        raise OptionError(
            f"{argument}: several rows of the data are one cell, the first of them at "
            f"{shown(rows.systems[again][0])}; keep one row per cell"
        )
    return codes, pd.Index(labels)


def _own(model: Model, exog: Any, transform: bool, long: bool) -> np.ndarray:
    """Responses that the data themselves have; (n,) of a long panel, else (n, K)."""
    formula = model.formula_system
    if exog is None:
        mask = model.system.cells.mask
        return model.endog if mask is None else np.where(mask, model.endog, np.nan)
    if formula is None or not transform:
        raise OptionError(
            "given=True needs data with the responses; pass them, given= a DataFrame or an array "
            "(n, K) with NaN where one is unknown"
        )
    data = table(exog, "exog")
    specs = formula.specs[:1] if long else formula.specs
    found = replay_responses(specs, data, formula.scope)
    if all(y is None for y in found):
        raise OptionError("given=True: the data hold no response; pass them as given=")
    none = np.full(len(data), np.nan)
    columns = [none if y is None else y for y in found]
    return columns[0] if long else np.column_stack(columns)


def _given(given: Any, model: Model, rows: NewRows, long: bool) -> np.ndarray:
    """Responses that the caller passed, NaN where one is unknown."""
    n, K = len(rows.index), len(model.equations)
    given = to_pandas(given, "given")
    if long:
        if isinstance(given, pd.Series):
            at = rows_by_label(given.index, rows.index, "given", ShapeError)
            given = given if at is None else given.iloc[at]
        y = _numbers(given)
        if y.shape != (n,):
            raise ShapeError(
                f"given= of a long panel must hold one response for each of {n} rows of the data, "
                f"NaN where it is unknown; got shape {y.shape}"
            )
        return y
    names = model.equations
    if isinstance(given, Mapping):
        columns = {name: _vector(y, name, rows.index) for name, y in given.items()}
        given = pd.DataFrame(columns, index=rows.index)
    if not isinstance(given, pd.DataFrame):
        Y = _numbers(given)
        if Y.shape != (n, K):
            raise ShapeError(f"given= must have the shape {(n, K)}, got {Y.shape}")
        return Y
    at = rows_by_label(given.index, rows.index, "given", ShapeError)
    given = given if at is None else given.iloc[at]
    if nameless(given.columns) and given.shape[1] == K:
        return _numbers(given)
    at = by_name(given.columns, names, "given", OptionError, noun="equation", some=True)
    out = np.full((n, K), np.nan)
    out[:, at >= 0] = _numbers(given)[:, at[at >= 0]]
    return out


def _vector(value: Any, name: Any, index: pd.Index) -> np.ndarray:
    """Responses of one equation in a mapping; a Series by its labels."""
    value = to_pandas(value, "given")
    if isinstance(value, pd.Series):
        at = rows_by_label(value.index, index, f"given[{name!r}]", ShapeError)
        value = value if at is None else value.iloc[at]
    y = _numbers(value)
    if y.shape != (len(index),):
        raise ShapeError(
            f"given[{name!r}] must hold one response for each of {len(index)} rows, NaN where it "
            f"is unknown; got shape {y.shape}"
        )
    return y


def _numbers(value: Any) -> np.ndarray:
    """Responses, NaN where one is unknown; what is infinite is an error, not unknown."""
    remedy = (
        "; given must be True, names of equations, or responses: a DataFrame, an array (n, K) or a "
        "mapping {equation: vector}"
    )
    values = numbers(value, "given", OptionError, remedy)
    bad = np.argwhere(np.isinf(np.atleast_1d(values)))
    if len(bad):
        row = value.index[bad[0][0]] if hasattr(value, "index") else int(bad[0][0])
        column = "" if len(bad[0]) < 2 else f", column {int(bad[0][1]) + 1}"
        raise NonFiniteError(
            f"given is infinite in row {shown(row)}{column}; NaN says that a response is unknown"
        )
    return values
