"""Many starts: the likelihood has many local maxima, and the obvious start often misses the best.

Starts of four kinds are run, each to convergence, because where equations omit different
regressors the early sweeps do not tell a good basin from a poor one:

    ols       OLS residuals
    union     Sigma of the residuals on all regressors of all equations, where rows allow
    grow      the best fit with a factor fewer, given one more
    random    coefficients far from OLS, or an asymmetric (F, d)

Random starts end when Bayes' rule expects no unseen maximum: n starts that found w different
ones leave w (n - 1) / (n - w - 2) in expectation (Boender and Rinnooy Kan 1987, Mathematical
Programming 37), and fewer than w + 1/2 is taken as none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.als import Solution, Start, Sweep, als
from sm_alsgls.core.curvature import Curvature, lowest_curvature
from sm_alsgls.core.steps import System, steps_of
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray

# Up to this many elements of residuals the curvature at the best point belongs to the search;
# beyond, its Hessian products would cost as much as the fit, and `curvature_at` is there
# for who wants it.
CURVATURE_LIMIT = 200_000

# Two runs that end within this NLL per row of one another found the same maximum.
SAME = 1e-6
_JOINED = "joined the best"


class Run(NamedTuple):
    """One row of the table of starts; ``gap`` is its NLL per row above the best."""

    start: str
    nll: float
    gap: float
    sweeps: int
    ended: str


@dataclass(frozen=True)
class Search:
    """The best solution, how the others ended, the curvature at the best, and who searched."""

    best: Solution
    runs: tuple[Run, ...]
    curvature: Curvature | None = field(default=None, repr=False)
    method: str = "als"


def auto_starts(problem: System, rank: int) -> int:
    """How many starts are worth their time: many where each costs milliseconds.

    At most 32 up to 10,000 elements of residuals (n K, after row compression), then in inverse
    proportion, 2 for the largest. The rule looks at sizes only, so a fit is reproducible.
    """
    if rank == 0:
        return 1
    return int(np.clip(32 * 10_000 / (problem.design.n * problem.K), 2, 32))


@on_one_thread
def search(
    problem: System,
    rank: int,
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Search:
    """Maximise the likelihood from several starts.

    Parameters
    ----------
    problem : Problem or another System
    rank : int
    n_starts : int, optional
        Most starts to run; with None `auto_starts`, and then Bayes' rule may stop earlier.
        1 runs ``first`` alone.
    rng : numpy Generator, optional
        Default: a generator of its own with a fixed seed.
    first : Start, optional
        Replaces the OLS start.
    callback : callable, optional
        Gets every `Sweep` of every run; a true return value ends the search.

    Returns
    -------
    Search
    """
    limit = auto_starts(problem, rank) if n_starts is None else n_starts
    few = n_starts is None and limit == 2
    watch = _Watch(callback, problem.K, problem.n_obs if few else None)
    solutions = [als(problem, rank, first, callback=watch)]
    levels = [solutions[0].nll]

    def run(start: Start) -> None:
        watch.best = min(levels)
        solutions.append(als(problem, rank, start, callback=watch))
        joined = solutions[-1].status == _JOINED
        levels.append(watch.best if joined else solutions[-1].nll)

    if rank > 0:
        for make in (_union_start, _grown_start):
            start = make(problem, rank) if limit > 2 and len(solutions) < limit else None
            if start is not None and not watch.stopped:
                run(start)
        constructed = len(levels)
        while len(solutions) < limit and not watch.stopped:
            # Made here: it takes as long as a sweep of a small system.
            rng = rng or np.random.default_rng(0)
            index = len(levels) - constructed
            large = limit == 2
            run(
                nearby_start(problem, rank, rng, steps_of(problem).elsewhere(solutions[0].block))
                if large
                else random_start(problem, rank, rng, index)
            )
            if n_starts is None and _all_seen(levels[constructed:], min(levels)):
                break
    best = _winner(solutions)
    if best.status == _JOINED and not watch.stopped:
        # It joined one maximum and was on its way to another, just below: let it finish.
        watch.best = None
        finished = als(problem, rank, _continued(best), callback=watch)
        best = replace(finished, trace=_joined(best.trace, finished.trace))
        solutions.append(best)
        levels.append(best.nll)
    curvature = None
    if rank > 0 and not watch.stopped and problem.design.n * problem.K <= CURVATURE_LIMIT:
        watch.best = None
        best, curvature = _leave_saddles(problem, rank, best, solutions, watch)
        levels += [s.nll for s in solutions[len(levels) :]]
    runs = tuple(
        Run(s.label, level, max(0.0, level - best.nll), len(s.trace) - 1, s.status)
        for s, level in zip(solutions, levels, strict=True)
    )
    return Search(best, runs, curvature)


def _winner(solutions: list[Solution]) -> Solution:
    """The first to find the lowest NLL, converged if any is that found the same maximum."""
    lowest = min(s.nll for s in solutions)
    pool = [s for s in solutions if s.converged and s.nll <= lowest + SAME] or solutions
    best = min(s.nll for s in pool)
    return next(s for s in pool if s.nll <= best + 1e-9 * max(1.0, abs(best)))


def _all_seen(found: list[float], best: float) -> bool:
    n = len(found)
    levels = np.sort(found)
    if levels[0] > best + SAME:
        # A constructed start is best and no random one has found its basin: keep looking.
        return False
    w = 1 + int(np.sum(np.diff(levels) > SAME))
    return n > w + 2 and w * (n - 1) / (n - w - 2) < w + 0.5


def random_start(problem: System, rank: int, rng: np.random.Generator, index: int) -> Start:
    """The ``index``-th kind of random start: coefficients far off, near, or a random Sigma."""
    s, K = problem.s_ols, problem.K
    kind = index % 3
    if kind < 2:
        width = (10.0, 1.0)[kind]
        noise = problem.design.expand(np.sqrt(s * problem.n_obs))
        gamma = problem.gamma_ols + width * noise * rng.standard_normal(problem.design.P)
        return Start("random beta", gamma=gamma)
    share = 1.0 - 10.0 ** rng.uniform(-3.0, -0.3, K)
    F = rng.standard_normal((K, rank))
    F *= np.sqrt(s * share / np.einsum("kr,kr->k", F, F))[:, None]
    return Start("random Sigma", cov=LowRankDiag.from_factors(F, s * (1.0 - share)))


def nearby_start(
    problem: System, rank: int, rng: np.random.Generator, block: Array | None
) -> Start:
    """A random Sigma near enough to be cheap, for systems where a start takes seconds.

    Factors lean on random directions and uniquenesses on random shares; ``block`` only saves
    eigen-iterations.
    """
    s, K = problem.s_ols, problem.K
    share = rng.uniform(0.2, 0.8, K)
    F = rng.standard_normal((K, rank))
    F *= np.sqrt(s * share / np.einsum("kr,kr->k", F, F))[:, None]
    return Start("random Sigma", cov=LowRankDiag.from_factors(F, s * (1.0 - share)), block=block)


def _union_start(problem: System, rank: int) -> Start | None:
    """Sigma of the residuals of Y on every regressor of the system."""
    cov = steps_of(problem).union(rank)
    return None if cov is None else Start("union", cov=cov)


def _grown_start(problem: System, rank: int) -> Start | None:
    """The fit of rank - 1, itself grown from rank 1; the Sigma-step adds the factor."""
    if rank == 1:
        return None
    solution = als(problem, 1)
    for r in range(2, rank):
        solution = als(problem, r, _continued(solution))
    return replace(_continued(solution), label="grow")


def _continued(solution: Solution) -> Start:
    cov = solution.cov
    return Start(solution.label, gamma=solution.gamma, d=cov.uniquenesses, near=cov)


def _joined(first: tuple[Sweep, ...], then: tuple[Sweep, ...]) -> tuple[Sweep, ...]:
    """One trace of a run and its continuation, whose sweep 0 repeats the last point."""
    last = first[-1]
    return first + tuple(
        row._replace(sweep=row.sweep + last.sweep, seconds=row.seconds + last.seconds)
        for row in then[1:]
    )


def _leave_saddles(
    problem: System, rank: int, best: Solution, solutions: list[Solution], watch: _Watch
) -> tuple[Solution, Curvature]:
    """Step off along negative curvature, both ways, until there is none (three times at most)."""
    for _ in range(3):
        curvature = curvature_at(problem, best)
        if not curvature.is_saddle:
            break
        tried = [best]
        for sign in (1.0, -1.0):
            x = sign * curvature.x / max(1.0, float(np.abs(curvature.x).max(initial=0.0)))
            scale = sign / max(1.0, float(np.abs(curvature.gamma).max(initial=0.0)))
            d = np.maximum(best.cov.uniquenesses * np.exp(x), problem.floor)
            size = np.abs(curvature.F / np.sqrt(best.cov.uniquenesses)[:, None]).max(initial=0.0)
            F = best.cov.loadings + sign / max(1.0, float(size)) * curvature.F
            start = Start(
                "off a saddle",
                gamma=best.gamma + scale * curvature.gamma,
                d=d,
                near=LowRankDiag.from_factors(F, d),
            )
            tried.append(als(problem, rank, start, callback=watch))
        solutions.extend(tried[1:])
        lowest = min(tried, key=lambda s: s.nll)
        if lowest.nll >= best.nll - 1e-12 * max(1.0, abs(best.nll)):
            break
        best = lowest
    return best, curvature


def curvature_at(problem: System, solution: Solution) -> Curvature:
    """The lowest curvature at a solution, uniquenesses on their bound held there."""
    free = solution.cov.uniquenesses > 1.5 * problem.floor
    return lowest_curvature(
        steps_of(problem).hessian(solution.gamma, solution.E, solution.cov, free)
    )


class _Watch:
    """Passes sweeps to the caller, and ends runs: at its wish, or when they join the best.

    A run has joined when it is within ten times ``SAME`` of the best NLL known (for each hundred
    equations) and hardly falls: finishing it would only find the same maximum again. Where there
    are two starts only (``large`` is N) it also has when all its rows together are within 2 of
    the best log-likelihood and no equation's score is half its standard error.
    """

    def __init__(
        self, callback: Callable[[Sweep], object] | None, K: int, large: int | None = None
    ) -> None:
        self._callback, self.stopped = callback, False
        self._close = 0.0 if large is None else 2.0 / large
        self._near = 10 * SAME * max(1.0, K / 100)
        self.best: float | None = None
        self._previous = np.inf

    def __call__(self, sweep: Sweep) -> str:
        if self._callback is not None and self._callback(sweep):
            self.stopped = True
            return "stopped by the callback"
        fell = self._previous - sweep.nll if sweep.sweep > 0 else np.inf
        self._previous = sweep.nll
        if self.best is None:
            return ""
        # A run below the best is on its way to another maximum, however close.
        above = sweep.nll - self.best
        if -1e-9 < above < self._near and fell < 10 * self._near:
            return _JOINED
        if -1e-9 < above < self._close and sweep.score_beta < 0.5:
            return _JOINED
        return ""
