"""Errors of one variance beside a level of each row, which is swept out: the within likelihood.

Row n has T_n cells, e_nj = a_n u_j + (an error of variance s u_j^2), and nothing is known of a_n.
The likelihood is that of orthonormal contrasts of e / u, T_n - 1 a row, whichever these are:

    NLL = sum_n ( (T_n - 1) log s + |e_n / u - mean|^2 / s ) / (2 N) + log|diag(u)| per row.

So beta is least squares within rows, of unbalanced panels too, and s = sum |e_n / u - mean|^2 /
sum (T_n - 1). Sigma is s diag(u^2); rows see it with a level of variance phi s, phi so large that
their precision is that of contrasts but for a share of 1 / phi.
"""

from __future__ import annotations

import math

import numpy as np

from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.tied import TiedCells
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# Between 1 / eps of products, about 1e16, and the digits that are wanted.
_PHI = 1e8


class WithinRows(TiedCells):
    """Rows with a level that is swept out; see `Errors`. Ranks are unread.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are; some row has two.
    units : ndarray, shape (K,), optional
        u; default 1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> E = 5.0 * rng.standard_normal((300, 1)) + rng.standard_normal((300, 3))
    >>> law = WithinRows(Patterns(rng.random(E.shape) < 0.9))
    >>> step = law.sigma(E, 0, floor=np.zeros(3), near=None, d=None, block=None, gtol=1e-8)
    >>> step.cov.diag().round(1)
    array([0.9, 0.9, 0.9])
    """

    swept = 1
    one_variance = True

    def __init__(self, patterns: Patterns, units: Array | None = None) -> None:
        super().__init__(patterns, units)
        self._left = float(patterns.n_cells - patterns.N)
        self._log_units = float(patterns.rows @ np.log(self.units)) / patterns.N
        self.constant = 0.5 * self._left * _LOG_2PI / patterns.N

    def parameters(self, rank: int) -> int:
        """1."""
        return 1

    def seen(self, cov: Covariance) -> ObservedCovariance:
        """``cov`` and a level beside it."""
        d = factors_of(cov).uniquenesses
        size = math.sqrt(_PHI * float(np.mean(d / self.units**2)))
        return ObservedCovariance(LowRankDiag(size * self.units[:, None], d), self.patterns)

    def _within(self, E: Array) -> float:
        """Squares within rows, of errors over their units."""
        E = self.masked(E) / self.units
        level = E.sum(axis=1, keepdims=True) / self._T[:, None]
        return float(np.square(self.masked(E - level)).sum())

    def nll(self, E: Array, cov: Covariance) -> float:
        """Of contrasts."""
        s = self._variance(cov)
        value = self._left * math.log(s) + self._within(E) / s
        return 0.5 * value / self.n_obs + self._log_units + self.constant

    def fitted(self, E: Array, floor: Array) -> Step:
        """The mean square within rows."""
        least = self._lowest(floor)
        s = max(self._within(E) / self._left, least)
        cov = LowRankDiag.diagonal(s * self.units**2)
        nll = self.nll(E, cov) - self.constant
        return Step(cov, nll, 0.0, np.full(self.K, s == least), 1)

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """In log s."""
        gap = 0.5 * abs(self._left - self._within(E) / self._variance(cov)) / self.n_obs
        return 0.0 if at_bound.any() else gap
