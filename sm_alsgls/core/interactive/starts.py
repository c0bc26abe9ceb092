"""Where climbs begin: the sum of squares has many minima, and each start finds another best.

ols       b without factors
within    b with unit and time effects
cce       b after each unit's regression on the averages over units of y and x (Pesaran 2006)
nuclear   b of   min 1/2 |W(b) - G|^2 + psi |G|_1,   |G|_1 the sum of its singular values: the
          convex problem that is nearest (Moon and Weidner 2018, arXiv 1810.10987). Over G it is
              sum_k q(s_k),  q(s) = s^2/2 up to psi, psi s - psi^2/2 beyond,
          with gradient -tr A_j'(W - U (s - psi)_+ V'); psi is s_{r+1} at ols, the size of noise
wider     b with more factors, which costs little precision (Moon and Weidner 2015), and whose
          sum of squares is smoother
random    around ols, as far as a slope that would explain all of y
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.optimize

from sm_alsgls.core.interactive.climb import climb
from sm_alsgls.core.interactive.holes import drawn_fills, soft_fills
from sm_alsgls.core.interactive.leading import leading
from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.scaled import Scaled, scaled

Array = np.ndarray

_WIDER = 2
#: Starts that are constructed, at most.
CONSTRUCTED = 5


class Start(NamedTuple):
    """Where a climb begins; Y filled, or None for means of what b leaves."""

    label: str
    beta: Array
    fills: Array | None = None


def constructed(panel: Panel, effects: Effects, W: Scaled, rank: int) -> Iterator[Start]:
    """The starts that are not drawn, one by one; those that exist."""
    ols = W.least_squares()
    yield Start("ols", ols)
    if rank == 0:
        return
    T, n = panel.Y.shape
    both = Effects(_beside(effects.L, np.ones((T, 1))), _beside(effects.C, np.ones((n, 1))))
    if both.L.shape[1] > effects.L.shape[1] or both.C.shape[1] > effects.C.shape[1]:
        yield Start("within", scaled(panel, both, W.d, W.rho).least_squares())
    averages = np.column_stack([panel.Y.mean(axis=1), panel.X.mean(axis=2).T])
    L = _beside(effects.L, averages)
    if L.shape[1] < T - 1:
        yield Start("cce", scaled(panel, Effects(L, effects.C), W.d, W.rho).least_squares())
    near = nuclear(W, rank, ols)
    if panel.seen is None:
        yield Start("nuclear", near)
    else:
        fills, near = soft_fills(panel, W, rank, near)
        yield Start("nuclear", near, fills)
    most = min(T - W.L.shape[1], n - W.Q.shape[1])
    if 2 * (rank + _WIDER) < most:
        yield Start("wider", climb(W, rank + _WIDER, ols, gtol=1e-2, max_iter=10).at.beta)


def drawn(panel: Panel, W: Scaled, rng: np.random.Generator, count: int) -> Iterator[Start]:
    """Random starts."""
    ols = W.least_squares()
    size = np.linalg.norm(W.y) / np.sqrt(np.maximum(np.diag(W.gram), 1e-300))
    for number in range(count):
        beta, label = ols + size * rng.standard_normal(W.p), f"random {number + 1}"
        if panel.seen is None:
            yield Start(label, beta)
        else:
            yield Start(label, ols, drawn_fills(panel, ols, rng))


def nuclear(W: Scaled, rank: int, beta: Array) -> Array:
    """The nuclear-norm-regularised b, to a hundredth or so of its standard error."""
    R = W.residual(beta)
    most = min(2 * rank + 4, min(R.shape))
    found = leading(R, most, tol=1e-6)
    psi = found.s[min(rank, most - 1)]
    root = np.linalg.cholesky(W.gram)
    # Units in which f and the slopes are about one, so that tolerances are shares of them.
    scale = max(0.5 * float(np.vdot(R, R)), 1e-300)
    size = np.sqrt(2.0 * scale)
    block = found.block

    def value(z: Array) -> tuple[float, Array]:
        nonlocal block
        R = W.residual(beta + size * np.linalg.solve(root.T, z))
        top = leading(R, most, block, tol=1e-4)
        block = top.block
        over = np.maximum(top.s - psi, 0.0)
        E = R - (top.U * over) @ top.V.T
        f = 0.5 * float(np.vdot(R, R) - over @ over)
        return f / scale, -np.linalg.solve(root, W.A @ E.ravel()) * (size / scale)

    answer = scipy.optimize.minimize(
        value, np.zeros(W.p), jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 30}
    )
    return np.asarray(beta + size * np.linalg.solve(root.T, answer.x))


def _beside(M: Array, more: Array) -> Array:
    """The columns of both that are independent, those of M first as they are."""
    kept = M
    for column in more.T:
        size = np.linalg.norm(column)
        left = column
        if kept.shape[1]:
            left = column - kept @ np.linalg.lstsq(kept, column, rcond=None)[0]
        if np.linalg.norm(left) > 1e-8 * size:
            kept = np.column_stack([kept, column])
    return kept
