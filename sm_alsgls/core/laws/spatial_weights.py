"""W, the weights of neighbours: its products, the admissible interval, and log|I - lam W|.

y_n = lam W y_n + .. has a solution while I - lam W is not singular: for lam between the inverses
of the least and the largest eigenvalue of W that are real, an interval that holds 0 (Ord 1975).
With rows that sum to one the upper end is 1; the lower end is -1 only where the neighbours are
bipartite.

Weights of neighbours that are mutual, w_ij = a_ij / c_i with a_ij = a_ji, are similar to the
symmetric c_i^(1/2) w_ij c_j^(-1/2): eigenvalues are real, and cost a symmetric problem. Of others
the real ones are taken where all are computed; where K is too large for that, the interval is that
of |lam| below the inverse of the spectral radius, which is always admissible.

How the log-determinant is computed (`sm_alsgls.core.laws.log_determinants`): by eigenvalues of few
units, or of up to 2,000 where a tenth of all pairs or more are neighbours; by sparse factors
beyond, or where asked (1,936 units of a lattice: 6 ms a value, where eigenvalues take .75 s
once); by Chebyshev polynomials where asked and neighbours are mutual.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from sm_alsgls.core.laws.log_determinants import (
    Chebyshev,
    Eigenvalues,
    LogDeterminant,
    LogDeterminants,
    SparseLU,
)
from sm_alsgls.exceptions import NonFiniteError, OptionError, ShapeError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any

# Units up to which eigenvalues are the default: of any W, and of one that is full and mutual.
_EIGEN, _EIGEN_FULL = 500, 2_000
# The share of pairs from which factors of I - lam W are not sparse.
_FULL = 0.1
_METHODS = ("eigen", "lu", "chebyshev")
# Of w_ij c_i = w_ji c_j, relative.
_MUTUAL = 1e-10
# Imaginary parts of eigenvalues that are real, relative to the largest.
_REAL = 1e-9
# Share of the admissible interval that values keep from its ends, where the log has no bound.
_INSIDE = 1e-6
# Order and vectors of the Chebyshev polynomials.
_ORDER, _PROBES = 60, 50


class SpatialWeights:
    """Weights of K units' neighbours.

    Parameters
    ----------
    W : array_like or sparse matrix, shape (K, K)
        Row i has the weights of the neighbours of i; the diagonal is zero. Units without
        neighbours are rows of zeros. Copied.
    method : {"eigen", "lu", "chebyshev"}, optional
        Of the log-determinant; see the module.
    rng : numpy Generator, optional
        Of the Chebyshev traces. Default: one of its own with a fixed seed.

    Attributes
    ----------
    W : sparse array, shape (K, K)
        CSR; not to be changed.
    method : str

    Raises
    ------
    ShapeError, NonFiniteError
    OptionError
        Nobody has a neighbour, a unit is its own, or the method is not to be had.

    Examples
    --------
    >>> line = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)
    >>> weights = SpatialWeights(row_standardised(line))
    >>> [round(end, 6) for end in weights.interval]
    [-1.0, 1.0]
    >>> weights.log_det(0.5).value == SpatialWeights(weights.W, "lu").log_det(0.5).value
    False
    >>> round(weights.log_det(0.5).value, 9) == round(
    ...     SpatialWeights(weights.W, "lu").log_det(0.5).value, 9
    ... )
    True
    """

    def __init__(
        self,
        W: Sparse,
        method: str | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        matrix: Sparse = scipy.sparse.csr_array(W, dtype=float, copy=True)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ShapeError(f"spatial weights must be K x K, got the shape {matrix.shape}")
        if not np.isfinite(matrix.data).all():
            raise NonFiniteError("spatial weights must be finite")
        if method is not None and method not in _METHODS:
            raise OptionError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        if not matrix.nnz:
            raise OptionError("spatial weights are all zero: nobody has a neighbour")
        own = np.flatnonzero(matrix.diagonal())
        if len(own):
            raise OptionError(f"no unit is its own neighbour: the diagonal has {own[0]} set")
        self.W, self._rng = matrix, rng
        self.method = self._chosen() if method is None else method
        if self.method == "chebyshev" and self._symmetric is None:
            raise OptionError(
                "method='chebyshev' is for neighbours that are mutual, w_ij c_i = w_ji c_j"
            )

    def __repr__(self) -> str:
        return f"SpatialWeights(K={self.K}, neighbours={self.W.nnz}, method={self.method!r})"

    @property
    def K(self) -> int:
        """Units."""
        return int(self.W.shape[0])

    @property
    def isolates(self) -> Array:
        """Positions of units without neighbours."""
        return np.flatnonzero(np.diff(self.W.indptr) == 0)

    def _chosen(self) -> str:
        full = self.W.nnz > _FULL * self.K**2
        if self.K <= _EIGEN or (full and self.K <= _EIGEN_FULL and self._symmetric is not None):
            return "eigen"
        return "lu"

    # -- products --------------------------------------------------------------------------------

    def lagged(self, M: Array) -> Array:
        """M W' for rows M (n, K): each unit's neighbours, weighted."""
        return np.asarray((self.W @ M.T).T)

    def cells(self, shape: tuple[int, int]) -> Sparse:
        """W of all cells of rows (N, K), one row after the other: (N K, N K)."""
        return scipy.sparse.kron(scipy.sparse.eye_array(shape[0]), self.W, format="csr")

    def filter(self, lam: float) -> Sparse:
        """I - lam W, sparse."""
        return scipy.sparse.eye_array(self.K, format="csr") - lam * self.W

    def filtered(self, M: Array, lam: float) -> Array:
        """M (I - lam W)' for rows M (n, K)."""
        return M - lam * self.lagged(M)

    def inverse(self, M: Array, lam: float) -> Array:
        """M (I - lam W')^-1: what rows M (n, K) are the filtered ones of; one sparse LU."""
        lu: Sparse = scipy.sparse.linalg.splu(self.filter(lam).tocsc())
        return np.asarray(lu.solve(np.ascontiguousarray(M.T))).T

    def rescaled(self, c: Array) -> Self:
        """Of units e_j / c_j: w_ij c_j / c_i, which has the same eigenvalues."""
        again = object.__new__(type(self))
        C, back = scipy.sparse.diags_array(c), scipy.sparse.diags_array(1.0 / c)
        again.W, again._rng, again.method = (back @ self.W @ C).tocsr(), self._rng, self.method
        # Found once, for all units.
        again._log_dets, again.interval = self._log_dets, self.interval
        return again

    @cached_property
    def trace(self) -> float:
        """tr(W'W + W W)."""
        return float((self.W * self.W).sum() + (self.W * self.W.T.tocsr()).sum())

    # -- eigenvalues -----------------------------------------------------------------------------

    @cached_property
    def _symmetric(self) -> Sparse | None:
        """A symmetric matrix similar to W; None where neighbours are not mutual."""
        return symmetrised(self.W)

    @cached_property
    def eigenvalues(self) -> Array:
        """Of W, (K,), complex where some are; O(K^3)."""
        if self._symmetric is not None:
            return np.asarray(scipy.linalg.eigvalsh(self._symmetric.toarray()))
        found = scipy.linalg.eigvals(self.W.toarray())
        size = float(np.abs(found).max())
        return np.where(np.abs(found.imag) <= _REAL * size, found.real, found)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Ends of the open interval of admissible lam around 0; see the module."""
        low, high = self._ends()
        return 1.0 / low, 1.0 / high

    def _ends(self) -> tuple[float, float]:
        if self.method == "eigen":
            values = self.eigenvalues
            real = values[values.imag == 0.0].real
            size = float(np.abs(values).max())
            if size == 0.0:
                raise OptionError("I - lam W is singular for no lam: neighbours have no circle")
            # Where none is real on one side, where the series of lam W converges.
            least, most = float(real.min(initial=0.0)), float(real.max(initial=0.0))
            tiny = 1e-12 * size
            return least if least < -tiny else -size, most if most > tiny else size
        size = _radius(self.W)
        if self._symmetric is None:
            return -size, size
        total = np.asarray(self.W.sum(axis=1)).ravel()
        # Perron: of weights that are not negative and rows that all sum to s, s is the largest.
        even = bool((self.W.data > 0.0).all() and np.ptp(total) <= 1e-12 * total.max())
        most = float(total.max()) if even else _extreme(self._symmetric, "LA", size)
        return _extreme(self._symmetric, "SA", -size), most

    # -- the log-determinant ---------------------------------------------------------------------

    @cached_property
    def _log_dets(self) -> LogDeterminants:
        if self.method == "eigen":
            return Eigenvalues(self.eigenvalues)
        if self.method == "lu":
            return SparseLU(self.W)
        radius = max(-1.0 / self.interval[0], 1.0 / self.interval[1])
        rng = self._rng or np.random.default_rng(0)
        return Chebyshev(self._symmetric, radius, _ORDER, _PROBES, rng)

    def log_det(self, lam: float) -> LogDeterminant:
        """log|I - lam W| and its slope in lam, at an admissible lam."""
        return self._log_dets.at(lam)

    def curvature(self, lam: float) -> float:
        """tr (W (I - lam W)^-1)^2, the curvature of -log|I - lam W|, by a difference of slopes."""
        low, high = self.interval
        h = min(1e-4 * (high - low), 0.5 * (lam - low), 0.5 * (high - lam))
        return -(self.log_det(lam + h).slope - self.log_det(lam - h).slope) / (2.0 * h)


def inside(interval: tuple[float, float]) -> Array:
    """The interval (2,), a millionth of it inside of its ends."""
    low, high = interval
    margin = _INSIDE * (high - low)
    return np.array([low + margin, high - margin])


def row_standardised(W: Sparse) -> Sparse:
    """W (K, K) with rows that sum to one, sparse; rows of zeros stay so.

    Raises
    ------
    OptionError
        A row that is not zero sums to nothing.

    Examples
    --------
    >>> row_standardised(np.array([[0.0, 2.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).toarray()
    array([[0. , 0.5, 0.5],
           [1. , 0. , 0. ],
           [0. , 0. , 0. ]])
    """
    matrix: Sparse = scipy.sparse.csr_array(W, dtype=float, copy=True)
    total = np.asarray(matrix.sum(axis=1)).ravel()
    size = np.asarray(abs(matrix).sum(axis=1)).ravel()
    lost = np.flatnonzero((np.abs(total) <= 1e-12 * size) & (size > 0.0))
    if len(lost):
        raise OptionError(f"weights of row {lost[0]} sum to zero, and cannot be standardised")
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=size > 0.0)
    return (scipy.sparse.diags_array(scale) @ matrix).tocsr()


def symmetrised(W: Sparse) -> Sparse | None:
    """C^(1/2) W C^(-1/2), symmetric, C = diag(c_i) > 0 with c_i w_ij = c_j w_ji; None without one.

    c is passed on from neighbour to neighbour along a tree of each component, and checked on all
    other pairs. Cost O(nnz).
    """
    matrix: Sparse = scipy.sparse.csr_array(W)
    back: Sparse = matrix.T.tocsr()
    for one in (matrix, back):
        one.sort_indices()
    if not np.array_equal(matrix.indices, back.indices) or not np.array_equal(
        matrix.indptr, back.indptr
    ):
        return None
    if (matrix.data * back.data <= 0.0).any():
        return None
    ratio = matrix.copy()
    # log(w_ij / w_ji) = log c_j - log c_i.
    ratio.data = np.log(matrix.data / back.data)
    log_c = np.zeros(matrix.shape[0])
    label = scipy.sparse.csgraph.connected_components(matrix, directed=False)[1]
    for root in np.unique(label, return_index=True)[1]:
        order, parent = scipy.sparse.csgraph.breadth_first_order(matrix, int(root), directed=False)
        for i in order[1:]:
            log_c[i] = log_c[parent[i]] + ratio[parent[i], i]
    rows = np.repeat(np.arange(len(log_c)), np.diff(matrix.indptr))
    gap = ratio.data - (log_c[matrix.indices] - log_c[rows])
    if np.abs(gap).max(initial=0.0) > _MUTUAL:
        return None
    made = matrix.copy()
    made.data = np.sign(matrix.data) * np.sqrt(matrix.data * back.data)
    return made


def _extreme(S: Sparse, which: Any, bound: float) -> float:
    """The least ("SA") or largest ("LA") eigenvalue of a symmetric S.

    Where it is not found ``bound``, which is larger in size: the interval of lam that it gives is
    admissible too.
    """
    if S.shape[0] < 20:
        values = scipy.linalg.eigvalsh(S.toarray())
        return float(values[0] if which == "SA" else values[-1])
    start = np.random.default_rng(0).standard_normal(S.shape[0])
    try:
        found = scipy.sparse.linalg.eigsh(S, k=1, which=which, v0=start, return_eigenvectors=False)
    except scipy.sparse.linalg.ArpackNoConvergence:
        return bound
    return float(found[0])


def _radius(W: Sparse) -> float:
    """The largest size of an eigenvalue, or a bound of it: norms of rows and columns."""
    size = abs(W)
    rows, columns = size.sum(axis=1), size.sum(axis=0)
    return min(float(np.max(rows)), float(np.max(columns)), math.sqrt(float(size.power(2).sum())))
