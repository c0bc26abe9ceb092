"""The Hessian of a small system as a matrix, in the coordinates of `LikelihoodHessian`.

For a few dozen parameters a Hessian product is all call overhead, and eight of them cost more
than the matrix. With P = Sigma^-1, C = P S P of residual covariance S = E'E / N, Delta = P - C and
A = P F, B = C F, a change S' of Sigma and one u = Q_j' of coefficient a of equation j move

    Delta' = -P S' P + P S' C + C S' P,        Delta' = P_j v_a' + v_a P_j',    v_a = P E'q_a / N,

so that no array but Q'E has rows. With M = F'A and T = F'B the blocks are

    gamma, gamma    P_jl Q_j' Q_l / N
    F_ik, gamma_a   P_ij (F'v_a)_k + v_ai A_jk
    x_i, gamma_a    d_i P_ij v_ai
    F_il, F_mk      Delta_im [l = k] - P_im M_kl - A_ik A_ml + P_im T_kl + C_im M_kl
                    + A_ik B_ml + B_ik A_ml
    F_il, x_m       d_m ( -P_im A_ml + P_im B_ml + C_im A_ml )
    x_i, x_m        d_i d_m ( -P_im^2 / 2 + P_im C_im ) + [i = m] d_i Delta_ii / 2
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.second_order.curvature import LikelihoodHessian, ScaledHessian
from sm_alsgls.covariance.base import LowRank

Array = np.ndarray

# Added to every curvature, of which most are about 1.
_GAUGE = 1e-8
# Parameters up to which the matrix costs less than eight products: 0.2 ms at 120.
_SMALL = 150


class DenseHessian(ScaledHessian):
    """`LikelihoodHessian` without ridges, formed: ``matrix`` is symmetric, (P + K r + K,) square.

    Cost O(n P^2 + (K r)^2).
    """

    def __init__(
        self, design: Linear, E: Array, cov: LowRank, n_obs: int, free: Array | None = None
    ) -> None:
        super().__init__(design, cov, n_obs, free)
        F, d, K, r, g = self._F, self._d, self._K, self._r, design.P
        f, P, stacked = g + K * r, cov.precision, design.free.stacked
        W = E @ P
        C = (W.T @ W) / n_obs
        Delta, A, B = P - C, P @ F, C @ F
        H = np.empty((self.size, self.size))
        H[:g, :g] = design.drop(design.drop(stacked.spread(P) / n_obs).T)
        v = (stacked.Qt @ W) / n_obs
        # The last axis is one of equations: that of factors would be loops of one or two steps.
        P_of, A_of = P.take(stacked.owner, axis=0), A.take(stacked.owner, axis=0)
        to_F = (v @ F).T[:, :, None] * P_of
        to_F += A_of.T[:, :, None] * v
        H[g:f, :g] = design.drop(to_F.transpose(1, 2, 0).reshape(len(stacked.owner), K * r)).T
        H[f:, :g] = design.drop(P_of * v * d).T
        M, T = F.T @ A, F.T @ B
        # Axes l, k, i, m; Delta is P - C.
        of_P, of_C = (T - M + np.eye(r)).reshape(-1, 1), (M - np.eye(r)).reshape(-1, 1)
        H_FF = (of_P * P.ravel() + of_C * C.ravel()).reshape(r, r, K, K)
        At, Bt = A.T, B.T
        H_FF += At[:, :, None] * (Bt - At)[:, None, None, :]
        H_FF += Bt[:, :, None] * At[:, None, None, :]
        H[g:f, g:f] = H_FF.transpose(2, 0, 3, 1).reshape(K * r, K * r)
        to_x = (C - P)[:, None, :] * A.T + P[:, None, :] * B.T
        H[f:, g:f] = (to_x * d).reshape(K * r, K).T
        H[f:, f:] = P * (C - 0.5 * P) * d * d[:, None]
        H.ravel()[f * (self.size + 1) :: self.size + 1] += 0.5 * d * Delta.diagonal()
        H[:g, g:] = H[g:, :g].T
        H[g:f, f:] = H[f:, g:f].T
        H *= self._scale
        H *= self._scale[:, None]
        self.matrix = H
        # Of F and x = log d, which the Sigma-step leaves within its tolerance of zero.
        self._rest = np.concatenate([(Delta @ F).ravel(), 0.5 * d * Delta.diagonal()])

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        return np.asarray(self.matrix @ v)

    def newton(self, score: Array) -> tuple[Array, Array] | None:
        """Newton's step in (gamma, F, log d), of which gamma (P,) and log d (K,) are returned.

        ``score`` (P,) is that of gamma.

        None where the Hessian is not positive: elsewhere than near a maximum. Rotations of the
        factors have no curvature and no gradient; a little is added, which moves nothing.
        """
        size, g = self.size, len(score)
        H, right = self.matrix.copy(), np.empty(size)
        H.ravel()[:: size + 1] += _GAUGE
        right[:g], right[g:] = score / self.n_obs, -self._rest
        right *= self._scale
        _, step, info = dposv(H.T, right, lower=1, overwrite_a=1, overwrite_b=1)
        if info:
            return None
        step *= self._scale
        return self.design.inside(step[:g]), step[-self._K :]


def is_dense(design: Linear, cov: LowRank, ridge: Ridge | None, lam_F: float) -> bool:
    """Whether the matrix is the cheaper form; of penalties it knows nothing."""
    return design.free.P + cov.K * (cov.rank + 1) <= _SMALL and ridge is None and lam_F == 0.0


def hessian_at(
    design: Linear,
    E: Array,
    cov: LowRank,
    n_obs: int,
    free: Array | None = None,
    ridge: Ridge | None = None,
    lam_F: float = 0.0,
) -> ScaledHessian:
    """The Hessian in its cheaper form; arguments as those of `LikelihoodHessian`."""
    if is_dense(design, cov, ridge, lam_F):
        return DenseHessian(design, E, cov, n_obs, free)
    return LikelihoodHessian(design, E, cov, n_obs, free, ridge, lam_F)
