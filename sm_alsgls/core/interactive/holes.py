"""Cells that were not observed: their fills are arguments of the sum of squares, beside b.

Over the observed cells the least sum of squares is the least over any fills m of the others,

    S(b, m),     dS/dm~ = 2 E on the holes,     m~ = m / d_i^1/2,

E being what regressors, effects and factors leave of the filled panel. EM, which puts in what is
fitted, is the step m~ - E: steepest descent of a function whose curvature in m~ is at most 2. It is
accelerated by a limited memory (L-BFGS) that begins from 1/2 for the fills and from Newton's step
for b, and ends by the rule of the climb: where the fall to come, half g' H g, is gtol^2 S / f. A
regressor's own holes are filled once, for any numbers there have the same minimum.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sm_alsgls.core.interactive.climb import (
    STATIONARY,
    Climb,
    climb,
    freedom,
    inverse_curvature,
)
from sm_alsgls.core.interactive.leading import leading
from sm_alsgls.core.interactive.panel import Panel
from sm_alsgls.core.interactive.profile import Point, point
from sm_alsgls.core.interactive.scaled import Scaled
from sm_alsgls.core.sigma.secant import SecantMemory

Array = np.ndarray

_HALVINGS, _MEMORY = 20, 20
# Rounds after which b's curvature is computed anew.
_AFRESH = 25
# Of the shrinkage, and rounds of each.
_LEVELS, _ROUNDS = 6, 4


def filled(panel: Panel) -> Panel:
    """The same panel with y and x in its holes: means of units and periods, added."""
    if panel.seen is None:
        return panel
    X = np.stack([additive_fill(x, panel.seen) for x in panel.X]) if panel.p else panel.X
    return Panel(additive_fill(panel.Y, panel.seen), X, panel.seen)


def additive_fill(M: Array, seen: Array) -> Array:
    """M with its holes filled by a unit's mean, and a period's of what units' means leave."""
    kept = np.where(seen, M, 0.0)
    unit = kept.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    rest = np.where(seen, M - unit, 0.0)
    time = rest.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return np.where(seen, M, unit + time[:, None])


def climb_observed(
    panel: Panel,
    W: Scaled,
    rank: int,
    beta: Array,
    label: str,
    *,
    gtol: float = 1e-8,
    max_iter: int = 500,
    fills: Array | None = None,
    block: Array | None = None,
) -> tuple[Climb, Array]:
    """Minimise over b and fills; what the whole panel would do where nothing is missing.

    Parameters
    ----------
    panel : Panel
        Filled.
    W : Scaled
        Of this panel.
    rank, beta, label, gtol, max_iter, block
        As `climb` has them.
    fills : ndarray, shape (T, n), optional
        Y filled, to begin from. Default: residuals of ``beta``, filled by means.

    Returns
    -------
    Climb, and Y filled (T, n)
    """
    if panel.seen is None:
        return climb(W, rank, beta, label, gtol=gtol, max_iter=max_iter, block=block), panel.Y
    hole = ~panel.seen
    root = np.broadcast_to(np.sqrt(W.d), panel.Y.shape)[hole]
    if fills is None:
        explained = np.tensordot(beta, panel.X, 1)
        fills = explained + additive_fill(panel.Y - explained, panel.seen)
    Y, holes = fills.copy(), int(hole.sum())
    z = np.concatenate([fills[hole] / root, beta])

    def at(z: Array, near: Array | None) -> Point:
        Y[hole] = z[:holes] * root
        return point(W.with_y(Y), rank, z[holes:], near)

    def slopes(now: Point) -> Array:
        return np.concatenate([2.0 * now.E[hole], now.gradient])

    now = at(z, block)
    f = max(freedom(W, rank) - holes, 1.0)
    memory, inverse = SecantMemory(_MEMORY), None
    status = f"{max_iter} rounds of fills did not suffice: raise max_iter"
    for steps in range(max_iter):
        g = slopes(now)
        if inverse is None or (steps % _AFRESH == 0 and W.p):
            inverse = inverse_curvature(W.with_y(Y), now) if W.p else np.empty((0, 0))
        direction = memory.direction(g, partial(_before, inverse, holes))
        slope = float(g @ direction)
        if -0.5 * slope <= gtol**2 * now.S / f:
            status = STATIONARY
            break
        share, new = 1.0, None
        for _ in range(_HALVINGS):
            tried = at(z + share * direction, now.factors.block)
            fall = now.S - tried.S
            # As in the climb of b: a fall below the rounding of S is judged by the slope.
            if fall >= -1e-4 * share * slope or (
                abs(fall) <= 1e-13 * now.S
                and abs(float(slopes(tried) @ direction)) < 0.5 * abs(slope)
            ):
                new = tried
                break
            share *= 0.5
        if new is None:
            if len(memory):
                memory.clear()
                continue
            status = STATIONARY if -0.5 * slope <= 1e-12 * now.S else "no step goes down"
            break
        memory.push(share * direction, slopes(new) - g, share * slope)
        z, now = z + share * direction, new
    Y[hole] = z[:holes] * root
    return Climb(label, now, steps, status), Y


def _before(inverse: Array, holes: int, g: Array) -> Array:
    """The inverse curvature that the memory begins from: 1/2 for fills, Newton's for b."""
    return np.concatenate([0.5 * g[:holes], inverse @ g[holes:]])


def soft_fills(panel: Panel, W: Scaled, rank: int, beta: Array) -> tuple[Array, Array]:
    """Fills and b on the way down from the convex problem of the nuclear norm.

    Singular values are shrunk by psi, which falls from the largest to the one after ``rank``: what
    Mazumder, Hastie and Tibshirani (2010, J. Machine Learning Research 11) do with all of a matrix.
    """
    hole = np.zeros(panel.Y.shape, dtype=bool) if panel.seen is None else ~panel.seen
    root, Y = np.sqrt(W.d), panel.Y.copy()
    inverse = np.linalg.pinv(W.gram)
    R = W.residual(beta)
    most = min(2 * rank + 4, *R.shape)
    s = leading(R, most).s
    for psi in np.geomspace(s[0], s[min(rank, most - 1)], _LEVELS):
        for _ in range(_ROUNDS):
            R = W.with_y(Y).residual(beta)
            top = leading(R, most)
            E = R - (top.U * np.maximum(top.s - psi, 0.0)) @ top.V.T
            Y -= np.where(hole, E * root, 0.0)
            beta = beta + inverse @ (W.A @ np.where(hole, 0.0, E).ravel())
    return Y, beta


def drawn_fills(panel: Panel, beta: Array, rng: np.random.Generator) -> Array:
    """Fills with noise as large as what ``beta`` leaves of the observed cells."""
    explained = np.tensordot(beta, panel.X, 1)
    seen = np.ones(panel.Y.shape, dtype=bool) if panel.seen is None else panel.seen
    left = panel.Y - explained
    noise = left[seen].std() * rng.standard_normal(panel.Y.shape)
    return np.where(seen, panel.Y, explained + additive_fill(left, seen) + noise)
