"""A ladder of ranks: starts of rank r that grow, factor by factor, from rank 0.

The maxima of a low-rank likelihood are few and very unequal in their basins: of random starts the
best may catch none. What tells them apart is which equations a factor takes up, and that shows one
rank below. With residuals E, S = E'E/N and a fit (F, d) of rank q, the rest R = S - F F' has
partial correlations rho_kj. If equation j *were* the next factor, d_j near 0, the others would
keep 1 - rho_kj^2 of their d_k, and the NLL per row would fall by about

    gain_j = -1/2 sum_{k != j} log(1 - rho_kj^2),     rho_kj^2 = R_kj^2 / (d_k d_j).

So starts of rank q + 1 are d itself (the factor is the leading direction of the rest), and for
the equations j of largest gain

    d_k max(1 - rho_kj^2, .05)  for k != j,     d_j on its bound:

the Heywood cases of factor analysis, tried one by one. Where Sigma does not move beta the climb is
pure factor analysis of the OLS residuals (`climb_alone`), and its best end points are maxima; else
beta is refitted at every rung (`climb`). Nothing is drawn: a ladder is the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.errors.base import Errors, SigmaStep
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Rung
from sm_alsgls.core.maximise.joining import Watch
from sm_alsgls.core.maximise.solution import Solution, Start
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import factors_of

Array = np.ndarray

# Fits that a climb of Sigma alone carries from rung to rung, and Heywood starts of each.
_WIDTH, _TRIED = 2, 4
# NLLs per row within which two rungs' fits are the same.
_SAME = 1e-6
# And those of rough fits, with logs of uniquenesses within this.
_NEAR, _NEAR_D = 1e-3, 0.15
# Tolerance of the factor analyses: of those that are compared at their end, and of starts.
_EXACT, _ROUGH = 1e-5, 1e-2
# An equation with less than this share of its variance unexplained is a factor already.
_TAKEN = 1e-4


class Climb(NamedTuple):
    """Starts of the last rank, the most promising first, and the rungs of ranks 0 to r - 1."""

    starts: list[Start]
    nll: list[float]
    rungs: list[Rung]


def added(
    errors: Errors, E: Array, F: Array, d: Array, floor: Array, most: int = _TRIED
) -> list[Array]:
    """Uniquenesses (K,) to start a fit with one factor more from: d, and ``most`` Heywood cases.

    Parameters
    ----------
    errors : Errors
    E : ndarray, shape (n, K)
        Residuals.
    F, d : ndarray, shapes (K, q), (K,)
        A fit of them.
    floor : ndarray, shape (K,)
        Lower bounds of d.

    Notes
    -----
    Cost O(n K^2), in tiles of at most (K, n).
    """
    n, K = E.shape
    s = np.einsum("kr,kr->k", F, F) + d
    base = np.maximum(d, 1e-6 * s)
    gain = np.full(K, -1.0)
    size = min(n, K)
    for at in range(0, K, size):
        tile = np.arange(at, min(at + size, K))
        gain[tile] = -0.5 * np.log1p(-_explained(errors, E, F, base, tile)).sum(axis=0)
    gain[d < _TAKEN * s] = -1.0
    chosen = np.argsort(-gain, kind="stable")[:most]
    chosen = chosen[gain[chosen] > 0.0]
    out = [d]
    if len(chosen):
        left = np.maximum(1.0 - _explained(errors, E, F, base, chosen), 0.05)
        for i, j in enumerate(chosen):
            start = d * left[:, i]
            start[j] = floor[j]
            out.append(start)
    return out


def _explained(errors: Errors, E: Array, F: Array, base: Array, tile: Array) -> Array:
    """rho_kj^2 of all k and the equations j of a tile, (K, len(tile)); 0 at k = j."""
    R = errors.moments(E, tile) - F @ F[tile].T
    rho2 = np.minimum(R * R / base[:, None] / base[tile], 0.99)
    rho2[tile, np.arange(len(tile))] = 0.0
    return np.asarray(rho2)


def climb_alone(problem: Problem, rank: int, d: Array | None = None, gtol: float = _EXACT) -> Climb:
    """A climb where beta is OLS whatever Sigma is: factor analyses of the OLS residuals.

    ``d`` (K,) starts one more fit of the last rank. All fits of the last rank come back, the
    lowest first; each ends at gradients below ``gtol``.
    """
    E, floor, constant = problem.E_ols, problem.floor, problem.errors.constant

    def fit(q: int, start: Array | None) -> SigmaStep:
        return problem.sigma_step(E, q, d=start, gtol=gtol)

    pool = [fit(0, problem.s_ols)]
    rungs = []
    for q in range(1, rank + 1):
        rungs.append(_rung(pool[0].nll + constant, pool[0]))
        tried = _TRIED if len(pool) > 1 else max(_TRIED, _WIDTH)
        new = [
            fit(q, start)
            for F, d in map(_parts, pool)
            for start in added(problem.errors, E, F, d, floor, tried)
        ]
        if q == 1 or q == rank:
            new.append(fit(q, None))
        if q == rank and d is not None:
            new.append(fit(q, d))
        pool = sorted(new, key=lambda f: f.nll) if q == rank else distinct(new, _WIDTH)
    nll = [f.nll + constant for f in pool]
    return Climb([Start("grow", d=_parts(f)[1], block=f.block) for f in pool], nll, rungs)


def climb(problem: Problem, rank: int, ends: int = 2, tried: int = _TRIED) -> Climb:
    """A climb that refits beta at every rung, where rank - 1 ends in ``ends`` starts of ``rank``.

    At a rung of fewer factors the best factor analysis of the rung below's residuals is run to
    convergence, and so is the OLS start; the better is climbed on from. ``tried`` Heywood starts
    are factor-analysed at each.
    """
    E, gamma = problem.E_ols, problem.gamma_ols
    F, d = np.empty((problem.K, 0)), problem.s_ols
    rungs = [Rung(problem.sigma_step(E, 0, d=d, gtol=1.0).nll + problem.errors.constant, 0)]
    for q in range(1, rank):
        watch = Watch(None, problem.K)
        fits: list[Solution] = []
        for start in [*_grown(problem, q, E, gamma, F, d, 1, tried), Start()]:
            known = fits[0] if fits and fits[0].converged else None
            fits.append(als(problem, q, start, callback=watch, known=known))
            watch.best = min(f.nll for f in fits)
        best = min(fits, key=lambda f: f.nll)
        rungs.append(_rung(best.nll, best))
        E, gamma = best.E, best.gamma
        F, d = _parts(best)
    starts = _grown(problem, rank, E, gamma, F, d, ends, tried)
    return Climb(starts, [], rungs)


def _grown(
    problem: Problem,
    rank: int,
    E: Array,
    gamma: Array,
    F: Array,
    d: Array,
    most: int,
    tried: int,
) -> list[Start]:
    """The ``most`` lowest factor analyses of E from (F, d) and a factor more, as starts."""
    fits = [
        problem.sigma_step(E, rank, d=start, gtol=_ROUGH)
        for start in added(problem.errors, E, F, d, problem.floor, tried)
    ]
    return [
        Start("grow", gamma=gamma, d=_parts(f)[1], near=f.cov, block=f.block)
        for f in distinct(fits, most)
    ]


def distinct(fits: Sequence[SigmaStep], most: int) -> list[SigmaStep]:
    """The ``most`` lowest that are on their way to different ends, the lowest first.

    Two are on one way whose NLLs per row are within 1e-6; or within 1e-3, with all uniquenesses
    within .15 of one another in logs. Of 7,900 pairs of rough factor analyses from different starts
    half of those with one end were seen so, and none with two, which differ by .24 or more.
    """
    out: list[SigmaStep] = []
    for f in sorted(fits, key=lambda f: f.nll):
        if not any(_alike(f, kept) for kept in out):
            out.append(f)
        if len(out) == most:
            break
    return out


def _alike(f: SigmaStep, kept: SigmaStep) -> bool:
    """Whether a fit is on its way to where a lower one is."""
    if f.nll <= kept.nll + _SAME:
        return True
    if f.nll > kept.nll + _NEAR:
        return False
    ratio = _parts(f)[1] / _parts(kept)[1]
    return bool(np.abs(np.log(ratio)).max() < _NEAR_D)


def _parts(fit: SigmaStep | Solution) -> tuple[Array, Array]:
    """F and d of a fit of a law that climbs."""
    factors = factors_of(fit.cov)
    return factors.loadings, factors.uniquenesses


def _rung(nll: float, fit: SigmaStep | Solution) -> Rung:
    return Rung(float(nll), int(np.count_nonzero(fit.at_bound)))
