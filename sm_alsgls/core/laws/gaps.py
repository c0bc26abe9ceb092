"""How far back the cell before each cell lies, where rows are irregular or cells are missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sm_alsgls.covariance.spread import Spans, Spread
from sm_alsgls.exceptions import OptionError, ShapeError

Array = np.ndarray

#: Rows of a gap that its innovation is made of: .9^60 is .002.
LONGEST = 60


@dataclass(frozen=True, eq=False)
class Gaps:
    """The cell before each cell of N rows, and its distance in periods.

    Attributes
    ----------
    previous : ndarray of int, shape (N, 1) or (N, K)
        Its row; 0 where there is none. One column where all equations have the same rows.
    distance : ndarray, shape (N, 1) or (N, K)
        Whole periods; infinite where there is none.
    mask : ndarray of bool, shape (N, K), or None
        Cells that there are; None where there are all.
    times : ndarray, shape (N,)
        Periods of the rows.
    """

    previous: Array
    distance: Array
    mask: Array | None
    times: Array

    def __reduce__(self) -> tuple[Any, ...]:
        """Saved as what it was made of: the rest is larger and soon made again."""
        return gaps_of, (self.times, self.mask)

    @property
    def regular(self) -> bool:
        """Whether every row but the first follows the one above by one period."""
        return self.mask is None and bool((self.distance[1:] == 1.0).all())

    @cached_property
    def spans(self) -> Spans | None:
        """The cells whose last one is not in the row before, and the rows since; None without any.

        Of rows more than `LONGEST` before nothing is left.
        """
        if self.mask is None:
            return None
        length = np.arange(len(self.mask))[:, None] - self.previous
        row, equation = np.nonzero(self.mask & np.isfinite(self.distance) & (length > 1))
        if not len(row):
            return None
        length = np.minimum(length[row, equation], LONGEST)
        cell = np.repeat(np.arange(len(row)), length)
        back = np.repeat(np.cumsum(length), length) - 1 - np.arange(len(cell))
        return Spans(self.mask, row, equation, cell, row[cell] - back)

    def spread(self, rho: Array) -> Spread | None:
        """What came in each of those rows, as shares of the innovation over the gap.

        Row k, G_k periods after the row before it, has rho^(t_n - t_k) / s_k, s_k that of G_k in
        `sm_alsgls.core.laws.ar`; their squares are made to sum to 1.

        Parameters
        ----------
        rho : ndarray, shape (K,)
        """
        spans = self.spans
        if spans is None:
            return None
        of, r = spans.cell, rho[spans.equation[spans.cell]]
        lag = self.times[spans.row[of]] - self.times[spans.source]
        G = self.times[spans.source] - self.times[spans.source - 1]
        left = 1.0 - r**2
        size = np.sqrt((1.0 - np.power(r, 2 * G)) / left)
        slope = (r * size**2 - G * np.power(r, 2 * G - 1)) / (left * size)
        power = np.power(r, lag)
        slope = (
            power * slope + np.where(lag > 0, lag * np.power(r, np.maximum(lag - 1, 0)), 0) * size
        )
        weight = power * size
        total = np.sqrt(np.bincount(of, weight**2))[of]
        weight, slope = weight / total, slope / total
        slope = slope - weight * np.bincount(of, weight * slope)[of]
        return Spread(spans, weight, slope)


def gaps_of(times: Array, mask: Array | None = None) -> Gaps:
    """The gaps of rows at some times.

    Parameters
    ----------
    times : ndarray of int, shape (N,)
        Periods, increasing.
    mask : ndarray of bool, shape (N, K), optional
        Cells that were observed.

    Raises
    ------
    OptionError
        Times that do not increase by whole periods.
    ShapeError
        A mask of other rows.

    Examples
    --------
    >>> gaps_of(np.array([1990, 1991, 1993])).distance.ravel()
    array([inf,  1.,  2.])
    """
    times = np.asarray(times)
    steps = np.diff(times)
    if (steps <= 0).any() or (steps != np.round(steps)).any():
        at = int(np.flatnonzero((steps <= 0) | (steps != np.round(steps)))[0])
        raise OptionError(
            f"autoregressive errors need times that increase by whole periods; rows {at} and "
            f"{at + 1} are at {times[at]} and {times[at + 1]}"
        )
    N = len(times)
    if mask is not None and len(mask) != N:
        raise ShapeError(f"the mask has {len(mask)} rows for {N} times")
    if mask is None or mask.all():
        previous = np.maximum(np.arange(N) - 1, 0)[:, None]
        return Gaps(previous, np.concatenate([[np.inf], steps.astype(float)])[:, None], None, times)
    number = np.where(mask, np.arange(N)[:, None], -1)
    last = np.maximum.accumulate(number, axis=0)
    before = np.concatenate([np.full((1, mask.shape[1]), -1), last[:-1]])
    previous = np.maximum(before, 0)
    distance = np.where(before < 0, np.inf, times[:, None] - times[previous])
    return Gaps(previous, distance, mask, times)
