"""What the loop of beta-steps and Sigma-steps asks of a system, however it is kept."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.core.beta.gls import CGSolution
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Direction, SigmaStep
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.second_order.stationarity import Stationarity

Array = np.ndarray


class Scored(Protocol):
    """The normal equations at a Sigma, as far as the loop asks."""

    @property
    def diagonal(self) -> Array:
        """Of H, (P,)."""
        ...

    def score(
        self, E: Any, g: Array, own: Array | None = None, scores: Array | None = None
    ) -> Array:
        """Score (P,) of the likelihood at residuals and coefficients.

        The system's ``own`` and F'D^-1 E' (``scores``) of a Sigma-step spare work where known.
        """
        ...

    def score_size(self, score: Array) -> float:
        """Largest norm of an equation's score in units of its standard error."""
        ...


class Constant(Protocol):
    """A law of the errors, as far as the loop asks."""

    @property
    def constant(self) -> float:
        """Of the NLL per row."""
        ...


class Alternating(Protocol):
    """A system on which `als` runs: a `Problem`, or one that is never an array.

    Residuals E are whatever its own methods make and take. Vectors of equations and coefficients
    may be a part of the system's; ``across`` adds up what is summed over all of them.

    Attributes
    ----------
    options : ALSOptions
    across : Across
    errors : Constant
    ridge : Ridge or None
        On slopes.
    n_obs, K : int
        Rows, and equations of the whole system.
    gamma_ols : ndarray, shape (P,)
    """

    options: ALSOptions
    ridge: Ridge | None
    n_obs: int
    K: int
    gamma_ols: Array

    @property
    def across(self) -> Across: ...  # noqa: D102
    @property
    def errors(self) -> Constant: ...  # noqa: D102
    @property
    def n_coefficients(self) -> int:
        """P of the whole system."""
        ...

    @property
    def E_ols(self) -> Any:
        """Residuals at ``gamma_ols``."""
        ...

    def residuals(self, gamma: Array, out: Any = None) -> Any:
        """Residuals at gamma (P,), maybe in the memory of ``out``, which nobody needs."""
        ...

    def moved(self, E: Any, direction: Array, out: Any = None) -> Any:
        """Residuals after a step in gamma, maybe in the memory of ``out``, which nobody needs."""
        ...

    def own(self, gamma: Array) -> Array | None:
        """What residuals at gamma have in each equation's own regressors, where a score uses it.

        In orthonormal coordinates, (P,).
        """
        ...

    def normal(self, cov: Any) -> Scored:
        """The normal equations at a Sigma."""
        ...

    def solve(self, normal: Any, b: Array, *, tol: float, leaves: float = 1.0) -> CGSolution:
        """H x = b by conjugate gradients; ``leaves`` is what a step at an H near by left."""
        ...

    def newton(self, E: Any, cov: Any, score: Array, at_bound: Array) -> Direction | None:
        """Newton's step, where there is one that is cheap."""
        ...

    def sigma_step(
        self,
        E: Any,
        rank: int,
        *,
        near: Any = None,
        d: Array | None = None,
        block: Any = None,
        gtol: float,
    ) -> SigmaStep:
        """The Sigma of residuals E."""
        ...

    def objective(self, gamma: Array, E: Any, cov: Any) -> float:
        """What is minimised, per row."""
        ...

    def stationarity(self, gamma: Array, E: Any, cov: Any, at_bound: Array) -> Stationarity:
        """How far a point is from stationary, afresh."""
        ...
