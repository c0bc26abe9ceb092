"""What ``model.data`` of a model with one response has of statsmodels' names."""

from __future__ import annotations

from typing import Any

import pandas as pd
from statsmodels.base.data import PandasData


class OneResponse(PandasData):
    """Names and frames of a response and its regressors.

    A class of it has ``endog`` (n,), ``exog`` (n, p) and ``row_labels``.

    Parameters
    ----------
    response : str
    columns : sequence of str
        Names of the regressors.
    """

    row_labels: Any

    def __init__(self, response: str, columns: Any) -> None:
        self._ynames, self._param_names = response, list(columns)
        self._cov_names = self._param_names
        self.const_idx, self.k_constant = None, 0
        self._cache: dict[str, Any] = {}

    @property
    def orig_endog(self) -> pd.Series:
        """Responses as a Series."""
        return pd.Series(self.endog, index=self.row_labels, name=self._ynames)

    @property
    def orig_exog(self) -> pd.DataFrame:
        """Regressors as a DataFrame."""
        return pd.DataFrame(self.exog, index=self.row_labels, columns=self._param_names)

    @property
    def ynames(self) -> str:
        """Name of the response."""
        return self._ynames

    @property
    def xnames(self) -> list[str]:
        """Names of the regressors, or of the fixed effects."""
        return self._param_names
