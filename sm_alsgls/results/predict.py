"""Predictions of the rows that were estimated from, of new ones, and given what else a row has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.exceptions import NotApplicableError
from sm_alsgls.results.conditional import conditional_means, conditional_prediction
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import by_row, fitted
from sm_alsgls.results.new_rows import rows_of_equation, rows_of_system
from sm_alsgls.results.prediction import (
    MeansPrediction,
    SystemPrediction,
    predict_rows,
    prediction,
)
from sm_alsgls.results.reduced_form import reduced_rows, variances_of, variances_of_pieces
from sm_alsgls.results.row_laws import lag_of


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
        used for it. Rows have their weights: see `get_prediction`.

    Notes
    -----
    With ``spatial_lag=`` it is the reduced form A^-1 X b, A = I - rho W, of which ``fittedvalues``,
    rho W y + X b, know the neighbours' responses; data must have all units. With ``ar=`` nothing is
    taken from rows before: `forecast` does.

    Raises
    ------
    UnseenLevelError, FormulaError, ShapeError, OptionError
    """
    if given is not None and given is not False:
        return conditional_means(estimate, exog, transform, equations, given)
    transform = flag(transform, "transform")
    if lag_of(estimate) is not None:
        rows, laid, means = reduced_rows(estimate, exog, transform, equations)
        return rows.label(rows.fill(means.mean[t, piece.j] for piece, t in laid.places))
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

    Where errors follow laws ``var_resid`` is the variance of a row by itself, at its own scale:
    that of new rows is told by the data, which must have the columns of ``row_scale=`` or
    ``cell_scale=``. Where these were given as values, or designs are (``transform=False``), new
    rows are of mean scale.

    With ``weights=`` it is sigma_jj / w, w over the mean of the estimation rows' weights. These
    have their own; new rows those of the column that ``weights=`` of ``from_formula`` named, where
    the data have it: NaN is unknown, a weight of 0 leaves a response out of ``given`` and its cell
    as one of weight 1. New rows have weight 1 where weights were given as values, the column is not
    in the data, or designs are given (``transform=False``).

    With ``given`` standard errors of observations are those about the conditional mean, and
    take Sigma as known; see `sm_alsgls.results.conditional`.
    """
    if given is not None and given is not False:
        return conditional_prediction(estimate, exog, transform, equations, given)
    transform = flag(transform, "transform")
    if lag_of(estimate) is not None:
        rows, laid, means = reduced_rows(estimate, exog, transform, equations)
        places = [(piece.j, t) for piece, t in laid.places]
        resid = variances_of(estimate, laid, exog is None)
        return MeansPrediction.of(estimate, rows, places, means, resid)
    rows = rows_of_system(estimate.model, exog, transform, equations)
    return prediction(estimate, rows, variances_of_pieces(estimate, rows, exog is None))


def predict_equation(estimate: Estimate, j: int, exog: Any, transform: bool) -> pd.Series:
    """See `EquationResults.predict`."""
    rows = rows_of_equation(estimate.model, j, exog, transform)
    if lag_of(estimate) is None:
        return predict_rows(estimate.beta, rows)
    _whole_rows(estimate, j, exog)
    means = reduced_rows(estimate, None, True, None)[2]
    return rows.label(rows.fill([means.mean[:, j]]))


def get_prediction_equation(
    estimate: Estimate, j: int, exog: Any, transform: bool
) -> SystemPrediction:
    """See `EquationResults.get_prediction`."""
    rows = rows_of_equation(estimate.model, j, exog, transform)
    if lag_of(estimate) is None:
        return prediction(estimate, rows, variances_of_pieces(estimate, rows, exog is None))
    _whole_rows(estimate, j, exog)
    _, laid, means = reduced_rows(estimate, None, True, None)
    places = [(j, np.arange(len(rows.index)))]
    return MeansPrediction.of(estimate, rows, places, means, variances_of(estimate, laid, True))


def _whole_rows(estimate: Estimate, j: int, exog: Any) -> None:
    """Raise where a lag makes others' regressors part of a mean, and they are not given."""
    if exog is not None:
        raise NotApplicableError(
            "with a spatial lag a mean depends on the regressors of neighbours; use "
            f"predict(exog, equations={estimate.equations[j]!r}) of the results of all, with rows "
            "of all units"
        )
