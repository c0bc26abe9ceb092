"""What instruments must be before anything is estimated with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from sm_alsgls.border.names import listed
from sm_alsgls.core.design.bases import DependentColumnsError, bases
from sm_alsgls.core.design.spans import bases_of, equal_columns, spanned
from sm_alsgls.core.instruments.design import UnidentifiedError
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.data.columns import dependent
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import InstrumentError, SystemInputError, UnderidentifiedError

Array = np.ndarray
T = TypeVar("T")

#: What stands for an equation where all have the same instruments.
UNION = "the union of all instruments (common_instruments=True)"


@on_one_thread
def endogenous(blocks: Sequence[Array], instruments: Sequence[Array]) -> list[Array]:
    """K arrays (p_j,): which regressors are no combination of their equation's instruments.

    An exogenous regressor is one of the instruments, or lies in their span, as a constant does in
    that of dummies for all regions. Cost: an orthonormal basis of each distinct Z_j, O(N q_j^2).

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        Of the instruments of the equation that they carry.
    """
    users: dict[int, list[int]] = {}
    for j, Z in enumerate(instruments):
        users.setdefault(id(Z), []).append(j)
    out: dict[int, Array] = {}
    # Equal shapes in a row: their bases are made together.
    alike = sorted(users.values(), key=lambda equations: instruments[equations[0]].shape[1])
    first = [equations[0] for equations in alike]
    made = bases_of([instruments[j] for j in first], first)
    for equations, basis in zip(alike, made, strict=True):
        Z = instruments[equations[0]]
        known: dict[int, Array] = {}
        for j in equations:
            X = blocks[j]
            if id(X) not in known:
                left = equal_columns(X, Z) < 0
                left[left] = ~spanned(X[:, left], basis)
                known[id(X)] = left
            out[j] = known[id(X)]
    return [out[j] for j in range(len(blocks))]


def check_fewer_than_rows(names: list[str], instruments: Sequence[Array], common: bool) -> None:
    """Fewer instruments than rows: else they project on everything.

    Raises
    ------
    InstrumentError
    """
    for name, Z in zip(names, instruments, strict=True):
        N, q = Z.shape
        if q >= N:
            what = f"{UNION} has" if common else f"equation {name!r} has"
            raise InstrumentError(
                f"{what} {q}{' or more' * (common and q == N)} instruments for {N} rows, which "
                "leave no part of a regressor out: P = I, so that 3SLS would be SUR; take "
                "LowRankSUR if that is meant, or fewer instruments"
            )


def check_order(
    names: list[str],
    blocks: Sequence[Array],
    columns: list[list[str]],
    instruments: Sequence[Array],
    instrument_columns: list[list[str]],
) -> None:
    """At least as many instruments as regressors, in every equation: the order condition.

    Raises
    ------
    UnderidentifiedError
    """
    for j, name in enumerate(names):
        X, Z = blocks[j], instruments[j]
        if X.shape[1] <= Z.shape[1]:
            continue
        endog = _named(columns[j], equal_columns(X, Z) < 0)
        excluded = _named(instrument_columns[j], equal_columns(Z, X) < 0)
        raise UnderidentifiedError(
            f"equation {name!r} has {Z.shape[1]} instruments for {X.shape[1]} regressors: "
            f"{len(excluded)} that are excluded from it ({listed(excluded) or 'none'}) for "
            f"{len(endog)} endogenous regressors ({listed(endog) or 'none'}); add "
            f"{X.shape[1] - Z.shape[1]} or more instruments, or drop regressors (every exogenous "
            "regressor must be among the instruments)"
        )


def _named(columns: list[str], which: Array) -> list[str]:
    return [repr(column) for column, there in zip(columns, which, strict=True) if there]


def check_no_response(
    names: list[str], Y: Array, instruments: Sequence[Array], columns: list[list[str]]
) -> None:
    """No response among the instruments of its own equation.

    Raises
    ------
    InstrumentError
    """
    for j, name in enumerate(names):
        at = int(equal_columns(Y[:, [j]], instruments[j])[0])
        if at >= 0:
            raise InstrumentError(
                f"equation {name!r}: its instrument {columns[j][at]!r} is its own response, which "
                "moves with its error; take it out of the instruments"
            )


def check_still_endogenous(
    names: list[str],
    columns: list[list[str]],
    alone: Sequence[Array],
    together: Sequence[Array],
) -> None:
    """No endogenous regressor that the instruments of other equations make exogenous.

    Parameters
    ----------
    names, columns : sequences of K
        Equations, and their regressors.
    alone, together : sequence of ndarray of bool
        `endogenous` with the equation's own instruments, and with those of all.

    Raises
    ------
    InstrumentError
    """
    for j, name in enumerate(names):
        odd = np.flatnonzero(alone[j] & ~together[j])
        if len(odd):
            raise InstrumentError(
                f"common_instruments=True: {columns[j][odd[0]]!r} is endogenous in equation "
                f"{name!r}, but an instrument of another equation, or a combination of such; "
                "make it endogenous there too, or give instruments by equation"
            )


def named(system: System, make: Callable[[], T]) -> T:
    """What ``make`` returns; an equation that is not identified is named.

    Raises
    ------
    UnderidentifiedError
    RankDeficientError
        The regressors themselves are dependent.
    """
    said: SystemInputError
    try:
        return make()
    except UnidentifiedError as error:
        said = _not_identified(error, system)
    raise said


def _not_identified(error: UnidentifiedError, system: System) -> SystemInputError:
    """The error with labels."""
    j = error.equation
    name, columns = system.names[j], system.columns[j]
    try:
        bases([system.blocks[j]], np.array([j]))
    except DependentColumnsError as own:
        return dependent(own, f"equation {name!r}", columns)
    bad = ", ".join(repr(columns[i]) for i in error.columns)
    others = ", ".join(repr(columns[i]) for i in error.others)
    follow = f"of {bad} follow from those of {others}" if others else f"of {bad} are zero"
    return UnderidentifiedError(
        f"equation {name!r} is not identified: its {error.q} instruments do not tell its "
        f"{error.p} regressors apart (first stages {follow}); add instruments that move them "
        "differently"
    )
