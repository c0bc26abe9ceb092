"""Many starts: the likelihood has many local maxima, and the obvious start often misses the best.

Starts are constructed first, and run, each to convergence, because where equations omit different
regressors the early sweeps do not tell a good basin from a poor one:

    ols, union, common    see `sm_alsgls.core.maximise.starts`
    grow                  from the best fits with a factor less, see `core.maximise.ladder`

Where all designs are equal beta is OLS for any Sigma: then the climb is of Sigma alone, all its
ends are in the table, and only the lowest are run. Random starts are for who asks for more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Run, Rung, Search
from sm_alsgls.core.maximise.joining import JOINED, SAME, Watch
from sm_alsgls.core.maximise.ladder import climb, climb_alone
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.maximise.starts import (
    common_start,
    continued,
    nearby_start,
    random_start,
    union_start,
)
from sm_alsgls.core.maximise.units import curvature_in_units, in_units
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.second_order.curvature import Curvature, lowest_curvature
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import Progress

__all__ = ["SAME", "Run", "Search", "curvature_at", "effort", "search"]

# Up to this many elements of residuals the curvature at the best point belongs to the search;
# beyond, its Hessian products would cost as much as the fit, and `curvature_at` is there
# for who wants it.
CURVATURE_LIMIT = 200_000
# Elements of residuals up to which a search runs all constructed starts, and a single climb.
_FULL, _LEAN = 40_000, 100_000
# Ends of a climb of Sigma alone that are run on: a uniqueness on its way to its bound may look
# stationary 1e-4 of NLL before.
_FINISHED = 3


def effort(problem: Problem) -> str:
    """How much a search spends by default: "full", "lean" or "least", by size alone.

    Up to 40,000 elements of residuals (n K, after row compression) a run takes milliseconds and
    every constructed start is run; up to 100,000 a single climb; beyond, where a run takes as
    long as everything else together, OLS and one start elsewhere.
    """
    size = problem.design.n * problem.K
    return "full" if size <= _FULL else "lean" if size <= _LEAN else "least"


def most_starts(problem: Problem, rank: int, n_starts: int | None) -> int:
    """How many runs a search of ``n_starts`` has at most, but for steps off a saddle."""
    if _only_one(problem, rank):
        return 1
    if n_starts is not None:
        return n_starts
    spent = effort(problem)
    if spent == "least":
        return 2
    if problem.sigma_alone:
        return 1 + _FINISHED
    return 5 if spent == "full" else 3


def _only_one(problem: Problem, rank: int) -> bool:
    """Whether there is one maximum: OLS, equation by equation."""
    return problem.errors.climbs and rank == 0


@on_one_thread
@in_units
def search(
    problem: Problem,
    rank: int,
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
    after_first: Callable[[Problem, Solution], object] | None = None,
) -> Search:
    """Maximise the likelihood from several starts.

    Parameters
    ----------
    problem : Problem
    rank : int
    n_starts : int, optional
        Starts to run. 1 is ``first`` alone; then come the constructed ones, the most promising
        first, then random ones. None runs the constructed ones, as many as `effort` has, and
        draws nothing (but one on the largest systems); where the likelihood has no bound at this
        rank, only ``first``.
    rng : numpy Generator, optional
        Of random starts. Default: a generator of its own with a fixed seed.
    first : Start, optional
        Replaces the OLS start.
    callback : callable, optional
        Gets every `Sweep` of every run of rank ``rank``; a true return value ends the search.
    after_first : callable, optional
        Gets the problem and the solution of its first run, where others follow.

    Returns
    -------
    Search
    """
    spent = effort(problem)
    bounded = problem.bounded(rank)
    alone = _only_one(problem, rank)
    if alone or (n_starts is None and not bounded):
        n_starts = 1
    few = n_starts is None and spent == "least"
    watch = Watch(callback, problem.K, problem.n_obs if few else None)
    with Progress("starts", most_starts(problem, rank, n_starts), "start") as told:
        runs = _Runs(problem, rank, watch, n_starts, told)
        runs.run(first)
        rungs: list[Rung] = []
        if not runs.full:
            if after_first is not None:
                after_first(problem, runs.solutions[0])
            if spent != "least" or (n_starts or 0) > 2:
                rungs = runs.construct(spent == "full", first)
            drawn = 0
            most = n_starts or (2 if few else 0)
            while not watch.stopped and len(runs.rows) < most:
                # Made here: it takes as long as a sweep of a small system.
                rng = rng or np.random.default_rng(0)
                if spent == "least":
                    block = problem.errors.elsewhere(runs.solutions[0].block)
                    runs.run(nearby_start(problem, rank, rng, block))
                else:
                    runs.run(random_start(problem, rank, rng, drawn))
                drawn += 1
        best = runs.finished_winner()
        curvature = None
        if not alone and not watch.stopped and problem.design.n * problem.K <= CURVATURE_LIMIT:
            best, curvature = runs.leave_saddles(best)
    return Search(best, runs.table(best), curvature, rungs=tuple(rungs), bounded=bounded)


class _Runs:
    """The runs of a search, in order, and the rows of their table."""

    def __init__(
        self, problem: Problem, rank: int, watch: Watch, most: int | None, told: Progress
    ) -> None:
        self._problem, self._rank, self._watch, self._most = problem, rank, watch, most
        self._told = told
        self.solutions: list[Solution] = []
        self.rows: list[tuple[str, float, int, str]] = []

    @property
    def full(self) -> bool:
        """Whether nothing more may be run."""
        return self._watch.stopped or (self._most is not None and len(self.rows) >= self._most)

    @property
    def lowest(self) -> float:
        """The least NLL known."""
        return min(row[1] for row in self.rows)

    @property
    def _maximum(self) -> Solution | None:
        """The first run that ended at the least NLL known, if any did."""
        most = min((row[1] for row in self.rows), default=0.0) + SAME
        return next((s for s in self.solutions if s.converged and s.nll <= most), None)

    def run(self, start: Start | None) -> None:
        """One run, ended where it joins the best."""
        self._watch.best = self.lowest if self.rows else None
        found = als(self._problem, self._rank, start, callback=self._watch, known=self._maximum)
        nll = float(self._watch.best) if found.status == JOINED else found.nll  # type: ignore[arg-type]
        self._add(found, nll)

    def _add(self, found: Solution, nll: float) -> None:
        self.solutions.append(found)
        self.rows.append((found.label, nll, len(found.trace) - 1, found.status))
        self._told.update()

    def construct(self, full: bool, first: Start | None) -> list[Rung]:
        """Run the constructed starts; the rungs of the climb."""
        problem, rank = self._problem, self._rank
        if not problem.errors.climbs:
            return self._elsewhere()
        if problem.sigma_alone:
            found = climb_alone(problem, rank, None if first is None else first.d)
            done = 0
            for start, nll in zip(found.starts, found.nll, strict=True):
                if self.full:
                    break
                new = all(abs(nll - row[1]) > SAME for row in self.rows)
                if new and done < _FINISHED:
                    done += 1
                    self.run(start)
                else:
                    # Beta does not move, so this is where a run would end, nearly.
                    ended = JOINED if nll <= self.lowest + SAME else "stationary"
                    self.rows.append((start.label, max(nll, self.lowest), 0, ended))
            return found.rungs
        found = climb(problem, rank) if full else climb(problem, rank, 1, 0)
        grown = iter(found.starts)
        makers: list[Callable[[], Start | None]] = [
            lambda: next(grown, None),
            lambda: union_start(problem, rank),
            lambda: common_start(problem) if full else None,
            lambda: next(grown, None),
        ]
        for make in makers:
            made = None if self.full else make()
            if made is not None:
                self.run(made)
        return found.rungs

    def _elsewhere(self) -> list[Rung]:
        """The constructed starts of a law without a rank."""
        for made in (union_start(self._problem, self._rank), common_start(self._problem)):
            if made is not None and not self.full and not self._problem.sigma_alone:
                self.run(made)
        return []

    def finished_winner(self) -> Solution:
        """The best solution, run to its end."""
        best = _winner(self.solutions)
        if best.status == JOINED and not self._watch.stopped:
            # It joined one maximum and was on its way to another, just below: let it finish.
            self._watch.best = None
            finished = als(self._problem, self._rank, continued(best), callback=self._watch)
            best = replace(finished, trace=_joined(best.trace, finished.trace))
            self._add(best, best.nll)
        return best

    def leave_saddles(self, best: Solution) -> tuple[Solution, Curvature | None]:
        """Step off along negative curvature, both ways, until there is none (3 times at most)."""
        self._watch.best = None
        for _ in range(3):
            curvature = curvature_at(self._problem, best)
            if curvature is None or not curvature.is_saddle:
                break
            tried = [best]
            for sign in (1.0, -1.0):
                start = _off_a_saddle(self._problem, best, curvature, sign)
                tried.append(als(self._problem, self._rank, start, callback=self._watch))
                self._add(tried[-1], tried[-1].nll)
            lowest = min(tried, key=lambda s: s.nll)
            if lowest.nll >= best.nll - 1e-12 * max(1.0, abs(best.nll)):
                break
            best = lowest
        return best, curvature

    def table(self, best: Solution) -> tuple[Run, ...]:
        """A row for each run, with its distance from the best."""
        return tuple(
            Run(label, nll, max(0.0, nll - best.nll), sweeps, ended)
            for label, nll, sweeps, ended in self.rows
        )


def _winner(solutions: list[Solution]) -> Solution:
    """The first to find the lowest NLL, converged if any is that found the same maximum."""
    lowest = min(s.nll for s in solutions)
    pool = [s for s in solutions if s.converged and s.nll <= lowest + SAME] or solutions
    best = min(s.nll for s in pool)
    return next(s for s in pool if s.nll <= best + 1e-9 * max(1.0, abs(best)))


def _joined(first: tuple[Sweep, ...], then: tuple[Sweep, ...]) -> tuple[Sweep, ...]:
    """One trace of a run and its continuation, whose sweep 0 repeats the last point."""
    last = first[-1]
    return first + tuple(
        row._replace(sweep=row.sweep + last.sweep, seconds=row.seconds + last.seconds)
        for row in then[1:]
    )


def _off_a_saddle(problem: Problem, best: Solution, curvature: Curvature, sign: float) -> Start:
    """A step of about one unit along the curvature's direction."""
    scale = sign / max(1.0, float(np.abs(curvature.gamma).max(initial=0.0)))
    return Start(
        "off a saddle",
        gamma=best.gamma + scale * curvature.gamma,
        near=problem.errors.along(best.cov, curvature, sign, problem.floor),
    )


@curvature_in_units
def curvature_at(problem: Problem, solution: Solution) -> Curvature | None:
    """The lowest curvature at a solution, uniquenesses on their bound held there.

    None where the law of the errors has no second-order check.
    """
    hessian = problem.hessian(solution.gamma, solution.E, solution.cov)
    return None if hessian is None else lowest_curvature(hessian)
