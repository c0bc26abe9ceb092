"""The K design blocks: orthonormal bases, fitted values, projections.

Arrays of residuals and fitted values are (n, K), one column an equation. They are kept as the
transposed view of a C-contiguous (K, n) array, because every kernel walks along an equation:
``M.T`` is then free, and BLAS sees contiguous memory in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.base import Bread, Linear, Stacked
from sm_alsgls.core.design.bases import bases
from sm_alsgls.core.design.beside import common_directions
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.design.stacks import SharedStack, Stack
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.base import RowCovariance
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray


class Design:
    """Bases Q_j of the K design blocks, X_j = Q_j R_j, and the products the beta-step needs.

    Coefficients live in ``gamma_j = R_j beta_j``, one flat vector of length P ordered by number
    of regressors, then equation; `to_beta` and `from_beta` translate. In gamma the normal matrix
    of GLS has the blocks ``(Sigma^-1)_jl Q_j' Q_l``, so its diagonal blocks are multiples of
    the identity and badly scaled columns cost nothing.

    Parameters
    ----------
    blocks : sequence of ndarray
        K arrays (n, p_j), finite, p_j >= 1. Never changed.

    Attributes
    ----------
    n, K, P : int
        Rows, equations, coefficients.
    p : ndarray of int, shape (K,)
        Regressors per equation.

    Raises
    ------
    DependentColumnsError
        When a block has not full column rank. Columns are scaled first, so scale alone never
        causes it; the tolerance is 10 max(n, p_j) machine epsilons on the unit-column R factor.
    ShapeError
        When blocks have different numbers of rows.

    Notes
    -----
    Bases come from the Cholesky factor of each Gram matrix of unit columns, taken twice where
    the condition number asks for it and replaced by Householder QR beyond that; cost about
    4 n p^2 flops per equation.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((20, 2)), rng.standard_normal((20, 3))]
    >>> design = Design(X)
    >>> beta = [np.array([1.0, 2.0]), np.array([0.0, -1.0, 1.0])]
    >>> fitted = design.fitted(design.from_beta(beta))
    >>> np.allclose(fitted[:, 1], X[1] @ beta[1])
    True
    """

    def __init__(self, blocks: Sequence[Array]) -> None:
        n = blocks[0].shape[0]
        if any(X.shape[0] != n for X in blocks):
            raise ShapeError("every design block needs the same number of rows")

        def made(equations: Array) -> tuple[Array, Array]:
            return bases([blocks[int(j)] for j in equations], equations)

        self._open(n, np.array([X.shape[1] for X in blocks]), _all_equal(blocks), made)

    @classmethod
    def of_bases(cls, bases: Sequence[Array], n: int, equal: bool = False) -> Design:
        """The design of K orthonormal bases, rows (p_j, n), whose coefficients are gamma itself.

        ``equal`` says that all are one. An equation may have none: p_j = 0.
        """

        def made(equations: Array) -> tuple[Array, Array]:
            basis = np.stack([bases[int(j)] for j in equations])
            p = basis.shape[1]
            return basis, np.broadcast_to(np.eye(p), (len(equations), p, p))

        p = np.array([len(bases[0])] * len(bases) if equal else [len(Q) for Q in bases])
        design: Design = object.__new__(Design)
        design._open(n, p, equal, made)
        return design

    def _open(
        self, n: int, p: Array, equal: bool, made: Callable[[Array], tuple[Array, Array]]
    ) -> None:
        """Group equations by p; ``made`` returns the bases of some and their maps to beta."""
        self.n, self.K, self.p, self.P = n, len(p), p, int(p.sum())
        self._groups: list[Stack] = []
        if equal:
            basis, to_beta = made(np.array([0]))
            self._groups.append(SharedStack(np.arange(self.K), basis, to_beta, slice(0, self.P)))
        start = 0
        for width in () if equal else np.unique(p):
            equations = np.flatnonzero(p == width)
            stop = start + int(width) * len(equations)
            self._groups.append(Stack(equations, *made(equations), slice(start, stop)))
            start = stop
        self._slices: list[tuple[Stack, int]] = [None] * self.K  # type: ignore[list-item]
        for group in self._groups:
            for i, j in enumerate(group.equations):
                self._slices[j] = (group, i)

    #: ``project`` is the transpose of ``fitted``.
    symmetric = True
    #: Coefficients are free, and their equation's own.
    restricted = False
    #: Fitted values are zero where coefficients are.
    origin = None

    @property
    def free(self) -> Design:
        """Itself."""
        return self

    @property
    def shared(self) -> bool:
        """True when all K designs are equal, so that GLS is OLS."""
        return isinstance(self._groups[0], SharedStack)

    def lift(self, g: Array) -> Array:
        """``g`` itself; see `Linear`."""
        return g

    def drop(self, gamma: Array) -> Array:
        """``gamma`` itself."""
        return gamma

    def inside(self, g: Array) -> Array:
        """``g`` itself."""
        return g

    def normal(self, cov: RowCovariance, n_obs: int, ridge: Ridge | None = None) -> NormalEquations:
        """H at a covariance of the rows."""
        return NormalEquations(self, cov, n_obs, ridge)

    def variance(self, of_free: Callable[[Design], Bread]) -> Bread:
        """That of free coefficients."""
        return of_free(self)

    def fitted(self, g: Array, out: Array | None = None) -> Array:
        """Fitted values Q_j gamma_j, (n, K) Fortran-ordered, from flat ``g`` (P,).

        In the memory of ``out``, where it is given: such an array that nobody needs any more.
        """
        rows = None if out is None else out.T
        if len(self._groups) == 1:
            return self._groups[0].fitted(g, rows).T
        rows = np.empty((self.K, self.n)) if rows is None else rows
        for group in self._groups:
            rows[group.equations] = group.fitted(g, None)
        return rows.T

    def left(self, M: Array, g: Array, out: Array | None = None) -> Array:
        """M less fitted values, (n, K) Fortran-ordered; ``out`` as in `fitted`, or M itself."""
        rows = np.empty((self.K, self.n)) if out is None else out.T
        if len(self._groups) == 1:
            self._groups[0].left(M.T, g, rows)
            return rows.T
        for group in self._groups:
            part = np.empty((len(group.equations), self.n))
            group.left(M.T[group.equations], g, part)
            rows[group.equations] = part
        return rows.T

    def project(self, M: Array) -> Array:
        """The transpose of `fitted`: flat (P,) vector of Q_j' m_j for ``M`` (n, K)."""
        if len(self._groups) == 1:
            return self._groups[0].project(M.T).reshape(-1)
        out = np.empty(self.P)
        for group in self._groups:
            out[group.gamma] = group.project(M.T[group.equations]).reshape(-1)
        return out

    def least_squares(self, M: Array) -> tuple[Array, Array]:
        """Q_j'm_j, flat (P,), and M less Q_j Q_j'm_j, (n, K): both while a tile is in the cache."""
        g, rows = np.empty(self.P), np.empty((self.K, self.n))
        for group in self._groups:
            if len(self._groups) == 1:
                g[:] = group.least_squares(M.T, rows).reshape(-1)
                break
            part = np.empty((len(group.equations), self.n))
            g[group.gamma] = group.least_squares(M.T[group.equations], part).reshape(-1)
            rows[group.equations] = part
        return g, rows.T

    def expand(self, v: Array) -> Array:
        """Repeat one value an equation (K,) for each of its coefficients, (P,)."""
        if len(self._groups) == 1:
            return v.repeat(self._groups[0].p)
        return np.concatenate([np.repeat(v[g.equations], g.p) for g in self._groups])

    def diagonal(self, own: Array) -> Array:
        """That of H, from that of Sigma^-1 (K,), as Q_j'Q_j = I."""
        return self.expand(own)

    def carried(self, g: Array, c: Array, other: Linear) -> Array:
        """The gamma of c_j beta_j, for ``g`` of coefficients beta_j in an ``other`` such design."""
        return g * self.expand(c)

    def largest_norm(self, v: Array) -> float:
        """Largest Euclidean norm of an equation's part of ``v`` (P,): no basis changes it."""
        parts = (np.square(group.coefficients(v)) for group in self._groups)
        return float(max(np.maximum.reduce(np.add.reduce(part, 1)) for part in parts)) ** 0.5

    def to_beta(self, g: Array) -> list[Array]:
        """Coefficients beta_j of the columns of X_j, in the order of the equations."""
        out: list[Array] = [None] * self.K  # type: ignore[list-item]
        for group in self._groups:
            beta = np.matmul(group.to_beta, group.coefficients(g)[:, :, None])[:, :, 0]
            for i, j in enumerate(group.equations):
                out[j] = beta[i]
        return out

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The flat gamma (P,) of coefficients given equation by equation."""
        out = np.empty(self.P)
        for group in self._groups:
            stacked = np.stack([np.asarray(beta[j], dtype=float) for j in group.equations])
            to_beta = np.broadcast_to(group.to_beta, (len(stacked), group.p, group.p))
            out[group.gamma] = np.linalg.solve(to_beta, stacked[:, :, None]).reshape(-1)
        return out

    def to_params(self, g: Array) -> Array:
        """Coefficients, equation after equation, (P,)."""
        return np.concatenate(self.to_beta(g))

    @cached_property
    def _stop(self) -> Array:
        return np.cumsum(self.p)

    def columns(self, j: int) -> slice:
        """Where beta_j sits in `to_params`."""
        stop = int(self._stop[j])
        return slice(stop - int(self.p[j]), stop)

    def tiles(self, size: int) -> Iterator[tuple[Array, Array, slice]]:
        """Up to ``size`` equations at a time: their numbers, Q_j' (m, p, n), place in gamma."""
        for group in self._groups:
            for i in range(0, len(group.equations), size):
                equations = group.equations[i : i + size]
                start = group.gamma.start + i * group.p
                at = slice(start, start + group.p * len(equations))
                yield equations, group.blocks(i, i + len(equations)), at

    @cached_property
    def stacked(self) -> Stacked:
        """All bases as one array; cost O(n P^2), once."""
        owner, Qt = np.empty(self.P, dtype=np.intp), np.empty((self.P, self.n))
        for equations, basis, at in self.tiles(self.K):
            owner[at] = equations.repeat(basis.shape[1])
            Qt[at] = basis.reshape(-1, self.n)
        return Stacked(owner, Qt, Qt @ Qt.T)

    @cached_property
    def in_all(self) -> Array:
        """Orthonormal directions (n, m) that all equations contain, looked for once."""
        return common_directions(self)

    def equation_slice(self, j: int) -> slice:
        """Where gamma_j sits in the flat vector."""
        group, i = self._slices[j]
        start = group.gamma.start + i * group.p
        return slice(start, start + group.p)

    def basis(self, j: int) -> Array:
        """Q_j as (n, p_j)."""
        group, i = self._slices[j]
        return group.block(i).T

    def beta_map(self, j: int) -> Array:
        """R_j^-1, (p_j, p_j): beta_j = R_j^-1 gamma_j."""
        group, i = self._slices[j]
        return np.asarray(group.to_beta[0 if isinstance(group, SharedStack) else i])

    def on_flat(self, R: Array) -> Array:
        """Combinations R beta, rows (m, P), as columns on gamma, (P, m)."""
        out = np.empty((self.P, len(R)))
        for group in self._groups:
            at = self._stop[group.equations, None] + np.arange(-group.p, 0)
            part = np.matmul(group.to_beta.transpose(0, 2, 1), R.T[at])
            out[group.gamma] = part.reshape(len(at) * group.p, len(R))
        return out

    def leading(self, columns: Sequence[Array]) -> Design:
        """The design of some columns of each block, that the first directions of its basis span.

        Nothing is orthonormalised again. An equation may have none: p_j = 0.
        """

        def made(equations: Array) -> tuple[Array, Array]:
            width = len(columns[int(equations[0])])
            basis = np.empty((len(equations), width, self.n))
            to_beta = np.empty((len(equations), width, width))
            for i, j in enumerate(map(int, equations)):
                basis[i] = self.basis(j)[:, :width].T
                to_beta[i] = self.beta_map(j)[columns[j], :width]
            return basis, to_beta

        p = np.array([len(at) for at in columns])
        return self._with_bases(p, self.shared and _alike(columns), made)

    def turned(self, order: Sequence[Array]) -> Design:
        """The same design with bases of which the first directions span the first in an order.

        With R_j, columns in that order, = O T, the basis is Q_j O; cost n p_j^2 an equation.
        """

        def made(equations: Array) -> tuple[Array, Array]:
            basis = np.empty((len(equations), int(self.p[equations[0]]), self.n))
            to_beta = np.empty((len(equations), *basis.shape[1:2] * 2))
            for i, j in enumerate(map(int, equations)):
                found = self.beta_map(j)
                # Rows of a map are as small as columns are large.
                size = np.abs(found).max(axis=1)
                R = np.linalg.inv(found / size[:, None]) / size
                turn = np.linalg.qr(R[:, order[j]])[0]
                basis[i] = (self.basis(j) @ turn).T
                to_beta[i] = found @ turn
            return basis, to_beta

        return self._with_bases(self.p, self.shared and _alike(order), made)

    def stretched(self, stretch: Callable[[int], Array]) -> Design:
        """The design of blocks Q_j A_j^-1 R_j, A_j = ``stretch(j)`` (p_j, p_j)."""

        def made(equations: Array) -> tuple[Array, Array]:
            basis = np.stack([self.basis(int(j)).T for j in equations])
            to_beta = np.stack([self.beta_map(int(j)) @ stretch(int(j)) for j in equations])
            return basis, to_beta

        return self._with_bases(self.p, False, made)

    def _with_bases(
        self, p: Array, equal: bool, made: Callable[[Array], tuple[Array, Array]]
    ) -> Design:
        # Not of the class of this one: what was made of bases has these and no more.
        design: Design = object.__new__(Design)
        design._open(self.n, p, equal, made)
        return design

    def cross_block(self, j: int, el: int) -> Array:
        """Q_j' Q_l, (p_j, p_l)."""
        return self.basis(j).T @ self.basis(el)

    def ridge(self, weights: Sequence[Array]) -> Ridge:
        """The quadratic form sum_j beta_j' diag(weights_j) beta_j / 2, as an operator on gamma."""
        maps, slices = [], []
        for group in self._groups:
            w = np.stack([weights[j] for j in group.equations])
            to_beta = np.broadcast_to(group.to_beta, (len(w), group.p, group.p))
            maps.append(np.matmul(to_beta.transpose(0, 2, 1) * w[:, None, :], to_beta))
            slices.append(group.gamma)
        return Ridge(tuple(maps), tuple(slices), self.P)


def of_rows(rows: Rows) -> Design:
    """The design of the regressors that some rows have."""
    return Design(rows.seen_blocks)


def _alike(positions: Sequence[Array]) -> bool:
    return all(np.array_equal(at, positions[0]) for at in positions)


def _all_equal(blocks: Sequence[Array]) -> bool:
    first = blocks[0]
    return all(
        X is first
        or (X.shape == first.shape and X[0, -1] == first[0, -1] and np.array_equal(X, first))
        for X in blocks
    )
