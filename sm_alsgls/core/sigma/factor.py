"""The Sigma-step: maximum-likelihood factor analysis of a residual matrix.

For fixed uniquenesses d the best loadings are closed-form. With the leading eigenpairs
(theta_i, v_i) of D^-1/2 S D^-1/2, S = E'E/N,

    F = D^1/2 V (Lambda - I)^1/2,      lambda_i = max(theta_i, 1)   (no ridge)

so the likelihood is a function of x = log d alone (Lawley 1940; Jöreskog 1967, Psychometrika 32):

    f(x)     = ( sum x + sum_i (log lambda_i - (1 - 1/lambda_i) theta_i) + sum s_j/d_j ) / 2
    df/dx_j  = ( d_j + |f_j|^2 - s_j ) / (2 d_j),      s_j = |e_j|^2 / N

f is the negative log-likelihood per row without its constant. The Fisher information of x_j is
close to 1/2, so 2 I is the initial inverse Hessian of a limited-memory BFGS on x: its first step
is the classical fixed point d_j <- s_j - |f_j|^2 to first order. Bounds d_j >= floor_j are kept
by projection.

A ridge adds lam_F |D^-1/2 F|^2 / 2, which has no units and keeps the closed form:
lambda solves lam_F lambda^2 + lambda = theta.
"""

from __future__ import annotations

import math

import numpy as np

from sm_alsgls.core.sigma.climb import FactorSolution, climb
from sm_alsgls.core.sigma.objective_at import Inverted, objective_at
from sm_alsgls.core.sigma.spectrum import spectrum
from sm_alsgls.exceptions import IllegalRankError

__all__ = ["FactorSolution", "auto_rank", "fit_factor", "largest_rank", "sigma_parameters"]

Array = np.ndarray


def largest_rank(K: int, n_obs: int | None = None, p: int = 0) -> int:
    """The largest identified number of factors of K equations.

    Sigma = F F' + D must have no more parameters than the K (K + 1) / 2 elements it explains,
    (K - r)^2 >= K + r (Ledermann 1937); and every equation needs n_obs - p - r > 0 degrees of
    freedom, or factors and regressors together fit it exactly and the likelihood has no maximum.

    Examples
    --------
    >>> [largest_rank(K) for K in (1, 2, 3, 6, 10)]
    [0, 0, 1, 3, 6]
    >>> largest_rank(48, n_obs=17, p=5)
    11
    """
    ledermann = math.floor((2 * K + 1 - math.sqrt(8 * K + 1)) / 2 + 1e-9)
    return ledermann if n_obs is None else max(0, min(ledermann, n_obs - p - 1))


def auto_rank(K: int, n_obs: int | None = None, p: int = 0) -> int:
    """The rule max(1, min(8, ceil(K / 10))), cut to the largest legal rank.

    Examples
    --------
    >>> [auto_rank(K) for K in (1, 3, 11, 50, 1000)]
    [0, 1, 2, 5, 8]
    """
    return min(max(1, min(8, math.ceil(K / 10))), largest_rank(K, n_obs, p))


def sigma_parameters(K: int, r: int) -> int:
    """Free parameters of F F' + D: K r + K less the r (r - 1) / 2 rotations of F."""
    return K * r + K - r * (r - 1) // 2


def fit_factor(
    E: Array,
    rank: int,
    *,
    n_obs: int | None = None,
    d: Array | None = None,
    floor: Array | None = None,
    d_floor: float = 1e-8,
    lam_F: float = 0.0,
    gtol: float = 1e-8,
    max_iter: int = 500,
    block: Array | None = None,
    near: Inverted | None = None,
) -> FactorSolution:
    """Maximum-likelihood Sigma = F F' + D of residuals E.

    Parameters
    ----------
    E : ndarray, shape (n, K)
        Residuals, mean zero (no column is centred here).
    rank : int
        Number of factors r; 0 is diagonal.
    n_obs : int, optional
        Observations N behind the n rows (rows may be compressed). Default n.
    d : ndarray, shape (K,), optional
        Uniquenesses to start from. Default: shares of s that differ between equations.
    floor : ndarray, shape (K,), optional
        Lower bounds of d, in its units. Default ``d_floor * s``.
    d_floor : float
        Relative lower bound used when ``floor`` is not given.
    lam_F : float
        Ridge on D^-1/2 F, per observation.
    gtol : float
        Bound on the gradient, per row of log-likelihood and unit of log d.
    max_iter : int
        Evaluations of f.
    block : ndarray, optional
        Basis of an earlier solution, or D^-1 F of a Sigma nearby, to start eigenvectors from; one
        of another width is left aside.
    near : Inverted, optional
        A Sigma of which the objective at E is told as well, where it is all but free.

    Returns
    -------
    FactorSolution

    Raises
    ------
    IllegalRankError
        When ``rank`` exceeds `largest_rank` of K.

    Notes
    -----
    Cost per evaluation: O(min(n, K)^3) where that is small, else O(n K r).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> E = rng.standard_normal((400, 1)) @ np.ones((1, 8)) + rng.standard_normal((400, 8))
    >>> fit = fit_factor(E, 1)
    >>> fit.converged, fit.gradient < 1e-8
    (True, True)
    >>> bool(abs(fit.F[:, 0] ** 2 + fit.d - (E**2).mean(0)).max() < 1e-7)
    True
    """
    n, K = E.shape
    N = n if n_obs is None else n_obs
    if not 0 <= rank <= largest_rank(K):
        raise IllegalRankError(
            f"rank={rank} is not identified with {K} equations; the largest legal rank is "
            f"{largest_rank(K)}"
        )
    Et = E.T
    s = np.vecdot(Et, Et) / N
    floor = d_floor * s if floor is None else floor
    if rank == 0:
        d = np.maximum(s, floor)
        nll = 0.5 * float(np.sum(np.log(d)) + np.sum(s / d))
        return FactorSolution(np.empty((K, 0)), d, nll, 0.0, s < floor, 1, True)
    source = spectrum(E, N, rank, block)
    told = None if near is None or lam_F > 0.0 else objective_at(near, source, s)
    found = climb(
        source,
        lambda d, V, lam, seen: _without_cancellation(E, d, V, lam, N),
        _irregular(K) * s if d is None else d,
        floor,
        s,
        lam_F=lam_F,
        gtol=gtol,
        max_iter=max_iter,
    )
    return found._replace(nll_near=told)


def _irregular(K: int) -> Array:
    """Shares in [0.4, 0.6], no two alike: a symmetric start can end on a symmetric saddle.

    The first factor of the Toeplitz correlation matrix 0.4^|i-j| of four variables is one.
    """
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    return 0.4 + 0.2 * np.modf(golden * np.arange(1.0, K + 1.0))[0]


def _without_cancellation(E: Array, d: Array, V: Array, lam: Array, N: int) -> tuple[Array, float]:
    """Gradient in log d and tr(S Sigma^-1), as sums of squares.

    With the posterior means Z = E Sigma^-1 F and what they leave, U = E - Z F', the trace is
    (sum_j |u_j|^2 / d_j + |Z|^2) / N, and Sigma^-1's part of the gradient is |u_j|^2 / (N d_j).
    When d_j is 1e-8 of s_j, the difference s_j/d_j - |f_j|^2/d_j keeps no digit of it.
    """
    root = np.sqrt(d)
    A = V * np.sqrt(lam - 1.0)
    Z = (A / (lam * root[:, None])).T @ E.T
    U = E.T - (A * root[:, None]) @ Z
    left = np.vecdot(U, U) / (N * d)
    gradient = 0.5 * (1.0 - np.square(V) @ (1.0 - 1.0 / lam) - left)
    return gradient, float(left.sum() + np.einsum("rn,rn->", Z, Z) / N)
