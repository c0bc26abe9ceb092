"""Sigma of small-sample standard errors, of a system in tiles.

What `sm_alsgls.core.errors.loading_prior` does, with a Sigma-step over tiles, and medians and sums
over all shards; then element (j, l) of Sigma times the roots of N / (N - p_j - r) of both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.errors.loading_prior import drawn_in, prior_ridge, stretched
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.median import median
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.residuals import TiledResiduals

Array = np.ndarray

# Of the Sigma-step, as in `sm_alsgls.core.errors.loading_prior`.
_GTOL = 1e-8


class IntervalFactors(NamedTuple):
    """Factors of the Sigma behind standard errors, of a shard's equations.

    Attributes
    ----------
    F, d : ndarray, shapes (K, r), (K,)
    """

    F: Array
    d: Array


def interval_factors(
    problem: TiledProblem, E: TiledResiduals, F: Array, d: Array
) -> IntervalFactors:
    """The Sigma that standard errors of a debiased fit are of.

    Parameters
    ----------
    problem : TiledProblem
    E : TiledResiduals
        Residuals of the fit.
    F, d : ndarray, shapes (K, r), (K,)
        Its Sigma, of the shard's equations.

    Notes
    -----
    Cost: one Sigma-step, begun near its end: a few passes.
    """
    across, p, N = problem.across, problem.design.p, problem.n_obs
    cov, r = PartOfLowRank(F, d, across), F.shape[1]

    def middle(values: Array) -> float:
        return median(values, across)

    prior = prior_ridge(cov, N, np.full(problem.here, N), p, middle)
    if prior > 0.0:
        start = PartOfLowRank(*drawn_in(cov, prior), across)
        step = problem.sigma_step(E, r, near=start, d=start.uniquenesses, gtol=_GTOL, lam_F=prior)
        F, d = stretched(step.cov, prior, across.total)
    c = np.sqrt(N / (N - p - r))
    return IntervalFactors(F * c[:, None], d * c * c)
