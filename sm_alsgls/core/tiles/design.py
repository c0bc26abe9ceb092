"""Bases of designs that are read a tile at a time: R_j is kept, Q_j is made as it is used.

With X_j = Q_j R_j, Q_j'Q_j = I and gamma_j = R_j beta_j as in `core.design.per_equation`, a pass
needs

    fitted values    Q_j g_j = X_j (R_j^-1 g_j),        products    Q_j' M = R_j^-T (X_j' M),

which lose cond(X_j) eps of Q_j, columns of unit length: no digit that a fit has, up to 1e4. Beyond,
Q_j is made again in every pass (`core.design.bases`). Only R_j^-1 (p, p) is kept of an equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.design.bases import bases
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray

# Smallest eigenvalue of the Gram matrix of unit columns from which Q_j is never formed.
_PLAIN = 1e-8
# Root mean square of what may be left of a constant that a design spans.
_SPANS = 1e-9


class _Ols(NamedTuple):
    """What the first pass makes of a tile."""

    to_beta: Array
    poor: Array
    gamma: Array
    squares: Array
    lengths: Array
    constant: Array


@dataclass(frozen=True)
class TileBasis:
    """Bases Q_j of the m equations of a tile.

    Attributes
    ----------
    Xt : ndarray, shape (m, p, n)
        What products are made with: X_j', or Q_j' where X_j is badly conditioned.
    map : ndarray, shape (m, p, p)
        T_j with Q_j = (Xt_j)' T_j.
    """

    Xt: Array
    map: Array

    def weights(self, g: Array) -> Array:
        """T_j g_j, for g (m, p)."""
        return np.asarray(np.matmul(self.map, g[:, :, None])[:, :, 0])

    def fitted(self, g: Array) -> Array:
        """Q_j g_j as rows (m, n), for g (m, p)."""
        return np.asarray(np.matmul(self.weights(g)[:, None, :], self.Xt)[:, 0, :])

    def project(self, M: Array) -> Array:
        """Q_j' m_j, (m, p), for rows M (m, n)."""
        inner = np.matmul(self.Xt, M[:, :, None])[:, :, 0]
        return np.asarray(np.matmul(inner[:, None, :], self.map)[:, 0, :])

    def inner(self, Z: Array) -> Array:
        """Q_j' Z', (m, p, r), for rows Z (r, n)."""
        m, p, n = self.Xt.shape
        products = (self.Xt.reshape(m * p, n) @ Z.T).reshape(m, p, -1)
        return np.asarray(np.matmul(self.map.transpose(0, 2, 1), products))

    def outer(self, g: Array, G: Array) -> Array:
        """sum_j G_j (Q_j g_j)', (r, n), for g (m, p) and G (m, r)."""
        m, p, n = self.Xt.shape
        each = self.weights(g)[:, :, None] * G[:, None, :]
        return np.asarray(each.reshape(m * p, -1).T @ self.Xt.reshape(m * p, n))


class TiledDesign:
    """K designs of which R_j^-1 is known, made by one pass with OLS.

    Coefficients gamma are flat, equation after equation.

    Parameters
    ----------
    source : TileSource

    Attributes
    ----------
    source : TileSource
    n, K, P : int
    p : ndarray of int, shape (K,)
    gamma_ols : ndarray, shape (P,)
    squares_ols : ndarray, shape (K,)
        |e_j|^2 of OLS residuals.
    lengths : ndarray, shape (K,)
        |y_j|^2.
    constant : ndarray of bool, shape (K,)
        Whether a design spans the constant.

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        An equation's columns are dependent; it is numbered in the whole system.
    """

    def __init__(self, source: TileSource) -> None:
        self.source = source
        self.n, self.K = source.n, source.K
        self.p = np.asarray(source.p)
        stop = np.cumsum(self.p)
        self.P = int(stop[-1])
        self.places = [
            slice(int(stop[at.start] - self.p[at.start]), int(stop[at.stop - 1]))
            for at in source.bounds
        ]
        self._maps: list[Array] = []
        self._poor: list[Array] = []
        self.gamma_ols = np.empty(self.P)
        self.squares_ols, self.lengths = np.empty(self.K), np.empty(self.K)
        self.constant = np.empty(self.K, dtype=bool)
        for t, one in enumerate(over_tiles(source, self._ols)):
            self._maps.append(one.to_beta)
            self._poor.append(one.poor)
            self.gamma_ols[self.places[t]] = one.gamma.reshape(-1)
            self.squares_ols[source.bounds[t]] = one.squares
            self.lengths[source.bounds[t]] = one.lengths
            self.constant[source.bounds[t]] = one.constant

    def _ols(self, t: int, tile: Tile) -> _Ols:
        numbers = self.source.first + np.arange(*self.source.bounds[t].indices(self.K))
        basis, to_beta = bases([X.T for X in tile.Xt], numbers)
        # The squared norm of R_j^-1, columns of X_j of unit length, is one over the least
        # eigenvalue of their Gram matrix, at least.
        size = np.sqrt(np.einsum("mpn,mpn->mp", tile.Xt, tile.Xt))
        unit = to_beta * size[:, :, None]
        poor = np.flatnonzero(np.einsum("mpq,mpq->m", unit, unit) > 1.0 / _PLAIN)
        gamma = np.matmul(basis, tile.Yt[:, :, None])[:, :, 0]
        E = tile.Yt - np.matmul(gamma[:, None, :], basis)[:, 0, :]
        squares = np.vecdot(E, E)
        lengths = np.vecdot(tile.Yt, tile.Yt)
        # What a design leaves of ones: rounding where it spans them.
        left = np.matmul(basis.sum(axis=2)[:, None, :], basis)[:, 0, :] - 1.0
        constant = np.vecdot(left, left) < _SPANS**2 * self.n
        return _Ols(to_beta, poor, gamma, squares, lengths, constant)

    def basis(self, t: int, tile: Tile) -> TileBasis:
        """Bases of tile t, from its regressors."""
        to_beta, poor = self._maps[t], self._poor[t]
        if not len(poor):
            return TileBasis(tile.Xt, to_beta)
        Xt, maps = np.array(tile.Xt), np.array(to_beta)
        numbers = self.source.first + self.source.bounds[t].start + poor
        Xt[poor] = bases([tile.Xt[i].T for i in poor], numbers)[0]
        maps[poor] = np.eye(Xt.shape[1])
        return TileBasis(Xt, maps)

    def part(self, t: int, g: Array) -> Array:
        """What tile t has of a flat vector (P,), (m, p)."""
        return g[self.places[t]].reshape(len(self._maps[t]), -1)

    def expand(self, v: Array) -> Array:
        """One value an equation (K,) for each of its coefficients, (P,)."""
        return np.repeat(v, self.p)

    def sums(self, v: Array) -> Array:
        """Sums (K,) of an equation's parts of v (P,)."""
        return np.asarray(np.add.reduceat(v, np.cumsum(self.p) - self.p))

    def largest_norm(self, v: Array) -> float:
        """Largest norm of an equation's part of v (P,)."""
        return float(np.sqrt(self.sums(np.square(v)).max()))

    def to_beta(self, g: Array) -> Array:
        """Coefficients of the columns of X_j, flat (P,)."""
        out = np.empty(self.P)
        for t, place in enumerate(self.places):
            out[place] = np.matmul(self._maps[t], self.part(t, g)[:, :, None]).reshape(-1)
        return out

    def from_beta(self, beta: Array) -> Array:
        """gamma (P,) of flat coefficients."""
        out = np.empty(self.P)
        for t, place in enumerate(self.places):
            out[place] = np.linalg.solve(self._maps[t], self.part(t, beta)[:, :, None]).reshape(-1)
        return out

    def map(self, t: int) -> Array:
        """R_j^-1 of the equations of tile t, (m, p, p)."""
        return self._maps[t]
