"""Criteria for the number of factors r, from likelihoods and from eigenvalues.

Three kinds. Likelihood criteria weigh what a factor gains against what it costs:

    aic     2 N nll_r + 2 m_r                                    Akaike (1987, Psychometrika 52)
    bic     2 N nll_r + m_r log N                                Schwarz (1978, Ann. Statist. 6)
    ebic    bic + 2 gamma log C(K, r),  gamma = 1                Chen and Chen (2008, Biometrika 95)

with nll_r the maximised NLL per row and m_r all free parameters, P + K r + K - r (r-1)/2. N counts
rows, not rows times equations: a row is one independent draw of a K-vector, every loading is
learnt from N of them, and factor scores are integrated out rather than estimated. (log NK was
tried: it misses weak factors.) Chen and Chen add the log of the number of models of one size;
here rank r chooses r of K directions. Their gamma = 1 is consistent for any K that grows as a
power of N.

Residual criteria do the same with the factor-analysis likelihood of OLS residuals on their own
degrees of freedom, n = N less the mean number of regressors,

    aic_ols, bic_ols    2 n min_{F,d} nll(E_ols; F, d) + (2 or log n) (K r + K - r (r-1)/2).

Where regressors are equal E'E is Wishart with exactly n degrees of freedom, and this is its
likelihood, the restricted one (Patterson and Thompson 1971, Biometrika 58). They exist because
the maximum over coefficients and Sigma together is too low where n is small: a factor can take
over an equation's residual, whose coefficients are then free to explain other equations. That
gain grows with the regressors of all equations, and no penalty on loadings knows it. At N=17,
K=48, p=5 bic takes the largest candidate in every draw, bic_ols never. OLS residuals cannot
collude: correlations between them only shrink, by the order of p/N, towards fewer factors.

Eigenvalue criteria look at l_1 >= l_2 >= ... of Z'Z / n, where Z are OLS residuals whose columns
are scaled to length n^1/2. With l's sum K, m = min(n, K) and V(r) = sum_{i>r} l_i,

    ic1..3  log(V(r)/K) + r g,                                   Bai and Ng (2002), section 5
            g1 = (n+K)/(nK) log(nK/(n+K)),  g2 = (n+K)/(nK) log m,  g3 = log(m)/m
    er      l_r / l_{r+1}                                        Ahn and Horenstein (2013)
    gr      log(1 + l_r/V(r)) / log(1 + l_{r+1}/V(r+1))
    ed      (l_r - l_{r+1}) / delta, above 1 for a factor        Onatski (2010)

The mock eigenvalue l_0 = V(0) / log m lets er and gr choose r = 0 (Ahn and Horenstein, section
3); delta is twice the slope of five eigenvalues past r on their order to the power 2/3.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
from scipy import special

Array = np.ndarray

# Up to this many rows or equations all of a Gram matrix is cheaper than Lanczos.
_DENSE_LIMIT = 1500
# Eigenvalues past the largest candidate that ed looks at.
ED_BEYOND = 5
EBIC_GAMMA = 1.0


def penalties(parameters: Array, ranks: Array, n_obs: float, K: int) -> dict[str, Array]:
    """What aic, bic and ebic add to 2 N nll.

    Parameters
    ----------
    parameters : ndarray, shape (c,)
        Free parameters m_r of each candidate.
    ranks : ndarray of int, shape (c,)
    n_obs : float
        Rows, or their degrees of freedom.
    K : int

    Returns
    -------
    dict of str to ndarray, shape (c,)

    Examples
    --------
    >>> import numpy as np
    >>> costs = penalties(np.array([10.0, 20.0]), np.array([0, 1]), 100, 8)
    >>> [round(float(cost[1]), 4) for cost in costs.values()]
    [40.0, 92.1034, 96.2623]
    """
    bic = math.log(n_obs) * parameters
    choices = (
        special.gammaln(K + 1.0) - special.gammaln(ranks + 1.0) - special.gammaln(K - ranks + 1.0)
    )
    return {"aic": 2.0 * parameters, "bic": bic, "ebic": bic + 2.0 * EBIC_GAMMA * choices}


def leading_eigenvalues(E: Array, n: float, count: int) -> Array:
    """The largest eigenvalues l_1 >= l_2 >= ... of Z'Z / n; see the module.

    Parameters
    ----------
    E : ndarray, shape (rows, K)
        Residuals; columns are scaled here, so their units do not matter.
    n : float
        Degrees of freedom of the rows. Every l_i is relative to a sum of K.
    count : int
        How many; fewer come back where E has fewer rows, degrees of freedom or columns.

    Notes
    -----
    Cost O(rows K min(rows, K)) through the smaller Gram matrix, so K x K only where K is not
    above the rows; Lanczos (ARPACK), O(rows K count) an iteration, where both exceed 1,500.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.random.default_rng(0).standard_normal((30, 4))
    >>> values = leading_eigenvalues(E, 29.0, 4)
    >>> Z = E / np.sqrt((E**2).sum(0))
    >>> bool(np.allclose(values, np.linalg.eigvalsh(Z.T @ Z)[::-1]))
    True
    """
    Z = E / np.sqrt(np.einsum("kn,kn->k", E.T, E.T))
    rows, K = Z.shape
    least = min(rows, K, math.floor(n))
    count = min(count, least)
    if count < 1:
        return np.empty(0)
    small = min(rows, K)
    if small <= _DENSE_LIMIT:
        gram = Z.T @ Z if K <= rows else Z @ Z.T
        values = scipy.linalg.eigvalsh(gram, subset_by_index=[small - count, small - 1])[::-1]
    else:
        start = np.random.default_rng(0).standard_normal(small)
        size = scipy.sparse.linalg.svds(Z, count, v0=start, return_singular_vectors=False)
        values = np.square(np.sort(size)[::-1])
    return np.asarray(np.maximum(values, 0.0))


def bai_ng(values: Array, ranks: Array, n: float, K: int) -> dict[str, Array]:
    """ic1, ic2, ic3 of each candidate; NaN where r eigenvalues leave nothing.

    Parameters
    ----------
    values : ndarray
        Leading eigenvalues, at least as many as the largest candidate.
    ranks : ndarray of int, shape (c,)
    n : float
    K : int
    """
    left = _left(values, ranks, K)
    m = min(n, float(K))
    rate = (n + K) / (n * K)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(left > _NOTHING, np.log(left / K), np.nan)
    return {
        "ic1": fit - ranks * rate * math.log(rate),
        "ic2": fit + ranks * rate * math.log(m),
        "ic3": fit + ranks * math.log(m) / m,
    }


def ahn_horenstein(values: Array, ranks: Array, n: float, K: int) -> dict[str, Array]:
    """er and gr of each candidate; NaN where the eigenvalue after it is missing or zero."""
    m = min(n, float(K))
    if m <= 1.0:
        missing = np.full(len(ranks), np.nan)
        return {"er": missing, "gr": missing.copy()}
    padded = np.concatenate([[K / math.log(m)], values])

    def value(r: Array) -> Array:
        inside = r < len(padded)
        found = padded[np.where(inside, r, 0)]
        return np.where(inside & (found > _NOTHING), found, np.nan)

    with np.errstate(divide="ignore", invalid="ignore"):
        here, after = _left(values, ranks, K), _left(values, ranks + 1, K)
        er = value(ranks) / value(ranks + 1)
        after = np.where(after > _NOTHING, after, np.nan)
        gr = np.log1p(value(ranks) / here) / np.log1p(value(ranks + 1) / after)
    return {"er": er, "gr": gr}


def onatski(values: Array, ranks: Array) -> Array:
    """Eigenvalue differences l_r - l_{r+1} over their threshold; above 1 says a factor.

    The threshold is iterated as in Onatski (2010), Review of Economics and Statistics 92, section
    IV: from j = r_max + 1, the slope of l_j .. l_{j+4} on (j-1)^(2/3) .. (j+3)^(2/3), delta =
    2 |slope|, r = max{i <= r_max: l_i - l_{i+1} >= delta}, j = r + 1, until r repeats. With fewer
    than r_max + 5 eigenvalues r_max falls; with fewer than six all is NaN. NaN at r = 0.
    """
    out = np.full(len(ranks), np.nan)
    most = min(int(ranks.max(initial=0)), len(values) - ED_BEYOND)
    if most < 1:
        return out
    gaps = values[:most] - values[1 : most + 1]
    r, seen = most, set()
    delta = 0.0
    # Four rounds suffice in his simulations; a cycle of two ends as soon as it repeats.
    while r not in seen:
        seen.add(r)
        order = np.arange(r, r + ED_BEYOND, dtype=float) ** (2.0 / 3.0)
        centred = order - order.mean()
        slope = float(centred @ values[r : r + ED_BEYOND]) / float(centred @ centred)
        delta = 2.0 * abs(slope)
        above = np.flatnonzero(gaps >= delta)
        r = int(above[-1]) + 1 if len(above) else 0
    known = (ranks >= 1) & (ranks <= most)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[known] = gaps[ranks[known] - 1] / delta
    return out


# Of an eigenvalue or a remainder relative to K: rounding.
_NOTHING = 1e-10


def _left(values: Array, ranks: Array, K: int) -> Array:
    """V(r), what the first r eigenvalues leave of their sum K; NaN where they are not known."""
    cumulated = np.concatenate([[0.0], np.cumsum(values)])
    inside = ranks < len(cumulated)
    return np.where(inside, K - cumulated[np.where(inside, ranks, 0)], np.nan)


def largest_root_pvalue(root: Array, n: Array, K: Array) -> Array:
    """Upper tail of the largest eigenvalue of a white Wishart matrix W_K(n) / n.

    P(TW_1 > (n root - mu) / sigma) with, a = (n - 1/2)^1/2 and b = (K - 1/2)^1/2,

        mu = (a + b)^2,    sigma = (a + b) (1/a + 1/b)^1/3

    (Johnstone 2001, Annals of Statistics 29; the halves: Ma 2012, Bernoulli 18), and the
    Tracy-Widom law by a shifted gamma, right to 1e-3 (Chiani 2014, J. Multivariate Analysis 129).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((500, 100, 20))
    >>> root = np.linalg.eigvalsh(E.transpose(0, 2, 1) @ E)[:, -1] / 100
    >>> p = largest_root_pvalue(root, np.array(100.0), np.array(20.0))
    >>> bool(0.03 < np.mean(p < 0.05) < 0.07)
    True
    """
    centre, width = _largest_root_scale(n, K)
    x = (n * root - centre) / width
    return np.asarray(special.gammaincc(46.446, np.maximum(x + 9.84801, 0.0) / 0.186054))


def largest_root_median(n: Array, K: Array) -> Array:
    """Median of the largest eigenvalue of W_K(n) / n, by the law of `largest_root_pvalue`."""
    centre, width = _largest_root_scale(n, K)
    x = 0.186054 * special.gammainccinv(46.446, 0.5) - 9.84801
    return np.asarray((centre + width * x) / n)


def _largest_root_scale(n: Array, K: Array) -> tuple[Array, Array]:
    """mu and sigma of `largest_root_pvalue`."""
    a, b = np.sqrt(n - 0.5), np.sqrt(K - 0.5)
    return (a + b) ** 2, (a + b) * np.cbrt(1.0 / a + 1.0 / b)
