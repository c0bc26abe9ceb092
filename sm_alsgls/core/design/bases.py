"""Orthonormal bases of designs: Q_j and R_j of X_j = Q_j R_j, many equations at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from sm_alsgls.exceptions import RankDeficientError, SystemInputError

Array = np.ndarray

# Bytes of one chunk of equations while bases are made: copy, Gram matrix, Cholesky and
# multiplication then all run in the second-level cache, with room for what they make.
_CHUNK_BYTES = 2**20
# Columns below it everywhere have coefficients whose squares are no doubles.
_TINY = 1e-152
# Smallest eigenvalue of the Gram matrix of unit columns from which one Cholesky-QR pass leaves
# Q'Q = I to about 1e-13, and from which two passes do (Yamamoto et al. 2015, ETNA 44: any
# condition number below 1e7 or so). Below the second, Householder.
_ONE_PASS, _TWO_PASS = 1e-2, 1e-9
# From how many rows, and up to how many regressors, einsum makes fitted values in 60 to 70 % of
# the time that a product of matrices for each equation takes; elsewhere it takes up to twice.
_LONG, _NARROW = 256, 32


class TinyColumnsError(SystemInputError):
    """Columns of a design are so small that their coefficients' variances are no doubles.

    Attributes
    ----------
    equation : int
    columns : tuple of int
    """

    def __init__(self, equation: int, columns: tuple[int, ...]) -> None:
        super().__init__(f"design {equation}: columns {columns} are below {_TINY:g} everywhere")
        self.equation, self.columns = equation, columns


class DependentColumnsError(RankDeficientError):
    """A design lost rank; carries positions so that a caller can print labels.

    Attributes
    ----------
    equation : int
        Position of the equation.
    columns : tuple of int
        Positions of columns that are combinations of the others (a zero column is one).
    others : tuple of int
        Positions of the columns they are combinations of.
    """

    def __init__(self, equation: int, columns: tuple[int, ...], others: tuple[int, ...]) -> None:
        self.equation, self.columns, self.others = equation, columns, others
        super().__init__(
            f"the design of equation {equation} is rank deficient: columns {list(columns)} are "
            f"linear combinations of columns {list(others)}; drop one or the other"
        )


def least_eigenvalues(gram: Array, enough: float) -> Array:
    """Smallest eigenvalues of Gram matrices (m, p, p) of unit columns, finite, (m,).

    Where it is at least ``enough`` a lower bound may stand for it that is so too: the trace is p,
    so that the others multiply to (p / (p - 1))^(p - 1) < e at most, and the smallest is above
    det / e, which takes a sixth of the time.
    """
    least = np.linalg.det(gram) / np.e
    small = ~(least >= enough)
    if small.any():
        least[small] = np.linalg.eigvalsh(gram[small])[:, 0]
    return np.asarray(least)


def bases(blocks: Sequence[Array], equations: Array) -> tuple[Array, Array]:
    """Q_j' stacked (m, p, n) and R_j^-1 stacked (m, p, p) of blocks with equal p."""
    n, p = blocks[0].shape
    m = len(blocks)
    basis = np.empty((m, p, n))
    to_beta = np.empty((m, p, p))
    chunk = min(m, _chunk(n, p))
    copies = np.empty((chunk, p, n))
    for start in range(0, m, chunk):
        at = slice(start, min(m, start + chunk))
        Xt = copies[: at.stop - start]
        for copy, X in zip(Xt, blocks[at], strict=True):
            copy[...] = X.T
        _orthonormalise(Xt, basis[at], to_beta[at], equations[at])
    return basis, to_beta


def bases_of_rows(Xt: Array, equations: Array) -> tuple[Array, Array]:
    """The same of regressors that are rows already, Xt (m, p, n)."""
    m, p, n = Xt.shape
    basis = np.empty((m, p, n))
    to_beta = np.empty((m, p, p))
    chunk = _chunk(n, p)
    for start in range(0, m, chunk):
        at = slice(start, start + chunk)
        _orthonormalise(Xt[at], basis[at], to_beta[at], equations[at])
    return basis, to_beta


def _chunk(n: int, p: int) -> int:
    """Equations whose bases are made together."""
    return max(1, _CHUNK_BYTES // (8 * n * p))


def _orthonormalise(Xt: Array, basis: Array, to_beta: Array, equations: Array) -> None:
    """Make an orthonormal ``basis`` (m, p, n) of the rows of each Xt_j (p, n)."""
    with np.errstate(over="ignore", invalid="ignore"):  # found out two lines on
        gram = _gram(Xt)
    norm = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    if not (np.all(norm > 1e-150) and np.all(norm < 1e150)):
        # Squares would leave the range of doubles, or a column is zero: Householder scales.
        smallest = np.zeros(len(Xt))
    else:
        gram /= norm[:, :, None] * norm[:, None, :]
        smallest = least_eigenvalues(gram, _ONE_PASS)
    good = smallest >= _TWO_PASS
    if good.all():
        chosen: Array | slice = slice(None)
    else:
        chosen = np.flatnonzero(good)
        for i in np.flatnonzero(~good):
            basis[i], to_beta[i] = _householder(Xt[i], int(equations[i]))
        if not good.any():
            return
    T = np.linalg.inv(np.linalg.cholesky(gram[chosen])) / norm[chosen][:, None, :]
    every = isinstance(chosen, slice)
    Q = np.matmul(T, Xt[chosen], out=basis if every else None)
    poor = np.flatnonzero(smallest[chosen] < _ONE_PASS)
    if len(poor):
        again = np.linalg.inv(np.linalg.cholesky(np.matmul(Q[poor], Q[poor].transpose(0, 2, 1))))
        Q[poor] = np.matmul(again, Q[poor])
        T[poor] = np.matmul(again, T[poor])
    if not every:
        basis[chosen] = Q
    to_beta[chosen] = T.transpose(0, 2, 1)


def _gram(Xt: Array) -> Array:
    """X_j'X_j (m, p, p) of rows Xt_j (p, n); the lower triangle is what counts.

    A product of an array with its own transpose goes to BLAS's dsyrk, which for few columns takes
    two to five times as long as a product of what it does not know to be one.
    """
    m, p, _ = Xt.shape
    if p > _NARROW:
        return np.asarray(np.matmul(Xt, Xt.transpose(0, 2, 1)))
    gram = np.empty((m, p, p))
    np.matmul(Xt[:, 1:], Xt.transpose(0, 2, 1), out=gram[:, 1:])
    gram[:, 0, 0] = np.vecdot(Xt[:, 0], Xt[:, 0])
    gram[:, 0, 1:] = gram[:, 1:, 0]
    return gram


def _householder(Xt: Array, equation: int) -> tuple[Array, Array]:
    """Q' (p, n) and R^-1 of one design by Householder QR, after a pivoted rank check."""
    p, n = Xt.shape
    scale = np.abs(Xt).max(axis=1)
    if not scale.all():
        raise DependentColumnsError(equation, tuple(int(i) for i in np.flatnonzero(scale == 0)), ())
    if scale.min() < _TINY:
        raise TinyColumnsError(equation, tuple(int(i) for i in np.flatnonzero(scale < _TINY)))
    unit = Xt / scale[:, None]
    length = np.sqrt(np.vecdot(unit, unit))
    unit /= length[:, None]
    R, pivot = scipy.linalg.qr(unit.T, mode="r", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diagonal(R))
    full = np.zeros(p, dtype=bool)
    full[: len(diagonal)] = diagonal > 10 * max(n, p) * np.finfo(float).eps * diagonal[0]
    if not full.all():
        k = int(full.sum())
        weights = scipy.linalg.solve_triangular(R[:k, :k], R[:k, k:], check_finite=False)
        used = np.abs(weights).max(axis=1) > np.sqrt(np.finfo(float).eps)
        raise DependentColumnsError(
            equation,
            tuple(sorted(int(i) for i in pivot[~full])),
            tuple(sorted(int(i) for i in pivot[:k][used])),
        )
    Q, R = np.linalg.qr(unit.T)
    inverse = scipy.linalg.solve_triangular(R, np.eye(p), check_finite=False)
    return Q.T, inverse / (scale * length)[:, None]


def fitted_values(basis: Array, b: Array, out: Array | None = None) -> Array:
    """Q_j b_j as rows (m, n), of bases Q_j' (m, p, n) and b (m, p), into ``out`` where given."""
    p, n = basis.shape[1:]
    if n >= _LONG and p <= _NARROW:
        return np.einsum("mp,mpn->mn", b, basis, out=out)
    if out is None:
        return np.asarray(np.matmul(b[:, None, :], basis)[:, 0, :])
    np.matmul(b[:, None, :], basis, out=out[:, None, :])
    return out
