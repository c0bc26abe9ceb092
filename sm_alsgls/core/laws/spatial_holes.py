"""Laws with neighbours of rows of which some cells are missing: the likelihood of those observed.

Of whole rows y = rho W y + X b + e and e = lam M e + u, u of any Sigma. What is missing of a row is
integrated out exactly (`sm_alsgls.covariance.through_holes`), for any holes: a neighbour that is
missing is filled by its mean given what is observed, and its variance is carried along. With the
filled rows e^ and the extra ones, whose products are the conditional covariances, the gradient in
lam is that of whole rows at both together.

Of spatial errors a missing cell's regressors are not needed. With a spatial lag they are part of
its neighbours' means: the problem's rows are whole there, A y with anything at all in the place of
missing responses, which the covariance takes no notice of. Where a filter of rows (AR, neighbours
that are rows) ties missing cells of several rows together, these are integrated out all at once
(`sm_alsgls.core.laws.reach`), and the problem's rows are whole in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from sm_alsgls.core.beta.information import CoefficientCovariance
from sm_alsgls.core.beta.kernel import Kernel
from sm_alsgls.core.beta.seen_patterns import SeenPatterns
from sm_alsgls.core.beta.tied_rows import TiedRows
from sm_alsgls.core.design.base import Linear, Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Errors, SigmaStep, Step
from sm_alsgls.core.errors.cells import RowsWithHoles
from sm_alsgls.core.errors.loading_prior import with_loading_prior
from sm_alsgls.core.errors.nuisance import NO_NUISANCE, Nuisance
from sm_alsgls.core.errors.tied import NoCurvature
from sm_alsgls.core.laws.filled_sigma import (
    FilledResiduals,
    gradient_of_filled,
    has_closed_form,
    sigma_of_filled,
)
from sm_alsgls.core.laws.reach import Reach
from sm_alsgls.core.laws.spatial_error import SpatialError
from sm_alsgls.core.laws.spatial_lag import SpatialLag, among_equations, rescaled_lag
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.secant import SecantMemory
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance, factors_of
from sm_alsgls.covariance.filled_rows import FilledRows
from sm_alsgls.covariance.patterns import Patterns
from sm_alsgls.covariance.through_holes import Holes
from sm_alsgls.covariance.tied_holes import TiedHoles

Array = np.ndarray


class SpatialHoles(NoCurvature, RowsWithHoles):
    """The law of observed cells of rows that follow another law when whole; see `Errors`.

    Parameters
    ----------
    whole : Errors
        The law of whole rows: `SpatialError`, or where there is a lag alone that of its residuals.
    patterns : Patterns
        Which cells there are.
    lag : SpatialLag, optional
        At its rho: residuals are A y - X b of whole rows, and none of their cells is masked.
    reach : Reach, optional
        What missing cells reach through filters of whole rows, and the lag. Residuals are then of
        whole rows, filtered. Default: every row by itself.

    Examples
    --------
    >>> from sm_alsgls.core.errors.complete import CompleteErrors
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> ring = np.roll(np.eye(6), 1, axis=1)
    >>> weights = SpatialWeights(0.5 * (ring + ring.T))
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((200, 6)) @ np.linalg.inv(np.eye(6) - 0.5 * weights.W.toarray()).T
    >>> mask = rng.random(E.shape) < 0.8
    >>> whole = SpatialError(CompleteErrors(6, 200), weights, 0.5)
    >>> law = SpatialHoles(whole, Patterns(mask))
    >>> step = law.sigma(
    ...     E * mask, 0, floor=np.full(6, 1e-6), near=None, d=None, block=None, gtol=1e-8
    ... )
    >>> law.left_of(step.cov).diag().round(1)
    array([0.9, 0.9, 1. , 1.1, 0.9, 0.9])
    """

    climbs = False  # Starts of one rank are not grown from another's.
    bends = False
    swept = 0

    def __init__(
        self,
        whole: Errors,
        patterns: Patterns,
        lag: SpatialLag | None = None,
        reach: Reach | None = None,
    ) -> None:
        super().__init__(patterns)
        self.whole_rows, self._lag, self._reach = whole, lag, reach
        self.one_variance = whole.one_variance
        own: Nuisance = getattr(whole, "nuisance", NO_NUISANCE)
        self._error = cast(SpatialError, whole) if len(own.values) else None
        self._own = whole if self._error is None else self._error.left
        self.nuisance = own
        self.constant -= own.log_jacobian
        self._by_row: Holes | None = None
        if reach is None:
            A = None if lag is None else among_equations(lag.weights).filter(lag.rho)
            self._by_row = Holes(patterns, A)

    @property
    def bounds(self) -> Array:
        """Of lam, where there is one: the admissible interval, (m, 2)."""
        return np.empty((0, 2)) if self._error is None else self._error.bounds

    def at(self, values: Array) -> SpatialHoles:
        """The same law at another lam, (1,)."""
        whole = self.whole_rows if self._error is None else self._error.at(values)
        return SpatialHoles(whole, self.patterns, self._lag, self._reach)

    def rescaled(self, c: Array) -> SpatialHoles:
        """Of e_j / c_j."""
        lag = None if self._lag is None else rescaled_lag(self._lag, c)
        reach = None if self._reach is None else self._reach.rescaled(c)
        return SpatialHoles(self.whole_rows.rescaled(c), self.patterns, lag, reach)

    def masked(self, M: Array) -> Array:
        """Zero in missing cells; with a lag or filters all of it, as rows are whole there."""
        return super().masked(M) if self._lag is None and self._reach is None else M

    @property
    def holes(self) -> Holes | TiedHoles:
        """What is integrated out."""
        if self._reach is not None:
            return self._reach.holes
        assert self._by_row is not None
        return self._by_row

    def seen(self, cov: Covariance) -> FilledRows:  # type: ignore[override]
        """``cov`` as the observed cells see it."""
        return self.holes.seen(cov)

    # -- filters ---------------------------------------------------------------------------------

    def left_of(self, cov: Covariance) -> Covariance:
        """The covariance of what neighbours leave, of one that this law made."""
        return cov if self._error is None else self._error.left_of(cov)

    def over(self, left: Covariance) -> Covariance:
        """The covariance of errors that leave one of ``left``."""
        return left if self._error is None else self._error.over(left)

    def through(self, E: Array) -> Array:
        """Whole rows of errors (n, K) as what neighbours leave."""
        return E if self._error is None else self._error.filtered(E)

    def filtered(self, E: Array) -> Array:
        """What neighbours leave of residuals (N, K), zero in missing cells: to look at.

        Of the filled rows, filled as if all that is left were independent, of the variances that
        residuals have: without a Sigma there is no better mean.
        """
        seen = RowsWithHoles.masked(self, E)
        s = np.square(seen).sum(axis=0) / self.patterns.rows
        rough = LowRankDiag.diagonal(np.where(s > 0.0, s, 1.0))
        filled = self.seen(self.over(rough)).filled(E)
        return RowsWithHoles.masked(self, self.through(filled))

    def unfiltered(self, U: Array) -> Array:
        """Whole rows (n, K) of which neighbours leave these."""
        return U if self._error is None else self._error.unfiltered(U)

    def expected(self, E: Array, cov: Covariance) -> Array:
        """Whole rows (N, K) of what neighbours leave, expected given what is observed."""
        return self.through(self.seen(cov).filled(E))

    def responses(self, Y: Array, E: Array, cov: Covariance) -> Array:
        """Responses Y (N, K), of raw residuals E, with the mean of what is missing."""
        filtered = E if self._reach is None else self._reach.filter.rows(E)
        return Y + self.seen(cov).missing(filtered)

    # -- gradients -------------------------------------------------------------------------------

    def gradient(self, E: Array, cov: Covariance) -> Array:
        """d psi / d lam, (1,), at the inner optimum's residuals E (N, K) and its ``cov``."""
        assert self._error is not None
        return self._error.slope_of(self._expected(E, cov), cov)

    def _expected(self, E: Array, cov: Covariance) -> Iterator[Array]:
        """Rows of errors whose products are the expected ones."""
        seen = self.seen(cov)
        yield seen.filled(E)
        yield from seen.extra()

    def gradient_of_lag(self, Y: Array, E: Array, cov: Covariance) -> float:
        """d psi / d rho, at responses Y (N, K) that raw residuals E are of, and ``cov``."""
        if self._reach is not None:
            return self._reach.of_lag(Y, E, self._reach.holes.seen(cov))
        assert self._lag is not None
        assert self._by_row is not None
        seen, weights = self._by_row.seen(cov), self._lag.weights
        pull = float(np.vdot(cov.solve(seen.filled(E)), weights.lagged(self.responses(Y, E, cov))))
        for D in seen.directions():
            pull += float(np.vdot(cov.solve(self._by_row.forth(D)), weights.lagged(D)))
        return -pull / self.n_obs - weights.log_det(self._lag.rho).slope

    def gradient_of_filter(self, E: Array, cov: Covariance) -> Array | None:
        """d psi / d values of the filter of rows, at raw residuals E (N, K); None without one."""
        if self._reach is None:
            return None
        return self._reach.of_filter(E, self._reach.holes.seen(cov))

    # -- Sigma -----------------------------------------------------------------------------------

    def parameters(self, rank: int) -> int:
        """Those of whole rows."""
        return self.whole_rows.parameters(rank)

    def taken(self, rank: int) -> float:
        """Those of whole rows."""
        return self.whole_rows.taken(rank)

    def filling(self, E: Array) -> FilledResiduals:
        """Residuals E (N, K) as filled rows of what is left."""
        return FilledResiduals(E, lambda left: self.seen(self.over(left)), self.through)

    def left_sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float = 0.0,
    ) -> SigmaStep:
        """The Sigma-step, Sigma and ``near`` being those of what is left."""
        return sigma_of_filled(
            self._own,
            RowsWithHoles.masked(self, E),
            self.patterns,
            self.filling(E),
            self.nuisance.log_jacobian,
            rank,
            floor=floor,
            near=near,
            d=d,
            block=block,
            gtol=gtol,
            lam_F=lam_F,
        )

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Covariance | None,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float = 0.0,
    ) -> Step:
        """The Sigma-step from ``near``, else from the available cells."""
        left = self.left_sigma(
            E,
            rank,
            floor=floor,
            near=None if near is None else self.left_of(near),
            d=d,
            block=block,
            gtol=gtol,
            lam_F=lam_F,
        )
        cov = self.over(left.cov)
        return Step(cov, left.nll, left.gradient, left.at_bound, left.evaluations, left.block)

    def stationarity(
        self, normal: Normal, gamma: Array, E: Array, cov: Covariance, at_bound: Array, lam_F: float
    ) -> Stationarity:
        """The gradient in Sigma, and the score of beta."""
        size = gradient_of_filled(
            self._own,
            self.left_of(cov),
            self.patterns,
            self.filling(E),
            self.nuisance.log_jacobian,
            at_bound,
            lam_F,
        )
        return Stationarity(size, normal.score_size(normal.score(E, gamma)))

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Covariance:
        """That of what is left, with loadings under the prior that they show.

        An unrestricted Sigma is that of least-squares residuals, which are not bent to it.
        """
        if has_closed_form(self._own):
            return cov
        if not self._own.climbs:
            near, E = self.left_of(cov), least_squares()
            step = self.left_sigma(E, 0, floor=floor, near=near, d=None, block=None, gtol=1e-8)
            return self.over(step.cov)
        left = factors_of(self.left_of(cov))
        made = with_loading_prior(_Left(self), E, left, p, floor, lam_F)
        return self.over(made.canonical())

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """On the loadings of what is left."""
        return self._own.penalty(self.left_of(cov), lam_F)

    def information(
        self, design: PerEquation, cov: Covariance, ridge: Ridge | None = None
    ) -> CoefficientCovariance:
        """H, a sum over patterns, or less what all rows lose together."""
        kernel: Kernel
        if self._reach is None:
            assert self._by_row is not None
            kernel = SeenPatterns(design, self._by_row.seen(cov), self.n_obs, ridge)
        else:
            kernel = TiedRows(design, self._reach.holes.seen(cov), self.n_obs, ridge)
        return CoefficientCovariance(design, cov, self.n_obs, ridge, kernel)

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Not looked at, as without neighbours."""
        return True

    def elsewhere(self, block: SecantMemory | None) -> None:
        """Nothing: curvature is that of a place."""

    def stretch(self, design: PerEquation, cov: Covariance) -> None:
        """None: its closed form is that of factors without a filter."""


class _Left:
    """The Sigma-step of what is left, as that of a law."""

    def __init__(self, law: SpatialHoles) -> None:
        self.n_obs, self.counts, self.sigma = law.n_obs, law.counts, law.left_sigma
