"""Neighbours among rows: where units are the rows, each equation (period) is filtered by itself.

W (U, U) of U units acts on each column of rows M (N, K); N is U, or a multiple of it where rows are
units of several periods, one period after the other, and every U of them are filtered alike. The
Jacobian of Y -> (I - lam W) Y is |I - lam W|^(K N / U), so that per row of N

    log|det| / N = (K / U) log|I - lam W|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse.linalg

from sm_alsgls.core.laws.log_determinants import LogDeterminant
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any


class RowWeights:
    """W among the rows of K equations; has what `SpatialWeights` has for lags and filters.

    Parameters
    ----------
    weights : SpatialWeights
        Of U units.
    K : int
        Equations.

    Examples
    --------
    >>> weights = RowWeights(SpatialWeights(np.array([[0.0, 1.0], [1.0, 0.0]])), 1)
    >>> weights.lagged(np.array([[1.0], [2.0], [3.0], [4.0]])).ravel()
    array([2., 1., 4., 3.])
    """

    def __init__(self, weights: SpatialWeights, K: int) -> None:
        self.units, self.K = weights, K

    def __repr__(self) -> str:
        return f"RowWeights({self.units!r}, K={self.K})"

    @property
    def interval(self) -> tuple[float, float]:
        """As of the units."""
        return self.units.interval

    @property
    def trace(self) -> float:
        """tr(W'W + W W) over all cells, per row."""
        return self.K / self.units.K * self.units.trace

    def lagged(self, M: Array) -> Array:
        """W M, every U rows by themselves.

        Raises
        ------
        ShapeError
            The rows are no multiple of the units.
        """
        return self._acted(self.units.W, M)

    def cells(self, shape: tuple[int, int]) -> Sparse:
        """W of all cells of rows (N, K), one row after the other: (N K, N K)."""
        N, K = shape
        periods = scipy.sparse.eye_array(N // self.units.K)
        rows = scipy.sparse.kron(periods, self.units.W)
        return scipy.sparse.kron(rows, scipy.sparse.eye_array(K), format="csr")

    def rescaled(self, c: Array) -> RowWeights:
        """Itself: equations are filtered one by one."""
        return self

    def back(self, M: Array) -> Array:
        """W' M."""
        return self._acted(self.units.W.T, M)

    def _acted(self, W: Sparse, M: Array) -> Array:
        return self._by_units(W.__matmul__, M)

    def _by_units(self, act: Callable[[Array], Array], M: Array) -> Array:
        U = self.units.K
        if len(M) % U:
            raise ShapeError(f"{len(M)} rows are not those of {U} units, or a multiple of them")
        # Columns of one product: periods side by side.
        wide = M.reshape(len(M) // U, U, -1).transpose(1, 0, 2).reshape(U, -1)
        out = np.asarray(act(np.ascontiguousarray(wide)))
        return out.reshape(U, len(M) // U, -1).transpose(1, 0, 2).reshape(M.shape)

    def inverse(self, M: Array, lam: float) -> Array:
        """(I - lam W)^-1 M."""
        lu: Sparse = scipy.sparse.linalg.splu(self.units.filter(lam).tocsc())
        return self._by_units(lu.solve, M)

    def log_det(self, lam: float) -> LogDeterminant:
        """(K / U) log|I - lam W| per row, and its slope."""
        value, slope = self.units.log_det(lam)
        share = self.K / self.units.K
        return LogDeterminant(share * value, share * slope)

    def curvature(self, lam: float) -> float:
        """Of minus that."""
        return self.K / self.units.K * self.units.curvature(lam)


def spread(maps: Sequence[Callable[[Array], Array]], V: Array) -> Array:
    """Variances of linear combinations of independent rows: squares of L times V (N, K).

    ``maps`` are applied to rows one after the other and make up L (N, N), which is made some
    columns at a time: N solves.
    """
    N = len(V)
    out = np.zeros(V.shape)
    for start in range(0, N, 64):
        at = np.arange(start, min(start + 64, N))
        M = np.zeros((N, len(at)))
        M[at, np.arange(len(at))] = 1.0
        for one in maps:
            M = one(M)
        out += np.square(M) @ V[at]
    return out
