"""Zellner's two steps: OLS, the Sigma of its residuals, and one GLS with that Sigma.

Zellner (1962, JASA 57) with an unrestricted Sigma; of a law with factors, Sigma is the factor
analysis of the OLS residuals, climbed factor by factor where that is cheap.
Efficient to first order as maximum likelihood is, and no maximum: the NLL is that at both. Where
equations are many for the rows it is the better estimate, see
`sm_alsgls.core.beta.estimated_unrestricted`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.errors.base import SigmaStep
from sm_alsgls.core.maximise.found import Run, Search
from sm_alsgls.core.maximise.ladder import climb_alone
from sm_alsgls.core.maximise.search import effort
from sm_alsgls.core.maximise.solution import Solution, Sweep
from sm_alsgls.core.maximise.units import in_units
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread

_STATUS = "two steps: OLS, and GLS with the Sigma of its residuals"
# The score left at the coefficients, in standard errors; and the Sigma-step's gradient.
_GLS_SCORE, _SIGMA = 1e-11, 1e-9
# That of the climb: its order of the ends is all that is asked, and 120 of 120 random systems of 5
# to 40 equations had the same as at 1e-5, in two thirds of the time.
_CLIMB = 1e-2
# Equations beyond which a climb is not worth its time: of 87 random systems of 60 or 120 it ended
# lower in none, of 80 of 5 or 10 in four.
_MANY = 60


@on_one_thread
@in_units
def two_step(
    problem: Problem,
    rank: int,
    *,
    callback: Callable[[Sweep], object] | None = None,
    after_first: Callable[[Problem, Solution], object] | None = None,
    **unused: Any,
) -> Search:
    """OLS, a Sigma-step on its residuals, one GLS.

    Parameters
    ----------
    problem : Problem
    rank : int
        The law's order.
    callback : callable, optional
        Gets the one `Sweep`.
    after_first : callable, optional
        Not called: there is one run.

    Returns
    -------
    Search
        ``converged`` says that both steps were made to their end; ``gradient_d`` and
        ``score_beta`` are those of GLS at this Sigma, not of the likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.problem import ALSOptions, Problem
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((40, 2)) for _ in range(6)]
    >>> Y = rng.standard_normal((40, 1)) + rng.standard_normal((40, 6))
    >>> found = two_step(Problem(X, Y, ALSOptions()), 1)
    >>> found.best.converged, found.method, len(found.runs)
    (True, 'two-step', 1)
    """
    began = time.perf_counter()
    gamma, E = problem.gamma_ols, problem.E_ols
    factor = sigma_of_residuals(problem, rank)
    cov = factor.cov
    before = problem.objective(gamma, E, cov)
    normal = problem.normal(cov)
    cg = conjugate_gradients(
        normal.apply,
        normal.score(E, gamma),
        normal.diagonal,
        tol=_GLS_SCORE,
        max_iter=max(problem.options.cg_maxit, 10 * problem.design.P),
    )
    gamma = gamma + cg.x
    E = problem.residuals(gamma)
    nll = problem.objective(gamma, E, cov)
    size = normal.score_size(normal.score(E, gamma))
    row = Sweep(
        0, before, nll, 1.0, cg.iterations, factor.evaluations, factor.gradient, size,
        time.perf_counter() - began,
    )  # fmt: skip
    if callback is not None:
        callback(row)
    converged = bool(max(size, factor.gradient) <= problem.options.gtol)
    status = _STATUS if converged else f"{_STATUS}; GLS or Sigma was not solved to gtol"
    best = Solution(
        gamma, E, cov, nll, converged, status, (row,), factor.at_bound, factor.gradient, size,
        "ols", factor.block,
    )  # fmt: skip
    return Search(best, (Run("ols", nll, 0.0, 0, status),), None, "two-step")


def sigma_of_residuals(problem: Problem, rank: int) -> SigmaStep:
    """The Sigma of least-squares residuals: of a law with a rank the best end of a climb to it."""
    E = problem.E_ols
    plain = problem.sigma_step(E, rank, gtol=_SIGMA)
    if not problem.errors.climbs or rank == 0 or problem.K > _MANY or effort(problem) == "least":
        return plain
    start = climb_alone(problem, rank, gtol=_CLIMB).starts[0]
    climbed = problem.sigma_step(E, rank, d=start.d, block=start.block, gtol=_SIGMA)
    return min(plain, climbed, key=lambda step: step.nll)
