"""A panel as a system: which dimension its equations are, what is swept out, what is its own.

With units i, periods t and y_it = x_it'b + z_it'b_i + a_i + g_t + e_it a panel is K equations on N
rows in two ways: equations are units and rows are periods (``independent="time"``), or equations
are periods and rows are units (``independent="entity"``). Effects of the equations are constants
of theirs. Effects of the rows are swept out by forward orthogonal deviations
(`sm_alsgls.core.rows.deviations`), which leave K - 1 equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sm_alsgls.border.names import close, listed
from sm_alsgls.core.rows.deviations import forward_deviations
from sm_alsgls.exceptions import OptionError, RankDeficientError, ShapeError

#: What a regressor's mean over the periods of a unit is called.
MEAN = "mean_"
# A column of which less than this share is left has no variation of its own.
_NONE = 1e-10


@dataclass(frozen=True, eq=False)
class Means:
    """What sweeping takes out, to recover effects by: means over all cells of a row, of a column.

    Attributes
    ----------
    columns : tuple of str (p,)
    y_row, y_column : ndarray, shapes (N,), (K,)
    X_row, X_column : ndarray, shapes (N, p), (K, p)
    shares : ndarray, shape (N, K)
        1 / T_n in the T_n cells that row n has, else 0.
    rows, equations : Index (N,), (K,)
    """

    columns: tuple[str, ...]
    y_row: np.ndarray
    y_column: np.ndarray
    X_row: np.ndarray
    X_column: np.ndarray
    shares: np.ndarray
    rows: pd.Index
    equations: pd.Index


@dataclass(frozen=True, eq=False)
class PanelLayout:
    """How a panel became a system.

    Attributes
    ----------
    entity, time : str
        What units and periods are called.
    independent : str
        "time" or "entity", the dimension of the rows.
    entities, periods : int
    effects : str or None
    constant : str or None
        The regressor that is 1 everywhere.
    heterogeneous : tuple of str
        Regressors with a coefficient in every equation, its constant not among them.
    mundlak : tuple of str
        Regressors that are means of others over the periods of a unit.
    means : Means or None
        Of what was swept out.
    level : bool
        Whether rows miss cells, and their level is swept out by the law of the errors, not by
        deviations.
    """

    entity: str
    time: str
    independent: str
    entities: int
    periods: int
    effects: str | None
    constant: str | None
    heterogeneous: tuple[str, ...] = ()
    mundlak: tuple[str, ...] = ()
    means: Means | None = None
    level: bool = False

    @property
    def equation_effects(self) -> str | None:
        """The effects that are constants of the equations; None where there are none."""
        return _of_equations(self.effects, self.independent)

    @property
    def swept(self) -> bool:
        """Whether the rows' effects are swept out."""
        return _of_rows(self.effects, self.independent) is not None


@dataclass(frozen=True, eq=False)
class WidePanel:
    """A panel's responses and designs, equation by equation.

    Attributes
    ----------
    endog : DataFrame (N, K)
    exog : list of DataFrame
        K designs (N, p) with the same columns.
    common : list of str
        Regressors with one coefficient.
    layout : PanelLayout
    """

    endog: pd.DataFrame
    exog: list[pd.DataFrame]
    common: list[str]
    layout: PanelLayout


def default_independent(entities: int, periods: int) -> str:
    """Units are independent where they are more than ten times the periods, else periods are.

    >>> from sm_alsgls.data.panel_layout import default_independent
    >>> [default_independent(*size) for size in ((48, 17), (545, 8), (1000, 100))]
    ['time', 'entity', 'time']
    """
    return "entity" if entities > 10 * periods else "time"


def lay_out(
    endog: pd.DataFrame,
    exog: Sequence[pd.DataFrame],
    *,
    entity: str,
    time: str,
    independent: str,
    effects: str | None,
    heterogeneous: Sequence[str] | bool,
    mundlak: bool,
    ordered: bool = True,
    alone: bool = False,
) -> WidePanel:
    """The system of a panel whose cells are in place.

    Parameters
    ----------
    endog : DataFrame (N, K)
        NaN in cells that are not there.
    exog : sequence of DataFrame
        K designs (N, p) with the same columns.
    entity, time, independent, effects, mundlak
        As of `LowRankPanel`.
    heterogeneous : list of str or bool
        Columns of the designs; True is all of them.
    ordered : bool
        Whether Sigma of contrasts depends on which they are: low rank plus diagonal does.
    alone : bool
        Whether units of one period will do, as neighbours in a cross section do.

    Raises
    ------
    OptionError
        Effects without a constant, or that this layout has no likelihood for; means over units
        that are equations; names that are no regressors.
    RankDeficientError
        Effects sweep out a regressor.
    ShapeError
        One equation.
    """
    N, K = endog.shape
    units = independent == "entity"
    sizes = (N, K) if units else (K, N)
    if K < (1 if alone and units else 2):
        raise ShapeError(
            f"a panel needs two {'periods' if units else 'units'} or more, and "
            f"{(time if units else entity)!r} has one value"
        )
    X = np.stack([frame.to_numpy(dtype=float) for frame in exog])  # (K, N, p)
    columns = [str(column) for column in exog[0].columns]
    constant = _constant(X, columns)
    own = _own(heterogeneous, columns, constant)
    of_equations, swept = _of_equations(effects, independent), _of_rows(effects, independent)
    if of_equations and constant is None:
        raise OptionError(
            f"effects={effects!r} are constants, and the regressors {listed(map(repr, columns))} "
            "have none; leave the constant in the formula, or add one to exog"
        )
    made: tuple[str, ...] = ()
    if mundlak:
        X, columns, made = _with_means(X, columns, independent, effects)
    means, Y = None, endog.to_numpy(dtype=float)
    equations, names = list(endog.columns), columns
    there = ~(np.isnan(Y) | np.isnan(X).any(axis=2).T)
    level = swept is not None and not there.all()
    if swept is not None:
        _check_swept(effects, independent, own, there, ordered)
        means = _means(Y, X, there, columns, endog)
        names = _left(X, columns, constant, swept)
        kept = [columns.index(name) for name in names]
        X = X[:, :, kept]
        if level:
            # The law of the errors is blind to levels of rows; who looks at residuals is not.
            Y, X = Y - means.y_row[:, None], X - means.X_row[:, kept]
        else:
            Y, X = forward_deviations(Y), _deviations(X)
            equations = equations[:-1]
        if of_equations:
            X = np.concatenate([np.ones((*X.shape[:2], 1)), X], axis=2)
            names = [str(constant), *names]
    if of_equations:
        own = [*own, str(constant)]
    layout = PanelLayout(
        entity,
        time,
        independent,
        *sizes,
        effects,
        constant if of_equations or swept is None else None,
        tuple(name for name in own if name != constant),
        made,
        means,
        level,
    )
    designs = [pd.DataFrame(block, index=endog.index, columns=names) for block in X]
    if level and of_equations:
        # Levels of the rows contain one of the constants.
        designs[0] = designs[0].drop(columns=str(constant))
    wide = pd.DataFrame(Y, index=endog.index, columns=equations)
    common = [name for name in names if name not in own] if len(designs) > 1 else []
    return WidePanel(wide, designs, common, layout)


def _of_equations(effects: str | None, independent: str) -> str | None:
    mine = "entity" if independent == "time" else "time"
    return mine if effects in (mine, "both") else None


def _of_rows(effects: str | None, independent: str) -> str | None:
    return independent if effects in (independent, "both") else None


def _constant(X: np.ndarray, columns: list[str]) -> str | None:
    """The column that is 1 in every cell that is there."""
    for i, name in enumerate(columns):
        one = (X[:, :, i] == 1.0) | np.isnan(X[:, :, i])
        if one.all():
            return name
    return None


def _own(asked: Sequence[str] | bool, columns: list[str], constant: str | None) -> list[str]:
    if isinstance(asked, bool):
        return list(columns) if asked else []
    for name in asked:
        if name not in columns:
            raise OptionError(
                f"heterogeneous: there is no regressor {name!r}" + close(name, columns, "there are")
            )
    return [name for name in columns if name in asked]


def _with_means(
    X: np.ndarray, columns: list[str], independent: str, effects: str | None
) -> tuple[np.ndarray, list[str], tuple[str, ...]]:
    """Designs with the means of regressors that vary within units, over a unit's periods."""
    if independent == "time" or effects in ("entity", "both"):
        raise OptionError(
            "mundlak=True adds means over a unit's periods, which "
            + (
                "are constants of the equations where these are units; use independent='entity'"
                if independent == "time"
                else f"effects={effects!r} sweep out; use effects=None or 'time'"
            )
        )
    there = ~np.isnan(X).any(axis=2, keepdims=True)
    means = np.where(there, X, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    size = np.nanmax(np.abs(X), axis=(0, 1))
    within = np.nanmax(np.abs(X - means), axis=(0, 1)) > _NONE * size
    over = np.nanmax(np.abs(means - np.nanmean(means, axis=0)), axis=0) > _NONE * size
    chosen = np.flatnonzero(within & over)
    added = np.where(there, means[None, :, chosen], np.nan)
    made = tuple(MEAN + columns[i] for i in chosen)
    taken = [name for name in made if name in columns]
    if taken:
        raise OptionError(f"mundlak=True would add {taken[0]!r}, which is there; rename the column")
    return np.concatenate([X, added], axis=2), [*columns, *made], made


def _check_swept(
    effects: str | None,
    independent: str,
    own: list[str],
    there: np.ndarray,
    ordered: bool,
) -> None:
    if independent == "time" and ordered:
        raise OptionError(
            f"effects={effects!r} with independent='time': residuals less their period's mean add "
            "up to zero over the units, and contrasts of units, which have no order, are low rank "
            "plus diagonal in one order and not in another. A factor with any loadings contains a "
            "random effect of the periods: use effects='entity' with rank=1 or more, or "
            "independent='entity', whose contrasts are of periods; rank='spherical' and 'full' "
            "are the same in any order"
        )
    if own:
        raise OptionError(
            f"heterogeneous={own!r} with effects={effects!r}: deviations from later periods mix "
            "the coefficients of periods; leave one of the two out"
        )
    if not there.all() and ordered:
        raise OptionError(
            f"effects={effects!r} with independent={independent!r} are swept out of whole rows, "
            f"and {int((~there).sum())} cells are not there: use missing='drop', which drops rows "
            "that miss a cell, or rank='spherical', which needs no balance"
        )
    if (there.sum(axis=1) < 2).all():
        raise OptionError(f"effects={effects!r}: no row has two cells, so that nothing is left")


def _means(
    Y: np.ndarray, X: np.ndarray, there: np.ndarray, columns: list[str], endog: pd.DataFrame
) -> Means:
    """Means over the cells that are there."""
    y = np.where(there, Y, 0.0)
    x = np.where(there.T[:, :, None], X, 0.0)
    T, N = np.maximum(there.sum(axis=1), 1), np.maximum(there.sum(axis=0), 1)
    return Means(
        tuple(columns),
        y.sum(axis=1) / T,
        y.sum(axis=0) / N,
        x.sum(axis=0) / T[:, None],
        x.sum(axis=1) / N[:, None],
        there / T[:, None],
        endog.index,
        endog.columns,
    )


def _left(X: np.ndarray, columns: list[str], constant: str | None, swept: str) -> list[str]:
    """The columns that vary within rows, which all but the constant must."""
    names = [name for name in columns if name != constant]
    for name in names:
        x = X[:, :, columns.index(name)]
        if np.nanmax(np.nanmax(x, axis=0) - np.nanmin(x, axis=0)) <= _NONE * np.nanmax(np.abs(x)):
            raise RankDeficientError(
                f"effects of {swept!r} contain {name!r}, which does not vary within a row; drop "
                "it, or use mundlak=True in place of the effects"
            )
    return names


def _deviations(X: np.ndarray) -> np.ndarray:
    """Of designs (K, N, p), (K - 1, N, p)."""
    made = [forward_deviations(X[:, :, i].T).T for i in range(X.shape[2])]
    return np.stack(made, axis=2)
