"""Brute force: what the core computes, by the definitions, with every K x K matrix formed.

Nothing here is imported from the package, so a formula that is wrong there is not wrong here too.
All likelihoods are per row; ``with_constant`` adds K log(2 pi) / 2.
"""

import mpmath
import numpy as np
import scipy.linalg
import scipy.optimize


def sigma(F, d):
    return F @ F.T + np.diag(d)


def gls(blocks, Y, Sigma, weights=None, n_obs=None):
    """Coefficients equation by equation, from the stacked system; ``weights`` is a ridge."""
    n = Y.shape[0]
    Z = scipy.linalg.block_diag(*blocks)
    Omega_inv = np.kron(np.linalg.inv(Sigma), np.eye(n))
    H = Z.T @ Omega_inv @ Z
    if weights is not None:
        H = H + (n_obs or n) * np.diag(np.concatenate(weights))
    beta = np.linalg.solve(H, Z.T @ Omega_inv @ Y.T.ravel())
    return np.split(beta, np.cumsum([X.shape[1] for X in blocks])[:-1])


def residuals(blocks, Y, beta):
    return np.column_stack(
        [Y[:, j] - X @ b for j, (X, b) in enumerate(zip(blocks, beta, strict=True))]
    )


def nll(E, Sigma, n_obs=None, with_constant=True):
    N = n_obs or len(E)
    sign, logdet = np.linalg.slogdet(Sigma)
    assert sign > 0
    value = 0.5 * (logdet + np.trace(np.linalg.solve(Sigma, E.T @ E)) / N)
    return value + 0.5 * E.shape[1] * np.log(2 * np.pi) * with_constant


def gradient_sigma(S, F, d):
    """Gradients of the NLL per row in F and in log d."""
    P = np.linalg.inv(sigma(F, d))
    Delta = P - P @ S @ P
    return Delta @ F, 0.5 * d * np.diag(Delta)


def score_in_standard_errors(blocks, E, Sigma):
    """Largest GLS score in units of its standard error, in an orthonormal basis of each design."""
    P = np.linalg.inv(Sigma)
    W = E @ P
    worst = 0.0
    for j, X in enumerate(blocks):
        Q = np.linalg.qr(X / np.linalg.norm(X, axis=0))[0]
        worst = max(worst, np.abs(Q.T @ W[:, j]).max() / np.sqrt(P[j, j]))
    return worst


def profile(S, d, r, lam_F=0.0):
    """f(d): the NLL without its constant at the best F, and that F (r leading eigenpairs)."""
    u = 1 / np.sqrt(d)
    theta, V = np.linalg.eigh(S * u * u[:, None])
    theta, V = theta[::-1][:r], V[:, ::-1][:, :r]
    lam = theta if lam_F == 0 else (np.sqrt(1 + 4 * lam_F * theta) - 1) / (2 * lam_F)
    F = np.sqrt(d)[:, None] * V * np.sqrt(np.maximum(lam - 1, 0))
    Sigma = sigma(F, d)
    value = np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S))
    return 0.5 * value + 0.5 * lam_F * np.sum(F**2 / d[:, None]), F


def profile_mp(S, x, r, lam_F=0):
    """f(exp x) in 60 digits, by the eigenvalues and the determinant lemma."""
    K = len(x)
    u = [mpmath.exp(-mpmath.mpf(v) / 2) for v in x]
    M = mpmath.matrix(K, K)
    for i in range(K):
        for j in range(K):
            M[i, j] = S[i, j] * u[i] * u[j]
    theta = sorted(mpmath.eigsy(M, eigvals_only=True), reverse=True)
    value = mpmath.fsum(x) + mpmath.fsum(theta)
    for t in theta[:r]:
        lam = t if lam_F == 0 else (mpmath.sqrt(1 + 4 * lam_F * t) - 1) / (2 * lam_F)
        if lam > 1:
            value += mpmath.log(lam) + t / lam - t + lam_F * (lam - 1)
    return value / 2


def profile_gradient_mp(E, d, r, lam_F=0, n_obs=None):
    """f(d) and df/dlog d by central differences in 60 digits: good to far more than 1e-7."""
    with mpmath.workdps(60):
        A = mpmath.matrix(E.tolist())
        S = A.T * A / (n_obs or len(E))
        x = [mpmath.log(mpmath.mpf(v)) for v in d]
        h = mpmath.mpf(10) ** -15
        out = []
        for j in range(len(x)):
            up, down = list(x), list(x)
            up[j] += h
            down[j] -= h
            difference = profile_mp(S, up, r, lam_F) - profile_mp(S, down, r, lam_F)
            out.append(float(difference / (2 * h)))
        return float(profile_mp(S, x, r, lam_F)), np.array(out)


def factor_optimum(S, r, rng, starts=10, floor=1e-8):
    """The least f over (F, log d) by L-BFGS-B from several starts."""
    K = len(S)
    s = np.diag(S)

    def objective(v):
        F, d = v[: K * r].reshape(K, r), np.exp(v[K * r :])
        Sigma = sigma(F, d)
        value = 0.5 * (np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, S)))
        g_F, g_x = gradient_sigma(S, F, d)
        return value, np.concatenate([g_F.ravel(), g_x])

    bounds = [(None, None)] * (K * r) + [(np.log(floor * v), None) for v in s]
    best = np.inf
    for _ in range(starts):
        F = rng.standard_normal((K, r)) * np.sqrt(0.3 * s / r)[:, None]
        start = np.concatenate([F.ravel(), np.log(s * rng.uniform(0.2, 0.9, K))])
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9}
        fit = scipy.optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        best = min(best, fit.fun)
    return best


class FullLikelihood:
    """NLL per row of the whole system and its gradient in theta = (beta or gamma, F, log d).

    ``bases`` are the K designs in whatever coordinates the first part of theta has; ``slices``
    says where each equation's coefficients sit in it.
    """

    def __init__(self, bases, slices, Y, r, weights=None, n_obs=None):
        self.bases, self.slices, self.Y, self.r = bases, slices, Y, r
        self.P = sum(B.shape[1] for B in bases)
        self.K = Y.shape[1]
        self.N = n_obs or len(Y)
        self.weights = None if weights is None else np.concatenate(weights)

    def split(self, theta):
        P, K = self.P, self.K
        return theta[:P], theta[P:-K].reshape(K, self.r), np.exp(theta[-K:])

    def __call__(self, theta):
        b, F, d = self.split(theta)
        pairs = zip(self.bases, self.slices, strict=True)
        E = np.column_stack([self.Y[:, j] - B @ b[s] for j, (B, s) in enumerate(pairs)])
        Sigma = sigma(F, d)
        W = E @ np.linalg.inv(Sigma)
        g_b = np.empty(self.P)
        for j, (B, s) in enumerate(zip(self.bases, self.slices, strict=True)):
            g_b[s] = -B.T @ W[:, j] / self.N
        value = nll(E, Sigma, self.N)
        if self.weights is not None:
            value += 0.5 * float(self.weights @ b**2)
            g_b += self.weights * b
        g_F, g_x = gradient_sigma(E.T @ E / self.N, F, d)
        return value, np.concatenate([g_b, g_F.ravel(), g_x])

    def hessian(self, theta, h=1e-5):
        columns = []
        for i in range(len(theta)):
            step = np.zeros(len(theta))
            step[i] = h
            columns.append((self(theta + step)[1] - self(theta - step)[1]) / (2 * h))
        return np.array(columns).T


def slices_of(blocks):
    stops = np.cumsum([X.shape[1] for X in blocks])
    return [slice(int(b - X.shape[1]), int(b)) for b, X in zip(stops, blocks, strict=True)]
