"""The designs at which predictions are made: old rows, new data or new regressors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border import held
from sm_alsgls.border.alignment import by_name, same_labels
from sm_alsgls.border.arguments import flag
from sm_alsgls.border.frames import one_row, table, to_pandas, with_levels
from sm_alsgls.border.labels import shown, spell
from sm_alsgls.border.names import listed
from sm_alsgls.border.numbers import depth
from sm_alsgls.exceptions import NotApplicableError, OptionError, ShapeError
from sm_alsgls.formula import panel
from sm_alsgls.formula.replay import replay, replay_panel
from sm_alsgls.results.model import Model
from sm_alsgls.results.new_design import new_design
from sm_alsgls.results.selection import equations_named


class Piece(NamedTuple):
    """What one equation is evaluated at."""

    j: int  # position of the equation
    at: Any  # index of its cells in the output array
    X: np.ndarray  # (n_j, p_j); a row that misses something has a NaN


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to predict, in the layout of the answer.

    A wide layout has one column per equation; the others are one series, on the rows of a long
    panel's data or of a single equation.
    """

    pieces: tuple[Piece, ...]
    index: pd.Index  #: (n,) labels of the answer
    columns: tuple[str, ...] | None  #: equations, in the wide layout
    name: str | None  #: of the series, in the others
    systems: pd.Index | None  #: (n,) which rows belong to one row of the system; None: unknown
    watch: held.Watch | None = None  #: of designs that are the caller's, see `kept`
    data: Any = None  #: what formulas made designs of, row by row of `index`

    def kept(self, equations: list[str]) -> NewRows:
        """The same rows to be read again later, whatever becomes of the caller's arrays."""
        distinct = {id(piece.X): piece for piece in self.pieces}
        if sum(piece.X.size for piece in distinct.values()) <= held.COPIED:
            own = {key: held.copied(piece.X) for key, piece in distinct.items()}
            pieces = tuple(p._replace(X=own[id(p.X)]) for p in self.pieces)
            return replace(self, pieces=pieces, data=None)
        names = [f"exog of equation {equations[piece.j]!r}" for piece in distinct.values()]
        arrays = [piece.X for piece in distinct.values()]
        return replace(self, watch=held.Watch(arrays, names, "the prediction"), data=None)

    def fill(self, values: Iterable[Any]) -> np.ndarray:
        """An array of the layout's shape from the values of each piece; NaN elsewhere."""
        shape = (len(self.index),) if self.columns is None else (len(self.index), len(self.columns))
        out = np.full(shape, np.nan)
        for piece, value in zip(self.pieces, values, strict=True):
            out[piece.at] = value
        return out

    def label(self, values: np.ndarray, name: str | None = None) -> pd.DataFrame | pd.Series:
        """An array of the layout's shape with its labels."""
        if self.columns is None:
            return pd.Series(values, self.index, name=self.name if name is None else name)
        return pd.DataFrame(values, self.index, list(self.columns), copy=True)

    def of_system(self, row: Any) -> list[tuple[int, np.ndarray]]:
        """Equation and regressors of each cell in the row of the system labelled ``row``."""
        found = self.cells_at(row)
        if self.watch is not None:
            self.watch.check()
        return [(self.pieces[i].j, self.pieces[i].X[n]) for i, n in found]

    def cells_at(self, row: Any) -> list[tuple[int, int]]:
        """The same as the number of the piece, and that of the cell within it."""
        if self.systems is None:
            raise OptionError(
                "cov_mean: which rows of a long panel belong together is not known; make the model "
                "with time=, and give that column in the data"
            )
        try:
            found = self.systems.get_loc(row)
        except (KeyError, TypeError, pd.errors.InvalidIndexError):
            raise OptionError(
                f"cov_mean: there is no row {shown(row)}; rows are "
                f"{listed(map(shown, self.systems))}"
            ) from None
        at = np.atleast_1d(np.arange(len(self.systems))[found])
        cells: list[tuple[int, int]] = []
        for i, piece in enumerate(self.pieces):
            if self.columns is None and not isinstance(piece.at, slice):
                cells += [(i, int(n)) for n in np.flatnonzero(np.isin(piece.at, at))]
            else:
                cells += [(i, int(n)) for n in at]
        if len({self.pieces[i].j for i, _ in cells}) < len(cells):
            raise OptionError(
                f"cov_mean: several rows are labelled {shown(row)}; make labels unique"
            )
        return cells


def select(model: Model, equations: Any) -> list[int]:
    """Positions of the equations named by a string or a list; None is all of them.

    Raises
    ------
    OptionError
    """
    position = _positions(model)
    if equations is None:
        return list(position.values())
    names = equations_named(equations, model.equations)
    return [position[name] for name in names]


def _positions(model: Model) -> dict[str, int]:
    return {name: j for j, name in enumerate(model.equations)}


def rows_of_system(model: Model, exog: Any, transform: bool, equations: Any) -> NewRows:
    """What `LowRankSURResults.predict` was given, as designs."""
    chosen = select(model, equations)
    exog = to_pandas(exog, "exog")
    formula, transform = model.formula_system, flag(transform, "transform")
    if exog is None:
        return _wide(model, chosen, [model.exog[j] for j in chosen], model.system.index)
    _check_made(model, transform)
    if formula is None or not transform:
        return _from_arrays(model, exog, chosen)
    specs = [formula.specs[j] for j in chosen]
    if formula.groups is None:
        designs = replay(specs, exog, formula.scope)
        made = _wide(model, chosen, [X.to_numpy() for X in designs], designs[0].index)
        return replace(made, data=exog)
    data = with_levels(table(exog, "exog"), (formula.groups, formula.time))
    if equations is not None:
        groups = panel.key(data, data.index, formula.groups, "groups")
        names = panel.equation_names(groups, model.equations)
        data = data.loc[names.isin([spec.name for spec in specs]).to_numpy()]
        if data.empty:
            raise ShapeError(
                f"exog has no row of {listed(repr(spec.name) for spec in specs)} in "
                f"{formula.groups!r}"
            )
    parts = replay_panel(specs, data, formula.groups, formula.scope)
    position = _positions(model)
    pieces = tuple(Piece(position[name], at, X.to_numpy()) for name, at, X in parts)
    known = formula.time is not None and formula.time in data
    systems = pd.Index(data[formula.time]) if known else None
    return NewRows(pieces, data.index, None, "predicted", systems, data=data)


def rows_of_equation(model: Model, j: int, exog: Any, transform: bool) -> NewRows:
    """What `EquationResults.predict` was given, as a design: every row with this equation."""
    name, formula = model.equations[j], model.formula_system
    transform = flag(transform, "transform")
    index: pd.Index | None
    data = None
    if exog is None:
        X, index = model.exog[j], model.system.index
    elif formula is None or not transform:
        _check_made(model, transform)
        X, index = new_design(exog, _where(name), model.labels.regressors[j], model.labels.named[j])
    else:
        (frame,) = replay([formula.specs[j]], exog, formula.scope)
        X, index, data = frame.to_numpy(), frame.index, exog
    index = pd.RangeIndex(len(X)) if index is None else index
    return NewRows((Piece(j, slice(None), X),), index, None, name, index, data=data)


def _check_made(model: Model, transform: bool) -> None:
    """Say why formulas do not make designs of new data, where they do not.

    Raises
    ------
    NotApplicableError
    """
    if model.unmade is not None and transform:
        raise NotApplicableError(model.unmade)


def _wide(
    model: Model, chosen: list[int], designs: list[np.ndarray], index: pd.Index | None
) -> NewRows:
    index = pd.RangeIndex(len(designs[0])) if index is None else index
    pieces = tuple(
        Piece(j, (slice(None), i), X) for i, (j, X) in enumerate(zip(chosen, designs, strict=True))
    )
    columns = tuple(model.equations[j] for j in chosen)
    return NewRows(pieces, index, columns, None, index)


def _from_arrays(model: Model, exog: Any, chosen: list[int]) -> NewRows:
    names = [model.equations[j] for j in chosen]
    if isinstance(exog, Mapping) and not _is_row(exog, model.equations):
        noun, known = "equation", model.equations
        found = by_name(exog, known, "exog", ShapeError, noun=noun, some=True)
        at = [found[j] for j in chosen]
        lacking = [repr(name) for name, i in zip(names, at, strict=True) if i < 0]
        if lacking:
            raise ShapeError(f"exog lacks equations {listed(lacking)}")
        given = list(exog.values())
        values = [given[i] for i in at]
    elif isinstance(exog, (list, tuple)) and len(exog) and depth(to_pandas(exog[0])) > 1:
        values = list(exog)
        if len(values) != len(names):
            raise ShapeError(f"exog lists {len(values)} designs for {len(names)} equations")
    else:
        values = [exog] * len(names)
    columns = model.labels.regressors
    designs: list[np.ndarray] = []
    index: pd.Index | None = None
    for name, j, value in zip(names, chosen, values, strict=True):
        X, labels = new_design(value, _where(name), columns[j], model.labels.named[j])
        if designs and len(X) != len(designs[0]):
            raise ShapeError(
                f"equation {name!r}: exog has {len(X)} rows, that of {names[0]!r} has "
                f"{len(designs[0])}"
            )
        if index is not None and labels is not None and not same_labels(labels, index).all():
            raise ShapeError(f"equation {name!r}: exog has other row labels than the ones before")
        index = labels if index is None else index
        designs.append(X)
    return _wide(model, chosen, designs, index)


def _is_row(exog: Mapping[Any, Any], equations: list[str]) -> bool:
    """Whether a mapping holds numbers of columns, and not designs of equations."""
    return one_row(exog) and not all(spell(name, equations) in equations for name in exog)


def _where(name: str) -> str:
    return f"equation {name!r}: exog"
