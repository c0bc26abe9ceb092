"""What must hold of a system before it is factorised: finite numbers, rows, and variation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.border.arguments import choice
from sm_alsgls.border.labels import shown
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import (
    DegenerateResponseError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    SystemInputError,
)

#: Numbers beyond it have no squares that could be summed.
LARGEST = 1e152
# Rows that are checked at a time: of a hundred columns they stay in a cache.
_SLAB = 8_192
# Rows in which most responses are seen to vary.
_FIRST = 16


#: What ``missing=`` may say.
MISSING = ("none", "drop", "raise", "fiml")


def check_missing(missing: str) -> None:
    """Whether ``missing`` is one of the words that are understood."""
    choice(missing, "missing", MISSING)


def missing_by_rows(missing: str) -> str:
    """The word, of an estimator that needs whole rows.

    Raises
    ------
    OptionError
    """
    missing = choice(missing, "missing", MISSING)
    if missing == "fiml":
        raise OptionError(
            "missing='fiml' is of a likelihood, and instruments have none; use missing='drop', "
            "which removes every row in which any equation misses something"
        )
    return missing


def distinct(blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays that are one object, once."""
    return list({id(X): X for X in blocks}.values())


def check_finite(system: System, cells: bool = True) -> None:
    """Finite numbers everywhere; an error names equation, column and row.

    ``cells`` says whether the system can do without single cells, which is then a remedy.

    Raises
    ------
    NonFiniteError
    """
    known = system.seen is not None and system.seen.sound
    if _sound([system.Y] if known else system.arrays):
        return
    if not np.isfinite(system.Y).all():
        j = int(np.flatnonzero(~np.isfinite(system.Y).all(axis=0))[0])
        bad = ~np.isfinite(system.Y[:, j])
        values = system.Y[bad, j]
        raise NonFiniteError(_where(system, "endog", system.names[j], None, bad, values, cells))
    for argument, blocks, labels in system.designs:
        seen: set[int] = set()
        for name, X, columns in zip(system.names, blocks, labels, strict=True):
            if id(X) in seen:
                continue
            seen.add(id(X))
            if not np.isfinite(X).all():
                i = int(np.flatnonzero(~np.isfinite(X).all(axis=0))[0])
                bad = ~np.isfinite(X[:, i])
                where = _where(system, argument, name, columns[i], bad, X[bad, i], cells)
                raise NonFiniteError(where)
    _check_large(system)


def _check_large(system: System) -> None:
    """Numbers whose squares are doubles; a single one may be a code for something else."""
    for j, name in enumerate(system.names):
        arrays = {f"endog: equation {name!r}": system.Y[:, j]}
        for argument, blocks, labels in system.designs:
            for i, column in enumerate(labels[j]):
                arrays[f"{argument}: column {column!r} of equation {name!r}"] = blocks[j][:, i]
        for what, values in arrays.items():
            bad = np.flatnonzero(np.abs(values) > LARGEST)
            if not len(bad):
                continue
            raise SystemInputError(
                f"{what} has {len(bad)} value{'s' * (len(bad) > 1)} beyond {LARGEST:g}, the first "
                f"is {values[bad[0]]:g} in row {shown(system.index[int(bad[0])])}; squares leave "
                "the range of floats: if it stands for a missing value, make it NaN, else divide "
                "the column by a power of ten"
            )


def sound_at_once(X: np.ndarray) -> bool:
    """Whether an array's sum of squares is far from overflow; False where it has many rows.

    Who asks lets NumPy ignore overflow.
    """
    return len(X) <= _SLAB and _squares(X) < LARGEST**2


def _sound(arrays: list[np.ndarray]) -> bool:
    """Whether sums of squares are far from overflow, as they are of finite numbers; no copy.

    All arrays slab by slab: those that are columns of one memory map share its pages.
    """
    N = len(arrays[0])
    with np.errstate(over="ignore", invalid="ignore"):
        return all(
            _squares(X[start : start + _SLAB]) < LARGEST**2
            for start in range(0, N, _SLAB)
            for X in arrays
        )


def _squares(X: np.ndarray) -> float:
    """Sum of squares, NaN or infinite where an element is."""
    if X.flags.c_contiguous or X.flags.f_contiguous:
        x = X.ravel(order="K")
        return float(x.dot(x))
    return float(np.einsum("kn,kn->", X.T, X.T))


def check_enough_rows(names: list[str], columns: list[list[str]], N: int) -> None:
    """More rows than regressors, in every equation.

    Raises
    ------
    InsufficientRowsError
    """
    for name, regressors in zip(names, columns, strict=True):
        if len(regressors) >= N:
            raise InsufficientRowsError(
                f"equation {name!r} has {len(regressors)} regressors but only {N} rows; it needs "
                f"at least {len(regressors) + 1} rows: drop regressors or add observations"
            )


def check_responses_vary(names: list[str], varies: np.ndarray, N: int, values: np.ndarray) -> None:
    """Responses that are not constant: ``varies`` (K,); ``values`` (K,) are of any row.

    Raises
    ------
    DegenerateResponseError
    """
    if not varies.all():
        j = int(np.flatnonzero(~varies)[0])
        raise DegenerateResponseError(
            f"the response of equation {names[j]!r} is constant ({values[j]:g} in all {N} rows); "
            "drop the equation"
        )


def check_not_exact(
    name: Callable[[int], str], s_ols: np.ndarray, squares: np.ndarray, n: int
) -> None:
    """Residuals at the level of rounding mean that the regressors reproduce the response.

    Parameters
    ----------
    name : callable
        What an equation is called, by its number.
    s_ols, squares : ndarray, shape (K,)
        Mean squares of OLS residuals, and of the responses.
    n : int
        Rows whose rounding errors add up.

    Raises
    ------
    DegenerateResponseError
    """
    rounding = 100 * np.finfo(float).eps * np.sqrt(n) * np.sqrt(squares)
    exact = np.flatnonzero(np.sqrt(s_ols) <= rounding)
    if len(exact):
        raise DegenerateResponseError(
            f"the response of equation {name(int(exact[0]))!r} is fitted exactly by its own "
            "regressors"
            + (f" (and so are {len(exact) - 1} more)" if len(exact) > 1 else "")
            + "; its error variance is zero: drop the equation or the regressor that defines it"
        )


def _where(
    system: System,
    argument: str,
    name: str,
    column: str | None,
    bad: np.ndarray,
    values: np.ndarray,
    cells: bool,
) -> str:
    first = system.index[int(np.flatnonzero(bad)[0])]
    what = f"column {column!r} of equation {name!r}" if column else f"equation {name!r}"
    count = len(values)
    missing = bool(np.isnan(values).all())
    kind = "missing" if missing else "infinite" if np.isinf(values).all() else "missing or infinite"
    remedy = "drop or fill such rows"
    if missing:
        remedy += ", or pass missing='drop'" + (" (these rows) or 'fiml' (these cells)" * cells)
    return (
        f"{argument}: {what} has {count} {kind} value{'s' if count > 1 else ''}, the first in row "
        f"{shown(first)}; {remedy}"
    )


def responses_vary(Y: np.ndarray) -> np.ndarray:
    """Which columns of ``Y`` (N, K) are not constant; the first rows show most of them."""
    varies = (Y[:_FIRST] != Y[0]).any(axis=0)
    for start in range(_FIRST, len(Y), _SLAB):
        still = np.flatnonzero(~varies)
        if not len(still):
            break
        varies[still] = (Y[start : start + _SLAB, still] != Y[0, still]).any(axis=0)
    return varies
