"""Programs of inference on systems in tiles: Sigma of intervals, and covariances of coefficients.

Each runs in every shard at once, takes the shard's own vectors last, and returns vectors of the
shard, so that what goes between processes is of the size of the coefficients.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.beta.robust import RowWeights, White
from sm_alsgls.core.beta.small_sample import Units
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.interval import IntervalFactors, interval_factors
from sm_alsgls.core.tiles.passes import over_tiles
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.robust import TileSandwich
from sm_alsgls.core.tiles.source import Tile, TileSource
from sm_alsgls.core.tiles.variance import TileVariance

Array = np.ndarray


@on_one_thread
def intervals(
    source: TileSource, across: Across, options: ALSOptions, beta: Array, F: Array, d: Array
) -> IntervalFactors:
    """Factors of the Sigma that standard errors of a debiased fit are of."""
    problem = TiledProblem(source, options, across)
    return interval_factors(problem, problem.residuals(problem.design.from_beta(beta)), F, d)


@on_one_thread
def model_based(
    source: TileSource, across: Across, estimated: bool, whole: bool, F: Array, d: Array
) -> Array:
    """Variances (P,) of the coefficients, or their covariances within equations if ``whole``.

    These are (sum p_j^2,), equation after equation, row after row.
    """
    made = TileVariance(source, F, d, across, estimated=estimated)
    if not whole:
        return made.variances()
    return np.concatenate([blocks.reshape(-1) for blocks in made.blocks()])


@on_one_thread
def stretches(source: TileSource, across: Across, F: Array, d: Array) -> Array:
    """What the estimation of Sigma adds to robust standard errors (P,), as a factor."""
    return TileVariance(source, F, d, across, estimated=True).stretches()


@on_one_thread
def robust(
    source: TileSource,
    across: Across,
    weights: RowWeights,
    units: Units,
    power: float,
    whole: bool,
    beta: Array,
    F: Array,
    d: Array,
) -> Array:
    """As `model_based`, of the sandwich with the meat that ``weights`` make."""
    made = TileSandwich(source, beta, F, d, weights, across, units=units, power=power)
    if not whole:
        return made.variances()
    p = np.asarray(source.p)
    stop = np.cumsum(p * p)
    out = np.empty(int(stop[-1]))

    def put(equations: slice, influences: Array) -> None:
        q = influences.shape[1]
        first = int(stop[equations.start]) - q * q
        for i, rows in enumerate(influences):
            at = first + i * q * q
            out[at : at + q * q] = weights.inner(rows, rows).reshape(-1)

    made.each(put)
    return out


@on_one_thread
def degrees(source: TileSource, across: Across, units: Units, power: float, beta: Array) -> Array:
    """Satterthwaite's degrees of freedom of each coefficient, (P,)."""
    K = source.K
    # They are those of each design by itself.
    alone = TileSandwich(
        source, beta, np.empty((K, 0)), np.ones(K), White(), across, units=units, power=power
    )
    return alone.coefficient_df()


@on_one_thread
def scores(source: TileSource, across: Across, beta: Array, F: Array, d: Array) -> Array:
    """Posterior means E Sigma^-1 F of the factors (n, r), of all equations.

    With Sigma^-1 F = G R^-T, as `PartOfLowRank` has them: one pass.
    """
    cov, stop = PartOfLowRank(F, d, across), np.cumsum(source.p)
    out = np.zeros((F.shape[1], source.n))

    def work(t: int, tile: Tile) -> Array:
        at = source.bounds[t]
        m, p, _ = tile.Xt.shape
        first = int(stop[at.start]) - p
        b = beta[first : first + m * p].reshape(m, 1, p)
        E = tile.Yt - np.matmul(b, tile.Xt)[:, 0, :]
        return np.asarray(cov.precision_factor[at].T @ E)

    for part in over_tiles(source, work):
        out += part
    return np.asarray(np.linalg.solve(cov.triangle, across.total(out)).T)
