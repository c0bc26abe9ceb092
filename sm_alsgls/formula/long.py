"""A long panel that came as arrays: a response, regressors, and whose each row is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import check_rows
from sm_alsgls.border.arguments import came
from sm_alsgls.border.frames import level_names, to_pandas
from sm_alsgls.border.labels import spell
from sm_alsgls.border.numbers import numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.exceptions import FormulaError, ShapeError
from sm_alsgls.formula import panel
from sm_alsgls.formula.system import FormulaSystem

_RESPONSE = "endog"


class Long(NamedTuple):
    """A panel's columns in one table.

    Attributes
    ----------
    frame : DataFrame (n, p + 3)
        Regressors, the response (``endog``), entities and times.
    entity, time : str
        What the last two are called.
    labelled : bool
        Whether labels of rows are the caller's; else rows are numbered.
    """

    frame: pd.DataFrame
    entity: str
    time: str
    labelled: bool


def read_long(endog: Any, exog: Any, entity: Any, time: Any) -> Long:
    """One table of a panel's columns, and what its entities and times are called.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
    exog : array_like (n, p), Series or DataFrame
    entity, time : array_like (n,) or Series, optional
        Labels; of data whose index has two levels these are the default. A Series goes by its
        row labels, in any order, where the data have some; else in the order that it has.

    Raises
    ------
    ShapeError
    """
    endog, exog = to_pandas(endog, "endog"), to_pandas(exog, "exog")
    given = {"entity": to_pandas(entity, "entity"), "time": to_pandas(time, "time")}
    y = numbers(endog, "endog")
    X = numbers(exog, "exog")
    X = X[:, None] if X.ndim == 1 else X
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or X.ndim != 2 or len(X) != len(y):
        raise ShapeError(
            "a long panel has one response and one row of regressors for each (entity, time): "
            f"endog (n,) and exog (n, p); got shapes {y.shape} and {X.shape}"
        )
    # The first that has row labels gives them to the others.
    sides = [v for v in (endog, exog, *given.values()) if isinstance(v, pd.Series | pd.DataFrame)]
    found = next((v.index for v in sides if len(v) == len(y)), None)
    index = pd.RangeIndex(len(y)) if found is None else found
    rows = Provenance(index, labelled=found is not None)
    if isinstance(exog, pd.Series | pd.DataFrame):
        check_rows(exog.index, index, "exog", ShapeError)
    if isinstance(exog, pd.DataFrame):
        columns = [spell(column) for column in exog.columns]
    elif isinstance(exog, pd.Series) and exog.name is not None:
        columns = [spell(exog.name)]
    else:
        columns = _numbered(X)
    names, labels = [], []
    levels = level_names(index) if index.nlevels == 2 else None
    for i, (argument, value) in enumerate(given.items()):
        if value is None:
            if levels is None:
                raise ShapeError(
                    f"{argument}= is missing: give labels, one for each row, or data whose index "
                    "has the levels entity and time"
                )
            names.append(str(levels[i]))
            labels.append(pd.Series(index.get_level_values(i)))
            continue
        if isinstance(value, pd.Series):
            column = (
                rows.ordered(value, argument) if rows.labelled else value.reset_index(drop=True)
            )
        else:
            column = pd.Series(_labels(value, argument))
        if len(column) != len(y):
            raise ShapeError(f"{argument} has {len(column)} labels for {len(y)} rows")
        names.append(argument if column.name is None else str(column.name))
        labels.append(column)
    taken = [*names, _RESPONSE]
    both = sorted(set(columns) & set(taken))
    if both or len(set(columns)) < len(columns) or names[0] == names[1]:
        twice = both[0] if both else next((c for c in columns if columns.count(c) > 1), names[0])
        raise ShapeError(f"two of the regressors, entity, time and endog are called {twice!r}")
    frame = pd.DataFrame(X, columns=columns)
    frame[_RESPONSE] = y
    frame[names[0]], frame[names[1]] = labels[0].array, labels[1].array
    return Long(frame.set_axis(index), names[0], names[1], rows.labelled)


def of_long(frame: pd.DataFrame, groups: str, time: str, holes: bool) -> FormulaSystem:
    """The system of what `read_long` made, one equation a value of ``groups``.

    Raises
    ------
    UnbalancedPanelError, FormulaError, NonFiniteError
    """
    labels = frame.index
    numbered = frame.reset_index(drop=True)
    columns = [c for c in numbered.columns if c not in (groups, time, _RESPONSE)]
    X, y = numbered[columns], numbered[_RESPONSE]
    complete = (y.notna() & X.notna().all(axis=1)).to_numpy()
    if not complete.any():
        raise FormulaError("no row of the panel has its response and all regressors")
    cells = panel.arrange(numbered, labels, complete, groups, time, holes=holes)
    endog = {
        name: y.reindex(at).to_numpy() for name, at in zip(cells.names, cells.rows, strict=True)
    }
    return FormulaSystem(
        pd.DataFrame(endog, cells.times),
        tuple(X.reindex(at).set_axis(cells.times) for at in cells.rows),
        (),
        cells.n_dropped,
        groups,
        time,
        rows=cells.rows,
    )


def _labels(value: Any, argument: str) -> np.ndarray:
    try:
        made = np.asarray(value)
    except ValueError:  # lists of lists of different lengths
        made = np.empty((0, 0))
    if made.ndim != 1:
        raise ShapeError(f"{argument} must hold one label for each row, got {came(value)}")
    return made


def _numbered(X: np.ndarray) -> list[str]:
    """const, x1, x2, ..."""
    out, i = [], 0
    for column in X.T:
        if "const" not in out and (column == 1.0).all():
            out.append("const")
        else:
            i += 1
            out.append(f"x{i}")
    return out
