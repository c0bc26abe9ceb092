"""Direct, indirect and total effects of the regressors in a model with a spatial lag."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import level
from sm_alsgls.core.laws import spatial_effects as core
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import constants
from sm_alsgls.results.laws import laws_of


def spatial_effects(estimate: Estimate, alpha: float = 0.05) -> pd.DataFrame:
    """Effects of common regressors on their own unit, on the others, and on all (LeSage and Pace).

    y = A^-1 (X b + e), A = I - rho W: means over units of b tr(A^-1) / K (direct), of
    b 1'A^-1 1 / K (total), and their difference (indirect). Standard errors by the delta method
    from the covariance of (b, rho).

    Parameters
    ----------
    alpha : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        Rows (regressor, effect); effect, std err, z, P>|z| and the interval.

    Raises
    ------
    NotApplicableError
        There is no spatial lag, or no common regressor: of coefficients that units have of their
        own there is no mean effect.

    References
    ----------
    LeSage and Pace (2009), Introduction to Spatial Econometrics, section 2.7.
    """
    laws, alpha, labels = laws_of(estimate), level(alpha), estimate.labels
    if laws.lag is None:
        raise NotApplicableError(
            "without a spatial lag a regressor moves its own unit alone, by its coefficient; make "
            "the model with spatial_lag="
        )
    shared = labels.common if labels.K > 1 else np.arange(labels.P)
    ones = _constants(estimate)
    at = [int(i) for i in shared if i not in ones]
    if not at:
        raise NotApplicableError("no regressor has one coefficient in all equations")
    R = np.eye(labels.P)[at]
    place = laws.places["spatial_lag"].start
    q = len(at)
    cov = np.empty((q + 1, q + 1))
    cov[:q, :q] = covariance(estimate).combinations(R)
    both = np.zeros(q) if laws.slopes is None else R @ laws.slopes @ laws.cov[:, place]
    cov[:q, q] = cov[q, :q] = both
    cov[q, q] = laws.cov[place, place]
    found = core.spatial_effects(laws.lag, laws.rho, estimate.params[at], cov)
    names = [labels.params[i] for i in at]
    value = np.concatenate(found[:3])
    se = np.concatenate(found.se)
    half = stats.norm.ppf(1.0 - alpha / 2.0) * se
    table = pd.DataFrame(
        {
            "effect": value,
            "std err": se,
            "z": value / se,
            "P>|z|": 2.0 * stats.norm.sf(np.abs(value / se)),
            f"[{alpha / 2:g}": value - half,
            f"{1 - alpha / 2:g}]": value + half,
        },
        index=pd.MultiIndex.from_product(
            [["direct", "indirect", "total"], names], names=["kind", "regressor"]
        ),
    )
    return table.swaplevel().reindex(
        pd.MultiIndex.from_product([names, ["direct", "indirect", "total"]])
    )


def _constants(estimate: Estimate) -> set[int]:
    """Positions of coefficients of what is one everywhere."""
    found = set[int]()
    for j, a in enumerate(constants(estimate)):
        if a is not None:
            at = np.arange(estimate.labels.P)[estimate.labels.columns(j)]
            found |= set(at[a == 1.0].tolist())
    return found
