"""Results as plain DataFrames, after R's broom: ``tidy``, ``glance``, ``augment``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag, level
from sm_alsgls.border.frames import table, with_levels
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.formula import panel
from sm_alsgls.formula.build import replay_responses


class Tables:
    """Mixin of `LowRankSURResults`."""

    def tidy(self, conf_int: bool = True, alpha: float = 0.05) -> pd.DataFrame:
        """One row per coefficient.

        Parameters
        ----------
        conf_int : bool
            With the interval of level 1 - ``alpha``.
        alpha : float

        Returns
        -------
        DataFrame
            P rows, numbered, in the order of ``params``. Columns: equation (str), term (str),
            and as floats estimate, std_error, statistic, p_value, conf_low, conf_high.

        Examples
        --------
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
        ... ).fit()
        >>> res.tidy()[["equation", "term"]].iloc[0].tolist()
        ['General Motors', 'Intercept']
        """
        return _tidy(self, flag(conf_int, "conf_int"), level(alpha))

    def glance(self) -> pd.DataFrame:
        """One row for the whole fit.

        Returns
        -------
        DataFrame
            nobs (N), neqs (K), rank (r), n_params (coefficients P); llf, nll_per_row, aic, bic;
            df_model (P and the parameters of Sigma), df_resid (N K - df_model); converged (bool),
            sweeps (of the winning start), starts, starts_at_best; cov_type (str).
        """
        return _glance(self)

    def augment(self, data: Any = None) -> pd.DataFrame:
        """One row per row of the data and equation.

        Parameters
        ----------
        data : optional
            None for the estimation rows; otherwise new data as `predict` takes them. Responses
            are evaluated where the data have their variables.

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

            In new long data, rows of one time are those with the same value of the time column;
            without it ``unique_resid`` is NaN (without ``time=`` in the model, the groups' rows
            are matched by their order). Where the fit has weights, standardised residuals of the
            estimation rows are those of resid times the root of the weight.
        """
        return _augment(self, data)


def _tidy(results: Any, conf_int: bool, alpha: float) -> pd.DataFrame:
    columns = results.model._system.columns
    table = pd.DataFrame(
        {
            "equation": np.repeat(np.array(results.model.equations, dtype=object), results._p),
            "term": [name for names in columns for name in names],
            "estimate": np.asarray(results.params),
            "std_error": np.asarray(results.bse),
            "statistic": np.asarray(results.tvalues),
            "p_value": np.asarray(results.pvalues),
        }
    )
    if conf_int:
        table[["conf_low", "conf_high"]] = np.asarray(results.conf_int(alpha))
    return table


def _glance(results: Any) -> pd.DataFrame:
    fit = results.mle_retvals
    row = {
        "nobs": results.nobs,
        "neqs": results.neqs,
        "rank": results.rank,
        "n_params": len(results.params),
        "llf": results.llf,
        "nll_per_row": results.nll_per_row,
        "aic": results.aic,
        "bic": results.bic,
        "df_model": results.df_model,
        "df_resid": results.df_resid,
        "converged": results.converged,
        "sweeps": fit["iterations"],
        "starts": len(fit["starts"]),
        "starts_at_best": fit["starts_at_best"],
        "cov_type": results.cov_type,
    }
    return pd.DataFrame([row])


def _augment(results: Any, data: Any) -> pd.DataFrame:
    formula = results.model.formula_system
    names = results.model.equations
    if data is None:
        E, Y = results._residuals, results.model.endog
        observed = np.where(np.isnan(E), np.nan, Y)
        root = results.model._system.cells.root
        return _long(results, results._rows, observed, results._fitted, E, root)
    if formula is None:
        fitted = results.predict(data)
        observed = np.full(fitted.shape, np.nan)
        return _long(results, fitted.index, observed, fitted.to_numpy(), observed)
    data = with_levels(table(data), (formula.groups, formula.time))
    fitted = results.predict(data)
    if formula.groups is None:
        found = replay_responses(formula.specs, data, formula.scope)
        missing = np.full(len(data), np.nan)
        observed = np.column_stack([missing if y is None else y for y in found])
        values = fitted.to_numpy()
        return _long(results, fitted.index, observed, values, observed - values)
    found = replay_responses(formula.specs[:1], data, formula.scope)[0]
    observed = np.full(len(data), np.nan) if found is None else found
    group = panel.equation_names(data[formula.groups], names)
    resid = observed - fitted.to_numpy()
    position = group.map({name: j for j, name in enumerate(names)}).to_numpy()
    sigma = results.sigma
    return pd.DataFrame(
        {
            "row": data.index,
            "equation": group.to_numpy(dtype=object),
            "observed": observed,
            "fitted": fitted.to_numpy(),
            "resid": resid,
            "std_resid": resid / np.sqrt(sigma.diag()[position]),
            "unique_resid": _of_cells(sigma, resid, position, _times(formula, data, group)),
        }
    )


def _times(formula: Any, data: pd.DataFrame, group: pd.Series) -> np.ndarray | None:
    """A number for the time of each row of long data; -1 where it is missing."""
    if formula.time is None:
        return group.groupby(group.to_numpy()).cumcount().to_numpy()
    if formula.time not in data:
        return None
    return pd.factorize(data[formula.time])[0]


def _of_cells(
    sigma: LowRankDiag, resid: np.ndarray, position: np.ndarray, times: np.ndarray | None
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


def unique_residuals(sigma: LowRankDiag, E: np.ndarray) -> np.ndarray:
    """What factors leave of residuals ``E`` (n, K), in standard deviations of the own errors.

    With z = E Sigma^-1 F, E - z F' = E Sigma^-1 D, so the ratio to D^1/2 is E Sigma^-1 D^1/2.
    Rows with gaps (NaN) use the covariance of the equations they have.
    """
    out = np.full(E.shape, np.nan)
    patterns, member = np.unique(~np.isnan(E), axis=0, return_inverse=True)
    for i, present in enumerate(patterns):
        if present.any():
            cells = np.ix_(np.flatnonzero(member.ravel() == i), np.flatnonzero(present))
            part = sigma if present.all() else sigma.marginal(present)
            out[cells] = part.solve(E[cells]) * np.sqrt(part.uniquenesses)
    return out


def _long(
    results: Any,
    rows: pd.Index,
    observed: np.ndarray,
    fitted: np.ndarray,
    resid: np.ndarray,
    root: np.ndarray | float = 1.0,
) -> pd.DataFrame:
    """Arrays (n, K) as a long table, equation after equation; ``root`` of the weights."""
    sigma, K = results.sigma, results.neqs
    scaled = resid * root
    return pd.DataFrame(
        {
            "row": np.tile(np.arange(len(rows)), K),
            "equation": np.repeat(np.array(results.model.equations, dtype=object), len(rows)),
            "observed": observed.ravel("F"),
            "fitted": fitted.ravel("F"),
            "resid": resid.ravel("F"),
            "std_resid": (scaled / np.sqrt(sigma.diag())).ravel("F"),
            "unique_resid": unique_residuals(sigma, scaled).ravel("F"),
        }
    ).assign(row=lambda table: rows.take(table["row"].to_numpy()))
