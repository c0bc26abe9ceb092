"""``LowRankMixedLMResults``: the fit of a mixed model, labelled."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sm_alsgls.core.mixed.fit import MixedFit


class LowRankMixedLMResults:
    """Fixed effects and the covariance of the random ones.

    Parameters
    ----------
    model : LowRankMixedLM
    fitted : MixedFit

    Attributes
    ----------
    model : LowRankMixedLM
    fitted : MixedFit
    """

    def __init__(self, model: Any, fitted: MixedFit) -> None:
        self.model, self.fitted = model, fitted

    @property
    def params(self) -> pd.Series:
        """Fixed effects (p,)."""
        return pd.Series(self.fitted.b, index=self.model.exog_names)

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance G of the random effects (q, q)."""
        names = self.model.exog_re_names
        return pd.DataFrame(self.fitted.G, index=names, columns=names)

    @property
    def scale(self) -> float:
        """Residual variance s2."""
        return self.fitted.s2

    @property
    def llf(self) -> float:
        """Log-likelihood at the maximum."""
        return self.fitted.llf
