"""Cells of rows that have a level of their own, to which the law of their errors is blind."""

from __future__ import annotations

from dataclasses import dataclass

from sm_alsgls.core.rows.cells import Cells
from sm_alsgls.core.rows.filled_cells import SeesHoles
from sm_alsgls.covariance.base import Covariance, RowCovariance


@dataclass(frozen=True, eq=False)
class SweptCells(Cells):
    """Cells beside a level of each row, which scores and distances must not see either.

    Attributes
    ----------
    law : SeesHoles
        How the errors' law looks at rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.errors.within_rows import WithinRows
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> from sm_alsgls.covariance.patterns import Patterns
    >>> mask = np.array([[True, True, False]])
    >>> cells = SweptCells(1, 3, mask, law=WithinRows(Patterns(mask)))
    >>> E = np.array([[3.0, 1.0, 7.0]])
    >>> (cells.solve(E, LowRankDiag.diagonal([1.0, 1.0, 1.0])).round(6) + 0.0).tolist()
    [[1.0, -1.0, 0.0]]
    """

    law: SeesHoles = None  # type: ignore[assignment]

    def seen(self, cov: Covariance) -> RowCovariance:
        """``cov`` as the law has it."""
        return self.law.seen(cov)
