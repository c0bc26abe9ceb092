"""An unrestricted Sigma seen through holes: the covariance of rows that are observed in part.

Row n is observed in the equations O_n, where its errors have the covariance Sigma_n = Sigma_OO,
the same for all rows with one pattern g. With Sigma = R'R and the mask m_g of a pattern,

    [ R diag(m_g) ; I - diag(m_g) ] = Q_g R_g ,         R_g'R_g = m_g m_g' o Sigma + I - diag(m_g),

so that V_g = R_g^-1 diag(m_g), upper triangular, has V_g V_g' = Sigma_OO^-1 in the observed cells
and zeros elsewhere. Where equations are nearly dependent no cross-products of R are formed: it
keeps the digits that Sigma has lost. Then, for rows e_n that are zero in missing cells,

    Sigma_n^-1 e_n = V_g V_g' e_n ,    e_n' Sigma_n^-1 e_n = |V_g' e_n|^2 ,
    log|Sigma_n| = 2 sum_j log (R_g)_jj .

Cost 4/3 G K^3 for the factors of G patterns and O(N K^2) for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.covariance.observed import Conditional
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# Patterns up to which a product each beats one product for every row.
_FEW = 64
_CHUNK_BYTES = 2**26
# What the others leave of an equation's variance, one over it, up to which Sigma has lost no more
# than four digits of R, and its own Cholesky factors do.
_PLAIN = 1e4


class ObservedUnrestricted:
    """An unrestricted Sigma for rows of which only some cells are observed.

    Rows M are (N, K), aligned with the mask and zero in missing cells; so is what comes back.

    Parameters
    ----------
    root : ndarray, shape (K, K)
        R, upper triangular, with Sigma = R'R.
    patterns : Patterns

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> mask = rng.random((30, 4)) < 0.7
    >>> E = np.where(mask, rng.standard_normal((30, 4)), 0.0)
    >>> R = np.triu(rng.standard_normal((4, 4)))
    >>> W = ObservedUnrestricted(R, Patterns(mask)).solve(E)
    >>> seen = mask[7]
    >>> Sigma = (R.T @ R)[np.ix_(seen, seen)]
    >>> bool(np.allclose(W[7, seen], np.linalg.solve(Sigma, E[7, seen])))
    True
    """

    def __init__(self, root: Array, patterns: Patterns) -> None:
        self.root, self.patterns = root, patterns
        self._variances = np.einsum("ij,ij->j", root, root)

    #: Rows have precisions of their own.
    precision = None

    def piecewise(self, n: int) -> None:
        """None: a row is solved for as a whole."""

    # -- factors of the patterns ----------------------------------------------------------------

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """V of every pattern (G, K, K), and log|Sigma_g| (G,)."""
        K, G = self.patterns.K, self.patterns.G
        V, logdet = np.empty((G, K, K)), np.empty(G)
        # In units of its own: the ones of missing cells have to be of Sigma's size.
        c = np.sqrt(self._variances)
        R = self.root / c
        inverse = scipy.linalg.solve_triangular(R, np.eye(K))
        plain = np.square(inverse).sum(axis=1).max() < _PLAIN
        size = max(1, _CHUNK_BYTES // (32 * K * K))
        for start in range(0, G, size):
            at = slice(start, start + size)
            m = self.patterns.cells.T[at]
            V[at], sizes = _by_cholesky(R, m) if plain else _by_qr(R, m)
            V[at] *= (m / c)[:, :, None]
            logdet[at] = 2.0 * ((np.log(sizes) + np.log(c)) * m).sum(axis=1)
        return V, logdet

    @cached_property
    def _of(self) -> Array:
        """The pattern of each row, (N,)."""
        return self.patterns.to_rows(np.arange(self.patterns.G))

    def _by_pattern(self, M: Array, V: Array) -> Array:
        """Rows m_n V_g(n), (N, K), for V (G, K, L)."""
        out = np.empty((len(M), V.shape[2]))
        for rows, block in self._groups(V):
            out[rows] = M[rows] @ block if block.ndim == 2 else _rowwise(M[rows], block)
        return out

    def _groups(self, V: Array) -> Iterator[tuple[Array, Array]]:
        """Rows with what multiplies them: a pattern's matrix, or one for each row."""
        if len(V) <= _FEW:
            order = np.argsort(self._of, kind="stable")
            stops = np.cumsum(self.patterns.counts).astype(np.intp)
            for g, (stop, count) in enumerate(zip(stops, self.patterns.counts, strict=True)):
                yield order[stop - int(count) : stop], V[g]
            return
        if self.patterns.G == self.patterns.N:
            # Patterns are rows, in their order.
            yield np.arange(self.patterns.N), V
            return
        size = max(1, _CHUNK_BYTES // (8 * V.shape[1] * V.shape[2]))
        for start in range(0, self.patterns.N, size):
            rows = np.arange(start, min(self.patterns.N, start + size))
            yield rows, V[self._of[rows]]

    # -- what the beta-step asks ----------------------------------------------------------------

    def whiten(self, M: Array) -> Array:
        """Rows V_g' m_n, whose squares add up to m_n' Sigma_n^-1 m_n; (N, K)."""
        return self._by_pattern(M, self._factors[0])

    def solve(self, M: Array) -> Array:
        """Rows Sigma_n^-1 m_n, zero in missing cells; (N, K)."""
        return self._by_pattern(self.whiten(M), self._factors[0].transpose(0, 2, 1))

    @cached_property
    def _precision_cells(self) -> Array:
        """(Sigma_g^-1)_jj of every pattern, zero where it has no cell, (K, G)."""
        return np.einsum("gkl,gkl->kg", self._factors[0], self._factors[0])

    def precision_diag(self) -> Array:
        """Mean of (Sigma_n^-1)_jj over the observed rows of j, (K,)."""
        return self._precision_cells @ self.patterns.counts / self.patterns.rows

    def logdet(self) -> float:
        """Sum over rows of log|Sigma_n|."""
        return float(self.patterns.counts @ self._factors[1])

    # -- likelihood -----------------------------------------------------------------------------

    def quad(self, E: Array) -> float:
        """Sum over rows of e_n' Sigma_n^-1 e_n, as a sum of squares."""
        white = self.whiten(E)
        return float(np.vdot(white, white))

    def nll(self, E: Array) -> float:
        """Negative log-likelihood per row, its constant included.

        ( n_cells log 2 pi + sum_n log|Sigma_n| + sum_n e_n' Sigma_n^-1 e_n ) / (2 N)
        """
        constant = self.patterns.n_cells * _LOG_2PI
        return 0.5 * (constant + self.logdet() + self.quad(E)) / self.patterns.N

    def precisions(self) -> Iterator[tuple[Array, Array]]:
        """Every pattern's rows and its Sigma_g^-1 (K, K), zeros in missing cells."""
        order = np.argsort(self._of, kind="stable")
        stops = np.cumsum(self.patterns.counts).astype(np.intp)
        for g, (stop, count) in enumerate(zip(stops, self.patterns.counts, strict=True)):
            V = self._factors[0][g]
            yield order[stop - int(count) : stop], V @ V.T

    def information(self, blocks: Sequence[Array]) -> Array:
        """Sum over rows of x_n Sigma_n^-1 x_n', (P, P), of designs (N, p_j) side by side.

        What rows have in the design of an equation that they lack is finite, and not looked at.
        """
        X = np.concatenate(list(blocks), axis=1)
        owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        H = np.zeros((X.shape[1], X.shape[1]))
        for rows, precision in self.precisions():
            part = X[rows].T @ X[rows]
            part *= precision.take(owner, axis=0).take(owner, axis=1)
            H += part
        return H

    def total_precision(self) -> Array:
        """Sum over rows of Sigma_n^-1, zeros in missing cells, (K, K)."""
        V = self._factors[0] * np.sqrt(self.patterns.counts)[:, None, None]
        wide = V.transpose(1, 0, 2).reshape(self.patterns.K, -1)
        return wide @ wide.T

    # -- cell by cell ---------------------------------------------------------------------------

    def precision_cells(self) -> Array:
        """(Sigma_n^-1)_jj in observed cells, zero elsewhere; (N, K)."""
        return self.patterns.to_rows(self._precision_cells).T

    def conditional(self, E: Array) -> Conditional:
        """Every cell given the other observed cells of its row.

        With w_n the row's `solve`: a missing cell has mean (Sigma w_n)_j and variance
        Sigma_jj - |V_g'sigma_j|^2; an observed one, left out, mean e_nj - w_nj / (Sigma_n^-1)_jj
        and variance 1 / (Sigma_n^-1)_jj.
        """
        patterns, R = self.patterns, self.root
        W = self.solve(E)
        common = (W @ R.T) @ R
        # |R_:j|^2 less what the pattern explains, the second as squares of R V_g.
        explained = np.einsum("gkl,kj->glj", self._factors[0], R.T @ R)
        left = self._variances[:, None] - np.einsum("glj,glj->jg", explained, explained)
        left = patterns.to_rows(np.maximum(left, 0.0)).T
        P = self.precision_cells()
        ratio = np.divide(1.0, P, out=np.zeros_like(P), where=patterns.mask)
        mean = np.where(patterns.mask, E - W * ratio, common)
        return Conditional(mean, np.where(patterns.mask, ratio, left))

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
        V = self._factors[0][self._of[rows]]
        sigma = self.root[:, equations].T @ self.root
        seen = self.patterns.mask[rows, equations]
        # Of an observed cell the row of Sigma_n^-1, of a missing one Sigma_jO Sigma_OO^-1.
        left = np.where(seen[:, None], 0.0, sigma)
        left[own[seen], equations[seen]] = 1.0
        out = _rowwise(_rowwise(left, V), V.transpose(0, 2, 1))
        out[seen] /= -out[own, equations][seen, None]
        out[own, equations] = 0.0
        return out


def _rowwise(M: Array, V: Array) -> Array:
    """Rows m_n V_n, (n, L), for V (n, K, L)."""
    return np.matmul(M[:, None, :], V)[:, 0, :]


def _by_qr(R: Array, m: Array) -> tuple[Array, Array]:
    """R_g^-1 (G, K, K) of masks m (G, K), and the diagonals of R_g, positive."""
    eye = np.eye(len(R))
    both = np.concatenate([R * m[:, None, :], eye * (1.0 - m[:, None, :])], axis=1)
    triangle: Array = np.linalg.qr(both, mode="r")  # type: ignore[assignment]
    return _inverses(triangle), np.abs(np.einsum("gkk->gk", triangle))


def _by_cholesky(R: Array, m: Array) -> tuple[Array, Array]:
    """The same from Sigma itself, in a quarter of the time."""
    S = (R.T @ R) * (m[:, :, None] * m[:, None, :])
    S += np.eye(len(R)) * (1.0 - m)[:, :, None]
    L = np.linalg.cholesky(S)
    return np.linalg.inv(L).transpose(0, 2, 1), np.einsum("gkk->gk", L)


def _inverses(R: Array) -> Array:
    """Inverses of upper triangles (G, K, K), by back substitution in all of them at once."""
    K = R.shape[1]
    out = np.zeros_like(R)
    for j in range(K - 1, -1, -1):
        row = -np.matmul(R[:, j : j + 1, j + 1 :], out[:, j + 1 :, :])[:, 0, :]
        row[:, j] += 1.0
        out[:, j, :] = row / R[:, j, j, None]
    return out
