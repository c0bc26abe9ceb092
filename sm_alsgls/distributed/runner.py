"""``ShardRunner``: programs of a model on the workers of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.distributed.engine import run
from sm_alsgls.distributed.shard import Shard
from sm_alsgls.distributed.traffic import Traffic

# Threads of a worker that one shard keeps busy: those of a pass over tiles.
_THREADS = 2


class ShardRunner:
    """Shards on the workers of a cluster; a `sm_alsgls.core.tiles.runner.Runner`.

    Parameters
    ----------
    shards : sequence of Shard
    whole : TileSource
        All equations, as they are read in this process.
    client : distributed.Client

    Attributes
    ----------
    traffic : mapping of str to Traffic
        What went over the network, of the last run of each kind: "fit", "standard errors".
    """

    here = False

    def __init__(self, shards: Sequence[Shard], whole: TileSource, client: Any) -> None:
        self.equations = [shard.equations for shard in shards]
        self.whole = whole
        self._shards, self._client = shards, client
        self._traffic: dict[str, Traffic] = {}

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """By what was run."""
        return self._traffic

    def run(
        self,
        program: Callable[..., Any],
        *args: Any,
        each: Sequence[tuple[Any, ...]] | None = None,
        what: str = "",
        watch: Callable[[Any], object] | None = None,
    ) -> list[Any]:
        """What the program returns in each shard."""
        outcome = run(
            program, self._shards, *args, client=self._client, each=each, what=what, watch=watch
        )
        self._traffic[what] = outcome.traffic
        return outcome.values


def shards_for(client: Any) -> int:
    """How many shards keep the workers of a client busy: one a worker, more where it has threads.

    They are found out once, so that a model's results do not change when workers come and go.
    """
    threads = client.nthreads().values()
    return max(1, sum(max(1, -(-many // _THREADS)) for many in threads))
