"""What results have because their errors may have factors, however they were estimated."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from sm_alsgls.results import factors, plots
from sm_alsgls.results.method import method
from sm_alsgls.results.system import SystemResults

# What an unrestricted Sigma has not.
_OF_FACTORS = (
    "communalities", "factor_scores", "loadings", "plot_communalities", "plot_factor_scores",
    "plot_loadings", "rotated_loadings", "uniquenesses",
)  # fmt: skip


class FactorResults(SystemResults):
    """`SystemResults` of a Sigma that is low rank plus diagonal, or unrestricted."""

    def _absent(self) -> Collection[str]:
        names = super()._absent()
        return names if self.estimate.has_factors else {*names, *_OF_FACTORS}

    @property
    def rank(self) -> int | str:
        """Factors r, or "full" where Sigma is unrestricted."""
        return factors.rank_of(self.estimate)

    @property
    def loadings(self) -> pd.DataFrame:
        """F (K, r) in the units of the responses; canonical: F' D^-1 F diagonal, descending."""
        return factors.loadings(self.estimate)

    @property
    def uniquenesses(self) -> pd.Series:
        """The variances d (K,) that the factors leave."""
        return factors.uniquenesses(self.estimate)

    @property
    def communalities(self) -> pd.Series:
        """Share |f_j|^2 / sigma_jj of each error variance that the factors explain (K,)."""
        return factors.communalities(self.estimate)

    @property
    def factor_scores(self) -> pd.DataFrame:
        """Posterior means E Sigma^-1 F of the factors (N, r), given the cells that a row has.

        Residuals of weighted cells are multiplied by the roots of their weights.
        """
        return factors.factor_scores(self.estimate)

    @property
    def heywood(self) -> list[str]:
        """Equations whose uniqueness is on its lower bound."""
        return factors.heywood(self.estimate)

    rotated_loadings = method(factors.rotated_loadings)
    plot_loadings = method(plots.plot_loadings)
    plot_factor_scores = method(plots.plot_factor_scores)
    plot_communalities = method(plots.plot_communalities)
