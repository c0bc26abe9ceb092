"""Degrees of freedom and multipliers of robust standard errors in small samples, by coefficient.

A robust variance is a sum over independent units g (rows, or clusters of rows) of squared
influences v_g. In small samples it is too small, because residuals are, and it is noisy. Both are
worked out under a working model of the errors (Bell and McCaffrey 2002; Imbens and Kolesar 2016):

    E v_g^2 = gamma_g (1 - lambda_g),     lambda_g the share that fitting takes away,
    V = sum_g A_g^2 v_g^2,                A_g = (1 - lambda_g)^-k,
    df = 2 (E V)^2 / Var V.

k = 1/2 makes V unbiased (HC2; CR2 of clusters), k = 1 is about the jackknife (HC3, CR3), k = 0
leaves V as it is (HC0, CR0). Here the influences of a coefficient are taken to be those of least
squares in its own equation: with a = Q w the coefficient's weights on the rows, Q an orthonormal
basis of the design and S_g = sum_{n in g} a_n Q_n,

    gamma_g = sum_{n in g} a_n^2,     lambda_g = |S_g|^2 / gamma_g,
    Theta = diag(A_g^2 gamma_g) - [A_g A_h S_g'S_h],     df = (tr Theta)^2 / |Theta|^2,

which costs O(N p^2) a coefficient and forms nothing of the size of all units squared:
|Theta|^2 = sum (A^2 gamma)^2 - 2 sum A^4 gamma |S|^2 + |sum A^2 S S'|^2. Restrictions across
equations are another matter (`core.beta.hotelling`).

Bell and McCaffrey (2002), Survey Methodology 28; Imbens and Kolesar (2016), Review of Economics
and Statistics 98; Pustejovsky and Tipton (2018), Journal of Business and Economic Statistics 36.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray

# Where fitting takes away all but this share, the unit alone determines the coefficient: its score
# is zero by construction, and nothing can make it larger.
ALONE = 1e-8


class Units:
    """What is independent: the rows, or groups of them.

    Parameters
    ----------
    n_rows : int
    code : ndarray of int, shape (N,), optional
        Group numbers from 0, none left out. Default: each row is a unit.
    """

    def __init__(self, n_rows: int, code: Array | None = None) -> None:
        self.rows = code is None
        self.n_rows = n_rows
        self.count = n_rows if code is None else int(code.max()) + 1
        if code is not None:
            self._order = np.argsort(code, kind="stable")
            self._starts = np.flatnonzero(np.diff(code[self._order], prepend=-1))

    def sum(self, U: Array) -> Array:
        """Sums over each unit of rows U (N, ...): (G, ...)."""
        return U if self.rows else np.add.reduceat(U[self._order], self._starts, axis=0)


class Moments(NamedTuple):
    """Of m coefficients: multipliers A (G, m), degrees of freedom (m,), and which units that
    determine a coefficient alone take more than half of its variance (m,).
    """

    multipliers: Array
    df: Array
    lost: Array


def multiplier(share: Array, power: float) -> Array:
    """(1 - share)^-power, and 1 where a unit alone determines the coefficient."""
    left = 1.0 - share
    return np.where(left > ALONE, np.maximum(left, ALONE), 1.0) ** -power


def satterthwaite(total: Array, square: Array, scale: Array) -> Array:
    """(tr Theta)^2 / |Theta|^2, at least 1; 1 where nothing of ``scale`` is left of tr Theta."""
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total * total / square
    return np.where(total <= ALONE * scale, 1.0, np.maximum(df, 1.0))


def own_moments(Q: Array, weights: Array, units: Units, power: float) -> Moments:
    """Multipliers and degrees of freedom of combinations of one equation's coefficients.

    Parameters
    ----------
    Q : ndarray, shape (N, p)
        Orthonormal basis of the design; zero in missing rows.
    weights : ndarray, shape (p, m)
        R_j^-T r for combinations r'beta_j, as columns, so that a = Q w.
    units : Units
    power : float
        k of the module: 0, 1/2 or 1.
    """
    length = np.sqrt(np.square(weights).sum(axis=0))
    a = Q @ (weights / np.where(length > 0.0, length, 1.0))
    S = units.sum(a[:, :, None] * Q[:, None, :])
    return _moments(S, units.sum(a * a), power)


def stacked_moments(Q: Array, weights: Array, units: Units, power: float) -> Moments:
    """The same of the coefficients of k equations with p regressors each, equation by equation.

    Parameters
    ----------
    Q : ndarray, shape (N, k, p)
        Orthonormal bases of the designs.
    weights : ndarray, shape (k, m, p)
        The columns w of each equation, as rows.
    units : Units
    power : float

    Returns
    -------
    Moments
        Of k m coefficients; N k m p numbers are made on the way.
    """
    k, m, p = weights.shape
    length = np.sqrt(np.square(weights).sum(axis=2, keepdims=True))
    unit = weights / np.where(length > 0.0, length, 1.0)
    a = np.matmul(unit, Q.transpose(1, 2, 0)).transpose(2, 0, 1)
    S = units.sum((a[:, :, :, None] * Q[:, :, None, :]).reshape(len(Q), k * m, p))
    return _moments(S, units.sum(np.square(a).reshape(len(Q), k * m)), power)


def _moments(S: Array, gamma: Array, power: float) -> Moments:
    """Of S_g (G, m, p) and gamma_g (G, m)."""
    size = np.einsum("gmp,gmp->gm", S, S)
    share = np.divide(size, gamma, out=np.zeros_like(size), where=gamma > 0.0)
    A = multiplier(share, power)
    b = A * A
    # A unit without degrees of freedom adds neither to the trace nor to the square.
    total = (b * (gamma - size)).sum(axis=0)
    both = np.einsum("gm,gmp,gmq->mpq", b, S, S)
    square = np.square(b * gamma).sum(axis=0) - 2.0 * (b * b * gamma * size).sum(axis=0)
    square += np.square(both).sum(axis=(1, 2))
    lost = (gamma * (share > 1.0 - ALONE)).sum(axis=0) > 0.5 * gamma.sum(axis=0)
    return Moments(A, satterthwaite(total, square, (b * gamma).sum(axis=0)), lost)
