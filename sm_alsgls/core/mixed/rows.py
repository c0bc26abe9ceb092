"""Rows of a fit, for what products of groups do not have: residuals that depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows of a fit with autoregressive residuals.

    Attributes
    ----------
    Z, X : ndarray, shapes (n, q), (n, p)
    codes : ndarray of int, shape (n,)
    times : ndarray, shape (n,)
    weights : ndarray, shape (n,), or None
    levels : ndarray of int, shape (n,), or None
        Of the residual variance, where the law has them.
    """

    Z: Array
    X: Array
    codes: Array
    times: Array
    weights: Array | None = None
    levels: Array | None = None

    @property
    def index(self) -> Array:
        """What the law tells rows apart by: times (n,), or times and levels (n, 2)."""
        return self.times if self.levels is None else np.column_stack([self.times, self.levels])
