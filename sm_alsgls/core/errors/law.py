"""Which law the errors of a system follow, before there are rows: low rank, or unrestricted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.equal_variances import equal_variances
from sm_alsgls.core.errors.exchangeable import exchangeable
from sm_alsgls.core.errors.exchangeable_observed import ObservedExchangeable
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.unrestricted import unrestricted
from sm_alsgls.core.errors.within_rows import WithinRows
from sm_alsgls.core.errors.words import EXCHANGEABLE, FULL, SPHERICAL, WITHIN
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.exceptions import OptionError


class Law(NamedTuple):
    """A law of the errors.

    Attributes
    ----------
    rank : int or str
        What users call it: the number of factors, "full", "exchangeable" or "spherical".
    order : int
        What the loop calls it: the number of factors, 0 where there are none.
    make : callable
        Makes its `Errors` of some rows.
    parameters : callable
        Free parameters of Sigma for K equations.
    meeting : int
        One less than the equations that need rows together for the likelihood to have a bound.
    methods : tuple of str
        Ways of fitting it.
    """

    rank: int | str
    order: int
    make: Callable[[Rows], Errors]
    parameters: Callable[[int], int]
    meeting: int
    methods: tuple[str, ...]

    @property
    def has_factors(self) -> bool:
        """Whether Sigma is low rank plus diagonal, which may be of rank 0."""
        return self.rank != FULL


def law_of(rank: int | str) -> Law:
    """The law of a rank, of "full", of "exchangeable", of "spherical" or of "within".

    Examples
    --------
    >>> law_of(2).parameters(10), law_of("full").parameters(10)
    (29, 55)
    """
    if rank == FULL:
        return Law(FULL, 0, unrestricted, _triangle, 1, ("als", "two-step"))
    if rank == EXCHANGEABLE:
        return Law(EXCHANGEABLE, 1, _exchangeable, _two, 0, ("als", "swamy-arora"))
    if rank == WITHIN:
        return Law(SPHERICAL, 0, _within, _one, 0, ("als",))
    if rank == SPHERICAL:
        return Law(SPHERICAL, 0, _spherical, _one, 0, ("als",))
    r = int(rank)
    return Law(r, r, low_rank, partial(sigma_parameters, r=r), r, ("als", "em", "two-step"))


def _exchangeable(rows: Rows) -> Errors:
    return exchangeable(rows) if rows.patterns is None else ObservedExchangeable(rows.patterns)


def _spherical(rows: Rows) -> Errors:
    if rows.patterns is None:
        return equal_variances(rows)
    return ObservedExchangeable(rows.patterns, level=False)


def _within(rows: Rows) -> Errors:
    if rows.patterns is None:
        raise OptionError("whole rows have deviations, of one variance")
    return WithinRows(rows.patterns)


def _one(K: int) -> int:
    return 1


def _two(K: int) -> int:
    return 2


def _triangle(K: int) -> int:
    return K * (K + 1) // 2
