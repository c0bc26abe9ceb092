"""Profile intervals of a mixed model: of its variances, and of its fixed effects."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import choice, level
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.blame import caller
from sm_alsgls.border.names import close
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.profile_coefficients import coefficient_interval
from sm_alsgls.core.mixed.profile_intervals import (
    Limits,
    Opened,
    estimate_of,
    profile_interval,
    wald_interval,
)
from sm_alsgls.exceptions import ConvergenceWarning, OptionError
from sm_alsgls.progress import counted
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_quantities import Named, quantities
from sm_alsgls.results.progress import says

_METHODS = {"profile": profile_interval, "wald": wald_interval}


@says
def conf_int_re(
    estimate: MixedEstimate,
    alpha: float = 0.05,
    method: str = "profile",
    parameters: Any = None,
    *,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Intervals of standard deviations, correlations, and parameters of the residuals.

    Parameters
    ----------
    alpha : float
    method : {"profile", "wald"}
        "profile": where twice the profile log-likelihood is the quantile of chi2(1) below its
        maximum; it knows that a standard deviation may be zero. "wald": symmetric in log sd and in
        Fisher's z, by the observed information.
    parameters : str or list of str, optional
        Names of rows, "sd Days", "corr const, Days", "sigma". Default all; of more than eight
        random effects their correlations only where named.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    DataFrame
        A row a parameter; columns ``estimate``, ``lower``, ``upper``. ``sigma`` is the residual
        standard deviation, of levels that of the first, and ``sd b / a`` ratios to it; ``rho`` the
        autoregression of the residuals.

    Raises
    ------
    OptionError

    Warns
    -----
    ConvergenceWarning
        A limit was not found; it is NaN.

    Notes
    -----
    Of a REML fit the likelihood is the restricted one; R's ``confint`` of lme4 fits by maximum
    likelihood first, as ``fit(reml=False)`` does here. Venzon and Moolgavkar (1988), Applied
    Statistics 37.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> model = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~ Days",
    ...     rank="full",
    ... )
    >>> model.fit(reml=False).conf_int_re(parameters="sigma").round(2).to_dict("records")
    [{'estimate': 25.59, 'lower': 22.9, 'upper': 28.86}]
    """
    alpha, z = level(alpha), float(stats.norm.isf(level(alpha) / 2.0))
    method = choice(method, "method", _METHODS)
    opened = Opened(estimate.fit)
    rows, lost = {}, {}
    for one in counted(_chosen(estimate, parameters), "intervals", unit="parameter"):
        limits = _METHODS[method](opened, one.quantity, z)
        value = estimate_of(opened, one.quantity)
        rows[one.name] = [one.shown(end) for end in (value, limits.low, limits.high)]
        if limits.note:
            lost[one.name] = limits.note
    return _framed(rows, lost)


@says
def conf_int_fe(
    estimate: MixedEstimate,
    alpha: float = 0.05,
    parameters: Any = None,
    *,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Intervals of fixed effects by the profile likelihood; `conf_int` has those of t.

    Parameters
    ----------
    alpha : float
    parameters : str or list of str, optional
        Names of fixed effects. Default all.
    progress : bool, optional
        As of `conf_int_re`.

    Returns
    -------
    DataFrame
        A row a fixed effect; columns ``estimate``, ``lower``, ``upper``.

    Raises
    ------
    OptionError

    Warns
    -----
    ConvergenceWarning
        A limit was not found; it is NaN.

    Notes
    -----
    Limits are where twice the log-likelihood, variances and other fixed effects at their best, is
    the quantile of chi2(1) below its maximum: maximum likelihood's, as a restricted likelihood
    knows no fixed effects. Of a REML fit that is fitted first and is what ``estimate`` is of, as by
    R's ``confint`` of lme4. Of few groups t quantiles (`conf_int`, by Kenward and Roger) are wider,
    and cover better.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> model = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), groups="Subject", re_formula="~ Days",
    ...     rank="full",
    ... )
    >>> model.fit(reml=False).conf_int_fe(parameters="Days").round(2).to_dict("records")
    [{'estimate': 10.47, 'lower': 7.36, 'upper': 13.58}]
    """
    z = float(stats.norm.isf(level(alpha) / 2.0))
    names, fit = list(estimate.labels.params), estimate.fit
    asked = names if parameters is None else _named(parameters, names, "['Days']")
    if fit.reml:
        fit = mixed_fit(fit.products, fit.structure, fit.law, reml=False, first=fit)
    rows, lost = {}, {}
    for name in counted(asked, "intervals", unit="coefficient"):
        j = names.index(name)
        limits = (
            coefficient_interval(fit, j, z)
            if fit.converged
            else Limits(math.nan, math.nan, f"the fit by maximum likelihood: {fit.message}")
        )
        rows[name] = [float(fit.b[j]), limits.low, limits.high]
        if limits.note:
            lost[name] = limits.note
    return _framed(rows, lost)


def _framed(rows: dict[str, list[float]], lost: dict[str, str]) -> pd.DataFrame:
    """The table, and what is lacking in it."""
    if lost:
        name, note = next(iter(lost.items()))
        warnings.warn(
            f"{len(lost)} interval{'s lack' if len(lost) > 1 else ' lacks'} a limit, {name!r} "
            f"first: {note}",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    columns = ["estimate", "lower", "upper"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("parameter")


def _chosen(estimate: MixedEstimate, parameters: Any) -> list[Named]:
    if parameters is None:
        return quantities(estimate)
    there = {one.name: one for one in quantities(estimate, every=True)}
    return [there[name] for name in _named(parameters, list(there), "['sd Days', 'sigma']")]


def _named(parameters: Any, there: list[str], example: str) -> list[str]:
    """Names that were asked for, all of which there are.

    Raises
    ------
    OptionError
    """
    asked = [parameters] if isinstance(parameters, str) else parameters
    chosen = names_of(asked, "parameters", example)
    for name in chosen:
        if name not in there:
            raise OptionError(
                f"parameters: {name!r} is none of the model's"
                + close(str(name), there, "there are")
            )
    return chosen
