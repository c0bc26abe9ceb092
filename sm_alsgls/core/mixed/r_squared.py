"""Shares of variance: Nakagawa and Schielzeth's R2, with random slopes, and ICC.

    s2_f = var(X b) over rows,   s2_a = mean over rows of z'G z,   s2_e = mean residual variance

    marginal     s2_f / (s2_f + s2_a + s2_e)            ICC, adjusted    s2_a / (s2_a + s2_e)
    conditional  (s2_f + s2_a) / (s2_f + s2_a + s2_e)   ICC, unadjusted  s2_a / (s2_f + s2_a + s2_e)

(Nakagawa and Schielzeth 2013, Methods in Ecology and Evolution 4; s2_a with slopes Johnson 2014,
ibid. 5). The variance of X b is over n - 1, as in R's performance. Weights leave rows as they
are; the residual variance is that of a row of weight 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Shares(NamedTuple):
    """Variances of a response's parts, averaged over rows.

    Attributes
    ----------
    fixed, random, residual : float
    """

    fixed: float
    random: float
    residual: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.fixed + self.random + self.residual

    @property
    def marginal(self) -> float:
        """R2 of the fixed effects."""
        return self.fixed / self.total

    @property
    def conditional(self) -> float:
        """R2 of fixed and random effects."""
        return (self.fixed + self.random) / self.total

    @property
    def adjusted(self) -> float:
        """Intraclass correlation of what the fixed effects leave."""
        return self.random / (self.random + self.residual)

    @property
    def unadjusted(self) -> float:
        """Intraclass correlation of the response; performance's, formerly conditional."""
        return self.random / self.total


def shares(X: Array, Z: Array, b: Array, G: Array, residual: float | Array) -> Shares:
    """The variances of rows.

    Parameters
    ----------
    X, Z : ndarray, shapes (n, p), (n, q)
    b : ndarray, shape (p,)
    G : ndarray, shape (q, q)
    residual : float or ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((4, 1))
    >>> made = shares(one, one, np.ones(1), np.array([[3.0]]), 1.0)
    >>> made.marginal, made.conditional, made.adjusted
    (0.0, 0.75, 0.75)
    """
    fixed = float(np.var(X @ b, ddof=1)) if len(b) else 0.0
    # mean of z'Gz is the product of G and the mean of z z'.
    random = float(np.sum(G * (Z.T @ Z))) / len(Z)
    return Shares(fixed, random, float(np.mean(residual)))
