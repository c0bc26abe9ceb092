"""What statsmodels finds under ``model.data`` of a system."""

from __future__ import annotations

import pandas as pd
from statsmodels.base.data import PandasData

from sm_alsgls.models.system import System


class SystemData(PandasData):
    """Responses, labels and coefficient names of a system.

    statsmodels' own containers hold one response and one design; this one holds the system, so
    that results are labelled by the same machinery, and makes a DataFrame only when asked.
    """

    def __init__(self, system: System) -> None:
        self.endog, self.exog = system.Y, None
        self.orig_exog = None
        self._index = system.index
        self._ynames = system.names
        self._param_names = self._cov_names = system.param_names
        self.const_idx, self.k_constant = None, 0
        self._cache = {}

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

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows."""
        return self._index
