"""Tiles that were looked at once: numbers, finite, of which squares can be summed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.exceptions import NonFiniteError

Array = np.ndarray

# Beyond, sums of squares leave the range of floats.
_LARGEST = 1e150


class UnsoundTileError(NonFiniteError):
    """Values that cannot be computed with; carries positions so that a caller can print labels.

    Attributes
    ----------
    equation : int
        Position in the whole system.
    column : int or None
        Of its regressors; None of the response.
    rows : tuple of int
    """

    def __init__(self, equation: int, column: int | None, rows: tuple[int, ...], kind: str) -> None:
        self.equation, self.column, self.rows, self.kind = equation, column, rows, kind
        what = "response" if column is None else f"column {column}"
        first = ", ".join(map(str, rows[:8])) + (
            f" and {len(rows) - 8} more" if len(rows) > 8 else ""
        )
        super().__init__(
            f"the {what} of equation {equation} has {len(rows)} {kind} "
            f"value{'s' * (len(rows) > 1)}, in row{'s' * (len(rows) > 1)} {first}; drop or fill "
            "such rows in all equations, or leave the equation out"
        )


class SoundTiles:
    """The tiles of another source, each checked when it is first read.

    A tile is the same at every call, so the check costs one pass of all that a fit makes.

    Parameters
    ----------
    source : TileSource

    Raises
    ------
    UnsoundTileError
        On reading.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.tiles.sound import SoundTiles
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> X = np.ones((5, 20, 2))
    >>> X[3, 7:9, 1] = np.nan
    >>> SoundTiles(ArraySource(X, np.ones((20, 5)), size=2)).read(1)
    Traceback (most recent call last):
    ...
    sm_alsgls.core.tiles.sound.UnsoundTileError: the column 1 of equation 3 has 2 missing values, \
in rows 7, 8; drop or fill such rows in all equations, or leave the equation out
    """

    def __init__(self, source: TileSource) -> None:
        self._source = source
        self.n, self.K, self.first, self.p = source.n, source.K, source.first, source.p
        self.bounds: Sequence[slice] = source.bounds
        self._checked = np.zeros(len(self.bounds), dtype=bool)

    def read(self, t: int) -> Tile:
        """Tile t of the other source."""
        tile = self._source.read(t)
        if not self._checked[t]:
            self._check(tile, self.first + self.bounds[t].start)
            self._checked[t] = True
        return tile

    def _check(self, tile: Tile, first: int) -> None:
        if _sound(tile.Yt) and _sound(tile.Xt):
            return
        for j, (y, X) in enumerate(zip(tile.Yt, tile.Xt, strict=True)):
            for column, values in [(None, y), *enumerate(X)]:
                missing, infinite = np.isnan(values), np.isinf(values)
                beyond = ~(np.abs(values) <= _LARGEST) & ~missing & ~infinite
                for kind, bad in (("missing", missing), ("infinite", infinite)):
                    if bad.any():
                        raise UnsoundTileError(first + j, column, _at(bad), kind)
                if beyond.any():
                    raise UnsoundTileError(
                        first + j, column, _at(beyond), f"(beyond {_LARGEST:g}) too large"
                    )


def _sound(values: Array) -> bool:
    """Whether a sum of squares is far from overflow, as it is of finite numbers; no copy."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(flat @ flat < _LARGEST**2)


def _at(bad: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(bad))
