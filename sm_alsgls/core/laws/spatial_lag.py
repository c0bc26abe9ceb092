"""Spatial lag: y_n = rho W y_n + X_n b + e_n.

With A = I - rho W the responses A y_n follow the model without a lag, and the likelihood has log|A|
per row beside (Ord 1975; Anselin 1988, chapter 6):

    psi(rho) = min NLL(Y A', X) - log|A|,
    d psi / d rho = -(1/N) sum_n (W y_n)' Sigma^-1 e_n + tr(W A^-1),

with residuals e_n of the inner optimum. W y_n is correlated with e_n, which an instrument would
need; the log-Jacobian is what the likelihood has for it. rho and b are not orthogonal in the
information, and standard errors of b come from all of it (``LawFit.slopes`` of
`sm_alsgls.core.laws.maximise`).
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np

from sm_alsgls.core.laws.log_determinants import LogDeterminant
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, inside
from sm_alsgls.exceptions import OptionError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any


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

    def cells(self, shape: tuple[int, int]) -> Sparse:
        """The same of all cells of rows (N, K), one row after the other: (N K, N K)."""
        ...

    def rescaled(self, c: Array) -> Neighbours:
        """Of y_j / c_j, c (K,)."""
        ...

    def inverse(self, M: Array, lam: float) -> Array:
        """What M are the filtered rows of, (n, K)."""
        ...

    def log_det(self, lam: float) -> LogDeterminant:
        """log|det| of the filter per row, and its slope."""
        ...


def among_equations(weights: Neighbours) -> SpatialWeights:
    """The weights, which are among equations.

    Raises
    ------
    OptionError
        They are among rows.
    """
    if hasattr(weights, "filter"):
        return cast(SpatialWeights, weights)
    raise OptionError("missing cells of a spatial lag among rows are not integrated out")


def reached(weights: SpatialWeights, mask: Array) -> Array:
    """Which cells (N, K) are part of the mean of one that was observed: it, or its neighbours'.

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> line = np.diag([1.0, 1.0], 1)  # 0 has the neighbour 1, which has 2
    >>> reached(SpatialWeights(line, "lu"), np.array([[False, True, False]]))
    array([[False,  True,  True]])
    """
    pattern = (weights.W != 0.0).astype(float)
    out = mask
    while True:
        more = out | (np.asarray((pattern.T @ out.T.astype(float)).T) > 0.0)
        if (more == out).all():
            return out
        out = more


class SpatialLag:
    """W and rho, as a frozen value.

    Parameters
    ----------
    weights : SpatialWeights or RowWeights
    rho : float

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> W = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> SpatialLag(SpatialWeights(W), 0.5).responses(np.array([[3.0, 4.0]]))
    array([[1. , 2.5]])
    """

    name = "spatial_lag"

    def __init__(self, weights: Neighbours, rho: float = 0.0) -> None:
        self.weights, self.rho = weights, float(rho)
        self._log_det = weights.log_det(self.rho)

    def __repr__(self) -> str:
        return f"SpatialLag({self.rho:.4g})"

    def responses(self, Y: Array) -> Array:
        """Y less rho times its neighbours', (n, K)."""
        return np.asfortranarray(Y - self.rho * self.weights.lagged(Y))

    def inverse(self, M: Array) -> Array:
        """(I - rho W)^-1 of rows M (n, K): the reduced form of what ``responses`` leaves."""
        return self.weights.inverse(M, self.rho)

    @property
    def log_jacobian(self) -> float:
        """log|I - rho W|, per row."""
        return self._log_det.value

    @property
    def bounds(self) -> Array:
        """Of rho, (2,)."""
        return inside(self.weights.interval)

    def at(self, rho: float) -> SpatialLag:
        """The same weights at another rho."""
        return SpatialLag(self.weights, rho)

    def gradient(self, W: Array, lagged: Array) -> float:
        """d psi / d rho at W = E Sigma^-1 of N rows.

        ``lagged`` are neighbours' responses, through what else filters the rows.
        """
        return -float(np.einsum("nk,nk->", W, lagged)) / len(W) - self._log_det.slope


def rescaled_lag(lag: SpatialLag, c: Array) -> SpatialLag:
    """That of y_j / c_j, c (K,)."""
    return SpatialLag(lag.weights.rescaled(c), lag.rho)
