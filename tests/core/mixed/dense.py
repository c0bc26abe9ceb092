"""Mixed models by whole covariance matrices of groups: the twin of `sm_alsgls.core.mixed`."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import block_diag

from sm_alsgls.core.mixed.autoregression import AR1
from sm_alsgls.core.mixed.autoregressive_levels import LevelsAR1
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.residual_laws import Common, Levels
from sm_alsgls.core.mixed.rows import MixedRows


@dataclass(frozen=True, eq=False)
class Data:
    Z: np.ndarray
    X: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    m: int
    law: object
    index: np.ndarray | None
    weights: np.ndarray | None

    def products(self, basis=None):
        return CrossProducts.of_rows(
            self.Z, self.X, self.y, self.codes, self.m, self.law, self.index, self.weights, basis
        )

    def mixed_rows(self):
        """What a law whose rows are dependent is asked about."""
        both = self.index.ndim == 2
        times, levels = self.index.T if both else (self.index, None)
        return MixedRows(self.Z, self.X, self.codes, times, self.weights, levels)

    def rows(self, at):
        some = lambda a: None if a is None else a[at]  # noqa: E731
        return Data(
            self.Z[at], self.X[at], self.y[at], self.codes[at], self.m, self.law,
            some(self.index), some(self.weights),
        )  # fmt: skip


def data(seed=0, m=12, q=3, p=2, law="common", weights=False, sizes=(1, 9)):
    """Groups of 1 to 8 rows, in any order, with offsets."""
    rng = np.random.default_rng(seed)
    T = rng.integers(*sizes, m)
    codes = np.repeat(np.arange(m), T)
    n = len(codes)
    X = np.column_stack([np.ones(n), 3.0 + rng.standard_normal((n, p - 1))])
    Z = np.column_stack([np.ones(n), 2.0 * rng.standard_normal((n, q - 1)) + 0.5])
    effects = rng.standard_normal((m, q)) @ np.diag(np.linspace(1.0, 0.4, q))
    y = X.sum(axis=1) + (Z * effects[codes]).sum(axis=1) + rng.standard_normal(n)
    index, kind = None, Common()
    if law == "levels":
        index = rng.integers(0, 3, n)
        kind = Levels(("a", "b", "c"))
    if law == "ar":
        index = np.concatenate([np.cumsum(rng.choice([1, 1, 2, 4], t)) for t in T])
        kind = AR1.of_times(codes, index)
    if law == "levels ar":
        times = np.concatenate([np.cumsum(rng.choice([1, 1, 2, 4], t)) for t in T])
        levels = rng.integers(0, 3, n)
        index = np.column_stack([times, levels])
        kind = LevelsAR1.of_rows(codes, times, levels, ("a", "b", "c"))
    order = rng.permutation(n)
    drawn = rng.uniform(0.5, 2.0, n) if weights else None
    return Data(Z, X, y, codes, m, kind, index, drawn).rows(order)


def residual_covariance(d, theta, at):
    """R of the rows ``at``, (..., T), of one group or of a stack of them."""
    if isinstance(d.law, Levels):
        R = np.exp(np.append(0.0, theta))[d.index[at]][..., None] * np.eye(at.shape[-1])
    elif isinstance(d.law, AR1):
        R = np.power(theta[0], apart(d.index[at]))
    elif isinstance(d.law, LevelsAR1):
        t, level = np.moveaxis(d.index[at], -1, 0)
        size = np.exp(0.5 * np.append(0.0, theta[:-1]))[level]
        R = np.power(theta[-1], apart(t)) * size[..., :, None] * size[..., None, :]
    else:
        R = np.broadcast_to(np.eye(at.shape[-1]), (*at.shape, at.shape[-1]))
    if d.weights is None:
        return R
    root = 1.0 / np.sqrt(d.weights[at])
    return R * root[..., :, None] * root[..., None, :]


def apart(times):
    t = times.astype(float)
    return np.abs(t[..., :, None] - t[..., None, :])


def groups(d):
    return [np.flatnonzero(d.codes == i) for i in range(d.m)]


def whole(d, G, s2, theta):
    """V of all rows in the order of groups, and that order."""
    at = groups(d)
    V = block_diag(*[d.Z[a] @ G @ d.Z[a].T + s2 * residual_covariance(d, theta, a) for a in at])
    return V, np.concatenate(at)


def gls(d, G, s2, theta):
    V, order = whole(d, G, s2, theta)
    X, y = d.X[order], d.y[order]
    inverse = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ inverse @ X)
    return cov @ X.T @ inverse @ y, cov, V, inverse, X, y, order


def llf_of_whole_matrices(d, G, s2, theta, reml):
    """At given variances; b is GLS."""
    b, cov, V, inverse, X, y, _ = gls(d, G, s2, theta)
    r = y - X @ b
    free = len(y) - (X.shape[1] if reml else 0)
    value = free * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ inverse @ r
    return -0.5 * (value - np.linalg.slogdet(cov)[1] if reml else value)


@lru_cache(maxsize=2)
def stacked(d):
    """Rows of each group (m, T), and which of these there are, for groups of fewer than T."""
    at = groups(d)
    seen = np.arange(max(map(len, at))) < np.array([len(a) for a in at])[:, None]
    rows = np.zeros(seen.shape, dtype=int)
    rows[seen] = np.concatenate(at)
    return rows, seen


def llf(d, G, s2, theta, reml):
    """The same, as V is of blocks: those of all groups at once, 1 where a group has no row."""
    rows, seen = stacked(d)
    Z = d.Z[rows]
    V = Z @ G @ Z.swapaxes(1, 2) + s2 * residual_covariance(d, theta, rows)
    V = np.where(seen[:, :, None] & seen[:, None, :], V, np.eye(seen.shape[1]))
    X, y = np.where(seen[:, :, None], d.X[rows], 0.0), np.where(seen, d.y[rows], 0.0)[..., None]
    WX = np.linalg.solve(V, X)
    H = np.einsum("mtp,mtq->pq", WX, X)
    r = y - X @ np.linalg.solve(H, np.einsum("mtp,mto->po", WX, y))
    free = len(d.y) - (len(H) if reml else 0)
    value = free * np.log(2 * np.pi) + np.linalg.slogdet(V)[1].sum()
    value += np.vdot(r, np.linalg.solve(V, r))
    return -0.5 * (value + np.linalg.slogdet(H)[1] if reml else value)


def derivative(function, x, a, h=1e-5):
    """Central difference of an array in x_a."""
    step = h * np.eye(len(x))[a]
    return (function(x + step) - function(x - step)) / (2.0 * h)


def blups(d, G, s2, theta):
    """bhat_i, var(b_i | y, b), var(bhat_i - b_i), cov(bhat, bhat_i - b_i) of each group."""
    b, cov, *_ = gls(d, G, s2, theta)
    out = []
    for at in groups(d):
        Z, X = d.Z[at], d.X[at]
        V = Z @ G @ Z.T + s2 * residual_covariance(d, theta, at)
        gain = G @ Z.T @ np.linalg.inv(V)
        known = G - gain @ Z @ G
        out.append(
            (gain @ (d.y[at] - X @ b), known, known + gain @ X @ cov @ X.T @ gain.T,
             -cov @ X.T @ gain.T)
        )  # fmt: skip
    return [np.array(part) for part in zip(*out, strict=True)]
