"""What is seen of many designs in one pass over them: soundness, 1s, and fingerprints.

Of a thousand small arrays a call for each takes longer than their memory does, so those of one
shape are copied side by side, as many as stay in the second-level cache, and looked at there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.border import held
from sm_alsgls.data.seen import FirstLook
from sm_alsgls.data.validity import LARGEST, sound_at_once

# Words that are looked at together, and of the largest array of which others are beside it: no more
# than `held.fingerprints_beside` takes.
_TOGETHER, _SMALL = 2**17, 2**14


def first_look(arrays: Sequence[np.ndarray], sums: bool = True, prints: bool = False) -> FirstLook:
    """Look at arrays (N, p) of float64.

    Parameters
    ----------
    arrays : sequence of ndarray
    sums : bool
        Whether to find out if they are sound; where not they are not said to be.
    prints : bool
        Whether to take fingerprints of those that are looked at side by side.

    Examples
    --------
    >>> first_look([np.ones((3, 2)), np.array([[1.0, np.nan], [1.0, 2.0]])])
    FirstLook(sound=False, ones=[(True, True), (True, False)], prints={})
    """
    found: list[tuple[bool, ...]] = [()] * len(arrays)
    groups: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for i, X in enumerate(arrays):
        groups.setdefault((X.shape, X.strides), []).append(i)
    sound, taken = sums, dict[int, tuple[np.ndarray, int]]()
    with np.errstate(over="ignore", invalid="ignore"):  # what has no sum of squares is not sound
        for (shape, _), members in groups.items():
            size = int(np.prod(shape))
            flags = arrays[members[0]].flags
            by_columns = not flags.c_contiguous
            if len(members) == 1 or not 0 < size <= _SMALL:
                for i in members:
                    sound = sound and sound_at_once(arrays[i])
                    found[i] = _ones(arrays[i])
                continue
            table = np.empty(min(_TOGETHER, len(members) * size))
            many = len(table) // size
            for start in range(0, len(members), many):
                batch = members[start : start + many]
                words = table[: len(batch) * size]
                cube = _side_by_side([arrays[i] for i in batch], words, by_columns)
                sound = sound and bool(words @ words < LARGEST**2)
                for i, ones in zip(batch, _ones_of_each(cube), strict=True):
                    found[i] = ones
                if prints and (flags.c_contiguous or flags.f_contiguous):
                    new = held.fingerprints_beside(words.reshape(len(batch), size)).tolist()
                    for i, one in zip(batch, new, strict=True):
                        taken[id(arrays[i])] = arrays[i], one
    return FirstLook(sound, found, taken)


def _side_by_side(arrays: list[np.ndarray], words: np.ndarray, by_columns: bool) -> np.ndarray:
    """Copies of arrays of one shape (N, p), as (m, N, p) in the memory of ``words``."""
    m, (N, p) = len(arrays), arrays[0].shape
    if by_columns:
        np.concatenate([X.T for X in arrays], out=words.reshape(m * p, N))
        return words.reshape(m, p, N).transpose(0, 2, 1)
    np.concatenate(arrays, out=words.reshape(m * N, p))
    return words.reshape(m, N, p)


def _ones_of_each(cube: np.ndarray) -> list[tuple[bool, ...]]:
    """Which columns of each of (m, N, p) hold 1s."""
    ones = (cube[:, 0] == 1.0) & (cube[:, -1] == 1.0)
    for i in np.flatnonzero(ones.any(axis=0)):
        ones[:, i] &= (cube[:, :, i] == 1.0).all(axis=1)
    return list(map(tuple, ones.tolist()))


def _ones(X: np.ndarray) -> tuple[bool, ...]:
    """Which columns of one array hold 1s; none of no rows do."""
    return _ones_of_each(X[None])[0] if len(X) else (False,) * X.shape[1]
