"""What designs hold beside the directions that all of them contain, the constant mostly.

Where each Q_j (n, p_j) spans the orthonormal C (n, m),

    Q_j = [C  B_j] U_j',        U_j = Q_j'[C  B_j] orthogonal (p_j, p_j),        C'B_j = 0,

so a matrix of blocks s_jl Q_j'Q_l falls apart into S x I and one of blocks s_jl B_j'B_l, which has
P - K m rows in place of P. Blocks of what is made of it are U_j diag(a_j I, .) U_j'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from sm_alsgls.core.design.base import PerEquation

Array = np.ndarray

# What may be left of a direction of length 1 that a design contains; and its square, at first.
_ROUNDING, _NEAR = 1e-13, 1e-10
# Elements of a tile.
_TILE = 2**15


def tile_of(design: PerEquation) -> int:
    """Equations whose bases caches hold."""
    return max(1, _TILE // (design.n * max(1, int(design.p.max()))))


def common_directions(design: PerEquation) -> Array:
    """Orthonormal directions (n, m) that all designs contain, to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.per_equation import Design
    >>> rng = np.random.default_rng(0)
    >>> X = [np.column_stack([rng.standard_normal((9, 1)), np.ones(9)]) for _ in range(4)]
    >>> bool(np.allclose(np.abs(common_directions(Design(X))), 1 / 3))
    True
    """
    fewest = design.basis(int(np.argmin(design.p)))
    return kept_by(lambda: ((Q, Q) for _, Q, _ in design.tiles(tile_of(design))), fewest)


def kept_by(stacks: Callable[[], Iterable[tuple[Array, Array]]], C: Array) -> Array:
    """Orthonormal directions c (n, m) among those of C (n, q) with X_j Q_j'c = c for all j.

    ``stacks`` makes stacks of Q_j' and X_j', (k, p, n) both.
    """
    if C.shape[1] > 1:
        # An angle of 1e-5 passes here; then what is left tells.
        total = np.zeros((C.shape[1],) * 2)
        for left in _left(stacks, C):
            total += np.matmul(left, left.transpose(0, 2, 1)).sum(axis=0)
        values, turn = np.linalg.eigh(total)
        C = C @ turn[:, values < _NEAR]
    most = np.zeros(C.shape[1])
    for left in _left(stacks, C) if C.size else ():
        most = np.maximum(most, np.vecdot(left, left).max(axis=0))
    return C[:, most <= _ROUNDING**2]


def _left(stacks: Callable[[], Iterable[tuple[Array, Array]]], C: Array) -> Iterator[Array]:
    """(X_j Q_j'C - C)', (k, q, n)."""
    for basis, face in stacks():
        yield np.matmul(np.matmul(basis, C).transpose(0, 2, 1), face) - C.T


class Beside:
    """The B_j in the order of the Q_j, as tiles that are made when they are asked for.

    Parameters
    ----------
    design : PerEquation
    common : ndarray, shape (n, m)
        `common_directions`, or some of them; may be none.

    Attributes
    ----------
    n, K, P : int
        P is the columns of all B_j.
    p : ndarray of int, shape (K,)
        p_j - m.
    """

    def __init__(self, design: PerEquation, common: Array) -> None:
        self._design, self._m = design, common.shape[1]
        self.n, self.K, self.p = design.n, design.K, design.p - self._m
        self._turns: list[tuple[Array, Array]] = []
        # Where an equation is: its stack, its place in it, and that of its columns.
        self._at = np.empty((3, self.K), dtype=np.intp)
        start = 0
        for equations, basis, _ in design.tiles(self.K):
            inside = np.matmul(basis, common)
            turn = np.linalg.qr(inside, mode="complete")[0]
            turn[:, :, : self._m] = inside
            place, width = np.arange(len(turn)), turn.shape[1] - self._m
            stack = np.full(len(turn), len(self._turns))
            self._at[:, equations] = np.stack([stack, place, start + place * width])
            self._turns.append((equations, turn))
            start += len(turn) * width
        self.P = start

    def expand(self, v: Array) -> Array:
        """One value an equation (K,) for each of its columns, (P,)."""
        return np.concatenate([v[e].repeat(t.shape[1] - self._m) for e, t in self._turns])

    def _turn(self, equations: Array) -> Array:
        """U_j of a tile's equations, (k, p, p)."""
        stack, place, _ = self._at[:, equations[0]]
        return self._turns[stack][1][place : place + len(equations)]

    def beside(self, equations: Array, rows: Array) -> Array:
        """Of rows (k, p_j, n) in the coordinates of the Q_j of a tile, those of the B_j."""
        if not self._m:
            return rows
        return np.matmul(self._turn(equations)[:, :, self._m :].transpose(0, 2, 1), rows)

    def places(self) -> Iterator[tuple[Array, slice]]:
        """Equations of as many columns, and where these sit."""
        for equations, _ in self._turns:
            start = int(self._at[2, equations[0]])
            yield equations, slice(start, start + len(equations) * int(self.p[equations[0]]))

    def tiles(self, size: int) -> Iterator[tuple[Array, Array, slice]]:
        """Equations, B_j' (k, p_j - m, n) and place, as `PerEquation.tiles`."""
        for equations, basis, _ in self._design.tiles(size):
            part = self.beside(equations, basis)
            start = int(self._at[2, equations[0]])
            yield equations, part, slice(start, start + part.shape[0] * part.shape[1])

    def rows(self) -> Array:
        """All B_j' one upon the other, (P, n)."""
        out = np.empty((self.P, self.n))
        for _, basis, at in self.tiles(tile_of(self._design)):
            out[at] = basis.reshape(at.stop - at.start, self.n)
        return out

    def whole(self, equations: Array, blocks: Array, own: Array | None = None) -> Array:
        """U_j diag(own_j I, block_j) U_j' of a tile's blocks; ``own`` (k,) is zero by default."""
        if not self._m:
            return blocks
        turn = self._turn(equations)
        inside, outside = turn[:, :, : self._m], turn[:, :, self._m :]
        made = np.matmul(np.matmul(outside, blocks), outside.transpose(0, 2, 1))
        if own is not None:
            made += np.matmul(inside * own[:, None, None], inside.transpose(0, 2, 1))
        return np.asarray(made)
