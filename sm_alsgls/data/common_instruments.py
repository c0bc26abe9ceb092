"""All instruments of a system as one list that every equation has, as in Stata's reg3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sm_alsgls.data.read import numbered
from sm_alsgls.exceptions import InstrumentError

Array = np.ndarray


class _Column(NamedTuple):
    values: Array
    label: str
    equation: str
    named: bool


def common_instruments(
    names: list[str],
    instruments: Sequence[Array],
    columns: list[list[str]],
    named: Sequence[bool],
) -> tuple[Array, list[str]]:
    """The distinct columns of all instruments, in the order in which equations have them.

    Columns of equal values are one, called as the first that came with a name; what has no name
    is called const or z1, z2, ...

    Parameters
    ----------
    names : list of str (K,)
    instruments : sequence of ndarray
        K arrays (N, q_j).
    columns : list of list of str
    named : sequence of bool (K,)
        Whose columns came with names.

    Returns
    -------
    (ndarray (N, q), list of str (q,))
        At most N columns: what more there were would span nothing new.

    Raises
    ------
    InstrumentError
        One name stands for different values in two equations.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.data.common_instruments import common_instruments
    >>> one, x, z = np.ones(5), np.arange(5.0), np.arange(5.0) ** 2
    >>> a, b = np.column_stack([one, x]), np.column_stack([one, z])
    >>> common_instruments(["a", "b"], [a, b], [["const", "x"], ["one", "z"]], [True, True])[1]
    ['const', 'x', 'z']
    """
    distinct = _distinct(names, instruments, columns, named)
    known: dict[str, _Column] = {}
    for column in distinct:
        other = known.setdefault(column.label, column) if column.named else column
        if other is not column:
            raise InstrumentError(
                f"common_instruments=True: instrument {column.label!r} of equation "
                f"{other.equation!r} and that of equation {column.equation!r} have one name but "
                "different values; rename one of them"
            )
    ones = (bool((column.values == 1.0).all()) for column in distinct if not column.named)
    spare = iter(numbered(ones, "z", known))
    labels = [column.label if column.named else next(spare) for column in distinct]
    return np.column_stack([column.values for column in distinct]), labels


def _distinct(
    names: list[str],
    instruments: Sequence[Array],
    columns: list[list[str]],
    named: Sequence[bool],
) -> list[_Column]:
    """One column for each of the distinct values, N at most."""
    out: list[_Column] = []
    where: dict[int, list[int]] = {}
    seen: set[int] = set()
    for name, Z, labels, has_names in zip(names, instruments, columns, named, strict=True):
        if id(Z) in seen:
            continue
        seen.add(id(Z))
        for i, label in enumerate(labels):
            column = _Column(Z[:, i], label, name, has_names)
            alike = where.setdefault(hash((column.values + 0.0).tobytes()), [])  # -0 is 0
            same = next((k for k in alike if np.array_equal(out[k].values, column.values)), None)
            if same is None:
                if len(out) == len(Z):
                    return out
                alike.append(len(out))
                out.append(column)
            elif has_names and not out[same].named:
                out[same] = column
    return out
