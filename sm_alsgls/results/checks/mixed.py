"""The checks behind `LowRankMixedLMResults.diagnostics`; numbers come from `core`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from sm_alsgls.border.arguments import level
from sm_alsgls.core.mixed.group_checks import Conditional, distances, following
from sm_alsgls.core.residuals.heteroscedasticity import auxiliary, koenker
from sm_alsgls.core.residuals.residual_tests import normality
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.exceptions import DataRemovedError
from sm_alsgls.results.checks.check import Check, convergence, family, skipped, verdict
from sm_alsgls.results.checks.report import Report, listed
from sm_alsgls.results.checks.tails import tail
from sm_alsgls.results.mixed_effects import effects_of_groups
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_factors import heywood, sd
from sm_alsgls.results.mixed_rows import fitted_rows, variances
from sm_alsgls.results.mixed_summary import singular_direction
from sm_alsgls.results.mixed_tables import curvature, retvals

# Belsley, Kuh and Welsch (1980): beyond it a coefficient may be mostly its neighbours'.
_CONDITION = 30.0
# Groups, and rows, below which laws of many are not asked for.
_FEWEST = 8
_SADDLE = -1e-4
_ROWS = ("normality, residuals", "heteroscedasticity", "serial correlation within groups")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MixedDiagnostics(Report):
    """Outcome of `LowRankMixedLMResults.diagnostics`.

    Attributes
    ----------
    table : DataFrame
        A row for each check: statistic, pvalue (of the whole family of groups or effects, by
        Holm; NaN where a check has none), verdict ("ok", "look", or "-" where it cannot be made),
        found (in words) and advice.
    groups : DataFrame (m)
        Indexed by group: rows; distance e_i'V_i^-1 e_i and its pvalue (chi2 of the rows, of
        one group alone); effect_distance, effect_pvalue of what its rows say of its effects.
    effects : DataFrame (q)
        Indexed by effect: sd, heywood, normality (p-value of the predicted effects in standard
        deviations).
    alpha : float
        Level of each check.
    nobs, n_groups : int
        n and m.
    """

    groups: pd.DataFrame
    effects: pd.DataFrame
    nobs: int
    n_groups: int

    _families: ClassVar[str] = "effects or groups"

    def _about(self) -> str:
        return f"{self.n_groups} Groups, {self.nobs} Observations"


@on_one_thread
def diagnostics(estimate: MixedEstimate, alpha: float = 0.05) -> MixedDiagnostics:
    """What is doubtful about this fit, by name, and what to do about it.

    Convergence and curvature; variances on their boundary; condition of the designs; normality of
    the random effects and of residuals; heteroscedasticity; serial correlation within groups;
    outlying groups.

    Parameters
    ----------
    alpha : float
        Level of each check: that of the smallest p-value among q effects or m groups, by Holm.

    Returns
    -------
    MixedDiagnostics
        ``table``, ``groups``, ``effects``, ``summary()``.

    Notes
    -----
    Formulas are in `core.mixed.group_checks`. Predicted effects have their model's normal law only
    where that is so of effects and residuals together. Of a model read in chunks what needs
    rows is left out.

    Of 300 clean samples each of three designs (m=40, T=5, q=1 and 3; m=100, T=8, q=3) "normality,
    effects" looks at 3 to 5 %, "normality, residuals" at 5 to 7, "heteroscedasticity" at 3 to 7,
    "serial correlation" at 6 to 8, outlying groups and effects at 1 to 6; with a correlation of .2
    of neighbouring errors "serial correlation" looks at 50, 33 and 95 %.

    Examples
    --------
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> res = LowRankMixedLM.from_formula(
    ...     "Reaction ~ Days", load_sleepstudy(), "~ Days", groups="Subject"
    ... ).fit()
    >>> res.diagnostics().doubts
    ['normality, residuals', 'serial correlation within groups', 'outlying groups']
    """
    alpha = level(alpha)
    effects = pd.DataFrame(
        {"sd": sd(estimate), "heywood": np.array(estimate.fit.at_bound)},
        index=pd.Index(estimate.names_re, name="effect"),
    )
    groups, outlying = _outlying(estimate, alpha)
    how = retvals(estimate)
    checks = [
        convergence(
            float(how["decrement"]),
            how,
            estimate.converged,
            "likelihood",
            "raise maxiter, scale columns, or doubt the rank",
        ),
        _curvature(estimate),
        _boundary(estimate),
        _condition(estimate),
        _normal_effects(estimate, effects, alpha),
        *_rows(estimate, alpha),
        *outlying,
    ]
    table = pd.DataFrame(checks).set_index("check")
    return MixedDiagnostics(
        table=table, groups=groups, effects=effects, alpha=alpha, nobs=estimate.nobs,
        n_groups=len(estimate.groups),
    )  # fmt: skip


def _curvature(estimate: MixedEstimate) -> Check:
    lowest = curvature(estimate)
    if not np.isfinite(lowest):
        return skipped("curvature", "no parameter of the variances is free")
    saddle = lowest < _SADDLE
    return Check(
        "curvature",
        lowest,
        np.nan,
        verdict(saddle),
        "a saddle: the likelihood rises along some direction"
        if saddle
        else "no direction found in which the likelihood rises",
        "raise n_starts",
    )


def _boundary(estimate: MixedEstimate) -> Check:
    """Heywood cases, variances of zero, a singular G."""
    zero, singular = heywood(estimate), singular_direction(estimate)
    q = len(estimate.names_re)
    what = "uniquenesses are zero" if estimate.rank else "variances are zero"
    found = f"{len(zero)} of {q} {what}" + (f": {listed(zero)}" if zero else "")
    if estimate.unrestricted or (singular is not None and not zero):
        found = singular or "the covariance of the random effects is regular"
    return Check(
        "boundary of variances",
        float(max(len(zero), singular is not None)),
        np.nan,
        verdict(bool(zero) or singular is not None),
        found,
        "tests and intervals of these variances are of a boundary: leave the effects out, or take "
        "a lower rank, and see whether the likelihood falls",
    )


def _condition(estimate: MixedEstimate) -> Check:
    """Regressors, and those of the random effects, that move together."""
    basis = estimate.products.basis
    found, worst = [], 0.0
    for T, name in ((basis.x, "regressors"), (basis.z, "those of random effects")):
        if not len(T):
            continue
        size = np.linalg.svd(T / np.linalg.norm(T, axis=0), compute_uv=False)
        number = float(size[0] / max(size[-1], 1e-300))
        worst = max(worst, number)
        found.append(f"{number:.3g} of {name}")
    return Check(
        "condition of designs",
        worst,
        np.nan,
        verdict(worst > _CONDITION),
        ", ".join(found),
        "single coefficients, and correlations of random effects, are poorly determined: centre "
        "and scale columns, or drop one of those that move together",
    )


def _normal_effects(estimate: MixedEstimate, effects: pd.DataFrame, alpha: float) -> Check:
    """Predicted effects in their own standard deviations, var(bhat_i) = G - var(b_i | y_i)."""
    name, m = "normality, effects", len(estimate.groups)
    if m < _FEWEST:
        effects["normality"] = np.nan
        return skipped(name, "too few groups")
    found = effects_of_groups(estimate)
    variance = np.diagonal(estimate.cov_re) - np.diagonal(found.conditional, axis1=1, axis2=2)
    there = variance > 1e-10 * np.maximum(np.diagonal(estimate.cov_re), 1e-300)
    whole = there.all(axis=0)
    E = np.where(there, found.mean / np.sqrt(np.where(there, variance, 1.0)), 0.0)
    statistic, nominal = np.full(E.shape[1], np.nan), np.full(E.shape[1], np.nan)
    if whole.any():
        statistic[whole], nominal[whole] = normality(E[:, whole])
        nominal[whole] = tail("normality", m, 0)(nominal[whole])
    effects["normality"] = nominal
    return family(
        name, statistic, nominal, effects.index, alpha,
        "coefficients and variances stay consistent, and tests of variances do not: use "
        "cov_type='cluster' for coefficients; see plot_random_effects() and which groups are "
        "outlying", "effects",
    )  # fmt: skip


def _rows(estimate: MixedEstimate, alpha: float) -> list[Check]:
    """What needs the rows."""
    try:
        rows = estimate.rows
    except DataRemovedError:
        return [skipped(name, "the rows are not kept") for name in _ROWS]
    root = np.sqrt(variances(estimate))
    if not (root > 0.0).all():
        return [skipped(name, "the residual variance is zero") for name in _ROWS]
    if rows.nobs < _FEWEST:
        return [skipped(name, "too few rows") for name in _ROWS]
    fitted = fitted_rows(estimate)
    resid, X = rows.y - fitted[1], rows.X
    if not estimate.fit.law.independent:
        E, serial = resid / root, skipped(_ROWS[2], "residuals follow each other in the model")
    else:
        left = Conditional(estimate.fit, rows.Z, rows.X, resid, rows.codes, root)
        size = left.variances()
        # A row that its group's effects, or coefficients, fit whatever it is says nothing.
        there = size > 1e-8
        E, serial = left.r[there] / np.sqrt(size[there]), _serial(estimate, left, alpha)
        fitted = fitted[0][there], fitted[1][there]
        X = X[there]
    statistic, p = normality(E[:, None])
    normal = Check(
        _ROWS[0],
        float(statistic[0]),
        float(p[0]),
        verdict(bool(p[0] < alpha)),
        "conditional residuals in their standard deviations (Doornik and Hansen 2008)",
        "coefficients and variances stay consistent; use cov_type='cluster', a transformed "
        "response, and see which groups are outlying",
    )
    return [normal, _even(X, fitted[0], E[:, None], alpha), serial]


def _even(X: np.ndarray, fitted: np.ndarray, E: np.ndarray, alpha: float) -> Check:
    U = auxiliary(X, fitted)
    if not U.shape[1]:
        return skipped(_ROWS[1], "no regressors that vary")
    statistic = float(koenker(E, U)[0])
    p = float(stats.chi2.sf(statistic, U.shape[1]))
    return Check(
        _ROWS[1],
        statistic,
        p,
        verdict(p < alpha),
        f"squares of conditional residuals on regressors, {U.shape[1]} degrees of freedom "
        "(Koenker 1981)",
        "variances differ: residual= for levels of a variable, weights= where they are known up to "
        "scale, a response in logarithms; cov_type='cluster' for coefficients",
    )


def _serial(estimate: MixedEstimate, left: Conditional, alpha: float) -> Check:
    rows = estimate.rows
    found = following(estimate.fit, left, rows.codes)
    if found.pairs < _FEWEST or not np.isfinite(found.statistic):
        return skipped(_ROWS[2], "too few rows of a group follow each other")
    p = float(2.0 * stats.norm.sf(abs(found.statistic)))
    order = "time" if rows.times is not None else "the order of the rows"
    return Check(
        _ROWS[2],
        found.statistic,
        p,
        verdict(p < alpha),
        f"score of first-order correlation by {order}, {found.rho:+.2f} over {found.pairs} pairs",
        "ar='groups', with time=, if rows are in the order of time; cov_type='cluster' for "
        "coefficients",
    )


def _outlying(estimate: MixedEstimate, alpha: float) -> tuple[pd.DataFrame, list[Check]]:
    """Groups far off the model, by their responses and by their effects."""
    found = distances(estimate.fit)
    groups = pd.DataFrame(
        {
            "rows": found.rows,
            "distance": found.responses,
            "pvalue": stats.chi2.sf(found.responses, found.rows),
            "effect_distance": found.effects,
            "effect_pvalue": stats.chi2.sf(found.effects, found.rank),
        },
        index=estimate.groups,
    )
    advice = "look at these groups: wrong numbers, another population; fit without them and compare"
    return groups, [
        family(
            "outlying groups", found.responses, groups["pvalue"].to_numpy(), estimate.groups,
            alpha, advice, "groups",
        ),
        family(
            "outlying effects", found.effects, groups["effect_pvalue"].to_numpy(),
            estimate.groups, alpha, advice, "groups",
        ),
    ]  # fmt: skip
