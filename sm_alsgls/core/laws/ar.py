"""First-order autoregressive errors as a filter: Prais and Winsten's, with gaps.

For an equation with coefficient rho and a cell g periods after the one before it,

    (T e)_n = s_g (e_n - rho^g e_before),        s_g = ((1 - rho^2) / (1 - rho^2g))^(1/2),

which has the innovations' variance at any g: at g = 1 it is e_n - rho e_{n-1}, and the first row,
before which nothing was seen, has g = infinity and (1 - rho^2)^(1/2) e_1 (Prais and Winsten 1954,
Cowles Commission discussion paper 383). So log|det T| is the sum of log s_g.

With one rho for all equations this is the likelihood of a stationary e_n = rho e_{n-1} + u_n,
u_n ~ N(0, Sigma), rows missing or not. With a rho for each it is that of Parks (1967, Journal of
the American Statistical Association 62): the first row has variances Sigma_jj / (1 - rho_j^2) and
covariances Sigma_jl / ((1 - rho_j^2) (1 - rho_l^2))^(1/2), the stationary ones Sigma_jl /
(1 - rho_j rho_l) where the two rho are equal; rows after a period that all miss are likewise.

Where single cells are missing, an innovation over a gap is made of those of all rows since the cell
before, which ``spread`` tells the law of what is left (`Gaps.spread`): with a Sigma of factors,
exchangeable or unrestricted this is the likelihood of the observed cells. Other laws take it for an
innovation of its last row, which is exact where Sigma is diagonal. A unit that ends early leaves no
gap. One that starts late has its stationary variance in its first row, and there, as all have in
the first row of all, the covariance Sigma with the others' innovations: what they had before it
came is not of it.

By fixed (beta, Sigma) the information in rho is H = P o (A'A) / N, P = Sigma^-1, A the derivative
of T e, which is -e_before; of many equations it is solved with by conjugate gradients,
H v = the column sums of A o ((A diag v) P) / N.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.laws.gaps import Gaps, gaps_of
from sm_alsgls.covariance.base import RowCovariance, information
from sm_alsgls.covariance.spread import Spread
from sm_alsgls.exceptions import ShapeError

Array = np.ndarray

# Nearer to a unit root the first row has no weight that matters.
_MOST = 0.999
# Where a first guess ends.
_GUESS = 0.9
_CG_TOL = 1e-10
# Cells of regressors that are filtered together.
_CHUNK = 2**16


class AR:
    """T of e_n = rho e_{n-1} + u_n, rho common or of each equation; see `RowFilter`.

    Parameters
    ----------
    gaps : Gaps
    values : ndarray, shape (1,) or (K,)
        rho.
    names : tuple of str, optional

    Examples
    --------
    >>> import numpy as np
    >>> law = AR.of(3, np.array([0.6]))
    >>> law.rows(np.array([[1.0], [2.0], [3.0]])).ravel().round(3)
    array([0.8, 1.4, 1.8])
    >>> float(np.round(law.log_jacobian * 3, 4))  # of one equation: log(1 - rho^2) / 2
    -0.2231
    """

    def __init__(
        self, gaps: Gaps, values: Array, K: int = 1, names: tuple[str, ...] | None = None
    ) -> None:
        self.values = np.array(values, dtype=float)
        self.values.setflags(write=False)
        m = len(self.values)
        if m not in (1, K):
            raise ShapeError(f"one rho for all or one for each of {K} equations, got {m}")
        self._gaps, self.K = gaps, K
        self.names = names or (("rho",) if m == 1 else tuple(f"rho[{j}]" for j in range(m)))
        self.bounds = np.tile([-_MOST, _MOST], (m, 1))
        g = gaps.distance
        rho = self.values[None, :]
        self._a = np.power(rho, g)
        self._s = np.sqrt((1.0 - rho**2) / (1.0 - np.power(rho, 2.0 * g)))

    @classmethod
    def of(
        cls,
        n_rows: int,
        values: Array,
        K: int = 1,
        *,
        times: Array | None = None,
        mask: Array | None = None,
        names: tuple[str, ...] | None = None,
    ) -> AR:
        """Of rows at ``times``, default one period apart, of cells that were observed."""
        gaps = gaps_of(np.arange(n_rows) if times is None else times, mask)
        return cls(gaps, values, K, names)

    def __reduce__(self) -> tuple[Any, ...]:
        """Saved without its powers and weights of all cells, which are soon made again."""
        return type(self), (self._gaps, self.values, self.K, self.names)

    def __repr__(self) -> str:
        shown = ", ".join(f"{v:.4g}" for v in self.values[:4])
        return f"AR({shown}{', ..' if len(self.values) > 4 else ''})"

    def at(self, values: Array) -> AR:
        """At another rho."""
        return AR(self._gaps, values, self.K, self.names)

    def tied(self) -> AR:
        """With one rho for all equations, the mean."""
        return AR(self._gaps, self.values.mean(keepdims=True), self.K)

    def guess(self, E: Array) -> AR:
        """By lag-one products of the residuals, a common one over all equations."""
        E = self._seen(E)
        near = self._gaps.distance == 1.0
        before = np.where(near, self._before(E), 0.0)
        top, base = (before * E).sum(axis=0), (before * before).sum(axis=0)
        if len(self.values) == 1:
            # Equations by their own scale: the correlation is what they share.
            scale = np.where(base > 0.0, base, 1.0)
            top, base = np.sum(top / scale)[None], np.sum(base / scale)[None]
        rho = top / np.where(base > 0.0, base, np.inf)
        return self.at(np.clip(rho, -_GUESS, _GUESS))

    @cached_property
    def spread(self) -> Spread | None:
        """Cells behind gaps, as innovations of the rows since; None without gaps."""
        return self._gaps.spread(np.broadcast_to(self.values, self.K))

    def through_spread(self, slope: Array) -> Array:
        """(m,) of derivatives (K,) in each equation's rho."""
        return slope if len(self.values) == len(slope) else slope.sum(keepdims=True)

    # -- the filter ------------------------------------------------------------------------------

    @cached_property
    def log_jacobian(self) -> float:
        """The mean over rows of the sum of log s over cells."""
        return float(self._cells(np.log(self._s)).sum()) / len(self._s)

    def rows(self, M: Array) -> Array:
        """s (M - a M_before)."""
        M = self._seen(M)
        if self._gaps.regular:
            out = np.empty_like(M)
            np.multiply(self._a[1:], M[:-1], out=out[1:])
            np.subtract(M[1:], out[1:], out=out[1:])
            out[0] = self._s[0] * M[0]
            return out
        return self._seen(self._s * (M - self._a * self._before(M)))

    def inverse(self, M: Array) -> Array:
        """M / s + a (T^-1 M)_before, row after row."""
        return self._recursion(M, self._s, self._a)

    def variances(self, V: Array, then: Callable[[Array], Array] | None = None) -> Array:
        """The same of squares: V / s^2 + a^2 (variance before)."""
        if then is not None:
            raise ShapeError("rows that follow one another are no neighbours")
        return self._recursion(V, np.square(self._s), np.square(self._a))

    def covariances(self, C: Array) -> Array:
        """The same of pairs of equations: C_jl / (s_j s_l) + a_j a_l (covariance before)."""
        s, a = (M[:, :, None] * M[:, None, :] for M in (self._s, self._a))
        return self._recursion(C, s, a)

    def _recursion(self, M: Array, s: Array, a: Array) -> Array:
        out = np.array(self._seen(M / s))
        previous = self._gaps.previous
        for n in range(1, len(out)):
            at = previous[n]
            before = out[at[0]] if len(at) == 1 else out[at, np.arange(len(at))]
            out[n] += a[n] * before
            if self._gaps.mask is not None:
                out[n] = np.where(self._gaps.mask[n], out[n], 0.0)
        return out

    def back(self, M: Array) -> Array:
        """s M, less a s M in the cell before."""
        out = self._s * M
        taken = np.broadcast_to(self._a * out, M.shape)
        if self._gaps.regular:
            out[:-1] -= taken[1:]
            return out
        first = np.isinf(np.broadcast_to(self._gaps.distance, M.shape))
        n, j = np.nonzero(~first if self._gaps.mask is None else ~first & self._gaps.mask)
        # Every cell is before one other at most.
        out[np.broadcast_to(self._gaps.previous, M.shape)[n, j], j] -= taken[n, j]
        return out

    def blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """T_j X_j; one array for all that have one X_j and one T_j."""
        if len(self.values) == 1 and self._gaps.mask is None:
            known = {id(X): X for X in blocks}
            made = dict(zip(known, self._together(list(known.values())), strict=True))
            return [made[id(X)] for X in blocks]
        return self._together(blocks)

    def _together(self, blocks: Sequence[Array]) -> list[Array]:
        """T_j X_j of blocks, equations of one shape together while they are in the cache."""
        mask = self._gaps.mask
        if mask is not None:
            return [self._one(X, j, mask[:, j, None]) for j, X in enumerate(blocks)]
        out: list[Array] = []
        before, own = self._gaps.previous[:, 0], len(self.values) > 1
        for _, group in itertools.groupby(blocks, np.shape):
            alike = list(group)
            size = max(1, _CHUNK // max(1, alike[0].size))
            for start in range(0, len(alike), size):
                X = np.stack(alike[start : start + size])
                at = slice(len(out), len(out) + len(X)) if own else slice(0, 1)
                a, s = (M.T[at, :, None] for M in (self._a, self._s))
                out.extend(s * (X - a * X[:, before]))
        return out

    def _one(self, X: Array, j: int, seen: Array) -> Array:
        """T of the columns of equation j, of which cells are missing."""
        a, s = self._column(self._a, j), self._column(self._s, j)
        X = np.where(seen, X, 0.0)
        return np.where(seen, s * (X - a * X[self._gaps.previous[:, j]]), 0.0)

    @staticmethod
    def _column(M: Array, j: int) -> Array:
        return M[:, min(j, M.shape[1] - 1), None]

    # -- derivatives -----------------------------------------------------------------------------

    @cached_property
    def _derivatives(self) -> tuple[Array, Array]:
        """d log s / d rho, and s d a / d rho; (N, 1) or (N, K)."""
        g, rho = self._gaps.distance, self.values[None, :]
        finite = np.isfinite(g)
        g = np.where(finite, g, 1.0)
        da = np.where(finite, g * np.power(rho, g - 1.0), 0.0)
        power = np.power(rho, 2.0 * g - 1.0)
        seen = np.where(finite, g * power / (1.0 - rho * power), 0.0)
        # At g = 1 both terms are the same number.
        dlog = np.where(g * finite == 1.0, 0.0, seen - rho / (1.0 - rho**2))
        return dlog, self._s * da

    def gradient(self, E: Array, TE: Array, W: Array) -> Array:
        """The mean of W o (d T / d rho) E over rows, less d log_jacobian."""
        dlog, sda = self._derivatives
        total = W * (dlog * TE - sda * self._before(self._seen(E))) - self._cells(dlog)
        return self._summed(total) / len(E)

    def information(self, E: Array, cov: RowCovariance) -> Array:
        """P o (A'A) / N and the first row's, (m, m) numbers; O(N m^2)."""
        A, first = self._slopes(E)
        if len(self.values) == 1:
            return np.atleast_2d((np.vdot(A, cov.solve(A)) + first.sum()) / len(E))
        precision = cov.precision
        if precision is not None:
            return (precision * (A.T @ A) + np.diag(first)) / len(E)
        return (information(cov, np.split(A, self.K, axis=1)) + np.diag(first)) / len(E)

    def solve(self, E: Array, cov: RowCovariance, v: Array) -> Array:
        """By conjugate gradients, O(N K r) an iteration."""
        A, first = self._slopes(E)
        N = len(E)
        if len(self.values) == 1:
            return v * (N / (np.vdot(A, cov.solve(A)) + first.sum()))
        own = np.einsum("nk,nk->k", A, A) * cov.precision_diag() + first

        def apply(u: Array) -> Array:
            return (A * cov.solve(A * u)).sum(axis=0) + first * u

        size = float(np.sqrt(np.sum(v * v / own)))
        return conjugate_gradients(apply, N * v, own, tol=_CG_TOL * N * size, max_iter=200).x

    def _slopes(self, E: Array) -> tuple[Array, Array]:
        """A (N, K), and what the derivative of s adds to the information, (K,)."""
        dlog, sda = self._derivatives
        A = self._seen(sda * self._before(self._seen(E)))
        return A, 2.0 * self._cells(dlog * dlog).sum(axis=0)

    # -- cells -----------------------------------------------------------------------------------

    def _seen(self, M: Array) -> Array:
        return M if self._gaps.mask is None else np.where(self._gaps.mask, M, 0.0)

    def _cells(self, M: Array) -> Array:
        """(N, 1) or (N, K) as (N, K), zero in cells that are not there."""
        return self._seen(np.broadcast_to(M, (len(M), self.K)))

    def _before(self, M: Array) -> Array:
        """The cell before each; what the first ones hold is not looked at."""
        previous = self._gaps.previous
        if previous.shape[1] == 1:
            return M[previous[:, 0]]
        return np.take_along_axis(M, previous, axis=0)

    def _summed(self, M: Array) -> Array:
        """Over rows, and over equations where rho is common."""
        total = M.sum(axis=0)
        return total if len(self.values) == len(total) else total.sum(keepdims=True)
