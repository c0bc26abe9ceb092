"""A system in tiles as the loop sees it: what `als` asks of a `Problem`, by passes over tiles.

The low-rank law of whole rows, free coefficients, no ridge. All vectors of equations and
coefficients are those of this process's part; what is summed over equations goes through
`Across`, so the same loop runs in every part of a system and ends at the same point.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsm

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.beta.gls import CGSolution
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Direction
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.block_spectrum import BlockSpectrum
from sm_alsgls.core.sigma.climb import FactorSolution, climb
from sm_alsgls.core.sigma.factor import largest_rank
from sm_alsgls.core.sigma.objective_at import objective_at
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.design import TiledDesign
from sm_alsgls.core.tiles.normal import TiledNormal
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.residuals import TiledResiduals
from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.exceptions import IllegalRankError
from sm_alsgls.progress import tick

Array = np.ndarray


class TiledStep(NamedTuple):
    """A `SigmaStep` of equations in tiles, whose Sigma is a `PartOfLowRank`."""

    cov: Any
    nll: float
    gradient: float
    at_bound: Array
    evaluations: int
    block: Array | None
    nll_near: float | None
    scores: None = None  # residuals know them


class _Law(NamedTuple):
    """What the loop reads of a law: the constant of the NLL per row."""

    constant: float


class TiledProblem:
    """K equations of a system, in tiles.

    Parameters
    ----------
    source : TileSource
    options : ALSOptions
        Ridges must be zero.
    across : Across, optional
        The other equations, if they are elsewhere.

    Attributes
    ----------
    design : TiledDesign
    here, K : int
        Equations here, and of the system.
    n_obs : int
    n_coefficients : int
        P of the system.
    s_ols, floor : ndarray, shape (K,)
    """

    ridge: Ridge | None = None

    def __init__(self, source: TileSource, options: ALSOptions, across: Across = ALONE) -> None:
        self.options, self.across = options, across
        self.design = TiledDesign(source)
        self.here, self.n_obs = source.K, source.n
        self.K = int(across.total(float(source.K)))
        self.n_coefficients = int(across.total(float(self.design.P)))
        self.errors = _Law(0.5 * self.K * math.log(2.0 * math.pi))
        self.gamma_ols = self.design.gamma_ols
        self.s_ols = self.design.squares_ols / self.n_obs
        self.floor = options.d_floor * self.s_ols

    @property
    def E_ols(self) -> TiledResiduals:
        """OLS residuals."""
        return self.residuals(self.gamma_ols)

    def residuals(self, gamma: Array, out: TiledResiduals | None = None) -> TiledResiduals:
        """E at gamma (P,)."""
        return TiledResiduals(self.design, gamma, self.across)

    def moved(
        self, E: TiledResiduals, direction: Array, out: TiledResiduals | None = None
    ) -> TiledResiduals:
        """Residuals after a step in gamma."""
        return self.residuals(E.gamma + direction)

    def own(self, gamma: Array) -> None:
        """None: a score knows it."""
        return None

    def normal(self, cov: PartOfLowRank) -> TiledNormal:
        """The normal equations of the beta-step."""
        return TiledNormal(self.design, cov)

    def solve(
        self, normal: TiledNormal, b: Array, *, tol: float, leaves: float = 1.0
    ) -> CGSolution:
        """H x = b."""
        return normal.solve(b, tol, self.options.cg_maxit, leaves)

    def newton(self, *_: Any) -> Direction | None:
        """None: it takes a Hessian that is an array."""
        return None

    def sigma_step(
        self,
        E: TiledResiduals,
        rank: int,
        *,
        near: PartOfLowRank | None = None,
        d: Array | None = None,
        block: Array | None = None,
        gtol: float,
        lam_F: float = 0.0,
    ) -> TiledStep:
        """Maximum-likelihood factor analysis of E, begun at ``near``, d and ``block``."""
        tick()
        if not 0 <= rank <= largest_rank(self.K):
            raise IllegalRankError(
                f"rank={rank} is not identified with {self.K} equations; the largest legal "
                f"rank is {largest_rank(self.K)}"
            )
        s = E.squares() / self.n_obs
        if d is None:
            d = 0.5 * s if near is None else near.uniquenesses
        if rank == 0:
            return self._diagonal(s)
        if block is None and near is not None:
            block = near.loadings / near.uniquenesses[:, None]
        source = BlockSpectrum(E, self.n_obs, rank, block, self.across)
        told = None if near is None else objective_at(near, source, s, self.across)

        def sums(d: Array, V: Array, lam: Array, seen: Array | None) -> tuple[Array, float]:
            return self._without_cancellation(E, d, V, lam, seen)

        found = climb(source, sums, d, self.floor, s, lam_F=lam_F, gtol=gtol, across=self.across)
        return self._step(E, found._replace(nll_near=told))

    def _step(self, E: TiledResiduals, found: FactorSolution) -> TiledStep:
        cov = PartOfLowRank(found.F, found.d, self.across)
        if found.scores is not None:
            E.know(cov, np.asarray(dtrsm(1.0, cov.triangle, found.scores, trans_a=1)))
        return TiledStep(
            cov,
            found.nll,
            found.gradient,
            found.at_bound,
            found.evaluations,
            found.block,
            found.nll_near,
        )

    def _diagonal(self, s: Array) -> TiledStep:
        d = np.maximum(s, self.floor)
        parts = float(np.log(d).sum() + (s / d).sum())
        cov = PartOfLowRank(np.empty((self.here, 0)), d, self.across)
        return TiledStep(cov, 0.5 * self.across.total(parts), 0.0, s < self.floor, 1, None, None)

    def _without_cancellation(
        self, E: TiledResiduals, d: Array, V: Array, lam: Array, seen: Array | None
    ) -> tuple[Array, float]:
        """Gradient in log d and tr(S Sigma^-1), as `core.sigma.factor` has them of an array."""
        root, A = np.sqrt(d), V * np.sqrt(lam - 1.0)
        if seen is None:
            seen = E.times(V / root[:, None])
        Z = (np.sqrt(lam - 1.0) / lam)[:, None] * seen
        left = E.left(A * root[:, None], Z) / (self.n_obs * d)
        gradient = 0.5 * (1.0 - np.square(V) @ (1.0 - 1.0 / lam) - left)
        trace = self.across.total(float(left.sum())) + float(np.vdot(Z, Z)) / self.n_obs
        return gradient, trace

    def objective(self, gamma: Array, E: TiledResiduals, cov: PartOfLowRank) -> float:
        """Negative log-likelihood per row, constant included: a pass where G'E' is not known."""
        own = self.across.total(float((E.squares() / cov.uniquenesses).sum()))
        GE = E.factored(cov)
        quad = (own - float(np.vdot(GE, GE))) / self.n_obs
        return self.errors.constant + 0.5 * (cov.logdet() + quad)

    def stationarity(
        self, gamma: Array, E: TiledResiduals, cov: PartOfLowRank, at_bound: Array
    ) -> Stationarity:
        """Both measures at a point, afresh; see `core.second_order.stationarity`.

        With G = D^-1 F R^-1 and Sigma^-1 F = G R^-T: a pass that makes W = E Sigma^-1 of a tile.
        """
        design, bounds = self.design, self.design.source.bounds
        G, d, R = cov.precision_factor, cov.uniquenesses, cov.triangle
        # rows Z: W_j = e_j / d_j - Z' g_j; and E Sigma^-1 F = (E G) R^-T.
        Z = E.times(G)
        WF = np.linalg.solve(R, Z) if cov.rank else Z
        PF = G @ np.linalg.inv(R).T if cov.rank else G
        score, squares, in_F = np.empty(design.P), np.empty(self.here), np.empty_like(PF)

        def work(t: int, tile: Tile) -> None:
            at = bounds[t]
            Wt = E.tile(t, tile)
            Wt /= d[at, None]
            Wt -= G[at] @ Z
            score[design.places[t]] = design.basis(t, tile).project(Wt).reshape(-1)
            squares[at] = np.vecdot(Wt, Wt)
            in_F[at] = PF[at] - Wt @ WF.T / self.n_obs

        for _ in over_tiles(design.source, work):
            pass
        in_d = 0.5 * d * (cov.precision_diag() - squares / self.n_obs)
        in_A = np.sqrt(d)[:, None] * in_F
        free = ~at_bound
        gradient = max(
            float(np.abs(in_d[free]).max(initial=0.0)), float(np.abs(in_A[free]).max(initial=0.0))
        )
        return Stationarity(self.across.largest(gradient), self.normal(cov).score_size(score))
