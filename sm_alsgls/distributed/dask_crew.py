"""Programs on the workers of a dask cluster.

Every shard has a worker. A round is one call to all workers that have shards: each gives its
programs the answer, waits for what they ask next and brings it back. A worker that is lost is seen
by this side, which begins its programs on another and leads them through the log of answers. What
they compute is the same, since all that they ever got from outside is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self
from uuid import uuid4

from sm_alsgls.distributed import tasks
from sm_alsgls.distributed.crew import Carried
from sm_alsgls.distributed.messages import Answer, Ask, Behind, Done, Reply, payload
from sm_alsgls.distributed.parcels import packed, unpacked
from sm_alsgls.distributed.shard import Program, Shard
from sm_alsgls.distributed.workers import Workers
from sm_alsgls.exceptions import CallableError, ClusterError

# Seconds after which somebody looks whether the workers are still there.
_LOOK = 0.5
# Bytes of answers that a replay sends at once.
_BATCH = 2**22
# How often a shard may lose its worker.
_LOSSES = 4


class DaskCrew:
    """A program of each shard in the process of a worker.

    Parameters
    ----------
    client : distributed.Client
        Synchronous.
    program : Program
        Can be pickled.
    shards : sequence of Shard
    args : sequence of tuple
        Arguments of each shard's program.
    patience : float
        See `Workers`.

    Raises
    ------
    ClusterError
        The cluster has no workers; is closed; loses a shard's worker again and again.
    CallableError
        What makes a persisted piece raised.
    """

    def __init__(
        self,
        client: Any,
        program: Program,
        shards: Sequence[Shard],
        args: Sequence[tuple[Any, ...]],
        patience: float,
    ) -> None:
        self._client, self._shards = client, shards
        self._parcels = [
            packed((program, replace(shard, pieces=()), mine))
            for shard, mine in zip(shards, args, strict=True)
        ]
        self._run = f"alsgls-{uuid4().hex}"
        self._workers = Workers(client, shards, patience)
        self._begun = [0] * len(shards)
        self._leases: list[Any] = [None] * len(shards)
        self.carried = Carried()

    def __enter__(self) -> Self:
        self._start(*range(len(self._shards)))
        return self

    def __exit__(self, *raised: Any) -> None:
        self._leases = [None] * len(self._shards)
        if self._client.status == "running":
            # Leases do the same, where this does not get through.
            self._client.run(tasks.stop_run, self._run, on_error="ignore")

    def replies(self, log: Sequence[Answer]) -> list[Reply]:
        """What each shard says once it has had all answers of the log."""
        first = max(len(log) - 1, 0)
        said: dict[int, Reply] = {}
        while missing := [i for i in range(len(self._shards)) if i not in said]:
            for i, reply in self._round(missing, first, log[first:]).items():
                if reply is None:
                    self._again(i)
                elif isinstance(reply, Behind):
                    self._replay(i, reply.position, log[:first])
                else:
                    said[i] = reply
        return [said[i] for i in range(len(self._shards))]

    def _start(self, *which: int) -> None:
        """Begin programs, and wait until they are."""
        for i in which:
            self._begun[i] += 1
            self._count(begun=len(self._parcels[i]), restarts=int(self._begun[i] > 1))
            key = self._key(i)
            self._leases[i] = self._client.submit(
                tasks.start,
                key,
                self._parcels[i],
                *self._shards[i].pieces,
                key="-".join(map(str, key)),
                # What may run elsewhere is stolen by a worker that is idle.
                workers=[self._workers.of[i]],
                pure=False,
            )
        for i in which:
            self._wait_for(i)

    def _wait_for(self, i: int) -> None:
        """Until a program is begun, or its worker is gone: it is missed when it is asked."""
        lease, words = self._leases[i], self._shards[i].words
        error: BaseException | None = None
        while True:
            try:
                error = lease.exception(timeout=_LOOK)
                break
            except TimeoutError:
                if self._workers.of[i] not in self._workers.there():
                    return
        if lease.status == "cancelled":
            raise ClusterError(f"{words}: the cluster was closed or restarted") from error
        if error is not None:
            raise CallableError(
                f"{words}: computing a persisted chunk raised {type(error).__name__}: {error}"
            ) from error

    def _key(self, i: int) -> tasks.Key:
        return self._run, i, self._begun[i]

    def _again(self, i: int) -> None:
        """Begin a shard anew, elsewhere where its worker is lost."""
        if self._begun[i] >= _LOSSES:
            often = "once" if self._begun[i] == 1 else f"{self._begun[i]} times"
            raise ClusterError(
                f"{self._shards[i].words}: the worker that had them was lost {often}; it probably "
                "needs more memory: see its log, use smaller chunks or more workers"
            )
        self._workers.settle(i)
        self._start(i)

    def _replay(self, i: int, position: int, log: Sequence[Answer]) -> None:
        """Give a shard the answers of the log from a position on, a batch at a time."""
        while position < len(log):
            end = _end_of_batch(log, position)
            reply = self._round([i], position, log[position:end], replayed=True).get(i)
            if not isinstance(reply, Ask | Behind):
                return  # what it says is heard when it is asked again
            position = reply.position if isinstance(reply, Behind) else end

    def _round(
        self, which: Sequence[int], first: int, answers: Sequence[Answer], replayed: bool = False
    ) -> dict[int, Reply | Behind | None]:
        """What shards say; None of those that have no program, none of those not heard yet."""
        parcel = packed(list(answers))
        asked = sorted({self._workers.of[i] for i in which})
        if answers:
            self._count(**{"replayed" if replayed else "to_workers": len(parcel) * len(asked)})
        found = self._client.sync(self._call, asked, first, parcel)
        said: dict[int, Reply | Behind | None] = {}
        for i in which:
            at = found.get(self._workers.of[i])
            if at is None:
                continue
            reply = said[i] = unpacked(at[self._key(i)]) if self._key(i) in at else None
            if reply is not None and not replayed:
                returned = isinstance(reply, Done)
                size = len(at[self._key(i)])
                self._count(**{"returned" if returned else "from_workers": size})
        return said

    async def _call(
        self, asked: Sequence[str], first: int, parcel: bytes
    ) -> dict[str, Mapping[tasks.Key, bytes]]:
        """Replies by worker; none of those that are lost."""
        call = asyncio.ensure_future(
            self._client.run(
                tasks.advance, self._run, first, parcel, workers=list(asked), on_error="return"
            )
        )
        try:
            while not (await asyncio.wait({call}, timeout=_LOOK))[0]:
                gone = set(asked) - set(await self._client.nthreads())
                if gone:
                    # It would be called for another 30 s. What others have to say, they say again.
                    return {one: {} for one in gone}
        finally:
            call.cancel()
        replies: dict[str, Mapping[tasks.Key, bytes]] = {}
        for worker, said in call.result().items():
            if isinstance(said, Exception) and not isinstance(said, OSError):
                raise said
            replies[worker] = {} if isinstance(said, OSError) else said
        return replies

    def _count(self, **more: int) -> None:
        now = self.carried
        self.carried = replace(now, **{k: getattr(now, k) + n for k, n in more.items()})


def _end_of_batch(log: Sequence[Answer], first: int) -> int:
    end, size = first, 0
    while end < len(log) and (end == first or size < _BATCH):
        size += payload(log[end].value)
        end += 1
    return end
