"""The r x r cores of rows observed in part, in coordinates where they keep their digits.

C_n = I + sum_j m_nj a_j a_j', with rows a_j of A = D^-1/2 F, is asked for C_n^-1 a_j, for sums of
m_nj C_n^-1 over rows, and for log|C_n|. A d_j of 1e-8 s_j makes C_n's entries spread over eight
orders of magnitude, differently in rows with and without j. Such equations get an axis of the
factor space each (`frame`): T'C_n T is then a graded matrix for every pattern, whose Cholesky
factor and inverse keep the digits of every part (Demmel and Veselić 1992, SIAM J. Matrix Anal.
Appl. 13), where C_n^-1 a_j would keep none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

# Leverage a_j' (I + A'A)^-1 a_j from which an equation gets an axis of its own.
_LEVERAGE = 0.99


class Frame(NamedTuple):
    """A in coordinates in which every core is graded.

    A T (K, r), T (r, r), T'T and its log-determinant, and the equations that own the first axes.
    """

    A: Array
    T: Array
    prior: Array
    logdet: float
    owners: Array


def frame(A: Array) -> Frame:
    """Coordinates z = T zeta of the factors for A = D^-1/2 F (K, r).

    Equations J with d_j << |f_j|^2 (at most r: their leverages add up to less) get an axis each,
    a_j T = |a_j| e_j, whichever of them a row contains; the others turn in the complement of J so
    that their A'A is diagonal.
    """
    r = A.shape[1]
    if r == 0:
        return Frame(A, np.empty((0, 0)), np.empty((0, 0)), 0.0, np.empty(0, dtype=np.intp))
    gram = A.T @ A
    values, R = np.linalg.eigh(gram)
    B = A @ R
    size = np.einsum("kr,kr->k", A, A)
    J = np.flatnonzero(np.square(B) @ (1.0 / (1.0 + values)) > _LEVERAGE)
    if not J.size:
        return Frame(B[:, ::-1], R[:, ::-1], np.eye(r), 0.0, J)
    # Largest rows first, and no more of them than their directions allow.
    J = J[np.argsort(-size[J])][:r]
    length = np.sqrt(size[J])
    Q, triangle = np.linalg.qr((A[J] / length[:, None]).T, mode="complete")
    kept = np.abs(np.diagonal(triangle)) > 1e-3
    if not kept.all():
        J, length = J[kept], length[kept]
        Q, triangle = np.linalg.qr((A[J] / length[:, None]).T, mode="complete")
    m = len(J)
    # A_J = diag(length) R' Q_1': the columns Q_1 R^-T make it diag(length).
    own = Q[:, :m] @ np.linalg.inv(triangle[:m]).T
    rest = Q[:, m:]
    others = A @ rest
    others[J] = 0.0
    rest = rest @ np.linalg.eigh(others.T @ others)[1][:, ::-1]
    T = np.concatenate([own, rest], axis=1)
    B = A @ T
    B[J] = 0.0
    B[J, np.arange(m)] = length
    prior = np.eye(r)
    prior[:m, :m] = own.T @ own
    return Frame(B, T, prior, float(np.linalg.slogdet(prior)[1]), J)


class Cores(NamedTuple):
    """C^-1 = X'X, log|C| and X of every pattern, (r, r, G), (G,) and (r, r, G)."""

    inverse: Array
    logdet: Array
    root: Array


def pairs(B: Array) -> Array:
    """Products of the columns of B (m, r) in the order of ``np.tril_indices``, (m, r (r + 1) / 2).

    Off the diagonal they are taken once.
    """
    i, j = np.tril_indices(B.shape[1])
    return B[:, i] * B[:, j]


def unpacked(packed: Array, r: int) -> Array:
    """Symmetric (r, r, ...) matrices from their lower triangles (r (r + 1) / 2, ...)."""
    out = np.empty((r, r, *packed.shape[1:]))
    i, j = np.tril_indices(r)
    out[i, j] = packed
    out[j, i] = packed
    return out


def twice(packed: Array, r: int) -> Array:
    """Products off the diagonal counted twice, as a trace of symmetric matrices does."""
    i, j = np.tril_indices(r)
    return packed * np.where(i == j, 1.0, 2.0)


def cores(own: Frame, patterns: Patterns) -> Cores:
    """The cores of every pattern in the coordinates of a frame: the inverses of T'C T, log|C|.

    The Cholesky factorisation and the inverse run over all patterns at once, an array operation
    for each column: LAPACK's call for every r x r matrix costs more than its arithmetic.
    """
    r = own.A.shape[1]
    C = unpacked(pairs(own.A).T @ patterns.cells, r)
    C += own.prior[:, :, None]
    # L overwrites C's lower triangle; X = L^-1.
    X = np.zeros_like(C)
    logdet = np.full(patterns.G, -own.logdet)
    for j in range(r):
        column = C[j:, j]
        if j:
            column -= np.einsum("ikg,kg->ig", C[j:, :j], C[j, :j])
        logdet += np.log(column[0])
        column /= np.sqrt(column[0])
        X[j, j] = 1.0 / column[0]
        if j:
            X[j, :j] = -np.einsum("kg,kig->ig", C[j, :j], X[:j, :j]) * X[j, j]
    return Cores(np.einsum("kig,kjg->ijg", X, X), logdet, X)


def spread(own: Frame, packed: Array, patterns: Patterns) -> Array:
    """a_j' C_(j)^-1 a_j, C_(j) the core of the row's other cells, for all patterns, (K, G).

    What the factors add to the variance d_j of a cell, in units of d_j, when all but the cell is
    known: (Sigma_n^-1)_jj = 1 / (d_j (1 + spread)) in an observed cell. From h = a_j' C^-1 a_j it
    is h / (1 - h), which cancels for an equation with an axis of its own: that one is left out of
    cores made for it.
    """
    h = twice(pairs(own.A), own.A.shape[1]) @ packed
    out = np.where(patterns.cells > 0.0, h / np.maximum(1.0 - h, 1e-16), h)
    for axis, j in enumerate(own.owners):
        others = own.A.copy()
        others[j] = 0.0
        inverse = cores(own._replace(A=others), patterns).inverse
        out[j] = own.A[j, axis] ** 2 * inverse[axis, axis]
    return out
