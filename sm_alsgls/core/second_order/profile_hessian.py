"""Second-order check without restrictions on Sigma: the Hessian of the profile likelihood.

Sigma = E'E / N maximises the likelihood at every gamma, so the second-order conditions are those of

    psi(gamma) = ( K log 2 pi + log|E'E / N| + K ) / 2,      E = Y - Q gamma,

of which SUR of two equations may have several minima (Drton and Richardson 2004, Biometrika 91).
With P = Sigma^-1 and W = E P its gradient is -Q' vec(W) / N, and along gamma'

    E' = -Q gamma',    N Sigma' = E''E + E'E',    W' = ( E' - W Sigma' ) P,

the product is -Q' vec(W') / N. In coordinates scaled by the standard errors sqrt(N / P_jj) the
spectrum of a well-identified system lies near 1, and Lanczos finds a negative end.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray


class ProfileHessian:
    """The scaled Hessian of psi as an operator on flat vectors (P,).

    Parameters
    ----------
    design : Linear
    E : ndarray, shape (n, K)
        Residuals.
    cov : Unrestricted
        E'E / N.
    n_obs : int
        N.
    ridge : Ridge, optional
        Of the objective.

    Notes
    -----
    A product costs O(n P + n K^2).
    """

    def __init__(
        self, design: Linear, E: Array, cov: Unrestricted, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self._design, self._E, self._cov, self._n_obs = design, E, cov, n_obs
        self._ridge, self._W = ridge, cov.solve(E)
        self.scale = np.sqrt(n_obs / design.diagonal(cov.precision_diag()))
        self.size = len(self.scale)

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled gamma' of a scaled flat vector; Sigma follows, and has no direction."""
        K = self._cov.K
        return v * self.scale, np.zeros((K, 0)), np.zeros(K)

    def dense(self) -> Array:
        """The scaled Hessian, (P, P), by P products."""
        H = np.array([self.apply(v) for v in np.eye(self.size)])
        return 0.5 * (H + H.T)

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        gamma, N = v * self.scale, self._n_obs
        dE = -self._design.fitted(gamma)
        cross = dE.T @ self._E
        dW = self._cov.solve(dE - self._W @ ((cross + cross.T) / N))
        out = -self._design.project(dW) / N
        if self._ridge is not None:
            out += self._ridge.apply(gamma)
        return out * self.scale
