"""Standard errors of 3SLS and GMM through systems of n r rows, which do not grow with equations.

Low-rank Sigma = F F' + D, Sigma^-1 = D^-1 - G G' (Woodbury 1950). Bases are Q_j, faces Xt_j, and
O_j as in `sm_alsgls.core.instruments.design`.

*3SLS*, A = D^-1 - L R with L = [g_j x Q_j]', R = [g_j x Xt_j] (n r, P), B = D^-1 - L L':

    T = I - R D L = I - sum_j d_j g_j g_j' x Xt_j Q_j',
    S = R D R' = sum_j d_j g_j g_j' x Xt_j Xt_j',
    A^-1 = D + D L T^-1 R D,          M_j = (g_j x Q_j)' T^-1          (p_j, n r),
    V_jj = d_j I + d_j^2 { M_j R_j + (M_j R_j)' + M_j (S - I) M_j' }.

*GMM*, C = O'(Sigma x I)O = D + (f_j x O_j)(f_j x O_j)':

    T = I + sum_j d_j^-1 f_j f_j' x O_j O_j',        V_jj = d_j I + (f_j x Q_j)' T^-1 (f_j x Q_j).

Cost: r (r + 1) / 2 n^2 (P or Q) flops a matrix, a factor of n r, and (n r)^2 P for the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.instruments.beside import BesideFaces
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.covariance.base import LowRank

Array = np.ndarray

# Bytes of matrices of n r rows, and columns that are worked on together.
_MEMORY, _COLUMNS = 2_500_000_000, 768


def _summed(
    n: int, F: Array, tiles: Callable[[], Iterator[tuple[Array, Array, Array]]], weight: Array
) -> Array:
    """sum_j w_j f_j f_j' x U_j'V_j, (n r, n r), of tiles: equations, U_j (m, p, n), V_j."""
    r = F.shape[1]
    out = np.zeros((r, n, r, n))
    for equations, U, V in tiles():
        right = V.reshape(-1, n)
        for a in range(r):
            for b in range(a + 1):
                w = weight[equations] * F[equations, a] * F[equations, b]
                out[a, :, b] += (U * w[:, None, None]).reshape(-1, n).T @ right
    for a in range(r):
        for b in range(a):
            out[b, :, a] = out[a, :, b]
    return out.reshape(n * r, n * r)


def _side_by_side(F: Array, U: Array) -> Array:
    """f_j x U_j as columns, (n r, m p), of U_j' (m, p, n)."""
    m, p, n = U.shape
    out = F[:, :, None, None] * U.transpose(0, 2, 1)[:, None, :, :]
    return np.asarray(out.transpose(1, 2, 0, 3).reshape(F.shape[1] * n, m * p))


class DualIV:
    """The blocks of 3SLS, beside what all equations contain.

    Parameters
    ----------
    parts : BesideFaces
    cov : LowRank
        Of rank 1 or more.
    """

    def __init__(self, parts: BesideFaces, cov: LowRank) -> None:
        self._parts, self._cov = parts, cov

    @staticmethod
    def flops(parts: BesideFaces, cov: LowRank) -> float:
        """Flops of all blocks; infinite where the matrices do not fit."""
        n, r, P = parts.n, cov.rank, parts.P
        if 24 * (n * r) ** 2 > _MEMORY:
            return np.inf
        return 2.0 * r * (r + 1) * n**2 * P + (n * r) ** 3 + 4.0 * float(n * r) ** 2 * P

    def _tiles(self) -> Iterator[tuple[Array, Array, Array]]:
        """Equations, bases, faces."""
        return self._parts.both(max(1, _COLUMNS // int(self._parts.p.max())))

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Equations and V_jj (m, p, p)."""
        n, G, d = self._parts.n, self._cov.precision_factor, self._cov.uniquenesses
        T = -_summed(n, G, lambda: ((e, X, Q) for e, Q, X in self._tiles()), d)
        T.ravel()[:: len(T) + 1] += 1.0
        S = _summed(n, G, lambda: ((e, X, X) for e, _, X in self._tiles()), d)
        S.ravel()[:: len(S) + 1] -= 1.0
        factor = scipy.linalg.lu_factor(T, overwrite_a=True, check_finite=False)
        for equations, basis, face in self._tiles():
            m, p, _ = basis.shape
            L = _side_by_side(G[equations], basis)
            M = scipy.linalg.lu_solve(factor, L, trans=1, overwrite_b=True, check_finite=False)
            R = _side_by_side(G[equations], face)
            square = _by_equation(M, S @ M, m, p)
            both = _by_equation(M, R, m, p)
            own = d[equations][:, None, None]
            out = own**2 * (both + both.transpose(0, 2, 1) + square)
            out[:, np.arange(p), np.arange(p)] += own[:, :, 0]
            yield equations, out


def _by_equation(left: Array, right: Array, m: int, p: int) -> Array:
    """left_j'right_j of columns (n r, m p), (m, p, p)."""
    first, second = (M.T.reshape(m, p, len(M)) for M in (left, right))
    return np.matmul(first, second.transpose(0, 2, 1))


class DualGMM:
    """The blocks of GMM; parameters as `DualIV`."""

    def __init__(self, design: Instrumented, cov: LowRank) -> None:
        self._design, self._cov = design, cov

    @staticmethod
    def flops(design: Instrumented, cov: LowRank) -> float:
        """Flops of all blocks; infinite where the matrix does not fit."""
        n, r = design.n, cov.rank
        if 16 * (n * r) ** 2 > _MEMORY:
            return np.inf
        wide = 1.0 * r * (r + 1) * n**2 * design.over.P
        return wide + (n * r) ** 3 / 3.0 + float(n * r) ** 2 * design.P

    @cached_property
    def factor(self) -> Array:
        """Lower Cholesky factor of T, (n r, n r)."""
        n, F, d = self._design.n, self._cov.loadings, self._cov.uniquenesses
        over = self._design.over
        size = max(1, _COLUMNS // max(1, int(over.p.max())))
        T = _summed(n, F, lambda: ((e, U, U) for e, U, _ in over.tiles(size)), 1.0 / d)
        T.ravel()[:: len(T) + 1] += 1.0
        return scipy.linalg.cholesky(T, lower=True, overwrite_a=True, check_finite=False)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Equations and V_jj (m, p, p)."""
        F, d = self._cov.loadings, self._cov.uniquenesses
        size = max(1, _COLUMNS // int(self._design.p.max()))
        for equations, basis, _ in self._design.tiles(size):
            m, p, _ = basis.shape
            half = scipy.linalg.solve_triangular(
                self.factor, _side_by_side(F[equations], basis), lower=True, check_finite=False
            )
            out = _by_equation(half, half, m, p)
            out[:, np.arange(p), np.arange(p)] += d[equations][:, None]
            yield equations, out
