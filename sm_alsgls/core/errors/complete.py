"""The low-rank law of whole rows: one Sigma = F F' + D for all of them, which may be compressed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.core.beta.kackar_harville import KackarHarville
from sm_alsgls.core.design.base import (
    Bread,
    CoefficientVariance,
    Linear,
    Normal,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Direction
from sm_alsgls.core.errors.cells import WholeRows
from sm_alsgls.core.errors.factor_law import FactorLaw
from sm_alsgls.core.second_order.curvature import ScaledHessian, off_bounds
from sm_alsgls.core.second_order.dense_hessian import DenseHessian, hessian_at, is_dense
from sm_alsgls.core.second_order.stationarity import Stationarity, stationarity
from sm_alsgls.core.sigma.bounded import is_bounded
from sm_alsgls.core.sigma.factor import FactorSolution, fit_factor
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# The share of an OLS residual variance that every d_j has there.
_AWAY = 1e-3
# Beyond, residuals on all regressors cost as much as a start.
_UNION_FLOPS = 5e7


class CompleteErrors(FactorLaw, WholeRows):
    """Rows e_n ~ N(0, F F' + D), all of them whole; see `Errors`.

    Parameters
    ----------
    K, n_obs : int
        Equations, and the rows that the likelihood is of, however many stand for them.
    """

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """By `KackarHarville`; d_j on its bound is not estimated, but has a prior when debiased."""
        factors = factors_of(cov)
        if factors.rank == 0:
            return bread
        return KackarHarville(bread, factors, self.n_obs, None if debiased else ~at_bound)

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
    ) -> FactorSolution:
        """Factor analysis; loadings are closed-form given d, but those of ``near`` are near."""
        if d is None and near is None:
            # Equal shares commute with permuting equations; a saddle they end on shows in the
            # curvature, and other starts are not symmetric.
            d = 0.5 * np.vecdot(E.T, E.T) / self.n_obs
        elif d is None and near is not None:
            d = factors_of(near).uniquenesses
        if block is None and near is not None:
            block = factors_of(near).loadings / factors_of(near).uniquenesses[:, None]
        return fit_factor(
            E,
            rank,
            n_obs=self.n_obs,
            d=d,
            floor=floor,
            lam_F=lam_F,
            gtol=gtol,
            block=block,
            near=None if near is None else factors_of(near),
        )

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """By the function of that name."""
        return stationarity(normal, gamma, E, factors_of(cov), at_bound, self.n_obs, lam_F)

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> ScaledHessian:
        """A matrix, or products, in closed form."""
        factors = factors_of(cov)
        free = off_bounds(factors, floor)
        return hessian_at(design, E, factors, self.n_obs, free, ridge, lam_F)

    def newton(
        self,
        design: Linear,
        E: Array,
        cov: Covariance,
        score: Array,
        at_bound: Array,
        s_ols: Array,
        ridge: Ridge | None,
        lam_F: float,
    ) -> Direction | None:
        """Where the Hessian is a matrix, beta near the maximum, and no d_j near its bound.

        There log d runs off, and the likelihood is no quadratic.
        """
        factors = factors_of(cov)
        if not is_dense(design, factors, ridge, lam_F):
            return None
        if (factors.uniquenesses < _AWAY * s_ols).any():
            return None
        step = DenseHessian(design, E, factors, self.n_obs, ~at_bound).newton(score)
        if step is None:
            return None
        return Direction(step[0], factors.uniquenesses * np.exp(np.clip(step[1], -1.0, 1.0)))

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return design.shared and ridge is None

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """By `is_bounded`, where coefficients are free and loadings not shrunk."""
        if rank == 0 or design.restricted or lam_F > 0.0:
            return True
        return is_bounded(design.free, rank, self.n_obs)

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> LowRankDiag | None:
        """One regression for all equations, as all have all rows."""
        E = union_residuals(design, Y, s_ols, self.n_obs, rank)
        if E is None:
            return None
        return fit_factor(E, rank, n_obs=self.n_obs, gtol=1e-3).cov

    def elsewhere(self, block: Any) -> Any:
        """All of it: a basis for eigen-iterations does no harm."""
        return block


def union_residuals(design: Linear, Y: Array, s_ols: Array, n_obs: int, spare: int) -> Array | None:
    """Residuals (n, K) of whole rows on every regressor of the system.

    None where these are the OLS residuals, where that costs much, or where no more than ``spare``
    rows are left.
    """
    n, K = Y.shape
    free = design.free
    # Equal designs whose coefficients are tied span what one of them does.
    bases = 1 if free.shared else K
    if design.shared or n * min(int(free.p[:bases].sum()), n) * K > _UNION_FLOPS:
        return None
    Q = np.concatenate([free.basis(j) for j in range(bases)], axis=1)
    U, size, _ = np.linalg.svd(Q, full_matrices=False)
    U = U[:, size > 1e-8 * size[0]]
    E = Y - U @ (U.T @ Y)
    s = np.einsum("nk,nk->k", E, E) / n_obs
    if n - U.shape[1] <= spare or np.any(s < 1e-10 * s_ols):
        return None
    return np.asfortranarray(E)
