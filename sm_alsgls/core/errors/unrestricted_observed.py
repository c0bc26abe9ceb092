"""The law of an unrestricted Sigma for rows seen in part: Sigma_n = Sigma_OO of row n's cells.

Full-information maximum likelihood (Little and Rubin 2002, chapters 6 and 8) as of
`sm_alsgls.core.errors.observed`, with the Sigma-step of `sm_alsgls.core.sigma.unrestricted`. Every
pair of equations has to meet in some row, or its covariance is not identified.

Where an autoregressive filter left innovations over gaps, which belong to all the rows of their gap
(`sm_alsgls.core.errors.observed`), Sigma is taken for K factors beside what is their own
(`sm_alsgls.covariance.factored`), and the likelihood is that of the observed cells as well. Its
cost is O(N b^2 K), b being K times the rows of the longest gap, in place of O(G K^3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.beta.estimated_unrestricted import EstimatedUnrestricted
from sm_alsgls.core.beta.gap_rows import GapRows
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
from sm_alsgls.core.sigma.unrestricted_gaps import GapLikelihood
from sm_alsgls.covariance.base import Covariance, SeenCells
from sm_alsgls.covariance.factored import factored
from sm_alsgls.covariance.over_gaps import GapCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread
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
    spread : Spread, optional
        Of cells that are made of several rows' innovations.
    """

    def __init__(self, patterns: Patterns, spread: Spread | None = None) -> None:
        super().__init__(patterns)
        self._spread = spread

    def over_gaps(self, spread: Spread) -> ObservedUnrestrictedErrors:
        """The same law of cells some of which are made of several rows' innovations."""
        return ObservedUnrestrictedErrors(self.patterns, spread)

    def spread_slope(self, E: Array, cov: Covariance) -> Array:
        """d NLL per row / d (the parameter of each equation's `Spread`), (K,)."""
        if self._spread is None:
            return np.zeros(self.K)
        return GapCovariance(factored(cov), self.patterns, self._spread).slope(E)

    def seen(self, cov: Covariance) -> SeenCells:
        """``cov`` as the cells see it."""
        if self._spread is None:
            return triangular(cov).seen(self.patterns)
        return GapCovariance(factored(cov), self.patterns, self._spread)

    def objective(self, E: Array) -> ObservedLikelihood:
        """The likelihood of residuals E (N, K)."""
        if self._spread is None:
            return ObservedLikelihood(E, self.patterns)
        return GapLikelihood(E, self.patterns, self._spread)

    def _kernel(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> SeenPatterns | GapRows:
        if self._spread is None:
            return SeenPatterns(design, triangular(cov).seen(self.patterns), self.n_obs, ridge)
        gaps = GapCovariance(factored(cov), self.patterns, self._spread)
        return GapRows(design, gaps, self.n_obs, ridge)

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
        return fit_observed_unrestricted(
            E, self.patterns, start, floor, gtol=_GTOL, likelihood=self.objective(E)
        ).cov

    def stretch(self, design: PerEquation, cov: Covariance) -> Callable[[int], Array] | None:
        """By `EstimatedUnrestricted`, H that of the rows as they are."""
        if self.K == 1:
            return None
        precision = cov.solve(np.eye(self.K))
        kernel = self._kernel(design, cov)
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
        step = fit_observed_unrestricted(
            E,
            self.patterns,
            start,
            floor,
            gtol=gtol,
            memory=memory,
            likelihood=self.objective(E),
        )
        return Step(step.cov, step.nll, step.gradient, step.at_bound, step.evaluations, step.memory)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over rows."""
        kernel = self._kernel(design, cov, ridge)
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
        point = self.objective(E)(triangular(cov))
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
        return ObservedUnrestrictedHessian(
            design, self.patterns, gamma, E, triangular(cov), ridge, self.objective, self.seen
        )

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
