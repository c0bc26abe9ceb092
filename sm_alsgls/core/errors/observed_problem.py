"""A system with missing cells as the loop sees it, and the steps that maximise its likelihood.

A cell (n, j) is missing when y_nj or any regressor of equation j in row n is. Missing cells of Y,
and their rows of X_j, are zeros here, so fitted values, residuals and bases are zero there too:
zero rows do not matter to a QR, Q_j'Q_j = I holds on the observed rows, and `NormalEquations`
needs to know nothing. Its covariance is `ObservedCovariance`; its Sigma-step is
`sm_alsgls.core.sigma.observed_factor`. Together they maximise the exact likelihood of the observed
cells, full-information maximum likelihood (Little and Rubin 2002, chapters 6 and 8).

Rows are not compressed: they differ in what they contain, not only in cross-products.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sm_alsgls.core.beta.gls import NormalEquations
from sm_alsgls.core.beta.observed_information import ObservedCoefficientCovariance
from sm_alsgls.core.design.per_equation import Design, Ridge
from sm_alsgls.core.problem import ALSOptions
from sm_alsgls.core.rows.cell_rows import CellRows
from sm_alsgls.core.second_order.observed_hessian import ObservedHessian
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.observed_factor import ObservedFactor, fit_observed
from sm_alsgls.core.sigma.observed_likelihood import ObservedObjective
from sm_alsgls.core.sigma.observed_start import available_cells, union_residuals
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)


class ObservedProblem:
    """A system of which some cells are missing; takes the place of `Problem` in `als`.

    Parameters
    ----------
    blocks : sequence of ndarray
        K designs (N, p_j); rows of missing cells may hold anything, NaN included.
    Y : ndarray, shape (N, K)
        Responses; missing cells may hold anything.
    mask : ndarray of bool, shape (N, K)
        True where a cell is observed. Every row has one, every equation more than p_j.
    options : ALSOptions

    Attributes
    ----------
    rows : CellRows
    patterns : Patterns
    design : Design
        Bases, zero in missing cells.
    Y : ndarray, shape (N, K)
        Zero in missing cells, Fortran-ordered.
    n_obs, K : int
        N; every NLL is per row of N, whatever the row contains.
    gamma_ols : ndarray, shape (P,)
        OLS of each equation on its observed rows.
    E_ols : ndarray, shape (N, K)
    s_ols : ndarray, shape (K,)
        |e_j|^2 / N_j.
    floor : ndarray, shape (K,)
    ridge : Ridge or None
        Per observed row of its equation.
    steps : ObservedSteps

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.maximise.als import als
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((80, 2)) for _ in range(6)]
    >>> Y = rng.standard_normal((80, 1)) + rng.standard_normal((80, 6))
    >>> Y[rng.random(Y.shape) < 0.2] = np.nan
    >>> fit = als(ObservedProblem(X, Y, np.isfinite(Y), ALSOptions()), 1)
    >>> fit.converged, fit.cov
    (True, LowRankDiag(K=6, rank=1))
    """

    def __init__(self, blocks: Sequence[Array], Y: Array, mask: Array, options: ALSOptions) -> None:
        if Y.shape != mask.shape:
            raise ShapeError(f"the mask must have the shape {Y.shape} of Y, got {mask.shape}")
        one = np.asarray(mask, dtype=float)
        self._open(CellRows(list(blocks), Y, len(Y), one, mask=mask, designs=blocks), options)

    @classmethod
    def from_rows(cls, rows: CellRows, options: ALSOptions) -> ObservedProblem:
        """The problem of rows whose weights, if any, were multiplied in."""
        problem = cls.__new__(cls)
        problem._open(rows, options)
        return problem

    def _open(self, rows: CellRows, options: ALSOptions) -> None:
        self.options, self.rows = options, rows
        self.n_obs, self.K = rows.Y.shape
        self.patterns = Patterns(rows.mask)
        seen = self.patterns.mask.T
        # The same block in several equations stays one array while it is whole.
        blocks = [
            X if m.all() else np.where(m[:, None], X, 0.0)
            for X, m in zip(rows.blocks, seen, strict=True)
        ]
        self._set(Design(blocks), rows.Y)
        self._weights = self._ridge_weights(blocks) if options.lam_B > 0.0 else None
        self.ridge: Ridge | None = (
            None if self._weights is None else self.design.ridge(self._weights)
        )
        self.steps = ObservedSteps(self)

    @property
    def free_design(self) -> Design:
        """The design, of which a restricted problem restricts the coefficients."""
        return self.design

    def full_design(self, blocks: Sequence[Array]) -> Design:
        """What `with_responses` takes: the problem's own, which has all rows."""
        return self.free_design

    def with_responses(self, Y: Array, design: Design | None = None) -> ObservedProblem:
        """The same regressors and mask with other responses (N, K), for refits by the thousand."""
        again = copy.copy(self)
        again._set(self.free_design if design is None else design, Y)
        again.steps = ObservedSteps(again)
        return again

    def rescaled(self, c: Array) -> ObservedProblem:
        """The problem of the responses Y diag(1 / c), c (K,) positive."""
        again = copy.copy(self)
        if self._weights is not None:
            again._weights = [w * v * v for w, v in zip(self._weights, c, strict=True)]
        # Residuals on all regressors are made of these.
        again.rows = replace(self.rows, Y=(self.rows.Y.T / c[:, None]).T)
        again._set_scaled(c)
        again.ridge = None if again._weights is None else again.design.ridge(again._weights)
        again.steps = ObservedSteps(again)
        return again

    def _set_scaled(self, c: Array) -> None:
        self._set(self.design, (self.Y.T / c[:, None]).T)

    def _set(self, design: Design, Y: Array) -> None:
        self.design = design
        self.Y = np.asfortranarray(np.where(self.patterns.mask, Y, 0.0))
        self.gamma_ols = design.project(self.Y)
        self.E_ols = self.residuals(self.gamma_ols)
        self.s_ols = np.einsum("kn,kn->k", self.E_ols.T, self.E_ols.T) / self.patterns.rows
        self.floor = self.options.d_floor * self.s_ols

    def _ridge_weights(self, blocks: Sequence[Array]) -> list[Array]:
        weights = []
        for X, s, varies in zip(blocks, self.s_ols, self.rows.varies, strict=True):
            # NormalEquations multiplies by N: this makes it N_j times the mean over N_j rows.
            weights.append(self.options.lam_B / s * varies * np.square(X).sum(axis=0) / self.n_obs)
        return weights

    def residuals(self, gamma: Array) -> Array:
        """Y minus fitted values, zero in missing cells, (N, K)."""
        fitted = self.design.fitted(gamma)
        return np.subtract(self.Y, fitted, out=fitted)

    @property
    def counts(self) -> Array:
        """Rows of each equation, N_j, (K,)."""
        return self.patterns.rows

    def observed(self, cov: LowRankDiag) -> ObservedCovariance:
        """``cov`` as the rows of this system see it."""
        return ObservedCovariance(cov, self.patterns)

    def covariance(self, cov: LowRankDiag) -> ObservedCoefficientCovariance:
        """Covariance of the coefficients when the errors have covariance ``cov``."""
        return ObservedCoefficientCovariance(self.steps.normal(cov))


class ObservedSteps:
    """The pair of steps of a system with missing cells."""

    def __init__(self, problem: ObservedProblem) -> None:
        self._problem = problem
        self.constant = 0.5 * problem.patterns.n_cells * _LOG_2PI / problem.n_obs

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        cov: LowRankDiag | None,
        d: Array | None,
        block: SecantMemory | None,
        gtol: float,
        lam_F: float | None = None,
    ) -> ObservedFactor:
        """The Sigma-step from ``cov``, else from the available cells."""
        problem = self._problem
        if cov is None or cov.rank != rank:
            cov, block = available_cells(E, problem.patterns, rank, d), None
        return fit_observed(
            E,
            problem.patterns,
            cov,
            problem.floor,
            lam_F=problem.options.lam_F if lam_F is None else lam_F,
            gtol=gtol,
            memory=None if block is None else block.copy(),
        )

    @property
    def sigma_alone(self) -> bool:
        """Rows weigh equations differently by what else is missing: GLS is not OLS."""
        return False

    def bounded(self, rank: int) -> bool:
        """Not looked at; pairs that share few rows are what `joint_rows` counts."""
        return True

    def moments(self, E: Array, equations: Array) -> Array:
        """Of every pair, over the rows that have both; 0 where there are none."""
        mask = self._problem.patterns.mask.astype(float)
        return np.asarray(E.T @ E[:, equations]) / np.maximum(mask.T @ mask[:, equations], 1.0)

    def normal(self, cov: LowRankDiag) -> ObservedNormalEquations:
        """H, a sum over rows."""
        problem = self._problem
        return ObservedNormalEquations(
            problem.design, problem.observed(cov), problem.n_obs, problem.ridge
        )

    def nll(self, E: Array, cov: LowRankDiag) -> float:
        """Of the observed cells."""
        return self._problem.observed(cov).nll(E)

    def stationarity(
        self, gamma: Array, E: Array, cov: LowRankDiag, at_bound: Array
    ) -> Stationarity:
        """The gradient in log d and D^-1/2 F, and the score of beta."""
        problem = self._problem
        evaluate = ObservedObjective(E, problem.patterns, problem.options.lam_F)
        point = evaluate(cov.loadings, np.log(cov.uniquenesses))
        normal = self.normal(cov)
        return Stationarity(point.size(at_bound), normal.score_size(normal.score(E, gamma)))

    def hessian(self, gamma: Array, E: Array, cov: LowRankDiag, free: Array) -> ObservedHessian:
        """Products by differences of the gradient."""
        return ObservedHessian(self._problem, gamma, cov, free)

    def newton(self, point: object) -> None:
        """There is no matrix: products are differences of gradients."""

    def union(self, rank: int) -> LowRankDiag | None:
        """Each equation on all regressors of the rows it has, then the available cells."""
        problem = self._problem
        E = union_residuals(problem.rows.blocks, problem.rows.Y, problem.patterns, rank)
        return None if E is None else available_cells(E, problem.patterns, rank)

    def elsewhere(self, block: SecantMemory | None) -> None:
        """Nothing: curvature is that of a place."""


class ObservedNormalEquations(NormalEquations):
    """H = sum over rows of q_n Sigma_n^-1 q_n', as an operator.

    The diagonal is that of (mean over j's rows of (Sigma_n^-1)_jj) Q_j'Q_j, which does not depend
    on the basis: precisions differ between rows by what the factors are known better in one than
    in the other, which is little.
    """

    cov: ObservedCovariance

    def solved(self, E: Array) -> Iterator[tuple[Array, Array, slice, Array]]:
        """W' (jb, n) tile by tile, zero in missing cells."""
        seen = self.cov.patterns.mask.T
        for equations, basis, at, Wt in super().solved(E):
            Wt *= seen[equations]
            yield equations, basis, at, Wt

    def row_scores(self, E: Array) -> Array:
        """Scores u_n of the rows in gamma, (P, N): column n is [q_nj w_nj]_j, W = rows Sigma^-1 e.

        They add up to the score; robust meats are sums of their products.
        """
        out = np.empty((self.design.P, self.design.n))
        for _, basis, at, Wt in self.solved(E):
            out[at] = (basis * Wt[:, None, :]).reshape(-1, self.design.n)
        return out
