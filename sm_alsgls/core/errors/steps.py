"""What the loop asks of a system: its Sigma-step, its normal equations and its likelihood.

`core.maximise.als` alternates the two steps and knows neither. A complete system is served by
`CompleteSteps`; another kind of covariance, such as that of rows observed in part
(`sm_alsgls.core.errors.observed_problem`), is another class with these methods.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, cast

import numpy as np

from sm_alsgls.core.beta.gls import NormalEquations
from sm_alsgls.core.design.per_equation import Design, Ridge
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.second_order.curvature import Operator, ScaledHessian
from sm_alsgls.core.second_order.dense_hessian import DenseHessian, hessian_at, is_dense
from sm_alsgls.core.second_order.stationarity import Stationarity, stationarity
from sm_alsgls.core.sigma.bounded import is_bounded
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.covariance import LowRankDiag

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# The score of beta, in standard errors, below which Newton is tried.
_NEAR = 0.5
# The share of an OLS residual variance that every d_j has there.
_AWAY = 1e-3
# Beyond, residuals on all regressors cost as much as a start.
_UNION_FLOPS = 5e7


class Factor(Protocol):
    """What a Sigma-step returns; `FactorSolution` says what it means."""

    @property
    def F(self) -> Array: ...  # noqa: D102
    @property
    def d(self) -> Array: ...  # noqa: D102
    @property
    def nll(self) -> float: ...  # noqa: D102
    @property
    def gradient(self) -> float: ...  # noqa: D102
    @property
    def at_bound(self) -> Array: ...  # noqa: D102
    @property
    def evaluations(self) -> int: ...  # noqa: D102
    @property
    def block(self) -> Any: ...  # noqa: D102


class System(Protocol):
    """What the loop reads of a problem; `Problem` says what each means."""

    options: ALSOptions
    n_obs: int
    K: int
    design: Design
    Y: Array
    gamma_ols: Array
    s_ols: Array
    floor: Array
    ridge: Ridge | None

    @property
    def E_ols(self) -> Array: ...  # noqa: D102
    @property
    def counts(self) -> Array: ...  # noqa: D102
    def residuals(self, gamma: Array) -> Array: ...  # noqa: D102
    def rescaled(self, c: Array) -> System: ...  # noqa: D102


class Steps(Protocol):
    """A pair of steps and the likelihood that both of them lower.

    Attributes
    ----------
    constant : float
        Of the NLL per row: log(2 pi) / 2 for every observed cell.
    """

    constant: float

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        cov: LowRankDiag | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float | None = None,
    ) -> Factor:
        """The Sigma-step at residuals E, from an earlier ``cov``, ``d`` and ``block``.

        ``lam_F`` replaces the ridge of the problem's options.
        """
        ...

    @property
    def sigma_alone(self) -> bool:
        """Whether beta is that of OLS for any Sigma, so that only Sigma has many maxima."""
        ...

    def bounded(self, rank: int) -> bool:
        """Whether the likelihood is known to have a bound at this rank, or not known to lack it."""
        ...

    def moments(self, E: Array, equations: Array) -> Array:
        """Mean products of residuals E with those of some equations, (K, len(equations))."""
        ...

    def normal(self, cov: LowRankDiag) -> NormalEquations:
        """The normal equations of the beta-step."""
        ...

    def nll(self, E: Array, cov: LowRankDiag) -> float:
        """Gaussian negative log-likelihood per row, constant included, ridges not."""
        ...

    def stationarity(
        self, gamma: Array, E: Array, cov: LowRankDiag, at_bound: Array
    ) -> Stationarity:
        """Both measures that `converged` bounds, afresh."""
        ...

    def hessian(self, gamma: Array, E: Array, cov: LowRankDiag, free: Array) -> Operator:
        """The Hessian of the likelihood at a point; d_j that are not ``free`` do not move."""
        ...

    def newton(self, point: Any) -> tuple[Array, Array] | None:
        """Newton's step of gamma and log d at a `_Point` of the loop, where cheap and positive."""
        ...

    def union(self, rank: int) -> LowRankDiag | None:
        """Sigma of the residuals on every regressor of the system, to start from.

        None where there are too few rows for that, or where it would tell nothing new.
        """
        ...

    def elsewhere(self, block: Any) -> Any:
        """What of a solution's ``block`` serves a start in another place."""
        ...


class CompleteSteps:
    """The steps of a system without holes: one Sigma for all rows, which may be compressed."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.constant = 0.5 * problem.K * _LOG_2PI

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        cov: LowRankDiag | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float | None = None,
    ) -> Factor:
        """Factor analysis; loadings are closed-form given d, so ``cov`` has no more to say."""
        problem = self._problem
        if d is None:
            # Equal shares commute with permuting equations; a saddle they end on shows in the
            # curvature, and other starts are not symmetric.
            d = 0.5 * np.einsum("kn,kn->k", E.T, E.T) / problem.n_obs
        return fit_factor(
            E,
            rank,
            n_obs=problem.n_obs,
            d=d,
            floor=problem.floor,
            lam_F=problem.options.lam_F if lam_F is None else lam_F,
            gtol=gtol,
            block=block,
        )

    @property
    def sigma_alone(self) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return self._problem.design.shared and self._problem.ridge is None

    def bounded(self, rank: int) -> bool:
        """By `is_bounded`, where coefficients are free and loadings not shrunk."""
        problem = self._problem
        if problem.design.restricted or problem.options.lam_F > 0.0:
            return True
        return is_bounded(problem.design, rank, problem.n_obs)

    def moments(self, E: Array, equations: Array) -> Array:
        """E'E / N, some columns of it."""
        return np.asarray(E.T @ E[:, equations]) / self._problem.n_obs

    def normal(self, cov: LowRankDiag) -> NormalEquations:
        """H of one Sigma for all rows."""
        return NormalEquations(self._problem.design, cov, self._problem.n_obs, self._problem.ridge)

    def nll(self, E: Array, cov: LowRankDiag) -> float:
        """By `LowRankDiag.nll`."""
        return cov.nll(E, self._problem.n_obs)

    def stationarity(
        self, gamma: Array, E: Array, cov: LowRankDiag, at_bound: Array
    ) -> Stationarity:
        """By the function of that name."""
        return stationarity(self._problem, gamma, E, cov, at_bound)

    def hessian(self, gamma: Array, E: Array, cov: LowRankDiag, free: Array) -> ScaledHessian:
        """A matrix, or products, in closed form."""
        problem = self._problem
        return hessian_at(
            problem.design, E, cov, problem.n_obs, free, problem.ridge, problem.options.lam_F
        )

    def newton(self, point: Any) -> tuple[Array, Array] | None:
        """Where the Hessian is a matrix, beta near the maximum, and no d_j near its bound.

        There log d runs off, and the likelihood is no quadratic.
        """
        problem, cov = self._problem, point.cov
        if not is_dense(problem.design, cov, problem.ridge, problem.options.lam_F):
            return None
        if point.score_beta > _NEAR or (cov.uniquenesses < _AWAY * problem.s_ols).any():
            return None
        free = ~point.factor.at_bound
        hessian = DenseHessian(problem.design, point.E, cov, problem.n_obs, free)
        return hessian.newton(point.score)

    def union(self, rank: int) -> LowRankDiag | None:
        """One regression for all equations, as all have all rows."""
        problem = self._problem
        n, K = problem.Y.shape
        design = problem.design
        total = design.P if not design.shared else int(design.p[0])
        if design.shared or n * min(total, n) * K > _UNION_FLOPS:
            return None
        Q = np.concatenate([design.basis(j) for j in range(K)], axis=1)
        U, size, _ = np.linalg.svd(Q, full_matrices=False)
        U = U[:, size > 1e-8 * size[0]]
        E = problem.Y - U @ (U.T @ problem.Y)
        s = np.einsum("nk,nk->k", E, E) / problem.n_obs
        if n - U.shape[1] <= rank or np.any(s < 1e-10 * problem.s_ols):
            return None
        factor = fit_factor(np.asfortranarray(E), rank, n_obs=problem.n_obs, gtol=1e-3)
        return LowRankDiag.from_factors(factor.F, factor.d)

    def elsewhere(self, block: Any) -> Any:
        """All of it: a basis for eigen-iterations does no harm."""
        return block


def steps_of(problem: System) -> Steps:
    """The steps that a problem brings, else those of a complete system."""
    steps: Steps | None = getattr(problem, "steps", None)
    return CompleteSteps(cast(Problem, problem)) if steps is None else steps
