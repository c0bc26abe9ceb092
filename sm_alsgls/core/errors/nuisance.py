"""Parameters of a law of the errors beside beta and Sigma: AR coefficients, a spatial lambda."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Nuisance(NamedTuple):
    """Estimates of such parameters.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (m,)
    cov : ndarray, shape (m, m)
        Their covariance, from the curvature of the profile likelihood; NaN where that is not
        positive, or a value is on a bound.
    log_jacobian : float
        Of the law's transformation of the rows, per row; part of the NLL already.
    """

    names: tuple[str, ...]
    values: Array
    cov: Array
    log_jacobian: float


#: Of a law that has none.
NO_NUISANCE = Nuisance((), np.empty(0), np.empty((0, 0)), 0.0)
