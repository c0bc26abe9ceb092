"""Blocks Q_j'phi(S) Q_j of a function of the mean projection, of designs with few columns.

S = sum_j w_j Q_j Q_j' has eigenvalues in [0, 1], the designs' shares in directions of the rows, and

    phi(S) = mean over k of iota_k S (I - (1 - iota_k) S)^-1,        0 < iota_k <= 1,

grows with them from 0 to 1. Where all columns are fewer than rows, S = W'W with rows w_j^1/2 Q_j'
in W (P, n), and

    Q_j'phi(S) Q_j = mean over k of iota_k |L_k^-1 W Q_j|^2,   L_k L_k' = I - (1 - iota_k) W W',

at n P^2 flops and 4/3 P^3 a factor, or 12 P^3 for all by eigenvectors. What all designs contain has
the share 1 and is set apart (`sm_alsgls.core.design.beside`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

from sm_alsgls.core.design.beside import Beside

Array = np.ndarray

# Up to so many factors L_k cost less than all eigenvectors, and from this iota on they exist.
_FACTORS, _LEAST = 5, 1e-6


def unseen_blocks(parts: Beside, weights: Array, iota: Array) -> Iterator[tuple[Array, Array]]:
    """Equations and I - Q_j'phi(S) Q_j (k, p, p), a stack at a time.

    Parameters
    ----------
    parts : Beside
    weights : ndarray, shape (K,)
        w_j, not negative, of any sum.
    iota : ndarray, shape (r,)
    """
    root = np.sqrt(parts.expand(weights / weights.sum()))
    rows = parts.rows()
    # (W Q')', so that the columns of an equation lie together.
    Z = rows @ rows.T
    del rows
    Z *= root
    out = [np.zeros((len(e), parts.p[e[0]], parts.p[e[0]])) for e, _ in parts.places()]
    for half in _halves(Z, root, iota):
        for blocks, (_, at) in zip(out, parts.places(), strict=True):
            part = half[at].reshape(*blocks.shape[:2], parts.P)
            blocks -= np.matmul(part, part.transpose(0, 2, 1))
    for blocks, (equations, _) in zip(out, parts.places(), strict=True):
        blocks += np.eye(blocks.shape[1])
        yield equations, parts.whole(equations, blocks)


def _halves(Z: Array, root: Array, iota: Array) -> Iterator[Array]:
    """Arrays H with sum of H H' = Z {mean over k of iota_k (I - (1 - iota_k) M)^-1} Z'.

    M is Z with its rows times ``root``. An H is good until the next is asked for.
    """
    if len(iota) > _FACTORS or iota.min() < _LEAST:
        share, V = scipy.linalg.eigh(root[:, None] * Z, overwrite_a=True, check_finite=False)
        value = iota[:, None] / (1.0 - (1.0 - iota[:, None]) * np.clip(share, 0.0, 1.0))
        yield Z @ (V * np.sqrt(np.mean(value, axis=0)))
        return
    # Memory that is new costs as much as what is done in it.
    A, H = np.empty_like(Z), np.empty_like(Z)
    for one in iota:
        np.multiply(Z, (one - 1.0) * root[:, None], out=A)
        A.ravel()[:: len(A) + 1] += 1.0
        np.copyto(H, Z)
        factor, _ = dpotrf(A.T, lower=1, overwrite_a=1)
        dtrsm(np.sqrt(one / len(iota)), factor, H.T, lower=1, overwrite_b=1)
        yield H
