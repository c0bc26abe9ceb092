"""System GMM with the optimal weight: every instrument is exogenous to its own equation.

Moments are W'e, W_j = [Q_j O_j], with covariance W'(Sigma x I)W. As O'X = 0 (see the design), the
over-identifying moments c = O'y are free of coefficients, and the efficient estimator is two-stage
least squares less what c says of its moments:

    C = O'(Sigma x I)O,        gamma = Q'y - Q'(Sigma x I)O C^-1 c,
    Cov = Q'(Sigma x I)Q - Q'(Sigma x I)O C^-1 O'(Sigma x I)Q,        J = c'C^-1 c ~ chi2(Q - P),

one solve with the positive definite C, by conjugate gradients, where others invert the Q x Q
weight.
Exactly identified (no O) it is 2SLS, and that is how 2SLS is computed: ``GMMForm(..., over=False)``
leaves c aside, with Cov = Q'(Sigma x I)Q.

The heteroscedastic weight has W'(sum_n e_n e_n' x w_n w_n')W for the covariance of the moments
(White 1982; `RobustGMMForm`), of which the same formulas hold, and which is singular where there
are as many instruments as rows.

Hansen (1982, Econometrica 50); Wooldridge (2010), chapter 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.linalg

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.instruments.base import (
    Solved,
    rows_of,
    selector,
    spread,
    through_factors,
    weighted_rows,
)
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.dual import DualGMM
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.exceptions import InstrumentError, IterationError
from sm_alsgls.progress import counted

Array = np.ndarray

_TOL = 1e-13
# Over-identifying moments up to which C is factorised.
_SMALL = 1_000
_MEMORY = 2_500_000_000


class OverIdentified:
    """C = O'(Sigma x I)O, and solutions with it.

    Parameters
    ----------
    design : Instrumented
    cov : Covariance
    """

    def __init__(self, design: Instrumented, cov: Covariance) -> None:
        self.design, self.cov = design, cov
        self._diagonal = design.over.expand(cov.diag()) if design.over.P else np.empty(0)

    @cached_property
    def _factor(self) -> tuple[Array, bool]:
        over, rows = self.design.over, rows_of(self.design.over)
        C = spread(rows @ rows.T, self.cov.to_dense(), over, over)
        return scipy.linalg.cho_factor(C, lower=True, overwrite_a=True, check_finite=False)

    def apply(self, a: Array) -> Array:
        """C a; of a low-rank Sigma D a + O'((O a F) F'), which makes no (n, K) array."""
        over, low = self.design.over, self.cov.low_rank
        if low is None:
            return over.project(self.cov.times(over.fitted(a)))
        own = self._unique * a
        if not low.rank:
            return own
        return own + through_factors(a, low.loadings, over.tiles(over.K), over.tiles(over.K))

    @cached_property
    def _unique(self) -> Array:
        """d of a low-rank Sigma, for each moment, (M,)."""
        low = self.cov.low_rank
        if low is None:
            raise TypeError("an unrestricted Sigma has no uniquenesses")
        return self.design.over.expand(low.uniquenesses)

    def solve(self, B: Array) -> tuple[Array, int]:
        """C^-1 B for columns B (M, m), and conjugate gradients' steps.

        Raises
        ------
        IterationError
        """
        M = self.design.over.P
        many = B.shape[1] > 40 and 16 * M**2 <= _MEMORY
        if M <= _SMALL or many or "_factor" in self.__dict__:
            if not M:
                return B, 0
            return scipy.linalg.cho_solve(self._factor, B, check_finite=False), 0
        out, steps = np.empty_like(B), 0
        for i, b in enumerate(counted(B.T, "moment equations", unit="column")):
            size = float(np.sqrt(np.sum(b * b / self._diagonal)))
            found = conjugate_gradients(
                self.apply, b, self._diagonal, tol=_TOL * size, max_iter=10 * M
            )
            if not found.residual <= 1e-7 * size:
                raise IterationError(
                    "the covariance of the over-identifying moments is nearly singular "
                    f"(solved to {found.residual / max(size, 1e-300):.1e} only)"
                )
            out[:, i], steps = found.x, max(steps, found.iterations)
        return out, steps

    def half(self, B: Array) -> Array:
        """L^-1 B, C = L L', for columns B (M, m), which are overwritten."""
        return scipy.linalg.solve_triangular(
            self._factor[0], B, lower=True, overwrite_b=True, check_finite=False
        )

    def statistic(self, Y: Array) -> float:
        """J = c'C^-1 c of responses (or residuals) Y (n, K)."""
        c = self.design.over.project(Y)
        return float(c @ self.solve(c[:, None])[0][:, 0])


def _weights(design: Instrumented, t: Array) -> Array:
    """Q t_1 + O t_2, of t_1 alone where there is no more."""
    out = design.first_stage(t[: design.P])
    return out if len(t) == design.P else out + design.over.fitted(t[design.P :])


class GMMForm:
    """The form of the module at a Sigma; see `Form`.

    Parameters
    ----------
    design : Instrumented
    cov : Covariance
    over : bool
        False leaves over-identifying moments aside: 2SLS, with its covariance at this Sigma.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> rng = np.random.default_rng(0)
    >>> Z = [rng.standard_normal((40, 1)) for _ in range(2)]
    >>> X = [z + rng.standard_normal((40, 1)) for z in Z]
    >>> design = Instrumented(X, Z)
    >>> y = rng.standard_normal((40, 2))
    >>> cov = LowRankDiag.from_factors(np.ones((2, 1)), np.ones(2))
    >>> bool(np.allclose(GMMForm(design, cov).solve(y).gamma, design.project(y)))
    True
    """

    def __init__(self, design: Instrumented, cov: Covariance, over: bool = True) -> None:
        self.design, self.cov = design, cov
        self._efficient = over
        self._over = OverIdentified(design, cov) if over and design.over.P else None

    def solve(self, Y: Array) -> Solved:
        """2SLS, less what the over-identifying moments say of it."""
        gamma = self.design.project(Y)
        if self._over is None:
            return Solved(gamma, 0, 0.0, True)
        c = self.design.over.project(Y)
        a, steps = self._over.solve(c[:, None])
        taken = self.design.project(self.cov.times(self.design.over.fitted(a[:, 0])))
        left = c - self._over.apply(a[:, 0])
        size = np.sqrt(self.design.over.expand(self.cov.diag()))
        return Solved(gamma - taken, steps, float(np.linalg.norm(left / size)), True)

    def scores(self, design: Instrumented, E: Array) -> Array:
        """[Q_nj e_nj, O_nj e_nj], (N, P + M)."""
        first = weighted_rows(design, E)
        if self._over is None:
            return first
        return np.concatenate([first, weighted_rows(design.over, E)], axis=1)

    def pull(self, B: Array) -> Array:
        """[B; -C^-1 O'(Sigma x I)Q B]."""
        if self._over is None:
            return B
        return np.concatenate([B, -self._over.solve(self._against(B))[0]])

    def carried(self, t: Array) -> Array:
        """Q t_1 + O t_2."""
        return _weights(self.design, t)

    def _against(self, B: Array) -> Array:
        """O'(Sigma x I)Q B, (M, m)."""
        design = self.design
        return np.column_stack(
            [design.over.project(self.cov.times(design.first_stage(b))) for b in B.T]
        )

    def cross(self, B: Array, other: Array) -> Array:
        """B' Cov other."""
        design = self.design
        right = np.column_stack(
            [design.project(self.cov.times(design.first_stage(b))) for b in other.T]
        )
        out = B.T @ right
        if self._over is None:
            return out
        after = self._against(other)
        before = after if other is B else self._against(B)
        return np.asarray(out - before.T @ self._over.solve(after)[0])

    def block(self, j: int) -> Array:
        """Of one equation."""
        B = selector(self.design, j)
        return self.cross(B, B)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Through C, or through the dual system of a low-rank Sigma."""
        design, low, over = self.design, self.cov.low_rank, self._over
        if over is None:
            for equations, basis, _ in design.tiles(design.K):
                variances = self.cov.diag()[equations]
                yield equations, variances[:, None, None] * np.eye(basis.shape[1])
            return
        M, P = design.over.P, design.P
        dense = (design.n * (M + P) + M**2 / 3.0 + float(M) * P) * M
        if low is not None and low.rank and DualGMM.flops(design, low) < dense:
            yield from DualGMM(design, low).blocks()
            return
        if 8 * M * (M + P) > _MEMORY:
            for j in counted(range(design.K), "standard errors", unit="eq"):
                yield np.array([j]), self.block(j)[None]
            return
        # O'(Sigma x I)Q, whose columns are solved for all at once.
        against = rows_of(design.over) @ rows_of(design).T
        half = over.half(spread(against, self.cov.times(np.eye(design.K)), design.over, design))
        for equations, basis, at in design.tiles(design.K):
            m, p = basis.shape[:2]
            part = half[:, at].T.reshape(m, p, M)
            taken = np.matmul(part, part.transpose(0, 2, 1))
            yield equations, self.cov.diag()[equations][:, None, None] * np.eye(p) - taken

    def projection(self, L: Array) -> Array:
        """(L'V^-1 L)^-1 L'V^-1, V = Cov(gamma-hat): the least distance; of 2SLS L' alone."""
        if not self._efficient:
            return L.T
        V = self.cross(*(np.eye(self.design.P),) * 2)
        VL = np.linalg.solve(V, L).T
        return np.linalg.solve(VL @ L, VL)


class RobustGMMForm:
    """GMM with the heteroscedastic weight of some residuals; see `Form`.

    Parameters
    ----------
    design : Instrumented
        Of rows that are not compressed.
    E : ndarray, shape (N, K)
        Residuals of a first step.

    Raises
    ------
    InstrumentError
        As many moments as rows, so that the weight is singular.
    """

    def __init__(self, design: Instrumented, E: Array) -> None:
        self.design = design
        P, M, N = design.P, design.over.P, design.n
        if P + M >= N:
            raise InstrumentError(
                f"the heteroscedastic weight is a covariance of {P + M} moments from {N} rows, and "
                "singular; use weight='homoskedastic', or fewer instruments"
            )
        s = np.concatenate([weighted_rows(design, E), weighted_rows(design.over, E)], axis=1)
        S = s.T @ s
        self._QQ, self._OQ = S[:P, :P], S[P:, :P]
        self._factor = scipy.linalg.cho_factor(S[P:, P:], lower=True) if M else None

    def _over(self, B: Array) -> Array:
        """C^-1 B of over-identifying moments."""
        return B if self._factor is None else scipy.linalg.cho_solve(self._factor, B)

    def solve(self, Y: Array) -> Solved:
        """As `GMMForm.solve`."""
        gamma, c = self.design.project(Y), self.design.over.project(Y)
        return Solved(gamma - self._OQ.T @ self._over(c), 0, 0.0, True)

    def statistic(self, Y: Array) -> float:
        """J = c'C^-1 c."""
        c = self.design.over.project(Y)
        return float(c @ self._over(c))

    def scores(self, design: Instrumented, E: Array) -> Array:
        """[Q_nj e_nj, O_nj e_nj], (N, P + M)."""
        return np.concatenate([weighted_rows(design, E), weighted_rows(design.over, E)], axis=1)

    def pull(self, B: Array) -> Array:
        """[B; -C^-1 OQ B]."""
        return np.concatenate([B, -self._over(self._OQ @ B)])

    def carried(self, t: Array) -> Array:
        """Q t_1 + O t_2."""
        return _weights(self.design, t)

    def cross(self, B: Array, other: Array) -> Array:
        """B' Cov other."""
        V = self._QQ @ other - self._OQ.T @ self._over(self._OQ @ other)
        return np.asarray(B.T @ V)

    def block(self, j: int) -> Array:
        """Of one equation."""
        B = selector(self.design, j)
        return self.cross(B, B)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """All of them, one at a time."""
        for j in range(self.design.K):
            yield np.array([j]), self.block(j)[None]

    def projection(self, L: Array) -> Array:
        """(L'V^-1 L)^-1 L'V^-1."""
        VL = np.linalg.solve(self.cross(*(np.eye(self.design.P),) * 2), L).T
        return np.linalg.solve(VL @ L, VL)
