"""Many tasks of dask and the tree that merges what they return, on whatever scheduler there is.

A task a partition, which makes its blocks and lets them go; a merge of a few at a time, so
that no more than some of the results exist at once. The graph is dask's: what a worker had that
died is computed again from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import methodcaller
from typing import Any

from sm_alsgls.border.dask_graphs import Within, apart
from sm_alsgls.border.dask_inputs import Partition, client_of
from sm_alsgls.exceptions import AlsglsError, CallableError
from sm_alsgls.progress import Progress

# Results that one task merges.
_ARITY = 8


def merged(partitions: Sequence[Partition], task: Callable[..., Any], said: str) -> Any:
    """What `task` makes of every partition, merged in their order.

    Where a client of `distributed` is current it does the work, else the scheduler that dask is
    configured for (threads by default). An interrupt cancels what has not been done.

    Parameters
    ----------
    partitions : sequence of Partition
    task : callable (called, start, *blocks) -> value
        It and what it returns can be pickled; values have a method ``merge(other)``, which is
        associative.
    said : str
        What is done, beside the bar that counts partitions.

    Raises
    ------
    AlsglsError
        What a task raised.
    CallableError
        The blocks of a partition could not be computed; what was raised is the cause.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> from sm_alsgls.border.dask_inputs import partitions
    >>> from sm_alsgls.border.dask_tree import merged
    >>> class Count(int):
    ...     def merge(self, other):
    ...         return Count(self + other)
    >>> rows = da.zeros((1000, 2), chunks=(10, 2))
    >>> with dask.config.set(scheduler="synchronous"):
    ...     merged(
    ...         partitions([list(rows.to_delayed().ravel())]),
    ...         lambda called, start, block: Count(len(block)),
    ...         "rows",
    ...     )
    1000
    """
    from dask import delayed
    from dask.base import tokenize

    token = tokenize(object())
    join = delayed(_merge, pure=False)
    leaves = [
        work(one.called, one.start, *blocks, dask_key_name=f"partition-{token}-{i}")
        for i, (one, (work, blocks)) in enumerate(
            zip(partitions, _works(task, partitions), strict=True)
        )
    ]
    level, height = leaves, 0
    while len(level) > 1:
        height += 1
        level = [
            join(level[at : at + _ARITY], dask_key_name=f"merge-{token}-{height}-{at}")
            for at in range(0, len(level), _ARITY)
        ]
    names = {leaf.key: one.called for leaf, one in zip(leaves, partitions, strict=True)}
    client = client_of(*level)
    with Progress(said, len(leaves), "partition") as told:
        if client is not None:
            return _by_client(client, level[0], leaves, names, told)
        return _here(level[0], names, told)


def _works(task: Callable[..., Any], partitions: Sequence[Partition]) -> Iterator[tuple[Any, Any]]:
    """The delayed task of each partition, and what it takes from others."""
    from dask import delayed

    own = apart([one.blocks for one in partitions])
    if own is None:
        work = delayed(task, pure=False, traverse=False)
        yield from ((work, one.blocks) for one in partitions)
    else:
        for lazy, needs in own:
            yield delayed(Within(task, lazy), pure=False, traverse=False), needs


def kept(*collections: Any) -> tuple[Any, ...]:
    """Collections that are computed, where dask computes, and stay there.

    Raises
    ------
    AlsglsError
        What a task of ours raised.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls.border.dask_tree import kept
    >>> (there,) = kept(da.ones(3) + 1.0)
    >>> there.compute().tolist()
    [2.0, 2.0, 2.0]
    """
    import dask

    client = client_of(*collections)
    made: tuple[Any, ...] = dask.persist(*collections)
    if client is not None:
        from distributed import futures_of, wait

        futures = futures_of(made)
        with client.as_current():
            wait(futures)
        failed = next((one for one in futures if one.status != "finished"), None)
        if failed is not None:
            raise _told(_error_of(failed), [])
    return made


def _merge(parts: list[Any]) -> Any:
    return reduce(lambda one, other: methodcaller("merge", other)(one), parts)


def _by_client(client: Any, root: Any, leaves: list[Any], names: dict[str, str], told: Any) -> Any:
    """Futures of a client; those of partitions are let go as soon as they are counted."""
    from distributed import as_completed

    with client.as_current():
        result, *each = client.compute([root, *leaves])
        try:
            for future in as_completed(each):
                if future.status != "finished":
                    raise _told(_error_of(future), [names[future.key]])
                told.update()
                if len(each) > 1:  # else it is the result
                    future.release()
            return client.gather(result)
        finally:
            # After an interrupt, or an error, nobody wants the rest, so the scheduler drops it.
            # Client.cancel() would stumble over merges, which no client holds (2026.8).
            for future in (result, *each):
                future.release()


def _error_of(future: Any) -> BaseException:
    error = future.exception()
    return RuntimeError(f"it was {future.status}") if error is None else error


def _here(root: Any, names: dict[str, str], told: Any) -> Any:
    """A scheduler within this process, or of its own; it counts tasks, and tells which failed."""
    import dask
    from dask.callbacks import Callback

    running: list[str] = []

    def counted(key: Any, *_: Any) -> None:
        if key in names:
            told.update()

    def ended(graph: Any, state: dict[str, Any], failed: bool) -> None:
        if failed:
            running.extend(_reached(state, names))

    with Callback(posttask=counted, finish=ended):
        try:
            return dask.compute(root)[0]
        except Exception as error:
            raise _told(error, running) from error


def _reached(state: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Partitions that what was running is for: one of them has failed."""
    ahead, found = list(state["running"]), {}
    while ahead:
        key = ahead.pop()
        if key in names:
            found[key] = names[key]
        else:
            ahead.extend(state["dependents"].get(key, ()))
    return list(found.values())


def _told(error: BaseException, partitions: list[str]) -> BaseException:
    """What to raise of an error on the way to some partition."""
    if isinstance(error, AlsglsError) or not isinstance(error, Exception):
        return error
    where = " or ".join(partitions[:3]) if partitions else "a partition"
    made = CallableError(f"{where}: computing it raised {type(error).__name__} ({error})")
    made.__cause__ = error
    return made
