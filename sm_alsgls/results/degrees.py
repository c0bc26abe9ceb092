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
    """

    counts: np.ndarray
    p: np.ndarray
    taken: float
    debiased: bool
    given: float | None = None

    @cached_property
    def equation(self) -> np.ndarray:
        """N_j - p_j - r, (K,)."""
        return self.counts - self.p - self.taken

    @cached_property
    def t(self) -> np.ndarray:
        """Of t tests about one equation, (K,)."""
        return self.equation if self.given is None else np.full(len(self.p), self.given)

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
