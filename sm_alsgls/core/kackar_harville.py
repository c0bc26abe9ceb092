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
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design import Design
from sm_alsgls.core.information import CoefficientCovariance
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray


def sigma_information(cov: LowRankDiag, n_obs: int) -> Array:
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
    bread : CoefficientCovariance
    n_obs : int
        Observations N.
    free : ndarray of bool, shape (K,), optional
        False where d_j is on its bound, and so not estimated.
    """

    def __init__(self, bread: CoefficientCovariance, n_obs: int, free: Array | None = None) -> None:
        self.bread = bread
        design, cov = bread.design, bread.cov
        self._V = bread.dense() + _correction(design, cov, bread, n_obs, free)
        self._stop = np.cumsum(design.p)

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
        at = slice(self._stop[j] - self.bread.design.p[j], self._stop[j])
        return self._V[at, at]

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """Covariance of the combinations R beta (m, P) with ``other`` (default R)."""
        return R @ self._V @ (R if other is None else other).T

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()


def _correction(
    design: Design,
    cov: LowRankDiag,
    bread: CoefficientCovariance,
    n_obs: int,
    free: Array | None,
) -> Array:
    F, d = cov.loadings, cov.uniquenesses
    K, r = F.shape
    information = sigma_information(cov, n_obs)
    keep = np.ones(K * r + K, dtype=bool)
    if free is not None:
        keep[K * r :] = free
    values, vectors = np.linalg.eigh(information[np.ix_(keep, keep)])
    identified = values > 1e-10 * values[-1]
    directions = np.zeros((int(identified.sum()), K * r + K))
    directions[:, keep] = (vectors[:, identified] / np.sqrt(values[identified])).T
    P = cov.solve(np.eye(K))
    sigma = cov.to_dense()
    owner = np.empty(design.P, dtype=np.intp)
    Q = np.empty((design.n, design.P))
    to_beta = np.zeros((design.P, design.P))
    stop = np.cumsum(design.p)
    for j in range(K):
        at = slice(stop[j] - design.p[j], stop[j])
        Q[:, at], owner[at] = design.basis(j), j
        to_beta[at, at] = design.beta_map(j)
    cross = Q.T @ Q
    from_V = np.linalg.solve(to_beta, np.linalg.solve(to_beta, bread.dense()).T)
    meat = np.zeros((K, K))
    inner = np.zeros_like(cross)
    for w in directions:
        dF, x = w[: K * r].reshape(K, r), w[K * r :]
        S = dF @ F.T
        S = S + S.T
        S[np.diag_indices(K)] += d * x
        R = P @ S @ P
        meat += R @ sigma @ R
        A = R[owner[:, None], owner] * cross
        inner += A @ from_V @ A
    middle = from_V @ (meat[owner[:, None], owner] * cross - inner) @ from_V
    return to_beta @ middle @ to_beta.T
