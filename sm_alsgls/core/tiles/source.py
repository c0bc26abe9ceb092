"""Where tiles of equations come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

Array = np.ndarray

# Bytes of regressors in a tile that is cut from arrays: it stays in the cache between the products
# that a pass makes of it.
_TILE_BYTES = 2**21


class Tile(NamedTuple):
    """Data of m consecutive equations with p regressors each, float64.

    Attributes
    ----------
    Xt : ndarray, shape (m, p, n)
        Regressors as rows.
    Yt : ndarray, shape (m, n)
        Responses as rows.
    """

    Xt: Array
    Yt: Array


class TileSource(Protocol):
    """K equations on n rows, in tiles of consecutive ones.

    Attributes
    ----------
    n, K : int
    first : int
        The number, in the whole system, of the first equation here.
    p : ndarray of int, shape (K,)
        Regressors of each equation, the same within a tile.
    bounds : sequence of slice
        Equations of each tile; they follow one another from 0 to K.
    """

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def K(self) -> int: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def p(self) -> Array: ...  # noqa: D102
    @property
    def bounds(self) -> Sequence[slice]: ...  # noqa: D102

    def read(self, t: int) -> Tile:
        """Tile t: the same at every call, from any thread; nobody writes to it."""
        ...


class ArraySource:
    """Tiles cut from two arrays, which may be memory-mapped files.

    Parameters
    ----------
    exog : ndarray, shape (K, n, p)
        Regressors of each equation. Of a C-ordered (K, p, n), seen as ``.transpose(0, 2, 1)``,
        tiles are read without being copied.
    endog : ndarray, shape (n, K)
        Responses. The transposed view of a C-ordered (K, n) is read without being copied.
    size : int, optional
        Equations of a tile. Default: as many as have 2 MB of regressors.
    first, stop : int, optional
        The equations that are taken. Default: all.

    Examples
    --------
    >>> import numpy as np
    >>> source = ArraySource(np.ones((5, 20, 2)), np.ones((20, 5)), size=2)
    >>> [source.read(t).Xt.shape for t in range(3)]
    [(2, 2, 20), (2, 2, 20), (1, 2, 20)]
    """

    def __init__(
        self,
        exog: Array,
        endog: Array,
        size: int | None = None,
        first: int = 0,
        stop: int | None = None,
    ) -> None:
        stop = len(exog) if stop is None else stop
        self.exog, self.endog = exog[first:stop], endog[:, first:stop]
        self.K, self.n, p = self.exog.shape
        self.first, self.p = first, np.full(self.K, p)
        size = max(1, _TILE_BYTES // (8 * self.n * max(p, 1))) if size is None else size
        self.bounds = [slice(i, min(i + size, self.K)) for i in range(0, self.K, size)]

    def read(self, t: int) -> Tile:
        """Tile t, of views where memory is in order."""
        at = self.bounds[t]
        return Tile(
            np.ascontiguousarray(self.exog[at].transpose(0, 2, 1), dtype=float),
            np.ascontiguousarray(self.endog[:, at].T, dtype=float),
        )
