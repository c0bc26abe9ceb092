"""Are errors serially correlated at all? The pooled score test, at the fit without the law.

G = sum_n e_{n-1}' P e_n, P = Sigma^-1, is the score of a common rho at 0. Residuals are of
estimated coefficients, so it is not centred: with whitened X of all cells, V the covariance of the
coefficients by GLS and L the lag,

    m = E G = - tr(V X' (L x P) X),        h = sum_n e_{n-1}' P e_{n-1},

about -(N - 1) / N for each constant of its own, as many as there are equations; a common one counts
1. Variances are of the same residuals, which makes a first autocorrelation less variable: its
variance is (N - 1) / (N (N + 2)) (Moran 1948, Biometrika 35). So

    (G - m)^2 (N + 2) / (N h) ~ chi2(1)

(Breusch 1978; Godfrey 1978; `core.residuals.pooled_serial` has the moments of free coefficients to
the second order).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.rows_of_design import lagged_products, own_products

Array = np.ndarray


class NoAR(NamedTuple):
    """The test; ``rho`` is the score's estimate of a common coefficient."""

    rho: float
    statistic: float
    pvalue: float


def no_ar(system: RawSystem, fit: LawFit) -> NoAR:
    """Test that errors of neighbouring rows are uncorrelated.

    Parameters
    ----------
    system : RawSystem
        Whole rows, one period apart.
    fit : LawFit
        Of the system without the law that is tested.

    Notes
    -----
    Cost: H is formed and factorised, O(N P^2 + P^3).
    """
    best = fit.found.best
    problem = fit.system.problem(compress=False)
    E = problem.residuals(problem.design.from_beta(fit.problem.design.to_beta(best.gamma)))
    W = problem.observed(best.cov).solve(E)
    G = float(np.vdot(E[:-1], W[1:]))
    h = float(np.vdot(E[:-1], W[:-1]))
    same, lagged = own_products(problem, best.cov), lagged_products(problem, best.cov)
    mean = -float(np.trace(np.linalg.pinv(same, hermitian=True) @ lagged))
    n = len(E)
    statistic = (G - mean) ** 2 * (n + 2.0) / (n * h)
    return NoAR((G - mean) / h, statistic, float(stats.chi2.sf(statistic, 1)))
