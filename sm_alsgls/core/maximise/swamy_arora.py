"""Swamy and Arora's variances of a random effect, and one GLS with them.

    s_u = SSR_within / (N (K - 1) - k_w),    K s_a + s_u = K SSR_between / (N - k_b),

SSR_within of the regression of deviations from rows' means, SSR_between of that of the means; k_w
and k_b the ranks of these regressions. No maximum of the likelihood: the NLL is that at these.

Swamy and Arora (1972, Econometrica 40).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.core.maximise.als import Sweep
from sm_alsgls.core.maximise.found import Run, Search
from sm_alsgls.core.maximise.solution import Solution
from sm_alsgls.core.maximise.units import in_units
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import factors_of

Array = np.ndarray

_STATUS = "variances of within and between residuals (Swamy and Arora), and one GLS"


def columns_of(problem: Problem) -> Array:
    """Fitted values of every coordinate, (P, n, K)."""
    return np.stack([problem.design.fitted(e) for e in np.eye(problem.design.P)])


def regression(X: Array, y: Array) -> tuple[Array, float, int]:
    """Least squares of y (m,) on the rows of X (P, m): coefficients, squares left, rank."""
    size = np.sqrt(np.square(X).sum(axis=1))
    unit = np.where(size > 1e-9 * size.max(initial=0.0), size, np.inf)
    b, _, rank, _ = np.linalg.lstsq((X / unit[:, None]).T, y, rcond=1e-9)
    b = b / unit
    return b, float(np.square(y - b @ X).sum()), int(rank)


@on_one_thread
@in_units
def swamy_arora(problem: Problem, rank: int, **unused: Any) -> Search:
    """GLS with Swamy and Arora's variances, of whole rows under the exchangeable law.

    Cost: the rows of every coefficient, n K P numbers.
    """
    N, K = problem.n_obs, problem.K
    # The law knows its units: errors times these are exchangeable.
    d = factors_of(problem.sigma_step(problem.E_ols, rank, gtol=1e-6).cov).uniquenesses
    c = np.sqrt(d[0] / d)
    J, Y = columns_of(problem), problem.Y * c
    raw, J = J, J * c
    within = J - J.mean(axis=2, keepdims=True)
    P = len(J)
    _, left, k_w = regression(within.reshape(P, -1), (Y - Y.mean(axis=1, keepdims=True)).ravel())
    _, between, k_b = regression(J.mean(axis=2), Y.mean(axis=1))
    s_u = left / (N * (K - 1) - k_w)
    s_a = max(between / max(N - k_b, 1) - s_u / K, 0.0)
    cov = LowRankDiag(np.sqrt(s_a) / c[:, None], s_u / c**2)
    white = cov.whiten(problem.Y)
    white_J = np.stack([cov.whiten(column) for column in raw])
    gamma, _, _ = regression(white_J.reshape(P, -1), white.ravel())
    E = problem.residuals(gamma)
    nll = problem.objective(gamma, E, cov)
    normal = problem.normal(cov)
    size = normal.score_size(normal.score(E, gamma))
    free = np.zeros(K, dtype=bool)
    row = Sweep(0, nll, nll, 1.0, 0, 1, 0.0, size, 0.0)
    best = Solution(gamma, E, cov, nll, True, _STATUS, (row,), free, 0.0, size, "ols")
    return Search(best, (Run("ols", nll, 0.0, 0, _STATUS),), None, "swamy-arora")
