"""Errors of one variance: Sigma = s I, so that everything is least squares over all cells.

The Sigma-step is s = tr(E'E) / (N K). Beside filters (`sm_alsgls.core.laws`) it is the pooled
regression with autoregressive or heteroscedastic errors of textbooks.
"""

from __future__ import annotations

import math

import numpy as np

from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.tied import TiedLaw
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


def equal_variances(rows: Rows) -> EqualVariances:
    """The law of some rows.

    Raises
    ------
    OptionError
        Some rows lack cells.
    """
    if rows.patterns is not None:
        raise OptionError("one variance for all equations needs whole rows; use missing='drop'")
    return EqualVariances(rows.Y.shape[1], rows.n_obs)


class EqualVariances(TiedLaw):
    """Rows e_n ~ N(0, s I), with units s diag(u^2); see `Errors`. Ranks are unread.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.array([[1.0, 2.0], [3.0, 0.0]])
    >>> step = EqualVariances(2, 2).sigma(E, 0, floor=np.zeros(2), near=None, d=None, block=None,
    ...                                   gtol=1e-6)
    >>> step.cov.diag()
    array([3.5, 3.5])
    """

    one_variance = True

    def parameters(self, rank: int) -> int:
        """1."""
        return 1

    def fitted(self, E: Array, floor: Array) -> Step:
        """The mean square over all cells."""
        s = max(self._mean_square(E), self._lowest(floor))
        quad = self._mean_square(E) / s
        nll = 0.5 * self.K * (math.log(s) + quad) + float(np.log(self.units).sum())
        cov = LowRankDiag.diagonal(s * self.units**2)
        return Step(cov, nll, 0.0, np.full(self.K, quad < 1.0 - 1e-12), 1)

    def _mean_square(self, E: Array) -> float:
        return float(np.square(E / self.units).sum()) / (self.n_obs * self.K)

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """In log s."""
        s = self._variance(cov)
        return 0.0 if at_bound.any() else 0.5 * self.K * abs(1.0 - self._mean_square(E) / s)
