"""Block factorisation of Sigma = F F' + D and the kernels that use it, in r x r algebra.

The textbook formulas (Woodbury 1950), with C = I + F' D^-1 F = R'R and G = D^-1 F R^-1, are

    Sigma^-1 = D^-1 - G G',        log|Sigma| = sum log d + 2 sum log R_ii.

Two things spoil them in floating point, and both are met in factor analysis:

* Forming C squares the spread of the rows of A = D^-1/2 F.  When the Cholesky pivots of C show
  cancellation, its triangle is recomputed from A itself by Householder QR with sorted rows and
  pivoted columns, which is backward stable row by row (Cox and Higham 1998).
* An equation j with d_j << |f_j|^2 that owns a direction of the factor space (a Heywood case)
  makes d_j^-1 - |g_j|^2 cancel.  At most a few equations can do so, because their leverages
  h_j = a_j' C^-1 a_j add up to less than r.  They (J) are eliminated last, from the others (I):

      P = R_I^-T F_J'                       (r x |J|)
      S = D_J + P' P = R_J' R_J             (|J| x |J|, a sum of squares: nothing cancels)
      x_J = (m_J - m_I G_I P) S^-1
      x_I = m_I D_I^-1 - (m_I G_I + x_J P') G_I'

  and log|Sigma| = log|Sigma_II| + log|S|.

All kernels need r >= 1.  Rows M are float64 (n, K), contiguous in either order, which is the order
of the result; one pass over them costs O(n K r), and memory for the result and (n, r).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dgemm, dtrsm
from scipy.linalg.lapack import dgeqp3, dpotrf, dtrtrs

from sm_alsgls.covariance.arrays import Array, run

# Above this leverage an equation is eliminated last; below it 1 - h loses at most two digits.
_LEVERAGE = 0.99
# det of the correlation matrix that scales C to a unit diagonal; its condition number, which
# bounds the Cholesky's loss, is at most 2 / det.
_CHOLESKY_DET = 1e-3
_NO_J = np.empty(0, dtype=np.intp)
_NO_P = np.empty((0, 0))


class BlockFactor(NamedTuple):
    """Block factorisation of Sigma; rows J of ``Qt`` and ``scale`` are zero when J is not empty."""

    R: Array  # (r, r) upper, R'R = C_I up to a permutation of the factors
    perm: npt.NDArray[np.intp] | None
    Qt: Array  # (r, K) Fortran order, R^-T A_I'
    Gt: Array  # (r, K) Fortran order, Qt D^-1/2
    scale: Array  # (K,) 1/d_I
    J: npt.NDArray[np.intp]
    P: Array  # (r, |J|)
    RJ: Array  # (|J|, |J|) upper, R_J'R_J = S


class Root(NamedTuple):
    """Singular value decomposition R = U diag(s) V', as far as W needs it."""

    U: Array  # (r, r)
    s: Array  # (r,)


# -- factorisation ------------------------------------------------------------------------------


def factorise(F: Array, d: Array) -> BlockFactor:
    """Factorise Sigma of loadings F (K, r) and uniquenesses d (K,); cost O(K r^2)."""
    root = 1.0 / np.sqrt(d)
    A = F * root[:, None]
    R, perm, Qt = triangle(A)
    if np.vdot(A, A) > _LEVERAGE / (1 - _LEVERAGE):
        J = np.flatnonzero(np.einsum("ij,ij->j", Qt, Qt) > _LEVERAGE)
        if J.size:
            A[J] = 0.0
            scale = 1.0 / d
            scale[J] = 0.0
            R, perm, Qt = triangle(A)
            P = _right_divide(F[J], R, perm)
            RJ: Array = np.asarray(np.linalg.qr(np.vstack([P, np.diag(np.sqrt(d[J]))]), mode="r"))
            RJ *= np.where(RJ.diagonal() < 0, -1.0, 1.0)[:, None]
            return BlockFactor(R, perm, Qt, Qt * root, scale, J, P, RJ)
    return BlockFactor(R, perm, Qt, Qt * root, 1.0 / d, _NO_J, _NO_P, _NO_P)


def uncorrelated(d: Array) -> BlockFactor:
    """The factorisation of Sigma = D, without factors."""
    none = np.empty((0, len(d)))
    empty = np.empty((0, 0))
    return BlockFactor(empty, None, none, none, 1.0 / d, _NO_J, _NO_P, _NO_P)


def triangle(A: Array) -> tuple[Array, npt.NDArray[np.intp] | None, Array]:
    """Return R, perm and Qt = R^-T A': R upper, R'R = (I + A'A)[perm][:, perm]; None: as it is."""
    r = A.shape[1]
    C = A.T @ A
    C.ravel()[:: r + 1] += 1.0
    R, info = dpotrf(C, lower=0, clean=1)
    if info == 0 and (
        r == 1 or np.multiply.reduce(R.diagonal() ** 2 / C.diagonal()) > _CHOLESKY_DET
    ):
        return R, None, _right_divide(A, R, None)
    stacked = np.vstack([A, np.eye(r)])
    order = np.argsort(-np.abs(stacked).max(axis=1), kind="stable")
    qr, pivots, *_ = dgeqp3(np.asfortranarray(stacked[order]))
    R, perm = np.triu(qr[:r]), np.asarray(pivots, dtype=np.intp) - 1
    # (A; I) R^-1 is orthonormal but for eps cond(R); a second, nearly trivial step repairs that.
    Qt = _right_divide(stacked, R, perm)
    R2, _ = dpotrf(Qt @ Qt.T, lower=0, clean=1)
    Qt = dtrsm(1.0, R2, Qt, trans_a=1)
    R = R2 @ R
    signs = np.where(R.diagonal() < 0, -1.0, 1.0)[:, None]
    return np.asfortranarray(R * signs), perm, np.asfortranarray((Qt * signs)[:, : A.shape[0]])


def root_of(f: BlockFactor) -> Root:
    """Decompose R, for ``whiten`` and ``colorize``; cost O(r^3)."""
    U, s, _ = np.linalg.svd(f.R)
    return Root(U, s)


# -- what is asked of Sigma ---------------------------------------------------------------------


def solve(rows: Array, f: BlockFactor) -> Array:
    """M Sigma^-1 for rows M (n, K)."""
    T = _times(rows, f.Gt)
    if not f.J.size:
        return _update(rows, f.scale, -1.0, T, f.Gt)
    T, xJ = border(T, rows[:, f.J], f)
    out = _update(rows, f.scale, -1.0, T, f.Gt)
    out[:, f.J] = xJ
    return out


def border(T: Array, rows_J: Array, f: BlockFactor) -> tuple[Array, Array]:
    """From T = M_I G_I (n, r) and M_J to T + x_J P' and x_J = (M Sigma^-1)_J, (n, |J|)."""
    xJ = _over_transpose(_over(rows_J - T @ f.P, f.RJ), f.RJ)
    return T + xJ @ f.P.T, xJ


class PiecewiseSolve:
    """M Sigma^-1 for M whose equations come, and go, a few at a time.

    `read` every equation once, then ask `taken` for any: (M Sigma^-1)_j = m_j scale_j - taken_j.
    Memory: (r, n) for all equations, so that M itself need never exist.

    Parameters
    ----------
    f : BlockFactor
    n : int
        Rows of M.
    """

    def __init__(self, f: BlockFactor, n: int) -> None:
        self._f, self._T = f, np.zeros((f.Gt.shape[0], n))
        self._last = {int(j): i for i, j in enumerate(f.J)}
        self._rows_J, self._closed = np.empty((len(f.J), n)), False

    def scale(self, equations: npt.NDArray[np.intp]) -> Array:
        """What multiplies the equations' own columns, (jb,)."""
        return self._f.scale[run(equations)]

    def read(self, equations: npt.NDArray[np.intp], Mt: Array) -> None:
        """Take in the columns Mt (jb, n) of some equations."""
        if self._T.size:
            dgemm(
                1.0, Mt.T, self._f.Gt[:, run(equations)], 1.0, self._T.T, trans_b=1, overwrite_c=1
            )
        if self._last:
            for i, j in enumerate(equations):
                if int(j) in self._last:
                    self._rows_J[self._last[int(j)]] = Mt[i]

    def know(self, scores: Array) -> bool:
        """Take in all columns of M by F'D^-1 M' (r, n); False where some must be read themselves.

        Those are equations that are eliminated last.
        """
        if self._last:
            return False
        self._T = np.ascontiguousarray(_right_divide(scores.T, self._f.R, self._f.perm))
        return True

    def taken(self, equations: npt.NDArray[np.intp], out: Array) -> Array:
        """What the factors take off those columns, into ``out`` (jb, n)."""
        if not self._closed:
            self._closed = True
            if self._last:
                T, x_J = border(self._T.T, self._rows_J.T, self._f)
                self._T, self._rows_J = T.T, x_J.T
        np.matmul(self._f.Gt[:, run(equations)].T, self._T, out=out)
        if self._last:
            for i, j in enumerate(equations):
                if int(j) in self._last:
                    np.negative(self._rows_J[self._last[int(j)]], out=out[i])
        return out


def whiten(rows: Array, f: BlockFactor, root: Root) -> Array:
    """M W for rows M (n, K), W W' = Sigma^-1.

    W = D^-1/2 (I - Q U diag(s / (1 + s)) U' Q'), bordered by R_J^-1.
    """
    U, s = root
    T = _times(rows, f.Gt)
    B = (U * (s / (1.0 + s))) @ (U.T @ f.Qt)
    out = _update(rows, np.sqrt(f.scale), -1.0, T, B)
    if f.J.size:
        out[:, f.J] = _over(rows[:, f.J] - T @ f.P, f.RJ)
    return out


def colorize(rows: Array, f: BlockFactor, root: Root, sd: Array) -> Array:
    """Z W^-1 for rows Z (n, K) and sd = D^1/2.

    W^-1 = (I + Q U diag(s^2 / (1 + s)) U' Q') D^1/2, bordered by R_J.
    """
    U, s = root
    T = _times(rows, f.Qt)
    B = (U * (s * s / (1.0 + s))) @ (U.T @ f.Qt) * sd
    out = _update(rows, sd, 1.0, T, B)
    if f.J.size:
        out[:, f.J] = rows[:, f.J] @ f.RJ + T @ ((U * s) @ (U.T @ f.P))
    return out


def quad(rows: Array, f: BlockFactor) -> float:
    """tr(E Sigma^-1 E') for rows E (n, K), by sums of squares where the difference cancels."""
    T = _times(rows, f.Gt)
    total = float(np.einsum("ij,ij->j", rows, rows) @ f.scale)
    value = total - float(np.vdot(T, T))
    if value < 0.01 * total:
        # At the minimiser g = E D^-1/2 A C^-1 an error in g enters to second order only.
        g = _over_transpose(T, f.R)
        z = _update(rows, np.sqrt(f.scale), -1.0, g, f.R.T @ f.Qt)
        value = float(np.einsum("ij,ij->", z, z) + np.einsum("ij,ij->", g, g))
    if f.J.size:
        u = _over(rows[:, f.J] - T @ f.P, f.RJ)
        value += float(np.einsum("ij,ij->", u, u))
    return value


def logdet(d: Array, f: BlockFactor) -> float:
    """log|Sigma|."""
    logs = np.log(d)
    if f.J.size:
        logs[f.J] = 2.0 * np.log(f.RJ.diagonal())
    return 2.0 * float(np.add.reduce(np.log(f.R.diagonal()))) + float(np.add.reduce(logs))


def precision_diag(f: BlockFactor) -> Array:
    """Diagonal of Sigma^-1, shape (K,); those of J are the diagonal of S^-1, a sum of squares."""
    out: Array = f.scale * (1.0 - np.einsum("ij,ij->j", f.Qt, f.Qt))
    if f.J.size:
        inverse = _over(np.eye(f.J.size), f.RJ)
        out += np.square((f.P @ inverse).T @ f.Gt).sum(axis=0)
        out[f.J] = np.square(inverse).sum(axis=1)
    return out


def precision(f: BlockFactor) -> Array:
    """Sigma^-1 as a new array (K, K); cost O(K^2 r)."""
    if f.J.size:
        return solve(np.eye(f.scale.size), f)
    P = np.asarray(f.Gt.T @ -f.Gt)
    P.ravel()[:: len(P) + 1] += f.scale
    return P


def precision_factor(F: Array, d: Array, f: BlockFactor) -> Array:
    """G (K, r) of the textbook formula, J included."""
    if not f.J.size:
        return f.Gt.T
    sd = np.sqrt(d)[:, None]
    return triangle(F / sd)[2].T / sd


# -- products and quotients of rows -------------------------------------------------------------


def _right_divide(X: Array, R: Array, perm: npt.NDArray[np.intp] | None) -> Array:
    """R^-T X' for rows X (m, r), as a Fortran-ordered (r, m)."""
    return dtrsm(1.0, R, (X if perm is None else X[:, perm]).T, trans_a=1)


def _over(M: Array, R: Array) -> Array:
    """M R^-1 for rows M (n, m) and upper triangular R (m, m)."""
    return _solved(R, M.T, 1).T


def _over_transpose(M: Array, R: Array) -> Array:
    """M R^-T for rows M (n, m) and upper triangular R (m, m)."""
    return _solved(R, M.T, 0).T


def _solved(R: Array, B: Array, trans: int) -> Array:
    """R^-1 B, or R'^-1 B where ``trans`` is 1: SciPy's looks at what it gets for longer."""
    if not B.size:
        return np.empty(B.shape)
    if R.flags.f_contiguous:
        X, info = dtrtrs(R, B, trans=trans)
    else:
        X, info = dtrtrs(R.T, B, lower=1, trans=1 - trans)
    if info:
        raise np.linalg.LinAlgError("a factor of Sigma is singular")
    return np.asarray(X)


def _times(rows: Array, Gt: Array) -> Array:
    """Return rows Gt' (n, r) for contiguous rows (n, K), in the order of ``rows``."""
    if not rows.shape[0]:
        return np.empty((0, Gt.shape[0]))
    if rows.flags.c_contiguous:
        return dgemm(1.0, Gt, rows.T).T
    return dgemm(1.0, rows, Gt, trans_b=1)


def add_product(out: Array, sign: float, T: Array, Bt: Array) -> None:
    """Add sign * T Bt to ``out`` (n, K), contiguous in either order, in place."""
    if not out.shape[0]:
        return
    if out.flags.c_contiguous:
        dgemm(sign, Bt, T.T, beta=1.0, c=out.T, trans_a=1, overwrite_c=1)
    else:
        dgemm(sign, T, Bt, beta=1.0, c=out, overwrite_c=1)


def _update(rows: Array, scale: Array, sign: float, T: Array, Bt: Array) -> Array:
    """Return rows diag(scale) + sign * T Bt in the order of ``rows``; no other (n, K) array."""
    out = rows * scale if rows.flags.c_contiguous else (rows.T * scale[:, None]).T
    add_product(out, sign, T, Bt)
    return out
