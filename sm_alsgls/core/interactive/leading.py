"""The r largest singular values of a matrix and their vectors, from near ones where known.

A step of subspace iteration costs two products with the matrix and contracts the error by
(s_{m+1} / s_r)^2, m = r + 6 being the columns carried; factors are far above noise, so that from
the subspace of a near b two or three steps do. Where they are not, the Gram matrix of the shorter
side is decomposed (LAPACK), or by Lanczos where that side is long as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

Array = np.ndarray

_MORE = 6
_STEPS = 12
# Up to this shorter side LAPACK's singular value decomposition is as fast as anything; up to the
# other a Gram matrix is better than Lanczos.
_SHORT, _DENSE = 60, 3000


class Leading(NamedTuple):
    """U (T, r), s (r,) descending, V (n, r), and a subspace (n, m) to begin the next from."""

    U: Array
    s: Array
    V: Array
    block: Array | None

    def product(self) -> Array:
        """U s V'."""
        return (self.U * self.s) @ self.V.T


def leading(W: Array, r: int, block: Array | None = None, tol: float = 1e-10) -> Leading:
    """The largest singular values and vectors.

    Parameters
    ----------
    W : ndarray, shape (T, n)
    r : int
    block : ndarray, shape (n, m), optional
        What `Leading` of a near matrix had.
    tol : float
        Largest part of W'U - V s outside, relative to s_r.

    Examples
    --------
    >>> import numpy as np
    >>> W = np.random.default_rng(0).standard_normal((90, 70))
    >>> found = leading(W, 2)
    >>> bool(np.allclose(found.s, np.linalg.svd(W)[1][:2]))
    True
    """
    T, n = W.shape
    if r == 0:
        return Leading(np.empty((T, 0)), np.empty(0), np.empty((n, 0)), None)
    if min(T, n) <= _SHORT:
        U, s, Vt = scipy.linalg.svd(W, full_matrices=False, check_finite=False)
        return Leading(U[:, :r], s[:r], Vt[:r].T, None)
    m = min(r + _MORE, T, n)
    if block is not None and block.shape == (n, m):
        found = _iterated(W, r, block, tol)
        if found is not None:
            return found
    return _afresh(W, r, m)


def _iterated(W: Array, r: int, block: Array, tol: float) -> Leading | None:
    Q = block
    for _ in range(_STEPS):
        P = np.linalg.qr(W @ Q)[0]
        B = W.T @ P
        V, s, Ut = scipy.linalg.svd(B, full_matrices=False, check_finite=False)
        U = P @ Ut.T
        # W V = U s is what is not exact.
        short = W @ V[:, :r] - U[:, :r] * s[:r]
        if np.linalg.norm(short) <= tol * max(s[r - 1], 1e-300):
            return Leading(U[:, :r], s[:r], V[:, :r], V)
        Q = V
    return None


def _afresh(W: Array, r: int, m: int) -> Leading:
    T, n = W.shape
    least = min(T, n)
    if least > _DENSE:
        start = np.random.default_rng(0).standard_normal(least)
        U, s, Vt = scipy.sparse.linalg.svds(W, m, v0=start)
        order = np.argsort(s)[::-1]
        U, s, V = U[:, order], s[order], Vt[order].T
        return Leading(U[:, :r], s[:r], V[:, :r], V)
    span = [least - m, least - 1]
    short = W.T if n <= T else W
    vectors = scipy.linalg.eigh(short @ short.T, subset_by_index=span, check_finite=False)[1]
    # The Gram matrix has squared the singular values; one product with W has them again.
    other, s, mine = scipy.linalg.svd(short.T @ vectors, full_matrices=False, check_finite=False)
    vectors = vectors @ mine.T
    U, V = (other, vectors) if n <= T else (vectors, other)
    return Leading(U[:, :r], s[:r], V[:, :r], V)
