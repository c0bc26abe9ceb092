"""A panel in units of its errors, with the additive effects projected out.

With weights 1/d_i and W = M_l R diag(d)^-1/2 M_q, R = Y - sum_j b_j X_j, M_l = I - L (L'L)^-1 L'
and M_q the same of q = diag(d)^-1/2 C,

    min over a, xi, F, lambda of  sum_it e_it^2 / d_i  =  sum_{k > r} s_k(W)^2,

for effects l_t' a_i are what the columns of L span whatever the unit weighs, and effects c_i' xi_t
are factors whose loadings, q after weighting, are known. With unit weights M_l and M_q take means
over time and over units. Where errors are correlated in time R and L are first turned into P R and
P L, whose errors are not (`serial`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.serial import whitened

Array = np.ndarray


@dataclass(frozen=True)
class Scaled:
    """W_y, W_x and what they were made with.

    Attributes
    ----------
    y : ndarray, shape (T, n)
        M_l Y diag(d)^-1/2 M_q.
    A : ndarray, shape (p, T n)
        The regressors, the same way, each as one row.
    gram : ndarray, shape (p, p)
        A A'.
    d : ndarray, shape (n,)
    L, Q : ndarray, shape (T, kL) and (n, kC)
        Orthonormal bases of what was projected out.
    rho : float
        Of the errors in time; 0 with missing cells.
    """

    y: Array
    A: Array
    gram: Array
    d: Array
    L: Array
    Q: Array
    rho: float = 0.0

    @property
    def p(self) -> int:
        """Regressors."""
        return self.A.shape[0]

    @property
    def X(self) -> Array:
        """The regressors, shape (p, T, n)."""
        return self.A.reshape(-1, *self.y.shape)

    def residual(self, beta: Array) -> Array:
        """W(b), shape (T, n)."""
        return self.y - (beta @ self.A).reshape(self.y.shape)

    def project(self, M: Array) -> Array:
        """M_l M M_q of a matrix that is in units of the errors."""
        return projected(M, self.L, self.Q)

    def with_y(self, Y: Array) -> Scaled:
        """The same regressors with another response, as observed."""
        y = self.project(whitened(Y / np.sqrt(self.d), self.rho))
        return replace(self, y=y)

    def least_squares(self) -> Array:
        """b without factors."""
        return np.asarray(np.linalg.lstsq(self.gram, self.A @ self.y.ravel(), rcond=None)[0])


def projected(M: Array, L: Array, Q: Array) -> Array:
    """(I - L L') M (I - Q Q') for orthonormal L, Q; M may be a stack."""
    if L.shape[1]:
        M = M - L @ (L.T @ M)
    if Q.shape[1]:
        M = M - (M @ Q) @ Q.T
    return M


def scaled(panel: Panel, effects: Effects, d: Array, rho: float = 0.0) -> Scaled:
    """The panel in units of its errors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> panel = Panel(rng.standard_normal((6, 4)), rng.standard_normal((1, 6, 4)))
    >>> W = scaled(panel, Effects.of(6, 4, unit=True, time=True), np.ones(4))
    >>> two_way = panel.Y - panel.Y.mean(0) - panel.Y.mean(1)[:, None] + panel.Y.mean()
    >>> bool(np.allclose(W.y, two_way))
    True
    """
    root = np.sqrt(d)
    L, Q = basis(whitened(effects.about[0], rho)), basis(effects.C / root[:, None])
    y = projected(whitened(panel.Y / root, rho), L, Q)
    A = np.empty((panel.p, panel.Y.size))
    for j, X in enumerate(panel.X):
        # Twice: a regressor may have a mean that is large beside its variation.
        A[j] = projected(projected(whitened(X / root, rho), L, Q), L, Q).ravel()
    return Scaled(y, A, A @ A.T, d, L, Q, rho)


def basis(M: Array) -> Array:
    """An orthonormal basis of the columns of M."""
    if M.shape[1] == 0:
        return M
    if M.shape[1] == 1:
        return M / np.linalg.norm(M)
    return np.asarray(scipy.linalg.orth(M / np.linalg.norm(M, axis=0)))
