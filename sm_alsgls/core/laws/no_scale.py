"""Do rows have scales that z explains? The score test of delta = 0, at the fit without the law.

With q_n = e_n' Sigma^-1 e_n, leverages l_n (`core.laws.rows_of_design`) and y_n = q_n / (K - l_n),

    G = sum_n z_n (y_n / mean(y) - 1),        G' (v sum z z')^-1 G ~ chi2(m),

z centred, v the variance of y_n / mean(y): 2 / K under normality (Breusch and Pagan 1979,
Econometrica 47, for one equation), or, as here, that of the sample (Koenker 1981, Journal of
Econometrics 17), which heavy tails do not mislead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.rows_of_design import leverages

Array = np.ndarray


class NoScale(NamedTuple):
    """The test, on chi2(``df``); ``delta`` is the score's estimate (m,)."""

    delta: Array
    statistic: float
    df: int
    pvalue: float


def no_scale(fit: LawFit, z: Array) -> NoScale:
    """Test that rows have one scale.

    Parameters
    ----------
    fit : LawFit
        Without the law that is tested, of whole rows.
    z : ndarray, shape (N, m)

    Notes
    -----
    Cost: leverages, O(N P^2 + P^3).
    """
    best = fit.found.best
    problem = fit.system.problem(compress=False)
    E = problem.residuals(problem.design.from_beta(fit.problem.design.to_beta(best.gamma)))
    q = np.einsum("nk,nk->n", E, best.cov.solve(E))
    y = q / (problem.K - leverages(problem, best.cov))
    y = y / y.mean()
    z = z - z.mean(axis=0)
    inverse = np.linalg.inv(z.T @ z)
    G = z.T @ (y - 1.0)
    statistic = float(G @ inverse @ G) / float(np.var(y))
    m = z.shape[1]
    return NoScale(inverse @ G, statistic, m, float(stats.chi2.sf(statistic, m)))
