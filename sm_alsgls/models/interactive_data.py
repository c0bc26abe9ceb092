"""What models of interactive effects read: a panel's cells, by units and periods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, count
from sm_alsgls.core.interactive.corrected import KINDS, Correction, lags_of_response
from sm_alsgls.core.interactive.covariance import bandwidth
from sm_alsgls.data.keywords import refuse
from sm_alsgls.data.known_series import same_for_all, with_series
from sm_alsgls.data.panel_cells import PanelCells, check_response, panel_cells
from sm_alsgls.data.removed import Removed, gone
from sm_alsgls.exceptions import FormulaError, OptionError, RankDeficientError
from sm_alsgls.formula.build import FormulaSystem, build_system
from sm_alsgls.formula.long import of_long, read_long
from sm_alsgls.models.one_response import OneResponse
from sm_alsgls.models.panel_data import as_columns, asked, complete, keys_of, with_own

Array = np.ndarray
Own = list[str] | bool

MISSING = ("fiml", "drop", "raise", "none")

# Keywords of `LowRankPanel` that mean nothing where factors are parameters, and what to do.
_ABSENT = {
    "independent": "units and periods both have parameters here, and errors are independent over "
    "both: leave it out; what is correlated in time is in cov_type='HAC'",
    "mundlak": "what a unit's means stand for is in its effects, loadings or averages: leave it "
    "out",
    "weights": "weights of cells are not there; those of units, by their error variances, are "
    "fit(weighted=True), the default of factors='fixed'",
    "ar": "factors='fixed' has it in fit(ar=...), estimated by default; factors='cce' has lags of "
    "the response in its place",
    "row_scale": "variances of periods are in cov_type='HC2': leave it out",
    "cell_scale": "variances of cells are in cov_type='HC2': leave it out",
    "spatial_error": "factors stand for what units have in common; neighbours beside them are of "
    "factors='random'",
    "spatial_lag": "a lag in space is of factors='random' only",
    "standardize": "it is of spatial_error= and spatial_lag=, which are of factors='random'",
}
_DEFAULTS: dict[str, Any] = {"mundlak": False, "standardize": True}


def refuse_others(given: Mapping[str, Any], known: list[str], called: str, factors: str) -> None:
    """Say what to do in place of keywords of `LowRankPanel` that such a model does not have.

    Those at their default are let pass.

    Raises
    ------
    OptionError, UnknownArgumentError
    """
    for name, value in given.items():
        if name in _ABSENT and value is not _DEFAULTS.get(name):
            raise OptionError(f"{name}= with factors={factors!r}: {_ABSENT[name]}")
    refuse([name for name in given if name not in _ABSENT], known, called, "LowRankPanel")


def own_of(heterogeneous: Any, factors: str) -> list[str]:
    """The series that have coefficients of units.

    Raises
    ------
    OptionError
        It asks for slopes of units of all regressors.
    """
    own = asked(heterogeneous)
    if own is True:
        raise OptionError(
            f"heterogeneous= with factors={factors!r}: slopes are common to all units, but of "
            "series that are named, such as a trend; factors='cce' has slopes of units, and their "
            "mean"
        )
    return own or []


def read_arrays(
    endog: Any, exog: Any, entity: Any, time: Any, missing: Any, own: Own, factors: str
) -> PanelCells:
    """Cells of a response and regressors, a row a pair (entity, time); ``own`` as `read_formula`.

    Raises
    ------
    ShapeError, UnbalancedPanelError, NonFiniteError, OptionError, RankDeficientError
    """
    missing = choice(missing, "missing", MISSING)
    frame, entity, time, _ = read_long(endog, exog, entity, time)
    built = of_long(frame, entity, time, missing in ("fiml", "drop"))
    response = getattr(endog, "name", None) or "y"
    return _cells(built, entity, time, response, missing, own, factors)


def read_formula(
    formula: Any,
    data: pd.DataFrame,
    entity: Any,
    time: Any,
    subset: Any,
    missing: Any,
    scope: dict[str, Any],
    own: Own,
    factors: str,
) -> tuple[PanelCells, FormulaSystem]:
    """Cells of a formula and a long DataFrame, and what formulas make of new data.

    Parameters
    ----------
    formula, data, entity, time, subset, missing, scope
    own : list of str or True
        Series with coefficients of units; True is all regressors that are the same for all units.
        Columns of the data that the formula does not name join it.
    factors : str
        What the model is called, for messages.

    Raises
    ------
    FormulaError, UnbalancedPanelError, NonFiniteError, OptionError, RankDeficientError
    """
    missing = choice(missing, "missing", MISSING)
    if not isinstance(formula, str):
        raise FormulaError(
            "the formula of a panel is one string, 'y ~ x1 + x2', for all of its units"
        )
    entity, time = keys_of(data, entity, time)
    built = build_system(
        with_own(formula, own, data),
        data,
        groups=entity,
        time=time,
        subset=subset,
        missing="fiml" if missing in ("fiml", "drop") else missing,
        scope=scope,
    )
    response = formula.partition("~")[0].strip()
    cells = _cells(built, entity, time, response, missing, as_columns(own, built), factors)
    return cells, built.recipe()


def _cells(
    built: FormulaSystem,
    entity: str,
    time: str,
    response: Any,
    missing: str,
    own: Own,
    factors: str,
) -> PanelCells:
    endog, designs, dropped = built.endog, list(built.exog), built.n_dropped
    if missing == "drop":
        keep = complete(endog, designs)
        dropped += int((~keep).sum())
        endog, designs = endog.loc[keep], [X.loc[keep] for X in designs]
    cells = panel_cells(
        endog, designs, entity=entity, time=time, response=str(response), n_dropped=dropped
    )
    check_response(cells)
    if own is True:
        own = same_for_all(cells)
    cells = with_series(cells, own or [], factors)
    if not cells.columns:
        raise RankDeficientError(
            f"{cells.response!r} has no regressor beside the constant: this model has slopes"
        )
    return cells


def correction_of(cells: PanelCells, kind: Any, serial: Any, predetermined: Any) -> Correction:
    """``bias=`` of fit and its lags; "auto" looks for lags of the response.

    Raises
    ------
    OptionError
    """
    panel = cells.panel
    most = panel.T - 1
    kind = None if kind is None else choice(kind, "bias", KINDS, said=" or None")
    serial = count(serial, "serial", 0, most)
    if isinstance(predetermined, str) and predetermined == "auto":
        lagged = lags_of_response(panel.Y, panel.X, cells.seen)
        return Correction(kind, serial, bandwidth(panel.T) if lagged else 0)
    lags = count(predetermined, "predetermined", 0, most, " (or 'auto')")
    return Correction(kind, serial, lags)


def follows(cells: PanelCells, how: Correction) -> bool:
    """Whether a regressor follows errors: a lag of the response, or what was said to."""
    panel = cells.panel
    return how.predetermined > 0 or bool(lags_of_response(panel.Y, panel.X, cells.seen))


class CellsData(OneResponse):
    """What statsmodels finds under ``model.data``: names, and a row an observed cell.

    Parameters
    ----------
    cells : PanelCells
        Rows are the observed cells, by period and then unit.
    """

    def __init__(self, cells: PanelCells) -> None:
        self._cells: PanelCells | None = cells
        super().__init__(cells.response, cells.columns)

    @property
    def cells(self) -> PanelCells:
        """The cells.

        Raises
        ------
        DataRemovedError
        """
        return gone("cells of the panel") if self._cells is None else self._cells

    @property
    def endog(self) -> Array:
        """Responses of the observed cells (N,)."""
        return self.cells.panel.Y[self.cells.seen]

    @property
    def exog(self) -> Array:
        """Regressors of the observed cells (N, p)."""
        return self.cells.panel.X[:, self.cells.seen].T

    @property
    def row_labels(self) -> Any:
        """Period and unit of each row."""
        cells = self.cells
        rows, columns = np.nonzero(cells.seen)
        return pd.MultiIndex.from_arrays(
            [cells.periods.take(rows), cells.units.take(columns)],
            names=[cells.periods.name, cells.units.name],
        )

    def remove(self) -> None:
        """Let go of the cells."""
        self._cells = None
        if hasattr(self, "frame"):
            self.frame = Removed("data")
