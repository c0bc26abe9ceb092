"""Information about variances, and how the covariance of b moves with them: what small samples ask.

Every parameter a of V_i moves it by  dV_i = c_a Vbar_i + Z_i E_a Z_i'  (V_i = s2 Vbar_i), an
element of G by c = 0 and E = dG, s2 (G held) by c = 1, E = -Gamma, as R = Vbar - Z Gamma Z'.
With B_i = Z_i'Vbar_i^-1 X_i, W_i = Z_i'Vbar_i^-1 Z_i, H = sum X_i'Vbar_i^-1 X_i, all summed,

    X'V^-1 dV_a V^-1 X           = ( c_a H + sum B'E_a B ) / s2^2                          = -P_a
    X'V^-1 dV_a V^-1 dV_b V^-1 X = ( c_a c_b H + c_a sum B'E_b B + c_b sum B'E_a B
                                     + sum B'E_a W E_b B ) / s2^3                          = Q_ab
    tr(V^-1 dV_a V^-1 dV_b)      = ( n c_a c_b + c_a sum tr(W E_b) + c_b sum tr(W E_a)
                                     + sum tr(W E_a W E_b) ) / s2^2

(Kenward and Roger 1997, Biometrics 53, whose P_a is d(X'V^-1X)/da). With Phi = (X'V^-1X)^-1 the
expected information is half of the last, and under REML half of

    tr(V^-1 dV_a V^-1 dV_b) - 2 tr(Phi Q_ab) + tr(Phi P_a Phi P_b).

A parameter of the residual law moves R: with E_i = [-Gamma*_i ZX_i; I], d(X'Vbar^-1X)/dtheta is
sum_k dw_k/dtheta sum_i E_i'C_ik E_i, whatever the law; a second product of dR is not to be had from
products of rows, so where theta is there, its information is the observed one, by
differences of the analytic gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sm_alsgls.core.mixed.climb import held, scoring
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.likelihood import estimated, shrunken
from sm_alsgls.exceptions import OptionError
from sm_alsgls.progress import counted

Array = np.ndarray

#: Multiplications of `work` beyond which it takes long: two or three seconds of one processor.
LARGE = 5e9

# A step of differences, in standard errors.
_STEP = 1e-3


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Parameters a of V, but those of the residual law, as (c_a, E_a); E in working effects.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (d,)
    c : ndarray, shape (d,)
    E : ndarray, shape (d, q, q)
    second : callable
        Of weights w (d, d): (c, E) of sum_ab w_ab d2V_ab.
    """

    names: tuple[str, ...]
    values: Array
    c: Array
    E: Array = field(repr=False)
    second: Callable[[Array], tuple[float, Array]] = field(repr=False)


def work(fit: MixedFit) -> float:
    """Multiplications of what is made for each parameter of G from m groups: size m q^2 (q + p)."""
    p, q, m = fit.products.p, fit.products.q, fit.products.m
    return float(fit.structure.size) * m * q**2 * (q + p)


def relative(fit: MixedFit) -> Coordinates:
    """(phi, log s2): G = s2 Gamma(phi), all variances proportional to s2.

    Elements of phi that are held at zero (Heywood cases) are there; see `free`.
    """
    structure, phi, s2 = fit.structure, fit.point.phi, fit.s2
    E = fit.mix @ structure.directions(phi) @ fit.mix.T * s2
    q, size = fit.products.q, structure.size

    def second(w: Array) -> tuple[float, Array]:
        inner = s2 * fit.mix @ structure.contracted(w[:size, :size]) @ fit.mix.T
        inner += np.tensordot(w[:size, size] + w[size, :size], E, 1)
        return float(s2 * w[size, size]), inner

    names = (*(f"phi{a}" for a in range(size)), "log s2")
    values = np.append(phi, np.log(s2))
    c = np.append(np.zeros(size), s2)
    return Coordinates(names, values, c, np.concatenate([E, np.zeros((1, q, q))]), second)


def elements(fit: MixedFit) -> Coordinates:
    """(G_jk, j >= k, by rows; s2), in the user's units: V is linear in them."""
    q, z = fit.products.q, fit.products.basis.z
    rows, columns = np.tril_indices(q)
    d = len(rows)
    E = np.zeros((d, q, q))
    E[np.arange(d), rows, columns] = 1.0
    E[np.arange(d), columns, rows] = 1.0
    gamma = fit.profile.gamma(fit.point.phi)
    E = np.concatenate([z @ E @ z.T, -gamma[None]])
    names = (*(f"G{j},{k}" for j, k in zip(rows, columns, strict=True)), "s2")
    values = np.append(fit.G[rows, columns], fit.s2)

    def second(w: Array) -> tuple[float, Array]:
        return 0.0, np.zeros((q, q))

    return Coordinates(names, values, np.append(np.zeros(d), 1.0), E, second)


def free(fit: MixedFit) -> Array:
    """Parameters of (phi, theta, log s2) that are not held on a bound, of bool."""
    return np.append(~held(fit.profile, fit.point), True)


class Sums:
    """The sums of the module at a fit in some coordinates, made when asked for.

    Parameters
    ----------
    fit : MixedFit
    coordinates : Coordinates

    Notes
    -----
    What is of d x d costs Gram matrices of W_i x W_i, O(m q^4) and arrays of q^4.
    """

    def __init__(self, fit: MixedFit, coordinates: Coordinates) -> None:
        self.fit, self.coordinates = fit, coordinates
        self._basis = fit.products.basis
        self._s2, self._q, self._p = fit.s2, fit.products.q, fit.products.p

    @cached_property
    def _W(self) -> Array:
        fit = self.fit
        inverse = np.linalg.inv(fit.mix)
        return np.concatenate([inverse.T @ W @ inverse for W in fit.profile.each_W(fit.point)])

    @property
    def _B(self) -> Array:
        return self.fit.point.D[:, :, :-1]

    @cached_property
    def _inner(self) -> Array:
        """Sum B'E_a B, (d, p, p), working."""
        return self._each(self.coordinates.E)

    def _each(self, E: Array) -> Array:
        q, p, B = self._q, self._p, self._B
        flat = B.transpose(0, 2, 1).reshape(len(B), p, q)
        # Gram of B_i's columns: (p q) x (p q) would be more than d times p^2.
        outer = np.einsum("mjk,mln->jkln", flat, flat, optimize=True) if p * q <= 400 else None
        if outer is not None:
            return np.einsum("jkln,akn->ajl", outer, E, optimize=True)
        return np.stack([np.einsum("mqj,mqk->jk", B, e @ B, optimize=True) for e in E])

    def _to_user(self, M: Array) -> Array:
        return self._basis.x.T @ M @ self._basis.x

    @cached_property
    def P(self) -> Array:
        """d(X'V^-1X)/da = -X'V^-1 dV_a V^-1 X, (d, p, p), in the user's units."""
        H, c = self.fit.point.H, self.coordinates.c
        return -self._to_user(c[:, None, None] * H + self._inner) / self._s2**2

    def Q(self, a: int, b: int) -> Array:
        """Q_ab, (p, p), in the user's units."""
        c, E, B = self.coordinates.c, self.coordinates.E, self._B
        last = np.einsum("mqj,mqk->jk", E[a] @ B, np.matmul(self._W, E[b] @ B), optimize=True)
        M = c[a] * c[b] * self.fit.point.H + c[a] * self._inner[b] + c[b] * self._inner[a] + last
        return self._to_user(M) / self._s2**3

    def contracted_Q(self, w: Array) -> Array:
        """Sum of w_ab Q_ab, (p, p), of symmetric weights (d, d): no array of d^2 p^2."""
        c, E, q = self.coordinates.c, self.coordinates.E, self._q
        d, m, B = len(c), self.fit.products.m, self._B
        flat = E.reshape(d, -1)
        tensor = (flat.T @ w @ flat).reshape(q, q, q, q)  # of E_a[j, k] E_b[l, n]
        tensor = tensor.transpose(1, 2, 0, 3).reshape(q * q, q * q)
        middle = (self._W.reshape(m, -1) @ tensor).reshape(m, q, q)
        M = np.einsum("mqj,mqk->jk", B, np.matmul(middle, B), optimize=True)
        M += (c @ w @ c) * self.fit.point.H + 2.0 * np.tensordot(c @ w, self._inner, 1)
        return self._to_user(0.5 * (M + M.T)) / self._s2**3

    def contracted_R(self, w: Array) -> Array:
        """Sum of w_ab X'V^-1 d2V_ab V^-1 X, (p, p): zero where V is linear."""
        c, E = self.coordinates.second(w)
        M = c * self.fit.point.H + self._each(E[None])[0]
        return self._to_user(M) / self._s2**2

    def expected(self, reml: bool | None = None) -> Array:
        """Expected information, (d, d), of REML or ML; default as fitted."""
        reml = self.fit.reml if reml is None else reml
        c, E = self.coordinates.c, self.coordinates.E
        d, n = len(c), self.fit.products.n
        W = self._W
        traces = E.reshape(d, -1) @ W.sum(axis=0).ravel()
        both = np.outer(c, traces)
        out = n * np.outer(c, c) + both + both.T + _gram(W, W, E)
        if reml and self._p:
            inverse = np.linalg.inv(self.fit.point.H)
            N = self._B @ inverse @ self._B.transpose(0, 2, 1)
            slopes = np.einsum("ajk,kj->a", self._inner, inverse)
            cross = np.outer(c, slopes)
            out -= 2.0 * (self._p * np.outer(c, c) + cross + cross.T + _gram(W, N, E))
            PP = inverse @ (c[:, None, None] * self.fit.point.H + self._inner)
            out += PP.reshape(d, -1) @ PP.transpose(0, 2, 1).reshape(d, -1).T
        return 0.5 * out / self._s2**2


def _gram(W: Array, N: Array, E: Array) -> Array:
    """Sum over i of tr(E_a W_i E_b N_i), symmetric in a and b, (d, d)."""
    m, q, d = len(W), W.shape[1], len(E)
    product = (W.reshape(m, -1).T @ N.reshape(m, -1)).reshape(q, q, q, q)
    # tr = E_a[j, k] W[k, l] E_b[l, n] N[n, j]
    ordered = product.transpose(3, 0, 1, 2).reshape(q * q, q * q)
    flat = E.reshape(d, -1)
    out = flat @ ordered @ flat.T
    return np.asarray(0.5 * (out + out.T))


def theta_slopes(fit: MixedFit) -> Array:
    """d(X'V^-1X)/dtheta, s2 and G / s2 held, (size, p, p), in the user's units; of any law."""
    profile, point = fit.profile, fit.point
    law, p, q = fit.law, fit.products.p, fit.products.q
    slopes = law.slopes(point.theta)
    total = np.zeros((law.terms, p, p))
    A = profile.root(point.phi)
    Zs, _ = profile.weighted(point.theta)
    for at in profile.pieces(A.shape[1]) if law.size else []:
        E = estimated(shrunken(A, Zs[at]), Zs[at], p)
        C = fit.products.C[at][:, :, : q + p, : q + p]
        for k in range(law.terms):
            total[k] += np.einsum("maj,mab,mbl->jl", E, C[:, k], E, optimize=True)
    x = fit.products.basis.x
    return np.asarray(x.T @ np.tensordot(slopes, total, 1) @ x / fit.s2)


def slopes_of_b(fit: MixedFit) -> Array:
    """d cov(b) / d(phi, theta, log s2), (size, p, p): Phi X'V^-1 dV V^-1 X Phi."""
    P = Sums(fit, relative(fit)).P
    P = np.concatenate([P[:-1], theta_slopes(fit), P[-1:]])
    return -fit.cov_b @ P @ fit.cov_b


def observed(fit: MixedFit) -> Array:
    """Observed information of (phi, theta, log s2), b profiled out; NaN of what is held.

    By central differences of the gradient of the profile likelihood psi(x) = min NLL(x, log s2),

        NLL_xx = psi_xx + (f / 2) l l',   NLL_xs = -(f / 2) l,   NLL_ss = f / 2,

    l = d log s2 / dx of the profiled s2 and f its degrees of freedom. Two evaluations a parameter.

    Returns
    -------
    ndarray, shape (size, size)
    """
    profile, x = fit.profile, fit.point.x
    moves = ~held(profile, fit.point)
    se = 1.0 / np.sqrt(np.maximum(np.diagonal(scoring(profile, fit.point)), 1e-300))
    size = len(x)
    H, slope = np.full((size, size), np.nan), np.full(size, np.nan)
    typical = float(np.median(se[moves])) if moves.any() else 1.0
    for a in counted(np.flatnonzero(moves), "information", unit="parameter"):
        room = min(x[a] - profile.low[a], profile.high[a] - x[a])
        h = min(_STEP * min(float(se[a]), 1e3 * typical), 0.5 * room)
        step = np.zeros(size)
        step[a] = h
        ahead, behind = profile.at(x + step), profile.at(x - step)
        H[a] = (ahead.gradient - behind.gradient) / (2.0 * h)
        slope[a] = (np.log(ahead.s2) - np.log(behind.s2)) / (2.0 * h)
    H[:, ~moves] = np.nan
    half = 0.5 * profile.freedom
    out = np.empty((size + 1, size + 1))
    out[:-1, :-1] = 0.5 * (H + H.T) + half * np.outer(slope, slope)
    out[:-1, -1] = out[-1, :-1] = -half * slope
    out[-1, -1] = half
    return out


def expected(fit: MixedFit, reml: bool | None = None) -> Array:
    """Expected information of (phi, log s2), where the law has no theta of its own."""
    if fit.law.size:
        raise OptionError(
            "the expected information of a residual law's parameters has no closed form here; "
            "take the observed one"
        )
    return Sums(fit, relative(fit)).expected(reml)
