"""``InteractivePanelResults``: slopes of a panel beside factors that are parameters."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results import interactive_parts as parts
from sm_alsgls.results import interactive_summary
from sm_alsgls.results.across import wald_test_terms
from sm_alsgls.results.checks.interactive import diagnostics
from sm_alsgls.results.coefficient import CoefficientResults
from sm_alsgls.results.counterfactual import counterfactual
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.factor_test import factor_test
from sm_alsgls.results.familiar import FamiliarCells
from sm_alsgls.results.interactive_bootstrap import bootstrap
from sm_alsgls.results.interactive_covariance import choose_interactive
from sm_alsgls.results.interactive_estimate import InteractiveEstimate
from sm_alsgls.results.interactive_plots import plot_factors, plot_loadings
from sm_alsgls.results.labelled import CoefficientResultsWrapper, present
from sm_alsgls.results.method import method
from sm_alsgls.results.no_likelihood import NoLikelihood


class InteractivePanelResults(NoLikelihood, FamiliarCells, CoefficientResults):
    """Results of ``LowRankPanel(..., factors="fixed").fit``.

    ``params`` has the slopes, less their bias where `fit` was asked to correct it; factors,
    loadings, effects and residuals are those that these slopes leave.
    """

    estimate: InteractiveEstimate

    def _facts(self) -> list[str]:
        T, n = self.estimate.sizes
        return [
            f"{n} units x {T} periods",
            f"{self.estimate.rank} fixed factor{'s' * (self.estimate.rank != 1)}",
            f"effects: {self.estimate.model.effects}",
            "converged" if self.converged else "NOT CONVERGED",
        ]

    def _absent(self) -> Collection[str]:
        names = set()
        if self.estimate.model.effects is None:
            names.add("effects")
        if not self.estimate.cells.series_names:
            names.add("unit_slopes")
        if self.estimate.rank == 0:
            names |= {"plot_factors", "plot_loadings", "factor_test"}
        return names

    def _chosen(self, cov_type: str, cov_kwds: dict[str, Any]) -> CovarianceChoice:
        return choose_interactive(cov_type, cov_kwds, self.estimate.sizes)

    @property
    def rank(self) -> int:
        """Number of factors r beside the additive effects."""
        return self.estimate.rank

    @property
    def factors(self) -> pd.DataFrame:
        """Factors F (T, r) by period, with F'F / T = I; less the additive effects."""
        return parts.factors(self.estimate)

    @property
    def loadings(self) -> pd.DataFrame:
        """Loadings Lambda (n, r) by unit, in units of the response.

        Lambda' diag(d)^-1 Lambda is diagonal and falls; the largest of a factor is positive.
        """
        return parts.loadings(self.estimate)

    @property
    def interactive_effects(self) -> pd.DataFrame:
        """F Lambda' (T, n), what factors add to every cell, observed or not."""
        return parts.interactive_effects(self.estimate)

    @property
    def effects(self) -> pd.Series:
        """Additive effects by unit or period; of both by ("entity" or "time", label).

        The fitted value of a cell is x'b plus its effects and interactive effects: a constant is
        in them. NotApplicableError where the model has none.
        """
        return parts.effects(self.estimate)

    @property
    def unit_slopes(self) -> pd.DataFrame:
        """Coefficients of units (n, k) of the series that ``heterogeneous=`` names, as a trend.

        Such series are known factors: ``factors`` and effects of periods are what is orthogonal to
        them, and the rest is in these coefficients. NotApplicableError where none is named.
        """
        return parts.unit_slopes(self.estimate)

    @property
    def ar(self) -> float:
        """rho of errors e_it = rho e_i,t-1 + u_it that the fit was weighted by; 0 where by none."""
        return self.estimate.fit.rho

    @property
    def error_variances(self) -> pd.Series:
        """Error variances d (n,) by unit, drawn towards one another; equal if not weighted."""
        return parts.error_variances(self.estimate)

    @property
    def fittedvalues(self) -> pd.DataFrame:
        """x'b, effects and factors (T, n); NaN where nothing was observed."""
        return parts.fittedvalues(self.estimate)

    @property
    def resid(self) -> pd.DataFrame:
        """y less ``fittedvalues`` (T, n)."""
        return parts.resid(self.estimate)

    @property
    def rsquared(self) -> float:
        """Share of the variance of y over all cells that is no residual."""
        return parts.rsquared(self.estimate)

    @property
    def rsquared_slopes(self) -> float:
        """Share that slopes explain of what effects and as many factors alone leave of y."""
        return parts.rsquared_slopes(self.estimate)

    @property
    def bias_table(self) -> pd.DataFrame:
        """From the least sum of squares to the coefficients, (p, columns).

        ``unweighted`` is Bai's (2009) estimator, ``least_squares`` the weighted one; ``units``,
        ``periods`` and ``lags`` are what the analytic correction adds, ``jackknife`` what that
        adds; ``params`` is their sum with ``least_squares``.
        """
        return parts.bias_table(self.estimate)

    @property
    def converged(self) -> bool:
        """Whether slopes, weights and missing cells are at rest."""
        return self.estimate.converged

    @property
    def mle_retvals(self) -> dict[str, Any]:
        """How the fit went.

        converged, message, iterations (steps of all starts), weight_rounds, starts (DataFrame:
        start, ssr, gap above the best, steps, ended), starts_at_best, worst_gap.
        """
        return parts.retvals(self.estimate)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the estimates must know, as the summary prints it."""
        return interactive_summary.warnings_of(self.estimate)

    def predict(self, exog: Any = None) -> pd.DataFrame:
        """Fitted values of the cells of the model (T, n).

        Parameters
        ----------
        exog : None
            New periods have factors that are not known, and new units loadings.

        Raises
        ------
        NotApplicableError
            Given new data.
        """
        if exog is not None:
            raise NotApplicableError(
                "predict(exog): factors of new periods and loadings of new units are parameters "
                "that these data do not tell; counterfactual(treated=...) predicts cells of known "
                "units and periods, and exog @ params is the part of the slopes"
            )
        return self.fittedvalues

    summary = method(interactive_summary.summary)
    wald_test_terms = method(wald_test_terms)
    bootstrap = method(bootstrap)
    counterfactual = method(counterfactual)
    factor_test = method(factor_test)
    diagnostics = method(diagnostics)
    plot_factors = method(plot_factors)
    plot_loadings = method(plot_loadings)


class InteractivePanelResultsWrapper(CoefficientResultsWrapper):
    """Labels arrays of `InteractivePanelResults` with the names of the coefficients."""


present(InteractivePanelResultsWrapper, InteractivePanelResults)
