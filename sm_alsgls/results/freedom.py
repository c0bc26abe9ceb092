"""What the linear restrictions of a fit leave free, which its covariance knows up to rounding."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.data.labels import Columns
from sm_alsgls.exceptions import RestrictionError

# A combination of coefficients is fixed where less than this share of it is left free.
_FREE = 1e-10


class Freedom:
    """Combinations R beta under the restrictions Q beta = q of a fit.

    Answers come from Q alone: a covariance that restrictions make singular has variances of
    1e-16, not 0, which no tolerance tells from small ones in every ``cov_type``.

    Parameters
    ----------
    Q : ndarray, shape (m, P), or None
        None where nothing is restricted.
    """

    def __init__(self, Q: np.ndarray | None) -> None:
        self.Q = Q

    def of(self, at: Columns) -> Freedom:
        """For combinations of only the coefficients ``at``."""
        return _Part(self, at)

    @cached_property
    def span(self) -> np.ndarray:
        """Orthonormal columns (P, m) that span the rows of Q."""
        Q = np.empty((0, 0)) if self.Q is None else self.Q
        rows = Q / np.linalg.norm(Q, axis=1)[:, None]
        return np.linalg.qr(rows.T)[0]

    def left(self, R: np.ndarray) -> np.ndarray:
        """The part of each row of R, in units of its length, that is not spanned by Q."""
        length = np.linalg.norm(R, axis=1)[:, None]
        rows = R / np.where(length > 0.0, length, 1.0)
        return rows - (rows @ self.span) @ self.span.T

    def fixed(self, R: np.ndarray) -> np.ndarray:
        """Which combinations (rows of R) the restrictions give a number, (m,) of bool."""
        if self.Q is None:
            return np.zeros(len(R), dtype=bool)
        return np.linalg.norm(self.left(R), axis=1) <= _FREE

    def fixed_coefficients(self, P: int) -> np.ndarray:
        """Which of the P coefficients have a number, (P,) of bool."""
        if self.Q is None:
            return np.zeros(P, dtype=bool)
        # |e_k - A A'e_k|^2 = 1 - |row k of A|^2, without an identity of size P. Its rounding
        # error is 1e-16, so the candidates are looked at again.
        near = np.flatnonzero(np.square(self.span).sum(axis=1) > 1.0 - 1e-12)
        out = np.zeros(P, dtype=bool)
        rows = np.zeros((len(near), P))
        rows[np.arange(len(near)), near] = 1.0
        out[near] = self.fixed(rows)
        return out

    def independent(self, R: np.ndarray) -> np.ndarray:
        """Positions of rows of R that say all that R says of what is free.

        A hypothesis about a fixed combination is left out, and of several that the restrictions
        tie together only as many are kept as are free.
        """
        if self.Q is None:
            return np.arange(len(R))
        free = np.flatnonzero(~self.fixed(R))
        if not len(free):
            return free
        return free[spanning(self.left(R[free]))]


def spanning(R: np.ndarray) -> np.ndarray:
    """Positions of rows of R (m, P), none of them zero, of which the others are combinations."""
    rows = R / np.linalg.norm(R, axis=1)[:, None]
    _, triangle, order = scipy.linalg.qr(rows.T, mode="economic", pivoting=True)
    size = np.abs(np.diagonal(triangle))
    return np.sort(order[: int((size > _FREE * size[0]).sum())])


class _Part(Freedom):
    """A `Freedom` whose combinations (m, p) are of some of the P coefficients."""

    def __init__(self, whole: Freedom, at: Columns) -> None:
        super().__init__(whole.Q)
        self.whole, self.at = whole, at

    def left(self, R: np.ndarray) -> np.ndarray:
        span = self.whole.span
        full = np.zeros((len(R), len(span)))
        full[:, self.at] = R
        return self.whole.left(full)


def left_to_test(freedom: Freedom, R: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hypotheses R beta = q that the restrictions leave open.

    Raises
    ------
    RestrictionError
        There are none.
    """
    open_ = freedom.independent(R)
    if not len(open_):
        raise RestrictionError(
            "the restrictions of this fit fix everything that is to be tested; test it in the fit "
            "without them, or the restrictions themselves with restriction_tests()"
        )
    return R[open_], q[open_]
