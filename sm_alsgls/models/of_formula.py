"""What a model is told of the formulas and the data that it comes from."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, count, is_label, mapping
from sm_alsgls.border.blame import caller
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.error_laws import ErrorLaws
from sm_alsgls.data.new_weights import NewWeights
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import FormulaError, OneEquationWarning, OptionError
from sm_alsgls.formula.build import FormulaSystem, caller_scope
from sm_alsgls.formula.panel_guess import guess_panel
from sm_alsgls.formula.right_side import Variables
from sm_alsgls.models.labels import SystemData


class OfFormula:
    """Mixin of models that formulas make."""

    if TYPE_CHECKING:
        data: SystemData
        formula: Any
        laws: ErrorLaws | None
        new_weights: NewWeights | None
        provenance: Provenance
        _source: Provenance | None

        @property
        def system(self) -> System: ...  # noqa: D102

    @classmethod
    def _of(
        cls,
        model: Self,
        formula: Any,
        frame: Any,
        source: Provenance | None = None,
        scale: Variables | None = None,
        weights: Any = None,
    ) -> Self:
        """The model that formulas and data made, which remembers them.

        The system may have dropped more rows than the formulas. ``scale`` makes the variables of
        scales of errors of new data; ``weights`` are as the caller gave them.
        """
        model.formula, model.data.frame = formula, frame
        if model.laws is not None:
            model.laws = replace(model.laws, variables=scale)
        if source is not None:
            dropped = model.system.provenance.rows
            model._source = source if dropped is None else source.kept(dropped)
        if weights is not None and isinstance(frame, pd.DataFrame):
            rows = model.provenance
            model.new_weights = NewWeights.of_model(weights, frame, model.system, rows)
        return model


def scope_of(eval_env: Any, formula: Any) -> dict[str, Any]:
    """Names that formulas may use: of a mapping, or of a frame above the caller of our caller.

    Raises
    ------
    OptionError
    """
    if isinstance(eval_env, Mapping):
        return mapping(eval_env, "eval_env", "{'f': f}")
    above = count(eval_env, "eval_env", -1, sys.getrecursionlimit(), " (or a mapping of names)")
    try:
        return {} if above < 0 else caller_scope(2 + above, formula)
    except ValueError as error:
        raise OptionError(
            f"eval_env={above}: there are not so many frames above the caller; 0 is the caller"
        ) from error


def check_columns(**named: Any) -> None:
    """Names of columns, or None.

    Raises
    ------
    FormulaError
    """
    for name, value in named.items():
        if value is not None and not is_label(value):
            raise FormulaError(f"{name} must be the name of a column, got {came(value)}")


def provenance_of(built: FormulaSystem, frame: pd.DataFrame) -> Provenance:
    """Which rows of the data the rows that a formula made of them are."""
    rows = built.rows
    if rows is None:
        pass
    elif rows.ndim == 1 and np.array_equal(rows, np.arange(len(frame))):
        rows = None
    elif len(frame) < 2**31:
        rows = rows.astype(np.int32)
    return Provenance(built.endog.index, rows, frame=frame, time=built.time)


def warn_of_one(
    name: str, data: Any, groups: str | None, rows: int, estimator: str = "OLS"
) -> None:
    """A system of one equation is an ``estimator``: say so, and what would make it several."""
    if groups is not None:
        what = (
            f"groups={groups!r} has one value, so that the system has one equation: it is "
            f"{estimator}"
        )
    else:
        what = f"one equation, {name!r}: this is {estimator} on {rows} rows"
        found = guess_panel(data, {name}) if isinstance(data, pd.DataFrame) else None
        if found:
            what += (
                f"; did you mean groups={found[0]!r}, time={found[1]!r}? No two rows of the data "
                "share a pair of their values"
            )
        else:
            what += "; a system has several formulas, {name: formula}, or the groups= of a panel"
    warnings.warn(what, OneEquationWarning, stacklevel=caller())
