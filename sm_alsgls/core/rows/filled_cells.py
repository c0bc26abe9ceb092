"""Cells of rows that are whole though some are missing, which are part of other cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.covariance.base import Covariance, RowCovariance

Array = np.ndarray


class SeesHoles(Protocol):
    """Missing cells, and how a covariance of whole rows looks through them."""

    def seen(self, cov: Covariance) -> RowCovariance:
        """``cov`` as the observed cells see it."""
        ...


@dataclass(frozen=True, eq=False)
class FilledCells(Cells):
    """Cells of which some are missing, of rows that a lag or a filter makes of all of them.

    Attributes
    ----------
    holes : SeesHoles
        What is integrated out.

    Examples
    --------
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> from sm_alsgls.covariance.patterns import Patterns
    >>> from sm_alsgls.covariance.through_holes import Holes
    >>> import scipy.sparse
    >>> mask = np.array([[True, False]])
    >>> A = scipy.sparse.csr_array([[1.0, -0.5], [-0.5, 1.0]])
    >>> cells = FilledCells(1, 2, mask, holes=Holes(Patterns(mask), A))
    >>> cells.seen(LowRankDiag.diagonal([1.0, 1.0])).filled(np.array([[1.0, 0.0]]))
    array([[0.8, 0.4]])
    """

    holes: SeesHoles = None  # type: ignore[assignment]

    def seen(self, cov: Covariance) -> RowCovariance:
        """``cov`` of whole rows, what is missing integrated out."""
        return self.holes.seen(cov)

    def used(self, M: Array) -> Array:
        """All of it."""
        return M

    def _masked(self, E: Array) -> Array:
        return E
