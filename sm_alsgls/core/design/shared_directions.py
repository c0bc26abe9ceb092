"""Directions of the rows that many designs contain: eigenvectors of the mean of Q_j Q_j'.

The weighted mean S = sum_j w_j Q_j Q_j', sum_j w_j = 1, has eigenvalues in [0, 1]: 1 for what all
designs share (the constant), and about p / n for directions of single designs.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import PerEquation

Array = np.ndarray

# Bytes of a tile of bases.
_TILE_BYTES = 2**21
# Vectors of the subspace iteration at first, its steps, and the share of the designs (by weight)
# from which a direction counts as shared.
_BLOCK, _STEPS, _SHARE = 16, 6, 0.15


def shared_directions(
    design: PerEquation, weights: Array, exact: bool = False
) -> tuple[Array, Array]:
    """Orthonormal directions (n, q) and the designs' shares in them (q,), ascending.

    Parameters
    ----------
    design : PerEquation
    weights : ndarray, shape (K,)
        Not negative, of any sum.
    exact : bool
        All n directions, by an n x n eigen-decomposition: n^2 (P + 10 n) flops. Otherwise those
        of a share above 0.15, to a few digits, by subspace iteration.
    """
    weights = weights / weights.sum()
    n = design.n
    if exact:
        mean = np.zeros((n, n))
        for equations, basis, _ in design.tiles(tile_size(n, 1)):
            weighted = basis * np.sqrt(weights[equations])[:, None, None]
            flat = weighted.reshape(-1, n)
            mean += flat.T @ flat
        share, vectors = scipy.linalg.eigh(mean, overwrite_a=True, check_finite=False)
        return vectors, np.clip(share, 0.0, 1.0)
    block = min(_BLOCK, n)
    while True:
        share, vectors = _iterate(design, weights, block)
        many = share > _SHARE
        if not many.all() or block == n:
            return vectors[:, many], np.clip(share[many], 0.0, 1.0)
        block = min(2 * block, n)


def _iterate(design: PerEquation, weights: Array, block: int) -> tuple[Array, Array]:
    """Ritz values and vectors after a few steps of subspace iteration."""
    # Reproducible, and nobody else's generator is touched.
    V = np.random.default_rng(0).standard_normal((design.n, block))
    image, size = V, tile_size(design.n, block)
    for _ in range(_STEPS):
        V = np.linalg.qr(image)[0]
        image = np.zeros_like(V)
        for equations, basis, _at in design.tiles(size):
            weighted = np.matmul(basis, V) * weights[equations][:, None, None]
            image += np.tensordot(basis, weighted, axes=((0, 1), (0, 1)))
    values, rotation = np.linalg.eigh(V.T @ image)
    return values, V @ rotation


def tile_size(n: int, m: int) -> int:
    """Equations whose (n, m) arrays fit a tile."""
    return max(1, _TILE_BYTES // (8 * n * m))
