"""Which worker has which shard."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sm_alsgls.distributed.shard import Shard
from sm_alsgls.exceptions import ClusterError

_LOOK = 0.2


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

    def move(self, shard: int) -> str:
        """Another worker for a shard whose own is lost.

        Raises
        ------
        ClusterError
            There is none.
        """
        self.of[shard] = ""
        end = time.monotonic() + self._patience
        while True:
            load = Counter(self.of)
            there = self.there()
            least = min(there, key=lambda a: load[a], default=None)
            late = time.monotonic() > end
            if least is not None and (load[least] < self._most or late):
                self.of[shard] = least
                return least
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
