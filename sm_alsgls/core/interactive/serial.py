"""Errors that are correlated in time, in units in which they are not.

e_it = rho e_i,t-1 + u_it of one rho has var e_i = d_i R, R_ts = rho^|t-s|, and P R P' = I for

    (P e)_1 = e_1,      (P e)_t = (e_t - rho e_t-1) / (1 - rho^2)^1/2,

so that P (Y - sum_j b_j X_j) diag(d)^-1/2 has independent errors of variance one, factors P F,
which are as free as F, and effects P l_t. All that is done with W (`scaled`) is done with that.

rho is where the residuals E of the fit have the first correlation of independent errors. Factors
and effects with basis U of k columns leave of such the share 1 - k/T, and as first products

    sum_t E_t'E_t-1 / |E|^2  ->  -sum_t (UU')_t,t-1 / (T - k),

so that what E has beyond is added to rho, to first order exactly (Cochrane and Orcutt 1949, without
their bias). It needs no rho that is right: any leaves b consistent, as any weights do, and the
errors of b are those of generalised least squares with a working covariance.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.signal

Array = np.ndarray

#: rho is kept in between.
MOST = 0.98


def whitened(M: Array, rho: float) -> Array:
    """P M along the next to last axis.

    Examples
    --------
    >>> import numpy as np
    >>> R = 0.5 ** np.abs(np.subtract.outer(range(4), range(4)))
    >>> bool(np.allclose(whitened(whitened(R, 0.5).T, 0.5), np.eye(4)))
    True
    >>> bool(np.allclose(coloured(whitened(R, 0.5), 0.5), R))
    True
    """
    if rho == 0.0:
        return M
    out = M.copy()
    out[..., 1:, :] -= rho * M[..., :-1, :]
    out[..., 1:, :] /= math.sqrt(1.0 - rho**2)
    return out


def coloured(M: Array, rho: float) -> Array:
    """P^-1 M along the next to last axis."""
    if rho == 0.0:
        return M
    size = math.sqrt(1.0 - rho**2)
    new = size * M
    new[..., 0, :] = M[..., 0, :]
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -rho], new, axis=-2))


def beyond_chance(E: Array, U: Array) -> float:
    """How far the first correlation of E (T, n) is from that of independent errors.

    Parameters
    ----------
    E : ndarray, shape (T, n)
        In units in which errors are taken to be independent.
    U : ndarray, shape (T, k)
        Orthonormal: factors and effects of units.
    """
    size = float(np.vdot(E, E))
    if len(E) < 2 or size == 0.0:
        return 0.0
    found = float(np.vdot(E[1:], E[:-1])) / size
    T, k = U.shape
    return found + float(np.vdot(U[1:], U[:-1])) / max(T - k, 1)
