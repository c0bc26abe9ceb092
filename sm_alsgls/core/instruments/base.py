"""What is asked of a form of the estimator: two-stage least squares, 3SLS, optimal-weight GMM.

Given Sigma each is linear in the errors. With scores s (N rows, as many columns as the form has),
linear in a row's errors, and gamma as in `Instrumented`,

    gamma-hat - gamma = pull(I)' sum_n s_n,

so a covariance that trusts Sigma and one that does not differ in what they take for the scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.instruments.design import Instrumented

Array = np.ndarray


# Elements of a slab of a matrix of all coefficients.
_SLAB = 2**14


class Columned(Protocol):
    """K equations with columns in an order that ``expand`` tells."""

    @property
    def K(self) -> int: ...  # noqa: D102

    def expand(self, v: Array) -> Array:
        """One value an equation (K,) for each of its columns, (P,)."""
        ...


class Solved(NamedTuple):
    """Coefficients gamma (P,) given Sigma, and how they were solved for.

    ``residual`` is the norm of the estimating equations left, in standard errors of these.
    """

    gamma: Array
    iterations: int
    residual: float
    converged: bool


class Form(Protocol):
    """An estimator given Sigma."""

    @property
    def design(self) -> Instrumented: ...  # noqa: D102

    def solve(self, Y: Array) -> Solved:
        """gamma of responses Y (n, K)."""
        ...

    def scores(self, design: Instrumented, E: Array) -> Array:
        """Scores (N, s) of errors E (N, K) on the rows of a ``design`` in the same coordinates."""
        ...

    def pull(self, B: Array) -> Array:
        """What combinations B'gamma, columns (P, m), make of the scores: (s, m)."""
        ...

    def carried(self, t: Array) -> Array:
        """The weights a (n, K) of the errors' cells in t'(sum_n s_n), t (s,) of `pull`."""
        ...

    def cross(self, B: Array, other: Array) -> Array:
        """B' Cov(gamma-hat) other where Sigma is that of the errors, (m, k)."""
        ...

    def block(self, j: int) -> Array:
        """Cov(gamma-hat_j), (p_j, p_j), likewise."""
        ...

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Equations and these blocks (m, p, p), a stack at a time."""
        ...

    def projection(self, L: Array) -> Array:
        """W (k, P): where gamma = L g, L'L = I, the estimator is g = W gamma-hat."""
        ...


def selector(design: Instrumented, j: int) -> Array:
    """Columns (P, p_j) that pick gamma_j."""
    at = design.equation_slice(j)
    out = np.zeros((design.P, at.stop - at.start))
    out[np.arange(at.start, at.stop), np.arange(at.stop - at.start)] = 1.0
    return out


def rows_of(design: PerEquation) -> Array:
    """All Q_j' as rows (P, n)."""
    rows = np.empty((design.P, design.n))
    for _, basis, at in design.tiles(design.K):
        rows[at] = basis.reshape(-1, design.n)
    return rows


def spread(M: Array, S: Array, left: Columned, right: Columned) -> Array:
    """M (P, P') times S_jl in the block of equations j of ``left`` and l of ``right``, in place."""
    rows, columns = (design.expand(np.arange(design.K)) for design in (left, right))
    slab = max(1, _SLAB // max(1, M.shape[1]))
    for start in range(0, len(M), slab):
        part = slice(start, start + slab)
        M[part] *= S.take(rows[part], axis=0).take(columns, axis=1)
    return M


Tiles = Iterator[tuple[Array, Array, slice]]


def through_factors(a: Array, F: Array, right: Tiles, left: Tiles) -> Array:
    """L'((R a) F F'), (P',), of stacks R_j', L_j' (m, p, n): it makes no (n, K) array.

    Parameters
    ----------
    a : ndarray, shape (P,)
    F : ndarray, shape (K, r)
        With one factor or more.
    right, left : iterator
        Equations, bases and places, as `PerEquation.tiles` has them.
    """
    parts = []
    for equations, basis, at in right:
        weights = a[at].reshape(len(equations), -1, 1) * F[equations][:, None, :]
        parts.append(weights.reshape(-1, F.shape[1]).T @ basis.reshape(-1, basis.shape[2]))
    inside = sum(parts[1:], parts[0])  # (r, n)
    out = np.empty(len(a))
    for equations, basis, at in left:
        scores = (basis.reshape(-1, basis.shape[2]) @ inside.T).reshape(
            *basis.shape[:2], F.shape[1]
        )
        out[at] = np.einsum("kmr,kr->km", scores, F[equations]).ravel()
    return out


def weighted_rows(design: PerEquation, M: Array) -> Array:
    """Q_nj M_nj for every coefficient, (n, P): the scores of M (n, K)."""
    out = np.empty((design.n, design.P))
    for equations, basis, at in design.tiles(max(1, 2**22 // design.n)):
        part = basis * M.T[equations][:, None, :]
        out[:, at] = part.reshape(-1, design.n).T
    return out
