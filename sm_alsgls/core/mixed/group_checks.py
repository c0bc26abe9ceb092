"""What residuals of a mixed model's groups say of it: how far off, and whether rows follow.

With e_i = y_i - X_i b, V_i the covariance of y_i, v_i = Z_i'Vbar_i^-1 e_i and W_i of Z_i,

    e_i'V_i^-1 e_i                ~ chi2(T_i)           of all that a group's responses are
    v_i' W_i^+ v_i / s2           ~ chi2(rank W_i)      of what they say of its effects

Of errors that follow each other within groups, u_t = rho u_{t-1} + ..., the score in rho at 0 is a
sum over pairs of neighbouring rows of conditional residuals in standard deviations, r_t,

    S_i = sum_t ( r_t r_{t-1} - P_{t,t-1} ),    P = V^-1 - V^-1 X C X'V^-1

(what fitting effects and coefficients makes of independent errors taken off). Scores in what was
estimated are regressed out of S_i over the groups, and sum S_i / (sum S_i^2)^1/2 is N(0, 1): a
multiplier by outer products of gradients (Godfrey and Wickens 1981, Economic Journal 91), whatever
the errors' fourth moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.mixed.effects import effects
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.likelihood import shrunken

Array = np.ndarray

# Of W's largest eigenvalue, what is zero.
_RANK = 1e-9


class Distances(NamedTuple):
    """Of each group (m,): of its responses and of its effects, with their degrees of freedom."""

    responses: Array
    rows: Array
    effects: Array
    rank: Array


def distances(fit: MixedFit) -> Distances:
    """See the module; from products, without the rows. O(m q^3)."""
    profile, point = fit.profile, fit.point
    A, q = profile.root(point.phi), profile.q
    weights = fit.law.weights(point.theta)
    away = np.append(-point.b, 1.0)
    out = np.empty(profile.products.m)
    for at in profile.pieces(max(A.shape[1], q)):
        S = np.einsum("k,mkab->mab", weights, profile.products.C[at])
        c = S[:, :q, q:] @ away
        whole = np.einsum("a,mab,b->m", away, S[:, q:, q:], away)
        inner = shrunken(A, np.ascontiguousarray(S[:, :q]))
        out[at] = whole - np.einsum("mq,mqk,mk->m", c, inner, c, optimize=True)
    values, vectors = np.linalg.eigh(fit.W)
    there = values > _RANK * np.maximum(values[:, -1:], 1e-300)
    along = np.einsum("mqk,mq->mk", vectors, fit.v)
    share = np.divide(along**2, values, out=np.zeros_like(values), where=there)
    return Distances(
        np.maximum(out, 0.0) / fit.s2,
        fit.products.rows,
        share.sum(axis=1) / fit.s2,
        there.sum(axis=1),
    )


class Conditional:
    """Conditional residuals r = R^-1/2 (y - X b - Z bhat) of rows, and their covariance P.

    r = R^1/2 V^-1 (y - X b), whose covariance R^1/2 P R^1/2 within a group has elements

        P_ts = 1(t = s) - z_t'K z_s - x_t' C x_s,   K = var(b_i | y_i) at known coefficients,

    z over standard deviations, and x of what groups' effects leave of the regressors.

    Parameters
    ----------
    fit : MixedFit
        Of a law whose rows are independent given effects.
    Z, X : ndarray, shapes (n, q), (n, p)
        Group by group.
    resid : ndarray, shape (n,)
        y - X b - Z bhat.
    codes : ndarray of int, shape (n,)
        Groups, ascending.
    sd : ndarray, shape (n,)
        Residual standard deviations.
    """

    def __init__(
        self, fit: MixedFit, Z: Array, X: Array, resid: Array, codes: Array, sd: Array
    ) -> None:
        m, q = len(fit.v), Z.shape[1]
        K = effects(fit).conditional
        self.r, self._z, x = resid / sd, Z / sd[:, None], X / sd[:, None]
        ZX = np.stack([by_group(self._z[:, j, None] * x, codes, m) for j in range(q)], axis=1)
        KZX = np.matmul(K, ZX)
        self._x = x - np.einsum("nq,nqp->np", self._z, KZX[codes], optimize=True)
        self._zK = np.einsum("nq,nqk->nk", self._z, K[codes], optimize=True)
        self._xC = self._x @ fit.cov_b

    def covariance(self, t: Array, s: Array) -> Array:
        """P_ts of pairs of different rows of one group, (number,)."""
        of_effects = (self._zK[t] * self._z[s]).sum(axis=1)
        return np.asarray(-of_effects - (self._xC[t] * self._x[s]).sum(axis=1))

    def variances(self) -> Array:
        """P_tt, (n,): what is left of 1, as the leverage takes it."""
        every = np.arange(len(self.r))
        return 1.0 + self.covariance(every, every)


class Following(NamedTuple):
    """Whether rows of a group follow each other."""

    rho: float  #: one step of the score from 0
    statistic: float  #: N(0, 1)
    pairs: int


def following(fit: MixedFit, rows: Conditional, codes: Array) -> Following:
    """The test of the module, of rows in the order in which they may follow each other."""
    m, r = len(fit.v), rows.r
    later = np.flatnonzero(codes[1:] == codes[:-1]) + 1
    gaps = r[later] * r[later - 1] - rows.covariance(later, later - 1)
    S = by_group(gaps[:, None], codes[later], m)[:, 0]
    rho = float(S.sum() / max(len(later), 1))
    v, W = fit.v, np.diagonal(fit.W, axis1=1, axis2=2)
    scores = [by_group((r**2 - rows.variances())[:, None], codes, m)[:, 0]]
    scores += [v[:, j] ** 2 / fit.s2 - W[:, j] for j in range(v.shape[1])]
    some = np.flatnonzero(np.bincount(codes[later], minlength=m))
    N = np.column_stack(scores)[some]
    N, S = N - N.mean(axis=0), S[some]
    if len(some) > 4 * N.shape[1]:
        scale = np.sqrt(np.square(N).sum(axis=0))
        N = N / np.where(scale > 0.0, scale, 1.0)
        S = S - N @ np.linalg.lstsq(N, S, rcond=1e-10)[0]
    spread = float(np.sqrt(np.square(S).sum()))
    return Following(rho, float(S.sum()) / spread if spread > 0.0 else np.nan, len(later))


def by_group(values: Array, codes: Array, m: int) -> Array:
    """Sums over the rows of each group, (m, k)."""
    columns = (np.bincount(codes, weights=column, minlength=m) for column in values.T)
    return np.stack(list(columns), axis=1)
