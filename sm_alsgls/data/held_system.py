"""A system whose data stay what they were when it was read.

Data of up to `border.held.COPIED` numbers are copied, so that what the caller does with his
arrays afterwards is of no concern. Larger data are left where they are, read-only, with a
fingerprint: every reading compares it first, and a change is a `DataChangedError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from sm_alsgls.border import held
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.data.system import System
from sm_alsgls.data.validity import distinct


def hold(system: System) -> System:
    """The system with data of its own or, where they are many, data that are watched."""
    arrays = [system.Y, *distinct(system.blocks)]
    index = system.index.copy(deep=True)
    if sum(A.size for A in arrays) > held.COPIED:
        return HeldSystem(**_fields(replace(system, index=index)))
    own = {id(A): held.copied(A) for A in arrays[1:]}
    blocks = [own[id(X)] for X in system.blocks]
    return replace(system, index=index, Y=held.copied(system.Y), blocks=blocks)


def _fields(system: System) -> dict[str, Any]:
    return {field.name: getattr(system, field.name) for field in fields(system)}


class HeldSystem(System):
    """A system of which ``Y`` and ``blocks`` are in the caller's memory, and watched."""

    if TYPE_CHECKING:  # what the constructor puts into __dict__: a System is frozen
        _Y: np.ndarray
        _blocks: list[np.ndarray]
        _watch: held.Watch
        _number: dict[int, int]
        _guarded: Guarded
        _rows: Rows

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Y, blocks = held.read_only(self._Y), self._blocks
        views = {id(X): held.read_only(X) for X in distinct(blocks)}
        position = {key: i + 1 for i, key in enumerate(views)}
        names = ["endog"]
        for j, X in enumerate(blocks):
            if position[id(X)] == len(names):
                names.append(f"exog of equation {self.names[j]!r}")
        watch = held.Watch([Y, *views.values()], names)  # one pass over the data
        self.__dict__.update(_Y=Y, _blocks=[views[id(X)] for X in blocks], _watch=watch)
        self.__dict__["_number"] = {id(views[key]): i for key, i in position.items()}
        self.__dict__["_guarded"] = self._guard(self._blocks)

    def _guard(self, blocks: list[np.ndarray]) -> Guarded:
        """The same designs, of which those that are the caller's are watched."""
        return Guarded(blocks, [self._number.get(id(X)) for X in blocks], self._watch)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles have memory of their own.
        return _of_own_memory, ({**_fields(self), "blocks": list(self.blocks)},)

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
        return self._guarded

    @blocks.setter
    def blocks(self, value: Sequence[np.ndarray]) -> None:
        self.__dict__["_blocks"] = value

    @property
    def nobs(self) -> int:
        """N."""
        return len(self._Y)

    @property
    def rows(self) -> Rows:
        """The rows as the likelihood sees them: compressed ones are kept, others the data."""
        if "_rows" not in self.__dict__:
            self._watch.check()
            rows = self.cells.rows(self._blocks, self._Y)
            memory = {id(self._Y), *map(id, self._blocks)}
            parts = [rows.Y, *rows.blocks, *getattr(rows, "designs", ())]
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


def _of_own_memory(values: dict[str, Any]) -> System:
    return System(**values)
