"""Values that dask computes: a piece of a graph, to be computed where it is needed.

What goes to a worker is the culled and optimised graph of a few keys. Where it leans on results
that are on a cluster already (of ``persist()``), these are futures, which become dependencies of
the task that begins a program; the graph itself knows them by their keys.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sm_alsgls.border.dask_graphs import Key, Lazy


class Graph:
    """The optimised graph of some collections, of which pieces are cut.

    Parameters
    ----------
    *collections : dask collections

    Attributes
    ----------
    collections : tuple
        The same, optimised: their keys are those to ask for.
    futures : dict
        Results on a cluster that the graph leans on, by key.
    """

    def __init__(self, *collections: Any) -> None:
        from dask.base import optimize

        self.futures: dict[Key, Any] = {}
        for one in collections:
            self.futures.update(_futures(one.__dask_graph__()))
        self.collections = optimize(*collections)
        self._graph: dict[Key, Any] = {}
        for one in self.collections:
            self._graph.update(one.__dask_graph__())
        # Optimising forgets futures; their places are kept for `cut`.
        self._graph.update(dict.fromkeys(self.futures))

    def cut(self, keys: Sequence[Key]) -> Lazy:
        """What is needed for some keys, and nothing else."""
        from dask.optimization import cull

        mine, _ = cull(self._graph, list(keys))
        needs = tuple(key for key in mine if key in self.futures)
        graph = {key: task for key, task in mine.items() if key not in self.futures}
        return Lazy(graph, tuple(keys), needs)


def _futures(graph: Mapping[Key, Any]) -> dict[Key, Any]:
    if "distributed" not in sys.modules:
        return {}  # nobody has one
    from distributed import Future

    return {key: value for key, value in graph.items() if isinstance(value, Future)}
