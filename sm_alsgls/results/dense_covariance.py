"""``DenseCovariance``: the covariance of a few coefficients, held as an array."""

from __future__ import annotations

import numpy as np


class DenseCovariance:
    """V (P, P) of the coefficients of one equation; see `ParameterCovariance`.

    Parameters
    ----------
    V : ndarray, shape (P, P)

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.results.dense_covariance import DenseCovariance
    >>> V = DenseCovariance(np.array([[2.0, 1.0], [1.0, 3.0]]))
    >>> V.variances(), V.combinations(np.array([[1.0, -1.0]]))
    (array([2., 3.]), array([[3.]]))
    """

    def __init__(self, V: np.ndarray) -> None:
        self._V = V

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        P = len(self._V)
        return P, P

    def variances(self) -> np.ndarray:
        """Diagonal, (P,)."""
        return np.diagonal(self._V).copy()

    def block(self, j: int) -> np.ndarray:
        """The whole: there is one equation."""
        return self.dense()

    def combinations(self, R: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """R V other', (m, q)."""
        return np.asarray(R @ self._V @ (R if other is None else other).T)

    def dense(self) -> np.ndarray:
        """The whole, (P, P), a copy."""
        return self._V.copy()

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.dense()
