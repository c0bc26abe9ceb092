"""Linear restrictions R beta = q on the coefficients.

With R brought to gamma, its rows spanned by the orthonormal columns of A (P, m), the coefficients
are gamma = gamma_0 + N g with N = I - A A' and gamma_0 the shortest point that obeys. The design
with N in front is a design as far as the loop can tell: ``fitted(g)`` is Q N g, ``project`` its
transpose, and because Q_j'Q_j = I the projection of Y is still OLS, now restricted. Nothing is
eliminated and no null space of P columns is formed; conjugate gradients do not mind the m zeros
of N H N.

The covariance of the restricted coefficients is V - V R'(R V R')^-1 R V.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import (
    Binding,
    Bread,
    Columns,
    Linear,
    Normal,
    PerEquation,
    Unbound,
)
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance
from sm_alsgls.exceptions import SystemInputError

Array = np.ndarray


class InconsistentRestrictionsError(SystemInputError):
    """Restrictions that repeat or contradict one another; carries their positions.

    Attributes
    ----------
    rows : tuple of int
        Restrictions that follow from the others.
    contradictory : bool
        True where they also ask for another value.
    """

    def __init__(self, rows: tuple[int, ...], contradictory: bool) -> None:
        self.rows, self.contradictory = rows, contradictory
        what = "contradict" if contradictory else "repeat"
        super().__init__(f"restrictions {list(rows)} {what} the others")


class Restrictions:
    """R beta = q, as a `Binding`.

    Parameters
    ----------
    R, q : ndarray, shapes (m, P), (m,)
        On the parameters: beta, ordered by equation, then column, or what ``within`` makes of it.
    within : Binding, optional
        What else ties coefficients; they obey on top of that.
    """

    ridged = False

    def __init__(self, R: Array, q: Array, within: Binding | None = None) -> None:
        self.R, self.q = R, q
        self._within: Binding = Unbound() if within is None else within

    def bind(self, free: PerEquation) -> RestrictedDesign:
        """The design whose coefficients obey."""
        return RestrictedDesign(self._within.bind(free), self.R, self.q)

    def rescaled(self, c: Array, free: PerEquation) -> Restrictions:
        """Of beta_j / c_j."""
        within = self._within.rescaled(c, free)
        return Restrictions(self.R * self.units(c, free.p), self.q, within)

    def units(self, c: Array, p: Array) -> Array:
        """As what else ties them has it."""
        return self._within.units(c, p)


class RestrictedDesign:
    """A design whose coefficients obey R beta = q; flat vectors keep length P.

    Parameters
    ----------
    base : Linear
        Without an origin.
    R : ndarray, shape (m, P)
        On its parameters.
    q : ndarray, shape (m,)

    Raises
    ------
    InconsistentRestrictionsError
        When rows of R are linearly dependent.
    """

    restricted = True
    #: Restrictions make GLS differ from OLS even where all designs are equal.
    shared = False

    def __init__(self, base: Linear, R: Array, q: Array) -> None:
        self._base, self.free, self.R, self.q = base, base.free, R, q
        self.n, self.K, self.P, self.p = base.n, base.K, base.P, base.p
        on_gamma = base.on_flat(R)
        length = np.sqrt(np.einsum("pm,pm->m", on_gamma, on_gamma))
        length[length == 0.0] = 1.0
        _check_rows(on_gamma / length, q / length)
        self.A, triangle = np.linalg.qr(on_gamma)
        self._point: Array = self.A @ scipy.linalg.solve_triangular(triangle, q, trans="T")
        self.origin: Array = base.lift(self._point)

    def lift(self, g: Array) -> Array:
        """The free gamma of N g, for flat ``g`` (P,) or columns (P, m)."""
        return self._base.lift(self.inside(g))

    def drop(self, gamma: Array) -> Array:
        """Its transpose: N is symmetric."""
        return self.inside(self._base.drop(gamma))

    def inside(self, g: Array) -> Array:
        """N g."""
        return g - self.A @ (self.A.T @ g)

    def fitted(self, g: Array, out: Array | None = None) -> Array:
        """Q N g, (n, K); without the origin, whose fitted values belong to Y."""
        return self.free.fitted(self.lift(g), out)

    def left(self, M: Array, g: Array, out: Array | None = None) -> Array:
        """M less Q N g, (n, K)."""
        return self.free.left(M, self.lift(g), out)

    def project(self, M: Array) -> Array:
        """N Q' vec(M), (P,)."""
        return self.drop(self.free.project(M))

    def least_squares(self, M: Array) -> tuple[Array, Array]:
        """See `Linear.least_squares`: one after the other."""
        g = self.project(M)
        return g, self.left(M, g)

    def diagonal(self, own: Array) -> Array:
        """That of H without N, which conditions no worse."""
        return self._base.diagonal(own)

    def largest_norm(self, v: Array) -> float:
        """As `Linear.largest_norm`."""
        return self._base.largest_norm(v)

    def normal(self, cov: RowCovariance, n_obs: int, ridge: Ridge | None = None) -> NormalEquations:
        """N H N."""
        return NormalEquations(self, cov, n_obs, ridge)

    def variance(self, of_free: Callable[[PerEquation], Bread]) -> RestrictedVariance:
        """V - V R'(R V R')^-1 R V."""
        return RestrictedVariance(self._base.variance(of_free), self.R)

    def carried(self, g: Array, c: Array, other: Linear) -> Array:
        """As `Linear.carried`; ``other`` obeys the same restrictions, in other units."""
        free = other.lift(g) if other.origin is None else other.origin + other.lift(g)
        return self.drop(free * self.free.expand(c) - self.origin)

    def to_beta(self, g: Array) -> list[Array]:
        """Coefficients, which obey the restrictions."""
        return self._base.to_beta(self._point + self.inside(g))

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The g of coefficients; what disobeys is dropped."""
        return self.inside(self._base.from_beta(beta) - self._point)

    def to_params(self, g: Array) -> Array:
        """The parameters, which obey the restrictions, (P,)."""
        return self._base.to_params(self._point + self.inside(g))

    def on_flat(self, R: Array) -> Array:
        """As `Linear.on_flat`."""
        return self.inside(self._base.on_flat(R))

    def columns(self, j: int) -> Columns:
        """Where beta_j sits in `to_params`."""
        return self._base.columns(j)


def _check_rows(columns: Array, q: Array) -> None:
    """Pivoted QR of the restrictions; what follows from the others must ask for the same."""
    _, triangle, order = scipy.linalg.qr(columns, mode="economic", pivoting=True)
    size = np.abs(np.diagonal(triangle))
    full = np.zeros(columns.shape[1], dtype=bool)
    full[: len(size)] = size > 1e-10 * max(size[0], 1e-300)
    if full.all() and size[0] > 0.0:
        return
    k = int(full.sum()) if size[0] > 0.0 else 0
    weights = np.linalg.lstsq(columns[:, order[:k]], columns[:, order[k:]], rcond=None)[0]
    gap = np.abs(q[order[k:]] - weights.T @ q[order[:k]])
    wrong = gap > 1e-8 * (1.0 + np.abs(q).max())
    rows = order[k:][wrong] if wrong.any() else order[k:]
    raise InconsistentRestrictionsError(tuple(sorted(int(i) for i in rows)), bool(wrong.any()))


class RestrictedVariance:
    """V - V R'(R V R')^-1 R V of restricted coefficients, formed only as far as asked.

    Parameters
    ----------
    bread : Bread
        V, of the free coefficients.
    R : ndarray, shape (m, P)
    """

    def __init__(self, bread: Bread, R: Array) -> None:
        self.bread, self.R = bread, R

    @property
    def design(self) -> PerEquation:
        """That of the free coefficients."""
        return self.bread.design

    @property
    def normal(self) -> Normal:
        """H of the free coefficients."""
        return self.bread.normal

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.bread.shape

    def columns(self, j: int) -> Columns:
        """Where beta_j sits."""
        return self.bread.columns(j)

    def stretched(self, stretch: Callable[[int], Array]) -> RestrictedVariance:
        """As if the free coefficients had the covariance A V A'."""
        return RestrictedVariance(self.bread.stretched(stretch), self.R)

    def directions(self, to_beta: Array) -> Array:
        """Orthonormal basis (P_free, P - m) of the allowed g with R theta = 0."""
        left = self.bread.directions(to_beta)
        values, theta = to_beta @ left, np.empty((self.shape[0], left.shape[1]))
        for j, stop in enumerate(np.cumsum(self.design.p)):
            theta[self.columns(j)] = values[stop - self.design.p[j] : stop]
        full, _ = np.linalg.qr((self.R @ theta).T, mode="complete")
        return np.asarray(left @ full[:, len(self.R) :])

    def ridge_rows(self) -> None:
        """None: restrictions go without a ridge."""

    def distance(self, beta: Sequence[Array], spared: Sequence[Array | None]) -> None:
        """Not at hand: V is singular."""

    @property
    def tied(self) -> Array:
        """Equations with a coefficient in some restriction, (K,) of bool."""
        used = np.atleast_1d(self.R.any(axis=0))
        obey = [bool(used[self.columns(j)].any()) for j in range(self.design.K)]
        return np.asarray(self.bread.tied | np.array(obey))

    @cached_property
    def _half(self) -> Array:
        """V R' L^-T with L L' = R V R', (P, m)."""
        VR = self.bread.times(self.R)
        factor = np.linalg.cholesky(self.R @ VR)
        return scipy.linalg.solve_triangular(factor, VR.T, lower=True).T

    def times(self, R: Array) -> Array:
        """The covariance times R', (P, m)."""
        return self.bread.times(R) - self._half @ (self._half.T @ R.T)

    def solve_combinations(self, R: Array) -> Array:
        """As `Bread.solve_combinations`."""
        VR = self.bread.times(self.R)
        weights = np.linalg.solve(self.R @ VR, VR.T @ R.T)
        return self.bread.solve_combinations(R) - self.bread.solve_combinations(self.R) @ weights

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """Covariance of the combinations R beta (m, P) with ``other`` (default R)."""
        second = R if other is None else other
        return self.bread.combinations(R, other) - (R @ self._half) @ (second @ self._half).T

    def selector(self, j: int) -> Array:
        """The rows (p_j, P) that pick beta_j."""
        return self.bread.selector(j)

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        half = self._half[self.columns(j)]
        return self.bread.block(j) - half @ half.T

    def variances(self) -> Array:
        """Diagonal, (P,); exactly fixed coefficients have 0."""
        plain = self.bread.variances()
        left = plain - np.einsum("pm,pm->p", self._half, self._half)
        return np.where(left > 1e-12 * plain, left, 0.0)

    def dense(self) -> Array:
        """The whole covariance, (P, P)."""
        return self.bread.dense() - self._half @ self._half.T

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()
