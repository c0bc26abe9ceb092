"""The bias of b from factors and loadings that are estimated, to be added to b.

In units of the errors, W = U s V' + E, G = U diag(1/s) V' and D = H/2 (Bai 2009, theorem 3; Moon
and Weidner 2017, Econometric Theory 33, theorem 4.3),

    units    b_k = sum_i omega_i [M_V A_k' G]_ii,    omega_i = |E_i|^2 / (1 - h_i)
    periods  b_k = tr Omega M_U A_k G',    Omega_ts = k_ts e_t'e_s / ((1 - g_t)(1 - g_s))^1/2
    lags     b_k = sum_{s < t <= s + M} [P_U]_st e_s' (A_k M_V)_t / (1 - g_s)
             with known factors among U

    correction  D^-1 (units + periods + lags).

"units" is Bai's B, of error variances that differ between units: with weights 1/d_i there are
none left but the errors of d, and it is small; "periods" is his C, of variances that differ
between periods (Omega diagonal) or errors that are correlated in time (Bartlett's kernel, `lags`).
"lags" is for regressors that follow past errors, a lagged y above all, and is that of Nickell
(1981) where the only factor is a unit effect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.interactive.fit import InteractiveFit
from sm_alsgls.core.interactive.influence import Influence

Array = np.ndarray


class Bias(NamedTuple):
    """Corrections (p,), to be added to b."""

    units: Array
    periods: Array
    lags: Array

    @property
    def total(self) -> Array:
        """Their sum."""
        return self.units + self.periods + self.lags


def bias(fit: InteractiveFit, found: Influence, *, serial: int = 0, predetermined: int = 0) -> Bias:
    """The corrections.

    Parameters
    ----------
    fit : InteractiveFit
    found : Influence
        Of the same fit.
    serial : int
        Lags of the kernel in Omega; 0 is a diagonal Omega.
    predetermined : int
        M, how many periods on a regressor may follow an error; 0 where none does.

    Notes
    -----
    Holes are cells without an error; their regressors are as `influence` fills them.
    """
    U, s, V, _ = fit.at.factors
    X, E, p = found.A, found.E, fit.W.p
    zero = np.zeros(p)
    if p == 0 or not (len(s) or predetermined):
        return Bias(zero, zero, zero)
    h, g = _kept(found.h), _kept(found.g)
    # M_V A_k' U diag(1/s) and M_U A_k V diag(1/s): (p, n, r), (p, T, r). A has no effects left.
    AU = np.swapaxes(X, 1, 2) @ (U / s)
    AU -= V @ (V.T @ AU)
    AV = X @ (V / s)
    AV -= U @ (U.T @ AV)
    omega = np.einsum("tn,tn->n", E, E) / h
    units = np.einsum("n,knr,nr->k", omega, AU, V)
    e = E / np.sqrt(g)[:, None]
    periods = np.einsum("t,ktr,tr->k", np.einsum("tn,tn->t", e, e), AV, U)
    for lag in range(1, min(serial, len(e) - 1) + 1):
        weight = 1.0 - lag / (serial + 1.0)
        gamma = np.einsum("tn,tn->t", e[lag:], e[:-lag])
        periods += weight * np.einsum("t,ktr,tr->k", gamma, AV[:, lag:], U[:-lag])
        periods += weight * np.einsum("t,ktr,tr->k", gamma, AV[:, :-lag], U[lag:])
    lags = np.zeros(p)
    if predetermined:
        left = np.column_stack([fit.W.L, U])
        right = X - (X @ V) @ V.T
        past = E / g[:, None]
        for lag in range(1, min(predetermined, len(e) - 1) + 1):
            share = np.einsum("tk,tk->t", left[lag:], left[:-lag])
            lags += np.einsum("t,tn,ktn->k", share, past[:-lag], right[:, lag:])
    return Bias(found.bread @ units, found.bread @ periods, found.bread @ lags)


def _kept(share: Array) -> Array:
    return np.maximum(1.0 - share, 0.01)
