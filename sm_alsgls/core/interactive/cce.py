"""Common correlated effects: averages over units stand for the factors.

M_i projects out of the rows of unit i the known factors l_t and h_t, the averages over units of y
and x in period t, with `lags` lags of them (Chudik and Pesaran 2015, J. of Econometrics 188, for
regressors that are lags of y: the whole part of T^1/3). With S_i = X_i' M_i X_i,

    b_i  = S_i^-1 X_i' M_i y_i
    mg     mean b_i,                              cov  sum (b_i - mg)(b_i - mg)' / (n (n-1))
    pooled (sum S_i)^-1 sum X_i' M_i y_i,         cov  (sum S_i)^-1 R (sum S_i)^-1,
           R = n / (n-1) sum S_i (b_i - mg)(b_i - mg)' S_i

(Pesaran 2006, Econometrica 74, equations 53-58 and 65-69). Both covariances are of b_i that differ
between units, and hold where they do not. Factors need not be counted; at most 1 + p of them may
matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.panel import Panel
from sm_alsgls.core.threads import on_one_thread

Array = np.ndarray

_INDEPENDENT = 1e-10


@dataclass(frozen=True)
class CCEFit:
    """Common correlated effects, both ways.

    Attributes
    ----------
    of_units : ndarray, shape (n, p)
        b_i; NaN where ``singular``.
    singular : ndarray of bool, shape (n,)
        Units whose rows do not tell b_i; they have no part in `mean_group`.
    mean_group, pooled : ndarray, shape (p,)
    cov_mean_group, cov_pooled : ndarray, shape (p, p)
    E_mean_group, E_pooled : ndarray, shape (T, n)
        M_i (y_i - X_i b_i) and M_i (y_i - X_i pooled); zero where nothing is used.
    averages : ndarray, shape (T, m)
        Independent columns of l and h with its lags; NaN in the first ``lags`` periods.
    used : ndarray of bool, shape (T, n)
    lags : int
    """

    of_units: Array
    singular: Array
    mean_group: Array
    pooled: Array
    cov_mean_group: Array
    cov_pooled: Array
    E_mean_group: Array
    E_pooled: Array
    averages: Array
    used: Array
    lags: int


def default_lags(T: int) -> int:
    """The whole part of T^1/3.

    Examples
    --------
    >>> default_lags(26), default_lags(27), default_lags(100)
    (2, 3, 4)
    """
    return int(np.floor(np.cbrt(T) + 1e-9))


@on_one_thread
def cce(panel: Panel, L: Array, *, lags: int = 0) -> CCEFit:
    """Fit.

    Parameters
    ----------
    panel : Panel
        Of equal or unequal numbers of periods. A lag of y is a regressor like another.
    L : ndarray, shape (T, kL)
        Known factors: a column of ones for unit effects.
    lags : int
        Of the averages; as many periods are lost.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.interactive.panel import Panel
    >>> rng = np.random.default_rng(0)
    >>> f, a = rng.standard_normal((30, 1)), 1.0 + rng.standard_normal((40, 1))
    >>> X = (f @ a.T + rng.standard_normal((30, 40)))[None]
    >>> Y = 2.0 * X[0] + 3.0 * f @ a.T + 0.1 * rng.standard_normal((30, 40))
    >>> found = cce(Panel(Y, X), np.ones((30, 1)))
    >>> bool(abs(found.pooled[0] - 2.0) < 0.05)
    True
    """
    T, n, p = panel.T, panel.n, panel.p
    seen = np.ones((T, n), dtype=bool) if panel.seen is None else panel.seen
    H = np.column_stack([L, _averages(panel, seen, lags)])
    used = seen.copy()
    used[:lags] = False
    H[:lags] = np.nan
    used &= np.isfinite(H).all(axis=1)[:, None]
    # Regressors of like size: then solving with S_i loses no digits to units of measurement.
    size = np.sqrt(np.maximum(np.square(panel.X * used).sum(axis=(1, 2)) / used.sum(), 1e-300))
    known = used.any(axis=1)
    H = H[:, _independent(H[known])] if known.any() else H
    tall = H / np.sqrt(np.square(H[known]).sum(axis=0))
    S, moments = np.zeros((n, p, p)), np.zeros((n, p))
    MX, My = np.zeros((p, T, n)), np.zeros((T, n))
    singular, of_units = np.zeros(n, dtype=bool), np.full((n, p), np.nan)
    whole = used[known].all()
    Q = scipy.linalg.orth(tall[known]) if whole else None
    for i in range(n):
        rows = known if whole else used[:, i]
        basis = Q if Q is not None else scipy.linalg.orth(tall[rows])
        x, y = panel.X[:, rows, i].T / size, panel.Y[rows, i]
        mx, my = x - basis @ (basis.T @ x), y - basis @ (basis.T @ y)
        MX[:, rows, i], My[rows, i] = mx.T, my
        S[i], moments[i] = mx.T @ mx, mx.T @ my
        singular[i] = _is_singular(S[i], x)
        if not singular[i]:
            of_units[i] = np.linalg.solve(S[i], moments[i])
    total = S.sum(axis=0)
    pooled = np.linalg.solve(total, moments.sum(axis=0))
    kept = of_units[~singular]
    m = len(kept)
    mean = kept.mean(axis=0) if m else np.full(p, np.nan)
    apart = kept - mean
    spread = max(m - 1, 1)
    pulled = np.einsum("ijk,ik->ij", S[~singular], apart)
    bread = np.linalg.inv(total)
    meat = pulled.T @ pulled * (m / spread)
    each = np.where(singular[:, None], mean, of_units)
    square = np.outer(size, size)
    return CCEFit(
        of_units=of_units / size,
        singular=singular,
        mean_group=mean / size,
        pooled=pooled / size,
        cov_mean_group=apart.T @ apart / (max(m, 1) * spread) / square,
        cov_pooled=bread @ meat @ bread / square,
        E_mean_group=My - np.einsum("ptn,np->tn", MX, each),
        E_pooled=My - np.tensordot(pooled, MX, 1),
        averages=H,
        used=used,
        lags=lags,
    )


def half_panel(panel: Panel, L: Array, *, lags: int = 0) -> tuple[Array, Array]:
    """2 b - (b of the first half of periods + b of the second) / 2: pooled and mean group.

    The half-panel jackknife of Chudik and Pesaran (2015), for the bias of order 1/T of lagged y.
    """
    T, every = panel.T, slice(None)
    whole = cce(panel, L, lags=lags)
    # The averages' lags take from each half the periods before it where there are some.
    middle = lags + (T - lags) // 2
    halves = [slice(0, middle), slice(middle - lags, T)]
    parts = [cce(panel.taken(rows, every), L[rows], lags=lags) for rows in halves]
    return (
        2.0 * whole.pooled - 0.5 * (parts[0].pooled + parts[1].pooled),
        2.0 * whole.mean_group - 0.5 * (parts[0].mean_group + parts[1].mean_group),
    )


def _averages(panel: Panel, seen: Array, lags: int) -> Array:
    """h_t with its lags, shape (T, (1 + p)(1 + lags)); NaN where nobody was seen."""
    number = seen.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        now = np.stack([np.where(seen, M, 0.0).sum(axis=1) / number for M in (panel.Y, *panel.X)])
    out = np.full((panel.T, len(now) * (1 + lags)), np.nan)
    for lag in range(1 + lags):
        out[lag:, lag * len(now) : (lag + 1) * len(now)] = now[:, : panel.T - lag].T
    return out


def _independent(H: Array) -> Array:
    """Columns that those before them do not span: an average of a lagged y is a lagged average."""
    size = np.linalg.norm(H, axis=0)
    scaled = H / np.where(size > 0.0, size, 1.0)
    kept: list[int] = []
    for j in range(H.shape[1]):
        rest = scaled[:, j]
        if kept:
            Q = np.linalg.qr(scaled[:, kept])[0]
            rest = rest - Q @ (Q.T @ rest)
            rest = rest - Q @ (Q.T @ rest)
        if np.linalg.norm(rest) > _INDEPENDENT:
            kept.append(j)
    return np.array(kept, dtype=int)


def _is_singular(S: Array, x: Array) -> bool:
    """Whether a combination of the regressors has nothing left of it, in units of each."""
    size = np.linalg.norm(x, axis=0)
    if not (size > 0.0).all():
        return True
    return bool(np.linalg.eigvalsh(S / np.outer(size, size))[0] <= _INDEPENDENT)
