"""The loop: alternate the beta-step and the Sigma-step, accelerate, stop, trace.

Let psi(gamma) be the negative log-likelihood per row minimised over (F, d). By the envelope
theorem its gradient is minus the GLS score at the Sigma of the Sigma-step, and a GLS step from
gamma is exactly -H^-1 grad psi. So alternation is preconditioned steepest descent on psi, and a
limited-memory BFGS with H^-1 (conjugate gradients) in the middle accelerates it: where beta and
Sigma are nearly orthogonal the secant pairs change nothing and it is plain alternation; where
factors and omitted regressors compete it turns hundreds of sweeps into tens. A sweep is

    1. beta-step    direction p from H p = score and the secant pairs; gamma + p
    2. Sigma-step   (F, d) <- factor analysis of the new residuals, started at the old d
    3. accept       if psi did not rise; else keep the old point, forget the pairs, and take the
                    plain GLS step next, which cannot rise.

Both steps come from the problem (`core.errors.steps`); the loop knows no kind of covariance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sm_alsgls.core.beta.gls import CGSolution, NormalEquations, conjugate_gradients
from sm_alsgls.core.errors.steps import Factor, Steps, System, steps_of
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray

__all__ = ["ALSOptions", "Problem", "Solution", "Start", "Sweep", "als"]

_ROUNDED = (
    "no further descent is possible in double precision; raise gtol, or look at the Heywood cases"
)
# Rounding of the NLL, relative; where a d_j is on its bound of 1e-8 of s_j, that equation's
# residual after the factors has lost four digits, and its share of the NLL too.
_ROUNDING = {False: 1e-12, True: 2e-11}
# Sweeps in a row that move the NLL by rounding only.
_MOST_FLAT = 40
# The score of beta, in standard errors, that the returned coefficients have at the returned Sigma.
_GLS_SCORE = 1e-11


class Sweep(NamedTuple):
    """One row of the trace; every NLL is per row and includes ridges, if any."""

    sweep: int
    nll_beta: float
    nll: float
    accept_t: float
    cg_iterations: int
    sigma_iterations: int
    gradient_d: float
    score_beta: float
    seconds: float


@dataclass(frozen=True)
class Start:
    """Where a run begins: a Sigma for the first beta-step, or coefficients, or both.

    Attributes
    ----------
    label : str
    gamma : ndarray, shape (P,), optional
        Coefficients; default OLS.
    cov : LowRankDiag, optional
        When given, the run opens with a beta-step under it.
    d : ndarray, shape (K,), optional
        Uniquenesses that the first Sigma-step starts from; default those of ``cov``, else
        half the residual variances.
    block : optional
        What an earlier solution's Sigma-step kept for the next: a basis for the eigen-iteration.
    near : LowRankDiag, optional
        Where the first Sigma-step starts without a beta-step before it, if it is one that starts
        somewhere; default ``cov``.
    """

    label: str = "ols"
    gamma: Array | None = None
    cov: LowRankDiag | None = None
    d: Array | None = None
    block: Any = None
    near: LowRankDiag | None = None


@dataclass(frozen=True)
class Solution:
    """What a run returns, converged or not.

    Attributes
    ----------
    gamma : ndarray, shape (P,)
    E : ndarray, shape (n, K)
        Residuals on the problem's rows.
    cov : LowRankDiag
    nll : float
        Per row, with K log(2 pi) / 2 and ridges.
    converged : bool
    status : str
        Why it stopped and, if not converged, what to do.
    trace : tuple of Sweep
    at_bound : ndarray of bool, shape (K,)
        Heywood cases.
    gradient_d, score_beta : float
        The two stationarity measures at this point.
    label : str
        Of the start.
    """

    gamma: Array
    E: Array = field(repr=False)
    cov: LowRankDiag
    nll: float
    converged: bool
    status: str
    trace: tuple[Sweep, ...] = field(repr=False)
    at_bound: Array = field(repr=False)
    gradient_d: float
    score_beta: float
    label: str
    block: Any = field(default=None, repr=False)


@dataclass
class _Point:
    """One (gamma, F, d) with everything the next sweep needs."""

    gamma: Array
    E: Array
    factor: Factor
    cov: LowRankDiag
    normal: NormalEquations
    score: Array
    score_beta: float
    nll: float


def als(
    problem: System,
    rank: int,
    start: Start | None = None,
    *,
    max_sweeps: int | None = None,
    callback: Callable[[Sweep], object] | None = None,
) -> Solution:
    """Maximise the likelihood over (beta, F, d) from one start.

    Parameters
    ----------
    problem : Problem or another System
    rank : int
        Number of factors r.
    start : Start, optional
        Default: OLS residuals.
    max_sweeps : int, optional
        Overrides the options'.
    callback : callable, optional
        Called with each `Sweep`; a true return value stops the run, and a string among them
        becomes its status.

    Returns
    -------
    Solution
        The NLL never rises from one accepted sweep to the next.
    """
    options = problem.options
    start = start or Start()
    limit = options.max_sweeps if max_sweeps is None else max_sweeps
    began = time.perf_counter()
    steps = steps_of(problem)
    gamma, E, d, opening = _open(problem, steps, start)
    # The first Sigma-step need not be exact: beta moves next, from OLS by much.
    first_tol = 5e-2 if start.gamma is None else 1e-2
    near = start.cov if start.near is None else start.near
    factor = steps.sigma(E, rank, cov=near, d=d, block=start.block, gtol=first_tol)
    point = _point(problem, steps, gamma, E, factor)
    rows = [_row(0, math.nan, point, 1.0, opening, time.perf_counter() - began)]
    memory = SecantMemory(20)
    status = _asked_to_stop(callback, rows[0])
    drop, flat, newton = math.inf, 0, True
    nearby = _near_enough(problem.n_obs)
    while not status:
        # Half: the last beta-step of `_settle` moves the gradient in d a little.
        at_rest = max(point.score_beta / nearby, 2.0 * point.factor.gradient) <= options.gtol
        if at_rest and drop <= options.rel_tol * max(1.0, abs(point.nll)):
            settled = _settle(problem, steps, point, "stationary", tuple(rows), start.label)
            if settled.converged or nearby == 1.0:
                return settled
            nearby = 1.0
            continue
        if len(rows) > limit:
            status = f"max_sweeps={limit} reached; raise max_sweeps"
            break
        step = steps.newton(point) if newton and len(memory) else None
        if step is None:
            direction, iterations = _direction(problem, point, memory)
            d = point.factor.d
        else:
            direction, iterations = step[0], 0
            d = point.factor.d * np.exp(np.clip(step[1], -1.0, 1.0))
        moved = problem.design.fitted(direction)
        E = np.subtract(point.E, moved, out=moved)
        gamma = point.gamma + direction
        nll_beta = steps.nll(E, point.cov) + _penalty(problem, gamma, point.factor)
        factor = steps.sigma(
            E,
            rank,
            cov=point.cov,
            d=d,
            block=point.factor.block,
            gtol=_sigma_tol(problem, point),
        )
        trial = _point(problem, steps, gamma, E, factor)
        # Below this the NLL no longer resolves progress that the score still does (Hager and
        # Zhang 2005, SIAM J. Optim. 16, section 4).
        rounding = _ROUNDING[bool(point.factor.at_bound.any())] * max(1.0, abs(point.nll))
        plain = len(memory) == 0
        flat = 0 if trial.nll < point.nll - rounding else flat + 1
        accept_t = float(trial.nll <= point.nll + rounding)
        if accept_t:
            drop = point.nll - trial.nll
            memory.push(direction, point.score - trial.score, float(point.score @ direction))
            point = trial
        else:
            # Of a Newton step that fails the pairs are not to blame.
            if step is None:
                memory.clear()
            drop, newton = math.inf, False
        rows.append(
            _row(len(rows), nll_beta, point, accept_t, iterations, time.perf_counter() - began)
        )
        status = _asked_to_stop(callback, rows[-1])
        if (not accept_t and plain) or flat > _MOST_FLAT:
            status = _ROUNDED
    return _settle(problem, steps, point, status, tuple(rows), start.label)


def _near_enough(n_obs: int) -> float:
    """The score, in units of gtol, from which the beta-step of `_settle` is the last.

    It moves beta by that many standard errors and a row's gradient in log d by sqrt(2 / N) of
    that; a third of gtol leaves room.
    """
    return max(1.0, min(10.0, 0.3 * math.sqrt(n_obs / 2.0)))


def _settle(
    problem: System,
    steps: Steps,
    point: _Point,
    status: str,
    trace: tuple[Sweep, ...],
    label: str,
) -> Solution:
    """Make beta the GLS of the returned Sigma, and measure stationarity there afresh.

    The sweep ends on a Sigma-step, so the score is within gtol but not zero; a few more
    iterations at the same Sigma can only lower the NLL, and make standard errors and
    coefficients belong to one another.
    """
    gamma, E, nll = point.gamma, point.E, point.nll
    options = problem.options
    # Who asks for little accuracy gets the GLS of the returned Sigma to its square.
    settled = max(_GLS_SCORE, options.gtol**2)
    if status == "stationary" and point.score_beta > settled:
        cg = conjugate_gradients(
            point.normal.apply,
            point.score,
            point.normal.diagonal,
            tol=settled,
            max_iter=options.cg_maxit,
        )
        gamma = gamma + cg.x
        E = problem.residuals(gamma)
        nll = steps.nll(E, point.cov) + _penalty(problem, gamma, point.factor)
    measures = steps.stationarity(gamma, E, point.cov, point.factor.at_bound)
    converged = status == "stationary" and max(measures) <= options.gtol
    return Solution(
        gamma,
        E,
        point.cov,
        nll,
        converged,
        status if converged or status != "stationary" else _ROUNDED,
        trace,
        point.factor.at_bound,
        measures.gradient_d,
        measures.score_beta,
        label,
        point.factor.block,
    )


def _asked_to_stop(callback: Callable[[Sweep], object] | None, sweep: Sweep) -> str:
    answer = callback(sweep) if callback is not None else None
    return answer if isinstance(answer, str) else "stopped by the callback" if answer else ""


def _open(problem: System, steps: Steps, start: Start) -> tuple[Array, Array, Array | None, int]:
    """Coefficients, residuals and uniquenesses that the first Sigma-step starts from."""
    d, iterations = start.d, 0
    if start.gamma is None:
        gamma, E = problem.gamma_ols, problem.E_ols
    else:
        gamma, E = start.gamma, problem.residuals(start.gamma)
    if start.cov is not None:
        normal = steps.normal(start.cov)
        cg = conjugate_gradients(
            normal.apply,
            normal.score(E, gamma),
            normal.diagonal,
            tol=1e-2 * problem.design.P**0.5,
            max_iter=problem.options.cg_maxit,
        )
        gamma, E, iterations = gamma + cg.x, E - problem.design.fitted(cg.x), cg.iterations
        d = start.cov.uniquenesses if d is None else d
    return gamma, E, d, iterations


def _sigma_tol(problem: System, point: _Point) -> float:
    """Tolerance of the Sigma-step: tied to the score, whose standard error is 1 in total and
    so sqrt(2 / N) in a row's log d.
    """
    return max(
        0.25 * problem.options.gtol,
        min(1e-2, 0.05 * point.score_beta / math.sqrt(2.0 * problem.n_obs)),
    )


def _point(problem: System, steps: Steps, gamma: Array, E: Array, factor: Factor) -> _Point:
    cov = LowRankDiag._trusted(factor.F, factor.d)
    normal = steps.normal(cov)
    score = normal.score(E, gamma)
    nll = factor.nll + steps.constant
    if problem.ridge is not None:
        nll += problem.ridge.value(gamma)
    return _Point(gamma, E, factor, cov, normal, score, normal.score_size(score), nll)


def _penalty(problem: System, gamma: Array, factor: Factor) -> float:
    value = 0.0 if problem.ridge is None else problem.ridge.value(gamma)
    if problem.options.lam_F > 0.0:
        value += 0.5 * problem.options.lam_F * float(np.sum(factor.F**2 / factor.d[:, None]))
    return value


def _direction(problem: System, point: _Point, memory: SecantMemory) -> tuple[Array, int]:
    """The (accelerated) beta-step and its CG iterations."""
    options = problem.options
    solved: list[CGSolution] = []

    def solve(q: Array) -> Array:
        size = math.sqrt(float(q @ (q / point.normal.diagonal)))
        solved.append(
            conjugate_gradients(
                point.normal.apply,
                q,
                point.normal.diagonal,
                tol=max(options.cg_tol * size, 0.05 * options.gtol),
                max_iter=options.cg_maxit,
            )
        )
        return solved[0].x

    direction = memory.direction(-point.score, solve)
    return direction, solved[0].iterations


def _row(
    sweep: int, nll_beta: float, point: _Point, accept_t: float, cg: int, seconds: float
) -> Sweep:
    return Sweep(
        sweep,
        nll_beta,
        point.nll,
        accept_t,
        cg,
        point.factor.evaluations,
        point.factor.gradient,
        point.score_beta,
        seconds,
    )
