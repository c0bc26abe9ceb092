"""Which parameter belongs to each regressor of each equation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

Array = np.ndarray


class Places:
    """Which parameter belongs to each regressor of each equation.

    Parameters
    ----------
    shares : sequence of ndarray of int
        For each equation (p_j,) the number of the shared coefficient of each regressor, -1 for
        one of its own. Shared ones are numbered from 0, none left out, none twice in an equation.

    Attributes
    ----------
    m : int
        Shared coefficients.
    P : int
        All parameters: shared ones first, then each equation's own in the order of its columns.
    p : ndarray of int, shape (K,)
        Regressors of each equation.
    columns : tuple of ndarray of int
        Where the p_j coefficients of each equation sit among the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> places = Places([np.array([-1, 0]), np.array([-1, 0, -1])])
    >>> places.P, [at.tolist() for at in places.columns]
    (4, [[1, 0], [2, 0, 3]])
    """

    def __init__(self, shares: Sequence[Array]) -> None:
        self.shares = tuple([np.asarray(share, dtype=np.intp) for share in shares])
        self.p = np.array([len(share) for share in self.shares])
        flat = np.concatenate(self.shares)
        self.m = int(flat.max(initial=-1)) + 1
        at = np.where(flat < 0, self.m - 1 + np.cumsum(flat < 0), flat)
        stop = np.cumsum(self.p).tolist()
        self.columns = tuple(at[a:b] for a, b in zip([0, *stop[:-1]], stop, strict=True))
        self.P = self.m + int((flat < 0).sum())

    @cached_property
    def own(self) -> tuple[Array, ...]:
        """Positions of each equation's own columns in its block."""
        return tuple(np.flatnonzero(share < 0) for share in self.shares)

    @cached_property
    def shared(self) -> tuple[Array, ...]:
        """Positions of its shared columns."""
        return tuple(np.flatnonzero(share >= 0) for share in self.shares)

    @cached_property
    def own_counts(self) -> Array:
        """Own coefficients of each equation, (K,)."""
        return np.bincount(self.owner[self.flat >= self.m], minlength=len(self.p))

    @cached_property
    def order(self) -> tuple[Array, ...]:
        """Own columns of each equation, then shared ones."""
        pairs = zip(self.own, self.shared, strict=True)
        return tuple(np.concatenate([own, shared]) for own, shared in pairs)

    @cached_property
    def numbers(self) -> tuple[Array, ...]:
        """Which shared coefficients each equation has, in the order of its columns."""
        return tuple(share[at] for share, at in zip(self.shares, self.shared, strict=True))

    @cached_property
    def first(self) -> Array:
        """A place of each parameter in the free coefficients, equation by equation, (P,)."""
        at = np.empty(self.P, dtype=np.intp)
        at[self.flat[::-1]] = np.arange(len(self.flat))[::-1]
        return at

    @cached_property
    def flat(self) -> Array:
        """The parameter of each coefficient, equation by equation, (sum_j p_j,)."""
        return np.concatenate(self.columns)

    @cached_property
    def owner(self) -> Array:
        """The equation of each coefficient, equation by equation, (sum_j p_j,)."""
        return np.arange(len(self.p)).repeat(self.p)
