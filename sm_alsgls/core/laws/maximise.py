"""Maximise over parameters of filters and laws beside beta and Sigma, by the envelope's gradient.

    psi(theta) = min over (beta, Sigma) of NLL(T Y, T X) - log|det T| / N,    T = T_theta,

is minimised within the bounds of theta by quasi-Newton steps: limited-memory BFGS with the inverse
of the information in theta at given (beta, Sigma) in the middle. Where theta and Sigma are nearly
orthogonal, as AR coefficients and scales are, that is already Newton's step; the secant pairs make
up for the rest. The gradient is the partial derivative at the inner optimum, so that an evaluation
is one run of the loop from where the last one ended: a few sweeps. A step that does not lower psi
is shortened.

At the end the inverse of N times the Hessian of psi is the covariance of theta (Patefield 1977,
Sankhya B 39), by central differences of the gradient where theta is short, else the inverse of the
information, which is the same but for the estimation of Sigma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.laws.law_fit import LawFit
from sm_alsgls.core.laws.point import Point, point_from, point_of
from sm_alsgls.core.laws.raw_system import RawSystem, own_parameters
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.solution import Start, Sweep
from sm_alsgls.core.maximise.starts import continued
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

__all__ = ["DIFFERENCED", "LawFit", "maximise", "maximise_from"]

#: Values up to which their covariance is by differences of the gradient, two fits for each.
DIFFERENCED = 12
# Steps at most, and how often one is shortened.
_STEPS, _SHORTER = 60, 8
# Of differences, in standard errors, and how often these are taken from them.
_H, _AGAIN = 0.05, 3
# Rounding of the NLL, relative, and how far within the bounds values stay, of their width.
_ROUNDING, _INSIDE = 1e-12, 1e-6
# Of the way to the ends of a law's own parameters, where else a climb may begin.
_FAR = 0.5
# The Newton decrement, in standard errors, that a stop without descent may have.
_AT_REST = 1e-3


class _StoppedError(Exception):
    """The callback asked for the end."""


@on_one_thread
def maximise(
    system: RawSystem,
    rank: int,
    *,
    guess: bool = True,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> LawFit:
    """Maximise over (theta, beta, Sigma).

    Parameters
    ----------
    system : RawSystem
    rank : int
    guess : bool
        Begin at the filter's guess from OLS residuals, not at the values it is at.
    n_starts, rng, first
        Of the search at the first values; the others go on from there.
    callback : callable, optional
        Gets every `Sweep` of every run; a true return value ends everything, with the best so far.

    Returns
    -------
    LawFit

    Raises
    ------
    OptionError
        First values that are not within their bounds.

    Notes
    -----
    Cost: one search, some 3 to 8 continued runs, and two more for each of up to 12 values.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((200, 2)) for _ in range(4)]
    >>> U = rng.standard_normal((200, 1)) + rng.standard_normal((200, 4))
    >>> E = U.copy()
    >>> for n in range(1, 200):
    ...     E[n] += 0.6 * E[n - 1]
    >>> fit = maximise(RawSystem(E, X, AR.of(200, np.zeros(1), 4), ALSOptions()), 1)
    >>> found = fit.found.best.nuisance
    >>> bool(abs(found.values[0] - 0.6) < 3 * found.cov[0, 0] ** 0.5)
    True
    """
    return _Climb(system, rank, callback).run(guess, n_starts, rng, first)


@on_one_thread
def maximise_from(fit: LawFit, system: RawSystem, rank: int) -> LawFit:
    """The maximum of a system that was changed, from the fit of what it was.

    Parameters
    ----------
    fit : LawFit
        Of the same equations, with laws of the same kind.
    system : RawSystem
        With other responses, restrictions or options, or with values that are held; other values
        of its own are not looked at.
    rank : int

    Returns
    -------
    LawFit
        Its values have no covariance, which costs as much as the fit.
    """
    return _Climb(system, rank, None).run_from(fit)


class _Climb:
    """The loop of the module; ``best`` is its lowest point."""

    best: Point

    def __init__(
        self, system: RawSystem, rank: int, callback: Callable[[Sweep], object] | None
    ) -> None:
        self._system, self._rank, self._callback = system, rank, callback
        self._stopped = False
        self._floor: Array | None = None
        self._own_curvature = np.empty(0)
        self._slopes: Array | None = None

    def _told(self, sweep: Sweep) -> object:
        answer = self._callback(sweep) if self._callback is not None else None
        self._stopped = self._stopped or bool(answer)
        return answer

    def run(
        self,
        guess: bool,
        n_starts: int | None,
        rng: np.random.Generator | None,
        first: Start | None,
    ) -> LawFit:
        system, problem = self._begin(guess)
        found = search(
            problem, self._rank, n_starts=n_starts, rng=rng, first=first, callback=self._told
        )
        self.best = point_of(system, problem, found.best)
        status, steps, m = "", 0, len(self.best.values)
        cov = np.full((m, m), np.nan)
        try:
            self._check_stopped()
            others = self._lower(n_starts) if guess and self._rank else None
            if m:
                status, steps = self._climb()
            if others is not None:
                # Each may end on a maximum of its own: with factors neither start is always right.
                ended = self.best
                self.best = others[0]
                other = self._climb()
                if self.best.nll < ended.nll:
                    found, (status, steps) = others[1], other
                else:
                    self.best = ended
            # The likelihood at the values themselves, run to its end.
            at = self.best
            last = search(
                at.problem,
                self._rank,
                n_starts=1,
                first=continued(at.solution),
                callback=self._told,
            )
            self._check_stopped()
            self.best = point_of(at.system, at.problem, last.best)
            found = replace(found, curvature=last.curvature)
            cov = self._covariance()
        except _StoppedError:
            status = "stopped by the callback"
        return self._fit(found, cov, status, steps)

    def run_from(self, fit: LawFit) -> LawFit:
        best = fit.found.best
        system = self._system.at(best.nuisance.values)
        self.best = point_from(fit.problem, best, system, self._rank, fit.problem.floor)
        self._keep(self.best.problem)
        m = len(self.best.values)
        status, steps = self._climb() if m else ("", 0)
        return self._fit(Search(self.best.solution, ()), np.full((m, m), np.nan), status, steps)

    def _fit(self, found: Search, cov: Array, status: str, steps: int) -> LawFit:
        at, label = self.best, found.best.label
        solution = at.solution
        if status:
            solution = replace(solution, converged=False, status=status)
        errors = at.problem.errors
        jacobian = at.system.beside + own_parameters(errors).log_jacobian
        nuisance = Nuisance(at.system.names(errors), at.values, cov, jacobian)
        best = replace(solution, nll=at.nll, nuisance=nuisance, label=label)
        found = replace(found, best=best)
        return LawFit(found, at.system, at.problem, at.gradient, steps, slopes=self._slopes)

    def _lower(self, n_starts: int | None) -> tuple[Point, Search] | None:
        """The lowest point at other values of neighbours' laws, if psi is lower there.

        Where nothing is said of neighbours factors take their place, and do not give it back: a
        maximum of its own, of 2 in 200 panels with a lag and 11 with errors (6 units, 80 periods,
        one factor, coefficients of .5), with the coefficient up to .5 off.
        """
        first, lowest = self.best, None
        for i in range(len(first.system.filter.values), len(first.values)):
            for end in self._inner[i]:
                if self._inner[i, 0] == self._inner[i, 1]:
                    continue
                values = first.values.copy()
                values[i] = _FAR * end
                there = first.system.at(values)
                problem = there.problem().with_floor(first.problem.floor)
                other = search(problem, self._rank, n_starts=n_starts, callback=self._told)
                self._check_stopped()
                point = point_of(there, problem, other.best)
                if point.nll < (first.nll if lowest is None else lowest[0].nll):
                    lowest = point, other
        return lowest

    # -- points ----------------------------------------------------------------------------------

    def _begin(self, guess: bool) -> tuple[RawSystem, Problem]:
        """The system at the first values, and its problem, whose floor of d is kept."""
        system = self._system
        if guess and len(system.filter.values):
            E = system.unfiltered().E_ols
            system = replace(system, filter=system.filter.guess(E))
        problem = system.problem()
        if system.held is not None:
            system = system.at(system.values(problem.errors))
            problem = system.problem()
        self._keep(problem)
        names, values = system.names(problem.errors), system.values(problem.errors)
        for name, value, (low, high) in zip(names, values, self._bounds, strict=True):
            if not low <= value <= high:
                raise OptionError(f"{name} must lie between {low:g} and {high:g}, got {value:g}")
        return system, problem

    def _keep(self, problem: Problem) -> None:
        """What does not change on the way: the floor of d, and the bounds of values."""
        self._floor = problem.floor
        self._bounds = self._system.bounds(problem.errors)
        width = self._bounds[:, 1] - self._bounds[:, 0]
        self._inner = self._bounds + _INSIDE * np.outer(width, [1.0, -1.0])

    def evaluate(self, values: Array) -> Point:
        """The inner optimum at other values, from that at the best ones."""
        best = self.best
        there = point_from(
            best.problem,
            best.solution,
            best.system.at(values),
            self._rank,
            best.problem.floor,
            callback=self._told,
        )
        self._check_stopped()
        return there

    def _check_stopped(self) -> None:
        if self._stopped:
            raise _StoppedError

    # -- steps -----------------------------------------------------------------------------------

    def _inverse(self, point: Point, v: Array) -> Array:
        """v over the curvature: of the filter at given Sigma, of the law's own by differences."""
        m = len(point.system.filter.values)
        sees = point.problem.observed(point.solution.cov)
        parts = [point.system.filter.solve(point.E, sees, v[:m])] if m else []
        if len(v) > m:
            if not len(self._own_curvature):
                self._own_curvature = self._differenced(point, range(m, len(v)))
            parts.append(v[m:] / self._own_curvature)
        return np.concatenate(parts)

    def _differenced(self, point: Point, which: range) -> Array:
        """Second derivatives of psi in some values, by one difference each; positive."""
        out = []
        for i in which:
            step = np.zeros(len(point.values))
            room = self._inner[i] - point.values[i]
            if not room.any():  # Held: nothing asks for its curvature.
                out.append(1.0)
                continue
            step[i] = 0.05 * room[np.abs(room).argmax()]
            moved = self.evaluate(point.values + step)
            out.append((moved.gradient[i] - point.gradient[i]) / step[i])
        found = np.array(out)
        return np.where(found > 0.0, found, np.abs(found) + 1.0 / self._system.Y.size)

    def _climb(self) -> tuple[str, int]:
        """Steps until the decrement is at rest; why not, if it is not, and how many."""
        memory = SecantMemory(20)
        n, m = self._system.Y.shape[0], len(self.best.values)
        tol = 10.0 * self._system.options.gtol * np.sqrt(m)
        plain = False
        for steps in range(_STEPS):
            point = self.best
            g, free = self._free(point)

            def inverse(v: Array, point: Point = point, free: Array = free) -> Array:
                return np.where(free, self._inverse(point, np.where(free, v, 0.0)), 0.0)

            decrement = float(np.sqrt(max(0.0, n * (g @ inverse(g)))))
            if decrement <= tol:
                return "", steps
            direction = np.where(free, memory.direction(g, inverse, free), 0.0)
            if not g @ direction < 0.0:
                memory.clear()
                direction = -inverse(g)
            if self._line(direction, memory):
                plain = False
            elif plain:
                if decrement <= _AT_REST:
                    return "", steps
                return "no descent in the parameters of the law; lower gtol", steps
            else:
                memory.clear()
                plain = True
        return f"{_STEPS} steps in the parameters of the law were not enough", _STEPS

    def _free(self, point: Point) -> tuple[Array, Array]:
        """The gradient of values that may move, and which: those on a bound not outwards."""
        low = (point.values <= self._inner[:, 0]) & (point.gradient > 0.0)
        high = (point.values >= self._inner[:, 1]) & (point.gradient < 0.0)
        free = ~(low | high)
        return np.where(free, point.gradient, 0.0), free

    def _line(self, direction: Array, memory: SecantMemory) -> bool:
        """Move the best point along a direction, shortened until psi does not rise."""
        point, t = self.best, 1.0
        rounding = _ROUNDING * max(1.0, abs(point.nll))
        for _ in range(_SHORTER):
            values = np.clip(point.values + t * direction, self._inner[:, 0], self._inner[:, 1])
            trial = self.evaluate(values)
            if trial.nll <= point.nll + rounding:
                step = values - point.values
                change = trial.gradient - point.gradient
                memory.push(step, change, float(point.gradient @ step))
                self.best = trial
                return True
            t *= 0.25
        return False

    # -- the end ---------------------------------------------------------------------------------

    def _covariance(self) -> Array:
        """Of the values: NaN on a bound, and where the curvature is not positive."""
        point, (n, _) = self.best, self._system.Y.shape
        m = len(point.values)
        nothing = np.full((m, m), np.nan)
        if m == 0:
            return nothing
        if not ((point.values > self._inner[:, 0]) & (point.values < self._inner[:, 1])).all():
            return nothing
        H = self._hessian(point)
        try:
            np.linalg.cholesky(H)
        except np.linalg.LinAlgError:
            return nothing
        return np.asarray(np.linalg.inv(n * H))

    def _hessian(self, point: Point) -> Array:
        """Of psi (m, m), by central differences of its gradient.

        Of many values those of the filter have its information, which knows nothing of what their
        estimates have in common through Sigma; beta does not move with them.
        """
        n, m = self._system.Y.shape[0], len(point.values)
        H, G = np.zeros((m, m)), np.zeros((point.problem.design.P, m))
        known = len(point.system.filter.values) if m > DIFFERENCED else 0
        if known:
            sees = point.problem.observed(point.solution.cov)
            H[:known, :known] = point.system.filter.information(point.E, sees)
        for i in range(known, m):
            unit = np.zeros(m)
            unit[i] = 1.0
            curvature = 1.0 / max(self._inverse(point, unit)[i], 1e-300)
            for _ in range(_AGAIN):
                # A step of the standard error that the differences themselves show.
                se = 1.0 / np.sqrt(n * curvature)
                h = min(_H * se, 0.5 * float(np.abs(self._inner[i] - point.values[i]).min()))
                sides = [self.evaluate(point.values + t * h * unit) for t in (1.0, -1.0)]
                H[i] = (sides[0].gradient - sides[1].gradient) / (2.0 * h)
                if not 0.0 < H[i, i] or 0.5 < H[i, i] / curvature < 2.0:
                    break
                curvature = H[i, i]
            params = [side.problem.design.to_params(side.solution.gamma) for side in sides]
            G[:, i] = (params[0] - params[1]) / (2.0 * h)
        H[:known, known:] = H[known:, :known].T
        if known < m:
            self._slopes = G
        return 0.5 * (H + H.T)
