"""Which row of what the caller handed in each row of a system is.

Everything that belongs to rows and comes after them (clusters, weights, blocks) goes through here,
in one of three ways: by a column of the data, by labels, by position.  Let the caller have handed
in n rows, of which the system has N; of a long panel the n rows are cells (group, time), and the N
rows of the system are times.

1. A *name* is a column (or a level of the index) of the data.
2. A *Series or DataFrame* goes by its labels: those of the n rows, in whatever order, else those of
   the N rows.  Labels may repeat where they are in the order of the rows, or where equal labels
   have equal values.
3. What has *no labels* must have n or N rows, in their order.

Where 2 or 3 can be read in both ways and they differ, it is an error, not a choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.alignment import equal_labels
from sm_alsgls.border.frames import level_names, to_pandas
from sm_alsgls.border.labels import shown
from sm_alsgls.border.names import candidates
from sm_alsgls.border.vectors import KINDS, Vector, alike, columns, find, once, take
from sm_alsgls.exceptions import FormulaError, NonFiniteError, OptionError, ShapeError


def snapshot(data: Any) -> pd.DataFrame:
    """The caller's data as they are now: what is written to theirs later does not show here.

    Costs nothing where pandas copies on write (3.0 and later), else a copy.
    """
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    lazily = int(pd.__version__.split(".")[0]) >= 3 or pd.options.mode.copy_on_write is True
    return frame.copy(deep=not lazily)


class _Read(NamedTuple):
    """One variable by row: of the data (n,), else of the system (N,)."""

    values: pd.Series
    of_data: bool


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where the N rows of a system come from.

    Attributes
    ----------
    index : Index (N,)
        Labels of the rows.
    rows : ndarray of int (N,) or (K, N), optional
        Which of the n rows of the data each row or, of a long panel, each cell is; -1 where the
        panel has none. Default: all, in order.
    labels : Index (n,), optional
        Labels of the data's rows. Default: those of ``frame``, else ``index``.
    labelled : bool
        Whether labels are the caller's; else rows are numbered.
    frame : DataFrame, optional
        The data, where they have columns to name; see `snapshot`.
    time : str, optional
        The column of a long panel that labels the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls.border.provenance import Provenance
    >>> data = pd.DataFrame({"s": ["u", "v", "u"]}, index=[7, 8, 9])
    >>> rows = Provenance(data.index, frame=data).kept(np.array([0, 2]))  # row 8 was dropped
    >>> [rows.per_row(s, "groups")[0].tolist() for s in ("s", data["s"], data["s"].to_numpy())]
    [['u', 'u'], ['u', 'u'], ['u', 'u']]
    """

    index: pd.Index
    rows: np.ndarray | None = None
    labels: pd.Index | None = None
    labelled: bool = True
    frame: Any = None
    time: str | None = None

    @property
    def given(self) -> pd.Index:
        """Labels of the n rows that the caller handed in."""
        if self.labels is not None:
            return self.labels
        return self.index if self.frame is None else self.frame.index

    @property
    def is_panel(self) -> bool:
        """Whether the data's rows are cells."""
        return self.rows is not None and self.rows.ndim == 2

    def kept(self, positions: np.ndarray) -> Provenance:
        """The same for some of the rows of the system, at ``positions`` (m,)."""
        rows = positions if self.rows is None else self.rows[..., positions]
        labels = self.labels if self.frame is not None else self.given
        return replace(self, index=self.index[positions], rows=rows, labels=labels)

    # -- what the caller may ask --------------------------------------------------------------

    def per_row(self, value: Any, argument: str, within: str = "") -> list[pd.Series]:
        """Labels of the system's rows: variables (N,) of any type, indexed like the system.

        Parameters
        ----------
        value : str, list of str, Series, DataFrame, array_like (n,) or (N,) or with columns
            See the module; a list or mapping may hold several vectors.
        argument : str
            What the caller calls it.
        within : str
            What to say where a long panel's variable differs within a row of the system.

        Raises
        ------
        FormulaError
            No column of this name.
        ShapeError, NonFiniteError
            Rows do not fit, cannot be told apart, differ within a period, or miss a value.
        """
        out = []
        for vector in self._vectors(value, argument):
            values, of_data = self._read(vector, argument)
            made = self._by_row(values, argument, within) if of_data else values
            gaps = np.flatnonzero(made.isna().to_numpy())
            if len(gaps):
                raise NonFiniteError(
                    f"{argument} is missing in row {shown(self.index[gaps[0]])}"
                    + (f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else "")
                    + "; every row of the system needs one"
                )
            out.append(made.set_axis(self.index).rename(vector.name))
        return out

    def per_cell(self, value: Any, argument: str) -> list[np.ndarray]:
        """Values of any type for rows (N,) or, of a long panel's data, for cells (N, K).

        As `per_row`, but values may differ within a row and may be missing (None in cells that
        the panel does not have).
        """
        out = []
        for vector in self._vectors(value, argument):
            values, of_data = self._read(vector, argument)
            if of_data and self.is_panel:
                each = np.append(values.to_numpy(dtype=object), None)  # the last is that of -1
                out.append(each[self.rows].T)
            else:
                rows = slice(None) if self.rows is None or not of_data else self.rows
                out.append(values.iloc[rows].to_numpy())
        return out

    def ordered(self, value: pd.Series, argument: str) -> pd.Series:
        """A Series by the labels of the rows, numbered, in their order and of its own dtype.

        Raises
        ------
        ShapeError
            It has no label for a row, or labels that repeat in another order.
        """
        found = self._read(Vector.of(value, value.index, value.name), argument)
        return found.values.rename(value.name)

    # -- how it was handed in -----------------------------------------------------------------

    def _vectors(self, value: Any, argument: str) -> Iterator[Vector]:
        value = to_pandas(value, argument)
        if isinstance(value, str) or self._is_column(value):
            yield self._column(value, argument)
        elif isinstance(value, Mapping):
            for name, one in value.items():
                yield from (v._replace(name=name) for v in self._vectors(one, argument))
        elif self._is_several(value):
            for one in value:
                yield from self._vectors(one, argument)
        else:
            yield from columns(value, argument)

    def _is_column(self, value: Any) -> bool:
        """Whether it is the name of a column that is no string, such as a number or a pair."""
        if isinstance(value, bool) or not isinstance(value, (int, tuple)):
            return False
        names = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(name, (str, int)) for name in names):
            return False
        return isinstance(self.frame, pd.DataFrame) and value in self.frame.columns

    def _is_several(self, value: Any) -> bool:
        """Whether a list holds names, or vectors, and not one value for each row."""
        if not isinstance(value, (list, tuple)) or not 0 < len(value) < 4:
            return False
        if all(isinstance(one, str) or self._is_column(one) for one in value):
            return len(value) not in (len(self.index), len(self.given))
        return all(isinstance(one, (str, *KINDS)) for one in value)

    def _column(self, name: Any, argument: str) -> Vector:
        if self.frame is None:
            raise OptionError(
                f"{argument}={shown(name)} names a column, but the model was made from arrays; "
                "pass the values, one for each row"
            )
        at = np.flatnonzero(self.frame.columns == name) if isinstance(name, str) else []
        if len(at) > 1:
            raise FormulaError(
                f"{argument}={shown(name)}: the data have more than one such column; rename one"
            )
        if len(at) == 1 or self._is_column(name):
            column = self.frame.iloc[:, at[0]] if len(at) else self.frame[name]
            return Vector.of(column, self.given, name)
        levels = level_names(self.frame.index)
        if name in levels:
            level = self.frame.index.get_level_values(levels.index(name))
            return Vector.of(pd.Series(level), self.given, name)
        raise FormulaError(
            f"{argument}={shown(name)} is not a column of the data, as they were when the model "
            f"was made{candidates(name, self.frame)}"
        )

    # -- rows ---------------------------------------------------------------------------------

    def _read(self, vector: Vector, argument: str) -> _Read:
        """As values of the data's rows or of the system's."""
        labels, n = vector.labels, len(vector.values)
        if labels is not None and not self._fits(labels):
            return self._by_label(vector, argument)
        readings = [
            _Read(vector.values, of_data)
            for target, of_data in ((self.given, True), (self.index, False))
            if (n == len(target) if labels is None else equal_labels(labels, target))
        ]
        if not readings:
            n_data, N = len(self.given), len(self.index)
            what = f"the system has {N}" + (f", the data {n_data}" if n_data != N else "")
            raise ShapeError(f"{argument} has {n} rows, {what}")
        if not self._agree(readings):
            raise ShapeError(
                f"{argument} can be of the {len(self.given)} rows of the data, or of the "
                f"{len(self.index)} rows of the system, which are in another order; pass a column "
                "of the data by its name, or a Series with labels that tell"
            )
        return readings[0]

    def _fits(self, labels: pd.Index) -> bool:
        return equal_labels(labels, self.given) or equal_labels(labels, self.index)

    def _by_label(self, vector: Vector, argument: str) -> _Read:
        """Labels in another order, or more or fewer of them, than those of the rows."""
        values, labels = once(vector, argument)
        wanted = [
            (self.given, self._needed(), True),
            (self.index, np.arange(len(self.index)), False),
        ]
        found = [find(labels, target) for target, _, _ in wanted]
        hits = [np.mean(at[needed] >= 0) for at, (_, needed, _) in zip(found, wanted, strict=True)]
        # Numbers of periods are numbers of rows as well: those that leave no label unused.
        used = [len(np.unique(at[at >= 0])) / max(len(labels), 1) for at in found]
        by_position = None
        if not self.labelled and len(vector.values) in (len(self.given), len(self.index)):
            # Arrays' rows are numbered by us: the caller may not have meant these numbers.
            by_position = self._read(vector._replace(labels=None), argument)
            if max(hits) == 0.0:
                return by_position
        best = int(np.argmax(np.multiply(hits, used)))  # the data's where both are there
        target, needed, of_data = wanted[best]
        if hits[best] < 1.0:
            where = target[needed[np.flatnonzero(found[best][needed] < 0)[0]]]
            other = "a plain array" if self.frame is None else "a column of the data by its name"
            raise ShapeError(
                f"{argument} has no label for row {shown(where)}; give it the row labels of the "
                f"data, or pass {other}"
            )
        read = _Read(take(values, found[best]), of_data)
        if by_position is not None and not self._agree([read, by_position]):
            raise ShapeError(
                f"{argument} has labels that number the rows in another order, and endog and exog "
                "have none; pass a plain array in the order of their rows"
            )
        return read

    def _needed(self) -> np.ndarray:
        """Rows of the data that the system has."""
        if self.rows is None:
            return np.arange(len(self.given))
        return np.unique(self.rows[self.rows >= 0])

    def _agree(self, readings: list[_Read]) -> bool:
        one, *others = (
            r.values.iloc[self._first(r.values)] if r.of_data else r.values for r in readings
        )
        return all(alike(one, other) for other in others)

    def _first(self, values: pd.Series) -> np.ndarray:
        """For each row of the system a row of the data (N,), one that has a value if any does."""
        rows = self.rows
        if rows is None:
            return np.arange(len(values))
        if rows.ndim == 1:
            return rows
        known = (rows >= 0) & ~values.isna().to_numpy()[rows]
        there = np.where(known.any(axis=0), known.argmax(axis=0), (rows >= 0).argmax(axis=0))
        return rows[there, np.arange(rows.shape[1])]

    def _by_row(self, values: pd.Series, argument: str, within: str) -> pd.Series:
        """One value for each row of the system, of those (n,) of the data."""
        first = self._first(values)
        if self.is_panel:
            rows = self.rows
            of_data = np.append(pd.factorize(values)[0], -1)
            codes = of_data[rows]
            differs = (codes >= 0) & (codes != of_data[first])
            if differs.any():
                n = int(np.flatnonzero(differs.any(axis=0))[0])
                one, other = int(first[n]), int(rows[np.flatnonzero(differs[:, n])[0], n])
                raise ShapeError(
                    f"{argument} differs within row {shown(self.index[n])} of the system"
                    + (f" ({self.time})" if self.time else "")
                    + f": {shown(values.iloc[one])} in row {shown(self.given[one])} of the data, "
                    f"{shown(values.iloc[other])} in row {shown(self.given[other])}"
                    + (f"; {within}" if within else "")
                )
        return values.iloc[first].reset_index(drop=True)
