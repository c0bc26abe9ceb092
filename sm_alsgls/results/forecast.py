"""Forecasts: rows after the last one, whose errors remember it.

With e_N the residuals of the last row and errors e_n = diag(rho) e_{n-1} + u_n, u_n of covariance S
(Sigma, or what neighbours make of it), the row h periods later is

    E y_{N+h}    = A^-1 (X_{N+h} b + diag(rho)^h e_N),          A = I - rho_W W with a spatial lag
    Var y_{N+h}  = A^-1 V_h A^-T,    (V_h)_jl = S_jl (1 - (rho_j rho_l)^h) / (1 - rho_j rho_l)

of rows of mean scale; of others see `sm_alsgls.core.laws.marginal`
(Baillie 1979, Journal of Econometrics 10; Goldberger 1962, JASA 57, for the predictor). Estimation
adds g'Cov g, g the gradient in b, x_{N+h} - rho^h x_N, in rho, h rho^{h-1} e_N, and in the lag's
coefficient. An equation whose last cell is missing goes on from the last one that it has; beside
neighbours from its mean given all cells, with the variance that it would have from its own alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.border.labels import shown
from sm_alsgls.border.numbers import numbers
from sm_alsgls.core.laws.marginal import NewRows as Rows
from sm_alsgls.data.error_laws import AR_NAME
from sm_alsgls.exceptions import FormulaError, NotApplicableError, OptionError, ShapeError
from sm_alsgls.formula.time_axis import Axis
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.given import laid_out
from sm_alsgls.results.in_sample import residuals
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.new_scales import laid_scales
from sm_alsgls.results.predict import get_prediction
from sm_alsgls.results.prediction import MeansPrediction, SystemPrediction
from sm_alsgls.results.reduced_form import mixed, whole_rows
from sm_alsgls.results.row_laws import autoregression, lag_of, of_new_rows
from sm_alsgls.results.row_means import RowMeans


def forecast(
    estimate: Estimate,
    exog: Any,
    steps: Any = None,
    transform: bool = True,
    equations: Any = None,
) -> SystemPrediction:
    """Predict rows after the last one, from what autoregressive errors keep of it.

    Parameters
    ----------
    exog
        Their regressors: what `predict` takes.
    steps : array_like of int (n,), optional
        How many periods after the last row each row of the system is. Default: by their labels
        (of a long panel the values of its time column), which may leave periods out, where all are
        after the last one; of rows without labels 1, 2, ...
    transform, equations
        As of `predict`.

    Returns
    -------
    SystemPrediction
        ``predicted_mean``, ``se_mean``, ``se_obs``, ``conf_int(obs=True)``, ``summary_frame()``.
        ``var_resid`` is the variance of the errors so many steps on. With ``row_scale=`` or
        ``cell_scale=`` rows that are given have the scales that their data tell, as
        `get_prediction` has it, and those between that are not given are of mean scale.

    Raises
    ------
    OptionError
        Rows that are not after the last one; with a spatial lag rows that lack units.
    NotApplicableError
        Units are rows, and none comes after the last.
    DataRemovedError
        The last row is gone.

    Notes
    -----
    Where errors are not autoregressive the last row says nothing, and this is `get_prediction`.
    Single periods are forecast, each with its own intervals.

    Examples
    --------
    >>> from sm_alsgls import LowRankPanel
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> data = load_grunfeld()
    >>> res = LowRankPanel.from_formula(
    ...     "invest ~ value + capital", data[data["year"] < 1953], 0, entity="firm", time="year",
    ...     effects="entity", ar="common",
    ... ).fit()
    >>> made = res.forecast(data[data["year"] >= 1953], equations="IBM")
    >>> made.summary_frame().round(0)[["mean", "obs_ci_lower", "obs_ci_upper"]].to_numpy().tolist()
    [[101.0, 82.0, 119.0], [108.0, 83.0, 132.0]]
    """
    transform = flag(transform, "transform")
    laws = estimate.laws
    if laws is not None and laws.over_rows:
        raise NotApplicableError(
            "forecast is of periods after the last one, and the rows of this model are units; use "
            "get_prediction"
        )
    if exog is None:
        raise OptionError("forecast needs exog, the regressors of the rows after the last one")
    rows = rows_of_system(estimate.model, exog, transform, equations)
    rho = autoregression(estimate)
    if rho is None and rows.columns is None and rows.systems is None:
        return get_prediction(estimate, exog, transform, equations)
    laid = laid_out(estimate.model, rows, exog, transform, "forecast")
    index = estimate.model.system.index
    h = _steps(index, laid.labels, len(laid.there), steps, laid.everything.columns is None)
    if rho is None:
        return get_prediction(estimate, exog, transform, equations)
    means, gone = _means(estimate, laid.designs, h, rho)
    if lag_of(estimate) is not None:
        whole_rows(estimate, laid)
    scale = laid_scales(estimate, laid)
    scale = np.ones(laid.there.shape) if scale is None else scale
    resid = of_new_rows(estimate, Rows(scale, h, gone))
    places = [(piece.j, t) for piece, t in laid.places]
    return MeansPrediction.of(estimate, rows, places, means, resid)


def _means(
    estimate: Estimate, designs: list[np.ndarray], h: np.ndarray, rho: np.ndarray
) -> tuple[RowMeans, np.ndarray]:
    """Means of rows h (T,) after the last one; and how far before it each equation ends, (K,)."""
    laws, K = estimate.laws, estimate.neqs
    assert laws is not None
    E, model = residuals(estimate), estimate.model
    last = len(E) - 1 - np.isfinite(E[::-1]).argmax(axis=0)
    times = _positions(model.system.index)
    gone = (times[-1] - times[last]).astype(float)
    e = E[last, np.arange(K)]
    far = h[:, None] + gone
    rho = np.broadcast_to(rho, (K,))
    keep = np.power(rho, far)
    base, Z = np.empty((len(h), K)), []
    known = keep * e
    filled = estimate.sample.filled_residuals(estimate.beta)
    if filled is not None:
        # Neighbours, and rows before, tell more of a cell that is missing at the end.
        known = np.where(gone > 0.0, np.power(rho, h[:, None]) * filled[-1], known)
    for j, (X, b) in enumerate(zip(designs, estimate.beta, strict=True)):
        base[:, j] = X @ b + known[:, j]
        Z.append(X - keep[:, j, None] * model.exog[j][last[j]])
    slopes = np.zeros((len(h), K, len(laws.values)))
    at = np.arange(laws.places[AR_NAME].start, laws.places[AR_NAME].stop)
    slopes[:, np.arange(K), at if len(at) == K else at[0]] = far * np.power(rho, far - 1.0) * e
    lag = lag_of(estimate)
    if lag is None:
        return RowMeans(estimate, Z, base, None, slopes), gone
    # e_N = y_N - rho W y_N - X_N b.
    place = laws.places["spatial_lag"].start
    slopes[:, :, place] -= keep * lag.weights.lagged(model.endog[-1:])
    return mixed(estimate, Z, base, lag, slopes), gone


def _positions(index: pd.Index) -> np.ndarray:
    """Periods of the rows, in steps; their order where labels have none."""
    values = pd.Series(index)
    try:
        return Axis.of(values, "time").positions(values)
    except FormulaError:
        return np.arange(len(index))


def _steps(index: pd.Index, labels: pd.Index | None, n: int, steps: Any, long: bool) -> np.ndarray:
    """How far after the last row each of n rows is, (n,), 1 at least."""
    if steps is not None:
        h = np.atleast_1d(numbers(steps, "steps", OptionError, "; give whole numbers"))
        if h.shape != (n,):
            raise ShapeError(f"steps has {h.size} numbers for {n} rows of the system")
        if not ((h >= 1) & (h == np.rint(h))).all():
            raise OptionError("steps must be whole numbers from 1, periods after the last row")
        return h.astype(float)
    values = pd.Series(index)
    by_order = np.arange(1.0, n + 1.0)
    if labels is None:
        return by_order
    try:
        axis = Axis.of(values, "time")
        h = axis.positions(pd.Series(labels)) - axis.positions(values)[-1]
    except FormulaError:
        if long and not set(labels) & set(index):
            return by_order
        h = np.zeros(n)
    if (h >= 1).all():
        return h.astype(float)
    if not long and isinstance(labels, pd.RangeIndex) and labels.start == 0:
        return by_order  # No labels of their own.
    t = int(np.flatnonzero(h < 1)[0])
    raise OptionError(
        f"forecast: row {shown(labels[t])} is not after the last one, {shown(index[-1])}; give "
        "later rows, or steps= with how many periods after it each is"
    )
