"""The beta-step: generalised least squares given Sigma, by preconditioned conjugate gradients.

`sm_alsgls.core.design.normal` has H and its products, without a K x K or P x P array; here it is
solved with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray


# Share that a step must be known to leave to be the last without a look at what it left, and share
# of the tolerance that this may come to.
_CERTAIN, _ROOM = 0.025, 0.5


class CGSolution(NamedTuple):
    """A solution of H x = b.

    Attributes
    ----------
    x : ndarray, shape (P,)
    iterations : int
        Steps.
    residual : float
        sqrt(r' diag(H)^-1 r).
    converged : bool
    leaves : float
        Share of it that the last step left of which that was measured; 1 where none was.
    """

    x: Array
    iterations: int
    residual: float
    converged: bool
    leaves: float = 1.0


def is_last(leaves: float, residual: float, tol: float) -> bool:
    """Whether a step that leaves such a share of the residual is sure to end below ``tol``."""
    return leaves <= _CERTAIN and leaves * residual <= _ROOM * tol


def conjugate_gradients(
    apply: Callable[[Array], Array],
    b: Array,
    diagonal: Array,
    *,
    tol: float,
    max_iter: int,
    leaves: float | None = None,
) -> CGSolution:
    """Solve H x = b from x = 0 with Jacobi preconditioning.

    Stops when sqrt(r' diag(H)^-1 r) <= ``tol``. Every iterate lowers the quadratic
    x'Hx/2 - b'x, so a solve that is cut short is still a step of descent.

    The product with H of the last step only tells that the step was the last, and how long it is.
    Where H is diag(H) but for little, both are known before: a solver that may foresee it takes
    that step at length 1 without the product, and reports the residual that it expects.

    Parameters
    ----------
    leaves : float, optional
        The share of the residual that a step leaves, of an earlier solve at an H near by; 1 where
        nothing is known yet. Default: nothing is foreseen, and the residual is always measured.

    References
    ----------
    Hestenes and Stiefel (1952); Golub and Van Loan (2013), algorithm 11.5.1.
    """
    foresees, leaves = leaves is not None, 1.0 if leaves is None else leaves
    x = np.zeros_like(b)
    r = b
    z = r / diagonal
    rho = float(r @ z)
    direction = z
    for iteration in range(max_iter):
        if rho <= tol * tol:
            return CGSolution(x, iteration, rho**0.5, True, leaves)
        if foresees and is_last(leaves, rho**0.5, tol):
            return CGSolution(x + direction, iteration + 1, leaves * rho**0.5, True, leaves)
        H_direction = apply(direction)
        curvature = float(direction @ H_direction)
        if not curvature > 0.0:
            # Only rounding does this: H is positive definite.
            return CGSolution(x, iteration, rho**0.5, False, leaves)
        alpha = rho / curvature
        x += alpha * direction
        r = r - alpha * H_direction
        z = r / diagonal
        previous, rho = rho, float(r @ z)
        leaves = (rho / previous) ** 0.5
        direction = z + (rho / previous) * direction
    return CGSolution(x, max_iter, rho**0.5, rho <= tol * tol, leaves)


@dataclass(frozen=True)
class GLSSolution:
    """Coefficients of one beta-step: flat ``gamma`` (P,), residuals ``E`` (n, K), CG's report."""

    gamma: Array
    E: Array
    cg: CGSolution


def gls(
    design: Linear,
    Y: Array,
    cov: RowCovariance,
    *,
    gamma: Array | None = None,
    n_obs: int | None = None,
    ridge: Ridge | None = None,
    cg_tol: float = 1e-10,
    cg_maxit: int = 1000,
) -> GLSSolution:
    """Generalised least squares of the system given its error covariance.

    Parameters
    ----------
    design : Linear
        K blocks with n rows.
    Y : ndarray, shape (n, K)
    cov : LowRankDiag or any RowCovariance
    gamma : ndarray, shape (P,), optional
        Coefficients to start from; default OLS. The correction is what CG solves for.
    n_obs : int, optional
        Observations behind the rows, for the ridge. Default n.
    ridge : Ridge, optional
    cg_tol : float
        The score left at the solution, relative to sqrt(P) of its standard errors.
    cg_maxit : int

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.per_equation import Design
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> rng = np.random.default_rng(1)
    >>> X = [rng.standard_normal((30, 2)) for _ in range(4)]
    >>> Y = rng.standard_normal((30, 4))
    >>> cov = LowRankDiag.from_factors(rng.standard_normal((4, 1)), np.ones(4))
    >>> design = Design(X)
    >>> beta = np.concatenate(design.to_beta(gls(design, Y, cov).gamma))
    >>> Omega_inv = np.kron(np.linalg.inv(cov.to_dense()), np.eye(30))
    >>> from scipy.linalg import block_diag
    >>> Z = block_diag(*X)
    >>> dense = np.linalg.solve(Z.T @ Omega_inv @ Z, Z.T @ Omega_inv @ Y.T.ravel())
    >>> bool(np.allclose(beta, dense, atol=1e-9))
    True
    """
    start = design.project(Y) if gamma is None else gamma
    normal = design.normal(cov, n_obs or design.n, ridge)
    E = design.left(Y, start)
    cg = conjugate_gradients(
        normal.apply,
        normal.score(E, start),
        normal.diagonal,
        tol=cg_tol * design.P**0.5,
        max_iter=cg_maxit,
    )
    return GLSSolution(start + cg.x, design.left(E, cg.x), cg)
