"""Predictions of the rows that were estimated from, of new ones, and given what else a row has."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.results.conditional import conditional_means, conditional_prediction
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import by_row, fitted
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.prediction import SystemPrediction, predict_rows, prediction


def predict(
    estimate: Estimate,
    exog: Any = None,
    transform: bool = True,
    equations: Any = None,
    given: Any = None,
) -> pd.DataFrame | pd.Series:
    """Fitted values at new regressors.

    Parameters
    ----------
    exog : optional
        None for the estimation rows. For a model made from formulas: a DataFrame with its
        variables (a long panel gives a Series on its rows). Otherwise regressors in any
        form the constructor takes; a list holds one design for each of ``equations``.
    transform : bool
        False takes design matrices although the model has formulas.
    equations : str or list of str, optional
        Only these, in this order; of a long panel's data, only the rows of these groups.
    given : True, list of str, DataFrame, array_like (n, K) or mapping, optional
        Predict every cell given the responses of the other equations in its row,
        E[y_nj | y_nO]. True takes those in the data (of the estimation rows, or of formulas'
        data); names of equations take only theirs; otherwise responses, NaN or left out where
        unknown (of a long panel one for each row of the data). A cell's own response is never
        used for it.

    Raises
    ------
    UnseenLevelError, FormulaError, ShapeError, OptionError
    """
    if given is not None and given is not False:
        return conditional_means(estimate, exog, transform, equations, given)
    transform = flag(transform, "transform")
    if exog is None and equations is None:
        return by_row(estimate, fitted(estimate))
    return predict_rows(estimate.beta, rows_of_system(estimate.model, exog, transform, equations))


def get_prediction(
    estimate: Estimate,
    exog: Any = None,
    transform: bool = True,
    equations: Any = None,
    given: Any = None,
) -> SystemPrediction:
    """Fitted values with standard errors and intervals; arguments as those of `predict`.

    With ``given`` standard errors of observations are those about the conditional mean, and
    take Sigma as known; see `sm_alsgls.results.conditional`.
    """
    if given is not None and given is not False:
        return conditional_prediction(estimate, exog, transform, equations, given)
    return prediction(estimate, rows_of_system(estimate.model, exog, transform, equations))
