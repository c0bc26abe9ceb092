"""What models of the cells of a panel have in common: reading, names, and what a prompt shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from statsmodels.base.model import Model

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.frames import table as frame_of
from sm_alsgls.border.numbers import numbers
from sm_alsgls.border.provenance import snapshot
from sm_alsgls.data.keywords import keywords
from sm_alsgls.data.panel_cells import EFFECTS, PanelCells
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.markup import listed, table
from sm_alsgls.models.interactive_data import CellsData, read_formula, refuse_others
from sm_alsgls.models.of_formula import check_columns
from sm_alsgls.models.shown import facts
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.results.shown import Listed

Array = np.ndarray


class CellsPanel(Listed, Model):
    """A panel whose units and periods have parameters; `InteractivePanel` and `CCEPanel` are such.

    Attributes
    ----------
    effects : str or None
        Additive effects.
    nobs : int
        Observed cells.
    n_dropped : int
        Periods that were left out.
    rank_method, rank_selection : str, RankSelection or None
        How the number of factors was chosen, where it was.
    """

    #: What `LowRankPanel` calls it.
    factors: ClassVar[str] = ""
    _formula_max_endog = None
    # What statsmodels' results look up.
    _unlisted = frozenset(("formula_system", "initialize", "k_constant"))

    rank_method: str | None = None
    rank_selection: RankSelection | None = None
    formula_system: FormulaSystem | None = None

    def _read(self, cells: PanelCells, effects: Any) -> None:
        """Everything after the cells were read, and before factors are looked at."""
        self.effects: str | None = None if effects is None else choice(effects, "effects", _EFFECTS)
        self.nobs, self.n_dropped = cells.panel.cells, cells.n_dropped
        self.formula: str | None = None
        super().__init__(cells)

    def _handle_data(
        self, endog: Any, exog: None, missing: str, hasconst: bool | None, **kwargs: Any
    ) -> CellsData:
        return CellsData(endog)

    @classmethod
    def _of_cells(cls, cells: PanelCells, **how: Any) -> Self:
        """The model of cells that were read, by keywords of its constructor."""
        model = cls.__new__(cls)
        model._make(cells, **how)
        return model

    def _make(self, cells: PanelCells, *args: Any, **how: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} says what it does with its cells")

    @classmethod
    def _from_formula(
        cls,
        formula: Any,
        data: Any,
        *,
        entity: Any,
        time: Any,
        subset: Any,
        missing: Any,
        scope: dict[str, Any],
        unknown: Mapping[str, Any],
        own: list[str] | bool,
        **how: Any,
    ) -> Self:
        refuse_others(unknown, keywords(cls.from_formula), "from_formula()", cls.factors)
        data = frame_of(data)
        check_columns(entity=entity, time=time)
        cells, recipe = read_formula(
            formula, data, entity, time, subset, missing, scope, own, cls.factors
        )
        model = cls._of_cells(cells, **how)
        # Tests of terms know by it whose columns are whose.
        model.formula_system = recipe
        model.formula, model.data.frame = formula, snapshot(data)
        return model

    @property
    def cells(self) -> PanelCells:
        """Responses and regressors by period and unit.

        Raises
        ------
        DataRemovedError
        """
        found: PanelCells = self.data.cells
        return found

    @property
    def endog_names(self) -> str:
        """The response."""
        name: str = self.data.ynames
        return name

    @property
    def exog_names(self) -> list[str]:
        """Regressors (p,), less the constant."""
        names: list[str] = self.data.xnames
        return names

    @property
    def endog(self) -> Array:
        """Responses of the observed cells (N,), by period and then unit."""
        return np.asarray(self.data.endog)

    # The constructor of statsmodels' models assigns what `data` has.
    @endog.setter
    def endog(self, value: Any) -> None: ...

    @property
    def exog(self) -> Array:
        """Regressors of the observed cells (N, p)."""
        return np.asarray(self.data.exog)

    @exog.setter
    def exog(self, value: Any) -> None: ...

    def remove_data(self) -> None:
        """Let go of the cells."""
        self.data.remove()

    def _facts(self) -> list[str]:
        panel = self.cells.panel
        return [
            f"{panel.n} units x {panel.T} periods",
            f"{len(self.exog_names)} regressors",
            f"effects: {self.effects}",
            *[f"units' own: {', '.join(self.cells.series_names)}"] * bool(self.cells.series_names),
        ]

    def __repr__(self) -> str:
        return facts(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        cells = self.cells
        rows = [
            ["response", "1", cells.response],
            ["regressors", f"{cells.panel.p}", listed(cells.columns)],
            ["units", f"{cells.panel.n}", listed([str(label) for label in cells.units])],
            ["periods", f"{cells.panel.T}", listed([str(label) for label in cells.periods])],
        ]
        return table(repr(self), ["", "number", "names"], rows)

    def predict(self, params: Any, exog: Any = None) -> Array:
        """Slopes' part X b at given coefficients; `predict` of results has all parts.

        Parameters
        ----------
        params : array_like (p,)
        exog : array_like (m, p), optional
            Default the observed cells.

        Raises
        ------
        ShapeError, DataRemovedError
        """
        b = numbers(params, "params", ShapeError)
        X = np.atleast_2d(numbers(self.exog if exog is None else exog, "exog", ShapeError))
        p = len(self.exog_names)
        if b.shape != (p,) or X.ndim != 2 or X.shape[1] != p:
            raise ShapeError(f"params of shape {b.shape}, exog {X.shape} for {p} regressors")
        return np.asarray(X @ b)


_EFFECTS = tuple(name for name in EFFECTS if name is not None)
