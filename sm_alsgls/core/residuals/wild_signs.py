"""Residuals with their signs turned: draws of uncorrelated errors that keep the data's own scales.

Under the null that errors of different equations are uncorrelated, and symmetric given their sizes,
e_nj may as well have been -e_nj, cell by cell (Wu 1986; Davidson and Flachaire 2008 for the signs).
Tails, variances that differ from row to row and scales that all equations of a row share are those
of the data in every draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.progress import counted

Array = np.ndarray


def evened(E: Array, design: PerEquation) -> Array:
    """OLS residuals (N, K) over sqrt(1 - h_nj), h the leverages: as variable as their errors."""
    out = np.array(E)
    for j in range(design.K):
        Q = design.basis(j)
        out[:, j] /= np.sqrt(np.maximum(1.0 - np.einsum("np,np->n", Q, Q), 1e-8))
    return out


def turned(E: Array, rng: np.random.Generator) -> Array:
    """``E`` with a coin's sign for each cell."""
    return np.asarray(E * (2.0 * rng.integers(0, 2, E.shape) - 1.0))


def wild_pvalue(
    statistic: Callable[[Array], float], E: Array, design: PerEquation, reps: int, seed: int = 0
) -> tuple[float, float]:
    """A statistic of OLS residuals, and the share of draws in which it is as large.

    Parameters
    ----------
    statistic : callable
        Residuals (N, K) to a number, large where they are correlated.
    E : ndarray, shape (N, K)
        OLS residuals of all rows.
    design : PerEquation
        Whose regressors are taken out of every draw again.
    reps : int

    Returns
    -------
    value, pvalue : float
        (1 + #{as large}) / (1 + reps).
    """
    rng, value, even = np.random.default_rng(seed), statistic(E), evened(E, design)
    level = value - 1e-9 * max(1.0, abs(value))
    as_large = 0
    for _ in counted(range(reps), "draws", unit="draw"):
        Y = turned(even, rng)
        as_large += statistic(design.least_squares(Y)[1]) >= level
    return value, (1 + as_large) / (1 + reps)
