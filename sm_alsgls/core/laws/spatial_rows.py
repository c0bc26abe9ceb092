"""Spatial errors among rows as a filter: T = I - lam W, the rows being units.

e = lam W e + u in each equation (period) by itself, W (U, U) among units, and u independent rows of
N(0, Sigma). A cross section is the case of one equation; a panel with independent units and
Sigma across periods that of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.laws.row_weights import RowWeights, spread
from sm_alsgls.core.laws.spatial_weights import inside
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray

# Of the way to either end of the interval, where a first guess ends.
_GUESS = 0.9


class SpatialRows:
    """T = I - lam W on rows; see `RowFilter`.

    Parameters
    ----------
    weights : RowWeights
    lam : float

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> W = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> law = SpatialRows(RowWeights(SpatialWeights(W), 1), 0.5)
    >>> law.rows(np.array([[1.0], [2.0]])).ravel()
    array([0. , 1.5])
    >>> float(np.exp(2 * law.log_jacobian).round(6))
    0.75
    """

    names: tuple[str, ...] = ("spatial_error",)

    def __init__(self, weights: RowWeights, lam: float) -> None:
        self._weights, self._lam = weights, float(lam)
        self.values = np.array([self._lam])
        self.values.setflags(write=False)
        self._log_det = weights.log_det(self._lam)

    def __repr__(self) -> str:
        return f"SpatialRows({self._lam:.4g})"

    @property
    def bounds(self) -> Array:
        """The admissible interval, nearly, (1, 2)."""
        return inside(self._weights.interval)[None, :]

    @property
    def log_jacobian(self) -> float:
        """Per row."""
        return self._log_det.value

    #: Every cell is of its own row.
    spread = None

    def through_spread(self, slope: Array) -> Array:
        """Zero."""
        return np.zeros(len(self.values))

    def at(self, values: Array) -> SpatialRows:
        """At another lam."""
        return SpatialRows(self._weights, float(values[0]))

    def tied(self) -> SpatialRows:
        """Itself."""
        return self

    def guess(self, E: Array) -> SpatialRows:
        """The regression of residuals on their neighbours', kept well inside."""
        lagged = self._weights.lagged(E)
        size = float(np.vdot(lagged, lagged))
        low, high = _GUESS * self.bounds[0]
        lam = float(np.vdot(lagged, E)) / size if size > 0.0 else 0.0
        return self.at(np.array([min(max(lam, low), high)]))

    def rows(self, M: Array) -> Array:
        """M - lam W M."""
        return M - self._lam * self._weights.lagged(M)

    def inverse(self, M: Array) -> Array:
        """(I - lam W)^-1 M."""
        return self._weights.inverse(M, self._lam)

    def variances(self, V: Array, then: Callable[[Array], Array] | None = None) -> Array:
        """Squares of (I - lam W)^-1 times V."""
        return spread([self.inverse] if then is None else [self.inverse, then], V)

    def covariances(self, C: Array) -> Array:
        """The same of pairs of equations, which it does not tell apart."""
        return spread([self.inverse], C.reshape(len(C), -1)).reshape(C.shape)

    def back(self, M: Array) -> Array:
        """M - lam W' M."""
        return M - self._lam * self._weights.back(M)

    def blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """T X_j; one array for all that have one."""
        known = {id(X): X for X in blocks}
        made = {key: self.rows(X) for key, X in known.items()}
        return [made[id(X)] for X in blocks]

    def gradient(self, E: Array, TE: Array, W: Array) -> Array:
        """Minus the mean of W o (neighbours' E) over rows, less the Jacobian's slope, (1,)."""
        pull = float(np.vdot(W, self._weights.lagged(E))) / len(E)
        return np.array([-pull - self._log_det.slope])

    def information(self, E: Array, cov: RowCovariance) -> Array:
        """Products of neighbours' residuals, and the curvature of the Jacobian, (1, 1)."""
        lagged = self._weights.lagged(E)
        own = float(np.vdot(lagged, cov.solve(lagged))) / len(E)
        # Of weights that are far from mutual the trace may be below zero.
        return np.array([[own + max(self._weights.curvature(self._lam), 0.0)]])

    def solve(self, E: Array, cov: RowCovariance, v: Array) -> Array:
        """v over the information."""
        return v / self.information(E, cov)[0, 0]
