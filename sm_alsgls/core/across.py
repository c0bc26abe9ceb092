"""Sums over equations where a system is in shards: what a shard adds up goes through one object.

A program on many equations runs in every shard on the shard's own vectors. Wherever it sums over
equations it asks `Across` for the total, and what it decides it decides from totals, so that all
shards take the same path. A system that is whole has one shard, `ALONE`.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np

T = TypeVar("T", float, np.ndarray)


class Across(Protocol):
    """Sums and maxima over the shards of a system.

    Attributes
    ----------
    alone : bool
        Whether there is no other shard.
    """

    @property
    def alone(self) -> bool: ...  # noqa: D102

    def total(self, part: T) -> T:
        """The sum of the shards' parts, a float or an array, the same bits in every shard."""
        ...

    def largest(self, part: float) -> float:
        """The largest of the shards' parts."""
        ...

    def tell(self, news: object) -> None:
        """Something for whoever waits, as how far this is; nobody answers."""
        ...


class Alone:
    """One shard: its parts are the totals."""

    alone = True

    def total(self, part: T) -> T:
        """``part`` itself."""
        return part

    def largest(self, part: float) -> float:
        """``part`` itself."""
        return part

    def tell(self, news: object) -> None:
        """Nobody waits."""


ALONE = Alone()
