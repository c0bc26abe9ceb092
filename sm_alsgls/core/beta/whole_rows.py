"""The normal matrix of rows that have one Sigma, as its inverse asks for it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sm_alsgls.core.beta.dual import DualForm, dual_bytes, dual_flops
from sm_alsgls.core.beta.kernel import MEMORY
from sm_alsgls.core.beta.two_level import ManyRightHandSides
from sm_alsgls.core.design.base import Normal, PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray

# More columns than this are many: one factorisation of a small H costs less than to solve for each.
_MANY = 20


class WholeRows:
    """One Sigma for all rows: H_jl = (Sigma^-1)_jl Q_j'Q_l.

    Parameters
    ----------
    design : PerEquation
    cov : Covariance
    n_obs : int
    ridge : Ridge, optional
    """

    few = _MANY

    def __init__(
        self, design: PerEquation, cov: Covariance, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self._design, self._cov = design, cov
        self.normal: Normal = design.normal(cov, n_obs, ridge)
        low = cov.low_rank
        self._r = cov.K if low is None else low.rank
        self.closed = design.shared or (low is not None and low.rank == 0)

    def costs(self) -> dict[str, float]:
        """Two P x P arrays while H is made; conjugate gradients take six dozen products each."""
        P, n, r = self._design.P, self._design.n, self._r
        dual = self._cov.low_rank is not None and dual_bytes(n, r) <= MEMORY
        return {
            "dense": (2.0 / 3.0 * P + n) * P**2 if 16 * P**2 <= MEMORY else np.inf,
            "dual": dual_flops(n, r, P) if dual else np.inf,
            "cg": 60.0 * P * n * (P + self._design.K * r),
        }

    def inverse_times(self, B: Array) -> Array:
        """(Sigma x I) B of equal designs, D B of uncorrelated errors."""
        if not self._design.shared:
            return B * self._design.expand(self._variances)[:, None]
        K = self._cov.K
        return np.asarray(self._cov.times(B.reshape(K, -1).T).T).reshape(B.shape)

    def inverse_block(self, j: int) -> Array:
        """sigma_jj I."""
        return np.eye(int(self._design.p[j])) * self._variances[j]

    @cached_property
    def _variances(self) -> Array:
        return self._cov.diag()

    def matrix(self) -> Array:
        """Block column by block column, never a second P x P array."""
        design, P = self._design, self._design.P
        Q = np.empty((design.n, P))
        owner = np.empty(P, dtype=np.intp)
        for j in range(design.K):
            at = design.equation_slice(j)
            Q[:, at], owner[at] = design.basis(j), j
        H = Q.T @ Q
        precision = self._cov.solve(np.eye(design.K))
        for start in range(0, P, 256):
            at = slice(start, start + 256)
            H[:, at] *= precision[owner[:, None], owner[at]]
        return H

    def dual(self) -> DualForm:
        """`sm_alsgls.core.beta.dual`."""
        low = self._cov.low_rank
        if low is None:
            raise TypeError("a covariance without factors has no dual form")
        return DualForm(self._design, low)

    @cached_property
    def _many(self) -> ManyRightHandSides:
        return ManyRightHandSides(self.normal, self._design, self._cov.low_rank)

    def iterate(self, B: Array, tol: float, max_iter: int) -> Array:
        """Preconditioned on two levels (`two_level`)."""
        return self._many.solve(B, tol, max_iter)
