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

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.per_equation import Design, Stacked
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError, SystemInputError

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


class RestrictedDesign(Design):
    """A `Design` whose coefficients obey R beta = q; flat vectors keep length P.

    Parameters
    ----------
    design : Design
    R : ndarray, shape (m, P)
        On beta, ordered by equation, then column.
    q : ndarray, shape (m,)

    Raises
    ------
    InconsistentRestrictionsError
        When rows of R are linearly dependent.
    """

    def __init__(self, design: Design, R: Array, q: Array) -> None:
        self.full, self.R, self.q = design, R, q
        self.n, self.K, self.P, self.p = design.n, design.K, design.P, design.p
        stop = np.cumsum(design.p)
        on_gamma = np.empty((design.P, len(R)))
        for j in range(design.K):
            at = slice(stop[j] - design.p[j], stop[j])
            on_gamma[design.equation_slice(j)] = design.beta_map(j).T @ R[:, at].T
        length = np.sqrt(np.einsum("pm,pm->m", on_gamma, on_gamma))
        length[length == 0.0] = 1.0
        _check_rows(on_gamma / length, q / length)
        self.A, triangle = np.linalg.qr(on_gamma)
        self.origin = self.A @ scipy.linalg.solve_triangular(triangle, q, trans="T")

    restricted = True

    @property
    def shared(self) -> bool:
        """Restrictions make GLS differ from OLS even where all designs are equal."""
        return False

    def inside(self, g: Array) -> Array:
        """N g, for flat ``g`` (P,) or columns (P, m)."""
        return g - self.A @ (self.A.T @ g)

    def fitted(self, g: Array) -> Array:
        """Q N g, (n, K); without the origin, whose fitted values belong to Y."""
        return self.full.fitted(self.inside(g))

    def project(self, M: Array) -> Array:
        """N Q' vec(M), (P,)."""
        return self.inside(self.full.project(M))

    def carried(self, g: Array, c: Array, other: Design) -> Array:
        """As `Design.carried`; ``other`` obeys the same restrictions, in other units."""
        free = other.origin + other.inside(g)  # type: ignore[attr-defined]
        return self.inside(free * self.full.expand(c) - self.origin)

    def tiles(self, size: int) -> Iterator[tuple[Array, Array, slice]]:
        """As `Design.tiles`, of the design without N."""
        return self.full.tiles(size)

    def largest_norm(self, v: Array) -> float:
        """As `Design.largest_norm`."""
        return self.full.largest_norm(v)

    def expand(self, v: Array) -> Array:
        """As `Design.expand`."""
        return self.full.expand(v)

    def to_beta(self, g: Array) -> list[Array]:
        """Coefficients, which obey the restrictions."""
        return self.full.to_beta(self.origin + self.inside(g))

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The g of coefficients; what disobeys is dropped."""
        return self.inside(self.full.from_beta(beta) - self.origin)

    def basis(self, j: int) -> Array:
        """As `Design.basis`."""
        return self.full.basis(j)

    def beta_map(self, j: int) -> Array:
        """As `Design.beta_map`."""
        return self.full.beta_map(j)

    @property
    def stacked(self) -> Stacked:
        """As `Design.stacked`, of the design without N."""
        return self.full.stacked

    def equation_slice(self, j: int) -> slice:
        """As `Design.equation_slice`."""
        return self.full.equation_slice(j)


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


class RestrictedProblem(Problem):
    """A `Problem` whose coefficients obey R beta = q.

    Parameters
    ----------
    blocks, Y, options
        As `Problem`; lam_B must be 0.
    R, q : ndarray, shapes (m, P), (m,)
    """

    design: RestrictedDesign

    def __init__(
        self, blocks: Sequence[Array], Y: Array, options: ALSOptions, R: Array, q: Array
    ) -> None:
        self.R, self.q = R, q
        super().__init__(blocks, Y, options)

    @classmethod
    def from_rows(  # type: ignore[override]
        cls, rows: Rows, options: ALSOptions, R: Array, q: Array
    ) -> RestrictedProblem:
        """As `Problem.from_rows`."""
        problem = cls.__new__(cls)
        problem.R, problem.q = R, q
        problem._open(rows, options)
        return problem

    def _open(self, rows: Rows, options: ALSOptions) -> None:
        if options.lam_B > 0.0:
            raise OptionError("lam_B > 0 cannot be combined with restrictions on coefficients")
        super()._open(rows, options)

    def _set(self, design: Design, Y: Array) -> None:
        restricted = RestrictedDesign(design, self.R, self.q)
        super()._set(restricted, Y - design.fitted(restricted.origin))

    @property
    def free_design(self) -> Design:
        """The design without restrictions."""
        return self.design.full

    def _set_scaled(self, c: Array) -> None:
        # R beta = q of beta_j = c_j (that of Y_j / c_j).
        full, Y = self.design.full, self.Y + self.design.full.fitted(self.design.origin)
        self.R = self.R * np.repeat(c, full.p)
        self._set(full, (Y.T / c[:, None]).T)

    def covariance(self, cov: LowRankDiag) -> RestrictedCovariance:
        """Covariance of the restricted coefficients."""
        plain = CoefficientCovariance(self.design.full, cov, self.n_obs)
        return RestrictedCovariance(plain, self.R)


class RestrictedCovariance(CoefficientCovariance):
    """V - V R'(R V R')^-1 R V of restricted coefficients, formed only as far as asked."""

    def __init__(self, bread: CoefficientCovariance, R: Array) -> None:
        self.bread, self.R = bread, R
        self.design, self.cov = bread.design, bread.cov

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.bread.shape

    def stretched(self, stretch: Callable[[int], Array]) -> RestrictedCovariance:
        """As if the free coefficients had the covariance A V A'."""
        return RestrictedCovariance(self.bread.stretched(stretch), self.R)

    def free_directions(self, to_beta: Array) -> Array:
        """As `CoefficientCovariance.free_directions`."""
        full, _ = np.linalg.qr((self.R @ to_beta).T, mode="complete")
        return full[:, len(self.R) :]

    def ridge_rows(self) -> None:
        """None: restrictions go without a ridge."""

    @property
    def tied(self) -> Array:
        """Equations with a coefficient in some restriction, (K,) of bool."""
        used = self.R.any(axis=0)
        return np.array([part.any() for part in np.split(used, np.cumsum(self.design.p)[:-1])])

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
        """As `CoefficientCovariance.solve_combinations`, in gamma."""
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
        half = self.selector(j) @ self._half
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
