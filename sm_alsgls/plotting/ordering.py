"""An order of equations in which those of one factor are neighbours."""

from __future__ import annotations

import numpy as np


def by_factor(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order (K,) and, in that order, the factor (K,) with the largest |loading| of each equation.

    Within a factor loadings fall, so that those of one sign are neighbours.

    >>> by_factor(np.array([[0.1, 0.9], [0.8, 0.0], [0.9, 0.2], [0.0, -0.5]]))
    (array([2, 1, 0, 3]), array([0, 0, 1, 1]))
    """
    K, r = loadings.shape
    if r == 0:
        return np.arange(K), np.zeros(K, dtype=int)
    owner = np.abs(loadings).argmax(axis=1)
    order = np.lexsort((-loadings[np.arange(K), owner], owner))
    return order, owner[order]
