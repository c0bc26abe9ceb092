"""Tiles of dask arrays that are chunked along equations.

A chunk is computed when its first tile is asked for and dropped when those after it are, so that a
pass computes each once; none is there twice, or stays. Tiles are smaller than chunks, since they
should stay in the cache of a processor.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sm_alsgls.border.dask_graphs import Key, Lazy
from sm_alsgls.border.names import listed
from sm_alsgls.core.tiles.sound import SoundTiles
from sm_alsgls.core.tiles.source import ArraySource, Tile, TileSource
from sm_alsgls.distributed.lazies import Graph
from sm_alsgls.distributed.parcels import let_go
from sm_alsgls.distributed.shard import Shard, runs
from sm_alsgls.exceptions import AlsglsError, CallableError, ShapeError, SystemInputError

Array = np.ndarray

# Chunks that are there at once: one whose last tiles are worked on, and the next.
_AT_ONCE = 2


@dataclass(frozen=True)
class Chunk:
    """X and Y of some equations, not computed: values (m, n, p) and (n, m)."""

    equations: slice
    lazy: Lazy


@dataclass(frozen=True)
class DaskSource:
    """What makes the source of a shard where it is: see `Shard`.

    Attributes
    ----------
    chunks : tuple of Chunk
    n, p : int
    needs : tuple
        Keys of results on the cluster, in the order in which they are handed over.
    """

    chunks: tuple[Chunk, ...]
    n: int
    p: int
    needs: tuple[Key, ...] = ()

    def __call__(self, *pieces: Any) -> TileSource:
        """The tiles."""
        return self.reading(dict(zip(self.needs, pieces, strict=True)))

    def reading(self, there: Mapping[Key, Any]) -> TileSource:
        """The tiles, with results on the cluster by key."""
        return SoundTiles(DaskTiles(self.chunks, self.n, self.p, there))


class DaskTiles:
    """Tiles of consecutive chunks; a `TileSource`.

    Parameters
    ----------
    chunks : sequence of Chunk
    n, p : int
    there : mapping
        Results that the chunks lean on, by key.
    """

    def __init__(
        self, chunks: Sequence[Chunk], n: int, p: int, there: Mapping[Key, Any] | None = None
    ) -> None:
        self._chunks, self._there = chunks, there or {}
        self.first = chunks[0].equations.start
        self.n, self.K = n, chunks[-1].equations.stop - self.first
        self.p = np.full(self.K, p)
        self.bounds: list[slice] = []
        self._places: list[tuple[int, int]] = []
        for c, chunk in enumerate(chunks):
            m, start = _size(chunk), chunk.equations.start - self.first
            # Cut as arrays of this shape are; these have no memory.
            like = ArraySource(np.broadcast_to(0.0, (m, n, p)), np.broadcast_to(0.0, (n, m)))
            for i, at in enumerate(like.bounds):
                self.bounds.append(slice(start + at.start, start + at.stop))
                self._places.append((c, i))
        self._lock = threading.Lock()
        self._now: dict[int, _Computed] = {}

    def read(self, t: int) -> Tile:
        """Tile t, of the chunk that has it.

        Raises
        ------
        CallableError, ShapeError, SystemInputError
            What dask computes raises, or is not what was announced; equations are named.
        """
        c, i = self._places[t]
        with self._lock:
            computed = self._now.get(c)
            if computed is None:
                computed = self._now[c] = _Computed(self._chunks[c], self, self._there)
                while len(self._now) > _AT_ONCE:
                    del self._now[next(iter(self._now))]
        return computed.tiles.read(i)


class _Computed:
    """A chunk that is computed by whoever is first to need it."""

    def __init__(self, chunk: Chunk, of: DaskTiles, there: Mapping[Key, Any]) -> None:
        self._chunk, self._there = chunk, there
        self._shapes = (_size(chunk), of.n, int(of.p[0])), (of.n, _size(chunk))
        self._lock = threading.Lock()

    @property
    def tiles(self) -> ArraySource:
        """Its tiles."""
        with self._lock:
            return self._tiles

    @cached_property
    def _tiles(self) -> ArraySource:
        at = self._chunk.equations
        words = f"equations {at.start} to {at.stop - 1}"
        # Of the chunk before, whose tiles were copied out of it.
        let_go()
        try:
            X, Y = (np.asarray(value) for value in self._chunk.lazy.compute(self._there))
        except AlsglsError:
            raise
        except Exception as error:
            raise CallableError(
                f"{words}: computing their chunk raised {type(error).__name__}: {error}"
            ) from error
        for name, value, shape in zip(("exog", "endog"), (X, Y), self._shapes, strict=True):
            if value.shape != shape:
                raise ShapeError(
                    f"{words}: the chunk of {name} has shape {value.shape} where dask was told "
                    f"{shape}; give map_blocks() or from_delayed() the shape that is made"
                )
            if value.dtype.kind not in "fiub":
                raise SystemInputError(
                    f"{words}: the chunk of {name} is of dtype {value.dtype}, which is no number"
                )
        return ArraySource(X, Y)


def equation_shards(endog: Any, exog: Any, number: int) -> list[Shard]:
    """Shards of dask arrays that are chunked along equations.

    Parameters
    ----------
    endog : dask array, shape (N, K)
    exog : dask array, shape (K, N, p)
        With the chunks of endog along equations. Of a stored (K, p, N), seen as
        ``.transpose(0, 2, 1)``, tiles are made without moving a number.
    number : int
        Shards, of consecutive chunks with about as many equations; fewer where there are not so
        many chunks.

    Returns
    -------
    list of Shard

    Raises
    ------
    ShapeError
        Shapes or chunks do not fit together, or are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls.distributed.dask_tiles import equation_shards
    >>> endog, exog = da.ones((20, 10), chunks=(20, 4)), da.ones((10, 20, 3), chunks=(4, 20, 3))
    >>> shards = equation_shards(endog, exog, 2)
    >>> [shard.words for shard in shards]
    ['equations 0 to 3', 'equations 4 to 9']
    >>> shards[1].make().read(0).Xt.shape
    (4, 3, 20)
    """
    return [
        Shard(
            slice(made.chunks[0].equations.start, made.chunks[-1].equations.stop),
            made,
            tuple(futures[key] for key in made.needs),
        )
        for made, futures in _sources(endog, exog, number)
    ]


def _sources(endog: Any, exog: Any, number: int) -> Iterator[tuple[DaskSource, Mapping[Key, Any]]]:
    """What makes each shard, with results on a cluster that it may need."""
    _check(endog, exog)
    n, _ = endog.shape
    p = exog.shape[2]
    # A pass wants all rows of an equation at once.
    graph = Graph(endog.rechunk({0: -1}), exog.rechunk({1: -1, 2: -1}))
    Y, X = graph.collections
    stops = np.cumsum(Y.chunks[1])
    chunks = [
        Chunk(slice(int(stop - m), int(stop)), graph.cut([(X.name, c, 0, 0), (Y.name, 0, c)]))
        for c, (m, stop) in enumerate(zip(Y.chunks[1], stops, strict=True))
    ]
    for run in runs(Y.chunks[1], number):
        mine = tuple(chunks[run])
        needs = tuple(dict.fromkeys(key for chunk in mine for key in chunk.lazy.needs))
        yield DaskSource(mine, n, p, needs), graph.futures


def tiles_here(endog: Any, exog: Any) -> TileSource:
    """Tiles of all equations of such arrays, for whoever reads some of them in this process.

    What is on a cluster comes here when a chunk needs it, and is not kept.
    """
    ((source, futures),) = _sources(endog, exog, 1)
    return source.reading(_Fetched(futures))


class _Fetched(Mapping[Key, Any]):
    """Results on a cluster by key."""

    def __init__(self, futures: Mapping[Key, Any]) -> None:
        self._futures = futures

    def __getitem__(self, key: Key) -> Any:
        return self._futures[key].result()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._futures)

    def __len__(self) -> int:
        return len(self._futures)


def _check(endog: Any, exog: Any) -> None:
    """What is wrong with shapes and chunks, before anything is computed."""
    if endog.ndim != 2 or exog.ndim != 3:
        raise ShapeError(
            f"dask arrays of equations are endog (N, K) and exog (K, N, p), got shapes "
            f"{endog.shape} and {exog.shape}"
        )
    unknown = [name for name, a in (("endog", endog), ("exog", exog)) if np.isnan(a.shape).any()]
    if unknown:
        raise ShapeError(
            f"the chunks of {' and '.join(unknown)} have no known size: call "
            ".compute_chunk_sizes() on them"
        )
    N, K = endog.shape
    if exog.shape[:2] != (K, N):
        raise ShapeError(
            f"endog (N, K) has shape {endog.shape}, so exog (K, N, p) must have {K} equations and "
            f"{N} rows, got {exog.shape}"
        )
    if endog.chunks[1] != exog.chunks[0]:
        raise ShapeError(
            f"chunks along equations are {listed(endog.chunks[1])} of endog and "
            f"{listed(exog.chunks[0])} of exog; make them the same, "
            "exog.rechunk({0: endog.chunks[1]})"
        )


def _size(chunk: Chunk) -> int:
    return int(chunk.equations.stop - chunk.equations.start)
