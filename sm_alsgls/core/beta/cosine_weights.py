"""Dependence over time with intervals that know how little a short series says about it.

A kernel estimate of a long-run variance is consistent as its bandwidth grows slower than N, and its
normal quantiles forget that at N = 20 it is made of three numbers. With B cosines instead,

    Lambda_b = sum_n c_b(n) u_n,   c_b(n) = sqrt(2) cos(pi b (n - 1/2) / N),   b = 1 .. B,
    M = (1 / B) sum_b Lambda_b Lambda_b' ,

for smooth spectra each Lambda_b is about N(0, M), independent of each other and of the sum of u, so
that t statistics have a t(B) law and F statistics Hotelling's T2, with B fixed as N grows (Müller
2007, Journal of Econometrics 141; Phillips 2005; Sun 2013, Econometrics Journal 16). The B of
Lazarus, Lewis, Stock and Watson (2018, Journal of Business and Economic Statistics 36), .4 N^(2/3),
gives up some power for a size close to the level. Cosines sum to zero, so that u need not.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def default_terms(N: int) -> int:
    """B of ``N`` rows: .4 N^(2/3), one at the least.

    >>> [default_terms(N) for N in (17, 40, 100, 400)]
    [3, 5, 9, 22]
    """
    return max(1, round(0.4 * N ** (2.0 / 3.0)))


class Cosines:
    """Rows are dependent over time: omega = C C' / B for the cosines C (N, B).

    Parameters
    ----------
    n_rows : int
        N.
    terms : int
        B, from 1 to N - 1.

    Examples
    --------
    >>> import numpy as np
    >>> weights = Cosines(200, 20)
    >>> u = np.random.default_rng(0).standard_normal((200, 1))
    >>> bool(0.5 < weights.diagonal(weights.reduce(u).T)[0] / 200 < 1.5)
    True
    """

    def __init__(self, n_rows: int, terms: int) -> None:
        at = (np.arange(n_rows) + 0.5) / n_rows
        angles = np.pi * np.arange(1, terms + 1)[:, None] * at
        self._cosines = np.sqrt(2.0 / terms) * np.cos(angles)

    def reduce(self, U: Array) -> Array:
        """The B cosine sums of rows U (N, p), over the root of B: (B, p)."""
        return self._cosines @ U

    def inner(self, A: Array, B: Array) -> Array:
        """A B'."""
        return A @ B.T

    def diagonal(self, A: Array) -> Array:
        """Row sums of squares of A."""
        return np.einsum("mc,mc->m", A, A)
