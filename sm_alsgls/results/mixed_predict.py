"""Means of a mixed model's rows, and their predictions: of the population, or of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_placed import place
from sm_alsgls.results.mixed_prediction import LEVELS, MixedPrediction, prediction


def predict(
    estimate: MixedEstimate,
    exog: Any = None,
    transform: bool = True,
    *,
    groups: Any = None,
    level: str | None = None,
    exog_re: Any = None,
    observed: Any = None,
) -> pd.Series:
    """Means of rows: of the population, x'b, or of groups, x'b + z'bhat_i.

    Parameters
    ----------
    exog : optional
        None for the estimation rows. For a model made from formulas a DataFrame with its
        variables; otherwise regressors as the constructor takes them.
    transform : bool
        False takes design matrices although the model has formulas.
    groups : str, array_like or Series, optional
        Whose each row is: labels, or the name of a column. Default, where groups are asked for:
        the column that the model's groups came from. A group that the model has not seen has
        the population's mean.
    level : {"population", "group"}, optional
        Default: "group" where ``groups`` or ``observed`` is given, else "population", as MixedLM.
    exog_re : array_like (n, q), Series or DataFrame, optional
        Regressors of the random effects, of a model without formulas; default the columns of
        ``exog`` with their names, or the constant.
    observed : DataFrame or mapping, optional
        Rows with responses of groups that the model has not seen: their effects are predicted
        from these, at the estimated coefficients and variances. A DataFrame, or a mapping with
        endog, exog, groups and, as the model has them, exog_re and residual.

    Returns
    -------
    Series (n,)
        NaN in a row that misses something.

    Raises
    ------
    OptionError, ShapeError, FormulaError, UnseenLevelError

    Notes
    -----
    Errors that follow time within groups (``ar``) are taken as zero: nothing is forecast of them.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> data = load_sleepstudy()
    >>> res = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject").fit()
    >>> new = data.iloc[[9, 19]]
    >>> res.predict(new).round(1).tolist(), res.predict(new, level="group").round(1).tolist()
    ([345.6, 345.6], [430.7, 227.6])
    """
    wanted = _level(level, groups, observed)
    at = place(estimate, exog, transform, groups, exog_re, None, wanted, observed, True)
    mean = at.rows.X @ estimate.params
    if wanted == "group":
        assert at.rows.Z is not None
        mean = mean + np.einsum("nq,nq->n", at.rows.Z, at.seen.mean[at.codes])
    return pd.Series(mean, index=at.rows.index)


def get_prediction(
    estimate: MixedEstimate,
    exog: Any = None,
    transform: bool = True,
    *,
    groups: Any = None,
    level: str | None = None,
    exog_re: Any = None,
    residual: Any = None,
    observed: Any = None,
) -> MixedPrediction:
    """Means with standard errors, intervals for them and for observations.

    Parameters
    ----------
    exog, transform, groups, level, exog_re, observed : optional
        As of `predict`.
    residual : str, array_like or Series, optional
        Level of the residual variance of each new row, where the model has levels that formulas
        do not make of the data.

    Returns
    -------
    MixedPrediction

    Raises
    ------
    OptionError, ShapeError, FormulaError, UnseenLevelError

    Notes
    -----
    At level "population" an observation is one of a new group: it varies by x'Vx + z'Gz + s2. At
    level "group" means are x'b + z'b_i, with what is not known of b_i, and an observation is one
    more of that group. New rows have weight 1.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> data = load_sleepstudy()
    >>> res = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject").fit()
    >>> for level in ("population", "group"):
    ...     made = res.get_prediction(data.iloc[[9]], level=level).summary_frame()
    ...     print(made[["mean", "mean_se", "obs_ci_lower", "obs_ci_upper"]].round(0).to_numpy())
    [[346.  15. 206. 485.]]
    [[431.  14. 373. 488.]]
    """
    wanted = _level(level, groups, observed)
    at = place(estimate, exog, transform, groups, exog_re, residual, wanted, observed, False)
    return prediction(estimate, at, wanted)


def _level(level: str | None, groups: Any, observed: Any) -> str:
    if level is not None:
        level = choice(level, "level", LEVELS)
        if level == "population" and observed is not None:
            raise OptionError(
                "observed= is of groups, whose own means level='group' predicts; leave one out"
            )
        return level
    return "population" if groups is None and observed is None else "group"
