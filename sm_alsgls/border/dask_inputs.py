"""Arrays and frames of dask: whether there are some, what they are chunked along, their blocks.

The one place that decides which way they go. Nothing here imports dask before a collection of it
was handed in: a type is known by the name of its module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import ShapeError, SystemInputError

_OWN_CHUNKS = "dask.array.from_array(values, chunks=...) or dask.dataframe.from_pandas(...)"


def is_dask(value: Any) -> bool:
    """Whether something is a collection of dask, without importing it."""
    library = type(value).__module__.partition(".")[0]
    return library in ("dask", "dask_expr") and hasattr(value, "__dask_graph__")


def is_dask_frame(value: Any) -> bool:
    """Whether it is a frame or a column of one."""
    return is_dask(value) and hasattr(value, "npartitions") and not hasattr(value, "chunks")


def chunked_along(endog: Any, exog: Any) -> str | None:
    """What dask collections are chunked along: "rows", "equations", or None where there are none.

    Frames, vectors, and arrays (N, K) of which a block has all columns, are chunked along rows; an
    array of responses whose blocks have all rows and some columns, along equations, and so is
    whatever comes with regressors (K, N, p).

    Raises
    ------
    ShapeError
        Along both; the message says how to rechunk.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> from sm_alsgls.border.dask_inputs import chunked_along
    >>> Y = da.zeros((1000, 6), chunks=(100, 6))
    >>> chunked_along(Y, Y[:, :2]), chunked_along(Y.rechunk((1000, 2)), None)
    ('rows', 'equations')
    >>> chunked_along(np.zeros((1000, 6)), None) is None
    True
    """
    # One of each type: thousands of arrays are one question.
    kinds = {type(value): value for value in (*_leaves(endog), *_leaves(exog))}
    if not any(map(is_dask, kinds.values())):
        return None
    if is_dask(exog) and getattr(exog, "ndim", 0) == 3:
        return "equations"
    if is_dask(endog) and hasattr(endog, "numblocks") and endog.ndim == 2:
        rows, columns = endog.numblocks
        if rows > 1 and columns > 1:
            raise ShapeError(
                f"endog is chunked along rows ({rows} blocks) and along equations ({columns}); "
                'rechunk it along one of them: endog.rechunk({0: "auto", 1: -1}) where rows are '
                'many, endog.rechunk({0: -1, 1: "auto"}) where equations are'
            )
        if columns > 1:
            return "equations"
    return "rows"


def client_of(*collections: Any) -> Any:
    """The client of `distributed` that dask would compute with; None where it would do it here.

    Examples
    --------
    >>> import dask.array as da
    >>> from sm_alsgls.border.dask_inputs import client_of
    >>> client_of(da.zeros(3)) is None
    True
    """
    from dask.base import get_scheduler

    client = getattr(get_scheduler(collections=collections), "__self__", None)
    return client if hasattr(client, "scheduler_info") else None


@dataclass(frozen=True)
class Form:
    """How the blocks of a partition become endog and exog again: sent to whoever reads it.

    Attributes
    ----------
    endog, exog : int, list of int, or mapping of int
        Which block stands where.
    """

    endog: Any
    exog: Any

    def __call__(self, *blocks: Any) -> tuple[Any, Any, int]:
        """Endog, exog, and the number of rows that were left out on the way: none."""
        return _replaced(self.endog, blocks), _replaced(self.exog, blocks), 0


def _replaced(form: Any, blocks: tuple[Any, ...]) -> Any:
    if isinstance(form, Mapping):
        return {key: blocks[i] for key, i in form.items()}
    return [blocks[i] for i in form] if isinstance(form, list) else blocks[form]


@dataclass(frozen=True)
class Partition:
    """One partition of the rows.

    Attributes
    ----------
    blocks : tuple of Delayed
        One of each collection; `Partitions.made` takes what they are when computed.
    called : str
        By its number, as dask counts, and by its rows where these are known.
    start : int
        Number of its first row; 0 where nobody knows.
    """

    blocks: tuple[Any, ...]
    called: str
    start: int = 0


@dataclass(frozen=True)
class Partitions:
    """A system in partitions of rows, none of which has been computed.

    Attributes
    ----------
    parts : list of Partition
    made : callable
        Of the blocks of one: (endog, exog, number of rows that it dropped). It can be pickled.
    """

    parts: list[Partition]
    made: Callable[..., tuple[Any, Any, int]]


def partitions_of(endog: Any, exog: Any) -> Partitions:
    """Partitions of responses and regressors that are chunked along rows.

    Raises
    ------
    ShapeError, SystemInputError
        Something is no collection of dask, is chunked along its columns as well, or has other
        partitions; the message says what to do.
    """
    if isinstance(endog, Partitions):
        return endog
    if exog is None:
        raise ShapeError("exog is missing; give regressors, at least a constant")
    many: dict[int, Any] = {}
    names: list[str] = []
    form = Form(_form(endog, "endog", many, names), _form(exog, "exog", many, names))
    collections = _aligned(list(many.values()), names)
    blocks = [_blocks(one) for one in collections]
    counts = {len(one) for one in blocks}
    if len(counts) > 1:
        raise ShapeError(_other_partitions(names, [len(one) for one in blocks]))
    sizes = next((one.chunks[0] for one in collections if _known(one)), None)
    return Partitions(partitions(blocks, sizes), form)


def partitions(blocks: list[list[Any]], sizes: Iterable[int] | None = None) -> list[Partition]:
    """Blocks of collections, one list each, as partitions; ``sizes`` are their numbers of rows."""
    found: list[Partition] = []
    last, start = len(blocks[0]) - 1, 0
    for i, (own, size) in enumerate(
        zip(zip(*blocks, strict=True), sizes or [None] * (last + 1), strict=True)
    ):
        called = f"partition {i} of 0 to {last}"
        if size is None:
            found.append(Partition(own, called))
            continue
        rows = f"rows {start} to {start + size - 1}" if size else "no rows"
        found.append(Partition(own, f"{called} ({rows})", start))
        start += int(size)
    return found


# -- collections ---------------------------------------------------------------------------------


def _leaves(value: Any) -> list[Any]:
    """What a mapping or list of collections holds."""
    if isinstance(value, Partitions):
        return [part for one in value.parts[:1] for part in one.blocks]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _form(value: Any, argument: str, many: dict[int, Any], names: list[str]) -> Any:
    """The same mapping or list with the number of each collection; collections go into ``many``."""

    def numbered(one: Any, what: str) -> int:
        if not is_dask(one):
            raise SystemInputError(
                f"{what} is a {type(one).__name__}, and others are of dask; make it one as well, "
                f"with {_OWN_CHUNKS}, or compute() them all"
            )
        if getattr(one, "ndim", 1) == 2 and hasattr(one, "numblocks") and one.numblocks[1] > 1:
            raise ShapeError(
                f"{what} is chunked along its columns ({one.numblocks[1]} blocks), and endog along "
                "rows; a block must have all columns: rechunk it with .rechunk({1: -1})"
            )
        if id(one) not in many:
            many[id(one)] = one
            names.append(what)
        return list(many).index(id(one))

    if isinstance(value, Mapping):
        if not value:
            raise ShapeError(f"{argument} is an empty mapping; give at least one equation")
        return {
            key: numbered(one, f"{argument} of equation {shown(key)}") for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [numbered(one, f"{argument}[{i}]") for i, one in enumerate(value)]
    return numbered(value, argument)


def _known(collection: Any) -> bool:
    """Whether the number of rows of each block is known."""
    chunks = getattr(collection, "chunks", None)
    return chunks is not None and not any(map(isnan, chunks[0]))


def _aligned(collections: list[Any], names: list[str]) -> list[Any]:
    """All with the partitions of the first array whose rows are known; of frames, that they are."""
    known = [i for i, one in enumerate(collections) if _known(one)]
    for i in known[1:]:
        first, one = collections[known[0]], collections[i]
        if first.shape[0] != one.shape[0]:
            raise ShapeError(
                f"{names[i]} has {one.shape[0]} rows but {names[known[0]]} has {first.shape[0]}; "
                "give both the same rows"
            )
        if first.chunks[0] != one.chunks[0]:
            collections[i] = one.rechunk({0: first.chunks[0]})
    frames = [i for i, one in enumerate(collections) if is_dask_frame(one)]
    for i in frames[1:]:
        first, one = collections[frames[0]], collections[i]
        if first.known_divisions and one.known_divisions and first.divisions != one.divisions:
            raise ShapeError(
                f"{names[i]} has other divisions than {names[frames[0]]}, so that their partitions "
                "hold other rows; give it the same, with .repartition(divisions=...)"
            )
    return collections


def _other_partitions(names: list[str], counts: list[int]) -> str:
    i = next(i for i, count in enumerate(counts) if count != counts[0])
    return (
        f"{names[i]} has {counts[i]} partitions but {names[0]} has {counts[0]}, and how many rows "
        "each has is not known; give both the same, of one frame, or make arrays whose chunks are "
        "known, with frame.to_dask_array(lengths=True)"
    )


def _blocks(collection: Any) -> list[Any]:
    """The blocks of a collection as delayed values."""
    if is_dask_frame(collection):
        return list(collection.to_delayed())
    # As it stands: optimised by itself, or even together with others, what several arrays are
    # computed from would be computed for each of them.
    return list(collection.to_delayed(optimize_graph=False).ravel())
