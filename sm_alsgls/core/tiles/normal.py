"""The beta-step over tiles: conjugate gradients of which an iteration is one pass and one sum.

H is that of `core.design.normal`, (H g)_j = g_j / d_j - Q_j' S' G_j with S = sum_j G_j (Q_j g_j)'
(r, n). A step along p needs its curvature p'H p = sum |p_j|^2 / d_j - |S|^2 only, which is known
before the pass that makes H p; so that pass moves the residual, and adds up the S of the next
direction, z + beta p, from those of z and p. The iterates are those of `core.beta.gls`, each of
which takes two passes there.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.beta.gls import CGSolution, is_last
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.design import TiledDesign
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.residuals import TiledResiduals
from sm_alsgls.core.tiles.source import Tile

Array = np.ndarray


class TiledNormal:
    """H at a Sigma, for a design in tiles.

    Parameters
    ----------
    design : TiledDesign
    cov : PartOfLowRank

    Attributes
    ----------
    diagonal : ndarray, shape (P,)
    """

    def __init__(self, design: TiledDesign, cov: PartOfLowRank) -> None:
        self.design, self._cov, self._across = design, cov, cov.across
        self._G = cov.precision_factor
        self.diagonal = design.expand(cov.precision_diag())
        self._scale = design.expand(1.0 / cov.uniquenesses)

    def score(
        self,
        E: TiledResiduals,
        gamma: Array,
        own: Array | None = None,
        scores: Array | None = None,
    ) -> Array:
        """Q_j' (E Sigma^-1)_j, flat (P,): a pass over X, as Q_j' e_j = (OLS - gamma)_j."""
        out = self._scale * (self.design.gamma_ols - gamma)
        self._subtract(out, E.factored(self._cov))
        return out

    def _subtract(self, out: Array, S: Array) -> None:
        """Take Q_j' S' G_j off ``out`` (P,), for S (r, n)."""
        design = self.design

        def work(t: int, tile: Tile) -> None:
            inner = design.basis(t, tile).inner(S)
            G = self._G[design.source.bounds[t]]
            out[design.places[t]] -= np.matmul(inner, G[:, :, None]).reshape(-1)

        for _ in over_tiles(design.source, work):
            pass

    def _spread(self, g: Array) -> Array:
        """S = sum_j G_j (Q_j g_j)', (r, n), of all equations, for g (P,)."""
        design = self.design

        def work(t: int, tile: Tile) -> Array:
            G = self._G[design.source.bounds[t]]
            return design.basis(t, tile).outer(design.part(t, g), G)

        out = np.zeros((self._G.shape[1], design.n))
        for part in over_tiles(design.source, work):
            out += part
        return self._across.total(out)

    def score_size(self, score: Array) -> float:
        """Largest norm of an equation's score in units of its standard error."""
        return self._across.largest(self.design.largest_norm(score / np.sqrt(self.diagonal)))

    def solve(self, b: Array, tol: float, max_iter: int, leaves: float) -> CGSolution:
        """H x = b; see `core.beta.gls.conjugate_gradients`."""
        total = self._across.total
        x, r = np.zeros_like(b), b.copy()
        z = r / self.diagonal
        rho = total(float(r @ z))
        if rho <= tol * tol:
            return CGSolution(x, 0, rho**0.5, True, leaves)
        if is_last(leaves, rho**0.5, tol):
            return CGSolution(z, 1, leaves * rho**0.5, True, leaves)
        direction, S = z, self._spread(z)
        for iteration in range(max_iter):
            if rho <= tol * tol:
                return CGSolution(x, iteration, rho**0.5, True, leaves)
            if is_last(leaves, rho**0.5, tol):
                # At length 1, though its own is known here: iterates are those of an array.
                return CGSolution(x + direction, iteration + 1, leaves * rho**0.5, True, leaves)
            own = total(float(direction @ (self._scale * direction)))
            curvature = own - float(np.vdot(S, S))
            if not curvature > 0.0:
                # Only rounding does this: H is positive definite.
                return CGSolution(x, iteration, rho**0.5, False, leaves)
            alpha = rho / curvature
            x += alpha * direction
            S_z, before = self._step(r, direction, S, alpha), rho
            z = r / self.diagonal
            rho = total(float(r @ z))
            leaves = (rho / before) ** 0.5
            direction = z + (rho / before) * direction
            S = S_z + (rho / before) * S
        return CGSolution(x, max_iter, rho**0.5, rho <= tol * tol, leaves)

    def _step(self, r: Array, direction: Array, S: Array, alpha: float) -> Array:
        """r less alpha H direction, in place, and S of diag(H)^-1 r."""
        design, own = self.design, self._scale

        def work(t: int, tile: Tile) -> Array:
            basis, place = design.basis(t, tile), design.places[t]
            G = self._G[design.source.bounds[t]]
            taken = np.matmul(basis.inner(S), G[:, :, None]).reshape(-1)
            r[place] -= alpha * (own[place] * direction[place] - taken)
            return basis.outer((r[place] / self.diagonal[place]).reshape(len(G), -1), G)

        out = np.zeros_like(S)
        for part in over_tiles(design.source, work):
            out += part
        return self._across.total(out)
