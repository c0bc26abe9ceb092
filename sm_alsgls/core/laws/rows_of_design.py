"""Products of the rows of a design under Sigma: leverages of rows, and products with the next row.

In the free coordinates row n of equation j is q_nj, a row of Q_j, and with Sigma^-1 = P

    X_n' P X_n = P[o, o] o (q_n q_n'),      o the equation of each coordinate,

which a design that stands on the free one brings to its own coordinates by ``lift``.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.base import Linear
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance.base import Covariance, information

Array = np.ndarray

# A fitted system takes about this many times what a row of the Gram matrix takes, per cell.
_FEW = 40


def own_products(problem: Problem, cov: Covariance) -> Array:
    """sum_n X_n' P X_n in the design's coordinates, (P, P).

    By P fitted systems where coordinates are few beside those of the free design, O(n K P), else
    of the free design's Gram matrix. Where cells are missing P is of the cells of each row, or of
    all of them, and whoever knows it adds up.
    """
    design = problem.design
    if not problem.errors.whole:
        return _dropped(design, _among_holes(problem, cov))
    if _FEW * design.P * design.K < design.free.P**2:
        fitted = [design.fitted(unit) for unit in np.eye(design.P)]
        return _symmetric(np.array([design.project(cov.solve(Z)) for Z in fitted]))
    return _dropped(design, design.free.stacked.spread(_precision(cov)))


def _among_holes(problem: Problem, cov: Covariance) -> Array:
    """The same of the free design, cell by cell."""
    free = problem.design.free
    H = information(problem.observed(cov), [free.basis(j) for j in range(free.K)])
    # Equations follow one another there, and are sorted by their number of regressors here.
    out = np.empty_like(H)
    mine = np.concatenate([np.arange(free.P)[free.equation_slice(j)] for j in range(free.K)])
    out[np.ix_(mine, mine)] = H
    return out


def lagged_products(problem: Problem, cov: Covariance) -> Array:
    """sum_n X_{n-1}' P X_n likewise."""
    stacked = problem.design.free.stacked
    lagged = stacked._replace(gram=stacked.Qt[:, :-1] @ stacked.Qt[:, 1:].T)
    return _dropped(problem.design, lagged.spread(_precision(cov)))


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
    H = _dropped(design, stacked.spread(P))
    V = design.lift(design.lift(np.linalg.pinv(H, hermitian=True)).T)
    spread = stacked._replace(gram=V).spread(P)
    return np.einsum("pn,pn->n", stacked.Qt, spread @ stacked.Qt)


def _dropped(design: Linear, S: Array) -> Array:
    """``lift``' S ``lift``, S (P, P) of the free design, without an array of ``lift``."""
    return np.asarray(design.drop(design.drop(S).T).T)


def _symmetric(H: Array) -> Array:
    return 0.5 * (H + H.T)


def _precision(cov: Covariance) -> Array:
    P = cov.precision
    return cov.solve(np.eye(cov.K)) if P is None else P
