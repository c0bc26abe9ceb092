"""Degrees of freedom of an estimate, equation by equation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Degrees:
    """What rows, regressors and the law of the errors leave of each equation.

    Attributes
    ----------
    counts : ndarray of int, shape (K,)
        Rows N_j.
    p : ndarray of int, shape (K,)
        Regressors p_j.
    taken : float
        What the errors' law takes of every equation: r of factors.
    debiased : bool
        Whether variances are divided by what is left, in place of N_j.
    given : float, optional
        Of t tests, where it does not follow from the equations.
    swept : int
        Cells of which nothing is left: levels of rows that the likelihood is blind to.
    free : int, optional
        Free coefficients, where all equations have one variance: what is left of the cells of
        all is then what it is divided by, and coefficients that equations share are taken once.
    """

    counts: np.ndarray
    p: np.ndarray
    taken: float
    debiased: bool
    given: float | None = None
    swept: int = 0
    free: int | None = None

    @cached_property
    def equation(self) -> np.ndarray:
        """N_j - p_j - r, (K,), or an equation's share of what is left of all."""
        if self.free is None:
            return self.counts - self.p - self.taken
        return self.counts * (self._of_all(self.free) / self._of_all(0))

    def _of_all(self, free: int) -> float:
        return float(self.counts.sum() - self.swept - free)

    @cached_property
    def t(self) -> np.ndarray:
        """Of t tests about one equation, (K,)."""
        if self.given is not None:
            return np.full(len(self.p), self.given)
        return self.equation if self.free is None else np.full(len(self.p), self._of_all(self.free))

    @property
    def fewest(self) -> float:
        """Of tests about several equations: the fewest among all."""
        return float(self.t.min())

    @cached_property
    def correction(self) -> np.ndarray:
        """Root of N_j / (N_j - p_j - r) where the fit is debiased, else 1, (K,)."""
        if not self.debiased:
            return np.ones(len(self.p))
        return np.sqrt(self.counts / self.equation)
