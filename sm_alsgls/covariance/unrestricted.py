"""``Unrestricted``: any positive definite covariance Sigma = R'R of K equations, a frozen value.

For K below the number of rows, where a K x K matrix is no larger than the residuals. Everything
comes from one triangular factor R, and no cross-products are formed: of residuals E, R is that of
the QR factorisation of E / sqrt(N), which keeps the digits that E'E loses.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.linalg

from sm_alsgls.covariance import arrays
from sm_alsgls.covariance.arrays import Array
from sm_alsgls.covariance.observed_unrestricted import ObservedUnrestricted
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.value import CovarianceValue
from sm_alsgls.exceptions import (
    DuplicateEquationError,
    NonFiniteError,
    ShapeError,
    SystemInputError,
)

__all__ = ["Unrestricted"]

_set = object.__setattr__
# A residual's share that the equations before it leave, below which it is rounding.
_DEPENDENT = 1e-13


class Unrestricted(CovarianceValue):
    """Covariance matrix Sigma of K equations, symmetric and positive definite, as a frozen value.

    Parameters
    ----------
    R : array_like, shape (K, K)
        Upper triangular with Sigma = R'R, in units of the equations. Below the diagonal it is
        not looked at; signs of its rows are turned so that its diagonal is positive.

    Attributes
    ----------
    root, holes, low_rank : ndarray (K, K), True, None
        R, a copy, read-only; that rows may lack equations; that there are no factors.

    Raises
    ------
    ShapeError
        R is not square, or K is 0.
    NonFiniteError
        R holds NaN or infinity.
    SystemInputError
        A diagonal element of R is zero, or an entry is not a real number.

    See Also
    --------
    LowRankDiag : the covariance for many equations, with the same methods.

    Notes
    -----
    ``solve``, ``whiten``, ``colorize``, ``quad`` and ``nll`` take rows, an array_like of shape
    (n, K) or (K,), and cost O(n K^2). R^-1 is made once, when it is first needed, O(K^3); it is
    triangular, and its elements have small relative errors in any units of the equations.

    Equality is identity, as for arrays; ``repr`` shows the size, and pickles hold R.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.random.default_rng(0).standard_normal((50, 3))
    >>> cov = Unrestricted.from_residuals(E)
    >>> cov
    Unrestricted(K=3)
    >>> bool(np.allclose(cov.to_dense(), E.T @ E / 50))
    True
    >>> M = np.arange(6.0).reshape(2, 3)
    >>> bool(np.allclose(cov.solve(M), M @ np.linalg.inv(cov.to_dense())))
    True
    """

    __slots__ = ("_inverse_root_", "_precision_", "_seen_", "root")

    root: Array
    _inverse_root_: Array
    _precision_: Array
    _seen_: ObservedUnrestricted

    def __init__(self, R: npt.ArrayLike) -> None:
        R = np.triu(_square(R, "R"))
        size = np.diagonal(R)
        if not size.all():
            raise SystemInputError(
                f"R must have no zero on its diagonal, or Sigma = R'R is singular; got "
                f"R[{int(np.flatnonzero(size == 0.0)[0])}, {int(np.flatnonzero(size == 0.0)[0])}]"
                " = 0.0"
            )
        self._open(R)

    def _open(self, R: Array) -> None:
        R *= np.where(np.diagonal(R) < 0.0, -1.0, 1.0)[:, None]
        R.setflags(write=False)
        _set(self, "root", R)

    def __repr__(self) -> str:
        return f"Unrestricted(K={self.K})"

    def __reduce__(self) -> tuple[Any, tuple[Array]]:
        return type(self)._trusted, (self.root,)

    # -- constructors ---------------------------------------------------------------------------

    @classmethod
    def _trusted(cls, R: Array) -> Self:
        """Take ownership of an upper triangular float64 array R (K, K) without zeros on its
        diagonal: no copy, no check.
        """
        self = object.__new__(cls)
        if R.flags.writeable:
            self._open(R)
        else:
            _set(self, "root", R)
        return self

    @classmethod
    def from_residuals(cls, E: npt.ArrayLike, n_obs: int | None = None) -> Self:
        """Sigma = E'E / N by the QR factorisation of E, the ML estimate given residuals.

        Parameters
        ----------
        E : array_like, shape (n, K)
            n >= K rows.
        n_obs : int, optional
            N, where E holds n rows with the same cross-products as N residuals. Default n.

        Raises
        ------
        ShapeError, NonFiniteError
            E has fewer rows than columns; is not finite.
        DuplicateEquationError
            A column is zero or, to rounding, a combination of the columns before it.
        """
        E = arrays.float_array(E, "E")
        if E.ndim != 2 or not E.shape[1] or E.shape[0] < E.shape[1]:
            raise ShapeError(
                "E must have shape (n, K) with n >= K >= 1, or E'E is singular; got "
                f"{E.shape}; for more equations than rows use LowRankDiag"
            )
        if not np.isfinite(E).all():
            raise NonFiniteError(
                f"residuals must be finite, got {arrays.first(~np.isfinite(E), E, 'E')}"
            )
        n = E.shape[0] if n_obs is None else arrays.whole(n_obs, "n_obs", 1)
        R = triangle(E)
        j = dependent(R)
        if j is not None:
            raise DuplicateEquationError(
                f"the residuals in column {j} of E are zero, or a combination of those in the "
                "columns before it: Sigma = E'E/N is singular; leave that equation out"
            )
        R /= np.sqrt(n)
        return cls._trusted(R)

    @classmethod
    def from_dense(cls, Sigma: npt.ArrayLike) -> Self:
        """Sigma itself, through its Cholesky factor; cost O(K^3).

        Raises
        ------
        ShapeError, NonFiniteError
            Sigma is not square; is not finite.
        SystemInputError
            Sigma is not symmetric to 1e-10 of its diagonal, or not positive definite.

        Examples
        --------
        >>> Unrestricted.from_dense([[4.0, 2.0], [2.0, 5.0]]).root
        array([[2., 1.],
               [0., 2.]])
        """
        S = _square(Sigma, "Sigma")
        variances = np.diagonal(S)
        if not (variances > 0.0).all():
            bad = int(np.flatnonzero(~(variances > 0.0))[0])
            raise SystemInputError(
                f"Sigma must have a positive diagonal, got Sigma[{bad}, {bad}] = "
                f"{float(S[bad, bad])!r}"
            )
        # In units of its own, so that one tolerance serves all.
        c = np.sqrt(variances)
        S = S / c[:, None] / c
        uneven = np.abs(S - S.T)
        if uneven.max() > 1e-10:
            i, j = (int(v) for v in np.unravel_index(uneven.argmax(), S.shape))
            raise SystemInputError(
                f"Sigma must be symmetric: Sigma[{i}, {j}] and Sigma[{j}, {i}] differ by "
                f"{uneven[i, j]:.2g} of their standard deviations"
            )
        try:
            R: Array = scipy.linalg.cholesky(0.5 * (S + S.T))
        except np.linalg.LinAlgError as error:
            raise SystemInputError(
                "Sigma must be positive definite: its smallest eigenvalue as a correlation matrix "
                f"is {np.linalg.eigvalsh(S)[0]:.2g}"
            ) from error
        return cls._trusted(R * c)

    # -- sizes and pieces -----------------------------------------------------------------------

    @property
    def K(self) -> int:
        """Number of equations."""
        return int(self.root.shape[0])

    #: There are no factors.
    low_rank = None
    #: Rows may lack some equations.
    holes = True

    @property
    def inverse_root(self) -> Array:
        """R^-1, upper triangular (K, K), read-only: Sigma^-1 = R^-1 R^-T."""
        try:
            return self._inverse_root_
        except AttributeError:
            out: Array = scipy.linalg.solve_triangular(self.root, np.eye(self.K))
            out.setflags(write=False)
            _set(self, "_inverse_root_", out)
            return out

    @property
    def precision(self) -> Array:
        """Sigma^-1, (K, K), read-only."""
        try:
            return self._precision_
        except AttributeError:
            P = self.inverse_root @ self.inverse_root.T
            P.setflags(write=False)
            _set(self, "_precision_", P)
            return P

    # -- linear algebra -------------------------------------------------------------------------

    def solve(self, M: npt.ArrayLike) -> Array:
        """Rows times the inverse: M Sigma^-1 for M (n, K) or (K,)."""
        rows, single = arrays.rows(M, self.K, "M")
        out = (rows @ self.inverse_root) @ self.inverse_root.T
        return out[0] if single else out

    def times(self, M: npt.ArrayLike) -> Array:
        """Rows times Sigma: (M R') R for M (n, K) or (K,)."""
        rows, single = arrays.rows(M, self.K, "M")
        out = (rows @ self.root.T) @ self.root
        return out[0] if single else out

    def piecewise(self, n: int) -> None:
        """None: a row is solved for as a whole."""

    def seen(self, patterns: Patterns) -> ObservedUnrestricted:
        """As rows see it that lack some of the equations; the last that was asked for is kept."""
        try:
            kept = self._seen_
        except AttributeError:
            kept = None
        if kept is None or kept.patterns is not patterns:
            kept = ObservedUnrestricted(self.root, patterns)
            _set(self, "_seen_", kept)
        return kept

    def whiten(self, M: npt.ArrayLike) -> Array:
        """M R^-1: rows M of covariance Sigma get the identity as covariance.

        >>> cov = Unrestricted([[2.0, 1.0], [0.0, 2.0]])
        >>> W = cov.whiten(np.eye(2))
        >>> bool(np.allclose(W @ W.T, np.linalg.inv(cov.to_dense())))
        True
        """
        rows, single = arrays.rows(M, self.K, "M")
        out = rows @ self.inverse_root
        return out[0] if single else out

    def colorize(self, Z: npt.ArrayLike) -> Array:
        """Z R, the inverse of ``whiten``: rows Z ~ (0, I) get the covariance Sigma."""
        rows, single = arrays.rows(Z, self.K, "Z")
        out = rows @ self.root
        return out[0] if single else out

    def logdet(self) -> float:
        """log|Sigma| = 2 sum log R_ii.

        >>> cov = Unrestricted([[2.0, 1.0], [0.0, 2.0]])
        >>> bool(np.isclose(cov.logdet(), np.log(np.linalg.det(cov.to_dense()))))
        True
        """
        return 2.0 * float(np.log(np.diagonal(self.root)).sum())

    def precision_diag(self) -> Array:
        """Diagonal of Sigma^-1, (K,): one over the variance of each error given all others."""
        return np.einsum("ij,ij->i", self.inverse_root, self.inverse_root)

    def quad(self, E: npt.ArrayLike) -> float:
        """tr(E Sigma^-1 E'), the sum over rows of e' Sigma^-1 e, as a sum of squares."""
        rows, _ = arrays.rows(E, self.K, "E")
        white = rows @ self.inverse_root
        return float(np.vdot(white, white))

    def diag(self) -> Array:
        """Diagonal of Sigma, (K,).

        >>> Unrestricted([[2.0, 1.0], [0.0, 2.0]]).diag()
        array([4., 5.])
        """
        return np.einsum("ij,ij->j", self.root, self.root)

    def to_dense(self) -> Array:
        """Sigma as a new array, shape (K, K)."""
        return self.root.T @ self.root

    # -- relatives ------------------------------------------------------------------------------

    def scaled(self, c: npt.ArrayLike) -> Self:
        """Sigma in other units: diag(c) Sigma diag(c), with the root R diag(c).

        c is a scalar or (K,), or ShapeError; SystemInputError if some c_j is not positive and
        finite, or a variance leaves the range of floats.
        """
        c = arrays.scales(c, self.K)
        with np.errstate(over="ignore", under="ignore"):
            R = self.root * c
            size = np.square(np.diagonal(R))
        if not ((size > 0.0) & (size < np.inf)).all():
            bad = int(np.flatnonzero(~((size > 0.0) & (size < np.inf)))[0])
            raise SystemInputError(
                f"scales must leave variances within the range of floats, got c[{bad}] = "
                f"{float(c[bad])!r}"
            )
        return type(self)._trusted(R)

    def canonical(self) -> Self:
        """Itself: the triangle with a positive diagonal is unique."""
        return self

    def marginal(self, idx: Any) -> Self:
        """Covariance of some of the equations, in the order asked for: QR of columns of R.

        idx is any index of a one-dimensional array: an int, a slice, a sequence of int or a mask.
        ShapeError if it selects nothing or has more dimensions; SystemInputError if it is no
        index, is out of range, or repeats an equation, which would make Sigma singular.

        >>> cov = Unrestricted([[2.0, 1.0, 0.5], [0.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
        >>> part = cov.marginal([2, 0]).to_dense()
        >>> bool(np.allclose(part, cov.to_dense()[np.ix_([2, 0], [2, 0])]))
        True
        """
        return type(self)._trusted(triangle(self.root[:, arrays.chosen(idx, self.K)]))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n >= 0 independent rows ~ N(0, Sigma), shape (n, K), as Z R.

        rng is asked for Z (n, K), standard normal; SystemInputError if it is no Generator, or n no
        integer >= 0.
        """
        arrays.generator(rng)
        return rng.standard_normal((arrays.whole(n, "n", 0), self.K)) @ self.root


def triangle(E: Array) -> Array:
    """R (K, K) of E = Q R for E (n, K), n >= K, to small errors in every column's own units."""
    R: Array = np.linalg.qr(E, mode="r")  # type: ignore[assignment]
    return R


def dependent(R: Array) -> int | None:
    """The first column of a triangle that depends on those before it, to rounding."""
    left = np.abs(np.diagonal(R))
    length = np.sqrt(np.einsum("ij,ij->j", R, R))
    short = np.flatnonzero(~(left > _DEPENDENT * length))
    return int(short[0]) if short.size else None


def _square(value: npt.ArrayLike, name: str) -> Array:
    array = arrays.float_array(value, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.shape[0]:
        raise ShapeError(f"{name} must have shape (K, K) with K >= 1, got {array.shape}")
    if not np.isfinite(array).all():
        raise NonFiniteError(
            f"{name} must be finite, got {arrays.first(~np.isfinite(array), array, name)}"
        )
    return array


def of_triangle(R: Array) -> Unrestricted:
    """R'R of an upper triangular float64 R (K, K) without zeros on its diagonal: no copy, no check.

    For kernels, whose arrays are what they must be; R belongs to the value from here on.
    """
    return Unrestricted._trusted(R)
