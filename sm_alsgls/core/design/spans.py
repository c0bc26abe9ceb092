"""Which columns of one design are columns of another, or combinations of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.design.bases import bases

Array = np.ndarray

# Rows that are looked at before columns are compared whole.
_LOOKED_AT = 16
# Length of what is left of a column in the span of others, over its own: bases are orthonormal to
# 1e-13, and an offset of 1e10 leaves 1e-10 of a column that is not.
_LEFT = 1e-11
# The same over what columns are rounded to: of 1e6 + z the span has z to 1e-10.
_ROUNDED = 8 * np.finfo(float).eps
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


class Basis(NamedTuple):
    """An orthonormal basis W of a span, as rows W' (q, N), and `conditions` of its vectors (q,)."""

    rows: Array
    conditions: Array


def bases_of(blocks: Sequence[Array], equations: Sequence[int]) -> Iterator[Basis]:
    """Orthonormal bases of designs Z (N, q), one after another.

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
            made = bases([blocks[i] for i in some], numbers)
            for i, rows, turn in zip(some, *made, strict=True):
                yield Basis(rows, conditions(np.linalg.norm(blocks[i], axis=0), turn))


def conditions(length: Array, turn: Array) -> Array:
    """sum_i |z_i| |T_ik| (..., q): what rounding of columns z_i does to vectors W = Z T.

    1 of orthogonal columns, 1e6 of 1e6 + z beside a constant.
    """
    return np.asarray((length[..., None, :] @ np.abs(turn))[..., 0, :])


def is_rounding(left: Array, length: Array, coordinates: Array, conditions: Array) -> Array:
    """Whether what is left of columns is what rounding leaves.

    Parameters
    ----------
    left, length : ndarray, shape (..., p)
        |x - W W'x| and |x|.
    coordinates : ndarray, shape (..., q, p)
        W'x.
    conditions : ndarray, shape (..., q)
        See `conditions`.
    """
    rounded = (conditions[..., None, :] @ np.abs(coordinates))[..., 0, :]
    return np.asarray(left <= _LEFT * length + _ROUNDED * rounded)


def spanned(X: Array, basis: Basis) -> Array:
    """Which columns of ``X`` (N, p) lie in the span of a basis, (p,).

    Those with |x - W W'x| < 1e-11 |x|, or what rounding leaves. Cost: O(N q p).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import bases_of, spanned
    >>> Z = np.random.default_rng(0).standard_normal((9, 3))
    >>> (basis,) = bases_of([Z], [0])
    >>> spanned(np.column_stack([Z @ [1e8, 2, 3], Z[:, 0] ** 2]), basis)
    array([ True, False])
    """
    scale = np.abs(X).max(axis=0, initial=0.0)
    unit = X / np.where(scale > 0.0, scale, 1.0)
    coordinates = basis.rows @ unit
    left = np.linalg.norm(unit - basis.rows.T @ coordinates, axis=0)
    return is_rounding(left, np.linalg.norm(unit, axis=0), coordinates, basis.conditions)
