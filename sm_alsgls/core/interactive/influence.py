"""What each cell's error does to b:   b_hat - b = (H/2)^-1 Z e.

In units of the errors Z_j = M_U A_j M_V is what of a regressor neither factors nor loadings nor
effects span (Bai 2009, theorem 2). H is the Hessian of the sum of squares; to first order it is 2
Z Z', which leaves out that loadings and factors follow b, and standard errors were too small by it.

With holes Z_j is the residual of the least squares fit of A_j over the observed cells, zero
elsewhere: A_j's holes are filled so that |Z_j|^2 is least (`best_fills`). The Hessian is that of
regressors filled so, at fixed fills of y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.best_fills import best_fills
from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.profile import hessian
from sm_alsgls.core.interactive.scaled import projected

Array = np.ndarray


@dataclass(frozen=True)
class Influence:
    """Z, e and the shares of a cell's variance that the fit takes.

    Attributes
    ----------
    Z : ndarray, shape (p, T, n)
    A : ndarray, shape (p, T, n)
        The regressors, filled.
    E : ndarray, shape (T, n)
        Residuals in units of the errors; zero where nothing was observed.
    bread : ndarray, shape (p, p)
        (H/2)^-1; (Z Z')^-1 where H has not enough curvature.
    curved : bool
        Whether bread is of H.
    g, h : ndarray, shape (T,) and (n,)
        Shares of periods in factors and known factors, of units in loadings and known loadings:
        var E_it = (1 - g_t)(1 - h_i) of unit errors.
    spread : ndarray, shape (n,)
        E(d_i | s_i^2) / d_i: weights are means of 1/d_i, of which the inverse is less than the mean
        of d_i. 1 where weights are equal or were given.
    kept : float
        What weights and residuals of the same errors keep of the variance of the scores, at most 1.
    """

    Z: Array
    A: Array
    E: Array
    bread: Array
    curved: bool
    g: Array
    h: Array
    spread: Array
    kept: float

    @property
    def errors(self) -> Array:
        """E_it / ((1 - g_t)(1 - h_i))^1/2, which have the errors' variance; shape (T, n)."""
        left = np.maximum(np.outer(1.0 - self.g, 1.0 - self.h), _LEAST_LEFT)
        return np.asarray(self.E / np.sqrt(left))


# A cell that a fit has to itself has no residual to enlarge.
_LEAST_LEFT = 0.01


# Least share of Z Z' that H/2 may have in any direction: below, a quadratic says nothing.
_LEAST_CURVATURE = 0.25


def influence(fit: InteractiveFit) -> Influence:
    """Z and what goes with it."""
    W, seen = fit.W, fit.panel.seen
    U, _, V, _ = fit.at.factors
    left, right = np.column_stack([W.L, U]), np.column_stack([W.Q, V])
    A, E = W.X, fit.at.E
    if seen is not None:
        A = A + W.project(best_fills(A, lambda M: projected(M, left, right), ~seen))
        E = np.where(seen, E, 0.0)
        flat = A.reshape(W.A.shape)
        W = replace(W, A=flat, gram=flat @ flat.T)
    Z = projected(A, left, right)
    if seen is not None:
        Z = np.where(seen, Z, 0.0)
    bread, curved = np.empty((0, 0)), False
    if W.p:
        flat = Z.reshape(W.A.shape)
        D, H = flat @ flat.T, 0.5 * hessian(W, fit.at)
        curved = bool(scipy.linalg.eigvalsh(H, D)[0] > _LEAST_CURVATURE)
        bread = np.linalg.inv(H if curved else D)
    g = np.einsum("tk,tk->t", left, left)
    h = np.einsum("nk,nk->n", right, right)
    spread, kept = _estimated_weights(fit, Z, bread)
    return Influence(Z, A, E, bread, curved, g, h, spread, kept)


def _estimated_weights(fit: InteractiveFit, Z: Array, bread: Array) -> tuple[Array, float]:
    """``spread`` and ``kept``: of units whose s_i^2 is small by chance weights are too large.

    sum_i z_i s_i^2 / d_i, what robust scores add up, is on average short of what they are given the
    s_i^2, sum_i z_i E(d_i | s_i^2) / d_i, z_i being a unit's share of the information.
    """
    found = fit.variances
    if not fit.weight_steps or np.isinf(found.nu0) or not len(Z):
        return np.ones(fit.panel.n), 1.0
    nu = found.nu0 + found.nu
    # The mean of an inverse chi-square of two degrees or less is infinite.
    spread = nu / np.maximum(nu - 2.0, 0.5 * nu)
    z = np.einsum("jtn,jk,ktn->n", Z, bread, Z, optimize=True)
    return spread, min(float(z @ (found.raw / found.d)) / float(z @ spread), 1.0)
