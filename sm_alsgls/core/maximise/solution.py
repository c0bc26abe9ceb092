"""Where a run of the loop begins, what it notes on the way, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sm_alsgls.core.errors.nuisance import NO_NUISANCE, Nuisance
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


class Sweep(NamedTuple):
    """One row of the trace; every NLL is per row and includes ridges, if any."""

    sweep: int
    nll_beta: float
    nll: float
    accept_t: float
    cg_iterations: int
    sigma_iterations: int
    gradient_d: float
    score_beta: float
    seconds: float


@dataclass(frozen=True)
class Start:
    """Where a run begins: a Sigma for the first beta-step, or coefficients, or both.

    Attributes
    ----------
    label : str
    gamma : ndarray, shape (P,), optional
        Coefficients; default OLS.
    cov : Covariance, optional
        When given, the run opens with a beta-step under it.
    d : ndarray, shape (K,), optional
        Uniquenesses that the first Sigma-step starts from; default those of ``cov``, else
        half the residual variances.
    block : optional
        What an earlier solution's Sigma-step kept for the next: a basis for the eigen-iteration.
    near : Covariance, optional
        Where the first Sigma-step starts without a beta-step before it, if it is one that starts
        somewhere; default ``cov``.
    """

    label: str = "ols"
    gamma: Array | None = None
    cov: Covariance | None = None
    d: Array | None = None
    block: Any = None
    near: Covariance | None = None


@dataclass(frozen=True)
class Solution:
    """What a run returns, converged or not.

    Attributes
    ----------
    gamma : ndarray, shape (P,)
    E : ndarray, shape (n, K)
        Residuals on the problem's rows.
    cov : Covariance
    nll : float
        Per row, with K log(2 pi) / 2 and ridges.
    converged : bool
    status : str
        Why it stopped and, if not converged, what to do.
    trace : tuple of Sweep
    at_bound : ndarray of bool, shape (K,)
        Heywood cases.
    gradient_d, score_beta : float
        The two stationarity measures at this point.
    label : str
        Of the start.
    nuisance : Nuisance
        Parameters of the law beside beta and Sigma, where it has some.
    """

    gamma: Array
    E: Array = field(repr=False)
    cov: Covariance
    nll: float
    converged: bool
    status: str
    trace: tuple[Sweep, ...] = field(repr=False)
    at_bound: Array = field(repr=False)
    gradient_d: float
    score_beta: float
    label: str
    block: Any = field(default=None, repr=False)
    nuisance: Nuisance = NO_NUISANCE
