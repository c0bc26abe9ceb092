"""The Anderson-Rubin test of an endogenous coefficient, which weak instruments leave exact.

In the notation of `Partialled`: with the true coefficients b the instruments explain nothing of
y - Y b. With G = [y Y_i Y_others], d = (1, -b_i, -others)',

    A = G'W W'G,    B = (G'G - A) / df,    lambda(b_i) = min over the others of d'A d / d'B d,

lambda(b_i) / (L - m + 1) is referred to F(L - m + 1, df). With one endogenous regressor (m = 1)
that is the test of Anderson and Rubin (1949), exact for normal errors; with several it is the
subset test of Guggenberger, Kleibergen, Mavroeidis and Chen (2012), whose size is at most its
level whatever the instruments say of the others, and which is less conservative than a projection
of the joint test.

The confidence set {b_i : lambda(b_i) <= c} has a closed form for any m. It is where d'H d <= 0 for
some others, H = A - c B. Where H is positive definite in the others these are minimised out and a
quadratic inequality in b_i is left: an interval, two rays, the line or nothing. Where it is not,
no b_i is rejected.

Where rows are uneven or dependent and m = 1, g = W'(y - b Y) has the covariance

    V(b) = S11 - b (S12 + S12') + b^2 S22,

S of `score_covariance` of both reduced forms' residuals, and g'V(b)^-1 g / L is referred to
F(L, df). The set is found exactly as well: its ends are the real
zeros of det [[V(b), g(b)], [g(b)', c]], eigenvalues of a quadratic matrix polynomial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy import special

from sm_alsgls.core.beta.robust import RowWeights
from sm_alsgls.core.instruments.partialled import Partialled
from sm_alsgls.core.instruments.scores import score_covariance

Array = np.ndarray
Intervals = tuple[tuple[float, float], ...]

_LINE: Intervals = ((-np.inf, np.inf),)


class Tested(NamedTuple):
    """A statistic on F(num, denom)."""

    statistic: float
    num: int
    denom: int

    @property
    def pvalue(self) -> float:
        """Upper tail."""
        return float(special.fdtrc(self.num, self.denom, self.statistic))


@dataclass(frozen=True, eq=False)
class Even:
    """The test for independent rows with errors of one variance, by A and B.

    Attributes
    ----------
    A, B : ndarray, shape (1 + m, 1 + m)
        Of G in units of its columns' lengths.
    unit : float
        Of the coefficient that is tested, |y| / |Y_i|.
    num, denom : int
        L - m + 1 and df.
    """

    A: Array
    B: Array
    unit: float
    num: int
    denom: int

    def test(self, value: float) -> Tested:
        """Of b_i = value."""
        merge = np.zeros((len(self.A), len(self.A) - 1))
        merge[0, 0], merge[1, 0] = 1.0, -value / self.unit
        merge[2:, 1:] = np.eye(len(self.A) - 2)
        A, B = merge.T @ self.A @ merge, merge.T @ self.B @ merge
        root = scipy.linalg.eigh(A, B, eigvals_only=True, subset_by_index=[0, 0])[0]
        return Tested(max(float(root), 0.0) / self.num, self.num, self.denom)

    def confidence_set(self, alpha: float) -> Intervals:
        """Values that the test does not reject at ``alpha``, from left to right."""
        c = self.num * float(special.fdtri(self.num, self.denom, 1.0 - alpha))
        H = self.A - c * self.B
        others = H[2:, 2:]
        if len(others):
            try:
                half = np.linalg.solve(np.linalg.cholesky(others), H[2:, :2])
            except np.linalg.LinAlgError:
                return _LINE
            H = H[:2, :2] - half.T @ half
        return _scaled(_where_negative(H[0, 0], H[0, 1], H[1, 1]), self.unit)


@dataclass(frozen=True, eq=False)
class Uneven:
    """The test of one endogenous regressor's coefficient with a covariance of any rows.

    Attributes
    ----------
    g1, g2 : ndarray, shape (L,)
        W'y and W'Y over their lengths.
    S11, S12, S22 : ndarray, shape (L, L)
        Their covariances; S12 made symmetric.
    unit : float
    num, denom : int
    """

    g1: Array
    g2: Array
    S11: Array
    S12: Array
    S22: Array
    unit: float
    num: int
    denom: int

    def test(self, value: float) -> Tested:
        """Of b = value."""
        return Tested(self._wald(value / self.unit) / self.num, self.num, self.denom)

    def confidence_set(self, alpha: float) -> Intervals:
        """Values that the test does not reject at ``alpha``, from left to right."""
        L = self.num
        c = L * float(special.fdtri(L, self.denom, 1.0 - alpha))
        M0, M1, M2 = (np.zeros((L + 1, L + 1)) for _ in range(3))
        M0[:L, :L], M1[:L, :L], M2[:L, :L] = self.S11, -2.0 * self.S12, self.S22
        M0[:L, L] = M0[L, :L] = self.g1
        M1[:L, L] = M1[L, :L] = -self.g2
        M0[L, L] = c
        zero, one = np.zeros((L + 1, L + 1)), np.eye(L + 1)
        roots = scipy.linalg.eigvals(np.block([[zero, one], [-M0, -M1]]),
                                     np.block([[one, zero], [zero, M2]]))  # fmt: skip
        roots = roots[np.isfinite(roots)]
        # A double root is a touching point, which rounding may move off the real line: a cut too
        # many does no harm, pieces on both sides of it are joined again.
        near = np.abs(roots.imag) <= 1e-6 * (1.0 + np.abs(roots.real))
        cuts = np.unique(roots.real[near])
        kept: list[tuple[float, float]] = []
        for low, high in zip([-np.inf, *cuts], [*cuts, np.inf], strict=True):
            if self._wald(_between(low, high)) > c:
                continue
            if kept and kept[-1][1] == low:
                kept[-1] = (kept[-1][0], high)
            else:
                kept.append((low, high))
        return _scaled(tuple(kept), self.unit)

    def _wald(self, b: float) -> float:
        V = self.S11 - 2.0 * b * self.S12 + b * b * self.S22
        g = self.g1 - b * self.g2
        return float(g @ np.linalg.solve(V, g))


def even_rows(y: Array, part: Partialled, at: int) -> Even:
    """The test of the coefficient of endogenous regressor ``at``, of rows with one variance.

    Parameters
    ----------
    y : ndarray, shape (n,)
        The response; rows may be compressed.
    part : Partialled
    at : int
        Among the m endogenous regressors.

    References
    ----------
    Anderson and Rubin (1949), Annals of Mathematical Statistics 20. Dufour and Taamouti (2005),
    Econometrica 73. Guggenberger, Kleibergen, Mavroeidis and Chen (2012), Econometrica 80.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.instruments.anderson_rubin import even_rows
    >>> from sm_alsgls.core.instruments.partialled import partial_out
    >>> rng = np.random.default_rng(1)
    >>> z, e = rng.standard_normal((100, 2)), rng.standard_normal(100)
    >>> x = 0.5 * z[:, 0] + e + rng.standard_normal(100)
    >>> test = even_rows(x + e, partial_out(x[:, None], z, np.array([True])), 0)
    >>> round(test.test(1.0).pvalue, 3), round(test.test(3.0).pvalue, 3)
    (0.536, 0.001)
    >>> [(round(low, 2), round(high, 2)) for low, high in test.confidence_set(0.05)]
    [(-1.12, 1.4)]
    """
    order = [at, *(i for i in range(part.m) if i != at)]
    G = np.column_stack([part.left(y), part.Y[:, order]])
    size = np.linalg.norm(G, axis=0)
    G /= size
    cross = part.W.T @ G
    rest = G - part.W @ cross
    num = part.L - part.m + 1
    unit = float(size[0] / size[1])
    return Even(cross.T @ cross, rest.T @ rest / part.df, unit, num, part.df)


def uneven_rows(y: Array, part: Partialled, weights: RowWeights, factor: float = 1.0) -> Uneven:
    """The test of the one endogenous coefficient, of rows that are uneven or dependent.

    Parameters
    ----------
    y : ndarray, shape (N,)
    part : Partialled
        With m = 1, of all rows.
    weights, factor
        See `score_covariance`.

    References
    ----------
    Chernozhukov and Hansen (2008), Economics Letters 100.
    """
    G = np.column_stack([part.left(y), part.Y[:, 0]])
    size = np.linalg.norm(G, axis=0)
    G /= size
    cross = part.W.T @ G
    S = score_covariance(part.W, G - part.W @ cross, part.df, weights, factor)
    mixed = (S[0, 1] + S[1, 0]) / 2.0
    unit = float(size[0] / size[1])
    return Uneven(cross[:, 0], cross[:, 1], S[0, 0], mixed, S[1, 1], unit, part.L, part.df)


def _where_negative(h11: float, h12: float, h22: float) -> Intervals:
    """Where h11 - 2 h12 b + h22 b^2 <= 0."""
    if h22 == 0.0:
        if h12 == 0.0:
            return _LINE if h11 <= 0.0 else ()
        end = h11 / (2.0 * h12)
        return ((end, np.inf),) if h12 > 0.0 else ((-np.inf, end),)
    left = h12 * h12 - h11 * h22
    if left < 0.0:
        return () if h22 > 0.0 else _LINE
    # The larger root of the two by size, and the other by their product: nothing cancels.
    large = h12 + np.copysign(np.sqrt(left), h12)
    roots = sorted((large / h22, h11 / large)) if large else [0.0, 0.0]
    low, high = float(roots[0]), float(roots[1])
    return ((low, high),) if h22 > 0.0 else ((-np.inf, low), (high, np.inf))


def _between(low: float, high: float) -> float:
    """A point inside."""
    if np.isinf(low):
        return 0.0 if np.isinf(high) else high - 1.0 - abs(high)
    return low + 1.0 + abs(low) if np.isinf(high) else (low + high) / 2.0


def _scaled(intervals: Intervals, unit: float) -> Intervals:
    return tuple((float(low * unit), float(high * unit)) for low, high in intervals)
