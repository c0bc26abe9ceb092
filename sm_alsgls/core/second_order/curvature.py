"""Second-order check: the lowest curvature of the likelihood at a stationary point.

Factor analysis has saddles, and a gradient does not see them. The Hessian of the negative
log-likelihood per row in (gamma, F, x = log d) is applied, never formed. With P = Sigma^-1,
W = E P and Delta = P - W'W/N the gradient is

    g_gamma = -Q' vec(W) / N,      g_F = Delta F,      g_x = d o diag(Delta) / 2,

and along (gamma', F', x'), with S' = F' F^T + F F'^T + diag(d o x') the change of Sigma,

    W'     = (E' - W S') P,                    E' = -Q gamma'
    Delta' = -P S' P - (W'^T W + W^T W') / N.

Coordinates are scaled by (gamma) the standard error, (F) d_j^1/2, (x) 2^1/2, in which the
spectrum lies near [0, 2] and eight Lanczos steps find a negative end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.progress import counted

Array = np.ndarray


class Operator(Protocol):
    """A scaled Hessian as `lowest_curvature` asks for it."""

    @property
    def size(self) -> int: ...  # noqa: D102

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        ...

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled (gamma', F', x') of a scaled flat vector."""
        ...


class ScaledHessian:
    """The coordinates in which the Hessian is looked at; ``apply`` comes from subclasses."""

    def __init__(self, design: Linear, cov: LowRank, n_obs: int, free: Array | None) -> None:
        self.design, self.cov, self.n_obs = design, cov, n_obs
        self._F, self._d = cov.loadings, cov.uniquenesses
        self._K, self._r = self._F.shape
        self._precision_diag = cov.precision_diag()
        self._scale = np.concatenate(
            [
                np.sqrt(n_obs / design.diagonal(self._precision_diag)),
                np.sqrt(self._d).repeat(self._r),
                np.sqrt(2.0) * (np.ones(self._K) if free is None else free),
            ]
        )
        self.size = len(self._scale)

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """Unscaled (gamma', F', x') of a scaled flat vector."""
        v = v * self._scale
        P = self.design.P
        return v[:P], v[P : -self._K].reshape(self._K, self._r), v[-self._K :]

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        raise NotImplementedError


class LikelihoodHessian(ScaledHessian):
    """The scaled Hessian at one (E, Sigma) as an operator on flat vectors (P + K r + K,).

    Parameters
    ----------
    design : Linear
    E : ndarray, shape (n, K)
        Residuals.
    cov : LowRank
    n_obs : int
        N.
    free : ndarray of bool, shape (K,), optional
        False where d_j sits on its bound and does not move.
    ridge, lam_F : Ridge, float, optional
        Penalties of the objective, whose Hessian is gamma's A and that of
        lam_F sum F^2 / d / 2.
    """

    def __init__(
        self,
        design: Linear,
        E: Array,
        cov: LowRank,
        n_obs: int,
        free: Array | None = None,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> None:
        super().__init__(design, cov, n_obs, free)
        self._ridge, self._lam_F = ridge, lam_F
        self._W = cov.solve(E)
        self._PF = cov.solve(self._F.T).T
        self._FPF = self._F.T @ self._PF
        self._WF = self._W @ self._F
        self._G = cov.precision_factor
        # P o P = diag(1/d^2 - 2 |g|^2 / d) + (G G') o (G G'), written with diag(P) = 1/d - |g|^2.
        self._square_diag = (2.0 * self._precision_diag - 1.0 / self._d) / self._d
        self._delta_diag = self._precision_diag - np.einsum("nk,nk->k", self._W, self._W) / n_obs

    def apply(self, v: Array) -> Array:
        """H v in scaled coordinates."""
        gamma, dF, x = self.split(v)
        N, F, d, W = self.n_obs, self._F, self._d, self._W
        dD = d * x
        WdF = W @ dF
        # Built transposed, where an equation is contiguous.
        T = F @ WdF.T
        T += dF @ self._WF.T
        T += dD[:, None] * W.T
        T += self.design.fitted(gamma).T
        dW = self.cov.solve(-T.T)
        PdF = self.cov.solve(dF.T).T
        dS_PF = dF @ self._FPF + F @ (dF.T @ self._PF) + dD[:, None] * self._PF
        g_F = PdF - self.cov.solve(dS_PF.T).T
        g_F -= (dW.T @ self._WF + W.T @ (dW @ F + WdF)) / N
        G = self._G
        inner = ((G @ (G.T @ (dD[:, None] * G))) * G).sum(axis=1)
        diag = -dD * self._square_diag - inner - 2.0 * (PdF * self._PF).sum(axis=1)
        diag -= (2.0 / N) * np.vecdot(dW.T, W.T)
        g_x = 0.5 * (dD * self._delta_diag + d * diag)
        g_gamma = -self.design.project(dW) / N
        if self._ridge is not None:
            g_gamma += self._ridge.apply(gamma)
        if self._lam_F > 0.0:
            share = F / d[:, None]
            g_F = g_F + self._lam_F * (dF / d[:, None] - share * x[:, None])
            g_x += self._lam_F * (share * (0.5 * F * x[:, None] - dF)).sum(axis=1)
        return np.concatenate([g_gamma, g_F.ravel(), g_x]) * self._scale


@dataclass(frozen=True)
class Curvature:
    """The lowest curvature that Lanczos found, and where it points.

    Attributes
    ----------
    lowest : float
        Smallest Ritz value of the scaled Hessian, an upper bound of its smallest eigenvalue.
        Rotations of F contribute r (r - 1) / 2 zeros.
    gamma, F, x : ndarray
        Its direction, in the units of the parameters.
    """

    lowest: float
    gamma: Array
    F: Array
    x: Array

    @property
    def is_saddle(self) -> bool:
        """True where the likelihood rises along the direction: not a maximum."""
        return self.lowest < -1e-5


@lru_cache(maxsize=4)
def _irregular(size: int) -> Array:
    """A fixed unit vector; the caller's generators are left alone."""
    v = np.random.default_rng(20).standard_normal(size)
    v /= np.linalg.norm(v)
    v.setflags(write=False)
    return v


def lowest_curvature(hessian: Operator, steps: int = 8) -> Curvature:
    """Lanczos with full reorthogonalisation from a fixed irregular vector.

    Cost: ``steps`` applications, each O(n K r).
    """
    steps = min(steps, hessian.size)
    v = _irregular(hessian.size)
    basis = np.empty((steps, hessian.size))
    alpha, beta = np.zeros(steps), np.zeros(steps)
    for k in counted(range(steps), "curvature", unit="product"):
        basis[k] = v
        w = hessian.apply(v)
        alpha[k] = v @ w
        done = basis[: k + 1]
        for _ in range(2):
            w -= (done @ w) @ done
        beta[k] = math.sqrt(float(w @ w))
        if beta[k] < 1e-10:
            steps = k + 1
            break
        v = w / beta[k]
    # The lower triangle is all that is read.
    values, vectors = np.linalg.eigh(np.diag(alpha[:steps]) + np.diag(beta[: steps - 1], -1))
    return Curvature(float(values[0]), *hessian.split(vectors[:, 0] @ basis[:steps]))


def off_bounds(cov: LowRank, floor: Array) -> Array:
    """Equations whose uniqueness is not on its lower bound, (K,) of bool."""
    return np.asarray(cov.uniquenesses > 1.5 * floor)


def along(cov: LowRank, curvature: Curvature, sign: float, floor: Array) -> LowRankDiag:
    """Sigma about one unit along the direction of a curvature, in the coordinates of its scale."""
    x = sign * curvature.x / max(1.0, float(np.abs(curvature.x).max(initial=0.0)))
    d = np.maximum(cov.uniquenesses * np.exp(x), floor)
    size = np.abs(curvature.F / np.sqrt(cov.uniquenesses)[:, None]).max(initial=0.0)
    return LowRankDiag.from_factors(cov.loadings + sign / max(1.0, float(size)) * curvature.F, d)
