"""The covariance of W'v, of the instruments' products with first-stage residuals.

For residuals V (n, m) of rows that are independent and of one variance it is (V'V / df) x I_L, W
being orthonormal. Else the meat sum_nl omega_nl (v_n x w_n)(v_l x w_l)', omega as in
`sm_alsgls.core.beta.robust`: I for heteroscedasticity, groups for clusters, a kernel in time.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.beta.robust import RowWeights

Array = np.ndarray


def score_covariance(
    W: Array, V: Array, df: int, weights: RowWeights | None = None, factor: float = 1.0
) -> Array:
    """Blocks Cov(W'v_a, W'v_b), (m, m, L, L).

    Parameters
    ----------
    W : ndarray, shape (n, L)
        Orthonormal.
    V : ndarray, shape (n, m)
        Residuals.
    df : int
        Divisor of V'V where rows have one variance.
    weights : RowWeights, optional
        How rows depend on one another, for all N rows. Default: independent with one variance,
        which rows with the same cross-products will do for.
    factor : float
        Of the meat, for small samples.
    """
    L, m = W.shape[1], V.shape[1]
    if weights is None:
        return np.asarray(np.multiply.outer(V.T @ V / df, np.eye(L)))
    U = (V[:, :, None] * W[:, None, :]).reshape(len(W), m * L)
    A = weights.reduce(U).T
    meat = factor * weights.inner(A, A)
    return np.asarray(meat.reshape(m, L, m, L).transpose(0, 2, 1, 3))
