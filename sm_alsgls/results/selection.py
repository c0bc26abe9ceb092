"""Coefficients and equations that a caller picks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from sm_alsgls import panel
from sm_alsgls.exceptions import OptionError, UnknownEquationError
from sm_alsgls.formula_errors import close
from sm_alsgls.labels import shown


def positions(chosen: Any, names: Sequence[str], argument: str) -> np.ndarray:
    """Positions of the chosen coefficients: () for a single one, else (m,).

    Parameters
    ----------
    chosen : str, int, or sequence of either
        Or a mask (P,) of bool. Negative positions count from the end.
    names : sequence of str (P,)
    argument : str
        What the caller calls ``chosen``.

    Raises
    ------
    OptionError
        A name that no coefficient has, or a position beyond them.
    """
    single = isinstance(chosen, str) or np.ndim(chosen) == 0
    items = [chosen] if single else list(chosen)
    if items and all(isinstance(item, (bool, np.bool_)) for item in items):
        if len(items) != len(names):
            raise OptionError(
                f"{argument}: a mask needs one value for each of {len(names)} coefficients, got "
                f"{len(items)}"
            )
        return np.flatnonzero(items)
    where = {name: i for i, name in enumerate(names)}
    at = [where.get(item, item) if isinstance(item, str) else item for item in items]
    for item in at:
        if isinstance(item, str):
            raise OptionError(f"{argument}: no coefficient is called {item!r}{close(item, names)}")
        if not isinstance(item, (int, np.integer)) or not -len(names) <= item < len(names):
            raise OptionError(
                f"{argument} takes names of coefficients, or positions from 0 to "
                f"{len(names) - 1}; got {shown(item)}"
            )
    out = np.array(at, dtype=np.intp) % len(names)
    return out[0] if single else out


def equation(label: Any, names: Collection[str]) -> str:
    """The name of the equation that a caller means by a label, such as a year.

    Raises
    ------
    UnknownEquationError
        An OptionError and a KeyError; it names the nearest.
    """
    name = panel.equation_name(label, names)
    if name not in names:
        raise UnknownEquationError(
            f"the system has no equation {shown(label)}{close(name, list(names), 'it has')}"
        )
    return name


def each(chosen: Any) -> list[Any]:
    """The labels in a list of them, or the one that is none."""
    single = isinstance(chosen, (str, tuple)) or not isinstance(chosen, Iterable)
    return [chosen] if single else list(chosen)
