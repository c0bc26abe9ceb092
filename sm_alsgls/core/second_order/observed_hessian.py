"""Second-order check with missing cells: the Hessian of the whole likelihood as an operator.

Products are central differences of the exact gradient in (gamma, F, x = log d),

    H v = ( g(theta + h v) - g(theta - h v) ) / (2 h),

good to h^2 = 1e-8 beside eigenvalues near 1, which is all that `lowest_curvature` asks: whether
one is below -1e-5. Coordinates are scaled as in `core.second_order.curvature`: (gamma) the standard
error, (F) d_j^1/2, (x) 2^1/2, the last two by the share observed besides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, LowRank, RowCovariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

_STEP = 1e-4


class ObservedHessian:
    """The scaled Hessian at one point as an operator on flat vectors (P + K r + K,).

    Parameters
    ----------
    design : Linear
        Zero in missing cells.
    patterns : Patterns
    gamma : ndarray, shape (P,)
    E : ndarray, shape (N, K)
        Residuals at gamma, zero in missing cells.
    cov : LowRank
    free : ndarray of bool, shape (K,), optional
        False where d_j sits on its bound and does not move; its loadings do.
    ridge, lam_F : Ridge, float, optional
        Penalties of the objective.
    objective, seen : callable, optional
        The likelihood of residuals in (F, log d), and Sigma as the cells see it; default those of
        independent rows.

    Notes
    -----
    A product costs two evaluations of the likelihood and its gradient.
    """

    def __init__(
        self,
        design: Linear,
        patterns: Patterns,
        gamma: Array,
        E: Array,
        cov: LowRank,
        free: Array | None = None,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
        objective: Callable[[Array, float], ObservedObjective] | None = None,
        seen: Callable[[Covariance], RowCovariance] | None = None,
    ) -> None:
        self._objective = objective or (lambda E, lam_F: ObservedObjective(E, patterns, lam_F))
        self._seen = seen or (lambda cov: cov.seen(patterns))
        self._design, self._patterns, self._gamma, self._cov = design, patterns, gamma, cov
        self._ridge, self._lam_F = ridge, lam_F
        self._E, self._x = E, np.log(cov.uniquenesses)
        self._K, self._r = cov.loadings.shape
        weight = np.sqrt(patterns.N / patterns.rows)
        moves = np.ones(self._K) if free is None else free
        normal = design.normal(self._seen(cov), patterns.N, ridge)
        self._scale = np.concatenate(
            [
                np.sqrt(patterns.N / normal.diagonal),
                np.repeat(weight * np.sqrt(cov.uniquenesses), self._r),
                np.sqrt(2.0) * weight * moves,
            ]
        )
        self.size = len(self._scale)

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled (gamma', F', x') of a scaled flat vector."""
        v = v * self._scale
        P = self._design.P
        return v[:P], v[P : -self._K].reshape(self._K, self._r), v[-self._K :]

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        # A step of `_STEP` in the largest coordinate, however v is scaled.
        h = _STEP / max(float(np.abs(v).max(initial=0.0)), 1e-300)
        gamma, dF, dx = self.split(v)
        moved = self._design.fitted(gamma)
        sides = [self._gradient(t, gamma, dF, dx, moved) for t in (h, -h)]
        return (sides[0] - sides[1]) * (self._scale / (2.0 * h))

    def _gradient(self, t: float, gamma: Array, dF: Array, dx: Array, moved: Array) -> Array:
        patterns = self._patterns
        E = self._E - t * moved
        F, x = self._cov.loadings + t * dF, self._x + t * dx
        point = self._objective(E, self._lam_F)(F, x)
        cov = LowRankDiag.from_factors(F, np.exp(x))
        normal = self._design.normal(self._seen(cov), patterns.N, self._ridge)
        score = normal.score(E, self._gamma + t * gamma)
        return np.concatenate([-score / patterns.N, point.gradient])
