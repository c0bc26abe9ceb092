"""The covariance of the coefficients of one of very many equations."""

from __future__ import annotations

import numpy as np

from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.dense_covariance import DenseCovariance
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.many import covariance
from sm_alsgls.results.many.estimate import ManyEstimate


class WithDegrees(DenseCovariance):
    """A block of a robust covariance, and Satterthwaite's degrees of freedom.

    Parameters
    ----------
    whole : ManyEstimate
    j : int
        The equation.
    """

    def __init__(self, whole: ManyEstimate, j: int) -> None:
        super().__init__(covariance.block(whole, j))
        self._whole, self._j = whole, j

    def coefficient_df(self) -> np.ndarray:
        """Of each coefficient, (p_j,)."""
        return covariance.coefficient_df(self._whole)[self._whole.labels.columns(self._j)]

    def df(self, R: np.ndarray) -> np.ndarray:
        """Of R beta, (m,)."""
        return covariance.own_degrees(self._whole, self._j, R)


def of_equation(
    whole: ManyEstimate, j: int, estimate: Fitted, choice: CovarianceChoice
) -> DenseCovariance:
    """The covariance of equation j, in the form that `Fitted` asks for."""
    if choice.power is None:
        return DenseCovariance(covariance.block(whole, j))
    return WithDegrees(whole, j)
