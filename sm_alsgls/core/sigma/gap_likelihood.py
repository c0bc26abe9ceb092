"""The likelihood of `sm_alsgls.core.sigma.observed_likelihood` where cells lie behind gaps.

With the notation there and in `sm_alsgls.covariance.over_gaps`, c the cells of equation j,

    f        = ( sum_j N_j x_j + log|M| + |u|^2 + |g^|^2 ) / (2 N),    u = D^-1/2 (v - A g^)
    df/da_j  = ( sum_c Q_c a_j - sum_c u_c g^_c ) / N                  (d fixed)
    df/dx_j  = ( N_j - sum_c a_j' Q_c a_j - sum_c u_c^2 ) / (2 N)      (F fixed)

where g_c = sum_k w_ck g_k are the factors that a cell is made of, and Q_c its covariance.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective, ObservedPoint
from sm_alsgls.covariance.cores import frame
from sm_alsgls.covariance.over_gaps import FactorPrecision, covariances
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray


class GapObjective(ObservedObjective):
    """f and its gradient, for residuals E (N, K) that are zero in missing cells."""

    def __init__(self, E: Array, patterns: Patterns, spread: Spread, lam_F: float = 0.0) -> None:
        super().__init__(E, patterns, lam_F)
        self._spread = spread
        self._behind = np.bincount(spread.spans.equation, minlength=patterns.K)

    def __call__(self, F: Array, x: Array) -> ObservedPoint:
        """Evaluate at F (K, r) and x = log d (K,)."""
        self.evaluations += 1
        patterns, spread, N = self.patterns, self._spread, self.patterns.N
        root = np.exp(0.5 * x)
        own = frame(F / root[:, None])
        A, e = own.A, self._Et.T / root
        M = FactorPrecision(own, spread)
        Z = M.solve(spread.returned(e, A))
        U = patterns.masked(e - spread.common(Z, A))
        U2 = np.einsum("nk,nk->k", U, U)
        spread_A = np.einsum("krs,ks->kr", covariances(spread, M.blocks()), A)
        # sum_c u_c g^_c: every cell's u with the rows that it is made of.
        phi = (spread_A - spread.crossed(U, Z)) @ own.T.T / N
        delta = (patterns.rows - np.einsum("kr,kr->k", A, spread_A) - U2) / (2.0 * N)
        logdet = float(patterns.rows @ x) + M.logdet()
        nll = 0.5 * (logdet + float(U2.sum()) + float(np.vdot(Z, Z @ own.prior))) / N
        size = float(np.minimum(self._squares / np.square(root), 100.0 * patterns.rows).sum())
        # A cell behind a gap binds its rows' factors by 1 / d_j: pivots of M lose that in digits.
        lost = 0.05 * float(self._behind @ (self.s / np.square(root)))
        rounding = 1e-15 * (patterns.n_cells + N * abs(nll) + size + lost) / N
        nll, phi, delta = self.with_ridge(F / root[:, None], nll, phi, delta)
        return ObservedPoint(F, x, nll, phi, delta, rounding)
