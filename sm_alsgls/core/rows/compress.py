"""Row compression: the likelihood sees rows only through cross-products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.core.rows.reduced import ReducedRows
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.rows.triangle import Triangle

Array = np.ndarray

# Rows that are factorised at a time; and columns up to which these are a multiple, so that calls on
# small matrices are fewer: 2 MB at most.
_BLOCK, _NARROW = 2_000, 120
# Designs of which a few rows are looked at together.
_PROBED = 64
# Rows that the first guesses look at: which columns are distinct, and where they lie.
_FIRST = 256
# A column is shifted where its location is larger than this many of its interquartile ranges.
_FAR = 16.0


def compress_rows(blocks: Sequence[Array], Y: Array) -> Rows:
    """Replace N rows by as few as the likelihood can tell apart.

    Let M hold the q distinct columns of [X_1 .. X_K] and R be the triangular factor of [1 M Y].
    Then ``E'E`` of any residual E = Y - [X_j b_j] is unchanged when every column is replaced by
    its column of R, which has q + K rows, and one more for the ones where no regressor is 1.
    One pass over the rows (`RowStream`), in at most 2 N (q + K)^2 flops and O((q + K)^2) memory. A
    Gram matrix of the columns would at an offset of 1e8 lose the slope altogether, QR loses 1e-10;
    `Triangle` adds cross-products only where it has seen that they lose nothing.

    Parameters
    ----------
    blocks : sequence of ndarray
        K arrays (N, p_j); memory-mapped ones are read once, from the first row to the last.
    Y : ndarray, shape (N, K)

    Returns
    -------
    Rows
        Of the arguments themselves where q + K > N / 2, where the factorisation costs as much as
        it saves.
    """
    N, K = Y.shape
    limit = N // 2 - K
    if limit < 1 or _probed(blocks, limit) > limit:
        return Rows.of(blocks, Y)
    stream = RowStream(limit, N)
    try:
        stream.update(blocks, Y)
    except _TooManyColumnsError:
        return Rows.of(blocks, Y)
    return stream.finish()


def _probed(blocks: Sequence[Array], limit: int) -> int:
    """A lower bound of the number of distinct columns, from three rows; beyond a limit any."""
    n = len(blocks[0])
    seen: set[bytes] = set()
    for start in range(0, len(blocks), _PROBED):
        some = blocks[start : start + _PROBED]
        probe = np.concatenate([X[[0, n // 2, n - 1]] for X in some], axis=1)
        seen.update(map(bytes, np.ascontiguousarray(probe.T)))
        if len(seen) > limit:
            break
    return len(seen)


class _TooManyColumnsError(Exception):
    """More distinct columns than compression can make use of."""


class RowStream:
    """Compresses rows that arrive in blocks, in memory that does not depend on their number.

    Columns that regressors share are factorised once. Which are shared is found by value: columns
    that are equal in the first block count as one, which is split when a later block shows two of
    them to differ. A column that is split off was equal so far, so its column of R is a copy.

    Columns far from zero are shifted by a value of their own before they are factorised (their
    median in the first full block), and shifted back in R: since ones come first in the
    factorisation that changes a single row, and hundreds of blocks round the deviations and not
    the offset.

    Parameters
    ----------
    limit : int, optional
        Most distinct columns of regressors; more raise `_TooManyColumnsError`.
    n_rows : int, optional
        Rows to come, where that is known.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((1000, 2)), rng.standard_normal((1000, 3))
    >>> stream = RowStream()
    >>> for at in range(0, 1000, 300):
    ...     stream.update([X[at : at + 300]] * 3, Y[at : at + 300])
    >>> rows = stream.finish()
    >>> rows.n_obs, rows.Y.shape
    (1000, (6, 3))
    >>> np.allclose(rows.blocks[0].T @ rows.Y, X.T @ Y)
    True
    """

    def __init__(self, limit: int | None = None, n_rows: int | None = None) -> None:
        self._limit, self._n_rows = limit, n_rows
        self._empty()

    def _empty(self) -> None:
        self.n_obs = 0
        self._filled = 0
        # Places (equation, column) of the regressors in each column of the buffer; those of a
        # column start with the one that is read. Column 0 holds ones and reads none.
        self._members: list[list[tuple[int, int]]] = []
        self._triangle = Triangle(0)

    def update(self, blocks: Sequence[Array], Y: Array) -> None:
        """Read rows ``blocks`` (K arrays (n, p_j)) and ``Y`` (n, K); nothing is kept of them."""
        n = len(Y)
        if n == 0:
            return
        first = not self._members
        if first:
            self._begin(blocks, Y)
        start = 0
        plan, compared = self._plan(blocks)
        if first and n <= _FIRST:
            compared = []
        while start < n:
            stop = min(n, start + len(self._buffer) - self._filled)
            if compared and self._split(blocks, compared, slice(start, stop)):
                plan, compared = self._plan(blocks)
            at = slice(self._filled, self._filled + stop - start)
            for X, source, target in plan:
                self._buffer[at, target] = X[start:stop, source]
            self._buffer[at, self._y] = Y[start:stop]
            self._filled += stop - start
            self.n_obs += stop - start
            start = stop
            if self._filled == len(self._buffer):
                self._flush()

    def reduced(self) -> ReducedRows:
        """What was read, to be merged with what others have read; the stream begins anew."""
        if self.n_obs == 0:
            return ReducedRows.empty()
        self._flush()
        made = ReducedRows(
            self.n_obs,
            np.concatenate(self._index),
            np.array([len(index) for index in self._index]),
            np.arange(self._y.start, self._y.stop),
            self._triangle.R,
            self._shift,
            self._first,
            self._varies,
        )
        self._empty()
        return made

    def finish(self) -> Rows:
        """What was read, compressed."""
        return self.reduced().rows()

    # -- which columns there are -----------------------------------------------------------

    def _begin(self, blocks: Sequence[Array], Y: Array) -> None:
        """Find the columns that are equal in the first block, and make room."""
        n = min(len(Y), _FIRST)
        seen = {np.ones(n).tobytes(): 0}
        self._members = [[]]
        self._index: list[Array] = []
        known: dict[int, Array] = {}
        for j, X in enumerate(blocks):
            index = known.get(id(X))
            if index is None:
                index = np.empty(X.shape[1], dtype=np.intp)
                # Adding zero makes -0.0 the 0.0 that it equals.
                for i, column in enumerate(np.ascontiguousarray(X[:n].T) + 0.0):
                    index[i] = seen.setdefault(column.tobytes(), len(seen))
                    if index[i] == len(self._members):
                        self._members.append([])
                        self._check_limit(len(self._members) - 1)
                known[id(X)] = index
            # A copy: what is one array in this block may be two in a later one.
            self._index.append(index.copy())
            for i, k in enumerate(index.tolist()):
                self._members[k].append((j, i))
        self._check_limit(sum(map(bool, self._members)))
        q, K = len(self._members), Y.shape[1]
        c = q + K
        self._y = slice(q, c)
        depth = max(_BLOCK * max(1, _NARROW // c), 2 * c)
        self._buffer = np.empty((min(depth, self._n_rows or depth), c), order="F")
        self._buffer[:, 0] = 1.0
        self._shift, self._varies = np.zeros(c), np.zeros(c, dtype=bool)
        self._first = np.empty(0)
        self._triangle = Triangle(c)

    def _check_limit(self, q: int) -> None:
        if self._limit is not None and q > self._limit:
            raise _TooManyColumnsError

    def _plan(
        self, blocks: Sequence[Array]
    ) -> tuple[list[tuple[Array, slice, slice]], list[tuple[int, list[tuple[int, int]]]]]:
        """What to copy into the buffer, and which members of a column to compare with it."""
        owner = {id(X): j for j, X in reversed(list(enumerate(blocks)))}
        copies: list[tuple[int, int, int, int]] = []  # equation, column, column of buffer, number
        compared = []
        for k, members in enumerate(self._members):
            if not members:
                continue
            if k:
                j, i = members[0]
                last = copies[-1] if copies else (-1, 0, 0, 0)
                if last[0] == j and last[1] + last[3] == i and last[2] + last[3] == k:
                    copies[-1] = (j, last[1], last[2], last[3] + 1)
                else:
                    copies.append((j, i, k, 1))
            if len(members) > (k > 0):
                # Members in the same memory as the first, or as one another, are equal.
                places = {(owner[id(blocks[j])], i): (j, i) for j, i in reversed(members)}
                if k:
                    places.pop((owner[id(blocks[members[0][0]])], members[0][1]))
                if places:
                    compared.append((k, list(places.values())))
        plan = [(blocks[j], slice(i, i + m), slice(k, k + m)) for j, i, k, m in copies]
        return plan, compared

    def _split(
        self,
        blocks: Sequence[Array],
        compared: list[tuple[int, list[tuple[int, int]]]],
        rows: slice,
    ) -> bool:
        """Give columns of their own to members that differ in ``rows``; whether there were any."""
        sources: list[int] = []
        columns = len(self._shift)
        for k, places in compared:
            if k:
                j, i = self._members[k][0]
                value = blocks[j][rows, i]
            else:
                value = np.ones(rows.stop - rows.start)
            groups: dict[bytes, int] = {}
            column_of: dict[tuple[int, int], int] = {}
            for j, i in places:
                other = blocks[j][rows, i]
                if not np.array_equal(value, other):
                    key = (other + 0.0).tobytes()
                    if key not in groups:
                        groups[key] = columns + len(sources)
                        sources.append(k)
                    column_of[id(blocks[j]), i] = groups[key]
            if column_of:
                # Members that were not compared share the memory of one that was.
                stay = []
                for j, i in self._members[k]:
                    target = column_of.get((id(blocks[j]), i), k)
                    self._index[j][i] = target
                    if target == k:
                        stay.append((j, i))
                    else:
                        while len(self._members) <= target:
                            self._members.append([])
                        self._members[target].append((j, i))
                self._members[k] = stay
        if sources:
            self._check_limit(sum(map(bool, self._members)))
            self._grow(sources)
        return bool(sources)

    def _grow(self, sources: list[int]) -> None:
        """Add columns that equal the columns ``sources`` in every row so far."""
        index = [*range(len(self._shift)), *sources]
        buffer = np.empty((len(self._buffer), len(index)), order="F")
        buffer[: self._filled] = self._buffer[: self._filled, index]
        buffer[:, 0] = 1.0
        self._buffer = buffer
        self._shift, self._varies = self._shift[index], self._varies[index]
        self._first = self._first[index] if self._first.size else self._first
        self._triangle.repeat(sources)

    # -- factorisation ---------------------------------------------------------------------

    def _flush(self) -> None:
        """Factorise what is in the buffer."""
        if self._filled == 0:
            return
        block = self._buffer[: self._filled]
        if not self._first.size:
            self._first = block[0].copy()
            if self._filled < (self._n_rows or self.n_obs + 1):
                self._shift = _locations(block)
        # A few rows show most of them, so that hardly a column is copied.
        for rows in (block[:_FIRST], block):
            still = np.flatnonzero(~self._varies)
            if len(still):
                self._varies[still] = (rows[:, still] != self._first[still]).any(axis=0)
        if self._shift.any():
            far = np.flatnonzero(self._shift)
            for k in far:
                block[:, k] -= self._shift[k]
        self._triangle.append(np.asfortranarray(block))
        self._buffer[:, 0] = 1.0
        self._filled = 0


def _locations(block: Array) -> Array:
    """Values (c,) of columns that lie far from zero for their spread, 0 for the others.

    A value of the column itself: what is left of columns of few values is exact, and of a
    constant nothing. The first column holds ones, which everything is shifted by.
    """
    sample = block[:: max(1, len(block) // _FIRST)]
    m = len(sample)
    low, middle, high = m // 4, m // 2, (3 * m) // 4
    ordered = np.partition(sample, sorted({low, middle, high}), axis=0)
    centre = ordered[middle]
    far = np.abs(centre) > _FAR * (ordered[high] - ordered[low])
    far[0] = False
    return np.where(far, centre, 0.0)
