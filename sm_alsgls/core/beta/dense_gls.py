"""Generalised least squares by dense linear algebra: the beta-step of `em`, and what it refuses."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# Bytes of dense arrays beyond which a fit is refused.
MEMORY_LIMIT = 4 * 2**30


class DenseGLS:
    """GLS given the dense Sigma^-1, through a Cholesky factor of the normal matrix H (P, P).

    With the ridge's A, if any, H has the blocks (Sigma^-1)_jl Q_j'Q_l + N A_j [j = l]. The
    cross-products Q_j'Q_l are made once, so that iterations cost P^3 / 3, not n P^2.

    Parameters
    ----------
    design : Linear
        Whose coefficients are free.
    n_obs : int
    ridge : Ridge, optional

    Raises
    ------
    OptionError
        Restrictions on coefficients, or dense arrays of more than 4 GiB.
    """

    def __init__(self, design: Linear, n_obs: int, ridge: Ridge | None = None) -> None:
        size = 8 * (2 * design.P**2 + 3 * design.K**2)
        if design.restricted:
            raise OptionError(
                "method='em' cannot restrict coefficients (common=, fit_constrained); "
                "use method='als'"
            )
        if size > MEMORY_LIMIT:
            raise OptionError(
                f"method='em' would need {size / 2**30:.1f} GiB for dense arrays of {design.P} x "
                f"{design.P} and {design.K} x {design.K}; use method='als', which forms neither"
            )
        self._design, self._n_obs, self._ridge = design.free, n_obs, ridge
        free = design.free
        self._cross = np.empty((free.P, free.P))
        for _, rows, at in free.tiles(64):
            left = rows.reshape(-1, free.n)
            for _, columns, to in free.tiles(64):
                self._cross[at, to] = left @ columns.reshape(-1, free.n).T

    def __call__(self, gamma: Array, E: Array, precision: Array) -> Array:
        """Coefficients of GLS, from residuals E (n, K) at any gamma."""
        design, ridge, N = self._design, self._ridge, self._n_obs
        H = np.empty_like(self._cross)
        for j in range(design.K):
            at = design.equation_slice(j)
            np.multiply(self._cross[at], design.expand(precision[j]), out=H[at])
        score = design.project(np.asfortranarray(E @ precision))
        if ridge is not None:
            score -= N * ridge.apply(gamma)
            for blocks, where in zip(ridge.blocks, ridge.slices, strict=True):
                p = blocks.shape[1]
                for i, block in enumerate(blocks):
                    at = slice(where.start + i * p, where.start + (i + 1) * p)
                    H[at, at] += N * block
        # H is symmetric: its transpose is the order in which LAPACK factors without a copy.
        factor = scipy.linalg.cho_factor(H.T, overwrite_a=True, check_finite=False)
        return np.asarray(gamma + scipy.linalg.cho_solve(factor, score, check_finite=False))


def inverse(cov: LowRankDiag) -> Array:
    """Sigma^-1 as a K x K array, through a Cholesky factor of the dense Sigma."""
    factor = scipy.linalg.cho_factor(cov.to_dense(), overwrite_a=True, check_finite=False)
    return scipy.linalg.cho_solve(factor, np.eye(cov.K), overwrite_b=True, check_finite=False)
