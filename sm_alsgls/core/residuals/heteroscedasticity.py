"""Do variances move with the regressors? One equation at a time, and row by row.

Koenker (1981, Journal of Econometrics 17), the studentised form of Breusch and Pagan's test and,
with squares among the auxiliary regressors, White's (1980, Econometrica 48) without his
cross-products: e_n^2 of an equation on a constant and q variables Z_n,

    N R^2 = N |U'g|^2 / |g|^2,    g_n = e_n^2 - mean,    U an orthonormal basis of Z - mean,

is chi2(q) for large N and any kurtosis; at N = 100 and t(3) errors the smallest of ten p-values
rejects 18 % at 5 %. `variance_of_equations` corrects p-values by the residuals themselves: shuffled
over the rows, and regressed again on the same design, they have the tails that the errors have, and
no variance that moves (4 % there, 5 to 7 % under normal, t(5) and chi2(2) errors).
`variance_of_rows` asks the same of the distances e_n' Sigma^-1 e_n, and permutes them (Fisher 1935,
section 21).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from sm_alsgls.core.residuals.residual_tests import NullTail
from sm_alsgls.progress import counted

Array = np.ndarray

# Columns of shuffled residuals, over all equations together.
_DRAWS = 20_000
# Rows for each auxiliary regressor; with fewer the fitted values stand for the regressors.
_ROWS_EACH = 8
# A direction of the auxiliary regressors, relative to the largest.
_TOL = 1e-8


def basis(Z: Array) -> Array:
    """Orthonormal basis (N, q) of the columns of ``Z`` (N, m) about their means.

    Constant columns, and what others already say, are left out.
    """
    C = Z - Z.mean(axis=0)
    length = np.sqrt(np.einsum("nm,nm->m", C, C))
    moves = length > _TOL * np.sqrt(np.einsum("nm,nm->m", Z, Z))
    if not moves.any():
        return np.empty((len(Z), 0))
    U, size, _ = np.linalg.svd(C[:, moves] / length[moves], full_matrices=False)
    return np.asarray(U[:, size > _TOL * size[0]])


def auxiliary(X: Array, fitted: Array) -> Array:
    """Basis of what a variance may move with: regressors and squares, as far as rows allow.

    Regressors and their squares where they are at most N / 8, else the regressors, else the
    fitted values and their squares (Wooldridge 2010, section 8.3: White's special case).
    """
    N = len(X)
    Z = X / np.sqrt(np.mean(X * X, axis=0))
    squares = (Z - Z.mean(axis=0)) ** 2
    for candidate in (np.column_stack([Z, squares]), Z):
        U = basis(candidate)
        if _ROWS_EACH * U.shape[1] <= N:
            return U
    scale = np.sqrt(np.mean(fitted * fitted)) or 1.0
    f = fitted / scale
    return basis(np.column_stack([f, (f - f.mean()) ** 2]))


def koenker(E: Array, U: Array) -> Array:
    """N R^2 of the squares of each column of ``E`` (N, m) on the basis ``U`` (N, q).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(400)
    >>> U = basis(np.column_stack([x, x**2]))
    >>> E = rng.standard_normal((400, 2)) * np.column_stack([np.ones(400), np.exp(x / 2)])
    >>> (koenker(E, U) > 10).tolist()
    [False, True]
    """
    g = E * E
    g /= g.mean(axis=0)
    g -= 1.0
    along = U.T @ g
    explained = np.einsum("qm,qm->m", along, along) / np.einsum("nm,nm->m", g, g)
    return np.asarray(len(E) * explained)


def variance_of_equations(
    E: Array, blocks: Sequence[Array], fitted: Array
) -> tuple[Array, Array, Array]:
    """Koenker's test of every equation.

    Parameters
    ----------
    E : ndarray, shape (N, K)
        Residuals.
    blocks : sequence of ndarray
        K designs (N, p_j).
    fitted : ndarray, shape (N, K)

    Returns
    -------
    statistic, df, pvalues : ndarray, shape (K,)
        NaN where an equation has nothing for its variance to move with.

    Notes
    -----
    Cost O(N p) for each of 20,000 columns, and of at least twenty an equation. One correction
    serves all equations: with as many draws as that, one by one, none could be told from 0.05 / K.
    """
    N, K = E.shape
    statistic, df, nominal = np.full(K, np.nan), np.zeros(K), np.full(K, np.nan)
    bases: dict[int, tuple[Array, Array]] = {}
    draws = max(_DRAWS // K, 20)
    rng = np.random.default_rng(1981)
    simulated = []
    for j, X in enumerate(counted(blocks, "tests of variances", unit="eq")):
        if id(X) not in bases:
            Q = np.linalg.qr(X / np.sqrt(np.einsum("np,np->p", X, X)))[0]
            bases[id(X)] = (Q, np.sqrt(np.maximum(1.0 - np.einsum("np,np->n", Q, Q), _TOL)))
        Q, root = bases[id(X)]
        U = auxiliary(X, fitted[:, j])
        df[j] = U.shape[1]
        if not U.shape[1]:
            continue
        statistic[j] = koenker(E[:, j : j + 1], U)[0]
        nominal[j] = stats.chi2.sf(statistic[j], df[j])
        # Of equal variance, as the errors are under the null.
        even = (E[:, j] / root)[:, None]
        Z = rng.permuted(np.broadcast_to(even, (N, draws)), axis=0)
        Z -= Q @ (Q.T @ Z)
        simulated.append(stats.chi2.sf(koenker(Z, U), df[j]))
    if not simulated:
        return statistic, df, nominal
    return statistic, df, NullTail.of(np.concatenate(simulated))(nominal)


def variance_of_rows(q: Array, Z: Array, draws: int = 999) -> tuple[float, int, float]:
    """Koenker's statistic of the distances ``q`` (N,) on row variables ``Z`` (N, m), permuted.

    Distances are those of errors only up to the rows' leverages h_n: pass them over 1 - h_n.

    Returns
    -------
    statistic : float
    df : int
        Directions of Z; only the leading N / 8 are kept.
    pvalue : float
        Share of permutations of the rows, (1 + as large) / (1 + draws); NaN without directions.
    """
    N = len(q)
    U = basis(Z)[:, : max(1, N // _ROWS_EACH)]
    if not U.shape[1]:
        return np.nan, 0, np.nan
    g = q - q.mean()
    total = float(g @ g)
    statistic = N * float(np.square(U.T @ g).sum()) / total
    rng = np.random.default_rng(1935)
    shuffled = rng.permuted(np.broadcast_to(g, (draws, N)), axis=1)
    along = shuffled @ U
    as_large = int(np.sum(N * np.einsum("dq,dq->d", along, along) / total >= statistic))
    return statistic, U.shape[1], (1 + as_large) / (1 + draws)
