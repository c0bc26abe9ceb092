"""Tests of many columns of residuals at once: normality, serial correlation, ARCH.

Every function takes residuals (N, m), rows in order, and returns a statistic and a p-value for
each column; cost O(N m) times the lags. No column is centred but where a formula says so.

    normality       Doornik and Hansen (2008, Oxford Bulletin of Economics and Statistics 70):
                    z1^2 + z2^2 ~ chi2(2), z1 and z2 the skewness and the kurtosis made normal.
                    Jarque and Bera's N (b1 + (b2 - 3)^2 / 4) / 6 has the same law for large N only:
                    at N = 100 it exceeds chi2's 1e-4 point 45 times too often.
    ljung_box       N (N + 2) sum_{k<=L} rho_k^2 / (N - k) ~ chi2(L)
    arch            (N - L) R^2 of e_t^2 on a constant and L of its lags ~ chi2(L)
                    (Engle 1982, Econometrica 50)

K equations look at their smallest p-value, Holm's test at 0.05 / K, where chi2 is wrong: at its
1e-4 point and N = 100 the first exceeds it 8 times too often, the second 8, the third 2.
`NullTail` corrects a p-value by the law that it has for white Gaussian columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from scipy import stats

Array = np.ndarray


def moments(E: Array) -> tuple[Array, Array]:
    """Skewness m3 / m2^(3/2) and kurtosis m4 / m2^2 about the means, (m,) each."""
    C = E - E.mean(axis=0)
    # In units of its own, of which fourth powers are floats.
    C /= np.sqrt(np.einsum("nm,nm->m", C, C) / len(E))
    squares = C * C
    n, m2 = len(E), squares.mean(axis=0)
    m3 = np.einsum("nm,nm->m", squares, C) / n
    return m3 / m2**1.5, np.einsum("nm,nm->m", squares, squares) / (n * m2**2)


def jarque_bera(E: Array) -> Array:
    """N (b1 + (b2 - 3)^2 / 4) / 6, (m,)."""
    skew, kurtosis = moments(E)
    return np.asarray(len(E) / 6.0 * (skew**2 + 0.25 * (kurtosis - 3.0) ** 2))


def normality(E: Array) -> tuple[Array, Array]:
    """Doornik and Hansen's omnibus statistic; NaN below eight rows.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.random.default_rng(0).standard_normal((40, 2000))
    >>> p = normality(E)[1]
    >>> bool(abs(np.mean(p < 0.05) - 0.05) < 0.02)
    True
    """
    n = float(len(E))
    if n < 8:
        missing = np.full(E.shape[1], np.nan)
        return missing, missing.copy()
    skew, kurtosis = moments(E)
    # Skewness: D'Agostino (1970), a Johnson S_u curve.
    beta = 3.0 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    w2 = np.sqrt(2.0 * (beta - 1.0)) - 1.0
    y = skew * np.sqrt(0.5 * (w2 - 1.0) * (n + 1) * (n + 3) / (6.0 * (n - 2)))
    z1 = np.arcsinh(y) / np.sqrt(0.5 * np.log(w2))
    # Kurtosis given skewness: a gamma law, made normal by Wilson and Hilferty's cube root.
    delta = (n - 3) * (n + 1) * (n**2 + 15 * n - 4)
    a = (n - 2) * (n + 5) * (n + 7) * (n**2 + 27 * n - 70) / (6.0 * delta)
    c = (n - 7) * (n + 5) * (n + 7) * (n**2 + 2 * n - 5) / (6.0 * delta)
    k = (n + 5) * (n + 7) * (n**3 + 37 * n**2 + 11 * n - 313) / (12.0 * delta)
    alpha = a + skew**2 * c
    chi = 2.0 * k * (kurtosis - 1.0 - skew**2)
    z2 = (np.cbrt(chi / (2.0 * alpha)) - 1.0 + 1.0 / (9.0 * alpha)) * np.sqrt(9.0 * alpha)
    statistic = z1**2 + z2**2
    return statistic, stats.chi2.sf(statistic, 2)


def ljung_box(E: Array, lags: int) -> tuple[Array, Array]:
    """Serial correlation up to ``lags``, about the means; NaN of a column that is constant."""
    n = len(E)
    C = E - E.mean(axis=0)
    total = np.einsum("nm,nm->m", C, C)
    total[total == 0.0] = np.nan
    statistic = np.zeros(E.shape[1])
    for k in range(1, lags + 1):
        rho = np.einsum("nm,nm->m", C[k:], C[:-k]) / total
        statistic += rho**2 / (n - k)
    statistic *= n * (n + 2.0)
    return statistic, stats.chi2.sf(statistic, lags)


def arch(E: Array, lags: int) -> tuple[Array, Array]:
    """Engle's LM test of squares about zero; NaN where they do not vary."""
    n = len(E)
    squares = E**2 / np.mean(E**2, axis=0)
    y = squares[lags:] - squares[lags:].mean(axis=0)
    X = np.stack([squares[lags - k : n - k] for k in range(1, lags + 1)], axis=2)
    X = X - X.mean(axis=0)
    gram = np.einsum("nma,nmb->mab", X, X)
    cross = np.einsum("nma,nm->ma", X, y)
    try:
        slopes = np.linalg.solve(gram, cross[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # squares that are constant, or repeat themselves
        inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
        slopes = np.einsum("mab,mb->ma", inverse, cross)
    total = np.einsum("nm,nm->m", y, y)
    varies = total > n * np.finfo(float).eps  # their mean is 1
    explained = np.full(E.shape[1], np.nan)
    np.divide(np.einsum("ma,ma->m", slopes, cross), total, out=explained, where=varies)
    statistic = (n - lags) * explained
    return statistic, stats.chi2.sf(statistic, lags)


class NullTail:
    """What a nominal p-value is worth, by simulation of white Gaussian columns.

    With x = -log p, the simulated share of columns above x up to its 99.5 % point, beyond it an
    exponential tail with the mean excess of what was simulated (x is exactly exponential where p
    is exact). Above 2,000 rows columns of 2,000 stand for them, whose tails are no lighter.

    Parameters
    ----------
    test : callable
        Columns (N, m) to p-values (m,).
    n_obs : int
    draws : int
        Elements to draw, 2,000 columns at the least.

    Examples
    --------
    >>> tail = NullTail(lambda E: normality(E)[1], 100)
    >>> p = tail(np.array([0.5, 1e-4]))
    >>> bool(abs(p[0] - 0.5) < 0.05), bool(4 < p[1] / 1e-4 < 16)
    (True, True)
    """

    def __init__(self, test: Callable[[Array], Array], n_obs: int, draws: int = 10_000_000) -> None:
        rows = min(n_obs, 2_000)
        columns = int(np.clip(draws // rows, 2_000, 100_000))
        rng = np.random.default_rng(1987)
        parts = [test(rng.standard_normal((rows, 1_000))) for _ in range(columns // 1_000)]
        self._keep(np.concatenate(parts))

    @classmethod
    def of(cls, simulated: Array) -> Self:
        """The same of p-values that were simulated elsewhere, some thousands."""
        tail = cls.__new__(cls)
        tail._keep(simulated)
        return tail

    def _keep(self, pvalues: Array) -> None:
        self.pvalues = pvalues
        self._x = np.sort(-np.log(np.maximum(self.pvalues, 1e-300)))
        self._from = float(np.quantile(self._x, 0.995))
        self._scale = float(np.mean(self._x[self._x > self._from] - self._from))

    @property
    def of_two(self) -> Array:
        """The simulated p-values as statistics with two degrees of freedom: -2 log p."""
        return np.asarray(-2.0 * np.log(self.pvalues))

    def __call__(self, pvalues: Array) -> Array:
        """Corrected p-values; NaN stay."""
        x = -np.log(np.maximum(pvalues, 1e-300))
        above = len(self._x) - np.searchsorted(self._x, x, side="left")
        inside = (1.0 + above) / (1.0 + len(self._x))
        tail = 0.005 * np.exp(-np.maximum(x - self._from, 0.0) / self._scale)
        return np.where(np.isnan(pvalues), np.nan, np.where(x > self._from, tail, inside))


def joint_normality(W: Array, tail: Array) -> tuple[float, float]:
    """Normality of independent columns together: the sum of their statistics.

    Parameters
    ----------
    W : ndarray, shape (N, m)
        Residuals made white.
    tail : ndarray
        Simulated statistics of one column, of which the sum's mean and variance are made; it is
        referred to the gamma law that has them.
    """
    return summed_normality(normality(W)[0], tail)


def summed_normality(statistics: Array, tail: Array) -> tuple[float, float]:
    """The sum of statistics (m,) of independent columns; as `joint_normality`."""
    total, m = float(statistics.sum()), len(statistics)
    mean, variance = m * float(tail.mean()), m * float(tail.var())
    return total, float(stats.gamma.sf(total, mean**2 / variance, scale=variance / mean))


def holm(pvalues: Array) -> Array:
    """Holm's (1979) adjusted p-values, right under any dependence; NaN stay out.

    >>> import numpy as np
    >>> holm(np.array([0.01, 0.5, 0.02])).round(6).tolist()
    [0.03, 0.5, 0.04]
    """
    out = np.full(len(pvalues), np.nan)
    known = np.flatnonzero(np.isfinite(pvalues))
    order = known[np.argsort(pvalues[known], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * pvalues[order]
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return out


def leverages(blocks: Sequence[Array]) -> Array:
    """Mean over equations of the diagonals of X_j (X_j'X_j)^-1 X_j', (N,)."""
    total = np.zeros(len(blocks[0]))
    known: dict[int, Array] = {}
    for X in blocks:
        if id(X) not in known:
            Q = np.linalg.qr(X / np.sqrt(np.einsum("np,np->p", X, X)))[0]
            known[id(X)] = np.einsum("np,np->n", Q, Q)
        total += known[id(X)]
    return total / len(blocks)


def condition_numbers(blocks: list[Array]) -> Array:
    """Condition number of each design with columns of unit length (K,).

    Belsley, Kuh and Welsch (1980), Regression Diagnostics, chapter 3; columns are not centred.
    """
    known: dict[int, float] = {}
    for X in blocks:
        if id(X) not in known:
            R = np.linalg.qr(X / np.sqrt(np.einsum("np,np->p", X, X)), mode="r")
            size = np.linalg.svd(R, compute_uv=False)
            known[id(X)] = float(size[0] / size[-1])
    return np.array([known[id(X)] for X in blocks])


def residual_correlations(
    E: Array, F: Array, variances: Array, n_obs: int, most: int
) -> tuple[float, Array, Array]:
    """What S = E'E/N has beyond F F' off the diagonal, as correlations.

    Parameters
    ----------
    E : ndarray, shape (n, K)
    F : ndarray, shape (K, r)
    variances : ndarray, shape (K,)
        Of Sigma.
    n_obs : int
    most : int
        Pairs to name.

    Returns
    -------
    rms : float
        Root mean square over all pairs.
    pairs : ndarray, shape (m, 2)
        The worst, by size.
    values : ndarray, shape (m,)

    Notes
    -----
    By 256 equations at a time against those that follow: O(n K^2) time, O(K) memory.
    """
    K = E.shape[1]
    Z = E / np.sqrt(n_obs * variances)
    G = F / np.sqrt(variances)[:, None]
    total = 0.0
    worst: list[tuple[float, int, int]] = []
    for low in range(0, K, 256):
        high = min(low + 256, K)
        R = Z[:, low:high].T @ Z[:, low:] - G[low:high] @ G[low:].T
        R[np.tril_indices(high - low, 0, K - low)] = 0.0
        total += float(np.vdot(R, R))
        flat = np.abs(R).ravel()
        count = min(most, len(flat))
        for at in np.argpartition(flat, -count)[-count:]:
            j, m = divmod(int(at), R.shape[1])
            if m > j:
                worst.append((float(R[j, m]), low + j, low + m))
        worst = sorted(worst, key=lambda pair: -abs(pair[0]))[:most]
    rms = float(np.sqrt(total / max(1.0, 0.5 * K * (K - 1))))
    return (
        rms,
        np.array([w[1:] for w in worst], dtype=int).reshape(-1, 2),
        np.array([w[0] for w in worst]),
    )
