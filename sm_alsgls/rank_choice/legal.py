"""Which numbers of factors a system can have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from sm_alsgls.border.arguments import came, nearest
from sm_alsgls.border.blame import caller
from sm_alsgls.core.errors.law import Law, law_of
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.sigma.factor import auto_rank, largest_rank
from sm_alsgls.data.system import System
from sm_alsgls.exceptions import IllegalRankError, RankWarning
from sm_alsgls.rank_choice.rules import RULES


def resolve_law(
    rank: int | str,
    system: System,
    groups: str | None = None,
    rules: Sequence[str] = tuple(RULES),
) -> Law:
    """The law of the errors behind ``rank``, checked: "full", or what `resolve_rank` makes of it.

    Raises
    ------
    IllegalRankError
    """
    if isinstance(rank, str) and rank == FULL:
        check_full(system)
        return law_of(FULL)
    return law_of(resolve_rank(rank, system, groups, rules))


def check_full(system: System) -> None:
    """Raise unless an unrestricted Sigma has more residual rows than equations, pair by pair.

    Raises
    ------
    IllegalRankError
    """
    K = len(system.names)
    N, p, whose = system.scarcest
    if K >= N - p:
        low = auto_rank(K, N, p)
        raise IllegalRankError(
            f"rank='full' is not possible: {K} equations have residuals with {whose}{N} rows less "
            f"{p} regressors = {N - p} degrees of freedom, so that their covariance E'E/N is "
            f"singular, or nearly; use rank='auto', or a number of factors such as rank={low}"
        )
    mask = system.cells.mask
    if mask is None:
        return
    seen = mask.astype(float)
    apart = np.argwhere(seen.T @ seen == 0.0)
    if len(apart):
        one, other = (system.names[int(j)] for j in apart[0])
        raise IllegalRankError(
            f"rank='full' is not possible: equations {one!r} and {other!r} share no row, so that "
            "nothing tells their covariance; use rank='auto' or a number of factors, which needs "
            "no row that has both"
        )


def resolve_rank(
    rank: int | str,
    system: System,
    groups: str | None = None,
    rules: Sequence[str] = tuple(RULES),
) -> int:
    """The number of factors behind ``rank``, checked; ``groups`` is the column of a long panel.

    ``rules`` are those that the model can be made with, for the message.

    Raises
    ------
    IllegalRankError
    """
    K = len(system.names)
    N, p, whose = system.scarcest
    if isinstance(rank, str) and rank == "rule":
        chosen = auto_rank(K, N, p)
        warn_if_no_factor(rank, system)
        return chosen
    whole = isinstance(rank, (int, np.integer)) and not isinstance(rank, bool)
    if not whole or isinstance(rank, str) or rank < 0:
        near = nearest(rank, ["auto", FULL, *rules]) if isinstance(rank, str) else ""
        raise IllegalRankError(
            f"rank must be 'auto', 'full' or a whole number >= 0, got {came(rank)}{near}; criteria "
            f"that choose it from the data are {', '.join(rules)}, and 'rule' looks at K alone"
        )
    largest = largest_rank(K, N, p)
    if rank > largest:
        why = (
            f"{K} equation{'s identify' if K > 1 else ' identifies'} no more, (K - r)^2 >= K + r"
            if largest == largest_rank(K)
            else f"{whose}{N} rows less {p} regressors leave no more degrees of freedom"
        )
        if K == 1:
            why += (
                f"; of groups={groups!r} there is one, {system.names[0]!r}"
                if groups is not None
                else "; a long panel needs groups="
            )
        if 1 < K < N - p:
            why += "; rank='full' is an unrestricted Sigma"
        raise IllegalRankError(
            f"rank={rank} is not possible; the largest legal rank is {largest} ({why})"
        )
    return int(rank)


def warn_if_no_factor(rule: str, system: System) -> None:
    """Warn where no factor is identified, so that any rule chooses rank 0."""
    N, p, whose = system.scarcest
    full = "rank='full' fits an unrestricted Sigma"
    warn_if_none_legal(rule, len(system.names), N, p, whose=whose, two=full)


def warn_if_none_legal(
    rule: str, K: int, N: int, p: int, *, whose: str = "", two: str = ""
) -> None:
    """The same of numbers of equations, rows and regressors.

    Parameters
    ----------
    rule : str
    K, N, p : int
    whose : str
        Whose rows and regressors they are, where equations have others.
    two : str
        What to do with two equations.
    """
    if K < 2 or largest_rank(K, N, p) > 0:
        return
    why = (
        f"two equations identify no factor; {two}"
        if K == 2
        else f"{whose}{N} rows less {p} regressors leave no degree of freedom for a factor"
    )
    warnings.warn(
        f"rank={rule!r} is 0, so errors are taken as uncorrelated and the fit is OLS "
        f"equation by equation: {why}",
        RankWarning,
        stacklevel=caller(),
    )
