"""What missing cells reach through filters of whole rows and a spatial lag, and how it moves.

With T a filter of rows (`sm_alsgls.core.laws.base`), A the lag and m the missing cells, what is
integrated out by `sm_alsgls.covariance.tied_holes` is T A_m. A filter says what it makes of rows,
and no matrix: T is read off what it makes of unit rows, of many at once, as rows reach few others
and those that reach none in common do not mix (Curtis, Powell and Reid 1974, Journal of the
Institute of Mathematics and its Applications 13). Its slopes likewise: those of the likelihood are

    (1/N) sum_n (d u_n)' Omega^-1 u_n + tr( (T A_m)' Omega^-1 (dT A_m) C ) / N - d log|T| / N,

the first of filled rows, the second a sum over unit rows of products with Omega^-1 T A_m C.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from sm_alsgls.core.laws.base import RowFilter
from sm_alsgls.core.laws.spatial_lag import SpatialLag, rescaled_lag
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.tied_holes import ThroughTiedHoles, TiedHoles

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any

# Of the way to the upper bound: values at which a filter leaves out nothing that it may reach.
_GENERIC = 0.3


class Probe:
    """Which rows a filter makes of which, and rows that may be told apart when made together.

    Parameters
    ----------
    filter : RowFilter
        Of whole rows, the same ones in every equation.
    shape : tuple of int
        (N, K).

    Attributes
    ----------
    to, of : ndarray of int, shape (c,)
        Row ``to`` is made of row ``of``, among others.
    colours : list of ndarray
        Places in these two, such that a row is in ``to`` once.

    Examples
    --------
    >>> from sm_alsgls.core.laws.ar import AR
    >>> probe = Probe(AR.of(4, np.array([0.0])), (4, 1))
    >>> probe.to, probe.of, len(probe.colours)
    (array([0, 1, 1, 2, 2, 3, 3]), array([0, 0, 1, 1, 2, 2, 3]), 2)
    """

    def __init__(self, filter: RowFilter, shape: tuple[int, int]) -> None:
        N, K = self.shape = shape
        there = filter.at(_GENERIC * filter.bounds[:, 1])
        to, of = [], []
        for start in range(0, N, K):
            at = np.arange(start, min(start + K, N))
            unit = np.zeros(shape)
            unit[at, at - start] = 1.0
            row, j = np.nonzero(there.rows(unit))
            to.append(row)
            of.append(at[j])
        found: Sparse = scipy.sparse.csr_array(
            (np.ones(sum(map(len, to))), (np.concatenate(to), np.concatenate(of))), shape=(N, N)
        )
        found.sort_indices()
        self.rows = found
        self.to = np.repeat(np.arange(N), np.diff(found.indptr))
        self.of = found.indices
        colour = _coloured((found.T @ found).tocsr())[self.of]
        self.colours = [np.flatnonzero(colour == c) for c in range(colour.max() + 1)]

    def unit(self, places: Array) -> Array:
        """Rows (N, K) that are 1 in ``of`` at some places, in all equations."""
        out = np.zeros(self.shape)
        out[self.of[places]] = 1.0
        return out


def _coloured(touching: Sparse) -> Array:
    """The least colour that none of those before it has that touch it, one after the other."""
    N = touching.shape[0]
    out = np.full(N, -1)
    for n in range(N):
        near = out[touching.indices[touching.indptr[n] : touching.indptr[n + 1]]]
        taken = np.unique(near[near >= 0])
        free = np.flatnonzero(taken != np.arange(len(taken)))
        out[n] = free[0] if len(free) else len(taken)
    return out


class Reach:
    """T A_m at values of a filter and a lag; see the module.

    Parameters
    ----------
    probe : Probe
        Of the filter, at any values.
    filter : RowFilter
    lag : SpatialLag or None
    patterns : Patterns
        Which cells there are.
    """

    def __init__(
        self, probe: Probe, filter: RowFilter, lag: SpatialLag | None, patterns: Patterns
    ) -> None:
        self.probe, self.filter, self.lag, self.patterns = probe, filter, lag, patterns

    def rescaled(self, c: Array) -> Reach:
        """Of responses y_j / c_j: filters know no units, neighbours among equations do."""
        if self.lag is None:
            return self
        return Reach(self.probe, self.filter, rescaled_lag(self.lag, c), self.patterns)

    @cached_property
    def _neighbours(self) -> Sparse:
        """W_m, (N K, M): what the lag takes of missing cells."""
        assert self.lag is not None
        return self.lag.weights.cells(self.probe.shape)[:, self._missing]

    @property
    def _missing(self) -> Array:
        return np.flatnonzero(~np.ascontiguousarray(self.patterns.mask).ravel())

    @cached_property
    def _A(self) -> Sparse:
        """A_m, (N K, M)."""
        m = self._missing
        size = (self.probe.shape[0] * self.probe.shape[1], len(m))
        unit = scipy.sparse.csr_array((np.ones(len(m)), (m, np.arange(len(m)))), shape=size)
        return unit if self.lag is None else (unit - self.lag.rho * self._neighbours).tocsr()

    @property
    def _places(self) -> tuple[Array, Array]:
        """Cells that are made of cells, (c, K) each."""
        K = self.probe.shape[1]
        each = np.arange(K)
        return self.probe.to[:, None] * K + each, self.probe.of[:, None] * K + each

    @cached_property
    def _T(self) -> Sparse:
        """T, (N K, N K)."""
        N, K = self.probe.shape
        values = np.empty((len(self.probe.to), K))
        for at in self.probe.colours:
            values[at] = self.filter.rows(self.probe.unit(at))[self.probe.to[at]]
        to, of = self._places
        places = (values.ravel(), (to.ravel(), of.ravel()))
        return scipy.sparse.csr_array(places, shape=(N * K, N * K))

    @cached_property
    def holes(self) -> TiedHoles:
        """T A_m as what is integrated out."""
        N, K = self.probe.shape
        m = self._missing
        row, cell = m // K, np.arange(len(m))
        if self.lag is not None:
            other = self._neighbours.tocoo()
            row, cell = np.append(row, other.row // K), np.append(cell, other.col)
        first = scipy.sparse.csr_array((np.ones(len(row)), (row, cell)), shape=(N, len(m)))
        return TiedHoles(self.patterns, self._T @ self._A, self.probe.rows @ first)

    # -- slopes ----------------------------------------------------------------------------------

    def filled(self, E: Array, seen: ThroughTiedHoles) -> Array:
        """Residuals A y - X b (N, K), of missing cells at their means, before the filter."""
        e = seen.cells(self.filter.rows(E))
        return E + np.asarray(self._A @ e).reshape(E.shape)

    def of_filter(self, E: Array, seen: ThroughTiedHoles) -> Array:
        """d psi / d values of the filter, (m,), at residuals E (N, K) of raw rows."""
        E = self.filled(E, seen)
        TE = self.filter.rows(E)
        out = self.filter.gradient(E, TE, seen.cov.solve(TE))
        to, of = self._places
        around: Sparse = (seen.pulled() @ self._A.T).tocsr()
        pulled = np.asarray(around[to.ravel(), of.ravel()]).reshape(to.shape)
        for at in self.probe.colours:
            unit, W = self.probe.unit(at), np.zeros(E.shape)
            made = self.filter.rows(unit)
            jacobian = self.filter.gradient(unit, made, W)
            W[self.probe.to[at]] = pulled[at]
            out = out + self.filter.gradient(unit, made, W) - jacobian
        return out

    def of_lag(self, Y: Array, E: Array, seen: ThroughTiedHoles) -> float:
        """d psi / d rho, at responses Y (N, K) that residuals E are of."""
        assert self.lag is not None
        added = seen.missing(self.filter.rows(E))
        W = seen.cov.solve(self.filter.rows(self.filled(E, seen)))
        lagged = self.filter.rows(self.lag.weights.lagged(Y + added))
        moved = (self._T @ self._neighbours).multiply(seen.pulled())
        return self.lag.gradient(W, lagged) - float(moved.sum()) / len(E)
