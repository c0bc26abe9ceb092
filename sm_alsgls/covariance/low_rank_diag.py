"""``LowRankDiag``: the covariance Sigma = F F' + D as a frozen value.

No method except ``to_dense`` and ``from_dense`` touches a K x K matrix; the algebra, and what it
does against cancellation, is in ``sm_alsgls.covariance.woodbury``.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sm_alsgls.covariance import arrays, woodbury
from sm_alsgls.covariance.arrays import Array
from sm_alsgls.covariance.closest import canonical_loadings, closest
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.value import CovarianceValue
from sm_alsgls.exceptions import OptionError, ShapeError
from sm_alsgls.markup import shown_of, table

__all__ = ["LowRankDiag"]

_set = object.__setattr__


class LowRankDiag(CovarianceValue):
    """Covariance matrix Sigma = F F' + D of K equations, D = diag(d) > 0, as a frozen value.

    Parameters
    ----------
    F : array_like, shape (K, r)
        Loadings, in units of the equations; r = 0 makes Sigma diagonal.
    d : array_like, shape (K,)
        Uniquenesses, in squared units of the equations, all positive.

    Attributes
    ----------
    loadings, uniquenesses, holes, root : ndarrays (K, r) and (K,), True, None
        Copies of F and d, read-only; that rows may lack equations; that there is no triangle.

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
    needed.  ``solve``, ``whiten``, ``colorize``, ``quad`` and ``nll`` take rows, an array_like of
    shape (n, K) or (K,), and raise ShapeError for any other.  They cost O(n K r) in either memory
    order; what they return has the shape and the order of the rows, and (n, r) is all the memory
    they need besides.

    Results do not depend on the units of the equations.  Their relative error is a small multiple
    of the machine epsilon (eps) while no more equations than factors have d_j << |f_j|^2, however
    small d_j is.  Where more of them do, or their loadings are nearly dependent, Sigma itself
    amplifies a rounding of F by up to max_j |f_j| / d_j^(1/2), and so do the results.

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

    __slots__ = (
        "_factor_",
        "_logdet_",
        "_precision_",
        "_precision_factor_",
        "_root_",
        "loadings",
        "uniquenesses",
    )

    #: Rows may lack some equations.
    holes = True
    #: It is not kept by a triangle.
    root = None
    loadings: Array
    uniquenesses: Array
    _factor_: woodbury.BlockFactor
    _root_: woodbury.Root
    _logdet_: float
    _precision_: Array
    _precision_factor_: Array

    def __init__(self, F: npt.ArrayLike, d: npt.ArrayLike) -> None:
        F, d = arrays.factors(F, d)
        F.setflags(write=False)
        d.setflags(write=False)
        _set(self, "loadings", F)
        _set(self, "uniquenesses", d)

    def __repr__(self) -> str:
        return f"LowRankDiag(K={self.K}, rank={self.rank})"

    def _repr_html_(self) -> str:
        variances, own = self.diag(), self.uniquenesses
        rows = [
            [f"{j}", f"{variances[j]:.4g}", f"{own[j]:.4g}", f"{1.0 - own[j] / variances[j]:.3f}"]
            for j in shown_of(self.K)
        ]
        return table(
            repr(self),
            ["equation", "variance", "uniqueness", "communality"],
            rows,
            ["Communality is the share of the variance that the factors explain; uniqueness is "
             "the variance that they leave."],
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, tuple[Array, Array]]:
        return adopted, (self.loadings, self.uniquenesses)

    # -- constructors ---------------------------------------------------------------------------

    @classmethod
    def from_factors(cls, F: npt.ArrayLike, d: npt.ArrayLike) -> Self:
        """Sigma = F F' + diag(d); the same as calling the class."""
        return cls(F, d)

    @classmethod
    def diagonal(cls, d: npt.ArrayLike) -> Self:
        """Sigma = diag(d), the member of rank 0, of variances d (K,).

        >>> LowRankDiag.diagonal([1.0, 4.0]).solve(np.array([1.0, 1.0]))
        array([1.  , 0.25])
        """
        d = arrays.float_array(d, "d")
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
        """Return the F F' + D of rank r that is closest to Sigma, in canonical form.

        Minimises log|F F' + D| + tr(Sigma (F F' + D)^-1), which is maximum-likelihood factor
        analysis of Sigma (Jöreskog 1967); see ``covariance.closest``.  Cost: a singular value
        decomposition, O(K^3), per evaluation; O(r K^3) per Newton step.

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

        Raises
        ------
        ShapeError, NonFiniteError, SystemInputError
            Sigma is not square; is not finite; is not symmetric, has a diagonal element that is
            not positive or a negative eigenvalue.
        IllegalRankError, OptionError
            r is not an integer from 0 to K - 1; d_floor, gtol or max_iter is out of range.

        Warns
        -----
        ConvergenceWarning
            The best start did not reach ``gtol``.

        Examples
        --------
        >>> cov = LowRankDiag(np.linspace(0.5, 1.5, 6)[:, None], np.ones(6))
        >>> again = LowRankDiag.from_dense(cov.to_dense(), 1)
        >>> bool(np.allclose(again.uniquenesses, cov.uniquenesses, rtol=1e-6))
        True
        """
        F, d = closest(Sigma, r, d_floor, gtol, max_iter)
        return cls(canonical_loadings(F, d), d)

    # -- sizes and pieces -----------------------------------------------------------------------

    @property
    def K(self) -> int:
        """Number of equations."""
        return int(self.uniquenesses.shape[0])

    @property
    def rank(self) -> int:
        """Number of factors r (columns of F)."""
        return int(self.loadings.shape[1])

    @property
    def _factor(self) -> woodbury.BlockFactor:
        try:
            return self._factor_
        except AttributeError:
            factor = woodbury.factorise(self.loadings, self.uniquenesses)
            _set(self, "_factor_", factor)
            return factor

    @property
    def _root(self) -> woodbury.Root:
        try:
            return self._root_
        except AttributeError:
            root = woodbury.root_of(self._factor)
            _set(self, "_root_", root)
            return root

    @property
    def precision(self) -> Array:
        """Sigma^-1, (K, K), read-only: for few equations, where a product is all overhead."""
        try:
            return self._precision_
        except AttributeError:
            d = self.uniquenesses
            P = woodbury.precision(self._factor) if self.rank else np.diag(1.0 / d)
            P.setflags(write=False)
            _set(self, "_precision_", P)
            return P

    @property
    def precision_factor(self) -> Array:
        """G, shape (K, r), read-only, with Sigma^-1 = D^-1 - G G'; cost O(K r^2), once.

        It is unique up to a rotation of its columns.  For an equation with d_j << |f_j|^2 that
        difference cancels; ``solve`` and ``precision_diag`` do not.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> inverse = np.diag(1 / cov.uniquenesses) - cov.precision_factor @ cov.precision_factor.T
        >>> bool(np.allclose(inverse, np.linalg.inv(cov.to_dense())))
        True
        """
        try:
            return self._precision_factor_
        except AttributeError:
            F, d = self.loadings, self.uniquenesses
            G = woodbury.precision_factor(F, d, self._factor) if self.rank else np.zeros_like(F)
            G.setflags(write=False)
            _set(self, "_precision_factor_", G)
            return G

    @property
    def low_rank(self) -> Self:
        """Itself: what a covariance that has factors shows of them."""
        return self

    # -- linear algebra -------------------------------------------------------------------------

    def solve(self, M: npt.ArrayLike) -> Array:
        """Rows times the inverse: M Sigma^-1 = M D^-1 - (M G) G', for M (n, K) or (K,)."""
        rows, single = arrays.rows(M, self.K, "M")
        out = woodbury.solve(rows, self._factor) if self.loadings.size else rows / self.uniquenesses
        return out[0] if single else out

    def piecewise(self, n: int) -> woodbury.PiecewiseSolve:
        """M Sigma^-1 for n rows M whose equations are read, and written, a few at a time."""
        f = self._factor if self.rank else woodbury.uncorrelated(self.uniquenesses)
        return woodbury.PiecewiseSolve(f, arrays.whole(n, "n", 0))

    def times(self, M: npt.ArrayLike) -> Array:
        """Rows times Sigma: (M F) F' + M D, for M (n, K) or (K,)."""
        rows, single = arrays.rows(M, self.K, "M")
        out = rows * self.uniquenesses
        if self.loadings.size:
            out = out + (rows @ self.loadings) @ self.loadings.T
        return out[0] if single else out

    def seen(self, patterns: Patterns) -> ObservedCovariance:
        """As rows see it that lack some of the equations.

        Raises
        ------
        OptionError, ShapeError
            ``patterns`` are no `Patterns`, or of another number of equations.
        """
        if not isinstance(patterns, Patterns):
            raise OptionError(
                f"patterns must be Patterns(mask), got {type(patterns).__name__}; see "
                "sm_alsgls.covariance.patterns"
            )
        if patterns.K != self.K:
            raise ShapeError(f"the mask has {patterns.K} equations, Sigma {self.K}")
        return ObservedCovariance(self, patterns)

    def whiten(self, M: npt.ArrayLike) -> Array:
        """M W with W W' = Sigma^-1: rows M of covariance Sigma get the identity as covariance.

        With R = U diag(s) V' (R'R = C) and Q = D^-1/2 F R^-1 the root is

            W = D^-1/2 (I - Q U diag(s / (1 + s)) U' Q'),

        bordered by a Cholesky factor for the equations that are eliminated last.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> W = cov.whiten(np.eye(2))
        >>> bool(np.allclose(W @ W.T, np.linalg.inv(cov.to_dense())))
        True
        """
        rows, single = arrays.rows(M, self.K, "M")
        if self.loadings.size:
            out = woodbury.whiten(rows, self._factor, self._root)
        else:
            out = rows / np.sqrt(self.uniquenesses)
        return out[0] if single else out

    def colorize(self, Z: npt.ArrayLike) -> Array:
        """Z W^-1, the inverse of ``whiten``: rows Z ~ (0, I) get the covariance Sigma.

        W^-1 = (I + Q U diag(s^2 / (1 + s)) U' Q') D^1/2 in the notation of ``whiten``.  For random
        rows ``sample`` is cheaper.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> B = cov.colorize(np.eye(2))
        >>> bool(np.allclose(B.T @ B, cov.to_dense()))
        True
        """
        rows, single = arrays.rows(Z, self.K, "Z")
        sd = np.sqrt(self.uniquenesses)
        out = woodbury.colorize(rows, self._factor, self._root, sd) if self.rank else rows * sd
        return out[0] if single else out

    def logdet(self) -> float:
        """log|Sigma| = sum log d + 2 sum log L_ii; cached.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> bool(np.isclose(cov.logdet(), np.log(np.linalg.det(cov.to_dense()))))
        True
        """
        try:
            return self._logdet_
        except AttributeError:
            d = self.uniquenesses
            value = woodbury.logdet(d, self._factor) if self.rank else float(np.log(d).sum())
            _set(self, "_logdet_", value)
            return value

    def precision_diag(self) -> Array:
        """Diagonal of Sigma^-1: 1/d - rowsums(G^2), shape (K,), positive; cost O(K r).

        Its inverse is the variance of each error given all the others.  At d_j / |f_j|^2 = 1e-10,
        where that difference has lost all but six digits, the relative error stays near 1e-15.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> bool(np.allclose(cov.precision_diag(), np.diag(np.linalg.inv(cov.to_dense()))))
        True
        """
        if not self.loadings.size:
            return np.asarray(1.0 / self.uniquenesses)
        return woodbury.precision_diag(self._factor)

    def quad(self, E: npt.ArrayLike) -> float:
        """tr(E Sigma^-1 E'), the sum over rows of e' Sigma^-1 e.

        Computed as sum e_j^2 / d_j - |E G|^2, without the solve.  When the factors explain more
        than 99 % of the first sum, as min_g |E D^-1/2 - g F' D^-1/2|^2 + |g|^2, where nothing
        cancels; that takes (n, K) of memory.

        >>> cov = LowRankDiag([[1.0], [0.5]], [0.5, 1.0])
        >>> E = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> bool(np.isclose(cov.quad(E), np.trace(E @ np.linalg.inv(cov.to_dense()) @ E.T)))
        True
        """
        rows, _ = arrays.rows(E, self.K, "E")
        if self.loadings.size:
            return woodbury.quad(rows, self._factor)
        return float(np.einsum("ij,ij->j", rows, rows) @ (1.0 / self.uniquenesses))

    def diag(self) -> Array:
        """Diagonal of Sigma: |f_j|^2 + d_j, shape (K,).

        >>> LowRankDiag([[1.0], [0.5]], [0.5, 1.0]).diag()
        array([1.5 , 1.25])
        """
        F = self.loadings
        return np.asarray(self.uniquenesses + np.einsum("ij,ij->i", F, F))

    def to_dense(self) -> Array:
        """Sigma as a new array, shape (K, K); cost O(K^2 r).

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

        c is a scalar or (K,), or ShapeError; SystemInputError if some c_j is not positive and
        finite, or c_j^2 d_j leaves the range of floats.

        >>> cov, c = LowRankDiag([[1.0], [0.5]], [0.5, 1.0]), np.array([2.0, 3.0])
        >>> bool(np.allclose(cov.scaled(c).to_dense(), np.outer(c, c) * cov.to_dense()))
        True
        """
        c = arrays.scales(c, self.K)
        with np.errstate(over="ignore", under="ignore"):
            return type(self)(self.loadings * c[:, None], self.uniquenesses * c * c)

    def marginal(self, idx: Any) -> Self:
        """Covariance of some of the equations, in the order asked for.

        idx is any index of a one-dimensional array: an int, a slice, a sequence of int or a mask.
        ShapeError if it selects nothing or has more dimensions; SystemInputError if it is no
        index, is out of range, or repeats an equation, which would make Sigma singular.

        >>> cov = LowRankDiag([[1.0], [0.5], [2.0]], [0.5, 1.0, 3.0])
        >>> bool(np.all(cov.marginal([2, 0]).to_dense() == cov.to_dense()[np.ix_([2, 0], [2, 0])]))
        True
        """
        chosen = arrays.chosen(idx, self.K)
        return type(self)(self.loadings[chosen], self.uniquenesses[chosen])

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n >= 0 independent rows ~ N(0, Sigma), shape (n, K), as Z D^1/2 + H F'.

        rng is asked for Z (n, K), then for H (n, r), standard normal; SystemInputError if it is no
        Generator, or n no integer >= 0.  Cost: O(n K r); memory: the result and (n, r).

        >>> LowRankDiag([[1.0], [0.5]], [0.5, 1.0]).sample(np.random.default_rng(0), 3).shape
        (3, 2)
        """
        arrays.generator(rng)
        n = arrays.whole(n, "n", 0)
        out = rng.standard_normal((n, self.K))
        out *= np.sqrt(self.uniquenesses)
        if self.rank:
            woodbury.add_product(out, 1.0, rng.standard_normal((n, self.rank)), self.loadings.T)
        return out

    def canonical(self) -> LowRankDiag:
        """Return the same Sigma with canonical loadings, so that equal fits print equal F.

        F' D^-1 F is diagonal and decreasing (its diagonal holds the eigenvalues of
        D^-1/2 F F' D^-1/2), and each column's sum is >= 0; of a column whose sum is zero to
        rounding (1e-12 of its absolute sum) the first nonzero element is positive.  Unique while
        those eigenvalues differ.  Cost: O(K r^2).

        >>> np.round(LowRankDiag([[3.0, 1.0], [3.0, -1.0]], [1.0, 1.0]).canonical().loadings, 12)
        array([[ 3.,  1.],
               [ 3., -1.]])
        """
        F, d = self.loadings, self.uniquenesses
        return adopted(canonical_loadings(F, d), d)


def adopted(F: Array, d: Array) -> LowRankDiag:
    """F F' + D that takes ownership of float64 arrays F (K, r) and d (K,) > 0: no copy, no check.

    Both are made read-only, so a caller that still writes to them hears of it. For kernels, whose
    arrays are what they must be; everybody else has `LowRankDiag.from_factors`.
    """
    cov = object.__new__(LowRankDiag)
    F.setflags(write=False)
    d.setflags(write=False)
    _set(cov, "loadings", F)
    _set(cov, "uniquenesses", d)
    return cov
