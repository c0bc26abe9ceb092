"""What a sweep is made of."""

from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.covariance import LowRankDiag

from .drawn import SIZES, draw


class Kernels:
    """Each kernel once, on a system of K equations."""

    params = tuple(SIZES)
    param_names = ("K",)

    def setup(self, K):
        """Draw the system; every kernel starts from OLS residuals and the true Sigma."""
        self.rank = SIZES[K][2]
        self.blocks, Y, F, d = draw(K)
        self.cov = LowRankDiag.from_factors(F, d)
        self.design = Design(self.blocks)
        self.g = self.design.project(Y)
        self.E = Y - self.design.fitted(self.g)
        self.normal = NormalEquations(self.design, self.cov, len(Y))

    def time_solve(self, K):
        """`LowRankDiag.solve`: M Sigma^-1."""
        self.cov.solve(self.E)

    def time_design(self, K):
        """`Design`: a basis for every block."""
        Design(self.blocks)

    def time_fit_factor(self, K):
        """`fit_factor`: the Sigma-step to 1e-6, from its own start."""
        fit_factor(self.E, self.rank, gtol=1e-6)

    def time_apply(self, K):
        """`NormalEquations.apply`: one iteration of conjugate gradients."""
        self.normal.apply(self.g)
