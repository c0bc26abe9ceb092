"""Which law the errors of a system follow, before there are rows: low rank, or unrestricted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.low_rank import low_rank
from sm_alsgls.core.errors.unrestricted import unrestricted
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.sigma.factor import sigma_parameters

#: What a law of an unrestricted Sigma is called.
FULL = "full"


class Law(NamedTuple):
    """A law of the errors.

    Attributes
    ----------
    rank : int or str
        What users call it: the number of factors, or "full".
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
    """The law of a rank, or of "full".

    Examples
    --------
    >>> law_of(2).parameters(10), law_of("full").parameters(10)
    (29, 55)
    """
    if rank == FULL:
        return Law(FULL, 0, unrestricted, _triangle, 1, ("als", "two-step"))
    r = int(rank)
    return Law(r, r, low_rank, partial(sigma_parameters, r=r), r, ("als", "em", "two-step"))


def _triangle(K: int) -> int:
    return K * (K + 1) // 2
