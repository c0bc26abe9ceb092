"""Direct, indirect and total effects of regressors in a model with a spatial lag.

y = rho W y + X b + e has the reduced form y = A^-1 (X b + e), A = I - rho W, so that regressor k of
unit j moves y_i by b_k (A^-1)_ij. LeSage and Pace (2009, section 2.7) report means over units,

    direct_k   = b_k tr(A^-1) / K                a unit's own regressor
    total_k    = b_k 1'A^-1 1 / K                all units' regressors at once
    indirect_k = total_k - direct_k              the others'.

No inverse is formed: tr(A^-1) = K + rho tr(W A^-1), which the log-determinant's slope is, and
A^-1 1 is one sparse solve. Standard errors are by the delta method from the covariance of (b, rho):

    d direct_k / d rho = b_k tr(A^-1 W A^-1) / K,      d total_k / d rho = b_k 1'A^-1 W A^-1 1 / K.

Where rows of W sum to one, 1'A^-1 1 / K = 1 / (1 - rho).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse.linalg

from sm_alsgls.core.laws.spatial_weights import SpatialWeights

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any


class SpatialEffects(NamedTuple):
    """Effects of q regressors, (q,) each, and the covariance of all, (3 q, 3 q).

    ``cov`` is in the order direct, indirect, total.
    """

    direct: Array
    indirect: Array
    total: Array
    cov: Array

    @property
    def se(self) -> tuple[Array, Array, Array]:
        """Standard errors of direct, indirect and total effects, (q,) each."""
        root = np.sqrt(np.diagonal(self.cov))
        q = len(self.direct)
        return root[:q], root[q : 2 * q], root[2 * q :]


class Multipliers(NamedTuple):
    """Means over units of A^-1, its diagonal's and its rows', and their slopes in rho."""

    direct: float
    total: float
    direct_slope: float
    total_slope: float


def multipliers(weights: SpatialWeights, rho: float) -> Multipliers:
    """tr(A^-1) / K and 1'A^-1 1 / K, and their derivatives in rho.

    Examples
    --------
    >>> W = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    >>> found = multipliers(SpatialWeights(W), 0.5)
    >>> inverse = np.linalg.inv(np.eye(3) - 0.5 * W)
    >>> bool(np.isclose(found.direct, np.trace(inverse) / 3)), round(found.total, 12)
    (True, 2.0)
    """
    K = weights.K
    slope = weights.log_det(rho).slope
    # tr(A^-1) = K - rho slope, and the slope itself falls with the curvature.
    direct = 1.0 - rho * slope / K
    direct_slope = (rho * weights.curvature(rho) - slope) / K
    lu: Sparse = scipy.sparse.linalg.splu(weights.filter(rho).tocsc())
    ones = np.ones(K)
    right, left = lu.solve(ones), lu.solve(ones, trans="T")
    total_slope = float(left @ (weights.W @ right)) / K
    return Multipliers(direct, float(right.sum()) / K, direct_slope, total_slope)


def spatial_effects(weights: SpatialWeights, rho: float, b: Array, cov: Array) -> SpatialEffects:
    """Effects, and their covariance by the delta method.

    Parameters
    ----------
    weights : SpatialWeights
    rho : float
    b : ndarray, shape (q,)
        Coefficients of the regressors; a constant has no effect to speak of.
    cov : ndarray, shape (q + 1, q + 1)
        Of (b, rho).

    Examples
    --------
    >>> W = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> found = spatial_effects(SpatialWeights(W), 0.5, np.array([3.0]), 0.01 * np.eye(2))
    >>> [round(float(one[0]), 6) for one in found[:3]]
    [4.0, 2.0, 6.0]
    """
    at, q = multipliers(weights, rho), len(b)
    pairs = [
        (at.direct, at.direct_slope),
        (at.total - at.direct, at.total_slope - at.direct_slope),
        (at.total, at.total_slope),
    ]
    jacobian = np.concatenate(
        [np.column_stack([size * np.eye(q), slope * b]) for size, slope in pairs]
    )
    direct, indirect, total = (size * b for size, _ in pairs)
    return SpatialEffects(direct, indirect, total, jacobian @ cov @ jacobian.T)
