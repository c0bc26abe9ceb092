"""Systems with instruments, and 3SLS, GMM and 2SLS of them by brute force."""

import numpy as np
from scipy.linalg import block_diag


def system(rng, N=60, K=4, r=1, q=(3, 4, 3, 5), p=(2, 2, 3, 3), strength=1.0):
    """Regressors, of which the last is endogenous, instruments, responses (b = 1), F, d."""
    F = rng.standard_normal((K, r))
    d = rng.uniform(0.5, 1.5, K)
    E = rng.standard_normal((N, r)) @ F.T + rng.standard_normal((N, K)) * np.sqrt(d)
    blocks, instruments = [], []
    for j in range(K):
        Z = np.column_stack([np.ones(N), rng.standard_normal((N, q[j] - 1))])
        w = strength * Z[:, 1:].sum(axis=1) + rng.standard_normal(N) + 0.7 * E[:, j]
        blocks.append(np.column_stack([Z[:, : p[j] - 1], w]))
        instruments.append(Z)
    Y = np.column_stack([X.sum(axis=1) for X in blocks]) + E
    return blocks, instruments, Y, F, d


class Twin:
    """Everything stacked, (N K) rows, equation after equation."""

    def __init__(self, blocks, instruments, Y, Sigma):
        N, K = Y.shape
        self.N, self.K, self.S = N, K, Sigma
        self.X, self.y = block_diag(*blocks), Y.T.ravel()
        self.Z = block_diag(*instruments)
        self.hat = self.Z @ np.linalg.pinv(self.Z) @ self.X
        self.Omega = np.kron(Sigma, np.eye(N))
        self.inverse = np.kron(np.linalg.inv(Sigma), np.eye(N))

    def weights(self, method):
        """M (P, N K) with beta-hat = M y, M X = I."""
        if method == "2sls":
            return np.linalg.solve(self.hat.T @ self.X, self.hat.T)
        if method == "iv":
            left = self.hat.T @ self.inverse
            return np.linalg.solve(left @ self.X, left)
        G = self.Z.T @ self.X
        left = G.T @ np.linalg.inv(self.Z.T @ self.Omega @ self.Z)
        return np.linalg.solve(left @ G, left @ self.Z.T)

    def beta(self, method):
        return self.weights(method) @ self.y

    def cov(self, method):
        M = self.weights(method)
        return M @ self.Omega @ M.T

    def influences(self, method, E):
        """(P, N)."""
        M = self.weights(method)
        return (M * E.T.ravel()).reshape(len(M), self.K, self.N).sum(axis=1)

    def J(self):
        """By the GMM criterion at its minimum."""
        e = self.y - self.X @ self.beta("gmm")
        m = self.Z.T @ e
        return m @ np.linalg.solve(self.Z.T @ self.Omega @ self.Z, m)
