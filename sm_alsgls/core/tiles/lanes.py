"""One pass over the tiles of a source, in lanes: what each lane adds up does not depend on timing.

Lane i takes the tiles i, i + L, i + 2 L, ... in this order and adds to a state of its own, so that
memory is L tiles and L states, and the same number of lanes gives the same bits. NumPy and BLAS
let go of the interpreter, so lanes run side by side, on one BLAS thread each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.passes import THREADS
from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.progress import Progress

S = TypeVar("S")


@on_one_thread
def in_lanes(
    source: TileSource,
    work: Callable[[S, int, Tile], None],
    start: Callable[[], S],
    what: str,
    threads: int = THREADS,
) -> list[S]:
    """The states of the lanes after ``work(state, t, tile)`` of every tile t.

    Parameters
    ----------
    source : TileSource
    work : callable
        Adds tile t to the state of its lane.
    start : callable
        Makes the state of a lane, in its thread.
    what : str
        What is done, for who waits.
    threads : int
        Lanes.

    Notes
    -----
    What ``work`` raises ends all lanes after the tiles that they have in hand, and is raised.
    """
    count = len(source.bounds)
    lanes = max(1, min(threads, count))
    states: list[S | None] = [None] * lanes
    said: SimpleQueue[BaseException | None] = SimpleQueue()
    stop = threading.Event()

    def lane(i: int) -> None:
        # What it raises is raised again by who started it.
        try:
            state = states[i] = start()
            for t in range(i, count, lanes):
                if stop.is_set():
                    return
                work(state, t, source.read(t))
                said.put(None)
        except BaseException as error:
            said.put(error)

    with Progress(what, count, "tile") as told:
        if lanes == 1:
            state = start()
            for t in range(count):
                work(state, t, source.read(t))
                told.update()
            return [state]
        # In the caller's context, so that nobody within says what he says.
        running = [
            threading.Thread(target=copy_context().run, args=(lane, i), daemon=True)
            for i in range(lanes)
        ]
        for thread in running:
            thread.start()
        try:
            for _ in range(count):
                error = said.get()
                if error is not None:
                    raise error
                told.update()
        finally:
            stop.set()
            for thread in running:
                thread.join()
    return [state for state in states if state is not None]
