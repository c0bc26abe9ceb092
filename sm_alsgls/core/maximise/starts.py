"""Where runs of the loop begin: constructed from the data, or drawn.

    ols       OLS residuals (what `als` does by itself)
    union     Sigma of the residuals on all regressors of all equations, where rows allow
    common    coefficients of a regression on what all equations share, no Sigma
    random    coefficients far from OLS, or an asymmetric (F, d)

Those that grow from a fit with a factor less are in `sm_alsgls.core.maximise.ladder`.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.maximise.solution import Solution, Start
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray

# Share of a direction's length that lies outside some equation's span, below which all share it.
_SHARED = 1e-8


def union_start(problem: Problem, rank: int) -> Start | None:
    """Sigma of the residuals of Y on every regressor of the system."""
    cov = problem.union(rank)
    return None if cov is None else Start("union", cov=cov)


def common_start(problem: Problem) -> Start | None:
    """Coefficients of Y on the directions that the spans of all designs share.

    U spans the intersection of the span(Q_j): with Q_0 of the smallest design, U = Q_0 v for the
    eigenvectors v of (1/K) sum_j Q_0'Q_j Q_j'Q_0 whose eigenvalue is 1. gamma_j = Q_j' U U' y_j.
    What an equation's own regressors explain is then left to the factors, as where equations omit
    different common regressors. Cost O(n K p^2).

    None where nothing is shared, or where everything is.
    """
    design = problem.design.free
    if design.shared:
        return None
    Q = design.basis(int(np.argmin(design.p)))
    total = np.zeros((Q.shape[1], Q.shape[1]))
    for j in range(design.K):
        inner = design.basis(j).T @ Q
        total += inner.T @ inner
    values, vectors = np.linalg.eigh(total / design.K)
    U = Q @ vectors[:, values > 1.0 - _SHARED]
    if not U.shape[1] or np.all(design.p == U.shape[1]):
        return None
    return Start("common", gamma=problem.design.project((U @ (U.T @ problem.Y)).copy(order="F")))


def continued(solution: Solution, label: str | None = None) -> Start:
    """Where a solution ended, to go on from there, or with another rank."""
    name = solution.label if label is None else label
    return Start(name, gamma=solution.gamma, near=solution.cov)


def random_start(problem: Problem, rank: int, rng: np.random.Generator, index: int) -> Start:
    """The ``index``-th kind of random start: coefficients far off, near, or a random Sigma.

    Where coefficients are those of OLS whatever Sigma is, always a random Sigma.
    """
    s, K = problem.s_ols, problem.K
    kinds = 3 if problem.errors.climbs else 2
    kind = 2 if problem.sigma_alone and kinds == 3 else index % kinds
    if kind < 2:
        width = (10.0, 1.0)[kind]
        noise = np.sqrt(problem.n_obs / problem.design.diagonal(1.0 / s))
        gamma = problem.gamma_ols + width * noise * rng.standard_normal(problem.design.P)
        return Start("random beta", gamma=gamma)
    share = 1.0 - 10.0 ** rng.uniform(-3.0, -0.3, K)
    return Start("random Sigma", cov=_random_sigma(s, share, rank, rng))


def nearby_start(
    problem: Problem, rank: int, rng: np.random.Generator, block: Array | None
) -> Start:
    """A random Sigma near enough to be cheap, for systems where a start takes seconds.

    Factors lean on random directions and uniquenesses on random shares; ``block`` only saves
    eigen-iterations. Of a law without factors random coefficients.
    """
    if not problem.errors.climbs:
        return random_start(problem, rank, rng, 1)
    share = np.asarray(rng.uniform(0.2, 0.8, problem.K))
    cov = _random_sigma(problem.s_ols, share, rank, rng)
    return Start("random Sigma", cov=cov, block=block)


def _random_sigma(s: Array, share: Array, rank: int, rng: np.random.Generator) -> LowRankDiag:
    """Variances s, communalities ``share``, random directions."""
    F = rng.standard_normal((len(s), rank))
    F *= np.sqrt(s * share / np.einsum("kr,kr->k", F, F))[:, None]
    return LowRankDiag.from_factors(F, s * (1.0 - share))
