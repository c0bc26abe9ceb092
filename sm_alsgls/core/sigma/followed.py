"""Leading eigenpairs of one symmetric matrix after another, each near the last.

A maximum-likelihood factor analysis asks for the r leading pairs of D^-1/2 S D^-1/2 at a score of
points that get closer and closer. With the vectors V of the last and a new A,

    phi^2 = |A|^2 - sum_i theta_i^2    (Frobenius)

bounds every eigenvalue but theta_1 .. theta_r, so that a space which A maps to itself with
theta_r > phi is the leading one, whatever it was found by. V becomes such a space by a Chebyshev
polynomial of A that is small on [0, b] (Zhou, Saad, Tiago and Chelikowsky 2006, J. Comput. Phys.
219): b is where Marchenko and Pastur's law ends whose mean and variance are those of the
eigenvalues left, phi at most, and only decides how fast. What it makes is taken where it is exact
to rounding, |A V - V Theta| <= 1e-13 theta_r, and else thrown away.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg.lapack import dgeqrf, dorgqr, dsyevd

Array = np.ndarray

# What a product with A leaves of digits, as a share of theta_r.
_EXACT, _ROUNDING = 1e-13, 1e-16
# Degrees beyond which LAPACK is as fast.
_MOST = 16


def followed(A: Array, V: Array) -> tuple[Array, Array] | None:
    """The r leading eigenvalues of A, descending, and eigenvectors, from a basis near them.

    Parameters
    ----------
    A : ndarray, shape (m, m)
        Symmetric and positive semidefinite.
    V : ndarray, shape (m, r)
        Orthonormal.

    Returns
    -------
    tuple or None
        (r,) and (m, r), exact to rounding; None where V is too far off, or the eigenvalues are not
        far enough apart to know that it is theirs.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.sigma.followed import followed
    >>> rng = np.random.default_rng(0)
    >>> F, shift = rng.standard_normal((50, 2)), rng.standard_normal((50, 2))
    >>> V = np.linalg.qr(F + 0.01 * shift)[0]
    >>> theta, vectors = followed(F @ F.T + np.eye(50), V)
    >>> np.allclose(theta, 1.0 + np.linalg.svd(F)[1] ** 2, rtol=1e-14)
    True
    >>> followed(np.eye(50), V) is None
    True
    """
    m, r = V.shape
    if m <= r:
        return None
    size, trace = float(A.ravel() @ A.ravel()), float(A.trace())
    for turn in range(2):
        AV = A @ V
        H = V.T @ AV
        theta = _pairs(H)[0]
        least, far = float(theta[-1]), AV - V @ H
        square, total = size - float(theta @ theta), trace - float(theta.sum())
        if 0.0 < square < least**2 and total > 0.0:
            edge = min(_edge(total / (m - r), square / (m - r)), math.sqrt(square))
            left = math.sqrt(float(np.einsum("ij,ij->", far, far))) / least
            # Of a leading direction over one at the edge or below.
            growth = math.acosh(max(2.0 * least / edge - 1.0, 1.0))
            wanted = 1.0 + math.log(max(left, _ROUNDING) / _ROUNDING)
            if wanted <= _MOST * growth:
                break
        if turn or not square > 0.0:
            return None
        # What is left of leading vectors counts among the others: one product brings V near.
        V = orthonormal(AV)
    Q = orthonormal(_filtered(A, V, AV, edge, math.ceil(wanted / growth)))
    AQ = A @ Q
    theta, C = _pairs(Q.T @ AQ)
    V = Q @ C
    far = AQ @ C - V * theta
    least = float(theta[-1])
    exact = float(np.einsum("ij,ij->", far, far)) <= (_EXACT * least) ** 2
    if not exact or size - float(theta @ theta) >= least**2:
        return None
    return theta, V


# Both without what NumPy puts around LAPACK, which takes longer than the work on r columns.


def _pairs(H: Array) -> tuple[Array, Array]:
    """All eigenvalues, descending, and eigenvectors of a small symmetric H."""
    values, vectors, info = dsyevd(H)
    if info != 0:
        raise np.linalg.LinAlgError(f"eigenvalues of a {len(H)} x {len(H)} matrix: info={info}")
    return values[::-1], vectors[:, ::-1]


def orthonormal(M: Array) -> Array:
    """An orthonormal basis of the columns of M."""
    factor, tau, _, _ = dgeqrf(M)
    return np.asarray(dorgqr(factor, tau, overwrite_a=1)[0])


def _edge(mean: float, square: float) -> float:
    """Where Marchenko and Pastur's law with this mean and mean square ends."""
    spread = max(square / mean**2 - 1.0, 0.0)
    return mean * (1.0 + math.sqrt(spread)) ** 2


def _filtered(A: Array, V: Array, AV: Array, edge: float, degree: int) -> Array:
    """The Chebyshev polynomial of [0, edge] of a degree, of A, times V."""
    before, now = V, (2.0 / edge) * AV - V
    for _ in range(degree - 1):
        ahead = A @ now
        ahead *= 4.0 / edge
        ahead -= 2.0 * now
        ahead -= before
        before, now = now, ahead
    return now
