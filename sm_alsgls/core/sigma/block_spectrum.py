"""Leading eigenpairs of the standardised residual covariance by warm block iteration."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.sigma.eigenpairs import leading

Array = np.ndarray

# Rows of random numbers that are passed over at a time.
_DRAWN = 100_000
# Multiplications of a product of matrices up to which BLAS does not copy them first, and rows that
# are too few to profit.
_UNPACKED, _FEWEST = 600_000, 16


# Ratio of the r-th eigenvalue to the next from which on the others need no help to converge: in
# 11 systems of 200 to 1,000 equations, weak and spare factors among them, products were as many
# as before but for two of 51, and columns .63 to 1 of them.
_APART = 2.0


class Products(Protocol):
    """What an eigen-iteration asks of residuals E (n, K), of which these may be some equations.

    Attributes
    ----------
    n : int
    first, K : int
        The number of the first equation here, and how many are here.
    """

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def K(self) -> int: ...  # noqa: D102

    def image(self, W: Array) -> tuple[Array, Array]:
        """W' E' (m, n), summed over all equations, and E' E W (K, m), for W (K, m)."""
        ...

    def squares(self) -> Array:
        """|e_j|^2, (K,)."""
        ...


class _InMemory:
    """Residuals that are an array."""

    first = 0

    def __init__(self, E: Array) -> None:
        self._Et = E.T
        self.n, self.K = E.shape

    def image(self, W: Array) -> tuple[Array, Array]:
        # The thin factor contiguous, and few rows at a time: BLAS does not pack E then.
        Z = np.ascontiguousarray(W.T) @ self._Et
        SW = np.empty(W.shape)
        rows = _UNPACKED // max(1, Z.size)
        rows = rows if rows >= _FEWEST else len(SW)
        for start in range(0, len(SW), rows):
            at = slice(start, start + rows)
            np.matmul(self._Et[at], Z.T, out=SW[at])
        return Z, SW

    def squares(self) -> Array:
        return np.asarray(np.einsum("kn,kn->k", self._Et, self._Et))


class BlockSpectrum:
    """Leading eigenpairs by Rayleigh-Ritz on a space W whose products S W are kept.

    With w = D^-1/2 v the pairs are those of S w = theta D w. S does not depend on d, so when d
    moves, the pairs within span(W) cost no product with E. Only where what they leave exceeds
    the tolerance is W extended by the residuals of 2 r + 2 pairs (Davidson 1975, J. Comput. Phys.
    17): one product with E and one with E'. Where the r-th Ritz value stands out from the next,
    r + 1 of them do, for half of the time; elsewhere those beyond lead to pairs that are hard to
    tell apart. When W is four blocks wide the best Ritz vectors are kept (thick restart: Wu and
    Simon 2000, SIAM J. Matrix Anal. 22). Every answer is a Rayleigh-Ritz pair of an orthonormal
    basis, so a likelihood computed from it is that of an actual (F, d).

    Parameters
    ----------
    E : ndarray, shape (n, K), or Products
        Fortran-ordered.
    n_obs : int
    rank : int
    start : ndarray, shape (K, 2 r + 2), optional
        ``block`` of an earlier instance.
    across : Across, optional
        Sums over equations of which E has a part.
    """

    def __init__(
        self,
        E: Array | Products,
        n_obs: int,
        rank: int,
        start: Array | None = None,
        across: Across = ALONE,
    ) -> None:
        self._E: Products = _InMemory(E) if isinstance(E, np.ndarray) else E
        self._across = across
        self._scale = 1.0 / n_obs
        self._rank = rank
        n, K = self._E.n, self._E.K
        whole = int(across.total(float(K)))
        self._width = min(2 * rank + 2, n, whole)
        self._most = min(4 * self._width, whole)
        if start is None or start.shape != (K, self._width):
            # Reproducible, in the units of the equations; nobody else's generator is touched.
            start = _drawn(self._E.first, K, self._width)
            start /= np.sqrt(np.maximum(self._E.squares(), 1e-300))[:, None]
        self.block: Array | None = start
        self.seen: Array | None = None
        self.products = 0
        self._Z = np.empty((0, n))
        self._W = self._SW = np.empty((K, 0))
        self._gram = np.empty((0, 0))

    def pairs(
        self, d: Array, tol: float = 1e-3, heavy: Array | None = None
    ) -> tuple[Array, Array, float]:
        """Ritz values (r,), Ritz vectors (K, r), and the size of F's gradient they leave.

        W is extended until that size is below ``tol`` (or 30 times).
        """
        root = np.sqrt(d)[:, None]
        r = self._rank
        if not self._W.shape[1]:
            self._extend(_orthonormal(np.asarray(self.block) * root, self._across) / root)
        for step in range(31):
            theta, C, V, inverse = self._ritz(d, root)
            vectors = V @ C
            gap = self._SW @ C
            gap /= root
            gap -= vectors * theta
            # An eigenvalue lies within |gap| of theta: below 1 for sure, the pair is no factor.
            length = np.sqrt(self._across.total(np.einsum("kr,kr->r", gap[:, :r], gap[:, :r])))
            active = np.flatnonzero(theta[:r] + length > 1.0)
            above = theta[active] - 1.0
            gain = np.where(above > 0.0, np.sqrt(np.maximum(above, 0.0)) / theta[active], 1.0)
            residual = self._across.largest(
                float(np.max(np.abs(gap[:, active] * gain), initial=0.0))
            )
            if residual <= tol or step == 30:
                break
            if self._W.shape[1] + self._width > self._most:
                self._W, self._SW, self._gram = self._W @ C, self._SW @ C, np.diag(theta)
                self._Z = C.T @ self._Z
                V, inverse = vectors, np.eye(len(theta))
            apart = len(theta) > r and theta[r - 1] > _APART * theta[r]
            added = gap[:, : r + 1] if apart else gap
            fresh = _complement(V, inverse, added, self._across)
            if not fresh.shape[1]:
                break
            self._extend(fresh / root)
        self.block, self.seen = vectors / root, C[:, :r].T @ self._Z
        return theta[:r], vectors[:, :r], residual

    def hessian(self, d: Array) -> None:
        """Never: it takes every eigenpair."""

    def _extend(self, W: Array) -> None:
        """Add columns W to the space, with their product S W."""
        self.products += 1
        Z, SW = self._E.image(W)
        SW *= self._scale
        old = self._W.shape[1]
        self._W = np.concatenate([self._W, W], axis=1)
        self._SW = np.concatenate([self._SW, SW], axis=1)
        self._Z = np.concatenate([self._Z, Z])
        cross = self._across.total(self._W.T @ SW)
        gram = np.empty((len(cross), len(cross)))
        gram[:old, :old], gram[:, old:], gram[old:, :old] = self._gram, cross, cross[:old].T
        self._gram = gram

    def _ritz(self, d: Array, root: Array) -> tuple[Array, Array, Array, Array]:
        """Ritz values, descending, and their combinations C of W, for 2 r + 2 pairs at most.

        And V = D^1/2 W, with the inverse of the Cholesky factor of V'V.
        """
        total = self._across.total
        V = self._W * root
        L = _cholesky(total(V.T @ V))
        if L is None:
            # d has moved far: W is no longer near orthonormal in its metric.
            V, back = _conditioned(V, self._across)
            self._W, self._SW, self._Z = V / root, self._SW @ back, back.T @ self._Z
            self._gram = total(self._W.T @ self._SW)
            L = np.linalg.cholesky(total(V.T @ V))
        inverse = np.linalg.inv(L)
        theta, vectors = leading(inverse @ self._gram @ inverse.T, self._width)
        return np.maximum(theta, 0.0), inverse.T @ vectors, V, inverse


def _drawn(first: int, K: int, width: int) -> Array:
    """Rows ``first`` to ``first`` + K of the normal draws (.., width) that a whole system has."""
    rng = np.random.default_rng(0)
    for start in range(0, first, _DRAWN):
        rng.standard_normal((min(_DRAWN, first - start), width))
    return rng.standard_normal((K, width))


def widened(
    block: Array | None, s: Array, n: int, rank: int, first: int = 0, across: Across = ALONE
) -> Array | None:
    """A basis of an earlier fit with random columns beside it, as wide as ``rank`` needs.

    Parameters
    ----------
    block : ndarray, shape (K, m), optional
    s : ndarray, shape (K,)
        Variances.
    n : int
        Rows.
    rank : int
    first : int
        The number of the first equation here.
    across : Across, optional
        The other equations.
    """
    if block is None:
        return None
    whole = int(across.total(float(len(s))))
    missing = min(2 * rank + 2, n, whole) - block.shape[1]
    if missing <= 0:
        return block
    extra = _drawn(first, len(s), missing) / np.sqrt(s)[:, None]
    m = block.shape[1]
    squares = across.total(
        np.concatenate([np.square(block).sum(axis=0), np.square(extra).sum(axis=0)])
    )
    extra *= np.sqrt(squares[:m]).mean() / np.sqrt(squares[m:])
    return np.concatenate([block, extra], axis=1)


def _orthonormal(V: Array, across: Across) -> Array:
    """An orthonormal basis of the columns of V."""
    length = np.sqrt(across.total(np.einsum("ij,ij->j", V, V)))
    V = V / np.maximum(length, 1e-300)
    for _ in range(2):
        found = _by_cholesky(V, across)
        if found is None:
            return _qr(V, across)[0]
        V = found
    return V


def _complement(V: Array, inverse: Array, M: Array, across: Across) -> Array:
    """An orthonormal basis of what M's columns add to those of V.

    These are nearly orthonormal: ``inverse`` is that of the Cholesky factor of V'V.
    """
    length = np.sqrt(across.total(np.einsum("ij,ij->j", M, M)))
    M = M[:, length > 1e-15] / length[length > 1e-15]
    for _ in range(2):
        M = M - V @ (inverse.T @ (inverse @ across.total(V.T @ M)))
        found = _by_cholesky(M, across)
        if found is None:
            M, R = _qr(M, across)
            found = M[:, np.abs(np.diagonal(R)) > 1e-8]
        M = found
    return M


def _by_cholesky(M: Array, across: Across) -> Array | None:
    """M R^-1 of M'M = R'R, orthonormal to 1e-8, to rounding at the second time.

    None where M has not full rank, or nearly: pivots below 1e-4 leave no digits.
    """
    L = _cholesky(across.total(M.T @ M), 1e-4)
    return None if L is None else M @ np.linalg.inv(L).T


def _qr(M: Array, across: Across) -> tuple[Array, Array]:
    """Q and R of M, of which rows may be elsewhere: then by Cholesky, three times.

    A Gram matrix has lost what is below 1e-8 of its largest; a multiple of rounding is added first
    (Fukaya, Kannan, Nakatsukasa, Yamamoto and Yanagisawa 2020, SIAM J. Sci. Comput. 42).
    """
    if across.alone:
        Q, R = np.linalg.qr(M)
        return Q, R
    m = M.shape[1]
    R, Q = np.eye(m), M
    for step in range(3):
        gram = across.total(Q.T @ Q)
        if step == 0:
            gram = gram + 1e-14 * np.trace(gram) * np.eye(m)
        factor = np.linalg.cholesky(gram).T
        Q, R = Q @ np.linalg.inv(factor), factor @ R
    return Q, R


def _conditioned(M: Array, across: Across) -> tuple[Array, Array]:
    """An orthonormal basis of the columns of M that are independent, and B with M B = it."""
    if across.alone:
        left, size, right = np.linalg.svd(M, full_matrices=False)
    else:
        left, R = _qr(M, across)
        turn, size, right = np.linalg.svd(R)
        left = left @ turn
    kept = size > 1e-10 * size[0]
    return left[:, kept], right[kept].T / size[kept]


def _cholesky(A: Array, least: float = 1e-3) -> Array | None:
    """Lower factor of A, or None where a pivot is below a share of the largest."""
    try:
        L: Array = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diagonal(L)
    return L if pivots.min() > least * pivots.max() else None
