"""Second-order check with missing cells: the Hessian of the whole likelihood as an operator.

Products are central differences of the exact gradient in (gamma, F, x = log d),

    H v = ( g(theta + h v) - g(theta - h v) ) / (2 h),

good to h^2 = 1e-8 beside eigenvalues near 1, which is all that `lowest_curvature` asks: whether
one is below -1e-5. Coordinates are scaled as in `core.second_order.curvature`: (gamma) the standard
error, (F) d_j^1/2, (x) 2^1/2, the last two by the share observed besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.covariance import LowRankDiag

if TYPE_CHECKING:
    from sm_alsgls.core.errors.observed_problem import ObservedProblem

Array = np.ndarray

_STEP = 1e-4


class ObservedHessian:
    """The scaled Hessian at one point as an operator on flat vectors (P + K r + K,).

    Parameters
    ----------
    problem : ObservedProblem
    gamma : ndarray, shape (P,)
    cov : LowRankDiag
    free : ndarray of bool, shape (K,), optional
        False where d_j sits on its bound and does not move; its loadings do.

    Notes
    -----
    A product costs two evaluations of the likelihood and its gradient.
    """

    def __init__(
        self,
        problem: ObservedProblem,
        gamma: Array,
        cov: LowRankDiag,
        free: Array | None = None,
    ) -> None:
        self._problem, self._gamma, self._cov = problem, gamma, cov
        self._E, self._x = problem.residuals(gamma), np.log(cov.uniquenesses)
        self._K, self._r = cov.loadings.shape
        weight = np.sqrt(problem.n_obs / problem.patterns.rows)
        moves = np.ones(self._K) if free is None else free
        self._scale = np.concatenate(
            [
                np.sqrt(problem.n_obs / problem.steps.normal(cov).diagonal),
                np.repeat(weight * np.sqrt(cov.uniquenesses), self._r),
                np.sqrt(2.0) * weight * moves,
            ]
        )
        self.size = len(self._scale)

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled (gamma', F', x') of a scaled flat vector."""
        v = v * self._scale
        P = self._problem.design.P
        return v[:P], v[P : -self._K].reshape(self._K, self._r), v[-self._K :]

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        # A step of `_STEP` in the largest coordinate, however v is scaled.
        h = _STEP / max(float(np.abs(v).max(initial=0.0)), 1e-300)
        gamma, dF, dx = self.split(v)
        moved = self._problem.design.fitted(gamma)
        sides = [self._gradient(t, gamma, dF, dx, moved) for t in (h, -h)]
        return (sides[0] - sides[1]) * (self._scale / (2.0 * h))

    def _gradient(self, t: float, gamma: Array, dF: Array, dx: Array, moved: Array) -> Array:
        problem = self._problem
        E = self._E - t * moved
        F, x = self._cov.loadings + t * dF, self._x + t * dx
        point = ObservedObjective(E, problem.patterns, problem.options.lam_F)(F, x)
        normal = problem.steps.normal(LowRankDiag.from_factors(F, np.exp(x)))
        score = normal.score(E, self._gamma + t * gamma)
        return np.concatenate([-score / problem.n_obs, point.gradient])
