"""Pieces of dask's graphs, which are computed where they are needed and not task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

#: Of a task, as dask has them.
Key: TypeAlias = str | int | float | tuple[Any, ...]


@dataclass(frozen=True)
class Lazy:
    """Some values of a graph.

    Attributes
    ----------
    graph : dict
        All tasks that they need but for ``needs``.
    keys : tuple
        Of the values.
    needs : tuple
        Keys of results that are made elsewhere.
    """

    graph: Mapping[Key, Any]
    keys: tuple[Key, ...]
    needs: tuple[Key, ...] = ()

    def compute(self, there: Mapping[Key, Any]) -> list[Any]:
        """The values, made in this thread; ``there`` has the results that are needed."""
        from dask._task_spec import DataNode
        from dask.local import get_sync

        # As they are, a tuple might be called and a string be followed, for tasks look like that.
        results = {key: DataNode(key, there[key]) for key in self.needs}
        whole = {**self.graph, **results}
        # Bars and profilers of whoever drives count tasks of their own.
        return list(get_sync(whole, list(self.keys), callbacks=()))


@dataclass(frozen=True)
class Within:
    """A task that makes its arguments itself.

    Attributes
    ----------
    task : callable (*first, *values) -> value
    lazy : Lazy
        What the values are.
    """

    task: Callable[..., Any]
    lazy: Lazy

    def __call__(self, *arguments: Any) -> Any:
        """``task`` of the first arguments and the values; the last are ``lazy.needs``."""
        first = len(arguments) - len(self.lazy.needs)
        there = dict(zip(self.lazy.needs, arguments[first:], strict=True))
        return self.task(*arguments[:first], *self.lazy.compute(there))


def apart(groups: Sequence[Sequence[Any]]) -> list[tuple[Lazy, list[Any]]] | None:
    """What only one group of delayed values needs, as one piece of work for each group.

    Workers take tasks as they come: of a partition that is read as two arrays one may read the
    responses and another the regressors, and half of the data go through the network to meet.

    Parameters
    ----------
    groups : sequence of sequence of Delayed

    Returns
    -------
    list of tuple, or None
        Of each group the values, and delayed what they need: what several groups share stays a
        task. None where values are on a cluster already, or tasks are annotated: it is known where
        these are to run.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls.border.dask_graphs import apart
    >>> X = da.arange(6, chunks=3)
    >>> pairs = zip((X + 1).to_delayed(), (X * 2).to_delayed())
    >>> [[block.tolist() for block in lazy.compute({})] for lazy, _ in apart(list(pairs))]
    [[[1, 2, 3], [0, 2, 4]], [[4, 5, 6], [6, 8, 10]]]
    """
    from dask.delayed import Delayed
    from dask.optimization import cull

    graphs = {id(one.dask): one.dask for group in groups for one in group}.values()
    if any(map(_is_annotated, graphs)):
        return None
    whole: dict[Key, Any] = {}
    for graph in graphs:
        whole.update(graph)
    keys = [tuple(one.key for one in group) for group in groups]
    wanted = [key for group in keys for key in group]
    tasks, needed = cull(whole, wanted)
    if parted(tasks, wanted)[1]:
        return None
    group_of = _groups(keys, needed)
    own: list[dict[Key, Any]] = [{} for _ in groups]
    needs: list[dict[Key, None]] = [{} for _ in groups]
    for key, task in tasks.items():
        g = group_of[key]
        if g is None:
            continue
        own[g][key] = task
        needs[g].update(dict.fromkeys(k for k in needed[key] if group_of[k] is None))
    for g, group in enumerate(keys):
        needs[g].update(dict.fromkeys(key for key in group if group_of[key] is None))
    return [
        (Lazy(own[g], group, tuple(needs[g])), [Delayed(key, whole) for key in needs[g]])
        for g, group in enumerate(keys)
    ]


def parted(graph: Mapping[Key, Any], keys: Iterable[Key]) -> tuple[dict[Key, Any], list[Key]]:
    """Tasks of a graph, and results that it leans on and does not make: they are on a cluster.

    A task may hold a future anywhere in its arguments, or know it by no more than its key.

    Parameters
    ----------
    graph : mapping
    keys : iterable
        Of the values that are wanted of it.

    Returns
    -------
    tasks : dict
        As dask runs them, without futures that are values of the graph.
    elsewhere : list
        Keys.
    """
    from dask._task_spec import convert_legacy_graph

    tasks: dict[Key, Any] = convert_legacy_graph(graph)
    needed = [key for task in tasks.values() for key in task.dependencies]
    return tasks, [key for key in dict.fromkeys([*keys, *needed]) if key not in tasks]


def _groups(
    keys: Sequence[Sequence[Key]], needed: Mapping[Key, Iterable[Key]]
) -> dict[Key, int | None]:
    """The only group that each key is needed for; None where there are several."""
    waiting = dict.fromkeys(needed, 0)
    for others in needed.values():
        for key in others:
            waiting[key] += 1
    found: dict[Key, int | None] = {}

    def note(key: Key, group: int | None) -> None:
        found[key] = group if found.setdefault(key, group) == group else None

    for g, group in enumerate(keys):
        for key in group:
            note(key, g)
    ready = [key for key, many in waiting.items() if not many]
    while ready:  # from those that nothing else needs to those that need nothing
        key = ready.pop()
        for other in needed[key]:
            note(other, found[key])
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return found


def _is_annotated(graph: Any) -> bool:
    """Whether somebody has said where its tasks run."""
    return any(layer.annotations for layer in getattr(graph, "layers", {}).values())
