"""``Filtered``: the covariance of errors of which a linear filter leaves simpler ones.

Errors that reach one another through neighbours, e = lam W e + u, have A e = u with A = I - lam W
and, where u has the covariance S,

    Sigma = A^-1 S A^-T,      Sigma^-1 = A' S^-1 A,      log|Sigma| = log|S| - 2 log|det A|.

Rows of errors are rows here, so the filter of rows M is M A'. A is sparse as a rule, and factorised
once (SuperLU); its products cost its non-zeros, and whatever S costs comes on top. No K x K array
is made but by ``to_dense`` and ``precision``.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from sm_alsgls.covariance import arrays
from sm_alsgls.covariance.arrays import Array
from sm_alsgls.covariance.base import Covariance, SeenCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.through_holes import Holes, ThroughHoles
from sm_alsgls.covariance.unrestricted import Unrestricted
from sm_alsgls.exceptions import NonFiniteError, ShapeError, SystemInputError

#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse: TypeAlias = Any
# Share of a sum below which a difference from it is worked out anew.
_CANCELLED = 1e-4


class Filtered:
    """Covariance A^-1 S A^-T of errors e with A e of covariance S.

    Parameters
    ----------
    inner : Covariance
        S, of K equations.
    A : array_like or sparse matrix, shape (K, K)
        Invertible.

    Raises
    ------
    ShapeError
        A is not K x K.
    NonFiniteError
    SystemInputError
        A is singular.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> W = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    >>> cov = Filtered(LowRankDiag.diagonal([1.0, 2.0, 1.0]), np.eye(3) - 0.4 * W)
    >>> M = np.arange(6.0).reshape(2, 3)
    >>> bool(np.allclose(cov.solve(M), M @ np.linalg.inv(cov.to_dense())))
    True
    """

    def __init__(self, inner: Covariance, A: Sparse) -> None:
        matrix: Sparse = scipy.sparse.csc_array(A, dtype=float, copy=True)
        if matrix.shape != (inner.K, inner.K):
            raise ShapeError(f"the filter must be {inner.K} x {inner.K}, got {matrix.shape}")
        if not np.isfinite(matrix.data).all():
            raise NonFiniteError("the filter of the errors must be finite")
        self.inner, self.filter = inner, matrix
        try:
            self._lu: Sparse = scipy.sparse.linalg.splu(matrix)
        except RuntimeError as error:
            raise SystemInputError(f"the filter of the errors has no inverse ({error})") from None

    def over(self, inner: Covariance) -> Self:
        """The same filter, factorised already, over another S of K equations."""
        again = object.__new__(type(self))
        again.inner, again.filter, again._lu = inner, self.filter, self._lu
        return again

    def __repr__(self) -> str:
        return f"Filtered({self.inner!r})"

    def __reduce__(self) -> tuple[type[Filtered], tuple[Covariance, Sparse]]:
        return type(self), (self.inner, self.filter)

    @property
    def K(self) -> int:
        """Number of equations."""
        return self.inner.K

    n_equations = K

    @property
    def shape(self) -> tuple[int, int]:
        """(K, K)."""
        return self.K, self.K

    #: A filter mixes loadings: Sigma is no low rank plus a diagonal.
    low_rank = None
    #: Nor is there a triangle.
    root = None
    #: Rows may lack equations.
    holes = True

    @cached_property
    def log_jacobian(self) -> float:
        """log|det A|: what the filter adds to the log-likelihood of a row."""
        lu = self._lu
        return float(np.log(np.abs(lu.U.diagonal())).sum() + np.log(np.abs(lu.L.diagonal())).sum())

    # -- products -------------------------------------------------------------------------------

    def filtered(self, M: Array) -> Array:
        """M A': rows of errors (n, K) as rows of what the filter leaves."""
        return np.asarray((self.filter @ M.T).T)

    def unfiltered(self, M: Array) -> Array:
        """M A^-T: the inverse of ``filtered``."""
        return np.asarray(self._lu.solve(np.ascontiguousarray(M.T)).T)

    def _filtered_back(self, M: Array) -> Array:
        """M A, the transpose of `filtered`."""
        return np.asarray((self.filter.T @ M.T).T)

    def solve(self, M: npt.ArrayLike) -> Array:
        """M Sigma^-1 = (M A') S^-1 A for rows M (n, K) or (K,)."""
        rows, single = arrays.rows(M, self.K, "M")
        out = self._filtered_back(self.inner.solve(self.filtered(rows)))
        return out[0] if single else out

    def times(self, M: npt.ArrayLike) -> Array:
        """M Sigma = (M A^-1) S A^-T."""
        rows, single = arrays.rows(M, self.K, "M")
        first = np.asarray(self._lu.solve(np.ascontiguousarray(rows.T), trans="T").T)
        out = self.unfiltered(self.inner.times(first))
        return out[0] if single else out

    def whiten(self, M: npt.ArrayLike) -> Array:
        """M W with W W' = Sigma^-1: the filter, then what whitens S."""
        rows, single = arrays.rows(M, self.K, "M")
        out = self.inner.whiten(self.filtered(rows))
        return out[0] if single else out

    def piecewise(self, n: int) -> None:
        """None: neighbours need whole rows."""

    @cached_property
    def precision(self) -> Array:
        """A' S^-1 A, (K, K), read-only: for few equations."""
        P = self.solve(np.eye(self.K))
        P = 0.5 * (P + P.T)
        P.setflags(write=False)
        return P

    def precision_diag(self) -> Array:
        """Diagonal of A' S^-1 A, (K,): that of S^-1 weighted, less what pairs take off."""
        low = self.inner.low_rank
        if low is None:
            return self._products(np.arange(self.K))
        # S^-1 = D^-1 - (S^-1 F) C (S^-1 F)', C = I + F'D^-1 F.
        F, d = low.loadings, low.uniquenesses
        C = np.eye(F.shape[1]) + F.T @ (F / d[:, None])
        taken = np.asarray(self.filter.T @ low.solve(F.T).T)
        own = np.asarray(self.filter.power(2).T @ (1.0 / d))
        out = own - np.einsum("kr,rs,ks->k", taken, C, taken)
        # Where the difference has lost its digits.
        lost = np.flatnonzero(out < _CANCELLED * own)
        if len(lost):
            out[lost] = self._products(lost)
        return out

    def _products(self, equations: npt.NDArray[np.intp]) -> Array:
        """a_k' S^-1 a_k of some columns of A, by the dozen."""
        out = np.empty(len(equations))
        for start in range(0, len(equations), 64):
            columns = self.filter[:, equations[start : start + 64]].toarray().T
            out[start : start + 64] = np.einsum("kj,kj->k", columns, self.inner.solve(columns))
        return out

    def logdet(self) -> float:
        """log|S| - 2 log|det A|."""
        return self.inner.logdet() - 2.0 * self.log_jacobian

    def quad(self, E: npt.ArrayLike) -> float:
        """tr(E Sigma^-1 E')."""
        return self.inner.quad(self.filtered(arrays.rows(E, self.K, "E")[0]))

    def nll(self, E: npt.ArrayLike, n: float | None = None) -> float:
        """Gaussian negative log-likelihood per row, as `LowRankDiag.nll`."""
        rows = arrays.rows(E, self.K, "E")[0]
        return self.inner.nll(self.filtered(rows), n) - self.log_jacobian

    # -- other forms ----------------------------------------------------------------------------

    def to_dense(self) -> Array:
        """Sigma, (K, K)."""
        half = self._lu.solve(self.inner.to_dense())
        Sigma = np.asarray(self._lu.solve(np.ascontiguousarray(half.T)).T)
        return 0.5 * (Sigma + Sigma.T)

    def diag(self) -> Array:
        """Variances, (K,): products with Sigma of unit rows, some dozens at a time."""
        out = np.empty(self.K)
        for start in range(0, self.K, 64):
            at = np.arange(start, min(start + 64, self.K))
            unit = np.zeros((len(at), self.K))
            unit[np.arange(len(at)), at] = 1.0
            out[at] = self.times(unit)[np.arange(len(at)), at]
        return out

    def scaled(self, c: npt.ArrayLike) -> Self:
        """diag(c) Sigma diag(c): what the filter C A C^-1 leaves has the covariance C S C."""
        c = np.broadcast_to(np.asarray(c, dtype=float), (self.K,))
        C, back = scipy.sparse.diags_array(c), scipy.sparse.diags_array(1.0 / c)
        return type(self)(self.inner.scaled(c), C @ self.filter @ back)

    def marginal(self, idx: Any) -> Any:
        """Sigma of some of the equations, by any index of one dimension, as an `Unrestricted`.

        Which is what neighbours that are left out make of it; cost K^3.
        """
        return Unrestricted.from_dense(self.to_dense()).marginal(idx)

    def canonical(self) -> Self:
        """With the inner covariance in its canonical form."""
        return type(self)(self.inner.canonical(), self.filter)

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n rows of N(0, Sigma), (n, K)."""
        return self.unfiltered(self.inner.sample(rng, n))

    def seen(self, patterns: Patterns) -> SeenCovariance:
        """As rows see it that lack some equations, which are integrated out."""
        return ThroughHoles(self, Holes(patterns))
