"""What the loop, the tests and the results may ask of a design.

`Linear` is what every design promises: fitted values that are linear in flat coordinates g, their
transpose, and the way from g to the coefficients beta_j of each equation. `PerEquation` is the
design whose equations have coefficients of their own and in which everything is computed; another
kind of design stands on one (``free``) through two maps,

    gamma = lift(g),    drop = lift',    fitted(g) = free.fitted(lift(g)),    H = drop H_free lift.

A kernel that needs bases asks ``free`` for them; none asks which kind of design it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray
#: Where an equation's coefficients sit in the flat vector of the parameters.
Columns = slice | Array


class Stacked(NamedTuple):
    """All bases in one array, and their Gram matrix: for few coefficients only.

    ``Qt`` (P, n) holds the columns of the Q_j as rows, ``owner`` (P,) their equations, ``gram``
    (P, P) is Qt Qt'.
    """

    owner: Array
    Qt: Array
    gram: Array

    def spread(self, S: Array) -> Array:
        """S_jl Q_j' Q_l for S (K, K), as (P, P)."""
        return self.gram * S.take(self.owner, axis=0).take(self.owner, axis=1)


class Normal(Protocol):
    """The normal matrix H of GLS as an operator on flat g (P,); see `NormalEquations`.

    H = Q' (Sigma^-1 x I) Q, plus N times the ridge's A; symmetric, positive definite on what the
    coefficients may be. ``diagonal`` (P,) is its diagonal, or close to it, and positive.
    """

    @property
    def design(self) -> Linear: ...  # noqa: D102
    @property
    def diagonal(self) -> Array: ...  # noqa: D102

    def apply(self, g: Array) -> Array:
        """H g; cost O(n K (p + r)) for low-rank Sigma."""
        ...

    def apply_many(self, B: Array) -> Array:
        """H B for columns B (P, m), m small."""
        ...

    def score(
        self, E: Array, g: Array, own: Array | None = None, scores: Array | None = None
    ) -> Array:
        """Score (P,) of the penalised log-likelihood in g at residuals E (n, K).

        ``own`` are Q_j'e_j where the design is free, ``scores`` F'D^-1 E', or None.
        """
        ...

    def score_size(self, score: Array) -> float:
        """Largest norm of an equation's score in units of its standard error."""
        ...

    def penalty(self, g: Array) -> Array:
        """The ridge's part of ``apply``, (P,)."""
        ...

    def solved(self, E: Array) -> Iterator[tuple[Array, Array, slice, Array]]:
        """W = E Sigma^-1 in tiles: equations, bases, place in the free gamma, and W' (jb, n).

        In cells that a row lacks it is anything.
        """
        ...


class CoefficientVariance(Protocol):
    """A covariance V of the parameters, formed only as far as asked.

    Parameters are flat and in the order of `Linear.to_params`; ``block(j)`` is of equation j's
    coefficients. What it costs is told by each; only ``dense`` may form P x P.
    """

    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102

    def variances(self) -> Array:
        """Diagonal of V, (P,)."""
        ...

    def block(self, j: int) -> Array:
        """Covariance of beta_j, (p_j, p_j)."""
        ...

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other' for rows R (m, P); ``other`` defaults to R."""
        ...

    def dense(self) -> Array:
        """V, (P, P)."""
        ...


class Bread(CoefficientVariance, Protocol):
    """H^-1 of the parameters: the model-based covariance, and the bread of every sandwich.

    Attributes
    ----------
    design : PerEquation
        Whose equations its blocks are of.
    normal : Normal
        H of that design.
    tied : ndarray of bool, shape (K,)
        Equations whose coefficients others have a part in, through restrictions or in common.
    """

    @property
    def design(self) -> PerEquation: ...  # noqa: D102
    @property
    def normal(self) -> Normal: ...  # noqa: D102
    @property
    def tied(self) -> Array: ...  # noqa: D102

    def columns(self, j: int) -> Columns:
        """Where beta_j sits in the parameters."""
        ...

    def times(self, R: Array) -> Array:
        """V R' for rows R (m, P): (P, m)."""
        ...

    def selector(self, j: int) -> Array:
        """The rows (p_j, P) that pick beta_j."""
        ...

    def solve_combinations(self, R: Array) -> Array:
        """The coefficients V R' (m columns) as gamma of the free design, (P_free, m)."""
        ...

    def stretched(self, stretch: Callable[[int], Array]) -> Bread:
        """As if each free gamma_j had the covariance A_j V_jj A_j', A_j = stretch(j) (p_j, p_j)."""
        ...

    def distance(self, beta: Sequence[Array], spared: Sequence[Array | None]) -> float | None:
        """min over c of x'V^-1 x, x_j = beta_j less c_j spared_j; None where it is not at hand."""
        ...

    def directions(self, to_beta: Array) -> Array:
        """An orthonormal basis (P_free, m) of the g with beta = to_beta g that are allowed.

        beta and rows of the basis are equation after equation.
        """
        ...

    def ridge_rows(self) -> Array | None:
        """Rows whose cross-products the ridge adds to H of the free design; None without one.

        Columns are gamma_j, equation after equation.
        """
        ...


class Linear(Protocol):
    """A design: K equations on n rows, P flat coordinates g, coefficients beta_j of p_j columns.

    Attributes
    ----------
    n, K, P : int
    p : ndarray of int, shape (K,)
        Regressors of each equation, shared ones included.
    shared : bool
        GLS is OLS whatever Sigma: all designs are equal, and coefficients free.
    restricted : bool
        Not every coefficient is free, or is its equation's alone.
    free : PerEquation
        The same regressors with free coefficients.
    """

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def K(self) -> int: ...  # noqa: D102
    @property
    def P(self) -> int: ...  # noqa: D102
    @property
    def p(self) -> Array: ...  # noqa: D102
    @property
    def shared(self) -> bool: ...  # noqa: D102
    @property
    def restricted(self) -> bool: ...  # noqa: D102
    @property
    def free(self) -> PerEquation: ...  # noqa: D102
    @property
    def origin(self) -> Array | None:
        """Free gamma at g = 0, whose fitted values are taken off Y; None where that is zero."""
        ...

    def fitted(self, g: Array, out: Array | None = None) -> Array:
        """Fitted values (n, K), Fortran-ordered, without those of ``origin``.

        Maybe in the memory of ``out``, such an array that nobody needs any more.
        """
        ...

    def left(self, M: Array, g: Array, out: Array | None = None) -> Array:
        """M (n, K) less the values fitted by g, in memory as ``fitted`` has it, maybe M's own."""
        ...

    def project(self, M: Array) -> Array:
        """The transpose of ``fitted``, (P,), for M (n, K). Of Y it is OLS."""
        ...

    def least_squares(self, M: Array) -> tuple[Array, Array]:
        """``project`` of M, of Y the coefficients of OLS, and what their fitted values leave."""
        ...

    def lift(self, g: Array) -> Array:
        """Free gamma of g without the origin, for (P,) or columns (P, m)."""
        ...

    def drop(self, gamma: Array) -> Array:
        """The transpose of ``lift``."""
        ...

    def inside(self, g: Array) -> Array:
        """g without the part of which ``lift`` makes nothing."""
        ...

    def diagonal(self, own: Array) -> Array:
        """The diagonal of H, nearly, from that of Sigma^-1 (K,): (P,)."""
        ...

    def largest_norm(self, v: Array) -> float:
        """Largest norm of an equation's part of v (P,), the same whatever its columns' order."""
        ...

    def normal(self, cov: RowCovariance, n_obs: int, ridge: Ridge | None = None) -> Normal:
        """H at a covariance of the rows."""
        ...

    def variance(self, of_free: Callable[[PerEquation], Bread]) -> Bread:
        """H^-1 of the parameters, from what makes it of a design with free coefficients."""
        ...

    def to_beta(self, g: Array) -> list[Array]:
        """Coefficients, K vectors (p_j,)."""
        ...

    def from_beta(self, beta: Sequence[Array]) -> Array:
        """The g of coefficients; what no g has is dropped."""
        ...

    def to_params(self, g: Array) -> Array:
        """The parameters, flat: each coefficient once."""
        ...

    def columns(self, j: int) -> Columns:
        """Where beta_j sits in ``to_params``."""
        ...

    def on_flat(self, R: Array) -> Array:
        """Combinations R theta of parameters, rows (m, P), as columns on g, (P, m)."""
        ...

    def carried(self, g: Array, c: Array, other: Linear) -> Array:
        """The g of coefficients c_j beta_j, for g of beta_j in the same design of Y_j / c_j."""
        ...


class PerEquation(Linear, Protocol):
    """A design whose equations have bases and coefficients of their own, X_j = Q_j R_j.

    gamma_j = R_j beta_j and Q_j'Q_j = I. ``lift`` and ``drop`` are the identity.

    Attributes
    ----------
    symmetric : bool
        Whether ``project`` is the transpose of ``fitted``. It is not where regressors are
        instrumented (`sm_alsgls.core.instruments.design`): such a design has least squares, which
        are two-stage ones, and no `Normal`.
    """

    symmetric: bool

    def columns(self, j: int) -> slice:
        """Where beta_j sits in ``to_params``."""
        ...

    def expand(self, v: Array) -> Array:
        """One value an equation (K,) for each of its coefficients, (P,)."""
        ...

    def tiles(self, size: int) -> Iterator[tuple[Array, Array, slice]]:
        """Up to ``size`` equations at a time: their numbers, Q_j' (m, p, n), place in gamma."""
        ...

    @property
    def stacked(self) -> Stacked:
        """All bases as one array; cost O(n P^2), once."""
        ...

    @property
    def in_all(self) -> Array:
        """Orthonormal directions (n, m) that all equations contain, to rounding."""
        ...

    def equation_slice(self, j: int) -> slice:
        """Where gamma_j sits in g."""
        ...

    def basis(self, j: int) -> Array:
        """Q_j, (n, p_j)."""
        ...

    def beta_map(self, j: int) -> Array:
        """R_j^-1, (p_j, p_j)."""
        ...

    def ridge(self, weights: Sequence[Array]) -> Ridge:
        """sum_j beta_j' diag(weights_j) beta_j / 2 as an operator on g."""
        ...

    def leading(self, columns: Sequence[Array]) -> PerEquation:
        """The design of some columns of each block, that the first directions of its basis span."""
        ...

    def stretched(self, stretch: Callable[[int], Array]) -> PerEquation:
        """The design of blocks Q_j A_j^-1 R_j, A_j = ``stretch(j)`` (p_j, p_j)."""
        ...

    def turned(self, order: Sequence[Array]) -> PerEquation:
        """The same design with bases of which the first directions span the first in an order."""
        ...


class Binding(Protocol):
    """What ties coefficients, apart from the rows: makes the design of a free one.

    Attributes
    ----------
    ridged : bool
        Whether it can go with a ridge on slopes.
    """

    ridged: bool

    def bind(self, free: PerEquation) -> Linear:
        """The design whose coefficients are tied."""
        ...

    def rescaled(self, c: Array, free: PerEquation) -> Binding:
        """The same of beta_j / c_j, the coefficients of Y_j / c_j."""
        ...

    def units(self, c: Array, p: Array) -> Array:
        """What each parameter is a multiple of in such a design, (P,), of p_j regressors each."""
        ...


class Unbound:
    """Coefficients are free."""

    ridged = True

    def bind(self, free: PerEquation) -> Linear:
        """``free`` itself."""
        return free

    def rescaled(self, c: Array, free: PerEquation) -> Unbound:
        """Free as before."""
        return self

    def units(self, c: Array, p: Array) -> Array:
        """c_j, of all coefficients of equation j."""
        return np.repeat(c, p)
