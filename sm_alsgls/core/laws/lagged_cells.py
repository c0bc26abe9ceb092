"""Cells of rows whose responses reach their neighbours: what is missing is part of other cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.laws.spatial_lag import SpatialLag, among_equations
from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.through_holes import Holes, ThroughHoles

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LaggedCells(Cells):
    """Cells of which some are missing, of rows A y - X b, which are whole.

    Attributes
    ----------
    lag : SpatialLag
        A, among equations.

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> lag = SpatialLag(SpatialWeights(np.array([[0.0, 1.0], [1.0, 0.0]])), 0.5)
    >>> cells = LaggedCells(1, 2, np.array([[True, False]]), lag=lag)
    >>> cells.seen(LowRankDiag.diagonal([1.0, 1.0])).filled(np.array([[1.0, 0.0]]))
    array([[0.8, 0.4]])
    """

    lag: SpatialLag = None  # type: ignore[assignment]

    def seen(self, cov: Covariance) -> ThroughHoles:
        """``cov`` of rows A y - X b, what is missing of y integrated out."""
        A = among_equations(self.lag.weights).filter(self.lag.rho)
        return ThroughHoles(cov, Holes(self.patterns, A))

    def used(self, M: Array) -> Array:
        """All of it."""
        return M

    def _masked(self, E: Array) -> Array:
        return E
