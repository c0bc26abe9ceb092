"""The summary of a mixed model; tables only, every number comes from the estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.iolib.summary import forg, summary_top
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.border.arguments import level, text
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.names import listed
from sm_alsgls.core.mixed.climb import SATURATED
from sm_alsgls.exceptions import OptionError
from sm_alsgls.markup import cut
from sm_alsgls.results.coefficients import bse, conf_int, df_coefficients, pvalues, tvalues
from sm_alsgls.results.header import Line
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.mixed_factors import communalities, correlations, heywood, sd
from sm_alsgls.results.mixed_rows import level_ratios
from sm_alsgls.results.mixed_tables import aic, bic, retvals, structure_name
from sm_alsgls.results.summary_parts import coefficient_table, dropped_note, numbered
from sm_alsgls.results.summary_text import SystemSummary
from sm_alsgls.results.words import words_note

# Random effects up to which a summary has the triangle of their correlations.
MOST_CORRELATED = 6
# Random effects of which the text has lines; of more, the ends of the order of their deviations.
_MOST_LINES, _ENDS = 24, 10
# Factors whose loadings are columns.
_MOST_FACTORS = 4
# A curvature below which the maximum is a saddle, see `core.mixed.fit`.
_SADDLE = -1e-4


def summary(
    estimate: MixedEstimate,
    yname: str | None = None,
    xname_fe: list[str] | None = None,
    xname_re: list[str] | None = None,
    title: str | None = None,
    alpha: float = 0.05,
) -> SystemSummary:
    """Fixed effects, deviations and correlations of random effects, and how the fit went.

    Parameters
    ----------
    yname : str, optional
    xname_fe, xname_re : list of str, optional
        Other names for the fixed effects (p), and for the random ones (q).
    title : str, optional
    alpha : float
        Level of the intervals.

    Returns
    -------
    statsmodels.iolib.summary.Summary

    Notes
    -----
    Up to six random effects have the triangle of their correlations; more have their communality
    (share of the variance that the factors explain) and loadings over their standard deviation,
    which are correlations with the factors.
    """
    yname, title, alpha = text(yname, "yname"), text(title, "title"), level(alpha)
    fixed = _renamed(xname_fe, "xname_fe", estimate.labels.params)
    random = _renamed(xname_re, "xname_re", estimate.names_re)
    left, right = _header(estimate, yname)
    made = SystemSummary()
    made.tables.append(
        summary_top(
            estimate, title=title or "Low-Rank Mixed Linear Model", gleft=left, gright=right
        )
    )
    width = min(32, max([14, *(len(name) for name in (*fixed, *random))]))
    values = [
        estimate.params, bse(estimate), tvalues(estimate), pvalues(estimate),
        conf_int(estimate, alpha),
    ]  # fmt: skip
    made.tables.append(
        coefficient_table(
            values,
            [cut(name, width) for name in fixed],
            alpha,
            width,
            "Fixed effects",
            estimate.use_t,
        )
    )
    made.tables.append(_random(estimate, random, width))
    if estimate.fit.law.size:
        made.tables.append(_residual(estimate, width))
    notes = _notes(estimate)
    said = " ".join([*map(str, made.tables), *notes])
    made.add_extra_txt(numbered([*notes, *words_note(said)]))
    return made


def _renamed(given: Any, argument: str, names: list[str]) -> list[str]:
    if given is None:
        return names
    found = [str(name) for name in names_of(given, argument, "one for each")]
    if len(found) != len(names):
        raise OptionError(f"{argument} must list {len(names)} names, got {len(found)}")
    return found


def _header(estimate: MixedEstimate, yname: str | None) -> tuple[list[Line], list[Line]]:
    fit, counts = retvals(estimate), estimate.products.rows
    method = estimate.model.rank_method
    structure = structure_name(estimate) + (f" ({method})" if method else "")
    sizes = f"{counts.min()} / {counts.mean():.1f} / {counts.max()}"
    left: list[Line] = [
        ("Dep. Variable:", [cut(yname or estimate.model.endog_names, 26)]),
        ("Model:", ["LowRankMixedLM"]),
        ("Method:", ["REML" if estimate.reml else "ML"]),
        ("Cov. of Effects:", [structure]),
        ("Date:", None),
        ("Time:", None),
        ("Converged:", ["yes" if estimate.converged else "NO"]),
        ("Starts at the Best:", [f"{fit['starts_at_best']} of {len(fit['starts'])}"]),
        ("Covariance Type:", [estimate.choice.cov_type]),
    ]
    right: list[Line] = [
        ("No. Observations:", [f"{estimate.nobs:d}"]),
        ("No. Groups:", [f"{len(estimate.groups):d}"]),
        ("Rows, min/mean/max:", [sizes]),
        ("Fixed, Random:", [f"{estimate.labels.P:d}, {len(estimate.names_re):d}"]),
        ("Parameters, all:", [f"{estimate.df_model:.0f}"]),
        ("Log-Likelihood:", [f"{estimate.llf:.4f}"]),
        ("AIC:", [f"{aic(estimate):.4f}"]),
        ("BIC:", [f"{bic(estimate):.4f}"]),
        ("Scale:", [forg(estimate.scale, prec=4).strip()]),
    ]
    return left, right


def _random(estimate: MixedEstimate, names: list[str], width: int) -> SimpleTable:
    """Deviations of the random effects, and what they have in common."""
    q, zero = len(names), set(heywood(estimate))
    root = sd(estimate)
    marks = [" *" if name in zero else "" for name in estimate.names_re]
    header, columns = ["variance", "std. dev."], [
        [forg(value**2, prec=4) for value in root],
        [forg(value, prec=4) + mark for value, mark in zip(root, marks, strict=True)],
    ]  # fmt: skip
    factors = not estimate.unrestricted and estimate.rank > 0
    if q <= MOST_CORRELATED and q > 1 and estimate.unrestricted | factors:
        C = correlations(estimate).to_numpy()
        for j in range(q - 1):
            header.append("corr." if j == 0 else "")
            columns.append([f"{C[i, j]:#6.3f}" if i > j else "" for i in range(q)])
    if factors:
        share = communalities(estimate).to_numpy()
        header.append("communality")
        columns.append([f"{value:#6.3f}" for value in share])
        if q > MOST_CORRELATED:
            scale = np.where(root > 0.0, root, 1.0)[:, None]
            L = estimate.loadings / scale
            for f in range(min(estimate.rank, _MOST_FACTORS)):
                header.append(f"factor{f + 1}")
                columns.append([f"{value:#6.3f}" for value in L[:, f]])
    elif q > MOST_CORRELATED and estimate.unrestricted:
        C = np.abs(correlations(estimate).to_numpy() - np.eye(q))
        at = np.nanargmax(np.where(np.isnan(C), -1.0, C), axis=1)
        header.append("strongest corr.")
        whole = correlations(estimate).to_numpy()
        columns.append([f"{whole[i, k]:#6.3f} {names[k]}" for i, k in enumerate(at)])
    order = _shown(root)
    rows = [[column[i] for column in columns] for i in order]
    stubs = [cut(names[i], width).ljust(width) for i in order]
    title = "Random effects"
    if len(order) < q:
        title += f": the {_ENDS} largest and smallest of {q}, see re_table"
    return SimpleTable(rows, header, stubs, title=title, txt_fmt=fmt_params)


def _shown(root: np.ndarray) -> np.ndarray:
    """All random effects, of many the ends by their deviations."""
    if len(root) <= _MOST_LINES:
        return np.arange(len(root))
    order = np.argsort(-root, kind="stable")
    return np.concatenate([order[:_ENDS], order[-_ENDS:]])


def _residual(estimate: MixedEstimate, width: int) -> SimpleTable:
    """What residuals follow: a deviation a level, and the correlation of neighbours."""
    law = estimate.fit.law
    labels = getattr(law, "labels", None)
    if labels is None:
        rows = [[forg(value, prec=4)] for value in estimate.theta]
        stubs, header = [name.ljust(width) for name in law.names], ["coef"]
    else:
        variance = estimate.scale * level_ratios(estimate)
        rows = [[forg(v, prec=4), forg(np.sqrt(v), prec=4)] for v in variance]
        stubs, header = (
            [cut(str(name), width).ljust(width) for name in labels],
            ["variance", "std. dev."],
        )
        others = ~estimate.fit.law.variance_slopes(estimate.theta).any(axis=1)
        for name, value in zip(np.array(law.names)[others], estimate.theta[others], strict=True):
            rows.append([forg(value, prec=4), ""])
            stubs.append(str(name).ljust(width))
    return SimpleTable(rows, header, stubs, title="Residuals", txt_fmt=fmt_params)


def _notes(estimate: MixedEstimate) -> list[str]:
    notes = [estimate.choice.description]
    if estimate.use_t:
        df = df_coefficients(estimate)
        low, high = df.min(), df.max()
        notes.append(
            f"Degrees of freedom of t: {low:.1f}"
            + (f" to {high:.1f}." if high > low + 0.05 else ".")
        )
    if not estimate.unrestricted and estimate.rank:
        notes.append(
            "Communality is the share of an effect's variance that the factors explain"
            + (
                "; factors are loadings over its standard deviation."
                if len(estimate.names_re) > MOST_CORRELATED
                else "."
            )
            + " (docs, theory/mixed)"
        )
        if estimate.rank > _MOST_FACTORS and len(estimate.names_re) > MOST_CORRELATED:
            notes.append(f"{_MOST_FACTORS} of {estimate.rank} factors are shown; see loadings.")
    if len(estimate.fit.law.variances(estimate.theta)) > 1:
        notes.append("Scale is the residual variance of the first level.")
    if estimate.model.n_dropped:
        why = "with missing values or weight 0"
        notes.append(dropped_note(estimate.model.n_dropped, why))
    notes += _about_starts(estimate)
    return [*notes, *warnings_of(estimate)]


def _about_starts(estimate: MixedEstimate) -> list[str]:
    fit = retvals(estimate)
    tried, reached = len(fit["starts"]), fit["starts_at_best"]
    if tried == 1:
        return ["One start: a better maximum elsewhere would not have been seen."]
    if reached == tried:
        every = "Both" if tried == 2 else f"All {tried}"
        return [f"{every} starts reached this likelihood."]
    return [
        f"{reached} of {tried} starts reached this likelihood; the worst ended "
        f"{fit['worst_gap']:.4g} log-likelihood units below."
    ]


def warnings_of(estimate: MixedEstimate) -> list[str]:
    """What a reader of the estimates must know, as the summary prints it."""
    fit, notes = estimate.fit, []
    if not fit.converged:
        notes.append(f"NOT CONVERGED: {fit.message}.")
    zero = heywood(estimate)
    if zero:
        named = listed(map(repr, zero))
        if estimate.rank:
            notes.append(
                f"Heywood case (*): the uniqueness of {named} is zero, so that factors alone make "
                "groups differ in them; a lower rank has fewer."
            )
        else:
            notes.append(
                f"On the boundary (*): the variance of {named} is zero; groups do not differ in "
                "them, leave them out."
            )
    singular = singular_direction(estimate)
    if singular is not None and not zero:
        notes.append(
            "The covariance of the random effects is singular: " + singular + ". Its tests and "
            "intervals are of a boundary; rank='diagonal' or a low rank has fewer parameters."
        )
    if fit.curvature is not None and fit.curvature < _SADDLE:
        notes.append("The likelihood still rises in some direction: a saddle, not a maximum.")
    if fit.message == SATURATED:
        notes.append("Standard errors mean nothing where the residual variance is zero.")
    return notes


def singular_direction(estimate: MixedEstimate) -> str | None:
    """What combination of the random effects does not vary, where there should be none; in words.

    Of G without Psi whose rank is less than q nothing is said: that was asked for.
    """
    root = sd(estimate)
    if not (root > 0.0).all():
        named = [repr(estimate.names_re[j]) for j in np.flatnonzero(~(root > 0.0))]
        return f"the variance of {', '.join(named)} is zero"
    if not estimate.unrestricted:
        return None
    values, vectors = np.linalg.eigh(correlations(estimate).to_numpy())
    if values[0] > 1e-8:
        return None
    at = np.argsort(-np.abs(vectors[:, 0]))[:2]
    named = [repr(estimate.names_re[j]) for j in sorted(at)]
    return f"a combination of {' and '.join(named)}{' and others' * (len(root) > 2)} has variance 0"
