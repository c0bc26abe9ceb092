"""Covariances of the coefficients that do not trust the model: working, robust, clustered, HAC.

With W = E Sigma^-1 (N, K) the score of row n in beta is u_n = [W_nj x_nj]_j, and every estimator
here is a sandwich V M V with the bread V = H^-1 and a meat M = sum_nm omega_nm u_n u_m':

    HC0       omega = I                                (White 1980)
    cluster   omega_nm = 1 when n and m share a group  (two-way is three of these: a + b - a and
              b; Cameron, Gelbach and Miller 2011)
    HAC       omega_nm = k(|n - m|)                    (Driscoll and Kraay 1998: all equations of
              a period are one cluster, periods are weighted by a kernel)

They work with the rows of R V U' (m, N) for the combinations R that are asked for, so standard
errors never need a P x P array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from sm_alsgls.core.design.base import Bread
from sm_alsgls.progress import counted

Array = np.ndarray

# Rows whose influence on all coefficients is worked out at once.
_ROWS = 128


class RowWeights(Protocol):
    """The weights omega of a meat, as inner products of influences.

    Influences are columns, one a row of the data, or one a sum of rows where that is all that
    omega can tell apart; `reduce` makes the second from the first.
    """

    def reduce(self, U: Array) -> Array:
        """Rows U (N, p), or the sums of rows that the meat needs, (c, p)."""
        ...

    def inner(self, A: Array, B: Array) -> Array:
        """A omega B' for reduced influences A (m, c) and B (k, c)."""
        ...

    def diagonal(self, A: Array) -> Array:
        """Diagonal of A omega A', (m,)."""
        ...


class White:
    """Rows are independent: omega = I."""

    def reduce(self, U: Array) -> Array:
        """The rows themselves."""
        return U

    def inner(self, A: Array, B: Array) -> Array:
        """A B'."""
        return A @ B.T

    def diagonal(self, A: Array) -> Array:
        """Row sums of squares of A."""
        return np.einsum("mn,mn->m", A, A)


class Clusters:
    """Rows of one group are dependent: omega_nm = 1 where n and m share a group.

    The meat needs the sums over groups only: with G groups, G influences instead of N.

    Parameters
    ----------
    code : ndarray of int, shape (N,)
        Group numbers from 0, none left out.
    debias : bool
        Multiply by G / (G - 1).
    """

    def __init__(self, code: Array, debias: bool = False) -> None:
        G = int(code.max()) + 1
        self._factor = G / (G - 1.0) if debias else 1.0
        self._order = np.argsort(code, kind="stable")
        self._starts = np.flatnonzero(np.diff(code[self._order], prepend=-1))

    def reduce(self, U: Array) -> Array:
        """Sums over the groups, (G, p)."""
        return np.add.reduceat(U[self._order], self._starts, axis=0)

    def inner(self, A: Array, B: Array) -> Array:
        """(Group sums of A) (group sums of B)'."""
        return self._factor * (A @ B.T)

    def diagonal(self, A: Array) -> Array:
        """Its diagonal for B = A."""
        return self._factor * np.square(A).sum(axis=1)


class Kernel:
    """Rows are dependent over time: omega_nm = weights[|n - m|]; weights[0] = 1."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights

    def _lags(self, A: Array) -> Iterator[int]:
        return counted(range(1, min(len(self.weights), A.shape[1])), "lags", unit="lag")

    def reduce(self, U: Array) -> Array:
        """The rows themselves."""
        return U

    def inner(self, A: Array, B: Array) -> Array:
        """Kernel-weighted sum over lags, both ways."""
        out = A @ B.T
        for lag in self._lags(A):
            out += self.weights[lag] * (A[:, lag:] @ B[:, :-lag].T + A[:, :-lag] @ B[:, lag:].T)
        return out

    def diagonal(self, A: Array) -> Array:
        """Its diagonal for B = A."""
        out = np.vecdot(A, A)
        for lag in self._lags(A):
            out += 2.0 * self.weights[lag] * np.vecdot(A[:, lag:], A[:, :-lag])
        return out


def kernel_weights(name: str, bandwidth: float, N: int) -> Array:
    """Weights of lags 0, 1, ... of a kernel, cut where they vanish (or at N - 1).

    bartlett: 1 - z with z = lag / (bandwidth + 1) (Newey and West 1987); parzen (Gallant 1987);
    quadratic-spectral with z = 6 pi lag / (5 bandwidth) (Andrews 1991).
    """
    if name == "quadratic-spectral":
        if bandwidth == 0:
            return np.ones(1)
        z = 1.2 * np.pi * np.arange(1, N) / bandwidth
        return np.concatenate([[1.0], 3.0 / z**2 * (np.sin(z) / z - np.cos(z))])
    lags = np.arange(min(int(bandwidth), N - 1) + 1)
    z = lags / (int(bandwidth) + 1.0)
    if name == "bartlett":
        return 1.0 - z
    return np.where(z <= 0.5, 1.0 - 6.0 * z**2 * (1.0 - z), 2.0 * (1.0 - z) ** 3)


class SandwichCovariance:
    """V M V of the coefficients, formed only as far as asked; M as the module says.

    Parameters
    ----------
    bread : Bread
    blocks : sequence of ndarray
        K designs (N, p_j) on the rows of the data.
    W : ndarray, shape (N, K)
        E Sigma^-1 on the same rows.
    weights : RowWeights
    factor : ndarray, shape (P,)
        Small-sample factor of each coefficient's standard error.
    """

    def __init__(
        self,
        bread: Bread,
        blocks: Sequence[Array],
        W: Array,
        weights: RowWeights,
        factor: Array,
    ) -> None:
        self.bread, self.weights = bread, weights
        self._blocks, self._W, self._factor = blocks, W, factor

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.bread.shape

    def _influence(self, R: Array) -> Array:
        """The rows of R V U', reduced: (m, c)."""
        VR = self.bread.times(R * self._factor)
        out = np.zeros((self._W.shape[0], len(R)))
        for j, X in enumerate(self._blocks):
            out += (X @ VR[self.bread.columns(j)]) * self._W[:, j : j + 1]
        return self.weights.reduce(out).T

    @cached_property
    def _influence_all(self) -> Array:
        """V U', reduced: (P, c), c <= N."""
        out = np.zeros((0, 0))
        for j, X in enumerate(self._blocks):
            scores = self.weights.reduce(X * self._W[:, j : j + 1])
            if not j:
                out = np.zeros((len(scores), self.shape[0]))
            out[:, self.bread.columns(j)] += scores
        for start in counted(range(0, len(out), _ROWS), "standard errors", unit="rows"):
            at = slice(start, start + _ROWS)
            out[at] = self.bread.times(out[at]).T
        out *= self._factor
        return self._adjusted(out.T, np.arange(self.shape[0]))

    def _adjusted(self, rows: Array, at: Array) -> Array:
        """Influences (m, c) of the coefficients ``at`` as the meat takes them; here as they are."""
        return rows

    def variances(self) -> Array:
        """Diagonal of the covariance, (P,)."""
        return self.weights.diagonal(self._influence_all)

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        at = np.arange(self.shape[0])[self.bread.columns(j)]
        if "_influence_all" in self.__dict__:
            rows = self._influence_all[at]
        else:
            selector = np.zeros((len(at), self.shape[0]))
            selector[np.arange(len(at)), at] = 1.0
            rows = self._influence(selector)
        return self.weights.inner(rows, rows)

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """Covariance of the combinations R beta (m, P) with ``other`` (default R)."""
        left = self._influence(R)
        return self.weights.inner(left, left if other is None else self._influence(other))

    def dense(self) -> Array:
        """The whole covariance, (P, P)."""
        return self.weights.inner(self._influence_all, self._influence_all)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()


class WorkingCovariance:
    """Sigma is only a working covariance: the meat is that of the residual covariance S = E'E/N.

    M = sum over rows of the block matrix (w_j'w_l / N) X_j'X_l with W = E Sigma^-1; equal to
    `CoefficientCovariance` where Sigma = S, and what linearmodels calls unadjusted given a sigma.
    """

    def __init__(self, bread: Bread, W: Array, n_obs: int, factor: Array) -> None:
        self.bread, self._W, self._n_obs, self._factor = bread, W, n_obs, factor

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.bread.shape

    def _meat(self, B: Array) -> Array:
        """M B for columns B (P, m) in gamma; W on the rows of the bread's design."""
        design = self.bread.design
        out = np.empty_like(B)
        for i in range(B.shape[1]):
            fitted = design.fitted(B[:, i])
            out[:, i] = design.project(((fitted @ self._W.T) @ self._W) / self._n_obs)
        return out

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """Covariance of the combinations R beta (m, P) with ``other`` (default R)."""
        left = self.bread.solve_combinations(R * self._factor)
        right = left if other is None else self.bread.solve_combinations(other * self._factor)
        return left.T @ self._meat(right)

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        return self.combinations(self.bread.selector(j))

    def variances(self) -> Array:
        """Diagonal of the covariance, (P,)."""
        out = np.empty(self.shape[0])
        for j in counted(range(self.bread.design.K), "standard errors", unit="eq"):
            out[self.bread.columns(j)] = np.diagonal(self.block(j))
        return out

    def dense(self) -> Array:
        """The whole covariance, (P, P)."""
        return self.combinations(np.eye(self.shape[0]))

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()
