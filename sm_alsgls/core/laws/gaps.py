"""How far back the cell before each cell lies, where rows are irregular or cells are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sm_alsgls.exceptions import OptionError, ShapeError

Array = np.ndarray


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
    """

    previous: Array
    distance: Array
    mask: Array | None = None

    @property
    def regular(self) -> bool:
        """Whether every row but the first follows the one above by one period."""
        return self.mask is None and bool((self.distance[1:] == 1.0).all())


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
        return Gaps(previous, np.concatenate([[np.inf], steps.astype(float)])[:, None])
    number = np.where(mask, np.arange(N)[:, None], -1)
    last = np.maximum.accumulate(number, axis=0)
    before = np.concatenate([np.full((1, mask.shape[1]), -1), last[:-1]])
    previous = np.maximum(before, 0)
    distance = np.where(before < 0, np.inf, times[:, None] - times[previous])
    return Gaps(previous, distance, mask)
