"""Units in which variances are near 1: powers of two, so that nothing but exponents changes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from sm_alsgls.covariance.base import Covariance

Array = np.ndarray
C = TypeVar("C", bound=Covariance)


def units(variances: Array) -> Array:
    """Powers of two (K,) within a factor of 1.42 of the standard deviations."""
    return np.asarray(np.exp2(np.round(0.5 * np.log2(variances))))


def standardised(cov: C) -> tuple[C, Array]:
    """``cov`` in its own units, and those units (K,)."""
    c = units(cov.diag())
    return cov.scaled(1.0 / c), c
