"""Which worker has which shard."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sm_alsgls.distributed.shard import Shard
from sm_alsgls.exceptions import ClusterError

# Seconds between two looks, and within which a scheduler sees that a worker is gone.
_LOOK, _SEEN = 0.2, 2.0


class Workers:
    """The workers of a client, and the shards they have.

    Parameters
    ----------
    client : distributed.Client
    shards : sequence of Shard
    patience : float
        Seconds for which a new worker is waited for where one is lost, before a shard goes to one
        that has its own.

    Raises
    ------
    ClusterError
        There are no workers.
    """

    def __init__(self, client: Any, shards: Sequence[Shard], patience: float) -> None:
        self._client, self._patience = client, patience
        addresses = self.there()
        if not addresses:
            raise ClusterError("the cluster has no workers: scale it up, or wait_for_workers()")
        #: Shards a worker has by right.
        self._most = -(-len(shards) // len(addresses))
        self.of: list[str] = []
        for shard in shards:
            self.of.append(self._home(shard, addresses))

    def there(self) -> list[str]:
        """Addresses of the workers that there are now."""
        return sorted(self._client.nthreads())

    def settle(self, shard: int) -> None:
        """A worker for a shard whose program is lost: its own if that is there, else another.

        Raises
        ------
        ClusterError
            There is none.
        """
        # A process that died is one of the workers until the scheduler has seen it.
        end = time.monotonic() + _SEEN
        while (here := self.of[shard] in self.there()) and time.monotonic() < end:
            time.sleep(_LOOK)
        if not here:
            self._move(shard)

    def _move(self, shard: int) -> None:
        """Another worker for a shard, which is waited for."""
        self.of[shard] = ""
        end = time.monotonic() + self._patience
        while True:
            load = Counter(self.of)
            there = self.there()
            least = min(there, key=lambda a: load[a], default=None)
            late = time.monotonic() > end
            if least is not None and (load[least] < self._most or late):
                self.of[shard] = least
                return
            if late:
                raise ClusterError(
                    f"all workers of the cluster are gone, and none came within "
                    f"{self._patience:.0f} s"
                )
            time.sleep(_LOOK)

    def _home(self, shard: Shard, addresses: Sequence[str]) -> str:
        """Where most of a shard's pieces are, if it is not full there; else where there is room."""
        load = Counter(self.of)
        held: Counter[str] = Counter()
        if shard.pieces:
            for where in self._client.who_has(list(shard.pieces)).values():
                held.update(where)
        return min(addresses, key=lambda a: (load[a] >= self._most, -held[a], load[a]))
