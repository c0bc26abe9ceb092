"""A long panel in a frame of dask whose partitions hold whole groups: an equation a group.

The key columns are looked at first, a partition at a time: which groups and times it has. What a
formula means is found as of any frame of dask, once for all partitions, so that all equations have
the same columns; then each partition is a chunk of equations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.chunks import in_part
from sm_alsgls.border.dask_inputs import partitions
from sm_alsgls.border.dask_tree import merged
from sm_alsgls.border.names import candidates, listed
from sm_alsgls.exceptions import FormulaError, NonFiniteError, ShapeError, UnbalancedPanelError
from sm_alsgls.formula import panel
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.lags import called as calls_of
from sm_alsgls.formula.order import refuse_order
from sm_alsgls.formula.partitions import formula_partitions
from sm_alsgls.formula.stream import of_chunk
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.formula.text import is_one, mentioned, read_equations

Array = np.ndarray


@dataclass(frozen=True)
class PanelChunks:
    """Chunks of equations, none of which has been evaluated.

    Attributes
    ----------
    chunks : list of Delayed
        Pairs of endog (N, m) and exog (m, N, p).
    sizes : list of int
        Equations m of each.
    names : list of str
        Of all equations.
    times : Index (N,)
    columns : tuple of str
        Of each equation's design.
    """

    chunks: list[Any]
    sizes: list[int]
    names: list[str]
    times: pd.Index
    columns: tuple[str, ...]


def panel_chunks(
    formula: Any, data: Any, *, groups: str, time: str | None, scope: dict[str, Any]
) -> PanelChunks:
    """Equations of a long panel.

    Parameters
    ----------
    formula : str
        One, with one response, that acts row by row.
    data : dask DataFrame
        All rows of a group in one partition.
    groups, time : str
        Columns, or the name of the index.
    scope : dict
        Variables and functions that the formula may use besides the data.

    Raises
    ------
    ShapeError
        A group is in several partitions.
    UnbalancedPanelError
        Groups have not the same times.
    FormulaError
    """
    from dask import delayed

    if not is_one(formula):
        raise FormulaError(
            "groups= makes one equation per group from one formula, 'y ~ x1 + x2'; give one"
        )
    ((_, text),) = read_equations(formula)
    if calls_of(text, scope):
        raise FormulaError(
            "lag(), lead() and diff() do not go with a frame of dask; make their columns before, "
            "in each partition: frame.map_partitions(...)"
        )
    keys = [groups] if time is None else [groups, time]
    if data.index.name in keys:
        data = data.reset_index()
    for name, argument in ((groups, "groups"), (time, "time")):
        if name is not None and name not in data.columns:
            near = candidates(name, data)
            raise FormulaError(f"{argument}={name!r} is not a column of the data{near}.")
    look = _Look(groups, time)
    found = merged(partitions([list(data[keys].to_delayed())]), look, "groups").found
    if not found:
        raise ShapeError(f"the system is empty: 0 rows in {data.npartitions} partitions")
    _check(found, groups, time)
    made = formula_partitions(formula, data, missing="none", scope=scope, keys=keys)
    if len(made.recipe.specs) > 1:
        raise FormulaError(f"{text!r} has {len(made.recipe.specs)} responses; groups= needs one")
    work = _Chunk(made.recipe, groups, time, made.loose)
    every = {one.called: one.blocks for one in made.partitions.parts}
    task = delayed(work, pure=False, traverse=False)
    chunks = [task(one.called, *every[one.called]) for one in found]
    return PanelChunks(
        chunks,
        [len(one.names) for one in found],
        [name for one in found for name in one.names],
        found[0].times,
        made.recipe.specs[0].columns,
    )


@dataclass(frozen=True)
class _Seen:
    """Groups of a partition, and the times that all of them have."""

    called: str
    names: list[str]
    times: pd.Index
    wrong: UnbalancedPanelError | None = None


@dataclass(frozen=True)
class _AllSeen:
    """Those of several."""

    found: list[_Seen]

    def merge(self, other: _AllSeen) -> _AllSeen:
        """Those of both."""
        return _AllSeen([*self.found, *other.found])


@dataclass(frozen=True)
class _Look:
    """The task of a partition's keys."""

    groups: str
    time: str | None

    def __call__(self, called: str, start: int, data: pd.DataFrame) -> _AllSeen:
        if not len(data):
            return _AllSeen([])
        with in_part(called):
            _, names = panel.groups_of(data, data.index, self.groups)
            try:
                times, wrong = _cells(data, self.groups, self.time).times, None
            except UnbalancedPanelError as error:
                # Of groups that are in two partitions this is no wonder: it is said last.
                times, wrong = pd.Index([]), UnbalancedPanelError(f"{called}: {error}")
        return _AllSeen([_Seen(called, names, times, wrong)])


def _cells(data: pd.DataFrame, groups: str, time: str | None) -> panel.Cells:
    return panel.arrange(data, data.index, np.ones(len(data), dtype=bool), groups, time, whole=True)


def _check(found: list[_Seen], groups: str, time: str | None) -> None:
    """No group is in two partitions, and all have the same times."""
    where: dict[str, str] = {}
    for one in found:
        for name in one.names:
            if name in where:
                raise ShapeError(
                    f"group {name!r} of {groups!r} is in {where[name]} and in {one.called}; a "
                    f"partition must hold whole groups: frame.shuffle({groups!r}), or "
                    f"frame.set_index({groups!r}); a frame that memory holds may be given as "
                    "frame.compute()"
                )
        where.update(dict.fromkeys(one.names, one.called))
    for one in found:
        if one.wrong is not None:
            raise one.wrong
    first = found[0]
    for one in found[1:]:
        if not one.times.equals(first.times):
            alone = one.times.symmetric_difference(first.times)
            raise UnbalancedPanelError(
                f"{one.called}: group {one.names[0]!r} has {len(one.times)} periods, and group "
                f"{first.names[0]!r} in {first.called} has {len(first.times)}"
                + (f"; {time} {alone[0]} is not in both" if time is not None else "")
                + "; equations that are read in tiles have all of their rows: restrict the data to "
                "periods that every group has"
            )


@dataclass(frozen=True)
class _Chunk:
    """What a partition's equations are made by; it travels there."""

    recipe: FormulaSystem
    groups: str
    time: str | None
    loose: tuple[Any, ...]

    def __call__(self, called: str, data: pd.DataFrame) -> tuple[Array, Array]:
        (spec,) = self.recipe.specs
        with in_part(called):
            cells = _cells(data, self.groups, self.time)
            # Categories that are the partition's own are the values that they are.
            plain = data.astype(dict.fromkeys(self.loose, object))
            new = read_data(plain, spec.formula, self.recipe.scope)
            y = of_chunk(replace(spec, rhs=spec.lhs), new)
            refuse_order(str(y.columns[0]), spec.formula, new, self.groups, self.time)
            X = of_chunk(spec, new).to_numpy(dtype=float)
            values = y.to_numpy(dtype=float)[:, 0]
            self._refuse_gaps(plain, np.isnan(values) | np.isnan(X).any(axis=1))
        return values[cells.rows].T, X[cells.rows]

    def _refuse_gaps(self, data: pd.DataFrame, gaps: Array) -> None:
        if not gaps.any():
            return
        i = int(np.flatnonzero(gaps)[0])
        used = mentioned(self.recipe.specs[0].formula, data.columns)
        empty = [name for name in used if pd.isna(data[name].iloc[i])]
        when = (
            f"row {data.index[i]}"
            if self.time is None
            else f"{self.time} {data[self.time].iloc[i]}"
        )
        raise NonFiniteError(
            f"equation {str(data[self.groups].iloc[i])!r} misses "
            + (f"column {listed(empty)}" if empty else "something that the formula makes")
            + f" in {when}, and {gaps.sum() - 1} more rows of this partition miss something; of "
            "equations in tiles every cell is needed: drop such periods in all groups, or fill them"
        )
