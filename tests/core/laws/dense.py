"""Laws of the errors by brute force: the covariance of vec(e) in full, nothing of the package."""

import numpy as np
import scipy.linalg


def stationary(rho, times, Sigma):
    """Cov of e_n = rho e_{n-1} + u_n seen at ``times``, rows after rows: (N K, N K)."""
    times = np.asarray(times, dtype=float)
    lag = np.abs(times[:, None] - times[None, :])
    return np.kron(rho**lag / (1.0 - rho**2), Sigma)


def recursion(rho, N, Sigma):
    """Cov of e_n = R e_{n-1} + u_n, R = diag(rho), e_1 = (I - R^2)^-1/2 u_1; rows after rows."""
    lag = np.subtract.outer(np.arange(N), np.arange(N))
    powers = np.where(lag >= 0, np.power(rho[:, None, None], np.maximum(lag, 0)), 0.0)
    powers[:, :, 0] /= np.sqrt(1.0 - rho**2)[:, None]
    # e = L u, L_ij of equations i and j is zero but for i = j.
    Omega = np.einsum("inm,ij,jlm->nilj", powers, Sigma, powers, optimize=True)
    return Omega.reshape(N * len(rho), -1)


def scaled(root, Omega):
    """Cov of root o e, root (N, K) above the cells' 1: diag(vec root) Omega diag(vec root)."""
    r = root.ravel()
    return Omega * np.outer(r, r)


def nll(E, Omega, seen=None):
    """NLL per row of the cells of E (N, K) that are seen, vec(E) ~ N(0, Omega) by rows."""
    e = E.ravel()
    at = np.arange(len(e)) if seen is None else np.flatnonzero(seen.ravel())
    return 0.5 * minus_twice_log_density(e[at], Omega[np.ix_(at, at)]) / len(E)


def minus_twice_log_density(e, Omega):
    """log|Omega| + e' Omega^-1 e + n log 2 pi by Omega = L L', a fourth of the work of two LUs."""
    L = np.linalg.cholesky(Omega)
    u = scipy.linalg.solve_triangular(L, e, lower=True, check_finite=False)
    return 2.0 * np.log(np.diag(L)).sum() + u @ u + len(e) * np.log(2 * np.pi)


def nll_of_rows(E, Omega, seen, scale=None):
    """NLL per row of seen cells of E (N, K), e_n ~ N(0, scale_n Omega) with Omega (K, K).

    A cell that is not seen is put apart from the others with variance 1 and value 0: it adds
    nothing to the determinant and the quadratic form, and all rows are one stack of matrices.
    """
    both = seen[:, :, None] & seen[:, None, :]
    r2 = np.ones(len(E)) if scale is None else scale
    S = np.where(both, r2[:, None, None] * Omega, np.eye(len(Omega)))
    e = np.where(seen, E, 0.0)[:, :, None]
    value = np.linalg.slogdet(S)[1].sum() + (e * np.linalg.solve(S, e)).sum()
    return 0.5 * (value + seen.sum() * np.log(2 * np.pi)) / len(E)


def differences(f, x, h=1e-5):
    """Gradient of f at x by central differences of the fourth order."""
    out = np.empty(len(x))
    for i in range(len(x)):
        step = np.zeros(len(x))
        step[i] = h
        near, far = f(x + step) - f(x - step), f(x + 2 * step) - f(x - 2 * step)
        out[i] = (8.0 * near - far) / (12.0 * h)
    return out
