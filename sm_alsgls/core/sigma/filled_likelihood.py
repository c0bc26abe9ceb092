"""The likelihood of residuals observed in part, as a function of (F, log d), beside neighbours.

Residuals e of whole rows would follow Omega = B^-1 (F F' + D) B^-T; of rows with holes what is
missing is integrated out (`sm_alsgls.covariance.through_holes`). By Fisher's identity the gradient
is that of whole rows, expected given what is observed: with u the filled rows and the extra ones,
through B, and S = sum u u' / N,

    df/dSigma = (P - P S P) / 2,     P = (F F' + D)^-1,
    df/da_j   = root_j ((P - P S P) F)_j     (d fixed),
    df/dx_j   = d_j (P - P S P)_jj / 2       (F fixed),      x = log d,  root = d^1/2.

The search is that of `sm_alsgls.core.sigma.observed_factor`, whose preconditioner it shares.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective, ObservedPoint
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.through_holes import Holes, ThroughHoles

Array = np.ndarray


class FilledObjective(ObservedObjective):
    """f and its gradient, without constants and any log-Jacobian, for residuals E (N, K).

    Parameters
    ----------
    E : ndarray, shape (N, K)
    holes : Holes
    near : LowRankDiag
        Sigma to read the size of what is left off: where the search begins.
    over : callable
        Omega of a Sigma, but for log-Jacobians.
    through : callable
        Rows of e as rows of what is left, through B.
    jacobian : float
        log|B|, which Omega's log-determinant has and f has not.
    lam_F : float
    """

    #: Not with cells that are filled by their neighbours.
    closed = False

    def __init__(
        self,
        E: Array,
        holes: Holes,
        near: Covariance,
        over: Callable[[Covariance], Covariance],
        through: Callable[[Array], Array],
        jacobian: float,
        lam_F: float = 0.0,
    ) -> None:
        super().__init__(E, holes.patterns, lam_F)
        self._E, self._holes, self._over, self._through = E, holes, over, through
        self._jacobian = jacobian
        patterns = self.patterns
        seen = ThroughHoles(over(near), holes)
        total = np.zeros(patterns.K)
        for U in self._left(seen):
            total += np.square(U).sum(axis=0)
        self.s = total / patterns.N
        self._behind = patterns.N - patterns.rows

    def _left(self, seen: ThroughHoles) -> list[Array]:
        return [self._through(rows) for rows in (seen.filled(self._E), *seen.extra())]

    def __call__(self, F: Array, x: Array) -> ObservedPoint:
        """Evaluate at F (K, r) and x = log d (K,)."""
        self.evaluations += 1
        patterns, N = self.patterns, self.patterns.N
        root = np.exp(0.5 * x)
        cov = LowRankDiag.from_factors(F, np.square(root))
        seen = ThroughHoles(self._over(cov), self._holes)
        PF = cov.solve(F.T).T
        pulled, squares, quad = np.zeros(F.shape), np.zeros(patterns.K), None
        for U in self._left(seen):
            V = cov.solve(U)
            # The filled rows come first, and are those of the quadratic form.
            quad = cov.quad(U) if quad is None else quad
            pulled += V.T @ (U @ PF)
            squares += np.square(V).sum(axis=0)
        assert quad is not None
        phi = root[:, None] * (PF - pulled / N)
        delta = 0.5 * np.square(root) * (cov.precision_diag() - squares / N)
        nll = 0.5 * (seen.logdet() + quad) / N + self._jacobian
        size = float(np.minimum(self.s * N / np.square(root), 100.0 * N).sum())
        # A missing cell is bound to others by 1 / d_j: Cholesky factors lose that in digits.
        lost = 0.05 * float(self._behind @ (self.s / np.square(root)))
        rounding = 1e-15 * (N * patterns.K + N * abs(nll) + size + lost) / N
        nll, phi, delta = self.with_ridge(F / root[:, None], nll, phi, delta)
        return ObservedPoint(F, x, nll, phi, delta, rounding)
