"""Which cells are observed: a mask, its patterns, and sums over them.

Rows with the same observed equations share every r x r matrix that the likelihood needs, so these
are made once a pattern. Where nearly every row has a pattern of its own, patterns are rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

# Grouping pays when there are at most this many patterns a row.
_WORTH_GROUPING = 0.75


class Patterns:
    """The observed cells of a system, and their G distinct rows.

    Parameters
    ----------
    mask : ndarray of bool, shape (N, K)
        True where y_nj and every regressor of equation j in row n are there.

    Attributes
    ----------
    mask : ndarray of bool, shape (N, K)
        Fortran-ordered, read-only.
    cells : ndarray, shape (K, G)
        The mask's distinct rows as columns of 0 and 1, in double precision for BLAS.
    counts : ndarray, shape (G,)
        Rows with each pattern.
    rows : ndarray, shape (K,)
        N_j, observed rows of each equation.
    N, K, G, n_cells : int

    Raises
    ------
    ShapeError
        When the mask is not a two-dimensional array of bool.

    Examples
    --------
    >>> import numpy as np
    >>> patterns = Patterns(np.array([[True, True], [True, False], [True, True], [True, True]]))
    >>> patterns.G, patterns.rows, patterns.n_cells
    (2, array([4, 3]), 7)
    """

    def __init__(self, mask: Array) -> None:
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise ShapeError(
                f"the mask must be a two-dimensional array of bool, got {mask.dtype} of "
                f"{mask.ndim} dimensions"
            )
        self.N, self.K = mask.shape
        packed = np.packbits(mask, axis=1)
        keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
        _, first, of = np.unique(keys, return_index=True, return_inverse=True)
        self.mask = np.array(mask, order="F")
        self.mask.setflags(write=False)
        self._of: Array | None = None
        if len(first) <= _WORTH_GROUPING * self.N:
            self._of = of.ravel()
            self._order = np.argsort(self._of, kind="stable")
            self.counts = np.bincount(self._of).astype(float)
            self._starts = np.concatenate([[0], np.cumsum(self.counts[:-1])]).astype(np.intp)
            self.cells = np.ascontiguousarray(mask[first].T, dtype=float)
        else:
            self.counts = np.ones(self.N)
            self.cells = np.ascontiguousarray(mask.T, dtype=float)
        self.G = len(self.counts)
        self.rows = mask.sum(axis=0)
        self.n_cells = int(self.rows.sum())

    def __reduce__(self) -> tuple[Any, ...]:
        """Saved as the mask: what is made of it is eight times as large."""
        return type(self), (self.mask,)

    @property
    def complete(self) -> bool:
        """True where no cell is missing."""
        return self.n_cells == self.N * self.K

    def to_rows(self, v: Array) -> Array:
        """Values of patterns (..., G) repeated for their rows, (..., N)."""
        return v if self._of is None else v[..., self._of]

    def sums(self, v: Array) -> Array:
        """Values of rows (..., N) summed over each pattern, (..., G)."""
        if self._of is None:
            return v
        if self.G == 1:
            return v.sum(axis=-1, keepdims=True)
        return np.add.reduceat(v[..., self._order], self._starts, axis=-1)

    def masked(self, M: Array) -> Array:
        """``M`` (N, K) with its missing cells set to zero, in place where there are any."""
        if not self.complete:
            M *= self.mask
        return M
