"""What a law of the errors does whose Sigma has one or two parameters for all equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sm_alsgls.core.design.base import Bread, CoefficientVariance, Linear, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.cells import WholeRows
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


class Tied:
    """Errors e_nj = u_j times such as have one Sigma whatever the order of equations.

    Which cells there are is said beside it (`sm_alsgls.core.errors.cells`).
    """

    units: Array
    climbs = False
    bends = False

    def taken(self, rank: int) -> float:
        """0: all equations have one parameter or two together."""
        return 0.0

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Covariance:
        """``cov`` itself."""
        return cov

    def stretch(self, design: PerEquation, cov: Covariance) -> None:
        """None: the estimation of one or two parameters adds nothing of the order of 1/N."""

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """``bread`` itself, for the same reason."""
        return bread

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """0: there is nothing to shrink."""
        return 0.0

    def along(self, cov: Covariance, curvature: Curvature, sign: float, floor: Array) -> Covariance:
        """``cov``: Sigma follows the coefficients."""
        return cov

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> None:
        """None: no second-order check."""

    def newton(self, *point: object) -> None:
        """None."""

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Where there are more cells than coefficients."""
        return True

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> None:
        """None."""

    def elsewhere(self, block: Any) -> None:
        """Nothing is kept."""

    def _lowest(self, floor: Array) -> float:
        """The bound of a variance of e_j / u_j, from those of d_j."""
        return float(np.max(floor / self.units**2))


class TiedLaw(Tied, WholeRows):
    """Whole rows e_n ~ N(0, Sigma), Sigma the same for e_nj / u_j whatever the order of equations.

    Parameters
    ----------
    K, n_obs : int
        Equations, and the rows that the likelihood is of.
    units : ndarray, shape (K,), optional
        u; default 1.
    """

    def __init__(self, K: int, n_obs: int, units: Array | None = None) -> None:
        super().__init__(K, n_obs)
        self.units = np.ones(K) if units is None else units

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return design.shared and ridge is None
