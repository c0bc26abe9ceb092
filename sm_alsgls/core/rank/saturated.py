"""Maximum likelihood of the system with an unrestricted Sigma: iterated SUR.

Alternating GLS given Sigma with Sigma = E'E/N never lowers the likelihood (Oberhofer and Kmenta
1974, Econometrica 42) and ends at a stationary point of

    nll(beta) = ( K log 2 pi + log|E'E/N| + K ) / 2      per row.

It is bounded only while no combination of responses and regressors vanishes in every row,
q + K <= N with q the rank of all regressors together; beyond, E'E can be made singular. K is
below N here, so the K x K matrix is no larger than E.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.problem import Problem
from sm_alsgls.progress import counted

Array = np.ndarray


class CrossProductCovariance:
    """S = E'E/N through the triangular factor of E; as a beta-step asks for it."""

    def __init__(self, E: Array, n_obs: int) -> None:
        R: Array = np.linalg.qr(E / math.sqrt(n_obs), mode="r")  # type: ignore[assignment]
        self._inverse = scipy.linalg.solve_triangular(R, np.eye(R.shape[1]))
        self._logdet = 2.0 * float(np.log(np.abs(np.diagonal(R))).sum())

    def solve(self, M: Array) -> Array:
        """M S^-1 for rows M (n, K)."""
        return np.asarray((M @ self._inverse) @ self._inverse.T)

    #: There is no need: `solve` is two small products.
    precision = None

    def piecewise(self, n: int) -> None:
        """None: it takes whole rows."""

    def precision_diag(self) -> Array:
        """Diagonal of S^-1, (K,)."""
        return np.vecdot(self._inverse, self._inverse)

    def logdet(self) -> float:
        """log |S|."""
        return self._logdet


def regressor_rank(problem: Problem) -> int:
    """q, the rank of all regressors of the system together."""
    if problem.design.shared:
        return int(problem.design.p[0])
    Q = np.concatenate([problem.design.free.basis(j) for j in range(problem.K)], axis=1)
    gram = Q @ Q.T if Q.shape[0] <= Q.shape[1] else Q.T @ Q
    # Columns of Q have unit length: the largest eigenvalue lies between 1 and K.
    return int(np.sum(np.linalg.eigvalsh(gram) > 1e-10))


def saturated_nll(E: Array, n_obs: int) -> float:
    """The likelihood above at given residuals ``E`` (n, K)."""
    K = E.shape[1]
    return 0.5 * (K * math.log(2.0 * math.pi) + CrossProductCovariance(E, n_obs).logdet() + K)


@dataclass(frozen=True)
class UnrestrictedFit:
    """Where the iteration ended.

    Attributes
    ----------
    nll : float
        Per row.
    iterations : int
    converged : bool
        The NLL fell by less than ``tol`` and the score is below a thousandth of its standard
        error.
    """

    nll: float
    iterations: int
    converged: bool


def fit_unrestricted(
    problem: Problem, gamma: Array, *, tol: float = 1e-11, max_iter: int = 2000
) -> UnrestrictedFit:
    """Iterate SUR from coefficients ``gamma`` (P,) to the maximum of the likelihood."""
    E = problem.residuals(gamma)
    nll = saturated_nll(E, problem.n_obs)
    for iteration in counted(range(1, max_iter + 1), "iterated SUR", unit="iteration"):
        normal = problem.design.normal(CrossProductCovariance(E, problem.n_obs), problem.n_obs)
        score = normal.score(E, gamma)
        size = normal.score_size(score)
        step = conjugate_gradients(
            normal.apply,
            score,
            normal.diagonal,
            tol=1e-2 * size + 1e-12,
            max_iter=10 * problem.design.P,
        )
        gamma = gamma + step.x
        E = problem.residuals(gamma)
        previous, nll = nll, saturated_nll(E, problem.n_obs)
        if previous - nll < tol * max(1.0, abs(nll)) and size < 1e-3:
            return UnrestrictedFit(nll, iteration, True)
    return UnrestrictedFit(nll, max_iter, False)
