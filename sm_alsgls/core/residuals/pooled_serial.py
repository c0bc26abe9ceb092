"""Are the rows of a system serially correlated? One statistic for all equations.

K tests at level 0.05 / K see little of a correlation that all equations share. The score of a
common rho in e_n = rho e_{n-1} + u_n, u_n ~ N(0, Sigma), at rho = 0 sees all of it:

    G = sum_{n>1} e_{n-1}' Sigma^-1 e_n = sum_j z_j' L z_j,       z the whitened residuals, L a lag.

Residuals are M e, M = I - Q Q', so that G is not centred: regressors that move slowly take up
neighbouring errors together. With S = L + L' and whitened columns z_j = M_j (white noise),

    E G = sum_j tr(M_j S) / 2 = -sum_j tr(Q_j' S Q_j) / 2
    Var G = sum_j tr(M_j S M_j S) / 2,    M S M S = S^2 less what Q takes, O(N p^2) for each design,

exact where designs are equal or errors uncorrelated. With c = (NK - P) / NK, since e' Sigma^-1 e
sums to NK where the errors' own sum to NK - P,

    (c G - E G)^2 / Var G ~ chi2(1),    rho = (c G - E G) / (c sum_{n>1} e_{n-1}' Sigma^-1 e_{n-1}).

The Lagrange multiplier test of Breusch (1978) and Godfrey (1978) for one equation and one lag, for
a system, with the moments of small samples (Durbin and Watson 1950 for those of one equation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

Array = np.ndarray


class PooledSerial(NamedTuple):
    """One test of serial correlation for all equations together."""

    rho: float  #: common first-order correlation, corrected for what the regressors take
    statistic: float  #: chi2(1)
    pvalue: float


def _moments(X: Array) -> tuple[float, float]:
    """tr(M S) / 2 and tr(M S M S) / 2 of the design ``X`` (N, p)."""
    N = len(X)
    Q = np.linalg.qr(X / np.sqrt(np.einsum("np,np->p", X, X)))[0]
    SQ = np.zeros_like(Q)
    SQ[1:] += Q[:-1]
    SQ[:-1] += Q[1:]
    inner = Q.T @ SQ
    # S has ones beside its diagonal: tr S = 0, tr S^2 = 2 (N - 1).
    mean = -0.5 * float(np.trace(inner))
    whole = 2.0 * (N - 1) - 2.0 * float(np.vdot(SQ, SQ)) + float(np.vdot(inner, inner))
    return mean, 0.5 * whole


def pooled_serial(E: Array, W: Array, blocks: Sequence[Array]) -> PooledSerial:
    """Test that errors of neighbouring rows are uncorrelated.

    Parameters
    ----------
    E, W : ndarray, shape (N, K)
        Residuals, rows in order, and E Sigma^-1.
    blocks : sequence of ndarray
        K designs (N, p_j).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> E = rng.standard_normal((40, 30))
    >>> E[1:] += 0.3 * E[:-1]
    >>> X = np.ones((40, 1))
    >>> E -= E.mean(axis=0)
    >>> found = pooled_serial(E, E / E.var(axis=0), [X] * 30)
    >>> 0.2 < found.rho < 0.4, found.pvalue < 1e-9
    (True, True)
    """
    N, K = E.shape
    P = sum(X.shape[1] for X in blocks)
    known: dict[int, tuple[float, float]] = {}
    mean = variance = 0.0
    for X in blocks:
        if id(X) not in known:
            known[id(X)] = _moments(X)
        mean += known[id(X)][0]
        variance += known[id(X)][1]
    c = 1.0 - P / (N * K)
    G = c * float(np.vdot(E[:-1], W[1:]))
    # Symmetric in theory; W = E Sigma^-1 makes it so to rounding.
    h = c * float(np.vdot(E[:-1], W[:-1]))
    statistic = (G - mean) ** 2 / variance
    return PooledSerial((G - mean) / h, statistic, float(stats.chi2.sf(statistic, 1)))
