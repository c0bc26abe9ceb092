"""Least squares of all equations together: what panel-corrected standard errors are for."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.maximise.found import Run, Search
from sm_alsgls.core.maximise.solution import Solution, Sweep
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag


def least_squares(problem: Problem) -> Search:
    """OLS under the problem's restrictions, with D = diag(E'E / N).

    Without restrictions across equations this is maximum likelihood at rank 0; with them maximum
    likelihood weights equations by 1 / d_j, and least squares does not.
    """
    gamma, E = problem.gamma_ols, problem.E_ols
    cov = LowRankDiag.diagonal(np.maximum(problem.s_ols, problem.floor))
    free = np.zeros(problem.K, dtype=bool)
    measures = problem.stationarity(gamma, E, cov, free)
    nll = float(cov.nll(E, problem.n_obs))
    trace = (Sweep(0, nll, nll, 1.0, 0, 0, *measures, 0.0),)
    best = Solution(
        gamma,
        E,
        cov,
        nll,
        True,
        "least squares, in closed form",
        trace,
        free,
        *measures,
        "ols",
    )
    return Search(best, (Run("ols", nll, 0.0, 0, best.status),), None, "ols")
