"""Cells that were not observed: their fills are one more argument of the sum of squares.

Over the observed cells the least sum of squares is the least over any fills m of the others, and

    S(m) = min over b of S(b; m),     dS/dm~ = 2 E on the holes,     m~ = m / d_i^1/2,

E being what regressors, effects and factors leave of the filled panel. EM, which puts in what is
fitted, is the step m~ - E: steepest descent of a function whose curvature is at most 2. It is
accelerated by a limited memory (L-BFGS) that begins from 1/2, and ends by the rule of the climb in
b: where the fall to come, half g' H g, is gtol^2 S / f. A regressor's own holes are filled once,
for any numbers there have the same minimum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sm_alsgls.core.interactive.climb import STATIONARY, Climb, climb, freedom
from sm_alsgls.core.interactive.panel import Panel
from sm_alsgls.core.interactive.scaled import Scaled
from sm_alsgls.core.sigma.secant import SecantMemory

Array = np.ndarray

_HALVINGS = 20


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
    Y, m = fills.copy(), fills[hole] / root

    def at(m: Array, near: Climb | None) -> Climb:
        Y[hole] = m * root
        start, near_block = (beta, block) if near is None else (near.at.beta, near.at.factors.block)
        return climb(W.with_y(Y), rank, start, label, gtol=gtol, block=near_block)

    now = at(m, None)
    f = max(freedom(W, rank) - float(hole.sum()), 1.0)
    memory, steps = SecantMemory(10), now.steps
    status = f"{max_iter} rounds of fills did not suffice: raise max_iter"
    for _ in range(max_iter):
        g = 2.0 * now.at.E[hole]
        direction = memory.direction(g, lambda v: 0.5 * v)
        slope = float(g @ direction)
        if -0.5 * slope <= gtol**2 * now.at.S / f:
            status = now.status
            break
        share, new = 1.0, None
        for _ in range(_HALVINGS):
            tried = at(m + share * direction, now)
            steps += tried.steps + 1
            fall, end = now.at.S - tried.at.S, float(2.0 * tried.at.E[hole] @ direction)
            # As in the climb of b: a fall below the rounding of S is judged by the slope.
            if fall >= -1e-4 * share * slope or (
                abs(fall) <= 1e-13 * now.at.S and abs(end) < 0.5 * abs(slope)
            ):
                new = tried
                break
            share *= 0.5
        if new is None:
            near = -0.5 * slope <= 1e-12 * now.at.S
            if near or not len(memory):
                status = STATIONARY if near else "no step of the fills goes down"
                break
            memory.clear()
            continue
        memory.push(share * direction, 2.0 * new.at.E[hole] - g, share * slope)
        m, now = m + share * direction, new
    Y[hole] = m * root
    return replace(now, steps=steps, status=status), Y
