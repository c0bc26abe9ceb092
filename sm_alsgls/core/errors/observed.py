"""The low-rank law of rows seen in part: Sigma_n = F_O F_O' + D_O of the cells that row n has.

A cell (n, j) is missing when y_nj or any regressor of equation j in row n is. Missing cells of Y,
and their rows of X_j, are zeros, so fitted values, residuals and bases are zero there too: zero
rows do not matter to a QR, Q_j'Q_j = I holds on the observed rows, and the normal equations need
to know nothing. The covariance is `ObservedCovariance`; the Sigma-step is
`sm_alsgls.core.sigma.observed_factor`. Together they maximise the exact likelihood of the observed
cells, full-information maximum likelihood (Little and Rubin 2002, chapters 6 and 8).

Rows are not compressed: they differ in what they contain, not only in cross-products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sm_alsgls.core.beta.estimated_sigma import EstimatedSigma
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.seen_rows import SeenRows
from sm_alsgls.core.design.base import (
    Bread,
    CoefficientVariance,
    Linear,
    Normal,
    PerEquation,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.loading_prior import with_loading_prior
from sm_alsgls.core.second_order.curvature import Curvature, along, off_bounds
from sm_alsgls.core.second_order.observed_hessian import ObservedHessian
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.factor import sigma_parameters
from sm_alsgls.core.sigma.observed_factor import ObservedFactor, fit_observed
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.core.sigma.observed_start import available_cells, union_residuals
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, LowRank, SeenCovariance, factors_of
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import OptionError

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)


class ObservedErrors:
    """Rows of which some cells are missing at random; see `Errors`.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    """

    whole = False
    climbs = True
    bends = False

    def __init__(self, patterns: Patterns) -> None:
        self.patterns, self.K, self.n_obs = patterns, patterns.K, patterns.N
        self.constant = 0.5 * patterns.n_cells * _LOG_2PI / patterns.N

    @property
    def counts(self) -> Array:
        """N_j, (K,)."""
        return self.patterns.rows

    def parameters(self, rank: int) -> int:
        """K r + K - r (r - 1) / 2."""
        return sigma_parameters(self.K, rank)

    def taken(self, rank: int) -> float:
        """r: the rows' factors."""
        return float(rank)

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> LowRank:
        """Loadings under the prior that they show (`sm_alsgls.core.errors.loading_prior`)."""
        return with_loading_prior(self, E, factors_of(cov), p, floor, lam_F).canonical()

    def stretch(self, design: PerEquation, cov: Covariance) -> Callable[[int], Array]:
        """In closed form (`sm_alsgls.core.beta.estimated_sigma`)."""
        return EstimatedSigma(design, factors_of(cov), self.counts).stretch

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """Not defined: rows differ in what they miss.

        Raises
        ------
        OptionError
        """
        raise OptionError("Kackar and Harville's correction is that of one Sigma for all rows")

    def rescaled(self, c: Array) -> ObservedErrors:
        """Itself: factors and uniquenesses of e_j / c_j are any, as before."""
        return self

    def masked(self, M: Array) -> Array:
        """M, zero in missing cells, whatever it has there."""
        return np.where(self.patterns.mask, M, 0.0)

    def seen(self, cov: Covariance) -> SeenCovariance:
        """``cov`` as the rows see it."""
        return cov.seen(self.patterns)

    def nll(self, E: Array, cov: Covariance) -> float:
        """Of the observed cells."""
        return self.seen(cov).nll(E)

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """lam_F sum_j |f_j|^2 / d_j / 2."""
        if lam_F == 0.0:
            return 0.0
        factors = factors_of(cov)
        return 0.5 * lam_F * float(np.sum(factors.loadings**2 / factors.uniquenesses[:, None]))

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: SecantMemory | None,
        gtol: float,
        lam_F: float = 0.0,
    ) -> ObservedFactor:
        """The Sigma-step from ``near``, else from the available cells."""
        start = None if near is None else factors_of(near)
        if start is None or start.rank != rank:
            start, block = available_cells(E, self.patterns, rank, d), None
        memory = None if block is None else block.copy()
        return fit_observed(E, self.patterns, start, floor, lam_F=lam_F, gtol=gtol, memory=memory)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over rows."""
        seen = ObservedCovariance(factors_of(cov), self.patterns)
        kernel = SeenRows(design, seen, self.n_obs, ridge)
        return CoefficientCovariance(design, cov, self.n_obs, ridge, kernel)

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """The gradient in log d and D^-1/2 F, and the score of beta."""
        factors = factors_of(cov)
        evaluate = ObservedObjective(E, self.patterns, lam_F)
        point = evaluate(factors.loadings, np.log(factors.uniquenesses))
        return Stationarity(point.size(at_bound), normal.score_size(normal.score(E, gamma)))

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> ObservedHessian:
        """Products by differences of the gradient."""
        factors = factors_of(cov)
        free = off_bounds(factors, floor)
        return ObservedHessian(design, self.patterns, gamma, E, factors, free, ridge, lam_F)

    def along(
        self, cov: Covariance, curvature: Curvature, sign: float, floor: Array
    ) -> LowRankDiag:
        """By the function of that name."""
        return along(factors_of(cov), curvature, sign, floor)

    def newton(self, *point: object) -> None:
        """There is no matrix: products are differences of gradients."""

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Rows weigh equations differently by what else is missing: GLS is not OLS."""
        return False

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Not looked at; pairs that share few rows are what `joint_rows` counts."""
        return True

    def moments(self, E: Array, equations: Array) -> Array:
        """Of every pair, over the rows that have both; 0 where there are none."""
        mask = self.patterns.mask.astype(float)
        return np.asarray(E.T @ E[:, equations]) / np.maximum(mask.T @ mask[:, equations], 1.0)

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> LowRankDiag | None:
        """Each equation on all regressors of the rows it has, then the available cells."""
        E = union_residuals(blocks, Y, self.patterns, rank)
        return None if E is None else available_cells(E, self.patterns, rank)

    def elsewhere(self, block: SecantMemory | None) -> None:
        """Nothing: curvature is that of a place."""
