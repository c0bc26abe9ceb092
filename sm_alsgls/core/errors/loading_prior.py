"""Sigma for standard errors in small samples: loadings under the prior that they show themselves.

At few rows the maximum over (F, d) takes chance for factors: some d_j come out low, in Heywood
cases as nothing. What the other equations leave of an equation's errors, 1 / (Sigma^-1)_jj, is
then too small and noisy, and intervals of its slopes are too short. Akaike (1987, Psychometrika
52) keeps d_j positive by a prior on the loadings in units of the uniqueness, a_j = f_j / d_j^1/2,

    a_jk ~ N(0, 1/lambda),      that is  lam_F = lambda / N  in `sm_alsgls.core.sigma.factor`.

1. Its scale is read from the maximum itself. |a_j|^2 has the expectation r / lambda, and a median
   over equations is not moved by the few with d_j near 0:

       lambda = min(2, r / median_j(|f_j|^2 / d_j)),      d_j no lower than 1e-8 (d_j + |f_j|^2).

   Strong factors are hardly shrunk, and weak ones no more than factors of that size.
2. (F, d) is one Sigma-step with that ridge at the residuals of the maximum, begun at the
   first-order answer. The rows' weight is their degrees of freedom,

       lam_F = lambda / N  times  median_j N_j / (N_j - p_j - r).

3. With A = D^-1/2 F in canonical form and Lambda_k = 1 + |A_k|^2, the ridge leaves the variance
   s_j = d_j + sum_k f_jk^2 (1 + lam_F Lambda_k) of complete rows, more than |f_j|^2 + d_j: each
   factor is multiplied by (1 + lam_F Lambda_k)^1/2. Regressors that all equations share, whose
   GLS is OLS, have the standard errors of OLS again; d, which the others feel, stays.

Only what an interval says of its own width is taken from it: coefficients, likelihood and the
estimate of Sigma stay those of the maximum. The prior is of order 1/N beside the likelihood's 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from sm_alsgls.core.errors.base import SigmaStep
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.covariance.base import LowRank

Array = np.ndarray

# The strongest prior: that of factors which explain a third of a variance.
_MOST = 2.0
# A d_j below this share of its variance says nothing of the scale.
_LEAST = 1e-8
# Of the Sigma-step; standard errors have twice as many digits as its gradient, being even in it.
_GTOL = 1e-8


def _median(values: Array) -> float:
    return float(np.median(values))


class Factored(Protocol):
    """Factors of Sigma, of all equations or of those that are here."""

    @property
    def rank(self) -> int: ...  # noqa: D102
    @property
    def loadings(self) -> Array: ...  # noqa: D102
    @property
    def uniquenesses(self) -> Array: ...  # noqa: D102


class Stepping(Protocol):
    """What is asked of a law with factors: its rows and its Sigma-step."""

    n_obs: int

    @property
    def counts(self) -> Array: ...  # noqa: D102

    def sigma(
        self,
        E: Array,
        rank: int,
        *,
        floor: Array,
        near: Any,
        d: Array | None,
        block: Any,
        gtol: float,
        lam_F: float = 0.0,
    ) -> SigmaStep:
        """See `Errors`."""
        ...


def loading_precision(cov: Factored, median: Callable[[Array], float] = _median) -> float:
    """lambda, the prior precision of D^-1/2 F that the loadings show; 0 where there are none.

    ``median`` is that over all equations, of the values of those that are here.

    Examples
    --------
    >>> import numpy as np
    >>> loading_precision(LowRankDiag.from_factors(2.0 * np.ones((5, 1)), np.ones(5)))
    0.25
    >>> loading_precision(LowRankDiag.from_factors(0.1 * np.ones((5, 1)), np.ones(5)))
    2.0
    """
    if cov.rank == 0:
        return 0.0
    common, d = _sizes(cov)
    typical = median(common / np.maximum(d, _LEAST * (d + common)))
    return _MOST if cov.rank >= _MOST * typical else cov.rank / typical


def prior_ridge(
    cov: Factored,
    n_obs: int,
    counts: Array,
    p: Array,
    median: Callable[[Array], float] = _median,
) -> float:
    """lam_F of the prior that loadings show: step 2's.

    Parameters
    ----------
    cov : Factored
    n_obs : int
        N.
    counts, p : ndarray of int, shape (K,)
        Rows N_j and regressors p_j.
    median : callable
        As in `loading_precision`.
    """
    left = np.maximum(counts - p - cov.rank, 1)
    return loading_precision(cov, median) / n_obs * median(counts / left)


def drawn_in(cov: Factored, prior: float) -> tuple[Array, Array]:
    """F (K, r) and d (K,) under a ridge, to first order: where step 2 begins."""
    common, d = _sizes(cov)
    return cov.loadings / np.sqrt(1.0 + prior), d + prior / (1.0 + prior) * common


def stretched(
    cov: Factored, prior: float, total: Callable[[Array], Array] = np.asarray
) -> tuple[Array, Array]:
    """F (K, r) and d (K,) that give complete rows their variances again: step 3.

    ``total`` is the sum over all equations, of that over those that are here.
    """
    A = cov.loadings / np.sqrt(cov.uniquenesses)[:, None]
    size, V = np.linalg.eigh(total(A.T @ A))
    factor = np.sqrt(1.0 + prior * (1.0 + np.maximum(size, 0.0)))
    return cov.loadings @ (V * factor), cov.uniquenesses


def with_loading_prior(
    errors: Stepping, E: Array, cov: LowRank, p: Array, floor: Array, lam_F: float = 0.0
) -> LowRank:
    """Sigma for standard errors of a fit; see the module.

    Parameters
    ----------
    errors : Stepping
        A law with factors.
    E : ndarray, shape (n, K)
        Residuals of the fit.
    cov : LowRank
        Its Sigma.
    p : ndarray of int, shape (K,)
        Regressors of each equation.
    floor : ndarray, shape (K,)
        Lower bounds of d.
    lam_F : float
        Ridge of the fit; where it is no smaller than the prior's, ``cov`` is the answer.

    Notes
    -----
    Cost: one Sigma-step, 1 ms at K=10, N=20.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.maximise.als import als
    >>> from sm_alsgls.core.problem import ALSOptions, Problem
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((20, 2)) for _ in range(6)]
    >>> Y = rng.standard_normal((20, 1)) + rng.standard_normal((20, 6))
    >>> problem = Problem(X, Y, ALSOptions())
    >>> fit = als(problem, 1)
    >>> made = problem.interval_sigma(fit.E, fit.cov)
    >>> bool(fit.cov.uniquenesses.min() < made.uniquenesses.min())
    True
    >>> bool(np.allclose(fit.cov.diag(), made.diag()))
    True
    """
    prior = prior_ridge(cov, errors.n_obs, errors.counts, p)
    if prior <= lam_F:
        return cov
    start = LowRankDiag.from_factors(*drawn_in(cov, prior))
    made = errors.sigma(
        E,
        cov.rank,
        floor=floor,
        near=start,
        d=start.uniquenesses,
        block=None,
        gtol=_GTOL,
        lam_F=prior,
    ).cov.low_rank
    if made is None:
        raise TypeError("a prior of loadings is of a law with factors")
    return LowRankDiag.from_factors(*stretched(made, prior))


def _sizes(cov: Factored) -> tuple[Array, Array]:
    """|f_j|^2 and d_j, both (K,)."""
    return np.einsum("kr,kr->k", cov.loadings, cov.loadings), cov.uniquenesses
