"""How far a point is from stationary, measured afresh from the point itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.design.base import Normal
from sm_alsgls.covariance.base import LowRank

Array = np.ndarray


class Stationarity(NamedTuple):
    """The two measures that `converged` bounds.

    Attributes
    ----------
    gradient_d : float
        Largest gradient of the NLL per row in log d_j, over free d_j, and in D^-1/2 F.
    score_beta : float
        Largest norm of an equation's GLS score in units of its standard error.
    """

    gradient_d: float
    score_beta: float


def stationarity(
    normal: Normal,
    gamma: Array,
    E: Array,
    cov: LowRank,
    at_bound: Array,
    n_obs: int,
    lam_F: float = 0.0,
) -> Stationarity:
    """Both measures at (gamma, F, d), ridges included.

    With P = Sigma^-1 and W = E P, the NLL per row has the gradient (P - W'W/N) F in F and
    d o diag(P - W'W/N) / 2 in log d. W comes in tiles of equations. Cost O(n K r).

    Parameters
    ----------
    normal : Normal
        H at ``cov``, with the ridge on slopes.
    gamma : ndarray, shape (P,)
    E : ndarray, shape (n, K)
    cov : LowRank
    at_bound : ndarray of bool, shape (K,)
    n_obs : int
    lam_F : float
    """
    F, d, N, design = cov.loadings, cov.uniquenesses, n_obs, normal.design
    precision = cov.precision_diag()
    PF = cov.solve(F.T).T
    WF = (np.ascontiguousarray(PF.T) @ E.T).T  # as BLAS has it fastest
    score, squares, in_F = np.empty(design.free.P), np.empty(cov.K), np.empty_like(F)
    for equations, basis, at, Wt in normal.solved(E):
        score[at] = np.matmul(basis, Wt[:, :, None]).reshape(-1)
        squares[equations] = np.vecdot(Wt, Wt)
        in_F[equations] = PF[equations] - Wt @ WF / N
    score = design.drop(score) - normal.penalty(gamma)
    in_d = 0.5 * d * (precision - squares / N)
    if lam_F > 0.0:
        share = F / d[:, None]
        in_F = in_F + lam_F * share
        in_d -= 0.5 * lam_F * (share * F).sum(axis=1)
    in_A = np.sqrt(d)[:, None] * in_F
    # An equation on its bound fixes a column of D^-1/2 F that is huge and flat.
    free = ~at_bound
    gradient = max(
        float(np.abs(in_d[free]).max(initial=0.0)), float(np.abs(in_A[free]).max(initial=0.0))
    )
    return Stationarity(gradient, normal.score_size(score))
