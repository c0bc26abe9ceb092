"""What the likelihood keeps of the rows: products of [Z X y] a group and a term of the law.

    C[i, k] = sum over pairs (l, r) of group i in term k of  [Z X y]_l' [Z X y]_r

(c x c, c = q + p + 1), and how many pairs there are. They are of *working* columns

    [Z X y] = [Zw Xw yw] T,     T = [ Tz 0 0 ; 0 Tx Tx b0 ; 0 0 1 ]   upper triangular,

with Zw'Zw = Xw'Xw = n I over all rows and yw the residual of least squares of y on X (b0), so that
an offset of 1e6 in a regressor, or its unit, costs no digit of the products. All that is
made of them is carried back by T in the end. Products of two parts of the rows are added, in the
basis of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from sm_alsgls.core.design.bases import DependentColumnsError
from sm_alsgls.core.mixed.residual_laws import Common, ResidualLaw
from sm_alsgls.exceptions import RankDeficientError, ShapeError

Array = np.ndarray

# Elements of gathered rows at a time.
_PIECE = 1 << 19
# Rows of a sample, in columns; rows at a time.
_SAMPLE, _ROWS = 20, 8192
# Below this share of its length outside the span of the columns before it, a column is dependent.
_DEPENDENT = 1e-11


@dataclass(frozen=True, eq=False)
class Basis:
    """The working columns, [Z X y] = [Zw Xw yw] T.

    Attributes
    ----------
    z : ndarray, shape (q, q)
        Tz, upper triangular; diagonal where Z's columns are linearly dependent.
    x : ndarray, shape (p, p)
        Tx, upper triangular.
    b0 : ndarray, shape (p,)
        What yw is the residual of, in the units of X.
    """

    z: Array
    x: Array
    b0: Array

    @property
    def q(self) -> int:
        """Columns of Z."""
        return len(self.z)

    @property
    def p(self) -> int:
        """Columns of X."""
        return len(self.x)

    @cached_property
    def T(self) -> Array:
        """The whole triangle, (c, c)."""
        q, p = self.q, self.p
        T = np.zeros((q + p + 1, q + p + 1))
        T[:q, :q], T[q:-1, q:-1] = self.z, self.x
        T[q:-1, -1], T[-1, -1] = self.x @ self.b0, 1.0
        return T

    def working(self, Z: Array, X: Array, y: Array) -> Array:
        """[Zw Xw yw] of rows, (n, c)."""
        out = np.empty((len(y), self.q + self.p + 1))
        out[:, : self.q] = Z @ solve_triangular(self.z, np.eye(self.q))
        if self.p:
            out[:, self.q : -1] = X @ solve_triangular(self.x, np.eye(self.p))
        out[:, -1] = y - X @ self.b0
        return out

    def after(self, total: Array, n: int) -> Basis:
        """The basis of n rows whose products in this basis are ``total`` (c, c).

        Raises
        ------
        RankDeficientError
            Columns of X that are linearly dependent.
        """
        q, p = self.q, self.p
        inner = Basis.by_qr(*np.split(_root(total), [q, q + p], axis=1))
        root = np.sqrt(len(total) / max(n, 1))
        moved = solve_triangular(self.x, inner.b0) if p else inner.b0
        return Basis(root * inner.z @ self.z, root * inner.x @ self.x, self.b0 + moved)

    @classmethod
    def of_rows(cls, Z: Array, X: Array, y: Array) -> Basis:
        """Of some rows (n, q), (n, p), (n,); the first chunk of a stream is enough.

        Where rows are many, QR of some of them takes off offsets and units, and their products in
        that basis do the rest: two products for a QR of all, a third of its time.

        Raises
        ------
        RankDeficientError
            Columns of X that are linearly dependent.
        """
        n = len(y)
        some = slice(None, None, n // max(1, _SAMPLE * (Z.shape[1] + X.shape[1] + 1)) or 1)
        if some.step < 2:
            return cls.by_qr(Z, X, y)
        try:
            first = cls.by_qr(Z[some], X[some], y[some])
        except RankDeficientError:
            # A column that is zero in most rows.
            return cls.by_qr(Z, X, y)
        total = np.zeros((len(first.T), len(first.T)))
        for at in range(0, n, _ROWS):
            piece = slice(at, at + _ROWS)
            rows = first.working(Z[piece], X[piece], y[piece])
            total += rows.T @ rows
        return first.after(total, n)

    @classmethod
    def by_qr(cls, Z: Array, X: Array, y: Array) -> Basis:
        """By QR of all of some rows.

        Raises
        ------
        RankDeficientError
            Columns of X that are linearly dependent.
        """
        n, p = X.shape
        y = y.reshape(-1)
        Xy = _upright(np.column_stack([X, y]))
        Tx, size = Xy[:p, :p], np.linalg.norm(X, axis=0)
        if len(Xy) < p or (np.abs(np.diagonal(Tx)) <= _DEPENDENT * size).any():
            short = np.abs(np.diagonal(Tx)) <= _DEPENDENT * size[: len(Xy)]
            at = int(np.flatnonzero(short)[0]) if short.any() else len(Xy)
            raise DependentColumnsError(0, (at,), tuple(range(at)))
        b0 = solve_triangular(Tx, Xy[:p, p]) if p else np.empty(0)
        root = np.sqrt(n)
        return cls(_triangle_of(Z) / root, Tx / root, b0)


def _upright(M: Array) -> Array:
    """R of M = Q R with a diagonal that is not negative, so that it is one, on any CPU."""
    R: Array = np.linalg.qr(M, mode="r")  # type: ignore[assignment]
    return np.where(np.diagonal(R) < 0.0, -1.0, 1.0)[:, None] * R


def _triangle_of(Z: Array) -> Array:
    """R of Z = Q R, or the lengths of its columns on a diagonal where they are dependent."""
    size = np.linalg.norm(Z, axis=0)
    size = np.where(size > 0.0, size, 1.0)
    R = _upright(Z)
    if len(R) < Z.shape[1] or (np.abs(np.diagonal(R)) <= _DEPENDENT * size).any():
        return np.diag(size)
    return R


@dataclass(frozen=True, eq=False)
class CrossProducts:
    """Products of m groups, in working columns.

    Attributes
    ----------
    C : ndarray, shape (m, L, c, c)
        Of the L terms of the law.
    pairs : ndarray of int, shape (m, L)
        How many each is the sum of.
    rows : ndarray of int, shape (m,)
        T_i.
    basis : Basis
    log_weights : float
        Sum of the logarithms of the rows' weights.
    """

    C: Array
    pairs: Array
    rows: Array
    basis: Basis
    log_weights: float = 0.0

    @classmethod
    def of_rows(
        cls,
        Z: Array,
        X: Array,
        y: Array,
        codes: Array,
        m: int,
        law: ResidualLaw | None = None,
        index: Array | None = None,
        weights: Array | None = None,
        basis: Basis | None = None,
    ) -> CrossProducts:
        """Products of rows in any order.

        Parameters
        ----------
        Z, X, y : ndarray, shapes (n, q), (n, p), (n,)
        codes : ndarray of int, shape (n,)
            Group of each row, 0 to m - 1.
        m : int
        law : ResidualLaw, optional
            Default one variance.
        index : ndarray, shape (n,), optional
            Level (`Levels`) or time (`AR1`) of each row.
        weights : ndarray, shape (n,), optional
            A row's variance is divided by its weight.
        basis : Basis, optional
            Default that of these rows.

        Raises
        ------
        ShapeError
            Rows that do not fit together.
        RankDeficientError
            Columns of X that are linearly dependent.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = np.column_stack([np.ones(6), 1e6 + np.arange(6.0)])
        >>> part = CrossProducts.of_rows(X, X, X[:, 1], np.array([0, 1] * 3), 2)
        >>> part.C.shape, part.n, bool(abs(part.C[:, 0, :, -1]).max() < 1e-6)
        ((2, 1, 5, 5), 6, True)
        """
        law = Common() if law is None else law
        n = len(y)
        if not len(Z) == len(X) == len(codes) == n:
            raise ShapeError(
                f"Z, X, y and groups have {len(Z)}, {len(X)}, {n} and {len(codes)} rows"
            )
        log_weights = 0.0
        if weights is not None:
            root = np.sqrt(weights)
            Z, X, y = Z * root[:, None], X * root[:, None], y * root
            log_weights = float(np.log(weights).sum())
        basis = Basis.of_rows(Z, X, y) if basis is None else basis
        rows = basis.working(Z, X, y)
        terms = law.pairs(codes, index)
        C = np.empty((m, len(terms), rows.shape[1], rows.shape[1]))
        pairs = np.empty((m, len(terms)), dtype=np.int64)
        for k, (left, right) in enumerate(terms):
            of = codes[left]
            pairs[:, k] = np.bincount(of, minlength=m)
            C[:, k] = _sums(rows, left, right, of, pairs[:, k])
        return cls(C, pairs, np.bincount(codes, minlength=m), basis, log_weights)

    @property
    def q(self) -> int:
        """Columns of Z."""
        return self.basis.q

    @property
    def p(self) -> int:
        """Columns of X."""
        return self.basis.p

    @property
    def m(self) -> int:
        """Groups."""
        return len(self.C)

    @cached_property
    def n(self) -> int:
        """Rows."""
        return int(self.rows.sum())

    def rebased(self, basis: Basis) -> CrossProducts:
        """The same products of other working columns."""
        if basis is self.basis:
            return self
        change = solve_triangular(basis.T, self.basis.T.T, trans="T", lower=False).T
        C = np.matmul(change.T, np.matmul(self.C, change))
        return CrossProducts(C, self.pairs, self.rows, basis, self.log_weights)

    def settled(self, law: ResidualLaw) -> CrossProducts:
        """In the basis of all rows there are.

        A stream begins with that of its first chunk, whose columns may be far from orthogonal
        over all rows.

        Raises
        ------
        RankDeficientError
            Columns of X that are linearly dependent.
        """
        total = self.C[:, law.once].sum(axis=(0, 1))
        return self.rebased(self.basis.after(total, self.n))

    def in_user_units(self) -> Array:
        """C of [Z X y] themselves, (m, L, c, c)."""
        T = self.basis.T
        return np.matmul(T.T, np.matmul(self.C, T))

    def merged(self, other: CrossProducts, where: Array | None = None) -> CrossProducts:
        """With the products of other rows of the same, or of other, groups; in this basis.

        Parameters
        ----------
        other : CrossProducts
            Of the same columns and law.
        where : ndarray of int, shape (other.m,), optional
            Group of each of the other's groups; numbers from ``m`` on are new groups. Default:
            the same groups.
        """
        if other.C.shape[1:] != self.C.shape[1:]:
            raise ShapeError("products of other columns, or of another law, cannot be added")
        other = other.rebased(self.basis)
        where = np.arange(other.m) if where is None else np.asarray(where)
        m = max(self.m, int(where.max(initial=-1)) + 1)
        C = np.zeros((m, *self.C.shape[1:]))
        pairs, rows = np.zeros((m, self.pairs.shape[1]), np.int64), np.zeros(m, np.int64)
        C[: self.m], pairs[: self.m], rows[: self.m] = self.C, self.pairs, self.rows
        np.add.at(C, where, other.C)
        np.add.at(pairs, where, other.pairs)
        np.add.at(rows, where, other.rows)
        log_weights = self.log_weights + other.log_weights
        return CrossProducts(C, pairs, rows, self.basis, log_weights)

    def taken(self, groups: Array) -> CrossProducts:
        """Of some groups, one of them more than once if so asked: what a bootstrap draws.

        ``log_weights`` stays that of all, a constant.
        """
        return CrossProducts(
            self.C[groups], self.pairs[groups], self.rows[groups], self.basis, self.log_weights
        )


def _sums(rows: Array, left: Array, right: Array, of: Array, pairs: Array) -> Array:
    """Sums of l r' (and r l') over the pairs of each group, (m, c, c).

    Groups of one size are one batched product; O(n c^2), and pieces bound what is gathered.
    """
    m, c = len(pairs), rows.shape[1]
    out = np.zeros((m, c, c))
    order = np.argsort(of, kind="stable")
    for some, at in _batches(pairs, c):
        rows_of = order[at]
        L = rows[left[rows_of]]
        if right is left:
            out[some] = np.matmul(L.transpose(0, 2, 1), L)
        else:
            product = np.matmul(L.transpose(0, 2, 1), rows[right[rows_of]])
            out[some] = product + product.transpose(0, 2, 1)
    return out


def _batches(sizes: Array, columns: int) -> Iterator[tuple[Array, Array]]:
    """Groups of one size, and the numbers (groups, size) of their rows in the order of groups."""
    begins = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]):
        groups = np.flatnonzero(sizes == size)
        step = max(1, _PIECE // (int(size) * columns))
        for start in range(0, len(groups), step):
            some = groups[start : start + step]
            yield some, begins[some][:, None] + np.arange(size)


def summed_by_group(left: Array, right: Array, codes: Array, m: int) -> Array:
    """Sums of l r' over the rows of each group, (m, a, b), of rows in the order of groups.

    Examples
    --------
    >>> import numpy as np
    >>> one, two = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> summed_by_group(one, two, np.array([0, 0, 1]), 2).tolist()
    [[[1.0, 2.0]], [[3.0, 3.0]]]
    """
    out = np.zeros((m, left.shape[1], right.shape[1]))
    for some, at in _batches(np.bincount(codes, minlength=m), left.shape[1] + right.shape[1]):
        out[some] = np.matmul(left[at].transpose(0, 2, 1), right[at])
    return out


def _root(total: Array) -> Array:
    """R with R'R = total, (c, c)."""
    values, vectors = np.linalg.eigh(total)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
