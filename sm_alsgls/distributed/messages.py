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
    news: tuple[object, ...] = ()  #: told since the last one

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
    """What a program raised.

    Exceptions may be made of other arguments than they keep, so that they cannot be pickled; this
    can, and brings one of the same class that says the same.
    """

    error: BaseException

    def __reduce__(self) -> tuple[Any, ...]:
        return _failed, (type(self.error), self.error.args, vars(self.error))

    def named(self, words: str) -> BaseException:
        """The same error, whose message begins with words.

        >>> Failed(ValueError("no")).named("equations 0 to 9")
        ValueError('equations 0 to 9: no')
        """
        named = _again(type(self.error), (f"{words}: {self.error}",), vars(self.error))
        named.__cause__ = self.error
        return named


def _failed(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Failed:
    return Failed(_again(kind, args, state))


def _again(
    kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]
) -> BaseException:
    """An exception as it is, whatever it takes to make one."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


@dataclass(frozen=True)
class Behind:
    """A program that has had fewer answers than it should."""

    position: int


Reply: TypeAlias = Ask | Done | Failed


def payload(value: Sum) -> int:
    """Bytes of the numbers of a sum.

    >>> payload(1.0), payload(np.ones((3, 2)))
    (8, 48)
    """
    return int(np.asarray(value).nbytes)
