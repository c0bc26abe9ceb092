"""Coefficients that a caller picks by name or by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.exceptions import OptionError
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
