"""Variables of the data, one row for each of theirs, that a formula without a left side makes.

Or that have names. Made once of the data of a model, they are made of new data in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from sm_alsgls.border.frames import level_names, table, with_levels
from sm_alsgls.border.names import candidates, listed
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import FormulaError
from sm_alsgls.formula.data import read_data
from sm_alsgls.formula.engine import EquationSpec, evaluate_right, redesign
from sm_alsgls.formula.pickling import Names, Packed, pack, used_names


class Variables(Protocol):
    """What makes variables of new data."""

    def of(self, data: Any) -> pd.DataFrame:
        """They of data (n rows), (n, m); a row that misses something is NaN.

        Raises
        ------
        FormulaError
            A column is not there.
        UnseenLevelError
        """
        ...


@dataclass(frozen=True, eq=False)
class RightSide:
    """A formula, "~ z1 + center(z2)", with what the engine memorised of the model's data.

    Attributes
    ----------
    spec : EquationSpec
        Its name is the argument that holds the formula.
    kept : tuple of str
        Columns but the constant.
    scope : Names
        Values of the caller's that it uses.
    """

    spec: EquationSpec
    kept: tuple[str, ...]
    scope: Names

    def of(self, data: Any) -> pd.DataFrame:
        """See `Variables`."""
        return redesign(self.spec, read_data(data, self.spec.formula, self.scope))[list(self.kept)]

    def __deepcopy__(self, memo: dict[int, Any]) -> RightSide:
        return self  # what engines memorised is never changed

    def __reduce__(self) -> tuple[Any, ...]:
        return _Saved, (pack((tuple(vars(self.spec).items()), self.kept, self.scope)),)


class _Saved:
    """A saved `RightSide`: it is opened when it is needed, and is an error then where it fails."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed

    def of(self, data: Any) -> pd.DataFrame:
        spec, kept, scope = self._packed.open()
        return RightSide(EquationSpec(**dict(spec)), kept, scope).of(data)


@dataclass(frozen=True)
class Named:
    """Columns of the data, or levels of their index, that ``argument`` names."""

    names: tuple[Any, ...]
    argument: str

    def of(self, data: Any) -> pd.DataFrame:
        """See `Variables`."""
        frame = table(data)
        lacking = [name for name in self.names if name not in (*frame, *level_names(frame.index))]
        if lacking:
            raise FormulaError(
                f"{self.argument}: the data have no column {listed(map(repr, lacking))}"
                f"{candidates(lacking[0], frame)}"
            )
        frame = with_levels(frame, self.names)
        made = {str(name): numbers(frame[name], self.argument) for name in self.names}
        return pd.DataFrame(made, index=frame.index)


class Made(NamedTuple):
    """Variables of the model's data, and what makes them of new ones."""

    values: pd.DataFrame
    recipe: RightSide


def variables(text: str, data: pd.DataFrame, scope: dict[str, Any], argument: str) -> Made:
    """The columns of ``text``, "~ z1 + log(z2)", without its constant; NaN where one is missing.

    Raises
    ------
    FormulaError

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"z": [1.0, 2.0]}, index=["a", "b"])
    >>> made = variables("~ center(z)", frame, {}, "row_scale")
    >>> made.values["center(z)"].tolist()
    [-0.5, 0.5]
    >>> made.recipe.of({"z": [5.0]})["center(z)"].tolist()  # less the mean of the first ones
    [3.5]
    """
    left, _, right = text.partition("~")
    if left.strip() or not right.strip():
        raise FormulaError(f"{argument}={text!r} must be a formula without a left side, '~ z'")
    read = read_data(data, text, scope)
    part = evaluate_right(argument, text, read, "drop")
    made = part.rhs
    kept = [column for column in made if not _constant(made[column])]
    if not kept:
        raise FormulaError(f"{argument}={text!r} has no variable; '~ z' explains variances by z")
    values = made[kept].reindex(pd.RangeIndex(len(data))).set_axis(data.index)
    spec = EquationSpec(argument, text, part.rhs_spec, part.engine, tuple(made))
    return Made(values, RightSide(spec, tuple(kept), used_names(scope, [text], data.columns)))


def named(value: Any, data: pd.DataFrame, argument: str) -> Named | None:
    """What names columns of the data, or levels of their index; None where it holds values."""
    several = value if isinstance(value, (list, tuple)) and value not in _labels(data) else [value]
    if isinstance(value, str) or _are_columns(several, data):
        return Named(tuple(several), argument)
    return None


def _are_columns(names: Sequence[Any], data: pd.DataFrame) -> bool:
    plain = all(isinstance(name, (str, int, tuple)) for name in names)
    return (
        plain
        and not any(isinstance(name, bool) for name in names)
        and (all(name in _labels(data) for name in names))
    )


def _labels(data: pd.DataFrame) -> list[Any]:
    return [*data.columns, *level_names(data.index)]


def _constant(column: pd.Series) -> bool:
    return bool((np.asarray(column) == 1.0).all())
