"""Cells whose errors are made of the innovations of several rows.

An innovation v_nj over a gap, of an autoregressive error that was last seen some rows before, is a
weighted sum of what came in all the rows k since,

    v_nj = sum_k w_njk u_kj,        sum_k w_njk^2 = 1,

u_k of row k with the covariance Sigma = F F' + D. Other cells have u_nj itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Spans:
    """Which cells lie behind a gap, and the rows that each is made of.

    Attributes
    ----------
    mask : ndarray of bool, shape (N, K)
        Cells that were observed.
    row, equation : ndarray of int, shape (C,)
        The cells behind a gap.
    cell, source : ndarray of int, shape (m,)
        An entry for each row k of each: which cell, and k. Entries of a cell are neighbours, the
        cell's own row the last.
    """

    mask: Array
    row: Array
    equation: Array
    cell: Array
    source: Array

    def __getstate__(self) -> dict[str, Any]:
        """Without what is soon made again."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def simple(self) -> Array:
        """Cells that have u_nj itself, (N, K) of 0 and 1."""
        out = self.mask.astype(float)
        out[self.row, self.equation] = 0.0
        return out

    @cached_property
    def pairs(self) -> tuple[Array, Array]:
        """Pairs of entries of one cell, the first's row not before the second's."""
        start = np.searchsorted(self.cell, self.cell)
        earlier = np.arange(len(self.cell)) - start + 1
        first = np.repeat(np.arange(len(self.cell)), earlier)
        within = np.arange(len(first)) - np.repeat(np.cumsum(earlier) - earlier, earlier)
        return first, start[first] + within

    @cached_property
    def width(self) -> int:
        """Rows that the longest of them reaches over."""
        first, second = self.pairs
        return int((self.source[first] - self.source[second]).max(initial=0)) + 1


class Spread:
    """Spans with their weights.

    Parameters
    ----------
    spans : Spans
    weight : ndarray, shape (m,)
        w of each entry.
    slope : ndarray, shape (m,)
        Its derivative in the equation's parameter.

    Examples
    --------
    >>> mask = np.array([[True], [False], [True]])
    >>> spans = Spans(mask, np.array([2]), np.array([0]), np.array([0, 0]), np.array([1, 2]))
    >>> spread = Spread(spans, np.array([0.6, 0.8]), np.zeros(2))
    >>> spread.gathered(np.ones((3, 1))).ravel()  # 1, and .6 + .8 at the cell behind the gap
    array([1. , 0. , 1.4])
    """

    def __init__(self, spans: Spans, weight: Array, slope: Array) -> None:
        self.spans, self.weight, self.slope = spans, weight, slope
        N, C = len(spans.mask), len(spans.row)
        of = (spans.cell, spans.source)
        self._by_row: Sparse = scipy.sparse.csr_array((weight, of), shape=(C, N))
        first, second = spans.pairs
        lag = spans.source[first] - spans.source[second]
        at = (lag * N + spans.source[second], spans.equation[spans.cell[first]])
        product = weight[first] * weight[second]
        shape = (spans.width * N, spans.mask.shape[1])
        self._products: Sparse = scipy.sparse.csr_array((product, at), shape=shape)

    def __reduce__(self) -> tuple[Any, ...]:
        """Saved without products of weights, which are soon made again."""
        return type(self), (self.spans, self.weight, self.slope)

    def gathered(self, M: Array) -> Array:
        """sum_k w_njk m_kj of rows M (N, K), in the observed cells; zero elsewhere."""
        spans = self.spans
        out = M * spans.simple
        entries = self.weight * M[spans.source, spans.equation[spans.cell]]
        out[spans.row, spans.equation] = np.bincount(spans.cell, entries, len(spans.row))
        return out

    def common(self, Z: Array, F: Array) -> Array:
        """`gathered` of Z F' for factors Z (N, r) and loadings F (K, r)."""
        spans = self.spans
        out = (Z @ F.T) * spans.simple
        behind = np.einsum("cr,cr->c", self._by_row @ Z, F[spans.equation])
        out[spans.row, spans.equation] = behind
        return out

    def returned(self, M: Array, F: Array) -> Array:
        """The transpose of `common` in Z: (N, r) of cells M (N, K)."""
        spans = self.spans
        behind = M[spans.row, spans.equation][:, None] * F[spans.equation]
        return np.asarray((M * spans.simple) @ F + self._by_row.T @ behind)

    def crossed(self, M: Array, Z: Array) -> Array:
        """sum over the cells of j of m_nj times what they have of Z (N, r): (K, r)."""
        spans = self.spans
        out = (M * spans.simple).T @ Z
        behind = M[spans.row, spans.equation][:, None] * (self._by_row @ Z)
        np.add.at(out, spans.equation, behind)
        return out

    def blocks(self, products: Array) -> Array:
        """sum over cells of w_k w_l P_j for rows k = l + lag: (width, N, q), of P (K, q)."""
        spans = self.spans
        N = len(spans.mask)
        out = np.asarray(self._products @ products).reshape(spans.width, N, products.shape[1])
        out[0] += spans.simple @ products
        return out

    def sums(self, blocks: Array) -> Array:
        """The transpose of `blocks`, (K, q): sums over the cells of each equation."""
        width, N, q = blocks.shape
        flat = blocks.reshape(width * N, q)
        return np.asarray(self._products.T @ flat + self.spans.simple.T @ blocks[0])
