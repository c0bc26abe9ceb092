"""What the inverse of a normal matrix asks of whoever knows what that is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from sm_alsgls.core.design.base import Normal

Array = np.ndarray

#: Bytes that a route may take.
MEMORY = 2_500_000_000


class Dual(Protocol):
    """H^-1 in gamma through a system of the size of the rows' factors."""

    def block(self, j: int) -> Array:
        """(H^-1)_jj, (p_j, p_j)."""
        ...

    def blocks(self) -> Iterator[tuple[Sequence[int] | Array, Sequence[Array] | Array]]:
        """Equations and their blocks, a tile at a time."""
        ...

    def solve(self, B: Array) -> Array | None:
        """H^-1 B for columns B (P, m); None where columns are better solved for otherwise."""
        ...


class Kernel(Protocol):
    """What H is made of, without the ridge, and what a route to its inverse costs.

    Attributes
    ----------
    normal : Normal
        H with the ridge, as an operator.
    closed : bool
        Whether `inverse_times` has a closed form (of H without a ridge).
    few : int
        Up to so many columns conjugate gradients are cheaper than a factor of H of any size.
    """

    normal: Normal
    closed: bool
    few: int

    def costs(self) -> dict[str, float]:
        """Predicted flops of the routes dense, dual and cg for all equations."""
        ...

    def inverse_times(self, B: Array) -> Array:
        """H^-1 B in closed form, for columns B (P, m)."""
        ...

    def inverse_block(self, j: int) -> Array:
        """(H^-1)_jj in closed form."""
        ...

    def matrix(self) -> Array:
        """H, (P, P)."""
        ...

    def dual(self) -> Dual:
        """The dual form."""
        ...

    def iterate(self, B: Array, tol: float, max_iter: int) -> Array:
        """H^-1 B by conjugate gradients, residuals to ``tol`` of B's."""
        ...
