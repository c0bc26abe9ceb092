"""What formulas made of data: matrices, and what new data need."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.formula.engine import EquationSpec
from sm_alsgls.formula.pickling import Names, pack


@dataclass(frozen=True)
class FormulaSystem:
    """The matrices of a system of K equations on N rows."""

    endog: pd.DataFrame  #: (N, K), columns are the equations' names
    exog: tuple[pd.DataFrame, ...]  #: K designs (N, p_j) with the index of `endog`
    specs: tuple[EquationSpec, ...]  #: K, for `replay` and `replay_panel`
    n_dropped: int  #: rows of the system (periods, for a long panel) dropped for missing values
    groups: str | None  #: column that tells the equations of a long panel apart
    time: str | None  #: column that labels the rows of a long panel
    scope: Names = field(default_factory=Names)  #: values of the caller's that formulas use
    rows: np.ndarray | None = None  #: (N,) or (K, N) rows of the caller's data, -1 for none
    instruments: tuple[pd.DataFrame, ...] = ()  #: K, (N, q_j), of formulas that have some
    endogenous: tuple[tuple[str, ...], ...] = ()  #: K, regressors that stand in brackets
    units: bool = False  #: whether rows are units and `groups` holds the times

    @property
    def time_axis(self) -> str | None:
        """The column of times that rows are in the order of; None where there is none."""
        return None if self.units else self.time

    @property
    def holes(self) -> bool:
        """Whether something is missing."""
        return any(
            np.isnan(M.to_numpy()).any() for M in (self.endog, *self.exog, *self.instruments)
        )

    def recipe(self) -> FormulaSystem:
        """The same without matrices: what new data need."""
        empty = self.endog.iloc[:0].copy()
        return replace(self, endog=empty, exog=(), instruments=(), rows=None)

    def __deepcopy__(self, memo: dict[int, Any]) -> FormulaSystem:
        endog, exog, instruments = copy.deepcopy((self.endog, self.exog, self.instruments), memo)
        return replace(self, endog=endog, exog=exog, instruments=instruments)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        if "_packed" not in state:
            # One pack for all, so that right-hand sides that equations share stay shared.
            specs = tuple(tuple(vars(spec).items()) for spec in state.pop("specs"))
            state["_packed"] = pack((specs, state.pop("scope")))
        return state

    def __getattr__(self, name: str) -> Any:
        # After unpickling, what engines memorised is opened when it is first needed: where it
        # cannot be, everything but the formulas still works.
        packed = vars(self).get("_packed")
        if packed is None or name not in ("specs", "scope"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        specs, scope = packed.open()
        vars(self).update(specs=tuple(EquationSpec(**dict(spec)) for spec in specs), scope=scope)
        del vars(self)["_packed"]
        return vars(self)[name]
