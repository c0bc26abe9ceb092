"""Errors that are exchangeable: Sigma = a 1 1' + s I, compound symmetry.

With rows that are units and equations that are their periods this is the random effect of Balestra
and Nerlove (1966, Econometrica 34), e_nt = a_n + u_nt. Sigma has the eigenvalues

    l_1 = s + K a  on 1 / sqrt(K),       s  on the rest,

so that the Sigma-step is closed: l_1 is the mean square of row sums over sqrt(K), and s that of
what is left, K - 1 degrees of freedom a row. Where l_1 < s that is no sum of a random effect and
noise: a = 0 then, and s is the mean square of all cells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.tied import TiedLaw
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.exceptions import OptionError, ShapeError

Array = np.ndarray


class _Spectrum(NamedTuple):
    """Eigenvalues on the mean direction, and on the K - 1 others."""

    between: float
    within: float

    def nll(self, seen: _Spectrum, K: int) -> float:
        """Per row, without constant, of rows with the mean squares ``seen``."""
        return 0.5 * (
            math.log(self.between)
            + seen.between / self.between
            + (K - 1) * (math.log(self.within) + seen.within / self.within)
        )


def exchangeable(rows: Rows) -> Exchangeable:
    """The law of some rows.

    Raises
    ------
    OptionError
        Some rows lack cells.
    """
    if rows.patterns is not None:
        raise OptionError("exchangeable errors need whole rows; use missing='drop'")
    return Exchangeable(rows.Y.shape[1], rows.n_obs)


class Exchangeable(TiedLaw):
    """Rows e_n ~ N(0, a 1 1' + s I), a >= 0, with units diag(u); see `Errors`. Ranks are unread.

    Raises
    ------
    ShapeError
        One equation, in which a and s are one.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.array([[1.0, 2.0], [3.0, 0.0], [-1.0, -2.0]])
    >>> step = Exchangeable(2, 3).sigma(E, 0, floor=np.zeros(2), near=None, d=None, block=None,
    ...                                 gtol=1e-6)
    >>> step.cov.to_dense().round(3)
    array([[3.167, 1.333],
           [1.333, 3.167]])
    """

    def __init__(self, K: int, n_obs: int, units: Array | None = None) -> None:
        if K < 2:
            raise ShapeError("exchangeable errors need two equations at least")
        super().__init__(K, n_obs, units)

    def parameters(self, rank: int) -> int:
        """2."""
        return 2

    def fitted(self, E: Array, floor: Array) -> Step:
        """As the module says."""
        K, lowest, seen = self.K, self._lowest(floor), self._seen(E)
        within = max(seen.within, lowest)
        at = _Spectrum(max(seen.between, within), within)
        if at.between == at.within:
            s = max((seen.between + (K - 1) * seen.within) / K, lowest)
            at = _Spectrum(s, s)
        loading = math.sqrt((at.between - at.within) / K)
        cov = LowRankDiag(loading * self.units[:, None], at.within * self.units**2)
        nll = at.nll(seen, K) + float(np.log(self.units).sum())
        return Step(cov, nll, 0.0, np.full(K, at.within == lowest), 1)

    def _seen(self, E: Array) -> _Spectrum:
        """Mean squares of rows on both spaces."""
        scaled = E / self.units
        between = float(np.square(scaled.sum(axis=1)).sum()) / (self.K * self.n_obs)
        whole = float(np.square(scaled).sum()) / self.n_obs
        return _Spectrum(between, max(whole - between, 0.0) / (self.K - 1))

    def slope(self, E: Array, cov: Covariance, at_bound: Array) -> float:
        """In the logs of both eigenvalues, of one where they meet."""
        factors, seen, K = factors_of(cov), self._seen(E), self.K
        s = self._variance(cov)
        between = s + K * (float(factors.loadings[0, 0]) / self.units[0]) ** 2
        gaps = np.array([1.0 - seen.between / between, (K - 1) * (1.0 - seen.within / s)])
        if between == s:
            # a = 0: only s moves, and a would fall further.
            gaps = np.array([gaps.sum(), min(gaps[0], 0.0)])
        return 0.0 if at_bound.any() else 0.5 * float(np.abs(gaps).max())
