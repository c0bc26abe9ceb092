"""What a filter of rows promises: errors that follow a law become rows that do not.

A filter T_theta acts on responses and designs alike, column by column of the system, and leaves
rows T_theta e that are independent N(0, Sigma). The loop runs on what it leaves, and

    psi(theta) = min over (beta, Sigma) of NLL(T Y, T X) - log|det T| / N

has, by the envelope theorem, the gradient of the right-hand side at the inner minimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sm_alsgls.covariance.base import RowCovariance
from sm_alsgls.covariance.spread import Spread

Array = np.ndarray


class RowFilter(Protocol):
    """A filter T of N rows of K equations with m parameters, as a frozen value.

    T mixes rows of an equation and never equations. Everything is per row of N.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (m,)
    bounds : ndarray, shape (m, 2)
        Between which T is invertible.
    log_jacobian : float
        log|det T| / N, of the cells there are.
    """

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def values(self) -> Array: ...  # noqa: D102
    @property
    def bounds(self) -> Array: ...  # noqa: D102
    @property
    def log_jacobian(self) -> float: ...  # noqa: D102

    @property
    def spread(self) -> Spread | None:
        """Cells that it leaves made of innovations of several rows; None without any."""
        ...

    def through_spread(self, slope: Array) -> Array:
        """(m,) of derivatives (K,) in the parameter of each equation's spread."""
        ...

    def at(self, values: Array) -> RowFilter:
        """The same filter at other values (m,)."""
        ...

    def tied(self) -> RowFilter:
        """The same filter with one value, a mean, where each equation has a value of its own."""
        ...

    def guess(self, E: Array) -> RowFilter:
        """At values read off least-squares residuals E (N, K), to begin from."""
        ...

    def rows(self, M: Array) -> Array:
        """T M of responses or residuals (N, K); zero in cells that are not there."""
        ...

    def inverse(self, M: Array) -> Array:
        """T^-1 M: what ``rows`` makes M (N, K) of; zero in cells that are not there."""
        ...

    def variances(self, V: Array, then: Callable[[Array], Array] | None = None) -> Array:
        """Variances of T^-1 u (N, K) of independent rows u with variances V.

        ``then`` is a linear map of rows that is applied after that, where neighbours are rows.
        """
        ...

    def covariances(self, C: Array) -> Array:
        """Covariances (N, K, K) of whole rows of T^-1 u, of those of the rows of u."""
        ...

    def back(self, M: Array) -> Array:
        """T' M, the transpose of ``rows``, for M that is zero in cells that are not there."""
        ...

    def blocks(self, blocks: Sequence[Array]) -> list[Array]:
        """T of K designs (N, p_j); what is one array stays one where T is one for its equations."""
        ...

    def gradient(self, E: Array, TE: Array, W: Array) -> Array:
        """d (NLL - log_jacobian) / d values (m,) at residuals E, T E and W = (T E) Sigma^-1."""
        ...

    def information(self, E: Array, cov: RowCovariance) -> Array:
        """Expected curvature of the NLL in the values at given (beta, Sigma), (m, m)."""
        ...

    def solve(self, E: Array, cov: RowCovariance, v: Array) -> Array:
        """The inverse of ``information`` times v (m,), by no array of m x m where m is large."""
        ...
