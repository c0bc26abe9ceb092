"""What may be asked of a covariance of the errors.

Two floors. `RowCovariance` is what the beta-step asks, of one Sigma for all rows or of a Sigma of
each row's own; `Covariance` is a value Sigma (K, K) of one row. A fast way that not every
covariance has is an attribute that says so, ``low_rank`` above all: nobody asks which class it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeGuard

import numpy as np

from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray


class Pieces(Protocol):
    """M Sigma^-1 whose equations are read, and written, a few at a time; see `PiecewiseSolve`."""

    def scale(self, equations: Array) -> Array:
        """(jb,): what a column is multiplied by."""
        ...

    def read(self, equations: Array, Mt: Array) -> None:
        """Take in the columns Mt (jb, n) of some equations."""
        ...

    def know(self, scores: Array) -> bool:
        """Take in all columns by F'D^-1 M' (r, n); False where they must be read."""
        ...

    def taken(self, equations: Array, out: Array) -> Array:
        """What is taken off those columns, into ``out`` (jb, n)."""
        ...


class RowCovariance(Protocol):
    """The covariances of the rows' errors, as the beta-step asks.

    Rows are independent; row n has the covariance Sigma_n of the equations it has. Rows M (n, K)
    are zero where a row lacks an equation, and so is what comes back.
    """

    def solve(self, M: Array) -> Array:
        """Rows Sigma_n^-1 m_n, (n, K); O(n K r) where Sigma is low rank."""
        ...

    def precision_diag(self) -> Array:
        """(Sigma_n^-1)_jj, the mean over the rows that have j, (K,), positive; O(K r^2)."""
        ...

    def piecewise(self, n: int) -> Pieces | None:
        """``solve`` in pieces, for n rows; None where solving needs whole rows."""
        ...

    @property
    def precision(self) -> Array | None:
        """Sigma^-1, (K, K), read-only, where all rows have the same: for few equations only."""
        ...


class Covariance(RowCovariance, Protocol):
    """Sigma of one row's errors, as a frozen value of K equations."""

    @property
    def K(self) -> int:
        """Equations."""
        ...

    @property
    def holes(self) -> bool:
        """Whether rows may lack some equations: whether there is a ``seen``."""
        ...

    @property
    def low_rank(self) -> LowRank | None:
        """The factors, where Sigma is low rank plus diagonal; else None.

        With it there are the dual and the two-level route to standard errors, and closed forms at
        rank 0 and for equal designs; without it H is factorised, or solved by conjugate gradients.
        """
        ...

    @property
    def root(self) -> Array | None:
        """R, upper triangular with Sigma = R'R, (K, K), where Sigma is kept by it; else None."""
        ...

    def logdet(self) -> float:
        """log|Sigma|."""
        ...

    def quad(self, E: Array) -> float:
        """tr(E Sigma^-1 E')."""
        ...

    def nll(self, E: Array, n: float | None = None) -> float:
        """Gaussian negative log-likelihood per row, of n rows with the products of E (m, K)."""
        ...

    def times(self, M: Array) -> Array:
        """Rows M (n, K) times Sigma."""
        ...

    def whiten(self, M: Array) -> Array:
        """M W with W W' = Sigma^-1."""
        ...

    def diag(self) -> Array:
        """Variances, (K,)."""
        ...

    def scaled(self, c: Array) -> Self:
        """diag(c) Sigma diag(c)."""
        ...

    def canonical(self) -> Self:
        """The same Sigma in the form that two fits print alike."""
        ...

    def marginal(self, idx: Any) -> Self:
        """Sigma of some of the equations, by any index of one dimension."""
        ...

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """n rows of N(0, Sigma)."""
        ...

    def seen(self, patterns: Patterns) -> SeenCovariance:
        """As rows see it that lack some equations."""
        ...

    def to_dense(self) -> Array:
        """Sigma, (K, K): the one method that may cost K^2."""
        ...


class LowRank(Covariance, Protocol):
    """Sigma = F F' + D, Sigma^-1 = D^-1 - G G'."""

    @property
    def precision(self) -> Array:
        """Sigma^-1, (K, K)."""
        ...

    @property
    def loadings(self) -> Array:
        """F, (K, r)."""
        ...

    @property
    def uniquenesses(self) -> Array:
        """d, (K,)."""
        ...

    @property
    def precision_factor(self) -> Array:
        """G, (K, r)."""
        ...

    @property
    def rank(self) -> int:
        """r."""
        ...


def is_covariance(value: object) -> TypeGuard[Covariance]:
    """Whether a value keeps the promises of `Covariance`, by what it has and not what it is."""
    return not isinstance(value, type) and all(
        hasattr(value, name) for name in ("solve", "low_rank", "seen", "to_dense", "logdet")
    )


def factors_of(cov: Covariance) -> LowRank:
    """``cov`` as F F' + D, for a law that has no other.

    Raises
    ------
    TypeError
        It has no factors.
    """
    factors = cov.low_rank
    if factors is None:
        raise TypeError(f"the low-rank law needs factors, and {cov!r} has none")
    return factors


def information(cov: RowCovariance, blocks: Sequence[Array]) -> Array:
    """Sum over rows of x_n Sigma_n^-1 x_n', (P, P), of designs (N, p_j) side by side.

    A covariance of rows that are not alike has a method for it; else it is P_jl X_j'X_l.
    """
    own = getattr(cov, "information", None)
    if own is not None:
        return np.asarray(own(blocks))
    precision = cov.precision
    if precision is None:
        raise TypeError(f"{cov!r} has neither one precision nor an information")
    X = np.concatenate(list(blocks), axis=1)
    owner = np.repeat(np.arange(len(blocks)), [B.shape[1] for B in blocks])
    return np.asarray(precision[np.ix_(owner, owner)] * (X.T @ X))


class SeenCells(RowCovariance, Protocol):
    """The covariance of the cells that were observed, and their likelihood."""

    def information(self, blocks: Sequence[Array]) -> Array:
        """Sum over rows of x_n Sigma_n^-1 x_n', (P, P), of designs (N, p_j) side by side.

        What rows that lack an equation have in its design is not looked at, but finite.
        """
        ...

    def logdet(self) -> float:
        """Sum over rows of log|Sigma_n|."""
        ...

    def quad(self, E: Array) -> float:
        """Sum over rows of e_n'Sigma_n^-1 e_n."""
        ...

    def nll(self, E: Array) -> float:
        """Negative log-likelihood per row, its constant included."""
        ...


class SeenCovariance(SeenCells, Protocol):
    """Sigma as independent rows see it that lack some equations."""

    def conditional(self, E: Array) -> tuple[Array, Array]:
        """Mean and variance of every cell given the other observed cells of its row, (N, K)."""
        ...

    def weights(self, rows: Array, equations: Array) -> Array:
        """What `conditional` multiplies the errors of its row with, for m cells, (m, K)."""
        ...
