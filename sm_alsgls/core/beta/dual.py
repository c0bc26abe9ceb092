"""Blocks of H^-1 through the n r x n r dual system, which does not grow with the coefficients.

With Sigma^-1 = D^-1 - G G' and rows g_j of G (Woodbury 1950, applied to H),

    T = I - sum_j d_j (g_j g_j') x (Q_j Q_j')                           (n r x n r)
    (H^-1)_jj = d_j I + d_j^2 (g_j x Q_j)' T^-1 (g_j x Q_j)

The blocks of T are weighted sums of projections, S(w) = sum_j w_j Q_j Q_j', with weights that can
be negative; 2 g_a g_b = (g_a + g_b)^2 - g_a^2 - g_b^2 makes them sums of squares, which symmetric
rank-k updates do in half the flops:

    r (r + 1) / 2 n^2 P + (n r)^3 / 3 + (n r)^2 P flops,    (n r)^2 + r (r + 1) / 2 n^2 numbers
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk, dtrsm

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.progress import Progress

Array = np.ndarray

# Columns of Q that are worked on together.
_COLUMNS = 384


def dual_flops(n: int, r: int, P: int) -> float:
    """Flops of all blocks."""
    return 0.5 * r * (r + 1) * n**2 * P + (n * r) ** 3 / 3.0 + float(n * r) ** 2 * P


def dual_bytes(n: int, r: int) -> int:
    """Memory of T and its parts."""
    return 8 * ((n * r) ** 2 + r * (r + 1) * n**2 // 2)


class DualForm:
    """Diagonal blocks of H^-1 in gamma.

    Parameters
    ----------
    design : PerEquation
    cov : LowRank
        Of rank 1 or more.
    """

    def __init__(self, design: PerEquation, cov: LowRank) -> None:
        self._design, self._cov = design, cov

    def _tiles(self, what: str) -> Iterator[tuple[Array, Array, slice]]:
        size = max(1, _COLUMNS // int(self._design.p.max()))
        with Progress(what, self._design.K, "eq") as told:
            for tile in self._design.tiles(size):
                if tile[1].shape[1]:  # an equation may have no coefficients
                    yield tile
                told.update(len(tile[0]))

    @cached_property
    def factor(self) -> Array:
        """Lower Cholesky factor of T, (n r, n r), Fortran-ordered."""
        n, r, G = self._design.n, self._cov.rank, self._cov.precision_factor
        root = np.sqrt(self._cov.uniquenesses)
        sums = {(a, b): np.zeros((n, n), order="F") for a in range(r) for b in range(a + 1)}
        for equations, basis, _ in self._tiles("dual system"):
            Q = basis.reshape(-1, n)
            for (a, b), S in sums.items():
                g = G[equations, a] if a == b else G[equations, a] + G[equations, b]
                weighted = Q * np.repeat(root[equations] * g, basis.shape[1])[:, None]
                dsyrk(1.0, weighted.T, 1.0, S, lower=1, overwrite_c=1)
        T = np.empty((n * r, n * r), order="F")
        for (a, b), S in sums.items():
            lower = S if a == b else 0.5 * (S - sums[a, a] - sums[b, b])
            block = np.tril(lower) + np.tril(lower, -1).T
            T[a * n : (a + 1) * n, b * n : (b + 1) * n] = -block
        T.ravel(order="K")[:: n * r + 1] += 1.0
        return scipy.linalg.cholesky(T, lower=True, overwrite_a=True, check_finite=False)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Equations and their blocks (jb, p, p), a tile at a time."""
        _ = self.factor  # counted by itself
        for equations, basis, _ in self._tiles("standard errors"):
            yield equations, self._solved(equations, basis)

    def block(self, j: int) -> Array:
        """(H^-1)_jj, (p_j, p_j)."""
        return self._solved(np.array([j]), self._design.basis(j).T[None])[0]

    def solve(self, B: Array) -> None:
        """Columns are better solved for by conjugate gradients."""

    def _solved(self, equations: Array, basis: Array) -> Array:
        n, r = self._design.n, self._cov.rank
        jb, p = basis.shape[:2]
        d, g = self._cov.uniquenesses[equations], self._cov.precision_factor[equations]
        # With a root of d_j on either side, whose square may be no double.
        g = g * np.sqrt(d)[:, None]
        M = np.empty((n * r, jb * p), order="F")
        for a in range(r):
            np.multiply(basis.reshape(-1, n).T, np.repeat(g[:, a], p), out=M[a * n : (a + 1) * n])
        Z = dtrsm(1.0, self.factor, M, lower=1, overwrite_b=1).T.reshape(jb, p, n * r)
        out = np.matmul(Z, Z.transpose(0, 2, 1)) * d[:, None, None]
        out[:, np.arange(p), np.arange(p)] += d[:, None]
        return out
