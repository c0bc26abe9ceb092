"""Sums over groups of what parameters do to V: the P, Q and R of small samples, and information.

Every parameter a of V_i = s2 Vbar_i moves it by

    dV_i = c_a Vbar_i + Z_i E_a Z_i' + sum_l t_al dR_l,

an element of G by c = 0 and E = dG, s2 (G held) by c = 1, E = -Gamma, as R = Vbar - Z Gamma Z', and
a parameter theta_l of the residual law by t_l = s2. With B_i = Z_i'Vbar_i^-1 X_i,
W_i = Z_i'Vbar_i^-1 Z_i, H = sum X_i'Vbar_i^-1 X_i, all summed, and where nothing moves R,

    X'V^-1 dV_a V^-1 X           = ( c_a H + sum B'E_a B ) / s2^2                          = -P_a
    X'V^-1 dV_a V^-1 dV_b V^-1 X = ( c_a c_b H + c_a sum B'E_b B + c_b sum B'E_a B
                                     + sum B'E_a W E_b B ) / s2^3                          = Q_ab
    tr(V^-1 dV_a V^-1 dV_b)      = ( n c_a c_b + c_a sum tr(W E_b) + c_b sum tr(W E_a)
                                     + sum tr(W E_a W E_b) ) / s2^2

(Kenward and Roger 1997, Biometrics 53, whose P_a is d(X'V^-1X)/da). With Phi = (X'V^-1X)^-1 the
expected information is half of the last, and under REML half of

    tr(V^-1 dV_a V^-1 dV_b) - 2 tr(Phi Q_ab) + tr(Phi P_a Phi P_b).

R is moved with K_l of `law_moves`. As R Vbar^-1 X = [Z X] E, E = [-Gamma* ZX; I] of `likelihood`,
R Vbar^-1 Z = Z F, F = I - Gamma* ZZ, and R Vbar^-1 R = R - Z Gamma* Z',

    X'Vbar^-1 dR_l Vbar^-1 X               = -E'K_l E,       Z'Vbar^-1 dR_l Vbar^-1 X = -F'Y_l
    Z'Vbar^-1 dR_l Vbar^-1 Z               = -F'KZ_l F
    X'Vbar^-1 dR_l Vbar^-1 dR_k Vbar^-1 X  = E'KK_lk E - Y_l'Gamma* Y_k
    tr(Vbar^-1 dR_l)                       = tr(R^-1 dR_l) + tr(Gamma* KZ_l)
    tr(Vbar^-1 dR_l Vbar^-1 dR_k)          = tr(R^-1 dR_l R^-1 dR_k) - 2 tr(Gamma* KKZ_lk)
                                             + tr(Gamma* KZ_l Gamma* KZ_k)

with K_l, KK_lk = K_l R K_k in products with [Z X], KZ their part of Z, Y_l that of Z of K_l E.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.law_moves import LawMoves
from sm_alsgls.core.mixed.likelihood import estimated, shrunken

Array = np.ndarray


class Direction(NamedTuple):
    """A change of V: c Vbar + Z E Z' + sum_l t_l dR_l + sum_lk bent_lk d2R_lk; E working.

    Attributes
    ----------
    c : float
    E : ndarray, shape (q, q)
    t : ndarray, shape (law.size,)
    bent : ndarray, shape (law.size, law.size), or None
        None is zero.
    """

    c: float
    E: Array
    t: Array
    bent: Array | None


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Parameters a of V, as (c_a, E_a, t_a); E in working effects.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (d,)
    c : ndarray, shape (d,)
    E : ndarray, shape (d, q, q)
    t : ndarray, shape (d, directions of R)
    second : callable
        Of symmetric weights w (d, d): the `Direction` of sum_ab w_ab d2V_ab.
    """

    names: tuple[str, ...]
    values: Array
    c: Array
    E: Array = field(repr=False)
    t: Array = field(repr=False)
    second: Callable[[Array], Direction] = field(repr=False)

    def without(self, some: slice) -> Coordinates:
        """The others; ``second`` stays that of all."""
        at = np.delete(np.arange(len(self.c)), some)
        names = tuple(self.names[a] for a in at)
        return Coordinates(names, self.values[at], self.c[at], self.E[at], self.t[at], self.second)


class _OfLaw(NamedTuple):
    """Sums of the directions of R, L of them; see the module.

    ``in_gamma`` (L, q, q) and ``own`` (L, L) are of traces.
    """

    in_gamma: Array
    trace: Array
    own: Array


class _Piece(NamedTuple):
    """Some groups: E, F', Gamma*, and K (some, L, c, c)."""

    at: slice
    E: Array
    left: Array
    shrunk: Array
    K: Array

    @property
    def KE(self) -> Array:
        """K E, (some, L, c, p)."""
        some, L, c, _ = self.K.shape
        return np.matmul(self.K.reshape(some, L * c, c), self.E).reshape(some, L, c, -1)


class Sums:
    """The sums of the module at a fit in some coordinates, made when asked for.

    Parameters
    ----------
    fit : MixedFit
    coordinates : Coordinates
    moves : LawMoves, optional
        What second products of the residual law are made of; default without rows.
    response : bool
        Whether residuals y - X b are a last column of X.

    Notes
    -----
    What is of d x d costs Gram matrices of W_i x W_i, O(m q^4) and arrays of q^4; of L directions
    of R O(m L (q + p)^2 (p + L)), pieces of groups at a time.
    """

    def __init__(
        self,
        fit: MixedFit,
        coordinates: Coordinates,
        moves: LawMoves | None = None,
        response: bool = False,
    ) -> None:
        self.fit, self.coordinates, self._response = fit, coordinates, response
        self._basis = fit.products.basis
        self._s2, self._q, self._p = fit.s2, fit.products.q, fit.products.p
        self._moves = LawMoves(fit) if moves is None else moves
        self._lawful = bool(coordinates.t.any())

    @cached_property
    def _W(self) -> Array:
        fit = self.fit
        inverse = np.linalg.inv(fit.mix)
        return np.concatenate([inverse.T @ W @ inverse for W in fit.profile.each_W(fit.point)])

    @cached_property
    def _B(self) -> Array:
        B = self.fit.point.D[:, :, :-1]
        return np.concatenate([B, self.fit.point.v[:, :, None]], axis=2) if self._response else B

    @cached_property
    def _H(self) -> Array:
        """H, and of residuals their square: X'Vbar^-1 (y - X b) is zero."""
        H = self.fit.point.H
        squares = np.full((1, 1), self._s2 * self.fit.profile.freedom)
        return block_diag(H, squares) if self._response else H

    @cached_property
    def _inner(self) -> Array:
        """What is beside c_a H in X'Vbar^-1 dV_a Vbar^-1 X, (d, p, p), working."""
        made = self._each(self.coordinates.E)
        return (
            made - np.tensordot(self.coordinates.t, self._inner_of_law, 1) if self._lawful else made
        )

    def _each(self, E: Array) -> Array:
        """Sum B'E_a B."""
        q, B = self._q, self._B
        k = B.shape[2]
        flat = B.transpose(0, 2, 1).reshape(len(B), k, q)
        # Gram of B_i's columns: (p q) x (p q) would be more than d times p^2.
        outer = np.einsum("mjk,mln->jkln", flat, flat, optimize=True) if k * q <= 400 else None
        if outer is not None:
            return np.einsum("jkln,akn->ajl", outer, E, optimize=True)
        return np.stack([np.einsum("mqj,mqk->jk", B, e @ B, optimize=True) for e in E])

    # -- the residual law ---------------------------------------------------------------------

    def _pieces(self) -> Iterator[_Piece]:
        fit, q, p = self.fit, self._q, self._p
        profile, point, L = fit.profile, fit.point, self._moves.number
        A = profile.root(point.phi)
        Zs, _ = profile.weighted(point.theta)
        for at in profile.pieces(2 * L * (q + p + 1)):
            shrunk = shrunken(A, Zs[at])
            E = estimated(shrunk, Zs[at], p)
            if self._response:
                E = np.concatenate([E, self._of_residuals(A, at)[:, :-1, None]], axis=2)
                last = np.zeros((len(E), 1, p + 1))
                last[:, 0, p] = 1.0
                E = np.concatenate([E, last], axis=1)
            width = E.shape[1]
            K = self._moves.first(at)[:, :, :width, :width]
            left = np.eye(q) - np.matmul(Zs[at, :, :q], shrunk)
            yield _Piece(at, E, left, shrunk, K)

    def _of_residuals(self, A: Array, at: slice) -> Array:
        """g_i of `likelihood`, (some, q + p + 1)."""
        v, b = self.fit.point.v[at], self.fit.point.b
        ends = np.broadcast_to(np.append(-b, 1.0), (len(v), len(b) + 1))
        return np.concatenate([-(v @ A) @ A.T, ends], axis=1)

    @cached_property
    def _inner_of_law(self) -> Array:
        """Sum E'K_l E, (L, p, p)."""
        k = self._B.shape[2]
        out = np.zeros((self._moves.number, k, k))
        for piece in self._pieces():
            out += np.einsum("maj,mlak->ljk", piece.E, piece.KE, optimize=True)
        return out

    @cached_property
    def _law(self) -> _OfLaw:
        """Sums of directions of R, without M."""
        return self._of_law(None)

    def _of_law(self, root: Array | None) -> _OfLaw:
        """Traces of products, or where there is a root of M (p, k), of M Q_lk."""
        L, q = self._moves.number, self._q
        in_gamma = np.zeros((L, q, q))
        trace, own = self._moves.logs.copy(), np.zeros((L, L))
        if root is None:
            own += self._moves.traces
        for piece in self._pieces():
            at, E, left, shrunk, K = piece
            if root is None:
                KZ = K[:, :, :q, :q]
                outer = np.matmul(np.matmul(left[:, None], KZ), left.transpose(0, 2, 1)[:, None])
                in_gamma -= outer.sum(axis=0)
                GK = np.matmul(shrunk[:, None], KZ)
                trace += np.trace(GK, axis1=2, axis2=3).sum(axis=0)
                own -= 2.0 * self._moves.traced(at, shrunk)
                own += _flat(GK) @ _flat(GK.transpose(0, 1, 3, 2)).T
                continue
            half, along = np.matmul(E, root), np.matmul(piece.KE[:, :, :q], root)
            own += self._moves.traced(at, np.matmul(half, half.transpose(0, 2, 1)))
            own -= _flat(np.matmul(shrunk[:, None], along)) @ _flat(along).T
            # -E_b B M Y_l'F: its trace.
            BM = np.matmul(self._B[at], root)
            turned = np.matmul(left[:, None], along)
            crossed = np.einsum("mlqk,mrk->lqr", turned, BM, optimize=True)
            in_gamma -= 0.5 * (crossed + crossed.transpose(0, 2, 1))
        return _OfLaw(in_gamma, trace, 0.5 * (own + own.T))

    def _with_law(self, of: _OfLaw) -> Array:
        """What directions of R add to traces of products, (d, d)."""
        t, E = self.coordinates.t, self.coordinates.E
        crossed = (t @ of.in_gamma.reshape(len(of.in_gamma), -1)) @ E.reshape(len(E), -1).T
        return np.asarray(t @ of.own @ t.T + crossed + crossed.T)

    # -- the matrices -------------------------------------------------------------------------

    def _to_user(self, M: Array) -> Array:
        return self._basis.x.T @ M @ self._basis.x

    @cached_property
    def P(self) -> Array:
        """d(X'V^-1X)/da = -X'V^-1 dV_a V^-1 X, (d, p, p), in the user's units."""
        H, c, p = self.fit.point.H, self.coordinates.c, self._p
        return -self._to_user(c[:, None, None] * H + self._inner[:, :p, :p]) / self._s2**2

    def contracted_Q(self, w: Array) -> Array:
        """Sum of w_ab Q_ab, (p, p), of symmetric weights (d, d): no array of d^2 p^2."""
        c, E, t, q = self.coordinates.c, self.coordinates.E, self.coordinates.t, self._q
        d, m, B = len(c), self.fit.products.m, self._B
        flat = E.reshape(d, -1)
        tensor = (flat.T @ w @ flat).reshape(q, q, q, q)  # of E_a[j, k] E_b[l, n]
        tensor = tensor.transpose(1, 2, 0, 3).reshape(q * q, q * q)
        middle = (self._W.reshape(m, -1) @ tensor).reshape(m, q, q)
        M = np.einsum("mqj,mqk->jk", B, np.matmul(middle, B), optimize=True)
        M += (c @ w @ c) * self._H + 2.0 * np.tensordot(c @ w, self._inner, 1)
        if self._lawful:
            both, with_E = t.T @ w @ t, np.tensordot(t.T @ w, E, 1)
            for piece in self._pieces():
                at, X, left, shrunk, _ = piece
                width = X.shape[1]
                Y = piece.KE[:, :, :q]
                M += np.einsum(
                    "mja,mjb->ab", X, self._moves.contracted(at, both)[:, :width, :width] @ X
                )
                GY = np.matmul(shrunk[:, None], np.einsum("lk,mkqj->mlqj", both, Y, optimize=True))
                M -= np.einsum("mlqj,mlqk->jk", Y, GY, optimize=True)
                EB = np.einsum("lqr,mrj->mlqj", with_E, B[at], optimize=True)
                M -= 2.0 * np.einsum("mlqj,mlqk->jk", np.matmul(left[:, None], Y), EB)
        return self._to_user(0.5 * (M + M.T)) / self._s2**3

    def with_second(self, w: Array) -> Sums:
        """The same with sum of w_ab d2V_ab as a last direction, w symmetric."""
        made = self.coordinates
        c, E, t, bent = made.second(w)
        moves = self._moves
        ts, extra = made.t, t
        if bent is not None and bent.any():
            moves = moves.again(bent)
            ts = np.concatenate([made.t, np.zeros((len(made.t), 1))], axis=1)
            extra = np.append(t, 1.0)
        both = Coordinates(
            (*made.names, "second"),
            np.append(made.values, 0.0),
            np.append(made.c, c),
            np.concatenate([made.E, E[None]]),
            np.concatenate([ts, extra[None]]),
            made.second,
        )
        return Sums(self.fit, both, moves)

    def expected(self, reml: bool | None = None) -> Array:
        """Expected information, (d, d), of REML or ML; default as fitted."""
        reml = self.fit.reml if reml is None else reml
        c, E, p = self.coordinates.c, self.coordinates.E, self._p
        d, n = len(c), self.fit.products.n
        W = self._W
        traces = E.reshape(d, -1) @ W.sum(axis=0).ravel()
        if self._lawful:
            traces = traces + self.coordinates.t @ self._law.trace
        both = np.outer(c, traces)
        out = n * np.outer(c, c) + both + both.T + _gram(W, W, E)
        if self._lawful:
            out += self._with_law(self._law)
        if reml and p:
            H = self.fit.point.H
            inverse = np.linalg.inv(H)
            out -= 2.0 * self._traced(np.linalg.cholesky(inverse))
            PP = inverse @ (c[:, None, None] * H + self._inner[:, :p, :p])
            out += PP.reshape(d, -1) @ PP.transpose(0, 2, 1).reshape(d, -1).T
        return 0.5 * out / self._s2**2

    def _traced(self, root: Array) -> Array:
        """tr(M Q_ab), working, M = root root' of the columns that root has, (d, d)."""
        c, E = self.coordinates.c, self.coordinates.E
        whole = np.zeros((self._B.shape[2], root.shape[1]))
        whole[: len(root)] = root
        M = whole @ whole.T
        half = np.matmul(self._B, whole)
        N = np.matmul(half, half.transpose(0, 2, 1))
        slopes = np.einsum("ajk,kj->a", self._inner, M)
        cross = np.outer(c, slopes)
        out = float(np.sum(M * self._H)) * np.outer(c, c) + cross + cross.T + _gram(self._W, N, E)
        return out + self._with_law(self._of_law(whole)) if self._lawful else out

    def of_residuals(self) -> Array:
        """y'P dV_a P dV_b P y, (d, d), where residuals are a column."""
        p = self._p
        last = np.zeros((p + 1, 1))
        last[p] = 1.0
        crossed = self._inner[:, p, :p]
        taken = crossed @ np.linalg.solve(self.fit.point.H, crossed.T) if p else 0.0
        return np.asarray((self._traced(last) - taken) / self._s2**3)


def _flat(products: Array) -> Array:
    """(some, L, a, b) as (L, some a b)."""
    return products.transpose(1, 0, 2, 3).reshape(products.shape[1], -1)


def _gram(W: Array, N: Array, E: Array) -> Array:
    """Sum over i of tr(E_a W_i E_b N_i), symmetric in a and b, (d, d)."""
    m, q, d = len(W), W.shape[1], len(E)
    product = (W.reshape(m, -1).T @ N.reshape(m, -1)).reshape(q, q, q, q)
    # tr = E_a[j, k] W[k, l] E_b[l, n] N[n, j]
    ordered = product.transpose(3, 0, 1, 2).reshape(q * q, q * q)
    flat = E.reshape(d, -1)
    out = flat @ ordered @ flat.T
    return np.asarray(0.5 * (out + out.T))
