"""Products of the rows of a design under Sigma: leverages of rows, and products with the next row.

In the free coordinates row n of equation j is q_nj, a row of Q_j, and with Sigma^-1 = P

    X_n' P X_n = P[o, o] o (q_n q_n'),      o the equation of each coordinate,

which a design that stands on the free one brings to its own coordinates by ``lift``.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import Covariance

Array = np.ndarray


def own_products(problem: Problem, cov: Covariance) -> Array:
    """sum_n X_n' P X_n in the design's coordinates, (P, P)."""
    stacked, L = problem.design.free.stacked, _lift(problem.design)
    spread = _precision(cov)[np.ix_(stacked.owner, stacked.owner)]
    return np.asarray(L.T @ ((stacked.gram * spread) @ L))


def lagged_products(problem: Problem, cov: Covariance) -> Array:
    """sum_n X_{n-1}' P X_n likewise."""
    stacked, L = problem.design.free.stacked, _lift(problem.design)
    spread = _precision(cov)[np.ix_(stacked.owner, stacked.owner)]
    lagged = stacked.Qt[:, :-1] @ stacked.Qt[:, 1:].T
    return np.asarray(L.T @ ((lagged * spread) @ L))


def leverages(problem: Problem, cov: Covariance) -> Array:
    """l_n = tr(P X_n V X_n') (N,), V = H^-1; they sum to the coefficients.

    The problem must be of all rows. O(N P^2 + P^3), P of the free coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.options import ALSOptions
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> X = np.array([[1.0], [1.0], [2.0]])
    >>> problem = Problem([X], X, ALSOptions())
    >>> leverages(problem, LowRankDiag.diagonal([2.0]))
    array([0.16666667, 0.16666667, 0.66666667])
    """
    design = problem.design
    stacked, P = design.free.stacked, _precision(cov)
    L = _lift(design)
    spread = P[np.ix_(stacked.owner, stacked.owner)]
    H = L.T @ (stacked.gram * spread) @ L
    V = L @ np.linalg.pinv(H, hermitian=True) @ L.T
    return np.einsum("pn,pn->n", stacked.Qt, (spread * V) @ stacked.Qt)


def _lift(design: Linear) -> Array:
    return design.lift(np.eye(design.P))


def _precision(cov: Covariance) -> Array:
    P = cov.precision
    return cov.solve(np.eye(cov.K)) if P is None else P
