"""A long panel: which row of the data holds each (group, time) cell."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls import exceptions as exc
from sm_alsgls.border.labels import spell as equation_name
from sm_alsgls.border.names import candidates, listed
from sm_alsgls.formula.lags import Rows, outside
from sm_alsgls.formula.text import mentioned
from sm_alsgls.formula.time_axis import Axis

_TIMES = (pd.PeriodDtype, pd.DatetimeTZDtype)


class Cells(NamedTuple):
    """The cells of a panel of K groups and N periods."""

    names: list[str]  # K, in the order of their labels if these have one, else of appearance
    times: pd.Index  # (N,), sorted; 0..N-1 without a time column
    rows: np.ndarray  # (K, N) positions in the data, -1 for absent cells
    n_dropped: int  # periods that were missing in every group


def arrange(
    frame: pd.DataFrame,
    labels: pd.Index,
    complete: np.ndarray,
    groups: str,
    time: str | None,
    holes: bool = False,
    whole: bool = False,
) -> Cells:
    """Find the row of each cell, leaving out periods that no group has complete.

    With ``holes`` cells may be incomplete and, where there is a time column, absent. With ``whole``
    a period is left out where any group's cell is incomplete.

    ``frame`` (n rows, named ``labels`` in messages) holds the columns ``groups`` and ``time``;
    ``complete`` (n,) tells which rows miss nothing, and does so of one at least.  Raises
    UnbalancedPanelError where a cell is absent, incomplete or there twice, FormulaError or
    NonFiniteError where a column cannot tell rows apart.
    """
    g, names = groups_of(frame, labels, groups)
    if time is None:
        # Counted before rows are dropped: dropping first would match rows that do not belong.
        t = pd.Series(g).groupby(g).cumcount().to_numpy()
        times = pd.RangeIndex(t.max() + 1)
    else:
        t, values = pd.factorize(key(frame, labels, time, "time"), sort=True)
        times = pd.Index(values, name=time)
    again = pd.DataFrame({"g": g, "t": t}).duplicated().to_numpy()
    if again.any():
        raise exc.UnbalancedPanelError(
            f"{again.sum()} rows repeat a (group, time) cell, first {groups}={names[g[again][0]]!r}"
            f", {time}={times[t[again][0]]}; keep one row per cell."
        )
    at = np.full((len(names), len(times)), -1)  # the row of the data that fills a cell
    at[g, t] = np.arange(g.size)
    full = (at >= 0) & complete[at]
    used = full.any(axis=0)
    if whole:
        used &= (full | (at < 0)).all(axis=0)
        if not used.any():
            raise exc.NonFiniteError(
                f"No period is left: of {len(times)} every one misses something in some group "
                "(missing='drop' leaves such periods out)."
            )
    kept = np.flatnonzero(used)
    at, full = at[:, kept], full[:, kept]
    if holes and (time is not None or (at >= 0).all()):
        return Cells(names, times[kept], at, len(times) - kept.size)
    if not full.all():
        absent = (at < 0).sum(axis=1)
        gaps = (~full).sum(axis=1) - absent
        each = [
            f"{name} ({a} absent, {m} with missing values)"
            for name, a, m in zip(names, absent, gaps, strict=True)
            if a + m
        ]
        raise exc.UnbalancedPanelError(
            f"The panel is not balanced: of {len(names)} groups x {kept.size} periods, "
            f"{absent.sum()} cells are absent and {gaps.sum()} have missing values: "
            f"{listed(each)}. {full.all(axis=0).sum()} periods are complete in all groups and "
            f"{full.all(axis=1).sum()} groups in all periods: restrict the data to either with "
            f"subset=, e.g. subset=data[{time or groups!r}].isin([...])"
            + ("." if whole else f", or use the cells there {_HOW[time is None]}")
        )
    return Cells(names, times[kept], at, len(times) - kept.size)


_HOW = ("are, missing='fiml'.", "are: time= says which row of a group is which.")


def groups_of(frame: pd.DataFrame, labels: pd.Index, groups: str) -> tuple[np.ndarray, list[str]]:
    """The group of each row as a number, and what these are called; see `arrange`."""
    g, values = by_value(key(frame, labels, groups, "groups"))
    return g, _names(values, groups)


def key(frame: pd.DataFrame, labels: pd.Index, name: str, argument: str) -> pd.Series:
    """Return the column ``name``, which the caller passed as ``argument``; it may miss nothing."""
    check_name(name, argument)
    if name not in frame:
        near = candidates(name, frame)
        raise exc.FormulaError(f"{argument}={name!r} is not a column of the data{near}.")
    gaps = frame[name].isna().to_numpy()
    if gaps.any():
        raise exc.NonFiniteError(
            f"{argument}={name!r} has {gaps.sum()} missing values, first rows "
            f"{listed(labels[gaps])}; every row of a long panel needs one."
            + _read_as_missing(frame[name])
        )
    inferred = frame[name].infer_objects()
    # Periods and zoned times, which engines know as objects only, are themselves again.
    return inferred if isinstance(inferred.dtype, _TIMES) else frame[name]


def _names(values: Any, groups: str) -> list[str]:
    """How equations are called, which are these groups."""
    names = [str(value) for value in values]
    if len(set(names)) < len(names):
        raise exc.FormulaError(f"groups={groups!r} has two values that print alike: {names}.")
    return names


def check_name(value: Any, argument: str) -> None:
    """Refuse what is no name of a column, such as a list of one or the column itself."""
    if not isinstance(value, Hashable):
        raise exc.FormulaError(_not_a_name(value, argument))


def _not_a_name(value: Any, argument: str) -> str:
    """What to write instead of something that is no column's name."""
    named = getattr(value, "name", None)
    if isinstance(value, pd.DataFrame) or (isinstance(value, list) and len(value) > 1):
        instead = (
            "make one column of several, data['both'] = data['a'].astype(str) + ' ' + "
            "data['b'].astype(str)"
        )
    elif isinstance(value, list) and value and isinstance(value[0], str):
        instead = f"write {argument}={value[0]!r}"
    elif isinstance(named, str):
        instead = f"write {argument}={named!r}"
    else:
        instead = f"put the values into a column, and write {argument}='its name'"
    return f"{argument}= is the name of one column, got a {type(value).__name__}; {instead}."


def _read_as_missing(column: pd.Series) -> str:
    if not pd.api.types.is_object_dtype(column.dtype):
        return ""
    return (
        " A name such as NA, None or null is read as missing: pd.read_csv(..., "
        "keep_default_na=False) keeps it."
    )


@dataclass(frozen=True)
class RowKey:
    """How new data of a long panel find their lags: what `rows` needs."""

    groups: str
    time: str
    axis: Axis
    names: tuple[str, ...]  # of groups, by their codes
    columns: tuple[str, ...]  # that the formula mentions
    equations: bool = True  # whether groups are the equations; else times are, rows are groups

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        labels: pd.Index,
        groups: str,
        time: str,
        text: str = "",
        *,
        units: bool = False,
    ) -> RowKey:
        """The key of a model's own data and its formula; see `arrange` for what is raised.

        With ``units`` the equations, ``groups``, are times, and ``time`` are the units.
        """
        groups, time = (time, groups) if units else (groups, time)
        names = _names(key(frame, labels, groups, "groups").unique(), groups)
        axis = Axis.of(key(frame, labels, time, "time"), time)
        columns = tuple(mentioned(text, frame.columns))
        return cls(groups, time, axis, tuple(names), columns, not units)

    def filled(self, frame: pd.DataFrame, text: str) -> pd.DataFrame:
        """New data with columns of NaN for those that a text only lags, where they are absent.

        A forecast of one step knows the response before it, and not its own.
        """
        used = set(mentioned(outside(text), self.columns))
        absent = [name for name in self.columns if name not in used and name not in frame]
        return frame.assign(**dict.fromkeys(absent, np.nan)) if absent else frame

    def rows(self, frame: pd.DataFrame, labels: pd.Index, names: Any = None) -> Rows:
        """Group and time of each row; ``names`` are its equations, default the group column's.

        Raises FormulaError where a column is not there or a time not of the axis,
        UnseenLevelError for a group that is none of the model's.
        """
        if self.time not in frame:
            raise exc.FormulaError(
                f"lag(), lead() and diff() go by time: the data need the column {self.time!r}"
                f"{candidates(self.time, frame)}"
            )
        if names is None:
            names = equation_names(key(frame, labels, self.groups, "groups"), self.names)
        codes = pd.Index(self.names).get_indexer(pd.Index(np.asarray(names, dtype=object)))
        if (codes < 0).any():
            unseen = sorted({repr(name) for name in np.asarray(names)[codes < 0]})
            raise exc.UnseenLevelError(f"{self.groups}: the system has no group {listed(unseen)}.")
        times = self.axis.positions(key(frame, labels, self.time, "time"))
        return Rows(codes, times, self.axis, self.names)


def by_value(column: pd.Series) -> tuple[np.ndarray, Any]:
    """Codes and labels of groups: sorted where labels are numbers or dates, else as they appear.

    Names have no order of their own, nor have categories of names, which Stata's files all call
    ordered.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.formula.panel import by_value
    >>> [list(by_value(pd.Series(labels))[1]) for labels in ([1976, 1974], ["b", "a"])]
    [[1974, 1976], ['b', 'a']]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    return pd.factorize(column, sort=kind in _ORDERED)


_ORDERED = (
    *("integer", "floating", "mixed-integer-float", "decimal"),
    *("datetime64", "datetime", "date", "period", "timedelta64", "timedelta"),
)


def equation_names(values: pd.Series, known: Collection[str]) -> pd.Series:
    """The equation of each row of new data, from its group column; see `labels.spell`."""
    codes, labels = pd.factorize(values)
    names = np.array([equation_name(label, known) for label in labels], dtype=object)
    return pd.Series(names[codes], index=values.index)
