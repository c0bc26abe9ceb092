"""``CoefficientResultsWrapper``: statsmodels' wrapper, which labels arrays of the parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.base.wrapper as wrap
from statsmodels.base.model import LikelihoodResultsWrapper

from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.loading import Loadable
from sm_alsgls.results.persistence import Savable
from sm_alsgls.results.selection import positions
from sm_alsgls.results.system import SystemResults


class CoefficientResultsWrapper(Loadable, Savable, LikelihoodResultsWrapper):
    """Labels arrays of `CoefficientResults` with the names of the coefficients."""

    # Everything else comes labelled from the results themselves.
    _wrap_attrs: ClassVar[dict[str, str]] = dict.fromkeys(
        ("params", "bse", "tvalues", "pvalues"), "columns"
    )
    _wrap_methods: ClassVar[dict[str, str]] = {}

    def cov_params(self, *args: Any, **kwargs: Any) -> Any:
        """Covariance of the coefficients; labelled where it is that of coefficients."""
        V = self._results.cov_params(*args, **kwargs)
        names = pd.Index(self._results.estimate.labels.params)
        column = args[1] if len(args) > 1 else kwargs.get("column")
        if column is not None:
            names = names[np.atleast_1d(positions(column, names, "column"))]
        elif (args and args[0] is not None) or kwargs.get("r_matrix") is not None:
            return V
        return pd.DataFrame(V, index=names, columns=names) if np.ndim(V) == 2 else V

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        """Confidence intervals of level 1 - ``alpha``, labelled; ``cols`` names or positions."""
        names = pd.Index(self._results.estimate.labels.params)
        names = names if cols is None else names[np.atleast_1d(positions(cols, names, "cols"))]
        interval = self._results.conf_int(alpha, cols)
        return pd.DataFrame(np.atleast_2d(interval), index=names)


class SystemResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `SystemResults` with the names of the coefficients."""


# Of every estimator that has no wrapper of its own.
CoefficientResults.wrapper = CoefficientResultsWrapper
SystemResults.wrapper = SystemResultsWrapper
wrap.populate_wrapper(SystemResultsWrapper, LikelihoodResults)
wrap.populate_wrapper(CoefficientResultsWrapper, CoefficientResults)
