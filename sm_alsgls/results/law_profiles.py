"""The likelihood of an estimate as a function of its laws' parameters, for tests and intervals.

Where parameters were corrected for the estimation of coefficients it is the restricted likelihood,
else the likelihood.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sm_alsgls.core.laws.estimated import LEVERAGES, REML, few
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.profile import Profile
from sm_alsgls.data.error_laws import COMMON
from sm_alsgls.data.removed import gone
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept


@kept
def profile(estimate: Estimate) -> Profile:
    """Around the estimate, of errors that follow a law.

    Raises
    ------
    NotApplicableError
        Ridges: what was maximised is no likelihood.
    """
    laws, fit = estimate.laws, fitted(estimate)
    if estimate.likelihood.ridged:
        raise NotApplicableError(
            "lam_F= and lam_B= are penalties, and ratios of penalised likelihoods have no known "
            "distribution; fit without them"
        )
    assert laws is not None
    return Profile(fit, estimate.rank, laws.how in (REML, LEVERAGES))


@kept
def of_one_ar(estimate: Estimate) -> Profile:
    """Around the maximum of the same laws with one AR coefficient for all equations."""
    model = estimate.sample.model
    assert model.laws is not None
    laws = replace(model.laws, ar=COMMON)
    fit = maximise(model.raw_system(estimate.likelihood.options, laws), estimate.rank)
    known = bool(np.isfinite(fit.found.best.nuisance.cov).all())
    return Profile(fit, estimate.rank, known and few(fit))


def fitted(estimate: Estimate) -> LawFit:
    """How laws and the rest were fitted; of errors without laws the rows as they are.

    Raises
    ------
    DataRemovedError, DataChangedError, NoLikelihoodError
    """
    sample = estimate.sample
    problem = sample.problem
    if estimate.laws is not None:
        return gone("laws") if sample.laws is None else sample.laws
    maximum = estimate.likelihood
    raw = sample.model.raw_system(maximum.options, None)
    return LawFit(maximum.search, raw, problem, np.empty(0), 0)


def small_sample(estimate: Estimate) -> float:
    """(N - r) / N, by which factors take degrees of freedom from a likelihood ratio."""
    taken = estimate.sample.problem.errors.taken(estimate.rank)
    return max(1.0 - taken / estimate.nobs, 1.0 / estimate.nobs)
