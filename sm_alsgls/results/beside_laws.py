"""The covariance of coefficients that are not orthogonal to a law's parameters: a spatial lag's.

With V that of the coefficients at given values, G = d b / d values and C the covariance of the
values, that of the partitioned information is V + G C G'.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.data.labels import Labels
from sm_alsgls.results.parameter_covariance import ParameterCovariance


class BesideLaws:
    """V + G C G'; see `ParameterCovariance`.

    Parameters
    ----------
    given : ParameterCovariance
        V.
    slopes : ndarray, shape (P, m)
    cov : ndarray, shape (m, m)
    labels : Labels
        Where each equation's coefficients are.
    """

    def __init__(
        self, given: ParameterCovariance, slopes: np.ndarray, cov: np.ndarray, labels: Labels
    ) -> None:
        values, vectors = np.linalg.eigh(cov)
        self._given, self._labels = given, labels
        self._half = slopes @ (vectors * np.sqrt(np.maximum(values, 0.0)))

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self._labels.P, self._labels.P

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        return np.asarray(self._given.variances() + np.square(self._half).sum(axis=1))

    def block(self, j: int) -> np.ndarray:
        """Block of one equation, (p_j, p_j)."""
        part = self._half[self._labels.columns(j)]
        return np.asarray(self._given.block(j) + part @ part.T)

    def combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other', (m, q)."""
        right = R if other is None else other
        made = self._given.combinations(R, other)
        return np.asarray(made + (R @ self._half) @ (right @ self._half).T)

    def dense(self) -> np.ndarray:
        """The whole, (P, P)."""
        return np.asarray(self._given.dense() + self._half @ self._half.T)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.dense()
