"""Covariances of b, shape (p, p), after Bai (2009, section 7): bread meat bread, bread = (H/2)^-1.

    nonrobust   meat  sum_i spread_i Z_i Z_i' S / df_resid
    hetero      meat  sum_it z_it z_it' e_it^2                             both ways
    serial      meat  sum_i sum_ts k(|t-s| / (M+1)) z_it z_is' e_it e_is   Bartlett's k
    unit        the same, k = 1: any dependence in time
    period      the same of a period's units: any dependence between units

with e_it = E_it / ((1 - g_t)(1 - h_i))^1/2, for what r (T + n) loadings and factors take of the
residuals is no small share: a fifth at 20 x 20 and two factors. Robust meats are divided by what
estimated weights keep of them (`influence`). Everything is in units of the errors: weights, by d
and in time, make b more precise, and nothing but "nonrobust" relies on them.

"unit" with t of n - 1 degrees of freedom is the default of the library. Where errors are
independent in these units all cover alike (docs/measured/interactive.md), and what "unit" costs is
the quantile of t and little else: intervals are longer than "nonrobust" by 8 % at 20 x 20, by
4 % at 50 x 50, by 1 % at 100 x 100. Where errors are correlated in any other way than weights take
them for, the others cover less.
"""

from __future__ import annotations

import math

import numpy as np

from sm_alsgls.core.interactive.influence import Influence

Array = np.ndarray

KINDS = ("nonrobust", "hetero", "serial", "unit", "period")


def bandwidth(T: int) -> int:
    """Lags M of the Bartlett kernel where none are given: 4 (T / 100)^(2/9), Newey and West (1994).

    Examples
    --------
    >>> bandwidth(20), bandwidth(100), bandwidth(1000)
    (2, 4, 6)
    """
    return math.floor(4.0 * (T / 100.0) ** (2.0 / 9.0))


def covariance(
    found: Influence, df_resid: float, kind: str = "hetero", lags: int | None = None
) -> Array:
    """The covariance of b.

    Parameters
    ----------
    found : Influence
    df_resid : float
    kind : {"nonrobust", "hetero", "serial", "unit", "period"}
    lags : int, optional
        M of "serial"; default `bandwidth`.
    """
    scores = found.Z * found.errors
    if kind == "nonrobust":
        flat = (found.Z * np.sqrt(found.spread)).reshape(len(found.Z), -1)
        meat = flat @ flat.T * (float(np.vdot(found.E, found.E)) / df_resid)
    elif kind == "hetero":
        flat = scores.reshape(len(scores), -1)
        meat = flat @ flat.T
    elif kind == "serial":
        T = scores.shape[1]
        meat = _serial(scores, bandwidth(T) if lags is None else min(lags, T - 1))
    elif kind in ("unit", "period"):
        sums = scores.sum(axis=1 if kind == "unit" else 2)
        groups = sums.shape[1]
        meat = sums @ sums.T * (groups / (groups - 1.0))
    else:
        raise ValueError(f"covariance {kind!r} is none of {KINDS}")
    if kind != "nonrobust":
        meat = meat / found.kept
    return np.asarray(found.bread @ meat @ found.bread)


def _serial(scores: Array, lags: int) -> Array:
    p = len(scores)
    flat = scores.reshape(p, -1)
    meat = flat @ flat.T
    for lag in range(1, lags + 1):
        ahead, behind = scores[:, lag:].reshape(p, -1), scores[:, :-lag].reshape(p, -1)
        one = ahead @ behind.T
        meat += (1.0 - lag / (lags + 1.0)) * (one + one.T)
    return np.asarray(meat)
