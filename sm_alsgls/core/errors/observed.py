"""The low-rank law of rows seen in part: Sigma_n = F_O F_O' + D_O of the cells that row n has.

A cell (n, j) is missing when y_nj or any regressor of equation j in row n is. Missing cells of Y,
and their rows of X_j, are zeros, so fitted values, residuals and bases are zero there too: zero
rows do not matter to a QR, Q_j'Q_j = I holds on the observed rows, and the normal equations need
to know nothing. The covariance is `ObservedCovariance`; the Sigma-step is
`sm_alsgls.core.sigma.observed_factor`. Together they maximise the exact likelihood of the observed
cells, full-information maximum likelihood (Little and Rubin 2002, chapters 6 and 8).

Where an autoregressive filter left innovations over gaps, a cell belongs to all the rows of its gap
(`sm_alsgls.covariance.spread`): taken for an innovation of the last row alone it has too large a
covariance with the others there and none with those before, and rho is too small (by .03 at .6
where a fifth of the cells are missing at random). With a `Spread` the likelihood is that of the
observed cells all the same (`sm_alsgls.covariance.over_gaps`).

Rows are not compressed: they differ in what they contain, not only in cross-products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sm_alsgls.core.beta.gap_rows import GapRows
from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.seen_rows import SeenRows
from sm_alsgls.core.design.base import (
    Linear,
    Normal,
    PerEquation,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.cells import RowsWithHoles
from sm_alsgls.core.errors.factor_law import FactorLaw
from sm_alsgls.core.second_order.curvature import off_bounds
from sm_alsgls.core.second_order.observed_hessian import ObservedHessian
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.gap_likelihood import GapObjective
from sm_alsgls.core.sigma.observed_factor import ObservedFactor, fit_observed
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.core.sigma.observed_start import available_cells, union_residuals
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, SeenCells, factors_of
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.over_gaps import GapCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)


class ObservedErrors(FactorLaw, RowsWithHoles):
    """Rows of which some cells are missing at random; see `Errors`.

    Parameters
    ----------
    patterns : Patterns
        Which cells there are.
    spread : Spread, optional
        Of cells that are made of several rows' innovations.
    """

    def __init__(self, patterns: Patterns, spread: Spread | None = None) -> None:
        super().__init__(patterns)
        self._spread = spread

    def over_gaps(self, spread: Spread) -> ObservedErrors:
        """The same law of cells some of which are made of several rows' innovations."""
        return ObservedErrors(self.patterns, spread)

    def spread_slope(self, E: Array, cov: Covariance) -> Array:
        """d NLL per row / d (the parameter of each equation's `Spread`), (K,)."""
        if self._spread is None:
            return np.zeros(self.K)
        return GapCovariance(factors_of(cov), self.patterns, self._spread).slope(E)

    def seen(self, cov: Covariance) -> SeenCells:
        """``cov`` as the cells see it."""
        if self._spread is None:
            return ObservedCovariance(factors_of(cov), self.patterns)
        return GapCovariance(factors_of(cov), self.patterns, self._spread)

    def objective(self, E: Array, lam_F: float) -> ObservedObjective:
        """The likelihood of residuals E (N, K) in (F, log d)."""
        if self._spread is None:
            return ObservedObjective(E, self.patterns, lam_F)
        return GapObjective(E, self.patterns, self._spread, lam_F)

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
        objective = self.objective(E, lam_F)
        return fit_observed(
            E,
            self.patterns,
            start,
            floor,
            lam_F=lam_F,
            gtol=gtol,
            memory=memory,
            objective=objective,
        )

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over rows."""
        factors = factors_of(cov)
        if self._spread is None:
            seen = ObservedCovariance(factors, self.patterns)
            kernel = SeenRows(design, seen, self.n_obs, ridge)
        else:
            gaps = GapCovariance(factors, self.patterns, self._spread)
            kernel = GapRows(design, gaps, self.n_obs, ridge)
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
        evaluate = self.objective(E, lam_F)
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
        return ObservedHessian(
            design,
            self.patterns,
            gamma,
            E,
            factors,
            free,
            ridge,
            lam_F,
            self.objective,
            self.seen,
        )

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Not looked at; pairs that share few rows are what `joint_rows` counts."""
        return True

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> LowRankDiag | None:
        """Each equation on all regressors of the rows it has, then the available cells."""
        E = union_residuals(blocks, Y, self.patterns, rank)
        return None if E is None else available_cells(E, self.patterns, rank)

    def elsewhere(self, block: SecantMemory | None) -> None:
        """Nothing: curvature is that of a place."""
