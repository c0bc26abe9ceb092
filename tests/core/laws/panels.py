"""Panels with a common slope, a factor and autoregressive errors."""

import numpy as np

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.options import ALSOptions


def panel(rng, law, T, K, rho, options=None, own_constants=False):
    """A `RawSystem` of y = 1 + x + e; parameters are (constant, slope) or (slope, ..)."""
    x = rng.standard_normal((T, K)) + 0.3 * rng.standard_normal((T, 1))
    F, d = rng.uniform(0.3, 1.3, K), rng.uniform(0.3, 0.8, K)
    u = rng.standard_normal((T, 1)) * F + rng.standard_normal((T, K)) * np.sqrt(d)
    e = np.empty((T, K))
    e[0] = u[0] / np.sqrt(1.0 - np.square(rho))
    for t in range(1, T):
        e[t] = rho * e[t - 1] + u[t]
    blocks = [np.column_stack([np.ones(T), c]) for c in x.T]
    share = np.array([-1, 0] if own_constants else [0, 1])
    binding = Pooling(Places([share] * K))
    return RawSystem(1.0 + x + e, blocks, law, options or ALSOptions(), binding=binding)
