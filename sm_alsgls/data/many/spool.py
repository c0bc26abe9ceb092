"""Tiles of an iterator, which is read once: they are written to a temporary file."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Sequence
from typing import IO

import numpy as np

from sm_alsgls.core.tiles.source import Tile

Array = np.ndarray


class Spool:
    """A temporary file without a name, which goes with the object.

    Attributes
    ----------
    size : int
        Its bytes.
    places : list of (int, tuple, tuple)
        Of each tile where it begins, and the shapes of its two arrays.
    """

    def __init__(self) -> None:
        # Open as long as this is, and without a name already.
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="sm_alsgls")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self.size = 0
        self.places: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []

    def write(self, tile: Tile) -> None:
        """One more tile."""
        self.places.append((self.size, tile.Xt.shape, tile.Yt.shape))
        for part in tile:
            self._file.write(part.tobytes())
            self.size += part.nbytes

    def read(self, t: int) -> Tile:
        """Tile t."""
        self._file.flush()
        place, X, Y = self.places[t]
        of_X, of_Y = 8 * int(np.prod(X)), 8 * int(np.prod(Y))
        got = os.pread(self._file.fileno(), of_X + of_Y, place)
        if len(got) != of_X + of_Y:
            raise OSError(f"the temporary file ended after {len(got)} of {of_X + of_Y} bytes")
        return Tile(
            np.frombuffer(got, count=of_X // 8).reshape(X),
            np.frombuffer(got, offset=of_X).reshape(Y),
        )


class SpooledTiles:
    """Tiles of a `Spool`; a `TileSource`.

    Parameters
    ----------
    n : int
    p : ndarray of int, shape (K,)
    bounds : sequence of slice
    spool : Spool
    """

    first = 0

    def __init__(self, n: int, p: Array, bounds: Sequence[slice], spool: Spool) -> None:
        self.n, self.K, self.p, self.bounds = n, len(p), p, bounds
        self._spool = spool

    def read(self, t: int) -> Tile:
        """Tile t."""
        return self._spool.read(t)
