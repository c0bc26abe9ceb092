"""Rows of which cells are missing, filled by their means: what holds however these are found.

With the filled rows e^, and ``extra`` rows whose products sum to the covariances of what fills
them, second moments given what is observed are those of both together. The quadratic form of the
likelihood is that of the filled rows, where nothing cancels, and M e = Omega^-1 e^.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator

import numpy as np

from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.patterns import Patterns

Array = np.ndarray

_LOG_2PI = math.log(2.0 * math.pi)


class FilledRows(abc.ABC):
    """Omega of rows with holes.

    Parameters
    ----------
    cov : Covariance
        Omega of whole rows.
    patterns : Patterns
    counts : ndarray, shape (K,)
        Rows that tell of each equation.
    """

    #: Rows differ: there is no one matrix.
    precision = None

    def __init__(self, cov: Covariance, patterns: Patterns, counts: Array) -> None:
        self.cov, self.patterns, self._counts = cov, patterns, counts

    def piecewise(self, n: int) -> None:
        """None: neighbours need whole rows."""
        return

    @abc.abstractmethod
    def filled(self, E: Array) -> Array:
        """Rows e^ of rows E (N, K)."""

    @abc.abstractmethod
    def missing(self, E: Array) -> Array:
        """What is added to responses in missing cells, (N, K); zero elsewhere."""

    @abc.abstractmethod
    def extra(self) -> Iterator[Array]:
        """Rows (n, K), whose products sum to the covariances of what is missing, as e has it."""

    @abc.abstractmethod
    def logdet(self) -> float:
        """log|Omega| of all rows, and that of the precision of what is missing."""

    def solve(self, M: Array) -> Array:
        """Omega^-1 of the filled rows M (N, K)."""
        return np.asfortranarray(self.cov.solve(self.filled(M)))

    def precision_diag(self) -> Array:
        """Mean precision of an equation's cells given all others, (K,)."""
        out = self.patterns.N * self.cov.precision_diag()
        for rows in self.extra():
            out -= np.square(self.cov.solve(rows)).sum(axis=0)
        return out / self._counts

    def quad(self, E: Array) -> float:
        """Sum over rows of e_n' M e_n."""
        return self.cov.quad(self.filled(E))

    def nll(self, E: Array) -> float:
        """Negative log-likelihood per row, its constant included, any log-Jacobian not."""
        constant = self.patterns.n_cells * _LOG_2PI
        return 0.5 * (constant + self.logdet() + self.quad(E)) / self.patterns.N
