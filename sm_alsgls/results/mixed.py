"""``LowRankMixedLMResults``: the fit of a mixed model, labelled, tested, and put into tables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import statsmodels.base.wrapper as wrap

from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.labelled import CoefficientResultsWrapper
from sm_alsgls.results.mixed_covariance import choose_mixed
from sm_alsgls.results.mixed_estimate import MixedEstimate, MixedModel


class LowRankMixedLMResults(CoefficientResults):
    """Results of `LowRankMixedLM.fit`.

    Attributes
    ----------
    params, fe_params : Series (p,)
        Fixed effects. MixedLM's ``params`` hold elements of ``cov_re`` over ``scale`` as well,
        which are in ``cov_re`` here.
    """

    estimate: MixedEstimate

    def __init__(self, model: MixedModel, estimate: MixedEstimate) -> None:
        super().__init__(model, estimate)

    @property
    def fe_params(self) -> np.ndarray:
        """Fixed effects (p,), as ``params``."""
        return self.estimate.params

    @property
    def bse_fe(self) -> np.ndarray:
        """Standard errors of the fixed effects (p,), as ``bse``."""
        return self.bse

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance G of the random effects (q, q)."""
        names = self.estimate.names_re
        return pd.DataFrame(self.estimate.cov_re, index=names, columns=names)

    @property
    def scale(self) -> float:
        """Residual variance s2; of the first level, where levels have their own."""
        return self.estimate.scale

    # statsmodels' constructor sets 1.
    @scale.setter
    def scale(self, value: float) -> None: ...

    @property
    def llf(self) -> float:
        """Log-likelihood at the maximum, restricted where ``reml``."""
        return self.estimate.llf

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.estimate.reml

    @property
    def converged(self) -> bool:
        """Whether the best point is stationary."""
        return self.estimate.converged

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        return choose_mixed(cov_type, cov_kwds, self.estimate.fit)


class LowRankMixedLMResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `LowRankMixedLMResults` with the names of the fixed effects."""

    _wrap_attrs: ClassVar[dict[str, str]] = dict.fromkeys(
        ("params", "bse", "tvalues", "pvalues", "fe_params", "bse_fe"), "columns"
    )


LowRankMixedLMResults.wrapper = LowRankMixedLMResultsWrapper
wrap.populate_wrapper(LowRankMixedLMResultsWrapper, LowRankMixedLMResults)
