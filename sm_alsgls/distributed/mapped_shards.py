"""Shards of memory-mapped files, which every worker reads for itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sm_alsgls.core.tiles.mapped import MappedSource
from sm_alsgls.core.tiles.sound import SoundTiles
from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.distributed.shard import Shard

Array = np.ndarray


@dataclass(frozen=True)
class MappedShard:
    """What makes the source of some equations of two memory maps: see `Shard`."""

    endog: Array
    exog: Array
    equations: slice

    def __call__(self) -> TileSource:
        """The tiles."""
        at = self.equations
        return SoundTiles(MappedSource(self.exog, self.endog, None, at.start, at.stop))


def mapped_shards(endog: Array, exog: Array, number: int) -> list[Shard]:
    """Shards of memory maps.

    Workers get the names of their files, which must mean the same to all of them. Handed to
    ``dask.array.from_array`` a memory map is copied into memory by the process that calls it.

    Parameters
    ----------
    endog : memmap, shape (N, K)
    exog : memmap, shape (K, N, p)
    number : int
        Shards.

    Returns
    -------
    list of Shard

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from sm_alsgls.distributed.mapped_shards import mapped_shards
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X = np.memmap(f"{folder}/X", float, "w+", shape=(7, 2, 20)).transpose(0, 2, 1)
    ...     Y = np.memmap(f"{folder}/Y", float, "w+", shape=(7, 20)).T
    ...     shards = mapped_shards(Y, X, 2)
    >>> [shard.words for shard in shards]
    ['equations 0 to 2', 'equations 3 to 6']
    """
    K = endog.shape[1]
    cuts = [K * i // number for i in range(number + 1)]
    at = [slice(a, b) for a, b in pairwise(cuts) if b > a]
    return [Shard(one, MappedShard(endog, exog, one)) for one in at]
