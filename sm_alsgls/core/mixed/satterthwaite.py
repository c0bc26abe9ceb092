"""The covariance of coefficients with Satterthwaite's degrees of freedom.

Of a combination l'b with variance v = l'C l, C = (X'V^-1X)^-1 at estimated parameters a of V,

    df = 2 v^2 / (g'A g),    g_a = l'(dC/da) l,    A = the inverse of the observed information

(Satterthwaite 1946; Giesbrecht and Burns 1985; Fai and Cornelius 1996). The parameters are phi of
G / s2, theta of the residual law and log s2. The degrees of freedom do not depend on the choice
of parameters, because the likelihood is stationary; lmerTest's (Kuznetsova, Brockhoff and
Christensen 2017) are these with derivatives that are differences, here g is exact and A the
inverse of central differences of the analytic gradient; of large problems the expected
information stands for the observed, see `inverse_information`.

Rotations of loadings, Lambda K with K skew, change neither V nor C: A is the inverse on what is
at right angles to them. A uniqueness that is zero with the likelihood falling beyond is left out,
as a known number: it has no sampling variance of that order.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.information import expected, free, observed, slopes_of_b
from sm_alsgls.exceptions import NotApplicableError

Array = np.ndarray

# Curvature, in units of the typical one, that is rounding: what has none says nothing of V.
_FLAT = 1e-9
# Multiplications beyond which the observed information takes too long.
_LARGE = 5e9


class FixedCovariance:
    """A covariance (p, p) of coefficients as results ask for it.

    Parameters
    ----------
    V : ndarray, shape (p, p)
    """

    def __init__(self, V: Array) -> None:
        self._V = V

    def variances(self) -> Array:
        """Diagonal, (p,)."""
        return np.diagonal(self._V).copy()

    def block(self, j: int) -> Array:
        """The whole, (p, p): there is one equation."""
        return self._V

    def dense(self) -> Array:
        """The whole, (p, p)."""
        return self._V

    def combinations(self, R: Array, other: Array | None = None) -> Array:
        """R V other', (m, q)."""
        return np.asarray(R @ self._V @ (R if other is None else other).T)

    def without_data(self) -> FixedCovariance:
        """Itself: it has no rows."""
        return self


class SatterthwaiteCovariance(FixedCovariance):
    """s2 H^-1 with degrees of freedom of each combination.

    Parameters
    ----------
    fit : MixedFit

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.cross_products import CrossProducts
    >>> from sm_alsgls.core.mixed.maximise import mixed_fit
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> rng = np.random.default_rng(0)
    >>> groups, one = np.repeat(np.arange(10), 5), np.ones((50, 1))
    >>> y = rng.standard_normal(10)[groups] + rng.standard_normal(50)
    >>> products = CrossProducts.of_rows(one, one, y, groups, 10)
    >>> V = SatterthwaiteCovariance(mixed_fit(products, Diagonal(1), Common()))
    >>> V.coefficient_df().round(3)
    array([9.])
    """

    def __init__(self, fit: MixedFit) -> None:
        super().__init__(fit.cov_b)
        self._fit = fit

    @cached_property
    def _moves(self) -> tuple[Array, Array]:
        """dC/da (size, p, p) of what is free, and A."""
        return slopes_of_b(self._fit)[free(self._fit)], inverse_information(self._fit)

    def coefficient_df(self) -> Array:
        """Of each coefficient, (p,)."""
        return self.df(np.eye(len(self._V)))

    def df(self, R: Array) -> Array:
        """Of R b, (m,); infinite where no parameter moves the variance."""
        slopes, A = self._moves
        g = np.einsum("mj,ajk,mk->ma", R, slopes, R, optimize=True)
        v = np.einsum("mj,jk,mk->m", R, self._V, R, optimize=True)
        spread = np.einsum("ma,ab,mb->m", g, A, g, optimize=True)
        return np.divide(2.0 * v**2, spread, out=np.full(len(v), np.inf), where=spread > 0.0)


def identified(fit: MixedFit) -> Array:
    """Orthonormal directions of the free (phi, theta, log s2) that move V, (free, number)."""
    moves, phi = free(fit), fit.point.phi
    turned = fit.structure.rotations(phi)
    null = np.zeros((len(moves), turned.shape[1]))
    null[: len(phi)] = turned
    vectors, sizes, _ = np.linalg.svd(null, full_matrices=False)
    # A row of loadings whose uniqueness is held still turns with the others.
    return _beside(vectors[moves][:, sizes > 1e-10 * sizes.max(initial=1e-300)])


def _beside(null: Array) -> Array:
    """An orthonormal basis of what is at right angles to the columns."""
    if not null.shape[1]:
        return np.eye(len(null))
    whole = np.linalg.qr(null, mode="complete")[0]
    return np.asarray(whole[:, null.shape[1] :])


def inverse_on(information: Array, directions: Array) -> Array:
    """The inverse of a matrix (free, free) on the span of orthonormal directions, zero beyond.

    Raises
    ------
    NotApplicableError
        It is negative somewhere there.
    """
    inner = directions.T @ information @ directions
    scale = np.sqrt(np.maximum(np.diagonal(inner), 1e-300))
    values, vectors = np.linalg.eigh(inner / np.outer(scale, scale))
    if (values < -1e-4).any():
        raise NotApplicableError(
            "the likelihood is not at a maximum in all variances of the random effects, so that "
            "there is no information about them; fit again with more starts (n_starts=), or with "
            "fewer random effects or a lower rank"
        )
    kept = values > _FLAT
    root = directions @ (vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None])
    return np.asarray(root @ root.T)


def inverse_information(fit: MixedFit) -> Array:
    """The inverse of the information of the free (phi, theta, log s2), (free, free).

    The observed one; of large problems with one residual variance the expected, which is one Gram
    matrix in place of two evaluations a parameter: at 51 effects of 1,000 groups 408 of .35 s.
    """
    moves = free(fit)
    p, q, m = fit.products.p, fit.products.q, fit.products.m
    large = fit.structure.size * m * q**2 * (q + p) > _LARGE
    made = expected(fit) if large and not fit.law.size else observed(fit)
    return inverse_on(made[np.ix_(moves, moves)], identified(fit))
