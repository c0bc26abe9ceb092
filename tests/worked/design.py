"""How to add a design: one vector of coefficients for all equations, y_j = X_j theta + e_j.

Two maps put it on a free design: ``lift`` from its coordinates to gamma, and the transpose
``drop``. What follows from them is in `core.design.lifted`; a binding makes the design of the free
one, and says what the coefficients are in other units.
"""

import numpy as np

from sm_alsgls.core.design.lifted import Lifted


class OneForAll:
    ridged = False

    def __init__(self, units=None):
        self.c = units

    def bind(self, free):
        return OneForAllDesign(free, np.ones(free.K) if self.c is None else self.c)

    def rescaled(self, c, free):
        return OneForAll(c if self.c is None else self.c * c)

    def units(self, c, p):
        return np.ones(p[0])


class OneForAllDesign(Lifted):
    """beta_j = theta / c_j, of responses in units of c_j."""

    def __init__(self, free, c):
        super().__init__(free, int(free.p[0]))
        self.c = c
        M = np.column_stack([free.from_beta([e / v for v in c]) for e in np.eye(self.P)])
        self.Q, self.R = np.linalg.qr(M)  # gamma = M theta, g = R theta

    def lift(self, g):
        return self.Q @ g

    def drop(self, gamma):
        return self.Q.T @ gamma

    def diagonal(self, own):
        return self.free.diagonal(own) @ self.Q**2

    def to_params(self, g):
        return np.linalg.solve(self.R, g)

    def to_beta(self, g):
        return [self.to_params(g) / v for v in self.c]

    def from_beta(self, beta):
        return self.R @ np.mean([b * v for b, v in zip(beta, self.c, strict=True)], axis=0)

    def columns(self, j):
        return np.arange(self.P)
