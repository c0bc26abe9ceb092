"""Replicates of something, on one process or several, each with a random stream of its own.

What comes out does not depend on how replicates are shared among processes: each has its seed, and
they come in the order of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from sm_alsgls.progress import Progress, silence

P = TypeVar("P")
R = TypeVar("R")


def replicates(
    one: Callable[[P, np.random.SeedSequence], R],
    parent: P,
    seeds: Sequence[np.random.SeedSequence],
    n_jobs: int = 1,
) -> Iterator[R]:
    """``one(parent, seed)`` for every seed, in their order, on ``n_jobs`` processes.

    ``one`` is at the top of a module; the parent must be picklable where processes are not forked.
    """
    told = Progress("bootstrap", len(seeds), "draw")
    if n_jobs == 1:
        yield from told.through(one(parent, seed) for seed in seeds)
        return
    # Eleven modules that only this needs.
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(n_jobs, initializer=_adopt, initargs=((one, parent),)) as pool:
        yield from told.through(pool.map(_of_adopted, seeds, chunksize=8))


_adopted: tuple[Callable[..., Any], Any] | None = None


def _adopt(what: tuple[Callable[..., Any], Any]) -> None:
    """Hand the parent to a process once, not with every replicate."""
    global _adopted
    _adopted = what
    silence()


def _of_adopted(seed: np.random.SeedSequence) -> Any:
    if _adopted is None:
        raise RuntimeError("a process was asked for a replicate before its parent came")
    one, parent = _adopted
    return one(parent, seed)
