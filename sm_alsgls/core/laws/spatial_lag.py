"""Spatial lag: y_n = rho W y_n + X_n b + e_n.

With A = I - rho W the responses A y_n follow the model without a lag, and the likelihood has log|A|
per row beside (Ord 1975; Anselin 1988, chapter 6):

    psi(rho) = min NLL(Y A', X) - log|A|,
    d psi / d rho = -(1/N) sum_n (W y_n)' Sigma^-1 e_n + tr(W A^-1),

with residuals e_n of the inner optimum. W y_n is correlated with e_n, which an instrument would
need; the log-Jacobian is what the likelihood has for it. rho and b are not orthogonal in the
information, and standard errors of b come from all of it (`sm_alsgls.core.laws.outer`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np

from sm_alsgls.core.laws.log_determinants import LogDeterminant
from sm_alsgls.core.laws.spatial_weights import inside

Array = np.ndarray


class Neighbours(Protocol):
    """`SpatialWeights` among equations, or `RowWeights` among rows."""

    @property
    def interval(self) -> tuple[float, float]: ...  # noqa: D102

    @property
    def trace(self) -> float:
        """tr(W'W + W W) over all cells, per row."""
        ...

    def lagged(self, M: Array) -> Array:
        """Neighbours' values, weighted, of rows M (n, K)."""
        ...

    def log_det(self, lam: float) -> LogDeterminant:
        """log|det| of the filter per row, and its slope."""
        ...

    def curvature(self, lam: float) -> float:
        """Of minus that."""
        ...


class SpatialLag:
    """rho of responses Y (n, K), as a frozen value.

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> W = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> SpatialLag(SpatialWeights(W), np.array([[3.0, 4.0]]), 0.5).responses
    array([[1. , 2.5]])
    """

    name = "rho"

    def __init__(self, weights: Neighbours, Y: Array, rho: float = 0.0) -> None:
        self.weights, self.Y, self.rho = weights, Y, float(rho)
        self._log_det = weights.log_det(self.rho)

    @cached_property
    def lagged(self) -> Array:
        """Neighbours' responses, (n, K)."""
        return self.weights.lagged(self.Y)

    @property
    def responses(self) -> Array:
        """Y less rho times its neighbours', (n, K)."""
        return np.asfortranarray(self.Y - self.rho * self.lagged)

    @property
    def log_jacobian(self) -> float:
        """log|I - rho W|, per row."""
        return self._log_det.value

    @property
    def bounds(self) -> Array:
        """Of rho, (2,)."""
        return inside(self.weights.interval)

    def at(self, rho: float) -> SpatialLag:
        """The same responses at another rho."""
        again = SpatialLag(self.weights, self.Y, rho)
        again.__dict__["lagged"] = self.lagged
        return again

    def gradient(self, W: Array, lagged: Array, n_obs: int) -> float:
        """d psi / d rho at W = E Sigma^-1 (n, K); ``lagged`` as what else is filtered leaves it."""
        return -float(np.einsum("nk,nk->", W, lagged)) / n_obs - self._log_det.slope

    def curvature(self) -> float:
        """Of minus the log-Jacobian."""
        return self.weights.curvature(self.rho)
