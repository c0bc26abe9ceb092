"""The median of values of which each shard has some: by counting, never by sending them."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.across import Across

Array = np.ndarray

# Places at which values are counted at once: 2^63 of them are one after seven rounds.
_PLACES = 1023


def median(values: Array, across: Across) -> float:
    """The median of values >= 0, those of the other shards included.

    Doubles that are not negative are in the order of their bits as integers, and of the k-th
    smallest each round of counts leaves a thousandth of the bits that it may have.

    Examples
    --------
    >>> from sm_alsgls.core.across import ALONE
    >>> import numpy as np
    >>> median(np.array([3.0, 1.0, 2.0, 7.0]), ALONE)
    2.5
    """
    if across.alone:
        return float(np.median(values))
    bits = np.sort(np.abs(np.asarray(values, dtype=float))).view(np.int64)
    count = int(across.total(float(len(bits))))
    # Of an even number, the mean of the two in the middle.
    middle = [_kth(bits, k, across) for k in sorted({(count - 1) // 2 + 1, count // 2 + 1})]
    return float(np.mean(middle))


def _kth(bits: Array, k: int, across: Across) -> float:
    """The k-th smallest, k from 1."""
    # What is at ``low`` or below is fewer than k, what is at ``high`` or below k at least.
    low, high = -1, int(np.iinfo(np.int64).max)
    while high - low > 1:
        steps = min(_PLACES, high - low - 1)
        places = [low + (high - low) * i // (steps + 1) for i in range(1, steps + 1)]
        below = np.searchsorted(bits, np.array(places, dtype=np.int64), side="right")
        enough = np.flatnonzero(across.total(below.astype(float)) >= k)
        first = int(enough[0]) if len(enough) else steps
        low, high = ([low, *places][first], [*places, high][first])
    return float(np.array([high], dtype=np.int64).view(float)[0])
