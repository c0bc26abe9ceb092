"""Values that dask computes: a piece of a graph, to be computed where it is needed.

What goes to a worker is the culled and optimised graph of a few keys. Where it leans on results
that are on a cluster already (of ``persist()``, or of futures that were handed to its tasks), these
are futures, which become dependencies of the task that begins a program; the graph itself knows
them by their keys.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sm_alsgls.border.dask_graphs import Key, Lazy, parted
from sm_alsgls.border.dask_inputs import client_of
from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import SystemInputError


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

    Raises
    ------
    SystemInputError
        It leans on a result of which nobody here has a future.
    """

    def __init__(self, *collections: Any) -> None:
        from dask._task_spec import DataNode
        from dask.base import optimize
        from dask.core import flatten

        self.collections = optimize(*collections)
        graph: dict[Key, Any] = {}
        for one in self.collections:
            graph.update(one.__dask_graph__())
        keys = [key for one in self.collections for key in flatten(one.__dask_keys__())]
        self._graph, elsewhere = parted(graph, keys)
        self.futures = _futures(elsewhere, collections) if elsewhere else {}
        # Their places, for `cut`.
        self._graph.update({key: DataNode(key, None) for key in elsewhere})

    def cut(self, keys: Sequence[Key]) -> Lazy:
        """What is needed for some keys, and nothing else."""
        from dask.optimization import cull

        mine, _ = cull(self._graph, list(keys))
        needs = tuple(key for key in mine if key in self.futures)
        graph = {key: task for key, task in mine.items() if key not in self.futures}
        return Lazy(graph, tuple(keys), needs)


def _futures(keys: Iterable[Key], collections: Sequence[Any]) -> dict[Key, Any]:
    """The futures of some keys: those that tasks hold, else those of the client that dask uses.

    Optimising forgets futures, and so does dask where it makes tasks of what it is handed: only
    the key is left, and the client knows whose it is.
    """
    held = _held([one.__dask_graph__() for one in collections])
    client = client_of(*collections)
    found: dict[Key, Any] = {}
    for key in keys:
        if key in held:
            found[key] = held[key]
        elif key in getattr(client, "futures", ()):
            from distributed import Future

            found[key] = Future(key, client)
        else:
            raise SystemInputError(
                f"a chunk leans on the result {shown(key)} of a cluster, and there is no future "
                "of it here: keep the future, and let the client that has it be the current one"
            )
    return found


def _held(graphs: Sequence[Any]) -> dict[Key, Any]:
    """Futures among the values of graphs and what their tasks are handed, by key."""
    if "distributed" not in sys.modules:
        return {}  # nobody has one
    from dask._task_spec import Task
    from distributed import Future

    found: dict[Key, Any] = {}
    ahead: list[Any] = [value for graph in graphs for value in graph.values()]
    while ahead:
        one = ahead.pop()
        if isinstance(one, Future):
            found[one.key] = one
        elif isinstance(one, Task):
            ahead += (*one.args, *one.kwargs.values())
        elif isinstance(one, dict):
            ahead += one.values()
        elif isinstance(one, (list, tuple, set)):
            ahead += one
    return found
