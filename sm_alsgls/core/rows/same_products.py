"""The rows of a system as its likelihood sees them: themselves, or fewer with the same products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Largest root mean square of ones less their projection on a design that spans them.
_SPANS = 1e-9


@dataclass(frozen=True, eq=False)
class Rows:
    """n rows whose cross-products are those of the N rows they stand for.

    With an orthonormal T (N, n), every array here is T' times what it stands for, and T T' leaves
    the columns of [1 X_1 .. X_K Y] as they are. So sums of squares and products of residuals, and
    of deviations from means, are those of all N rows.

    Attributes
    ----------
    blocks : list of ndarray
        K designs (n, p_j). Equal designs may be one object.
    Y : ndarray, shape (n, K)
    n_obs : int
        N.
    one : ndarray, shape (n,)
        What stands for N ones, of which centred sums of squares need the direction.
    varying : list of ndarray of bool, optional
        K arrays (p_j,): which columns are not constant. Found in ``blocks`` when not given.
    """

    blocks: list[Array]
    Y: Array
    n_obs: int
    one: Array
    varying: list[Array] | None = None

    @classmethod
    def of(cls, blocks: Sequence[Array], Y: Array) -> Rows:
        """N rows that stand for themselves; the arrays are not copied."""
        return cls(list(blocks), Y, len(Y), np.ones(len(Y)))

    @property
    def patterns(self) -> Patterns | None:
        """Which cells the rows have; None where they have all."""
        return None

    @property
    def seen_blocks(self) -> Sequence[Array]:
        """The designs, zero in rows that the equation does not have."""
        return self.blocks

    @cached_property
    def varies(self) -> list[Array]:
        """K arrays (p_j,): which columns are not constant."""
        if self.varying is not None:
            return self.varying
        known: dict[int, Array] = {}
        for X in self.blocks:
            if id(X) not in known:
                known[id(X)] = (X != X[0]).any(axis=0)
        return [known[id(X)] for X in self.blocks]

    @cached_property
    def constants(self) -> list[Array | None]:
        """For each equation coefficients a (p_j,) with X_j a = 1; None where there are none."""
        known: dict[int, Array | None] = {}
        for X, varies in zip(self.blocks, self.varies, strict=True):
            if id(X) not in known:
                known[id(X)] = self._constant(X, varies)
        return [known[id(X)] for X in self.blocks]

    def _constant(self, X: Array, varies: Array) -> Array | None:
        level = self.mean(X)
        explicit = np.flatnonzero(~varies & (level != 0.0))
        if len(explicit):
            out = np.zeros(X.shape[1])
            out[explicit[0]] = 1.0 / level[explicit[0]]
            return out
        scale = np.abs(X).max(axis=0)
        unit = X / scale
        a = np.linalg.lstsq(unit, self.one, rcond=None)[0]
        left = unit @ a - self.one
        spans = float(left @ left) < _SPANS**2 * self.n_obs
        return a / scale if spans else None

    def mean(self, M: Array) -> Array:
        """Column means (m,) of the N rows behind ``M`` (n, m)."""
        return self.one @ M / self.n_obs

    def centred(self, M: Array) -> Array:
        """Deviations from the means, (n, m), of what ``M`` (n, m) stands for."""
        return M - np.multiply.outer(self.one, self.mean(M))
