"""A fit with laws estimated again on other responses, from where it stands, the way it was."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from sm_alsgls.core.laws.estimated import BAYES, LEVERAGES, ML
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.leverage_scale import leverage_scale
from sm_alsgls.core.laws.maximise import maximise_from
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.restricted_likelihood import restricted_likelihood
from sm_alsgls.core.laws.shrunken_ar import ShrunkenFit, shrunken_from


def refitted(
    fit: LawFit, system: RawSystem, rank: int, how: str = ML, each: slice | None = None
) -> LawFit:
    """Estimate (theta, beta, Sigma) of a system like that of a fit, from its own estimates.

    Parameters
    ----------
    fit : LawFit
    system : RawSystem
        With other responses.
    rank : int
    how : str
        As `Estimated.how` of the fit: "maximum likelihood", "restricted likelihood", "leverages"
        or "empirical Bayes" (with the fit's own variance of the prior).
    each : slice, optional
        AR coefficients of each equation among the values; for "empirical Bayes".

    Notes
    -----
    Cost: some three to eight continued runs. The restricted likelihood and leverages form H for
    each of their steps on top of that, O(N P^2 + P^3).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.laws.maximise import maximise
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((60, 2)) for _ in range(3)]
    >>> law = AR.of(60, np.array([0.6]), 3)
    >>> raw = RawSystem(law.inverse(rng.standard_normal((60, 3))), X, law, ALSOptions())
    >>> fit = maximise(raw, 0)
    >>> other = replace(raw, Y=law.inverse(rng.standard_normal((60, 3))))
    >>> again, anew = refitted(fit, other, 0), maximise(other, 0)
    >>> bool(abs(again.found.best.nll - anew.found.best.nll) < 1e-9)
    True
    """
    if how == BAYES:
        return shrunken_from(cast(ShrunkenFit, fit), system, rank, each)
    ml = maximise_from(fit, system, rank)
    if how == ML or not ml.found.best.converged:
        return ml
    if how == LEVERAGES:
        return leverage_scale(ml, rank)
    # Steps and differences are in the fit's own standard errors.
    nuisance = ml.found.best.nuisance._replace(cov=fit.found.best.nuisance.cov)
    best = replace(ml.found.best, nuisance=nuisance)
    return restricted_likelihood(replace(ml, found=replace(ml.found, best=best)), rank)
