"""What must hold of a system before it is factorised: finite numbers, rows, and variation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sm_alsgls.exceptions import (
    DegenerateResponseError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
)
from sm_alsgls.labels import shown

if TYPE_CHECKING:
    from sm_alsgls.models.system import System


# Rows that are checked at a time: of a hundred columns they stay in a cache.
_SLAB = 8_192


def check_missing(missing: str) -> None:
    """Whether ``missing`` is one of the words that are understood."""
    if missing not in ("none", "drop", "raise", "fiml"):
        raise OptionError(f"missing must be 'none', 'drop', 'raise' or 'fiml', got {missing!r}")


def distinct(blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays that are one object, once."""
    return list({id(X): X for X in blocks}.values())


def check_finite(system: System) -> None:
    """Finite numbers everywhere; an error names equation, column and row.

    Raises
    ------
    NonFiniteError
    """
    if _finite([system.Y, *distinct(system.blocks)]):
        return
    if not np.isfinite(system.Y).all():
        j = int(np.flatnonzero(~np.isfinite(system.Y).all(axis=0))[0])
        bad = ~np.isfinite(system.Y[:, j])
        values = system.Y[bad, j]
        raise NonFiniteError(_where(system, "endog", system.names[j], None, bad, values))
    seen: set[int] = set()
    for name, X, columns in zip(system.names, system.blocks, system.columns, strict=True):
        if id(X) in seen:
            continue
        seen.add(id(X))
        if not np.isfinite(X).all():
            i = int(np.flatnonzero(~np.isfinite(X).all(axis=0))[0])
            bad = ~np.isfinite(X[:, i])
            raise NonFiniteError(_where(system, "exog", name, columns[i], bad, X[bad, i]))


def _finite(arrays: list[np.ndarray]) -> bool:
    """Whether sums of columns are finite, as they are when all terms are; without a copy.

    All arrays slab by slab: those that are columns of one memory map share its pages.
    """
    N = len(arrays[0])
    with np.errstate(over="ignore", invalid="ignore"):
        if N <= _SLAB:
            return all(np.isfinite(X.sum()) for X in arrays)
        ones = np.ones(_SLAB)
        for start in range(0, N, _SLAB):
            m = min(_SLAB, N - start)
            # A product, since sums along short rows are slow.
            if not all(np.isfinite(ones[:m] @ X[start : start + m]).all() for X in arrays):
                return False
    return True


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


def _where(
    system: System,
    argument: str,
    name: str,
    column: str | None,
    bad: np.ndarray,
    values: np.ndarray,
) -> str:
    first = system.index[int(np.flatnonzero(bad)[0])]
    what = f"column {column!r} of equation {name!r}" if column else f"equation {name!r}"
    count = len(values)
    missing = bool(np.isnan(values).all())
    kind = "missing" if missing else "infinite" if np.isinf(values).all() else "missing or infinite"
    remedy = "drop or fill such rows"
    if missing:
        remedy += ", or pass missing='drop' (these rows) or 'fiml' (these cells)"
    return (
        f"{argument}: {what} has {count} {kind} value{'s' if count > 1 else ''}, the first in row "
        f"{shown(first)}; {remedy}"
    )


def responses_vary(Y: np.ndarray) -> np.ndarray:
    """Which columns of ``Y`` (N, K) are not constant; the first rows show most of them."""
    varies = (Y[:_SLAB] != Y[0]).any(axis=0)
    for start in range(_SLAB, len(Y), _SLAB):
        still = np.flatnonzero(~varies)
        if not len(still):
            break
        varies[still] = (Y[start : start + _SLAB, still] != Y[0, still]).any(axis=0)
    return varies
