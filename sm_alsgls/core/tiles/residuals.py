"""Residuals that are made of X and Y whenever they are needed, a tile at a time."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.design import TiledDesign
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.source import Tile

Array = np.ndarray


class TiledResiduals:
    """E (n, K) at gamma, e_j = y_j - Q_j gamma_j; the `Products` of an eigen-iteration.

    `times`, `scores` and `left` are a pass over X and Y each. As OLS residuals are orthogonal to
    Q_j, |e_j|^2 = |e_j of OLS|^2 + |gamma_j of OLS - gamma_j|^2 takes none.

    Parameters
    ----------
    design : TiledDesign
    gamma : ndarray, shape (P,)
    across : Across
        Adds up what is summed over equations.
    """

    def __init__(self, design: TiledDesign, gamma: Array, across: Across) -> None:
        self.gamma = gamma
        self.n, self.K, self.first = design.n, design.K, design.source.first
        self._design, self._across = design, across
        self._known: tuple[PartOfLowRank, Array] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, K)."""
        return self.n, self.K

    def tile(self, t: int, tile: Tile) -> Array:
        """Rows e_j' of a tile, (m, n)."""
        fitted = self._design.basis(t, tile).fitted(self._design.part(t, self.gamma))
        return np.subtract(tile.Yt, fitted, out=fitted)

    def squares(self) -> Array:
        """|e_j|^2, (K,)."""
        design = self._design
        return design.squares_ols + design.sums(np.square(design.gamma_ols - self.gamma))

    def times(self, W: Array) -> Array:
        """W' E', (m, n), summed over all equations, for W (K, m)."""
        bounds = self._design.source.bounds

        def work(t: int, tile: Tile) -> Array:
            return np.asarray(W[bounds[t]].T @ self.tile(t, tile))

        out = np.zeros((W.shape[1], self.n))
        for part in over_tiles(self._design.source, work):
            out += part
        return self._across.total(out)

    def scores(self, Z: Array) -> Array:
        """E' Z', (K, m), for rows Z (m, n)."""
        out, bounds = np.empty((self.K, len(Z))), self._design.source.bounds

        def work(t: int, tile: Tile) -> None:
            out[bounds[t]] = self.tile(t, tile) @ Z.T

        for _ in over_tiles(self._design.source, work):
            pass
        return out

    def image(self, W: Array) -> tuple[Array, Array]:
        """W' E' (m, n) and E' E W (K, m): two passes."""
        Z = self.times(W)
        return Z, self.scores(Z)

    def left(self, A: Array, Z: Array) -> Array:
        """|e_j - Z' a_j|^2, (K,), for A (K, r) and rows Z (r, n)."""
        out, bounds = np.empty(self.K), self._design.source.bounds

        def work(t: int, tile: Tile) -> None:
            U = self.tile(t, tile)
            U -= A[bounds[t]] @ Z
            out[bounds[t]] = np.vecdot(U, U)

        for _ in over_tiles(self._design.source, work):
            pass
        return out

    def factored(self, cov: PartOfLowRank) -> Array:
        """G'E' (r, n), from what is known of it or by a pass."""
        known = self._known
        if known is None or known[0] is not cov:
            known = self._known = cov, self.times(cov.precision_factor)
        return known[1]

    def know(self, cov: PartOfLowRank, GE: Array) -> None:
        """Note G'E' of a Sigma, which an eigen-iteration had."""
        self._known = cov, GE
