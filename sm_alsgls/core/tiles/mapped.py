"""Tiles read from memory-mapped files, without their pages being counted as this process's.

A page that is touched through a map stays in the process until memory runs short, so that a fit of
16 GB would show 16 GB resident. Where the equations of a tile follow one another in the file they
are read from it instead, into an array of a tile's size.
"""

from __future__ import annotations

import os

import numpy as np

from sm_alsgls.core.tiles.source import ArraySource, Tile

Array = np.ndarray


class MappedSource(ArraySource):
    """Tiles of memory-mapped arrays; see `ArraySource` for shapes.

    Of a file of (K, p, n), and one of (K, n), both in C order and seen transposed, a tile is read
    at the speed of the file; a file of (K, n, p) is transposed on the way. Other orders are read
    through the map.
    """

    def read(self, t: int) -> Tile:
        """Tile t, in arrays of its own."""
        at = self.bounds[t]
        X, Y = _read(self.exog[at]), _read(self.endog.T[at])
        return Tile(
            np.ascontiguousarray(X.transpose(0, 2, 1), dtype=float),
            np.ascontiguousarray(Y, dtype=float),
        )


def _read(part: Array) -> Array:
    """A view of a map as an array; read from the file where it is one run of bytes there."""
    owner = _owner(part)
    order = np.argsort([-stride for stride in part.strides], kind="stable")
    there = part.transpose(order)
    if owner is None or not there.flags.c_contiguous or not part.size:
        return np.asarray(part)
    start = part.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    out = np.empty(there.shape, part.dtype)
    with open(str(owner.filename), "rb", buffering=0) as file:
        got = _fill(file.fileno(), owner.offset + start, out)
    if got != out.nbytes:
        raise OSError(f"{owner.filename} ended after {got} of {out.nbytes} bytes of a tile")
    return out.transpose(np.argsort(order))


def _fill(descriptor: int, place: int, out: Array) -> int:
    """Read into ``out`` from a place in a file; how many bytes there were."""
    view, got = out.reshape(-1).view(np.uint8).data, 0
    while got < out.nbytes:
        more = os.preadv(descriptor, [view[got:]], place + got)
        if not more:
            break
        got += more
    return got


def _owner(array: Array) -> np.memmap | None:
    """The map whose first byte is at its offset in the file; views of it may be plain arrays."""
    owner, base = None, array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.filename is not None:
            owner = base
        base = base.base  # type: ignore[assignment]
    return owner
