"""What a law of the errors does because its Sigma is low rank plus diagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np

from sm_alsgls.core.beta.estimated_sigma import EstimatedSigma
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.loading_prior import with_loading_prior
from sm_alsgls.core.second_order.curvature import Curvature, along
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, LowRank, factors_of

Array = np.ndarray


class FactorLaw:
    """Sigma = F F' + D of K equations, whichever cells there are."""

    K: int
    climbs = True
    bends = False
    swept = 0
    one_variance = False

    def parameters(self, rank: int) -> int:
        """K r + K - r (r - 1) / 2."""
        return sigma_parameters(self.K, rank)

    def taken(self, rank: int) -> float:
        """r: the rows' factors."""
        return float(rank)

    def interval_sigma(
        self: Errors,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> LowRank:
        """Loadings under the prior that they show (`sm_alsgls.core.errors.loading_prior`)."""
        return with_loading_prior(self, E, factors_of(cov), p, floor, lam_F).canonical()

    def stretch(self: Errors, design: PerEquation, cov: Covariance) -> Callable[[int], Array]:
        """In closed form (`sm_alsgls.core.beta.estimated_sigma`)."""
        return EstimatedSigma(design, factors_of(cov), self.counts).stretch

    def rescaled(self, c: Array) -> Self:
        """Itself: factors and uniquenesses of e_j / c_j are any, as before."""
        return self

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """lam_F sum_j |f_j|^2 / d_j / 2."""
        if lam_F == 0.0:
            return 0.0
        factors = factors_of(cov)
        return 0.5 * lam_F * float(np.sum(factors.loadings**2 / factors.uniquenesses[:, None]))

    def along(
        self, cov: Covariance, curvature: Curvature, sign: float, floor: Array
    ) -> LowRankDiag:
        """By the function of that name."""
        return along(factors_of(cov), curvature, sign, floor)
