"""The systems of the suites, drawn with NumPy alone so that every commit is timed on the same."""

from __future__ import annotations

import numpy as np

SIZES = {  # K: N, p, r; the same shapes as in compare_sur.py
    5: (20, 3, 1),
    20: (100, 3, 2),
    120: (300, 3, 3),
    1000: (1000, 4, 5),
}


def draw(K: int):
    """A seeded system: K designs (N, p), responses (N, K), loadings (K, r), uniquenesses (K,)."""
    N, p, r = SIZES[K]
    rng = np.random.default_rng(K)
    F = rng.standard_normal((K, r))
    d = rng.uniform(0.5, 1.5, K)
    z = rng.standard_normal((N, r))
    blocks, Y = [], np.empty((N, K), order="F")
    for j in range(K):
        X = rng.standard_normal((N, p))
        X[:, 0] = 1.0
        blocks.append(X)
        Y[:, j] = X @ rng.standard_normal(p) + z @ F[j] + np.sqrt(d[j]) * rng.standard_normal(N)
    return blocks, Y, F, d
