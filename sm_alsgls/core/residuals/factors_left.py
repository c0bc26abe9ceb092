"""Whether residuals are still correlated after r factors: the next eigenvalue against noise's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.rank.criteria import largest_root_median, largest_root_pvalue
from sm_alsgls.core.sigma.spectrum import spectrum
from sm_alsgls.covariance.base import LowRank

Array = np.ndarray


class FactorsLeft(NamedTuple):
    """The eigenvalue, that of noise half the time, and the p-value (Tracy-Widom)."""

    root: float
    noise: float
    pvalue: float


def factors_left(E: Array, cov: LowRank, n_obs: int, n_coefficients: int) -> FactorsLeft | None:
    """The largest eigenvalue that the factors leave; None where there is too little to tell.

    Parameters
    ----------
    E : ndarray, shape (n, K)
        Residuals, on compressed rows if need be.
    cov : LowRank
        The estimate of Sigma, of rank r.
    n_obs, n_coefficients : int
        N and P.
    """
    K, r = cov.K, cov.rank
    n, k = n_obs - n_coefficients / K - r, float(K - r)
    if r + 1 > min(E.shape) or n < 1.0 or k < 2.0:
        return None
    d = 0.25 * cov.uniquenesses
    root = 0.25 * float(spectrum(E, n_obs, r + 1, None).pairs(d, 1e-2)[0][r])
    return FactorsLeft(
        root,
        float(largest_root_median(np.array(n), np.array(k))),
        float(largest_root_pvalue(np.array(root), np.array(n), np.array(k))),
    )
