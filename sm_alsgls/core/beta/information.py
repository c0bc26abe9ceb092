"""Covariance of the GLS coefficients, H^-1, exactly and by the cheapest route.

Three routes to the same numbers, chosen by predicted flops among those that fit in memory:

    dense   triangular factor of H and its inverse: (2/3 P + n) P^2 flops, P^2 numbers
    dual    an n r x n r system that does not grow with P, where Sigma has factors
    cg      conjugate gradients for the columns that were asked for

and where all designs are equal, or errors uncorrelated, a closed form. What H is made of, and so
what each route costs, is told by a `Kernel`: rows that have one Sigma (`WholeRows`), or rows of
which only some cells are seen (`sm_alsgls.core.beta.seen_rows`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.beta.kernel import Dual, Kernel
from sm_alsgls.core.beta.whole_rows import WholeRows
from sm_alsgls.core.design.base import Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import ShapeError
from sm_alsgls.progress import counted

Array = np.ndarray

# Up to here H^-1 is cheaper than a few dozen solves with H.
_SMALL = 2_000
# Residual of conjugate gradients, relative: of a few columns, and of as many as there are rows.
_CG_TOL, _CG_TOL_MANY = 1e-12, 1e-10
# More columns than this are many.
_MANY = 20


class CoefficientCovariance:
    """V = H^-1 of the coefficients beta, equation by equation, formed only as far as asked.

    Parameters
    ----------
    design : PerEquation
    cov : Covariance
        Of the errors; pass ``cov.scaled(c)`` for a degrees-of-freedom correction.
    n_obs : int
        Observations behind the rows; used by the ridge only.
    ridge : Ridge, optional
    kernel : Kernel, optional
        What H is made of. Default: ``cov`` for all rows.

    Notes
    -----
    beta is ordered by equation, then column: P = sum_j p_j.
    """

    def __init__(
        self,
        design: PerEquation,
        cov: Covariance,
        n_obs: int,
        ridge: Ridge | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        self.design, self.cov = design, cov
        self._kernel = WholeRows(design, cov, n_obs, ridge) if kernel is None else kernel
        self._n_obs, self._ridge = n_obs, ridge

    # What `stretched` puts between gamma and beta.
    _stretch: Callable[[int], Array] | None = None

    @property
    def normal(self) -> Normal:
        """H as an operator."""
        return self._kernel.normal

    def stretched(self, stretch: Callable[[int], Array]) -> Self:
        """A V A' with A of blocks ``stretch(j)`` (p_j, p_j) in gamma_j = R_j beta_j."""
        again = copy.copy(self)
        again._stretch = stretch
        return again

    def directions(self, to_beta: Array) -> Array:
        """Orthonormal basis (P, m) of the g that are allowed, beta = to_beta g: here all."""
        return np.eye(len(to_beta))

    def ridge_rows(self) -> Array | None:
        """Rows (P, P) whose cross-products the ridge adds to H, equation by equation in gamma."""
        if self._ridge is None:
            return None
        rows = np.zeros(self.shape)
        for A, where in zip(self._ridge.blocks, self._ridge.slices, strict=True):
            p = A.shape[1]
            for i in range(len(A)):
                at = slice(where.start + i * p, where.start + (i + 1) * p)
                values, vectors = np.linalg.eigh(self._n_obs * A[i])
                rows[at, at] = (vectors * np.sqrt(np.maximum(values, 0.0))).T
        slices = [self.design.equation_slice(j) for j in range(self.design.K)]
        order = np.concatenate([np.arange(at.start, at.stop) for at in slices])
        return rows[:, order]

    def _map(self, j: int) -> Array:
        """From gamma_j to beta_j, (p_j, p_j)."""
        to_beta = self.design.beta_map(j)
        return to_beta if self._stretch is None else to_beta @ self._stretch(j)

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.design.P, self.design.P

    @property
    def tied(self) -> Array:
        """Whether restrictions change what an equation's coefficients may be, (K,) of bool."""
        return np.zeros(self.design.K, dtype=bool)

    def columns(self, j: int) -> slice:
        """Where beta_j sits."""
        return self.design.columns(j)

    @cached_property
    def route(self) -> str:
        """The route that `block` and `variances` take for all equations: dense, dual or cg."""
        costs = self._kernel.costs()
        if self._ridge is not None:
            costs["dual"] = np.inf
        return min(costs, key=costs.__getitem__)

    @cached_property
    def _dense_root(self) -> Array:
        """R with H^-1 = R'R in gamma, (P, P) lower triangular."""
        H = self._kernel.matrix()
        if self._ridge is not None:
            for A, where in zip(self._ridge.blocks, self._ridge.slices, strict=True):
                p = A.shape[1]
                for i in range(len(A)):
                    at = slice(where.start + i * p, where.start + (i + 1) * p)
                    H[at, at] += self._n_obs * A[i]
        scale = 1.0 / np.sqrt(self.normal.diagonal)
        H *= scale[:, None]
        H *= scale
        factor = scipy.linalg.cholesky(H, lower=True, overwrite_a=True, check_finite=False)
        # info is not needed: a Cholesky factor has no zero on its diagonal.
        root: Array = scipy.linalg.lapack.dtrtri(factor, lower=1, overwrite_c=1)[0]
        root *= scale
        return root

    @cached_property
    def _dual(self) -> Dual:
        return self._kernel.dual()

    def _gamma_block(self, j: int, all_of_them: bool) -> Array:
        """(H^-1)_jj by the chosen route; by conjugate gradients where the others are not asked."""
        at = self.design.equation_slice(j)
        if self._closed_form:
            return self._kernel.inverse_block(j)
        if "_dense_root" in self.__dict__ or (self.route == "dense" and all_of_them):
            # Rows above the block are zero there.
            columns = self._dense_root[at.start :, at]
            return columns.T @ columns
        if self.route == "dual" and (all_of_them or "_dual" in self.__dict__):
            return self._dual.block(j)
        unit = np.zeros((self.design.P, at.stop - at.start))
        unit[np.arange(at.start, at.stop), np.arange(at.stop - at.start)] = 1.0
        return self._solve_gamma(unit)[at]

    def _solve_gamma(self, B: Array) -> Array:
        """H^-1 B for a few columns B (P, m)."""
        P, m = B.shape
        if self._closed_form:
            return self._kernel.inverse_times(B)
        found = self._dual.solve(B) if "_dual" in self.__dict__ else None
        if found is not None:
            return found
        # Of a small system one factorisation costs less than a CG solve for each column.
        if "_dense_root" in self.__dict__ or (m > self._kernel.few and P <= _SMALL):
            return self._dense_root.T @ (self._dense_root @ B)
        return self._kernel.iterate(B, _CG_TOL_MANY if m > _MANY else _CG_TOL, 10 * P)

    @property
    def _closed_form(self) -> bool:
        """H is diagonal, or Sigma^-1 x I."""
        return self._ridge is None and self._kernel.closed

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j); of a large system without the other equations'."""
        return self._block(j, self.design.P <= _SMALL)

    def _block(self, j: int, all_of_them: bool) -> Array:
        M = self._map(j)
        return M @ self._gamma_block(j, all_of_them) @ M.T

    def variances(self) -> Array:
        """Diagonal of V, (P,), without the rest of it."""
        found: list[Array] = [np.empty(0)] * self.design.K
        if self.route == "dual" and not self._closed_form:
            for equations, blocks in self._dual.blocks():
                for j, block in zip(equations, blocks, strict=True):
                    M = self._map(j)
                    found[j] = np.einsum("ab,bc,ac->a", M, block, M)
        else:
            for j in counted(range(self.design.K), "standard errors", unit="eq"):
                found[j] = np.diagonal(self._block(j, True))
        return np.concatenate(found)

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other' for rows R (m, P) of linear combinations; ``other`` defaults to R."""
        left = self._to_gamma(R)
        right = left if other is None else self._to_gamma(other)
        return left.T @ self._solve_gamma(right)

    def solve_combinations(self, R: Array) -> Array:
        """H^-1 in gamma times the combinations R beta, as columns (P, m)."""
        return self._solve_gamma(self._to_gamma(R))

    def times(self, R: Array) -> Array:
        """V R' for rows R (m, P), in beta: (P, m)."""
        gamma = self.solve_combinations(R)
        out = np.empty_like(gamma)
        for j in range(self.design.K):
            out[self.columns(j)] = self._map(j) @ gamma[self.design.equation_slice(j)]
        return out

    def selector(self, j: int) -> Array:
        """The rows (p_j, P) that pick beta_j."""
        at = self.columns(j)
        rows = np.zeros((at.stop - at.start, self.design.P))
        rows[np.arange(at.stop - at.start), np.arange(at.start, at.stop)] = 1.0
        return rows

    def distance(self, beta: Sequence[Array], spared: Sequence[Array | None]) -> float:
        """min over c of x'V^-1 x, x = beta less c_j times ``spared[j]`` in each equation j.

        Of the size of the coefficients only: a product with H for every step of conjugate
        gradients in c.
        """
        point, free = np.empty(self.design.P), np.zeros(self.design.P)
        owner = np.empty(self.design.P, dtype=np.intp)
        for j, (b, a) in enumerate(zip(beta, spared, strict=True)):
            at = self.design.equation_slice(j)
            point[at], owner[at] = np.linalg.solve(self._map(j), b), j
            if a is not None:
                u = np.linalg.solve(self._map(j), a)
                free[at] = u / np.linalg.norm(u)
        K, diagonal = self.design.K, self.normal.diagonal

        def shares(g: Array) -> Array:
            return np.bincount(owner, weights=free * g, minlength=K)

        pull = shares(self.normal.apply(point))
        preconditioner = np.bincount(owner, weights=free * free * diagonal, minlength=K)
        preconditioner[preconditioner == 0.0] = 1.0
        tol = 1e-11 * float(np.sqrt(np.sum(pull * pull / preconditioner)))
        c = conjugate_gradients(
            lambda v: shares(self.normal.apply(free * v[owner])),
            pull,
            preconditioner,
            tol=tol,
            max_iter=10 * K,
        ).x
        point -= free * c[owner]
        return float(point @ self.normal.apply(point))

    def dense(self) -> Array:
        """V, (P, P)."""
        half = self._dense_root @ self._to_gamma(np.eye(self.design.P))
        return half.T @ half

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self.dense()

    def _to_gamma(self, R: Array) -> Array:
        """The combinations R beta as columns on gamma, (P, m)."""
        if R.shape[1] != self.design.P:
            raise ShapeError(
                f"combinations of coefficients need {self.design.P} columns, got {R.shape[1]}"
            )
        out = np.empty((self.design.P, len(R)))
        for j in range(self.design.K):
            out[self.design.equation_slice(j)] = self._map(j).T @ R[:, self.columns(j)].T
        return out
