"""What statsmodels finds under ``model.data`` of a system."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData

from sm_alsgls.border.provenance import Provenance
from sm_alsgls.data.labels import Labels
from sm_alsgls.data.removed import Removed, gone, in_place_of
from sm_alsgls.data.system import System


class SystemData(PandasData):
    """Responses, labels and coefficient names of a system.

    statsmodels' own containers hold one response and one design; this one holds the system, once
    it is opened, so that results are labelled by the same machinery, and makes a DataFrame only
    when asked.
    """

    def __init__(self, system: System, labels: Labels) -> None:
        self._system: System | None = None
        self.exog = None
        self.orig_exog = None
        self._index = system.index
        self._ynames = system.names
        self._param_names = self._cov_names = labels.params
        self.const_idx, self.k_constant = None, 0
        self._cache: dict[str, Any] = {}

    def open(self, system: System) -> None:
        """Hold the system.

        Not before statsmodels' constructor is done, which asks for the responses and drops them:
        many are compared with what they were whenever they are asked for.
        """
        self._system = system

    @property
    def endog(self) -> np.ndarray:
        """Responses (N, K)."""
        system = self._system
        return in_place_of("responses") if system is None else system.Y

    @property
    def orig_endog(self) -> pd.DataFrame:
        """Responses as a DataFrame (N, K)."""
        return pd.DataFrame(self.endog, index=self._index, columns=self._ynames)

    @property
    def ynames(self) -> list[str]:
        """Names of the equations."""
        return self._ynames

    @property
    def xnames(self) -> list[str]:
        """Names of the coefficients, ``equation_variable``."""
        return self._param_names

    def renamed(self, labels: Labels) -> SystemData:
        """The same data of a model with other coefficients."""
        again = copy.copy(self)
        again._param_names = again._cov_names = labels.params
        again._cache = {}
        return again

    def remove(self) -> None:
        """Let go of the data."""
        self._system, self._index, self._cache = None, Removed("row labels"), {}
        if hasattr(self, "frame"):
            self.frame = Removed("data")

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows."""
        return self._index


class SystemAttributes:
    """Mixin of `LowRankSUR`: statsmodels' names for what its system holds."""

    _system: System | None
    _source: Provenance | None
    labels: Labels
    data: SystemData

    @property
    def has_data(self) -> bool:
        """Whether the data are there."""
        return self._system is not None

    @property
    def system(self) -> System:
        """The checked data.

        Raises
        ------
        DataRemovedError
        """
        return gone("data") if self._system is None else self._system

    @property
    def provenance(self) -> Provenance:
        """Which rows of what the caller passed the rows of the system are."""
        return self.system.provenance if self._source is None else self._source

    def remove_data(self) -> None:
        """Let go of the data; everything that needs them raises `DataRemovedError`."""
        if self.has_data:
            self._system = self._source = None
            self.data.remove()

    @property
    def endog(self) -> np.ndarray:
        """Responses (N, K), as they were when the model was made; not to be written to.

        Raises
        ------
        DataChangedError
            They are too many to be copied (`sm_alsgls.border.held.COPIED`), and were changed.
        """
        system = self._system
        return in_place_of("responses") if system is None else system.Y

    # The constructor of statsmodels' models assigns what `data` has, which is the same or nothing.
    @endog.setter
    def endog(self, value: Any) -> None: ...

    @property
    def exog(self) -> Sequence[np.ndarray]:
        """K designs (N, p_j), as `endog`."""
        system = self._system
        return in_place_of("regressors") if system is None else system.blocks

    @exog.setter
    def exog(self, value: Any) -> None: ...
