"""Sigma = F F' + D of a shard's equations, where the factors' sums are over all shards.

With A = D^-1/2 F of all equations and R'R = C = I + A'A (a total), the rows h_j of H = A R^-1 are

    Sigma^-1 = D^-1/2 (I - H H') D^-1/2,      |h_j|^2 < 1 the leverage of equation j.

R comes from Cholesky factors twice over (Yamamoto et al. 2015, ETNA 44), so that H'H + R^-T R^-1
is the identity to rounding where A is ill conditioned.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sm_alsgls.core.across import Across

Array = np.ndarray

# Factors of an eigenvalue of F'Sigma^-1 F below this are none, and the least weight of a direction
# that all designs share; as in `sm_alsgls.core.beta.estimated_sigma`.
_NONE, _LEAST = 1e-10, 1e-12


class Factors:
    """A shard's part of Sigma = F F' + D.

    Parameters
    ----------
    F : ndarray, shape (K, r)
        Loadings of the shard's equations, in the rotation that all shards have.
    d : ndarray, shape (K,)
        Uniquenesses, positive.
    across : Across

    Attributes
    ----------
    F, d, root : ndarray
        As given; root is d^1/2.
    r : int
    H : ndarray, shape (K, r)
        See the module.
    R : ndarray, shape (r, r)
        Upper triangular, R'R = I + F'D^-1 F.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.across import ALONE
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> F, d = np.array([[1.0], [0.5]]), np.array([0.5, 1.0])
    >>> H = Factors(F, d, ALONE).H
    >>> inverse = (np.eye(2) - H @ H.T) / np.sqrt(np.outer(d, d))
    >>> bool(np.allclose(inverse, np.linalg.inv(LowRankDiag(F, d).to_dense())))
    True
    """

    def __init__(self, F: Array, d: Array, across: Across) -> None:
        self.F, self.d, self.root, self.r = F, d, np.sqrt(d), F.shape[1]
        self._across = across
        A, top = F / self.root[:, None], np.eye(self.r)
        self.R = np.eye(self.r)
        for _ in range(2 if self.r else 0):
            step = np.linalg.cholesky(top.T @ top + across.total(A.T @ A)).T
            inverse = np.linalg.inv(step)
            A, top, self.R = A @ inverse, top @ inverse, step @ self.R
        self.H = A

    def variances(self) -> Array:
        """Diagonal of Sigma, (K,)."""
        return np.asarray(self.d + np.einsum("kr,kr->k", self.F, self.F))

    @cached_property
    def leverage(self) -> Array:
        """|h_j|^2, (K,)."""
        return np.asarray(np.einsum("kr,kr->k", self.H, self.H))

    @cached_property
    def left(self) -> Array:
        """Eigenvalues of C^-1 for the factors that are there: 1 less those of F'Sigma^-1 F."""
        return self._strength[0]

    @cached_property
    def _strength(self) -> tuple[Array, Array]:
        """`left`, and R^-T M^-1 R^-1 of M = F'Sigma^-1 F = I - C^-1 on the factors there are."""
        inverse = np.linalg.inv(self.R)
        # C^-1 = R^-1 R^-T
        U, size, _ = np.linalg.svd(inverse)
        iota = size * size
        live = 1.0 - iota > _NONE
        half = inverse.T @ (U[:, live] / np.sqrt(1.0 - iota[live]))
        return np.maximum(iota[live], _LEAST), half @ half.T

    def inflation(self, n_obs: int) -> Array:
        """omega_j / N, (K,): what estimating Sigma adds, see `sm_alsgls.core.beta.estimated_sigma`.

        In H, where units are none: with l_j = |h_j|^2 the terms of the module are

            b_j'M^-1 b_j / P_jj = h_j'(R^-T M^-1 R^-1) h_j / (1 - l_j),
            sum_{l != j} P_jl^2 / (P_jj P_ll) = (h_j'(sum_l h_l h_l' / (1 - l_l)) h_j
                                                 - l_j^2 / (1 - l_j)) / (1 - l_j).
        """
        K = self._across.total(float(len(self.d)))
        own, H, h = 1.0 / (1.0 - self.leverage), self.H, self.leverage
        seen = np.einsum("ka,ab,kb->k", H, self._strength[1], H, optimize=True) * own
        products = self._across.total((H * own[:, None]).T @ H)
        others = np.einsum("ka,ab,kb->k", H, products, H, optimize=True) - own * h * h
        return np.asarray((len(self.left) + (K + 2.0) * seen + 2.0 * others * own) / n_obs)
