"""Sigma = F F' + D of equations of which a process has a part."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm

from sm_alsgls.core.across import Across

Array = np.ndarray


class PartOfLowRank:
    """Rows F (K, r) and d (K,) of a Sigma = F F' + D that goes on elsewhere.

    With C = I + F'D^-1F = R'R summed over all equations and G = D^-1 F R^-1,

        Sigma^-1 = D^-1 - G G',     log|Sigma| = sum log d + 2 sum log R_ii.

    An equation with d_j << |f_j|^2 that has a factor to itself loses digits in 1/d_j - |g_j|^2,
    as in the textbook; its neighbours do not.

    Parameters
    ----------
    F : ndarray, shape (K, r)
    d : ndarray, shape (K,)
    across : Across

    Attributes
    ----------
    loadings, uniquenesses : ndarray, shapes (K, r), (K,)
    triangle : ndarray, shape (r, r)
        R, upper.
    precision_factor : ndarray, shape (K, r)
        G.
    """

    def __init__(self, F: Array, d: Array, across: Across) -> None:
        self.loadings, self.uniquenesses, self.across = F, d, across
        # Made here and not when first asked for: all shards add up at the same place.
        A = F / np.sqrt(d)[:, None]
        C = across.total(A.T @ A) + np.eye(self.rank)
        self.triangle: Array = np.linalg.cholesky(C).T
        scaled = (F / d[:, None]).T
        G = dtrsm(1.0, self.triangle, scaled, trans_a=1).T if self.rank else np.empty((len(d), 0))
        self.precision_factor = np.ascontiguousarray(G)

    @property
    def rank(self) -> int:
        """r."""
        return int(self.loadings.shape[1])

    @property
    def low_rank(self) -> PartOfLowRank:
        """Itself."""
        return self

    def precision_diag(self) -> Array:
        """Diagonal of Sigma^-1, (K,)."""
        d = self.uniquenesses
        leverage = np.einsum("kr,kr->k", self.precision_factor, self.precision_factor) * d
        return np.asarray((1.0 - leverage) / d)

    def logdet(self) -> float:
        """log|Sigma| of all equations."""
        own = self.across.total(float(np.log(self.uniquenesses).sum()))
        return own + 2.0 * float(np.log(np.diagonal(self.triangle)).sum())
