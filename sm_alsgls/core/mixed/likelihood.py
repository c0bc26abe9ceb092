"""The profile likelihood of a mixed model, ML or REML, with its gradient, from products of groups.

With Gamma = G / s2 = A A' (q x k) and S_i = sum_k w_k(theta) C_ik, parts ZZ, ZX, Zy, XX, Xy, yy,

    M_i = I + A' ZZ_i A = L_i L_i',   U_i = L_i^-1 A' [ZZ_i | ZX_i Zy_i] = [Y_i | T_i]
    [H h; h' yy] = sum_i ([X y]'[X y]_i - T_i'T_i),    b = H^-1 h,   s2 = (yy - h'b) / n
    ML    2 NLL = n log(2 pi s2) + sum log|M_i| + log|R| + n
    REML  2 NLL = (n-p) log(2 pi s2) + sum log|M_i| + log|R| + log|H| + (n-p),  s2 over n - p

(lme4's and nlme's constant: the log of |X'X| is not taken off). With V_i = s2 Vbar_i,

    D_i = Z_i'Vbar_i^-1 [X_i y_i] = [ZX_i Zy_i] - Y_i'T_i,    v_i = D_i [-b; 1],   B_i = D_i's X
    W_i = Z_i'Vbar_i^-1 Z_i = ZZ_i - Y_i'Y_i

    S = dNLL/dGamma = ( sum W_i - sum v_i v_i' / s2 [- sum B_i H^-1 B_i'] ) / 2,   dNLL/dA = 2 S A
    2 dNLL/dw_k = sum tr(Gamma*_i ZZ_ik) + g_i'C_ik g_i / s2 [+ sum tr(H^-1 E_i'C_ik E_i)]
    Gamma*_i = A M_i^-1 A',   g_i = [-A A'v_i; -b; 1],   E_i = [-Gamma*_i ZX_i; I]

by the envelope theorem: b and the effects are minimisers (Lindstrom and Bates 1988, J. American
Statistical Association 83; Bates, Maechler, Bolker and Walker 2015, J. Statistical Software 67).
A few GEMMs of m groups; nothing has a row's length. Pieces of groups bound what is temporary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dtrsm

from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.structures import Structure

Array = np.ndarray

# Elements of U of a piece of groups.
_PIECE = 1 << 17
# Up to this order forward substitution goes a row at a time through all groups, beyond a group at
# a time: 2 and 20,000 groups take 1 ms for 60, 54 and 1,000 groups 65 for 280.
_SMALL = 16


@dataclass(frozen=True, eq=False)
class Point:
    """The likelihood at one (phi, theta), in working columns; see the module for the symbols.

    Attributes
    ----------
    phi, theta : ndarray
    nll : float
        Of all rows, with its constants.
    gradient : ndarray, shape (phi.size + theta.size,)
    S : ndarray, shape (q, q)
        dNLL / dGamma, in the basis of the structure.
    total_W : ndarray, shape (q, q)
        Sum of W_i, in the basis of the structure.
    b : ndarray, shape (p,)
    s2 : float
    H : ndarray, shape (p, p)
    D : ndarray, shape (m, q, p + 1)
    """

    phi: Array
    theta: Array
    nll: float
    gradient: Array = field(repr=False)
    S: Array = field(repr=False)
    total_W: Array = field(repr=False)
    b: Array
    s2: float
    H: Array = field(repr=False)
    D: Array = field(repr=False)

    @property
    def x(self) -> Array:
        """(phi, theta)."""
        return np.concatenate([self.phi, self.theta])

    @cached_property
    def v(self) -> Array:
        """v_i, (m, q)."""
        return self.D[:, :, -1] - self.D[:, :, :-1] @ self.b


class Profile:
    """The likelihood of products under a structure and a law, as a function of (phi, theta).

    Parameters
    ----------
    products : CrossProducts
    structure : Structure
    law : ResidualLaw
    reml : bool
    mix : ndarray, shape (q, q), optional
        Working effects of the structure's. Default the basis of the structure: units in which
        columns of Z have a root mean square of 1, or the working one of those of any basis.
    """

    def __init__(
        self,
        products: CrossProducts,
        structure: Structure,
        law: ResidualLaw,
        reml: bool,
        mix: Array | None = None,
    ) -> None:
        self.products, self.structure, self.law, self.reml = products, structure, law, reml
        self.evaluations = 0
        self._last: tuple[Array, Array, Array] = (np.empty(0), np.empty(0), np.empty((0, 0, 0)))
        self.n = products.n
        self.p, self.q = products.p, products.q
        #: Degrees of freedom of s2.
        self.freedom = self.n - self.p if reml else self.n
        z = products.basis.z
        #: Working effects of those of the structure: A in working columns is ``mix @ A``.
        self.mix = mix if mix is not None else default_mix(structure, z)
        self._unmixed = bool((self.mix == np.eye(self.q)).all())
        self._logdet_x = 2.0 * float(np.log(np.abs(np.diagonal(products.basis.x))).sum())
        self.counts = products.pairs.sum(axis=0)
        bounds = law.bounds
        #: Bounds of (phi, theta).
        self.low = np.concatenate([structure.low, bounds[:, 0]])
        self.high = np.concatenate([np.full(structure.size, np.inf), bounds[:, 1]])
        self._common = self._split(products.C[:, 0]) if law.size == 0 else None

    def _split(self, S: Array) -> tuple[Array, Array]:
        """Rows of Z of each group's products, and [X y]'[X y] of all."""
        return np.ascontiguousarray(S[:, : self.q]), S[:, self.q :, self.q :].sum(axis=0)

    def weighted(self, theta: Array) -> tuple[Array, Array]:
        """[ZZ | ZX Zy] (m, q, c) and the sum of [X y]'[X y], (p+1, p+1), at theta."""
        if self._common is not None:
            return self._common
        C = self.products.C
        flat = C.reshape(len(C), C.shape[1], -1)
        made = np.matmul(self.law.weights(theta), flat)
        return self._split(made.reshape(len(C), *C.shape[2:]))

    def pieces(self, k: int) -> list[slice]:
        """Groups a few at a time, for arrays of k columns."""
        step = max(1, _PIECE // max(1, k * (self.q + self.p + 1)))
        return [slice(at, at + step) for at in range(0, self.products.m, step)]

    def _kept(self, k: int) -> Array:
        """Where U goes, (m, k, c): one array again and again, fresh pages take as long as U."""
        shape = (self.products.m, k, self.q + self.p + 1)
        return self._last[2] if self._last[2].shape == shape else np.empty(shape)

    def root(self, phi: Array) -> Array:
        """A (q, k) in working columns."""
        return self.mix @ self.structure.root(phi)

    def gamma(self, phi: Array) -> Array:
        """Gamma in working columns."""
        A = self.root(phi)
        return A @ A.T

    def each_W(self, point: Point) -> Iterator[Array]:
        """W_i in the basis of the structure, (some groups, q, q) at a time."""
        A = self.root(point.phi)
        Zs, _ = self.weighted(point.theta)
        # Of the point that was evaluated last there is Y already, which is half of the work.
        same = point.phi is self._last[0] and point.theta is self._last[1]
        kept = self._last[2]
        for at in self.pieces(A.shape[1]):
            U = kept[at] if same else half_solved(A, Zs[at, :, : self.q])[0]
            Y = U[:, :, : self.q]
            W = Zs[at, :, : self.q] - np.matmul(Y.transpose(0, 2, 1), Y)
            yield W if self._unmixed else self.mix.T @ W @ self.mix

    def residual_share(self, point: Point) -> float:
        """About s2 over the variance that rows have, less than 1."""
        A = self.root(point.phi)
        return 1.0 / (1.0 + float(np.einsum("qk,qk->", A, A)))

    def same(self, point: Point, other: Point) -> bool:
        """Whether two points are the same but for a step or two: in Gamma and theta."""
        one, two = self.gamma(point.phi), self.gamma(other.phi)
        size = np.sqrt(np.diagonal(one) + 1e-300)
        apart = np.abs((one - two) / np.outer(size, size)).max()
        in_theta = np.abs(point.theta - other.theta).max(initial=0.0)
        return bool(max(apart, in_theta) < 0.02)

    def at(self, x: Array) -> Point:
        """The likelihood and its gradient at ``x`` = (phi, theta)."""
        self.evaluations += 1
        phi, theta = x[: self.structure.size], x[self.structure.size :]
        q, p, A = self.q, self.p, self.root(phi)
        Zs, rest = self.weighted(theta)
        rest = rest.copy()
        D = np.empty((len(Zs), q, p + 1))
        total_W = Zs[:, :, :q].sum(axis=0)
        logdet = self.law.logdet(theta, self.counts) - self.products.log_weights
        kept = self._kept(A.shape[1])
        for at in self.pieces(A.shape[1]):
            U, logdet_M = half_solved(A, Zs[at], kept[at])
            logdet += logdet_M
            Y, T = U[:, :, :q], U[:, :, q:]
            flat = U.reshape(-1, q + p + 1)
            total_W -= flat[:, :q].T @ flat[:, :q]
            rest -= flat[:, q:].T @ flat[:, q:]
            np.subtract(Zs[at, :, q:], np.matmul(Y.transpose(0, 2, 1), T), out=D[at])
        self._last = (phi, theta, kept)
        return self._finished(phi, theta, A, Zs, D, total_W, rest, logdet)

    def _finished(
        self,
        phi: Array,
        theta: Array,
        A: Array,
        Zs: Array,
        D: Array,
        total_W: Array,
        rest: Array,
        logdet: float,
    ) -> Point:
        p, free = self.p, self.freedom
        H, h = rest[:p, :p], rest[:p, p]
        factor = cho_factor(H, lower=True) if p else None
        b = cho_solve(factor, h) if factor is not None else h
        s2 = max(float(rest[p, p] - h @ b), 1e-300) / free
        nll = 0.5 * (free * (np.log(2.0 * np.pi * s2) + 1.0) + logdet)
        inverse_root = None
        if factor is not None and self.reml:
            nll += float(np.log(np.diagonal(factor[0])).sum()) + 0.5 * self._logdet_x
            inverse_root = solve_triangular(factor[0], np.eye(p), lower=True).T
        v = D[:, :, p] - D[:, :, :p] @ b
        S = total_W - v.T @ v / s2
        if inverse_root is not None:
            half = D[:, :, :p].transpose(1, 0, 2).reshape(-1, p) @ inverse_root
            half = half.reshape(self.q, -1)
            S -= half @ half.T
        S = 0.5 * self.mix.T @ S @ self.mix
        gradient = self.structure.pull(phi, S)
        if self.law.size:
            slope = 0.5 * self._in_weights(A, Zs, v, b, s2, inverse_root)
            in_theta = self.law.slopes(theta) @ slope
            in_theta += 0.5 * self.law.logdet_slope(theta, self.counts)
            gradient = np.concatenate([gradient, in_theta])
        W = self.mix.T @ total_W @ self.mix
        return Point(phi, theta, float(nll), gradient, S, W, b, s2, H, D)

    def _in_weights(
        self, A: Array, Zs: Array, v: Array, b: Array, s2: float, inverse_root: Array | None
    ) -> Array:
        """2 dNLL / dw_k (L,), but for log|R|."""
        q, C = self.q, self.products.C
        total = np.zeros(C.shape[1])
        for at in self.pieces(A.shape[1]):
            shrunk = shrunken(A, Zs[at])
            ends = np.broadcast_to(np.append(-b, 1.0), (len(shrunk), self.p + 1))
            g = np.concatenate([-(v[at] @ A) @ A.T, ends], axis=1)
            # All that C_ik is multiplied with, so that it is read once.
            M = g[:, :, None] * (g / s2)[:, None, :]
            M[:, :q, :q] += shrunk
            if inverse_root is not None:
                E = estimated(shrunk, Zs[at], self.p) @ inverse_root
                M[:, :-1, :-1] += np.matmul(E, E.transpose(0, 2, 1))
            flat = C[at].reshape(len(M), len(total), -1)
            total += np.matmul(flat, M.reshape(len(M), -1, 1)).sum(axis=0)[:, 0]
        return total


def default_mix(structure: Structure, z: Array) -> Array:
    """The basis of a structure in working effects, (q, q), z the triangle of Z's basis."""
    if structure.any_basis:
        return np.eye(len(z))
    return np.asarray(z / np.linalg.norm(z, axis=0))


def half_solved(A: Array, Zs: Array, out: Array | None = None) -> tuple[Array, float]:
    """U_i = L_i^-1 A' [ZZ_i | ZX_i Zy_i], (m, k, c), into ``out``, and the sum of log|M_i|."""
    q, k = A.shape
    U = np.matmul(A.T, Zs, out=out)
    L = np.linalg.cholesky(np.eye(k) + np.matmul(U[:, :, :q], A))
    return _forward(L, U), 2.0 * float(np.log(np.diagonal(L, axis1=1, axis2=2)).sum())


def shrunken(A: Array, Zs: Array) -> Array:
    """Gamma*_i = A M_i^-1 A', (m, q, q): the effects' covariance given the rows, over s2."""
    q, k = A.shape
    L = np.linalg.cholesky(np.eye(k) + np.matmul(np.matmul(A.T, Zs[:, :, :q]), A))
    half = _forward(L, np.broadcast_to(A.T, (len(Zs), k, q)).copy())
    return np.matmul(half.transpose(0, 2, 1), half)


def estimated(shrunk: Array, Zs: Array, p: int) -> Array:
    """E_i = [-Gamma*_i ZX_i; I], (m, q+p, p)."""
    q = shrunk.shape[1]
    E = np.zeros((len(Zs), q + p, p))
    E[:, :q] = -np.matmul(shrunk, Zs[:, :, q : q + p])
    E[:, q + np.arange(p), np.arange(p)] = 1.0
    return E


def _forward(L: Array, R: Array) -> Array:
    """L_i^-1 R_i in place of R, (m, k, c)."""
    k = L.shape[1]
    if k <= _SMALL:
        for j in range(k):
            if j:
                R[:, j] -= np.matmul(L[:, j, None, :j], R[:, :j])[:, 0]
            R[:, j] /= L[:, j, j, None]
        return R
    for one, right in zip(L, R, strict=True):
        # Both as LAPACK sees them, transposed: X' L' = R'.
        right[...] = dtrsm(1.0, one.T, right.T, side=1, lower=0, trans_a=0).T
    return R
