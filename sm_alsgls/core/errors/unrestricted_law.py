"""What a law of the errors does because its Sigma is any positive definite matrix."""

from __future__ import annotations

from typing import Self

import numpy as np

from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


class UnrestrictedLaw:
    """Any Sigma of K equations, whichever cells there are (`sm_alsgls.core.errors.cells`)."""

    K: int
    climbs = False
    bends = True
    swept = 0
    one_variance = False

    def parameters(self, rank: int) -> int:
        """K (K + 1) / 2."""
        return self.K * (self.K + 1) // 2

    def taken(self, rank: int) -> float:
        """0: Sigma of OLS residuals has lost p_j only."""
        return 0.0

    def rescaled(self, c: Array) -> Self:
        """Itself: the Sigma of e_j / c_j is any, as before."""
        return self

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """There are no loadings to shrink."""
        return 0.0

    def along(self, cov: Covariance, curvature: Curvature, sign: float, floor: Array) -> Covariance:
        """``cov``: Sigma follows the coefficients."""
        return cov
