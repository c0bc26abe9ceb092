"""Series over time with coefficients of units: known factors, such as a trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sm_alsgls.border.names import close, listed
from sm_alsgls.data.panel_cells import PanelCells
from sm_alsgls.exceptions import OptionError, RankDeficientError

Array = np.ndarray

_NOTHING = 1e-8


def same_for_all(cells: PanelCells) -> list[str]:
    """Regressors that are the same in all units, and change over time."""
    found = []
    for name, X in zip(cells.columns, cells.panel.X, strict=True):
        series = _series(X, cells.seen)
        if series is not None and np.ptp(series) > _NOTHING * np.abs(series).max():
            found.append(name)
    return found


def with_series(cells: PanelCells, named: Sequence[str], factors: str) -> PanelCells:
    """The same with some regressors as series whose coefficients differ between units.

    Parameters
    ----------
    cells : PanelCells
    named : sequence of str
        Regressors that are the same for all units in a period.
    factors : str
        What the model is called, for messages.

    Raises
    ------
    OptionError
        There is no such regressor, it is named twice, or it differs between units.
    RankDeficientError
        It does not change over time; or it is a combination of others.
    """
    if not named:
        return cells
    named, found = [str(name) for name in named], []
    for k, name in enumerate(named):
        if name in named[:k]:
            raise OptionError(f"heterogeneous= has {name!r} twice: name it once")
        if name == cells.constant:
            raise OptionError(
                f"heterogeneous=: {name!r} is the constant; constants of units are effects='entity'"
            )
        if name not in cells.columns:
            raise OptionError(
                f"heterogeneous= with factors={factors!r}: there is no regressor {name!r}"
                + close(name, cells.columns)
            )
        series = _series(cells.panel.X[cells.columns.index(name)], cells.seen)
        if series is None:
            said = "" if factors == "cce" else "; factors='cce' has slopes of units, and their mean"
            raise OptionError(
                f"heterogeneous= with factors={factors!r}: {name!r} differs between units, and its "
                "slope is common to all. A series that is the same for all of them, as a trend, "
                f"may have coefficients of units{said}"
            )
        if np.ptp(series) <= _NOTHING * np.abs(series).max():
            raise RankDeficientError(
                f"heterogeneous=: {name!r} does not change over {cells.periods.name!r}: "
                "effects='entity' are constants of units"
            )
        found.append(series)
    S = np.column_stack(found)
    about = S - S.mean(axis=0)
    size = np.linalg.svd(about / np.linalg.norm(about, axis=0), compute_uv=False)
    if size[-1] <= _NOTHING * size[0]:
        raise RankDeficientError(
            f"heterogeneous=: one of {listed(map(repr, named))} is a combination of the others and "
            "a constant"
        )
    S.flags.writeable = False
    kept = [j for j, name in enumerate(cells.columns) if name not in named]
    return replace(
        cells,
        panel=replace(cells.panel, X=cells.panel.X[kept]),
        columns=[cells.columns[j] for j in kept],
        series=S,
        series_names=named,
    )


def _series(X: Array, seen: Array) -> Array | None:
    """What a regressor is in each period, where that is one number; every period has a cell."""
    lowest = np.where(seen, X, np.inf).min(axis=1)
    highest = np.where(seen, X, -np.inf).max(axis=1)
    if (highest - lowest).max() > _NOTHING * np.abs(X[seen]).max():
        return None
    return lowest
