"""Second-order check of an unrestricted Sigma with missing cells, in (gamma, R).

Products are central differences of the exact gradient, as in
`sm_alsgls.core.second_order.observed_hessian`: of gamma in units of the standard error, and of X in
R <- (I + X) R (`sm_alsgls.core.sigma.unrestricted`), its elements over the root of their curvature
in complete rows, and of the share of rows that sees the pair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.sigma.unrestricted import ObservedLikelihood
from sm_alsgls.covariance.base import Covariance, SeenCells
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.unrestricted import Unrestricted, of_triangle

Array = np.ndarray

_STEP = 1e-4


class ObservedUnrestrictedHessian:
    """The scaled Hessian at one point as an operator on flat vectors (P + K (K + 1) / 2,).

    Parameters
    ----------
    design : Linear
        Zero in missing cells.
    patterns : Patterns
    gamma : ndarray, shape (P,)
    E : ndarray, shape (N, K)
        Residuals at gamma, zero in missing cells.
    cov : Unrestricted
    ridge : Ridge, optional
    objective : callable, optional
        The likelihood of residuals (N, K); default that of rows with holes.
    seen : callable, optional
        A Sigma as the cells see it; default likewise.

    Notes
    -----
    A product costs two evaluations of the likelihood and its gradient. X is relative to ``cov``,
    so that the gradient at a moved point, which is relative to that, is carried back: with
    T = I + X and Gamma there, it is the upper triangle of T^-T Gamma, times T_ii in logs.
    """

    def __init__(
        self,
        design: Linear,
        patterns: Patterns,
        gamma: Array,
        E: Array,
        cov: Unrestricted,
        ridge: Ridge | None = None,
        objective: Callable[[Array], ObservedLikelihood] | None = None,
        seen: Callable[[Covariance], SeenCells] | None = None,
    ) -> None:
        self._design, self._patterns, self._gamma, self._ridge = design, patterns, gamma, ridge
        self._E, self._cov = E, cov
        self._objective = (
            partial(ObservedLikelihood, patterns=patterns) if objective is None else (objective)
        )
        self._seen = partial(_plainly, patterns=patterns) if seen is None else seen
        normal = design.normal(self._seen(cov), patterns.N, ridge)
        self._likelihood = self._objective(E)
        self.scale_of_sigma = np.sqrt(self._likelihood.inverse)
        self._scale = np.concatenate([np.sqrt(patterns.N / normal.diagonal), self.scale_of_sigma])
        self.size = len(self._scale)

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled gamma' of a scaled flat vector; Sigma's part is not told."""
        K = self._cov.K
        return (v * self._scale)[: self._design.P], np.zeros((K, 0)), np.zeros(K)

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        h = _STEP / max(float(np.abs(v).max(initial=0.0)), 1e-300)
        step, P = v * self._scale, self._design.P
        moved = self._design.fitted(step[:P])
        sides = [self._gradient(t, step[:P], step[P:], moved) for t in (h, -h)]
        return (sides[0] - sides[1]) * (self._scale / (2.0 * h))

    def _gradient(self, t: float, gamma: Array, x: Array, moved: Array) -> Array:
        patterns, K = self._patterns, self._cov.K
        upper = self._likelihood.upper
        E = self._E - t * moved
        T = np.zeros((K, K))
        T[upper] = t * x
        T.ravel()[:: K + 1] = np.exp(np.diagonal(T))
        cov = of_triangle(T @ self._cov.root)
        point = self._objective(E)(cov)
        back = np.linalg.solve(T.T, point.whitened)
        back.ravel()[:: K + 1] *= np.diagonal(T)
        normal = self._design.normal(self._seen(cov), patterns.N, self._ridge)
        score = normal.score(E, self._gamma + t * gamma)
        return np.concatenate([-score / patterns.N, back[upper]])


def _plainly(cov: Covariance, patterns: Patterns) -> SeenCells:
    """A Sigma as rows with holes see it."""
    return cov.seen(patterns)
