"""Random effects of the groups, and how uncertain they are.

    bhat_i = G Z_i'V_i^-1 (y_i - X_i b)                 E[b_i | y_i] at the estimated coefficients
    var(b_i | y_i) = G - G Z_i'V_i^-1 Z_i G             coefficients known: random_effects_cov
    var(bhat_i - b_i) = that + G B_i'C B_i G            coefficients estimated (Henderson 1975)

with C the covariance of b and B_i = X_i'V_i^-1 Z_i. All three take the variances as known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import level
from sm_alsgls.core.mixed.effects import Effects, effects
from sm_alsgls.results.fitted import kept
from sm_alsgls.results.mixed_estimate import MixedEstimate


@kept
def effects_of_groups(estimate: MixedEstimate) -> Effects:
    """Of the groups of the fit, from their products."""
    return effects(estimate.fit)


def random_effects(estimate: MixedEstimate) -> dict[object, pd.Series]:
    """Label of a group to its predicted effects (q,), as MixedLM's."""
    names, mean = pd.Index(estimate.names_re), effects_of_groups(estimate).mean
    return {
        group: pd.Series(row, index=names) for group, row in zip(estimate.groups, mean, strict=True)
    }


def random_effects_cov(estimate: MixedEstimate) -> dict[object, pd.DataFrame]:
    """Label of a group to var(b_i | y_i) (q, q), coefficients known, as MixedLM's."""
    names = pd.Index(estimate.names_re)
    return {
        group: pd.DataFrame(V, index=names, columns=names)
        for group, V in zip(estimate.groups, effects_of_groups(estimate).conditional, strict=True)
    }


def random_effects_frame(estimate: MixedEstimate, alpha: float = 0.05) -> pd.DataFrame:
    """Random effects of all groups in one table, with intervals.

    Parameters
    ----------
    alpha : float
        Level 1 - alpha of the intervals.

    Returns
    -------
    DataFrame (m q)
        Indexed by (group, effect): estimate; std_error, the root of var(bhat_i - b_i), coefficients
        estimated; conf_low and conf_high, of a normal law.

    References
    ----------
    Henderson (1975), Biometrics 31.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> res = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), "~ Days", groups="Subject"
    ... ).fit()
    >>> res.random_effects_frame().round(2).loc[308].loc["Days"].to_dict()
    {'estimate': 9.2, 'std_error': 2.66, 'conf_low': 3.98, 'conf_high': 14.42}
    """
    half = stats.norm.ppf(1.0 - level(alpha) / 2.0)
    found = effects_of_groups(estimate)
    index = pd.MultiIndex.from_product(
        [estimate.groups, estimate.names_re], names=[estimate.groups.name, "effect"]
    )
    mean, se = found.mean.ravel(), standard_errors(found).ravel()
    values = {
        "estimate": mean,
        "std_error": se,
        "conf_low": mean - half * se,
        "conf_high": mean + half * se,
    }
    return pd.DataFrame(values, index=index)


def standard_errors(found: Effects) -> np.ndarray:
    """Roots of the prediction error variances, (m, q)."""
    return np.sqrt(np.maximum(np.diagonal(found.cov, axis1=1, axis2=2), 0.0))
