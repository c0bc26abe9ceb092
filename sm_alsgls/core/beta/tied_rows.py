"""H of rows that have missing cells in common: that of whole rows, less what these take.

    H = X' (I x Omega^-1) X - Z' Q_mm^-1 Z,        Z = T_m' (I x Omega^-1) X,

X through the filters (`sm_alsgls.covariance.tied_holes`): N P^2 + M^2 P flops.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sm_alsgls.core.beta.seen_patterns import WithoutForm
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray


class InCommon(RowCovariance, Protocol):
    """A covariance of rows that have missing cells in common."""

    def products(self, X: Array, owner: Array) -> Array:
        """X' M X (P, P) of columns X (N, P), each of the equation that ``owner`` (P,) says."""
        ...


class TiedRows(WithoutForm):
    """H of rows that have missing cells in common, as a `Kernel`.

    Parameters
    ----------
    design : PerEquation
    seen : InCommon
    n_obs : int
    ridge : Ridge, optional
    """

    def __init__(
        self, design: PerEquation, seen: InCommon, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        super().__init__(design, seen, n_obs, ridge)
        self._common = seen

    def matrix(self) -> Array:
        """H, (P, P)."""
        stacked = self._design.stacked
        return self._common.products(stacked.Qt.T, stacked.owner)
