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

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.beta.information import CoefficientCovariance

if TYPE_CHECKING:
    from sm_alsgls.core.errors.observed_problem import ObservedNormalEquations
    from sm_alsgls.covariance.observed import ObservedCovariance

Array = np.ndarray

# Largest P of which a dense H is made for a few columns, and bytes that one may take at all.
_SMALL, _MEMORY = 2_000, 2_500_000_000
_CHUNK_BYTES = 2**25
_CG_TOL = 1e-12


class ObservedCoefficientCovariance(CoefficientCovariance):
    """V = H^-1 of beta, equation by equation, formed only as far as asked.

    Parameters
    ----------
    normal : ObservedNormalEquations
        With the ridge, if any.
    """

    def __init__(self, normal: ObservedNormalEquations) -> None:
        self.design, self.cov, self.normal = normal.design, normal.cov.cov, normal
        self._observed, self._ridge, self._n_obs = normal.cov, normal._ridge, normal._n_obs
        self.progress = None
        self._stop = np.cumsum(self.design.p)

    @cached_property
    def route(self) -> str:
        """The route that `block` and `variances` take for all equations: dense, dual or cg."""
        P, m = float(self.design.P), float(self.design.n * self.cov.rank)
        costs = {
            "dense": (m + 2.0 / 3.0 * P) * P**2 if 16.0 * P**2 <= _MEMORY else np.inf,
            "dual": (2.0 * P + m / 3.0) * m**2 if 8.0 * m * (P + 2.0 * m) <= _MEMORY else np.inf,
            "cg": 60.0 * P * self.design.n * (P + self.design.K * self.cov.rank),
        }
        if self._ridge is not None:
            costs["dual"] = np.inf
        return min(costs, key=costs.__getitem__)

    @property
    def _closed_form(self) -> bool:
        return self._ridge is None and self.cov.rank == 0

    def _normal_matrix(self) -> Array:
        design, P = self.design, self.design.P
        d = self.cov.uniquenesses
        H = np.diag(design.expand(1.0 / d))
        r = self.cov.rank
        if r == 0:
            return H
        chunk = max(1, _CHUNK_BYTES // (8 * P * r))
        for start in range(0, design.n, chunk):
            V = self.half(slice(start, min(design.n, start + chunk)))
            H -= V.T @ V
        return H

    def half(self, rows: slice) -> Array:
        """The rows of V that belong to some rows n, factor by factor, (r n, P)."""
        root, G = self._observed.core_roots(rows)
        out = np.empty((len(root), root.shape[2], self.design.P))
        for equations, basis, at in self.design.tiles(64):
            # X_n g_j, (r, n, jb), times q_nj.
            Xg = np.einsum("abn,jb->anj", root, G[equations])
            q = basis[:, :, rows].transpose(2, 0, 1)
            out[:, :, at] = (Xg[..., None] * q).reshape(len(out), len(q), -1)
        return out.reshape(-1, self.design.P)

    @cached_property
    def _dual(self) -> _Dual:  # type: ignore[override]
        return _Dual(self)

    def _solve_gamma(self, B: Array) -> Array:
        if self._closed_form:
            return B * self.design.expand(self.cov.uniquenesses)[:, None]
        if "_dual" in self.__dict__:
            return self._dual.solve(B)
        if "_dense_root" in self.__dict__ or self.design.P <= _SMALL:
            return self._dense_root.T @ (self._dense_root @ B)
        out = np.empty_like(B)
        diagonal = self.normal.diagonal
        for i, b in enumerate(B.T):
            tol = _CG_TOL * float(b @ (b / diagonal)) ** 0.5
            out[:, i] = conjugate_gradients(
                self.normal.apply, b, diagonal, tol=tol, max_iter=10 * self.design.P
            ).x
        return out


class _Dual:
    """H^-1 = B^1/2 (I + U'U) B^1/2."""

    def __init__(self, information: ObservedCoefficientCovariance) -> None:
        self._design = information.design
        self._d = information.cov.uniquenesses
        self._root = np.sqrt(self._design.expand(self._d))
        Y = information.half(slice(0, self._design.n))
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


def information_matrix(blocks: Sequence[Array], observed: ObservedCovariance) -> Array:
    """H in beta, (P, P), of designs (N, p_j) whose missing rows hold anything finite.

    Block (j, l) is the sum over rows that have both cells of (Sigma_n^-1)_jl x_nj x_nl'.
    """
    mask = observed.patterns.mask
    d = observed.cov.uniquenesses
    seen = [X * m[:, None] for X, m in zip(blocks, mask.T, strict=True)]
    H = scipy.linalg.block_diag(*[X.T @ X / v for X, v in zip(seen, d, strict=True)])
    r = observed.cov.rank
    if r == 0:
        return H
    p = np.array([X.shape[1] for X in blocks])
    N, P = len(mask), int(p.sum())
    owner = np.repeat(np.arange(len(p)), p)
    chunk = max(1, _CHUNK_BYTES // (8 * P * r))
    for start in range(0, N, chunk):
        rows = slice(start, min(N, start + chunk))
        root, G = observed.core_roots(rows)
        x = np.concatenate([X[rows] for X in seen], axis=1)
        V = np.einsum("abn,pb->anp", root, G[owner]) * x
        V = V.reshape(-1, P)
        H -= V.T @ V
    return H
