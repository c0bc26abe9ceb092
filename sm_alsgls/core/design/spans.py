"""Which columns of one design are columns of another, or combinations of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from sm_alsgls.core.design.bases import bases

Array = np.ndarray

# Rows that are looked at before columns are compared whole.
_LOOKED_AT = 16
# Length of what is left of a column in the span of others, over its own: bases are orthonormal to
# 1e-13, and an offset of 1e10 leaves 1e-10 of a column that is not.
_LEFT = 1e-11
# Designs of one shape whose bases are made together.
_AT_ONCE = 32


def equal_columns(X: Array, Z: Array) -> Array:
    """For each column of ``X`` (N, p) the first of ``Z`` (N, q) with the same values, (p,).

    -1 where there is none. Cost: a few rows, and the columns that agree in these.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import equal_columns
    >>> Z = np.eye(3)
    >>> equal_columns(np.column_stack([Z[:, 2], Z.sum(axis=1)]), Z)
    array([ 2, -1])
    """
    rows = slice(None, None, max(1, len(X) // _LOOKED_AT))
    alike = (X[rows, :, None] == Z[rows, None, :]).all(axis=0)
    out = np.full(X.shape[1], -1, dtype=np.intp)
    for i, k in np.argwhere(alike):
        if out[i] < 0 and np.array_equal(X[:, i], Z[:, k]):
            out[i] = k
    return out


def bases_of(blocks: Sequence[Array], equations: Sequence[int]) -> Iterator[Array]:
    """Orthonormal bases of designs Z (N, q) as rows, W' (q, N), one after another.

    A few are made at a time, and kept no longer. Cost: O(N q^2) each.

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        They carry a number of ``equations``.
    """
    for _, group in groupby(range(len(blocks)), key=lambda i: blocks[i].shape):
        alike = list(group)
        for start in range(0, len(alike), _AT_ONCE):
            some = alike[start : start + _AT_ONCE]
            numbers = np.array([equations[i] for i in some])
            yield from bases([blocks[i] for i in some], numbers)[0]


def spanned(X: Array, Wt: Array) -> Array:
    """Which columns of ``X`` (N, p) lie in the span of an orthonormal W, given as W' (q, N); (p,).

    Those with |x - W W'x| < 1e-11 |x|. Cost: O(N q p).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import bases_of, spanned
    >>> Z = np.random.default_rng(0).standard_normal((9, 3))
    >>> (Wt,) = bases_of([Z], [0])
    >>> spanned(np.column_stack([Z @ [1e8, 2, 3], Z[:, 0] ** 2]), Wt)
    array([ True, False])
    """
    scale = np.abs(X).max(axis=0, initial=0.0)
    unit = X / np.where(scale > 0.0, scale, 1.0)
    left = unit - Wt.T @ (Wt @ unit)
    return np.asarray(np.linalg.norm(left, axis=0) <= _LEFT * np.linalg.norm(unit, axis=0))
