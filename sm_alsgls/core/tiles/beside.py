"""What designs hold beside directions that all of them contain, a tile at a time.

Where each Q_j spans the orthonormal C (n, m), the constant mostly, Q_j = [C  B_j] U_j' with U_j
orthogonal and C'B_j = 0 (`sm_alsgls.core.design.beside`), and H falls apart into Sigma^-1 x I and
one of the B_j, which has P - K m rows in place of P. At a million equations that is more than
speed: all equations together know a shared direction a million times as well as one, so what
rounding leaves of it in T is a million times as large in T^-1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.design.bases import bases_of_rows
from sm_alsgls.core.design.beside import kept_by
from sm_alsgls.core.tiles.source import TileSource

Array = np.ndarray

#: What may be left of a direction of length 1 that a design contains, squared.
CONTAINED = 1e-24
# And for a sum of many, at first.
_NEAR = 1e-10
#: Rows of bases that are worked on together, while they are in cache.
ROWS = 1024


class Chunk(NamedTuple):
    """Bases of some of a tile's equations.

    Attributes
    ----------
    at : slice
        Their places in the tile.
    equations : slice
        And in the shard.
    rest : ndarray, shape (k, p - m, n)
        B_j' as rows.
    to_beta : ndarray, shape (k, p, p)
        beta_j of the coordinates [C'.; B_j'.], those of C first.
    left : ndarray, shape (k, m, m)
        Inner products of what is left of the columns of C, Q_j Q_j'c - c.
    """

    at: slice
    equations: slice
    rest: Array
    to_beta: Array
    left: Array


def chunks(source: TileSource, t: int, Xt: Array, common: Array) -> Iterator[Chunk]:
    """The bases of tile t, of regressors Xt (m, p, n), beside the columns of ``common`` (n, q).

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        With the equation's number in the whole system.
    """
    first, count = source.bounds[t].start, len(Xt)
    step = max(1, ROWS // max(1, Xt.shape[1]))
    for start in range(0, count, step):
        stop = min(count, start + step)
        equations = slice(first + start, first + stop)
        number = source.first + np.arange(equations.start, equations.stop)
        basis, to_beta = bases_of_rows(Xt[start:stop], number)
        yield Chunk(slice(start, stop), equations, *_beside(basis, to_beta, common))


def _beside(basis: Array, to_beta: Array, common: Array) -> tuple[Array, Array, Array]:
    m = common.shape[1]
    if not m:
        return basis, to_beta, np.empty((len(basis), 0, 0))
    inside = np.matmul(basis, common)
    lost = np.matmul(inside.transpose(0, 2, 1), basis) - common.T
    turn = np.linalg.qr(inside, mode="complete")[0]
    turn[:, :, :m] = inside
    rest = np.matmul(turn[:, :, m:].transpose(0, 2, 1), basis)
    return rest, np.matmul(to_beta, turn), np.matmul(lost, lost.transpose(0, 2, 1))


def likely_common(source: TileSource, across: Across) -> Array:
    """Orthonormal directions (n, m) that designs of a few tiles of each shard contain.

    The same bits in all shards. Whether all designs contain them is told by `Chunk.left`.
    """
    few = sorted({0, len(source.bounds) // 2, len(source.bounds) - 1})
    none = np.empty((source.n, 0))
    made = [c.rest for t in few for c in chunks(source, t, source.read(t).Xt, none)]
    fewest = min(made, key=lambda rest: rest.shape[1])[0].T
    own = kept_by(lambda: ((Q, Q) for Q in made), fewest)
    if across.alone:
        return own
    # What all shards have is what the mean of their projections leaves as it is.
    mean = across.total(own @ own.T) / across.total(1.0)
    share, vectors = np.linalg.eigh(mean)
    return vectors[:, share > 1.0 - 1e-10]


def contained(common: Array, left: Array, worst: Array) -> Array:
    """Columns, or combinations, of ``common`` (n, m) that more designs contain.

    Parameters
    ----------
    left : ndarray, shape (m, m)
        Sum of `Chunk.left` over designs, some of which lack a column.
    worst : ndarray, shape (m,)
        The largest of its diagonals.
    """
    values, turn = np.linalg.eigh(left)
    kept = values < _NEAR
    return common[:, worst <= CONTAINED] if kept.all() else common @ turn[:, kept]
