"""Cells given the others of their row, where every row has a covariance of its own."""

from __future__ import annotations

import numpy as np


class RowsOfTheirOwn:
    """What `covariance.observed` says of one Sigma seen through holes, of a Sigma for each row.

    Parameters
    ----------
    C : ndarray, shape (T, K, K)
    mask : ndarray of bool, shape (T, K)
        Cells that are known.

    Notes
    -----
    Cost O(T K^3).
    """

    def __init__(self, C: np.ndarray, mask: np.ndarray) -> None:
        self._variance, self._weights = np.empty(mask.shape), np.zeros(C.shape)
        for t, known in enumerate(mask):
            at, to = np.flatnonzero(known), np.flatnonzero(~known)
            if len(at):
                Q = np.linalg.inv(C[t][np.ix_(at, at)])
                own = np.diagonal(Q)
                # Of a known cell the others: minus its row of the precision over its diagonal.
                W = -Q / own[:, None]
                W[np.arange(len(at)), np.arange(len(at))] = 0.0
                self._weights[t][np.ix_(at, at)] = W
                self._variance[t, at] = 1.0 / own
                self._weights[t][np.ix_(to, at)] = C[t][np.ix_(to, at)] @ Q
            taken = np.einsum("jk,kj->j", self._weights[t][to], C[t][:, to])
            self._variance[t, to] = np.diagonal(C[t])[to] - taken

    def conditional(self, E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances (T, K) at residuals E, zero where they are not known."""
        return np.einsum("tjk,tk->tj", self._weights, E), self._variance

    def weights(self, t: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Of the row's residuals in the mean of cells (t, j), (n, K)."""
        return self._weights[t, j]
