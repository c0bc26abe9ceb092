"""``lag``, ``lead`` and ``diff`` of formulas over a long panel: within groups, by time.

Both formula engines know transforms that remember something of the data that they first saw (the
mean of ``center``, the knots of a spline), one memory for each place in a formula. That of a lag
is its argument in the rows of the model's own data, so that new data find what precedes them.
What the rows are, their groups and times, is no argument of the functions: `within` tells them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import FormulaError, UnbalancedPanelError
from sm_alsgls.formula.time_axis import Axis

_CALLS = re.compile(r"(?<![\w.])(lag|lead|diff)\s*\(")

_MISSING = (
    "{0}() goes by group and time: name their columns, groups= and time=. In wide data, whose rows "
    "are in your own order, write x.shift(1), or make the column before"
)


class Rows:
    """Group and time of each of n rows, and which row is k steps before another.

    Parameters
    ----------
    g : ndarray (n,)
        Codes of groups.
    t : ndarray (n,)
        Times, in steps of ``axis``.
    axis : Axis
    names : Mapping {code: name} or sequence
        How messages name the groups.
    """

    def __init__(self, g: np.ndarray, t: np.ndarray, axis: Axis, names: Any) -> None:
        self.g, self.t = g.astype(np.int64), t.astype(np.int64)
        self.axis, self.names = axis, names
        self._order: tuple[Any, ...] | None = None
        self._values: list[pd.Series | pd.DataFrame] = []

    def __len__(self) -> int:
        return len(self.g)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_order": None, "_values": []}

    def take(self, rows: np.ndarray) -> Rows:
        """Those rows, in that order."""
        return Rows(self.g[rows], self.t[rows], self.axis, self.names)

    def find(self, g: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The row of each cell (g, t), -1 where there is none.

        Raises
        ------
        UnbalancedPanelError
            There are several.
        """
        if not len(self):
            return np.full(len(g), -1)
        if self._order is None:
            first, last = int(self.t.min()), int(self.t.max())
            cells = self.g * (last - first + 1) + (self.t - first)
            order = np.argsort(cells, kind="stable")
            self._order = first, last, order, cells[order]
        first, last, order, cells = self._order
        inside = (t >= first) & (t <= last)
        wanted = np.where(inside, g * (last - first + 1) + (t - first), 0)
        at = np.minimum(np.searchsorted(cells, wanted), cells.size - 1)
        there = inside & (cells[at] == wanted)
        after = np.minimum(at + 1, cells.size - 1)
        again = there & (after > at) & (cells[after] == wanted)
        if again.any():
            j = np.flatnonzero(again)[0]
            raise UnbalancedPanelError(
                f"several rows hold group {self.names[int(g[j])]!r} at the time of row "
                f"{int(order[at[j]])}, counted from 0, so that a lag is not one value; keep one "
                f"row for each group and {self.axis.name}"
            )
        return np.where(there, order[at], -1)

    def keep(self, values: pd.Series | pd.DataFrame) -> pd.Series | pd.DataFrame:
        """The same values, held once though several lags remember them."""
        for known in self._values:
            if type(known) is type(values) and known.equals(values):
                return known
        self._values.append(values)
        return values


#: Steps: more than rows can be, and sums with them are integers.
_FARTHEST = 10**12

_ROWS: ContextVar[Rows | None] = ContextVar("_ROWS", default=None)


@contextmanager
def within(rows: Rows | None) -> Iterator[None]:
    """Tell lags what the rows are of the data on which formulas are evaluated."""
    token = _ROWS.set(rows)
    try:
        yield
    finally:
        _ROWS.reset(token)


@dataclass(frozen=True)
class _Past:
    """The argument of a lag in the rows of the model's own data."""

    rows: Rows
    values: pd.Series | pd.DataFrame


def _remember(name: str, x: Any) -> _Past:
    rows = _rows(name)
    return _Past(rows, rows.keep(_table(name, x, len(rows))))


def _shifted(name: str, x: Any, k: int, past: _Past, strict: bool) -> tuple[Any, Any]:
    """The argument, and it k steps before, each (n,) or (n, m).

    With ``strict`` it must not be missing in all of the model's own rows.
    """
    rows = _rows(name)
    own = _table(name, x, len(rows))
    at = rows.find(rows.g, rows.t - k)
    lost = at < 0
    if rows is past.rows:
        if strict and len(rows) and lost.all():
            raise FormulaError(
                f"{name}(): no row has another of its group {abs(k)} "
                f"{'step' if abs(k) == 1 else 'steps'} "
                f"{'before' if k > 0 else 'after'} it; a step of {rows.axis.name!r} is "
                f"{rows.axis.shown_step}"
            )
        return own, _at(own, at)
    # Rows of the model's own data, where the new data do not have the cell themselves.
    at[lost] = past.rows.find(rows.g[lost], rows.t[lost] - k)
    at[lost & (at >= 0)] += len(own)
    return own, _at(pd.concat([own, past.values], ignore_index=True), at)


def _at(values: Any, rows: np.ndarray) -> Any:
    """Those rows of the values, missing where a row is -1."""
    return values.reindex(rows).set_axis(pd.RangeIndex(len(rows)))


def _rows(name: str) -> Rows:
    rows = _ROWS.get()
    if rows is None:
        raise FormulaError(_MISSING.format(name))
    return rows


def _table(name: str, x: Any, n: int) -> pd.Series | pd.DataFrame:
    """An argument of a lag as a Series or DataFrame of n rows; numbers are floats."""
    kind = getattr(getattr(x, "__formulaic_metadata__", None), "kind", None)
    if type(x).__module__.startswith("patsy.") or getattr(kind, "value", "") == "categorical":
        raise FormulaError(f"{name}() takes columns, not C(...): write C({name}(x))")
    x = getattr(x, "__wrapped__", x)
    if isinstance(x, Mapping):  # a spline of formulaic's
        x = pd.DataFrame({key: np.asarray(value) for key, value in x.items()})
    if not isinstance(x, pd.Series | pd.DataFrame):
        x = np.asarray(x)
        if x.ndim not in (1, 2):
            raise FormulaError(f"{name}() takes a column of the data, or what is made of one")
        x = pd.Series(x) if x.ndim == 1 else pd.DataFrame(x)
    if len(x) != n:
        raise FormulaError(f"{name}() takes one value for each of {n} rows, got {len(x)}")
    x = x.set_axis(pd.RangeIndex(n))
    columns = x.to_frame() if isinstance(x, pd.Series) else x
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in columns.dtypes):
        return x.astype(float)  # also flags: what has no row before it is missing
    return x


def _whole(name: str, k: Any) -> int:
    whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
    if not whole or (name == "diff" and k < 1):
        least = ", 1 or more" if name == "diff" else ""
        raise FormulaError(
            f"{name}(x, k): k is a whole number of steps{least}, got {shown(k)}; several lags are "
            "several terms, lag(x, 1) + lag(x, 2)"
        )
    if abs(int(k)) > _FARTHEST:
        raise FormulaError(f"{name}(x, k): k={shown(k)} steps are more than any data have")
    return int(k)


def _value(name: str, x: Any, k: Any, past: _Past, strict: bool = True) -> Any:
    k = _whole(name, k)
    own, before = _shifted(name, x, -k if name == "lead" else k, past, strict)
    if name == "diff":
        before = _difference(own, before)
    # Several columns as the engine gave them.
    several = isinstance(getattr(x, "__wrapped__", x), Mapping)
    return dict(before.items()) if several else before


def _difference(own: Any, before: Any) -> Any:
    columns = own.to_frame() if isinstance(own, pd.Series) else own
    if not all(pd.api.types.is_numeric_dtype(dtype) for dtype in columns.dtypes):
        raise FormulaError("diff() takes numbers; this column holds text or categories")
    return own - before


class _Memory:
    """A place in a formula where a lag stands, as patsy's stateful transforms are."""

    name = ""

    def __init__(self) -> None:
        self._past: Any = None

    def memorize_chunk(self, x: Any, k: Any = 1) -> None:
        self._past = _remember(self.name, x)

    def memorize_finish(self) -> None:
        pass

    def transform(self, x: Any, k: Any = 1) -> Any:
        return _value(self.name, x, k, self._past)


class _Lag(_Memory):
    name = "lag"


class _Lead(_Memory):
    name = "lead"


class _Diff(_Memory):
    name = "diff"


def _of_formulaic(name: str, x: Any, k: Any, state: dict[str, Any] | None) -> Any:
    if state is None:
        # formulaic computes arguments once more, without memory, to see which variables they use.
        return _value(name, x, k, _remember(name, x), strict=False)
    if "past" not in state:
        state["past"] = _remember(name, x)
    return _value(name, x, k, state["past"])


def lag(x: Any, k: int = 1, *, _state: dict[str, Any] | None = None, **_engine: Any) -> Any:
    """``x`` of the same group, k steps of time before; missing where there is no such row.

    A function of formulas over a long panel (``groups=``, ``time=``), Stata's ``Lk.x``. Which row
    is a step before goes by the time column (`formula.time_axis.Axis` says what a step is), not
    by the order of rows. In new data of a model it is the row of these data or, where they have
    none, of the model's own.

    Parameters
    ----------
    x : column or expression
        Numbers, text, categories, or several columns, of a spline for example.
    k : int
        Steps. A negative number leads.

    Raises
    ------
    FormulaError
        Without groups and time; ``k`` is no whole number; no row has one k steps before.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankSUR.from_formula(
    ...     "invest ~ lag(value) + diff(np.log(capital))", load_grunfeld(), groups="firm",
    ...     time="year", rank=1, eval_env={"np": np}
    ... )
    >>> model.nobs, model.n_cells
    (19, 209)
    """
    return _of_formulaic("lag", x, k, _state)


def lead(x: Any, k: int = 1, *, _state: dict[str, Any] | None = None, **_engine: Any) -> Any:
    """``x`` of the same group, k steps of time after: ``lag(x, -k)``, Stata's ``Fk.x``."""
    return _of_formulaic("lead", x, k, _state)


def diff(x: Any, k: int = 1, *, _state: dict[str, Any] | None = None, **_engine: Any) -> Any:
    """``x - lag(x, k)``, as ``Series.diff(k)`` of pandas and Stata's ``Sk.x``.

    The second difference is ``diff(diff(x))``.
    """
    return _of_formulaic("diff", x, k, _state)


for _function, _memory in ((lag, _Lag), (lead, _Lead), (diff, _Diff)):
    _function.__patsy_stateful_transform__ = _memory  # type: ignore[attr-defined]
    _function.__is_stateful_transform__ = True  # type: ignore[attr-defined]
    _function.get_required_variables = lambda *args, **kwargs: ()  # type: ignore[attr-defined]

_FUNCTIONS = {"lag": lag, "lead": lead, "diff": diff}


def outside(text: str) -> str:
    """A text without the calls of ``lag`` and ``lead`` in it, in which a row looks at others.

    >>> from sm_alsgls.formula.lags import outside
    >>> outside("x + lag(np.log(x), 1) * z + diff(x)")
    'x +  * z + diff(x)'
    """
    while found := re.search(r"(?<![\w.])(lag|lead)\s*\(", text):
        end, depth = found.end(), 1
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = text[: found.start()] + text[end:]
    return text


def called(text: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``lag``, ``lead`` and ``diff`` that a text calls, and that are not the caller's own.

    >>> from sm_alsgls.formula.lags import called
    >>> list(called("y ~ lag(x) + x.diff() + lead(x, 2)", {"lead": print}))
    ['lag']
    """
    names = dict.fromkeys(_CALLS.findall(text))
    return {
        name: _FUNCTIONS[name]
        for name in names
        if not callable(scope.get(name)) or scope[name] is _FUNCTIONS[name]
    }
