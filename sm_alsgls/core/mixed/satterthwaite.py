"""The covariance of coefficients with Satterthwaite's degrees of freedom.

Of a combination l'b with variance v = l'C l, C = (X'V^-1X)^-1 at estimated parameters a of V,

    df = 2 v^2 / (g'A g),    g_a = l'(dC/da) l,    A = the inverse of the observed information

(Satterthwaite 1946; Giesbrecht and Burns 1985; Fai and Cornelius 1996). The parameters are phi of
G / s2, theta of the residual law and log s2. The degrees of freedom do not depend on the choice
of parameters, because the likelihood is stationary; lmerTest's (Kuznetsova, Brockhoff and
Christensen 2017) are these with derivatives that are differences; here g is exact, and A but for
autoregressive residuals, of which it is the inverse of differences of the analytic gradient.

Rotations of loadings, Lambda K with K skew, change neither V nor C: A is the inverse on what is
at right angles to them. A uniqueness that is zero with the likelihood falling beyond has no
observed information, but is not known for that: of 10 groups it is zero in half of the draws where
the truth is not. It adds to A what it adds to the inverse of the expected information I,

    [B; 1] (I_hh - I_hf I_ff^-1 I_fh)^-1 [B; 1]',    B = -I_ff^-1 I_fh,   h held, f free,

without which degrees of freedom are those of the residuals, sometimes 50 of 10 groups.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.information import free, observed, relative, slopes_of_b
from sm_alsgls.core.mixed.sums import Sums
from sm_alsgls.exceptions import NotApplicableError

Array = np.ndarray

# Curvature, in units of the typical one, that is rounding: what has none says nothing of V.
_FLAT = 1e-9


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
        """dC/da (size, p, p), and A."""
        return slopes_of_b(self._fit), uncertainty(self._fit)

    def coefficient_df(self) -> Array:
        """Of each coefficient, (p,)."""
        return self.df(np.eye(len(self._V)))

    def df(self, R: Array) -> Array:
        """Of R b, (m,); infinite where no parameter moves the variance."""
        return matched(R, self._V, *self._moves)


def matched(R: Array, C: Array, slopes: Array, A: Array) -> Array:
    """df of the module of each of R b, (m,), with ``slopes`` dC/da; infinite where g is zero."""
    g = np.einsum("mj,ajk,mk->ma", R, slopes, R, optimize=True)
    v = np.einsum("mj,jk,mk->m", R, C, R, optimize=True)
    spread = np.einsum("ma,ab,mb->m", g, A, g, optimize=True)
    return np.divide(2.0 * v**2, spread, out=np.full(len(v), np.inf), where=spread > 0.0)


def identified(fit: MixedFit, moves: Array | None = None) -> Array:
    """Orthonormal directions of some parameters that move V, (some, number).

    Parameters
    ----------
    fit : MixedFit
    moves : ndarray of bool, optional
        Which of (phi, theta, log s2), or of (phi, s2); default those that are free.
    """
    moves, phi = free(fit) if moves is None else moves, fit.point.phi
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


def inverses(
    fit: MixedFit, information: Array, any_G: bool = False, law: bool = True
) -> tuple[Array, Array]:
    """Of an information (d, d), held elements of phi known (zero there), and unknown.

    Parameters
    ----------
    fit : MixedFit
    information : ndarray
        Of parameters of G, of the residual law, and s2.
    any_G : bool
        Those of G are not phi, but elements of it that nothing holds.
    law : bool
        Whether those of the law are unknown.

    Returns
    -------
    known, unknown : ndarray, shape (d, d)
    """
    moves, size = free(fit), fit.structure.size
    moves[size:-1] &= law
    of_law = moves[size:]
    every = np.append(np.ones(len(information) - len(of_law), dtype=bool), of_law)
    directions = np.eye(int(every.sum())) if any_G else identified(fit, every)
    whole = _inverse_among(information, every, directions)
    if any_G or (every == moves).all():
        return whole, whole
    return _inverse_among(information, moves, identified(fit, moves)), whole


def _inverse_among(information: Array, moves: Array, directions: Array) -> Array:
    """`inverse_on` of the elements that move, zero of the others."""
    out = np.zeros_like(information)
    at = np.ix_(moves, moves)
    out[at] = inverse_on(information[at], directions)
    return out


def inverse_information(fit: MixedFit) -> Array:
    """The inverse of the observed information of the free (phi, theta, log s2), (free, free)."""
    moves = free(fit)
    return inverse_on(observed(fit)[np.ix_(moves, moves)], identified(fit))


def uncertainty(fit: MixedFit) -> Array:
    """A of the module, of all (phi, theta, log s2), (size, size)."""
    moves, size = free(fit), fit.structure.size
    A = np.zeros((len(moves), len(moves)))
    A[np.ix_(moves, moves)] = inverse_information(fit)
    if moves[:size].all():
        return A
    made, whole = relative(fit), np.zeros_like(A)
    if fit.law.independent:
        whole = Sums(fit, made).expected()
    else:
        # What theta adds is of second products, for which there are no rows.
        others = np.ix_([*range(size), -1], [*range(size), -1])
        whole[others] = Sums(fit, made.without(slice(size, len(A) - 1))).expected()
    known, unknown = inverses(fit, whole, law=fit.law.independent)
    return A + unknown - known
