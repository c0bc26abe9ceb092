"""Sigma seen through holes: the covariance of rows that are observed in part.

Row n is observed in the equations O_n (cells missing at random; Little and Rubin 2002, chapter 6),
where its errors have the covariance Sigma_n = F_O F_O' + D_O. With A = D^-1/2 F, rows a_j, masks
m_nj in {0, 1}, and e = E D^-1/2 with zeros in missing cells, Woodbury's identity row by row is

    C_n = I + sum_j m_nj a_j a_j' ,                        the r x r core of row n
    z_n = C_n^-1 A' e_n                                    factors filtered from what is seen
    u_n = m_n o (e_n - A z_n)
    Sigma_n^-1 e_n = D^-1/2 u_n                            in the observed cells
    log|Sigma_n| = sum_j m_nj log d_j + log|C_n|
    e_n' Sigma_n^-1 e_n = |u_n|^2 + |z_n|^2                a sum of squares: nothing cancels
    (Sigma_n^-1)_jj = (1 - h_nj) / d_j,     h_nj = a_j' C_n^-1 a_j

and the log-likelihood is that of N independent rows. All cores come from one product of the mask
with the (K, r (r + 1) / 2) products of A's columns, and what depends on the mask only once a
pattern. Cost O(N K r^2) for the cores, O(N K r) for `solve`; nothing is K x K or (N, K, r).

How digits survive a d_j of 1e-8 s_j, where 1 - h_nj and C_n lose eight of them, is told in
`sm_alsgls.covariance.cores`. `solve` keeps the other eight there, everything else nearly all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.covariance.base import LowRank
from sm_alsgls.covariance.cores import Cores, cores, frame, pairs, spread, twice
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

_CHUNK_BYTES = 2**25
_LOG_2PI = math.log(2.0 * math.pi)


class Conditional(NamedTuple):
    """Mean and variance of cells given other cells of their row, both (N, K)."""

    mean: Array
    variance: Array


class ObservedCovariance:
    """Sigma = F F' + D for rows of which only some cells are observed.

    Rows M are (N, K), aligned with the mask and zero in missing cells; so is what comes back.

    Parameters
    ----------
    cov : LowRankDiag
        Or another value with factors.
    patterns : Patterns

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> rng = np.random.default_rng(0)
    >>> mask = rng.random((30, 4)) < 0.7
    >>> E = np.where(mask, rng.standard_normal((30, 4)), 0.0)
    >>> cov = LowRankDiag.from_factors(rng.standard_normal((4, 1)), np.ones(4))
    >>> W = ObservedCovariance(cov, Patterns(mask)).solve(E)
    >>> seen = mask[7]
    >>> Sigma = cov.to_dense()[np.ix_(seen, seen)]
    >>> bool(np.allclose(W[7, seen], np.linalg.solve(Sigma, E[7, seen])))
    True
    """

    def __init__(self, cov: LowRank, patterns: Patterns) -> None:
        self.cov, self.patterns = cov, patterns
        self._d = cov.uniquenesses
        self._frame = frame(cov.loadings / np.sqrt(self._d)[:, None])
        self._A = self._frame.A
        self._G = self._A / np.sqrt(self._d)[:, None]

    #: Rows differ: there is no one matrix.
    precision = None

    @cached_property
    def _cores(self) -> Cores:
        return cores(self._frame, self.patterns)

    @cached_property
    def _inverse(self) -> Array:
        """C_n^-1 of every row, (r, r, N)."""
        return self.patterns.to_rows(self._cores.inverse)

    # -- what the beta-step asks ----------------------------------------------------------------

    def solve(self, M: Array) -> Array:
        """Rows Sigma_n^-1 m_n, zero in missing cells; (N, K) Fortran-ordered."""
        out = (self._G @ self._filtered(self._G.T @ M.T)).T
        np.subtract(M / self._d, out, out=out)
        return self.patterns.masked(out)

    def piecewise(self, n: int) -> PiecewiseObserved:
        """`solve` for rows whose equations come, and go, a few at a time; n is a multiple of N."""
        return PiecewiseObserved(self, n)

    def precision_diag(self) -> Array:
        """Mean of (Sigma_n^-1)_jj over the observed rows of j, (K,)."""
        patterns, r = self.patterns, self._A.shape[1]
        if self._frame.owners.size:
            kept = patterns.cells / (1.0 + self._spread)
            return kept @ patterns.counts / (patterns.rows * self._d)
        total = patterns.cells @ (self._packed * patterns.counts).T
        leverage = np.einsum("kq,kq->k", twice(pairs(self._A), r), total)
        return (1.0 - leverage / patterns.rows) / self._d

    def logdet(self) -> float:
        """Sum over rows of log|Sigma_n|."""
        patterns = self.patterns
        return float(patterns.rows @ np.log(self._d) + patterns.counts @ self._cores.logdet)

    # -- likelihood -----------------------------------------------------------------------------

    def quad(self, E: Array) -> float:
        """Sum over rows of e_n' Sigma_n^-1 e_n, as a sum of squares."""
        Z = self._filtered(self._G.T @ E.T)
        U = self.patterns.masked((E.T - (self._A * np.sqrt(self._d)[:, None]) @ Z).T)
        squares = np.einsum("kn,kn->k", U.T, U.T) / self._d
        return float(squares.sum() + np.einsum("rn,rn->", Z, self._frame.prior @ Z))

    def nll(self, E: Array) -> float:
        """Negative log-likelihood per row, its constant included.

        ( n_cells log 2 pi + sum_n log|Sigma_n| + sum_n e_n' Sigma_n^-1 e_n ) / (2 N)
        """
        constant = self.patterns.n_cells * _LOG_2PI
        return 0.5 * (constant + self.logdet() + self.quad(E)) / self.patterns.N

    def information(self, blocks: Sequence[Array]) -> Array:
        """H in beta, (P, P), of designs (N, p_j) whose missing rows hold anything finite.

        Block (j, l) is the sum over rows that have both cells of (Sigma_n^-1)_jl x_nj x_nl'.
        """
        mask, r = self.patterns.mask, self.cov.rank
        seen = [X * m[:, None] for X, m in zip(blocks, mask.T, strict=True)]
        H: Array = scipy.linalg.block_diag(
            *[X.T @ X / v for X, v in zip(seen, self._d, strict=True)]
        )
        p = np.array([X.shape[1] for X in blocks])
        P, owner = int(p.sum()), np.repeat(np.arange(len(p)), p)
        chunk = max(1, _CHUNK_BYTES // (8 * P * max(r, 1)))
        for start in range(0, len(mask) if r else 0, chunk):
            rows = slice(start, min(len(mask), start + chunk))
            root, G = self.core_roots(rows)
            x = np.concatenate([X[rows] for X in seen], axis=1)
            V = (np.einsum("abn,pb->anp", root, G[owner]) * x).reshape(-1, P)
            H -= V.T @ V
        return H

    # -- cell by cell ---------------------------------------------------------------------------

    def precision_cells(self) -> Array:
        """(Sigma_n^-1)_jj in observed cells, zero elsewhere; (N, K)."""
        out = self.patterns.cells / ((1.0 + self._spread) * self._d[:, None])
        return self.patterns.to_rows(out).T

    def factors(self, E: Array) -> tuple[Array, Array]:
        """Factors given the observed errors: means (N, r) and covariances (N, r, r).

        They belong to ``cov.loadings``: E[e_n | observed] = F z_n where nothing was seen.
        """
        Z = self._filtered(self._G.T @ E.T)
        T = self._frame.T
        return (T @ Z).T, np.einsum("ia,abn,jb->nij", T, self._inverse, T)

    def conditional(self, E: Array) -> Conditional:
        """Every cell given the other observed cells of its row.

        A missing cell has mean f_j' z_n and variance d_j + f_j' C_n^-1 f_j; an observed one, left
        out, mean e_nj - w_nj / (Sigma_n^-1)_jj and variance 1 / (Sigma_n^-1)_jj, w_n the row's
        `solve` (Dempster 1972, Biometrics 28, for the second).
        """
        Z = self._filtered(self._G.T @ E.T)
        common = ((self._A * np.sqrt(self._d)[:, None]) @ Z).T
        ratio = 1.0 + self.patterns.to_rows(self._spread).T
        mean = np.where(self.patterns.mask, E - (E - common) * ratio, common)
        return Conditional(mean, ratio * self._d)

    def weights(self, rows: Array, equations: Array) -> Array:
        """What `conditional` multiplies errors with: mean of cell i = weights[i] @ E[rows[i]].

        Parameters
        ----------
        rows, equations : ndarray of int, shape (m,)

        Returns
        -------
        ndarray, shape (m, K)
            Zero in missing cells and in the cell itself.
        """
        own = np.arange(len(rows))
        gain = np.einsum("ijm,mj->mi", self._inverse[:, :, rows], self._A[equations])
        # Off the diagonal Sigma_n^-1 is -g_j' C^-1 g_l, and f_j' C^-1 g_l is d_j times that.
        out = (gain @ self._G.T) * np.sqrt(self._d[equations])[:, None]
        out *= self.patterns.mask[rows]
        seen = self.patterns.mask[rows, equations]
        ratio = 1.0 + self.patterns.to_rows(self._spread)[equations, rows]
        out[seen] *= ratio[seen, None]
        out[own, equations] = 0.0
        return out

    def core_roots(self, rows: slice) -> tuple[Array, Array]:
        """X (r, r, n) with C^-1 = X'X of some rows, and G (K, r): Sigma_n^-1 = D^-1 - G X'X G'."""
        patterns = self.patterns
        return patterns.to_rows(self._cores.root)[:, :, rows], self._G

    # -- pieces ---------------------------------------------------------------------------------

    @cached_property
    def _packed(self) -> Array:
        """Lower triangles of C_n^-1, (r (r + 1) / 2, G)."""
        return self._cores.inverse[np.tril_indices(self._A.shape[1])]

    @cached_property
    def _spread(self) -> Array:
        return spread(self._frame, self._packed, self.patterns)

    def _filtered(self, T: Array) -> Array:
        """C_n^-1 t_n for columns T (r, N), or for m of them a row, (r, N m)."""
        if T.shape[1] == self.patterns.N:
            return np.einsum("ijn,jn->in", self._inverse, T)
        many = T.reshape(len(T), self.patterns.N, -1)
        return np.einsum("ijn,jnm->inm", self._inverse, many).reshape(T.shape)


class PiecewiseObserved:
    """`ObservedCovariance.solve` in pieces: (Sigma_n^-1 m_n)_j = m_nj scale_j - taken_nj.

    `taken` is not zero in missing cells: what projects it on designs that are zero there, or
    masks it, does not mind. See `sm_alsgls.covariance.woodbury.PiecewiseSolve`.
    """

    def __init__(self, observed: ObservedCovariance, n: int) -> None:
        self._observed, self._T = observed, np.zeros((observed._G.shape[1], n))
        self._closed = False

    def scale(self, equations: Array) -> Array:
        """1 / d_j, (jb,)."""
        return 1.0 / self._observed._d[equations]

    def read(self, equations: Array, Mt: Array) -> None:
        """Take in the columns Mt (jb, n) of some equations."""
        self._T += self._observed._G[equations].T @ Mt

    def know(self, scores: Array) -> bool:
        """False: rows differ in the equations that they have."""
        return False

    def taken(self, equations: Array, out: Array) -> Array:
        """What the factors take off those columns, into ``out`` (jb, n)."""
        if not self._closed:
            self._T, self._closed = self._observed._filtered(self._T), True
        np.matmul(self._observed._G[equations], self._T, out=out)
        return out
