"""The beta-step: generalised least squares given Sigma, by preconditioned conjugate gradients.

In gamma_j = R_j beta_j the normal equations of GLS are H gamma = Q' vec(Y Sigma^-1) with

    H_jl = (Sigma^-1)_jl Q_j' Q_l,        H_jj = (Sigma^-1)_jj I,

so the diagonal of H is its block diagonal and Jacobi preconditioning is exact block-Jacobi. The
covariance is asked for ``solve`` and ``precision_diag`` only, the design for ``fitted`` and
``project``: no K x K and no P x P array exists. A system that leaves the cache is walked through
in tiles of equations, twice: fitted values are read by the covariance, then what the factors take
off them is projected back. With Q_j'Q_j = I,

    (H b)_j = scale_j b_j - Q_j' taken_j,        Sigma^-1 = diag(scale) - (taken),

so that no (n, K) array exists either; 1.5 times faster at K = 1,000 and 10,000. A system of few
coefficients is the other end: every product costs its call, so H is formed once per Sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from sm_alsgls.core.design.per_equation import Design, Ridge

Array = np.ndarray


class Covariance(Protocol):
    """What the beta-step may ask of an error covariance."""

    def solve(self, M: Array) -> Array:
        """M Sigma^-1 for rows M (n, K)."""
        ...

    def precision_diag(self) -> Array:
        """Diagonal of Sigma^-1, (K,)."""
        ...

    def logdet(self) -> float:
        """log |Sigma|."""
        ...


# Elements of an (n, K) array from which tiles are faster than whole arrays, and bytes of a tile.
_LARGE, _TILE_BYTES = 200_000, 2**21
# Coefficients up to which H is formed: at 120 that costs two products with the bases.
SMALL = 120


class NormalEquations:
    """H = Q' (Sigma^-1 x I) Q + N A as an operator, with its diagonal.

    ``ridge`` (A) is per observation, in the units that `Design.ridge` makes. A covariance that
    has no ``piecewise`` is asked for ``solve`` at every size.
    """

    def __init__(
        self, design: Design, cov: Covariance, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        self.design, self.cov, self._n_obs, self._ridge = design, cov, n_obs, ridge
        large = design.n * design.K > _LARGE
        self._piecewise = getattr(cov, "piecewise", None) if large else None
        small = design.P <= SMALL and not large
        self._precision: Array | None = getattr(cov, "_precision", None) if small else None
        own = cov.precision_diag() if self._precision is None else self._precision.diagonal()
        self.diagonal = design.expand(own)
        if ridge is not None:
            self.diagonal = self.diagonal + n_obs * ridge.diagonal()

    def apply(self, g: Array) -> Array:
        """H g for flat ``g`` (P,)."""
        if self._piecewise is not None:
            return self.apply_many(g[:, None])[:, 0]
        if self._precision is not None:
            out = self.design.inside(self._matrix @ self.design.inside(g))
        else:
            out = self.design.project(self.cov.solve(self.design.fitted(g)))
        if self._ridge is not None:
            out += self.penalty(g)
        return out

    @cached_property
    def _matrix(self) -> Array:
        """H without the ridge, (P, P)."""
        return self.design.stacked.spread(self.cov._precision)  # type: ignore[attr-defined]

    def apply_many(self, B: Array) -> Array:
        """H B for columns B (P, m), m small, of a covariance with ``piecewise``."""
        m, n = B.shape[1], self.design.n
        B = self.design.inside(B)
        solver = self.cov.piecewise(n * m)  # type: ignore[attr-defined]
        size = max(1, _TILE_BYTES // (8 * n * m))
        tile = np.empty((min(size, self.design.K), n * m))
        for equations, basis, at in self.design.tiles(size):
            b = B[at].reshape(len(equations), -1, m)
            fitted = tile[: len(equations)]
            np.matmul(basis.transpose(0, 2, 1), b, out=fitted.reshape(-1, n, m))
            solver.read(equations, fitted)
        out = np.empty_like(B)
        for equations, basis, at in self.design.tiles(size):
            taken = solver.taken(equations, tile[: len(equations)]).reshape(-1, n, m)
            product = solver.scale(equations)[:, None, None] * B[at].reshape(len(taken), -1, m)
            product -= np.matmul(basis, taken)
            out[at] = product.reshape(-1, m)
        out = self.design.inside(out)
        if self._ridge is not None:
            for i in range(m):
                out[:, i] += self.penalty(B[:, i])
        return out

    def score(self, E: Array, g: Array) -> Array:
        """Score of the (penalised) log-likelihood in gamma at residuals ``E`` (n, K)."""
        out = self.projected_solve(E)
        if self._ridge is not None:
            out -= self.penalty(g)
        return out

    def projected_solve(self, E: Array) -> Array:
        """Q_j' (E Sigma^-1)_j, flat (P,), for E (n, K)."""
        if self._precision is not None:
            return self.design.project(E @ self._precision)
        if self._piecewise is None:
            return self.design.project(self.cov.solve(E))
        out = np.empty(self.design.P)
        for _, basis, at, Wt in self.solved(E):
            out[at] = np.matmul(basis, Wt[:, :, None]).reshape(-1)
        return self.design.inside(out)

    def solved(self, E: Array) -> Iterator[tuple[Array, Array, slice, Array]]:
        """W = E Sigma^-1 in tiles: equations, their bases, place in gamma, and W' (jb, n).

        A tile is overwritten by the next.
        """
        n, K, Et = self.design.n, self.design.K, E.T
        if self._piecewise is None:
            Wt = self.cov.solve(E).T
            for equations, basis, at in self.design.tiles(K):
                yield equations, basis, at, Wt[equations]
            return
        solver = self._piecewise(n)
        solver.read(np.arange(K), Et)
        size = max(1, _TILE_BYTES // (16 * n))
        tile, own = np.empty((2, min(size, K), n))
        for equations, basis, at in self.design.tiles(size):
            solved = np.multiply(
                Et[equations], solver.scale(equations)[:, None], out=own[: len(equations)]
            )
            solved -= solver.taken(equations, tile[: len(equations)])
            yield equations, basis, at, solved

    @property
    def ridged(self) -> bool:
        """Whether a ridge is part of H."""
        return self._ridge is not None

    def penalty(self, g: Array) -> Array:
        """N A g, the ridge's part of `apply`."""
        return np.zeros_like(g) if self._ridge is None else self._n_obs * self._ridge.apply(g)

    def score_size(self, score: Array) -> float:
        """Largest norm of an equation's score, in units of its standard error, sqrt(H_ii).

        Not less than the largest element, and the same whatever the order of its columns.
        """
        return self.design.largest_norm(score / np.sqrt(self.diagonal))


class CGSolution(NamedTuple):
    """A solution of H x = b: its steps and the norm of the preconditioned residual."""

    x: Array
    iterations: int
    residual: float
    converged: bool


def conjugate_gradients(
    apply: Callable[[Array], Array], b: Array, diagonal: Array, *, tol: float, max_iter: int
) -> CGSolution:
    """Solve H x = b from x = 0 with Jacobi preconditioning.

    Stops when sqrt(r' diag(H)^-1 r) <= ``tol``. Every iterate lowers the quadratic
    x'Hx/2 - b'x, so a solve that is cut short is still a step of descent.

    Hestenes and Stiefel (1952); Golub and Van Loan (2013), algorithm 11.5.1.
    """
    x = np.zeros_like(b)
    r = b
    z = r / diagonal
    rho = float(r @ z)
    direction = z
    for iteration in range(max_iter):
        if rho <= tol * tol:
            return CGSolution(x, iteration, rho**0.5, True)
        H_direction = apply(direction)
        curvature = float(direction @ H_direction)
        if not curvature > 0.0:
            # Only rounding does this: H is positive definite.
            return CGSolution(x, iteration, rho**0.5, False)
        alpha = rho / curvature
        x += alpha * direction
        r = r - alpha * H_direction
        z = r / diagonal
        previous, rho = rho, float(r @ z)
        direction = z + (rho / previous) * direction
    return CGSolution(x, max_iter, rho**0.5, rho <= tol * tol)


@dataclass(frozen=True)
class GLSSolution:
    """Coefficients of one beta-step: flat ``gamma`` (P,), residuals ``E`` (n, K), CG's report."""

    gamma: Array
    E: Array
    cg: CGSolution


def gls(
    design: Design,
    Y: Array,
    cov: Covariance,
    *,
    gamma: Array | None = None,
    n_obs: int | None = None,
    ridge: Ridge | None = None,
    cg_tol: float = 1e-10,
    cg_maxit: int = 1000,
) -> GLSSolution:
    """Generalised least squares of the system given its error covariance.

    Parameters
    ----------
    design : Design
        K blocks with n rows.
    Y : ndarray, shape (n, K)
    cov : LowRankDiag or any Covariance
    gamma : ndarray, shape (P,), optional
        Coefficients to start from; default OLS. The correction is what CG solves for.
    n_obs : int, optional
        Observations behind the rows, for the ridge. Default n.
    ridge : Ridge, optional
    cg_tol : float
        The score left at the solution, relative to sqrt(P) of its standard errors.
    cg_maxit : int

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.design.per_equation import Design
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> rng = np.random.default_rng(1)
    >>> X = [rng.standard_normal((30, 2)) for _ in range(4)]
    >>> Y = rng.standard_normal((30, 4))
    >>> cov = LowRankDiag.from_factors(rng.standard_normal((4, 1)), np.ones(4))
    >>> design = Design(X)
    >>> beta = np.concatenate(design.to_beta(gls(design, Y, cov).gamma))
    >>> Omega_inv = np.kron(np.linalg.inv(cov.to_dense()), np.eye(30))
    >>> from scipy.linalg import block_diag
    >>> Z = block_diag(*X)
    >>> dense = np.linalg.solve(Z.T @ Omega_inv @ Z, Z.T @ Omega_inv @ Y.T.ravel())
    >>> bool(np.allclose(beta, dense, atol=1e-9))
    True
    """
    start = design.project(Y) if gamma is None else gamma
    normal = NormalEquations(design, cov, n_obs or design.n, ridge)
    E = Y - design.fitted(start)
    cg = conjugate_gradients(
        normal.apply,
        normal.score(E, start),
        normal.diagonal,
        tol=cg_tol * design.P**0.5,
        max_iter=cg_maxit,
    )
    return GLSSolution(start + cg.x, E - design.fitted(cg.x), cg)
