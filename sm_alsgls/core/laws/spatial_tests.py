"""Lagrange multiplier tests of a spatial lag and of spatial errors, at least squares.

Anselin, Bera, Florax and Yoon (1996, Regional Science and Urban Economics 26), of n cells with one
variance: with residuals e, s2 = e'e / n, fitted values f, T = tr(W'W + W W) over all cells, and D =
|M W f|^2 / s2 + T, M taking off what regressors explain,

    a = e'W e / s2                        b = e'W y / s2
    error         a^2 / T                 lag          b^2 / D
    robust error  (a - T b / D)^2 / (T (1 - T / D))
    robust lag    (b - a)^2 / (D - T)     both         robust lag + error

on chi2(1), and chi2(2) for both. The robust ones are not moved by a little of the other kind. They
are tests of cells that are alike and independent but for neighbours; beside factors of the errors a
likelihood ratio says more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.stats

from sm_alsgls.core.laws.spatial_lag import Neighbours
from sm_alsgls.core.problem import Problem
from sm_alsgls.exceptions import OptionError

Array = np.ndarray


class LagrangeMultiplier(NamedTuple):
    """A statistic, its degrees of freedom, and its p value."""

    statistic: float
    df: int
    pvalue: float


class SpatialTests(NamedTuple):
    """Of spatial errors, of a lag, each robust to the other, and of both."""

    error: LagrangeMultiplier
    lag: LagrangeMultiplier
    robust_error: LagrangeMultiplier
    robust_lag: LagrangeMultiplier
    both: LagrangeMultiplier


def spatial_tests(problem: Problem, weights: Neighbours) -> SpatialTests:
    """All five, of the least-squares residuals of a problem of whole rows that are not compressed.

    Parameters
    ----------
    problem : Problem
    weights : SpatialWeights or RowWeights

    Raises
    ------
    OptionError
        Rows are compressed, have holes, or regressors explain neighbours' fitted values.

    Examples
    --------
    >>> from sm_alsgls.core.laws.spatial_weights import SpatialWeights
    >>> from sm_alsgls.core.problem import ALSOptions
    >>> ring = np.roll(np.eye(8), 1, axis=1)
    >>> weights = SpatialWeights(0.5 * (ring + ring.T))
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((12, 2)) for _ in range(8)]
    >>> Y = rng.standard_normal((12, 8)) @ np.linalg.inv(np.eye(8) - 0.6 * weights.W.toarray()).T
    >>> tests = spatial_tests(Problem(X, Y, ALSOptions()), weights)
    >>> tests.error.pvalue < 0.001, tests.robust_lag.pvalue < 0.001
    (True, False)
    """
    if not problem.errors.whole or len(problem.Y) != problem.n_obs:
        raise OptionError("spatial tests need whole rows that are not compressed: `Rows.of` them")
    E, Y, design = problem.E_ols, problem.responses, problem.design
    s2 = float(np.vdot(E, E)) / E.size
    lagged = weights.lagged(Y - E)
    left = design.least_squares(lagged)[1]
    # tr(W'W + W W) per row is the information at lam = 0 of one cell's unit variance.
    T = problem.n_obs * weights.trace
    D = float(np.vdot(left, left)) / s2 + T
    if D <= T * (1.0 + 1e-12):
        raise OptionError("regressors explain all of the neighbours' fitted values")
    a = float(np.vdot(E, weights.lagged(E))) / s2
    b = float(np.vdot(E, weights.lagged(Y))) / s2
    error, robust_lag = a * a / T, (b - a) ** 2 / (D - T)
    robust_error = (a - T * b / D) ** 2 / (T * (1.0 - T / D))
    return SpatialTests(
        _test(error, 1),
        _test(b * b / D, 1),
        _test(robust_error, 1),
        _test(robust_lag, 1),
        _test(robust_lag + error, 2),
    )


def _test(statistic: float, df: int) -> LagrangeMultiplier:
    return LagrangeMultiplier(statistic, df, float(scipy.stats.chi2.sf(statistic, df)))
