"""A panel as arrays of periods x units, for models whose units and periods have parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
import pandas as pd

from sm_alsgls.border.names import listed
from sm_alsgls.core.interactive.identified import (
    OVER_TIME,
    OVER_UNITS,
    Scarce,
    Unidentified,
    scarce,
    unidentified,
)
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.exceptions import (
    InsufficientRowsError,
    NonFiniteError,
    RankDeficientError,
    ShapeError,
)

Array = np.ndarray

#: Which additive effects ``effects=`` stands for: of units, of periods.
EFFECTS = {
    None: (False, False),
    "entity": (True, False),
    "time": (False, True),
    "both": (True, True),
}
_NOTHING = 1e-10


@dataclass(frozen=True, eq=False)
class PanelCells:
    """Cells of a panel, and what they are called.

    Attributes
    ----------
    panel : Panel
        T periods x n units; regressors less the constant.
    columns : list of str (p,)
    units, periods : Index (n,), (T,)
        Named as the user calls them.
    response : str
    constant : str or None
        The regressor that is 1 in every cell, which is left out: effects and factors hold it.
    n_dropped : int
        Periods that were left out.
    series : ndarray, shape (T, k), or None
        Series over time whose coefficients differ between units.
    series_names : list of str (k,)
    """

    panel: Panel
    columns: list[str]
    units: pd.Index
    periods: pd.Index
    response: str
    constant: str | None = None
    n_dropped: int = 0
    series: Array | None = None
    series_names: list[str] = field(default_factory=list)

    @property
    def seen(self) -> Array:
        """Whether each cell was observed, (T, n)."""
        seen = self.panel.seen
        return np.ones(self.panel.Y.shape, dtype=bool) if seen is None else seen

    def frame(self, M: Array) -> pd.DataFrame:
        """A number a cell, labelled; NaN where nothing was observed."""
        return pd.DataFrame(np.where(self.seen, M, np.nan), index=self.periods, columns=self.units)

    def without(self, cells: Array) -> PanelCells:
        """The same with some cells (T, n) as if they had not been observed."""
        return replace(self, panel=replace(self.panel, seen=self.seen & ~cells))

    def of_units(self, kept: Array) -> PanelCells:
        """The same of some units, (n,) of bool."""
        columns = np.flatnonzero(kept)
        panel = self.panel.taken(slice(None), columns)
        return replace(self, panel=panel, units=self.units[columns])


def panel_cells(
    endog: pd.DataFrame,
    exog: Sequence[pd.DataFrame],
    *,
    entity: str,
    time: str,
    response: str,
    n_dropped: int = 0,
) -> PanelCells:
    """Cells of a system whose equations are units.

    Parameters
    ----------
    endog : DataFrame (T, n)
        NaN in cells that are not there.
    exog : sequence of DataFrame
        n designs (T, p) with the same columns.
    entity, time : str
    response : str
    n_dropped : int

    Raises
    ------
    ShapeError
        One unit or one period.
    NonFiniteError
        Nothing but holes.
    """
    Y = endog.to_numpy(dtype=float)
    X = np.stack([frame.to_numpy(dtype=float).T for frame in exog], axis=2)  # (p, T, n)
    names = [str(column) for column in exog[0].columns]
    seen = np.isfinite(Y) & np.isfinite(X).all(axis=0)
    T, n = Y.shape
    for what, number, called in (("units", n, entity), ("periods", T, time)):
        if number < 2:
            raise ShapeError(f"a panel needs two {what} or more, and {called!r} has one value")
    if not seen.any():
        raise NonFiniteError("no cell of the panel has its response and all regressors")
    constant = next((j for j, x in enumerate(X) if (x[seen] == 1.0).all()), None)
    kept = [j for j in range(len(names)) if j != constant]
    hole = ~seen
    Y, X = np.where(hole, 0.0, Y), np.where(hole, 0.0, X[kept])
    for M in (Y, X):
        M.flags.writeable = False
    return PanelCells(
        Panel(Y, X, None if seen.all() else seen),
        [names[j] for j in kept],
        pd.Index(endog.columns, name=entity),
        pd.Index(endog.index, name=time),
        response,
        None if constant is None else names[constant],
        n_dropped,
    )


def effects_of(cells: PanelCells, effects: str | None) -> Effects:
    """Known factors and known loadings: additive effects, and series of units' own."""
    unit, time = EFFECTS[effects]
    made = Effects.of(cells.panel.T, cells.panel.n, unit=unit, time=time)
    if cells.series is None:
        return made
    return Effects(np.column_stack([made.L, cells.series]), made.C)


def check_response(cells: PanelCells) -> None:
    """The response varies.

    Raises
    ------
    InsufficientRowsError
    """
    y = cells.panel.Y[cells.seen]
    if y.max() - y.min() <= _NOTHING * np.abs(y).max():
        raise InsufficientRowsError(f"the response {cells.response!r} is the same in every cell")


def check_cells(cells: PanelCells, effects: str | None, rank: int) -> None:
    """Regressors have slopes beside so many factors, and all sides have cells for them.

    Raises
    ------
    RankDeficientError, InsufficientRowsError
    """
    known = effects_of(cells, effects)
    what = " and ".join(["factors"] * bool(rank) + ["effects"] * bool(effects))
    refuse_unidentified(cells, unidentified(cells.panel, known, rank), what)
    refuse_scarce(cells, scarce(cells.panel, known, rank), rank)


def refuse_unidentified(cells: PanelCells, found: Sequence[Unidentified], what: str) -> None:
    """Say which regressors have no slope beside ``what``, and why.

    Raises
    ------
    RankDeficientError
    """
    if found:
        _refuse(cells, found, what)


def refuse_scarce(cells: PanelCells, found: Scarce, rank: int) -> None:
    """Say which units and periods have too few cells for their loadings, factors and effects.

    Raises
    ------
    InsufficientRowsError
    """
    sides = (
        ("units", found.units, cells.units, "periods", "loadings"),
        ("periods", found.periods, cells.periods, "units", "factors"),
    )
    for what, at, labels, of, parameters in sides:
        if len(at):
            named = listed(repr(label) for label in labels[at].tolist())
            raise InsufficientRowsError(
                f"{what} {named} were observed in too few {of} for {rank} {parameters} and effects "
                f"of their own: leave them out (subset=), or take fewer factors"
            )


def _refuse(cells: PanelCells, found: Sequence[Unidentified], what: str) -> NoReturn:
    first = found[0]
    name, reason = cells.columns[first.column], first.reason
    if first.others:
        others = listed(repr(cells.columns[j]) for j in first.others)
        said = f"regressor {name!r} is {reason}: of {others}; leave one of them out"
    else:
        said = f"regressor {name!r} is {reason}, which {what} contain: it has no slope beside them"
        if reason == OVER_TIME:
            said += (
                f". Leave it out, or multiply it by something that changes over "
                f"{cells.periods.name!r}"
            )
        elif reason == OVER_UNITS:
            said += (
                f". Leave it out, multiply it by something that differs by {cells.units.name!r}, "
                f"or give each its own coefficient of it: heterogeneous=[{name!r}]"
            )
        else:
            said += ". Leave it out, or take fewer factors"
    more = [repr(cells.columns[one.column]) for one in found[1:]]
    if more:
        said += f"; the same of {listed(more)}"
    raise RankDeficientError(said)
