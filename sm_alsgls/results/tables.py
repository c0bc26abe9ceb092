"""Results as plain DataFrames, after R's broom: ``tidy``, ``glance``, ``augment``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag, level
from sm_alsgls.border.frames import table, with_levels
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.formula import panel
from sm_alsgls.formula.replay import replay_responses
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.results.coefficients import bse, pvalues, tvalues
from sm_alsgls.results.coefficients import conf_int as intervals
from sm_alsgls.results.criteria import aic, bic, llf, nll_per_row
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import rank_of
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.in_sample import fitted as fitted_values
from sm_alsgls.results.in_sample import innovations, residuals
from sm_alsgls.results.new_rows import rows_of_system
from sm_alsgls.results.predict import predict
from sm_alsgls.results.reduced_form import reduced_rows, variances_of, variances_of_pieces
from sm_alsgls.results.roots_of_weights import new_roots
from sm_alsgls.results.row_laws import lag_of
from sm_alsgls.results.table_style import AUGMENT, GLANCE, TIDY, presented


def tidy(
    estimate: Fitted,
    conf_int: bool = True,
    alpha: float = 0.05,
    style: str = "plain",
    backend: str = "pandas",
) -> Any:
    """One row per coefficient.

    Parameters
    ----------
    conf_int : bool
        With the interval of level 1 - ``alpha``.
    alpha : float
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: std.error, p.value, conf.low, conf.high.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        P rows, numbered, in the order of ``params``. Columns: of a system equation (str), term
        (str), and as floats estimate, std_error, statistic, p_value, conf_low, conf_high.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
    ... ).fit()
    >>> res.tidy()[["equation", "term"]].iloc[0].tolist()
    ['General Motors', 'Intercept']
    >>> res.tidy(style="broom").columns[3:5].tolist()
    ['std.error', 'statistic']
    """
    with_interval, alpha = flag(conf_int, "conf_int"), level(alpha)
    table = pd.DataFrame(
        {
            **estimate.identified,
            "estimate": estimate.params,
            "std_error": bse(estimate),
            "statistic": tvalues(estimate),
            "p_value": pvalues(estimate),
        }
    )
    if with_interval:
        table[["conf_low", "conf_high"]] = intervals(estimate, alpha)
    return presented(table, TIDY, style, backend)


def glance(estimate: Estimate, style: str = "plain", backend: str = "pandas") -> Any:
    """One row for the whole fit.

    Parameters
    ----------
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: df, df.residual, logLik, AIC, BIC.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        nobs (N), neqs (K), rank (r), n_params (coefficients P); llf, nll_per_row, aic, bic;
        df_model (P and the parameters of Sigma), df_resid (N K - df_model); converged (bool),
        sweeps (of the winning start), starts, starts_at_best; cov_type (str).
    """
    fit = estimate.likelihood.retvals()
    row = {
        "nobs": estimate.nobs,
        "neqs": estimate.neqs,
        "rank": rank_of(estimate),
        "n_params": estimate.labels.P,
        "llf": llf(estimate),
        "nll_per_row": nll_per_row(estimate),
        "aic": aic(estimate),
        "bic": bic(estimate),
        "df_model": estimate.df_model,
        "df_resid": estimate.df_resid,
        "converged": estimate.likelihood.converged,
        "sweeps": fit["iterations"],
        "starts": len(fit["starts"]),
        "starts_at_best": fit["starts_at_best"],
        "cov_type": estimate.choice.cov_type,
    }
    return presented(pd.DataFrame([row]), GLANCE, style, backend)


def augment(
    estimate: Estimate, data: Any = None, style: str = "plain", backend: str = "pandas"
) -> Any:
    """One row per row of the data and equation.

    Parameters
    ----------
    data : optional
        None for the estimation rows; otherwise new data as `predict` takes them. Responses
        are evaluated where the data have their variables.
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: .rownames, .fitted, .resid, .std.resid.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        Equation after equation; new long panels in the order of their rows. Columns:

        ============  =====  =============================================================
        row           label  of the data's index; of the time column of an estimated panel
        equation      str
        observed      float  response; NaN where the data lack it
        fitted        float  X beta
        resid         float  observed - fitted
        std_resid     float  resid / sqrt(sigma_jj)
        unique_resid  float  (resid - f_j'z) / sqrt(d_j): what the factors leave, in
                             standard deviations of the equation's own error; z is the
                             posterior mean of the row's factors, given the residuals the
                             row has
        ============  =====  =============================================================

        In new long data, rows of one time are those with the same value of the time column; without
        it ``unique_resid`` is NaN (without ``time=`` in the model, the groups' rows are matched by
        their order). Where the fit has weights, standardised residuals are those of resid times the
        root of the weight, which new data tell where they have the column that ``weights=`` named
        (else it is 1). Where errors follow laws they are those of innovations; of new rows, of
        which nothing before is known, std_resid is by the variance of a row by itself and
        unique_resid NaN.
    """
    return presented(_augmented(estimate, data), AUGMENT, style, backend)


def _augmented(estimate: Estimate, data: Any) -> pd.DataFrame:
    if data is None:
        E, Y = residuals(estimate), estimate.model.endog
        observed = np.where(np.isnan(E), np.nan, Y)
        root = estimate.sample.cells.root
        left = E * root
        if estimate.laws is not None:
            left = np.where(np.isnan(E), np.nan, innovations(estimate))
        return _long(estimate, estimate.sample.index, observed, fitted_values(estimate), E, left)
    if estimate.laws is not None:
        return _new_beside_laws(estimate, data)
    return _new(estimate, data)


def _new_beside_laws(estimate: Estimate, data: Any) -> pd.DataFrame:
    """New rows by the variance that each has by itself; what factors leave of it is unknown."""
    made = _new(estimate, data)
    variances: list[np.ndarray] | None
    if lag_of(estimate) is None:
        rows = rows_of_system(estimate.model, data, True, None)
        variances = variances_of_pieces(estimate, rows, False)
    else:
        # Of whole rows: scales of all their cells are part of each one's variance.
        rows, laid, _ = reduced_rows(estimate, data, True, None)
        V = variances_of(estimate, laid, False)
        variances = [V[t, piece.j] for piece, t in laid.places]
    assert variances is not None
    each = rows.fill(variances).ravel("F")
    return made.assign(std_resid=made["resid"] / np.sqrt(each), unique_resid=np.nan)


def _new(estimate: Estimate, data: Any) -> pd.DataFrame:
    """New rows."""
    formula = estimate.model.formula_system
    names = estimate.equations
    if formula is None:
        fitted = predict(estimate, data)
        observed = np.full(fitted.shape, np.nan)
        return _long(estimate, fitted.index, observed, fitted.to_numpy(), observed)
    data = with_levels(table(data), (formula.groups, formula.time))
    fitted = predict(estimate, data)
    root = new_roots(estimate, rows_of_system(estimate.model, data, True, None))
    if formula.groups is None:
        found = replay_responses(formula.specs, data, formula.scope)
        missing = np.full(len(data), np.nan)
        observed = np.column_stack([missing if y is None else y for y in found])
        values = fitted.to_numpy()
        resid = observed - values
        return _long(estimate, fitted.index, observed, values, resid, resid * _or_one(root))
    y = replay_responses(formula.specs[:1], data, formula.scope)[0]
    observed = np.full(len(data), np.nan) if y is None else y
    group = panel.equation_names(data[formula.groups], names)
    resid = observed - fitted.to_numpy()
    position = group.map({name: j for j, name in enumerate(names)}).to_numpy()
    sigma = estimate.sigma
    left = resid * _or_one(None if root is None else root[np.arange(len(root)), position])
    return pd.DataFrame(
        {
            "row": data.index,
            "equation": group.to_numpy(dtype=object),
            "observed": observed,
            "fitted": fitted.to_numpy(),
            "resid": resid,
            "std_resid": left / np.sqrt(sigma.diag()[position]),
            "unique_resid": _of_cells(sigma, left, position, _times(formula, data, group)),
        }
    )


def _or_one(root: np.ndarray | None) -> np.ndarray | float:
    return 1.0 if root is None else root


def _times(formula: FormulaSystem, data: pd.DataFrame, group: pd.Series) -> np.ndarray | None:
    """A number for the time of each row of long data; -1 where it is missing."""
    if formula.time is None:
        return group.groupby(group.to_numpy()).cumcount().to_numpy()
    if formula.time not in data:
        return None
    return pd.factorize(data[formula.time])[0]


def _of_cells(
    sigma: Covariance, resid: np.ndarray, position: np.ndarray, times: np.ndarray | None
) -> np.ndarray:
    """Unique residuals of the cells (time, equation) of a long panel."""
    out = np.full(len(resid), np.nan)
    if times is None or not len(resid):
        return out
    cells = pd.DataFrame({"time": times, "equation": position})
    # A cell that is there twice says nothing of which of the two its time's factors made.
    at = np.flatnonzero((times >= 0) & ~cells.duplicated(keep=False).to_numpy())
    if at.size:
        E = np.full((times.max() + 1, sigma.K), np.nan)
        E[times[at], position[at]] = resid[at]
        out[at] = unique_residuals(sigma, E)[times[at], position[at]]
    return out


def unique_residuals(sigma: Covariance, E: np.ndarray) -> np.ndarray:
    """What factors leave of residuals ``E`` (n, K), in standard deviations of the own errors.

    With z = E Sigma^-1 F, E - z F' = E Sigma^-1 D, so the ratio to D^1/2 is E Sigma^-1 D^1/2.
    Where there are no factors what the other equations leave, E Sigma^-1 diag(Sigma^-1)^-1/2.
    Rows with gaps (NaN) use the covariance of the equations they have.
    """
    out = np.full(E.shape, np.nan)
    patterns, member = np.unique(~np.isnan(E), axis=0, return_inverse=True)
    for i, present in enumerate(patterns):
        if present.any():
            cells = np.ix_(np.flatnonzero(member.ravel() == i), np.flatnonzero(present))
            part = sigma if present.all() else sigma.marginal(present)
            low = part.low_rank
            own = 1.0 / part.precision_diag() if low is None else low.uniquenesses
            out[cells] = part.solve(E[cells]) * np.sqrt(own)
    return out


def _long(
    estimate: Estimate,
    rows: pd.Index,
    observed: np.ndarray,
    fitted: np.ndarray,
    resid: np.ndarray,
    left: np.ndarray | None = None,
) -> pd.DataFrame:
    """Arrays (n, K) as a long table, equation after equation.

    ``left`` are residuals of covariance Sigma: times the roots of weights, or without laws.
    """
    sigma, K = estimate.sigma, estimate.neqs
    scaled = resid if left is None else left
    return pd.DataFrame(
        {
            "row": np.tile(np.arange(len(rows)), K),
            "equation": np.repeat(np.array(estimate.equations, dtype=object), len(rows)),
            "observed": observed.ravel("F"),
            "fitted": fitted.ravel("F"),
            "resid": resid.ravel("F"),
            "std_resid": (scaled / np.sqrt(sigma.diag())).ravel("F"),
            "unique_resid": unique_residuals(sigma, scaled).ravel("F"),
        }
    ).assign(row=lambda table: rows.take(table["row"].to_numpy()))
