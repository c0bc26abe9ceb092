"""Which columns of one design are columns of another, or combinations of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.design.apart import Place, apart
from sm_alsgls.core.design.bases import bases

Array = np.ndarray

# Rows that are looked at before columns are compared whole.
_LOOKED_AT = 16
# Length of what is left of a column in the span of others, over its own: bases are orthonormal to
# 1e-13, and an offset of 1e10 leaves 1e-10 of a column that is not.
_LEFT = 1e-11
# The same over what columns are rounded to: of 1e6 + z the span has z to 1e-10.
_ROUNDED = 8 * np.finfo(float).eps
# Bytes of designs of one shape that are looked at together.
_BYTES = 2**20


class Shared(NamedTuple):
    """Of each pair X (N, p), Z (N, q) which columns are in the other as well: K (p,), K (q,)."""

    left: list[Array]
    right: list[Array]


def shared_columns(left: Sequence[Array], right: Sequence[Array]) -> Shared:
    """Which columns of X_j (N, p_j) are among those of Z_j (N, q_j), and which of these in X_j.

    Pairs of equal shapes are looked at together. Cost: a few rows, and of the columns that agree in
    these all; arrays that are one object are looked at once.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import shared_columns
    >>> Z = np.eye(3)
    >>> shared_columns([np.column_stack([Z[:, 2], Z.sum(axis=1)])], [Z])
    Shared(left=[array([ True, False])], right=[array([False, False,  True])])
    """
    pairs = [(id(X), id(Z)) for X, Z in zip(left, right, strict=True)]
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for j in dict(zip(reversed(pairs), reversed(range(len(pairs))), strict=True)).values():
        alike.setdefault((left[j].shape, right[j].shape), []).append(j)
    found: dict[tuple[int, int], tuple[Array, Array]] = {}
    for ((N, p), (_, q)), equations in alike.items():
        rows = slice(None, None, max(1, N // _LOOKED_AT))
        at_once = max(1, _BYTES // max(1, len(range(N)[rows]) * (8 * (p + q) + p * q)))
        for start in range(0, len(equations), at_once):
            some = equations[start : start + at_once]
            X, Z = [left[j] for j in some], [right[j] for j in some]
            same = (_stack(X, rows)[..., None] == _stack(Z, rows)[..., None, :]).all(axis=0)
            _confirm(same, X, Z)
            made = zip(same.any(axis=2), same.any(axis=1), strict=True)
            found.update(zip([pairs[j] for j in some], made, strict=True))
    both = [found[pair] for pair in pairs]
    return Shared([of_X for of_X, _ in both], [of_Z for _, of_Z in both])


def _stack(blocks: list[Array], rows: slice) -> Array:
    """Some rows of m blocks of one shape, (n, m, p)."""
    some = np.concatenate([X[rows] for X in blocks])
    return some.reshape(len(blocks), -1, some.shape[1]).swapaxes(0, 1)


def _confirm(same: Array, left: list[Array], right: list[Array]) -> None:
    """Take from ``same`` (m, p, q) the columns that do not agree in all rows."""
    agree = np.argwhere(same)
    at_once = max(1, _BYTES // (32 * len(left[0]) or 1))
    for start in range(0, len(agree), at_once):
        some = agree[start : start + at_once]
        X, Z = (
            columns_of(left, some[:, [0, 1]].tolist()),
            columns_of(right, some[:, [0, 2]].tolist()),
        )
        same[tuple(some.T)] = (X == Z).all(axis=1)


def columns_of(blocks: Sequence[Array], places: Iterable[Sequence[int]]) -> Array:
    """Columns i of blocks j (N, p_j) as rows (c, N), for the c pairs (j, i) of ``places``."""
    columns = [blocks[j][:, i] for j, i in places]
    return np.concatenate(columns).reshape(len(columns), -1)


class Basis(NamedTuple):
    """Orthonormal bases W of spans, as rows W' (..., q, N), and `conditions` of these (..., q)."""

    rows: Array
    conditions: Array


def bases_of(blocks: Sequence[Array], equations: Sequence[int]) -> Iterator[tuple[range, Basis]]:
    """Orthonormal bases of designs Z (N, q): positions in ``blocks``, and the bases of these.

    Those of one shape that follow one another are made together, a few at a time, and kept no
    longer. Cost: O(N q^2) each.

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        They carry a number of ``equations``.
    """
    for (N, q), group in groupby(range(len(blocks)), key=lambda i: blocks[i].shape):
        alike = list(group)
        at_once = max(1, _BYTES // (8 * N * q))
        for start in range(alike[0], alike[-1] + 1, at_once):
            places = range(start, min(alike[-1] + 1, start + at_once))
            some = [blocks[i] for i in places]
            rows, turn = bases(some, np.array([equations[i] for i in places]))
            length = np.sqrt([np.einsum("nq,nq->q", Z, Z) for Z in some])
            yield places, Basis(rows, conditions(length, turn))


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


def spanned(x: Array, basis: Basis) -> Array:
    """Which rows of ``x`` (..., c, N) lie in the span of a basis, (..., c).

    Those with |x - W W'x| < 1e-11 |x|, or what rounding leaves. Cost: O(N q c).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import bases_of, spanned
    >>> Z = np.random.default_rng(0).standard_normal((9, 3))
    >>> ((_, basis),) = bases_of([Z], [0])
    >>> spanned(np.array([[Z @ [1e8, 2, 3], Z[:, 0] ** 2]]), basis)
    array([[ True, False]])
    """
    scale = np.abs(x).max(axis=-1, keepdims=True, initial=0.0)
    unit = x / np.where(scale > 0.0, scale, 1.0)
    coordinates = basis.rows @ np.swapaxes(unit, -1, -2)
    length = np.linalg.norm(unit, axis=-1)
    unit -= np.swapaxes(coordinates, -1, -2) @ basis.rows
    left = np.linalg.norm(unit, axis=-1)
    return is_rounding(left, length, coordinates, basis.conditions)


def spanned_columns(
    blocks: Sequence[Array],
    designs: Sequence[Array],
    equations: Sequence[int],
    asked: Sequence[Sequence[Place]],
) -> Iterator[tuple[Place, bool]]:
    """Which columns of some blocks lie in the spans of designs, as many at a time as are alike.

    A basis is made of the designs only that are not `apart`.

    Parameters
    ----------
    blocks : sequence of ndarray
        X_j (N, p_j).
    designs : sequence of ndarray
        Z (N, q), those of one shape best one after another.
    equations : sequence of int
        What errors call each design.
    asked : sequence of sequence of (int, int)
        Of each design the columns i of X_j that are asked for, (j, i).

    Yields
    ------
    ((int, int), bool)
        Each column that was asked for.

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        They carry a number of ``equations``.
    """
    clear = apart(blocks, designs, asked)
    for place in np.flatnonzero(clear).tolist():
        yield from ((column, False) for column in asked[place])
    rest = np.flatnonzero(~clear).tolist()
    made = bases_of([designs[place] for place in rest], [equations[place] for place in rest])
    for places, basis in made:
        m, _, N = basis.rows.shape
        open_ = [asked[rest[place]] for place in places]
        counts = np.array([len(columns) for columns in open_])
        for c in np.unique(counts[counts > 0]).tolist():
            some = np.flatnonzero(counts == c)
            W = basis if len(some) == m else Basis(basis.rows[some], basis.conditions[some])
            at_once = max(1, _BYTES // (8 * N * len(some)))
            for start in range(0, c, at_once):
                each = [open_[i][start : start + at_once] for i in some.tolist()]
                columns = [column for one in each for column in one]
                x = columns_of(blocks, columns).reshape(len(some), -1, N)
                yield from zip(columns, spanned(x, W).ravel().tolist(), strict=True)
