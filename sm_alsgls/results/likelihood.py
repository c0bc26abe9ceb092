"""``LikelihoodResults``: results of an estimator that maximises a likelihood."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.results import bootstrap as refits
from sm_alsgls.results import criteria, nested, plots, tables
from sm_alsgls.results import restriction_tests as restrictions
from sm_alsgls.results.method import method
from sm_alsgls.results.system import SystemResults


class LikelihoodResults(SystemResults):
    """`SystemResults` with a likelihood at its maximum."""

    @property
    def converged(self) -> bool:
        """Whether the best point is stationary."""
        return self.estimate.likelihood.converged

    @cached_property
    def mle_retvals(self) -> dict[str, Any]:
        """How the fit went.

        converged, message, iterations (sweeps of the winning start), nll_trace, nll_beta_trace,
        accept_t, cg, gradient_d, score_beta, heywood (positions of equations on their bound),
        starts (DataFrame: start, nll, gap above the best, sweeps, ended), starts_at_best,
        worst_gap, lowest_curvature (None where it was not part of the fit).
        """
        return self.estimate.likelihood.retvals()

    @property
    def mle_settings(self) -> dict[str, Any]:
        """The optimizer and its options."""
        return self.estimate.likelihood.settings

    @property
    def nll_per_row(self) -> float:
        """Negative log-likelihood per row, without ridges."""
        return criteria.nll_per_row(self.estimate)

    @property
    def aic(self) -> float:
        """-2 llf + 2 df_model; Sigma's parameters, K r + K - r (r - 1) / 2, are counted."""
        return criteria.aic(self.estimate)

    @property
    def bic(self) -> float:
        """-2 llf + log(N) df_model, with rows N and not cells."""
        return criteria.bic(self.estimate)

    @property
    def trace(self) -> pd.DataFrame:
        """One row per sweep of the winning start."""
        return self.estimate.likelihood.trace()

    def curvature(self) -> Curvature | None:
        """Lowest curvature of the likelihood at the estimate; part of the fit on small systems.

        None where the law of the errors has no second-order check.
        """
        return criteria.curvature(self.estimate)

    bootstrap = method(refits.bootstrap)
    restriction_tests = method(restrictions.restriction_tests)
    compare_lr = method(nested.compare_lr)
    glance = method(tables.glance)
    plot_trace = method(plots.plot_trace)
