"""Intervals of the laws' parameters by the profile likelihood, which bounds and skewness bend."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import level
from sm_alsgls.core.laws.estimated import BAYES
from sm_alsgls.core.laws.profile_interval import profile_interval
from sm_alsgls.data.error_laws import AR_NAME
from sm_alsgls.progress import counted
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.law_profiles import profile, small_sample
from sm_alsgls.results.laws import laws_of
from sm_alsgls.results.progress import says

_PROFILE, _RESTRICTED, _POSTERIOR = "profile", "restricted profile", "posterior"


@says
def law_intervals(
    estimate: Estimate, alpha: float = 0.05, *, progress: bool | None = None
) -> pd.DataFrame:
    """Intervals of the laws' parameters that a likelihood ratio does not reject.

    All values v of a parameter at which twice the loss in log-likelihood, everything else estimated
    again, times (N - r) / N is below the quantile of chi-square of one degree of freedom. Where the
    parameters were estimated by restricted likelihood or leverages, it is the restricted one. AR
    coefficients of each unit that were drawn to their mean have the intervals of their posterior.

    Parameters
    ----------
    alpha : float
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    DataFrame (m, 4)
        The estimate, the ends and ``method``: "profile", "restricted profile" or "posterior". An
        end is the bound of a parameter where the likelihood rejects nothing before it.

    Raises
    ------
    NotApplicableError
        Errors follow no law; or what was maximised is a penalised likelihood.
    DataRemovedError, OptionError

    Notes
    -----
    Cost: six to ten warm fits for each parameter.

    References
    ----------
    Venzon and Moolgavkar (1988), Journal of the Royal Statistical Society C 37.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> model = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), 0, entity="firm", time="year",
    ...     effects="entity", ar="common",
    ... )
    >>> model.fit().law_intervals().loc["ar", ["[0.025", "0.975]"]].astype(float).round(2).tolist()
    [0.71, 1.0]
    """
    laws, alpha = laws_of(estimate), level(alpha)
    m = len(laws.values)
    rows: list[tuple[float, float, float, str]] = []
    posterior = range(m)[laws.places[AR_NAME]] if laws.how == BAYES else range(0)
    half = stats.norm.ppf(1.0 - alpha / 2.0) * np.sqrt(np.diagonal(laws.cov))
    for i in counted(range(m), "profile intervals", unit="parameter"):
        value = float(laws.values[i])
        if i in posterior:
            low, high = np.clip([value - half[i], value + half[i]], *laws.bounds[i])
            rows.append((value, float(low), float(high), _POSTERIOR))
            continue
        around = profile(estimate)
        found = profile_interval(around, i, alpha, small_sample(estimate))
        how = _PROFILE if around.best.restricted is None else _RESTRICTED
        rows.append((value, found.low, found.high, how))
    columns = ["coef", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]", "method"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(laws.names, name="parameter"))
