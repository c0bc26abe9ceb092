"""What a program in a shard and whoever drives it say to one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Sum: TypeAlias = float | np.ndarray
#: The kind of a sum and the shape of what is summed up: the same in all shards at every step.
Form: TypeAlias = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Ask:
    """A shard's part of a sum over equations, of which it waits for the whole."""

    kind: str  #: "total" or "largest"
    part: Sum

    @property
    def form(self) -> Form:
        """What must be equal in all shards.

        >>> Ask("total", np.ones((3, 2))).form, Ask("largest", 1.0).form
        (('total', (3, 2)), ('largest', ()))
        """
        return self.kind, np.shape(self.part)


@dataclass(frozen=True)
class Answer:
    """The whole of a sum, which all shards get."""

    form: Form
    value: Sum


@dataclass(frozen=True)
class Done:
    """What a program returned."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """What a program raised."""

    error: BaseException


@dataclass(frozen=True)
class Behind:
    """A program that has had fewer answers than it should; None where there is none at all."""

    position: int | None


Reply: TypeAlias = Ask | Done | Failed


def payload(value: Sum) -> int:
    """Bytes of the numbers of a sum.

    >>> payload(1.0), payload(np.ones((3, 2)))
    (8, 48)
    """
    return int(np.asarray(value).nbytes)
