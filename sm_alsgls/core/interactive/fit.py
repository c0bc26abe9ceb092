"""What a fit of interactive effects found, in the units of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg

from sm_alsgls.core.interactive.panel import Effects, Panel
from sm_alsgls.core.interactive.profile import Point
from sm_alsgls.core.interactive.scaled import Scaled
from sm_alsgls.core.interactive.serial import coloured
from sm_alsgls.core.interactive.variances import Variances

Array = np.ndarray


class Run(NamedTuple):
    """One climb with equal weights."""

    label: str
    S: float
    gap: float  #: S / least S - 1
    steps: int
    status: str


@dataclass(frozen=True)
class InteractiveFit:
    """A fit, in the units of the data.

    Attributes
    ----------
    panel : Panel
        Filled, where cells are missing, with what is fitted.
    effects : Effects
    rank : int
    W : Scaled
        In the units of the last weights.
    at : Point
        Minimum of the sum of squares there.
    variances : Variances
        d, with which W was made, and what s_i^2 and degrees they come from.
    runs : tuple of Run
    weight_steps : int
        Rounds of weights; 0 with equal d.
    status : str
        "stationary", or what did not converge.
    bai : ndarray, shape (p,)
        b with equal weights.
    """

    panel: Panel
    effects: Effects
    rank: int
    W: Scaled
    at: Point
    variances: Variances
    runs: tuple[Run, ...]
    weight_steps: int
    status: str
    bai: Array

    @property
    def beta(self) -> Array:
        """b, shape (p,)."""
        return self.at.beta

    @property
    def d(self) -> Array:
        """Error variances, shape (n,)."""
        return self.variances.d

    @property
    def rho(self) -> float:
        """Correlation in time that errors were taken to have, see `serial`."""
        return self.W.rho

    @property
    def converged(self) -> bool:
        """Whether b, fills and weights are at rest."""
        return self.status == "stationary"

    @property
    def E(self) -> Array:
        """Residuals e_it, shape (T, n); zero where nothing was observed."""
        return self._seen(self.in_data(self.at.E))

    @property
    def F(self) -> Array:
        """Factors, shape (T, r), with F'F / T = I."""
        U, _, V = self._triplets
        return np.asarray(U * (_signs(V) * math.sqrt(self.panel.T)))

    @property
    def loadings(self) -> Array:
        """Lambda, shape (n, r), with Lambda' diag(d)^-1 Lambda diagonal, falling."""
        _, s, V = self._triplets
        return np.asarray(
            np.sqrt(self.W.d)[:, None] * V * (_signs(V) * s / math.sqrt(self.panel.T))
        )

    @property
    def additive(self) -> Array:
        """L a + xi C', shape (T, n): what is neither regressors, factors nor residual."""
        whole = self.panel.Y - np.tensordot(self.beta, self.panel.X, 1)
        return np.asarray(whole - self.common - self.in_data(self.at.E))

    @property
    def parts(self) -> tuple[Array, Array]:
        """Of what is `additive`: coefficients (kL, n) of L, and effects of periods (T,) beside.

        What the two have in common, a constant and a multiple of each series, is the units'.
        Without effects of periods these are rounding.
        """
        whole, (L, means) = self.additive, self.effects.about
        if not L.shape[1]:
            return np.zeros((0, whole.shape[1])), np.asarray(whole.mean(axis=1))
        size = np.linalg.norm(L, axis=0)
        own = np.linalg.lstsq(L / size, whole, rcond=None)[0] / size[:, None]
        beside = np.asarray((whole - L @ own).mean(axis=1))
        own[0] -= means @ own
        return own, beside

    @property
    def common(self) -> Array:
        """F Lambda', shape (T, n)."""
        return self.in_data(self.at.factors.product())

    @property
    def df_resid(self) -> int:
        """Observed cells less all that was estimated of means."""
        T, n, r = self.panel.T, self.panel.n, self.rank
        whole = (T - self.W.L.shape[1] - r) * (n - self.W.Q.shape[1] - r) - self.panel.p
        return whole - (T * n - self.panel.cells)

    @property
    def loglike(self) -> float:
        """Gaussian log-likelihood of the observed cells at these d, all else maximised."""
        seen = self.panel.periods_of_units()
        square = float(np.sum(np.square(self._seen(self.at.E))))
        # |R| = (1 - rho^2)^(T-1).
        size = (self.panel.T - 1.0) * self.panel.n * math.log1p(-(self.rho**2))
        return -0.5 * (float(seen @ np.log(2.0 * math.pi * self.d)) + size + square)

    @property
    def _triplets(self) -> tuple[Array, Array, Array]:
        """U s V' = P^-1 (U s V' of W): that of the factors as the data have them."""
        U, s, V, _ = self.at.factors
        if self.rho == 0.0 or not len(s):
            return U, s, V
        U, s, turn = scipy.linalg.svd(coloured(U * s, self.rho), full_matrices=False)
        return U, s, V @ turn.T

    def in_data(self, M: Array) -> Array:
        """What is in units of the errors, (T, n), in units of the data."""
        return np.asarray(coloured(M, self.rho) * np.sqrt(self.W.d))

    def _seen(self, M: Array) -> Array:
        return M if self.panel.seen is None else np.where(self.panel.seen, M, 0.0)


def _signs(V: Array) -> Array:
    # The largest loading of a factor is positive.
    return np.sign(V[np.abs(V).argmax(axis=0), np.arange(V.shape[1])])
