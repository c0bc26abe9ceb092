"""Joint tests of q combinations R beta with a robust covariance, in small samples.

Let T = V R' (P, q) and Z_n = X_n T (K, q), X_n the designs of row n, so that R (beta-hat - beta) =
sum_n Z_n' Sigma^-1 e_n. Over independent units g (rows, or clusters of rows)

    v_g = sum Z_n' Sigma^-1 e_n,     Gamma_g = sum Z_n' Sigma^-1 Z_n,     Omega = sum_g Gamma_g,

and with the residuals in place of the errors, under the working model Cov(e_n) = Sigma,

    Cov(v_g, v_h) = [g = h] Gamma_g - Delta_gh,     Delta_gh = b_g' V b_h,
    b_g = sum_n X_n' Sigma^-1 Z_n                   (P, q).

V is replaced there by diag(H)^-1 in gamma, of which no product needs more than P numbers, unless
restrictions tie equations together. Pustejovsky and Tipton (2018) with the adjustment of Bell and
McCaffrey (2002), everything normalised by Omega^-1/2:

    A_g = Gamma_g^1/2 (Gamma_g^-1/2 (Gamma_g - Delta_gg) Gamma_g^-1/2)^-1/2 Gamma_g^-1/2,
    V_CR2 = sum_g A_g v_g v_g' A_g',     Q = b'V_CR2^-1 b,     b = Omega^-1/2 (R beta - q),
    Theta_gg = A_g (Gamma_g - Delta_gg) A_g',     tau_gh = tr(A_g Delta_gh A_h'),
    eta = q (q + 1) / { sum_g (tr Theta_gg)^2 + tr Theta_gg^2  +  (1 + 1/q) sum_{g != h} tau_gh^2 },
    F = Q (eta - q + 1) / (eta q)  on  (q, eta - q + 1)      (approximate Hotelling, AHT).

eta is the degrees of freedom of a Wishart matrix with the variance of V_CR2; for q = 1 it is
Satterthwaite's. The residuals' covariance S in place of Sigma (cov_type="sandwich") is such a
matrix too: with z_n = Sigma^-1/2 X_n T Omega^-1/2 and nu degrees of freedom of S,

    eta = q (q + 1) nu / (sum_nm (tr z_n'z_m)^2 + sum_nm tr (z_n'z_m)^2),

which is nu where all designs are equal: Hotelling's T2, and Gibbons, Ross and Shanken's test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sm_alsgls.core.beta.small_sample import ALONE, Units
from sm_alsgls.core.design.base import Bread
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.progress import counted

Array = np.ndarray

# Products of pairs of rows beyond which pairs are sampled: every s-th row with all others.
_PAIRS = 2e10
# Smallest to largest eigenvalue of a covariance of combinations that cannot be inverted.
_SINGULAR = 1e-12


@dataclass(frozen=True)
class System:
    """What a joint test reads of a fitted system.

    Attributes
    ----------
    bread : Bread
    blocks : sequence of ndarray
        K designs (N, p_j) times the roots of the weights, zero in missing cells.
    E : ndarray, shape (N, K)
        Residuals, likewise.
    cells : Cells
        Which cells there are.
    sigma : Covariance
        The working covariance.
    """

    bread: Bread
    blocks: Sequence[Array]
    E: Array
    cells: Cells
    sigma: Covariance

    def solve(self, M: Array) -> Array:
        """Rows M (N, K) times Sigma_n^-1, zero in missing cells."""
        return self.cells.solve(M, self.sigma)

    def basis(self, j: int) -> Array:
        """Q_j on the rows of the data, (N, p_j)."""
        return self.blocks[j] @ self.bread.design.beta_map(j)

    def fitted(self, R: Array) -> Array:
        """Z_n of the combinations R: (q, N, K)."""
        T = self.bread.times(R)
        out = np.empty((len(R), *self.E.shape))
        for j, X in enumerate(self.blocks):
            out[:, :, j] = (X @ T[self.bread.columns(j)]).T
        return out


class JointMoments:
    """The moments of the module for R, under one grouping of the rows.

    Parameters
    ----------
    system : System
    R : ndarray, shape (q, P)
        Linearly independent, each row times its coefficients' small-sample factors.
    units : Units
    power : float, optional
        Of the adjustment: 1/2 is CR2; 0 leaves influences as they are, 1 is about the jackknife.

    Attributes
    ----------
    root : ndarray, shape (q, q)
        Omega^-1/2.
    scores : ndarray, shape (G, q)
        v_g, normalised.
    """

    def __init__(self, system: System, R: Array, units: Units, power: float = 0.5) -> None:
        self._system, self.units, self._power = system, units, power
        Z = system.fitted(R)
        z = np.stack([system.solve(part) for part in Z])
        gamma = Z.transpose(1, 0, 2) @ z.transpose(1, 2, 0)
        gamma = 0.5 * (gamma + gamma.transpose(0, 2, 1))
        values, vectors = np.linalg.eigh(gamma.sum(axis=0))
        self.root = (vectors / np.sqrt(values)) @ vectors.T
        self._z = np.tensordot(self.root, z, axes=1)
        self._gamma_g = units.sum(self.root @ gamma @ self.root)
        self.scores = units.sum(np.einsum("qnk,nk->nq", self._z, system.E))

    @cached_property
    def _own(self) -> bool:
        """Whether equations are tied by nothing but Sigma, so that diag(H)^-1 stands for V."""
        return not self._system.bread.tied.any()

    def _scaled_basis(self, j: int) -> Array:
        """Q_j H_jj^-1/2, (N, p_j)."""
        bread = self._system.bread
        diagonal = bread.normal.diagonal[bread.design.equation_slice(j)]
        return self._system.basis(j) / np.sqrt(diagonal)

    def _b(self, j: int) -> Array:
        """The part of b_g of equation j, (G, q, p_j): in gamma_j H_jj^-1/2, or in beta_j."""
        Q = self._scaled_basis(j) if self._own else self._system.blocks[j]
        if self.units.rows:
            return self._z[:, :, j].T[:, :, None] * Q[:, None, :]
        return self.units.sum(self._z[:, :, j].T[:, :, None] * Q[:, None, :])

    @cached_property
    def _tied(self) -> tuple[Array, Array]:
        """b_g (G, q, P) and b_g V (G, q, P), where restrictions tie equations."""
        bread = self._system.bread
        G, q, P = self.units.count, len(self.root), bread.shape[0]
        b = np.zeros((G, q, P))
        for j in range(len(self._system.blocks)):
            b[:, :, bread.columns(j)] += self._b(j)
        return b, bread.times(b.reshape(G * q, P)).T.reshape(G, q, P)

    @cached_property
    def taken(self) -> Array:
        """Delta_gg, (G, q, q)."""
        if not self._own:
            b, bV = self._tied
            return np.einsum("gap,gbp->gab", b, bV)
        q = len(self.root)
        out = np.zeros((self.units.count, q, q))
        for j in range(len(self._system.blocks)):
            if self.units.rows:
                h = np.square(self._scaled_basis(j)).sum(axis=1)
                z = self._z[:, :, j].T
                out += (z * h[:, None])[:, :, None] * z[:, None, :]
            else:
                b = self._b(j)
                out += b @ b.transpose(0, 2, 1)
        return out

    @cached_property
    def multipliers(self) -> Array:
        """A_g, (G, q, q)."""
        values, vectors = np.linalg.eigh(self._gamma_g)
        # A unit may say less than q things (a row has K equations, a cluster few rows).
        there = values > 1e-10 * np.maximum(values[:, -1:], 1e-300)
        half = np.sqrt(np.where(there, values, 0.0))
        inverse = np.divide(1.0, half, out=np.zeros_like(half), where=there)
        down = (vectors * inverse[:, None, :]) @ vectors.transpose(0, 2, 1)
        up = (vectors * half[:, None, :]) @ vectors.transpose(0, 2, 1)
        share, turn = np.linalg.eigh(down @ self.taken @ down)
        left = 1.0 - share
        scale = np.where(left > ALONE, np.maximum(left, ALONE), 1.0) ** -self._power
        return up @ ((turn * scale[:, None, :]) @ turn.transpose(0, 2, 1)) @ down

    @cached_property
    def theta(self) -> Array:
        """Theta_gg, (G, q, q)."""
        A = self.multipliers
        return A @ (self._gamma_g - self.taken) @ A.transpose(0, 2, 1)

    @cached_property
    def cross(self) -> float:
        """Sum over g != h of tau_gh^2."""
        G, q, A = self.units.count, len(self.root), self.multipliers
        K = len(self._system.blocks)
        step = 1
        if self._own and self.units.rows:
            step = int(np.ceil(G * G * (q + 3.0) * K / _PAIRS))
        chosen = np.arange(0, G, step)
        tau = np.zeros((len(chosen), G))
        if not self._own:
            b, bV = self._tied
            tau = (A @ b).reshape(G, -1) @ (A @ bV).reshape(G, -1).T
        elif self.units.rows:
            w = np.einsum("nab,bnk->kna", A, self._z)
            for j in counted(range(K), "degrees of freedom", unit="eq"):
                Q = self._scaled_basis(j)
                tau += (Q[chosen] @ Q.T) * (w[j][chosen] @ w[j].T)
        else:
            for j in counted(range(K), "degrees of freedom", unit="eq"):
                b = (A @ self._b(j)).reshape(G, -1)
                tau += b @ b.T
        square = np.square(tau)
        own = square[np.arange(len(chosen)), chosen].sum()
        return float(square.sum() - own) * G / len(chosen)

    @cached_property
    def eta(self) -> float:
        """Degrees of freedom of the Wishart matrix, at least 0."""
        q, theta = len(self.root), self.theta
        trace = np.einsum("gaa->g", theta)
        square = np.einsum("gab,gba->", theta, theta)
        total = float(np.square(trace).sum() + square + (1.0 + 1.0 / q) * self.cross)
        return q * (q + 1.0) / total if total > 0.0 else 0.0

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of one combination, whatever the power; at least 1."""
        theta = self.theta[:, 0, 0]
        square = float(theta @ theta) + self.cross
        return max(1.0, float(theta.sum()) ** 2 / square) if square > 0.0 else 1.0

    @property
    def lost(self) -> bool:
        """Whether units alone determine more than half of the variance of some combination."""
        return bool(np.linalg.eigvalsh(self.theta.sum(axis=0))[0] < 0.5)

    def quadratic(self, gap: Array) -> float:
        """Q of gaps R beta - q, (q,)."""
        b = self.root @ gap
        v = np.einsum("gab,gb->ga", self.multipliers, self.scores)
        return float(b @ np.linalg.solve(v.T @ v, b))


def sandwich_eta(system: System, R: Array, nu: float, root: Array | None = None) -> float:
    """eta of the covariance that takes S = E'E / nu for Sigma; of complete rows.

    Only cross-products of rows enter, so those of a compressed system will do. Where the working
    covariance is no estimate of Sigma, ``root`` (K, k) is one of P Sigma P, P that of the working
    precision: for least squares E' / N^1/2. 0 where that covariance of the combinations is
    singular, as it is of more of them than residuals have directions.
    """
    Z = system.fitted(R)
    z = np.stack([system.sigma.whiten(part) if root is None else part @ root for part in Z])
    q, N, K = z.shape
    flat = z.reshape(q, -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    if values[0] <= _SINGULAR * values[-1]:
        return 0.0
    z = np.tensordot((vectors / np.sqrt(values)) @ vectors.T, z, axes=1)
    G = z.transpose(1, 0, 2).reshape(N, q * K)
    f = float(np.square(G @ G.T if N <= q * K else G.T @ G).sum())
    step = int(np.ceil(float(N) * N * q * q * K / _PAIRS))
    s = 0.0
    beside = z.transpose(2, 1, 0).reshape(K, N * q)
    for n in counted(range(0, N, step), "degrees of freedom", unit="row"):
        M = (z[:, n] @ beside).reshape(q, N, q)
        s += float(np.einsum("amb,bma->", M, M))
    s *= N / len(range(0, N, step))
    return q * (q + 1.0) * nu / (f + s)
