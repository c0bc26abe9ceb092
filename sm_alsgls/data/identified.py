"""What instruments must be before anything is estimated with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from sm_alsgls.border.names import listed
from sm_alsgls.core.design.bases import DependentColumnsError, bases
from sm_alsgls.core.design.spans import shared_columns, spanned_columns
from sm_alsgls.core.instruments.design import UnidentifiedError
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.data.columns import dependent
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import InstrumentError, SystemInputError, UnderidentifiedError

Array = np.ndarray
T = TypeVar("T")

#: What stands for an equation where all have the same instruments.
UNION = "the union of all instruments (common_instruments=True)"


class Kinds(NamedTuple):
    """Which regressors of K equations are endogenous (p_j,), and which instruments excluded (q_j,).

    An exogenous regressor is one of the instruments, or lies in their span, as a constant does in
    that of dummies for all regions. An excluded instrument is none of the regressors.
    """

    endogenous: list[Array]
    excluded: list[Array]


@on_one_thread
def kinds(blocks: Sequence[Array], instruments: Sequence[Array]) -> Kinds:
    """Which variable of K equations is what: X_j (N, p_j), and Z_j (N, q_j).

    Cost: an orthonormal basis of each distinct Z_j, O(N q_j^2).

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        Of the instruments of the equation that they carry.
    """
    shared = shared_columns(blocks, instruments)
    # What is one object is looked at once: by instruments the first equation with each X.
    first: dict[int, dict[int, int]] = {}
    pairs = [(id(Z), id(X)) for X, Z in zip(blocks, instruments, strict=True)]
    for j, (of_Z, of_X) in enumerate(pairs):
        first.setdefault(of_Z, {}).setdefault(of_X, j)
    # Equal shapes in a row: their bases are made together.
    groups = sorted(
        (list(one.values()) for one in first.values()), key=lambda js: instruments[js[0]].shape[1]
    )
    endogenous = {j: ~shared.left[j] for group in groups for j in group}
    asked = [
        [(j, i) for j in group for i, left in enumerate(endogenous[j].tolist()) if left]
        for group in groups
    ]
    named = [group[0] for group in groups]
    for (j, i), inside in spanned_columns(blocks, [instruments[j] for j in named], named, asked):
        endogenous[j][i] = not inside
    told = [endogenous[first[of_Z][of_X]] for of_Z, of_X in pairs]
    return Kinds(told, [~among for among in shared.right])


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
        (of_X,), (of_Z,) = shared_columns([X], [Z])
        endog, excluded = _named(columns[j], ~of_X), _named(instrument_columns[j], ~of_Z)
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
    first = Y[0].tolist()
    at = [j for j, Z in enumerate(instruments) if first[j] in Z[0].tolist()]
    shared = shared_columns([Y[:, [j]] for j in at], [instruments[j] for j in at])
    for j, (is_one,), among in zip(at, *shared, strict=True):
        if is_one:
            raise InstrumentError(
                f"equation {names[j]!r}: its instrument {columns[j][int(np.argmax(among))]!r} is "
                "its own response, which moves with its error; take it out of the instruments"
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
        `Kinds.endogenous` with the equation's own instruments, and with those of all.

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
