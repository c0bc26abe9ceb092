"""Any positive definite Sigma as F F' + D, with as many factors as equations.

With S the variances and l the least eigenvalue of the correlations C = S^-1/2 Sigma S^-1/2,

    D = (l / 2) S,        F = S^1/2 (C - (l / 2) I)^1/2

is Sigma exactly, in any units, and what factors make of rows with holes and gaps can be used. The
smallest eigenvalue of F F' in those units is l / 2, so that F is invertible.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.low_rank_diag import LowRankDiag

# Least l that is used: below it rounding of C decides.
_LEAST = 1e-14


def factored(cov: Covariance) -> LowRankDiag:
    """``cov`` by K factors.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import Unrestricted
    >>> Sigma = np.array([[2.0, 0.9], [0.9, 1.0]])
    >>> made = factored(Unrestricted.from_dense(Sigma))
    >>> made.rank, bool(np.allclose(made.to_dense(), Sigma, rtol=1e-14))
    (2, True)
    """
    Sigma = cov.to_dense()
    root = np.sqrt(np.diagonal(Sigma))
    values, vectors = np.linalg.eigh(Sigma / np.outer(root, root))
    half = 0.5 * max(float(values[0]), _LEAST)
    own = np.sqrt(np.maximum(values - half, half))
    return LowRankDiag(root[:, None] * (vectors * own), half * root**2)
