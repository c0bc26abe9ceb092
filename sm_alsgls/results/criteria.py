"""The likelihood of an estimate, and criteria made of it."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.maximise.search import curvature_at
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.results.estimate import Estimate


def nll_per_row(estimate: Estimate) -> float:
    """Negative log-likelihood per row, without ridges."""
    return estimate.likelihood.nll_per_row


def llf(estimate: Estimate) -> float:
    """Log-likelihood of all rows, without ridges."""
    return -estimate.nobs * nll_per_row(estimate)


def aic(estimate: Estimate) -> float:
    """-2 llf + 2 df_model."""
    return -2.0 * llf(estimate) + 2.0 * estimate.df_model


def bic(estimate: Estimate) -> float:
    """-2 llf + log(N) df_model."""
    return -2.0 * llf(estimate) + np.log(estimate.nobs) * estimate.df_model


def curvature(estimate: Estimate) -> Curvature | None:
    """Lowest curvature of the likelihood at the estimate; part of the fit on small systems.

    None where the law of the errors has no second-order check.
    """
    found = estimate.likelihood.search
    return found.curvature or curvature_at(estimate.sample.problem, found.best)
