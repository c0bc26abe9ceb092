"""``Lifted``: what follows for a design from its maps onto a free one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.design.base import Bread, Linear, PerEquation
from sm_alsgls.core.design.lifted_variance import LiftedVariance
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray


class Lifted:
    """A design of few parameters on a free one; its maps come from subclasses.

    Parameters
    ----------
    free : PerEquation
    P : int
        Coordinates.

    Notes
    -----
    A subclass has ``lift``, ``drop``, ``diagonal``, ``to_params``, ``to_beta``, ``from_beta`` and
    ``columns``; see `Linear` for what each must keep.
    """

    #: Coefficients are tied; GLS is not OLS; fitted values are zero where coordinates are.
    restricted, shared, origin = True, False, None

    def __init__(self, free: PerEquation, P: int) -> None:
        self.free, self.P = free, P
        self.n, self.K, self.p = free.n, free.K, free.p

    def lift(self, g: Array) -> Array:
        """The free gamma of g."""
        raise NotImplementedError

    def drop(self, gamma: Array) -> Array:
        """The transpose of ``lift``."""
        raise NotImplementedError

    def to_params(self, g: Array) -> Array:
        """The parameters of g."""
        raise NotImplementedError

    def to_beta(self, g: Array) -> list[Array]:
        """Coefficients of g."""
        raise NotImplementedError

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The g of coefficients."""
        raise NotImplementedError

    def inside(self, g: Array) -> Array:
        """``g`` itself: ``lift`` loses nothing."""
        return g

    def fitted(self, g: Array, out: Array | None = None) -> Array:
        """Fitted values (n, K)."""
        return self.free.fitted(self.lift(g), out)

    def left(self, M: Array, g: Array, out: Array | None = None) -> Array:
        """M less fitted values, (n, K)."""
        return self.free.left(M, self.lift(g), out)

    def project(self, M: Array) -> Array:
        """The transpose of ``fitted``."""
        return self.drop(self.free.project(M))

    def least_squares(self, M: Array) -> tuple[Array, Array]:
        """See `Linear.least_squares`: one after the other."""
        g = self.project(M)
        return g, self.left(M, g)

    def largest_norm(self, v: Array) -> float:
        """The norm of ``v``: coordinates are no equation's."""
        return float(np.linalg.norm(v))

    def normal(self, cov: RowCovariance, n_obs: int, ridge: Ridge | None = None) -> NormalEquations:
        """H = drop H_free lift."""
        return NormalEquations(self, cov, n_obs, ridge)  # type: ignore[arg-type]

    def variance(self, of_free: Callable[[PerEquation], Bread]) -> Bread:
        """By forming H."""
        return LiftedVariance(self, of_free)  # type: ignore[arg-type]

    def on_flat(self, R: Array) -> Array:
        """Combinations R theta as columns on g, (P, m)."""
        return (R @ np.column_stack([self.to_params(g) for g in np.eye(self.P)])).T

    def carried(self, g: Array, c: Array, other: Linear) -> Array:
        """As `Linear.carried`."""
        return self.from_beta([v * b for v, b in zip(c, other.to_beta(g), strict=True)])
