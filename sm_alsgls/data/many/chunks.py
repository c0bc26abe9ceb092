"""Chunks of equations that are read anew in every pass, or once into a temporary file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import iterator
from sm_alsgls.core.tiles.source import Tile
from sm_alsgls.data.many.chunk import Chunk, read_chunk
from sm_alsgls.data.many.spool import Spool, SpooledTiles
from sm_alsgls.data.many.tiled import Names, Tiled, columns_of, named
from sm_alsgls.exceptions import (
    CallableError,
    DataChangedError,
    OptionError,
    ShapeError,
    SystemInputError,
)

Array = np.ndarray
Make = Callable[[], Iterator[Any]]

# Chunks that stay for tiles that are read out of order: three, or as many as are this large.
_KEPT, _KEPT_BYTES = 3, 2**25


class _Scan(NamedTuple):
    """What the first pass over the chunks found of each."""

    n: int
    shapes: list[tuple[tuple[int, int], ...]]
    marks: list[float]
    p: Array
    bounds: list[slice]
    places: list[tuple[int, int, int]]  # chunk, run and tile of each tile
    names: pd.Index | None
    columns: tuple[tuple[Names, ...], Array] | None
    rows: pd.Index
    labelled: bool


def read_chunks(tiles: Any) -> Tiled:
    """The source of chunks of equations.

    Parameters
    ----------
    tiles : iterable of pairs (endog, exog), or a function that returns an iterator of them
        What can be iterated again is, in every pass; an iterator is written to a temporary file.

    Raises
    ------
    OptionError, ShapeError, SystemInputError, CallableError
    """
    if callable(tiles):
        make: Make = lambda: _begun(tiles())  # noqa: E731
    else:
        first = iterator(tiles, "tiles", "pairs (endog, exog), or a function that returns one")
        if first is tiles:
            spool = Spool()
            scan = _scanned(first, spool.write)
            source = SpooledTiles(scan.n, scan.p, scan.bounds, spool)
            return _tiled(source, scan, spool.size)
        make = lambda: iter(tiles)  # noqa: E731
    scan = _scanned(make(), None)
    return _tiled(ChunkTiles(scan, make), scan, 0)


def _tiled(source: ChunkTiles | SpooledTiles, scan: _Scan, spooled: int) -> Tiled:
    return Tiled(source, scan.rows, scan.labelled, scan.names, scan.columns, spooled)


def _begun(value: Any) -> Iterator[Any]:
    if not isinstance(value, Iterable):
        raise OptionError(
            f"tiles is a function that returned {type(value).__name__}; it must return an iterator "
            "of pairs (endog, exog), a new one at every call"
        )
    return iter(value)


def _steps(chunks: Iterator[Any]) -> Iterator[Chunk]:
    """Chunks, read; what the caller's code raises says at which."""
    number = 0
    while True:
        try:
            value = next(chunks)
        except StopIteration:
            return
        except SystemInputError:
            raise
        except Exception as error:
            raise CallableError(
                f"the iterator of tiles raised {type(error).__name__} ({error}) at chunk {number}"
            ) from error
        yield read_chunk(value, number)
        number += 1


def _scanned(chunks: Iterator[Any], write: Callable[[Tile], None] | None) -> _Scan:
    """One pass, in which every tile is handed to ``write``."""
    shapes, marks, p, bounds, places = [], [], [], [], []
    names: list[str] = []
    columns: list[Names | None] = []
    rows: pd.Index | None = None
    n, first, has_names = 0, 0, False
    for c, chunk in enumerate(_steps(chunks)):
        if c == 0:
            n, rows, has_names = chunk.n, chunk.rows, chunk.names is not None
        _check_like(chunk, c, n, rows, has_names)
        names += chunk.names or []
        columns += chunk.columns
        shapes.append(chunk.shape)
        marks.append(chunk.mark)
        for i, run in enumerate(chunk.runs):
            p.append(run.p)
            for t, at in enumerate(run.bounds):
                places.append((c, i, t))
                bounds.append(slice(first + at.start, first + at.stop))
                if write is not None:
                    write(run.read(t))
            first += run.K
    if not first:
        raise ShapeError("tiles are empty: no chunk of equations came")
    index = pd.RangeIndex(n) if rows is None else rows
    return _Scan(
        n,
        shapes,
        marks,
        np.concatenate(p),
        bounds,
        places,
        named(names) if has_names else None,
        columns_of(columns),
        index,
        rows is not None,
    )


def _check_like(chunk: Chunk, c: int, n: int, rows: pd.Index | None, has_names: bool) -> None:
    if chunk.n != n:
        raise ShapeError(
            f"chunk {c} has {chunk.n} rows, and those before have {n}; all equations are on the "
            "same rows"
        )
    if (chunk.names is not None) != has_names:
        with_, without = ("chunk 0", f"chunk {c}") if has_names else (f"chunk {c}", "chunk 0")
        raise ShapeError(
            f"equations of {with_} have names and those of {without} have none; name all or none"
        )
    if rows is not None and chunk.rows is not None and not chunk.rows.equals(rows):
        raise ShapeError(
            f"the row labels of chunk {c} are not those of chunk 0; give all chunks the same rows, "
            "in the same order"
        )


class ChunkTiles:
    """Tiles of chunks that come again and again; a `TileSource`.

    Parameters
    ----------
    scan : _Scan
    make : callable
        Begins a pass.
    """

    first = 0

    def __init__(self, scan: _Scan, make: Make) -> None:
        self.n, self.K, self.p, self.bounds = scan.n, len(scan.p), scan.p, scan.bounds
        self._scan, self._make = scan, make
        self._lock = threading.Lock()
        self._at = -1  # the chunk that came last
        self._running: Iterator[Chunk] = iter(())
        self._there: OrderedDict[int, Chunk] = OrderedDict()

    def read(self, t: int) -> Tile:
        """Tile t; chunks before it in the pass are gone through.

        Raises
        ------
        DataChangedError
            Another chunk came than in the first pass.
        """
        c, i, tile = self._scan.places[t]
        with self._lock:
            run = self._chunk(c).runs[i]
        return run.read(tile)

    def _chunk(self, c: int) -> Chunk:
        if c in self._there:
            return self._there[c]
        if c <= self._at or self._at < 0:
            self._running, self._at = _steps(self._make()), -1
            self._there.clear()
        while self._at < c:
            self._next()
        return self._there[c]

    def _next(self) -> None:
        chunk, c = next(self._running, None), self._at + 1
        self._at = c
        if chunk is None:
            self._at = -1
            raise DataChangedError(
                f"tiles had {len(self._scan.shapes)} chunks in the first pass and {c} in another; "
                "they must be the same every time: give an iterator, which is read once"
            )
        if chunk.shape != self._scan.shapes[c] or not _same(chunk.mark, self._scan.marks[c]):
            self._at = -1
            raise DataChangedError(
                f"chunk {c} of tiles is another than in the first pass; they must be the same "
                "every time (a generator of random numbers needs its seed in the function): or "
                "give an iterator, which is read once"
            )
        self._there[c] = chunk
        while len(self._there) > _KEPT and self._bytes() > _KEPT_BYTES:
            self._there.popitem(last=False)

    def _bytes(self) -> int:
        return sum(run.exog.nbytes for chunk in self._there.values() for run in chunk.runs)


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))
