"""The law of an unrestricted Sigma for rows seen in part: Sigma_n = Sigma_OO of row n's cells.

Full-information maximum likelihood (Little and Rubin 2002, chapters 6 and 8) as of
`sm_alsgls.core.errors.observed`, with the Sigma-step of `sm_alsgls.core.sigma.unrestricted`. Every
pair of equations has to meet in some row, or its covariance is not identified.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.beta.estimated_unrestricted import EstimatedUnrestricted
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.seen_patterns import SeenPatterns
from sm_alsgls.core.design.base import (
    Linear,
    Normal,
    PerEquation,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.cells import RowsWithHoles
from sm_alsgls.core.errors.unrestricted_law import UnrestrictedLaw
from sm_alsgls.core.second_order.observed_profile import ObservedUnrestrictedHessian
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.observed_start import union_residuals
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.core.sigma.unrestricted import (
    ObservedLikelihood,
    available_pairs,
    fit_observed_unrestricted,
    triangular,
)
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# Of the Sigma of OLS residuals, whose standard errors have twice as many digits.
_GTOL = 1e-8


class ObservedUnrestrictedErrors(UnrestrictedLaw, RowsWithHoles):
    """Rows of which some cells are missing at random; see `Errors`.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    """

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Unrestricted:
        """That of OLS residuals, which are not bent to Sigma."""
        start = triangular(cov)
        E = least_squares()
        return fit_observed_unrestricted(E, self.patterns, start, floor, gtol=_GTOL).cov

    def stretch(self, design: PerEquation, cov: Covariance) -> Callable[[int], Array] | None:
        """By `EstimatedUnrestricted`, H that of the rows as they are."""
        if self.K == 1:
            return None
        precision = cov.solve(np.eye(self.K))
        kernel = SeenPatterns(design, triangular(cov).seen(self.patterns), self.n_obs)
        return EstimatedUnrestricted(design, precision, self.counts, kernel.matrix).stretch

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: SecantMemory | None,
        gtol: float,
        lam_F: float = 0.0,
    ) -> Step:
        """The Sigma-step from ``near``, else from the rows of each pair."""
        start = available_pairs(E, self.patterns) if near is None else triangular(near)
        memory = None if block is None else block.copy()
        step = fit_observed_unrestricted(E, self.patterns, start, floor, gtol=gtol, memory=memory)
        return Step(step.cov, step.nll, step.gradient, step.at_bound, step.evaluations, step.memory)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over rows."""
        seen = triangular(cov).seen(self.patterns)
        kernel = SeenPatterns(design, seen, self.n_obs, ridge)
        return CoefficientCovariance(design, cov, self.n_obs, ridge, kernel)

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """The gradient in R, whitened, and the score of beta."""
        point = ObservedLikelihood(E, self.patterns)(triangular(cov))
        return Stationarity(point.size(at_bound), normal.score_size(normal.score(E, gamma)))

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> ObservedUnrestrictedHessian:
        """Products by differences of the gradient."""
        return ObservedUnrestrictedHessian(design, self.patterns, gamma, E, triangular(cov), ridge)

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Not looked at; what vanishes ends on its floor."""
        return True

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> Unrestricted | None:
        """Each equation on all regressors of the rows it has, then the rows of each pair."""
        E = union_residuals(blocks, Y, self.patterns, self.K - 1)
        return None if E is None else available_pairs(E, self.patterns)

    def elsewhere(self, block: SecantMemory | None) -> None:
        """Nothing: curvature is that of a place."""
