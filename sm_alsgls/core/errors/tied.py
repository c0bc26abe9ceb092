"""What a law of the errors does whose Sigma has one or two parameters for all equations."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.seen_rows import SeenRows
from sm_alsgls.core.design.base import Bread, CoefficientVariance, Linear, Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.cells import RowsWithHoles, WholeRows
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


class NoCurvature:
    """A law whose Hessian nobody has written: no second-order check, and no Newton steps."""

    def along(self, cov: Covariance, curvature: Curvature, sign: float, floor: Array) -> Covariance:
        """``cov``: there is no curvature to go along."""
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
        """None: secant pairs alone."""

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> None:
        """None: no start from residuals on all regressors."""


class Tied(NoCurvature, abc.ABC):
    """Errors e_nj = u_j times such as have one Sigma whatever the order of equations.

    Which cells there are is said beside it (`sm_alsgls.core.errors.cells`). Laws have `fitted`, the
    Sigma-step, which starts from nothing, and `slope`.
    """

    units: Array
    climbs = False
    bends = False
    swept = 0
    one_variance = False

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

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Where there are more cells than coefficients."""
        return True

    def elsewhere(self, block: Any) -> None:
        """Nothing is kept."""

    @abc.abstractmethod
    def fitted(self, E: Array, floor: Array) -> Step:
        """The Sigma-step of residuals E (n, K), above the bounds ``floor`` of d."""

    @abc.abstractmethod
    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """Largest gradient per row in the logs of Sigma's parameters that may move."""

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float = 0.0,
    ) -> Step:
        """`fitted`, whatever there was before."""
        return self.fitted(E, floor)

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """`slope`, and the score of beta."""
        score = normal.score_size(normal.score(E, gamma))
        return Stationarity(self.slope(E, cov, at_bound), score)

    def _variance(self, cov: Covariance) -> float:
        """s of Sigma = .. + s diag(u^2)."""
        return float(factors_of(cov).uniquenesses[0]) / self.units[0] ** 2

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

    def rescaled(self, c: Array) -> Self:
        """With units u / c."""
        return type(self)(self.K, self.n_obs, self.units / c)

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return design.shared and ridge is None


class TiedCells(Tied, RowsWithHoles):
    """Rows with holes, whose cells have one law whatever the order of equations.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    units : ndarray, shape (K,), optional
        u; default 1.
    """

    def __init__(self, patterns: Patterns, units: Array | None = None) -> None:
        super().__init__(patterns)
        self.units = np.ones(patterns.K) if units is None else units
        self._T = patterns.mask.sum(axis=1).astype(float)

    def rescaled(self, c: Array) -> Self:
        """With units u / c."""
        return type(self)(self.patterns, self.units / c)

    def seen(self, cov: Covariance) -> ObservedCovariance:
        """``cov`` as the rows see it."""
        return ObservedCovariance(factors_of(cov), self.patterns)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over rows."""
        seen = self.seen(cov)
        kernel = SeenRows(design, seen, self.n_obs, ridge)
        return CoefficientCovariance(design, seen.cov, self.n_obs, ridge, kernel)
