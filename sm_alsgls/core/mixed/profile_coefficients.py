"""Profile likelihood intervals of single coefficients.

With l(c) the maximum of the log-likelihood where b_j = c, all else free, the limits are where

    2 ( l(b_j) - l(c) ) = z^2,

lme4's (Bates, Maechler, Bolker and Walker 2015, J. Statistical Software 67). What is fitted there
is y - c x_j on the other regressors, from where the last fit ended. It is the likelihood, not the
restricted one: that is of contrasts free of all coefficients, and knows nothing of b_j.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.maximise import SAME, mixed_fit
from sm_alsgls.core.mixed.nested import with_coefficient
from sm_alsgls.core.mixed.profile_intervals import Limits

# Steps away from the estimate, and how much longer each is.
_STEPS, _LONGER = 40, 1.3
# Of a limit's distance from the estimate, what it is known to.
_NEAR = 1e-8


def coefficient_interval(fit: MixedFit, j: int, z: float) -> Limits:
    """Where the likelihood of b_j = c is z^2 / 2 below its maximum.

    Parameters
    ----------
    fit : MixedFit
        By maximum likelihood.
    j : int
    z : float

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls.core.mixed.cross_products import CrossProducts
    >>> from sm_alsgls.core.mixed.residual_laws import Common
    >>> from sm_alsgls.core.mixed.structures import Diagonal
    >>> rng = np.random.default_rng(0)
    >>> groups, one = np.repeat(np.arange(30), 5), np.ones((150, 1))
    >>> y = 1.0 + rng.standard_normal(30)[groups] + rng.standard_normal(150)
    >>> products = CrossProducts.of_rows(one, one, y, groups, 30)
    >>> made = coefficient_interval(mixed_fit(products, Diagonal(1), Common(), reml=False), 0, 1.96)
    >>> bool(made.low < 1.0 < made.high)
    True
    """
    low, high = (_limit(fit, j, z, sign) for sign in (-1.0, 1.0))
    return Limits(low[0], high[0], low[1] or high[1])


class _NotFollowedError(Exception):
    """A fit on the way failed; its text says how."""


def _limit(fit: MixedFit, j: int, z: float, sign: float) -> tuple[float, str]:
    start, step = float(fit.b[j]), z * float(np.sqrt(fit.cov_b[j, j]))
    below = _below(fit, j, z)
    try:
        near, far = 0.0, step
        for _ in range(_STEPS):
            if below(start + sign * far) >= 0.0:
                break
            near, far = far, _LONGER * far
        else:
            return np.nan, f"the likelihood is not {z**2 / 2.0:.3g} lower {far:.3g} away"
        found = brentq(lambda away: below(start + sign * away), near, far, xtol=_NEAR * step)
    except _NotFollowedError as error:
        return np.nan, str(error)
    return start + sign * found, ""


def _below(fit: MixedFit, j: int, z: float) -> Callable[[float], float]:
    """Root of twice the likelihood ratio of b_j = c, less z."""
    last = fit

    def of(value: float) -> float:
        nonlocal last
        if value == fit.b[j]:
            return -z
        products = with_coefficient(fit.products, j, value)
        made = mixed_fit(products, fit.structure, fit.law, reml=False, n_starts=1, first=last)
        if not made.converged:
            raise _NotFollowedError(f"a fit with the coefficient at {value:.6g}: {made.message}")
        if made.nll < fit.nll - SAME:
            raise _NotFollowedError(
                f"the likelihood is higher with the coefficient at {value:.6g} than at the "
                "estimate, which is no maximum; raise n_starts"
            )
        last = made
        return float(np.sqrt(max(2.0 * (made.nll - fit.nll), 0.0))) - z

    return of
