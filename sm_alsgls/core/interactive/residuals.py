"""Residuals of a panel of units: correlation in time, and between units, less what a fit makes.

With r factors, effects and slopes taken out, residuals of independent errors are not independent.
Of unit i, over its T_i periods, e_i = M_i eps_i, M_i = I - B_i B_i' with B_i a basis of the unit's
own regression: factors, constant, known series. So (S shifts by a period)

    E e_i'S e_i = d_i tr S M_i,     E e_i'e_i = d_i tr M_i,     kappa_i = tr S M_i / tr M_i,
    q_i = (e_i'S e_i - kappa_i e_i'e_i) / d_i                                   has mean zero,

and t = sum q_i / (n/(n-1) sum (q_i - mean q)^2)^1/2, of n - 1 degrees of freedom, allows for any
variances. Between units z_t = P eps_t, P = I - V V' with V a basis of loadings. With columns of z
of length T_i^1/2, correlations rho_ij and signs w of the units,

    S_w = sum_{i != j} w_i w_j rho_ij,      E S_w = w'R w - n =: a - n,      var S_w = 2 a^2 / f,

R being P with ones on its diagonal, R_ij less R_ij (1 - R_ij^2) / 2f, f what is left of T. w = 1 is
the CD of Pesaran (2021, Empirical Economics 60), of which a fit with factors makes a large negative
number: less its mean it is what Pesaran and Xie (2023, arXiv 2109.00408) correct it to. Where
residuals add up to about nothing in each period, a is, and nothing is left of it: then random
signs, whose statistics are added up over draws, and to which those rho_ij are added that are larger
than any of independent units (Juodis and Reese 2022, J. of Business and Economic Statistics 40).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy import stats

Array = np.ndarray

#: Share of 1'1 that P must leave of it for an unweighted sum to say anything.
LEAST_LEFT = 0.1
_SIGNS = 30


class Following(NamedTuple):
    """First-order correlation of residuals in time."""

    rho: float
    statistic: float  #: t
    df: int
    pvalue: float
    of_units: Array  #: (n,), NaN where nobody follows anybody
    pvalues: Array  #: (n,), normal


def following(z: Array, seen: Array, bases: Sequence[Array]) -> Following:
    """Whether errors follow those of the period before.

    Parameters
    ----------
    z : ndarray, shape (T, n)
        Residuals in units of the errors, zero where nothing was observed.
    seen : ndarray of bool, shape (T, n)
    bases : sequence of ndarray
        n of orthonormal columns (T, k), zero in periods that a unit does not have. Those that are
        the same array are looked at once.

    Examples
    --------
    >>> import numpy as np
    >>> e = np.random.default_rng(0).standard_normal((20, 400))
    >>> one = np.full((20, 1), 20**-0.5)
    >>> z, seen = e - e.mean(axis=0), np.ones((20, 400), dtype=bool)
    >>> found = following(z, seen, [one] * 400)
    >>> abs(found.rho) < 0.03, float(np.mean(found.pvalues < 0.05)) < 0.08
    (True, True)
    """
    n = z.shape[1]
    known: dict[int, tuple[float, float, float]] = {}
    kappa, spread, pairs = np.full(n, np.nan), np.full(n, np.nan), np.full(n, 0.0)
    whole = bool(seen.all())
    for i, B in enumerate(bases):
        key = id(B) if whole else i
        if key not in known:
            known[key] = _under_independence(seen[:, i], B)
        kappa[i], spread[i], pairs[i] = known[key]
    products = np.einsum("tn,tn->n", z[1:], z[:-1])
    squares = np.einsum("tn,tn->n", z, z)
    told = np.isfinite(spread) & (squares > 0.0)
    of_units = np.full(n, np.nan)
    own = products[told] / squares[told] - kappa[told]
    of_units[told] = own
    pvalues = np.full(n, np.nan)
    pvalues[told] = 2.0 * stats.norm.sf(np.abs(own) / spread[told])
    q = products[told] - kappa[told] * squares[told]
    m = len(q)
    if m < 2:
        return Following(np.nan, np.nan, 0, np.nan, of_units, pvalues)
    t = float(q.sum() / np.sqrt(m / (m - 1.0) * np.sum(np.square(q - q.mean()))))
    # Of pairs, not of cells, and less the end effect: sum e_t e_t-1 has fewer terms than sum e_t^2.
    share = pairs[told] / seen[:, told].sum(axis=0)
    rho = float(q.sum() / (share @ squares[told]))
    return Following(rho, t, m - 1, float(2.0 * stats.t.sf(abs(t), m - 1)), of_units, pvalues)


def _under_independence(rows: Array, B: Array) -> tuple[float, float, float]:
    """kappa, the standard deviation of e'Se / e'e about it, and how many pairs there are."""
    T = len(rows)
    M = np.diag(rows.astype(float)) - B @ B.T
    S = np.zeros((T, T))
    both = np.flatnonzero(rows[1:] & rows[:-1])
    S[both, both + 1] = S[both + 1, both] = 0.5
    left = float(np.trace(M))
    if left < 2.0 or not len(both):
        return np.nan, np.nan, float(len(both))
    kappa = float(np.sum(S * M)) / left
    moved = M @ (S - kappa * np.eye(T)) @ M
    # var(e'Ae) = 2 tr (MA)^2 of normal errors, and e'e is about its mean.
    return kappa, float(np.sqrt(2.0 * np.sum(moved * moved.T)) / left), float(len(both))


class Across(NamedTuple):
    """Correlation of residuals between units; normal statistics but ``cd``, which is biased."""

    mean: float  #: of the correlations
    mean_absolute: float
    cd: float  #: Pesaran's, as it is
    corrected: float  #: less what the fit does to it; NaN where nothing is left
    weighted: float  #: of Juodis and Reese, with their enhancement
    correlations: Array  #: (n, n)


def across(z: Array, seen: Array, V: Array, freedom: float, rng: np.random.Generator) -> Across:
    """Whether errors of units are correlated.

    Parameters
    ----------
    z : ndarray, shape (T, n)
        Residuals in units of the errors, zero where nothing was observed.
    seen : ndarray of bool, shape (T, n)
    V : ndarray, shape (n, k)
        Orthonormal: what of the units, in these units, has been taken out of each period.
    freedom : float
        f, periods less what each unit's regression takes of them.
    rng : numpy Generator
        Of the signs.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> V = np.full((50, 1), 50**-0.5)
    >>> e = rng.standard_normal((40, 50))
    >>> z, seen = e - (e @ V) @ V.T, np.ones((40, 50), dtype=bool)
    >>> found = across(z, seen, V, 40.0, rng)
    >>> found.cd < -4.0, bool(np.isnan(found.corrected)), abs(found.weighted) < 2.0
    (True, True, True)
    """
    n = z.shape[1]
    both = seen.T.astype(float) @ seen
    size = np.sqrt(np.square(z).T @ seen)  # of i over the periods of j
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where((both > 2.0) & (size * size.T > 0.0), (z.T @ z) / (size * size.T), 0.0)
    np.fill_diagonal(rho, 0.0)
    # Of pairs with fewer common periods correlations are larger.
    weight = np.sqrt(both / len(z))
    np.fill_diagonal(weight, 0.0)
    R = -(V @ V.T)
    kept = 1.0 + np.diagonal(R)
    R = R / np.sqrt(np.outer(kept, kept))
    # What correlations of f rows are on average (Hotelling 1953).
    R *= 1.0 - (1.0 - np.square(R)) / (2.0 * freedom)
    np.fill_diagonal(R, 0.0)
    weighed = rho * weight
    share = freedom / len(z)

    def statistic(w: Array) -> tuple[float, float]:
        """Standardised, and a / n."""
        a = n + float(w @ (R @ w))
        excess = float(w @ weighed @ w) - float(w @ (R * weight) @ w)
        return excess / a * float(np.sqrt(share * len(z) / 2.0)), a / n

    one = np.ones(n)
    corrected, left = statistic(one)
    signs = rng.integers(0, 2, (_SIGNS, n)) * 2.0 - 1.0
    weighted = float(sum(statistic(w)[0] for w in signs) / np.sqrt(_SIGNS))
    upper = np.triu_indices(n, 1)
    each = np.abs(rho[upper])
    # Larger than n (n - 1) / 2 independent ones are, with a probability that goes to one.
    least = 2.0 * np.sqrt(np.log(n) / np.maximum(both[upper] * share, 1.0))
    weighted += float(each[each > least].sum())
    return Across(
        float(rho[upper].mean()),
        float(each.mean()),
        float(np.sqrt(2.0 / (n * (n - 1.0))) * (np.sqrt(both) * rho)[upper].sum()),
        corrected if left >= LEAST_LEFT else np.nan,
        weighted,
        rho,
    )


def unit_bases(H: Array, seen: Array) -> list[Array]:
    """Orthonormal bases (T, k) of the columns of H over the periods of each unit.

    Parameters
    ----------
    H : ndarray, shape (T, k)
        Not looked at where nobody was seen.
    seen : ndarray of bool, shape (T, n)
    """
    if not H.shape[1]:
        return [np.zeros((len(H), 0))] * seen.shape[1]
    known: dict[bytes, Array] = {}
    out = []
    for rows in seen.T:
        key = rows.tobytes()
        if key not in known:
            found = scipy.linalg.orth(H[rows] / np.linalg.norm(H[rows], axis=0))
            B = np.zeros((len(H), found.shape[1]))
            B[rows] = found
            known[key] = B
        out.append(known[key])
    return out
