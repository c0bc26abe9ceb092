"""Spatial errors: e_n = lam W e_n + u_n, where u_n has a law of its own, with factors as a rule.

With B = I - lam W the rows U = E B' follow the law that is left, and per row

    psi(lam) = min over (b, Sigma) of NLL(U; Sigma) - log|B|.

At the inner optimum the envelope theorem leaves the partial derivative,

    d psi / d lam = -(1/N) sum_n (W e_n)' Sigma^-1 u_n + tr(W B^-1),          U = E B',

two products with W and one with Sigma^-1, without a refit. W and lam have no units; b and lam are
orthogonal in the information (Anselin 1988, section 6.2).

Sigma of the rows is B^-1 Sigma_u B^-T (`sm_alsgls.covariance.filtered`), so that coefficients may
be each equation's own or common. Of rows with holes it is `sm_alsgls.core.laws.spatial_holes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, cast

import numpy as np

from sm_alsgls.core.design.base import Bread, CoefficientVariance, Linear, Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Errors, Step
from sm_alsgls.core.errors.cells import WholeRows
from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.core.errors.tied import NoCurvature
from sm_alsgls.core.laws.spatial_weights import SpatialWeights, inside
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.filtered import Filtered
from sm_alsgls.exceptions import OptionError, ShapeError

Array = np.ndarray


class SpatialError(NoCurvature, WholeRows):
    """The law of e with (I - lam W) e of another law; see `Errors` and `Profiled`.

    Parameters
    ----------
    left : Errors
        The law of what the filter leaves: whole rows.
    weights : SpatialWeights
    lam : float

    Attributes
    ----------
    nuisance : Nuisance
        lam, and log|I - lam W|.
    bounds : ndarray, shape (1, 2)
        Of lam: the admissible interval.

    Raises
    ------
    ShapeError
        Weights of another number of units.
    OptionError
        The law is of rows with holes.

    Examples
    --------
    >>> from sm_alsgls.core.errors.complete import CompleteErrors
    >>> from sm_alsgls.core.maximise.als import als
    >>> from sm_alsgls.core.problem import ALSOptions, Problem
    >>> ring = np.roll(np.eye(6), 1, axis=1)
    >>> weights = SpatialWeights(0.5 * (ring + ring.T))
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((80, 2)) for _ in range(6)]
    >>> U = rng.standard_normal((80, 6))
    >>> Y = U @ np.linalg.inv(np.eye(6) - 0.4 * weights.W.toarray()).T
    >>> problem = Problem(X, Y, ALSOptions())
    >>> law = SpatialError(CompleteErrors(6, 80), weights, 0.4)
    >>> right = als(problem.with_errors(law), 1)
    >>> wrong = als(problem.with_errors(law.at([0.0])), 1)
    >>> right.converged, bool(right.nll < wrong.nll)
    (True, True)
    >>> law.at([0.0]).gradient(wrong.E, wrong.cov) < 0.0
    array([ True])
    """

    name = "spatial_error"
    climbs = False  # Starts of one rank are not grown from another's.
    bends = False
    swept = 0

    def __init__(self, left: Errors, weights: SpatialWeights, lam: float) -> None:
        super().__init__(left.K, left.n_obs)
        if not left.whole:
            raise OptionError("a spatial filter of the errors needs whole rows")
        if weights.K != left.K:
            raise ShapeError(
                f"spatial weights are of {weights.K} units, and there are {left.K} equations"
            )
        self.left, self.weights, self.lam = left, weights, float(lam)
        self.one_variance = left.one_variance
        self._log_det = weights.log_det(self.lam)
        self.constant = left.constant - self._log_det.value
        self.nuisance = Nuisance(
            (self.name,), np.array([self.lam]), np.full((1, 1), np.nan), self._log_det.value
        )

    @property
    def bounds(self) -> Array:
        """The admissible interval, a millionth of it inside."""
        return inside(self.weights.interval)[None, :]

    def at(self, values: Array) -> SpatialError:
        """The same law at another lam, (1,)."""
        return SpatialError(self.left, self.weights, float(values[0]))

    def rescaled(self, c: Array) -> SpatialError:
        """Of e_j / c_j: weights of those, w_ij c_j / c_i, and the same lam."""
        return SpatialError(self.left.rescaled(c), self.weights.rescaled(c), self.lam)

    def gradient(self, E: Array, cov: Covariance) -> Array:
        """d psi / d lam, (1,), at the inner optimum's residuals E (n, K) and its ``cov``."""
        return self.slope_of([E], cov)

    def slope_of(self, parts: Iterable[Array], cov: Covariance) -> Array:
        """The same of rows in parts, which together have the second moments of all N."""
        pull, left = 0.0, self.left_of(cov)
        for E in parts:
            lagged = self.weights.lagged(E)
            solved = left.solve(E - self.lam * lagged)
            pull += float(np.einsum("nk,nk->", solved, lagged))
        return np.array([-pull / self.n_obs - self._log_det.slope])

    def left_of(self, cov: Covariance) -> Covariance:
        """The covariance of what the filter leaves, of one that this law made."""
        return cast(Filtered, cov).inner

    # -- what is left ----------------------------------------------------------------------------

    def filtered(self, E: Array) -> Array:
        """Rows E (n, K) without what neighbours sent."""
        return np.asfortranarray(self.weights.filtered(E, self.lam))

    def unfiltered(self, E: Array) -> Array:
        """The inverse of ``filtered``."""
        return self._filter.unfiltered(E)

    def over(self, left: Covariance) -> Filtered:
        """The covariance of errors that leave one of ``left``."""
        return self._filter.over(left)

    @cached_property
    def _filter(self) -> Filtered:
        """The filter, factorised once for all Sigmas."""
        return Filtered(LowRankDiag.diagonal(np.ones(self.K)), self.weights.filter(self.lam))

    def parameters(self, rank: int) -> int:
        """One more than those of what is left."""
        return self.left.parameters(rank) + 1

    def taken(self, rank: int) -> float:
        """As of what is left."""
        return self.left.taken(rank)

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
        """The Sigma-step of what is left, on filtered residuals."""
        left = self.left.sigma(
            self.filtered(E),
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
        """In Sigma that of what is left; the score of beta under the whole Sigma."""
        left = self.left_of(cov)
        inner = normal.design.normal(left, self.n_obs)
        found = self.left.stationarity(inner, gamma, self.filtered(E), left, at_bound, lam_F)
        return found._replace(score_beta=normal.score_size(normal.score(E, gamma)))

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Covariance:
        """That of what is left, filtered."""
        left = self.left.interval_sigma(
            self.filtered(E),
            self.left_of(cov),
            p,
            floor,
            lam_F,
            lambda: self.filtered(least_squares()),
        )
        return self.over(left)

    def penalty(self, cov: Covariance, lam_F: float) -> float:
        """On the loadings of what is left."""
        return self.left.penalty(self.left_of(cov), lam_F)

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """As of what is left."""
        return self.left.bounded(design, rank, lam_F)

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Equal designs have OLS coefficients whatever Sigma is, a filtered one too."""
        return self.left.sigma_alone(design, ridge)

    def elsewhere(self, block: Any) -> Any:
        """As of what is left."""
        return self.left.elsewhere(block)

    # -- what this law has not -------------------------------------------------------------------

    def stretch(self, design: PerEquation, cov: Covariance) -> None:
        """None: its closed form is that of factors without a filter."""

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """Not defined.

        Raises
        ------
        OptionError
        """
        raise OptionError("Kackar and Harville's correction is not that of filtered errors")
