"""A mixed model by N x N matrices: what Kenward-Roger, Satterthwaite and CR0 to CR3 are.

y = X b + e, e ~ N(0, V), V = V(g) for parameters g with derivatives dV[a] = dV/dg_a and
d2V[a][b] (zero where V is linear in g). Phi = (X'V^-1X)^-1, b = Phi X'V^-1y,
P = V^-1 - V^-1 X Phi X'V^-1. Slow on purpose: no group, no rank, no structure is made use of.
"""

import numpy as np
import scipy.linalg


def blocks(codes):
    """Of each group the rows, in the order of the codes."""
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def marginal(Z, codes, G, R):
    """V = Z_i G Z_i' + R within groups; R is N x N."""
    same = codes[:, None] == codes[None, :]
    return np.where(same, Z @ G @ Z.T, 0.0) + R


def symmetric_units(q, diagonal=False):
    """The matrices dG/dG_ab, lower triangle by columns, or of the diagonal alone."""
    units = []
    for a in range(q):
        for b in range(a, a + 1 if diagonal else q):
            unit = np.zeros((q, q))
            unit[a, b] = unit[b, a] = 1.0
            units.append(unit)
    return units


def linear_derivatives(Z, codes, units, R0):
    """Of V = Z_i G Z_i' + s2 R0 in G's elements and s2."""
    same = codes[:, None] == codes[None, :]
    return [np.where(same, Z @ unit @ Z.T, 0.0) for unit in units] + [np.asarray(R0)]


def ar1(codes, times, rho):
    """rho^|t - s| within groups."""
    same = codes[:, None] == codes[None, :]
    return np.where(same, rho ** np.abs(times[:, None] - times[None, :]), 0.0)


def estimate(X, y, V):
    """b, Phi, P."""
    VX = np.linalg.solve(V, X)
    Phi = np.linalg.inv(X.T @ VX)
    return Phi @ VX.T @ y, Phi, np.linalg.inv(V) - VX @ Phi @ VX.T


def log_likelihood(X, y, V, reml):
    """With lme4's and nlme's constant: n - p logs of 2 pi in REML, and no log|X'X|."""
    n, p = X.shape
    _, Phi, P = estimate(X, y, V)
    value = np.linalg.slogdet(V)[1] + y @ P @ y
    if reml:
        value += (n - p) * np.log(2 * np.pi) - np.linalg.slogdet(Phi)[1]
    else:
        value += n * np.log(2 * np.pi)
    return -0.5 * value


def score(X, y, V, dV, reml):
    """dllf/dg_a = -1/2 tr(Q V_a) + 1/2 y'P V_a P y; Q is P for REML, V^-1 for ML."""
    _, _, P = estimate(X, y, V)
    Q, Py = (P if reml else np.linalg.inv(V)), P @ y
    return np.array([0.5 * (Py @ D @ Py - np.sum(Q * D)) for D in dV])


def second(d2V, a, b):
    """d2V/dg_a dg_b, or None where V is linear."""
    return None if d2V is None else d2V[a][b]


def observed_information(X, y, V, dV, reml, d2V=None):
    """-d2llf/dg_a dg_b = y'P V_a P V_b P y - 1/2 tr(Q V_a Q V_b), and of V's own curvature
    1/2 tr(Q V_ab) - 1/2 y'P V_ab P y."""
    _, _, P = estimate(X, y, V)
    Q, Py, k = (P if reml else np.linalg.inv(V)), P @ y, len(dV)
    found = np.empty((k, k))
    for a in range(k):
        for b in range(k):
            found[a, b] = Py @ dV[a] @ P @ dV[b] @ Py - 0.5 * np.sum((Q @ dV[a]) * (Q @ dV[b]).T)
            D = second(d2V, a, b)
            if D is not None:
                found[a, b] += 0.5 * (np.sum(Q * D) - Py @ D @ Py)
    return found


def expected_information(X, V, dV):
    """1/2 tr(P V_a P V_b): REML's."""
    P = estimate(X, np.zeros(len(X)), V)[2]
    return np.array([[0.5 * np.sum((P @ A) * (P @ B).T) for B in dV] for A in dV])


def phi_derivatives(X, V, dV):
    """P_a = d(X'V^-1X)/dg_a = -X'V^-1 V_a V^-1 X; dPhi/dg_a = -Phi P_a Phi."""
    VX = np.linalg.solve(V, X)
    return [-VX.T @ D @ VX for D in dV]


def satterthwaite(X, y, V, dV, L, reml, d2V=None):
    """df = 2 v^2 / (g'A g), v = l'Phi l, g = dv/dg, A the inverse observed information.

    Of a row (vector) L, that; of a matrix, by the spectral decomposition L Phi L' = U D U': each
    u'L has its own nu and E = sum nu / (nu - 2), df = 2 E / (E - q) (Fai and Cornelius 1996).
    """
    L = np.asarray(L, float)
    _, Phi, _ = estimate(X, y, V)
    A = np.linalg.inv(observed_information(X, y, V, dV, reml, d2V))
    changes = [-Phi @ P @ Phi for P in phi_derivatives(X, V, dV)]

    def of_row(row):
        slope = np.array([row @ change @ row for change in changes])
        return 2.0 * (row @ Phi @ row) ** 2 / (slope @ A @ slope)

    if L.ndim == 1:
        return of_row(L)
    nu = np.array([of_row(row) for row in np.linalg.eigh(L @ Phi @ L.T)[1].T @ L])
    q = len(nu)
    if q == 1 or np.ptp(nu) < 1e-8:
        return nu.mean()
    if nu.min() <= 2.0:
        return 2.0
    E = np.sum(nu / (nu - 2.0))
    return 2.0 * E / (E - q)


def kenward_roger_covariance(X, V, dV, d2V=None):
    """Phi_A = Phi + 2 Phi {sum_ab W_ab (Q_ab - P_a Phi P_b - R_ab / 4)} Phi, and W.

    Q_ab = X'V^-1 V_a V^-1 V_b V^-1 X, R_ab = X'V^-1 V_ab V^-1 X, W the inverse expected
    information of REML (Kenward and Roger 1997, equation 5).
    """
    Vi = np.linalg.inv(V)
    VX = Vi @ X
    Phi = np.linalg.inv(X.T @ VX)
    W = np.linalg.inv(expected_information(X, V, dV))
    P = phi_derivatives(X, V, dV)
    U = np.zeros_like(Phi)
    for a, A in enumerate(dV):
        for b, B in enumerate(dV):
            term = VX.T @ A @ Vi @ B @ VX - P[a] @ Phi @ P[b]
            D = second(d2V, a, b)
            if D is not None:
                term = term - 0.25 * VX.T @ D @ VX
            U += W[a, b] * term
    return Phi + 2.0 * Phi @ U @ Phi, W


def kenward_roger(X, y, V, dV, L, d2V=None, adjusted=None):
    """F scaled, its degrees of freedom m and the scaling lambda, of L b = 0 (section 3).

    With q rows, T = L'(L Phi L')^-1 L: A1 = sum W_ab tr(T Phi P_a Phi) tr(T Phi P_b Phi),
    A2 = sum W_ab tr(T Phi P_a Phi T Phi P_b Phi). F = lambda / q b'L'(L Phi_A L')^-1 L b,
    Phi_A another where it is ``adjusted``.
    """
    L = np.atleast_2d(np.asarray(L, float))
    q = len(L)
    b, Phi, _ = estimate(X, y, V)
    own, W = kenward_roger_covariance(X, V, dV, d2V)
    adjusted = own if adjusted is None else adjusted
    T = L.T @ np.linalg.solve(L @ Phi @ L.T, L)
    M = [T @ Phi @ P @ Phi for P in phi_derivatives(X, V, dV)]
    traces = np.array([np.trace(m) for m in M])
    A1 = traces @ W @ traces
    A2 = sum(W[i, j] * np.sum(M[i] * M[j].T) for i in range(len(M)) for j in range(len(M)))
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    d = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / d, (q - g) / d, (q + 2.0 - g) / d
    E = 1.0 / (1.0 - A2 / q)
    variance = 2.0 / q * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))
    rho = variance / (2.0 * E**2)
    m = 4.0 + (q + 2.0) / (q * rho - 1.0)
    scaling = m / (E * (m - 2.0))
    F = scaling / q * (L @ b) @ np.linalg.solve(L @ adjusted @ L.T, L @ b)
    return F, m, scaling


def root_of_inverse(B):
    """Symmetric B^(-1/2), zero in the directions where B is (Moore-Penrose)."""
    values, vectors = np.linalg.eigh((B + B.T) / 2.0)
    kept = values > 1e-10 * max(values.max(), 1.0)
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


def adjustments(X, V, codes, kind):
    """A_i of group i: CR0 I, CR1 sqrt(m / (m - 1)) I, CR3 (I - H_ii)^-1, and CR2

        A_i = D_i' {D_i (V_i - X_i Phi X_i') D_i'}^(-1/2) D_i,  V_i = D_i'D_i,

    so that E A_i e_i e_i'A_i' weighs as V_i does (Bell and McCaffrey 2002; Pustejovsky and
    Tipton 2018). H = X Phi X'V^-1.
    """
    _, Phi, _ = estimate(X, np.zeros(len(X)), V)
    groups = blocks(codes)
    found = []
    for rows in groups:
        Vi, Xi, eye = V[np.ix_(rows, rows)], X[rows], np.eye(len(rows))
        if kind == "CR0":
            found.append(eye)
        elif kind == "CR1":
            found.append(eye * np.sqrt(len(groups) / (len(groups) - 1.0)))
        elif kind == "CR3":
            found.append(np.linalg.inv(eye - Xi @ Phi @ np.linalg.solve(Vi, Xi).T))
        else:
            D = scipy.linalg.cholesky(Vi)
            found.append(D.T @ root_of_inverse(D @ (Vi - Xi @ Phi @ Xi.T) @ D.T) @ D)
    return found


def cluster_covariance(X, y, V, codes, kind):
    """Phi {sum_i X_i'V_i^-1 A_i e_i e_i'A_i'V_i^-1 X_i} Phi, e = y - X b."""
    b, Phi, _ = estimate(X, y, V)
    e = y - X @ b
    meat = np.zeros_like(Phi)
    for rows, A in zip(blocks(codes), adjustments(X, V, codes, kind), strict=True):
        s = np.linalg.solve(V[np.ix_(rows, rows)], X[rows]).T @ A @ e[rows]
        meat += np.outer(s, s)
    return Phi @ meat @ Phi


def influences(X, V, codes, kind):
    """Of each group the p x N matrix B_i that gives Phi X_i'V_i^-1 A_i e_i = B_i y."""
    _, Phi, _ = estimate(X, np.zeros(len(X)), V)
    residual = np.eye(len(X)) - X @ Phi @ np.linalg.solve(V, X).T
    return [
        Phi @ np.linalg.solve(V[np.ix_(rows, rows)], X[rows]).T @ A @ residual[rows]
        for rows, A in zip(blocks(codes), adjustments(X, V, codes, kind), strict=True)
    ]


def cluster_df(X, V, codes, kind, row):
    """Bell and McCaffrey's (sum_i W_ii)^2 / sum_ij W_ij^2, W_ij = l'B_i V B_j'l: twice the squared
    mean of l'V_CR l over its variance, y normal with variance V."""
    P = np.array([row @ B for B in influences(X, V, codes, kind)])
    W = P @ V @ P.T
    return np.trace(W) ** 2 / np.sum(W**2)


def cluster_joint(X, y, V, codes, kind, L):
    """Approximate Hotelling's T2 (HTZ): F, its degrees of freedom eta - q + 1 and the scaling.

    D = Omega^(-1/2) sum_i t_i t_i' Omega^(-1/2), t_i = L B_i y, Omega = sum_i E t_i t_i', is taken
    as a Wishart over its degrees of freedom eta = q (q + 1) / sum_st var(D_st); with
    C_ij = cov(t_i, t_j), scaled, sum_st var(D_st) = sum_ij {tr(C)^2 + tr(C C)} (Pustejovsky and
    Tipton 2018, section 3.2).
    """
    L = np.atleast_2d(np.asarray(L, float))
    q = len(L)
    b, _, _ = estimate(X, y, V)
    rows = [L @ B for B in influences(X, V, codes, kind)]
    root = root_of_inverse(sum(r @ V @ r.T for r in rows))
    rows = [root @ r for r in rows]
    variance = 0.0
    for one in rows:
        for other in rows:
            C = one @ V @ other.T
            variance += np.trace(C) ** 2 + np.sum(C * C.T)
    eta = q * (q + 1.0) / variance
    robust = cluster_covariance(X, y, V, codes, kind)
    Q = (L @ b) @ np.linalg.solve(L @ robust @ L.T, L @ b)
    scaling = (eta - q + 1.0) / eta
    return scaling * Q / q, eta - q + 1.0, scaling
