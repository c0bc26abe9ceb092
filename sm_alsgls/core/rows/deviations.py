"""Forward orthogonal deviations: what is left of a row when its own level is swept out.

    w_j = c_j (y_j - mean(y_{j+1} .. y_K)),    c_j^2 = (K - j) / (K - j + 1),    j = 1 .. K - 1.

Rows of the matrix A (K - 1, K) of these are orthonormal and orthogonal to ones, A A' = I and
A 1 = 0, so that y + a 1 has the deviations of y whatever a is, and errors that are uncorrelated
with one variance stay so. The likelihood of the deviations is that of y given its mean, without a.

Arellano and Bover (1995, Journal of Econometrics 68).
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def forward_deviations(Y: Array) -> Array:
    """Deviations (N, K - 1) of rows Y (N, K) from the mean of what comes later; O(N K).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.rows.deviations import forward_deviations
    >>> A = forward_deviations(np.eye(4)).T
    >>> np.allclose(A @ A.T, np.eye(3)), np.allclose(A.sum(axis=1), 0.0)
    (True, True)
    """
    K = Y.shape[1]
    left = np.arange(K - 1, 0, -1.0)  # how many come later
    # From the last one backwards, of values near zero: no two large numbers are subtracted.
    near = Y - Y[:, -1:]
    later = np.cumsum(near[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray(np.sqrt(left / (left + 1.0)) * (near[:, :-1] - later / left))
