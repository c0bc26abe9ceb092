"""Diagonal blocks of the covariance of 3SLS by factors of its matrices.

Of A and B = L L' without units, D^-1/2 . D^-1/2 with the diagonal D of either,

    V_jj = G_j G_j',        D^1/2 G = (D^-1/2 A D^-1/2)^-1 D^-1/2 L,

at 3 n P^2 + 3 P^3 flops, P columns beside what all equations contain.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from sm_alsgls.core.instruments.base import spread
from sm_alsgls.core.instruments.beside import BesideFaces
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray

#: Bytes that the matrices may take.
MEMORY = 2_500_000_000


def dense_flops(parts: BesideFaces) -> float:
    """Flops of all blocks; infinite where the matrices do not fit."""
    if 24 * parts.P**2 > MEMORY:
        return np.inf
    return (3.0 * parts.n + 3.0 * parts.P) * parts.P**2


def dense_blocks(parts: BesideFaces, cov: Covariance) -> Iterator[tuple[Array, Array]]:
    """Equations and V_jj (k, p, p) in the coordinates of ``parts``."""
    unit = 1.0 / np.sqrt(cov.precision_diag())
    # Pivots of A itself would be chosen by units.
    precision = unit[:, None] * cov.solve(np.eye(parts.K)) * unit
    rows = parts.rows()
    # Transposed as they are made, both stand in the order of LAPACK.
    A = spread(parts.faces_times(rows.T), precision, parts, parts).T
    B = spread(rows @ rows.T, precision, parts, parts).T
    del rows
    L = scipy.linalg.cholesky(B, lower=True, overwrite_a=True, check_finite=False)
    factor = scipy.linalg.lu_factor(A, overwrite_a=True, check_finite=False)
    G = scipy.linalg.lu_solve(factor, L, overwrite_b=True, check_finite=False)
    for equations, at in parts.places():
        # G is in columns, and splitting an axis makes no copy.
        part = G[at].reshape(len(equations), parts.p[equations[0]], parts.P)
        scale = np.square(unit[equations])[:, None, None]
        yield equations, np.matmul(part, part.transpose(0, 2, 1)) * scale
