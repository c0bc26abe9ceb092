"""H^-1 of a million equations through the n r x n r dual system, over tiles.

With Sigma^-1 = D^-1/2 (I - H H') D^-1/2 (`sm_alsgls.core.tiles.factors`), rows h_j of H (K, r), and
bases B_j beside what all designs contain (`sm_alsgls.core.tiles.beside`), in whose coordinates

    T = I - sum_j (h_j h_j') x (B_j B_j')                                   (n r x n r)
    (H^-1)_jj = d_j { I + B_j' [ sum_ab h_ja h_jb (T^-1)_ab ] B_j },

while the coordinates of the common directions have (H^-1)_jl = sigma_jl I: there GLS is OLS.

1. T has r (r + 1) / 2 different blocks, each a sum sum_j w_j B_j B_j' of symmetric rank-k updates
   (weights that may be negative are made squares of by `sm_alsgls.core.beta.dual`'s identity).
2. Only h'(T^-1)h counts, so block (a, b) with its transpose is one symmetric n x n matrix, and of
   a symmetric A = L + L' the form B_j'A B_j = B_j'L B_j + its transpose: a triangle is enough,
   taken by columns in slices of 64 that leave out what is above the diagonal.
3. Slices of all blocks stand side by side, so that a tile has eight large products in place of
   120 small ones.

With P coefficients beside common directions, r = 5, n = 500: n^2 P flops for each of 15 blocks in
1 and 1.13 times as many in 3, 1.6 n^2 P r (r + 1) altogether, in 2 r^2 n^2 doubles a lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotri

from sm_alsgls.core.across import Across
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.beside import CONTAINED, Chunk, chunks, likely_common
from sm_alsgls.core.tiles.factors import Factors
from sm_alsgls.core.tiles.lanes import in_lanes
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray

# Columns of a slice of triangles: fewer save no more flops, and products get thin.
_SLICE = 64


@dataclass
class _Sums:
    """A lane's share of the blocks of T, and the worst that an equation leaves of C."""

    parts: Array
    left: Array


class TileDual:
    """T of a system in tiles and shards, and what is made of it.

    Parameters
    ----------
    source : TileSource
        The shard's equations.
    factors : Factors
        Of their Sigma, r >= 1.
    across : Across
    threads : int
        Lanes of a pass.
    """

    def __init__(
        self, source: TileSource, factors: Factors, across: Across, threads: int = 2
    ) -> None:
        self.source, self.factors = source, factors
        self._across, self._threads = across, threads

    @cached_property
    def _made(self) -> tuple[Array, Array]:
        """C (n, m), and the lower halves of the blocks (a, b <= a) of I - T, (pairs, n, n)."""
        common = likely_common(self.source, self._across)
        while True:
            sums, left = self._sums(common)
            contained = left <= CONTAINED
            if contained.all():
                return common, sums
            common = common[:, contained]

    def _sums(self, common: Array) -> tuple[Array, Array]:
        n, r, m = self.source.n, self.factors.r, common.shape[1]
        pairs = _pairs(r)

        def start() -> _Sums:
            return _Sums(np.zeros((len(pairs), n, n)), np.zeros(m))

        def work(state: _Sums, t: int, tile: Tile) -> None:
            if (state.left > CONTAINED).any():
                return  # all of it will be done again
            for chunk in chunks(self.source, t, tile.Xt, common):
                np.maximum(state.left, chunk.left.max(axis=0), out=state.left)
                self._add(state.parts, chunk)

        states = in_lanes(self.source, work, start, "dual system", self._threads)
        left = np.max([state.left for state in states], axis=0)
        left = np.array([self._across.largest(float(one)) for one in left])
        if (left > CONTAINED).any():
            return np.empty(0), left
        parts = states[0].parts
        for state in states[1:]:
            parts += state.parts
        parts = self._across.total(parts)
        own = {a: parts[k] for k, (a, b) in enumerate(pairs) if a == b}
        for k, (a, b) in enumerate(pairs):
            if a != b:
                parts[k] = 0.5 * (parts[k] - own[a] - own[b])
        return parts, left

    def _add(self, parts: Array, chunk: Chunk) -> None:
        k, q, n = chunk.rest.shape
        if not q:
            return
        H = self.factors.H[chunk.equations]
        rows = chunk.rest.reshape(k * q, n)
        weighted = np.empty_like(rows)
        for part, (a, b) in zip(parts, _pairs(self.factors.r), strict=True):
            w = H[:, a] if a == b else H[:, a] + H[:, b]
            np.multiply(rows, np.repeat(w, q)[:, None], out=weighted)
            # The upper half of the transpose, which is what BLAS sees.
            dsyrk(1.0, weighted.T, 1.0, part.T, lower=0, overwrite_c=1)

    @property
    def common(self) -> Array:
        """C, orthonormal directions (n, m) that all designs of all shards contain."""
        return self._made[0]

    @cached_property
    def mean_projection(self) -> Array:
        """sum_j w_j B_j B_j' / sum_j w_j, w_j = |h_j|^2, (n, n)."""
        pairs, parts = _pairs(self.factors.r), self._made[1]
        total = np.sum([parts[k] for k, (a, b) in enumerate(pairs) if a == b], axis=0)
        return _whole(total) / self._across.total(float(self.factors.leverage.sum()))

    @cached_property
    @on_one_thread
    def factor(self) -> Array:
        """Lower Cholesky factor of T, (n r, n r), Fortran-ordered."""
        n, r, parts = self.source.n, self.factors.r, self._made[1]
        T = np.empty((n * r, n * r), order="F")
        for k, (a, b) in enumerate(_pairs(r)):
            T[a * n : (a + 1) * n, b * n : (b + 1) * n] = -_whole(parts[k])
        T.ravel(order="K")[:: n * r + 1] += 1.0
        return scipy.linalg.cholesky(T, lower=True, overwrite_a=True, check_finite=False)

    def solve(self, Z: Array) -> Array:
        """T^-1 Z for columns Z (n r, c)."""
        return np.asarray(scipy.linalg.cho_solve((self.factor, True), Z, check_finite=False))

    def quadratic(self, other: Array | None = None) -> Quadratic:
        """B_j'[sum_ab h_ja h_jb (T^-1)_ab] B_j of equations, and B_j'A B_j of another A (n, n)."""
        n, r = self.source.n, self.factors.r
        # info is not needed: a Cholesky factor has no zero on its diagonal.
        inverse = dpotri(self.factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        forms = []
        for a, b in _pairs(r):
            block = inverse[a * n : (a + 1) * n, b * n : (b + 1) * n]
            forms.append(block if a == b else block + block.T)
        return Quadratic(forms if other is None else [*forms, other], r)


class Quadratic:
    """Symmetric forms of bases, by lower triangles in slices of columns.

    Parameters
    ----------
    forms : list of ndarray
        r (r + 1) / 2 symmetric matrices (n, n), weighted by h_a h_b and added up, and maybe one
        more, which is apart.
    r : int
    """

    def __init__(self, forms: list[Array], r: int) -> None:
        self._pairs, self._apart = _pairs(r), len(forms) > len(_pairs(r))
        n = len(forms[0])
        lower = [np.tril(A, -1) + np.diag(0.5 * np.diagonal(A)) for A in forms]
        self._slices = [
            (at, np.concatenate([L[at.start :, at] for L in lower], axis=1))
            for at in (slice(i, min(n, i + _SLICE)) for i in range(0, n, _SLICE))
        ]

    def of(self, rest: Array, H: Array) -> tuple[Array, Array | None]:
        """The weighted sum and the form apart, (k, q, q) each, of bases (k, q, n), rows H (k, r)."""
        k, q, n = rest.shape
        rows = rest.reshape(k * q, n)
        weights = np.stack([H[:, a] * H[:, b] for a, b in self._pairs], axis=1).repeat(q, axis=0)
        half = np.empty((k * q, n))
        apart = np.empty((k * q, n)) if self._apart else None
        for at, stacked in self._slices:
            made = (rows[:, at.start :] @ stacked).reshape(k * q, -1, at.stop - at.start)
            count = weights.shape[1]
            half[:, at] = np.matmul(weights[:, None, :], made[:, :count])[:, 0]
            if apart is not None:
                apart[:, at] = made[:, count]
        return _symmetric(rest, half), None if apart is None else _symmetric(rest, apart)


def _symmetric(rest: Array, half: Array) -> Array:
    """B_j'L B_j and its transpose, of rows B_j'L."""
    made = np.matmul(half.reshape(rest.shape), rest.transpose(0, 2, 1))
    return np.asarray(made + made.transpose(0, 2, 1))


def _pairs(r: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(r) for b in range(a + 1)]


def _whole(lower: Array) -> Array:
    """The symmetric matrix of a lower half; what is above the diagonal is not looked at."""
    return np.asarray(np.tril(lower) + np.tril(lower, -1).T)
