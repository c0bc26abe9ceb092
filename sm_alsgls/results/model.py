"""What results ask of the model that was fitted.

Results come from models and know none of them: they see labels, the formulas, and the data, which
a model may have let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.data.error_laws import ErrorLaws
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.new_weights import NewWeights
from sm_alsgls.data.restrictions import Restrictions
from sm_alsgls.data.system import System
from sm_alsgls.formula.system import FormulaSystem


class CoefficientModel(Protocol):
    """A model of coefficients, as far as inference about them asks."""

    @property
    def exog_names(self) -> list[str]:
        """Names of the parameters (P,)."""
        ...

    @property
    def endog_names(self) -> str:
        """One name for all responses."""
        ...

    def remove_data(self) -> None:
        """Let go of the data."""
        ...


class Model(CoefficientModel, Protocol):
    """A system of K equations on N rows, whatever law its errors have.

    Attributes
    ----------
    equations : list of str (K,)
    nobs, neqs : int
    n_dropped : int
        Rows that were dropped.
    formula_system : FormulaSystem or None
        What formulas make of new data.
    unmade : str or None
        Why new data do not become designs, where formulas made those of the model.
    laws : ErrorLaws or None
        What errors follow beside Sigma.
    new_weights : NewWeights or None
        What makes weights of new data.
    rows_are_units : bool
        Whether rows are units of a panel, and equations its periods.
    """

    equations: list[str]
    nobs: int
    neqs: int
    n_dropped: int
    formula_system: FormulaSystem | None
    unmade: str | None
    laws: ErrorLaws | None
    new_weights: NewWeights | None
    rows_are_units: bool

    @property
    def restrictions(self) -> Restrictions | None:
        """R beta = q on the parameters."""
        ...

    @property
    def labels(self) -> Labels:
        """Names, which outlive the data."""
        ...

    @property
    def endog(self) -> np.ndarray:
        """Responses (N, K)."""
        ...

    @property
    def exog(self) -> Sequence[np.ndarray]:
        """K designs (N, p_j)."""
        ...

    @property
    def has_data(self) -> bool:
        """Whether `system` is there."""
        ...

    @property
    def system(self) -> System:
        """The checked data; DataRemovedError where they are gone."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Which rows of what the caller passed the rows of the system are."""
        ...

    def raw_system(self, options: ALSOptions, laws: ErrorLaws | None) -> RawSystem:
        """The rows as they are, with laws of their errors at first values; None for no laws."""
        ...
