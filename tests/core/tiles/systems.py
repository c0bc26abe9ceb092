"""Systems in tiles of several sizes, and their dense twins."""

import numpy as np

from sm_alsgls.core.tiles.source import Tile


class Listed:
    """Tiles of equations that are lists: each tile has as many as it is told."""

    def __init__(self, blocks, Y, sizes, first=0):
        self.n, self.K = Y.shape
        self.first, self.p = first, np.array([x.shape[1] for x in blocks])
        stops = np.cumsum(sizes)
        assert stops[-1] == self.K
        self.bounds = [slice(int(b - a), int(b)) for a, b in zip(sizes, stops, strict=True)]
        self._blocks, self._Y = blocks, Y
        self.reads = 0

    def read(self, t):
        self.reads += 1
        at = self.bounds[t]
        Xt = np.stack([x.T for x in self._blocks[at]])
        Yt = np.ascontiguousarray(self._Y[:, at].T)
        Xt.setflags(write=False)
        Yt.setflags(write=False)
        return Tile(Xt, Yt)

    def part(self, tiles):
        """The shard of some consecutive tiles."""
        bounds = self.bounds[tiles]
        at = slice(bounds[0].start, bounds[-1].stop)
        sizes = [b.stop - b.start for b in bounds]
        return Listed(self._blocks[at], self._Y[:, at], sizes, self.first + at.start), at


def system(seed=0, n=40, p=(3, 3, 2, 4), sizes=(5, 1, 4, 6), r=2, constant=True, strength=1.0):
    """Blocks, Y, F, d, and the source, of tiles with ``sizes`` equations of ``p`` regressors."""
    rng = np.random.default_rng(seed)
    blocks = [
        rng.standard_normal((n, q)) * 10.0 ** rng.integers(-3, 4, q) for q in np.repeat(p, sizes)
    ]
    if constant:
        for x in blocks:
            x[:, -1] = rng.uniform(1.0, 3.0)
    K = len(blocks)
    F, d = strength * rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((n, r)) @ F.T + rng.standard_normal((n, K)) * np.sqrt(d)
    Y = np.column_stack([x @ rng.standard_normal(x.shape[1]) for x in blocks]) + E
    return blocks, Y, F, d, Listed(blocks, Y, sizes)


def _inverse(A):
    """In extended precision: Newton's steps from that in doubles, of a unit diagonal."""
    scale = 1.0 / np.sqrt(np.diagonal(A))
    B = A * np.outer(scale, scale)
    X = np.linalg.inv(B.astype(float)).astype(A.dtype)
    for _ in range(4):
        X = X @ (2.0 * np.eye(len(A), dtype=A.dtype) - B @ X)
    return X * np.outer(scale, scale)


def dense(blocks, F, d):
    """H^-1 (P, P) of the coefficients and Sigma^-1 (K, K), in extended precision.

    In doubles a sandwich of strong factors has lost eight digits.
    """
    X = [x.astype(np.longdouble) for x in blocks]
    F, d = F.astype(np.longdouble), d.astype(np.longdouble)
    precision = _inverse(F @ F.T + np.diag(d))
    rows = [np.concatenate([p * x.T @ z for p, z in zip(w, X, strict=True)], axis=1)
            for w, x in zip(precision, X, strict=True)]  # fmt: skip
    return _inverse(np.concatenate(rows)), precision


class Counting:
    """An `Across` that counts the bytes of its sums."""

    alone = False

    def __init__(self, across):
        self._across, self.bytes = across, 0

    def total(self, part):
        self.bytes += np.asarray(part).nbytes
        return self._across.total(part)

    def tell(self, news):
        pass

    def largest(self, part):
        self.bytes += 8
        return self._across.largest(part)
