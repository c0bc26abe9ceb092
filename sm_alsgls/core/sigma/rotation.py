"""Rotations of loadings towards columns that are easy to name.

Sigma = F F' + D is the same for F T with T orthogonal, so a rotation changes what factors are
called and not the fit. Orthogonal methods minimise the orthomax criterion over L = A T,

    f(L) = -(1/4) <L2, (I - gamma C) L2>,      L2 = L o L,  C L2 = column means of L2,

oblique ones the oblimin criterion over L = A (T')^-1 with T of unit columns, N = 1 1' - I,

    f(L) = (1/4) <L2, (I - gamma C) L2 N>,

both by projected gradients (Bernaards and Jennrich 2005, Educational and Psychological Measurement
65). Factors of an oblique rotation have correlations Phi = T'T, and A A' = L Phi L'. Promax
(Hendrickson and White 1964) regresses sign(V) |V|^4, V the varimax loadings, on A.

statsmodels' ``rotate_factors`` has the same criteria through K x K matrices: half a minute at K=500
where these take O(K r) an iteration. Its ``promax`` regresses V itself unless told otherwise, which
is varimax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sm_alsgls.covariance.arrays import Array

_TOL, _MOST, _POWER = 1e-9, 2000, 4

# gamma of a criterion for K rows and r columns.
ORTHOGONAL: dict[str, Callable[[int, int], float]] = {
    "varimax": lambda K, r: 1.0,
    "quartimax": lambda K, r: 0.0,
    "biquartimax": lambda K, r: 0.5,
    "parsimax": lambda K, r: K * (r - 1) / (K + r - 2),
    "parsimony": lambda K, r: float(K),
}
OBLIQUE: dict[str, Callable[[int, int], float]] = {
    "quartimin": lambda K, r: 0.0,
    "biquartimin": lambda K, r: 0.5,
}
METHODS = (*ORTHOGONAL, "promax", *OBLIQUE)


class Rotation(NamedTuple):
    """Rotated loadings L (K, r), and correlations Phi (r, r) of the factors they belong to."""

    loadings: Array
    correlation: Array


def rotate(A: Array, method: str) -> Rotation:
    """Rotated loadings, columns by falling share of variance, each with a sum that is not negative.

    Parameters
    ----------
    A : ndarray, shape (K, r)
        Loadings; in units of each row's standard deviation if rows are to weigh alike.
    method : str
        One of `METHODS`.

    Notes
    -----
    The criterion may have several minima; this is the one below A itself.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> simple = np.kron(np.eye(2), np.ones((4, 1))) + 0.1 * rng.standard_normal((8, 2))
    >>> turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    >>> L, Phi = rotate(simple @ turn, "varimax")
    >>> bool(np.abs(L).min(axis=1).max() < 0.3), bool(np.allclose(Phi, np.eye(2)))
    (True, True)
    >>> L, Phi = rotate(simple @ turn, "promax")
    >>> bool(np.allclose(L @ Phi @ L.T, simple @ simple.T))
    True
    """
    K, r = A.shape
    if r == 1:
        return _ordered(A.copy(), np.eye(1))
    if method == "promax":
        V = _orthogonal(A, 1.0)
        S = np.linalg.lstsq(A, np.sign(V) * np.abs(V) ** _POWER, rcond=None)[0]
        # L = A S D with D such that Phi = (D S'S D)^-1 has a unit diagonal.
        inverse = np.linalg.inv(S.T @ S)
        scale = np.sqrt(np.diagonal(inverse))
        return _ordered(A @ (S * scale), inverse / np.outer(scale, scale))
    if method in ORTHOGONAL:
        return _ordered(_orthogonal(A, ORTHOGONAL[method](K, r)), np.eye(r))
    return _ordered(*_oblique(A, OBLIQUE[method](K, r)))


def _ordered(L: Array, Phi: Array) -> Rotation:
    order = np.argsort(-np.square(L).sum(axis=0), kind="stable")
    sign = np.where(L.sum(axis=0) < 0.0, -1.0, 1.0)[order]
    return Rotation(L[:, order] * sign, Phi[np.ix_(order, order)] * np.outer(sign, sign))


def _orthogonal(A: Array, gamma: float) -> Array:
    def criterion(T: Array) -> tuple[float, Array]:
        L = A @ T
        L2 = np.square(L)
        part = L2 - gamma * L2.mean(axis=0)
        return -0.25 * float(np.vdot(L2, part)), -A.T @ (L * part)

    def tangent(T: Array, G: Array) -> Array:
        M = T.T @ G
        return np.asarray(G - T @ (M + M.T) / 2.0)

    def project(X: Array) -> Array:
        U, _, Vt = np.linalg.svd(X)
        return np.asarray(U @ Vt)

    return np.asarray(A @ _descend(A.shape[1], criterion, tangent, project))


def _oblique(A: Array, gamma: float) -> tuple[Array, Array]:
    def criterion(T: Array) -> tuple[float, Array]:
        inverse = np.linalg.inv(T)
        L = A @ inverse.T
        L2 = np.square(L)
        part = L2.sum(axis=1, keepdims=True) - L2
        part = part - gamma * part.mean(axis=0)
        return 0.25 * float(np.vdot(L2, part)), -(L.T @ (L * part) @ inverse).T

    def tangent(T: Array, G: Array) -> Array:
        return np.asarray(G - T * np.einsum("ij,ij->j", T, G))

    def project(X: Array) -> Array:
        return np.asarray(X / np.linalg.norm(X, axis=0))

    T = _descend(A.shape[1], criterion, tangent, project)
    return np.asarray(A @ np.linalg.inv(T).T), np.asarray(T.T @ T)


def _descend(
    r: int,
    criterion: Callable[[Array], tuple[float, Array]],
    tangent: Callable[[Array, Array], Array],
    project: Callable[[Array], Array],
) -> Array:
    """Projected gradients with a halved step, from the identity."""
    T, step = np.eye(r), 1.0
    value, G = criterion(T)
    first = np.linalg.norm(G)
    for _ in range(_MOST):
        direction = tangent(T, G)
        size = float(np.linalg.norm(direction))
        if size <= _TOL * first:
            break
        step *= 2.0
        while step * size > 1e-15:
            trial = project(T - step * direction)
            new, gradient = criterion(trial)
            if new <= value - 0.5 * step * size**2:
                break
            step /= 2.0
        else:
            break
        T, value, G = trial, new, gradient
    return T
