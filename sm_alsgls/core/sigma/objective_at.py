"""The objective of a Sigma at residuals of which an eigen-iteration has the products already.

A beta-step leaves residuals whose likelihood at the old Sigma is asked for, and the Sigma-step that
follows begins with products of just the space that this takes. With Sigma^-1 = D^-1 - G G',

    f = ( log|Sigma| + sum_j s_j / d_j - tr(G'S G) ) / 2,

and G = D^-1 F R^-1 lies in the span of D^-1/2 times the last eigenvectors.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sm_alsgls.core.across import ALONE, Across
from sm_alsgls.core.sigma.spectrum import Spectrum

Array = np.ndarray

# Share of the sum that the difference must be: below, it has lost two digits.
_LEFT = 0.01


class Inverted(Protocol):
    """A low-rank Sigma, or its part of some equations with the determinant of the whole."""

    @property
    def uniquenesses(self) -> Array: ...  # noqa: D102
    @property
    def precision_factor(self) -> Array: ...  # noqa: D102
    def logdet(self) -> float: ...  # noqa: D102


def objective_at(cov: Inverted, source: Spectrum, s: Array, across: Across = ALONE) -> float | None:
    """f of a Sigma at residuals with variances s (K,), before eigenpairs are taken of them.

    None where that takes a product of its own, or leaves too few digits.
    """
    d = cov.uniquenesses
    explained = source.explained(cov.precision_factor, d)
    if explained is None:
        return None
    total = across.total(float(np.add.reduce(s / d)))
    if not total - explained > _LEFT * total:
        return None
    return 0.5 * (cov.logdet() + total - explained)
