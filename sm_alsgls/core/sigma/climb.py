"""The climb of a Sigma-step: its likelihood over x = log d, from wherever eigenpairs come.

The mathematics is told in `sm_alsgls.core.sigma.factor`; here are the objective, its projected
Newton or limited-memory BFGS steps, and the ways on to a bound and off it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.core.sigma.spectrum import Spectrum
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.low_rank_diag import adopted

Array = np.ndarray
Sums = Callable[[Array, Array, Array, Array | None], tuple[Array, float]]


class FactorSolution(NamedTuple):
    """What the Sigma-step returns.

    Attributes
    ----------
    F, d : ndarray, shapes (K, r), (K,)
        Loadings and uniquenesses.
    nll : float
        Objective f per row, without K log(2 pi) / 2; includes the ridge.
    gradient : float
        Largest |df/dlog d_j| over free d_j, and of f's gradient in D^-1/2 F.
    at_bound : ndarray of bool, shape (K,)
        Heywood cases: d_j on its lower bound with f still falling outwards.
    evaluations : int
        Of f.
    converged : bool
    block : ndarray or None
        Basis to start the next eigen-iteration from.
    scores : ndarray or None, shape (r, n)
        F'D^-1 E', where the eigen-iteration knows it.
    nll_near : float or None
        The objective at the Sigma that the step was told to be near, where it is known.
    """

    F: Array
    d: Array
    nll: float
    gradient: float
    at_bound: Array
    evaluations: int
    converged: bool
    block: Array | None = None
    scores: Array | None = None
    nll_near: float | None = None

    @property
    def cov(self) -> LowRankDiag:
        """F F' + D, which owns the arrays from here on."""
        return adopted(self.F, self.d)


class _Point(NamedTuple):
    x: Array
    d: Array
    nll: float
    gradient: Array
    lam: Array
    V: Array
    residual: float
    rounding: float
    near_heywood: bool
    seen: Array | None


def climb(
    source: Spectrum,
    sums: Sums,
    d: Array,
    floor: Array,
    s: Array,
    *,
    lam_F: float,
    gtol: float,
    max_iter: int = 500,
    across: Across = ALONE,
) -> FactorSolution:
    """The maximum over d, from where eigenpairs come from.

    Parameters
    ----------
    source : Spectrum
        Eigenpairs of D^-1/2 S D^-1/2 at any d.
    sums : callable
        Of d, V, lambda and V'D^-1/2 E' where it is known: gradient and trace without cancellation.
    d, floor, s : ndarray, shape (K,)
        Uniquenesses to start from, their bounds, and residual variances.
    across : Across, optional
        Sums over equations of which these are a part.
    """
    point, evaluations, converged, at_bound = _minimise(
        _objective(source, sums, s, lam_F, across),
        source.hessian if lam_F == 0.0 else lambda d: None,
        np.log(np.maximum(d, floor)),
        np.log(floor),
        s,
        gtol,
        max_iter,
        across,
    )
    F = np.sqrt(point.d)[:, None] * point.V * np.sqrt(point.lam - 1.0)
    size = np.abs(np.where(at_bound, 0.0, point.gradient))
    gradient = max(across.largest(float(size.max())), point.residual)
    root = np.sqrt(point.lam - 1.0)
    return FactorSolution(
        F,
        point.d,
        point.nll,
        gradient,
        at_bound,
        evaluations,
        converged,
        source.block,
        None if point.seen is None else root[:, None] * point.seen,
    )


# Steps in a row that change f by rounding only: the gradient still shrinks for a few of them, then
# it is rounding itself.
_MOST_FLAT = 12
# Above this ratio s_j / d_j the trace of S Sigma^-1 loses too many digits as a difference.
_NEAR_HEYWOOD = 1e2
# Ratio from which eigenpairs of the rest may have to be found apart (`pairs_apart`), and the
# tolerance from which that counts: f would be wrong by rounding of the ratio, and falls by the
# square of the gradient.
_HEAVY, _FINE = 1e6, 1e-4
# Largest gradient at which what is on a bound that is no minimum is lifted off it: the rest need
# not be at its end there. At .1 one of 1,561 searches missed its maximum, here none.
_SETTLED = 0.05
# Not ndarray.sum, which takes twice as long to get there: this is in the loop of every fit.
_sum, _largest, _any = np.add.reduce, np.maximum.reduce, np.logical_or.reduce


def _objective(
    source: Spectrum,
    sums: Sums,
    s: Array,
    lam_F: float,
    across: Across,
) -> Callable[[Array, float], _Point]:
    """f and its gradient as a function of x = log d and the eigenpairs' tolerance."""
    summed = across.total
    K = summed(float(len(s)))

    def evaluate(x: Array, tol: float) -> _Point:
        d = np.exp(x)
        ratio = s / d
        largest = across.largest(float(_largest(ratio)))
        heavy = ratio > _HEAVY if largest > _HEAVY and tol < _FINE else None
        theta, V, residual = source.pairs(d, tol, heavy)
        lam = theta
        if lam_F > 0.0:
            lam = 2.0 * theta / (1.0 + np.sqrt(1.0 + 4.0 * lam_F * theta))
        lam = np.maximum(lam, 1.0)
        total = summed(float(_sum(ratio)))
        near_heywood = largest >= _NEAR_HEYWOOD
        if near_heywood:
            gradient, quadratic = sums(d, V, lam, source.seen)
            gradient -= 0.5 * lam_F * (np.square(V) @ (lam - 1.0))
            total = summed(float(np.minimum(ratio, _NEAR_HEYWOOD).sum()))
        else:
            explained = theta - theta / lam
            gradient = 0.5 * (1.0 - ratio + np.square(V) @ explained)
            quadratic = total - float(_sum(explained))
        penalty = lam_F * float((lam - 1.0).sum()) if lam_F > 0.0 else 0.0
        nll = 0.5 * (summed(float(_sum(x))) + float(_sum(np.log(lam))) + quadratic + penalty)
        rounding = 1e-15 * (K + abs(nll) + total)
        return _Point(x, d, nll, gradient, lam, V, residual, rounding, near_heywood, source.seen)

    return evaluate


def _minimise(
    evaluate: Callable[[Array, float], _Point],
    hessian: Callable[[Array], Array | None],
    x: Array,
    low: Array,
    s: Array,
    gtol: float,
    max_iter: int,
    across: Across,
) -> tuple[_Point, int, bool, Array]:
    """Projected Newton on x = log d where the Hessian is cheap, else limited-memory BFGS."""
    memory = SecantMemory(12, across)
    # d_j <= s_j at a maximum; a little more leaves room, and keeps far starts from overflowing.
    high = np.maximum(low, np.log(np.maximum(s, 1e-300))) + 1.0
    # A first gradient that is mostly its own error would be followed, and cost several steps.
    point = evaluate(np.minimum(x, high), min(1e-2, gtol))
    evaluations = 1
    snapped_at = np.full(len(x), np.inf)
    flat = 0
    while True:
        at_bound = point.x <= low
        gradient, free = point.gradient, None
        if across.largest(float(_any(at_bound))):
            at_bound &= gradient > 0.0
            free = ~at_bound
            gradient = np.where(free, gradient, 0.0)
        size = across.largest(float(_largest(np.abs(gradient))))
        tol = max(0.1 * gtol, 0.1 * size)
        done = size <= gtol
        if done and point.residual > gtol:
            point = evaluate(point.x, 0.5 * gtol)
            evaluations += 1
            if point.residual > gtol:
                return point, evaluations, False, at_bound
            continue
        if point.near_heywood:
            trial, spent = _towards_bounds(evaluate, point, low, s, snapped_at, tol, done, across)
            evaluations += spent
            if trial is None and size <= max(gtol, _SETTLED):
                trial, spent = _off_bounds(evaluate, point, low, s, tol, across)
                evaluations += spent
            if trial is not None:
                point = trial
                memory.clear()
                continue
        if done or evaluations >= max_iter or flat > _MOST_FLAT:
            return point, evaluations, done, at_bound
        direction = _newton(hessian(point.d), gradient, free)
        if direction is None:
            direction = _direction(memory, gradient, free, across)
        slope = across.total(float(direction @ gradient))
        step = 1.0
        while True:
            trial = evaluate(np.minimum(np.maximum(point.x + step * direction, low), high), tol)
            evaluations += 1
            if trial.nll <= point.nll + 1e-4 * step * slope + point.rounding:
                break
            if evaluations >= max_iter or step < 1e-6:
                trial = None
                break
            # Inexact eigenvectors can hide a descent that is there.
            tol = max(0.1 * tol, 1e-13)
            curvature = 2.0 * (trial.nll - point.nll - step * slope)
            step *= min(0.5, max(0.1, -slope * step / curvature))
        if trial is not None:
            memory.push(trial.x - point.x, trial.gradient - point.gradient, step * slope)
            flat = flat + 1 if trial.nll >= point.nll - point.rounding else 0
            point = trial
        elif len(memory):
            memory.clear()
        else:
            return point, evaluations, False, at_bound


def _newton(H: Array | None, gradient: Array, free: Array | None) -> Array | None:
    """Newton's direction, of at most 3 units of log d; None where f is not convex enough."""
    if H is None:
        return None
    if free is not None:
        H = np.where(free & free[:, None], H, 0.0)
        H.ravel()[:: len(H) + 1] += ~free
    _, direction, info = dposv(H, -gradient)
    if info != 0:
        return None
    # Far from the maximum a step of steepest descent is the better one: H is nearly singular.
    return direction if _largest(np.abs(direction)) <= 3.0 else None


def _direction(memory: SecantMemory, gradient: Array, free: Array | None, across: Across) -> Array:
    """A descent direction of at most 3 units of log d."""
    direction = gradient
    if len(memory):
        direction = memory.direction(gradient, lambda q: 2.0 * q, free)
        if free is not None:
            direction = np.where(free, direction, 0.0)
    if not across.total(float(direction @ gradient)) < 0.0:
        memory.clear()
        # The classical fixed point, kept from leaping where s_j - |f_j|^2 is near or below 0.
        direction = np.log(np.maximum(1.0 - 2.0 * gradient, 0.1))
    largest = across.largest(float(np.abs(direction).max()))
    return direction * (3.0 / largest) if largest > 3.0 else direction


def _towards_bounds(
    evaluate: Callable[[Array, float], _Point],
    point: _Point,
    low: Array,
    s: Array,
    snapped_at: Array,
    tol: float,
    last: bool,
    across: Across,
) -> tuple[_Point | None, int]:
    """Put every d_j below 1 % of s_j that is still falling on its bound, if that lowers f.

    f is smooth in d_j at 0, so its slope in log d_j vanishes with d_j: a Heywood case crawls,
    and looks stationary long before the bound, at a place that depends on the path. Tried again
    for a d_j only after it fell to a tenth (``snapped_at`` remembers where), and at the ``last``.
    """
    falling = (point.gradient > 0.0) & (point.x > low) & (point.d < 1e-2 * s)
    falling &= last | (point.d < 0.1 * snapped_at)
    if not across.largest(float(_any(falling))):
        return None, 0
    snapped_at[falling] = point.d[falling]
    trial = evaluate(np.where(falling, low, point.x), tol)
    return (trial if trial.nll < point.nll + last * point.rounding else None), 1


def _off_bounds(
    evaluate: Callable[[Array, float], _Point],
    point: _Point,
    low: Array,
    s: Array,
    tol: float,
    across: Across,
) -> tuple[_Point | None, int]:
    """Lift every d_j whose bound is not a minimum off it, to where f is lower."""
    inward = (point.gradient < -1e-3 * point.d / s) & (point.d < 1e-5 * s)
    if not across.largest(float(inward.any())):
        return None, 0
    for spent, share in enumerate((0.1, 0.01, 1e-3, 1e-4), start=1):
        trial = evaluate(np.where(inward, np.log(share * s), point.x), tol)
        if trial.nll < point.nll:
            return trial, spent
    return None, spent
