"""``LowRankSURResults``: estimates, standard errors and likelihood of a fitted system."""

from __future__ import annotations

import pandas as pd
import statsmodels.base.wrapper as wrap

from sm_alsgls.results import exogeneity, factors, plots
from sm_alsgls.results.labelled import SystemResultsWrapper
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.method import method


class LowRankSURResults(LikelihoodResults):
    """Results of `LowRankSUR.fit`.

    Attributes
    ----------
    params : Series (P,)
        Coefficients, named ``equation_variable``.
    sigma : LowRankDiag or Unrestricted
        Error covariance F F' + D in canonical form; with rank="full" an `Unrestricted`.
    nll_per_row, llf, aic, bic : float
        Negative log-likelihood per row, log-likelihood, and criteria that count the P
        coefficients and the K r + K - r (r - 1) / 2 parameters of Sigma; bic uses log N.
    nobs, neqs, rank, n_cells : int
        Rows N, equations K, factors r, and cells in use, N K where nothing is missing.
    counts : Series (K,)
        Rows N_j that each equation has.
    df_model, df_resid : float
        Parameters, and cells less parameters.
    debiased, use_t : bool
        Standard errors with N_j - p_j - r degrees of freedom and t quantiles.
    mle_retvals : dict
        converged, message, iterations (sweeps of the winning start), nll_trace, nll_beta_trace,
        accept_t, cg, gradient_d, score_beta, heywood (positions of equations on their bound),
        starts (DataFrame: start, nll, gap above the best, sweeps, ended), starts_at_best,
        worst_gap, lowest_curvature (None where it was not part of the fit).
    """

    @property
    def rank(self) -> int | str:
        """Factors r, or "full" where Sigma is unrestricted."""
        return factors.rank_of(self.estimate)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return factors.warnings_of(self.estimate)

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
    exogeneity_test = method(exogeneity.exogeneity_test)
    plot_loadings = method(plots.plot_loadings)
    plot_factor_scores = method(plots.plot_factor_scores)
    plot_communalities = method(plots.plot_communalities)


class LowRankSURResultsWrapper(SystemResultsWrapper):
    """Labels arrays of `LowRankSURResults` with the names of the coefficients."""


LowRankSURResults.wrapper = LowRankSURResultsWrapper
wrap.populate_wrapper(LowRankSURResultsWrapper, LowRankSURResults)
