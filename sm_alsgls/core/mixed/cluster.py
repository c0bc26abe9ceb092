"""Covariances of coefficients that do not trust G and the residual law, from products of groups.

With V_i = s2 Vbar_i the working covariance, e_i the residuals of group i and C = s2 H^-1,

    V_CR = sum t_i t_i',    t_i = C X_i'V_i^-1 A_i e_i

CR0 has A_i = I and CR1 I (m / (m-1))^1/2. Under the working model cov(e_i) is
M_i = V_i - X_i C X_i'. CR2 has the symmetric A_i with A_i M_i A_i' = V_i, CR3, about the
jackknife, (M_i V_i^-1)^-1:

    A_i = D (D M_i D)^-1/2 D,   D = V_i^1/2     (Bell and McCaffrey 2002, Survey Methodology 28;
                                                 Pustejovsky and Tipton 2018, JBES 36)

clubSandwich's. Rows are taken here after the residual law made them independent and of one
variance, so that V_i = s2 (I + Z_i Gamma Z_i'); where they were so, all is clubSandwich's. With
weights, levels or autoregression CR2's root is that of these rows, and CR0, CR1 and CR3 do not
depend on it. There V_i and M_i are s2 I beside the span of [Z_i X_i], so that an orthonormal
basis of the span, whose products with the rows are products of groups, has all of A_i.

Degrees of freedom. With w_i = t_i's rows, cov(t_i, t_j) = s2 ( [i=j] Theta_i - g_i H^-1 g_j' ),
p x p matrices, of which

    df of l'b = (sum_i c_ii)^2 / sum_ij c_ij^2,    c_ij = l'cov(t_i, t_j) l
    eta = q (q+1) / sum_ij ( tr(C_ij)^2 + tr(C_ij C_ij) ),   C_ij of q combinations, their sum I
    F = (eta - q + 1) / (eta q) b'L'(L V_CR L')^-1 L b  on  (q, eta - q + 1)      (AHT)

need Gram matrices of p x p tensors over groups, no pair of groups.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.satterthwaite import FixedCovariance
from sm_alsgls.exceptions import InsufficientRowsError, OptionError

Array = np.ndarray

#: Powers of what a group's leverage leaves.
KINDS = ("CR0", "CR1", "CR2", "CR3")
# Share of the largest square of a direction of a group's rows that is rounding.
_ROUNDING = 1e-11
# What a group that determines a coefficient leaves of its own variance.
_ALONE = 1e-9
# Of degrees of freedom, and of eigenvalues of correlations of hypotheses, what is rounding.
_NOTHING = 1e-9


class ClusterCovariance(FixedCovariance):
    """V_CR with the groups as clusters.

    Parameters
    ----------
    fit : MixedFit
    kind : {"CR2", "CR0", "CR1", "CR3"}

    Raises
    ------
    InsufficientRowsError
        Fewer than two groups.

    Notes
    -----
    O(m (q + p)^3); arrays of m (q + p)^2, a piece of the groups at a time.
    """

    def __init__(self, fit: MixedFit, kind: str = "CR2") -> None:
        if kind not in KINDS:
            raise OptionError(f"kind={kind!r}: one of {', '.join(KINDS)}")
        m = fit.products.m
        if m < 2:
            raise InsufficientRowsError(
                "one group only: the covariance between groups needs two or more"
            )
        scores, self._theta, self._g = _influences(fit, kind)
        scale = m / (m - 1.0) if kind == "CR1" else 1.0
        self.kind, self._m = kind, m
        super().__init__(scale * scores.T @ scores)

    def coefficient_df(self) -> Array:
        """Of each coefficient, (p,)."""
        return self.df(np.eye(len(self._V)))

    def df(self, R: Array) -> Array:
        """Of each of R b by Bell and McCaffrey, (m,)."""
        theta = np.einsum("rj,ijk,rk->ri", R, self._theta, R, optimize=True)
        out = np.empty(len(R))
        for r, (row, own) in enumerate(zip(R, theta, strict=True)):
            u = row @ self._g
            taken = np.einsum("ik,ik->i", u, u)
            total = float((own - taken).sum())
            square = float(own @ own - 2.0 * own @ taken) + float(np.square(u.T @ u).sum())
            out[r] = max(1.0, total**2 / square) if square > 0.0 else 1.0
        return out

    def joint(self, R: Array, gap: Array) -> tuple[float, float, float, str, str]:
        """Approximate Hotelling's test of R b = q, gap = R b - q.

        Raises
        ------
        InsufficientRowsError
            More hypotheses than the groups can tell of together.
        """
        q, eta = len(R), self.eta(R)
        left = eta - q + 1.0
        V = self.combinations(R)
        # As many groups as tell of them leave a singular V, and of degrees of freedom 1e-15.
        if left <= _NOTHING * eta or q >= self._m or _singular(V):
            raise InsufficientRowsError(
                f"{q} hypotheses cannot be tested together with {self._m} groups, whose covariance "
                f"is as good as one with {eta:.1f} degrees of freedom; test fewer, one at a time "
                "with t_test, or with cov_type='satterthwaite'"
            )
        Q = float(gap @ np.linalg.solve(V, gap))
        return left * Q / (eta * q), float(q), left, "approximate Hotelling", ""

    def eta(self, R: Array) -> float:
        """Degrees of freedom of the Wishart matrix that R V_CR R' is taken for."""
        theta, g = np.matmul(np.matmul(R, self._theta), R.T), np.matmul(R, self._g)
        own = theta - np.matmul(g, g.transpose(0, 2, 1))
        values, vectors = np.linalg.eigh(own.sum(axis=0))
        root = (vectors / np.sqrt(np.maximum(values, 1e-300))) @ vectors.T
        theta, own, g = root @ theta @ root, root @ own @ root, root @ g
        q, p, m = len(R), g.shape[2], len(g)
        flat = g.reshape(m, q * p)
        gram = (flat.T @ flat).reshape(q, p, q, p)
        taken = np.matmul(g, g.transpose(0, 2, 1))
        total = float(np.square(gram).sum() + np.einsum("akbl,bkal->", gram, gram))
        for part, sign in ((own, 1.0), (taken, -1.0)):
            trace = np.einsum("iaa->i", part)
            total += sign * float(trace @ trace + np.einsum("iab,iba->", part, part))
        return q * (q + 1.0) / total


def _singular(V: Array) -> bool:
    """Whether some combination has no variance but rounding."""
    size = np.sqrt(np.maximum(np.diagonal(V), 1e-300))
    return bool(np.linalg.eigvalsh(V / np.outer(size, size))[0] < _NOTHING)


def _influences(fit: MixedFit, kind: str) -> tuple[Array, Array, Array]:
    """t_i (m, p); Theta_i (m, p, p), and g_i times a root of H^-1 (m, p, p), both over s2."""
    profile, point = fit.profile, fit.point
    products = fit.products
    m, q, p = products.m, profile.q, profile.p
    H_root = solve_triangular(np.linalg.cholesky(point.H), np.eye(p), lower=True).T
    H_inverse = H_root @ H_root.T
    gamma = profile.gamma(point.phi)
    weights = fit.law.weights(point.theta)
    scores, theta, g = np.empty((m, p)), np.empty((m, p, p)), np.empty((m, p, p))
    for at in profile.pieces(q + p):
        S = np.einsum("k,mkab->mab", weights, products.C[at])
        F, Fy = S[:, :-1, :-1], S[:, :-1, -1]
        values, vectors = np.linalg.eigh(F)
        kept = values > _ROUNDING * np.maximum(values[:, -1:], 1e-300)
        N = vectors * (_roots(values, kept, -0.5))[:, None, :]
        basis = N.transpose(0, 2, 1)
        Zq, Xq = np.matmul(basis, F[:, :, :q]), np.matmul(basis, F[:, :, q:])
        eq = np.einsum("mak,ma->mk", N, Fy - F[:, :, q:] @ point.b)
        V = np.eye(q + p) + Zq @ gamma @ Zq.transpose(0, 2, 1)
        XV = np.linalg.solve(V, Xq)
        a = XV if kind in ("CR0", "CR1") else _adjusted(V, Xq, H_inverse, kind)
        scores[at] = np.einsum("mkj,mk->mj", a, eq) @ H_inverse
        aH = a @ H_inverse
        theta[at] = np.matmul(aH.transpose(0, 2, 1), np.matmul(V, aH))
        g[at] = np.matmul(aH.transpose(0, 2, 1), Xq) @ H_root
    x = solve_triangular(products.basis.x, np.eye(p))
    return scores @ x.T, x @ theta @ x.T, x @ g


def _adjusted(V: Array, X: Array, H_inverse: Array, kind: str) -> Array:
    """A' V^-1 X of each group, (m, k, p), over s2."""
    values, vectors = np.linalg.eigh(V)
    D = (vectors * np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    down = (vectors / np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    taken = X @ H_inverse @ X.transpose(0, 2, 1)
    if kind == "CR3":
        left = np.eye(V.shape[1]) - down @ taken @ down
        return down @ _power(left, -1.0) @ down @ X
    # A is symmetric, and D V^-1 is D^-1.
    return D @ _power(D @ (V - taken) @ D, -0.5) @ down @ X


def _power(M: Array, power: float) -> Array:
    """Of symmetric matrices, zero where they are (Moore-Penrose)."""
    values, vectors = np.linalg.eigh(0.5 * (M + M.transpose(0, 2, 1)))
    kept = values > _ALONE * np.maximum(values[:, -1:], 1e-300)
    return (vectors * _roots(values, kept, power)[:, None, :]) @ vectors.transpose(0, 2, 1)


def _roots(values: Array, kept: Array, power: float) -> Array:
    return np.where(kept, np.where(kept, values, 1.0) ** power, 0.0)
