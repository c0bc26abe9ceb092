"""The triangular factor of a matrix whose rows arrive in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import blas, cholesky, lapack

from sm_alsgls.core.rows.products import cross_products

Array = np.ndarray

# Columns that LAPACK's dtpqrt eliminates at a time; 16 is the fastest at 60 to 500 columns.
_PANEL = 16
# Largest squared length of a column of B R^-1 at which the Cholesky factor of I + (B R^-1)'(B R^-1)
# is used: rounding errors grow with its root.
_LARGEST = 100.0
# Condition number (1-norm, of R with unit columns) up to which plain cross-products are added, and
# up to which multiple of a column's squared length in R: they round by the one squared times the
# other times eps, 1e-11 at most and 1e-14 where columns are nearly orthogonal.
_BENIGN, _GROWN = 100.0, 10.0
# Lengths of columns whose squares are far from overflow and underflow.
_SMALL, _LARGE = 1e-60, 1e60


class Triangle:
    """R with R'R = A'A (c x c, upper), for rows A that arrive in blocks.

    A block B (m, c) is put below R and the two are made triangular again, in one of three ways, the
    last that is accurate enough.

    Householder's (LAPACK's dtpqrt, Demmel et al. 2012, SIAM J. Sci. Comput. 34, A206, "TSQR"):
    always right; it runs at half the rate of a matrix product.

    Cholesky QR with R as the preconditioner (in the manner of Yamamoto et al. 2015, ETNA 44):

        Z = B R^-1,    I + Z'Z = U'U,    R <- U R,

    three products of matrices (dtrsm, dsyrk, dtrmm) of the same 2 m c^2 flops. It does not square
    the condition number of A: what is squared is Z, whose columns are of length sqrt(m / n) once n
    rows like these are in R, however long or nearly dependent the columns of A are. An error of
    size eps in I + Z'Z multiplies R by I + O(eps) from the left, so that every column is wrong by
    eps times its own length, which is what Householder's way promises. Where Z is long (a column
    new to R, rows unlike those before) Householder's is taken.

    Where the columns of R, brought to unit length, have a condition number below 100, R itself
    need not precondition: R <- chol(R'R + B'B), half the flops. That is a Gram matrix, but of
    columns that are known to be nearly orthogonal, hence not nearly constant: an offset, which
    would lose everything, makes them nearly dependent on the column of ones. Cross-products of
    blocks are added up until they are ten times those of R, so that of a million rows a few
    Cholesky factors are made; R'R alone keeps the sum away from being singular.

    Parameters
    ----------
    c : int
        Columns.

    Attributes
    ----------
    R : ndarray, shape (c, c)
    """

    def __init__(self, c: int) -> None:
        self._R = np.zeros((c, c), order="F")
        self._work = np.empty(0)
        self._empty = True
        # Cross-products that R lacks yet, and up to which squared lengths; None: not known.
        self._sum: Array | None = None
        self._room: Array | None = None

    @property
    def R(self) -> Array:
        """R of all rows so far."""
        self._settle()
        return self._R

    @R.setter
    def R(self, R: Array) -> None:
        self._R, self._sum, self._room = R, None, None

    def append(self, block: Array) -> None:
        """Put rows ``block`` (m, c), Fortran-ordered, below R; the block may be overwritten."""
        m, c = block.shape
        # Below m = c the c^3 of Cholesky and the last product outweigh what they save.
        fast = m >= c and not self._empty and (self._gram(block) or self._cholesky(block))
        if not fast:
            panel = min(_PANEL, c)
            self.R = lapack.dtpqrt(0, panel, self.R, block, overwrite_a=1, overwrite_b=1)[0]
        self._empty = False

    def repeat(self, columns: Sequence[int]) -> None:
        """Add columns that were equal to ``columns`` in every row so far.

        R stays triangular: a copy of a column ends above its own diagonal.
        """
        c = len(self.R)
        grown = np.zeros((c + len(columns), c + len(columns)), order="F")
        grown[:c, :c] = self.R
        grown[:c, c:] = self.R[:, columns]
        self.R = grown

    def _gram(self, block: Array) -> bool:
        """Add B'B to R'R; False, and R unchanged, where that is not accurate."""
        if self._room is None:
            self._room = _room(self._R)
        if not len(self._room):
            return False
        G = cross_products(block)
        both = G if self._sum is None else self._sum + G
        if not (np.diagonal(both) <= self._room).all():
            if self._sum is None:
                return False
            self._settle()
            self._room, both = _room(self._R), G
            if not len(self._room) or not (np.diagonal(G) <= self._room).all():
                return False
        self._sum = both
        return True

    def _settle(self) -> None:
        """R <- chol(R'R + what was added up)."""
        if self._sum is None:
            return
        scale = _lengths(self._R)
        unit = np.asfortranarray(self._R / scale)
        G = np.asfortranarray(self._sum / np.multiply.outer(scale, scale))
        G = blas.dsyrk(1.0, unit, beta=1.0, c=G, trans=1)
        # The least eigenvalue of R'R in these units is 1e-4 / c at least, rounding 1e-14.
        self.R = np.asfortranarray(cholesky(G, check_finite=False) * scale)

    def _cholesky(self, block: Array) -> bool:
        """R <- U R; False, and R unchanged, where that is not accurate."""
        m, c = block.shape
        pivots = np.diagonal(self.R)
        zero = pivots == 0.0
        T = self.R
        if zero.any():  # of a column of zeros, which stays one, or of a repeated column
            T = T.copy(order="F")
            T[zero, zero] = 1.0
        if self._work.size < m * c:
            self._work = np.empty(m * c)
        Z = self._work[: m * c].reshape((m, c), order="F")
        np.copyto(Z, block)
        Z = blas.dtrsm(1.0, T, Z, side=1, overwrite_b=1)
        G = cross_products(Z)
        size = np.diagonal(G)
        # The negation also catches what is not a number, from a division by a tiny pivot.
        if not (size <= _LARGEST).all() or size[zero].any():
            return False
        G[np.arange(c), np.arange(c)] += 1.0
        U, info = lapack.dpotrf(G, overwrite_a=1)
        if info != 0:
            return False
        self.R = blas.dtrmm(1.0, U, self.R, overwrite_b=1)
        return True


def _lengths(R: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("ik,ik->k", R, R)))


def _room(R: Array) -> Array:
    """Up to which squared lengths (c,) cross-products go with R; empty where none do."""
    scale = _lengths(R)
    if not (scale.min(initial=1.0) > _SMALL and scale.max(initial=1.0) < _LARGE):
        return np.empty(0)
    benign = lapack.dtrcon(np.asfortranarray(R / scale))[0] * _BENIGN > 1.0
    return _GROWN * scale * scale if benign else np.empty(0)
