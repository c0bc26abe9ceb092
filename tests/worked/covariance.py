"""How to add a covariance of the errors: all pairs of equations equally correlated.

A value is frozen, answers what `sm_alsgls.covariance.base.Covariance` lists, and says which fast
ways it has. This one is low rank plus diagonal, hands its factors over, and the rest follows. One
that has none returns None there and writes the products itself, as `covariance.filtered` does.
"""

import numpy as np

from sm_alsgls.covariance import LowRankDiag

ANSWERED = {
    "K", "diag", "logdet", "marginal", "nll", "piecewise", "precision", "precision_diag", "quad",
    "root", "sample", "seen", "solve", "times", "to_dense", "whiten",
}  # fmt: skip


class Equicorrelated:
    """Sigma_jl = sd_j sd_l rho, and sd_j^2 on the diagonal."""

    holes = True  # `seen` is there.

    def __init__(self, sd, rho):
        self.sd, self.rho = np.array(sd, dtype=float), float(rho)
        F = np.sqrt(self.rho) * self.sd[:, None]
        self.low_rank = LowRankDiag(F, (1.0 - self.rho) * self.sd**2)

    def __reduce__(self):
        return Equicorrelated, (self.sd, self.rho)

    def scaled(self, c):
        return Equicorrelated(self.sd * c, self.rho)

    def canonical(self):
        return self

    def __getattr__(self, name):
        # What is asked of Sigma is asked of its factors.
        if name in ANSWERED:
            return getattr(self.low_rank, name)
        raise AttributeError(name)
