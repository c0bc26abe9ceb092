"""What runs in a worker of dask: programs that stay alive from one sum to the next.

A program is a thread of the worker's process, begun by a task, which is how dask brings persisted
chunks to it. The task's result, `Lease`, is held by the driver alone: when the driver is through,
is interrupted or is gone, dask forgets the result, and with it the program ends. Sums are no tasks
but calls (``Client.run``), which go past the scheduler's queues: 2 ms of its time each, and not 8.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from sm_alsgls.core.across import Across
from sm_alsgls.distributed.crew import begin
from sm_alsgls.distributed.live import LiveProgram
from sm_alsgls.distributed.messages import Answer, Behind, Failed, Reply
from sm_alsgls.distributed.parcels import packed, unpacked
from sm_alsgls.exceptions import CallableError

#: Run, shard, and how often it was begun.
Key = tuple[str, int, int]

_live: dict[Key, LiveProgram] = {}
# Leases end wherever the garbage collector finds them, be it in here.
_lock = threading.RLock()


class Lease:
    """A program's right to live in this process; its copies elsewhere have none."""

    def __init__(self, key: Key, original: bool = False) -> None:
        self.key = key
        self._end = weakref.finalize(self, stop, key) if original else None

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker that is short of memory writes its results to disk: the program goes on.
        if self._end is not None:
            self._end.detach()
        return Lease, (self.key,)


def start(key: Key, parcel: bytes, *pieces: Any) -> Lease:
    """Begin a program in this process."""
    _, shard, _ = key
    live = LiveProgram(partial(_unpack_and_begin, parcel, pieces), f"sm_alsgls shard {shard}")
    with _lock:
        _live[key] = live
    return Lease(key, original=True)


async def advance(run: str, first: int, parcel: bytes) -> dict[Key, bytes]:
    """Give a run's programs in this process answers, and bring back what each says then.

    Awaited by the worker, which goes on with whatever else it does.
    """
    with _lock:
        mine = {key: live for key, live in _live.items() if key[0] == run}
    said = await asyncio.gather(
        *(asyncio.to_thread(_said, live, first, parcel) for live in mine.values())
    )
    return dict(zip(mine, said, strict=True))


def _said(live: LiveProgram, first: int, parcel: bytes) -> bytes:
    answers: Sequence[Answer] = unpacked(parcel)
    said: Reply | Behind = live.give(first, answers) or live.reply()
    try:
        return packed(said)
    except Exception as error:
        if isinstance(said, Failed):
            text = f"{type(said.error).__name__}: {said.error} ({error})"
            return packed(Failed(CallableError(text)))
        return packed(Failed(error))


def stop(key: Key) -> None:
    """End one program of this process."""
    with _lock:
        live = _live.pop(key, None)
    if live is not None:
        live.stop()


def stop_run(run: str) -> None:
    """End a run's programs in this process."""
    for key in alive():
        if key[0] == run:
            stop(key)


def alive() -> list[Key]:
    """Programs of this process."""
    with _lock:
        return list(_live)


def _unpack_and_begin(parcel: bytes, pieces: Sequence[Any], across: Across) -> Any:
    program, shard, args = unpacked(parcel)
    return begin(program, shard, args, pieces, across)
