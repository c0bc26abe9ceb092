"""The likelihood of residuals observed in part, as a function of (F, log d), beside neighbours.

Residuals e of whole rows would follow Omega = B^-1 (F F' + D) B^-T; of rows with holes what is
missing is integrated out (`sm_alsgls.covariance.filled_rows`). By Fisher's identity the gradient
is that of whole rows, expected given what is observed: with u the filled rows and the extra ones,
through B, and S = sum u u' / N,

    df/dSigma = (P - P S P) / 2,     P = (F F' + D)^-1,
    df/da_j   = root_j ((P - P S P) F)_j     (d fixed),
    df/dx_j   = d_j (P - P S P)_jj / 2       (F fixed),      x = log d,  root = d^1/2.

The search is that of `sm_alsgls.core.sigma.observed_factor`, whose preconditioner it shares.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.sigma.filled_unrestricted import Expecting
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective, ObservedPoint
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


class FilledObjective(ObservedObjective):
    """f and its gradient, without constants and any log-Jacobian, for residuals E (N, K).

    Parameters
    ----------
    E : ndarray, shape (N, K)
    patterns : Patterns
        Which cells there are.
    near : LowRankDiag
        Sigma to read the size of what is left off: where the search begins.
    expecting : Expecting
        Of these residuals.
    jacobian : float
        log|B|, which Omega's log-determinant has and f has not.
    lam_F : float
    """

    #: Not with cells that are filled by their neighbours.
    closed = False

    def __init__(
        self,
        E: Array,
        patterns: Patterns,
        near: Covariance,
        expecting: Expecting,
        jacobian: float,
        lam_F: float = 0.0,
    ) -> None:
        super().__init__(E, patterns, lam_F)
        self._expecting, self._jacobian = expecting, jacobian
        total = np.zeros(patterns.K)
        for U in expecting.left(expecting.seen(near)):
            total += np.square(U).sum(axis=0)
        self.s = total / patterns.N
        self._behind = patterns.N - patterns.rows

    def __call__(self, F: Array, x: Array) -> ObservedPoint:
        """Evaluate at F (K, r) and x = log d (K,)."""
        self.evaluations += 1
        patterns, N = self.patterns, self.patterns.N
        root = np.exp(0.5 * x)
        cov = LowRankDiag.from_factors(F, np.square(root))
        seen = self._expecting.seen(cov)
        PF = cov.solve(F.T).T
        pulled, squares, quad = np.zeros(F.shape), np.zeros(patterns.K), None
        for U in self._expecting.left(seen):
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
