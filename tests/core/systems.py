"""Systems to test on: simulated with a known truth, and the two real ones of the design."""

from functools import cache

import numpy as np
import scipy.linalg


def factor_data(rng, n, K, r, noise=(0.3, 1.5)):
    """Rows of F z + e with uniquenesses in ``noise``."""
    F = rng.standard_normal((K, r))
    d = rng.uniform(*noise, K)
    return rng.standard_normal((n, r)) @ F.T + rng.standard_normal((n, K)) * np.sqrt(d)


def data_with_covariance(rng, n, S):
    """Rows E with E'E/n = S, to rounding."""
    Q = np.linalg.qr(rng.standard_normal((n, len(S))))[0]
    return np.sqrt(n) * Q @ scipy.linalg.cholesky(S)


def system(rng, N, K, r, p=3, constant=True):
    """Blocks and responses; ``p`` is one number or one an equation."""
    p = np.broadcast_to(p, K)
    blocks = []
    for m in p:
        X = rng.standard_normal((N, m))
        if constant:
            X[:, 0] = 1.0
        blocks.append(X)
    E = factor_data(rng, N, K, r)
    beta = [rng.standard_normal(m) for m in p]
    Y = np.column_stack([X @ b for X, b in zip(blocks, beta, strict=True)]) + E
    return blocks, Y


def ring(K):
    """Weights of equations on a ring: half of either neighbour."""
    W, at = np.zeros((K, K)), np.arange(K)
    W[at, (at + 1) % K] = W[at, (at - 1) % K] = 0.5
    return W


@cache
def french():
    """30 portfolios of Kenneth French less the risk-free rate on three factors, 819 months."""
    from linearmodels.datasets import french as source

    data = source.load()
    Y = data.iloc[:, 6:].to_numpy() - data[["RF"]].to_numpy()
    X = np.column_stack([np.ones(len(data)), data[["MktRF", "SMB", "HML"]].to_numpy()])
    return [X] * Y.shape[1], Y


@cache
def munnell():
    """Munnell's production functions, one equation a state: K = 48, N = 17, p = 5."""
    from linearmodels.datasets import munnell as source

    blocks, responses = [], []
    for _, state in source.load().groupby("STATE", sort=True):
        state = state.sort_values("YR")
        logs = np.log(state[["P_CAP", "PC", "EMP"]].to_numpy())
        blocks.append(np.column_stack([np.ones(len(state)), logs, state["UNEMP"].to_numpy()]))
        responses.append(np.log(state["GSP"].to_numpy()))
    return blocks, np.column_stack(responses)
