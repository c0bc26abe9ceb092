"""The covariance of few parameters of a design that stands on a free one, by forming H.

With L the columns of ``lift``, gamma = L g, and theta = T g the parameters,

    H = L' H_free L,       V = T H^-1 T',       gamma of V R' = L H^-1 T' R',

P products with H_free and P x P algebra, however many equations there are. It asks of a design
nothing but `Linear`, so a new one has standard errors of every kind before it has a faster way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.base import Bread, Columns, Linear, Normal, PerEquation

Array = np.ndarray


class LiftedVariance:
    """H^-1 of the parameters; see `Bread`.

    Parameters
    ----------
    design : Linear
        Of few parameters, without an origin.
    of_free : callable
        ``of_free(part)`` is H^-1 of a design with free coefficients, of the same rows.
    stretch : callable, optional
        A_j of `Bread.stretched`.
    """

    def __init__(
        self,
        design: Linear,
        of_free: Callable[[PerEquation], Bread],
        stretch: Callable[[int], Array] | None = None,
    ) -> None:
        self._lifted, self._of_free, self._stretch = design, of_free, stretch

    @cached_property
    def _free(self) -> Bread:
        return self._of_free(self._lifted.free)

    @cached_property
    def _lift(self) -> Array:
        """L, of free coefficients that are stretched: A_j^-1 on each equation, (P_free, P)."""
        L = self._lifted.lift(np.eye(self._lifted.P))
        if self._stretch is None:
            return L
        out = np.empty_like(L)
        for j in range(self._lifted.K):
            at = self._lifted.free.equation_slice(j)
            out[at] = np.linalg.solve(self._stretch(j), L[at])
        return out

    @cached_property
    def _to_params(self) -> Array:
        return np.column_stack([self._lifted.to_params(g) for g in np.eye(self._lifted.P)])

    @cached_property
    def _half(self) -> Array:
        """T L^-T with H = L L', (P, P)."""
        H = self._lift.T @ self._free.normal.apply_many(self._lift)
        factor = np.linalg.cholesky(0.5 * (H + H.T))
        return np.asarray(np.linalg.solve(factor, self._to_params.T).T)

    @property
    def design(self) -> PerEquation:
        """That of free coefficients."""
        return self._lifted.free

    @property
    def normal(self) -> Normal:
        """H of free coefficients."""
        return self._free.normal

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._lifted.P, self._lifted.P

    @property
    def tied(self) -> Array:
        """All equations, (K,)."""
        return np.ones(self._lifted.K, dtype=bool)

    def columns(self, j: int) -> Columns:
        """Where beta_j sits."""
        return self._lifted.columns(j)

    def stretched(self, stretch: Callable[[int], Array]) -> LiftedVariance:
        """As if the free coefficients had the covariance A V A'."""
        return LiftedVariance(self._lifted, self._of_free, stretch)

    def distance(self, beta: Sequence[Array], spared: Sequence[Array | None]) -> None:
        """Not at hand."""

    def directions(self, to_beta: Array) -> Array:
        """Orthonormal g of which beta = to_beta g is some parameters'."""
        beta = np.column_stack(
            [np.concatenate(self._lifted.to_beta(g)) for g in np.eye(self._lifted.P)]
        )
        return np.linalg.qr(np.linalg.solve(to_beta, beta))[0]

    def ridge_rows(self) -> None:
        """None: tied coefficients go without a ridge."""

    def dense(self) -> Array:
        """V, (P, P)."""
        return self._half @ self._half.T

    def variances(self) -> Array:
        """Diagonal of V, (P,)."""
        return np.einsum("pm,pm->p", self._half, self._half)

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        half = self._half[self.columns(j)]
        return half @ half.T

    def times(self, R: Array) -> Array:
        """V R', (P, m)."""
        return self._half @ (R @ self._half).T

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other'; ``other`` defaults to R."""
        second = R if other is None else other
        return (R @ self._half) @ (second @ self._half).T

    def selector(self, j: int) -> Array:
        """The rows (p_j, P) that pick beta_j."""
        return np.eye(self._lifted.P)[self.columns(j)]

    def solve_combinations(self, R: Array) -> Array:
        """As `Bread.solve_combinations`."""
        g = np.linalg.solve(self._to_params, self.times(R))
        return self._lifted.lift(g)
