"""Sums over all pairs of equations of their residual correlations, never a K x K array.

With residual columns scaled to unit length, Z (n, K), the correlations are r_jl = z_j'z_l and

    sum_{j<l} r_jl   = (|sum_j z_j|^2 - K) / 2
    sum_{j<l} r_jl^2 = (|Z Z'|_F^2 - K) / 2 = (|Z'Z|_F^2 - K) / 2

of which the smaller Gram matrix is formed. Correlations are about zero, not about the mean, as
Breusch and Pagan (1980) have them; with a constant in every equation the two are one.
"""

from __future__ import annotations

import numpy as np

from sm_alsgls.core.design.base import PerEquation

Array = np.ndarray


def unit_columns(E: Array) -> Array:
    """Columns of ``E`` (n, K) over their lengths, whatever their units; what is zero stays so.

    >>> unit_columns(np.array([[3e-170, 0.0], [4e-170, 0.0]]))
    array([[0.6, 0. ],
           [0.8, 0. ]])
    """
    size = np.abs(E).max(axis=0, initial=0.0)
    Z = E / np.where(size > 0.0, size, 1.0)
    length = np.sqrt(np.einsum("nk,nk->k", Z, Z))
    return np.asarray(Z / np.where(length > 0.0, length, 1.0))


def sum_of_correlations(Z: Array) -> float:
    """sum_{j<l} r_jl of unit columns ``Z`` (n, K); cost O(n K).

    >>> Z = unit_columns(np.array([[1.0, 2.0, 0.0], [0.5, 0.0, 1.0]]))
    >>> bool(np.isclose(sum_of_correlations(Z), np.tril(Z.T @ Z, -1).sum()))
    True
    """
    total = Z.sum(axis=1)
    return 0.5 * (float(total @ total) - Z.shape[1])


def sum_of_squared_correlations(Z: Array) -> float:
    """sum_{j<l} r_jl^2 of unit columns ``Z`` (n, K); cost O(n K min(n, K)).

    >>> Z = unit_columns(np.array([[1.0, 2.0, 0.0], [0.5, 0.0, 1.0]]))
    >>> bool(np.isclose(sum_of_squared_correlations(Z), np.square(np.tril(Z.T @ Z, -1)).sum()))
    True
    """
    n, K = Z.shape
    gram = Z.T @ Z if K <= n else Z @ Z.T
    return 0.5 * (float(np.vdot(gram, gram)) - K)


def robust_squares(E: Array) -> float:
    """sum_{j<l} (T_jl - 1), T_jl = (e_j'e_l)^2 / sum_n e_nj^2 e_nl^2; cost O(n K^2).

    Each T_jl is the square of a covariance over its own standard error (White 1980), which allows
    the rows to have scales of their own, common to the equations or not: Halunga, Orme and Yamagata
    (2017), Journal of Econometrics 198, equation 9. By 256 equations at a time, O(n K) memory.

    Parameters
    ----------
    E : ndarray, shape (n, K)
        Residuals of all rows, not compressed ones.

    Examples
    --------
    >>> E = np.array([[1.0, 2.0], [-1.0, 1.0], [3.0, 0.5]])
    >>> T = (2.0 - 1.0 + 1.5) ** 2 / (4.0 + 1.0 + 2.25)
    >>> bool(np.isclose(robust_squares(E), T - 1.0))
    True
    """
    Z = unit_columns(E)
    V = Z * Z
    K, total = Z.shape[1], 0.0
    for low in range(0, K, 256):
        high = min(low + 256, K)
        T = np.square(Z[:, low:high].T @ Z[:, low:])
        below = V[:, low:high].T @ V[:, low:]
        # Two equations that are never both off zero have nothing to say.
        T = np.divide(T, below, out=np.ones_like(T), where=below > 0.0) - 1.0
        T[np.tril_indices(high - low, 0, K - low)] = 0.0
        total += float(T.sum())
    return total


def standardised_squares(Z: Array, design: PerEquation, n_obs: int) -> float:
    """sum_{j<l} (r_jl^2 - mu_jl) / v_jl with exact moments of r_jl^2 under the null.

    When the errors of two equations are independent and spherical, their OLS residuals have
    independent uniform directions in the ranges of M_j = I - P_j and M_l, hence with
    m_j = N - p_j, a = tr(M_j M_l), b = tr((M_j M_l)^2)

        mu_jl  = a / (m_j m_l)
        v_jl^2 = 3 (a^2 + 2 b) / (m_j (m_j + 2) m_l (m_l + 2)) - mu_jl^2 .

    Parameters
    ----------
    Z : ndarray, shape (n, K)
        OLS residuals scaled to unit length.
    design : PerEquation
        Whose rows may be compressed: only Q_j'Q_l is used.
    n_obs : int
        N.

    Notes
    -----
    Cost O(n P^2), one equation against the others at a time; O(n K min(n, K)) where all designs
    are equal. Pesaran, Ullah and Yamagata (2008), Econometrics Journal 11, equation 12, is the
    case of equal p_j.
    """
    K, p = design.K, np.asarray(design.p, dtype=float)
    m = n_obs - p
    if design.shared:
        mu, v = _moments(m[0], m[0], m[0], m[0])
        pairs = 0.5 * K * (K - 1)
        return (sum_of_squared_correlations(Z) - pairs * float(mu)) / float(v)
    # Bases padded with zeros to one width, which leaves traces alone.
    width = int(design.p.max())
    Q = np.zeros((Z.shape[0], K, width))
    for j in range(K):
        Q[:, j, : design.p[j]] = design.basis(j)
    total = 0.0
    for j in range(K - 1):
        cross = design.basis(j).T @ Q[:, j + 1 :].reshape(len(Z), -1)
        blocks = cross.reshape(-1, K - 1 - j, width).transpose(1, 0, 2)
        gram = blocks @ blocks.transpose(0, 2, 1)
        cosines2 = np.einsum("kaa->k", gram)
        cosines4 = np.einsum("kab,kab->k", gram, gram)
        left = n_obs - p[j] - p[j + 1 :]
        mu, v = _moments(left + cosines2, left + cosines4, m[j], m[j + 1 :])
        r = Z[:, j] @ Z[:, j + 1 :]
        total += float(np.sum((r * r - mu) / v))
    return total


def _moments(a: Array, b: Array, m: Array, other: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of a squared correlation; see `standardised_squares`."""
    mu = a / (m * other)
    fourth = 3.0 * (a * a + 2.0 * b) / (m * (m + 2.0) * other * (other + 2.0))
    return mu, np.sqrt(fourth - mu * mu)
