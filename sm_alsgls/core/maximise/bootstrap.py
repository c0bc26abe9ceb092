"""Bootstrap of a fitted system: new errors around the fit, everything estimated again.

Regressors are fixed. New errors are

    parametric   rows of N(0, Sigma)
    residual     rows of residuals, drawn with replacement
    wild         each residual row times +1 or -1 (Rademacher; Liu 1988, Annals of Statistics 16)
    block        blocks of consecutive residual rows (moving blocks; Künsch 1989, Annals 17)

Whole rows are drawn, so correlation between equations is kept. Residuals are multiplied by
sqrt(N / (N - p_j)) to have the errors' variance, and Sigma as the standard errors of the fit
have it. Each replicate starts at the parent's maximum and has a random stream of its own, so the
answer does not depend on how replicates are shared among processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.solution import Start
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.replicates import replicates
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray

METHODS = ("parametric", "residual", "wild", "block")


@dataclass(frozen=True)
class Parent:
    """What a replicate needs of the fit it imitates.

    Attributes
    ----------
    problem : Problem
    design : PerEquation
        On all N rows.
    fitted, E : ndarray, shape (N, K)
        Fitted values and residuals, the latter with the errors' variance.
    beta : list of ndarray
        Coefficients, equation by equation.
    cov, errors : Covariance
        Sigma of the fit, and the one that parametric errors are drawn from.
    rank : int
    correction : ndarray, shape (K,)
        sqrt(N / (N - p_j - r)), or ones: how standard errors scale Sigma.
    method : str
    block_length : int
    statistic : callable or None
        Of a `Replicate`; must be picklable when several processes are used.
    """

    problem: Problem
    design: PerEquation
    fitted: Array
    E: Array
    beta: list[Array]
    cov: Covariance
    errors: Covariance
    rank: int
    correction: Array
    method: str
    block_length: int
    statistic: Callable[[Replicate], Any] | None = None


@dataclass(frozen=True)
class Replicate:
    """One refit.

    Attributes
    ----------
    params, bse : ndarray, shape (P,)
        Coefficients, ordered by equation, and standard errors as the parent's.
    sigma : Covariance
    nll : float
        Per row.
    converged : bool
    laws : ndarray, shape (m,), or None
        Values of parameters of laws that errors follow beside Sigma.
    """

    params: Array
    bse: Array
    sigma: Covariance
    nll: float
    converged: bool
    laws: Array | None = None


class Drawn(Protocol):
    """What new errors are made of; see `Parent`."""

    @property
    def E(self) -> Array: ...  # noqa: D102
    @property
    def errors(self) -> Covariance: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def block_length(self) -> int: ...  # noqa: D102


def errors(parent: Drawn, rng: np.random.Generator) -> Array:
    """New errors (N, K) of one replicate."""
    N = len(parent.E)
    if parent.method == "parametric":
        return parent.errors.sample(rng, N)
    if parent.method == "wild":
        return parent.E * rng.choice([-1.0, 1.0], size=N)[:, None]
    if parent.method == "residual":
        return parent.E[rng.integers(0, N, N)]
    length = parent.block_length
    starts = rng.integers(0, N - length + 1, math.ceil(N / length))
    rows = (starts[:, None] + np.arange(length)).ravel()[:N]
    return parent.E[rows]


@on_one_thread
def replicate(parent: Parent, seed: np.random.SeedSequence) -> tuple[Replicate, Any]:
    """Draw errors, refit from the parent's maximum, and evaluate the statistic."""
    Y = parent.fitted + errors(parent, np.random.default_rng(seed))
    problem = parent.problem.with_responses(Y, parent.design)
    gamma = problem.design.from_beta(parent.beta)
    start = Start("parent", gamma=gamma, near=parent.cov)
    solution = als(problem, parent.rank, start)
    scaled = solution.cov.scaled(parent.correction)
    one = Replicate(
        problem.design.to_params(solution.gamma),
        np.sqrt(problem.covariance(scaled).variances()),
        solution.cov,
        solution.nll,
        solution.converged,
    )
    return one, None if parent.statistic is None else parent.statistic(one)


def bootstrap(
    parent: Parent,
    seeds: Sequence[np.random.SeedSequence],
    n_jobs: int = 1,
) -> Iterator[tuple[Replicate, Any]]:
    """Replicates in the order of ``seeds``, on ``n_jobs`` processes."""
    return replicates(replicate, parent, seeds, n_jobs)
