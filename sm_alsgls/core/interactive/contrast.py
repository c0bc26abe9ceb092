"""Contrasts of slopes beside fixed factors with two estimators that ask more of the factors.

In units of the errors, with R = W(b), A_j the regressors beside the additive effects, and b of
fixed factors,

    additive  b_A = (A A')^-1 A y,                        no factors
    random    b_R = (sum A_t' C A_t)^-1 sum A_t' C y_t,   C = I - V diag(g / (1 + g)) V',
              g_k = s_k^2 / T: generalised least squares with the factors in the covariance.

Where loadings are independent of the regressors b_A is consistent, factors or not (Kapetanios,
Serlenga and Shin 2023, J. of Econometrics 235); where factors are, b_R is. At the least sum of
squares tr A_j'E = 0, so that with the r leading triplets u_k s_k v_k' of R

    b_A - b = (A A')^-1 sum_i A_i' U diag(s) v_i,
    b_R - b = S^-1 sum_t A_t' V diag(s / (1 + g)) u_t,      S = sum_t A_t' C A_t,

sums over units of what loadings do, and over periods of what factors do. With psi their terms,

    V = G/(G-1) sum psi psi',     T2 = (b_A - b)' V^-1 (b_A - b),
    T2 (G - p) / ((G - 1) p) ~ F(p, G - p)

for G units (Hotelling 1931), whatever the correlation in time of a unit's errors; the other
likewise for G periods, with Bartlett's kernel over M of them, for factors are correlated in time.

Where cells are missing, y is filled with what is fitted, so that E is zero there, and each
estimator has regressors filled its own way (`best_fills`): K A_j, with K M = M for b_A and M C for
b_R, effects taken out of M, is zero on the holes. Both b are then least squares of the observed
cells, for the sum over all cells of (K A_j) times anything is that over the observed, and as
tr A_j'E = 0 for any fills of A_j, both differences are as above.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy import stats

from sm_alsgls.core.interactive.best_fills import best_fills
from sm_alsgls.core.interactive.fit import InteractiveFit

Array = np.ndarray


class Contrast(NamedTuple):
    """A difference of slopes, its covariance, and its test."""

    other: Array  #: (p,), the estimator that asks more
    difference: Array  #: (p,)
    cov: Array  #: (p, p)
    statistic: float  #: F
    df: tuple[int, int]
    pvalue: float


def additive(fit: InteractiveFit, params: Array) -> Contrast:
    """Against no factors.

    Parameters
    ----------
    fit : InteractiveFit
    params : ndarray, shape (p,)
        Slopes less their bias.
    """
    A = _filled(fit, fit.W.project)
    flat = A.reshape(fit.W.A.shape)
    return _contrast(flat @ flat.T, (A * fit.at.factors.product()).sum(axis=1), params, 0)


def random(fit: InteractiveFit, params: Array, lags: int) -> Contrast:
    """Against factors in the covariance; ``lags`` is M, others as of `additive`."""
    U, s, V, _ = fit.at.factors
    g = np.square(s) / fit.panel.T
    shrunk = V * (g / (1.0 + g))

    def left(M: Array) -> Array:
        M = fit.W.project(M)
        return np.asarray(M - (M @ shrunk) @ V.T)

    A = _filled(fit, left)
    AV = A @ V
    whole = A.reshape(len(A), -1)
    S = whole @ whole.T - np.einsum("jtr,r,ktr->jk", AV, g / (1.0 + g), AV)
    scores = np.einsum("jtr,tr->jt", AV, U * (s / (1.0 + g)))
    return _contrast(S, scores, params, lags)


def _filled(fit: InteractiveFit, left: Callable[[Array], Array]) -> Array:
    """The regressors in units of the errors, less effects; holes as an estimator fills them."""
    A, seen = fit.W.X, fit.panel.seen
    return A if seen is None else A + fit.W.project(best_fills(A, left, ~seen))


def _contrast(S: Array, scores: Array, params: Array, lags: int) -> Contrast:
    psi = scipy.linalg.solve(S, scores, assume_a="pos")
    p, G = psi.shape
    difference = psi.sum(axis=1)
    cov = psi @ psi.T
    for lag in range(1, lags + 1):
        one = psi[:, lag:] @ psi[:, :-lag].T
        cov += (1.0 - lag / (lags + 1.0)) * (one + one.T)
    cov *= G / (G - 1.0)
    square = float(difference @ np.linalg.solve(cov, difference))
    value = square * (G - p) / ((G - 1.0) * p)
    df = p, G - p
    return Contrast(params + difference, difference, cov, value, df, float(stats.f.sf(value, *df)))
