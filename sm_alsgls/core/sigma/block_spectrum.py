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


# Share of squares that may lie outside of a space for a matrix to be within it: its products are
# known to a hundred times the root of that.
_WITHIN = 1e-24


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


class InMemory:
    """`Products` of residuals E (n, K) that are an array, Fortran-ordered."""

    first = 0

    def __init__(self, E: Array) -> None:
        self._Et = E.T
        self.n, self.K = E.shape

    def image(self, W: Array) -> tuple[Array, Array]:
        """See `Products`."""
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
        """See `Products`."""
        return np.asarray(np.vecdot(self._Et, self._Et))


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
        self._E: Products = InMemory(E) if isinstance(E, np.ndarray) else E
        self._across = across
        self._scale = 1.0 / n_obs
        self._rank = rank
        n, K = self._E.n, self._E.K
        whole = int(across.total(float(K)))
        self._width = min(2 * rank + 2, n, whole)
        self._most = min(4 * self._width, whole)
        self._given = False
        if start is None or start.shape != (K, self._width):
            # Reproducible, in the units of the equations; nobody else's generator is touched.
            start = _drawn(self._E.first, K, self._width)
            start /= np.sqrt(np.maximum(self._E.squares(), 1e-300))[:, None]
        else:
            self._given = True
        self.block: Array | None = start
        self.seen: Array | None = None
        self.products = 0
        # Columns are rows here, `_m` of them in use: what is not takes no memory.
        self._m = 0
        self._W, self._SW, self._V = np.empty((3, self._most, K))
        self._Z = np.empty((self._most, n))
        # W S W', and the Gram matrix of V: near I, but where theta is 1e8 nearly is not enough.
        self._gram = self._near_eye = np.empty((0, 0))

    def pairs(
        self, d: Array, tol: float = 1e-3, heavy: Array | None = None
    ) -> tuple[Array, Array, float]:
        """Ritz values (r,), Ritz vectors (K, r), and the size of F's gradient they leave.

        W is extended until that size is below ``tol`` (or 30 times).
        """
        root, r, total = np.sqrt(d), self._rank, self._across.total
        if self._m:
            self._weigh(root)
        else:
            self._add(_orthonormal(np.asarray(self.block).T * root, self._across), root)
        for step in range(31):
            theta, C, inverse = self._ritz(root)
            vectors = C @ self._V[: self._m]
            gap = C @ self._SW[: self._m]
            gap /= root
            gap -= vectors * theta[:, None]
            # An eigenvalue lies within |gap| of theta: below 1 for sure, the pair is no factor.
            length = np.sqrt(total(np.vecdot(gap[:r], gap[:r])))
            active = np.flatnonzero(theta[:r] + length > 1.0)
            above = theta[active] - 1.0
            gain = np.where(above > 0.0, np.sqrt(np.maximum(above, 0.0)) / theta[active], 1.0)
            residual = self._across.largest(
                float(np.max(np.abs(gap[active] * gain[:, None]), initial=0.0))
            )
            if residual <= tol or step == 30:
                break
            if self._m + self._width > self._most:
                self._restart(theta, C, vectors)
                inverse = np.eye(self._m)
            apart = len(theta) > r and theta[r - 1] > _APART * theta[r]
            added = gap[: r + 1] if apart else gap
            fresh = _complement(self._V[: self._m], inverse, added, self._across)
            if not len(fresh):
                break
            self._add(fresh, root)
        self.block = (vectors / root).T
        self.seen = C[:r] @ self._Z[: C.shape[1]]
        return theta[:r], np.ascontiguousarray(vectors[:r].T), residual

    def hessian(self, d: Array) -> None:
        """Never: it takes every eigenpair."""

    def explained(self, G: Array, d: Array) -> float | None:
        """tr(G'S G) for G (K, r) that the basis spans with which the iteration starts.

        Its products are what it takes, and are made once. None where that is not a basis that was
        given, or G is not within its span. ``d`` (K,) is the metric in which it is orthonormal.
        """
        if not self._given:
            return None
        root, total = np.sqrt(d), self._across.total
        if not self._m:
            self._add(_orthonormal(np.asarray(self.block).T * root, self._across), root)
        V, T = self._V[: self._m], G.T * root
        C = np.linalg.solve(self._near_eye, total(V @ T.T)).T
        T2, left = total(np.array([_square(T), _square(T - C @ V)]))
        return float(np.vdot(C @ self._gram, C)) if left <= _WITHIN * T2 else None

    def _extend(self, W: Array) -> None:
        """Add columns W (K, few) to the space, with their product S W."""
        self.products += 1
        Z, SW = self._E.image(W)
        old, self._m = self._m, self._m + W.shape[1]
        new = slice(old, self._m)
        self._W[new], self._Z[new] = W.T, Z
        np.multiply(SW.T, self._scale, out=self._SW[new])
        cross = self._across.total(self._W[: self._m] @ self._SW[new].T)
        self._gram = _bordered(self._gram, cross)

    def _add(self, fresh: Array, root: Array) -> None:
        """Extend W by what is, in the metric of d, orthonormal rows beside those of V."""
        old = self._m
        self._extend((fresh / root).T)
        self._V[old : self._m] = fresh
        cross = self._across.total(self._V[: self._m] @ fresh.T)
        self._near_eye = _bordered(self._near_eye, cross)

    def _weigh(self, root: Array) -> None:
        """V = D^1/2 W at another d."""
        m = self._m
        V = np.multiply(self._W[:m], root, out=self._V[:m])
        self._near_eye = self._across.total(V @ V.T)

    def _restart(self, theta: Array, C: Array, vectors: Array) -> None:
        """Keep the best Ritz vectors only."""
        W, SW, Z = (C @ M[: self._m] for M in (self._W, self._SW, self._Z))
        self._hold(W, SW, Z, vectors, np.diag(theta))

    def _hold(self, W: Array, SW: Array, Z: Array, V: Array, gram: Array) -> None:
        """Another basis, of fewer rows."""
        self._m = m = len(W)
        self._W[:m], self._SW[:m], self._Z[:m], self._V[:m] = W, SW, Z, V
        self._gram, self._near_eye = gram, self._across.total(V @ V.T)

    def _ritz(self, root: Array) -> tuple[Array, Array, Array]:
        """Ritz values, descending, and their combinations of W, rows; 2 r + 2 pairs at most.

        And the inverse of the Cholesky factor of VV'.
        """
        L = _cholesky(self._near_eye)
        if L is None:
            # d has moved far: W is no longer near orthonormal in its metric.
            m = self._m
            V, back = _conditioned(self._V[:m], self._across)
            W, SW, Z = V / root, back @ self._SW[:m], back @ self._Z[:m]
            self._hold(W, SW, Z, V, self._across.total(W @ SW.T))
            L = np.linalg.cholesky(self._near_eye)
        inverse = np.linalg.inv(L)
        theta, vectors = leading(inverse @ self._gram @ inverse.T, self._width)
        return np.maximum(theta, 0.0), vectors.T @ inverse, inverse


def _square(A: Array) -> float:
    return float(np.vdot(A, A))


def _bordered(A: Array, cross: Array) -> Array:
    """Symmetric A with more rows and columns, of which ``cross`` (m, few) are the columns."""
    m, old = len(cross), len(A)
    out = np.empty((m, m))
    out[:old, :old], out[:, old:], out[old:, :old] = A, cross, cross[:old].T
    return out


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
    """An orthonormal basis of the rows of V."""
    length = np.sqrt(across.total(np.vecdot(V, V)))
    V = V / np.maximum(length, 1e-300)[:, None]
    for _ in range(2):
        found = _by_cholesky(V, across)
        if found is None:
            return _qr(V, across)[0]
        V = found
    return V


def _complement(V: Array, inverse: Array, M: Array, across: Across) -> Array:
    """An orthonormal basis of what M's rows add to those of V.

    These are nearly orthonormal: ``inverse`` is that of the Cholesky factor of VV'.
    """
    length = np.sqrt(across.total(np.vecdot(M, M)))
    M = M[length > 1e-15] / length[length > 1e-15, None]
    for _ in range(2):
        M = M - (across.total(M @ V.T) @ inverse.T @ inverse) @ V
        found = _by_cholesky(M, across)
        if found is None:
            M, R = _qr(M, across)
            found = M[np.abs(np.diagonal(R)) > 1e-8]
        M = found
    return M


def _by_cholesky(M: Array, across: Across) -> Array | None:
    """L^-1 M of MM' = LL', orthonormal to 1e-8, to rounding at the second time.

    None where M has not full rank, or nearly: pivots below 1e-4 leave no digits.
    """
    L = _cholesky(across.total(M @ M.T), 1e-4)
    return None if L is None else np.linalg.inv(L) @ M


def _qr(M: Array, across: Across) -> tuple[Array, Array]:
    """Q' and R of M', of which columns may be elsewhere: then by Cholesky, three times.

    A Gram matrix has lost what is below 1e-8 of its largest; a multiple of rounding is added first
    (Fukaya, Kannan, Nakatsukasa, Yamamoto and Yanagisawa 2020, SIAM J. Sci. Comput. 42).
    """
    if across.alone:
        Q, R = np.linalg.qr(M.T)
        return Q.T, R
    m = len(M)
    R, Q = np.eye(m), M
    for step in range(3):
        gram = across.total(Q @ Q.T)
        if step == 0:
            gram = gram + 1e-14 * np.trace(gram) * np.eye(m)
        factor = np.linalg.cholesky(gram)
        Q, R = np.linalg.inv(factor) @ Q, factor.T @ R
    return Q, R


def _conditioned(M: Array, across: Across) -> tuple[Array, Array]:
    """An orthonormal basis of the rows of M that are independent, and B with B M = it."""
    if across.alone:
        left, size, right = np.linalg.svd(M.T, full_matrices=False)
        left = left.T
    else:
        Q, R = _qr(M, across)
        turn, size, right = np.linalg.svd(R)
        left = turn.T @ Q
    kept = size > 1e-10 * size[0]
    return left[kept], right[kept] / size[kept, None]


def _cholesky(A: Array, least: float = 1e-3) -> Array | None:
    """Lower factor of A, or None where a pivot is below a share of the largest."""
    try:
        L: Array = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diagonal(L)
    return L if pivots.min() > least * pivots.max() else None
