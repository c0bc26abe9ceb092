"""A system whose data stay what they were when it was read.

Data of up to `border.held.COPIED` numbers are copied, so that what the caller does with his
arrays afterwards is of no concern. Larger data are left where they are, read-only, with a
fingerprint: every reading compares it first, and a change is a `DataChangedError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

import numpy as np

from sm_alsgls.border import held
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.seen import FirstLook
from sm_alsgls.data.system import System, largest_values

_S = TypeVar("_S", bound=System)


def hold(system: _S, held_as: Callable[..., _S] | None = None) -> _S:
    """The system with data of its own or, where they are many, data that are watched.

    ``held_as`` makes the latter of the fields of the system; default `HeldSystem`.
    """
    index = system.index.copy(deep=True)
    if sum(A.size for A in system.arrays) > held.COPIED:
        kind: Any = HeldSystem if held_as is None else held_as
        return kind(**_fields(replace(system, index=index)))
    # Responses by columns, as a `Problem` has them, which need not copy them again then.
    return system.mapped(lambda A: held.copied(A, "F" if A is system.Y else "K"), index=index)


def _fields(system: System) -> dict[str, Any]:
    return {field.name: getattr(system, field.name) for field in fields(system)}


class HeldSystem(System):
    """A system of which ``Y`` and ``blocks`` are in the caller's memory, and watched.

    One with more designs than ``blocks`` (`System.DESIGNS`) has a property, as `blocks` is, for
    each.
    """

    #: What the caller calls each list of designs.
    CALLED: ClassVar[dict[str, str]] = {"blocks": "exog"}
    #: The class of copies and pickles, which have memory of their own.
    OWN: ClassVar[type[System]] = System

    if TYPE_CHECKING:  # what the constructor puts into __dict__: a System is frozen
        _Y: np.ndarray
        _given: dict[str, list[np.ndarray]]
        _watch: held.Watch
        _number: dict[int, int]
        _guarded: dict[str, Guarded]
        _rows: Rows

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_given"] = {}
        super().__init__(*args, **kwargs)
        Y = held.read_only(self._Y)
        blocks = {id(X): X for one in self._given.values() for X in one}
        views = {key: held.read_only(X) for key, X in blocks.items()}
        given = {field: [views[id(X)] for X in one] for field, one in self._given.items()}
        number = {id(view): i + 1 for i, view in enumerate(views.values())}
        called = partial(_called, self.names, self.CALLED, given)
        seen = FirstLook(False, []) if self.seen is None else self.seen
        known = [None, *map(seen.print_of, blocks.values())]
        watch = held.Watch([Y, *views.values()], called, known=known)
        self.__dict__.update(_Y=Y, _given=given, _watch=watch, _number=number, seen=None)
        # Once: for the sake of these Y would be compared before each fit, and then again for rows.
        self.__dict__["sizes"] = largest_values(Y)
        self.__dict__["_guarded"] = {field: self._guard(one) for field, one in given.items()}

    def _guard(self, blocks: list[np.ndarray]) -> Guarded:
        """The same designs, of which those that are the caller's are watched."""
        return Guarded(blocks, [self._number.get(id(X)) for X in blocks], self._watch)

    def __reduce__(self) -> tuple[Any, ...]:
        lists = {name: list(getattr(self, name)) for name in self.DESIGNS}
        return _of_own_memory, (self.OWN, {**_fields(self), **lists})

    # Y and blocks are fields of a System, which the constructor sets.

    @property
    def Y(self) -> np.ndarray:
        """Responses (N, K), as they were when the model was made.

        Raises
        ------
        DataChangedError
        """
        self._watch.check([0])
        return self._Y

    @Y.setter
    def Y(self, value: np.ndarray) -> None:
        self.__dict__["_Y"] = value

    @property
    def blocks(self) -> Sequence[np.ndarray]:
        """K designs (N, p_j), each compared with what it was when it is taken."""
        return self._guarded["blocks"]

    @blocks.setter
    def blocks(self, value: Sequence[np.ndarray]) -> None:
        self._given["blocks"] = list(value)

    @property
    def nobs(self) -> int:
        """N."""
        return len(self._Y)

    @property
    def rows(self) -> Rows:
        """The rows as the likelihood sees them: compressed ones are kept, others the data."""
        if "_rows" not in self.__dict__:
            self._watch.check()
            rows = self.rows_of(self._Y, self._given)
            memory = {id(self._Y), *self._number}
            more = (getattr(rows, name, ()) for name in ("designs", "instruments"))
            parts = [rows.Y, *rows.blocks, *(X for one in more for X in one)]
            self.__dict__["_rows_are_data"] = not memory.isdisjoint(map(id, parts))
            self.__dict__["_rows"] = rows
        else:
            self.check_rows()
        return self._rows

    def check_rows(self) -> None:
        """See `System.check_rows`."""
        if self.__dict__.get("_rows_are_data", False):
            self._watch.check()

    @property
    def used_blocks(self) -> Sequence[np.ndarray]:
        """The designs times the roots of the weights, zero where they miss something."""
        return self._guard(self.cells.used_blocks(list(self.blocks)))


class Guarded(Sequence[np.ndarray]):
    """Designs that are compared with what they were when they are taken.

    Parameters
    ----------
    blocks : list of ndarray
        K designs.
    which : list of int or None
        The number of each in ``watch``; None for what is not the caller's.
    watch : Watch
    """

    def __init__(
        self, blocks: list[np.ndarray], which: list[int | None], watch: held.Watch
    ) -> None:
        self._blocks, self._which, self._watch = blocks, which, watch

    def __len__(self) -> int:
        return len(self._blocks)

    @overload
    def __getitem__(self, at: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, at: slice) -> list[np.ndarray]: ...
    def __getitem__(self, at: int | slice) -> np.ndarray | list[np.ndarray]:
        chosen = self._which[at] if isinstance(at, slice) else [self._which[at]]
        self._watch.check(sorted({i for i in chosen if i is not None}))
        return self._blocks[at]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self[:])


def _called(
    names: list[str], called: dict[str, str], given: dict[str, list[np.ndarray]], i: int
) -> str:
    """What the caller calls the array with the number ``i``: responses, then distinct designs."""
    first: dict[int, str] = {}
    for field, blocks in given.items():
        for name, X in zip(names, blocks, strict=True):
            first.setdefault(id(X), f"{called[field]} of equation {name!r}")
    return ["endog", *first.values()][i]


def _of_own_memory(kind: type[System], values: dict[str, Any]) -> System:
    return kind(**values)
