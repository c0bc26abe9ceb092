"""Mean-group summaries of slopes that every unit has of its own.

    mean = sum_i b_i / K,    se^2 = sum_i (b_i - mean)^2 / (K (K - 1)),

Pesaran and Smith (1995, Journal of Econometrics 68): the standard error is of the units' spread,
and asks nothing of the errors' law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.names import close
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.across import test_across
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.shown import ShownText

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, eq=False)
class MeanGroup(ShownText):
    """Means and spreads of coefficients that equations have of their own.

    Attributes
    ----------
    table : DataFrame
        A row a regressor: ``mean``, ``std_err`` (Pesaran and Smith), ``z``, ``pvalue``, ``sd``
        (of the coefficients over units), quantiles ``q10`` to ``q90``, and the test that all are
        equal: ``equal_statistic``, ``equal_df``, ``equal_pvalue``.
    coefficients : DataFrame
        A row an equation, a column a regressor.
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame

    def __str__(self) -> str:
        return "Mean group of the equations' own coefficients\n" + self.table.T.to_string(
            float_format=lambda value: f"{value:.4g}"
        )

    def __repr__(self) -> str:
        return f"<MeanGroup: {', '.join(self.table.index)} of {len(self.coefficients)} equations>"


def mean_group(estimate: Estimate, variables: Any = None) -> MeanGroup:
    """Mean, spread and equality of coefficients that equations have of their own.

    Parameters
    ----------
    variables : str or list of str, optional
        Default: all regressors that every equation has a coefficient of.

    Returns
    -------
    MeanGroup

    Raises
    ------
    OptionError
        A regressor has one common coefficient, or is none.

    Notes
    -----
    With rank=0 and ``heterogeneous=True`` coefficients are least squares of each unit, and this is
    Pesaran and Smith's estimator. The sd has the errors of the b_i in it; the test of equality
    (`test_across`) has not.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), entity="firm", time="year", rank=0,
    ...     heterogeneous=True,
    ... ).fit()
    >>> res.mean_group("value").table[["mean", "std_err"]].round(4).to_dict("records")
    [{'mean': 0.089, 'std_err': 0.0161}]
    """
    labels = estimate.labels
    own = {
        name: at for name, at in labels.by_variable.items() if len(at) == labels.K and labels.K > 1
    }
    if variables is None:
        chosen = list(own)
    else:
        asked = [variables] if isinstance(variables, str) else variables
        chosen = names_of(asked, "variables", "['x1', 'x2']")
    if not chosen:
        raise OptionError(
            "no regressor has a coefficient in every equation; name some in heterogeneous="
        )
    for name in chosen:
        if name not in own:
            known = name in labels.by_variable
            raise OptionError(
                f"variables: {name!r} "
                + (
                    f"has one common coefficient; make the model with heterogeneous=[{name!r}]"
                    if known
                    else "is no regressor" + close(name, list(own), "with own slopes are")
                )
            )
    rows = {name: _row(estimate, name, estimate.params[own[name]]) for name in chosen}
    coefficients = pd.DataFrame(
        {name: estimate.params[own[name]] for name in chosen}, index=labels.equations
    )
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable")
    return MeanGroup(table, coefficients)


def _row(estimate: Estimate, name: str, b: np.ndarray) -> dict[str, float]:
    K = len(b)
    mean, sd = float(b.mean()), float(b.std(ddof=1))
    error = sd / np.sqrt(K)
    z = mean / error
    equal = test_across(estimate, name, "equal")
    return {
        "mean": mean,
        "std_err": error,
        "z": z,
        "pvalue": float(2.0 * stats.norm.sf(abs(z))),
        "sd": sd,
        **{f"q{100 * q:.0f}": float(np.quantile(b, q)) for q in _QUANTILES},
        "equal_statistic": float(np.squeeze(equal.statistic)),
        "equal_df": float(K - 1),
        "equal_pvalue": float(np.squeeze(equal.pvalue)),
    }
