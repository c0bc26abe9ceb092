"""What statsmodels finds under ``model.data`` of a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData

from sm_alsgls.data.removed import Removed
from sm_alsgls.data.system import System


class SystemData(PandasData):
    """Responses, labels and coefficient names of a system.

    statsmodels' own containers hold one response and one design; this one holds the system, so
    that results are labelled by the same machinery, and makes a DataFrame only when asked.
    """

    def __init__(self, system: System) -> None:
        self._system, self.exog = system, None
        self.orig_exog = None
        self._index = system.index
        self._ynames = system.names
        self._param_names = self._cov_names = system.param_names
        self.const_idx, self.k_constant = None, 0
        self._cache = {}

    @property
    def endog(self) -> np.ndarray:
        """Responses (N, K)."""
        return self._system.Y

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

    def remove(self, system: Any) -> None:
        """Let go of the data; ``system`` stands in their place."""
        self._system, self._index, self._cache = system, Removed("row labels"), {}
        if hasattr(self, "frame"):
            self.frame = Removed("data")

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows."""
        return self._index


class SystemAttributes:
    """Mixin of `LowRankSUR`: statsmodels' names for what its system holds."""

    if TYPE_CHECKING:
        _system: System

    @property
    def endog(self) -> np.ndarray:
        """Responses (N, K), as they were when the model was made; not to be written to.

        Raises
        ------
        DataChangedError
            They are too many to be copied (`sm_alsgls.border.held.COPIED`), and were changed.
        """
        return self._system.Y

    @property
    def exog(self) -> Sequence[np.ndarray]:
        """K designs (N, p_j), as `endog`."""
        return self._system.blocks

    # The constructor of statsmodels' models assigns what `data` has, which is the same or nothing.

    @endog.setter
    def endog(self, value: Any) -> None: ...

    @exog.setter
    def exog(self, value: Any) -> None: ...
