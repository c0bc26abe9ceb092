"""One equation with instruments, drawn."""

import numpy as np


def equation(N=80, m=1, L=3, k=2, seed=0, strength=0.6, uneven=False):
    """y (N,), X = [constant.., endogenous] (N, k + m), Z (N, k + L), endogenous (k + m,)."""
    rng = np.random.default_rng(seed)
    exog = np.column_stack([np.ones(N), rng.standard_normal((N, k - 1))])
    own = rng.standard_normal((N, L)) + exog[:, 1:2]
    e = rng.standard_normal((N, m + 1))
    e[:, 1:] += e[:, :1]
    if uneven:
        e *= np.exp(0.5 * own[:, :1])
    x = own @ (strength * rng.standard_normal((L, m))) + exog @ rng.standard_normal((k, m))
    x += e[:, 1:]
    y = x.sum(axis=1) + exog.sum(axis=1) + e[:, 0]
    return (
        y,
        np.column_stack([exog, x]),
        np.column_stack([exog, own]),
        np.arange(k + m) >= k,
    )
