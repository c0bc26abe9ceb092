"""Exchangeable errors of rows seen in part: Sigma_n = s_a 1 1' + s_u I of the T_n cells of row n.

As `sm_alsgls.core.errors.exchangeable`, over the cells that are there. s_u is closed given
phi = s_a / s_u,

    s_u = sum_n ( |e_n|^2 - phi / (1 + T_n phi) (1'e_n)^2 ) / sum_n T_n,

and phi is what is searched. In units u, errors e_j = u_j times exchangeable ones. Without a level
s_a is zero, the errors are of one variance, and GLS is least squares over all cells.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.optimize

from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.tied import TiedCells
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# log phi is searched between these: beyond, a row's cells are one number, or independent.
_LOW, _HIGH = -25.0, 25.0


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

    def __init__(self, patterns: Patterns, units: Array | None = None, level: bool = True) -> None:
        super().__init__(patterns, units)
        self.level = level
        self._cells = float(self._T.sum())

    def rescaled(self, c: Array) -> Self:
        """With units u / c."""
        return type(self)(self.patterns, self.units / c, self.level)

    def parameters(self, rank: int) -> int:
        """2, or 1."""
        return 1 + self.level

    def _parts(self, E: Array) -> tuple[Array, float]:
        """(1'e_n)^2 (N,), and the sum of squares of all cells."""
        E = self.masked(E) / self.units
        return np.square(E.sum(axis=1)), float(np.square(E).sum())

    def fitted(self, E: Array, floor: Array) -> Step:
        """s_u in closed form, phi by Brent's method; none where that is no worse."""
        m, total = self._parts(E)
        least = self._lowest(floor)
        counted = 0

        def s_u(phi: float) -> float:
            left = total - float(np.sum(phi / (1.0 + self._T * phi) * m))
            return max(left / self._cells, least)

        def f(log_phi: float) -> float:
            nonlocal counted
            counted += 1
            phi = float(np.exp(log_phi))
            log = float(np.log1p(self._T * phi).sum())
            return float(self._cells * np.log(s_u(phi)) + log)

        if not self.level:
            return self._step(E, 0.0, s_u(0.0), floored=s_u(0.0) == least, counted=1)
        found = scipy.optimize.minimize_scalar(
            f, bounds=(_LOW, _HIGH), method="bounded", options={"xatol": 1e-10}
        )
        phi = float(np.exp(found.x))
        if not found.fun < self._cells * np.log(s_u(0.0)):
            phi = 0.0
        phi = self._polished(phi, m, s_u)
        return self._step(E, phi, s_u(phi), floored=s_u(phi) == least, counted=counted)

    def _step(self, E: Array, phi: float, s_u: float, *, floored: bool, counted: int) -> Step:
        loading = np.sqrt(phi * s_u) * self.units[:, None]
        cov = LowRankDiag(loading if self.level else loading[:, :0], s_u * self.units**2)
        g_phi, g_u = self._gradient(phi, s_u, *self._parts(E))
        size = max(abs(g_phi), 0.0 if floored else abs(g_u))
        nll = self.nll(self.masked(E), cov) - self.constant
        return Step(cov, nll, size, np.full(self.K, floored), counted)

    def _polished(self, phi: float, m: Array, s_u: Any) -> float:
        """A root of the gradient in log phi near Brent's minimum, which knows half the digits."""
        if phi == 0.0:
            return phi

        def slope(log_phi: float) -> float:
            at = float(np.exp(log_phi))
            return self._gradient(at, s_u(at), m, 0.0)[0]

        low, high = np.log(phi) - 1e-3, np.log(phi) + 1e-3
        if slope(low) * slope(high) >= 0.0:
            return phi
        return float(np.exp(scipy.optimize.brentq(slope, low, high, xtol=1e-15)))

    def _gradient(self, phi: float, s_u: float, m: Array, total: float) -> tuple[float, float]:
        """In log phi and log s_u, per row."""
        shrunk = 1.0 + self._T * phi
        g_phi = 0.5 * phi * float(np.sum(self._T / shrunk - m / (s_u * shrunk**2)))
        quad = (total - float(np.sum(phi / shrunk * m))) / s_u
        return g_phi / self.n_obs, 0.5 * (self._cells - quad) / self.n_obs

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """In log phi and log s_u."""
        m, total = self._parts(E)
        s_a = float(np.square(factors_of(cov).loadings[0]).sum()) / self.units[0] ** 2
        s_u = self._variance(cov)
        g_phi, g_u = self._gradient(s_a / s_u, s_u, m, total)
        return max(abs(g_phi), 0.0 if at_bound.any() else abs(g_u))
