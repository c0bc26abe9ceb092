"""``ManyFit``: what was estimated of very many equations, and the likelihood there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.results.many import covariance, summary
from sm_alsgls.results.many.estimate import ManyEstimate


class ManyFit:
    """Mixin of `ManySURResults`: functions of its ``estimate`` that need no data."""

    estimate: ManyEstimate

    # -- what was estimated ----------------------------------------------------------------

    def _labelled(self, values: np.ndarray, name: str | None = None) -> pd.Series:
        return pd.Series(values, index=self.estimate.labels.terms, name=name)

    def _by_equation(self, values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=self.estimate.labels.equations, name=name)

    @property
    def params(self) -> pd.Series:
        """Coefficients (P,), labelled by (equation, variable)."""
        return self._labelled(self.estimate.params)

    @property
    def nobs(self) -> int:
        """Rows N."""
        return self.estimate.nobs

    @property
    def neqs(self) -> int:
        """Equations K."""
        return self.estimate.neqs

    @property
    def rank(self) -> int:
        """Factors r."""
        return self.estimate.rank

    @property
    def df_model(self) -> float:
        """Free parameters: P, and K r + K - r (r - 1) / 2 of Sigma."""
        return self.estimate.df_model

    @property
    def df_resid(self) -> float:
        """Cells less parameters."""
        return self.estimate.df_resid

    @property
    def debiased(self) -> bool:
        """Whether variances have degrees of freedom, N - p_j - r, in place of rows."""
        return self.estimate.df.debiased

    @property
    def use_t(self) -> bool:
        """t and F, or normal and chi2."""
        return self.estimate.use_t

    @property
    def cov_type(self) -> str:
        """How standard errors are computed."""
        return self.estimate.choice.cov_type

    @property
    def cov_kwds(self) -> dict[str, Any]:
        """Options of ``cov_type``, with its description."""
        return {"description": self.estimate.choice.description, **self.estimate.choice.kwds}

    @property
    def sigma(self) -> LowRankDiag:
        """The error covariance of a row, F F' + D in canonical form."""
        return self.estimate.sigma

    @property
    def sigma_inference(self) -> LowRankDiag:
        """The error covariance behind "nonrobust", see `LowRankSURResults.sigma_inference`."""
        return covariance.sigma_inference(self.estimate)

    @property
    def loadings(self) -> pd.DataFrame:
        """F (K, r) in the units of the responses; canonical: F' D^-1 F diagonal, descending."""
        names = [f"factor{i}" for i in range(1, self.rank + 1)]
        index = self.estimate.labels.equations
        return pd.DataFrame(self.sigma.loadings, index=index, columns=names)

    @property
    def uniquenesses(self) -> pd.Series:
        """The variances d (K,) that the factors leave."""
        return self._by_equation(self.sigma.uniquenesses, "uniqueness")

    @property
    def communalities(self) -> pd.Series:
        """Share |f_j|^2 / sigma_jj of each error variance that the factors explain (K,)."""
        share = 1.0 - self.sigma.uniquenesses / self.sigma.diag()
        return self._by_equation(share, "communality")

    @property
    def rsquared(self) -> pd.Series:
        """1 - SSR/SST of each equation (K,); SST about the mean where it has a constant."""
        return self._by_equation(self.estimate.rsquared, "rsquared")

    @property
    def heywood(self) -> list[str]:
        """Equations whose uniqueness is on its lower bound."""
        return [self.estimate.labels.name(int(j)) for j in np.flatnonzero(self.estimate.at_bound)]

    # -- the likelihood --------------------------------------------------------------------

    @property
    def llf(self) -> float:
        """Log-likelihood of all rows."""
        return self.estimate.llf

    @property
    def nll_per_row(self) -> float:
        """Negative log-likelihood per row."""
        return self.estimate.ending.nll

    @property
    def aic(self) -> float:
        """-2 llf + 2 df_model; Sigma's parameters, K r + K - r (r - 1) / 2, are counted."""
        return self.estimate.aic

    @property
    def bic(self) -> float:
        """-2 llf + log(N) df_model, with rows N and not cells."""
        return self.estimate.bic

    @property
    def converged(self) -> bool:
        """Whether the end is stationary."""
        return self.estimate.ending.converged

    @property
    def mle_retvals(self) -> dict[str, Any]:
        """How the fit went, as `LowRankSURResults.mle_retvals` has it of its one start."""
        ending = self.estimate.ending
        trace = ending.trace
        return {
            "converged": ending.converged,
            "message": ending.status,
            "method": "als",
            "iterations": len(trace) - 1,
            "nll_trace": [row.nll for row in trace],
            "nll_beta_trace": [row.nll_beta for row in trace[1:]],
            "accept_t": [row.accept_t for row in trace[1:]],
            "cg": [row.cg_iterations for row in trace[1:]],
            "heywood": np.flatnonzero(self.estimate.at_bound).tolist(),
            "gradient_d": ending.gradient_d,
            "score_beta": ending.score_beta,
        }

    @property
    def mle_settings(self) -> dict[str, Any]:
        """The optimizer and its options."""
        return {"optimizer": "als", **vars(self.estimate.ending.options)}

    @property
    def trace(self) -> pd.DataFrame:
        """One row per sweep."""
        rows = self.estimate.ending.trace
        return pd.DataFrame(rows, columns=Sweep._fields).set_index("sweep")

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return summary.doubts_of(self.estimate)
