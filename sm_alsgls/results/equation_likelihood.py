"""The log-likelihood of one equation by itself, and criteria made of it.

An equation of a system of independent rows has the marginal model

    y_nj = x_nj' beta_j + e_nj / sqrt(w_nj),    e_nj ~ N(0, sigma_jj),

whatever its errors share with others, so that with N_j cells

    llf_j = -N_j / 2 log(2 pi sigma_jj) + sum_n log(w_nj) / 2 - sum_n w_nj e_nj^2 / (2 sigma_jj),

at the system's estimates. It is at most the likelihood of the equation's own least squares, and
equal to it where Sigma is diagonal; then the equations' sum is the system's.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.exceptions import NoLikelihoodError
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.overall import freedom_of


def has_likelihoods(estimate: Estimate) -> bool:
    """Whether the equations have the marginal model above."""
    return estimate.maximum is not None and estimate.laws is None


@kept
def likelihoods(estimate: Estimate) -> np.ndarray:
    """llf_j of every equation (K,); NaN where there is none."""
    if not has_likelihoods(estimate):
        return np.full(estimate.neqs, np.nan)
    sigma = estimate.sigma.diag()
    squares = np.square(estimate.sample.E).sum(axis=0)
    logs = np.zeros(estimate.neqs)
    if estimate.usage.weighted:
        cells = estimate.sample.cells
        ones = np.ones((cells.N, cells.K))
        used = cells.used(ones)
        logs = np.log(used, out=np.zeros_like(used), where=used > 0.0).sum(axis=0)
    made: np.ndarray = logs - 0.5 * (
        estimate.counts * np.log(2.0 * np.pi * sigma) + squares / sigma
    )
    return made


def llf(estimate: Estimate, j: int) -> float:
    """llf_j of one equation.

    Raises
    ------
    NoLikelihoodError
        Nothing was maximised, or rows are not independent, so that an equation has no likelihood
        without the others.
    """
    if estimate.laws is not None:
        raise NoLikelihoodError(
            f"equation {estimate.equations[j]!r} has no likelihood of its own where errors follow "
            "laws (ar=, row_scale=, cell_scale=, spatial_error=, spatial_lag=); use system.llf"
        )
    _ = estimate.likelihood
    return float(likelihoods(estimate)[j])


def n_params(estimate: Estimate, j: int) -> int:
    """Free coefficients of an equation, and its variance."""
    p = int(estimate.p[j])
    return len(freedom_of(estimate, j).independent(np.eye(p))) + 1


def aic(estimate: Estimate, j: int) -> float:
    """-2 llf_j + 2 (p_j + 1)."""
    return -2.0 * llf(estimate, j) + 2.0 * n_params(estimate, j)


def bic(estimate: Estimate, j: int) -> float:
    """-2 llf_j + log(N_j) (p_j + 1)."""
    penalty = float(np.log(estimate.counts[j])) * n_params(estimate, j)
    return -2.0 * llf(estimate, j) + penalty
