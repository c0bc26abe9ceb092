"""Kackar and Harville's correction of the coefficients' covariance for estimating Sigma.

H^-1 is the covariance of GLS with Sigma known. With theta = (F, log d) estimated, the extra
variance of beta is to second order (Kackar and Harville 1984, JASA 79)

    Lambda = V ( sum_ab W_ab ( X' P_a Sigma P_b X - X' P_a X V X' P_b X ) ) V,    V = H^-1,

where P_a is the derivative of Sigma^-1 (x I) in theta_a and W the covariance of theta-hat, the
inverse of the Gaussian information

    I_ab = N tr(P S_a P S_b) / 2,        S_a the derivative of Sigma, P = Sigma^-1.

A rotation of F changes no S_a and is left out by the pseudo-inverse. The double sum becomes a
single one over the eigenvectors of W: along w with eigenvalue omega, with S_w the derivative of
Sigma and R = P S_w P, the term is omega ( X'(R Sigma R)X - X'R X V X'R X ).

As a difference of P x P matrices in beta that is worthless where Sigma is nearly singular: both are
of the order 1/e^4 where two equations differ by e, and what is left is of the order one. So it is
worked out in whitened coordinates. With P = W W', S~ = W' S_w W and a root V = B B',

    Lambda = B ( sum_w M_w - G_w^2 ) B',
    G_w = B' X' (W S~ W') X B,    M_w = B' X' (W S~ S~ W') X B,

in which every G_w and M_w has the size of S~, N |S~|^2 = 2: rounding enters V + Lambda as a share
of V, of the order of the machine epsilon times the condition number of Sigma, where the
difference in beta had its square. B comes from a QR factorisation of the whitened design,
restricted to what the coefficients may be, so that V has full accuracy too. The bracket is
positive semidefinite; what rounding makes negative is dropped, and standard errors are never below
those of V.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Bread
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.covariance.units import standardised
from sm_alsgls.progress import counted

Array = np.ndarray


def sigma_information(cov: LowRank, n_obs: int) -> Array:
    """Information of (F, log d), F in row order, (K r + K, K r + K).

    The traces are closed-form; with M = F'PF and B = PF

        F_ja, F_lb:  N (P_jl M_ab + B_jb B_la)
        F_ja, x_l:   N P_jl B_la d_l
        x_j,  x_l:   N P_jl^2 d_j d_l / 2
    """
    F, d = cov.loadings, cov.uniquenesses
    K, r = F.shape
    P = cov.solve(np.eye(K))
    B = cov.solve(F.T).T
    M = F.T @ B
    FF = np.einsum("jl,ab->jalb", P, M) + np.einsum("jb,la->jalb", B, B)
    Fx = np.einsum("jl,la,l->jal", P, B, d)
    out = np.empty((K * r + K, K * r + K))
    out[: K * r, : K * r] = FF.reshape(K * r, K * r)
    out[: K * r, K * r :] = Fx.reshape(K * r, K)
    out[K * r :, : K * r] = out[: K * r, K * r :].T
    out[K * r :, K * r :] = 0.5 * P**2 * np.outer(d, d)
    return n_obs * out


class KackarHarville:
    """H^-1 + Lambda of the coefficients.

    Forms P x P and K x K arrays and takes K r + K products of P x P matrices: meant for K up to
    a few hundred.

    Parameters
    ----------
    bread : Bread
    cov : LowRank
        Sigma behind it.
    n_obs : int
        Observations N.
    free : ndarray of bool, shape (K,), optional
        False where d_j is on its bound, and so not estimated.
    """

    def __init__(self, bread: Bread, cov: LowRank, n_obs: int, free: Array | None = None) -> None:
        self.bread = bread
        self._V = _corrected(bread, cov, n_obs, free)

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._V.shape

    def dense(self) -> Array:
        """The whole covariance, (P, P)."""
        return self._V

    def variances(self) -> Array:
        """Its diagonal, (P,)."""
        return np.diagonal(self._V).copy()

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        at = self.bread.columns(j)
        return self._V[at][:, at]

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """Covariance of the combinations R beta (m, P) with ``other`` (default R)."""
        return R @ self._V @ (R if other is None else other).T

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()


def _corrected(bread: Bread, cov: LowRank, n_obs: int, free: Array | None) -> Array:
    """V + Lambda of beta, (P, P)."""
    design = bread.design
    K = cov.K
    owner = np.repeat(np.arange(K), design.p)
    Q = np.empty((design.n, design.P))
    to_beta = np.zeros((design.P, design.P))
    stop = np.cumsum(design.p)
    for j in range(K):
        at = slice(stop[j] - design.p[j], stop[j])
        Q[:, at], to_beta[at, at] = design.basis(j), design.beta_map(j)
    white = cov.whiten(np.eye(K))
    # In units of the standard errors of gamma that there would be if all others were known.
    scale = 1.0 / np.sqrt(np.square(white).sum(axis=1))[owner]
    inside = scale[:, None] * bread.directions(to_beta * scale)
    triangle = np.zeros((0, inside.shape[1]))
    at_a_time = max(1, design.P // design.n)
    for start in range(0, K, at_a_time):
        rows = [(Q * white[owner, k]) @ inside for k in range(start, min(K, start + at_a_time))]
        triangle = _triangle([triangle, *rows])
    ridge = bread.ridge_rows()
    if ridge is not None:
        triangle = _triangle([triangle, ridge @ inside])
    B = scipy.linalg.solve_triangular(triangle, inside.T, trans="T").T
    cross = Q.T @ Q
    meat = np.zeros((K, K))
    inner = np.zeros((B.shape[1], B.shape[1]))
    most = K * (cov.rank + 1)
    for dF, x in counted(_directions(cov, n_obs, free), "standard errors", most, "direction"):
        half = (white.T @ dF) @ (white.T @ cov.loadings).T
        S = half + half.T + (white.T * (cov.uniquenesses * x)) @ white
        spread = (white @ S @ white.T)[owner[:, None], owner]
        spread *= cross
        G = B.T @ spread @ B
        inner += G @ G
        meat += S @ S
    M = B.T @ ((white @ meat @ white.T)[owner[:, None], owner] * cross) @ B
    values, vectors = np.linalg.eigh((M + M.T - inner - inner.T) / 2.0)
    root = to_beta @ B @ (vectors * np.sqrt(1.0 + np.maximum(values, 0.0)))
    on_params = np.empty((bread.shape[0], root.shape[1]))
    for j in range(K):
        on_params[bread.columns(j)] = root[stop[j] - design.p[j] : stop[j]]
    return on_params @ on_params.T


def _triangle(rows: list[Array]) -> Array:
    """R of the QR factorisation of rows on top of one another."""
    R: Array = np.linalg.qr(np.concatenate(rows)).R
    return R


def _directions(cov: LowRank, n_obs: int, free: Array | None) -> Iterator[tuple[Array, Array]]:
    """Derivatives (dF, dlog d) along independent directions in which Sigma's estimate varies by
    one standard error; those of d_j on its bound stay.
    """
    # In Sigma's own units, whose fourth powers are doubles.
    cov, c = standardised(cov)
    K, r = cov.loadings.shape
    keep = np.ones(K * r + K, dtype=bool)
    if free is not None:
        keep[K * r :] = free
    information = sigma_information(cov, n_obs)[np.ix_(keep, keep)]
    # Parameters in units of their own standard error, or loadings of small equations would vanish.
    size = np.diagonal(information)
    unit = np.where(size > 0.0, 1.0, 0.0) / np.sqrt(np.where(size > 0.0, size, 1.0))
    values, vectors = np.linalg.eigh(information * unit[:, None] * unit)
    # Rotations of F, which change nothing, come first.
    rotations = r * (r - 1) // 2
    noise = len(values) * np.finfo(float).eps * values.max(initial=0.0)
    for i in range(rotations, len(values)):
        if values[i] > noise:
            w = np.zeros(K * r + K)
            w[keep] = unit * vectors[:, i] / np.sqrt(values[i])
            yield c[:, None] * w[: K * r].reshape(K, r), w[K * r :]
