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

Both steps come from the problem and its law (`sm_alsgls.core.errors`); nothing here knows what
kind of covariance it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sm_alsgls.core.beta.gls import CGSolution
from sm_alsgls.core.errors.base import SigmaStep
from sm_alsgls.core.maximise.alternating import Alternating, Scored
from sm_alsgls.core.maximise.joining import JOINED, leads_to
from sm_alsgls.core.maximise.loop import iterate
from sm_alsgls.core.maximise.settling import Settling
from sm_alsgls.core.maximise.solution import Solution, Start, Sweep
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray

__all__ = ["ALSOptions", "Problem", "Solution", "Start", "Sweep", "als"]

_ROUNDED = (
    "no further descent is possible in double precision; raise gtol, or look at the Heywood cases"
)
# Rounding of the NLL, relative; where a d_j is on its bound of 1e-8 of s_j, that equation's
# residual after the factors has lost four digits, and its share of the NLL too: up to 2.3e-11 in a
# sample with autoregressive errors over gaps, and between two points twice that.
_ROUNDING = {False: 1e-12, True: 5e-11}
# Sweeps in a row that move the NLL by rounding only.
_MOST_FLAT = 40
# The score of an equation's beta, in standard errors, that is left at the returned Sigma, where
# the largest of K is this many times the norm of all of them over sqrt(K).
_GLS_SCORE, _LARGEST = 1e-10, 4.0
# What nobody sees of an NLL, relative.
_UNSEEN = 1e-14
# Where a sweep leaves more of the score than this, its linear system is measured again.
_ANEW = 0.1
# The score below which Newton is tried.
_NEAR = 0.5
# Secant pairs from which on it is: a run that follows a maximum mostly joins it within a few
# sweeps, and its Hessians would be 7 % of a fit of 20 equations.
_FIRST, _FOLLOWING = 1, 5


@dataclass
class _Point:
    """One (gamma, Sigma) with everything the next sweep needs."""

    gamma: Array
    # None where a step away has taken their memory.
    E: Any
    # Whether E was made by a step, and nobody else has it.
    own_E: bool
    factor: SigmaStep
    cov: Covariance
    normal: Scored
    score: Array
    score_beta: float
    nll: float


@dataclass
class _State:
    """A point, and how the last sweep came there."""

    point: _Point
    iterations: int
    nll_beta: float = math.nan
    accept_t: float = 1.0
    drop: float = math.inf
    flat: int = 0
    newton: bool = True
    stuck: bool = False


def als(
    problem: Alternating,
    rank: int,
    start: Start | None = None,
    *,
    max_sweeps: int | None = None,
    callback: Callable[[Sweep], object] | None = None,
    known: Solution | None = None,
) -> Solution:
    """Maximise the likelihood over (beta, Sigma) from one start.

    Parameters
    ----------
    problem : Problem
        Or any other `Alternating`.
    rank : int
        Number of factors r.
    start : Start, optional
        Default: OLS residuals.
    max_sweeps : int, optional
        Overrides the options'.
    callback : callable, optional
        Called with each `Sweep`; a true return value stops the run, and a string among them
        becomes its status.
    known : Solution, optional
        A maximum. The run ends, as joined, where it is seen to lead there.

    Returns
    -------
    Solution
        The NLL never rises from one accepted sweep to the next.
    """
    limit = problem.options.max_sweeps if max_sweeps is None else max_sweeps
    return iterate(ALS(problem, rank, start or Start(), known), limit, callback)


class ALS:
    """The method of the module, for `iterate`."""

    def __init__(
        self, problem: Alternating, rank: int, start: Start, known: Solution | None = None
    ) -> None:
        self._problem, self._rank, self._start, self._known = problem, rank, start, known
        self._memory = SecantMemory(20, problem.across)
        self._patience = _FIRST if known is None else _FOLLOWING
        self._settling = Settling(problem.n_obs, problem.K, problem.options.gtol)
        self._settled: Solution | None = None
        # The score of the sweep before, which tells what the next will leave.
        self._score = 0.0
        # The share of a linear system that a step of conjugate gradients left when it was measured.
        self._leaves = 1.0

    def init(self) -> _State:
        """Coefficients of the start, and a first Sigma-step, which need not be exact."""
        start = self._start
        gamma, E, d, iterations = self._open()
        # Beta moves next, from OLS by much.
        tol = 5e-2 if start.gamma is None else 1e-2
        near = start.cov if start.near is None else start.near
        factor = self._problem.sigma_step(
            E, self._rank, near=near, d=d, block=start.block, gtol=tol
        )
        return _State(self._point(gamma, E, False, factor), iterations)

    def _open(self) -> tuple[Array, Any, Array | None, int]:
        """Coefficients, residuals and uniquenesses that the first Sigma-step starts from."""
        problem, start = self._problem, self._start
        d, iterations = start.d, 0
        if start.gamma is None:
            gamma, E = problem.gamma_ols, problem.E_ols
        else:
            gamma, E = start.gamma, problem.residuals(start.gamma)
        if start.cov is not None:
            normal = problem.normal(start.cov)
            cg = problem.solve(
                normal, normal.score(E, gamma), tol=1e-2 * problem.n_coefficients**0.5
            )
            gamma, E, iterations = gamma + cg.x, problem.moved(E, cg.x), cg.iterations
            low = start.cov.low_rank
            d = low.uniquenesses if d is None and low is not None else d
        return gamma, E, d, iterations

    def _point(self, gamma: Array, E: Any, own_E: bool, factor: SigmaStep) -> _Point:
        problem, cov = self._problem, factor.cov
        normal = problem.normal(cov)
        score = normal.score(E, gamma, problem.own(gamma), factor.scores)
        nll = factor.nll + problem.errors.constant
        if problem.ridge is not None:
            nll += problem.ridge.value(gamma)
        size = normal.score_size(score)
        return _Point(gamma, E, own_E, factor, cov, normal, score, size, nll)

    def done(self, state: _State) -> str:
        """Whether both measures are at rest, and still are after the last beta-step.

        Before, whether the run only leads to where another has been.
        """
        options, point, known = self._problem.options, state.point, self._known
        if known is not None and leads_to(
            known, point.gamma, point.score, point.nll, self._problem.n_obs
        ):
            return JOINED
        if state.drop > options.rel_tol * max(1.0, abs(point.nll)):
            return ""
        if not self._settling.is_near(point.factor.gradient, point.score_beta, self._score):
            return ""
        self._settled = self._settle(point, "stationary")
        if self._settled.converged or self._settling.only_once:
            return "stationary"
        self._settling.failed()
        return ""

    def step(self, state: _State) -> _State:
        """One sweep; numbers as in the module's docstring."""
        problem, point, memory = self._problem, state.point, self._memory
        # 1. beta-step
        newton, d = None, None
        tried, self._settled = self._settled, None
        if tried is not None:
            # That of the attempt to settle here, which was not yet the last.
            gamma, E = tried.gamma, tried.E
            nll_beta: float | None = tried.nll
            direction, iterations = gamma - point.gamma, 0
        else:
            if state.newton and len(memory) >= self._patience and point.score_beta <= _NEAR:
                newton = problem.newton(
                    self._residuals(point), point.cov, point.score, point.factor.at_bound
                )
            if newton is None:
                direction, iterations = self._direction(point)
            else:
                direction, d, iterations = newton.gamma, newton.d, 0
            E = problem.moved(self._residuals(point), direction, self._taken(point))
            gamma, nll_beta = point.gamma + direction, None
        # 2. Sigma-step
        factor = problem.sigma_step(
            E,
            self._rank,
            near=point.cov,
            d=d,
            block=point.factor.block,
            gtol=self._sigma_tol(point),
        )
        if nll_beta is None:
            nll_beta = self._nll_beta(gamma, E, point.cov, factor.nll_near)
        self._score = point.score_beta
        trial = self._point(gamma, E, point.own_E or E is not point.E, factor)
        if trial.score_beta > _ANEW * point.score_beta:
            # What was foreseen of its linear system may have changed: the next is measured.
            self._leaves = 1.0
        # 3. Below this the NLL no longer resolves progress that the score still does (Hager and
        # Zhang 2005, SIAM J. Optim. 16, section 4).
        held = problem.across.largest(float(point.factor.at_bound.any()))
        rounding = _ROUNDING[bool(held)] * max(1.0, abs(point.nll))
        plain = len(memory) == 0
        flat = 0 if trial.nll < point.nll - rounding else state.flat + 1
        accepted = trial.nll <= point.nll + rounding
        if accepted:
            drop = point.nll - trial.nll
            slope = problem.across.total(float(point.score @ direction))
            memory.push(direction, point.score - trial.score, slope)
        else:
            drop = math.inf
            # Of a Newton step that fails the pairs are not to blame.
            if newton is None:
                memory.clear()
        return _State(
            trial if accepted else point,
            iterations,
            nll_beta,
            float(accepted),
            drop,
            flat,
            newton=state.newton and accepted,
            stuck=(not accepted and plain) or flat > _MOST_FLAT,
        )

    def _residuals(self, point: _Point) -> Any:
        """Those of a point, made again where a step that was not accepted took their memory."""
        if point.E is None:
            point.E, point.own_E = self._problem.residuals(point.gamma), True
        return point.E

    @staticmethod
    def _taken(point: _Point) -> Any:
        """The memory of a point's residuals, for those of the next, if nobody else has it."""
        E = None
        if point.own_E:
            E, point.E = point.E, None
        return E

    def _nll_beta(self, gamma: Array, E: Any, cov: Covariance, known: float | None) -> float:
        """What the beta-step led to at the old Sigma, of which the Sigma-step may know most."""
        problem = self._problem
        if known is None:
            return problem.objective(gamma, E, cov)
        ridge = 0.0 if problem.ridge is None else problem.ridge.value(gamma)
        return known + problem.errors.constant + ridge

    def stuck(self, state: _State) -> str:
        """Where plain GLS steps rise, or nothing falls for long."""
        return _ROUNDED if state.stuck else ""

    def exhausted(self, limit: int) -> str:
        """The knob."""
        return f"max_sweeps={limit} reached; raise max_sweeps"

    def row(self, number: int, state: _State, seconds: float) -> Sweep:
        """A line of the trace."""
        point = state.point
        return Sweep(
            number,
            state.nll_beta,
            point.nll,
            state.accept_t,
            state.iterations,
            point.factor.evaluations,
            point.factor.gradient,
            point.score_beta,
            seconds,
        )

    def close(self, state: _State, status: str, trace: tuple[Sweep, ...]) -> Solution:
        """The settled point, or the last."""
        if status == "stationary" and self._settled is not None:
            return replace(self._settled, trace=trace)
        return replace(self._settle(state.point, status), trace=trace)

    def _settle(self, point: _Point, status: str) -> Solution:
        """Make beta the GLS of the returned Sigma, and measure stationarity there afresh.

        The sweep ends on a Sigma-step, so the score is small but not zero; a few more iterations at
        the same Sigma can only lower the NLL, and make standard errors and coefficients belong to
        one another.
        """
        problem, gamma, E, nll = self._problem, point.gamma, self._residuals(point), point.nll
        options = problem.options
        measures = Stationarity(point.factor.gradient, point.score_beta)
        # Who asks for little accuracy gets the GLS of the returned Sigma to its square.
        settled = max(_GLS_SCORE, options.gtol**2)
        if status == "stationary" and point.score_beta > settled:
            # One equation may have all of the score: then not by so much that nothing is solved.
            of_all = min(settled * max(1.0, problem.K**0.5 / _LARGEST), 0.5 * options.gtol)
            cg = problem.solve(point.normal, point.score, tol=max(settled, of_all))
            gamma = gamma + cg.x
            E = problem.residuals(gamma, self._taken(point))
            # The NLL is a quadratic in beta: it falls by (score + r)'x / 2 where x leaves r. The
            # size of the score, and nearly of x, is sqrt(K) times the largest at most.
            left = 0.5 * cg.residual * point.score_beta * problem.K**0.5 / problem.n_obs
            if cg.converged and left <= _UNSEEN * max(1.0, abs(nll)):
                nll -= 0.5 * problem.across.total(float(point.score @ cg.x)) / problem.n_obs
            else:
                nll = problem.objective(gamma, E, point.cov)
        # Of a run that has joined another nobody asks how far it had come.
        if status != JOINED:
            measures = problem.stationarity(gamma, E, point.cov, point.factor.at_bound)
        converged = status == "stationary" and max(measures) <= options.gtol
        ended = status if converged or status != "stationary" else _ROUNDED
        bound, block, label = point.factor.at_bound, point.factor.block, self._start.label
        return Solution(
            gamma, E, point.cov, nll, converged, ended, (), bound, *measures, label, block
        )

    def _sigma_tol(self, point: _Point) -> float:
        """Tolerance of the Sigma-step: tied to the score, whose standard error is 1 in total and
        so sqrt(2 / N) in a row's log d.
        """
        gtol, score = self._problem.options.gtol, point.score_beta
        if self._settling.is_last(score, self._score):
            return 0.25 * gtol
        return max(0.25 * gtol, min(1e-2, 0.05 * score / math.sqrt(2.0 * self._problem.n_obs)))

    def _direction(self, point: _Point) -> tuple[Array, int]:
        """The (accelerated) beta-step and its CG iterations."""
        problem, options = self._problem, self._problem.options
        solved: list[CGSolution] = []

        def solve(q: Array) -> Array:
            size = math.sqrt(problem.across.total(float(q @ (q / point.normal.diagonal))))
            tol = max(options.cg_tol * size, 0.05 * options.gtol)
            solved.append(problem.solve(point.normal, q, tol=tol, leaves=self._leaves))
            return solved[0].x

        direction = self._memory.direction(-point.score, solve)
        self._leaves = solved[0].leaves
        return direction, solved[0].iterations
