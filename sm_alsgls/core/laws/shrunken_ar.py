"""AR coefficients of many equations, drawn to their mean by empirical Bayes.

Estimates of K coefficients from T rows each are noisy (standard errors of T^-1/2), and what they
miss shows in the slopes. With P = Sigma^-1 and residuals e, the information in rho at given (beta,
Sigma) is H = P o (e_-1' e_-1), and V = H^-1 the covariance of the maximum rho_ML. Taking

    rho_j ~ N(mu, t2),    rho_ML | rho ~ N(rho, V),    W = (V + t2 I)^-1,

mu = 1'W rho_ML / 1'W 1, t2 maximises the marginal likelihood, and the estimate is the posterior
mean rho = mu + t2 W (rho_ML - mu) (Efron and Morris 1973, Journal of the American Statistical
Association 68; Swamy 1970, Econometrica 38, for coefficients of panels). Where equations do not
differ t2 is 0 and there is one rho. (beta, Sigma) are those of the maximum given rho, and both are
repeated until neither moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.laws.maximise import LawFit
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.maximise.als import als
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.maximise.search import search
from sm_alsgls.core.maximise.solution import Solution, Start
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray

# Variances of rho between equations: finer near 0, and .2 is a standard deviation of .45.
GRID = np.concatenate([[0.0], np.geomspace(1e-4, 0.2, 60)])
# Beyond, rows of differences have next to nothing of levels.
_MOST = 0.97
# Rounds, and the largest move that ends them, in standard errors.
_ROUNDS, _TOL = 60, 1e-4


class Shrunken(NamedTuple):
    """Posterior mean, and the prior that the estimates show.

    Attributes
    ----------
    values : ndarray, shape (K,)
    mean, variance : float
        mu and t2.
    cov : ndarray, shape (K, K)
        Of the posterior, mu's estimation with it.
    """

    values: Array
    mean: float
    variance: float
    cov: Array


def shrunken(estimates: Array, V: Array) -> Shrunken:
    """Empirical Bayes of estimates (K,) of covariance V (K, K); O(K^3).

    Examples
    --------
    >>> import numpy as np
    >>> shrunken(np.array([0.5, 0.6, 0.7]), np.eye(3)).values.round(3)  # no more than noise
    array([0.6, 0.6, 0.6])
    >>> shrunken(np.array([-0.6, 0.0, 0.9]), 1e-4 * np.eye(3)).values.round(2)
    array([-0.6,  0. ,  0.9])
    """
    size, U = np.linalg.eigh(V)
    size = np.maximum(size, 0.0)
    y, one = U.T @ estimates, U.sum(axis=0)
    # A row for each t2.
    w = 1.0 / np.maximum(size + GRID[:, None], 1e-300)
    mu = (w * one * y).sum(axis=1) / (w * one**2).sum(axis=1)
    left = y - mu[:, None] * one
    value = (w * left**2 - np.log(w)).sum(axis=1)
    best = int(value.argmin())
    t2, mean, weight = float(GRID[best]), float(mu[best]), w[best]
    keep = t2 * weight
    values = mean + U @ (keep * left[best])
    # Of rho given mu, and of what mu carries into each.
    spread = U @ ((1.0 - keep) * one) / np.sqrt((weight * one**2).sum())
    cov = (U * (t2 * weight * size)) @ U.T + np.outer(spread, spread)
    return Shrunken(values, mean, t2, cov)


@dataclass(frozen=True, eq=False)
class ShrunkenFit(LawFit):
    """A `LawFit` at shrunken values; its ``gradient`` is not zero.

    Attributes
    ----------
    prior : Shrunken
    """

    prior: Shrunken


@on_one_thread
def shrunken_ar(
    system: RawSystem,
    rank: int,
    *,
    at: slice | None = None,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
) -> ShrunkenFit:
    """(beta, Sigma) and the shrunken values of the filter.

    Parameters
    ----------
    system : RawSystem
        Its filter has an AR coefficient for each equation, its law no parameters of its own.
    rank : int
    at : slice, optional
        Which values are these coefficients; others go to their maximum. Default all.
    n_starts, rng
        Of the search at the filter's guess.

    Notes
    -----
    Cost: one search, some ten continued runs, and O(K^3) for each of these.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.laws.ar import AR
    >>> from sm_alsgls.core.options import ALSOptions
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((40, 1)) + rng.standard_normal((40, 8))
    >>> for n in range(1, 40):
    ...     E[n] += 0.6 * E[n - 1]
    >>> X = [rng.standard_normal((40, 1)) for _ in range(8)]
    >>> fit = shrunken_ar(RawSystem(E, X, AR.of(40, np.zeros(8), 8), ALSOptions()), 1)
    >>> fit.prior.variance < 0.01 and abs(fit.prior.mean - 0.6) < 0.2
    True
    """
    at = at or slice(0, len(system.filter.values))
    guess = system.filter.guess(system.unfiltered().E_ols)
    # A common value to begin with: single ones are what has to be shrunk.
    values = guess.values.copy()
    values[at] = np.median(values[at])
    system = system.at(values)
    problem = system.problem()
    found = search(problem, rank, n_starts=n_starts, rng=rng)
    return _rounds(system, rank, at, problem, found)


@on_one_thread
def shrunken_from(
    fit: ShrunkenFit, system: RawSystem, rank: int, at: slice | None = None
) -> ShrunkenFit:
    """The same of a system that was changed, from the fit of what it was."""
    at = at or slice(0, len(system.filter.values))
    system = system.at(fit.found.best.nuisance.values)
    problem = system.problem().with_floor(fit.problem.floor)
    solution = _moved(fit.problem, fit.found.best, problem, rank)
    return _rounds(system, rank, at, problem, Search(solution, ()))


def _rounds(
    system: RawSystem, rank: int, at: slice, problem: Problem, found: Search
) -> ShrunkenFit:
    n, floor, solution = len(system.Y), problem.floor, found.best
    status = "the law's values and the coefficients still move each other"
    for steps in range(1, _ROUNDS + 1):  # noqa: B007
        values, gradient, V = _newton(system, problem, solution)
        prior = shrunken(values[at], V[at, at])
        values[at] = np.clip(prior.values, -_MOST, _MOST)
        cov = V.copy()
        cov[at, at] = prior.cov
        size = np.sqrt(np.maximum(np.diagonal(cov), 1e-12 / n))
        moved = float(np.max(np.abs(values - system.filter.values) / size))
        system = system.at(values)
        again = system.problem().with_floor(floor)
        solution, problem = _moved(problem, solution, again, rank), again
        if moved <= _TOL:
            status = ""
            break
    _, gradient, _ = _newton(system, problem, solution)
    jacobian = system.filter.log_jacobian
    best = replace(
        solution,
        nll=solution.nll - jacobian,
        nuisance=Nuisance(system.filter.names, system.filter.values, cov, jacobian),
        label=found.best.label,
    )
    if status:
        best = replace(best, converged=False, status=status)
    return ShrunkenFit(replace(found, best=best), system, problem, gradient, steps, prior)


def _newton(system: RawSystem, problem: Problem, solution: Solution) -> tuple[Array, Array, Array]:
    """Where the likelihood in the values is highest at given (beta, Sigma), the gradient, and V."""
    E = system.residuals(problem.design, solution.gamma)
    sees, TE = problem.observed(solution.cov), system.filter.rows(E)
    gradient = system.filter.gradient(E, TE, sees.solve(TE))
    inverse = np.linalg.inv(system.filter.information(E, sees))
    return system.filter.values - inverse @ gradient, gradient, inverse / len(E)


def _moved(before: Problem, solution: Solution, problem: Problem, rank: int) -> Solution:
    beta = before.design.to_beta(solution.gamma)
    return als(problem, rank, Start("", gamma=problem.design.from_beta(beta), near=solution.cov))
