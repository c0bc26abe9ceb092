"""The first look at a system in tiles: what data must be before anything is made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.sound import SoundTiles
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray


class Look(NamedTuple):
    """What one pass over a shard sees.

    Attributes
    ----------
    first : ndarray, shape (K,)
        A value of each response.
    varies : ndarray of bool, shape (K,)
        Whether it has another.
    about_mean : ndarray, shape (K,)
        sum_n (y_jn - mean)^2.
    ones : list of ndarray of bool, shape (m, p)
        Of each tile, which columns hold nothing but 1.
    """

    first: Array
    varies: Array
    about_mean: Array
    ones: list[Array]


def look(source: TileSource, across: Across) -> Look:
    """Look at a shard; a program that needs no sums.

    Raises
    ------
    UnsoundTileError
        It names the equation, the column and the rows by their numbers in the whole system.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.across import ALONE
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> X = np.ones((2, 5, 2))
    >>> X[:, :, 1] = np.arange(5)
    >>> seen = look(ArraySource(X, np.array([[0.0, 7.0]] * 4 + [[2.0, 7.0]])), ALONE)
    >>> seen.varies.tolist(), seen.ones[0].tolist()
    ([True, False], [[True, False], [True, False]])
    """
    first, about = np.empty(source.K), np.empty(source.K)
    varies, ones = np.empty(source.K, dtype=bool), []

    def work(t: int, tile: Tile) -> tuple[Array, Array, Array, Array]:
        Y = tile.Yt
        centred = Y - Y.mean(axis=1, keepdims=True)
        # The first row shows most columns that are no constant.
        likely = tile.Xt[:, :, 0] == 1.0
        likely[likely] = (tile.Xt[likely] == 1.0).all(axis=1)
        moves = (Y != Y[:, :1]).any(axis=1)
        return Y[:, 0], moves, np.vecdot(centred, centred), likely

    for t, (value, moves, squares, of_ones) in enumerate(over_tiles(SoundTiles(source), work)):
        at = source.bounds[t]
        first[at], varies[at], about[at] = value, moves, squares
        ones.append(of_ones)
    return Look(first, varies, about, ones)
