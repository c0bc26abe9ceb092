"""The likelihood of residuals observed in part, as a function of (F, log d): value and gradient.

With the notation of `covariance.observed` (a_j rows of A = D^-1/2 F, e = E D^-1/2, x = log d)
the negative log-likelihood per row, without its constant, and its gradient are

    f        = ( sum_j N_j x_j + sum_n log|C_n| + sum_n |u_n|^2 + |z_n|^2 ) / (2 N)
    df/da_j  = ( sum_n m_nj C_n^-1 a_j - sum_n u_nj z_n ) / N                      (d fixed)
    df/dx_j  = ( N_j - sum_n m_nj a_j' C_n^-1 a_j - sum_n u_nj^2 ) / (2 N)         (F fixed)

since A'u_n = z_n (in the complete case: Jöreskog 1967, Psychometrika 32, whose closed form for F
needs one Sigma for all rows). The sums over rows are products of the mask with the packed C_n^-1
and z_n z_n', and of E with the z_n, so an evaluation is five thin matrix products and no (N, K)
array; only equations with d_j below 1 % of s_j, where sum u^2 would cancel, get their u.

The module also holds the preconditioner of a search over (F, x): the Fisher information of one
complete sample, loadings shrunk by the root of the share observed, pi_j = N_j / N. With
Omega = I + A A', Q = Omega^-1, and (phi, delta) the steps in D^-1/2 F and x,

    I(phi, delta) = tr( Q dOmega Q dOmega ) / 2,     dOmega = phi A' + A phi' + diag(delta),

whose blocks, with A = V diag(sigma), lambda = 1 + sigma^2 (V'V = I after a rotation), are

    phi   -> phi     ( phi_perp + V diag(2 / lambda) V'phi ) diag(1 - 1/lambda)
    delta -> phi     Q diag(delta) A diag(1/lambda),           and its transpose
    delta -> delta   after phi has been eliminated: the diagonal of (I - V V') o (I - V V') / 2

(the first on steps that are not rotations of F, which the gradient has no part in; the last is
Jöreskog's approximation of the profile likelihood's Hessian). Everything turns with F.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sm_alsgls.covariance.cores import cores, frame, pairs, unpacked
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Above this ratio s_j / d_j sum_n u_nj^2 loses too many digits as a difference.
_NEAR_HEYWOOD = 1e2
# Smallest 1 - 1/lambda of the preconditioner: the information on a factor that has vanished is
# zero, and a step along it is not infinite.
_WEAKEST = 0.1
# Smallest 1 - |v_j|^2 there: that of an equation that is all factor vanishes.
_LEAST_SHARE = 0.3


@dataclass(frozen=True)
class ObservedPoint:
    """A point of the search; gradients per row, ``phi`` in D^-1/2 F, ``delta`` in x."""

    F: Array
    x: Array
    nll: float
    phi: Array
    delta: Array
    rounding: float

    @property
    def d(self) -> Array:
        """Uniquenesses, (K,)."""
        return np.exp(self.x)

    @property
    def gradient(self) -> Array:
        """In (F, x), flat."""
        return np.concatenate([(self.phi * np.exp(-0.5 * self.x)[:, None]).ravel(), self.delta])

    def size(self, at_bound: Array) -> float:
        """Largest element in x over free d_j, and in D^-1/2 F over equations off their bound."""
        free = ~at_bound
        phi = float(np.abs(self.phi[free]).max(initial=0.0))
        return max(phi, float(np.abs(self.delta[free]).max(initial=0.0)))

    def moved(self, step: Array) -> tuple[Array, Array]:
        """F and x after a flat step in (F, x)."""
        cut = self.F.size
        return self.F + step[:cut].reshape(self.F.shape), self.x + step[cut:]


class ObservedObjective:
    """f and its gradient, for residuals E (N, K) that are zero in missing cells.

    Attributes
    ----------
    s : ndarray, shape (K,)
        |e_j|^2 / N_j.
    share : ndarray, shape (K,)
        pi_j = N_j / N.
    evaluations : int
    closed : bool
        Whether d is s where there are no factors.
    """

    closed = True

    def __init__(self, E: Array, patterns: Patterns, lam_F: float = 0.0) -> None:
        self.patterns, self._Et, self._lam_F = patterns, E.T, lam_F
        self._squares = np.vecdot(E.T, E.T)
        self.s = self._squares / patterns.rows
        self.share = patterns.rows / patterns.N
        self.evaluations = 0

    def __call__(self, F: Array, x: Array) -> ObservedPoint:
        """Evaluate at F (K, r) and x = log d (K,)."""
        self.evaluations += 1
        patterns, r = self.patterns, F.shape[1]
        N = patterns.N
        root = np.exp(0.5 * x)
        own = frame(F / root[:, None])
        A = own.A
        core = cores(own, patterns)
        T = (A / root[:, None]).T @ self._Et
        Z = np.einsum("ijn,jn->in", patterns.to_rows(core.inverse), T)
        # sum_n m_nj (C_n^-1, z_n z_n') for every j, packed.
        packed = core.inverse[np.tril_indices(r)] * patterns.counts
        both = np.concatenate([packed, patterns.sums(pairs(Z.T).T)])
        sums = (patterns.cells @ both.T).T.reshape(2, len(packed), patterns.K)
        sums = unpacked(sums.swapaxes(0, 1), r)
        spread, squares = np.einsum("ijsk,kj->ski", sums, A)
        EZ = (self._Et @ Z.T) / root[:, None]
        UZ = EZ - squares
        ratio = self._squares / np.square(root)
        U2 = ratio - np.einsum("kr,kr->k", A, EZ + UZ)
        near = np.flatnonzero(ratio >= _NEAR_HEYWOOD * patterns.rows)
        if near.size:
            U = self._Et[near] / root[near, None] - A[near] @ Z
            U *= patterns.mask.T[near]
            U2[near] = np.vecdot(U, U)
            ratio[near] = patterns.rows[near] * _NEAR_HEYWOOD
        delta = (patterns.rows - np.einsum("kr,kr->k", A, spread) - U2) / (2.0 * N)
        logdet = float(patterns.rows @ x + patterns.counts @ core.logdet)
        nll = 0.5 * (logdet + float(U2.sum()) + float(np.einsum("rn,rn->", Z, own.prior @ Z))) / N
        rounding = 1e-15 * (patterns.n_cells + N * abs(nll) + float(ratio.sum())) / N
        phi = (spread - UZ) @ own.T.T / N
        nll, phi, delta = self.with_ridge(F / root[:, None], nll, phi, delta)
        return ObservedPoint(F, x, nll, phi, delta, rounding)

    def with_ridge(
        self, A: Array, nll: float, phi: Array, delta: Array
    ) -> tuple[float, Array, Array]:
        """f and its gradients with the ridge on A = D^-1/2 F."""
        if self._lam_F == 0.0:
            return nll, phi, delta
        squares = np.square(A).sum(axis=1)
        nll = nll + 0.5 * self._lam_F * float(squares.sum())
        return nll, phi + self._lam_F * A, delta - 0.5 * self._lam_F * squares

    def inverse_information(self, point: ObservedPoint, free: Array) -> Callable[[Array], Array]:
        """The preconditioner of the module's docstring on flat gradients in (F, x).

        Uniquenesses that are not ``free`` do not move.
        """
        root, weight = np.sqrt(point.d), np.sqrt(self.share)
        B = (weight / root)[:, None] * point.F
        R = np.linalg.eigh(B.T @ B)[1]
        B = B @ R
        size = np.einsum("kr,kr->r", B, B)
        lam, sigma = 1.0 + size, np.sqrt(size)
        V = B / np.where(sigma > 1e-6, sigma, np.inf)
        gain = 1.0 - 1.0 / lam
        divisor = np.maximum(gain, _WEAKEST)
        coupled = V * (sigma / lam)
        schur = 2.0 / np.square(np.maximum(1.0 - np.einsum("kr,kr->k", V, V), _LEAST_SHARE))
        scale = root / weight

        def solve_phi(g: Array) -> Array:
            return (g + V @ ((0.5 * lam - 1.0)[:, None] * (V.T @ g))) / divisor

        def times_q(g: Array) -> Array:
            return g - V @ (gain[:, None] * (V.T @ g))

        def inverse(q: Array) -> Array:
            cut = point.F.size
            phi = (q[:cut].reshape(point.F.shape) * scale[:, None]) @ R
            first = solve_phi(phi)
            delta = q[cut:] / weight - np.einsum("kr,kr->k", times_q(first), coupled)
            delta = np.where(free, schur * delta, 0.0)
            step = first - solve_phi(times_q(delta[:, None] * coupled))
            return np.concatenate([((step @ R.T) * scale[:, None]).ravel(), delta / weight])

        return inverse
