"""The wild restricted efficient bootstrap of one coefficient (Davidson and MacKinnon 2010).

The t test of 2SLS over-rejects where instruments are weak; drawn under its null, and with a first
stage that is estimated efficiently there, its distribution is nearly that of the data. Exogenous
regressors taken out (`Partialled`), and with b_i at its value under the null:

1. the other endogenous coefficients by 2SLS, and the residual u = y - Y b;
2. Y on [W u] by least squares: C the coefficients of W, and V = Y - W C, which keeps what u
   explains;
3. with a sign s_n of +1 or -1 for each row, or each cluster of rows,
   Y* = W C + s V,  y* = Y* b + s u;
4. t* of b_i on (y*, Y*), and p = (1 + #{|t*| >= |t|}) / (1 + draws).

u and V are rescaled by roots of N over their degrees of freedom. A sign is that of a whole row:
with the same signs in all equations the correlation between them stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.instruments.partialled import Partialled

Array = np.ndarray

# Draws whose rows are at hand at once.
_AT_ONCE = 64
# An end of an interval is looked for as far as 2^20 standard errors, and to a thousandth of one.
_DOUBLINGS, _HALVINGS = 20, 11


@dataclass(frozen=True, eq=False)
class Null:
    """An equation whose coefficient ``at`` has a value: what draws are made of.

    Attributes
    ----------
    b : ndarray, shape (m,)
        Endogenous coefficients.
    C : ndarray, shape (L, m)
        First stage in ``W``.
    u, V : ndarray, shape (N,), (N, m)
        Rescaled residuals of the equation and of the first stage.
    """

    b: Array
    C: Array
    u: Array
    V: Array


@dataclass(frozen=True, eq=False)
class WildTest:
    """A bootstrap t test.

    Attributes
    ----------
    statistic, pvalue : float
    draws : ndarray, shape (reps,)
        t* of each.
    """

    statistic: float
    pvalue: float
    draws: Array


def rademacher(rng: np.random.Generator, reps: int, units: int) -> Array:
    """Signs of ``units`` rows or clusters in each draw, (reps, units) of +1 and -1, int8."""
    return (2 * rng.integers(0, 2, (reps, units), dtype=np.int8) - 1).astype(np.int8)


def under_null(y: Array, part: Partialled, at: int, value: float) -> Null:
    """Steps 1 and 2.

    Parameters
    ----------
    y : ndarray, shape (N,)
    part : Partialled
        Of all N rows.
    at : int
        Which of the m endogenous regressors.
    value : float
        Of its coefficient.
    """
    N, k = part.n_obs, int(part.basis.shape[1])
    others = np.arange(part.m) != at
    target = part.left(y) - value * part.Y[:, at]
    b = np.full(part.m, value)
    b[others] = np.linalg.lstsq(part.C[:, others], part.W.T @ target, rcond=None)[0]
    u = target - part.Y[:, others] @ b[others]
    # The coefficient of u in a regression on [W u] is that of u less what W explains of it.
    own = u - part.W @ (part.W.T @ u)
    size = float(own @ own)
    delta = own @ part.Y / size if size > 0.0 else np.zeros(part.m)
    C = part.C - np.multiply.outer(part.W.T @ u, delta)
    V = part.Y - part.W @ C
    return Null(b, C, u * np.sqrt(N / (N - k - part.m + 1)), V * np.sqrt(N / part.df))


def tsls_t(
    u: Array, Y: Array, part: Partialled, at: int,
    weights: RowWeights | None = None, factor: float = 1.0,
) -> Array:  # fmt: skip
    """t of b_at of 2SLS about the b with y = Y b + u, in each of R samples.

    Parameters
    ----------
    u : ndarray, shape (R, N)
        Exogenous regressors taken out, as of Y.
    Y : ndarray, shape (R, m, N)
    part : Partialled
    at : int
    weights : RowWeights, optional
        Standard errors of dependent or uneven rows; default those of one variance.
    factor : float
        Of their square: N / (N - p) is HC1's; N - p is the divisor without weights.

    Returns
    -------
    ndarray, shape (R,)
    """
    N, m = part.n_obs, part.m
    free = N - int(part.basis.shape[1]) - m
    C = Y @ part.W  # (R, m, L)
    A = np.linalg.inv(C @ C.transpose(0, 2, 1))
    row = np.einsum("rm,rml->rl", A[:, at], C)
    score = u @ part.W
    distance = np.einsum("rml,rl->rm", C, score)
    off = np.einsum("rij,rj->ri", A, distance)
    e = u - np.einsum("rm,rmn->rn", off, Y)
    if weights is None:
        variance = np.vecdot(e, e) / free * A[:, at, at]
    else:
        e *= row @ part.W.T
        variance = factor * weights.diagonal(weights.reduce(e.T).T)
    return np.asarray(off[:, at] / np.sqrt(variance))


def wild_test(
    y: Array, part: Partialled, at: int, value: float, signs: Array,
    *, code: Array | None = None, weights: RowWeights | None = None, factor: float = 1.0,
) -> WildTest:  # fmt: skip
    """The bootstrap t test that the coefficient of endogenous regressor ``at`` is ``value``.

    Parameters
    ----------
    y : ndarray, shape (N,)
    part : Partialled
        Of all N rows.
    at : int
    value : float
    signs : ndarray, shape (reps, G)
        `rademacher`; of N rows, or of the G clusters.
    code : ndarray of int, shape (N,), optional
        The cluster of each row. Default: rows are their own.
    weights, factor
        Of the standard errors, see `tsls_t`. Default: rows of one variance.

    Returns
    -------
    WildTest

    References
    ----------
    Davidson and MacKinnon (2010), Journal of Business & Economic Statistics 28, 128-144; (2014),
    Econometric Reviews 33, for several endogenous regressors.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.partialled import partial_out
    >>> from sm_alsgls.core.instruments.wild_restricted import rademacher, wild_test
    >>> rng = np.random.default_rng(1)
    >>> z, e = rng.standard_normal((100, 2)), rng.standard_normal(100)
    >>> x = 0.5 * z[:, 0] + e + rng.standard_normal(100)
    >>> part = partial_out(x[:, None], z, np.array([True]))
    >>> signs = rademacher(rng, 399, 100)
    >>> wild_test(x + e, part, 0, 1.0, signs).pvalue > 0.1
    True
    >>> wild_test(x + e, part, 0, 3.0, signs).pvalue < 0.05
    True
    """
    null = under_null(y, part, at, value)
    u = part.left(y) - part.Y @ null.b
    found = float(tsls_t(u[None], part.Y.T[None], part, at, weights, factor)[0])
    mean, basis = (part.W @ null.C).T, part.basis
    draws = np.empty(len(signs))
    for start in range(0, len(signs), _AT_ONCE):
        chunk = signs[start : start + _AT_ONCE]
        s = (chunk if code is None else chunk[:, code]).astype(float)
        U, Y = s * null.u, s[:, None, :] * null.V.T
        U -= (U @ basis) @ basis.T
        Y -= (Y @ basis) @ basis.T
        Y += mean
        draws[start : start + _AT_ONCE] = tsls_t(U, Y, part, at, weights, factor)
    # A draw whose signs are all alike repeats the sample, but for rounding.
    as_large = np.abs(draws) >= abs(found) * (1.0 - 1e-9)
    return WildTest(found, float((1 + as_large.sum()) / (1 + len(signs))), draws)


def wild_interval(
    y: Array, part: Partialled, at: int, alpha: float, signs: Array,
    *, code: Array | None = None, weights: RowWeights | None = None, factor: float = 1.0,
) -> tuple[float, float]:  # fmt: skip
    """Values about the 2SLS estimate that `wild_test` does not reject at ``alpha``.

    Each value is tested with errors drawn under it, by the same signs. An end is infinite where the
    test rejects nowhere within a million standard errors: where instruments are weak enough, no
    procedure that covers has finite ends always (Dufour 1997).

    Notes
    -----
    Some 25 tests: .3 s at N = 1,000 with 999 draws and one endogenous regressor.
    """
    target = part.left(y)
    b = np.linalg.lstsq(part.C, part.W.T @ target, rcond=None)[0]
    e = target - part.Y @ b
    spread = np.linalg.inv(part.C.T @ part.C)[at, at]
    step = float(np.sqrt(spread * (e @ e) / part.n_obs)) or float(abs(b[at])) or 1.0

    def accepts(value: float) -> bool:
        test = wild_test(y, part, at, value, signs, code=code, weights=weights, factor=factor)
        return test.pvalue >= alpha

    centre = float(b[at])
    return _end(accepts, centre, -step), _end(accepts, centre, step)


def _end(accepts: Callable[[float], bool], centre: float, step: float) -> float:
    """Where acceptance ends on the side of ``step``, by doubling and then halving."""
    inner, outer = 0.0, 1.0
    for _ in range(_DOUBLINGS):
        if not accepts(centre + outer * step):
            break
        inner, outer = outer, 2.0 * outer
    else:
        return float(np.copysign(np.inf, step))
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2.0
        if accepts(centre + middle * step):
            inner = middle
        else:
            outer = middle
    return centre + (inner + outer) / 2.0 * step
