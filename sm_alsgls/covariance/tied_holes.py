"""Missing cells that rows have in common: integrated out all at once.

Rows are U = T(Y - X b), N of K, through a chain T of filters of whole rows (of the rows before, of
neighbours that are rows, of the responses' neighbours), and u_n ~ N(0, Omega). A missing cell
reaches few rows: T_m (N K, M), the M columns of T of missing cells, is sparse. As in
`sm_alsgls.covariance.through_holes`, with one matrix in the place of one a pattern,

    -2 llf = min over y_m of sum_n u_n' Omega^-1 u_n + N log|Omega| + log|Q_mm| - 2 log|T| + const,
    Q_mm   = T_m' (I x Omega^-1) T_m,              y_m <- y_m - Q_mm^-1 T_m' (I x Omega^-1) u ,

u in one column, row by row. Given what is observed row n has, beside the products of the filled
row, those of T_n C_n T_n', with T_n the m_n columns that reach it and C_n the block of
C = Q_mm^-1 of these: all that is needed of C for Sigma, and for every filter, whose derivatives
reach no other cells.

Cost: M^3 flops for Q_mm's Cholesky factor and inverse, 16 M^2 bytes: up to `MOST` cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.filled_rows import FilledRows
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any

#: Missing cells that are integrated out together: 9 million numbers, and some seconds, each time.
MOST = 3000
#: Numbers of T_m that are kept with their zeros: a sparse product takes some 50 us to begin.
SMALL = 50_000


def check_size(M: int) -> None:
    """Whether so many missing cells are few enough.

    Raises
    ------
    OptionError
    """
    if M > MOST:
        raise OptionError(
            f"{M} cells are missing, and these laws tie all of them together, which is done for up "
            f"to {MOST}: use missing='drop', or independent='time' without ar=, where rows do not "
            "know of one another's missing cells"
        )


class TiedHoles:
    """Cells that are missing and what they reach; what does not change with Omega.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    T : sparse array, shape (N K, M)
        Columns of the missing cells, row by row; rows likewise.
    touches : sparse array, shape (N, M)
        Not zero where a missing cell may reach a row, whatever the filters' values.

    Raises
    ------
    OptionError
        There are too many.
    """

    def __init__(self, patterns: Patterns, T: Sparse, touches: Sparse) -> None:
        self.patterns, self.T = patterns, T.tocsr()
        self._shape = patterns.N, patterns.K
        K, M = patterns.K, self.T.shape[1]
        check_size(M)
        #: T_m with its zeros where it is small.
        self.whole = self.T.toarray() if patterns.N * K * M <= SMALL else None
        touches = touches.tocsr()
        touches.sort_indices()
        size = np.diff(touches.indptr)
        #: Row and cell of each of the q pairs of a row and a cell that reaches it.
        self.row, self.cell = np.repeat(np.arange(patterns.N), size), touches.indices
        full = self.T.tocoo()
        row, j = np.divmod(full.row, K)
        at = np.searchsorted(self.row * M + self.cell, row * M + full.col)
        #: T of each pair, (q, K).
        self.columns = np.zeros((len(self.row), K))
        self.columns[at, j] = full.data
        #: Pairs of rows that as many cells reach, (G, m).
        start = touches.indptr[:-1]
        self.groups = [start[size == m][:, None] + np.arange(m) for m in np.unique(size) if m > 0]

    @property
    def counts(self) -> Array:
        """All rows tell of each equation, (K,)."""
        return np.full(self.patterns.K, self.patterns.N)

    def seen(self, cov: Covariance) -> ThroughTiedHoles:
        """``cov`` as the observed cells see it."""
        return ThroughTiedHoles(cov, self)

    def back(self, M: Array) -> Array:
        """T_m' of rows (N, K): (M,)."""
        turned = self.turned if self.whole is None else self.whole.T
        return np.asarray(turned @ np.ascontiguousarray(M).ravel())

    def forth(self, e: Array) -> Array:
        """What cells e (M,) are in rows, (N, K)."""
        T = self.T if self.whole is None else self.whole
        return np.asarray(T @ e).reshape(self._shape)

    def laid(self, pairs: Array) -> Array:
        """Values (q, K) of pairs with zeros elsewhere, (N K, M)."""
        (N, K), M = self._shape, self.T.shape[1]
        out = np.zeros((N, M, K))
        out[self.row, self.cell] = pairs
        return out.swapaxes(1, 2).reshape(N * K, M)

    def spread(self, pairs: Array) -> Sparse:
        """Values (q, K) of pairs as a sparse array (N K, M)."""
        places = self._places
        values = (pairs.ravel()[places.data], places.indices, places.indptr)
        return scipy.sparse.csr_array(values, shape=self.T.shape)

    @cached_property
    def _places(self) -> Sparse:
        """Where values of pairs stand: the same at every Omega, so they are sorted once."""
        K = self.patterns.K
        row = (self.row[:, None] * K + np.arange(K)).ravel()
        at = np.arange(len(row)), (row, np.repeat(self.cell, K))
        return scipy.sparse.coo_array(at, shape=self.T.shape).tocsr()

    @cached_property
    def turned(self) -> Sparse:
        """T_m' (M, N K), by rows."""
        return self.T.T.tocsr()


class ThroughTiedHoles(FilledRows):
    """Omega of rows with holes in common; see the module.

    Parameters
    ----------
    cov : Covariance
        Omega.
    holes : TiedHoles

    Examples
    --------
    Of e_2 = .5 e_1 + u_2, e_1 = u_1, the first is missing: e_2 has variance 1.25.

    >>> from sm_alsgls.covariance import LowRankDiag
    >>> T = scipy.sparse.csr_array(np.array([[1.0], [-0.5]]))
    >>> holes = TiedHoles(Patterns(np.array([[False], [True]])), T, T != 0.0)
    >>> seen = holes.seen(LowRankDiag.diagonal([1.0]))
    >>> round(float(np.exp(seen.logdet())), 9), round(seen.quad(np.array([[0.0], [1.0]])), 9)
    (1.25, 0.8)
    """

    def __init__(self, cov: Covariance, holes: TiedHoles) -> None:
        super().__init__(cov, holes.patterns, holes.counts)
        self._holes = holes

    @cached_property
    def _V(self) -> Sparse | Array:
        """Omega^-1 T_m, (N K, M)."""
        holes = self._holes
        put = holes.spread if holes.whole is None else holes.laid
        return put(self.cov.solve(holes.columns))

    @cached_property
    def _L(self) -> Array:
        """Q_mm = L L'."""
        holes = self._holes
        V = self._V
        Q = (holes.turned @ V).toarray() if holes.whole is None else holes.whole.T @ V
        if not Q.size:
            return np.empty((0, 0))
        L, info = dpotrf(0.5 * (Q + Q.T), lower=1, clean=1)
        if info:
            raise np.linalg.LinAlgError("the precision of the missing cells is singular")
        return np.asarray(L)

    @cached_property
    def covariance(self) -> Array:
        """C = Q_mm^-1, (M, M): of the missing cells given the observed ones."""
        C, info = dpotri(self._L, lower=1)
        assert info == 0
        return np.tril(C) + np.tril(C, -1).T

    def cells(self, E: Array) -> Array:
        """What is added to missing cells, (M,)."""
        pull = self._holes.back(self.cov.solve(E))
        if not pull.size:
            return pull
        return -np.asarray(dpotrs(self._L, pull, lower=1)[0])

    def missing(self, E: Array) -> Array:
        """The same in an array (N, K), zero elsewhere."""
        out = np.zeros(self.patterns.mask.shape)
        out[~self.patterns.mask] = self.cells(E)
        return out

    def filled(self, E: Array) -> Array:
        """Rows u^ of rows u (N, K)."""
        return E + self._holes.forth(self.cells(E))

    def _blocks(self) -> Iterator[tuple[Array, Array]]:
        """Pairs (G, m) of some rows, and C_n (G, m, m) of them."""
        for pairs in self._holes.groups:
            at = self._holes.cell[pairs]
            yield pairs, self.covariance[at[:, :, None], at[:, None, :]]

    def extra(self) -> Iterator[Array]:
        """Rows whose products sum to those of T_n C_n T_n'."""
        columns, K = self._holes.columns, self.patterns.K
        if K <= self.patterns.N:
            S = self._summed()
            values, vectors = np.linalg.eigh(0.5 * (S + S.T))
            yield np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
            return
        for pairs, C in self._blocks():
            root = np.linalg.cholesky(C)
            yield (root.swapaxes(1, 2) @ columns[pairs]).reshape(-1, K)

    def _summed(self) -> Array:
        """Sum of T_n C_n T_n', (K, K)."""
        holes, K = self._holes, self.patterns.K
        if holes.whole is not None:
            T = holes.whole.reshape(-1, K, holes.whole.shape[1])
            return np.asarray(np.tensordot(T @ self.covariance, T, ((0, 2), (0, 2))))
        S = np.zeros((K, K))
        for pairs, C in self._blocks():
            T = holes.columns[pairs]
            S += T.reshape(-1, K).T @ (C @ T).reshape(-1, K)
        return S

    def pulled(self) -> Sparse:
        """Omega^-1 T_m C where T_m is not zero, (N K, M): products with a derivative of T_m.

        tr(T_m' Omega^-1 dT_m C) is what the variance of the missing cells adds to a slope.
        """
        out = np.empty(self._holes.columns.shape)
        for pairs, C in self._blocks():
            out[pairs] = C @ self._holes.columns[pairs]
        return self._holes.spread(self.cov.solve(out))

    def logdet(self) -> float:
        """N log|Omega| + log|Q_mm|."""
        own = 2.0 * float(np.log(np.diagonal(self._L)).sum())
        return self.patterns.N * self.cov.logdet() + own

    def products(self, X: Array, owner: Array) -> Array:
        """X' M X (P, P) of columns X (N, P), each of the equation that ``owner`` (P,) says."""
        P = self.cov.solve(np.eye(self.patterns.K))
        P = 0.5 * (P + P.T)
        reached = np.empty((self._L.shape[0], X.shape[1]))
        for j in np.unique(owner):
            own = owner == j
            reached[:, own] = self._V[j :: self.patterns.K].T @ X[:, own]
        half = scipy.linalg.solve_triangular(self._L, reached, lower=True)
        return np.asarray((X.T @ X) * P[np.ix_(owner, owner)] - half.T @ half)

    def information(self, blocks: Sequence[Array]) -> Array:
        """The same of designs (N, p_j) side by side."""
        owner = np.repeat(np.arange(len(blocks)), [X.shape[1] for X in blocks])
        return self.products(np.concatenate(list(blocks), axis=1), owner)
