"""Structures of the random effects' covariance, in units of the residual variance: G = s2 Gamma.

    LowRank        Gamma = Lambda Lambda' + diag(psi),  psi >= 0    phi = (Lambda by rows, psi)
    Diagonal       Gamma = diag(psi)                                phi = psi
    LoadingsOnly   Gamma = Lambda Lambda'                           phi = Lambda by rows
    Unstructured   Gamma = L L', L lower triangular                 phi = L's lower triangle by rows

psi itself is the parameter, not its root: the likelihood is smooth in it at 0, where its slope is
the one-sided condition. All derivatives go through Gamma: with S the symmetric derivative of the
NLL in Gamma, d NLL = tr(S dGamma).

Columns of Z are scaled (their root mean square is 1) for all but Unstructured, which has the same
maximum in any basis of Z and is fitted in the orthogonal one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from sm_alsgls.core.mixed import loading
from sm_alsgls.core.sigma.factor import fit_factor
from sm_alsgls.core.sigma.factor import largest_rank as ledermann
from sm_alsgls.exceptions import IllegalRankError

Array = np.ndarray


class Structure(Protocol):
    """What the likelihood and its maximiser ask of a structure of q effects.

    Attributes
    ----------
    q, size : int
        Effects, and elements of phi.
    n_free : int
        Parameters, less rotations of loadings.
    rank : int
        Columns of Lambda; q of Unstructured.
    any_basis : bool
        Whether a change of Z's basis changes phi only.
    low : ndarray, shape (size,)
        Lower bounds of phi: 0 of psi, else -inf.
    """

    @property
    def q(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def n_free(self) -> int: ...  # noqa: D102
    @property
    def rank(self) -> int: ...  # noqa: D102
    @property
    def any_basis(self) -> bool: ...  # noqa: D102
    @property
    def low(self) -> Array: ...  # noqa: D102

    def root(self, phi: Array) -> Array:
        """A (q, k) with A A' = Gamma."""
        ...

    def loadings(self, phi: Array) -> Array:
        """Lambda (q, r); of Unstructured all of L."""
        ...

    def uniquenesses(self, phi: Array) -> Array:
        """psi (q,), zero where there is none."""
        ...

    def pull(self, phi: Array, S: Array) -> Array:
        """tr(S dGamma/dphi_a), (size,), of symmetric S (q, q)."""
        ...

    def information(self, phi: Array, W: Array) -> Array:
        """Sum over i of tr(W_i dGamma_a W_i dGamma_b), (size, size), of W (m, q, q)."""
        ...

    def second(self, S: Array) -> Array:
        """tr(S d2Gamma/dphi_a dphi_b), (size, size): 2 S in each column of Lambda."""
        ...

    def rotations(self, phi: Array) -> Array:
        """Directions of phi that leave Gamma as it is, (size, their number)."""
        ...

    def contracted(self, w: Array) -> Array:
        """Sum of w_ab d2Gamma/dphi_a dphi_b, (q, q), of symmetric weights (size, size)."""
        ...

    def directions(self, phi: Array) -> Array:
        """dGamma/dphi_a, (size, q, q)."""
        ...

    def nearest(self, gamma: Array) -> Array:
        """A phi whose Gamma is near a symmetric one (q, q), to begin from."""
        ...


def largest_rank(q: int, uniquenesses: bool = True) -> int:
    """The largest identified number of factors of q random effects.

    With uniquenesses the bound of Ledermann (1937), (q - r)^2 >= q + r; without, q.

    Examples
    --------
    >>> [largest_rank(q) for q in (1, 2, 3, 6, 11)], largest_rank(3, uniquenesses=False)
    ([0, 0, 1, 3, 6], 3)
    """
    return ledermann(q) if uniquenesses else q


def _no_uniquenesses(q: int) -> Array:
    return np.zeros(q)


def _leading(gamma: Array, rank: int) -> Array:
    """The best root of rank r, (q, r)."""
    values, vectors = np.linalg.eigh(gamma)
    top = slice(len(values) - rank, None)
    floor = 1e-3 * max(float(values[-1]), 1e-3)
    root = vectors[:, top] * np.sqrt(np.maximum(values[top], floor))
    return np.asarray(root[:, ::-1])


@dataclass(frozen=True)
class LowRank:
    """Gamma = Lambda Lambda' + diag(psi); rank 0 is diagonal.

    Raises
    ------
    IllegalRankError
        Rank beyond `largest_rank`.
    """

    q: int
    rank: int
    any_basis = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank <= ledermann(self.q):
            raise IllegalRankError(
                f"rank={self.rank} is not identified with {self.q} random effects and "
                f"uniquenesses; the largest is {ledermann(self.q)}"
            )

    @property
    def size(self) -> int:
        """q (r + 1)."""
        return self.q * (self.rank + 1)

    @property
    def n_free(self) -> int:
        """Less r (r - 1) / 2 rotations."""
        return self.size - self.rank * (self.rank - 1) // 2

    @cached_property
    def low(self) -> Array:
        """Of phi."""
        return np.concatenate([np.full(self.q * self.rank, -np.inf), np.zeros(self.q)])

    def loadings(self, phi: Array) -> Array:
        """Lambda (q, r)."""
        return phi[: -self.q].reshape(self.q, self.rank)

    def uniquenesses(self, phi: Array) -> Array:
        """Psi (q,)."""
        return phi[-self.q :]

    def root(self, phi: Array) -> Array:
        """[Lambda, psi^1/2] of the psi that are not 0."""
        psi = self.uniquenesses(phi)
        some = np.flatnonzero(psi > 0.0)
        D = np.zeros((self.q, len(some)))
        D[some, np.arange(len(some))] = np.sqrt(psi[some])
        return np.concatenate([self.loadings(phi), D], axis=1)

    def pull(self, phi: Array, S: Array) -> Array:
        """(size,)."""
        return np.concatenate([loading.pull(self.loadings(phi), S).ravel(), np.diagonal(S)])

    def information(self, phi: Array, W: Array) -> Array:
        """(size, size), O(m q^2 r^2)."""
        A, cut = self.loadings(phi), self.q * self.rank
        out = np.empty((self.size, self.size))
        out[cut:, cut:] = np.einsum("ijk,ijk->jk", W, W)
        if self.rank:
            out[:cut, :cut] = loading.information(A, W)
            WA = np.matmul(W, A)
            for s in range(self.rank):
                mixed = 2.0 * np.einsum("ikj,ik->jk", W, WA[:, :, s])
                out[s : cut : self.rank, cut:] = mixed
                out[cut:, s : cut : self.rank] = mixed.T
        return out

    def second(self, S: Array) -> Array:
        """(size, size)."""
        out = np.zeros((self.size, self.size))
        cut = self.q * self.rank
        out[:cut, :cut] = np.kron(2.0 * S, np.eye(self.rank))
        return out

    def rotations(self, phi: Array) -> Array:
        """(size, r (r - 1) / 2)."""
        turned = loading.rotations(self.loadings(phi))
        return np.concatenate([turned, np.zeros((self.q, turned.shape[1]))])

    def contracted(self, w: Array) -> Array:
        """(q, q)."""
        cut = self.q * self.rank
        return loading.contracted(w[:cut, :cut], self.q, self.rank)

    def directions(self, phi: Array) -> Array:
        """(size, q, q)."""
        at = np.arange(self.q)
        psi = np.zeros((self.q, self.q, self.q))
        psi[at, at, at] = 1.0
        return np.concatenate([loading.directions(self.loadings(phi)), psi])

    def nearest(self, gamma: Array) -> Array:
        """By the factor analysis of Gamma made positive definite."""
        values, vectors = np.linalg.eigh(gamma)
        floor = 1e-3 * max(float(values[-1]), 1e-6)
        root = np.sqrt(np.maximum(values, floor))[:, None] * vectors.T
        if not self.rank:
            return np.asarray((root**2).sum(axis=0))
        found = fit_factor(root * np.sqrt(self.q), self.rank, d_floor=1e-3, max_iter=100)
        return np.concatenate([found.F.ravel(), found.d])


class Diagonal(LowRank):
    """Gamma = diag(psi)."""

    def __init__(self, q: int) -> None:
        super().__init__(q, 0)


@dataclass(frozen=True)
class LoadingsOnly:
    """Gamma = Lambda Lambda', of rank r at most."""

    q: int
    rank: int
    any_basis = True

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= self.q:
            raise IllegalRankError(
                f"rank={self.rank} without uniquenesses: from 1 to the {self.q} random effects"
            )

    @property
    def size(self) -> int:
        """Numbers in Lambda."""
        return self.q * self.rank

    @property
    def n_free(self) -> int:
        """Less rotations."""
        return self.size - self.rank * (self.rank - 1) // 2

    @cached_property
    def low(self) -> Array:
        """None."""
        return np.full(self.size, -np.inf)

    def loadings(self, phi: Array) -> Array:
        """Lambda (q, r)."""
        return phi.reshape(self.q, self.rank)

    root = loadings

    def uniquenesses(self, phi: Array) -> Array:
        """0."""
        return _no_uniquenesses(self.q)

    def pull(self, phi: Array, S: Array) -> Array:
        """(size,)."""
        return loading.pull(self.loadings(phi), S).ravel()

    def information(self, phi: Array, W: Array) -> Array:
        """(size, size)."""
        return loading.information(self.loadings(phi), W)

    def second(self, S: Array) -> Array:
        """(size, size)."""
        return np.kron(2.0 * S, np.eye(self.rank))

    def rotations(self, phi: Array) -> Array:
        """(size, r (r - 1) / 2)."""
        return loading.rotations(self.loadings(phi))

    def contracted(self, w: Array) -> Array:
        """(q, q)."""
        return loading.contracted(w, self.q, self.rank)

    def directions(self, phi: Array) -> Array:
        """(size, q, q)."""
        return loading.directions(self.loadings(phi))

    def nearest(self, gamma: Array) -> Array:
        """Leading eigenvectors."""
        return _leading(gamma, self.rank).ravel()


@dataclass(frozen=True)
class Unstructured:
    """Any Gamma, by its lower Cholesky factor in the basis of Z that it is fitted in."""

    q: int
    any_basis = True

    @property
    def rank(self) -> int:
        """q."""
        return self.q

    @property
    def size(self) -> int:
        """q (q + 1) / 2."""
        return self.q * (self.q + 1) // 2

    @property
    def n_free(self) -> int:
        """All."""
        return self.size

    @cached_property
    def low(self) -> Array:
        """None: a singular Gamma is inside."""
        return np.full(self.size, -np.inf)

    @cached_property
    def _at(self) -> tuple[Array, Array]:
        return np.tril_indices(self.q)

    def loadings(self, phi: Array) -> Array:
        """L (q, q)."""
        L = np.zeros((self.q, self.q))
        L[self._at] = phi
        return L

    root = loadings

    def uniquenesses(self, phi: Array) -> Array:
        """0."""
        return _no_uniquenesses(self.q)

    def pull(self, phi: Array, S: Array) -> Array:
        """(size,)."""
        return np.asarray(loading.pull(self.loadings(phi), S)[self._at])

    def _flat(self) -> Array:
        return self._at[0] * self.q + self._at[1]

    def information(self, phi: Array, W: Array) -> Array:
        """(size, size); O(m q^4) and an array of q^4."""
        flat = self._flat()
        return loading.information(self.loadings(phi), W)[np.ix_(flat, flat)]

    def second(self, S: Array) -> Array:
        """(size, size)."""
        flat = self._flat()
        return np.kron(2.0 * S, np.eye(self.q))[np.ix_(flat, flat)]

    def rotations(self, phi: Array) -> Array:
        """None, (size, 0)."""
        return np.empty((self.size, 0))

    def contracted(self, w: Array) -> Array:
        """(q, q)."""
        whole, flat = np.zeros((self.q**2, self.q**2)), self._flat()
        whole[np.ix_(flat, flat)] = w
        return loading.contracted(whole, self.q, self.q)

    def directions(self, phi: Array) -> Array:
        """(size, q, q)."""
        return loading.directions(self.loadings(phi))[self._flat()]

    def nearest(self, gamma: Array) -> Array:
        """The Cholesky factor, of Gamma made positive semi-definite."""
        values, vectors = np.linalg.eigh(gamma)
        top = max(float(values[-1]), 1e-6)
        R: Array = np.linalg.qr(  # type: ignore[assignment]
            np.sqrt(np.maximum(values, 1e-8 * top))[:, None] * vectors.T, mode="r"
        )
        return np.asarray((R.T * np.sign(np.diagonal(R)))[self._at])
