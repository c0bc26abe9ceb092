"""H X = B for many right-hand sides at once: tiled products and a two-level preconditioner.

Jacobi leaves few small eigenvalues of H, and they have a cause: a direction s of the rows that
many designs share (the constant, a market factor). There sum_j (f_j f_j' / d_j) x Q_j Q_j' is as
large as the factors make it, elsewhere the bases point everywhere and average out. With S (n, q)
an orthonormal basis of the shared directions and G of Sigma^-1 = D^-1 - G G', the coarse space

    W = [ d_j g_ja Q_j' s_i ],      (P, r q)

holds those eigenvectors, and the preconditioner

    M^-1 = diag(H)^-1 + W (W' H W)^-1 W'

moves them next to the others' 1 or to 2. Additive coarse corrections: Dryja and Widlund (1987);
Smith, Bjorstad and Gropp (1996), chapter 2. S comes from `core.design.shared_directions`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.design.base import Normal, PerEquation
from sm_alsgls.core.design.shared_directions import shared_directions, tile_size
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.covariance.base import LowRank
from sm_alsgls.exceptions import IterationError

Array = np.ndarray

# Right-hand sides that are solved for together.
_COLUMNS = 32


class ManyRightHandSides:
    """Solves H X = B, columns by the dozen, with no array larger than B and a tile.

    Parameters
    ----------
    normal : Normal
    design : PerEquation
    factors : LowRank, optional
        Of Sigma; without them the preconditioner is Jacobi's.
    """

    def __init__(self, normal: Normal, design: PerEquation, factors: LowRank | None) -> None:
        self._normal, self._design, self._factors = normal, design, factors
        self.iterations = 0

    @cached_property
    def shared(self) -> Array:
        """S (n, q): orthonormal directions of the rows that many designs contain."""
        weights = np.zeros(self._design.K)
        if self._factors is not None:
            G = self._factors.precision_factor
            weights = np.einsum("kr,kr->k", G, G) * self._factors.uniquenesses
        if not weights.any():  # no factors: nothing ties the equations
            return np.empty((self._design.n, 0))
        return shared_directions(self._design, weights)[0]

    @cached_property
    def _coarse(self) -> tuple[Array, tuple[Array, bool]] | None:
        """W (P, r q), and the Cholesky factor of W' H W; None where nothing is shared."""
        S = self.shared
        if self._factors is None or not S.shape[1]:
            return None
        G, d = self._factors.precision_factor, self._factors.uniquenesses
        W = np.empty((self._design.P, G.shape[1] * S.shape[1]))
        for equations, basis, at in self._design.tiles(tile_size(self._design.n, S.shape[1])):
            inside = np.matmul(basis, S) * d[equations][:, None, None]
            W[at] = (inside[:, :, None, :] * G[equations][:, None, :, None]).reshape(-1, W.shape[1])
        # Equations without part in the factors, or directions of few, leave W dependent.
        U, size, _ = np.linalg.svd(W * np.sqrt(self._normal.diagonal)[:, None], full_matrices=False)
        W = U[:, size > 1e-6 * size[0]] / np.sqrt(self._normal.diagonal)[:, None]
        image = np.concatenate(
            [
                self._normal.apply_many(W[:, i : i + _COLUMNS])
                for i in range(0, W.shape[1], _COLUMNS)
            ],
            axis=1,
        )
        return W, scipy.linalg.cho_factor(W.T @ image, lower=True, check_finite=False)

    def _precondition(self, R: Array) -> Array:
        out: Array = R / self._normal.diagonal[:, None]
        if self._coarse is not None:
            W, factor = self._coarse
            out += W @ scipy.linalg.cho_solve(factor, W.T @ R, check_finite=False)
        return out

    @on_one_thread
    def solve(self, B: Array, tol: float, max_iter: int) -> Array:
        """H^-1 B for columns B (P, m), residuals to ``tol`` of B's in the norm of M^-1.

        Raises
        ------
        IterationError
            When a column needs more than ``max_iter`` iterations.
        """
        out = np.empty_like(B)
        for start in range(0, B.shape[1], _COLUMNS):
            at = slice(start, start + _COLUMNS)
            out[:, at] = self._solve(np.ascontiguousarray(B[:, at]), tol, max_iter)
        return out

    def _solve(self, B: Array, tol: float, max_iter: int) -> Array:
        X, R = np.zeros_like(B), B.copy()
        Z = self._precondition(R)
        rho = np.einsum("pm,pm->m", R, Z)
        enough = tol * tol * rho
        direction = Z
        for _ in range(max_iter):
            if np.all(rho <= enough):
                return X
            image = self._normal.apply_many(direction)
            self.iterations += 1
            curvature = np.einsum("pm,pm->m", direction, image)
            # A column that has converged, or is zero, stays where it is.
            alpha = np.divide(rho, curvature, out=np.zeros_like(rho), where=rho > enough)
            X += alpha * direction
            R -= alpha * image
            Z = self._precondition(R)
            before, rho = rho, np.einsum("pm,pm->m", R, Z)
            share = np.divide(rho, before, out=np.zeros_like(rho), where=before > 0.0)
            direction = Z + share * direction
        raise IterationError(
            f"conjugate gradients for the coefficients' covariance did not reach {tol:g} in "
            f"{max_iter} iterations; the system is near singular: look for equations with "
            "communality 1 (Heywood cases) and nearly dependent regressors"
        )
