"""Programs of inference on systems in tiles: Sigma of intervals, and covariances of coefficients.

Each runs in every shard at once, takes the shard's own vectors last, and returns vectors of the
shard, so that what goes between processes is of the size of the coefficients.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.core.tiles.covariance import PartOfLowRank
from sm_alsgls.core.tiles.problem import TiledProblem
from sm_alsgls.core.tiles.robust import TileSandwich
from sm_alsgls.core.tiles.source import TileSource
from sm_alsgls.core.tiles.variance import TileVariance

Array = np.ndarray


@on_one_thread
def ridged_step(
    source: TileSource,
    across: Across,
    options: ALSOptions,
    gtol: float,
    ridge: float,
    beta: Array,
    F: Array,
    d: Array,
) -> tuple[Array, Array]:
    """F (K, r) and d (K,) of one Sigma-step with a ridge on loadings, at residuals of beta (P,).

    Begun at F and d; see `sm_alsgls.core.errors.loading_prior`.
    """
    problem = TiledProblem(source, options, across)
    E = problem.residuals(problem.design.from_beta(beta))
    near = PartOfLowRank(F, d, across)
    made = problem.sigma_step(E, F.shape[1], near=near, d=d, gtol=gtol, lam_F=ridge)
    return made.cov.loadings, made.cov.uniquenesses


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
def robust(
    source: TileSource,
    across: Across,
    weights: RowWeights,
    whole: bool,
    beta: Array,
    F: Array,
    d: Array,
) -> Array:
    """As `model_based`, of the sandwich with the meat that ``weights`` make."""
    made = TileSandwich(source, beta, F, d, weights, across)
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
