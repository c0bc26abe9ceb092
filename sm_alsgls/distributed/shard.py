"""A run of consecutive equations that one program works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Shard:
    """What a program is handed in the process where it runs.

    Attributes
    ----------
    equations : slice
        Those of the whole system that are here.
    make : callable
        ``make(*pieces)`` is the source of their tiles; can be pickled.
    pieces : tuple
        Futures of dask, whose results ``make`` takes where the program runs.
    """

    equations: slice
    make: Callable[..., Any]
    pieces: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        """The equations in a message.

        >>> Shard(slice(0, 10), list).words
        'equations 0 to 9'
        """
        return f"equations {self.equations.start} to {self.equations.stop - 1}"


@dataclass(frozen=True)
class Made:
    """``make`` of a source that can be pickled itself."""

    source: Any

    def __call__(self) -> Any:
        """The source."""
        return self.source


class Program(Protocol):
    """The same code in every shard; control flow goes by totals only."""

    def __call__(self, source: Any, across: Any, *args: Any) -> Any:
        """What the shard has to say in the end, of a size that goes through a network once."""
        ...


def runs(sizes: Sequence[int], number: int) -> list[slice]:
    """``number`` runs of consecutive pieces, or as many as there are, each with about as much.

    Examples
    --------
    >>> from sm_alsgls.distributed.shard import runs
    >>> runs([10, 10, 10, 10, 5], 2)
    [slice(0, 2, None), slice(2, 5, None)]
    >>> runs([90, 5, 5], 5)
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    number = min(number, len(sizes))
    ends = np.cumsum(sizes)
    cuts = [0]
    for i in range(1, number):
        nearest = int(np.argmin(np.abs(ends - ends[-1] * i / number))) + 1
        # Nobody is left without a piece.
        cuts.append(min(max(nearest, cuts[-1] + 1), len(sizes) - (number - i)))
    cuts.append(len(sizes))
    return [slice(a, b) for a, b in pairwise(cuts)]
