"""How to add a law of the errors: shocks reach neighbours, e = lam W e + u, u with factors.

A law has the Sigma-step and says how its Sigma looks to rows (`core.errors.base`). What is this
one's own is the filter A = I - lam W: residuals go through it, covariances come back.
"""

import numpy as np

from sm_alsgls.core.errors.base import Step
from sm_alsgls.core.errors.complete import CompleteErrors
from sm_alsgls.core.errors.nuisance import Nuisance
from sm_alsgls.covariance.filtered import Filtered


class SpatialErrors(CompleteErrors):
    climbs = False  # Starts of one rank are not grown from another's.
    bounds = np.array([[-0.95, 0.95]])

    def __init__(self, K, n_obs, W, lam):
        super().__init__(K, n_obs)
        self.left = CompleteErrors(K, n_obs)  # what the filter leaves
        self.W, self.lam, self.A = W, lam, np.eye(K) - lam * W
        jacobian = np.linalg.slogdet(self.A)[1]
        self.constant -= jacobian
        self.nuisance = Nuisance(("lam",), np.array([lam]), np.full((1, 1), np.nan), jacobian)

    def at(self, values):
        return SpatialErrors(self.K, self.n_obs, self.W, float(values[0]))

    def rescaled(self, c):
        return SpatialErrors(self.K, self.n_obs, self.W * c / c[:, None], self.lam)

    def parameters(self, rank):
        return super().parameters(rank) + 1

    def sigma(self, E, rank, *, near=None, **known):
        left = self.left.sigma(E @ self.A.T, rank, near=near and near.inner, **known)
        cov = Filtered(left.cov, self.A)
        return Step(cov, left.nll, left.gradient, left.at_bound, left.evaluations, left.block)

    def stationarity(self, normal, gamma, E, cov, at_bound, lam_F):
        inner = normal.design.normal(cov.inner, self.n_obs)
        left = self.left.stationarity(inner, gamma, E @ self.A.T, cov.inner, at_bound, lam_F)
        return left._replace(score_beta=normal.score_size(normal.score(E, gamma)))

    def interval_sigma(self, E, cov, *known):
        return Filtered(self.left.interval_sigma(E @ self.A.T, cov.inner, *known), self.A)

    def penalty(self, cov, lam_F):
        return self.left.penalty(cov.inner, lam_F)

    def sigma_alone(self, design, ridge):
        return False

    # No second-order check, no Newton, no start from all regressors, no correction of its own.
    def hessian(self, *point, **penalties):
        return None

    newton = union = stretch = hessian
