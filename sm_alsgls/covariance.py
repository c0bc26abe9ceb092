"""``LowRankDiag``: the covariance Sigma = F F' + D as a frozen value.

Everything runs through r x r algebra (Woodbury 1950), so no method except ``to_dense`` and
``from_dense`` touches a K x K matrix.

Two things spoil the textbook formula in floating point, and both are met in factor analysis:

* Forming C = I + F' D^-1 F squares the spread of the rows of A = D^-1/2 F.  When the Cholesky
  pivots of C show cancellation, its triangle is recomputed from A itself by Householder QR with
  sorted rows and pivoted columns, which is backward stable row by row (Cox and Higham 1998).
* An equation j with d_j << |f_j|^2 that owns a direction of the factor space (a Heywood case)
  makes d_j^-1 - |g_j|^2 cancel.  At most a few equations can do so, because their leverages
  h_j = a_j' C^-1 a_j add up to less than r.  They (J) are eliminated last, from the others (I):

      P = L_I^-1 F_J'                       (r x |J|)
      S = D_J + P' P = R_J' R_J             (|J| x |J|, a sum of squares: nothing cancels)
      x_J = (m_J - m_I G_I P) S^-1
      x_I = m_I D_I^-1 - (m_I G_I + x_J P') G_I'

  and log|Sigma| = log|Sigma_II| + log|S|.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, solve_triangular
from scipy.linalg.blas import dgemm, dtrsm
from scipy.linalg.lapack import dgeqp3, dpotrf
from scipy.optimize import minimize

from sm_alsgls.exceptions import (
    ConvergenceWarning,
    IllegalRankError,
    NonFiniteError,
    OptionError,
    ShapeError,
    SystemInputError,
)

__all__ = ["LowRankDiag"]

Array = npt.NDArray[np.float64]

_LOG_2PI = float(np.log(2.0 * np.pi))
# Above this leverage an equation is eliminated last; below it 1 - h loses at most two digits.
_LEVERAGE = 0.99
# det of the correlation matrix that scales C to a unit diagonal; its condition number, which
# bounds the Cholesky's loss, is at most 2 / det.
_CHOLESKY_DET = 1e-3
_set = object.__setattr__


class _Factor(NamedTuple):
    """Block factorisation of Sigma; rows J of ``Qt`` and ``scale`` are zero when J is not empty."""

    R: Array  # (r, r) upper, R'R = C_I up to a permutation of the factors
    perm: npt.NDArray[np.intp] | None
    Qt: Array  # (r, K) Fortran order, R^-T A_I'
    Gt: Array  # (r, K) Fortran order, Qt D^-1/2
    scale: Array  # (K,) 1/d_I
    J: npt.NDArray[np.intp]
    P: Array  # (r, |J|)
    RJ: Array  # (|J|, |J|) upper, R_J'R_J = S


def _triangle(A: Array) -> tuple[Array, npt.NDArray[np.intp] | None, Array]:
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


def _right_divide(X: Array, R: Array, perm: npt.NDArray[np.intp] | None) -> Array:
    """R^-T X' for rows X (m, r), as a Fortran-ordered (r, m)."""
    return dtrsm(1.0, R, (X if perm is None else X[:, perm]).T, trans_a=1)


def _factorise(F: Array, d: Array) -> _Factor:
    root = 1.0 / np.sqrt(d)
    A = F * root[:, None]
    R, perm, Qt = _triangle(A)
    if np.vdot(A, A) > _LEVERAGE / (1 - _LEVERAGE):
        J = np.flatnonzero(np.einsum("ij,ij->j", Qt, Qt) > _LEVERAGE)
        if J.size:
            A[J] = 0.0
            scale = 1.0 / d
            scale[J] = 0.0
            R, perm, Qt = _triangle(A)
            P = _right_divide(F[J], R, perm)
            RJ: Array = np.asarray(np.linalg.qr(np.vstack([P, np.diag(np.sqrt(d[J]))]), mode="r"))
            RJ *= np.where(RJ.diagonal() < 0, -1.0, 1.0)[:, None]
            return _Factor(R, perm, Qt, Qt * root, scale, J, P, RJ)
    return _Factor(R, perm, Qt, Qt * root, 1.0 / d, _NO_J, _NO_P, _NO_P)


_NO_J = np.empty(0, dtype=np.intp)
_NO_P = np.empty((0, 0))


def _float_array(value: Any, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise SystemInputError(
            f"{name} must be an array of real numbers, got dtype {array.dtype} "
            f"from {type(value).__name__}"
        )
    return np.array(array, dtype=np.float64, order="C")


def _first(bad: npt.NDArray[np.bool_], array: Array, name: str) -> str:
    """Name the first bad element: "d[3] = -1.0"."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f"[{', '.join(map(str, index))}]" if index else ""
    return f"{name}{where} = {float(array[index])!r}"


class LowRankDiag:
    """Covariance matrix Sigma = F F' + D of K equations, D = diag(d) > 0, as a frozen value.

    Parameters
    ----------
    F : array_like, shape (K, r)
        Loadings, in units of the equations; r = 0 makes Sigma diagonal.  Copied.
    d : array_like, shape (K,)
        Uniquenesses, in squared units of the equations, all positive.  Copied.

    Attributes
    ----------
    loadings : ndarray, shape (K, r)
        F, read-only.
    uniquenesses : ndarray, shape (K,)
        d, read-only.

    Raises
    ------
    ShapeError
        F is not (K, r), d is not (K,), or K is 0.
    NonFiniteError
        F or d holds NaN or infinity.
    SystemInputError
        Some d_j is not positive, or an entry is not a real number.

    Notes
    -----
    With C = I_r + F' D^-1 F = L L' and G = D^-1 F L^-T (Woodbury 1950),

        Sigma^-1 = D^-1 - G G',        log|Sigma| = sum log d + 2 sum log L_ii.

    Making the object costs O(K r); the factorisation, O(K r^2), is made once, when it is first
    needed.  Results do not depend on the units of the equations.  Their relative error is a small
    multiple of the machine epsilon (eps) while no more equations than factors have
    d_j << |f_j|^2, however small d_j is.  Where more of them do, or their loadings are nearly
    dependent, Sigma itself amplifies a rounding of F by up to max_j |f_j| / d_j^(1/2), and so
    do the results.

    Equality is identity, as for arrays; ``repr`` shows the sizes, and pickles hold F and d.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> cov = LowRankDiag([[1.0], [0.5], [-0.3]], [0.5, 1.0, 2.0])
    >>> cov
    LowRankDiag(K=3, rank=1)
    >>> Sigma = cov.loadings @ cov.loadings.T + np.diag(cov.uniquenesses)
    >>> M = np.arange(6.0).reshape(2, 3)
    >>> bool(np.allclose(cov.solve(M), M @ np.linalg.inv(Sigma)))
    True
    >>> bool(np.isclose(cov.logdet(), np.linalg.slogdet(Sigma)[1]))
    True
    """

    __slots__ = ("_factor_", "_logdet_", "_precision_factor_", "_root_", "loadings", "uniquenesses")

    loadings: Array
    uniquenesses: Array
    _factor_: _Factor
    _root_: tuple[Array, Array]
    _logdet_: float
    _precision_factor_: Array

    def __init__(self, F: npt.ArrayLike, d: npt.ArrayLike) -> None:
        F = _float_array(F, "F")
        d = _float_array(d, "d")
        if F.ndim != 2 or d.ndim != 1 or F.shape[0] != d.shape[0] or not d.shape[0]:
            raise ShapeError(
                f"F must have shape (K, r) and d shape (K,) with K >= 1, got {F.shape} and "
                f"{d.shape}; a single factor held as a vector is F[:, None]"
            )
        if not np.isfinite(F).all():
            raise NonFiniteError(f"loadings must be finite, got {_first(~np.isfinite(F), F, 'F')}")
        if not (d.min() > 0.0 and d.max() < np.inf):
            if not np.isfinite(d).all():
                raise NonFiniteError(
                    f"uniquenesses must be finite, got {_first(~np.isfinite(d), d, 'd')}"
                )
            raise SystemInputError(
                f"uniquenesses must be positive, got {_first(d <= 0, d, 'd')}; "
                "raise it to a small share of that equation's variance"
            )
        F.setflags(write=False)
        d.setflags(write=False)
        _set(self, "loadings", F)
        _set(self, "uniquenesses", d)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"LowRankDiag is frozen: cannot set {name!r}; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"LowRankDiag is frozen: cannot delete {name!r}")

    def __repr__(self) -> str:
        return f"LowRankDiag(K={self.K}, rank={self.rank})"

    def __reduce__(self) -> tuple[Any, tuple[Array, Array]]:
        return type(self)._trusted, (self.loadings, self.uniquenesses)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("LowRankDiag does not become a K x K array silently; call to_dense()")

    # -- constructors ---------------------------------------------------------------------------

    @classmethod
    def _trusted(cls, F: Array, d: Array) -> Self:
        """Take ownership of float64 arrays F (K, r) and d (K,) > 0: no copy, no check.

        Both are made read-only, so a caller that still writes to them hears of it.
        """
        self = object.__new__(cls)
        F.setflags(write=False)
        d.setflags(write=False)
        _set(self, "loadings", F)
        _set(self, "uniquenesses", d)
        return self

    @classmethod
    def from_factors(cls, F: npt.ArrayLike, d: npt.ArrayLike) -> Self:
        """Sigma = F F' + diag(d); the same as calling the class.

        Parameters
        ----------
        F : array_like, shape (K, r)
            Loadings.
        d : array_like, shape (K,)
            Uniquenesses, positive.

        Examples
        --------
        >>> LowRankDiag.from_factors([[1.0, 0.0], [0.5, 0.2]], [1.0, 2.0]).to_dense()
        array([[2.  , 0.5 ],
               [0.5 , 2.29]])
        """
        return cls(F, d)

    @classmethod
    def diagonal(cls, d: npt.ArrayLike) -> Self:
        """Sigma = diag(d), the member of rank 0.

        Parameters
        ----------
        d : array_like, shape (K,)
            Variances, positive.

        Examples
        --------
        >>> LowRankDiag.diagonal([1.0, 4.0]).solve(np.array([1.0, 1.0]))
        array([1.  , 0.25])
        """
        d = _float_array(d, "d")
        return cls(np.empty((d.size, 0)), d)

    @classmethod
    def from_dense(
        cls,
        Sigma: npt.ArrayLike,
        r: int,
        *,
        d_floor: float = 1e-8,
        gtol: float = 1e-8,
        max_iter: int = 200,
    ) -> Self:
        """Return the F F' + D of rank r that is closest to Sigma by the ML discrepancy.

        Minimises log|F F' + D| + tr(Sigma (F F' + D)^-1), which is maximum-likelihood factor
        analysis of Sigma (Jöreskog 1967).  For given d the best F is closed-form; log d is found
        by L-BFGS-B, then Newton with the exact Hessian, from three deterministic starts, and the
        best is kept.

        Parameters
        ----------
        Sigma : array_like, shape (K, K)
            Symmetric, positive semi-definite, with a positive diagonal.
        r : int
            Rank, 0 <= r < K.  Sigma determines (F F', D) only while (K - r)^2 >= K + r; beyond
            that some minimiser is returned.
        d_floor : float
            Lower bound of d_j as a share of Sigma_jj.
        gtol : float
            Largest derivative with respect to log d_j, over the d_j not held at a bound.
        max_iter : int
            Iterations of each of the two algorithms per start.

        Returns
        -------
        LowRankDiag
            In canonical form.

        Raises
        ------
        ShapeError
            Sigma is not square.
        NonFiniteError
            Sigma holds NaN or infinity.
        SystemInputError
            Sigma is not symmetric, has a diagonal element that is not positive or a negative
            eigenvalue.
        IllegalRankError
            r is not an integer from 0 to K - 1.
        OptionError
            d_floor, gtol or max_iter is out of range.

        Warns
        -----
        ConvergenceWarning
            The best start did not reach ``gtol``.

        Notes
        -----
        Cost: a singular value decomposition, O(K^3), per evaluation; O(r K^3) per Newton step.

        Examples
        --------
        >>> cov = LowRankDiag(np.linspace(0.5, 1.5, 6)[:, None], np.ones(6))
        >>> again = LowRankDiag.from_dense(cov.to_dense(), 1)
        >>> bool(np.allclose(again.uniquenesses, cov.uniquenesses, rtol=1e-6))
        True
        """
        S = _float_array(Sigma, "Sigma")
        if S.ndim != 2 or S.shape[0] != S.shape[1] or not S.size:
            raise ShapeError(f"Sigma must have shape (K, K), got {S.shape}")
        K = S.shape[0]
        if not np.isfinite(S).all():
            raise NonFiniteError(f"Sigma must be finite, got {_first(~np.isfinite(S), S, 'Sigma')}")
        if not (isinstance(r, int | np.integer) and 0 <= r < K):
            raise IllegalRankError(f"r must be an integer from 0 to K - 1 = {K - 1}, got {r!r}")
        if not (0 < d_floor < 1 and gtol > 0 and max_iter >= 1):
            raise OptionError(
                "d_floor must be in (0, 1), gtol > 0 and max_iter >= 1, got "
                f"{d_floor!r}, {gtol!r} and {max_iter!r}"
            )
        variances = S.diagonal()
        if not variances.min() > 0:
            bad = np.diag(variances <= 0)
            raise SystemInputError(f"variances must be positive, got {_first(bad, S, 'Sigma')}")
        sd = np.sqrt(variances)
        R = S / sd[:, None] / sd
        skew = np.abs(R - R.T) > 1e-8
        if skew.any():
            i, j = map(int, np.argwhere(skew)[0])
            raise SystemInputError(
                f"Sigma must be symmetric, got {_first(skew, S, 'Sigma')} and "
                f"Sigma[{j}, {i}] = {float(S[j, i])!r}"
            )
        R = (R + R.T) / 2
        smallest = float(np.linalg.eigvalsh(R)[0])
        if smallest < -1e-8 * K:
            raise SystemInputError(
                "Sigma must be positive semi-definite; its correlation matrix has the eigenvalue "
                f"{smallest:.3g}"
            )
        if r == 0:
            return cls.diagonal(variances)
        F, d = _closest(R, int(r), d_floor, gtol, max_iter)
        return cls(sd[:, None] * F, variances * d).canonical()

    # -- sizes and pieces -----------------------------------------------------------------------

    @property
    def K(self) -> int:
        """Number of equations."""
        return int(self.uniquenesses.shape[0])

    n_equations = K

    @property
    def rank(self) -> int:
        """Number of factors r (columns of F)."""
        return int(self.loadings.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (K, K) of Sigma."""
        return self.K, self.K

    @property
    def _factor(self) -> _Factor:
        try:
            return self._factor_
        except AttributeError:
            factor = _factorise(self.loadings, self.uniquenesses)
            _set(self, "_factor_", factor)
            return factor

    @property
    def _root(self) -> tuple[Array, Array]:
        """Left singular vectors (r, r) and singular values (r,) of R."""
        try:
            return self._root_
        except AttributeError:
            Us, sigma, _ = np.linalg.svd(self._factor.R)
            _set(self, "_root_", (Us, sigma))
            return self._root_

    @property
    def precision_factor(self) -> Array:
        """G, shape (K, r), read-only, with Sigma^-1 = D^-1 - G G'.

        It is unique up to a rotation of its columns.  For an equation with d_j << |f_j|^2 that
        difference cancels; ``solve`` and ``precision_diag`` do not.  Cost O(K r^2), once.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> G = cov.precision_factor
        >>> inverse = np.diag(1 / cov.uniquenesses) - G @ G.T
        >>> bool(np.allclose(inverse, np.linalg.inv(cov.to_dense())))
        True
        """
        try:
            return self._precision_factor_
        except AttributeError:
            pass
        F, d = self.loadings, self.uniquenesses
        if not self.rank:
            G = np.zeros_like(F)
        elif not self._factor.J.size:
            G = self._factor.Gt.T
        else:
            root = np.sqrt(d)[:, None]
            G = _triangle(F / root)[2].T / root
        G.setflags(write=False)
        _set(self, "_precision_factor_", G)
        return G

    # -- linear algebra -------------------------------------------------------------------------

    def _rows(self, M: npt.ArrayLike, name: str) -> Array:
        """Return M as a float (n, K) that is contiguous in one of the two orders."""
        rows = np.asarray(M, dtype=np.float64)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.K:
            raise ShapeError(
                f"{name} must have shape (n, {self.K}) or ({self.K},), one column per equation, "
                f"got {rows.shape}"
            )
        if rows.ndim == 1:
            rows = rows[None, :]
        if not (rows.flags.c_contiguous or rows.flags.f_contiguous):
            rows = np.ascontiguousarray(rows)
        return rows

    def solve(self, M: npt.ArrayLike) -> Array:
        """Rows times the inverse: M Sigma^-1 = M D^-1 - (M G) G'.

        Parameters
        ----------
        M : array_like, shape (n, K) or (K,)
            Rows.  Both memory orders are fast, and the result has the order of M.

        Returns
        -------
        ndarray, shape of M

        Raises
        ------
        ShapeError
            M does not have K columns.

        Notes
        -----
        Cost: O(n K r); memory: the result and (n, r).

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> bool(np.allclose(cov.solve(np.eye(2)), np.linalg.inv(cov.to_dense())))
        True
        """
        rows = self._rows(M, "M")
        if not self.rank:
            out = rows / self.uniquenesses
        else:
            f = self._factor
            T = _times(rows, f.Gt)
            if f.J.size:
                xJ = _over_transpose(_over(rows[:, f.J] - T @ f.P, f.RJ), f.RJ)
                T += xJ @ f.P.T
            out = _update(rows, f.scale, -1.0, T, f.Gt)
            if f.J.size:
                out[:, f.J] = xJ
        return out if np.ndim(M) == 2 else out[0]

    def whiten(self, M: npt.ArrayLike) -> Array:
        """M W with W W' = Sigma^-1: rows of covariance Sigma get the identity as covariance.

        With R = U diag(s) V' (R'R = C) and Q = D^-1/2 F R^-1 the root is

            W = D^-1/2 (I - Q U diag(s / (1 + s)) U' Q'),

        bordered by a Cholesky factor for the equations that are eliminated last.

        Parameters
        ----------
        M : array_like, shape (n, K) or (K,)
            Rows.

        Returns
        -------
        ndarray, shape of M

        Raises
        ------
        ShapeError
            M does not have K columns.

        See Also
        --------
        colorize : the inverse.

        Notes
        -----
        Cost: O(n K r); memory: the result and (n, r).

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> W = cov.whiten(np.eye(2))
        >>> bool(np.allclose(W @ W.T, np.linalg.inv(cov.to_dense())))
        True
        """
        rows = self._rows(M, "M")
        if not self.rank:
            out = rows / np.sqrt(self.uniquenesses)
        else:
            f = self._factor
            U, s = self._root
            T = _times(rows, f.Gt)
            B = (U * (s / (1.0 + s))) @ (U.T @ f.Qt)
            out = _update(rows, np.sqrt(f.scale), -1.0, T, B)
            if f.J.size:
                out[:, f.J] = _over(rows[:, f.J] - T @ f.P, f.RJ)
        return out if np.ndim(M) == 2 else out[0]

    def colorize(self, Z: npt.ArrayLike) -> Array:
        """Z W^-1, the inverse of ``whiten``: rows ~ (0, I) get the covariance Sigma.

        Parameters
        ----------
        Z : array_like, shape (n, K) or (K,)
            Rows.

        Returns
        -------
        ndarray, shape of Z

        Raises
        ------
        ShapeError
            Z does not have K columns.

        Notes
        -----
        W^-1 = (I + Q U diag(s^2 / (1 + s)) U' Q') D^1/2 in the notation of ``whiten``.  Cost:
        O(n K r); memory: the result and (n, r).  ``sample`` is a cheaper source of random rows.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> M = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> bool(np.allclose(cov.colorize(cov.whiten(M)), M))
        True
        >>> B = cov.colorize(np.eye(2))
        >>> bool(np.allclose(B.T @ B, cov.to_dense()))
        True
        """
        rows = self._rows(Z, "Z")
        root = np.sqrt(self.uniquenesses)
        if not self.rank:
            out = rows * root
        else:
            f = self._factor
            U, s = self._root
            T = _times(rows, f.Qt)
            B = (U * (s * s / (1.0 + s))) @ (U.T @ f.Qt) * root
            out = _update(rows, root, 1.0, T, B)
            if f.J.size:
                out[:, f.J] = rows[:, f.J] @ f.RJ + T @ ((U * s) @ (U.T @ f.P))
        return out if np.ndim(Z) == 2 else out[0]

    def logdet(self) -> float:
        """log|Sigma| = sum log d + 2 sum log L_ii; cached.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> bool(np.isclose(cov.logdet(), np.log(np.linalg.det(cov.to_dense()))))
        True
        """
        try:
            return self._logdet_
        except AttributeError:
            pass
        logs = np.log(self.uniquenesses)
        value = 0.0
        if self.rank:
            f = self._factor
            if f.J.size:
                logs[f.J] = 2.0 * np.log(f.RJ.diagonal())
            value = 2.0 * float(np.log(f.R.diagonal()).sum())
        value += float(logs.sum())
        _set(self, "_logdet_", value)
        return value

    def precision_diag(self) -> Array:
        """Diagonal of Sigma^-1: 1/d - rowsums(G^2), shape (K,), positive.

        Its inverse is the variance of each error given all the others.

        Notes
        -----
        Where that difference would cancel (d_j << |f_j|^2), the diagonal of the inverse of the
        Schur complement S = D_J + P' P is taken instead, a sum of squares: at
        d_j / |f_j|^2 = 1e-10 the relative error stays near 1e-15, not 1e-6.  Cost: O(K r).

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> bool(np.allclose(cov.precision_diag(), np.diag(np.linalg.inv(cov.to_dense()))))
        True
        """
        if not self.rank:
            return np.asarray(1.0 / self.uniquenesses)
        f = self._factor
        out: Array = f.scale * (1.0 - np.einsum("ij,ij->j", f.Qt, f.Qt))
        if f.J.size:
            inverse = _over(np.eye(f.J.size), f.RJ)
            out += np.square((f.P @ inverse).T @ f.Gt).sum(axis=0)
            out[f.J] = np.square(inverse).sum(axis=1)
        return out

    def quad(self, E: npt.ArrayLike) -> float:
        """tr(E Sigma^-1 E'), the sum over rows of e' Sigma^-1 e.

        Parameters
        ----------
        E : array_like, shape (n, K) or (K,)
            Rows.

        Raises
        ------
        ShapeError
            E does not have K columns.

        Notes
        -----
        Computed as sum e_j^2 / d_j - |E G|^2, without the solve.  When the factors explain more
        than 99 % of the first sum, as min_g |E D^-1/2 - g F' D^-1/2|^2 + |g|^2, where nothing
        cancels.  Cost: O(n K r); memory: (n, r), or (n, K) in the second case.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> E = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> bool(np.isclose(cov.quad(E), np.trace(E @ np.linalg.inv(cov.to_dense()) @ E.T)))
        True
        """
        rows = self._rows(E, "E")
        squares = np.einsum("ij,ij->j", rows, rows)
        if not self.rank:
            return float(squares @ (1.0 / self.uniquenesses))
        f = self._factor
        T = _times(rows, f.Gt)
        total = float(squares @ f.scale)
        value = total - float(np.einsum("ij,ij->", T, T))
        if value < 0.01 * total:
            # At the minimiser g = E D^-1/2 A C^-1 an error in g enters to second order only.
            g = _over_transpose(T, f.R)
            z = _update(rows, np.sqrt(f.scale), -1.0, g, f.R.T @ f.Qt)
            value = float(np.einsum("ij,ij->", z, z) + np.einsum("ij,ij->", g, g))
        if f.J.size:
            u = _over(rows[:, f.J] - T @ f.P, f.RJ)
            value += float(np.einsum("ij,ij->", u, u))
        return value

    def nll(self, E: npt.ArrayLike, n: float | None = None) -> float:
        """Gaussian negative log-likelihood per observation.

            ( K log 2 pi + log|Sigma| + tr(E Sigma^-1 E') / n ) / 2

        Parameters
        ----------
        E : array_like, shape (m, K) or (K,)
            Residuals, or any m rows with the same cross-products E'E.
        n : float, optional
            Number of observations, if not m.

        Raises
        ------
        ShapeError
            E does not have K columns.
        SystemInputError
            n is not positive.

        Examples
        --------
        >>> from scipy.stats import multivariate_normal
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> E = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> dense = multivariate_normal(cov=cov.to_dense()).logpdf(E)
        >>> bool(np.isclose(cov.nll(E), -dense.mean()))
        True
        """
        if n is None:
            n = np.shape(E)[0] if np.ndim(E) == 2 else 1
        if not n > 0:
            raise SystemInputError(f"n, the number of observations, must be positive, got {n!r}")
        return 0.5 * (self.K * _LOG_2PI + self.logdet() + self.quad(E) / n)

    def diag(self) -> Array:
        """Diagonal of Sigma: |f_j|^2 + d_j, shape (K,).

        Examples
        --------
        >>> LowRankDiag([[1.0], [0.5]], [0.5, 1.0]).diag()
        array([1.5 , 1.25])
        """
        F = self.loadings
        return np.asarray(self.uniquenesses + np.einsum("ij,ij->i", F, F))

    def to_dense(self) -> Array:
        """Sigma as a new array, shape (K, K); cost O(K^2 r).

        Examples
        --------
        >>> LowRankDiag([[1.0], [0.5]], [0.5, 1.0]).to_dense()
        array([[1.5 , 0.5 ],
               [0.5 , 1.25]])
        """
        Sigma = self.loadings @ self.loadings.T
        Sigma.ravel()[:: self.K + 1] += self.uniquenesses
        return Sigma

    # -- relatives ------------------------------------------------------------------------------

    def scaled(self, c: npt.ArrayLike) -> Self:
        """Sigma in other units: diag(c) Sigma diag(c), with loadings c_j f_j and c_j^2 d_j.

        Parameters
        ----------
        c : array_like, scalar or shape (K,)
            Positive factors.

        Raises
        ------
        ShapeError
            c is neither a scalar nor of shape (K,).
        SystemInputError
            Some c_j is not positive and finite, or c_j^2 d_j leaves the range of floats.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> c = np.array([2.0, 3.0])
        >>> bool(np.allclose(cov.scaled(c).to_dense(), np.outer(c, c) * cov.to_dense()))
        True
        """
        c = _float_array(c, "c")
        if c.shape not in ((), (self.K,)):
            raise ShapeError(f"c must be a scalar or have shape ({self.K},), got {c.shape}")
        bad = ~((c > 0.0) & (c < np.inf))
        if bad.any():
            raise SystemInputError(f"scales must be positive and finite, got {_first(bad, c, 'c')}")
        c = np.broadcast_to(c, (self.K,))
        with np.errstate(over="ignore", under="ignore"):
            return type(self)(self.loadings * c[:, None], self.uniquenesses * c * c)

    def corr(self) -> Self:
        """Correlation matrix of Sigma, again low-rank-plus-diagonal.

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> sd = np.sqrt(cov.diag())
        >>> bool(np.allclose(cov.corr().to_dense(), cov.to_dense() / np.outer(sd, sd)))
        True
        """
        return self.scaled(1.0 / np.sqrt(self.diag()))

    def marginal(self, idx: Any) -> Self:
        """Covariance of some of the equations, in the order asked for.

        Parameters
        ----------
        idx : int, slice, sequence of int or boolean mask
            Any index of a one-dimensional NumPy array that selects no equation twice.

        Raises
        ------
        ShapeError
            idx selects nothing, or has more than one dimension.
        SystemInputError
            idx is out of range, is no index, or repeats an equation (which would make Sigma
            singular).

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5], [2.0]], [0.5, 1.0, 3.0])
        >>> bool(np.all(cov.marginal([2, 0]).to_dense() == cov.to_dense()[np.ix_([2, 0], [2, 0])]))
        True
        """
        try:
            chosen = np.atleast_1d(np.arange(self.K)[idx])
        except (IndexError, TypeError, ValueError) as error:
            raise SystemInputError(
                f"idx must select from the equations 0..{self.K - 1}: {error}"
            ) from error
        if chosen.ndim != 1 or not chosen.size:
            raise ShapeError(
                f"idx must select one or more equations in one dimension, got shape {chosen.shape}"
            )
        counts = np.bincount(chosen, minlength=self.K)
        if counts.max() > 1:
            raise SystemInputError(
                f"idx selects equation {int(counts.argmax())} {int(counts.max())} times; its "
                "covariance would be singular"
            )
        return type(self)(self.loadings[chosen], self.uniquenesses[chosen])

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n independent rows ~ N(0, Sigma), shape (n, K), as Z D^1/2 + H F'.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.  It is asked for Z (n, K), then for H (n, r), standard normal.
        n : int
            Number of rows, >= 0.

        Raises
        ------
        SystemInputError
            rng is not a Generator, or n is not an integer >= 0.

        Notes
        -----
        Cost: O(n K r); memory: the result and (n, r).

        Examples
        --------
        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> cov.sample(np.random.default_rng(0), 3).shape
        (3, 2)
        """
        if not isinstance(rng, np.random.Generator):
            raise SystemInputError(
                "rng must be a numpy.random.Generator, such as numpy.random.default_rng(seed), "
                f"got {type(rng).__name__}"
            )
        if not (isinstance(n, int | np.integer) and n >= 0):
            raise SystemInputError(f"n must be an integer >= 0, got {n!r}")
        out = rng.standard_normal((n, self.K))
        out *= np.sqrt(self.uniquenesses)
        if self.rank:
            _add_product(out, 1.0, rng.standard_normal((n, self.rank)), self.loadings.T)
        return out

    def canonical(self) -> Self:
        """Return the same Sigma with canonical loadings, so that equal fits print equal F.

        F' D^-1 F is diagonal and decreasing (its diagonal holds the eigenvalues of
        D^-1/2 F F' D^-1/2), and each column's sum is >= 0; of a column whose sum is zero to
        rounding (1e-12 of its absolute sum) the first nonzero element is positive.

        Notes
        -----
        Unique while those eigenvalues differ.  Cost: O(K r^2).

        Examples
        --------
        >>> np.round(LowRankDiag([[3.0, 1.0], [3.0, -1.0]], [1.0, 1.0]).canonical().loadings, 12)
        array([[ 3.,  1.],
               [ 3., -1.]])
        """
        F, d = self.loadings, self.uniquenesses
        out = np.zeros(F.shape)
        if self.rank:
            _, s, Vt = np.linalg.svd(F / np.sqrt(d)[:, None], full_matrices=False)
            out[:, : s.size] = F @ Vt.T
        sums, tiny = out.sum(axis=0), 1e-12 * np.abs(out).sum(axis=0)
        for k in np.flatnonzero(tiny > 0):
            sign = sums[k]
            if abs(sign) <= tiny[k]:
                sign = out[np.argmax(np.abs(out[:, k]) > tiny[k]), k]
            if sign < 0:
                out[:, k] *= -1.0
        return type(self)._trusted(out, d)


def _over(M: Array, R: Array) -> Array:
    """M R^-1 for rows M (n, m) and upper triangular R (m, m)."""
    return np.asarray(solve_triangular(R, M.T, trans=1, check_finite=False)).T


def _over_transpose(M: Array, R: Array) -> Array:
    """M R^-T for rows M (n, m) and upper triangular R (m, m)."""
    return np.asarray(solve_triangular(R, M.T, check_finite=False)).T


def _times(rows: Array, Gt: Array) -> Array:
    """Return rows Gt' (n, r) for contiguous rows (n, K), in the order of ``rows``."""
    if not rows.shape[0]:
        return np.empty((0, Gt.shape[0]))
    if rows.flags.c_contiguous:
        return dgemm(1.0, Gt, rows.T).T
    return dgemm(1.0, rows, Gt, trans_b=1)


def _add_product(out: Array, sign: float, T: Array, Bt: Array) -> None:
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
    _add_product(out, sign, T, Bt)
    return out


# -- from_dense: maximum-likelihood factor analysis of a correlation matrix ---------------------


def _concentrated(
    x: Array, Y: Array, r: int
) -> tuple[float, Array, Array, Array, npt.NDArray[np.bool_]]:
    """Half the discrepancy at d = exp(x) with F at its best, its gradient, theta, V and "top".

    With the eigenpairs (theta_i, v_i) of D^-1/2 R D^-1/2, the top r with theta_i > 1 taken by
    factors ("top") and the others left ("rest"),

        value    = ( sum x + sum_top (1 + log theta_i) + sum_rest theta_i ) / 2
        d/dx_j   = sum_rest (1 - theta_i) v_ij^2 / 2.
    """
    # Singular values of a root Y'Y = R, not eigenvalues of R: their errors are relative to the root
    # of the largest theta, which is 1e8 and more where some d_j is at its floor.
    _, roots, Vt = np.linalg.svd(Y * np.exp(-0.5 * x))
    theta, V = np.square(roots[::-1]), Vt[::-1].T
    top = np.zeros(x.size, dtype=np.bool_)
    top[x.size - r :] = theta[x.size - r :] > 1.0
    value = 0.5 * float(x.sum() + (np.log(theta[top]) + 1.0).sum() + theta[~top].sum())
    gradient = 0.5 * np.square(V[:, ~top]) @ (1.0 - theta[~top])
    return value, gradient, theta, V, top


def _hessian(theta: Array, V: Array, top: npt.NDArray[np.bool_]) -> Array:
    """Second derivatives of ``_concentrated`` in x = log d (Clarke 1970).

    With P = V_rest V_rest', Theta over the rest, and * elementwise,

        2 H = P * (V_rest Theta V_rest') + sum_{m in rest, n in top}
              (1 - theta_m) (theta_n + theta_m) / (theta_n - theta_m) (v_m v_m') * (v_n v_n').
    """
    rest, low = V[:, ~top], theta[~top]
    H = (rest @ rest.T) * ((rest * low) @ rest.T)
    for n in np.flatnonzero(top):
        gap = np.maximum(theta[n] - low, 1e-12 * theta[n])
        inner = (rest * ((1.0 - low) * (theta[n] + low) / gap)) @ rest.T
        H += inner * np.outer(V[:, n], V[:, n])
    return np.asarray(0.5 * H)


def _newton(
    x: Array, Y: Array, r: int, lower: float, gtol: float, max_iter: int
) -> tuple[float, Array, float]:
    """Projected Newton from x within lower <= x <= 0: (value, x, largest free gradient)."""
    state = _concentrated(x, Y, r)
    for _ in range(max_iter):
        value, g, theta, V, top = state
        free = ~(((x <= lower) & (g > 0)) | ((x >= 0) & (g < 0)))
        error = float(np.abs(g[free]).max(initial=0.0))
        if error <= 1e-3 * gtol:
            break
        curvature, Q = eigh(_hessian(theta, V, top)[np.ix_(free, free)], check_finite=False)
        # |curvature|: a saddle repels, as a maximum does.
        curvature = np.maximum(np.abs(curvature), 1e-8 * np.abs(curvature).max())
        step = np.zeros_like(x)
        step[free] = -Q @ ((Q.T @ g[free]) / curvature)
        step /= max(1.0, float(np.abs(step).max()) / 2.0)
        t = 1.0
        while t > 1e-6:
            trial = np.clip(x + t * step, lower, 0.0)
            new = _concentrated(trial, Y, r)
            descent = float(g @ (trial - x))
            if abs(new[0] - value) <= 1e-13 * (1.0 + abs(value)) * x.size:
                # The difference is rounding error, so the gradient decides.
                better = float(np.abs(new[1][free]).max(initial=0.0)) < error
            else:
                better = new[0] <= value + 1e-4 * min(descent, 0.0)
            if better:
                break
            t *= 0.5
        else:
            break
        x, state = trial, new
    value, g = state[:2]
    free = ~(((x <= lower) & (g > 0)) | ((x >= 0) & (g < 0)))
    return value, x, float(np.abs(g[free]).max(initial=0.0))


def _closest(R: Array, r: int, d_floor: float, gtol: float, max_iter: int) -> tuple[Array, Array]:
    """Loadings and uniquenesses closest to the correlation matrix R: best of three starts."""
    K = R.shape[0]
    lower = float(np.log(d_floor))
    spread, axes = np.linalg.eigh(R)
    Y = np.sqrt(np.maximum(spread, 0.0))[:, None] * axes.T
    specific = 1.0 / np.linalg.inv(R + 1e-3 * np.eye(K)).diagonal()
    starts = (
        np.log(np.clip((1.0 - 0.5 * r / K) * specific, d_floor, 1.0)),
        np.full(K, np.log(0.5)),
        # Uneven, so that no symmetry of R can hold the search on a saddle.
        np.log(0.05 + 0.9 * np.modf(0.618033988749895 * np.arange(1, K + 1))[0]),
    )

    def objective(x: Array) -> tuple[float, Array]:
        return _concentrated(x, Y, r)[:2]

    finished = []
    for start in starts:
        rough: Any = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(lower, 0.0)] * K,
            options={"maxiter": max_iter, "maxcor": 20, "gtol": 1e-5, "ftol": 1e-13},
        )
        finished.append(_newton(rough.x, Y, r, lower, gtol, max_iter))
    _, x, error = min(finished, key=lambda end: end[0])
    if error > gtol:
        warnings.warn(
            f"from_dense stopped where the gradient is {error:.2g} > gtol = {gtol:.2g}; raise "
            f"max_iter (now {max_iter}), or lower the rank (now {r}), which may be too high",
            ConvergenceWarning,
            stacklevel=3,
        )
    _, _, theta, V, _ = _concentrated(x, Y, r)
    d = np.exp(x)
    F = np.sqrt(d)[:, None] * V[:, K - r :] * np.sqrt(np.maximum(theta[K - r :] - 1.0, 0.0))
    return F, d
