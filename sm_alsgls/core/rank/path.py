"""The maximum of the likelihood at every candidate number of factors, each from the last.

A fit of rank r starts at the coefficients and uniquenesses of the one before, with one factor
more or several: for those (beta, d) the best F of a higher rank cannot be worse, and no sweep
raises the NLL, so NLL falls with r by construction. On small systems, where the likelihood has
many maxima, a `search` with that start among its own keeps this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sm_alsgls.core.maximise.als import Solution, Start, als
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.sigma.block_spectrum import widened
from sm_alsgls.core.sigma.factor import FactorSolution, fit_factor
from sm_alsgls.core.sigma.spectrum import spectrum
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.progress import Progress, counted

Array = np.ndarray

# Up to this many elements of residuals (n K) every candidate gets a search of so many starts: a
# start costs milliseconds there, and real data are treacherous.
_SEARCHED, _STARTS = 10_000, 8


@dataclass(frozen=True)
class RankFit:
    """The fit of one candidate, without its residuals, of which a path would keep a dozen.

    Attributes
    ----------
    rank : int
    gamma : ndarray, shape (P,)
    cov : Covariance
    nll : float
        Per row, without ridges.
    root : float
        Largest eigenvalue that the factors leave of D^-1/2 (E'E/N) D^-1/2; NaN where none is left.
    converged : bool
    status : str
    starts, sweeps : int
    """

    rank: int
    gamma: Array = field(repr=False)
    cov: Covariance
    nll: float
    root: float
    converged: bool
    status: str
    starts: int
    sweeps: int


def searched(problem: Problem) -> bool:
    """Whether a path on this system searches by default."""
    return problem.design.n * problem.K <= _SEARCHED


def path_gtol(n_obs: int) -> float:
    """A stationarity tolerance that no criterion feels.

    The information of log d_j is 1/2 a row, so a gradient of gtol in all K leaves 2 N nll within
    2 N K gtol^2 of its minimum; 0.5 / N makes that half of 2 K, what AIC charges for a factor.
    That is the worst case; found at N=600, K=300, ranks 0..10: at most 1.5 % of 2 K, with
    `PATH_REL_TOL`.
    """
    return math.sqrt(0.5 / n_obs)


# Beside `path_gtol`: the NLL per row of a sweep may still fall by this share of itself, or every
# candidate past the true rank would run one more sweep to see that it hardly falls.
PATH_REL_TOL = 1e-5


@on_one_thread
def rank_path(
    problem: Problem,
    ranks: Sequence[int],
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    starts: Sequence[Start] | None = None,
) -> tuple[RankFit, ...]:
    """Fit every candidate, each from the one before.

    Parameters
    ----------
    problem : Problem
    ranks : sequence of int
        Ascending.
    n_starts : int, optional
        Of each candidate; 1 is the start from the one before alone. None: 8 on small systems
        (`searched`), else 1.
    rng : numpy Generator, optional
        Of random starts. Default: a fixed seed.
    starts : sequence of Start, optional
        One for each candidate, instead of the one before, where its maximum is known nearly.
    """
    if n_starts is None:
        n_starts = _STARTS if searched(problem) else 1
    rng = np.random.default_rng(0) if rng is None else rng
    fits: list[RankFit] = []
    before: Start | None = None
    for i, rank in enumerate(counted(ranks, "candidate ranks", unit="fit")):
        first = before if starts is None else starts[i]
        found = None
        if n_starts > 1 and rank > 0:
            found = search(problem, rank, n_starts=n_starts, rng=rng, first=first)
        solution = als(problem, rank, first) if found is None else found.best
        more = ranks[i + 1] if i + 1 < len(ranks) else rank + 1
        root, block = _beyond(problem, solution, rank, more)
        # OLS coefficients are the default, and a diagonal Sigma's d say nothing of a factor.
        before = (
            Start(
                "grow", gamma=solution.gamma, d=factors_of(solution.cov).uniquenesses, block=block
            )
            if rank > 0
            else None
        )
        fits.append(
            RankFit(
                rank,
                solution.gamma,
                solution.cov,
                solution.cov.nll(solution.E, problem.n_obs),
                root,
                solution.converged,
                solution.status,
                1 if found is None else len(found.runs),
                len(solution.trace) - 1,
            )
        )
    return tuple(fits)


@on_one_thread
def residual_path(problem: Problem, ranks: Sequence[int]) -> Array:
    """The least NLL per row of OLS residuals over (F, d) at every candidate, each from the last.

    One Sigma-step a candidate, a fifth of the time of `rank_path`, which moves coefficients too;
    on small systems two, as factor analysis alone has several maxima.
    """
    return np.fromiter(residual_steps(problem, ranks), float, len(ranks))


def residual_steps(
    problem: Problem,
    ranks: Sequence[int],
    gtol: float | None = None,
    again: Callable[[int, float], bool] | None = None,
) -> Iterator[float]:
    """`residual_path` one candidate at a time, by default to the options' ``gtol``.

    ``again`` is told a rank and its NLL from the one before, and says whether a second start is
    worth its time; by default it always is.
    """
    gtol = min(problem.options.gtol if gtol is None else gtol, path_gtol(problem.n_obs))
    E, constant = problem.E_ols, 0.5 * problem.K * math.log(2.0 * math.pi)

    def worth(rank: int, nll: float) -> bool:
        return again is None or again(rank, nll + constant)

    for fit in factor_steps(
        E, ranks, n_obs=problem.n_obs, floor=problem.floor, gtol=gtol, again=worth
    ):
        yield fit.nll + constant


def factor_steps(
    E: Array,
    ranks: Sequence[int],
    *,
    n_obs: int,
    floor: Array,
    gtol: float,
    again: Callable[[int, float], bool] | None = None,
) -> Iterator[FactorSolution]:
    """Factor analysis of the rows ``E`` (n, K) at every candidate, each from the last.

    On small systems also from a start of its own, as factor analysis has several maxima, unless
    ``again``, told the rank and the NLL of the first, says that this is not worth its time.
    """
    s = np.vecdot(E.T, E.T) / n_obs
    last: FactorSolution | None = None

    def fit(rank: int, start: FactorSolution | None) -> FactorSolution:
        return fit_factor(
            E,
            rank,
            n_obs=n_obs,
            d=None if start is None else start.d,
            floor=floor,
            gtol=gtol,
            block=None if start is None else widened(start.block, s, len(E), rank),
        )

    with Progress("candidate ranks", len(ranks), "fit") as told:
        for rank in ranks:
            best = fit(rank, last)
            second = last is not None and rank > 0 and E.size <= _SEARCHED
            if second and (again is None or again(rank, best.nll)):
                best = min(best, fit(rank, None), key=lambda fit: fit.nll)
            # A diagonal Sigma's d say nothing of a factor.
            last = best if rank > 0 else None
            told.update()
            yield best


def _beyond(
    problem: Problem, solution: Solution, rank: int, more: int
) -> tuple[float, Array | None]:
    """The first eigenvalue that the factors leave, and a basis for the fit of rank ``more``.

    One iteration serves both.
    """
    n, K = solution.E.shape
    if rank + 1 > min(n, K):
        return math.nan, None
    more = min(more, n, K)
    block = widened(solution.block, problem.s_ols, n, more)
    source = spectrum(solution.E, problem.n_obs, more, block)
    # The iteration refines only eigenvalues above 1, where a random basis may not reach: a
    # quarter of d makes them four times as large.
    values = source.pairs(0.25 * factors_of(solution.cov).uniquenesses, 1e-2)[0]
    kept = source.block
    return 0.25 * float(values[rank]), kept
