"""How rows vary about their means where their errors follow laws: a new row, and those there are.

Errors of a row of K equations have, with S the covariance of what filters of rows leave of them
(Sigma, or B^-1 Sigma B^-T where neighbours are equations), the stationary covariance

    V_jl = S_jl / (1 - rho_j rho_l),                   h rows after one that is known
    V_jl = S_jl (1 - (rho_j rho_l)^h) / (1 - rho_j rho_l),

and responses with a spatial lag A^-1 V A^-T. So much of a row of mean scale after such rows. Rows
k of scales h_k that are at or before n add, of what reaches n,

    S_jl (rho_j rho_l)^(n - k) ((h_kj h_kl)^1/2 - 1).

Rows that were observed have scales of their own, and
T^-1 of their filter says how these reach the rows after them, or neighbouring ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.laws.spatial_weights import SpatialWeights
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.covariance.filtered import Filtered
from sm_alsgls.covariance.unrestricted import Unrestricted

Array = np.ndarray

# Factors of the cells of a row that are one.
_SAME = 1e-12


def new_row(
    S: Covariance,
    rho: Array | None = None,
    steps: float = np.inf,
    lag: tuple[SpatialWeights, float] | None = None,
) -> Covariance:
    """The covariance of a row of mean scale, ``steps`` after one that is known.

    Parameters
    ----------
    S : Covariance
        Of what filters of rows leave.
    rho : ndarray, shape (1,) or (K,), optional
        AR coefficients.
    steps : float
        Infinite: nothing is known of the rows before.
    lag : tuple of SpatialWeights and float, optional
        Weights among equations and the coefficient of a spatial lag.

    Examples
    --------
    >>> from sm_alsgls.covariance import LowRankDiag
    >>> S = LowRankDiag.diagonal([1.0, 2.0])
    >>> new_row(S, np.array([0.5])).diag().round(4), new_row(S, np.array([0.5]), 2).diag()
    (array([1.3333, 2.6667]), array([1.25, 2.5 ]))
    """
    V = S
    if rho is not None and len(rho) == 1:
        V = S.scaled(np.full(S.K, np.sqrt(reached(rho[0] ** 2, steps))))
    elif rho is not None:
        V = Unrestricted.from_dense(S.to_dense() * reached(np.multiply.outer(rho, rho), steps))
    return V if lag is None else Filtered(V, lag[0].filter(lag[1]))


class NewRows(NamedTuple):
    """Rows that were not observed, with scales of their cells.

    Attributes
    ----------
    scale : ndarray, shape (T, K)
        h; NaN where it is not known.
    steps : ndarray, shape (T,), or None
        How many rows after one that is known each is. None: nothing is known of the rows before,
        and that each is by itself.
    before : ndarray, shape (K,) or float
        How many rows before that one each equation was last seen.
    """

    scale: Array
    steps: Array | None = None
    before: Array | float = 0.0

    @property
    def far(self) -> Array:
        """Innovations that each cell (T, K) has after what is known."""
        if self.steps is None:
            return np.full(self.scale.shape, np.inf)
        return np.broadcast_to(self.steps[:, None] + self.before, self.scale.shape)

    def added(self, product: Array, pair: bool) -> Array:
        """What scales of their own add to each row's factor of S, (T, K) or, of pairs, (T, K, K).

        ``product`` are rho_j^2 (K,), or rho_j rho_l (K, K).
        """
        own = self.scale - 1.0
        if pair:
            root = np.sqrt(self.scale)
            own = root[:, :, None] * root[:, None, :] - 1.0
        if self.steps is None or not product.any():
            return own
        out, known = own.copy(), np.nan_to_num(own)
        steps, first = np.unique(self.steps, return_index=True)
        for t, step in enumerate(self.steps):
            at = steps < step
            age = (step - steps[at]).reshape(-1, *[1] * product.ndim)
            out[t] += np.sum(product**age * known[first[at]], axis=0)
        return out

    def variances(
        self, S: Covariance, rho: Array, lag: tuple[SpatialWeights, float] | None = None
    ) -> Array:
        """Of the responses about their means, (T, K), where neighbours are no rows.

        Cost O(T K), and O(K^3) with a lag; O(T K^3) where then filters differ between equations.
        """
        rho = np.broadcast_to(rho, S.K)
        share = reached(np.square(rho), self.far) + self.added(np.square(rho), False)
        if lag is None:
            return share * S.diag()
        if np.ptp(rho) == 0.0 and (np.ptp(share, axis=1) <= _SAME * share.max(axis=1)).all():
            return share[:, :1] * Filtered(S, lag[0].filter(lag[1])).diag()
        return np.einsum("tjj->tj", self.covariances(S, rho, lag))

    def covariances(
        self, S: Covariance, rho: Array, lag: tuple[SpatialWeights, float] | None = None
    ) -> Array:
        """The same of pairs, (T, K, K)."""
        rho = np.broadcast_to(rho, S.K)
        product = np.multiply.outer(rho, rho)
        # Of two equations what both have had since they were seen.
        far = np.minimum(self.far[:, :, None], self.far[:, None, :])
        C = S.to_dense() * (reached(product, far) + self.added(product, True))
        if lag is None:
            return C
        inverse = np.linalg.inv(lag[0].filter(lag[1]).toarray())
        return inverse @ C @ inverse.T


def reached(product: Array, steps: Array | float) -> Array:
    """(1 - product^steps) / (1 - product): innovations of so many rows, of the last one's."""
    return np.asarray((1.0 - np.power(product, steps)) / (1.0 - product))


def variances_of_rows(system: RawSystem, S: Covariance, over_rows: bool = False) -> Array:
    """Of the responses about their means, row by row, (N, K); zero in cells that are not there.

    ``over_rows`` says that neighbours are rows. Cost O(N K) but with neighbours: N sparse solves
    where these are rows; and with a lag among equations whose filters differ (an AR coefficient
    each, scales of cells) O(N K^3).
    """
    one = np.ones(system.Y.shape)
    if system.lag is None:
        return system.filter.variances(one * S.diag())
    if over_rows:
        return system.filter.variances(one * S.diag(), system.lag.inverse)
    share = system.filter.variances(one)
    if (np.ptp(share, axis=1) <= _SAME * share.max(axis=1)).all():
        # One factor a row: A^-1 S A^-T is made once.
        reduced = system.lag.inverse(system.lag.inverse(S.to_dense()).T)
        return share[:, :1] * np.diagonal(reduced)
    return np.einsum("njj->nj", covariances_of_rows(system, S))


def covariances_of_rows(system: RawSystem, S: Covariance) -> Array:
    """That of each row's responses, (N, K, K): whole rows, whose units are equations."""
    every = np.broadcast_to(S.to_dense(), (len(system.Y), S.K, S.K))
    C = system.filter.covariances(every)
    if system.lag is None:
        return C
    inverse = system.lag.inverse(np.eye(S.K)).T
    return inverse @ C @ inverse.T
