"""How to add a design: one vector of coefficients for all equations, y_j = X_j theta + e_j.

Two maps put it on a free design: ``lift`` from its coordinates to gamma, and its transpose.
"""

import numpy as np

from sm_alsgls.core.design.lifted_variance import LiftedVariance
from sm_alsgls.core.design.normal import NormalEquations


class OneForAll:
    restricted, shared, origin = True, False, None
    inside = staticmethod(lambda g: g)

    def __init__(self, free):
        self.free, self.n, self.K, self.p = free, free.n, free.K, free.p
        self.P = int(free.p[0])  # gamma = M theta, M = Q R, g = R theta
        M = np.column_stack([free.from_beta([e] * self.K) for e in np.eye(self.P)])
        self.Q, self.R = np.linalg.qr(M)

    def lift(self, g):
        return self.Q @ g

    def drop(self, gamma):
        return self.Q.T @ gamma

    def fitted(self, g):
        return self.free.fitted(self.lift(g))

    def project(self, M):
        return self.drop(self.free.project(M))

    def diagonal(self, own):
        return self.free.diagonal(own) @ self.Q**2

    def largest_norm(self, v):
        return float(np.linalg.norm(v))

    def normal(self, cov, n_obs, ridge=None):
        return NormalEquations(self, cov, n_obs, ridge)

    def variance(self, of_free):
        return LiftedVariance(self, of_free)

    def to_params(self, g):
        return np.linalg.solve(self.R, g)

    def to_beta(self, g):
        return [self.to_params(g)] * self.K

    def from_beta(self, beta):
        return self.R @ np.mean(beta, axis=0)

    def columns(self, j):
        return np.arange(self.P)

    def on_flat(self, R):
        return np.linalg.solve(self.R.T, R.T)
