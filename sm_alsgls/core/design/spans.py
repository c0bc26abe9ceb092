"""Which columns of one design are columns of another, or combinations of them."""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.bases import bases

Array = np.ndarray

# Rows that are looked at before columns are compared whole.
_LOOKED_AT = 16
# Length of what is left of a column in the span of others, over its own: bases are orthonormal to
# 1e-13, and an offset of 1e10 leaves 1e-10 of a column that is not.
_LEFT = 1e-11


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
    at = np.unique(np.linspace(0, len(X) - 1, min(len(X), _LOOKED_AT)).astype(np.intp))
    alike = (X[at][:, :, None] == Z[at][:, None, :]).all(axis=0)
    out = np.full(X.shape[1], -1, dtype=np.intp)
    for i, k in np.argwhere(alike):
        if out[i] < 0 and np.array_equal(X[:, i], Z[:, k]):
            out[i] = k
    return out


def basis_of(Z: Array, equation: int = 0) -> Array:
    """An orthonormal basis of the columns of ``Z`` (N, q) as rows, W' (q, N). Cost: O(N q^2).

    Raises
    ------
    DependentColumnsError, TinyColumnsError
        They carry the number ``equation``.
    """
    return bases([Z], np.array([equation]))[0][0]


def spanned(X: Array, Wt: Array) -> Array:
    """Which columns of ``X`` (N, p) lie in the span of an orthonormal W, given as W' (q, N); (p,).

    Those with |x - W W'x| < 1e-11 |x|. Cost: O(N q p).

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.spans import basis_of, spanned
    >>> Z = np.random.default_rng(0).standard_normal((9, 3))
    >>> spanned(np.column_stack([Z @ [1e8, 2, 3], Z[:, 0] ** 2]), basis_of(Z))
    array([ True, False])
    """
    scale = np.abs(X).max(axis=0, initial=0.0)
    unit = X / np.where(scale > 0.0, scale, 1.0)
    left = unit - Wt.T @ (Wt @ unit)
    return np.asarray(np.linalg.norm(left, axis=0) <= _LEFT * np.linalg.norm(unit, axis=0))
