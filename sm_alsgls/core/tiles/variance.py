"""Model-based covariances of the coefficients of a system in tiles: (H^-1)_jj of every equation.

gamma_j are coordinates in which the design is orthonormal, those of the common directions C first
and B_j beside them (`sm_alsgls.core.tiles.beside`), and beta_j = M_j gamma_j. Then

    V_jj = M_j A_j diag(sigma_jj I, (H^-1)_jj) A_j' M_j',

with (H^-1)_jj from the dual system (`sm_alsgls.core.tiles.dual`) and A_j = I, or, where Sigma's
estimation counts, the stretch of `sm_alsgls.core.beta.estimated_sigma`,

    A_j = I + omega_j / (2 N) (I - Q_j'phi(S) Q_j),

whose S = sum_j w_j Q_j Q_j' is at hand: its weights |h_j|^2 make it the trace of I - T. phi(1) = 1,
so A_j = I in the common directions. For standard errors of small samples (the default of `fit`)
F and d are those of `sm_alsgls.core.errors.loading_prior`, times the roots of N / (N - p_j - r).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.tiles.beside import Chunk, chunks
from sm_alsgls.core.tiles.dual import Quadratic, TileDual
from sm_alsgls.core.tiles.factors import Factors
from sm_alsgls.core.tiles.lanes import in_lanes
from sm_alsgls.core.tiles.passes import THREADS
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray


class TileVariance:
    """Blocks V_jj of the coefficients' covariance, of a shard's equations.

    Parameters
    ----------
    source : TileSource
    F : ndarray, shape (K, r)
        Loadings of the shard's equations.
    d : ndarray, shape (K,)
        Uniquenesses.
    across : Across
        Default: there is one shard.
    estimated : bool
        Whether Sigma is an estimate from the rows of the source, and standard errors say so.
    threads : int
        Tiles that are worked on at once.

    Attributes
    ----------
    factors : Factors
    dual : TileDual or None
        None without factors.

    Notes
    -----
    One pass over the regressors when it is made, and another for what is asked: 1.6 n^2 P r (r + 1)
    flops, P without common directions. At K=1,000,000, n=500, p=3, r=5 that is 2.4e13, or 3.6e13
    without a constant. Memory: r (r + 1) / 2 n^2 numbers a lane, 3 (n r)^2, tiles, the results.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.linalg import block_diag
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> rng = np.random.default_rng(0)
    >>> X, F, d = rng.standard_normal((5, 30, 2)), rng.standard_normal((5, 1)), np.ones(5)
    >>> source = ArraySource(X, np.zeros((30, 5)), size=2)
    >>> Z, precision = block_diag(*X), np.linalg.inv(F @ F.T + np.diag(d))
    >>> V = np.linalg.inv(Z.T @ np.kron(precision, np.eye(30)) @ Z)
    >>> bool(np.allclose(TileVariance(source, F, d).variances(), np.diagonal(V)))
    True
    """

    def __init__(
        self,
        source: TileSource,
        F: Array,
        d: Array,
        across: Across = ALONE,
        *,
        estimated: bool = False,
        threads: int = THREADS,
    ) -> None:
        self.source, self.factors = source, Factors(F, d, across)
        # Uncorrelated equations have nothing to do with each other.
        self.dual = TileDual(source, self.factors, across, threads) if self.factors.r else None
        self._estimated, self._threads = estimated, threads

    def variances(self) -> Array:
        """Diagonals of the V_jj, equation by equation, (P,)."""
        out = np.empty(int(self.source.p.sum()))
        stop = np.cumsum(self.source.p)

        def put(equations: slice, blocks: Array) -> None:
            p = blocks.shape[1]
            first = stop[equations.start] - p
            out[first : first + len(blocks) * p] = np.diagonal(blocks, axis1=1, axis2=2).ravel()

        self._each(put)
        return out

    def blocks(self) -> list[Array]:
        """The V_jj of each tile, (m, p, p)."""
        bounds = self.source.bounds
        out = [np.empty((at.stop - at.start, *(self.source.p[at.start],) * 2)) for at in bounds]
        starts = np.array([at.start for at in bounds])

        def put(equations: slice, blocks: Array) -> None:
            t = int(np.searchsorted(starts, equations.start, side="right")) - 1
            first = equations.start - starts[t]
            out[t][first : first + len(blocks)] = blocks

        self._each(put)
        return out

    def stretches(self) -> Array:
        """By what A_j makes standard errors longer where Q_j'Q_j = I is their only part, (P,).

        The roots of |M_j A_j|^2 / |M_j|^2, rows: what robust standard errors with multipliers of
        the leverage are multiplied with (beside (N - p_j)^1/2 / (N - p_j - r)^1/2). A pass.
        """
        out = np.ones(int(self.source.p.sum()))
        if self.dual is None or not (self._estimated and len(self.factors.left)):
            return out
        form, omega = Quadratic([self._phi(self.dual)], 0), self.factors.inflation(self.source.n)
        common, stop = self.dual.common, np.cumsum(self.source.p)

        def work(state: None, t: int, tile: Tile) -> None:
            for chunk in chunks(self.source, t, tile.Xt, common):
                k, p, _ = chunk.to_beta.shape
                m = p - chunk.rest.shape[1]
                before = np.square(chunk.to_beta).sum(axis=2)
                apart = form.of(chunk.rest, self.factors.H[chunk.equations])[1]
                made = np.array(chunk.to_beta)
                if apart is not None:
                    A = _stretch(apart, omega[chunk.equations])
                    made[:, :, m:] = np.matmul(made[:, :, m:], A)
                first = stop[chunk.equations.start] - p
                after = np.square(made).sum(axis=2)
                out[first : first + k * p] = np.sqrt(after / before).ravel()

        in_lanes(self.source, work, lambda: None, "stretches", self._threads)
        return out

    def _each(self, put: Callable[[slice, Array], None]) -> None:
        """Hand the blocks of all equations, some at a time and in any order, to ``put``."""
        common, quadratic, omega = np.empty((self.source.n, 0)), None, np.empty(0)
        if self.dual is not None:
            common, shrunk = self.dual.common, self._estimated and bool(len(self.factors.left))
            quadratic = self.dual.quadratic(self._phi(self.dual) if shrunk else None)
            if shrunk:
                omega = self.factors.inflation(self.source.n)

        def work(state: None, t: int, tile: Tile) -> None:
            for chunk in chunks(self.source, t, tile.Xt, common):
                put(chunk.equations, self._made(chunk, quadratic, omega))

        in_lanes(self.source, work, lambda: None, "standard errors", self._threads)

    def _made(self, chunk: Chunk, quadratic: Quadratic | None, omega: Array) -> Array:
        k, q, _ = chunk.rest.shape
        m, at = chunk.to_beta.shape[1] - q, chunk.equations
        own, common = np.zeros((k, q, q)), np.sqrt(self.factors.variances()[at])
        apart = None
        if quadratic is not None and q:
            own, apart = quadratic.of(chunk.rest, self.factors.H[at])
        own[:, np.arange(q), np.arange(q)] += 1.0
        own *= self.factors.d[at, None, None]
        if apart is not None:
            stretch = _stretch(apart, omega[at])
            own = np.matmul(np.matmul(stretch, own), stretch)
        shared, rest = chunk.to_beta[:, :, :m] * common[:, None, None], chunk.to_beta[:, :, m:]
        made = np.matmul(shared, shared.transpose(0, 2, 1))
        return np.asarray(made + np.matmul(np.matmul(rest, own), rest.transpose(0, 2, 1)))

    def _phi(self, dual: TileDual) -> Array:
        """phi(S) on what is beside the common directions, (n, n)."""
        share, V = scipy.linalg.eigh(dual.mean_projection, check_finite=False)
        share, iota = np.clip(share, 0.0, 1.0), self.factors.left[:, None]
        phi = np.mean(iota * share / (1.0 - (1.0 - iota) * share), axis=0)
        return np.asarray((V * phi) @ V.T)


def _stretch(apart: Array, omega: Array) -> Array:
    """I + omega / 2 (I - B'phi(S) B), (k, q, q)."""
    half = 0.5 * omega[:, None, None]
    return np.asarray((1.0 + half) * np.eye(apart.shape[1]) - half * apart)
