"""Does the likelihood have a bound at this rank? Few rows and own regressors may leave it none.

A combination sum_i a_i y_i of r + 1 responses that lies in the span of their r + 1 designs makes
their residuals linearly dependent: r factors fit all of them exactly, and the likelihood grows
without bound as the r + 1 uniquenesses vanish. With q the dimension of span[X_i], there are r free
numbers in a (its length does not matter) and N - q conditions, so such a combination exists, for
responses in general position, from

    q + r >= N

on. Where all equations share their X, q = p and this is the bound p + r < N that a rank must obey
anyway (`largest_rank`). With regressors of their own q is up to (r + 1) p: at N = 17 and p = 5, a
constant among them, q = 4 (r + 1) + 1 and the likelihood has no bound from rank 3 on. What is
returned there is a local maximum, or a spike with more than r Heywood cases, whose height is set by
d_floor: a hundredth of it is log(10) per row.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.base import PerEquation

Array = np.ndarray

# A direction adds to a span where more than this share of its length lies outside.
_ADDS = 1e-6


def is_bounded(design: PerEquation, rank: int, n_obs: int) -> bool:
    """Whether no r + 1 equations, of those with most regressors, can be fitted exactly.

    Equations are taken in the order of their p_j, largest first: a necessary condition, and with
    designs alike in what they share also sufficient. Cost O(n (r p)^2).
    """
    if rank == 0:
        return True
    if design.shared:
        return int(design.p[0]) + rank < n_obs
    if int(design.p.max()) * (rank + 1) + rank < n_obs:
        return True
    return _span(design, rank + 1, n_obs - rank) + rank < n_obs


def largest_bounded_rank(design: PerEquation, most: int, n_obs: int) -> int:
    """The largest rank, ``most`` at the most, at which `is_bounded`."""
    for rank in range(1, most + 1):
        if not is_bounded(design, rank, n_obs):
            return rank - 1
    return most


def _span(design: PerEquation, equations: int, enough: int) -> int:
    """Dimension of the span of the designs of the ``equations`` with most regressors.

    Counting stops at ``enough``.
    """
    U = np.empty((design.n, 0))
    for j in np.argsort(-design.p, kind="stable")[:equations]:
        rest = design.basis(int(j))
        for _ in range(2):
            rest = rest - U @ (U.T @ rest)
        left, size, _ = np.linalg.svd(rest, full_matrices=False)
        U = np.concatenate([U, left[:, size > _ADDS]], axis=1)
        if U.shape[1] >= enough:
            break
    return U.shape[1]
