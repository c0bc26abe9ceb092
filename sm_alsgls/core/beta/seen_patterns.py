"""H of rows seen in part when Sigma is unrestricted: a sum over patterns of what is missing.

Rows with the same cells have the same Sigma_n, so that

    H_jl = sum over patterns g of (Sigma_g^-1)_jl  sum over rows n of g of q_nj q_nl' ,

one product of P x P size a pattern: N P^2 + G P^2 flops.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from sm_alsgls.core.beta.gls import conjugate_gradients
from sm_alsgls.core.beta.kernel import MEMORY, Dual
from sm_alsgls.core.design.base import PerEquation
from sm_alsgls.core.design.ridge import Ridge
from sm_alsgls.covariance.base import RowCovariance

Array = np.ndarray


class ByPattern(RowCovariance, Protocol):
    """A covariance of rows that is the same for all that have the same cells."""

    def precisions(self) -> Iterator[tuple[Array, Array]]:
        """Rows of a pattern, and their precision (K, K), zero in missing cells; all patterns."""
        ...


class WithoutForm(abc.ABC):
    """H as a `Kernel` where it is a matrix or an operator, and nothing shorter.

    Parameters
    ----------
    design : PerEquation
    seen : RowCovariance
    n_obs : int
    ridge : Ridge, optional
    """

    closed = False
    few = 0

    def __init__(
        self,
        design: PerEquation,
        seen: RowCovariance,
        n_obs: int,
        ridge: Ridge | None = None,
    ) -> None:
        self._design = design
        self.normal = design.normal(seen, n_obs, ridge)

    @abc.abstractmethod
    def matrix(self) -> Array:
        """H, (P, P)."""

    def costs(self) -> dict[str, float]:
        """Dense while it fits: there are no factors to go a shorter way by."""
        P, n = float(self._design.P), float(self._design.n)
        fits = 16.0 * P**2 <= MEMORY
        return {
            "dense": (n + 2.0 / 3.0 * P) * P**2 if fits else np.inf,
            "dual": np.inf,
            "cg": 60.0 * P * n * (P + self._design.K**2),
        }

    def inverse_times(self, B: Array) -> Array:
        """Never: there is no closed form."""
        raise TypeError("an unrestricted Sigma with missing cells has no closed form of H^-1")

    def inverse_block(self, j: int) -> Array:
        """Never: there is no closed form."""
        raise TypeError("an unrestricted Sigma with missing cells has no closed form of H^-1")

    def dual(self) -> Dual:
        """Never: there are no factors."""
        raise TypeError("a covariance without factors has no dual form")

    def iterate(self, B: Array, tol: float, max_iter: int) -> Array:
        """Column by column."""
        out, diagonal = np.empty_like(B), self.normal.diagonal
        for i, b in enumerate(B.T):
            size = tol * float(b @ (b / diagonal)) ** 0.5
            found = conjugate_gradients(self.normal.apply, b, diagonal, tol=size, max_iter=max_iter)
            out[:, i] = found.x
        return out


class SeenPatterns(WithoutForm):
    """H of rows of which some cells are missing, as a `Kernel`.

    Parameters
    ----------
    design : PerEquation
        Bases, zero in missing cells.
    seen : ByPattern
    n_obs : int
    ridge : Ridge, optional
    """

    def __init__(
        self, design: PerEquation, seen: ByPattern, n_obs: int, ridge: Ridge | None = None
    ) -> None:
        super().__init__(design, seen, n_obs, ridge)
        self._seen = seen

    def matrix(self) -> Array:
        """H, (P, P)."""
        stacked, H = self._design.stacked, np.zeros((self._design.P, self._design.P))
        for rows, precision in self._seen.precisions():
            Q = stacked.Qt[:, rows]
            part = Q @ Q.T
            part *= precision.take(stacked.owner, axis=0).take(stacked.owner, axis=1)
            H += part
        return H
