"""The covariance of the coefficients of a system with instruments, behind each ``cov_type``."""

from __future__ import annotations

from typing import cast

import numpy as np

from sm_alsgls.core.beta.robust import Clusters, White
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.instruments.base import Form
from sm_alsgls.core.instruments.covariance import (
    Combinations,
    FormCovariance,
    Stretch,
    WorkingFormCovariance,
)
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.refit import form_found
from sm_alsgls.core.instruments.robust import InfluenceCovariance, UnitInfluences
from sm_alsgls.core.instruments.three_stage import Rows
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.data.instrumented import InstrumentedSystem
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import sigma_inference, weights_of_time
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.in_sample import used_residuals
from sm_alsgls.results.parameter_covariance import ParameterCovariance

#: Covariance types that these estimates have not.
REFUSED = {
    "KH": "Kackar and Harville's correction is that of a likelihood, and 3SLS has none",
    "pcse": "Beck and Katz's covariance is that of least squares",
}


def instruments_of(estimate: Estimate) -> InstrumentedSystem:
    """The data, which have instruments; DataRemovedError where they are gone."""
    return cast(InstrumentedSystem, estimate.sample.system)


def design_of(estimate: Estimate) -> Instrumented:
    """The design of the rows that were fitted."""
    return cast(Instrumented, estimate.sample.problem.design.free)


@kept
def whole_design(estimate: Estimate) -> Instrumented:
    """The same coordinates on all N rows."""
    return cast(Instrumented, estimate.sample.whole_design)


def first_stages(estimate: Estimate) -> np.ndarray:
    """Xhat_j b_j on all rows, times the roots of the weights, (N, K)."""
    design = whole_design(estimate)
    return design.first_stage(design.from_beta(estimate.beta))


def form_at(estimate: Estimate, sigma: Covariance) -> Form:
    """The form of the estimate at a Sigma; a heteroscedastic weight is what it was."""
    return form_found(
        estimate.sample.problem, estimate.instrumented, sigma, lambda: whole_rows(estimate)
    )


def whole_rows(estimate: Estimate) -> Rows:
    """All rows, times the roots of the weights, in the coordinates of the rows that were fitted."""
    return Rows(whole_design(estimate), estimate.sample.cells.used(estimate.model.endog))


def weighted_covariance(estimate: Estimate) -> FormCovariance:
    """Where Sigma is what coefficients were weighted with, in the scale of standard errors."""
    sigma = estimate.instrumented.first_cov.scaled(estimate.df.correction)
    return FormCovariance(Combinations(form_at(estimate, sigma), estimate.sample.problem.design))


def build(estimate: Estimate, choice: CovarianceChoice) -> ParameterCovariance:
    """The covariance operator of a choice at an estimate with instruments."""
    problem = estimate.sample.problem
    if choice.cov_type == "nonrobust":
        sigma = sigma_inference(estimate)
        stretch = _stretch(estimate, sigma)
        return FormCovariance(Combinations(form_at(estimate, sigma), problem.design, stretch))
    used = form_at(estimate, estimate.instrumented.first_cov)
    combinations = Combinations(used, problem.design)
    factor = _factor(estimate, choice)
    if choice.cov_type == "sandwich":
        E = estimate.sample.E * factor
        return WorkingFormCovariance(combinations, E, estimate.nobs, estimate.df.fewest)
    E, N = used_residuals(estimate), estimate.nobs
    scale = estimate.labels.mean(factor)
    design, fewest = whole_design(estimate), float(estimate.df.fewest)
    if choice.cov_type == "HAC":
        weights = weights_of_time(choice.kwds, N)
        return InfluenceCovariance(combinations, design, E, weights, scale, df=fewest)
    if choice.power:
        # Multipliers undo what coefficients take; factors take more.
        left = estimate.counts - estimate.p
        taken = estimate.df.taken if choice.kwds.get("dof", "p+r") == "p+r" else 0
        scale = estimate.labels.mean(np.sqrt(left / (left - taken)))
        scale = scale * _stretched(estimate)
    power = choice.power or 0.0
    if choice.cov_type != "cluster":
        return UnitInfluences(combinations, design, E, White(), scale, Units(N), power, df=fewest)
    codes = choice.kwds["codes"]
    weights = Clusters(codes[0], debias=choice.kwds["correction"] == "CR1")
    return UnitInfluences(
        combinations, design, E, weights, scale, Units(N, codes[0]), power, df=float(choice.df or 1)
    )


def _factor(estimate: Estimate, choice: CovarianceChoice) -> np.ndarray:
    """Small-sample factors of standard errors, (K,)."""
    corrected = choice.kwds.get("correction", choice.cov_type) not in ("HC0", "CR0")
    corrected = corrected and choice.kwds.get("use_correction", True)
    if choice.cov_type == "sandwich":
        corrected = estimate.debiased
    if not corrected:
        return np.ones(estimate.neqs)
    taken = estimate.p + (estimate.df.taken if choice.kwds["dof"] == "p+r" else 0)
    return np.asarray(np.sqrt(estimate.counts / (estimate.counts - taken)))


def _stretch(estimate: Estimate, sigma: Covariance) -> Stretch | None:
    """What the estimation of Sigma adds to what is efficient given Sigma; nothing to 2SLS."""
    if not estimate.debiased or estimate.instrumented.method != "iv":
        return None
    return estimate.sample.problem.errors.stretch(design_of(estimate).hat, sigma)


def _stretched(estimate: Estimate) -> np.ndarray:
    """The same as a factor of each coefficient's standard error, (P,)."""
    stretch = _stretch(estimate, sigma_inference(estimate))
    out = []
    for j in range(estimate.neqs):
        M = design_of(estimate).beta_map(j)
        before = np.square(M).sum(axis=1)
        after = before if stretch is None else np.square(M @ stretch(j)).sum(axis=1)
        out.append(np.sqrt(after / before))
    return np.concatenate(out)
