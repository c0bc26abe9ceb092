"""Arguments of a model that say which laws its errors follow, read into `data.error_laws`."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, choice, flag
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import shown
from sm_alsgls.border.neighbours import neighbours
from sm_alsgls.border.numbers import depth, numbers
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.laws.gaps import gaps_of
from sm_alsgls.core.laws.spatial_lag import reached
from sm_alsgls.covariance.tied_holes import check_size
from sm_alsgls.data.error_laws import COMMON, EACH, ErrorLaws
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import FormulaError, NonFiniteError, OptionError, ShapeError
from sm_alsgls.formula.right_side import Variables, named, variables
from sm_alsgls.formula.time_axis import Axis

T = TypeVar("T")

#: The arguments, as models spell them.
ARGUMENTS = ("ar", "row_scale", "cell_scale", "spatial_error", "spatial_lag", "standardize")


class AskedLaws(NamedTuple):
    """The arguments as they came; see `LowRankPanel`."""

    ar: Any = None
    row_scale: Any = None
    cell_scale: Any = None
    spatial_error: Any = None
    spatial_lag: Any = None
    standardize: Any = True

    @property
    def given(self) -> list[str]:
        """The laws that are asked for."""
        return [name for name in ARGUMENTS[:-1] if getattr(self, name) is not None]

    def evaluated(
        self, data: pd.DataFrame, scope: dict[str, Any]
    ) -> tuple[AskedLaws, Variables | None]:
        """With what formulas, ``"~ z"``, make of the data in the place of these formulas.

        Beside it what makes the variables of scales of new data; None where these are values.

        Raises
        ------
        FormulaError
        """
        made = self
        recipe: Variables | None = None
        for name in ("row_scale", "cell_scale"):
            value = getattr(self, name)
            if isinstance(value, str) and value.lstrip().startswith("~"):
                values, recipe = variables(value, data, scope, name)
                made = made._replace(**{name: values})
            elif value is not None:
                recipe = named(value, data, name)
        return made, recipe

    def of_rows(self, source: Provenance, equations: list[str]) -> AskedLaws:
        """With values of the data's rows as values of a system's: its cells where it is a panel."""
        made: dict[str, Any] = {}
        if self.row_scale is not None:
            made["row_scale"] = _per_row(self.row_scale, source)
        if self.cell_scale is not None and source.is_panel:
            made["cell_scale"] = _per_cell(self.cell_scale, source)
        return self._replace(**made)


class _Cells(NamedTuple):
    """Values of cells (N, K, m), and what they are called."""

    values: np.ndarray
    names: tuple[str, ...]


def read_laws(
    asked: AskedLaws,
    system: System,
    rows: Provenance,
    each: str,
    *,
    units: bool = False,
    time: str | None = None,
) -> ErrorLaws | None:
    """The laws of a system's errors; None where there are none.

    Parameters
    ----------
    asked : AskedLaws
    system : System
    rows : Provenance
        Of its rows.
    each : str
        What a coefficient of each equation is called: "equation" or "entity".
    units : bool
        Whether rows are units, and equations periods.
    time : str, optional
        The column of times.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError, ArgumentTypeError
    """
    standardize = flag(asked.standardize, "standardize")
    if not asked.given:
        return None
    first = asked.given[0]
    if not system.keeps_rows:
        raise OptionError(f"{first}= needs rows, and these were read in chunks and not kept")
    if system.cells.weighted:
        raise OptionError(f"{first}= and weights= do not go together: scale by row_scale=")
    ar = times = None
    if asked.ar is not None:
        if units:
            raise OptionError(
                "ar= is of independent='time': where units are independent Sigma is across "
                "periods, and any correlation over time is part of it"
            )
        ar = COMMON if choice(asked.ar, "ar", (COMMON, each)) == COMMON else EACH
        times = _times(system.index, time)
    if asked.row_scale is not None and asked.cell_scale is not None:
        raise OptionError("row_scale= is a cell_scale= that is the same in a row; give one of them")
    labels = list(system.index) if units else list(system.names)
    error = lag = None
    for name in ("spatial_error", "spatial_lag"):
        value = getattr(asked, name)
        if value is None:
            continue
        made = neighbours(value, labels, name, standardize=standardize)
        error, lag = (made, lag) if name == "spatial_error" else (error, made)
    # A missing cell that other rows know of has a scale as well.
    far = units or ar is not None or lag is not None
    tied = far and (error is not None or lag is not None)
    scale, names = None, tuple[str, ...]()
    if asked.row_scale is not None:
        scale, names = _row_scale(asked.row_scale, rows)
    elif asked.cell_scale is not None:
        scale, names = _cell_scale(asked.cell_scale, system, rows, tied)
    laws = ErrorLaws(ar, times, scale, names, error, lag, units)
    if not system.cells.complete and laws.spatial:
        _check_holes(laws, system)
    return laws


def _check_holes(laws: ErrorLaws, system: System) -> None:
    """Whether neighbours of which some cells are missing have a likelihood here."""
    mask = system.cells.patterns.mask
    if laws.ties_holes:
        check_size(int((~mask).sum()))
    lag = laws.lag
    if lag is None:
        return
    needed = reached(lag, mask.T).T if laws.over_rows else reached(lag, mask)
    unknown = np.column_stack([np.isnan(X).any(axis=1) for X in system.blocks])
    bad = np.argwhere(unknown & needed)
    if len(bad):
        n, j = bad[0]
        raise NonFiniteError(
            f"spatial_lag=: regressors of equation {system.names[j]!r} are missing in row "
            f"{shown(system.index[n])}, and they are part of the mean of neighbours that are "
            f"there ({len(bad)} such cells); give them (responses may be missing), use "
            "missing='drop', or spatial_error=, which does not need them"
        )


def _times(index: pd.Index, time: str | None) -> np.ndarray:
    """Periods of the rows, in steps; the rows' order where labels are text."""
    values = pd.Series(index)
    try:
        at = Axis.of(values, "time" if time is None else time).positions(values)
    except FormulaError:
        if time is not None:
            raise
        at = np.arange(len(index))
    gaps_of(at)
    return at


def _row_scale(value: Any, rows: Provenance) -> tuple[np.ndarray, tuple[str, ...]]:
    value = _some(value, "row_scale")
    if not isinstance(value, pd.DataFrame) or not value.index.equals(rows.index):
        value = _per_row(value, rows)
    z = numbers(value, "row_scale")[:, None, :]
    return _checked(z, None, "row_scale", rows.index)[:, 0], tuple(map(str, value.columns))


def _per_row(value: Any, source: Provenance) -> pd.DataFrame:
    """One value for each row of the system, column by column."""
    value, within = _some(value, "row_scale"), "cell_scale= is of what differs within a row"
    found = _any(source.per_row(value, "row_scale", within), "row_scale")
    columns = {
        f"z{i + 1}" if one.name is None else str(one.name): numbers(one, "row_scale")
        for i, one in enumerate(found)
    }
    return pd.DataFrame(columns, index=source.index)


def _some(value: Any, argument: str) -> Any:
    """A value that holds columns, or names some."""
    made = to_pandas(value, argument)
    if depth(made) == 0 and not isinstance(made, str):
        raise OptionError(
            f"{argument} must be a formula, '~ z', columns of the data, or their values, got "
            f"{came(value)}"
        )
    sizes = made.shape if isinstance(made, (pd.DataFrame, np.ndarray)) else (1,)
    if 0 in sizes or (isinstance(made, (list, tuple, dict)) and not made):
        _any([], argument)
    return made


def _any(found: list[T], argument: str) -> list[T]:
    """Columns, of which there must be some: lists may hold lists that hold none."""
    if not found:
        raise ShapeError(f"{argument} holds nothing; leave it out, or give it a column")
    return found


def _per_cell(value: Any, source: Provenance) -> _Cells:
    """One value for each cell of a long panel."""
    value = _some(value, "cell_scale")
    parts = value if isinstance(value, pd.DataFrame) else None
    found = _any(source.per_cell(value, "cell_scale"), "cell_scale")
    names = [f"z{i + 1}" for i in range(len(found))]
    if parts is not None:
        names = list(map(str, parts.columns))
    elif isinstance(value, str):
        names = [value]
    elif isinstance(value, pd.Series) and value.name is not None:
        names = [str(value.name)]
    made = [numbers(one, "cell_scale") for one in found]
    # What was given row by row is the same in all cells of a row.
    cells = np.broadcast_arrays(*(one if one.ndim == 2 else one[:, None] for one in made))
    return _Cells(np.stack(cells, axis=2), tuple(names[: len(made)]))


def _cell_scale(
    value: Any, system: System, rows: Provenance, whole: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    N, K = system.Y.shape
    if not isinstance(value, _Cells) and rows.is_panel:
        value = _per_cell(value, rows)
    if isinstance(value, _Cells):
        z, names = value
        z = np.repeat(z, K, axis=1) if z.shape[1] == 1 else z
    else:
        value = _some(value, "cell_scale")
        if isinstance(value, pd.DataFrame):
            missing = [name for name in system.names if name not in value.columns]
            if missing:
                raise ShapeError(f"cell_scale has no column for equation {missing[0]!r}")
            value = value[system.names].reindex(rows.index)
        z = numbers(value, "cell_scale")
        z = z[:, :, None] if z.ndim == 2 else z
        names = tuple(f"z{i + 1}" for i in range(z.shape[-1]))
    if z.ndim != 3 or z.shape[:2] != (N, K):
        raise ShapeError(
            f"cell_scale must hold a number for each of {N} rows and {K} equations, got shape "
            f"{z.shape}"
        )
    return _checked(z, None if whole else system, "cell_scale", rows.index, system), names


def _checked(
    z: np.ndarray,
    system: System | None,
    argument: str,
    index: pd.Index,
    whole: System | None = None,
) -> np.ndarray:
    """Numbers wherever there is a cell, that vary and are not combinations of one another.

    Without a ``system`` of cells everywhere: in missing ones too, of the system ``whole``.
    """
    mask = np.ones(z.shape[:2], dtype=bool)
    if system is not None and system.cells.mask is not None:
        mask = system.cells.mask
    bad = np.argwhere(~np.isfinite(z).all(axis=2) & mask)
    if len(bad):
        n, j = bad[0]
        named = system or whole
        where = "" if named is None else f"equation {named.names[j]!r}, "
        why = ""
        if whole is not None and system is None and not whole.cells.complete:
            why = " (beside neighbours, a lag or ar= missing cells are part of others: give theirs)"
        raise NonFiniteError(
            f"{argument}: {where}row {shown(index[n])} has a value that is missing or infinite{why}"
        )
    z = np.where(mask[:, :, None], z, 0.0)
    flat = z[mask]
    centred = flat - flat.mean(axis=0)
    size = np.sqrt(np.square(centred).sum(axis=0))
    flatly = size <= 1e-10 * np.sqrt(np.square(flat).sum(axis=0))
    if flatly.any() or np.linalg.matrix_rank(centred / np.where(flatly, 1.0, size)) < z.shape[2]:
        raise OptionError(
            f"{argument}: a variable does not vary, or is a combination of the others and a "
            "constant (of which Sigma has its own); leave it out"
        )
    return z
