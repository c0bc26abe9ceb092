"""How a variable's coefficients are spread over the equations of a system: tables for many."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from statsmodels.iolib.summary import forg
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.exceptions import AlsglsError
from sm_alsgls.markup import cut
from sm_alsgls.results.across import test_across
from sm_alsgls.results.coefficients import bse, pvalues, robust
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted import kept_of_equation

# Of robust covariances, whose tests have laws of their own: rows times hypotheses squared.
_MOST_ROBUST = 60
# Coefficients whose standard errors a summary waits for where they need all at once.
_MOST_DEAR = 500
# Narrow enough for 80 columns.
_FORMAT = {**fmt_params, "colwidths": 7, "data_fmts": ["%s"]}
# Variables that have a line, and letters of their names.
MOST, _WIDTH = 12, 14
# Coefficients of all variables that are tested: a test of m solves for m right-hand sides and
# factorises m x m, at 500 equations 0.3 seconds.
_MOST_TESTED = 1_500


def spread_of(estimate: Estimate, chosen: list[str] | None) -> list[str]:
    """Variables with coefficients in several equations, or of these some."""
    several = [name for name, at in estimate.labels.by_variable.items() if len(at) > 1]
    return several if chosen is None else [name for name in chosen if name in several]


def spread_tables(
    estimate: Estimate, variables: list[str], alpha: float
) -> tuple[list[SimpleTable], list[str]]:
    """Moments, quartiles and tests of each variable's coefficients, and notes on them.

    Parameters
    ----------
    variables : list of str
        Of `spread_of`; the first twelve have a line.
    alpha : float
        Level of the share of coefficients that differ from zero.

    Notes
    -----
    No covariance of all P coefficients is made: standard errors are of the diagonal blocks, and a
    test has the covariance of its variable's coefficients. Tests are made of up to 1,500
    coefficients, of 60 where a robust covariance has tests of its own. Of types whose standard
    errors alone take long ("sandwich", "KH") there is nothing beyond 500 coefficients, unless
    these errors are known.
    """
    by_variable, dear = estimate.labels.by_variable, _dear(estimate)
    p = np.full(estimate.labels.P, np.nan) if dear else pvalues(estimate)
    shown = variables[:MOST]
    places = {name: i for i, name in enumerate(by_variable)}
    most = _MOST_ROBUST if robust(estimate) and estimate.use_t else _MOST_TESTED
    rows, tests, left = [], [], 0
    refused: dict[str, str] = {}
    notes: list[str] = []
    for name in shown:
        at = by_variable[name]
        rows.append(moments(estimate.params[at], p[at], alpha))
        left += len(at)
        pair: list[list[str] | None] = [None, None]
        if left <= most and not dear:
            for k in (0, 1):
                pair[k], why = _tested(estimate, 2 * places[name] + k)
                if why:
                    refused.setdefault(name, why)
        tests.append(pair)
    stubs = stubs_of(shown)
    tables = [moments_table(rows, stubs, alpha)]
    found = [(stub, *pair) for stub, pair in zip(stubs, tests, strict=True) if any(pair)]
    if found:
        letter = "F" if estimate.use_t else "chi2"
        names = [f"{letter} all zero", "df", "P", f"{letter} all equal", "df", "P"]
        body = [[*(zero or [""] * 3), *(equal or [""] * 3)] for _, zero, equal in found]
        lines = [stub for stub, *_ in found]
        tables.append(
            SimpleTable(body, names, lines, title="Tests over equations", txt_fmt=_FORMAT)
        )
    if dear:
        notes.append(
            f"Standard errors of {estimate.labels.P} coefficients of this type take long; shares "
            "and tests are here once bse was asked for."
        )
    elif refused:
        name, why = next(iter(refused.items()))
        more = f", and of {len(refused) - 1} more" if len(refused) > 1 else ""
        notes.append(f"There is no test of all of {cut(name, _WIDTH)!r}{more}: {why}")
    elif len(found) < len(shown):
        notes.append("Other variables are tested by test_across(variable): it takes longer.")
    if len(shown) < len(variables):
        notes.append(
            f"{len(shown)} of {len(variables)} variables are shown; summary(variables=[...]) shows "
            "others."
        )
    notes.append(
        f"P<{alpha:g} is the share of coefficients whose own p-value is below {alpha:g}; the tests "
        "are test_across(variable, null='zero') and (..., null='equal')."
    )
    return tables, list(dict.fromkeys(notes))


def moments(b: np.ndarray, p: np.ndarray, alpha: float) -> list[str]:
    """A line of `moments_table`, of coefficients of one variable and their p-values.

    P-values that are not known are NaN.
    """
    numbers = [b.mean(), b.std(ddof=1), *np.quantile(b, [0.25, 0.5, 0.75])]
    known = p[~np.isnan(p)]
    share = f"{(known < alpha).mean():.3f}" if len(known) else ""
    return [f"{len(b)}", *(f"{x:.4g}" for x in numbers), share]


def stubs_of(variables: list[str]) -> list[str]:
    """How names of variables begin a line."""
    return [cut(name, _WIDTH).ljust(_WIDTH) for name in variables]


def moments_table(rows: list[list[str]], stubs: list[str], alpha: float) -> SimpleTable:
    """Moments and quartiles of coefficients over equations, a line a variable."""
    header = ["eqs.", "mean", "std.", "25%", "50%", "75%", f"P<{alpha:g}"]
    return SimpleTable(rows, header, stubs, title="Coefficients over equations", txt_fmt=_FORMAT)


def _dear(estimate: Estimate) -> bool:
    """Whether the standard errors alone take too long for a summary."""
    named = estimate.choice.cov_type in ("sandwich", "KH")
    return named and estimate.labels.P > _MOST_DEAR and not bse.is_known(estimate)


@kept_of_equation
def _tested(estimate: Estimate, number: int) -> tuple[list[str] | None, str]:
    """Statistic, degrees of freedom and p-value of a test, or why there is none; kept.

    Of variable number // 2, that all are zero where ``number`` is even, otherwise that all are
    equal.
    """
    name = list(estimate.labels.by_variable)[number // 2]
    try:
        with warnings.catch_warnings():
            # What follows from other hypotheses is left out, as the degrees of freedom show.
            warnings.simplefilter("ignore")
            test: Any = test_across(estimate, name, ("zero", "equal")[number % 2])
    except AlsglsError as error:
        return None, f"{error}."
    m = getattr(test, "n_hypotheses", test.df_num if estimate.use_t else test.df_denom)
    statistic = test.fvalue if estimate.use_t else test.statistic
    value = forg(float(np.squeeze(statistic)))
    return [value, f"{m:.0f}", f"{float(test.pvalue):.3f}"], ""
