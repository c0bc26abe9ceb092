"""The low-rank law of whole rows whose equations have one variance d beside the factors.

Sigma = F F' + d I. With the eigenvalues theta_1 >= .. >= theta_K of S = E'E/N and their vectors V,
the maximum is closed (Tipping and Bishop 1999, JRSS B 61):

    d = (theta_(r+1) + .. + theta_K) / (K - r),        F = V_r (Theta_r - d I)^(1/2).

At rank 0 this is the law of least squares over all cells at once. Errors of all equations are in
the same unit: there is no c with which e_j / c_j has this law too but a c that all share, so that
`rescaled` carries the units along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Bread, CoefficientVariance, Linear, Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.cells import WholeRows
from sm_alsgls.core.second_order.curvature import Curvature
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.exceptions import IllegalRankError

Array = np.ndarray


class EqualVariances(WholeRows):
    """Rows e_n ~ N(0, F F' + d I), all of them whole; see `Errors`.

    Parameters
    ----------
    K, n_obs : int
        Equations, and the rows that the likelihood is of.
    units : ndarray, shape (K,), optional
        c where the rows are e_j / c_j.

    Examples
    --------
    >>> E = np.random.default_rng(0).standard_normal((50, 4))
    >>> step = EqualVariances(4, 50).sigma(
    ...     E, 0, floor=np.zeros(4), near=None, d=None, block=None, gtol=1e-8
    ... )
    >>> bool(np.allclose(step.cov.diag(), np.mean(E**2)))
    True
    """

    climbs = False
    bends = False

    def __init__(self, K: int, n_obs: int, units: Array | None = None) -> None:
        super().__init__(K, n_obs)
        self._units = units

    def _in(self, M: Array) -> Array:
        return M if self._units is None else M * self._units

    def parameters(self, rank: int) -> int:
        """K r - r (r - 1) / 2, and d."""
        return self.K * rank - rank * (rank - 1) // 2 + 1

    def taken(self, rank: int) -> float:
        """r: the rows' factors."""
        return float(rank)

    def rescaled(self, c: Array) -> EqualVariances:
        """The same law, which knows the units."""
        units = c if self._units is None else self._units * c
        return EqualVariances(self.K, self.n_obs, units)

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """lam_F sum_j |f_j|^2 / d / 2, as of `FactorLaw`."""
        if lam_F == 0.0:
            return 0.0
        factors = factors_of(cov)
        return 0.5 * lam_F * float(np.sum(factors.loadings**2 / factors.uniquenesses[:, None]))

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
        """Closed: nothing is begun anywhere. d is no lower than the least of ``floor``.

        A ridge moves the roots, lam_F l^2 + l = theta / d, and d by bisection.
        """
        if not 0 <= rank < self.K:
            raise IllegalRankError(
                f"rank={rank} is not identified with {self.K} equations of one variance; the "
                f"largest legal rank is {self.K - 1}"
            )
        E = self._in(E)
        low = float(np.min(floor if self._units is None else floor * self._units**2))
        theta, V = _leading(E, rank, self.n_obs)
        total = float(np.einsum("nk,nk->", E, E)) / self.n_obs
        size, lam = _one_variance(theta, total, self.K, lam_F)
        bound = size < low
        if bound:
            size = low
            lam = _roots(theta / size, lam_F)
        F = V * np.sqrt(size * (lam - 1.0))
        ratio = theta / size
        nll = 0.5 * float(
            self.K * np.log(size)
            + np.log(lam).sum()
            + total / size
            - np.sum(ratio - ratio / lam)
            + lam_F * np.sum(lam - 1.0)
        )
        made = LowRankDiag.from_factors(F, np.full(self.K, size))
        if self._units is not None:
            made = made.scaled(1.0 / self._units)
            nll -= float(np.log(self._units).sum())
        return Step(made, nll, 0.0, np.full(self.K, bound), 1)

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Covariance:
        """``cov``: one variance of all cells needs no prior."""
        return cov

    def stretch(self, design: PerEquation, cov: Covariance) -> None:
        """None: Sigma has K r parameters, and d is known nearly."""

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """``bread`` itself, as `stretch` is None."""
        return bread

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """The gradients in log d and D^-1/2 F, in the unit of d, and the score of beta."""
        score = normal.score_size(normal.score(E, gamma))
        rows = self._in(E)
        factors = factors_of(cov if self._units is None else cov.scaled(self._units))
        F, d = factors.loadings, float(factors.uniquenesses[0])
        W = factors.solve(rows)
        in_F = factors.solve(F.T).T - W.T @ (W @ F) / self.n_obs + lam_F * F / d
        in_d = 0.5 * d * float(factors.precision_diag().sum() - np.sum(W * W) / self.n_obs)
        in_d -= 0.5 * lam_F * float(np.sum(F * F)) / d
        gradient = float(np.abs(d**0.5 * in_F).max(initial=0.0))
        if not at_bound.any():
            gradient = max(gradient, abs(in_d))
        return Stationarity(gradient, score)

    # No second-order check, no Newton, no start from all regressors.
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
        """None."""

    def newton(self, *point: object) -> None:
        """None."""

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> None:
        """None."""

    def along(self, cov: Covariance, curvature: Curvature, sign: float, floor: Array) -> Covariance:
        """``cov``: there is no curvature to go along."""
        return cov

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return design.shared and ridge is None

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """d has a share in every cell: the likelihood is bounded unless all of them fit."""
        return True

    def elsewhere(self, block: Any) -> None:
        """Nothing is kept."""


def _leading(E: Array, rank: int, n_obs: int) -> tuple[Array, Array]:
    """The leading eigenvalues (r,) and vectors (K, r) of E'E / N, zero beyond the rows' number."""
    n, K = E.shape
    theta, V = np.zeros(rank), np.zeros((K, rank))
    if rank == 0:
        return theta, V
    _, size, right = scipy.linalg.svd(E, full_matrices=False)
    r = min(rank, len(size))
    theta[:r], V[:, :r] = size[:r] ** 2 / n_obs, right[:r].T
    return theta, V


def _roots(theta: Array, lam_F: float) -> Array:
    """l, one or more, of lam_F l^2 + l = theta."""
    if lam_F > 0.0:
        theta = 2.0 * theta / (1.0 + np.sqrt(1.0 + 4.0 * lam_F * theta))
    return np.maximum(theta, 1.0)


def _one_variance(theta: Array, total: float, K: int, lam_F: float) -> tuple[float, Array]:
    """d and the roots l of F F' = d V (L - I) V', at which the objective is stationary in d.

    K d = total - sum_i theta_i (1 - 1 / l_i), increasing in d on the left less the right.
    """
    if lam_F == 0.0:
        d = (total - float(theta.sum())) / (K - len(theta))
        return d, _roots(theta / max(d, 1e-300), 0.0)
    low, high = 0.0, total / K
    for _ in range(200):
        d = 0.5 * (low + high)
        lam = _roots(theta / d, lam_F)
        left = total - float(np.sum(theta - theta / lam))
        if K * d < left:
            low = d
        else:
            high = d
        if high - low <= 1e-15 * high:
            break
    return d, lam
