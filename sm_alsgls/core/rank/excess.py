"""Is the last factor of a fit more than noise? One short Sigma-step, no refit.

A rank r that is too high shows in what rank r - 1 leaves. Drop the last factor of the canonical
F, give its part of the variances back to D, let a Sigma-step of rank r - 1 on the *OLS* residuals
move D, and look at the largest eigenvalue t that those r - 1 factors leave of

    D^-1/2 (E'E/N) D^-1/2 .

Where r - 1 factors suffice, t is as the largest eigenvalue of white noise of K - r + 1 columns
and N - p - r + 1 rows (`criteria.largest_root_pvalue`). OLS residuals, because those of the
fit have been bent to its factors: at N=17, K=48, p=5 and two factors too many, their t looks like
noise in 3 % of draws, that of OLS residuals in all (30 draws each of true ranks 1 to 3).

On large systems the Sigma-step is left out where t is far from noise before it: at D as it is
then, the r-th Ritz value of span(D^-1/2 F) is a lower bound of t, for one product with E.

The limit is the median of noise and not its 5 % point. A true factor that is weak stays below the
5 % point at times; and the *second* largest eigenvalue of noise, which is what a fit two ranks
too high has as its last factor, is nearly always below the median of the largest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.core.maximise.als import Solution
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.criteria import largest_root_median, largest_root_pvalue
from sm_alsgls.core.rank.path import path_gtol, searched
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.spectrum import spectrum
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import factors_of

Array = np.ndarray

# Times the median of noise from which on a lower bound of t decides on large systems. Of factors
# that were noise the bound was up to 5 in systems of 2,000 elements (a Heywood case may come before
# a true factor, which is then the one dropped), 2.2 at 5,000, and 1.1 beyond 10,000.
_FAR = 5.0
# Share of noise that is stronger than the factor from which on it is called noise.
SPARE = 0.5


class LastFactor(NamedTuple):
    """The eigenvalue of the last factor of a fit, beside that of noise.

    Attributes
    ----------
    eigenvalue : float
        t, or a lower bound of it that is far above noise; NaN where rank, rows or equations leave
        nothing to compare.
    noise : float
        Median of t where r - 1 factors suffice.
    pvalue : float
        Probability of a larger t there.
    """

    eigenvalue: float
    noise: float
    pvalue: float

    @property
    def is_spare(self) -> bool:
        """True where the factor is weaker than noise is half the time."""
        return self.pvalue > SPARE


def spare_factor(problem: Problem, solution: Solution, rank: int) -> LastFactor | None:
    """`last_factor`; None without factors, or where rows are observed in part."""
    if rank == 0 or not (problem.errors.whole and problem.errors.climbs):
        return None
    return last_factor(problem, solution)


@on_one_thread
def last_factor(problem: Problem, solution: Solution) -> LastFactor:
    """Compare the last factor of a solution with noise.

    Parameters
    ----------
    problem : Problem
    solution : Solution
        Of rank 1 or more, or there is nothing to compare.

    Notes
    -----
    Cost: of a fit from one start 1 % where the factor is far from noise on a large system, 5 %
    where it is not, up to 20 % on small ones, whose default of many starts makes that 1 %
    (K = 10 .. 10,000).
    """
    cov = factors_of(solution.cov).canonical()
    F, N, K = cov.loadings, problem.n_obs, problem.K
    r = F.shape[1]
    rows, columns = N - problem.design.P / K - (r - 1), K - (r - 1)
    if r == 0 or r > min(problem.Y.shape) or rows < 1.0 or columns < 2:
        return LastFactor(math.nan, math.nan, math.nan)
    E, block = problem.E_ols, solution.block
    n, k = np.array(rows), np.array(float(columns))
    noise = float(largest_root_median(n, k))
    d = cov.uniquenesses + np.square(F[:, -1])
    if not searched(problem):
        t = _lower_bound(E, F, d, N)
        if t > _FAR * noise:
            return LastFactor(t, noise, float(largest_root_pvalue(np.array(t), n, k)))
    if r == 1:
        d = problem.s_ols
    else:
        d = fit_factor(
            E,
            r - 1,
            n_obs=N,
            d=d,
            floor=problem.floor,
            gtol=1e-3 if searched(problem) else path_gtol(N),
            block=None if block is None else block[:, : 2 * r],
        ).d
    # The iteration refines eigenvalues above 1 only: a quarter of d makes them four times as large.
    values = spectrum(E, N, r, block).pairs(0.25 * d, 1e-2)[0]
    t = 0.25 * float(values[r - 1])
    return LastFactor(t, noise, float(largest_root_pvalue(np.array(t), n, k)))


def _lower_bound(E: Array, F: Array, d: Array, n_obs: int) -> float:
    """The least Ritz value of D^-1/2 (E'E/N) D^-1/2 on span(D^-1/2 F)."""
    W = F / d[:, None]
    # As BLAS has it fastest.
    EW = np.ascontiguousarray(W.T) @ E.T
    values = scipy.linalg.eigh(EW @ EW.T / n_obs, W.T @ F, eigvals_only=True)
    return float(values[0])
