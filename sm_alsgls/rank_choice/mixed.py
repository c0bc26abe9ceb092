"""The structure of random effects behind ``rank=``: given, or chosen by a criterion.

Criteria are of fits by maximum likelihood. With k_G parameters of G and k others,

    aic         -2 llf + 2 (k + k_G)
    bic         -2 llf + log(n) (k + k_G), that of the results
    bic_groups  -2 llf + log(n) k + log(m) k_G: of G there are m draws, not n (Delattre, Lavielle
                and Poursat 2014, Electronic Journal of Statistics 8)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import came, choice, flag, nearest
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.core.mixed.structures import (
    Diagonal,
    LoadingsOnly,
    LowRank,
    Structure,
    Unstructured,
    largest_rank,
)
from sm_alsgls.exceptions import IllegalRankError, InsufficientRowsError, OptionError
from sm_alsgls.progress import counted
from sm_alsgls.rank_choice.selection import RankSelection

#: Psi alone, which is rank 0.
DIAGONAL = "diagonal"
#: What a structure can be chosen by.
RULES = {
    "bic_groups": "BIC with the number of groups for the random effects' parameters",
    "bic": "BIC",
    "aic": "AIC",
}
METHODS = ("auto", *RULES)
# What "auto" is.
_AUTO = "bic_groups"
# Random effects up to which "full" is a candidate, and up to which "auto" is "full".
_MANY, _FEW = 12, 2
# Largest candidate by default, and rises of the criterion after which "auto" looks no further.
_MOST, _RISES = 10, 2


class Fit(NamedTuple):
    """What a criterion looks at of one candidate."""

    llf: float
    converged: bool


def is_rule(rank: Any) -> bool:
    """Whether ``rank`` says how to choose it from the data."""
    return isinstance(rank, str) and rank in METHODS


def structure_of(rank: Any, q: int, uniquenesses: Any = True) -> Structure:
    """The structure of G of q random effects: ``rank`` a number, "diagonal" or "full".

    Raises
    ------
    IllegalRankError
        The message gives the largest that is identified.
    OptionError

    Examples
    --------
    >>> from sm_alsgls.rank_choice.mixed import structure_of
    >>> structure_of(2, 6).n_free, structure_of("full", 6).n_free
    (17, 21)
    >>> structure_of(4, 6)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    sm_alsgls.exceptions.IllegalRankError: rank=4 is not identified with 6 random effects; the ...
    """
    alone = not flag(uniquenesses, "uniquenesses")
    if isinstance(rank, str) and rank in (FULL, DIAGONAL):
        if alone:
            raise OptionError(
                f"uniquenesses=False leaves loadings alone, and rank={rank!r} has none; give a "
                "number of factors"
            )
        return Unstructured(q) if rank == FULL else Diagonal(q)
    whole = isinstance(rank, (int, np.integer)) and not isinstance(rank, (bool, np.bool_))
    if not whole or rank < alone:
        near = nearest(rank, ["auto", FULL, DIAGONAL, *RULES]) if isinstance(rank, str) else ""
        raise IllegalRankError(
            f"rank must be 'auto', 'full', 'diagonal' or a whole number >= {int(alone)}, got "
            f"{came(rank)}{near}; criteria that choose it from the data are {', '.join(RULES)}"
        )
    largest = largest_rank(q, not alone)
    if rank > largest:
        why = f"{q} random effect{'s have' if q > 1 else ' has'} no more" if alone else (
            f"(q - r)^2 >= q + r, so that Lambda Lambda' + Psi has no more parameters than the "
            f"{q * (q + 1) // 2} elements of G"
        )  # fmt: skip
        raise IllegalRankError(
            f"rank={rank} is not identified with {q} random effects; the largest is {largest} "
            f"({why}); rank='full' is an unrestricted G"
            + ("" if alone else ", uniquenesses=False leaves out Psi")
        )
    if alone:
        return LoadingsOnly(q, int(rank))
    return LowRank(q, int(rank)) if rank else Diagonal(q)


def candidates_of(given: Any, q: int, m: int) -> list[int | str]:
    """Candidates: those given, checked, or 0, 1, ... and "full" where there are few effects.

    Raises
    ------
    OptionError, IllegalRankError
    """
    if given is None:
        ranks: list[int | str] = list(range(min(largest_rank(q), _MOST, max(m - 1, 0)) + 1))
        return [*ranks, FULL] if 1 < q <= _MANY else ranks
    if isinstance(given, (str, bytes)) or not np.iterable(given):
        raise OptionError(f"candidates must be a list such as [0, 1, 'full'], got {came(given)}")
    found = [0 if isinstance(one, str) and one == DIAGONAL else one for one in given]
    if not found:
        raise OptionError("candidates is empty; give at least one, such as [0, 1, 'full']")
    for one in found:
        structure_of(one, q)
    numbers = sorted({int(one) for one in found if not isinstance(one, str)})
    return [*numbers, FULL] if any(isinstance(one, str) for one in found) else list(numbers)


def _over(rows: list[dict[str, Any]]) -> bool:
    """Whether the criterion of "auto" has risen with each of the last factors."""
    last = [row[_AUTO] for row in rows[-_RISES - 1 :]]
    return len(last) > _RISES and bool((np.diff(last) > 0.0).all())


def without_data(rank: str, q: int) -> int | str | None:
    """What "auto" is of so few random effects that there is nothing to compare; else None.

    One has a variance, and of two no factor is identified: their G is unrestricted.
    """
    if rank != "auto" or q > _FEW:
        return None
    return FULL if q > 1 else 0


def select_structure(
    fit: Callable[[Structure], Fit],
    shape: tuple[int, int, int],
    others: int,
    method: str,
    candidates: Any = None,
    argument: str = "method",
    told: Callable[[Structure], bool] = lambda structure: True,
) -> RankSelection:
    """Choose the structure of G; `sm_alsgls.select_rank` of a mixed model.

    Parameters
    ----------
    fit : callable
        Maximises the likelihood of a structure.
    shape : tuple
        Rows n, groups m, random effects q.
    others : int
        Parameters beside those of G.
    method : {"auto", "bic_groups", "bic", "aic"}
    candidates : list of int, "diagonal" and "full", optional
    argument : str
        What the caller's argument is called.
    told : callable
        Whether data tell the residual variance from a structure's; others are left out.

    Raises
    ------
    OptionError, IllegalRankError
    """
    method = choice(method, argument, METHODS)
    n, m, q = shape
    notes: list[str] = []
    some = method == "auto" and candidates is None
    rows: list[dict[str, Any]] = []
    tried: list[int | str] = []
    left: list[str] = []
    every = candidates_of(candidates, q, m)
    for candidate in counted(every, "structures", unit="fit"):
        if some and candidate != FULL and _over(rows):
            continue
        if not told(structure_of(candidate, q)):
            left.append(str(candidate))
            continue
        tried.append(candidate)
        structure = structure_of(candidate, q)
        made, k = fit(structure), structure.n_free
        deviance = -2.0 * made.llf
        rows.append(
            {
                "nll": -made.llf / n,
                "llf": made.llf,
                "parameters": others + k,
                "aic": deviance + 2.0 * (others + k),
                "bic": deviance + np.log(n) * (others + k),
                "bic_groups": deviance + np.log(n) * others + np.log(m) * k,
                "converged": made.converged,
            }
        )
    if left:
        notes.append(
            f"Rank {', '.join(left)}: not compared, since groups have too few rows to tell its "
            "variances from the residuals'."
        )
    if not tried:
        raise InsufficientRowsError(
            "no candidate is left: groups have too few rows to tell the variances of random "
            "effects from the residuals'; leave out random effects, or take uniquenesses=False"
        )
    index = pd.Index(tried, name="rank", dtype=object if FULL in tried else None)
    table = pd.DataFrame(rows, index=index)
    choices = pd.Series({name: table[name].idxmin() for name in RULES}, dtype=object, name="rank")
    chosen = choices[_AUTO if method == "auto" else method]
    missed = [str(r) for r in table.index[~table["converged"]]]
    if missed:
        notes.append(f"NOT CONVERGED: rank {', '.join(missed)}; criteria are approximate there.")
    return RankSelection(
        chosen if chosen == FULL else int(chosen),
        method,
        table,
        choices,
        np.nan,
        n,
        q,
        notes,
        counted="Random Effects",
        words={"auto": RULES[_AUTO], **RULES},
        automatic=_AUTO,
    )
