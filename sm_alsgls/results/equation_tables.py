"""``tidy``, ``glance`` and ``augment`` of one equation, with what tables of it are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import flag
from sm_alsgls.border.frames import table, with_levels
from sm_alsgls.formula.replay import replay_responses
from sm_alsgls.results import equation_likelihood, equation_tests, overall, tables
from sm_alsgls.results.coefficients import bse_of, law_of
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import constants, rsquared
from sm_alsgls.results.new_rows import rows_of_equation
from sm_alsgls.results.predict import predict_equation
from sm_alsgls.results.reduced_form import variances_of_pieces
from sm_alsgls.results.table_style import AUGMENT, GLANCE, TIDY, presented


def tidy(
    estimate: Estimate,
    j: int,
    conf_int: bool = True,
    alpha: float = 0.05,
    style: str = "plain",
    backend: str = "pandas",
) -> Any:
    """One row per coefficient of this equation.

    Only this equation's block of the covariance is computed.

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
        p_j rows, numbered. Columns: term (str), and as floats estimate, std_error, statistic,
        p_value, conf_low, conf_high.

    Examples
    --------
    >>> from sm_alsgls import LowRankSUR
    >>> from sm_alsgls.datasets import load_grunfeld
    >>> res = LowRankSUR.from_formula(
    ...     "invest ~ value + capital", load_grunfeld(), groups="firm", time="year", rank=2
    ... ).fit()
    >>> res.equations["IBM"].tidy()["term"].tolist()
    ['Intercept', 'value', 'capital']
    """
    beta, size = estimate.beta[j], bse_of(estimate, j)
    statistic = np.divide(beta, size, out=np.full(len(beta), np.nan), where=size > 0.0)
    made = pd.DataFrame(
        {
            "term": list(estimate.labels.regressors[j]),
            "estimate": beta,
            "std_error": size,
            "statistic": statistic,
            "p_value": 2.0 * law_of(estimate, j).sf(np.abs(statistic)),
        }
    )
    interval = equation_tests.conf_int(estimate, j, alpha)
    if flag(conf_int, "conf_int"):
        made[["conf_low", "conf_high"]] = np.asarray(interval)
    return presented(made, TIDY, style, backend)


def glance(estimate: Estimate, j: int, style: str = "plain", backend: str = "pandas") -> Any:
    """One row for this equation.

    Parameters
    ----------
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: r.squared, adj.r.squared, sigma, statistic,
        p.value, df, logLik, AIC, BIC, df.residual.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        equation (str), rsquared, rsquared_adj, std_error (of the regression), fvalue, f_pvalue
        (all slopes are zero), df_model (slopes), llf, aic, bic (of the equation by itself; NaN
        where nothing was maximised, or errors follow laws), df_resid, nobs (N_j), n_params (free
        coefficients), communality (NaN where Sigma has no factors), cov_type (str).
    """
    p, counts = int(estimate.p[j]), int(estimate.counts[j])
    constant = int(constants(estimate)[j] is not None)
    fit = float(rsquared(estimate)[j])
    likely = equation_likelihood.has_likelihoods(estimate)
    variance = float(estimate.sigma.diag()[j])
    low = estimate.sigma.low_rank
    shared = np.nan if low is None else 1.0 - float(low.uniquenesses[j]) / variance
    row = {
        "equation": estimate.equations[j],
        "rsquared": fit,
        "rsquared_adj": 1.0 - (counts - constant) / (counts - p) * (1.0 - fit),
        "std_error": float(estimate.df.correction[j]) * variance**0.5,
        "fvalue": overall.fvalue(estimate, j),
        "f_pvalue": overall.f_pvalue(estimate, j),
        "df_model": float(len(overall.slopes(estimate, j))),
        "llf": equation_likelihood.llf(estimate, j) if likely else np.nan,
        "aic": equation_likelihood.aic(estimate, j) if likely else np.nan,
        "bic": equation_likelihood.bic(estimate, j) if likely else np.nan,
        "df_resid": float(estimate.df.equation[j]),
        "nobs": counts,
        "n_params": equation_likelihood.n_params(estimate, j) - 1,
        "communality": shared,
        "cov_type": estimate.choice.cov_type,
    }
    return presented(pd.DataFrame([row]), GLANCE, style, backend)


def augment(
    estimate: Estimate,
    j: int,
    data: Any = None,
    style: str = "plain",
    backend: str = "pandas",
) -> Any:
    """One row per row of the data.

    Parameters
    ----------
    data : optional
        None for the estimation rows; otherwise new data as `predict` takes them, every row of
        which is taken as of this equation. The response is evaluated where the data have it.
    style : {"plain", "broom"}
        "broom" names the columns as R's broom does: .rownames, .fitted, .resid, .std.resid.
    backend : {"pandas", "polars"}
        Whose frame it is; polars has null for NaN.

    Returns
    -------
    DataFrame
        row (label), observed, fitted, resid, std_resid (resid in standard deviations of the
        equation's error) and unique_resid, which is what the factors leave, given the residuals
        of the other equations: NaN in new data, which are of this one alone;
        ``system.augment(data)`` has it.
    """
    if data is None:
        whole = tables.augment(estimate)
        name = estimate.equations[j]
        made = whole[whole["equation"] == name].drop(columns="equation").reset_index(drop=True)
        return presented(made, AUGMENT, style, backend)
    fitted = predict_equation(estimate, j, data, True)
    rows = rows_of_equation(estimate.model, j, data, True)
    variances = variances_of_pieces(estimate, rows, False)
    each = estimate.sigma.diag()[j] if variances is None else rows.fill(variances).ravel()
    observed = np.full(len(fitted), np.nan)
    formula = estimate.model.formula_system
    if formula is not None:
        frame = with_levels(table(data), (formula.groups, formula.time))
        spec = formula.specs[:1] if formula.groups is not None else formula.specs[j : j + 1]
        y = replay_responses(spec, frame, formula.scope)[0]
        observed = observed if y is None else y
    resid = observed - fitted.to_numpy()
    made = pd.DataFrame(
        {
            "row": fitted.index,
            "observed": observed,
            "fitted": fitted.to_numpy(),
            "resid": resid,
            "std_resid": resid / np.sqrt(each),
            "unique_resid": np.nan,
        }
    )
    return presented(made, AUGMENT, style, backend)
