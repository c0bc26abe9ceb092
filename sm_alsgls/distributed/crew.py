"""Who runs the programs of all shards: threads of this process, as dask's workers do elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from sm_alsgls.core.across import Across
from sm_alsgls.distributed.live import LiveProgram
from sm_alsgls.distributed.memory import memory_kept
from sm_alsgls.distributed.messages import Answer, Ask, Reply, payload
from sm_alsgls.distributed.shard import Program, Shard


@dataclass(frozen=True)
class Carried:
    """Bytes that a crew has sent and received so far; see `Traffic`."""

    to_workers: int = 0
    from_workers: int = 0
    begun: int = 0
    returned: int = 0
    replayed: int = 0
    restarts: int = 0


class Crew(Protocol):
    """Programs that run, one a shard, between entering and leaving."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: Any) -> None:
        """Stop whatever still runs, and keep nothing."""
        ...

    def replies(self, log: Sequence[Answer]) -> list[Reply]:
        """What each shard says once it has had all answers of the log."""
        ...

    @property
    def carried(self) -> Carried: ...  # noqa: D102


def begin(
    program: Program, shard: Shard, args: Sequence[Any], pieces: Sequence[Any], across: Across
) -> Any:
    """Run a program where it is."""
    with memory_kept():
        return program(shard.make(*pieces), across, *args)


class ThreadCrew:
    """A thread of this process for each shard.

    Parameters
    ----------
    program : Program
    shards : sequence of Shard
    args : sequence of tuple
        Arguments of each shard's program.
    """

    def __init__(
        self, program: Program, shards: Sequence[Shard], args: Sequence[tuple[Any, ...]]
    ) -> None:
        self._program, self._shards, self._args = program, shards, args
        self._live: list[LiveProgram] = []
        self._bytes = [0, 0]

    def __enter__(self) -> Self:
        self._live = [
            LiveProgram(
                partial(begin, self._program, shard, args, [p.result() for p in shard.pieces]),
                f"sm_alsgls shard {i}",
            )
            for i, (shard, args) in enumerate(zip(self._shards, self._args, strict=True))
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for live in self._live:
            live.stop()
        for live in self._live:
            # A pass that is under way is waited for, lest it reads what is being taken down.
            live.join()
        self._live = []

    def replies(self, log: Sequence[Answer]) -> list[Reply]:
        """What each shard says once it has had all answers of the log."""
        for live in self._live:
            live.give(max(len(log) - 1, 0), log[-1:])
        if log:
            self._bytes[0] += payload(log[-1].value) * len(self._live)
        said = [live.reply() for live in self._live]
        self._bytes[1] += sum(payload(ask.part) for ask in said if isinstance(ask, Ask))
        return said

    @property
    def carried(self) -> Carried:
        """Bytes of the numbers: nothing is packed here."""
        return Carried(*self._bytes)
