"""The rank of ``rank="auto"``: BIC of OLS residuals, under a cap that the rows set.

    cap   max(1, floor(n / (6 + 25 / K))),     R = min(cap, 10, largest legal rank)
    rank  argmin over r = 0 .. R of  2 n nll_r(E_ols) + m(r) log n,     m(r) = K r + K - r (r-1)/2

n are the residuals' degrees of freedom, N less the mean number of regressors, and nll_r the least
NLL per row of factor analysis with r factors; see `sm_alsgls.core.rank.criteria` for why OLS
residuals. Where cells are missing n_j = N_j less those of equation j, n is their mean, and nll_r
is that of the observed cells (`sm_alsgls.core.sigma.observed_factor`), times n over the mean N_j.

The cap is there for intervals and not for the rank. Every factor takes K loadings from n rows, and
what they cost the coefficients' standard errors is of the order r / n, which the criterion, made
for finding factors, does not know. Small K needs more rows for a factor, as fewer equations
measure it. Of 63 cells (N = 20 .. 40, K = 10 .. 100; low-rank, AR, blocks, spatial, Wishart, t
rows; 2 to 12 draws each) mean coverage is .949 for every cap from 6 + 100 / K to none below rank
4; the RMSE of slopes over that of the best fixed rank is 1.056 at 6 + 100 / K, 1.047 at 6 + 60 / K,
1.022 here and 1.015 without a cap. (5 + 35 / K has 1.019, but rank 2 with a Heywood case, and a
warning, on the panel of 48 states and 17 years that this cap gives rank 1.)

The gain of a factor falls with r, so a criterion that rose twice in a row, or once by more than .4
of what a factor's parameters are charged, is not looked at further: the next factor would have to
gain 2.3 times what the last did. In 469 systems, simulated and real, of 5 to 60 equations, the rank
is that of all candidates, and would be from .2 on; of 2,186 Sigma-steps, those of the most factors,
278 are not taken. Cost: one Sigma-step for each candidate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.path import path_gtol, residual_steps
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.core.sigma.observed_factor import fit_observed
from sm_alsgls.core.sigma.observed_start import available_cells
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.progress import Progress

Array = np.ndarray

# Rows for each factor where equations are many, and what few equations need beyond.
_ROWS, _ROWS_OF_FEW = 6.0, 25.0
# No d_j below this share of its variance where cells are missing: few joint rows fit exactly.
_SHARE = 1e-2
# Their first steps crawl: a gradient that would do elsewhere may be far from the end.
_GTOL = 1e-3
# Elsewhere a gradient that leaves the criterion within 2 N K 1e-8 of its own, 2e-5 for 20 equations
# and 60 rows: what lies below would be an eighth of the evaluations.
EXACT = 1e-4
# Share of what a factor's parameters are charged that the criterion must rise by to be past its
# lowest.
_PAST = 0.4
# A candidate's second start is run where the criterion is within this share of what a factor's
# parameters are charged of the lowest: in 405 systems, simulated and real, it never took off more
# than .31 of that, and it was a third of the evaluations.
_NEAR = 0.5


def supported_rank(n: float, K: int) -> int:
    """The cap: how many factors n degrees of freedom carry.

    Examples
    --------
    >>> [supported_rank(17.0, K) for K in (5, 10, 50, 200)]
    [1, 2, 2, 2]
    >>> [supported_rank(97.0, K) for K in (5, 10, 50, 200)]
    [8, 11, 14, 15]
    """
    return max(1, math.floor(n / (_ROWS + _ROWS_OF_FEW / K)))


def degrees_of_freedom(problem: Problem, free: int) -> float:
    """n, of ``free`` coefficients in all."""
    return float(np.mean(problem.counts)) - free / problem.K


@on_one_thread
def default_criterion(problem: Problem, ranks: Sequence[int], free: int) -> dict[int, float]:
    """The criterion of each candidate, up to the one at which it is past its lowest.

    Parameters
    ----------
    problem : Problem
    ranks : sequence of int
        Ascending.
    free : int
        Free coefficients of the system.
    """
    n, K = degrees_of_freedom(problem, free), problem.K
    share = problem.n_obs / float(np.mean(problem.counts))
    patterns = problem.rows.patterns
    found: dict[int, float] = {}

    def criterion(rank: int, nll: float) -> float:
        return bic(rank, share * nll, n, K)

    def near(rank: int, nll: float) -> bool:
        lowest = min(found.values(), default=math.inf)
        return criterion(rank, nll) < lowest + _NEAR * (K - rank) * math.log(n)

    if patterns is None:
        steps = residual_steps(problem, ranks, EXACT, near)
    else:
        steps = _observed_steps(problem, patterns, ranks)
    for rank, nll in zip(ranks, steps, strict=False):
        found[rank] = criterion(rank, nll)
        if is_past(found, n, K):
            break
    return found


def bic(rank: int, nll: float, n: float, K: int) -> float:
    """2 n nll + m(r) log n."""
    return 2.0 * n * nll + math.log(n) * sigma_parameters(K, rank)


def is_past(found: Mapping[int, float], n: float, K: int) -> bool:
    """Whether a criterion has risen by enough, or twice in a row, by the last of its candidates.

    Examples
    --------
    >>> [is_past({0: 9.0, 1: rise}, 40.0, 5) for rise in (9.0, 14.0, 17.0)]
    [False, False, True]
    >>> is_past({0: 8.0, 1: 9.0, 2: 9.5}, 40.0, 5)
    True
    """
    if len(found) < 2:
        return False
    ranks, values = list(found), list(found.values())
    charged = (sigma_parameters(K, ranks[-1]) - sigma_parameters(K, ranks[-2])) * math.log(n)
    enough = values[-1] - values[-2] > _PAST * charged
    return enough or (len(values) > 2 and values[-3] < values[-2] < values[-1])


def _observed_steps(problem: Problem, patterns: Patterns, ranks: Sequence[int]) -> Iterator[float]:
    """Least NLL per row of OLS residuals with missing cells at each candidate."""
    E = problem.E_ols
    with Progress("candidate ranks", len(ranks), "fit") as told:
        for rank in ranks:
            start = available_cells(E, patterns, rank)
            floor = np.maximum(problem.floor, _SHARE * problem.s_ols)
            gtol = min(_GTOL, path_gtol(problem.n_obs))
            fit = fit_observed(E, patterns, start, floor, gtol=gtol)
            told.update()
            yield fit.nll + problem.errors.constant
