"""``LowRankSURResults``: estimates, standard errors and likelihood of a fitted system."""

from __future__ import annotations

from sm_alsgls.results import exogeneity, factors
from sm_alsgls.results.factor_results import FactorResults
from sm_alsgls.results.labelled import SystemResultsWrapper, present
from sm_alsgls.results.law_results import LawResults
from sm_alsgls.results.likelihood import LikelihoodResults
from sm_alsgls.results.method import method


class LowRankSURResults(LawResults, FactorResults, LikelihoodResults):
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
        Parameters, and cells less parameters. AR coefficients that are drawn to their mean count as
        many as they are: from 1, where all are one, to one for each equation.
    debiased, use_t : bool
        Standard errors with N_j - p_j - r degrees of freedom and t quantiles.
    mle_retvals : dict
        converged, message, iterations (sweeps of the winning start), nll_trace, nll_beta_trace,
        accept_t, cg, gradient_d, score_beta, heywood (positions of equations on their bound),
        starts (DataFrame: start, nll, gap above the best, sweeps, ended), starts_at_best,
        worst_gap, lowest_curvature (None where it was not part of the fit).
    """

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return factors.warnings_of(self.estimate)

    exogeneity_test = method(exogeneity.exogeneity_test)


class LowRankSURResultsWrapper(SystemResultsWrapper):
    """Labels arrays of `LowRankSURResults` with the names of the coefficients."""


present(LowRankSURResultsWrapper, LowRankSURResults)
