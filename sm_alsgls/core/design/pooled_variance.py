"""The covariance of the coefficients where equations share some of them.

It borders that of the own coefficients. With the coordinates g = (u, a) of
`sm_alsgls.core.design.pooled`, V the covariance that b would have were c known, by whatever route,
B = H_au what own and shared coordinates have in common, and b = b(a) + N u,

    S = H_uu - B' V_a B,                 D = [ d c / d u ;  N - V B ],
    Cov(theta) = [ 0  0 ; 0  V ] + D S^-1 D',

m more columns, whatever the number of equations: c has the covariance of generalised least squares
after own regressors are taken out, and b given c varies by V.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Bread, Normal, PerEquation
from sm_alsgls.core.design.places import Places
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray


class Sharing(Protocol):
    """What is asked of the design; `PooledDesign` says what each means."""

    free: PerEquation
    places: Places
    P: int
    m: int
    shared_map: Array

    @property
    def slopes(self) -> Array: ...  # noqa: D102
    @property
    def own_design(self) -> PerEquation: ...  # noqa: D102
    def on_own(self, G: Array) -> Array: ...  # noqa: D102
    def lift(self, g: Array) -> Array: ...  # noqa: D102
    def drop(self, gamma: Array) -> Array: ...  # noqa: D102
    def stretched(self, stretch: Callable[[int], Array]) -> Self: ...  # noqa: D102


class PooledVariance:
    """Covariance of theta = (c, b_1, .., b_K), formed only as far as asked.

    Parameters
    ----------
    design : PooledDesign
    of_free : callable
        ``of_free(part)`` is H^-1 of a design with free coefficients, of the same rows.
    """

    def __init__(self, design: Sharing, of_free: Callable[[PerEquation], Bread]) -> None:
        self._pooled, self._of_free = design, of_free
        self._m, self._P, self._places = design.m, design.P, design.places

    @cached_property
    def _free(self) -> Bread:
        return self._of_free(self._pooled.free)

    @cached_property
    def _own(self) -> Bread | None:
        """V, of own coefficients were the shared ones known; None where nothing is own."""
        if self._P == self._m:
            return None
        return self._of_free(self._pooled.own_design)

    @cached_property
    def _half(self) -> Array:
        """D L^-T with S = L L', (P, m)."""
        design, m = self._pooled, self._m
        images = np.empty((m, self._P))
        for i in range(m):
            unit = np.zeros(self._P)
            unit[i] = 1.0
            images[i] = design.drop(self._free.normal.apply(design.lift(unit)))
        S = 0.5 * (images[:, :m] + images[:, :m].T)
        D = np.empty((self._P, m))
        D[:m] = design.shared_map
        if self._own is not None:
            B = design.on_own(images[:, m:])
            Y = self._own.times(B)
            D[m:] = design.slopes - Y
            S -= B @ Y
        factor = np.linalg.cholesky(S)
        return scipy.linalg.solve_triangular(factor, D.T, lower=True).T

    # -- as `Bread` ------------------------------------------------------------------------------

    @property
    def design(self) -> PerEquation:
        """That of the free coefficients."""
        return self._pooled.free

    @property
    def normal(self) -> Normal:
        """H of the free coefficients."""
        return self._free.normal

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._P, self._P

    @property
    def tied(self) -> Array:
        """Equations with a shared coefficient, (K,) of bool."""
        return np.asarray(self._places.own_counts < self._places.p)

    def columns(self, j: int) -> Array:
        """Where the coefficients of equation j sit among theta."""
        return self._places.columns[j]

    def stretched(self, stretch: Callable[[int], Array]) -> PooledVariance:
        """As `Bread.stretched`: the design is that of blocks Q_j A_j^-1 R_j."""
        return PooledVariance(self._pooled.stretched(stretch), self._of_free)

    def distance(self, beta: Sequence[Array], spared: Sequence[Array | None]) -> None:
        """Not at hand: equations share what it would be of."""

    def directions(self, to_beta: Array) -> Array:
        """As `Bread.directions`."""
        picks = np.zeros((len(to_beta), self._P))
        picks[np.arange(len(picks)), self._places.flat] = 1.0
        basis: Array = np.linalg.qr(np.linalg.solve(to_beta, picks))[0]
        return basis

    def ridge_rows(self) -> None:
        """None: common coefficients go without a ridge."""

    def variances(self) -> Array:
        """Diagonal, (P,)."""
        out = np.einsum("pm,pm->p", self._half, self._half)
        if self._own is not None:
            out[self._m :] += self._own.variances()
        return out

    def block(self, j: int) -> Array:
        """Covariance of the coefficients of equation j, shared ones included, (p_j, p_j)."""
        half = self._half[self.columns(j)]
        out = half @ half.T
        at = self._places.own[j]
        if len(at) and self._own is not None:
            out[np.ix_(at, at)] += self._own.block(j)
        return out

    def times(self, R: Array) -> Array:
        """The covariance times R', (P, k), for rows R (k, P)."""
        self._check(R)
        out = self._half @ (self._half.T @ R.T)
        if self._own is not None:
            out[self._m :] += self._own.times(R[:, self._m :])
        return out

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other' for rows R (k, P) of combinations; ``other`` defaults to R."""
        second = R if other is None else other
        self._check(R)
        self._check(second)
        out = (R @ self._half) @ (second @ self._half).T
        if self._own is not None:
            right = None if other is None else other[:, self._m :]
            out += self._own.combinations(R[:, self._m :], right)
        return out

    def selector(self, j: int) -> Array:
        """The rows (p_j, P) that pick the coefficients of equation j."""
        rows = np.zeros((len(self.columns(j)), self._P))
        rows[np.arange(len(rows)), self.columns(j)] = 1.0
        return rows

    def solve_combinations(self, R: Array) -> Array:
        """The coefficients V R' as gamma of the free design, (P_free, k)."""
        free = self._pooled.free
        columns = [
            free.from_beta([theta[at] for at in self._places.columns]) for theta in self.times(R).T
        ]
        return np.stack(columns, axis=1)

    def dense(self) -> Array:
        """The whole, (P, P)."""
        out = self._half @ self._half.T
        if self._own is not None:
            out[self._m :, self._m :] += self._own.dense()
        return out

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()

    def _check(self, R: Array) -> None:
        if R.shape[1] != self._P:
            raise ShapeError(
                f"combinations of coefficients need {self._P} columns, got {R.shape[1]}"
            )
