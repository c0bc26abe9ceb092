"""The expected information of a spatial regression whose errors have one variance.

    A y = X b + e,   B e = u,   u ~ N(0, s2 I),      A = I - rho W,   B = I - lam M,

n observations, all of one equation. With G = B W A^-1 B^-1 and H = M B^-1 (Anselin 1988, section
6.2), in the order b, rho, lam, s2,

    I(b, b)       = X'B'B X / s2                    I(b, rho)    = X'B' m / s2,   m = B W A^-1 X b
    I(rho, rho)   = tr(G G) + tr(G'G) + m'm / s2    I(rho, lam)  = tr(H G) + tr(H'G)
    I(lam, lam)   = tr(H H) + tr(H'H)               I(rho, s2)   = tr(G) / s2
    I(s2, s2)     = n / (2 s2^2)                    I(lam, s2)   = tr(H) / s2

and zero elsewhere. It is what spatialreg and spreg print; `sm_alsgls.core.laws.outer` has the
observed curvature, which factors of the errors leave as it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.exceptions import OptionError

Array = np.ndarray
#: A sparse array of SciPy, whose stubs know too many kinds of them.
Sparse = Any


class SpatialCovariance(NamedTuple):
    """The inverse of the expected information, but for s2.

    Attributes
    ----------
    params : ndarray, shape (p, p)
        Of b.
    values : ndarray, shape (m, m)
        Of rho and lam, of what there is.
    both : ndarray, shape (p, m)
    """

    params: Array
    values: Array
    both: Array


def expected_covariance(
    X: Array,
    b: Array,
    s2: float,
    *,
    lag: tuple[Sparse, float] | None = None,
    error: tuple[Sparse, float] | None = None,
) -> SpatialCovariance:
    """Covariances of b, rho and lam at their estimates.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    b : ndarray, shape (p,)
    s2 : float
        The variance of u.
    lag, error : (weights, value), optional
        W and rho, M and lam; weights are sparse or arrays (n, n). One at least.

    Raises
    ------
    OptionError
        There is neither.

    Notes
    -----
    Cost n^3, and a few arrays of n x n: for cross sections.

    Examples
    --------
    >>> W = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    >>> X = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 3.0]])
    >>> found = expected_covariance(X, np.ones(2), 1.0, error=(W, 0.3))
    >>> B = np.eye(3) - 0.3 * W
    >>> bool(np.allclose(found.params, np.linalg.inv(X.T @ B.T @ B @ X)))
    True
    """
    if lag is None and error is None:
        raise OptionError("give the lag's weights and rho, or the errors' weights and lam")
    n, p = X.shape
    M, lam = (np.zeros((n, n)), 0.0) if error is None else (_dense(error[0]), error[1])
    B = np.eye(n) - lam * M
    parts: list[Array] = []
    mean = np.zeros(n)
    if lag is not None:
        # W A^-1, by the transpose.
        spread = _over(_dense(lag[0]), np.eye(n) - lag[1] * _dense(lag[0]))
        mean = B @ (spread @ (X @ b))
        parts.append(_over(B @ spread, B))
    if error is not None:
        parts.append(_over(M, B))
    m = len(parts)
    information = np.zeros((p + m + 1, p + m + 1))
    BX = B @ X
    information[:p, :p] = BX.T @ BX / s2
    for i, one in enumerate(parts):
        for k, other in enumerate(parts):
            information[p + i, p + k] = np.vdot(one.T, other) + np.vdot(one, other)
        information[p + i, -1] = information[-1, p + i] = np.trace(one) / s2
    if lag is not None:
        information[p, p] += mean @ mean / s2
        information[:p, p] = information[p, :p] = BX.T @ mean / s2
    information[-1, -1] = n / (2.0 * s2 * s2)
    scale = 1.0 / np.sqrt(np.diagonal(information))
    inverse = scipy.linalg.inv(information * np.multiply.outer(scale, scale))
    inverse = inverse * np.multiply.outer(scale, scale)
    return SpatialCovariance(inverse[:p, :p], inverse[p:-1, p:-1], inverse[:p, p:-1])


def _dense(W: Sparse) -> Array:
    return np.asarray(W.toarray() if hasattr(W, "toarray") else W, dtype=float)


def _over(left: Array, right: Array) -> Array:
    """left right^-1."""
    return np.asarray(scipy.linalg.solve(right.T, left.T).T)
