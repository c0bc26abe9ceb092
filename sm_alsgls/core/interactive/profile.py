"""The sum of squares as a function of b alone, with its gradient and Hessian.

    S(b) = sum_{k > r} s_k(W)^2 = |E|^2,      W = W_y - sum_j b_j A_j = U s V' + E

(Moon and Weidner 2015, Econometrica 83). With l_i = s_i^2 of the r leading triplets, by
perturbation of the sum of the l_i,

    dS/db_j        = -2 tr A_j' E                                            (the envelope)
    d2S/db_j db_k  =  2 tr A_j' A_k - 2 sum_{i <= r} [ (A_j v_i)'(A_k v_i) + g_ij' K_i g_ik ]
    g_ij = s_i M_V A_j' u_i + E' A_j v_i,      K_i = (l_i I - E'E)^-1  on the complement of V.

K_i by conjugate gradients, whose matrix has eigenvalues between l_i - l_{r+1} and l_i. Without E
the Hessian is 2 tr A_j' M_U A_k M_V, what Gauss and Newton would take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.interactive.leading import Leading, leading
from sm_alsgls.core.interactive.scaled import Scaled

Array = np.ndarray

_MOST_CG = 60


class Point(NamedTuple):
    """S and all that was found with it at one b."""

    beta: Array  #: (p,)
    S: float
    E: Array  #: (T, n), what the leading triplets leave
    factors: Leading
    gradient: Array  #: (p,)


def point(W: Scaled, rank: int, beta: Array, block: Array | None = None) -> Point:
    """S, E and the gradient at ``beta``; ``block`` is of a near point."""
    R = W.residual(beta)
    found = leading(R, rank, block)
    E = R - found.product() if rank else R
    return Point(beta, float(np.vdot(E, E)), E, found, -2.0 * (W.A @ E.ravel()))


def hessian(W: Scaled, at: Point, cg_tol: float = 1e-8) -> Array:
    """The second derivatives of S, shape (p, p); cost 4 p r products of a vector with E and A."""
    U, s, V, _ = at.factors
    r = len(s)
    H = W.gram.copy()
    if r:
        X, E = W.X, at.E
        AV = X @ V  # p, T, r
        AU = np.swapaxes(X, 1, 2) @ U  # p, n, r
        AU -= V @ (V.T @ AU)
        g = s * AU + E.T @ AV
        p, n, _ = g.shape
        right = np.swapaxes(g, 0, 1).reshape(n, p * r)
        solved = _shifted(E, np.tile(s * s, p), right, cg_tol).reshape(n, p, r)
        H -= np.einsum("jti,kti->jk", AV, AV) + np.einsum("jni,nki->jk", g, solved)
    return H + H.T


def gauss_newton(W: Scaled, at: Point) -> Array:
    """2 tr A_j' M_U A_k M_V, shape (p, p)."""
    Z = orthogonal(W, at.factors)
    return 2.0 * (Z @ Z.T)


def orthogonal(W: Scaled, factors: Leading) -> Array:
    """M_U A_j M_V as rows (p, T n): what of the regressors neither factors nor loadings span."""
    U, _, V, _ = factors
    X = W.X
    Z = X - U @ (U.T @ X)
    Z -= (Z @ V) @ V.T
    return Z.reshape(W.A.shape)


def _shifted(E: Array, shift: Array, right: Array, tol: float) -> Array:
    """(shift_c I - E'E)^-1 of each column c, by conjugate gradients."""
    x = right / shift
    res = right - (shift * x - E.T @ (E @ x))
    direction = res.copy()
    rho = np.einsum("nc,nc->c", res, res)
    enough = tol**2 * np.einsum("nc,nc->c", right, right)
    for _ in range(_MOST_CG):
        if np.all(rho <= enough):
            break
        image = shift * direction - E.T @ (E @ direction)
        curvature = np.einsum("nc,nc->c", direction, image)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where((curvature > 0.0) & (rho > enough), rho / curvature, 0.0)
        x += step * direction
        res -= step * image
        new = np.einsum("nc,nc->c", res, res)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(rho > 0.0, new / rho, 0.0)
        direction = res + ratio * direction
        rho = new
    return x
