"""What the caller passed as the formula engines want it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from pandas.api.types import is_object_dtype
from statsmodels.formula._manager import FormulaManager

from sm_alsgls import exceptions as exc
from sm_alsgls.border.alignment import nameless, rows_by_label
from sm_alsgls.border.dtypes import plain
from sm_alsgls.border.frames import level_names, table, to_pandas, with_levels
from sm_alsgls.formula.engine import Data
from sm_alsgls.formula.text import mentioned, words


def entity_and_time(formula: str, data: pd.DataFrame) -> tuple[Any, Any]:
    """Levels of the index that are a long panel's groups and times; None where it is none.

    As in linearmodels data whose index has two levels are one, entities first. One formula with
    several responses is a wide system, whatever labels its rows.
    """
    if data.index.nlevels != 2 or not data.index.is_unique or len(data) < 2:
        return None, None
    manager = FormulaManager()
    try:
        desc = manager.get_spec(formula)
        terms = desc.lhs_termlist if manager.engine == "patsy" else list(desc.lhs)
    except Exception:
        return None, None  # what is wrong with it is said by whoever evaluates it
    if len(terms) != 1:
        return None, None
    groups, time = level_names(data.index)
    taken = {name for name in (groups, time) if name in data.columns}
    return (None, None) if taken else (groups, time)


def read_data(
    data: Any,
    text: str,
    scope: dict[str, Any],
    subset: Any = None,
    keys: Sequence[Any] = (),
) -> Data:
    """What the caller passed as the engines want it, for formulas whose text is ``text``.

    Levels of the index are columns where the formulas or ``keys`` (groups, time) name them.
    """
    data = table(data)
    try:
        positions = pd.Series(np.arange(len(data)), index=data.index)
        chosen = to_pandas(subset, "subset")
        rows = np.atleast_1d(positions if chosen is None else positions.loc[chosen])
    except Exception as error:
        raise exc.SystemInputError(f"data.loc[subset] fails: {error}") from error
    again = data.columns.duplicated()
    if twice := mentioned(text, data.columns[again]):
        raise exc.FormulaError(f"The data have more than one column {twice[0]!r}; rename one.")
    wanted = [name for name in mentioned(text, level_names(data.index)) if name not in scope]
    levels = level_names(data.index)
    if any(key not in (None, *data.columns, *levels) for key in keys):
        keys = levels  # whoever misses it says what there is
    whole = with_levels(data.loc[:, ~again], [*keys, *wanted])
    numbered = pd.RangeIndex(rows.size)
    # Rows are taken from a shallow copy; columns are replaced in it, never written to.
    frame = whole.iloc[rows].set_axis(numbered).copy(deep=False)
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, ExtensionDtype) or is_object_dtype(dtype):
            column = frame[name]
            made = plain(column, whole=_alone(name, text))
            if made is not column:
                frame[name] = made
    # pandas 2 makes numbers, 8 bytes a row, of a part of a range, be it all of it.
    index = data.index if chosen is None else data.index[rows]
    return Data(frame, index, scope | _aligned(scope, text, data.index, rows), rows)


def _alone(name: Any, text: str) -> bool:
    """Whether formulas take a column itself, and not something of it, as in ``t.dt.year``."""
    pattern = rf"(?<!\w){re.escape(str(name))}(?!\w)(?!\s*\.)"
    return re.search(pattern, text) is not None


def _aligned(
    scope: Mapping[str, Any], text: str, index: pd.Index, rows: np.ndarray
) -> dict[str, Any]:
    """Series of the caller's that formulas name, at the data's rows and their new numbers.

    By label where they have one for every row of the data; a Series whose labels are none, by
    position. Any other keeps its labels, which the engine refuses.
    """
    used, made = words(text), {}
    for name, value in scope.items():
        if name not in used or callable(value) or isinstance(value, ModuleType):
            continue
        value = to_pandas(value, name)
        if not isinstance(value, pd.Series | pd.DataFrame):
            continue
        try:
            at = rows_by_label(value.index, index, name, exc.FormulaError)
        except exc.FormulaError:
            if not (nameless(value.index) and len(value) == len(index)):
                continue
            at = None
        value = value.iloc[rows if at is None else at[rows]].set_axis(pd.RangeIndex(rows.size))
        made[name] = plain(value) if isinstance(value, pd.Series) else value
    return made
