"""Rows of groups read as a stream of chunks, of which cross-products a group are kept.

The likelihood sees the rows of a group through products of [Z X y] only, so that memory is
O(m c^2), c = p + q + 1, whatever the number of rows; the rows of a group may be in any chunks.
Products are of columns that are orthogonal over the first rows, and in the end over all, so that
offsets of 1e6 cost no digits; dependent columns are found in a triangular factor of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.chunks import in_chunk
from sm_alsgls.border.names import listed
from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.mixed.cross_products import Basis, CrossProducts
from sm_alsgls.core.mixed.residual_laws import Common, Levels, ResidualLaw
from sm_alsgls.data.columns import dependent
from sm_alsgls.data.grouped import Names
from sm_alsgls.data.grouped_checks import (
    check_finite,
    check_groups,
    check_regressors,
    check_response,
)
from sm_alsgls.data.grouped_rows import Read, coded, complete_rows
from sm_alsgls.data.removed import READ_AS_STREAM, gone
from sm_alsgls.exceptions import InsufficientRowsError, RankDeficientError, ShapeError

Array = np.ndarray

# Rows that are added up at a time, and those that wait for columns that are independent in them.
_BATCH, _PATIENCE = 1 << 16, 1 << 18


@dataclass(frozen=True, eq=False)
class StreamedGroups:
    """As `Grouped`, of rows that are gone: every use of them raises `DataRemovedError`.

    Attributes
    ----------
    names, labels, n_dropped
        As of `Grouped`.
    counts : ndarray of int (m,)
    seen : ndarray of int (q,)
    """

    names: Names
    labels: pd.Index
    counts: Array
    seen: Array
    n_dropped: int
    kept: CrossProducts = field(repr=False)
    law: ResidualLaw
    triangles: tuple[Array, Array] = field(repr=False)

    @property
    def keeps_rows(self) -> bool:
        """No."""
        return False

    @property
    def nobs(self) -> int:
        """n."""
        return int(self.counts.sum())

    @property
    def m(self) -> int:
        """Number of groups."""
        return len(self.labels)

    def spans(self) -> tuple[Array, Array]:
        """Triangular factors of [X, y] and of Z."""
        return self.triangles

    def products(self, autoregressive: bool = False) -> tuple[CrossProducts, ResidualLaw]:
        """What was kept, and the law that it is of; errors that follow time were refused."""
        return self.kept, self.law

    def __getattr__(self, name: str) -> Any:
        if name in _GONE:
            return gone(_GONE[name], READ_AS_STREAM)
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


_GONE = {
    "y": "responses",
    "X": "regressors",
    "Z": "regressors of random effects",
    "codes": "groups of the rows",
    "order": "order of the rows",
    "index": "row labels",
    "weights": "weights",
    "times": "times",
    "levels": "levels of the rows",
    "provenance": "rows",
    "restored": "rows",
    "sorted": "rows",
}


def read_stream(
    chunks: Iterable[Any], read: Callable[[Any], Read | None], missing: str
) -> StreamedGroups:
    """Read chunks of rows, one after another, in memory that does not depend on their number.

    Parameters
    ----------
    chunks : iterable
    read : callable
        Makes rows of a chunk, None where it has none; what it raises is told with its number.
    missing : {"none", "drop", "raise"}

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, RankDeficientError
    """
    stream, number = _Stream(), 0
    for chunk in chunks:
        number += 1
        with in_chunk(number):
            rows = read(chunk)
            if rows is not None:
                stream.add(rows, missing)
        del chunk
    if not number:
        raise ShapeError(
            "the iterator of chunks is empty; was it used up before? Chunks are read once, when "
            "the model is made"
        )
    return stream.finish(number)


class _Stream:
    """What is known after some chunks."""

    def __init__(self) -> None:
        self.names: Names | None = None
        self.numbers: dict[Any, int] = {}  # of groups
        self.levels: dict[Any, int] = {}
        self.in_order = False  # whether levels came in theirs
        self.leveled: bool | None = None
        self.n_dropped, self.varies, self.first = 0, False, np.nan
        self.weight = 0.0
        self.there = np.zeros((0, 0), dtype=bool)
        self.wait: list[tuple[Array, ...]] = []
        self.waiting = 0
        self.products: CrossProducts | None = None
        self.basis: Basis | None = None
        self.Xy, self.Z = np.zeros((0, 0)), np.zeros((0, 0))

    def add(self, read: Read, missing: str) -> None:
        """Another chunk."""
        names = read.names
        if self.names is None:
            self.names, self.leveled = names, read.levels is not None
            self.there = np.zeros((0, names.q), dtype=bool)
            self.Xy, self.Z = np.zeros((0, names.p + 1)), np.zeros((0, names.q))
        self._check(names, read)
        kept = complete_rows(read, missing)
        self.n_dropped += read.n_dropped + len(read.y) - len(kept)
        if not len(kept):
            return
        y, X, Z = read.y[kept], read.X[kept], read.Z[kept]
        check_finite(names, y, X, Z, read.source.index[kept])
        self.first = y[0] if np.isnan(self.first) else self.first
        self.varies = self.varies or bool((y != self.first).any())
        found, labels = coded(read.groups.iloc[kept].reset_index(drop=True), "groups", names.group)
        numbers = [self.numbers.setdefault(label, len(self.numbers)) for label in labels]
        codes = np.array(numbers)[found]
        level = np.zeros(len(kept), dtype=int)
        if read.levels is not None:
            level = self._levels(read, kept)
        w = np.ones(len(kept)) if read.weights is None else read.weights[kept]
        self.weight += float(w.sum())
        self._see(codes, Z)
        self.wait.append((y, X, Z, codes, level, w))
        self.waiting += len(kept)
        if self.waiting >= _BATCH:
            self._sum(last=False)

    def _levels(self, read: Read, kept: Array) -> Array:
        """Of which level each row is; those of formulas are all known at once."""
        column = read.levels.iloc[kept].reset_index(drop=True)  # type: ignore[union-attr]
        if read.level_names is not None:
            self.in_order = True
            for name in read.level_names:
                self.levels.setdefault(name, len(self.levels))
            return column.to_numpy(dtype=int)
        codes, found = coded(column, "residual")
        known = [self.levels.setdefault(label, len(self.levels)) for label in found]
        return np.array(known)[codes]

    def _check(self, names: Names, read: Read) -> None:
        first = self.names
        if (read.levels is not None) != self.leveled:
            raise ShapeError("its rows have levels of residual= and the first chunk's not, or not")
        pairs = (
            ("exog", first.columns, names.columns, 0),  # type: ignore[union-attr]
            ("exog_re", first.columns_re, names.columns_re, 1),  # type: ignore[union-attr]
        )
        for argument, old, new, side in pairs:
            named = names.named[side] and first.named[side]  # type: ignore[union-attr]
            # The names of nameless columns depend on the values that a chunk happens to have.
            if len(old) != len(new) or (named and old != new):
                raise ShapeError(
                    f"{argument} has {len(new)} columns ({listed(map(repr, new))}), that of the "
                    f"first chunk {len(old)} ({listed(map(repr, old))}); give every chunk the "
                    "same, in the same order"
                )

    def _see(self, codes: Array, Z: Array) -> None:
        more = len(self.numbers) - len(self.there)
        self.there = np.vstack([self.there, np.zeros((more, Z.shape[1]), dtype=bool)])
        for j in range(Z.shape[1]):
            self.there[codes[Z[:, j] != 0.0], j] = True

    def _sum(self, last: bool) -> None:
        """Products of the rows that wait; without a basis they wait on, up to a limit."""
        y, X, Z, codes, level, w = (np.concatenate(part) for part in zip(*self.wait, strict=True))
        if self.basis is None:
            root = np.sqrt(w)
            try:
                self.basis = Basis.of_rows(Z * root[:, None], X * root[:, None], y * root)
            except RankDeficientError:
                if not last and self.waiting < _PATIENCE:
                    return
                sizes = [np.linalg.norm(M, axis=0) / np.sqrt(len(y)) for M in (Z, X)]
                sizes = [np.where(size > 0.0, size, 1.0) for size in sizes]
                self.basis = Basis(np.diag(sizes[0]), np.diag(sizes[1]), np.zeros(X.shape[1]))
        self.wait, self.waiting = [], 0
        self.Xy = _triangle(self.Xy, np.column_stack([X, y]))
        self.Z = _triangle(self.Z, Z)
        groups, codes = np.unique(codes, return_inverse=True)
        law, index = self._law(), level if self.leveled else None
        part = CrossProducts.of_rows(Z, X, y, codes, len(groups), law, index, w, self.basis)
        if self.products is None:
            m, c = int(groups.max()) + 1, part.C.shape[-1]
            none = np.zeros((m, law.terms), dtype=np.int64)
            empty = np.zeros((m, law.terms, c, c))
            self.products = CrossProducts(empty, none, none[:, 0], self.basis)
        self.products = self._widened(self.products, law.terms).merged(part, groups)

    def _law(self) -> ResidualLaw:
        return Levels(tuple(map(str, self.levels))) if self.leveled else Common()

    @staticmethod
    def _widened(products: CrossProducts, terms: int) -> CrossProducts:
        """With room for levels that were seen first in a later chunk."""
        more = terms - products.C.shape[1]
        if not more:
            return products
        C = np.pad(products.C, ((0, 0), (0, more), (0, 0), (0, 0)))
        return replace(products, C=C, pairs=np.pad(products.pairs, ((0, 0), (0, more))))

    def finish(self, number: int) -> StreamedGroups:
        """What is kept, checked."""
        names = self.names
        if names is None or not self.numbers:
            raise InsufficientRowsError(f"no row is left in {number} chunks")
        if self.wait:
            self._sum(last=True)
        products = self.products
        if products is None:
            raise InsufficientRowsError(f"no row is left in {number} chunks")
        counts = products.rows
        check_groups(names, len(counts), int(counts.sum()))
        if not self.varies:
            check_response(names, np.full(2, self.first))
        check_regressors(names, self.Xy[:, -1], self.Xy[:, :-1])
        mean = self.weight / counts.sum()
        if mean != 1.0:
            shift = products.log_weights - counts.sum() * float(np.log(mean))
            products = replace(products, C=products.C / mean, log_weights=shift)
        at, labels = _ordered(list(self.numbers), names.group)
        products = products.taken(at).rebased(self._basis(int(counts.sum())))
        law: ResidualLaw = Common()
        if self.leveled:
            products, law = self._in_order(products)
        return StreamedGroups(
            names,
            pd.Index(labels, name=names.group),
            products.rows,
            self.there.sum(axis=0),
            self.n_dropped,
            products,
            law,
            (self.Xy, self.Z),
        )

    def _basis(self, n: int) -> Basis:
        """Columns that are orthogonal over all rows, of which there are n."""
        scale, names = np.sqrt(len(self.Xy) / n), self.names
        try:
            return Basis.of_rows(self.Z * scale, self.Xy[:, :-1] * scale, self.Xy[:, -1] * scale)
        except DependentColumnsError as error:
            raise dependent(error, names.response, names.columns) from None  # type: ignore[union-attr]

    def _in_order(self, products: CrossProducts) -> tuple[CrossProducts, ResidualLaw]:
        """Levels that have rows, in the order that they have without a stream."""
        labels = list(self.levels)
        at = np.arange(len(labels))
        if not self.in_order:
            at = np.argsort(coded(pd.Series(labels), "residual")[0], kind="stable")
        at = at[products.pairs.sum(axis=0)[at] > 0]
        products = replace(products, C=products.C[:, at], pairs=products.pairs[:, at])
        if len(at) == 1:  # one level is no level
            return products, Common()
        return products, Levels(tuple(str(labels[i]) for i in at))


def _triangle(R: Array, rows: Array) -> Array:
    out: Array = np.linalg.qr(np.vstack([R, rows]), mode="r")  # type: ignore[assignment]
    return out


def _ordered(labels: list[Any], name: str) -> tuple[Array, Any]:
    """Positions of the groups in the order that they have without a stream, and their labels."""
    codes, found = coded(pd.Series(labels), "groups", name)
    return np.argsort(codes, kind="stable"), found
