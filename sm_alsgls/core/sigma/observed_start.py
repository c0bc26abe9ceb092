"""Where a fit with missing cells begins: Sigma from the available cells.

Residuals of each equation's OLS on its own rows, scaled to unit variance and divided by the share
observed pi_j, are zero-filled. Where cells are missing at random their cross-products estimate

    off the diagonal   rho_jl          (the chance of seeing both is near pi_j pi_l),
    on it              1 / pi_j  =  1 + (1 / pi_j - 1),

a correlation matrix plus a known diagonal: one complete-data factor analysis gives F, and
d_j = 1 - |f_j|^2. Pairs that never meet have a cross-product of zero, which shrinks them and
fails at nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# No equation starts with less than this share of its variance unexplained: a noisy start must
# not look like a Heywood case.
_LEAST = 0.1
_GTOL = 1e-2
# Flops beyond which residuals on all regressors cost as much as a start.
_UNION_FLOPS = 5e8


def available_cells(E: Array, patterns: Patterns, rank: int, d: Array | None = None) -> LowRankDiag:
    """A first Sigma of rank ``rank`` for residuals E (N, K), zero in missing cells.

    Parameters
    ----------
    E : ndarray, shape (N, K)
    patterns : Patterns
    rank : int
    d : ndarray, shape (K,), optional
        Uniquenesses to keep; loadings are then the closed form of the zero-filled problem.
    """
    s = np.vecdot(E.T, E.T) / patterns.rows
    s = np.where(s > 0.0, s, 1.0)
    share = patterns.rows / patterns.N
    if rank == 0:
        return LowRankDiag.diagonal(s if d is None else d)
    filled = (E.T / (np.sqrt(s) * share)[:, None]).T
    noise = 1.0 / share - 1.0
    if d is None:
        fit = fit_factor(filled, rank, d=0.5 + noise, gtol=_GTOL)
    else:
        fit = fit_factor(filled, rank, d=d / s + noise, gtol=np.inf)
    common = np.einsum("kr,kr->k", fit.F, fit.F)
    F = fit.F * np.sqrt(np.minimum(1.0, (1.0 - _LEAST) / np.maximum(common, 1e-300)))[:, None]
    left = 1.0 - np.einsum("kr,kr->k", F, F)
    return LowRankDiag.from_factors(F * np.sqrt(s)[:, None], left * s if d is None else d)


def union_residuals(
    blocks: Sequence[Array], Y: Array, patterns: Patterns, rank: int
) -> Array | None:
    """Residuals (N, K) of each equation on every regressor of the system, on its own rows.

    ``blocks`` are the K designs (N, p_j), zero in rows that they miss: this is for a start. None
    where rows are too few for that, or where all equations have the same regressors, whose
    residuals are those of OLS.
    """
    N, K = Y.shape
    distinct = list({id(X): X for X in blocks}.values())
    P = sum(X.shape[1] for X in distinct)
    if float(N) * P * min(N, P) * K > _UNION_FLOPS:
        return None
    Z = np.concatenate(distinct, axis=1)
    Z = Z / np.maximum(np.sqrt(np.einsum("np,np->p", Z, Z)), 1e-300)
    E, added = np.zeros_like(Y), False
    for j, seen in enumerate(patterns.mask.T):
        U, size, _ = np.linalg.svd(Z[seen], full_matrices=False)
        U = U[:, size > 1e-8 * size[0]]
        e = Y[seen, j] - U @ (U.T @ Y[seen, j])
        if len(e) - U.shape[1] <= rank or e @ e < 1e-10 * (Y[seen, j] @ Y[seen, j]):
            return None
        added |= U.shape[1] > blocks[j].shape[1]
        E[seen, j] = e
    return E if added else None
