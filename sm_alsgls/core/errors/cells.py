"""Which cells a law of the errors is of: all, or those that were observed.

What a law does because its rows are whole, or because they have holes, is the same for every
Sigma; `sm_alsgls.core.errors.complete` and its neighbours take it from here.
"""

from __future__ import annotations

import math

import numpy as np

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.design.base import Bread, CoefficientVariance, Linear, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import Covariance, SeenCells
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)


class WholeRows:
    """Every row has all of its K cells.

    Parameters
    ----------
    K, n_obs : int
        Equations, and the rows that the likelihood is of, however many stand for them.
    """

    whole = True

    def __init__(self, K: int, n_obs: int) -> None:
        self.K, self.n_obs = K, n_obs
        self.constant = 0.5 * K * _LOG_2PI

    @property
    def counts(self) -> Array:
        """N for each equation, (K,)."""
        return np.full(self.K, self.n_obs)

    def masked(self, M: Array) -> Array:
        """All of it."""
        return M

    def seen(self, cov: Covariance) -> Covariance:
        """``cov`` itself."""
        return cov

    def nll(self, E: Array, cov: Covariance) -> float:
        """By the covariance's ``nll``."""
        return cov.nll(E, self.n_obs)

    def moments(self, E: Array, equations: Array) -> Array:
        """E'E / N, some columns of it."""
        return np.asarray(E.T @ E[:, equations]) / self.n_obs

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H of one Sigma for all rows."""
        return CoefficientCovariance(design, cov, self.n_obs, ridge)


class RowsWithHoles:
    """Rows of which some cells are missing at random.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    """

    whole = False

    def __init__(self, patterns: Patterns) -> None:
        self.patterns, self.K, self.n_obs = patterns, patterns.K, patterns.N
        self.constant = 0.5 * patterns.n_cells * _LOG_2PI / patterns.N

    @property
    def counts(self) -> Array:
        """N_j, (K,)."""
        return self.patterns.rows

    def masked(self, M: Array) -> Array:
        """M, zero in missing cells, whatever it has there."""
        return np.where(self.patterns.mask, M, 0.0)

    def seen(self, cov: Covariance) -> SeenCells:
        """``cov`` as the rows see it."""
        return cov.seen(self.patterns)

    def nll(self, E: Array, cov: Covariance) -> float:
        """Of the observed cells."""
        return self.seen(cov).nll(E)

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """Not defined: rows differ in what they miss.

        Raises
        ------
        OptionError
        """
        raise OptionError("Kackar and Harville's correction is that of one Sigma for all rows")

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Rows weigh equations differently by what else is missing: GLS is not OLS."""
        return False

    def newton(self, *point: object) -> None:
        """There is no matrix: products are differences of gradients."""

    def moments(self, E: Array, equations: Array) -> Array:
        """Of every pair, over the rows that have both; 0 where there are none."""
        mask = self.patterns.mask.astype(float)
        return np.asarray(E.T @ E[:, equations]) / np.maximum(mask.T @ mask[:, equations], 1.0)
