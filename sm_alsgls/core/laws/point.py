"""One value of the parameters of laws, with the inner optimum there and the envelope's gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from sm_alsgls.core.laws.raw_system import (
    Graded,
    RawSystem,
    bridges_gaps,
    fills,
    own_parameters,
)
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.problem import Problem

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Point:
    """psi(theta) = NLL of what filters leave less their log-Jacobians, at its (beta, Sigma).

    Attributes
    ----------
    values : ndarray, shape (m,)
        theta.
    system : RawSystem
        At these values.
    problem : Problem
        Of what its filter leaves.
    solution : Solution
        The inner optimum, in the coordinates of ``problem``.
    nll : float
        psi, per row.
    E : ndarray, shape (N, K)
        Raw residuals.
    gradient : ndarray, shape (m,)
        Of psi, by the envelope theorem.
    """

    values: Array
    system: RawSystem
    problem: Problem
    solution: Solution
    nll: float
    E: Array
    gradient: Array


def point_of(system: RawSystem, problem: Problem, solution: Solution) -> Point:
    """The point of an inner optimum."""
    own = own_parameters(problem.errors)
    E = system.residuals(problem.design, solution.gamma)
    TE = system.filter.rows(E)
    W = problem.observed(solution.cov).solve(TE)
    gradient = None
    if fills(problem.errors):
        gradient = problem.errors.gradient_of_filter(E, solution.cov)
    if gradient is None:
        gradient = system.filter.gradient(E, TE, W)
    if bridges_gaps(problem.errors):
        slope = problem.errors.spread_slope(TE, solution.cov)
        gradient = gradient + system.filter.through_spread(slope)
    if len(own.values):
        of_law = cast(Graded, problem.errors).gradient(solution.E, solution.cov)
        gradient = np.concatenate([gradient, of_law])
    if system.lag is not None:
        if fills(problem.errors):
            of_lag = problem.errors.gradient_of_lag(system.Y, E, solution.cov)
        else:
            lagged = system.filter.rows(system.lag.weights.lagged(system.Y))
            of_lag = system.lag.gradient(W, lagged)
        gradient = np.append(gradient, of_lag)
    values = system.values(problem.errors)
    return Point(values, system, problem, solution, solution.nll - system.beside, E, gradient)


def point_from(
    problem: Problem,
    solution: Solution,
    system: RawSystem,
    rank: int,
    floor: Array,
    *,
    compress: bool = True,
    callback: Callable[[Sweep], object] | None = None,
) -> Point:
    """The inner optimum of a system, from where that of another ended.

    Parameters
    ----------
    problem, solution
        Of the other, with the same parameters.
    system : RawSystem
    rank : int
    floor : ndarray, shape (K,)
        Bounds of d, which must not move with the values.
    compress : bool
        See `RawSystem.problem`.
    callback : callable, optional
        See `als`.
    """
    there = system.problem(compress).with_floor(floor)
    beta = problem.design.to_beta(solution.gamma)
    start = Start(solution.label, gamma=there.design.from_beta(beta), near=solution.cov)
    return point_of(system, there, als(there, rank, start, callback=callback))
