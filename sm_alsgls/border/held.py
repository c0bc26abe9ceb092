"""Arrays of the caller's that are read again later: copied where small, watched where large.

A model works out cross-products once and reads rows again for residuals, robust covariances and
the like. If the caller writes into the arrays in between, results would mix two states of the
data. So what is small is copied, and what is large, which a copy would cost as much memory again,
keeps a fingerprint that is compared before it is read again.

The fingerprint of words u_0 .. u_n-1 (float64 as 64-bit integers, in the order of memory) cuts
them into chunks of 256 rows of 256 words and adds up mix(row sum), mix(column sum), where mix is
splitmix64's finaliser (Steele, Lea and Flood 2014, OOPSLA) of the sum and its place; sums are
modulo 2^64, so that no order of summation changes them. A change of any one number always changes
it, as does any swap of two numbers of a chunk that differ; other changes do but for a chance of
2^-64, if they change a row or a column sum at all. It is no defence against someone who looks for
a collision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from sm_alsgls.exceptions import DataChangedError

Array = np.ndarray

#: Numbers up to which data are copied: 16 MB, some 5 ms.
COPIED = 2_000_000

_WIDTH = 256
_CHUNK = _WIDTH * _WIDTH
# Words of small arrays that are looked at together: they stay in the second-level cache.
_BATCH = 2 * _CHUNK
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def read_only(array: Array) -> Array:
    """A view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def copied(array: Array, order: Literal["K", "F"] = "K") -> Array:
    """A copy that cannot be written to, in the same order of memory or by columns."""
    copy = np.array(array, order=order, subok=False)
    copy.flags.writeable = False
    return copy


def own(value: Any) -> Any:
    """A copy of what holds data (arrays, labelled or not, also in lists); all else as it is.

    >>> groups = [np.zeros(3), "a"]
    >>> kept = own(groups)
    >>> groups[0] += 1.0
    >>> kept
    [array([0., 0., 0.]), 'a']
    """
    if type(value) in (list, tuple):
        return type(value)([own(item) for item in value])
    if type(value) is dict:
        return {key: own(item) for key, item in value.items()}
    # Of what has labels there are several packages, which this module does not know.
    holds = isinstance(value, np.ndarray) or type(value).__module__.startswith("pandas.")
    return value.copy() if holds and hasattr(value, "copy") else value


def fingerprints(arrays: Sequence[Array]) -> Array:
    """Fingerprints (m,) of m arrays of float64 with one or two dimensions.

    Cost: one pass over the memory, no copy of an array.
    """
    out = np.zeros(len(arrays), dtype=np.uint64)
    # Those of one shape together: a call for each would take longer than their memory does.
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for i, array in enumerate(arrays):
        alike.setdefault((array.shape, array.strides), []).append(i)
    small: dict[tuple[int, ...], list[tuple[int, Array]]] = {}
    strided: dict[tuple[int, ...], list[tuple[int, Array]]] = {}
    for members in alike.values():
        first = arrays[members[0]]
        by_columns = first.flags.f_contiguous
        group = [(i, arrays[i].T if by_columns else arrays[i]) for i in members]
        shape = group[0][1].shape
        if not (by_columns or first.flags.c_contiguous):
            strided.setdefault(shape, []).extend(group)
        elif first.size <= _CHUNK:
            small.setdefault(shape, []).extend(group)
        else:
            pieces = range(0, first.size, _CHUNK)
            for i, A in group:
                flat = A.reshape(-1)
                out[i] = _joined([_of_batch([flat[at : at + _CHUNK]])[0] for at in pieces])
    table = np.empty(
        max((min(_BATCH, len(group) * group[0][1].size) for group in small.values()), default=0)
    )
    for group in small.values():
        many = _BATCH // max(1, group[0][1].size)
        for start in range(0, len(group), many):
            batch = group[start : start + many]
            out[[i for i, _ in batch]] = _of_batch([A for _, A in batch], table)
    for shape, group in strided.items():
        # Slab by slab: columns of one table share its pages and cache lines.
        height = max(1, _CHUNK // int(np.prod(shape[1:])))
        parts: list[list[np.uint64]] = [[] for _ in group]
        for start in range(0, shape[0], height):
            for part, (_, A) in zip(parts, group, strict=True):
                part.append(_of_batch([A[start : start + height]])[0])
        for part, (i, _) in zip(parts, group, strict=True):
            out[i] = _joined(part)
    return out


def fingerprints_beside(words: Array) -> Array:
    """Fingerprints (m,) of m arrays whose numbers are rows (m, size), in the order of memory.

    At most 65,536 numbers each; contiguous.
    """
    return _print(words.view(np.uint64))


class Watch:
    """Fingerprints of arrays, and an error where one has changed.

    Parameters
    ----------
    arrays : sequence of ndarray
        float64; not copied.
    names : sequence of str, or callable
        What the caller calls each; or the function that says so of its number.
    what : str
        What was made of them.
    known : sequence of int or None, optional
        Fingerprints of those of which they were taken before.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.arange(4.0)
    >>> watch = Watch([y], ["endog"])
    >>> watch.check([0])
    >>> y *= 10
    >>> watch.check([0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    sm_alsgls.exceptions.DataChangedError: endog was changed after the model was made, and ...
    """

    def __init__(
        self,
        arrays: Sequence[Array],
        names: Sequence[str] | Callable[[int], str],
        what: str = "the model",
        known: Sequence[int | None] | None = None,
    ) -> None:
        self._arrays, self._what = list(arrays), what
        self._called = names if callable(names) else list(names).__getitem__
        given = [None] * len(self._arrays) if known is None else known
        self._known = np.array([0 if one is None else one for one in given], dtype=np.uint64)
        new = [i for i, one in enumerate(given) if one is None]
        self._known[new] = fingerprints([self._arrays[i] for i in new])

    def check(self, which: Sequence[int] | None = None) -> None:
        """Compare the arrays with the numbers ``which``, or all, with what they were.

        Raises
        ------
        DataChangedError
        """
        chosen = np.arange(len(self._arrays)) if which is None else np.asarray(which, dtype=np.intp)
        now = fingerprints([self._arrays[i] for i in chosen.tolist()])
        changed = chosen[now != self._known[chosen]].tolist()
        if changed:
            raise DataChangedError(
                f"{self._called(changed[0])} was changed after {self._what} was made, and results "
                f"would mix old data and new; make {self._what} again from the data as they are "
                "now, or, to go on writing into the array, pass a copy of it"
            )


def _of_batch(arrays: list[Array], table: Array | None = None) -> Array:
    """Fingerprints of arrays of one shape, of at most a chunk; or of one (a row of a table) longer.

    ``table`` is memory to work in, which is faster than new memory.
    """
    first, m = arrays[0], len(arrays)
    if m == 1 and first.flags.c_contiguous:
        words = first.reshape(1, -1)
    else:
        words = (np.empty(m * first.size) if table is None else table)[: m * first.size]
        np.concatenate(arrays, out=words.reshape(m * len(first), *first.shape[1:]))
        words = words.reshape(m, -1)
    return _print(words.view(np.uint64))


def _print(words: Array) -> Array:
    """One number for each row of words, (m, size)."""
    m, size = words.shape
    depth = size // _WIDTH
    whole, rest = words[:, : depth * _WIDTH], words[:, depth * _WIDTH :]
    whole = whole.reshape(m, depth, _WIDTH)
    sums = np.empty((m, _WIDTH + depth + 1), dtype=np.uint64)
    np.add.reduce(whole, axis=1, out=sums[:, :_WIDTH])
    np.add.reduce(whole, axis=2, out=sums[:, _WIDTH:-1])
    # The last, shorter row.
    sums[:, : rest.shape[1]] += rest
    np.add.reduce(rest, axis=1, out=sums[:, -1])
    return np.add.reduce(_mix(sums), axis=1)


def _mix(values: Array) -> Array:
    """A function of each value and its place in the row, all of whose bits depend on all bits."""
    z = values + np.arange(1, values.shape[-1] + 1, dtype=np.uint64) * _GOLDEN
    z ^= z >> np.uint64(30)
    z *= _FIRST
    z ^= z >> np.uint64(27)
    z *= _SECOND
    z ^= z >> np.uint64(31)
    return z


def _joined(parts: list[np.uint64]) -> np.uint64:
    """One number from those of an array's chunks."""
    return np.add.reduce(_mix(np.array(parts, dtype=np.uint64)))
