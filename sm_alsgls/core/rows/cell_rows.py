"""The rows of a system whose cells are missing or weighted, as its likelihood sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class CellRows(Rows):
    """N rows that stand for themselves, cell by cell.

    Attributes
    ----------
    blocks : list of ndarray
        K designs (N, p_j), times the roots of the weights, without NaN.
    Y : ndarray, shape (N, K)
        Times the roots of the weights, zero in missing cells.
    one : ndarray, shape (N, K)
        What stands for a one in each cell: the root of its weight, zero where it is missing.
    mask : ndarray of bool, shape (N, K)
        Which cells are used.
    designs : list of ndarray
        The designs without weights.
    """

    mask: Array = None  # type: ignore[assignment]
    designs: Sequence[Array] = ()

    @cached_property
    def patterns(self) -> Patterns | None:
        """Which cells the rows have; None where they have all and are weighted only."""
        return None if self.mask.all() else Patterns(self.mask)

    @property
    def seen_blocks(self) -> Sequence[Array]:
        """The designs, zero in rows of missing cells.

        The same block in several equations stays one array while it is whole.
        """
        return [
            X if seen.all() else np.where(seen[:, None], X, 0.0)
            for X, seen in zip(self.blocks, self.mask.T, strict=True)
        ]

    @cached_property
    def counts(self) -> Array:
        """N_j, the used rows of each equation, (K,)."""
        return self.mask.sum(axis=0)

    @cached_property
    def varies(self) -> list[Array]:
        """K arrays (p_j,): which columns are not constant on the equation's own rows."""
        return [
            np.ptp(X[seen], axis=0) > 0.0 for X, seen in zip(self.designs, self.mask.T, strict=True)
        ]

    @cached_property
    def constants(self) -> list[Array | None]:
        """For each equation coefficients a (p_j,) with X_j a = 1 on its rows, or None."""
        return [
            Rows.of([X[seen]], np.empty((int(seen.sum()), 0))).constants[0]
            for X, seen in zip(self.designs, self.mask.T, strict=True)
        ]

    def mean(self, M: Array) -> Array:
        """Means (K,) over used cells, by their weights, of the values behind ``M`` (N, K)."""
        return np.einsum("nk,nk->k", self.one, M) / np.einsum("nk,nk->k", self.one, self.one)

    def centred(self, M: Array) -> Array:
        """Deviations from the means, (N, K), of what ``M`` (N, K) stands for."""
        return M - self.one * self.mean(M)
