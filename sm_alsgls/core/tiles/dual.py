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
1 and 1.13 times as many (two each) in 3, 1.6 n^2 P r (r + 1) altogether; r (r + 1) / 2 n^2 numbers
a lane, and three times T. Measured on one core: 36e9 of the n^2 P a second in either pass.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.linalg.lapack import dpotri

from sm_alsgls.core.across import Across
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.beside import CONTAINED, ROWS, Chunk, chunks, contained, likely_common
from sm_alsgls.core.tiles.factors import Factors
from sm_alsgls.core.tiles.lanes import in_lanes
from sm_alsgls.core.tiles.passes import THREADS
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray

# Columns of a slice of triangles: fewer save no more flops, and products get thin.
_SLICE = 64


class _Sums:
    """A lane's share of the blocks of I - T, and the worst that an equation leaves of C.

    Bases are gathered until they are as many rows as a product is worth: tiles may be small.
    """

    def __init__(self, n: int, r: int, m: int) -> None:
        self.parts = np.zeros((r * (r + 1) // 2, n, n))
        self.left, self.worst = np.zeros((m, m)), np.zeros(m)
        self._waiting: list[tuple[Array, Array]] = []

    def add(self, chunk: Chunk, H: Array) -> None:
        """Take in a chunk, whose equations have the rows H (k, r)."""
        self.left += chunk.left.sum(axis=0)
        own = np.diagonal(chunk.left, axis1=1, axis2=2).max(axis=0)
        np.maximum(self.worst, own, out=self.worst)
        k, q, n = chunk.rest.shape
        self._waiting.append((chunk.rest.reshape(k * q, n), H.repeat(q, axis=0)))
        if sum(len(rows) for rows, _ in self._waiting) >= ROWS:
            self.close()

    def close(self) -> None:
        """Add up what is waiting."""
        if not self._waiting:
            return
        rows, H = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting = []
        weighted, product = np.empty_like(rows), np.empty((rows.shape[1],) * 2)
        for part, (a, b) in zip(self.parts, _pairs(H.shape[1]), strict=True):
            w = H[:, a] if a == b else H[:, a] + H[:, b]
            np.multiply(rows, w[:, None], out=weighted)
            # A rank-k update (NumPy sees that both are one array) that lets go of the interpreter,
            # which SciPy's dsyrk does not.
            part += np.matmul(weighted.T, weighted, out=product)


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

    Attributes
    ----------
    common : ndarray, shape (n, m)
        C, orthonormal directions that all designs of all shards contain.
    factor : ndarray, shape (n r, n r)
        Lower Cholesky factor of T, Fortran-ordered.
    mean_projection : ndarray, shape (n, n)
        sum_j w_j B_j B_j' / sum_j w_j, w_j = |h_j|^2.

    Notes
    -----
    Made at once, by a pass over the regressors (two where a direction that a few tiles share is
    not common to all). Not when it is asked for: properties that are cached hold a lock of their
    class while they are made (Python 3.11), and two shards of a process would wait for ever.
    """

    def __init__(
        self, source: TileSource, factors: Factors, across: Across, threads: int = THREADS
    ) -> None:
        self.source, self.factors = source, factors
        self._across, self._threads = across, threads
        self.common, parts = likely_common(source, across), None
        while parts is None:
            parts = self._sums()
        total = np.sum([parts[k] for k, (a, b) in enumerate(_pairs(factors.r)) if a == b], axis=0)
        self.mean_projection = total / across.total(float(factors.leverage.sum()))
        self.factor = self._factorised(parts)

    def _sums(self) -> Array | None:
        """The blocks (a, b <= a) of I - T, (pairs, n, n).

        None, and fewer common directions, where a design lacks one of them.
        """
        common, n, r = self.common, self.source.n, self.factors.r
        pairs = _pairs(r)

        def work(state: _Sums, t: int, tile: Tile) -> None:
            if (state.worst > CONTAINED).any():
                return  # all of it will be done again
            for chunk in chunks(self.source, t, tile.Xt, common):
                state.add(chunk, self.factors.H[chunk.equations])

        m = common.shape[1]
        states = in_lanes(self.source, work, lambda: _Sums(n, r, m), "dual system", self._threads)
        worst = np.max([state.worst for state in states], axis=0)
        worst = np.array([self._across.largest(float(one)) for one in worst])
        if (worst > CONTAINED).any():
            left = self._across.total(np.sum([state.left for state in states], axis=0))
            self.common = contained(common, left, worst)
            return None
        for state in states:
            state.close()
        parts = states[0].parts
        for state in states[1:]:
            parts += state.parts
        if not self._across.alone:
            # Half of a symmetric matrix travels.
            i, j = np.tril_indices(n)
            parts[:, i, j] = parts[:, j, i] = self._across.total(parts[:, i, j])
        own = {a: parts[k] for k, (a, b) in enumerate(pairs) if a == b}
        for k, (a, b) in enumerate(pairs):
            if a != b:
                parts[k] = 0.5 * (parts[k] - own[a] - own[b])
        return parts

    @on_one_thread
    def _factorised(self, parts: Array) -> Array:
        n, r = self.source.n, self.factors.r
        T = np.empty((n * r, n * r), order="F")
        for k, (a, b) in enumerate(_pairs(r)):
            T[a * n : (a + 1) * n, b * n : (b + 1) * n] = -parts[k]
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
        """The weighted sum and the form apart, (k, q, q) each; bases (k, q, n), H (k, r)."""
        k, q, n = rest.shape
        rows = rest.reshape(k * q, n)
        weights = np.empty((k, len(self._pairs)))
        for i, (a, b) in enumerate(self._pairs):
            np.multiply(H[:, a], H[:, b], out=weights[:, i])
        weights = weights.repeat(q, axis=0)
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
