"""Bases of equations that have equally many regressors, as one array, and products with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.design.bases import fitted_values

Array = np.ndarray

# Bytes of fitted values that are taken off while they are in the second-level cache: 1.3 times
# faster than all of 1,000 equations first.
_TILE_BYTES = 2**19


@dataclass(frozen=True)
class Stack:
    """Equations with the same number of regressors p, each with a basis of its own.

    Attributes
    ----------
    equations : ndarray of int, shape (m,)
    basis : ndarray, shape (m, p, n)
        Q_j' of each.
    to_beta : ndarray, shape (m, p, p)
        beta_j = to_beta_j gamma_j, so X_j to_beta_j = Q_j.
    gamma : slice
        Where they are in the flat vector of coefficients.
    """

    equations: Array
    basis: Array
    to_beta: Array
    gamma: slice

    @property
    def p(self) -> int:
        """Regressors of each."""
        return int(self.basis.shape[1])

    def coefficients(self, g: Array) -> Array:
        """Theirs of all, (m, p)."""
        return g[self.gamma].reshape(len(self.equations), self.p)

    def fitted(self, g: Array, out: Array | None) -> Array:
        """Q_j gamma_j as rows (m, n), into ``out`` where it is given."""
        return fitted_values(self.basis, self.coefficients(g), out)

    def left(self, Mt: Array, g: Array, out: Array) -> None:
        """Rows m_j (m, n) less Q_j gamma_j, into ``out``, which may be these rows' memory."""
        b = self.coefficients(g)
        for at, tile in self._tiles(Mt.shape[1]):
            np.subtract(Mt[at], self._fitted(at, b[at], tile), out=out[at])

    def least_squares(self, Mt: Array, out: Array) -> Array:
        """Q_j'm_j of rows m_j (m, n), (m, p), and what they leave into ``out``, other memory."""
        b = np.empty((len(self.equations), self.p))
        for at, tile in self._tiles(Mt.shape[1]):
            b[at] = self._project(at, Mt[at])
            np.subtract(Mt[at], self._fitted(at, b[at], tile), out=out[at])
        return b

    def _tiles(self, n: int) -> Iterator[tuple[slice, Array]]:
        """A few equations at a time, with memory for rows of theirs."""
        m = len(self.equations)
        size = min(m, max(1, _TILE_BYTES // (8 * n)))
        tile = np.empty((size, n))
        for start in range(0, m, size):
            yield slice(start, start + size), tile[: m - start]

    def _fitted(self, at: slice, b: Array, tile: Array) -> Array:
        """Those of some equations, in the memory of a tile."""
        return fitted_values(self.basis[at], b, tile)

    def _project(self, at: slice, Mt: Array) -> Array:
        """Those of some equations."""
        return np.matmul(self.basis[at], Mt[:, :, None])[:, :, 0]

    def project(self, Mt: Array) -> Array:
        """Q_j' m_j of rows m_j (m, n), (m, p)."""
        return self._project(slice(None), Mt)

    def block(self, i: int) -> Array:
        """Q_j' of the i-th, (p, n)."""
        return self.basis[i]

    def blocks(self, start: int, stop: int) -> Array:
        """Those from ``start`` to ``stop``, (stop - start, p, n)."""
        return self.basis[start:stop]


@dataclass(frozen=True)
class SharedStack(Stack):
    """Every equation has the same design: one basis (1, p, n), all products single GEMMs."""

    def fitted(self, g: Array, out: Array | None) -> Array:
        """All at once."""
        return np.matmul(self.coefficients(g), self.basis[0], out=out)

    def _fitted(self, at: slice, b: Array, tile: Array) -> Array:
        return np.matmul(b, self.basis[0], out=tile)

    def _project(self, at: slice, Mt: Array) -> Array:
        return Mt @ self.basis[0].T

    def block(self, i: int) -> Array:
        """The one."""
        return self.basis[0]

    def blocks(self, start: int, stop: int) -> Array:
        """The one, as often as it is theirs."""
        return np.broadcast_to(self.basis, (stop - start, *self.basis.shape[1:]))
