"""Covariance of the coefficients of a system with missing cells: H^-1, by three exact routes.

H = sum over rows of q_n Sigma_n^-1 q_n' is the information of beta, expected over y given which
cells are seen; beta's is uncorrelated with that of (F, d) there, as in the complete case. With
G = D^-1/2 A and C_n^-1 = X_n'X_n,

    H = B^-1 - V'V,     V (N r, P) of rows X_n [ g_j q_nj' ]_j,     B = diag(d_j),

    dense   H, its Cholesky factor and the inverse of that: N r P^2 + (2/3) P^3 flops
    dual    with Y = V B^1/2 and I - Y Y' = L L' (N r square, which does not grow with P),
            H^-1 = B^1/2 (I + U'U) B^1/2,  U = L^-1 Y:  2 (N r)^2 P + (N r)^3 / 3 flops
    cg      conjugate gradients for the columns that are asked for

and where errors are uncorrelated H is diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.beta.kernel import MEMORY
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.observed import ObservedCovariance
from sm_alsgls.progress import counted

Array = np.ndarray

_CHUNK_BYTES = 2**25


class SeenRows:
    """H of rows of which some cells are missing, as a `Kernel`.

    Parameters
    ----------
    design : PerEquation
        Bases, zero in missing cells.
    seen : ObservedCovariance
    n_obs : int
    ridge : Ridge, optional
    """

    # The dense H is made in one pass over the rows, as one product with it is.
    few = 0

    def __init__(
        self, design: PerEquation, seen: ObservedCovariance, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self.design, self.d, self._seen = design, seen.cov.uniquenesses, seen
        self._r = seen.cov.rank
        self.normal = design.normal(seen, n_obs, ridge)
        self.closed = self._r == 0

    def costs(self) -> dict[str, float]:
        """As the module says."""
        P, m = float(self.design.P), float(self.design.n * self._r)
        return {
            "dense": (m + 2.0 / 3.0 * P) * P**2 if 16.0 * P**2 <= MEMORY else np.inf,
            "dual": (2.0 * P + m / 3.0) * m**2 if 8.0 * m * (P + 2.0 * m) <= MEMORY else np.inf,
            "cg": 60.0 * P * self.design.n * (P + self.design.K * self._r),
        }

    def inverse_times(self, B: Array) -> Array:
        """D B."""
        return B * self.design.expand(self.d)[:, None]

    def inverse_block(self, j: int) -> Array:
        """d_j I."""
        return np.eye(int(self.design.p[j])) * self.d[j]

    def matrix(self) -> Array:
        """H, a sum over chunks of rows."""
        design, P = self.design, self.design.P
        H = np.diag(design.expand(1.0 / self.d))
        if self._r == 0:
            return H
        chunk = max(1, _CHUNK_BYTES // (8 * P * self._r))
        for start in range(0, design.n, chunk):
            V = self.half(slice(start, min(design.n, start + chunk)))
            H -= V.T @ V
        return H

    def half(self, rows: slice) -> Array:
        """The rows of V that belong to some rows n, factor by factor, (r n, P)."""
        root, G = self._seen.core_roots(rows)
        out = np.empty((len(root), root.shape[2], self.design.P))
        for equations, basis, at in self.design.tiles(64):
            # X_n g_j, (r, n, jb), times q_nj.
            Xg = np.einsum("abn,jb->anj", root, G[equations])
            q = basis[:, :, rows].transpose(2, 0, 1)
            out[:, :, at] = (Xg[..., None] * q).reshape(len(out), len(q), at.stop - at.start)
        return out.reshape(-1, self.design.P)

    def dual(self) -> SeenDual:
        """The dual form, which takes one factorisation and tells nothing on its way."""
        return SeenDual(self)

    def iterate(self, B: Array, tol: float, max_iter: int) -> Array:
        """Column by column."""
        out = np.empty_like(B)
        diagonal = self.normal.diagonal
        for i, b in enumerate(counted(B.T, "normal equations", unit="column")):
            size = tol * float(b @ (b / diagonal)) ** 0.5
            out[:, i] = conjugate_gradients(
                self.normal.apply, b, diagonal, tol=size, max_iter=max_iter
            ).x
        return out


class SeenDual:
    """H^-1 = B^1/2 (I + U'U) B^1/2."""

    def __init__(self, kernel: SeenRows) -> None:
        self._design, self._d = kernel.design, kernel.d
        self._root = np.sqrt(self._design.expand(self._d))
        Y = kernel.half(slice(0, self._design.n))
        Y *= self._root
        T = np.eye(len(Y)) - Y @ Y.T
        L = scipy.linalg.cholesky(T, lower=True, overwrite_a=True, check_finite=False)
        self._U: Array = scipy.linalg.solve_triangular(
            L, Y, lower=True, overwrite_b=True, check_finite=False
        )

    def block(self, j: int) -> Array:
        """(H^-1)_jj in gamma."""
        U = self._U[:, self._design.equation_slice(j)]
        return self._d[j] * (np.eye(U.shape[1]) + U.T @ U)

    def blocks(self) -> Iterator[tuple[list[int], list[Array]]]:
        """Equations and their blocks, one at a time."""
        for j in range(self._design.K):
            yield [j], [self.block(j)]

    def solve(self, B: Array) -> Array:
        """H^-1 B for columns B (P, m) in gamma."""
        scaled = B * self._root[:, None]
        return (scaled + self._U.T @ (self._U @ scaled)) * self._root[:, None]
