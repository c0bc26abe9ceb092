"""Leading eigenpairs of the standardised residual covariance, exact or by warm block iteration."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np
from scipy.linalg.lapack import dsyevd

from sm_alsgls.core.sigma.block_spectrum import BlockSpectrum
from sm_alsgls.core.sigma.eigenpairs import leading
from sm_alsgls.core.sigma.followed import followed, orthonormal
from sm_alsgls.core.sigma.heavy import pairs_apart

Array = np.ndarray

# Where the smaller side of E is at most this, a dense symmetric eigenproblem is cheaper than
# iterating: 0.5 ms at 100 on one core of 2026, against 0.1 ms of call overhead a block step.
DENSE_LIMIT = 150
# From here eigenvectors of the last matrix are worth using: fits of K equations take 12 % less at
# 120, 8 % at 100, and 3 to 4 % more at 80 and 60.
FOLLOWED_FROM = 90
# Up to here a Newton step costs what a quasi-Newton step does, 0.1 ms, and takes fewer.
NEWTON_LIMIT = 30


class Spectrum(Protocol):
    """Where the r leading eigenpairs of D^-1/2 S D^-1/2 come from, at one d after another.

    Attributes
    ----------
    block : ndarray or None
        A basis to start the next from, (K, few).
    seen : ndarray or None, shape (r, n)
        V'D^-1/2 E' of the pairs that came last, summed over all equations, where it is known.
    """

    block: Array | None
    seen: Array | None

    def pairs(self, d: Array, tol: float, heavy: Array | None = None) -> tuple[Array, Array, float]:
        """Eigenvalues (r,), descending, eigenvectors (K, r), and the gradient of F they leave.

        ``heavy`` (K,) marks equations of which d_j is next to nothing, where that matters.
        """
        ...

    def hessian(self, d: Array) -> Array | None:
        """Second derivative of the profile likelihood in log d, where it is cheap."""
        ...

    def explained(self, G: Array, d: Array) -> float | None:
        """tr(G'S G) for G (K, r), where it is cheap before the first `pairs`, which are at d."""
        ...


class DenseSpectrum:
    """Exact eigenpairs of D^-1/2 S D^-1/2, S = E'E/N, from the smaller of E'E and E D^-1 E'.

    No K x K array is formed when K exceeds the rows of E.

    Parameters
    ----------
    E : ndarray, shape (n, K)
    n_obs, rank : int
    start : ndarray, shape (K, r), optional
        A basis near D^-1/2 times the eigenvectors, such as D^-1 F of a Sigma nearby.
    """

    #: Nothing is iterated, so there is no basis to start the next from.
    block: Array | None = None
    seen: Array | None = None

    def __init__(self, E: Array, n_obs: int, rank: int, start: Array | None = None) -> None:
        self._rank = rank
        self._E = E / np.sqrt(n_obs)
        self._S = self._E.T @ self._E if E.shape[1] <= E.shape[0] else None
        self._kept: tuple[Array, Array, Array] | None = None
        self._last: Array | None = None
        fits = start is not None and start.shape == (E.shape[1], rank)
        self._start = start if fits and self._S is not None else None

    def pairs(
        self, d: Array, tol: float = 0.0, heavy: Array | None = None
    ) -> tuple[Array, Array, float]:
        """Eigenvalues (r,), descending, eigenvectors (K, r), and the residual measure (0)."""
        u = 1.0 / np.sqrt(d)
        r = self._rank
        if self._S is not None:
            if len(d) > NEWTON_LIMIT:
                if self._start is not None and len(d) >= FOLLOWED_FROM:
                    self._last, self._start = orthonormal(self._start / u[:, None]), None
                return *self._found(self._S * u * u[:, None]), 0.0
            values, V = self._all(d)
            return values[:r], V[:, :r], 0.0
        Z = self._E * u
        found = None if heavy is None else pairs_apart(Z, heavy, r)
        if found is not None:
            return *found, 0.0
        values, left = self._found(Z @ Z.T)
        return values, (Z.T @ left) / np.sqrt(np.maximum(values, 1e-300)), 0.0

    def _found(self, A: Array) -> tuple[Array, Array]:
        """Those of A, from the vectors of the last where that is cheaper and can be."""
        flat = A.ravel()
        square = float(flat @ flat) if len(A) >= FOLLOWED_FROM else np.inf
        found = None if self._last is None else followed(A, self._last)
        if found is None:
            found = leading(A, self._rank)
        values, self._last = found
        if not square - float(values @ values) < float(values[-1]) ** 2:
            self._last = None
        return found

    def hessian(self, d: Array) -> Array | None:
        """Second derivative of the profile likelihood f in log d, (K, K).

        None where it is dear, or where an eigenvalue that is kept equals one that is not.

        With A = D^-1/2 S D^-1/2 and all its eigenpairs, i <= r those above 1 (Clarke 1970, British
        J. Math. Stat. Psychol. 23, in other coordinates),

            H = ( diag(A_jj) - sum_il w_il (v_i o v_l) (v_i o v_l)' ) / 2
            w_ii = theta_i,     w_il = theta_i + theta_l  (i < l <= r),
            w_il = (theta_i - 1) (theta_i + theta_l) / (theta_i - theta_l)  (i <= r < l).
        """
        if self._S is None or len(d) > NEWTON_LIMIT:
            return None
        theta, V = self._all(d)
        K = len(d)
        r = int(np.count_nonzero(theta[: self._rank] > 1.0))
        top = theta[:r, None]
        # A tie makes H huge and indefinite, which is seen when it is factorised.
        total = top + theta
        w = top - theta
        np.maximum(w, 1e-30, out=w)
        np.divide(total, w, out=w)
        w *= top - 1.0
        w[:, :r] = total[:, :r] * _each_pair_once(r)
        w *= -0.5
        B = (V[:, :r, None] * V[:, None, :]).reshape(K, r * K)
        H = (B * w.ravel()) @ B.T
        H.ravel()[:: K + 1] += 0.5 * self._S.diagonal() / d
        return H

    def explained(self, G: Array, d: Array) -> float:
        """tr(G'S G)."""
        if self._S is not None:
            return float(np.vdot(self._S @ G, G))
        Z = self._E @ G
        return float(np.vdot(Z, Z))

    def _all(self, d: Array) -> tuple[Array, Array]:
        """Every eigenpair, descending; the last are kept."""
        if self._kept is None or self._kept[0] is not d:
            u = 1.0 / np.sqrt(d)
            A = self._S * u
            A *= u[:, None]
            values, V, info = dsyevd(A.T, overwrite_a=1)
            if info != 0:
                raise np.linalg.LinAlgError(f"eigenvalues of a {len(d)} x {len(d)} matrix: {info}")
            self._kept = d, values[::-1], V[:, ::-1]
        return self._kept[1:]


@cache
def _each_pair_once(r: int) -> Array:
    """Weights of i, l <= r: 1 above the diagonal, a half on it."""
    return np.asarray(np.triu(np.ones((r, r))) - 0.5 * np.eye(r))


def spectrum(
    E: Array, n_obs: int, rank: int, start: Array | None = None
) -> DenseSpectrum | BlockSpectrum:
    """The cheaper exact or iterative source of eigenpairs for residuals of this shape."""
    if min(E.shape) <= max(DENSE_LIMIT, 2 * rank + 2):
        return DenseSpectrum(E, n_obs, rank, start)
    return BlockSpectrum(E, n_obs, rank, start)
