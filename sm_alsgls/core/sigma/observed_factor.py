"""The Sigma-step with missing cells: factor analysis of residuals that are observed in part.

There is no closed form for F given d, as rows have different Sigmas: the likelihood of
`core.sigma.observed_likelihood` is maximised over (F, x = log d) by limited-memory BFGS. Its
initial inverse Hessian is what makes it fast: EM's (Rubin and Thayer 1982, Psychometrika 47), the
inverse of sum_n m_nj E[z_n z_n'], takes the factors for missing data and crawls where an equation
is all factor; the Fisher information does not. Bounds d_j >= floor_j are kept by projection, as
in `sm_alsgls.core.sigma.factor`, and a rotated start takes the same path.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective, ObservedPoint
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.covariance.low_rank_diag import adopted
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Steps in a row that change f by rounding only.
_MOST_FLAT = 12
# Pairs kept, also from one Sigma-step to the next: beta's small moves hardly change the Hessian.
_PAIRS = 15


@dataclass(frozen=True)
class ObservedFactor:
    """What the Sigma-step returns; the attributes of `FactorSolution` that the loop reads.

    Attributes
    ----------
    F, d : ndarray, shapes (K, r), (K,)
    nll : float
        f per row, without its constant.
    gradient : float
        Largest |df/dx_j| over free d_j and |df/da_j| over equations off their bound.
    at_bound : ndarray of bool, shape (K,)
    evaluations : int
    converged : bool
    block : SecantMemory
        Curvature, to start the next Sigma-step with.
    """

    F: Array
    d: Array
    nll: float
    gradient: float
    at_bound: Array
    evaluations: int
    converged: bool
    block: SecantMemory = field(repr=False)

    @property
    def scores(self) -> None:
        """Nobody knows them: each row has its own Sigma."""
        return None

    @property
    def nll_near(self) -> None:
        """Nobody knows it either."""
        return None

    @property
    def cov(self) -> LowRankDiag:
        """F F' + D, which owns the arrays from here on."""
        return adopted(self.F, self.d)


def fit_observed(
    E: Array,
    patterns: Patterns,
    start: LowRank,
    floor: Array,
    *,
    lam_F: float = 0.0,
    gtol: float = 1e-8,
    max_iter: int = 500,
    memory: SecantMemory | None = None,
    objective: ObservedObjective | None = None,
) -> ObservedFactor:
    """Maximum-likelihood Sigma = F F' + D of residuals observed in part.

    Parameters
    ----------
    E : ndarray, shape (N, K)
        Residuals, zero in missing cells.
    patterns : Patterns
    start : LowRank
        Where to begin; it has the rank of the answer.
    floor : ndarray, shape (K,)
        Lower bounds of d, in its units.
    lam_F : float
        Ridge on D^-1/2 F, per row.
    gtol : float
        Bound on the gradient per row, in units of log d and D^-1/2 F.
    max_iter : int
        Evaluations of f.
    memory : SecantMemory, optional
        Of an earlier Sigma-step at nearby residuals.
    objective : ObservedObjective, optional
        Of these residuals, patterns and ridge; default that of independent rows.

    Returns
    -------
    ObservedFactor
        f is never above f at ``start``.

    Notes
    -----
    Cost per evaluation: O(N K r + G K r^2) flops with G patterns.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> E = rng.standard_normal((400, 1)) @ np.ones((1, 8)) + rng.standard_normal((400, 8))
    >>> mask = rng.random(E.shape) < 0.6
    >>> start = LowRankDiag.from_factors(np.full((8, 1), 0.5), np.ones(8))
    >>> fit = fit_observed(E * mask, Patterns(mask), start, np.full(8, 1e-8))
    >>> fit.converged, fit.gradient < 1e-8, fit.evaluations < 30
    (True, True, True)
    """
    evaluate = ObservedObjective(E, patterns, lam_F) if objective is None else objective
    K, r = start.loadings.shape
    memory = SecantMemory(_PAIRS) if memory is None else memory
    if r == 0 and evaluate.closed:
        d = np.maximum(evaluate.s, floor)
        nll = 0.5 * float(evaluate.share @ (np.log(d) + evaluate.s / d))
        bound = evaluate.s < floor
        return ObservedFactor(np.empty((K, 0)), d, nll, 0.0, bound, 1, True, memory)
    low = np.log(floor)
    high = np.maximum(low, np.log(np.maximum(evaluate.s, 1e-300))) + 1.0
    x = np.clip(np.log(start.uniquenesses), low, high)
    point, done, at_bound = _minimise(
        evaluate, start.loadings, x, low, high, gtol, max_iter, memory
    )
    size = point.size(at_bound)
    return ObservedFactor(
        point.F, point.d, point.nll, size, at_bound, evaluate.evaluations, done, memory
    )


def _minimise(
    evaluate: ObservedObjective,
    F: Array,
    x: Array,
    low: Array,
    high: Array,
    gtol: float,
    max_iter: int,
    memory: SecantMemory,
) -> tuple[ObservedPoint, bool, Array]:
    """Limited-memory BFGS on (F, x), x projected on its bounds."""
    point = evaluate(F, x)
    snapped_at = np.full(len(x), np.inf)
    flat = 0
    while True:
        at_bound = (point.x <= low) & (point.delta > 0.0)
        done = point.size(at_bound) <= gtol
        trial = _towards_bounds(evaluate, point, low, snapped_at, done)
        if trial is None and done:
            trial = _off_bounds(evaluate, point)
        if trial is not None:
            point = trial
            memory.clear()
            continue
        if done or evaluate.evaluations >= max_iter or flat > _MOST_FLAT:
            return point, done, at_bound
        trial = _line_search(evaluate, point, ~at_bound, low, high, max_iter, memory)
        if trial is not None:
            flat = flat + 1 if trial.nll >= point.nll - point.rounding else 0
            point = trial
        elif len(memory):
            memory.clear()
        else:
            return point, False, at_bound


def _line_search(
    evaluate: ObservedObjective,
    point: ObservedPoint,
    free: Array,
    low: Array,
    high: Array,
    max_iter: int,
    memory: SecantMemory,
) -> ObservedPoint | None:
    """The next point, its pair stored; None where no step lowers f."""
    kept = np.concatenate([np.ones(point.F.size, dtype=bool), free])
    gradient = np.where(kept, point.gradient, 0.0)
    inverse = evaluate.inverse_information(point, free)
    direction = np.where(kept, memory.direction(gradient, inverse, kept), 0.0)
    if not float(direction @ gradient) < 0.0:
        memory.clear()
        direction = -inverse(gradient)
    largest = float(np.abs(direction[point.F.size :]).max())
    if largest > 3.0:
        direction *= 3.0 / largest
    slope = float(direction @ gradient)
    step = 1.0
    while True:
        F, x = point.moved(step * direction)
        trial = evaluate(F, np.clip(x, low, high))
        if trial.nll <= point.nll + 1e-4 * step * slope + point.rounding:
            break
        if evaluate.evaluations >= max_iter or step < 1e-6:
            return None
        curvature = 2.0 * (trial.nll - point.nll - step * slope)
        step *= min(0.5, max(0.1, -slope * step / curvature)) if curvature > 0.0 else 0.1
    moved = np.concatenate([(trial.F - point.F).ravel(), trial.x - point.x])
    memory.push(moved, trial.gradient - point.gradient, step * slope)
    return trial


def _towards_bounds(
    evaluate: ObservedObjective, point: ObservedPoint, low: Array, snapped_at: Array, last: bool
) -> ObservedPoint | None:
    """Put every d_j below 1 % of s_j that is still falling on its bound, if that lowers f.

    The variance f_j'f_j + d_j is held. Why, and how often: see `sm_alsgls.core.sigma.factor`.
    """
    d, s = point.d, evaluate.s
    falling = (point.delta > 0.0) & (point.x > low) & (d < 1e-2 * s)
    falling &= last | (d < 0.1 * snapped_at)
    if not falling.any():
        return None
    snapped_at[falling] = d[falling]
    trial = evaluate(*_with_uniqueness(point, falling, np.exp(low)))
    return trial if trial.nll < point.nll + last * point.rounding else None


def _off_bounds(evaluate: ObservedObjective, point: ObservedPoint) -> ObservedPoint | None:
    """Lift every d_j whose bound is not a minimum off it, to where f is lower."""
    d, s = point.d, evaluate.s
    inward = (point.delta < -1e-3 * d / s) & (d < 1e-5 * s)
    if not inward.any():
        return None
    for share in (0.1, 0.01, 1e-3, 1e-4):
        trial = evaluate(*_with_uniqueness(point, inward, share * s))
        if trial.nll < point.nll:
            return trial
    return None


def _with_uniqueness(point: ObservedPoint, chosen: Array, d: Array) -> tuple[Array, Array]:
    """F and x with other d_j in the ``chosen`` equations, whose variances stay."""
    common = np.einsum("kr,kr->k", point.F, point.F)[chosen]
    F, x = point.F.copy(), point.x.copy()
    left = np.maximum(common + point.d[chosen] - d[chosen], 1e-3 * common)
    F[chosen] *= np.sqrt(left / np.maximum(common, 1e-300))[:, None]
    x[chosen] = np.log(d[chosen])
    return F, x
