"""Spatial lag, spatial errors, or both, as parameters around the loop.

    y_n = rho W y_n + X_n b + e_n,          e_n = lam M e_n + u_n

(Anselin 1988, chapter 6), W and M weights of K units, the same or not. With A = I - rho W the
responses A y_n follow the model without a lag, and the likelihood has log|A| per row beside:

    psi(rho, lam) = min NLL(Y A', X; Sigma(lam)) - log|A|,
    d psi / d rho = -(1/N) sum_n (W y_n)' Sigma^-1 e_n + tr(W A^-1),

with residuals e_n of the inner optimum. lam's is that of `sm_alsgls.core.laws.spatial_error`.

W y_n is correlated with e_n: rho and b are not orthogonal in the information, and standard errors
of b come from all of it (`sm_alsgls.core.laws.outer`).
"""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np

from sm_alsgls.core.laws.spatial_error import SpatialError, inside
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import OptionError, ShapeError

Array = np.ndarray


class SpatialLag:
    """rho of y_n = rho W y_n + .. for responses Y (n, K), as a frozen value.

    Examples
    --------
    >>> W = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> SpatialLag(SpatialWeights(W), np.array([[3.0, 4.0]]), 0.5).responses
    array([[1. , 2.5]])
    """

    name = "rho"

    def __init__(self, weights: SpatialWeights, Y: Array, rho: float) -> None:
        if weights.K != Y.shape[1]:
            raise ShapeError(
                f"spatial weights are of {weights.K} units, and there are {Y.shape[1]} equations"
            )
        self.weights, self.Y, self.rho = weights, Y, float(rho)
        self._log_det = weights.log_det(self.rho)

    @cached_property
    def lagged(self) -> Array:
        """Y W', (n, K)."""
        return self.weights.lagged(self.Y)

    @property
    def responses(self) -> Array:
        """Y (I - rho W)', (n, K)."""
        return np.asfortranarray(self.Y - self.rho * self.lagged)

    @property
    def log_jacobian(self) -> float:
        """log|I - rho W|, per row."""
        return self._log_det.value

    @property
    def bounds(self) -> Array:
        """Of rho, (2,)."""
        return inside(self.weights)

    def at(self, rho: float) -> SpatialLag:
        """The same responses at another rho."""
        again = SpatialLag(self.weights, self.Y, rho)
        again.__dict__["lagged"] = self.lagged
        return again

    def gradient(self, W: Array, n_obs: int) -> float:
        """d psi / d rho at W = E Sigma^-1 (n, K)."""
        return -float(np.einsum("nk,nk->", W, self.lagged)) / n_obs - self._log_det.slope


class Spatial:
    """Both as an `Outer` of a problem: its law is that of what the filters leave.

    Parameters
    ----------
    problem : Problem
        Whole rows; of responses as they are.
    lag, error : SpatialWeights, optional
        W and M; one at least.
    values : array_like, optional
        rho and lam, of what there is; default 0.

    Examples
    --------
    >>> from sm_alsgls.core.laws.outer import maximise_outer
    >>> from sm_alsgls.core.problem import ALSOptions
    >>> ring = np.roll(np.eye(8), 1, axis=1)
    >>> weights = SpatialWeights(0.5 * (ring + ring.T))
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((200, 2)) for _ in range(8)]
    >>> mean = np.column_stack([x.sum(axis=1) for x in X]) + rng.standard_normal((200, 8))
    >>> Y = mean @ np.linalg.inv(np.eye(8) - 0.4 * weights.W.toarray()).T
    >>> best = maximise_outer(Spatial(Problem(X, Y, ALSOptions()), lag=weights), 0)
    >>> best.nuisance.names, bool(abs(best.nuisance.values[0] - 0.4) < 0.05)
    (('rho',), True)
    """

    def __init__(
        self,
        problem: Problem,
        *,
        lag: SpatialWeights | None = None,
        error: SpatialWeights | None = None,
        values: Array | None = None,
    ) -> None:
        m = (lag is not None) + (error is not None)
        if m == 0:
            raise OptionError("a spatial model needs weights of a lag, or of the errors, or both")
        if not problem.errors.whole:
            raise OptionError("spatial models need whole rows; use missing='drop'")
        start = np.zeros(m) if values is None else np.asarray(values, dtype=float)
        self._base = problem
        self._lag = None if lag is None else SpatialLag(lag, problem.responses, start[0])
        self._error = None if error is None else SpatialError(problem.errors, error, start[-1])
        self._set(start)

    def _set(self, values: Array) -> None:
        self.values = np.array(values)
        self.values.setflags(write=False)
        laws = (self._lag, self._error)
        self.names = tuple(law.name for law in laws if law is not None)
        self.bounds = np.stack([law.bounds.reshape(2) for law in laws if law is not None])
        self.beside = 0.0 if self._lag is None else self._lag.log_jacobian
        own = 0.0 if self._error is None else self._error.nuisance.log_jacobian
        self.log_jacobian = self.beside + own

    @cached_property
    def problem(self) -> Problem:
        """Filtered responses under the law of spatial errors."""
        problem = self._base
        if self._lag is not None:
            problem = problem.with_responses(self._lag.responses)
        return problem if self._error is None else problem.with_errors(self._error)

    def at(self, values: Array) -> Spatial:
        """At other values."""
        again = object.__new__(Spatial)
        again._base = self._base
        again._lag = None if self._lag is None else self._lag.at(float(values[0]))
        again._error = None if self._error is None else self._error.at(values[-1:])
        again._set(values)
        if "_spread" in self.__dict__:
            again.__dict__["_spread"] = self._spread
        return again

    def gradient(self, E: Array, cov: Covariance) -> Array:
        """As the module says, (m,)."""
        out = []
        if self._lag is not None:
            out.append(self._lag.gradient(cov.solve(E), self._base.n_obs))
        if self._error is not None:
            out.extend(self._error.gradient(E, cov))
        return np.array(out)

    @cached_property
    def _spread(self) -> Array:
        """Y W' less what regressors explain of it, (n, K): it moves with rho, b being free."""
        lagged, design = cast(SpatialLag, self._lag).lagged, self._base.design
        return lagged - design.fitted(design.project(lagged))

    def information(self, E: Array, cov: Covariance) -> Array:
        """Products of the residuals' derivatives under Sigma^-1, and curvatures of log|A|."""
        own, moves, left = [], [], cov
        if self._lag is not None:
            own.append(self._lag.weights.curvature(self._lag.rho))
            moves.append(self._spread)
        if self._error is not None:
            left = self._error.left_of(cov)
            moves = [self._error.filtered(M) for M in moves]
            own.append(self._error.weights.curvature(self._error.lam))
            moves.append(self._error.weights.lagged(E))
        solved = [left.solve(M) for M in moves]
        products = np.array([[np.einsum("nk,nk->", M, S) for S in solved] for M in moves])
        # Of weights that are far from mutual the trace may be below zero.
        return products / self._base.n_obs + np.diag(np.maximum(own, 0.0))
