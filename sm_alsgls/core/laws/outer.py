"""Parameters around the loop, maximised by the gradient of the envelope.

At values v of a few parameters the loop finds

    psi(v) = min over (b, Sigma) of the NLL per row of the problem at v, less a log-Jacobian,

and its gradient is the partial derivative at the inner optimum, so that a value and a gradient cost
one warm run. psi is minimised by BFGS (Nocedal and Wright 2006, section 6.1) from the curvature
that the information expects, by steps that go nine tenths of the way to a bound at most: at the ends
of an admissible interval log-Jacobians have no bound, and maxima lie inside. With one parameter that
is the secant method on the gradient, six runs as a rule.

1. The run that comes first is of rank 0 where there are factors: they take for their own what the
   parameters would explain, and the other way round.
2. BFGS at the rank, each run begun where the last one ended.
3. A search from other starts at the values found. Where it finds a better Sigma, 2 again from there.
4. The curvature of N psi by central differences of the gradient is the inverse of the values'
   covariance (Patefield 1977, Sankhya B 39), and the same runs say how the coefficients follow,
   G = d b / d v. So, all parameters in one information, by the inverse of a partitioned matrix,

       Cov(b) = H^-1 + G Cov(v) G',         Cov(b, v) = G Cov(v),

   where H^-1 is that of coefficients at known values. Of an error's lam or rho G is 0 nearly; of a
   spatial lag's it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.maximise.starts import continued
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# Of a step, in standard errors of the values.
_TOL = 1e-7
# A step that rounding forbids is small enough from here on.
_ENOUGH = 1e-3
_MOST = 60
# Of the way to a bound that a step may go.
_SHARE = 0.9
# Steps of differences, in standard errors, and as a share of the way to a bound at most.
_STEP, _NEAR = 0.05, 0.25
# A better maximum of the search, and how often it is followed.
_BETTER, _AGAIN = 1e-7, 3
_ROUNDING = 1e-13


class Outer(Protocol):
    """Parameters around the loop, at values of theirs; a frozen value.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (m,)
    bounds : ndarray, shape (m, 2)
    problem : Problem
        The problem at the values.
    log_jacobian : float
        Per row, of all there is; for `Nuisance`.
    beside : float
        What of it the problem's own NLL has not.
    """

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def values(self) -> Array: ...  # noqa: D102
    @property
    def bounds(self) -> Array: ...  # noqa: D102
    @property
    def problem(self) -> Problem: ...  # noqa: D102
    @property
    def log_jacobian(self) -> float: ...  # noqa: D102
    @property
    def beside(self) -> float: ...  # noqa: D102

    def at(self, values: Array) -> Outer:
        """The same at other values (m,)."""
        ...

    def gradient(self, gamma: Array, E: Array, cov: Covariance) -> Array:
        """d psi / d values (m,) at coefficients, residuals and ``cov`` of the inner optimum."""
        ...

    def information(self, gamma: Array, E: Array, cov: Covariance) -> Array:
        """About the curvature of psi there, (m, m), positive definite."""
        ...


@dataclass(frozen=True)
class Maximum:
    """The maximum over (v, b, Sigma).

    Attributes
    ----------
    outer : Outer
        At the best values.
    found : Search
        Its best solution has the values and their covariance as ``nuisance``, and all of the
        log-Jacobian in its NLL.
    slopes : ndarray, shape (P, m)
        d b / d v of the parameters, as `Linear.to_params` has them; NaN where there is no
        covariance.
    gradient : ndarray, shape (m,)
        Of psi, there.
    runs : int
        Inner runs, all told.
    """

    outer: Outer
    found: Search
    slopes: Array
    gradient: Array
    runs: int

    @property
    def nuisance(self) -> Nuisance:
        """Of the best solution."""
        return self.found.best.nuisance


@on_one_thread
def maximise_outer(
    outer: Outer,
    rank: int,
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Maximum:
    """Maximise over outer and inner parameters, from ``outer``'s values.

    Parameters
    ----------
    outer : Outer
    rank : int
    n_starts, rng
        Of the search at the values found; 1 leaves it out.
    first : Start, optional
        Of the first run, which then is of ``rank``.
    callback : callable, optional
        Gets every `Sweep` of every run; a true return value ends everything, with the best so far.

    Returns
    -------
    Maximum

    Raises
    ------
    OptionError
        The first values are not within the bounds.
    """
    for name, value, (low, high) in zip(outer.names, outer.values, outer.bounds, strict=True):
        if not low < value < high:
            raise OptionError(f"{name} must lie between {low:g} and {high:g}, got {value:g}")
    runs = _Runs(rank, callback)
    try:
        if rank > 0 and first is None:
            outer = _bfgs(_Runs(0, runs.told), runs.point_of_rank_0(outer)).outer
        point = _bfgs(runs, runs.point(outer, first))
        found = _search(runs, point, n_starts, rng)
        for _ in range(_AGAIN):
            if found.best.nll - point.outer.beside > point.psi - _BETTER:
                break
            point = _bfgs(runs, runs.point(point.outer, continued(found.best)))
            found = _search(runs, point, n_starts, rng)
        if found.best.nll - point.outer.beside < point.psi:
            point = _Point.of(point.outer, found.best)
        cov, slopes = _covariance(runs, point)
    except _StoppedError:
        return _stopped(runs)
    return _maximum(point, found, cov, slopes, runs.number)


class _StoppedError(Exception):
    """The callback asked for the end."""


@dataclass(frozen=True)
class _Point:
    """An inner optimum, with psi and its gradient."""

    outer: Outer
    solution: Solution
    psi: float
    gradient: Array

    @classmethod
    def of(cls, outer: Outer, solution: Solution) -> _Point:
        gradient = outer.gradient(solution.gamma, solution.E, solution.cov)
        return cls(outer, solution, solution.nll - outer.beside, gradient)


class _Runs:
    """Inner runs of one rank, counted, with the best that any found."""

    def __init__(self, rank: int, callback: Callable[[Sweep], object] | None) -> None:
        self.rank, self._callback = rank, callback
        self.number, self.stopped = 0, False
        self.best: _Point | None = None

    def told(self, sweep: Sweep) -> object:
        """Passes a sweep on; what it answers ends everything."""
        answer = self._callback(sweep) if self._callback is not None else None
        self.stopped = self.stopped or bool(answer)
        return answer

    def point(self, outer: Outer, start: Start | None) -> _Point:
        """A run at the values of ``outer``."""
        self.number += 1
        point = _Point.of(outer, als(outer.problem, self.rank, start, callback=self.told))
        if self.best is None or point.psi < self.best.psi:
            self.best = point
        if self.stopped:
            raise _StoppedError
        return point

    def point_of_rank_0(self, outer: Outer) -> _Point:
        """The first run, of rank 0; its best does not count."""
        self.number += 1
        found = als(outer.problem, 0, callback=self.told)
        if self.stopped:
            self.best = _Point.of(outer, found)
            raise _StoppedError
        return _Point.of(outer, found)


def _bfgs(runs: _Runs, point: _Point) -> _Point:
    """2. of the module, from a point."""
    outer, n_obs = point.outer, point.outer.problem.n_obs
    H = _information(point)
    for _ in range(_MOST):
        step = -np.linalg.solve(H, point.gradient)
        slope = float(step @ point.gradient)
        size = math.sqrt(n_obs * max(-slope, 0.0))
        if size <= _TOL:
            break
        step *= _inside(point.outer, step)
        trial = _line(runs, point, step, size)
        if trial is None:
            break
        moved = trial.outer.values - point.outer.values
        turned = trial.gradient - point.gradient
        point = trial
        curvature = float(moved @ turned)
        if curvature > 1e-10 * float(moved @ H @ moved):
            Hs = H @ moved
            H = H - np.outer(Hs, Hs) / float(moved @ Hs) + np.outer(turned, turned) / curvature
        else:
            # Not convex here: what is expected is what is left.
            H = _information(point)
    return point


def _information(point: _Point) -> Array:
    found = point.solution
    return point.outer.information(found.gamma, found.E, found.cov)


def _inside(outer: Outer, step: Array) -> float:
    """The share of a step that leaves a tenth of the way to every bound."""
    way = np.where(step > 0.0, outer.bounds[:, 1] - outer.values, outer.values - outer.bounds[:, 0])
    size = np.abs(step)
    return float(np.min(np.where(size > _SHARE * way, _SHARE * way / np.where(size, size, 1), 1.0)))


def _line(runs: _Runs, point: _Point, step: Array, size: float) -> _Point | None:
    """A lower point along a step, by interpolation; None where there is none but for rounding."""
    slope, share = float(step @ point.gradient), 1.0
    rounding = _ROUNDING * max(1.0, abs(point.psi))
    while True:
        outer = point.outer.at(point.outer.values + share * step)
        trial = runs.point(outer, continued(point.solution))
        if trial.psi <= point.psi + 1e-4 * share * slope + rounding:
            return trial
        if size * share < _ENOUGH:
            return None
        bend = trial.psi - point.psi - share * slope
        share *= min(0.5, max(0.1, -0.5 * share * slope / bend))
        if share < 1e-8:
            return None


def _search(
    runs: _Runs, point: _Point, n_starts: int | None, rng: np.random.Generator | None
) -> Search:
    """3. of the module."""
    found = search(
        point.outer.problem,
        runs.rank,
        n_starts=n_starts,
        rng=rng,
        first=continued(point.solution),
        callback=runs.told,
    )
    runs.number += len(found.runs)
    if runs.stopped:
        raise _StoppedError
    return found


def _covariance(runs: _Runs, point: _Point) -> tuple[Array, Array]:
    """4. of the module: Cov(v) (m, m) and G (P, m)."""
    outer, m = point.outer, len(point.outer.values)
    scale = np.diagonal(_information(point))
    n_obs = outer.problem.n_obs
    H, slopes = np.empty((m, m)), np.empty((outer.problem.design.P, m))
    for i in range(m):
        way = float(np.min(np.abs(outer.bounds[i] - outer.values[i])))
        h = min(_STEP / math.sqrt(n_obs * scale[i]), _NEAR * way)
        ends = []
        for sign in (1.0, -1.0):
            values = outer.values.copy()
            values[i] += sign * h
            ends.append(runs.point(outer.at(values), continued(point.solution)))
        H[i] = (ends[0].gradient - ends[1].gradient) / (2.0 * h)
        up, down = (end.outer.problem.design.to_params(end.solution.gamma) for end in ends)
        slopes[:, i] = (up - down) / (2.0 * h)
    H = 0.5 * (H + H.T)
    try:
        np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        return np.full((m, m), np.nan), np.full_like(slopes, np.nan)
    return np.linalg.inv(n_obs * H), slopes


def _maximum(point: _Point, found: Search, cov: Array, slopes: Array, number: int) -> Maximum:
    outer, beside = point.outer, point.outer.beside
    nuisance = Nuisance(outer.names, outer.values, cov, outer.log_jacobian)
    best = replace(point.solution, nll=point.psi, nuisance=nuisance)
    runs = tuple(run._replace(nll=run.nll - beside) for run in found.runs)
    made = replace(found, best=best, runs=runs)
    return Maximum(outer, made, slopes, point.gradient, number)


def _stopped(runs: _Runs) -> Maximum:
    """The best so far, and what is not known of it."""
    point = runs.best
    assert point is not None
    m = len(point.outer.values)
    solution = point.solution
    status = "stopped by the callback" if solution.converged else solution.status
    point = replace(point, solution=replace(solution, converged=False, status=status))
    nothing = np.full((len(solution.gamma), m), np.nan)
    found = Search(point.solution, ())
    return _maximum(point, found, np.full((m, m), np.nan), nothing, runs.number)
