"""The law of an unrestricted Sigma: rows e_n ~ N(0, Sigma), Sigma any positive definite matrix.

Seemingly unrelated regressions of the textbook (Zellner 1962), for fewer equations than rows. The
Sigma-step of whole rows is closed, Sigma = E'E/N, so that the loop climbs the profile likelihood
of gamma alone (`sm_alsgls.core.second_order.profile_hessian`); alternation without the loop's
secant pairs is iterated SUR (Oberhofer and Kmenta 1974, Econometrica 42).

Where a combination of errors can be fitted exactly (`sm_alsgls.core.sigma.bounded`) the likelihood
has no bound. There the Sigma-step keeps the variance that the equations before it leave of an
equation, R_jj^2, from falling below ``floor``, and says at which equation.

Standard errors of small samples are those of `sm_alsgls.core.beta.estimated_unrestricted`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv

from sm_alsgls.core.beta.estimated_unrestricted import EstimatedUnrestricted
from sm_alsgls.core.design.base import (
    Bread,
    CoefficientVariance,
    Linear,
    Normal,
    PerEquation,
)
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.core.errors.base import Direction, Errors, Step
from sm_alsgls.core.errors.cells import WholeRows
from sm_alsgls.core.errors.complete import union_residuals
from sm_alsgls.core.errors.unrestricted_law import UnrestrictedLaw
from sm_alsgls.core.errors.unrestricted_observed import ObservedUnrestrictedErrors
from sm_alsgls.core.rows.same_products import Rows
from sm_alsgls.core.second_order.profile_hessian import ProfileHessian
from sm_alsgls.core.second_order.stationarity import Stationarity
from sm_alsgls.core.sigma.bounded import is_bounded
from sm_alsgls.core.sigma.unrestricted import free_of_bounds, on_floor
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)
# Coefficients up to which Newton's step costs no more than the sweeps that it saves.
_NEWTON = 60


def _information(design: PerEquation, precision: Array) -> Array:
    """H, (P, P); a function, not a closure: results with it are pickled."""
    return design.stacked.spread(precision)


def unrestricted(rows: Rows) -> Errors:
    """`UnrestrictedErrors` of rows that are whole, else `ObservedUnrestrictedErrors`."""
    if rows.patterns is None:
        return UnrestrictedErrors(rows.Y.shape[1], rows.n_obs)
    return ObservedUnrestrictedErrors(rows.patterns)


class UnrestrictedErrors(UnrestrictedLaw, WholeRows):
    """Rows e_n ~ N(0, Sigma), all of them whole; see `Errors`. It has no order: ranks are unread.

    Parameters
    ----------
    K, n_obs : int
        Equations, fewer than rows, and the rows that the likelihood is of.

    Examples
    --------
    >>> from sm_alsgls.core.maximise.als import als
    >>> from sm_alsgls.core.problem import ALSOptions, Problem
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((40, 2)) for _ in range(3)]
    >>> Y = rng.standard_normal((40, 1)) + rng.standard_normal((40, 3))
    >>> problem = Problem(X, Y, ALSOptions()).with_errors(UnrestrictedErrors(3, 40))
    >>> fit = als(problem, 0)
    >>> fit.converged, fit.cov
    (True, Unrestricted(K=3))
    """

    def interval_sigma(
        self,
        E: Array,
        cov: Covariance,
        p: Array,
        floor: Array,
        lam_F: float,
        least_squares: Callable[[], Array],
    ) -> Unrestricted:
        """That of OLS residuals, which are not bent to Sigma."""
        return on_floor(least_squares(), self.n_obs, floor)[0]

    def stretch(self, design: PerEquation, cov: Covariance) -> Callable[[int], Array] | None:
        """By `EstimatedUnrestricted`; None where GLS is OLS."""
        if design.shared or self.K == 1:
            return None
        return self._estimated(design, cov, exact=False, debiased=True).stretch

    def _estimated(
        self, design: PerEquation, cov: Covariance, *, exact: bool, debiased: bool
    ) -> EstimatedUnrestricted:
        precision = cov.solve(np.eye(self.K))
        return EstimatedUnrestricted(
            design,
            precision,
            self.counts,
            partial(_information, design, precision),
            exact=exact,
            debiased=debiased,
        )

    def corrected(
        self, bread: Bread, cov: Covariance, at_bound: Array, debiased: bool
    ) -> CoefficientVariance:
        """The exact term, by `EstimatedUnrestricted`."""
        if bread.design.shared or self.K == 1:
            return bread
        made = self._estimated(bread.design, cov, exact=True, debiased=debiased)
        return bread.stretched(made.stretch)

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
        """E'E / N, its smallest parts no lower than ``floor``."""
        cov, low = on_floor(E, self.n_obs, floor)
        quad = float(self.K) if not low.any() else cov.quad(E) / self.n_obs
        return Step(cov, 0.5 * (cov.logdet() + quad), 0.0, low, 1)

    def stationarity(
        self,
        normal: Normal,
        gamma: Array,
        E: Array,
        cov: Covariance,
        at_bound: Array,
        lam_F: float,
    ) -> Stationarity:
        """What E'E / N is from Sigma, both whitened by Sigma, and the score of beta."""
        white = cov.whiten(E)
        gap = np.abs(white.T @ white / self.n_obs - np.eye(self.K))
        gap = free_of_bounds(gap, at_bound)
        size = float(gap.max(initial=0.0))
        return Stationarity(size, normal.score_size(normal.score(E, gamma)))

    def hessian(
        self,
        design: Linear,
        gamma: Array,
        E: Array,
        cov: Covariance,
        floor: Array,
        ridge: Ridge | None = None,
        lam_F: float = 0.0,
    ) -> ProfileHessian | None:
        """That of the profile likelihood; none at a spike."""
        made, low = on_floor(E, self.n_obs, floor)
        return None if low.any() else ProfileHessian(design, E, made, self.n_obs, ridge)

    def newton(
        self,
        design: Linear,
        E: Array,
        cov: Covariance,
        score: Array,
        at_bound: Array,
        s_ols: Array,
        ridge: Ridge | None,
        lam_F: float,
    ) -> Direction | None:
        """Of the profile likelihood of few coefficients, where its Hessian is positive."""
        if design.P > _NEWTON or at_bound.any():
            return None
        made, _ = on_floor(E, self.n_obs, np.zeros(self.K))
        hessian = ProfileHessian(design, E, made, self.n_obs, ridge)
        H = hessian.dense()
        # Directions that restrictions forbid have neither curvature nor score.
        H.ravel()[:: len(H) + 1] += 1e-10
        _, step, info = dposv(H, score * hessian.scale / self.n_obs, lower=1)
        if info:
            return None
        return Direction(design.inside(step * hessian.scale), np.zeros(self.K))

    def sigma_alone(self, design: Linear, ridge: Ridge | None) -> bool:
        """Where all designs are equal (Zellner 1962), and nothing is shrunk."""
        return design.shared and ridge is None

    def bounded(self, design: Linear, rank: int, lam_F: float) -> bool:
        """Unless K responses and all regressors have more columns than there are rows."""
        return design.restricted or is_bounded(design.free, self.K - 1, self.n_obs)

    def union(
        self, blocks: Sequence[Array], design: Linear, Y: Array, s_ols: Array, rank: int
    ) -> Unrestricted | None:
        """Sigma of the residuals of one regression for all equations."""
        E = union_residuals(design, Y, s_ols, self.n_obs, self.K - 1)
        if E is None:
            return None
        cov, low = on_floor(E, self.n_obs, 1e-10 * s_ols)
        return None if low.any() else cov

    def elsewhere(self, block: Any) -> None:
        """Nothing is kept."""
