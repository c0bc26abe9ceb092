"""Brute force for systems with missing cells: one covariance block per row, by the definitions.

Nothing here is imported from the package. Likelihoods are per row of N, constants included.
"""

import mpmath
import numpy as np
import scipy.linalg
import scipy.optimize


def holes(rng, N, K, share, least=5):
    """A mask with about ``share`` of the cells, no empty row, ``least`` rows an equation."""
    mask = rng.random((N, K)) < share
    mask[np.arange(N), rng.integers(K, size=N)] = True
    mask[:least, mask.sum(axis=0) < least] = True
    return mask


def inverses(mask, Sigma):
    """Sigma_n^-1 of every row in the K x K frame, zero where something is missing."""
    both = mask[:, :, None] & mask[:, None, :]
    return np.where(both, np.linalg.inv(framed(mask, Sigma)), 0.0)


def framed(mask, Sigma):
    """Sigma_n of every row in the K x K frame; what is missing has variance 1, apart from it."""
    both = mask[:, :, None] & mask[:, None, :]
    return np.where(both, Sigma, np.eye(len(Sigma)))


def logdet(mask, Sigma):
    return np.linalg.slogdet(framed(mask, Sigma))[1].sum()


def solve(E, mask, Sigma):
    return np.einsum("nij,nj->ni", inverses(mask, Sigma), np.where(mask, E, 0.0))


def nll(E, mask, Sigma):
    E = np.where(mask, E, 0.0)
    quad = np.einsum("ni,ni->", E, solve(E, mask, Sigma))
    return 0.5 * (mask.sum() * np.log(2 * np.pi) + logdet(mask, Sigma) + quad) / len(E)


def gradient_sigma(E, mask, F, d, P=None):
    """Gradients of the NLL per row in F and in log d; P are `inverses`, if they are at hand."""
    P = inverses(mask, F @ F.T + np.diag(d)) if P is None else P
    W = np.einsum("nij,nj->ni", P, np.where(mask, E, 0.0))
    Delta = (P.sum(axis=0) - W.T @ W) / len(E)
    return Delta @ F, 0.5 * d * np.diag(Delta)


def information(blocks, mask, Sigma):
    """H = sum over rows of X_n' Sigma_n^-1 X_n, (P, P)."""
    X = np.stack([scipy.linalg.block_diag(*[B[n][None] for B in blocks]) for n in range(len(mask))])
    return (X.swapaxes(1, 2) @ inverses(mask, Sigma) @ X).sum(axis=0)


def gls(blocks, Y, mask, Sigma):
    W = solve(Y, mask, Sigma)
    rhs = np.concatenate([X.T @ W[:, j] for j, X in enumerate(blocks)])
    return np.linalg.solve(information(blocks, mask, Sigma), rhs)


def residuals(blocks, Y, mask, beta):
    b = np.split(beta, np.cumsum([X.shape[1] for X in blocks])[:-1])
    E = Y - np.column_stack([X @ v for X, v in zip(blocks, b, strict=True)])
    return np.where(mask, E, 0.0)


def conditional(E, mask, Sigma):
    """Mean and variance of every cell given the other observed cells of its row."""
    mean, variance = np.empty(E.shape), np.empty(E.shape)
    for n, m in enumerate(mask):
        for j in range(E.shape[1]):
            given = m.copy()
            given[j] = False
            gain = np.linalg.solve(Sigma[np.ix_(given, given)], Sigma[given, j])
            mean[n, j] = gain @ E[n, given]
            variance[n, j] = Sigma[j, j] - gain @ Sigma[given, j]
    return mean, variance


class FullLikelihood:
    """NLL per row and its gradient in theta = (beta, F, log d)."""

    def __init__(self, blocks, Y, mask, r):
        self.blocks, self.Y, self.mask, self.r = blocks, Y, mask, r
        self.K, self.P = Y.shape[1], sum(X.shape[1] for X in blocks)

    def split(self, theta):
        P, K = self.P, self.K
        return theta[:P], theta[P:-K].reshape(K, self.r), np.exp(theta[-K:])

    def __call__(self, theta):
        beta, F, d = self.split(theta)
        E = residuals(self.blocks, self.Y, self.mask, beta)
        Sigma = F @ F.T + np.diag(d)
        P = inverses(self.mask, Sigma)
        W = np.einsum("nij,nj->ni", P, E)
        g_beta = -np.concatenate([X.T @ W[:, j] for j, X in enumerate(self.blocks)]) / len(E)
        g_F, g_x = gradient_sigma(E, self.mask, F, d, P)
        total = self.mask.sum() * np.log(2 * np.pi) + logdet(self.mask, Sigma) + np.vdot(E, W)
        return 0.5 * total / len(E), np.concatenate([g_beta, g_F.ravel(), g_x])

    def maximum(self, start, low):
        """L-BFGS-B, then Newton steps (rotations of F left out) on coordinates off their bound."""
        K = self.K
        bounds = [(None, None)] * (len(start) - K) + [(v, None) for v in low]
        options = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}
        theta = scipy.optimize.minimize(
            self, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
        free = np.concatenate([np.ones(len(theta) - K, bool), theta[-K:] > low])
        for _ in range(3):
            H = np.array([self._difference(theta, i) for i in np.flatnonzero(free)])[:, free]
            step = np.linalg.pinv(0.5 * (H + H.T), rcond=1e-6) @ self(theta)[1][free]
            theta[free] -= step
        return theta

    def _difference(self, theta, i, h=1e-5):
        step = np.zeros(len(theta))
        step[i] = h
        return (self(theta + step)[1] - self(theta - step)[1]) / (2 * h)


def nll_gradient_mp(E, mask, F, d):
    """NLL per row and its gradients in F and log d, in 50 digits."""
    with mpmath.workdps(50):
        N, K = E.shape
        r = F.shape[1]
        value = mpmath.mpf(0)
        Delta = mpmath.zeros(K, K)
        Fm = mpmath.matrix(F.tolist())
        Sigma = Fm * Fm.T + mpmath.diag([mpmath.mpf(v) for v in d])
        for n in range(N):
            seen = [int(j) for j in np.flatnonzero(mask[n])]
            m = len(seen)
            S = mpmath.matrix(m, m)
            for a in range(m):
                for b in range(m):
                    S[a, b] = Sigma[seen[a], seen[b]]
            P = S**-1
            e = mpmath.matrix([mpmath.mpf(E[n, j]) for j in seen])
            w = P * e
            value += mpmath.log(mpmath.det(S)) + (e.T * w)[0] + m * mpmath.log(2 * mpmath.pi)
            for a in range(m):
                for b in range(m):
                    Delta[seen[a], seen[b]] += (P[a, b] - w[a] * w[b]) / N
        g = Delta * Fm
        g_F = np.array([[float(g[j, i]) for i in range(r)] for j in range(K)])
        g_x = np.array([float(Delta[j, j] * mpmath.mpf(d[j]) / 2) for j in range(K)])
        return float(value / (2 * N)), g_F, g_x
