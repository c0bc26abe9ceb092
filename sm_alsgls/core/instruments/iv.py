"""Three-stage least squares, the form that trusts every instrument in every equation.

With X (n K, P) block diagonal in the X_j, Q in the bases of their first stages,

    Q'(Sigma^-1 x I)(y - X b) = 0,      A gamma = Q'(Sigma^-1 x I) y,      A = Q'(Sigma^-1 x I) Xt,

A_jl = s^jl Q_j'Xt_l. Where all equations have the same instruments Q_j'Xt_l = Q_j'Q_l and A is the
normal matrix of GLS on first stages; else A is not symmetric, and Q'(Sigma^-1 x I)Q in its place,
which others use, estimates something else: E Q_j'(X_l - Xhat_l) b_l is zero for l = j only.

    Cov = A^-1 B A^-T,        B = Q'(Sigma^-1 x I) Q.

As Q_j'Xt_j = I the diagonal blocks of A are s^jj I. Small systems factorise A; others solve by
GMRES, scaled by that diagonal, in O(n K (p + r)) a step. All standard errors come from factors of
A and B (`sm_alsgls.core.instruments.dense`), or of low-rank Sigma from n r x n r systems
(`sm_alsgls.core.instruments.dual`), either beside what all equations contain.

Zellner and Theil (1962, Econometrica 30); Wooldridge (2010), chapter 8, "GIV".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, gmres

from sm_alsgls.core.instruments.base import (
    Solved,
    rows_of,
    selector,
    spread,
    through_factors,
    weighted_rows,
)
from sm_alsgls.core.instruments.beside import BesideFaces
from sm_alsgls.core.instruments.dense import MEMORY, dense_blocks, dense_flops
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.dual import DualIV
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import IterationError
from sm_alsgls.progress import counted

Array = np.ndarray

# The estimating equations left at a solution, in their standard errors; of columns, relative.
_SCORE, _COLUMN = 1e-11, 1e-12
# Krylov vectors that are kept, restarts, and steps that a solve is expected to take.
_RESTART, _RESTARTS, _STEPS = 80, 10, 40
# s^jj d_j below which Sigma^-1 as a difference loses more than two digits.
_CANCELS = 0.01


class IVForm:
    """The form of the module at a Sigma; see `Form`.

    Parameters
    ----------
    design : Instrumented
    cov : Covariance

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> rng = np.random.default_rng(0)
    >>> Z = [rng.standard_normal((40, 2)) for _ in range(3)]
    >>> X = [z @ np.ones((2, 1)) + rng.standard_normal((40, 1)) for z in Z]
    >>> cov = LowRankDiag.from_factors(np.ones((3, 1)), np.ones(3))
    >>> design = Instrumented(X, Z)
    >>> y = rng.standard_normal((40, 3))
    >>> gamma = IVForm(design, cov).solve(y).gamma
    >>> e = y - design.fitted(gamma)
    >>> bool(np.abs(design.project(cov.solve(e))).max() < 1e-10)
    True
    """

    def __init__(self, design: Instrumented, cov: Covariance) -> None:
        self.design, self.cov = design, cov
        self._root = 1.0 / np.sqrt(design.expand(cov.precision_diag()))

    def apply(self, g: Array) -> Array:
        """A g; D^-1 g less what the factors G carry, without an (n, K) array, where that can be."""
        design = self.design
        if self._factors is not None:
            unique, G = self._factors
            faces, bases = design.face_tiles(design.K), design.tiles(design.K)
            return unique * g - through_factors(g, G, faces, bases)
        return self.design.project(self.cov.solve(self.design.fitted(g)))

    @cached_property
    def _factors(self) -> tuple[Array, Array] | None:
        """1 / d for each coefficient (P,), and G (K, r), of Sigma^-1 = D^-1 - G G'.

        None where there are none, where d_j is so small that the difference cancels, and where
        all equations have one design, whose products are shorter.
        """
        low = self.cov.low_rank
        if low is None or not low.rank or self.design.shared:
            return None
        if (low.uniquenesses * self.cov.precision_diag()).min() < _CANCELS:
            return None
        return self.design.expand(1.0 / low.uniquenesses), low.precision_factor

    def transposed(self, g: Array) -> Array:
        """A' g."""
        return self.design.face_project(self.cov.solve(self.design.first_stage(g)))

    def _symmetric(self, g: Array) -> Array:
        """B g."""
        return self.design.project(self.cov.solve(self.design.first_stage(g)))

    # -- solving -------------------------------------------------------------------------------

    @cached_property
    def _is_small(self) -> bool:
        """Whether a factor of A costs less than a few dozen products with it."""
        n, K, P = self.design.n, self.design.K, self.design.P
        r = K if self.cov.low_rank is None else self.cov.low_rank.rank
        return (2.0 * n + 0.7 * P) * P**2 < _STEPS * (4.0 * n * (P + K * r) + 1e5)

    @cached_property
    def _factor(self) -> tuple[Array, Array]:
        """D^-1/2 A D^-1/2 factorised, which has no units: pivots of A would be chosen by them."""
        return scipy.linalg.lu_factor(self._matrix(), overwrite_a=True, check_finite=False)

    def _solved(self, B: Array, transposed: bool = False) -> Array:
        """A^-1 B or A^-T B by the factor, columns (P, m)."""
        root = self._root[:, None]
        made = scipy.linalg.lu_solve(
            self._factor,
            root * B,
            trans=1 if transposed else 0,
            overwrite_b=True,
            check_finite=False,
        )
        return np.asarray(root * made)

    def _matrix(self) -> Array:
        """D^-1/2 A D^-1/2, (P, P)."""
        return self._spread(rows_of(self.design) @ self.design.stacked_faces.T)

    def _spread(self, M: Array) -> Array:
        """M (P, P) times s^jl / (s^jj s^ll)^1/2 of its rows' and columns' equations, in place."""
        unit = 1.0 / np.sqrt(self.cov.precision_diag())
        precision = unit[:, None] * self.cov.solve(np.eye(self.design.K)) * unit
        return spread(M, precision, self.design, self.design)

    def solve(self, Y: Array) -> Solved:
        """By the residuals of 2SLS, from which only the change is solved for."""
        design = self.design
        gamma = design.project(Y)
        b = design.project(self.cov.solve(design.left(Y, gamma)))
        if self._is_small:
            step, count = self._solved(b[:, None])[:, 0], 0
        else:
            step, count = self._krylov(b, _SCORE * design.P**0.5, False)
        left = float(np.linalg.norm(self._root * (b - self.apply(step))))
        met = left <= 1e-8 * max(1.0, float(np.linalg.norm(self._root * b)))
        return Solved(gamma + step, count, left, met)

    def _krylov(self, b: Array, tol: float, transposed: bool) -> tuple[Array, int]:
        """A^-1 b, or A^-T b, by GMRES on D^-1/2 A D^-1/2, and the steps it took."""
        root, product, steps = self._root, self.transposed if transposed else self.apply, 0

        def count(_: object) -> None:
            nonlocal steps
            steps += 1

        P = self.design.P
        operator = LinearOperator((P, P), matvec=lambda v: root * product(root * v), dtype=float)
        x, _ = gmres(
            operator, root * b, rtol=0.0, atol=tol, restart=min(_RESTART, P), maxiter=_RESTARTS,
            callback=count, callback_type="pr_norm",
        )  # fmt: skip
        return root * x, steps

    # -- what the errors do ----------------------------------------------------------------------

    def scores(self, design: Instrumented, E: Array) -> Array:
        """Q_nj (E Sigma^-1)_nj, (N, P)."""
        return weighted_rows(design, self.cov.solve(E))

    def pull(self, B: Array) -> Array:
        """A^-T B.

        Raises
        ------
        IterationError
            GMRES did not end.
        """
        if self._is_small or "_factor" in self.__dict__ or (B.shape[1] > _STEPS and self._fits):
            return self._solved(B, transposed=True)
        out = np.empty_like(B)
        for i, b in enumerate(counted(B.T, "normal equations", unit="column")):
            size = float(np.linalg.norm(self._root * b))
            out[:, i] = self._krylov(b, _COLUMN * size, True)[0]
            left = float(np.linalg.norm(self._root * (b - self.transposed(out[:, i]))))
            if not left <= 1e-7 * size:
                raise IterationError(
                    f"the normal equations of 3SLS were solved to {left / size:.1e} only: its "
                    "matrix is nearly singular; look at first_stage, or use method='gmm'"
                )
        return out

    def carried(self, t: Array) -> Array:
        """(Q t) Sigma^-1."""
        return self.cov.solve(self.design.first_stage(t))

    @property
    def _fits(self) -> bool:
        return 24 * self.design.P**2 <= MEMORY

    def cross(self, B: Array, other: Array) -> Array:
        """B'A^-1 (Q'(Sigma^-1 x I)Q) A^-T other."""
        right = self.pull(other)
        left = right if other is B else self.pull(B)
        return left.T @ np.column_stack([self._symmetric(g) for g in right.T])

    def block(self, j: int) -> Array:
        """Of one equation: p_j solves."""
        B = selector(self.design, j)
        return self.cross(B, B)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """By factors of A and B, or by the dual systems of a low-rank Sigma."""
        low, parts = self.cov.low_rank, BesideFaces(self.design)
        dense, dual = dense_flops(parts), np.inf
        if low is not None and low.rank:
            dual = DualIV.flops(parts, low)
        if dense == dual == np.inf:
            for j in counted(range(self.design.K), "standard errors", unit="eq"):
                yield np.array([j]), self.block(j)[None]
            return
        if low is not None and dual < dense:
            made = DualIV(parts, low).blocks()
        else:
            made = dense_blocks(parts, self.cov)
        own = self.cov.diag()
        for equations, blocks in made:
            yield equations, parts.whole(equations, blocks, own[equations])

    def projection(self, L: Array) -> Array:
        """(L'A L)^-1 L'A: estimating equations L'Q'(Sigma^-1 x I)(y - Xt L g) = 0."""
        LA = np.column_stack([self.transposed(v) for v in L.T]).T
        return np.linalg.solve(LA @ L, LA)
