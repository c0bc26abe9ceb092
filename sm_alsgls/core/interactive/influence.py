"""What each cell's error does to b:   b_hat - b = (Z Z')^-1 Z e,   to first order.

In units of the errors Z_j = M_U A_j M_V is what of a regressor neither factors nor loadings nor effects
span (Bai 2009, theorem 2). With holes it is the residual of the least squares fit of A_j over the
observed cells by all those, zero elsewhere: A_j's holes are filled so that |Z_j|^2 is least, by
conjugate gradients on the fills, whose matrix has eigenvalues from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.scaled import projected

Array = np.ndarray

_MOST_CG, _CG_TOL = 500, 1e-10


@dataclass(frozen=True)
class Influence:
    """Z, e and the shares of a cell's variance that the fit takes.

    Attributes
    ----------
    Z : ndarray, shape (p, T, n)
    E : ndarray, shape (T, n)
        Residuals in units of the errors; zero where nothing was observed.
    bread : ndarray, shape (p, p)
        (Z Z')^-1.
    g, h : ndarray, shape (T,) and (n,)
        Shares of periods in factors and known factors, of units in loadings and known loadings:
        var E_it = (1 - g_t)(1 - h_i) of unit errors.
    """

    Z: Array
    E: Array
    bread: Array
    g: Array
    h: Array

    @property
    def errors(self) -> Array:
        """E_it / ((1 - g_t)(1 - h_i))^1/2, which have the errors' variance; shape (T, n)."""
        left = np.maximum(np.outer(1.0 - self.g, 1.0 - self.h), _LEAST_LEFT)
        return np.asarray(self.E / np.sqrt(left))


# A cell that a fit has to itself has no residual to enlarge.
_LEAST_LEFT = 0.01


def influence(fit: InteractiveFit) -> Influence:
    """Z and what goes with it."""
    W, seen = fit.W, fit.panel.seen
    U, _, V, _ = fit.at.factors
    left, right = np.column_stack([W.L, U]), np.column_stack([W.Q, V])
    Z = projected(W.X, left, right)
    E = fit.at.E
    if seen is not None:
        Z = _observed(Z, left, right, ~seen)
        E = np.where(seen, E, 0.0)
    flat = Z.reshape(len(Z), -1)
    bread = np.linalg.inv(flat @ flat.T) if len(Z) else np.empty((0, 0))
    g = np.einsum("tk,tk->t", left, left)
    h = np.einsum("nk,nk->n", right, right)
    return Influence(Z, E, bread, g, h)


def _observed(Z: Array, left: Array, right: Array, hole: Array) -> Array:
    """Z of the best fills; each regressor has a system of its own."""
    out = np.empty_like(Z)
    for j, start in enumerate(Z):
        res = np.where(hole, -start, 0.0)
        total, direction = np.zeros_like(start), res.copy()
        rho = float(np.vdot(res, res))
        enough = _CG_TOL**2 * float(np.vdot(start, start))
        for _ in range(_MOST_CG):
            if rho <= enough:
                break
            image = np.where(hole, projected(direction, left, right), 0.0)
            curvature = float(np.vdot(direction, image))
            if curvature <= 0.0:
                break
            step = rho / curvature
            total += step * direction
            res -= step * image
            new = float(np.vdot(res, res))
            direction = res + (new / rho) * direction
            rho = new
        out[j] = np.where(hole, 0.0, start + projected(total, left, right))
    return out
