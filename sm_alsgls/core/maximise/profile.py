"""Maximise over parameters of a law of the errors beside beta and Sigma: AR, spatial, variance.

The law at values v of these (m,) is a law like any other, and the loop finds

    f(v) = min over (beta, Sigma) of the NLL per row,  the law's log-Jacobian included.

f is minimised over the law's bounds: by Brent's method where m = 1 (Brent 1973; it needs no
gradient, and cannot be led out of the bounds), else by L-BFGS-B with central differences. Every
fit but the first starts where the last one ended, so it costs a few sweeps. At the end the
curvature of N f by central differences gives the values' covariance: f is a profile likelihood,
whose inverse Hessian is that block of the inverse of the whole information (Patefield 1977,
Sankhya B 39).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import scipy.optimize

from sm_alsgls.core.errors.base import Errors
from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.solution import Start, Sweep
from sm_alsgls.core.maximise.starts import continued
from sm_alsgls.core.maximise.units import in_units
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

# Tolerance of the values, and steps of differences, in units of the width between bounds.
_TOL, _STEP = 1e-7, 1e-3
# Values nearer to a bound than this are on it: their covariance is not that of a maximum inside.
_ON = 1e-5


class Profiled(Errors, Protocol):
    """A law with parameters of its own, which have no units.

    Attributes
    ----------
    nuisance : Nuisance
        Their names, and the values that this law is at.
    bounds : ndarray, shape (m, 2)
        Finite, lower and upper.
    """

    @property
    def nuisance(self) -> Nuisance: ...  # noqa: D102
    @property
    def bounds(self) -> Array: ...  # noqa: D102

    def at(self, values: Array) -> Profiled:
        """The same law at other values (m,)."""
        ...

    def rescaled(self, c: Array) -> Profiled:
        """As `Errors.rescaled`."""
        ...


def profile(
    problem: Problem,
    law: Profiled,
    rank: int,
    *,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: Start | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Search:
    """Maximise over (v, beta, Sigma), from ``law``'s own values.

    Parameters
    ----------
    problem : Problem
        The rows and the design; its law is replaced.
    law : Profiled
    rank : int
    n_starts, rng, first
        Of the search at the first values; the others go on from there.
    callback : callable, optional
        Gets every `Sweep` of every run; a true return value ends everything, with the best so far.

    Returns
    -------
    Search
        Its best solution's ``nuisance`` has the values and their covariance, and its NLL the
        log-Jacobian; ``curvature`` is that at the best. ``runs`` are those of the search at the
        first values.

    Raises
    ------
    OptionError
        The first values are not within the bounds.

    Notes
    -----
    Cost: one search, and some 10 to 20 continued runs for each of the m parameters.
    """
    for name, value, (low, high) in zip(
        law.nuisance.names, law.nuisance.values, law.bounds, strict=True
    ):
        if not low <= value <= high:
            raise OptionError(f"{name} must lie between {low:g} and {high:g}, got {value:g}")
    return _profile(
        problem.with_errors(law), rank, n_starts=n_starts, rng=rng, first=first, callback=callback
    )


class _StoppedError(Exception):
    """The callback asked for the end."""


@on_one_thread
@in_units
def _profile(
    problem: Problem,
    rank: int,
    *,
    n_starts: int | None,
    rng: np.random.Generator | None,
    first: Start | None,
    callback: Callable[[Sweep], object] | None,
) -> Search:
    """`profile` over the parameters of the problem's own law."""
    law = cast(Profiled, problem.errors)
    bounds = np.asarray(law.bounds, dtype=float)
    width = bounds[:, 1] - bounds[:, 0]
    stopped = False

    def told(sweep: Sweep) -> object:
        nonlocal stopped
        answer = callback(sweep) if callback is not None else None
        stopped = stopped or bool(answer)
        return answer

    found = search(problem, rank, n_starts=n_starts, rng=rng, first=first, callback=told)
    best = [(law.nuisance.values, found.best)]

    def f(unit: Array) -> float:
        values = bounds[:, 0] + width * unit
        again = als(problem.with_errors(law.at(values)), rank, continued(best[0][1]), callback=told)
        if stopped:
            raise _StoppedError
        if again.nll < best[0][1].nll:
            best[0] = values, again
        return again.nll

    try:
        if stopped:
            raise _StoppedError
        _minimise(f, (law.nuisance.values - bounds[:, 0]) / width)
        values, solution = best[0]
        # The likelihood at the values themselves, run to its end.
        last = search(
            problem.with_errors(law.at(values)),
            rank,
            n_starts=1,
            first=continued(solution),
            callback=told,
        )
        solution, found = last.best, replace(found, curvature=last.curvature)
        cov = _covariance(f, (values - bounds[:, 0]) / width, problem.n_obs)
        cov *= np.outer(width, width)
    except _StoppedError:
        values, solution = best[0]
        status = "stopped by the callback" if solution.converged else solution.status
        solution = replace(solution, converged=False, status=status)
        cov = np.full((len(width), len(width)), np.nan)
    jacobian = law.at(values).nuisance.log_jacobian
    nuisance = Nuisance(law.nuisance.names, values, cov, jacobian)
    return replace(found, best=replace(solution, nuisance=nuisance, label=found.best.label))


def _minimise(f: Callable[[Array], float], first: Array) -> None:
    """Minimise f over the unit cube; f itself remembers its lowest point."""
    if len(first) == 1:
        scipy.optimize.minimize_scalar(
            lambda unit: f(np.array([unit])), bounds=(0.0, 1.0), method="bounded",
            options={"xatol": _TOL},
        )  # fmt: skip
    else:
        scipy.optimize.minimize(
            f,
            first,
            jac="3-point",
            bounds=[(0.0, 1.0)] * len(first),
            method="L-BFGS-B",
            options={"ftol": 1e-14, "gtol": 1e-8},
        )


def _covariance(f: Callable[[Array], float], x: Array, n_obs: int) -> Array:
    """Inverse of N times the Hessian of f at x, by central differences; NaN on a bound."""
    m = len(x)
    nothing = np.full((m, m), np.nan)
    if (x < _ON).any() or (x > 1.0 - _ON).any():
        return nothing
    h = np.minimum(_STEP, 0.5 * np.minimum(x, 1.0 - x))
    steps = np.diag(h)
    middle = f(x)
    H = np.empty((m, m))
    for i in range(m):
        H[i, i] = (f(x + steps[i]) - 2.0 * middle + f(x - steps[i])) / h[i] ** 2
        for k in range(i):
            both = f(x + steps[i] + steps[k]) + f(x - steps[i] - steps[k])
            apart = f(x + steps[i] - steps[k]) + f(x - steps[i] + steps[k])
            H[i, k] = H[k, i] = (both - apart) / (4.0 * h[i] * h[k])
    try:
        np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        return nothing
    return np.asarray(np.linalg.inv(n_obs * H))
