"""Equations in tiles, looked at once: labels, moments, and errors that name what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from sm_alsgls.border.labels import shown
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.core.tiles.look import Look, look
from sm_alsgls.core.tiles.runner import Runner
from sm_alsgls.core.tiles.sound import UnsoundTileError
from sm_alsgls.data.columns import dependent, tiny
from sm_alsgls.data.many.labels import ManyLabels, kinds_of
from sm_alsgls.data.many.tiled import Names, Tiled
from sm_alsgls.data.read import numbered
from sm_alsgls.exceptions import (
    DegenerateResponseError,
    InsufficientRowsError,
    NonFiniteError,
    SystemInputError,
)

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Checked:
    """Labels of a system in tiles, and what its responses are.

    Attributes
    ----------
    labels : ManyLabels
    about_mean : ndarray, shape (K,)
        Sums of squares of responses about their means.
    """

    labels: ManyLabels
    about_mean: Array


def check(tiled: Tiled, runner: Runner) -> Checked:
    """One pass over the data.

    Raises
    ------
    NonFiniteError, DegenerateResponseError, InsufficientRowsError, SystemInputError
    """
    try:
        looks: list[Look] = runner.run(look, what="first look at the data")
    except UnsoundTileError as error:
        raise _unsound(tiled, error) from None
    labels = _labels(tiled, looks)
    n = tiled.source.n
    most = int(np.argmax(labels.p))
    if labels.p[most] >= n:
        raise InsufficientRowsError(
            f"equation {labels.name(most)!r} has {labels.p[most]} regressors but only {n} rows; it "
            f"needs at least {labels.p[most] + 1} rows: drop regressors or add observations"
        )
    still = np.flatnonzero(~np.concatenate([one.varies for one in looks]))
    if len(still):
        j = int(still[0])
        value = np.concatenate([one.first for one in looks])[j]
        raise DegenerateResponseError(
            f"the response of equation {labels.name(j)!r} is constant ({value:g} in all {n} rows)"
            + (f", and so are {len(still) - 1} more" if len(still) > 1 else "")
            + "; drop the equation"
        )
    return Checked(labels, np.concatenate([one.about_mean for one in looks]))


def _labels(tiled: Tiled, looks: list[Look]) -> ManyLabels:
    """Names that came with the columns, or const, x1, x2, ... by what columns hold."""
    patterns: dict[tuple[bool, ...], Names] = {}
    kinds: list[Names] = []
    code: list[Array] = []
    for ones in (tile for one in looks for tile in one.ones):
        found, inverse = np.unique(ones, axis=0, return_inverse=True)
        of_tile = []
        for pattern in found.tolist():
            key = tuple(pattern)
            if key not in patterns:
                patterns[key] = tuple(numbered(key))
                kinds.append(patterns[key])
            of_tile.append(list(patterns).index(key))
        code.append(np.array(of_tile, dtype=np.int32)[inverse.reshape(-1)])
    kind = np.concatenate(code)
    if tiled.columns is not None:
        given, own = tiled.columns
        kind = np.where(own >= 0, own, kind + len(given))
        kinds = [*given, *kinds]
    used, kind = np.unique(kind, return_inverse=True)
    merged, first = kinds_of([kinds[i] for i in used])
    return ManyLabels(merged, first[kind.reshape(-1)], tiled.names)


def _unsound(tiled: Tiled, error: UnsoundTileError) -> SystemInputError:
    """The error with labels in place of numbers."""
    j = error.equation
    name = str(tiled.names[j]) if tiled.names is not None else f"y{j + 1}"
    what = f"equation {name!r}"
    if error.column is not None:
        column = f"number {error.column}"
        if tiled.columns is not None and tiled.columns[1][j] >= 0:
            column = repr(tiled.columns[0][tiled.columns[1][j]][error.column])
        what = f"column {column} of {what}"
    argument = "endog" if error.column is None else "exog"
    many, first = len(error.rows), shown(tiled.rows[error.rows[0]])
    return NonFiniteError(
        f"{tiled.where(j)}{argument}: {what} has {many} {error.kind} value{'s' * (many > 1)}, the "
        f"first in row {first}; of equations in tiles every cell is needed: drop or fill such rows "
        "in all equations, or leave the equation out"
    )


def blamed(labels: ManyLabels, error: DependentColumnsError | TinyColumnsError) -> NoReturn:
    """Raise an error about a design with names in place of numbers."""
    where = f"equation {labels.name(error.equation)!r}"
    columns = list(labels.regressors(error.equation))
    if isinstance(error, DependentColumnsError):
        raise dependent(error, where, columns) from None
    raise tiny(error, where, columns) from None
