"""Exchangeable errors of rows seen in part: Sigma_n = s_a 1 1' + s_u I of the T_n cells of row n.

As `sm_alsgls.core.errors.exchangeable`, over the cells that are there. s_u is closed given
phi = s_a / s_u,

    s_u = sum_n ( |e_n|^2 - phi / (1 + T_n phi) (1'e_n)^2 ) / sum_n T_n,

and phi is what is searched. Over gaps of autoregressive errors (`sm_alsgls.core.errors.observed`)
rows hang together, Omega = s_u (I + phi A A') of all cells, and

    s_u = E' (I + phi A A')^-1 E / sum_n T_n.

In units u, errors e_j = u_j times exchangeable ones. Without a level
s_a is zero, the errors are of one variance, and GLS is least squares over all cells.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import scipy.optimize

from sm_alsgls.core.beta.gap_rows import GapRows
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.tied import TiedCells
from sm_alsgls.core.sigma.gap_likelihood import GapObjective
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.over_gaps import GapCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray

# log phi is searched between these: beyond, a row's cells are one number, or independent.
_LOW, _HIGH = -25.0, 25.0
# How far in log phi a maximum is looked for first, from that of residuals nearby.
_NEAR = 0.2


class ObservedExchangeable(TiedCells):
    """Rows of which some cells are missing at random; see `Errors`. Ranks are unread.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    units : ndarray, shape (K,), optional
        u; default 1.
    level : bool
        Whether there is an s_a; else it is zero.
    spread : Spread, optional
        Of cells that are made of several rows' innovations.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((300, 1)) + rng.standard_normal((300, 3))
    >>> law = ObservedExchangeable(Patterns(rng.random(E.shape) < 0.8))
    >>> step = law.sigma(E, 0, floor=np.zeros(3), near=None, d=None, block=None, gtol=1e-8)
    >>> step.cov.to_dense()[0].round(1)
    array([2.2, 1.2, 1.2])
    """

    def __init__(
        self,
        patterns: Patterns,
        units: Array | None = None,
        level: bool = True,
        spread: Spread | None = None,
    ) -> None:
        super().__init__(patterns, units)
        self.level, self._spread, self.one_variance = level, spread, not level
        self._cells = float(self._T.sum())

    def rescaled(self, c: Array) -> Self:
        """With units u / c."""
        return type(self)(self.patterns, self.units / c, self.level, self._spread)

    def parameters(self, rank: int) -> int:
        """2, or 1."""
        return 1 + self.level

    def over_gaps(self, spread: Spread) -> ObservedExchangeable:
        """The same law of cells some of which are made of several rows' innovations."""
        return type(self)(self.patterns, self.units, self.level, spread)

    def spread_slope(self, E: Array, cov: Covariance) -> Array:
        """d NLL per row / d (the parameter of each equation's `Spread`), (K,)."""
        if self._spread is None:
            return np.zeros(self.K)
        return GapCovariance(factors_of(cov), self.patterns, self._spread).slope(E)

    def seen(self, cov: Covariance) -> Any:
        """``cov`` as the cells see it."""
        if self._spread is None:
            return super().seen(cov)
        return GapCovariance(factors_of(cov), self.patterns, self._spread)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, of rows or of all cells."""
        if self._spread is None:
            return super().information(design, cov, ridge)
        kernel = GapRows(design, self.seen(cov), self.n_obs, ridge)
        return CoefficientCovariance(design, factors_of(cov), self.n_obs, ridge, kernel)

    def _at(self, E: Array) -> _GivenPhi:
        """The likelihood at residuals E, of phi."""
        E = self.masked(E) / self.units
        return _Rows(E, self._T) if self._spread is None else _Gaps(E, self.patterns, self._spread)

    def sigma(
        self, E: Array, rank: int, *, floor: Array, near: Covariance | None, **known: Any
    ) -> Step:
        """As `fitted`; over gaps, where each phi costs a factorisation, from that of ``near``."""
        if self._spread is None or near is None or not self.level:
            return self.fitted(E, floor)
        at, least = self._at(E), self._lowest(floor)

        def s_u(phi: float) -> float:
            return max(at.quad(phi) / self._cells, least)

        def slope(log_phi: float) -> float:
            phi = float(np.exp(log_phi))
            return at.slope(phi, s_u(phi))

        phi = self._phi(near)
        if phi == 0.0:
            return self.fitted(E, floor)
        low, high = np.log(phi) - _NEAR, np.log(phi) + _NEAR
        if not slope(low) < 0.0 < slope(high):
            return self.fitted(E, floor)
        phi = float(np.exp(scipy.optimize.brentq(slope, low, high, xtol=1e-14)))
        return self._step(E, phi, s_u(phi), floored=s_u(phi) == least, counted=1)

    def fitted(self, E: Array, floor: Array) -> Step:
        """s_u in closed form, phi by Brent's method; none where that is no worse."""
        at = self._at(E)
        least = self._lowest(floor)
        counted = 0

        def s_u(phi: float) -> float:
            return max(at.quad(phi) / self._cells, least)

        def f(log_phi: float) -> float:
            nonlocal counted
            counted += 1
            phi = float(np.exp(log_phi))
            return float(self._cells * np.log(s_u(phi)) + at.logdet(phi))

        if not self.level:
            return self._step(E, 0.0, s_u(0.0), floored=s_u(0.0) == least, counted=1)
        found = scipy.optimize.minimize_scalar(
            f, bounds=(_LOW, _HIGH), method="bounded", options={"xatol": 1e-10}
        )
        phi = float(np.exp(found.x))
        if not found.fun < self._cells * np.log(s_u(0.0)):
            phi = 0.0
        phi = self._polished(phi, at, s_u)
        return self._step(E, phi, s_u(phi), floored=s_u(phi) == least, counted=counted)

    def _step(self, E: Array, phi: float, s_u: float, *, floored: bool, counted: int) -> Step:
        loading = np.sqrt(phi * s_u) * self.units[:, None]
        cov = LowRankDiag(loading if self.level else loading[:, :0], s_u * self.units**2)
        g_phi, g_u = self._gradient(phi, s_u, self._at(E))
        size = max(abs(g_phi), 0.0 if floored else abs(g_u))
        nll = self.nll(self.masked(E), cov) - self.constant
        return Step(cov, nll, size, np.full(self.K, floored), counted)

    def _polished(self, phi: float, given: _GivenPhi, s_u: Any) -> float:
        """A root of the gradient in log phi near Brent's minimum, which knows half the digits."""
        if phi == 0.0:
            return phi

        def slope(log_phi: float) -> float:
            at = float(np.exp(log_phi))
            return given.slope(at, s_u(at))

        low, high = np.log(phi) - 1e-3, np.log(phi) + 1e-3
        if slope(low) * slope(high) >= 0.0:
            return phi
        return float(np.exp(scipy.optimize.brentq(slope, low, high, xtol=1e-15)))

    def _gradient(self, phi: float, s_u: float, given: _GivenPhi) -> tuple[float, float]:
        """In log phi and log s_u, per row."""
        own = 0.5 * (self._cells - given.quad(phi) / s_u)
        return given.slope(phi, s_u) / self.n_obs, own / self.n_obs

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """In log phi and log s_u."""
        g_phi, g_u = self._gradient(self._phi(cov), self._variance(cov), self._at(E))
        return max(abs(g_phi), 0.0 if at_bound.any() else abs(g_u))

    def _phi(self, cov: Covariance) -> float:
        """s_a / s_u."""
        s_a = float(np.square(factors_of(cov).loadings[0]).sum()) / self.units[0] ** 2
        return s_a / self._variance(cov)


class _GivenPhi(Protocol):
    """What the likelihood of cells is made of, at s_a = phi s_u."""

    def quad(self, phi: float) -> float:
        """E' (I + phi A A')^-1 E."""
        ...

    def logdet(self, phi: float) -> float:
        """log|I + phi A A'|."""
        ...

    def slope(self, phi: float, s_u: float) -> float:
        """Of the NLL in log phi, of all rows."""
        ...


class _Rows:
    """Of rows by themselves, with errors E (N, K) over their units."""

    def __init__(self, E: Array, T: Array) -> None:
        self._T, self._m = T, np.square(E.sum(axis=1))
        self._total = float(np.square(E).sum())

    def quad(self, phi: float) -> float:
        return self._total - float(np.sum(phi / (1.0 + self._T * phi) * self._m))

    def logdet(self, phi: float) -> float:
        return float(np.log1p(self._T * phi).sum())

    def slope(self, phi: float, s_u: float) -> float:
        shrunk = 1.0 + self._T * phi
        return 0.5 * phi * float(np.sum(self._T / shrunk - self._m / (s_u * shrunk**2)))


class _Gaps:
    """Of all cells, some of which are made of several rows' innovations."""

    def __init__(self, E: Array, patterns: Patterns, spread: Spread) -> None:
        self._E, self._patterns, self._spread = E, patterns, spread
        self._last: tuple[float, GapCovariance] | None = None

    def _seen(self, phi: float) -> GapCovariance:
        if self._last is None or self._last[0] != phi:
            K = self._patterns.K
            cov = LowRankDiag(np.full((K, 1), np.sqrt(phi)), np.ones(K))
            self._last = phi, GapCovariance(cov, self._patterns, self._spread)
        return self._last[1]

    def quad(self, phi: float) -> float:
        return self._seen(phi).quad(self._E)

    def logdet(self, phi: float) -> float:
        return self._seen(phi).logdet()

    def slope(self, phi: float, s_u: float) -> float:
        K = self._patterns.K
        if phi == 0.0:
            return 0.0
        point = GapObjective(self._E, self._patterns, self._spread)(
            np.full((K, 1), np.sqrt(phi * s_u)), np.full(K, np.log(s_u))
        )
        # d (D^-1/2 F) / d log phi is half of it.
        return 0.5 * np.sqrt(phi) * float(point.phi.sum()) * self._patterns.N
