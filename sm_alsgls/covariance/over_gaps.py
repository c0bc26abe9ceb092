"""Sigma = F F' + D of rows whose innovations over gaps are made of several rows': exact.

Cells are v_nj = sum_k w_njk (f_j' g_k + z_kj) (`sm_alsgls.covariance.spread`), the factors g_k of
the rows N(0, I). Rows of a cell's sum belong to no other cell of its equation, so that given the
factors all cells are independent of variance d_j, and the covariance of all of them is

    Omega = D + A A',       A g = sum_k w_njk f_j' g_k.

By Woodbury's identity everything goes through M = I + A' D^-1 A, whose r x r blocks reach as many
rows from the diagonal as the longest gap, and which has a banded Cholesky factor M = L L':

    g^ = M^-1 A' D^-1 v,    Omega^-1 v = D^-1 (v - A g^),    log|Omega| = sum N_j log d_j + log|M|
    v' Omega^-1 v = (v - A g^)' D^-1 (v - A g^) + |g^|^2

Derivatives need the blocks of M^-1 within the band, which come of L from the last row to the first
(Takahashi, Fagan and Chen 1973). How digits survive a d_j of 1e-8 s_j is told in
`sm_alsgls.covariance.cores`. Without gaps M is block diagonal, and this is
`sm_alsgls.covariance.observed`. Cost O(N K r + N b^2), b being r times the rows of the longest gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.covariance.base import LowRank
from sm_alsgls.covariance.cores import Frame, frame
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# Numbers up to which stretches of rows are worked on together.
_AT_ONCE = 2e7


class FactorPrecision:
    """M = I + A' D^-1 A of the rows' factors, by its banded Cholesky factor.

    Parameters
    ----------
    own : Frame
        D^-1/2 F in coordinates that keep digits; everything here is in these.
    spread : Spread
    """

    def __init__(self, own: Frame, spread: Spread) -> None:
        A = own.A
        self.r = r = A.shape[1]
        self._of_coordinates = len(spread.spans.mask) * own.logdet
        self._L = np.ones((1, 0))
        products = (A[:, :, None] * A[:, None, :]).reshape(len(A), r * r)
        blocks = spread.blocks(products)
        self.width, self.N = blocks.shape[:2]
        blocks = blocks.reshape(self.width, self.N, r, r)
        blocks[0] += own.prior
        if r == 0:
            return
        band = np.zeros((self.width * r, self.N * r))
        for lag, i, j in np.ndindex(self.width, r, r):
            if lag * r + i >= j:
                band[lag * r + i - j, j::r] = blocks[lag, :, i, j]
        self._L = scipy.linalg.cholesky_banded(band, lower=True, check_finite=False)

    def logdet(self) -> float:
        """log|M|."""
        return 2.0 * float(np.log(self._L[0]).sum()) - self._of_coordinates

    def solve(self, h: Array) -> Array:
        """M^-1 h of (N, r)."""
        if self.r == 0:
            return h
        out = scipy.linalg.cho_solve_banded((self._L, True), h.ravel(), check_finite=False)
        return np.asarray(out).reshape(h.shape)

    def half(self, V: Array) -> Array:
        """L^-1 V of columns V (N r, m)."""
        if self.r == 0:
            return V
        lower = (len(self._L) - 1, 0)
        return np.asarray(scipy.linalg.solve_banded(lower, self._L, V, check_finite=False))

    def blocks(self) -> Array:
        """Blocks (k + lag, k) of M^-1, (width, N, r, r)."""
        r, width, N = self.r, self.width, self.N
        if r == 0:
            return np.zeros((width, N, 0, 0))
        below = np.zeros((width, N, r, r))
        for lag, i, j in np.ndindex(width, r, r):
            if lag * r + i >= j:
                below[lag, :, i, j] = self._L[lag * r + i - j, j::r]
        inverse = np.linalg.inv(below[0])
        own = inverse.swapaxes(1, 2) @ inverse
        if width == 1:
            return own[None]
        # What the rows after k are multiplied by, (N, (width - 1) r, r).
        after = np.concatenate(list(below[1:]), axis=1) @ inverse
        few = N * (width * r) ** 2 <= _AT_ONCE
        return _at_once(own, after) if few else _in_turn(own, after)


def _in_turn(own: Array, after: Array) -> Array:
    """Blocks of M^-1, from the last row to the first.

    With Y_k = after[k] and W_k the blocks among the rows after k, those beside k are -W_k Y_k, and
    its own one is own[k] + Y_k' W_k Y_k.
    """
    N, size, r = after.shape
    out = np.zeros((size // r + 1, N, r, r))
    window = np.zeros((size, size))
    for k in range(N - 1, -1, -1):
        off = -window @ after[k]
        out[0, k] = own[k] - after[k].T @ off
        out[1:, k] = off.reshape(-1, r, r)
        moved = np.empty_like(window)
        moved[:r, :r] = out[0, k]
        moved[r:, :r] = off[:-r]
        moved[:r, r:] = off[:-r].T
        moved[r:, r:] = window[:-r, :-r]
        window = moved
    return out


def _at_once(own: Array, after: Array) -> Array:
    """The same, many stretches of rows at a time: a step W_k = S_k W_k+1 S_k' + Q_k is affine.

    Each stretch first makes the one step that all of its steps are, whatever W it starts from.
    """
    N, reach, r = after.shape
    size, many = reach + r, math.isqrt(N - 1) + 1
    length = -(-N // many)
    S = np.zeros((many * length, size, size))
    S[:N, :r, :reach] = -after.swapaxes(1, 2)
    S[:N, r:, :reach] = np.eye(reach)
    S = S.reshape(many, length, size, size)
    Q = np.zeros((many * length, r, r))
    Q[:N] = own
    Q = Q.reshape(many, length, r, r)
    whole, left = np.tile(np.eye(size), (many, 1, 1)), np.zeros((many, size, size))
    for i in range(length - 1, -1, -1):
        step = S[:, i]
        whole = step @ whole
        left = step @ left @ step.swapaxes(1, 2)
        left[:, :r, :r] += Q[:, i]
    window = np.zeros((many, size, size))
    for b in range(many - 1, 0, -1):
        window[b - 1] = whole[b] @ window[b] @ whole[b].T + left[b]
    out = np.empty((many, length, size, r))
    for i in range(length - 1, -1, -1):
        step = S[:, i]
        window = step @ window @ step.swapaxes(1, 2)
        window[:, :r, :r] += Q[:, i]
        out[:, i] = window[:, :, :r]
    return out.reshape(-1, size // r, r, r)[:N].swapaxes(0, 1)


class GapCovariance:
    """Omega of the observed cells; rows (N, K) are zero in missing cells, and so is what returns.

    Parameters
    ----------
    cov : LowRank
    patterns : Patterns
    spread : Spread

    Examples
    --------
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> from sm_alsgls.covariance.spread import Spans
    >>> mask = np.array([[True, True], [True, False], [True, True]])
    >>> spans = Spans(mask, np.array([2]), np.array([1]), np.array([0, 0]), np.array([1, 2]))
    >>> cov = LowRankDiag.from_factors(np.ones((2, 1)), np.ones(2))
    >>> seen = GapCovariance(cov, Patterns(mask), Spread(spans, np.array([0.6, 0.8]), np.zeros(2)))
    >>> Omega = np.array([[2.0, 0.0, 0.6], [0.0, 2.0, 0.8], [0.6, 0.8, 2.0]])  # rows 1, 2; cell 3
    >>> E = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 3.0]])
    >>> bool(np.allclose(seen.solve(E).ravel()[[2, 4, 5]], np.linalg.solve(Omega, [1, 2, 3])))
    True
    """

    def __init__(self, cov: LowRank, patterns: Patterns, spread: Spread) -> None:
        self.cov, self.patterns, self.spread = cov, patterns, spread
        self._d = cov.uniquenesses
        self._root = np.sqrt(self._d)
        self._frame = frame(cov.loadings / self._root[:, None])
        self._A = self._frame.A

    #: Rows differ: there is no one matrix.
    precision = None

    def piecewise(self, n: int) -> None:
        """None: rows are mixed."""

    @cached_property
    def factors(self) -> FactorPrecision:
        """M."""
        return FactorPrecision(self._frame, self.spread)

    @cached_property
    def _taken(self) -> Array:
        """sum over the cells of j of a_j' Cov(A_n g) a_j, (K,)."""
        blocks = self.factors.blocks()
        return leverages(self._A, self.spread, blocks)

    def filtered(self, E: Array) -> Array:
        """g^ in the frame's coordinates, (N, r): means of the rows' factors given all cells."""
        return self.factors.solve(self.spread.returned(E / self._root, self._A))

    def solve(self, M: Array) -> Array:
        """Omega^-1 of cells M (N, K)."""
        G = self._A / self._root[:, None]
        Z = self.factors.solve(self.spread.returned(M, G))
        out = np.asfortranarray(M / self._d - self.spread.common(Z, G))
        return self.patterns.masked(out)

    def precision_diag(self) -> Array:
        """Mean of the diagonal of Omega^-1 over the cells of j, (K,)."""
        return (1.0 - self._taken / self.patterns.rows) / self._d

    def logdet(self) -> float:
        """log|Omega|."""
        return float(self.patterns.rows @ np.log(self._d)) + self.factors.logdet()

    def quad(self, E: Array) -> float:
        """v' Omega^-1 v, as a sum of squares."""
        Z = self.filtered(E)
        U = self.patterns.masked(E / self._root - self.spread.common(Z, self._A))
        return float(np.vdot(U, U) + np.vdot(Z, Z @ self._frame.prior))

    def nll(self, E: Array) -> float:
        """Negative log-likelihood per row, its constant included."""
        constant = self.patterns.n_cells * _LOG_2PI
        return 0.5 * (constant + self.logdet() + self.quad(E)) / self.patterns.N

    def half(self, pieces: Iterable[tuple[int, Array, slice]], P: int) -> Array:
        """L^-1 A' D^-1 X (N r, P) of equations, their X_j (N, p_j), and their places in P.

        X_j is zero in missing cells.
        """
        spans, G = self.spread.spans, self._A / self._root[:, None]
        N, r = len(spans.mask), G.shape[1]
        out = np.empty((N * r, P))
        weights, cells = self.spread.weight, spans.equation[spans.cell]
        for j, X, at in pieces:
            moved = X * spans.simple[:, j, None]
            mine = np.flatnonzero(cells == j)
            values = weights[mine, None] * X[spans.row[spans.cell[mine]]]
            np.add.at(moved, spans.source[mine], values)
            # Without factors there are no rows of which a width could be told.
            out[:, at] = (moved[:, None, :] * G[j][None, :, None]).reshape(N * r, X.shape[1])
        return self.factors.half(out)

    def information(self, blocks: Sequence[Array]) -> Array:
        """X' Omega^-1 X, (P, P), of designs (N, p_j) whose missing rows hold anything finite."""
        seen = [X * m[:, None] for X, m in zip(blocks, self.patterns.mask.T, strict=True)]
        H: Array = scipy.linalg.block_diag(
            *[X.T @ X / d for X, d in zip(seen, self._d, strict=True)]
        )
        stop = np.cumsum([X.shape[1] for X in seen])
        places = [slice(int(b) - X.shape[1], int(b)) for X, b in zip(seen, stop, strict=True)]
        V = self.half(zip(range(len(seen)), seen, places, strict=True), int(stop[-1]))
        return np.asarray(H - V.T @ V)

    def slope(self, E: Array) -> Array:
        """d NLL per row / d rho_j (K,) through the weights; E (N, K)."""
        spans, spread = self.spread.spans, self.spread
        if not len(spans.row) or not self.cov.rank:
            return np.zeros(self.cov.K)
        F, W = self._A * self._root[:, None], self.solve(E)
        j = spans.equation[spans.cell]
        common = np.einsum("er,er->e", self.filtered(E)[spans.source], F[j])
        out = -spread.slope * W[spans.row, spans.equation][spans.cell] * common
        total = np.bincount(j, out, self.cov.K)
        # Cov(sum_k w_k g_k, sum_k w'_k g_k), both orders of each pair of entries.
        first, second = spans.pairs
        lag = spans.source[first] - spans.source[second]
        C = self.factors.blocks()[lag, spans.source[second]]
        f = self._A[j[first]]
        size = np.einsum("pr,prs,ps->p", f, C, f)
        both = spread.weight[first] * spread.slope[second]
        both = both + np.where(first == second, 0.0, spread.slope[first] * spread.weight[second])
        return (total + np.bincount(j[first], both * size, self.cov.K)) / self.patterns.N


def leverages(A: Array, spread: Spread, blocks: Array) -> Array:
    """sum over the cells of j of a_j' Cov(sum_k w g_k) a_j (K,), of blocks of M^-1."""
    total = covariances(spread, blocks)
    return np.einsum("kr,krs,ks->k", A, total, A)


def covariances(spread: Spread, blocks: Array) -> Array:
    """sum over the cells of j of Cov(sum_k w_njk g_k), (K, r, r)."""
    width, N, r, _ = blocks.shape
    # Blocks off the diagonal stand for their transposes too.
    twice = blocks.copy()
    twice[1:] += blocks[1:].swapaxes(2, 3)
    K = spread.spans.mask.shape[1]
    return spread.sums(twice.reshape(width, N, r * r)).reshape(K, r, r)
