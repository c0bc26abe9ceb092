"""Products of groups as they would be of responses drawn from a fit: what a bootstrap refits.

Of rows that are independent given effects, terms k of the residual law with variance s2 / w_k,

    [Z X]'y_i = F_i eta_i + g_i,   y_i'y_i = eta_i'F_i eta_i + 2 eta_i'g_i + u_i'u_i,
    eta_i = (b_i, b),   g_i = [Z X]'u_i ~ N(0, s2 F_i / w_k),
    u_i'u_i = g_i'F_i^+ g_i + chi2(n_i - rank F_i) s2 / w_k

with F_i = [Z X]'[Z X] of the term, and the last part independent: products can be drawn without
rows, O(m (q + p)^2) a draw, also where rows were a stream. Autoregressive residuals couple the
terms; there rows are drawn, and their products made. Roots of G and F_i are the symmetric ones,
which are unique: of loadings and eigenvectors LAPACK chooses signs, another on another CPU, and
the same seed would be another draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.rows import MixedRows
from sm_alsgls.exceptions import NotApplicableError

Array = np.ndarray

# Share of the largest square of a direction of a group's rows that is rounding.
_ROUNDING = 1e-11


class Draws:
    """Products of responses drawn from a fit, under its coefficients and variances.

    Parameters
    ----------
    fit : MixedFit
    rows : callable, optional
        Gives `MixedRows`; asked where the law's rows are not independent given effects.
    within : CrossProducts, optional
        Products to draw, of all the columns there are, where the fit is of the random effects
        ``kept`` among theirs; X and y in one basis.
    kept : sequence of int, optional

    Raises
    ------
    NotApplicableError
        There are no rows, and they are needed.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.maximise import mixed_fit
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> rng = np.random.default_rng(0)
    >>> groups, one = np.repeat(np.arange(10), 5), np.ones((50, 1))
    >>> y = rng.standard_normal(10)[groups] + rng.standard_normal(50)
    >>> products = CrossProducts.of_rows(one, one, y, groups, 10)
    >>> draws = Draws(mixed_fit(products, Diagonal(1), Common()))
    >>> draws.one(rng).C.shape
    (10, 1, 3, 3)
    """

    def __init__(
        self,
        fit: MixedFit,
        rows: Callable[[], MixedRows] | None = None,
        within: CrossProducts | None = None,
        kept: Sequence[int] | None = None,
    ) -> None:
        self._fit = fit
        self.products = products = fit.products if within is None else within
        at = range(products.q) if kept is None else kept
        #: The root of G, (q, k), in the user's units.
        self._root_G = np.zeros((products.q, len(fit.A)))
        self._root_G[list(at)] = np.sqrt(fit.s2) * _root(fit.A @ fit.A.T)
        self._rows = None
        if not fit.law.independent:
            if rows is None:
                raise NotApplicableError(
                    "draws with autoregressive residuals are made of rows, and a stream of chunks "
                    "kept none; make the model of a table that fits into memory"
                )
            self._rows = rows()
            return
        k = products.q + products.p
        self._F = products.C[:, :, :k, :k]
        values, vectors = np.linalg.eigh(self._F)
        self._there = values > _ROUNDING * np.maximum(values[..., -1:], 1e-300)
        self._size, self._vectors = np.sqrt(np.where(self._there, values, 0.0)), vectors

    def one(self, rng: np.random.Generator) -> CrossProducts:
        """The products of one draw, in the basis that they were in."""
        fit, products = self._fit, self.products
        effects = rng.standard_normal((products.m, self._root_G.shape[1])) @ self._root_G.T
        if self._rows is not None:
            return self._of_rows(self._rows, effects, rng)
        m, L = products.pairs.shape
        sd = np.sqrt(fit.s2 / fit.law.weights(fit.point.theta))
        b = np.broadcast_to(fit.point.b, (m, products.p))
        eta = np.concatenate([effects @ products.basis.z.T, b], axis=1)
        z = rng.standard_normal(self._there.shape)[..., None, :]
        noise = np.where(self._there, (z @ self._vectors)[..., 0, :], 0.0)
        g = self._vectors @ (self._size * noise)[..., None]
        g = g[..., 0] * sd[:, None]
        left = products.pairs - self._there.sum(axis=2)
        beyond = np.where(left > 0, rng.chisquare(np.maximum(left, 1), (m, L)), 0.0)
        squares = (np.square(noise).sum(axis=2) + beyond) * sd**2
        moved = np.einsum("mkab,mb->mka", self._F, eta)
        C = products.C.copy()
        C[..., :-1, -1] = C[..., -1, :-1] = moved + g
        C[..., -1, -1] = np.einsum("ma,mka->mk", eta, moved + 2.0 * g) + squares
        return replace(products, C=C)

    def _of_rows(self, rows: MixedRows, effects: Array, rng: np.random.Generator) -> CrossProducts:
        fit, products = self._fit, self.products
        u = autoregressive(rows.codes, rows.times, float(fit.point.theta[-1]), rng)
        sizes = np.sqrt(fit.s2 * fit.law.variances(fit.point.theta))
        u *= sizes[0 if rows.levels is None else rows.levels]
        if rows.weights is not None:
            u /= np.sqrt(rows.weights)
        y = rows.X @ fit.b + np.einsum("nq,nq->n", rows.Z, effects[rows.codes]) + u
        return CrossProducts.of_rows(
            rows.Z, rows.X, y, rows.codes, products.m, fit.law, rows.index, rows.weights,
            products.basis,
        )  # fmt: skip


def _root(G: Array) -> Array:
    """The symmetric root of a G that may be singular."""
    values, vectors = np.linalg.eigh(G)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def autoregressive(codes: Array, times: Array, rho: float, rng: np.random.Generator) -> Array:
    """u (n,) of variance 1 with correlation rho^|t - s| within groups, rows in any order.

    A step of time through all groups at once: u_t = r u_(t-g) + (1 - r^2)^1/2 e_t, r = rho^g.
    """
    order = np.lexsort((times, codes))
    e = rng.standard_normal(len(order))
    sorted_codes = codes[order]
    first = np.flatnonzero(np.append(True, sorted_codes[1:] != sorted_codes[:-1]))
    place = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    gap = np.diff(np.asarray(times, dtype=float)[order], prepend=0.0)
    r = np.where(place > 0, np.power(rho, np.where(place > 0, gap, 1.0)), 0.0)
    u = e * np.sqrt(1.0 - r**2)
    for step in range(1, int(place.max(initial=0)) + 1):
        at = np.flatnonzero(place == step)
        u[at] += r[at] * u[at - 1]
    out = np.empty_like(u)
    out[order] = u
    return out
