"""Coefficients and equations that a caller picks, and matrices over coefficients."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, flag, is_label, number, optional_count, optional_flag
from sm_alsgls.border.arguments import names as listed_names
from sm_alsgls.border.labels import spell as equation_name
from sm_alsgls.border.names import close
from sm_alsgls.border.numbers import numbers
from sm_alsgls.exceptions import OptionError, ShapeError, UnknownEquationError


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
    single = isinstance(chosen, (str, bytes)) or not isinstance(
        chosen, (list, tuple, np.ndarray, pd.Index, pd.Series, range, slice)
    )
    single = single or (isinstance(chosen, np.ndarray) and chosen.ndim == 0)
    if isinstance(chosen, slice):
        chosen = range(len(names))[chosen]
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
        whole = isinstance(item, (int, np.integer)) and not isinstance(item, bool)
        if not whole or not -len(names) <= item < len(names):
            raise OptionError(
                f"{argument} takes names of coefficients, or positions from 0 to "
                f"{len(names) - 1}; got {came(item)}"
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
    if not is_label(label):
        raise OptionError(f"an equation is meant by its name, got {came(label)}")
    name = equation_name(label, names)
    if name not in names:
        raise UnknownEquationError(
            f"the system has no equation {came(label)}{close(name, list(names), 'it has')}"
        )
    return name


def equations_named(value: Any, known: Sequence[str], argument: str = "equations") -> list[str]:
    """Equations that a caller names, one or several, each once, as the model spells them.

    Raises
    ------
    OptionError
        No list of names, an empty one, one with an unknown name or with a name twice.
    """
    have = dict.fromkeys(known)
    # The group of a long panel may be a pair.
    one = isinstance(value, tuple) and equation_name(value, have) in have
    labels = [value] if one else listed_names(value, argument)
    chosen = [equation(label, have) for label in labels]
    if not chosen or len(set(chosen)) < len(chosen):
        what = "is empty" if not chosen else "names an equation twice"
        raise OptionError(f"{argument} {what}; give each one that you want once")
    return chosen


def square_of(value: Any, size: int, argument: str) -> np.ndarray | None:
    """A matrix (size, size) of finite numbers that a caller passed, or None.

    Raises
    ------
    OptionError, ShapeError
    """
    return None if value is None else square(value, size, argument)


def square(value: Any, size: int, argument: str) -> np.ndarray:
    """A matrix (size, size) of finite numbers that a caller passed.

    Raises
    ------
    OptionError, ShapeError
    """
    values = _finite(value, argument)
    if values.shape != (size, size):
        raise ShapeError(f"{argument} must have the shape {(size, size)}, got {values.shape}")
    return values


def combinations(
    P: int, r_matrix: Any, column: Any, scale: Any, other: Any
) -> tuple[np.ndarray | None, np.ndarray | None, float | None]:
    """``r_matrix`` (P,) or (m, P), ``other`` and ``scale`` of statsmodels' cov_params.

    Raises
    ------
    OptionError, ShapeError
    """
    if column is not None and (r_matrix is not None or other is not None):
        raise OptionError("column must be given without r_matrix and other")
    if other is not None and r_matrix is None:
        raise OptionError("other can only be given with r_matrix")
    read = []
    for value, argument in ((r_matrix, "r_matrix"), (other, "other")):
        values = None if value is None else _finite(value, argument)
        if values is not None and (values.ndim not in (1, 2) or values.shape[-1] != P):
            raise ShapeError(
                f"{argument} must have the shape (m, {P}), one column for each coefficient; got "
                f"{values.shape}"
            )
        read.append(values)
    return read[0], read[1], None if scale is None else number(scale, "scale")


def wald_arguments(
    R: np.ndarray, cov_p: Any, invcov: Any, use_f: Any, df_constraints: Any, scalar: Any
) -> tuple[Any, Any, bool | None, int | None, bool]:
    """The arguments of statsmodels' wald_test after its hypotheses R (m, P), checked."""
    df = df_constraints
    return (
        square_of(cov_p, R.shape[1], "cov_p"),
        square_of(invcov, R.shape[0], "invcov"),
        optional_flag(use_f, "use_f"),
        optional_count(df, "df_constraints"),
        flag(scalar, "scalar"),
    )


def _finite(value: Any, argument: str) -> np.ndarray:
    values = numbers(value, argument, OptionError)
    if not np.isfinite(values).all():
        raise OptionError(f"{argument} holds missing or infinite numbers")
    return values
