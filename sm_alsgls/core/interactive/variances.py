"""The error variances d_i of a fit, moderated so that none of them goes to zero.

sum_i T log d_i + e_i'e_i / d_i with factors as parameters has no minimum: a factor that is one
unit's residual fits it exactly, and its d_i goes to zero with everything else unharmed. So d_i is
not a maximum of anything. After r factors

    E e_i'e_i = d_i (T_i - kL - r)(1 - h_i) =: d_i nu_i,    h_i = |row i of the basis [Q V]|^2,

h_i being the share of the unit in the loadings: where a factor is all its own, h_i = 1. The
s_i^2 = e_i'e_i / nu_i are noisy, and weights 1/s_i^2 the more. With d_i drawn from a scaled inverse
chi-square of nu_0 degrees around d_0, the mean of 1/d_i given s_i^2 is 1 over

    d_i = (nu_0 d_0 + nu_i s_i^2) / (nu_0 + nu_i)

(Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3, for genes), nu_0 and d_0 by the moments of log s_i^2:
with z_i = log s_i^2 - psi(nu_i/2) + log(nu_i/2), v = mean psi'(nu_i/2), what var z is where all d_i
are equal, and x = var z - v,

    psi'(nu_0/2) = x - c^2 / x  where x > c = 1.645 v (2 / (n - 1))^1/2,  else 0,
    log d_0 = mean z + psi(nu_0/2) - log(nu_0/2).

Equal d_i have x > c by chance in one of twenty samples; their weights would be noise (at 20 x 20
without c in one of four). x - c^2 / x goes to 0 without a step, and to x where variances differ
(Breiman's 1995 garrote, Technometrics 37). At 0 nu_0 is infinite and all d_i are equal: Bai's
(2009) estimator. d_i is at least d_0 nu_0 / (nu_0 + nu_i), so that nothing is degenerate.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from sm_alsgls.core.interactive.leading import Leading
from sm_alsgls.core.interactive.scaled import Scaled

Array = np.ndarray

# A unit that has less is all factor: it is given the prior's variance, nearly.
_LEAST_NU = 0.05
# Share of the largest s_i^2 that is rounding.
_ROUNDING = 1e-24


class Variances(NamedTuple):
    """d_i, and what they were made of."""

    d: Array  #: (n,)
    raw: Array  #: (n,), s_i^2
    nu: Array  #: (n,), degrees of freedom of s_i^2
    nu0: float  #: of the prior; inf where all d_i are equal
    d0: float


def variances(W: Scaled, E: Array, factors: Leading, periods: Array) -> Variances:
    """d_i of a fit.

    Parameters
    ----------
    W : Scaled
    E : ndarray, shape (T, n)
        What the factors leave of W, zero where nothing was observed.
    factors : Leading
    periods : ndarray, shape (n,)
        T_i.
    """
    nu = degrees(W, factors, periods)
    square = np.einsum("tn,tn->n", E, E) * W.d
    return moderated(square / nu, nu)


def degrees(W: Scaled, factors: Leading, periods: Array) -> Array:
    """nu_i, shape (n,)."""
    h = np.einsum("nk,nk->n", W.Q, W.Q) + np.einsum("nk,nk->n", factors.V, factors.V)
    left = periods - W.L.shape[1] - len(factors.s)
    return np.asarray(np.maximum(left * (1.0 - h), _LEAST_NU))


def moderated(raw: Array, nu: Array) -> Variances:
    """Shrink s_i^2 with nu_i degrees of freedom towards one another.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> s2 = rng.chisquare(20.0, 400) / 20.0
    >>> moderated(s2, np.full(400, 20.0)).nu0 > 200.0
    True
    >>> d = 5.0 / rng.chisquare(5.0, 4000)
    >>> found = moderated(d * rng.chisquare(20.0, 4000) / 20.0, np.full(4000, 20.0))
    >>> 4.5 < found.nu0 < 5.5, 0.9 < found.d0 < 1.1
    (True, True)
    """
    half = 0.5 * nu
    # Who has next to no degrees of freedom, or is fitted exactly, says nothing of the others.
    told = nu >= 1.0
    usable = told & (raw > _ROUNDING * raw.max())
    if usable.sum() < 2:
        d0 = float(np.average(raw, weights=nu))
        return Variances(np.full(len(raw), d0), raw, nu, math.inf, d0)
    z = np.log(raw[usable]) - special.digamma(half[usable]) + np.log(half[usable])
    noise = float(special.polygamma(1, half[usable]).mean())
    spread = _beyond_chance(float(z.var(ddof=1)) - noise, noise, len(z))
    if spread > _LEAST_SPREAD:
        nu0 = 2.0 * inverse_trigamma(spread)
        d0 = math.exp(float(z.mean()) + special.digamma(0.5 * nu0) - math.log(0.5 * nu0))
        return Variances((nu0 * d0 + nu * raw) / (nu0 + nu), raw, nu, nu0, d0)
    d0 = float(np.average(raw, weights=nu))
    return Variances(np.full(len(raw), d0), raw, nu, math.inf, d0)


# psi'(nu_0/2) below which nu_0, some thousands, is as good as infinite.
_LEAST_SPREAD = 1e-3
# Of a normal, passed by chance in one of twenty.
_QUANTILE = 1.645


def _beyond_chance(spread: float, noise: float, n: int) -> float:
    chance = _QUANTILE * noise * math.sqrt(2.0 / (n - 1.0))
    return spread - chance**2 / spread if spread > chance else 0.0


def inverse_trigamma(y: float) -> float:
    """x with psi'(x) = y > 0, by Newton on 1/psi', which is convex and nearly linear.

    Examples
    --------
    >>> from scipy import special
    >>> round(float(special.polygamma(1, inverse_trigamma(0.3))), 12)
    0.3
    """
    x = 0.5 + 1.0 / y
    for _ in range(50):
        value = float(special.polygamma(1, x))
        step = value * (1.0 - value / y) / float(special.polygamma(2, x))
        x += step
        if abs(step) <= 1e-14 * x:
            break
    return x
