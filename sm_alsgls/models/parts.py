"""The parts of one equation, as `from_system` takes them: a tuple, or linearmodels' mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sm_alsgls.border.alignment import by_name
from sm_alsgls.border.dask_inputs import is_dask
from sm_alsgls.border.frames import to_pandas
from sm_alsgls.border.labels import shown
from sm_alsgls.exceptions import ShapeError


def parts_of(
    name: Any,
    one: Any,
    parts: Sequence[str],
    forms: Mapping[int, Sequence[str]],
    needed: Sequence[str],
    example: str,
) -> dict[str, Any]:
    """The parts of an equation by their names; those that are None are left out.

    Parameters
    ----------
    name : object
        The equation.
    one : mapping or tuple
    parts : sequence of str
        Keys that a mapping may have.
    forms : mapping {int: sequence of str}
        What tuples of each length hold.
    needed : sequence of str
        Keys that a mapping must have.
    example : str
        What to pass, for the message.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> from sm_alsgls.models.parts import parts_of
    >>> parts_of("a", ([1.0], [[1.0]]), ("y", "X"), {2: ("y", "X")}, ("y", "X"), "(y, X)")
    {'y': [1.0], 'X': [[1.0]]}
    """
    what = f"equation {shown(name)}"
    if isinstance(one, Mapping):
        at = by_name(one, parts, what, ShapeError, noun="part", some=True)
        values = list(one.values())
        found = {part: values[i] for part, i in zip(parts, at, strict=True) if i >= 0}
    elif isinstance(one, (tuple, list)) and len(one) in forms:
        found = dict(zip(forms[len(one)], one, strict=True))
    else:
        raise ShapeError(f"{what}: expected {example}, got {type(one)}")
    found = {part: value for part, value in found.items() if value is not None}
    lacking = [part for part in needed if part not in found]
    if lacking and isinstance(one, Mapping):
        raise ShapeError(f"{what} lacks part {lacking[0]!r}")
    return {
        part: value if is_dask(value) else to_pandas(value, part) for part, value in found.items()
    }
