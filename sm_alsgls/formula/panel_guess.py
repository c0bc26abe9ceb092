"""Two columns that look like the groups and times of a long panel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pandas as pd

# A panel has at least this share of its cells: columns whose pairs happen to differ rarely do.
_FILLED = 0.5
_MOST_COLUMNS = 12
_TIMES = re.compile(
    r"(?i)(^|_)(t|time|times|date|year|yr|month|quarter|qtr|week|day|period|wave)s?($|_|\d)"
)


def guess_panel(data: pd.DataFrame, without: Any = ()) -> tuple[str, str] | None:
    """The columns that hold the group and the time of each row, if it looks as if two did.

    Parameters
    ----------
    data : DataFrame
        Columns and index levels of whole numbers, text, categories, dates or periods are looked
        at, the first twelve.
    without : collection of str
        Columns that are no candidates, such as responses.

    Returns
    -------
    (str, str) or None
        Each value of either column stands in several rows, every pair of values in one at most,
        and in at least half of all pairs in one.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> from sm_alsgls.formula.panel_guess import guess_panel
    >>> guess_panel(load_grunfeld()), guess_panel(load_grunfeld().query("firm == 'IBM'"))
    (('firm', 'year'), None)
    """
    codes: dict[str, Any] = {}
    for name, values in _candidates(data, without):
        code, distinct = pd.factorize(values)
        if (code >= 0).all() and 2 <= len(distinct) <= len(values) / 2:
            codes[name] = code, len(distinct), _is_time(name, values)
        if len(codes) == _MOST_COLUMNS:
            break
    for a, b in combinations(codes, 2):
        (g, n_g, timely), (t, n_t, _) = codes[a], codes[b]
        n = len(g)
        if n <= n_g * n_t <= n / _FILLED and not pd.Series(g * n_t + t).duplicated().any():
            return (b, a) if timely and not codes[b][2] else (a, b)
    return None


def _candidates(data: pd.DataFrame, without: Any) -> Iterator[tuple[str, Any]]:
    if data.index.nlevels > 1:
        for level, name in enumerate(data.index.names):
            yield str(name or f"level {level}"), data.index.get_level_values(level)
    for position, name in enumerate(data.columns):
        values = data.iloc[:, position]
        if isinstance(name, str) and name not in without and not _continuous(values.dtype):
            yield name, values


def _continuous(dtype: Any) -> bool:
    return pd.api.types.is_float_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)


def _is_time(name: str, values: Any) -> bool:
    dtype = values.dtype
    dated = isinstance(dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(dtype)
    return dated or (bool(_TIMES.search(name)) and pd.api.types.is_numeric_dtype(dtype))
