"""The normal matrix of GLS, as an operator on the coordinates of a design.

In gamma_j = R_j beta_j the normal equations of GLS are H gamma = Q' vec(Y Sigma^-1) with

    H_jl = (Sigma^-1)_jl Q_j' Q_l,        H_jj = (Sigma^-1)_jj I,

so the diagonal of H is its block diagonal and Jacobi preconditioning is exact block-Jacobi. The
covariance is asked for ``solve`` and ``precision_diag`` only, the design for ``fitted`` and
``project``: no K x K and no P x P array exists. A system that leaves the cache is walked through
in tiles of equations, twice: fitted values are read by the covariance, then what the factors take
off them is projected back. With Q_j'Q_j = I,

    (H b)_j = scale_j b_j - Q_j' taken_j,        Sigma^-1 = diag(scale) - (taken),

so that no (n, K) array exists either; 1.5 times faster at K = 1,000 and 10,000. A system of few
coefficients is the other end: every product costs its call, so H is formed once per Sigma.
A design that stands on a free one brings g to gamma before, and back after.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.bases import fitted_values
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.arrays import run
from sm_alsgls.covariance.base import Pieces, RowCovariance
from sm_alsgls.exceptions import NotApplicableError

Array = np.ndarray

# Elements of an (n, K) array from which tiles are faster than whole arrays, and bytes of a tile,
# which stays in the second-level cache beside its bases.
_LARGE, _TILE_BYTES = 200_000, 2**19
# Coefficients up to which H is formed: at 120 that costs two products with the bases.
SMALL = 120


class NormalEquations:
    """H = Q' (Sigma^-1 x I) Q + N A as an operator, with its diagonal.

    ``ridge`` (A) is per observation, in the units that `PerEquation.ridge` makes. A covariance
    that has no pieces is asked for ``solve`` at every size.
    """

    def __init__(
        self, design: Linear, cov: RowCovariance, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self.design, self.cov, self._n_obs, self._ridge = design, cov, n_obs, ridge
        self._free = design.free
        if not self._free.symmetric:
            raise NotApplicableError(
                "GLS of a likelihood has no meaning with instruments, whose normal matrix is not "
                "symmetric; LowRank3SLS solves what has"
            )
        # Of a small system what a call costs is what a product costs.
        self._plain = self._free is design
        large = design.n * design.K > _LARGE
        self._in_pieces = large and cov.piecewise(0) is not None
        small = self._free.P <= SMALL and not large
        self._precision = cov.precision if small else None
        own = cov.precision_diag() if self._precision is None else self._precision.diagonal()
        self.diagonal = design.diagonal(own)
        if ridge is not None:
            self.diagonal = self.diagonal + n_obs * ridge.diagonal()

    def apply(self, g: Array) -> Array:
        """H g for flat ``g`` (P,)."""
        if self._in_pieces:
            return self.apply_many(g[:, None])[:, 0]
        if self._precision is not None:
            if self._plain:
                out = self._matrix @ g
            else:
                out = self.design.drop(self._matrix @ self.design.lift(g))
        else:
            out = self.design.project(self.cov.solve(self.design.fitted(g)))
        if self._ridge is not None:
            out += self.penalty(g)
        return out

    @cached_property
    def _matrix(self) -> Array:
        """H of the free design, without the ridge, (P, P)."""
        precision = self.cov.precision
        if precision is None:
            raise TypeError("H is formed of rows that have one precision matrix")
        return self._free.stacked.spread(precision)

    def apply_many(self, B: Array) -> Array:
        """H B for columns B (P, m), m small."""
        m, n, g = B.shape[1], self.design.n, B
        B = self.design.lift(B)
        solver = self.cov.piecewise(n * m)
        if solver is None:
            return np.stack([self.apply(b) for b in g.T], axis=1)
        size, tile = self._tile(m)
        for equations, basis, at in self._free.tiles(size):
            b = B[at].reshape(len(equations), -1, m)
            fitted = tile[: len(equations)]
            if m == 1:
                fitted_values(basis, b[:, :, 0], fitted)
            else:
                np.matmul(basis.transpose(0, 2, 1), b, out=fitted.reshape(-1, n, m))
            solver.read(equations, fitted)
        out = self.design.drop(self._scaled_less_taken(solver, B, size, tile))
        if self._ridge is not None:
            for i in range(m):
                out[:, i] += self.penalty(g[:, i])
        return out

    def _tile(self, m: int) -> tuple[int, Array]:
        """Equations of a tile, and memory for n rows of m numbers of each of them."""
        size = max(1, _TILE_BYTES // (8 * self.design.n * m))
        return size, np.empty((min(size, self.design.K), self.design.n * m))

    def _scaled_less_taken(self, solver: Pieces, B: Array, size: int, tile: Array) -> Array:
        """scale_j B_j - Q_j' taken_j for columns B (P, m), of what the solver has read."""
        m, n, out = B.shape[1], self.design.n, np.empty_like(B)
        for equations, basis, at in self._free.tiles(size):
            taken = solver.taken(equations, tile[: len(equations)]).reshape(-1, n, m)
            product = solver.scale(equations)[:, None, None] * B[at].reshape(len(taken), -1, m)
            product -= np.matmul(basis, taken)
            out[at] = product.reshape(-1, m)
        return out

    def score(
        self, E: Array, g: Array, own: Array | None = None, scores: Array | None = None
    ) -> Array:
        """Score of the (penalised) log-likelihood in gamma at residuals ``E`` (n, K).

        ``own`` (P,) are Q_j'e_j, of a design that is free, which saves a product with the bases;
        ``scores`` are F'D^-1 E' (r, n) where a Sigma-step has left them, which saves one with E.
        """
        out = self.projected_solve(E, own, scores)
        if self._ridge is not None:
            out -= self.penalty(g)
        return out

    def projected_solve(
        self, E: Array, own: Array | None = None, scores: Array | None = None
    ) -> Array:
        """Q_j' (E Sigma^-1)_j, flat (P,), for E (n, K); ``own`` and ``scores`` as in `score`."""
        if self._precision is not None:
            return self.design.project(E @ self._precision)
        if not self._in_pieces:
            return self.design.project(self.cov.solve(E))
        solver = self.cov.piecewise(self.design.n)
        if own is not None and solver is not None:
            if scores is None or not solver.know(scores):
                solver.read(np.arange(self.design.K), E.T)
            return self.design.drop(
                self._scaled_less_taken(solver, own[:, None], *self._tile(1))[:, 0]
            )
        out = np.empty(self._free.P)
        for _, basis, at, Wt in self.solved(E):
            out[at] = np.matmul(basis, Wt[:, :, None]).reshape(-1)
        return self.design.drop(out)

    def solved(self, E: Array) -> Iterator[tuple[Array, Array, slice, Array]]:
        """W = E Sigma^-1 in tiles: equations, bases, place in the free gamma, and W' (jb, n).

        A tile is overwritten by the next.
        """
        n, K, Et = self.design.n, self.design.K, E.T
        solver = self.cov.piecewise(n) if self._in_pieces else None
        if solver is None:
            Wt = self.cov.solve(E).T
            for equations, basis, at in self._free.tiles(K):
                yield equations, basis, at, Wt[equations]
            return
        solver.read(np.arange(K), Et)
        size = max(1, _TILE_BYTES // (16 * n))
        tile, own = np.empty((2, min(size, K), n))
        for equations, basis, at in self._free.tiles(size):
            solved = np.multiply(
                Et[run(equations)], solver.scale(equations)[:, None], out=own[: len(equations)]
            )
            solved -= solver.taken(equations, tile[: len(equations)])
            yield equations, basis, at, solved

    @property
    def ridged(self) -> bool:
        """Whether a ridge is part of H."""
        return self._ridge is not None

    def penalty(self, g: Array) -> Array:
        """N A g, the ridge's part of `apply`."""
        return np.zeros_like(g) if self._ridge is None else self._n_obs * self._ridge.apply(g)

    def score_size(self, score: Array) -> float:
        """Largest norm of an equation's score, in units of its standard error, sqrt(H_ii).

        Not less than the largest element, and the same whatever the order of its columns.
        """
        return self.design.largest_norm(score / np.sqrt(self.diagonal))
