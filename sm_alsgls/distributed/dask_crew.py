"""Programs on the workers of a dask cluster.

Every shard has a worker. A round is one short task a shard, restricted to that worker: a task that
may run anywhere is stolen by an idle worker, where its program is not. So the scheduler does not
move a shard whose worker is lost; this side sees that the worker is gone, begins the program on
another, and leads it through the log of answers. What it computes is the same, since all that it
ever got from outside is in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self
from uuid import uuid4

from sm_alsgls.distributed import tasks
from sm_alsgls.distributed.crew import Carried
from sm_alsgls.distributed.messages import Answer, Behind, Done, Reply, payload
from sm_alsgls.distributed.parcels import packed, unpacked
from sm_alsgls.distributed.shard import Program, Shard
from sm_alsgls.distributed.workers import Workers
from sm_alsgls.exceptions import CallableError, ClusterError

# Seconds after which somebody looks whether the workers are still there.
_LOOK = 0.5
# Seconds for results that are ready; a worker may go while they are fetched.
_FETCH = 60.0
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
        self._tasks = 0
        self.carried = Carried()

    def __enter__(self) -> Self:
        for i in range(len(self._shards)):
            self._start(i)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._leases = [None] * len(self._shards)
        if self._client.status == "running":
            # Leases do the same, where this does not get through.
            self._client.run(tasks.stop_run, self._run, on_error="ignore")

    def replies(self, log: Sequence[Answer]) -> list[Reply]:
        """What each shard says once it has had all answers of the log."""
        at = dict.fromkeys(range(len(self._shards)), max(len(log) - 1, 0))
        said: dict[int, Reply] = {}
        ends: dict[int, int] = {}
        pending: dict[int, Any] = {}
        while len(said) < len(self._shards):
            for i, first in at.items():
                if i not in said and i not in pending:
                    ends[i] = _end_of_batch(log, first)
                    pending[i] = self._advance(i, first, log[first : ends[i]], len(log))
            for i, reply in self._finished(pending):
                del pending[i]
                if isinstance(reply, Behind):
                    at[i] = self._again(i) if reply.position is None else reply.position
                elif ends[i] < len(log):
                    at[i] = ends[i]
                else:
                    said[i] = reply
        return [said[i] for i in range(len(self._shards))]

    def _start(self, i: int) -> None:
        self._begun[i] += 1
        key: tasks.Key = (self._run, i, self._begun[i])
        self._leases[i] = self._submit(
            i, tasks.start, key, self._parcels[i], *self._shards[i].pieces
        )
        self._count(begun=len(self._parcels[i]), restarts=int(self._begun[i] > 1))

    def _again(self, i: int) -> int:
        """Begin a shard anew; 0, which is the first answer that it needs."""
        if self._begun[i] >= _LOSSES:
            often = "once" if self._begun[i] == 1 else f"{self._begun[i]} times"
            raise ClusterError(
                f"{self._shards[i].words}: the worker that had them was lost {often}; it probably "
                "needs more memory: see its log, use smaller chunks or more workers"
            )
        self._workers.move(i)
        self._start(i)
        return 0

    def _advance(self, i: int, first: int, answers: Sequence[Answer], due: int) -> Any:
        parcel = packed(list(answers))
        new = first >= due - 1
        self._count(**{"to_workers" if new else "replayed": len(parcel)})
        return self._submit(i, tasks.advance, self._leases[i], first, parcel)

    def _submit(self, i: int, task: Any, *args: Any) -> Any:
        self._tasks += 1
        key = f"{self._run}-{task.__name__}-{i}-{self._tasks}"
        return self._client.submit(task, *args, key=key, workers=[self._workers.of[i]], pure=False)

    def _finished(self, pending: dict[int, Any]) -> Iterator[tuple[int, Reply | Behind]]:
        """Shards that have said something, or whose worker is gone; waits until there is one."""
        from distributed import wait

        try:
            with self._client.as_current():
                done = wait(list(pending.values()), timeout=_LOOK).done
        except TimeoutError:
            there = self._workers.there()
            gone = [i for i in pending if self._workers.of[i] not in there]
            self._client.cancel([pending[i] for i in gone], force=True)
            yield from ((i, Behind(None)) for i in gone)
            done = {f for i, f in pending.items() if i not in gone and f.done()}
        ready = [(i, f) for i, f in pending.items() if f in done]
        for i, future in ready:
            if future.status != "finished":
                self._raise(i, future)
        if ready:
            parcels = self._fetched([future for _, future in ready])
            for (i, _), parcel in zip(ready, parcels, strict=True):
                reply = unpacked(parcel)
                returned = isinstance(reply, Done)
                self._count(**{"returned" if returned else "from_workers": len(parcel)})
                yield i, reply

    def _fetched(self, futures: Sequence[Any]) -> list[bytes]:
        """Results that are ready; none where a worker goes while they are fetched."""

        async def fetch() -> Any:
            return await self._client.gather(futures, asynchronous=True)

        try:
            return list(self._client.sync(fetch, callback_timeout=_FETCH))
        except TimeoutError:
            return []

    def _raise(self, i: int, future: Any) -> None:
        words = self._shards[i].words
        if future.status == "error":
            error = future.exception()
            raise CallableError(
                f"{words}: what computes a persisted chunk raised {type(error).__name__}: {error}"
            ) from error
        raise ClusterError(
            f"{words}: a task is {future.status}: the cluster was closed or restarted"
        )

    def _count(self, **more: int) -> None:
        now = self.carried
        self.carried = replace(now, **{k: getattr(now, k) + n for k, n in more.items()})


def _end_of_batch(log: Sequence[Answer], first: int) -> int:
    end, size = first, 0
    while end < len(log) and (end == first or size < _BATCH):
        size += payload(log[end].value)
        end += 1
    return end
