"""One pass over the tiles of a system, on a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sm_alsgls.core.tiles.source import Tile, TileSource

T = TypeVar("T")

#: Threads of a pass: NumPy lets go of the interpreter in products and copies.
THREADS = 2


def over_tiles(
    source: TileSource, work: Callable[[int, Tile], T], threads: int = THREADS
) -> Iterator[T]:
    """``work(t, tile)`` of every tile, in their order whichever is ready first.

    No more than ``threads`` + 1 tiles are in memory.
    """
    if threads == 1 or len(source.bounds) == 1:
        for t in range(len(source.bounds)):
            yield work(t, source.read(t))
        return

    def one(t: int) -> T:
        return work(t, source.read(t))

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for t in range(len(source.bounds)):
                waiting.append(pool.submit(one, t))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
