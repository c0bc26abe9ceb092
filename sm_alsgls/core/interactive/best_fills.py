"""Holes of regressors, filled with what leaves least of them.

With holes a least squares estimator of observed cells is that of all cells whose regressors are
filled so that |K^1/2 A_j|^2 is least, K being what effects and factors leave of a matrix: K A_j is
then zero on the holes. By conjugate gradients on the fills, whose matrix is K between holes, with
eigenvalues from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray

_MOST_CG, _CG_TOL, _PATIENCE = 1000, 1e-12, 30


def best_fills(A: Array, left: Callable[[Array], Array], hole: Array) -> Array:
    """What is to be added to A (p, T, n) in its holes; each regressor has a system of its own.

    Parameters
    ----------
    A : ndarray, shape (p, T, n)
    left : callable
        K of a matrix (T, n), symmetric with eigenvalues from 0 to 1.
    hole : ndarray of bool, shape (T, n)

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[[1.0, 2.0, 6.0], [1.0, 3.0, 5.0]]])
    >>> hole = np.array([[False, False, True], [False, False, False]])
    >>> of_mean = lambda M: M - M.mean(axis=1)[:, None]
    >>> (A + best_fills(A, of_mean, hole))[0, 0].round(6).tolist()
    [1.0, 2.0, 1.5]
    """
    out = np.empty_like(A)
    for j, one in enumerate(A):
        res = np.where(hole, -left(one), 0.0)
        total, direction = np.zeros_like(one), res.copy()
        rho = float(np.vdot(res, res))
        enough = _CG_TOL**2 * float(np.vdot(one, one))
        best, least, since = total.copy(), rho, 0
        for _ in range(_MOST_CG):
            # Residuals rise and fall on the way, and for good once rounding is all that is left.
            if least <= enough or since > _PATIENCE:
                break
            image = np.where(hole, left(direction), 0.0)
            curvature = float(np.vdot(direction, image))
            if curvature <= 0.0:
                break
            step = rho / curvature
            total += step * direction
            res -= step * image
            new = float(np.vdot(res, res))
            direction = res + (new / rho) * direction
            rho, since = new, since + 1
            if rho < least:
                best, least, since = total.copy(), rho, 0
        out[j] = best
    return out
