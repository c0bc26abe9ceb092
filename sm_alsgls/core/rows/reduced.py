"""What rows leave of themselves, which merges with what other rows left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

# Lengths of columns, and values that they are shifted by, beyond which a number that has no square
# may be among them.
_LARGE = 1e140


@dataclass(frozen=True, eq=False)
class ReducedRows:
    """The triangular factor of N rows of regressors and responses, and what their columns are.

    Let M hold the q - 1 distinct columns of [X_1 .. X_K] that are not ones, and let s be values
    near the columns. Kept is R with

        R'R = [1  M - 1s_M'  Y - 1s_Y']' [1  M - 1s_M'  Y - 1s_Y'],

    c = q + K columns, whatever N. Because ones come first, R[:, 0] is zero below its first row, and
    a shift of s moves the first row of R only: R[0] += R[0, 0] ds'. Rows A and rows B have

        [A; B]'[A; B] = R_A'R_A + R_B'R_B = R'R,     R = qr([R_A; R_B])

    once both hold the same columns, less the same s. Two regressors are one column of the merged
    factor where they are one in A and one in B; so columns are distinct as they are in all
    rows together, in whatever order parts are merged. Merging is associative and commutative up to
    rounding (of eps times the length of each column less s), and up to the order of columns.

    Attributes
    ----------
    n_obs : int
        N; of no rows the arrays are empty, and merging returns the other.
    places : ndarray of int, shape (P,)
        Which column of R holds each regressor, equation after equation; 0 where it is all ones.
    sizes : ndarray of int, shape (K,)
        p_j.
    responses : ndarray of int, shape (K,)
        Which columns hold the responses.
    R : ndarray, shape (c, c)
        Upper triangular.
    shift : ndarray, shape (c,)
        s; 0 for the ones.
    first : ndarray, shape (c,)
        Values of some row.
    varies : ndarray of bool, shape (c,)
        Which columns are not constant.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.rows.compress import RowStream
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((1000, 2)), rng.standard_normal((1000, 3))
    >>> def read(start, stop):
    ...     stream = RowStream()
    ...     stream.update([X[start:stop]] * 3, Y[start:stop])
    ...     return stream.reduced()
    >>> both = read(0, 300).merge(read(300, 1000))
    >>> both.n_obs, both.R.shape
    (1000, (6, 6))
    >>> rows = both.rows()
    >>> np.allclose(rows.blocks[0].T @ rows.Y, X.T @ Y)
    True
    """

    n_obs: int
    places: Array
    sizes: Array
    responses: Array
    R: Array
    shift: Array
    first: Array
    varies: Array

    @classmethod
    def empty(cls) -> ReducedRows:
        """What no rows leave."""
        none, whole = np.empty(0), np.empty(0, dtype=int)
        return cls(0, whole, whole, whole, np.empty((0, 0)), none, none, none > 0.0)

    @property
    def K(self) -> int:
        """Equations."""
        return len(self.sizes)

    @property
    def responses_vary(self) -> Array:
        """Which responses are not constant (K,)."""
        return self.varies[self.responses]

    @property
    def ones(self) -> list[Array]:
        """K arrays (p_j,): which regressors have held nothing but ones."""
        return self._by_equation(self.places == 0)

    @property
    def sound(self) -> bool:
        """Whether it is of finite numbers for sure, all below 1e150.

        One that is not makes an element of its column of R infinite, NaN or as large.
        """
        return all(bool((np.abs(made) < _LARGE).all()) for made in (self.R, self.shift))

    def merge(self, other: ReducedRows) -> ReducedRows:
        """What both have left, in O(c^3).

        Raises
        ------
        ShapeError
            They are not of the same equations with as many regressors each.
        """
        if not self.n_obs or not other.n_obs:
            return self if self.n_obs else other
        if not np.array_equal(self.sizes, other.sizes):
            raise ShapeError(
                f"rows of {self.K} equations with {self.sizes.tolist()} regressors do not merge "
                f"with rows of {other.K} with {other.sizes.tolist()}"
            )
        places, here, there = self._common(other)
        large = self if self.n_obs >= other.n_obs else other
        shift = large.shift[here if large is self else there]
        stacked = np.vstack([self._columns(here, shift), other._columns(there, shift)])
        first = self.first[here]
        return ReducedRows(
            self.n_obs + other.n_obs,
            places,
            self.sizes,
            np.arange(len(here) - self.K, len(here)),
            _triangular(stacked),
            shift,
            first,
            self.varies[here] | other.varies[there] | (first != other.first[there]),
        )

    def rows(self) -> Rows:
        """c rows with the same products.

        Raises
        ------
        ShapeError
            There are none.
        """
        if self.n_obs == 0:
            raise ShapeError("no rows were read")
        R = self._columns(np.arange(len(self.R)), np.zeros(len(self.R)))
        known: dict[bytes, tuple[Array, Array]] = {}
        index = self._by_equation(self.places)
        for places in index:
            if places.tobytes() not in known:
                known[places.tobytes()] = R[:, places], self.varies[places]
        pairs = [known[places.tobytes()] for places in index]
        return Rows(
            [X for X, _ in pairs],
            np.asfortranarray(R[:, self.responses]),
            self.n_obs,
            R[:, 0].copy(),
            [varies for _, varies in pairs],
        )

    def _by_equation(self, values: Array) -> list[Array]:
        return np.split(values, np.cumsum(self.sizes)[:-1])

    def _columns(self, which: Array, shift: Array) -> Array:
        """Columns ``which`` of R, less ``shift`` in place of their own."""
        made = np.asfortranarray(self.R[:, which])
        made[0] += self.R[0, 0] * (self.shift[which] - shift)
        return made

    def _common(self, other: ReducedRows) -> tuple[Array, Array, Array]:
        """Places in the merged factor, and of each of its columns that in both factors (c,).

        Columns are the pairs of places that occur, in the order of the regressors, and
        the responses.
        """
        pairs = self.places.astype(np.int64) * len(other.R) + other.places
        # Ones are a column whether a regressor is one of them or not.
        found, at, back = np.unique(
            np.concatenate([[0], pairs]), return_index=True, return_inverse=True
        )
        order = np.argsort(at)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        here, there = np.divmod(found[order], len(other.R))
        return (
            rank[back][1:],
            np.concatenate([here, self.responses]),
            np.concatenate([there, other.responses]),
        )


def _triangular(stacked: Array) -> Array:
    """R (c, c) of a matrix (m, c), with rows of zeros where m < c."""
    m, c = stacked.shape
    if m < c:
        stacked = np.vstack([stacked, np.zeros((c - m, c))])
    factored = lapack.dgeqrf(np.asfortranarray(stacked), overwrite_a=1)[0]
    return np.asfortranarray(np.triu(factored[:c]))
