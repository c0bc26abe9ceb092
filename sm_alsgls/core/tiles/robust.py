"""Robust, clustered and HAC variances of the coefficients of a system in tiles.

With W = E Sigma^-1 a row's score in the coordinates gamma is u_n = [W_nj q_jn], and a robust
covariance is a sum of products of influences H^-1 U', with U the rows of scores, or their sums over
clusters (`sm_alsgls.core.beta.robust`, whose weights are taken here). Through the dual system of
`sm_alsgls.core.tiles.dual`, with w_j = d_j^1/2 W_j and U_j = (sums of) the rows of diag(w_j) B_j,
(c, q_j),

    Z_a = sum_l h_la B_l U_l'                                      (n, c) for each factor a
    (H^-1 U')_j = d_j^1/2 { U_j' + sum_a h_ja B_j'(T^-1 Z)_a },

and in the common directions C, where H^-1 is Sigma x I, row n of it is e_nj times row n of C. So
influences of a tile are made when they are needed, and squared:

1. E G, (n, r), by a pass over X and Y,
2. Z, r products n x P x c,
3. influences, r products P x n x c.

That is 4 n P c r flops with c = n rows or c clusters, beside 0.5 r (r + 1) n^2 P for T: at
K=1,000,000, n=500, p=3 with a constant, r=5, 1e13 for HC0 beside 8e12, and next to nothing for
few clusters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.beta.small_sample import Moments, Units, stacked_moments
from sm_alsgls.core.tiles.beside import Chunk, chunks
from sm_alsgls.core.tiles.dual import TileDual
from sm_alsgls.core.tiles.factors import Factors
from sm_alsgls.core.tiles.lanes import in_lanes
from sm_alsgls.core.tiles.passes import THREADS
from sm_alsgls.core.tiles.source import Tile, TileSource

Array = np.ndarray


class TileSandwich:
    """V M V of the coefficients of a shard's equations, as far as variances need it.

    Parameters
    ----------
    source : TileSource
    beta : ndarray, shape (P,)
        Coefficients of the shard's equations, one equation after the other.
    F, d : ndarray, shapes (K, r), (K,)
        Sigma of the shard's equations.
    weights : RowWeights
        Of the meat: `White`, `Clusters` or `Kernel` of `sm_alsgls.core.beta.robust`.
    across : Across
    units : Units, optional
        What is independent, of multipliers and degrees of freedom. Default: rows.
    power : float
        0, 1/2 or 1: HC0, HC2, HC3 of rows; CR0, CR2, CR3 of clusters
        (`sm_alsgls.core.beta.small_sample`).
    threads : int
    dual : TileDual, optional
        Of the same source and Sigma, where it was made already.

    Notes
    -----
    Three passes over X and Y beside that of the dual system. Memory: 2 r n c numbers.
    An equation with d_j far below |f_j|^2 keeps as many digits as 1 - |h_j|^2 does.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.beta.robust import White
    >>> from sm_alsgls.core.tiles.source import ArraySource
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((1, 30, 2)), rng.standard_normal((30, 1))
    >>> b = np.linalg.lstsq(X[0], Y[:, 0])[0]
    >>> bread, e = np.linalg.inv(X[0].T @ X[0]), Y[:, 0] - X[0] @ b
    >>> HC0 = bread @ (X[0].T * e**2) @ X[0] @ bread
    >>> made = TileSandwich(ArraySource(X, Y), b, np.zeros((1, 0)), np.ones(1), White())
    >>> bool(np.allclose(made.variances(), np.diagonal(HC0)))
    True
    """

    def __init__(
        self,
        source: TileSource,
        beta: Array,
        F: Array,
        d: Array,
        weights: RowWeights,
        across: Across = ALONE,
        *,
        units: Units | None = None,
        power: float = 0.0,
        threads: int = THREADS,
        dual: TileDual | None = None,
    ) -> None:
        self.source, self.weights, self.power = source, weights, power
        self.units = Units(source.n) if units is None else units
        self.factors = Factors(F, d, across) if dual is None else dual.factors
        self._beta, self._stop = beta, np.cumsum(source.p)
        self._across, self._threads = across, threads
        if dual is None and self.factors.r:
            dual = TileDual(source, self.factors, across, threads)
        self.dual = dual
        self._common = np.empty((source.n, 0)) if dual is None else dual.common
        # Influences of a coefficient: one a row, or one a cluster.
        self._c = len(weights.reduce(np.zeros((source.n, 1))))
        self._shared = np.empty((0, 0))
        self._solved: Array = np.empty((0, 0, 0))
        if dual is not None:
            self._shared = self._factor_sums()
            Z = self._scores()
            self._solved = dual.solve(Z.reshape(-1, Z.shape[2])).reshape(Z.shape)

    def variances(self) -> Array:
        """Diagonal of V M V, (P,)."""
        out = np.empty(len(self._beta))

        def put(equations: slice, influences: Array) -> None:
            out[self._places(equations)] = self.weights.diagonal(_flat(influences))

        self.each(put)
        return out

    def coefficient_df(self) -> Array:
        """Satterthwaite's degrees of freedom of each coefficient, (P,); a pass of its own."""
        out = np.empty(len(self._beta))

        def work(state: None, t: int, tile: Tile) -> None:
            for chunk in chunks(self.source, t, tile.Xt, self._common):
                out[self._places(chunk.equations)] = self._moments(chunk).df

        in_lanes(self.source, work, lambda: None, "degrees of freedom", self._threads)
        return out

    def _places(self, equations: slice) -> slice:
        first = self._stop[equations.start] - self.source.p[equations.start]
        return slice(int(first), int(self._stop[equations.stop - 1]))

    def _moments(self, chunk: Chunk) -> Moments:
        (k, q, n), m = chunk.rest.shape, self._common.shape[1]
        Q = np.empty((n, k, m + q))
        Q[:, :, :m] = self._common[:, None, :]
        Q[:, :, m:] = chunk.rest.transpose(2, 0, 1)
        return stacked_moments(Q, chunk.to_beta, self.units, self.power)

    def each(self, put: Callable[[slice, Array], None]) -> None:
        """Hand the influences (k, p, c) of all equations to ``put``, some at a time.

        In any order and from several threads; V M V of equation j is that of the weights'
        ``inner`` for its p influences.
        """

        def work(state: None, t: int, tile: Tile) -> None:
            for chunk in chunks(self.source, t, tile.Xt, self._common):
                influences = self._influences(chunk, tile)
                if self.power:
                    multipliers = self._moments(chunk).multipliers
                    influences *= multipliers.T.reshape(influences.shape)
                put(chunk.equations, influences)

        in_lanes(self.source, work, lambda: None, "standard errors", self._threads)

    def _residuals(self, tile: Tile, equations: slice, at: slice) -> Array:
        """e_j as rows, (k, n)."""
        Xt = tile.Xt[at]
        k, p, _ = Xt.shape
        beta = self._beta[self._places(equations)].reshape(k, 1, p)
        return np.asarray(tile.Yt[at] - np.matmul(beta, Xt)[:, 0])

    def _factor_sums(self) -> Array:
        """E D^-1/2 H, (n, r)."""
        H, root = self.factors.H, self.factors.root

        def start() -> Array:
            return np.zeros((self.source.n, self.factors.r))

        def work(state: Array, t: int, tile: Tile) -> None:
            at = self.source.bounds[t]
            E = self._residuals(tile, at, slice(0, len(tile.Xt)))
            state += E.T @ (H[at] / root[at, None])

        return self._total(in_lanes(self.source, work, start, "residuals", self._threads))

    def _total(self, parts: list[Array]) -> Array:
        return self._across.total(sum(parts[1:], parts[0]))

    def _scores_of(self, chunk: Chunk, E: Array) -> Array:
        """U_j', (k q, c)."""
        k, q, n = chunk.rest.shape
        W = E / self.factors.root[chunk.equations, None]
        if self.factors.r:
            W -= self.factors.H[chunk.equations] @ self._shared.T
        return self._reduced((chunk.rest * W[:, None, :]).reshape(k * q, n))

    def _reduced(self, U: Array) -> Array:
        return self.weights.reduce(U.T).T

    def _scores(self) -> Array:
        """Z, (r, n, c)."""
        n, r, c = self.source.n, self.factors.r, self._c

        def start() -> Array:
            return np.zeros((r, n, c))

        def work(state: Array, t: int, tile: Tile) -> None:
            for chunk in chunks(self.source, t, tile.Xt, self._common):
                k, q, _ = chunk.rest.shape
                U = self._scores_of(chunk, self._residuals(tile, chunk.equations, chunk.at))
                rows, H = chunk.rest.reshape(k * q, n), self.factors.H[chunk.equations]
                for a in range(r):
                    state[a] += rows.T @ (U * np.repeat(H[:, a], q)[:, None])

        return self._total(in_lanes(self.source, work, start, "scores", self._threads))

    def _influences(self, chunk: Chunk, tile: Tile) -> Array:
        """Those of the coefficients, (k, p, c)."""
        (k, q, n), at = chunk.rest.shape, chunk.equations
        E, m = self._residuals(tile, at, chunk.at), self._common.shape[1]
        U, rows = self._scores_of(chunk, E), chunk.rest.reshape(k * q, n)
        own = np.array(U)
        for a, solved in enumerate(self._solved):
            own += (rows @ solved) * np.repeat(self.factors.H[at, a], q)[:, None]
        own *= np.repeat(self.factors.root[at], q)[:, None]
        shared = self._reduced((E[:, None, :] * self._common.T).reshape(k * m, n))
        parts = [shared.reshape(k, m, self._c), own.reshape(k, q, self._c)]
        gamma = np.concatenate(parts, axis=1)
        return np.matmul(chunk.to_beta, gamma)


def _flat(influences: Array) -> Array:
    return influences.reshape(-1, influences.shape[2])
