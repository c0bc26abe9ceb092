"""The summary of very many equations: as that of a system, of which a few lines are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.iolib.summary import forg, summary_top
from statsmodels.iolib.table import SimpleTable

from sm_alsgls.border.arguments import level, text
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.border.names import listed
from sm_alsgls.markup import cut
from sm_alsgls.results.coefficient_spread import MOST, moments, moments_table, stubs_of
from sm_alsgls.results.many.covariance import bse, law
from sm_alsgls.results.many.estimate import ManyEstimate
from sm_alsgls.results.summary_parts import coefficient_table, equation_table, numbered
from sm_alsgls.results.summary_text import SystemSummary
from sm_alsgls.results.words import words_note

# Equations up to which all are printed, and lines at either end of the order of fit beyond.
_ALL, _ENDS = 20, 10
_WIDTH, _TOP = 32, 20


def summary(
    results: Any, title: str | None = None, alpha: float = 0.05, *, equations: Any = None
) -> SystemSummary:
    """Tables of the system and of some of its equations.

    Parameters
    ----------
    results : ManySURResults
    title : str, optional
    alpha : float
        Level of the intervals.
    equations : list of str, optional
        Equations whose coefficients to print. Default: all up to 20; beyond, how each variable's
        coefficients are spread over the equations, and lines of the ten equations that fit best
        and of the ten that fit worst.
    """
    estimate: ManyEstimate = results.estimate
    title, alpha = text(title, "title"), level(alpha)
    shown = _chosen(estimate, equations)
    made = SystemSummary()
    made.tables.append(_top(results, estimate, title))
    for j in shown:
        made.tables.append(_coefficients(estimate, j, alpha))
    notes: list[str] = []
    if not shown:
        table, notes = _spread(estimate, alpha)
        made.tables.append(table)
    lines, heading = shown, "Equations"
    if not shown or (equations is None and len(shown) > _ALL):
        order = np.argsort(-estimate.rsquared, kind="stable")
        lines = [int(j) for j in (*order[:_ENDS], *order[-_ENDS:])]
        heading += f": the {_ENDS} that fit best and worst (R-squared) of {estimate.neqs}"
    made.tables.append(_equation_lines(estimate, lines, heading))
    _close(made, estimate, [*_notes(estimate, bool(shown)), *notes])
    return made


def equation_summary(
    results: Any,
    estimate: ManyEstimate,
    j: int,
    top: list[tuple[str, str]],
    title: str | None,
    alpha: float,
) -> SystemSummary:
    """The summary of one equation, with what stands at its ``top``."""
    title, alpha, name = text(title, "title"), level(alpha), estimate.labels.name(j)
    of = [("Dep. Variable:", cut(name, _TOP)), ("Model:", "LowRankSUR, one equation"), *top]
    lines = [(label, [value]) for label, value in of]
    middle = (len(lines) + 1) // 2
    made = SystemSummary()
    made.tables.append(
        summary_top(
            results,
            title=title or f"Equation: {cut(name, 2 * _WIDTH)}",
            gleft=lines[:middle],
            gright=lines[middle:],
        )
    )
    made.tables.append(_coefficients(estimate, j, alpha, heading=False))
    _close(made, estimate, _notes(estimate, True))
    return made


def _close(made: SystemSummary, estimate: ManyEstimate, notes: list[str]) -> None:
    """Notes, what words mean, and what is in doubt."""
    if estimate.reason is not None:
        notes = [estimate.reason, *notes]
    doubts = doubts_of(estimate)
    words = " ".join([str(table) for table in made.tables] + notes + doubts)
    made.add_extra_txt(numbered([*notes, *words_note(words), *doubts]))


def doubts_of(estimate: ManyEstimate) -> list[str]:
    """What a reader of the estimates must know."""
    doubts = []
    if not estimate.ending.converged:
        doubts.append(f"NOT CONVERGED: {estimate.ending.status}.")
    if estimate.at_bound.any():
        doubts.append(heywood(estimate) + " (*).")
    return doubts


def heywood(estimate: ManyEstimate) -> str:
    """Which equations have a variance on its bound, and what to do."""
    at = np.flatnonzero(estimate.at_bound)
    more = f" and {len(at) - 8} more" if len(at) > 8 else ""
    named = listed(repr(estimate.labels.name(int(j))) for j in at[:8]) + more
    return (
        f"Heywood case: the uniqueness of {named} is at its lower bound, so the factors fit it "
        "exactly; lower the rank, or raise d_floor"
    )


def _chosen(estimate: ManyEstimate, equations: Any) -> list[int]:
    if equations is None:
        return list(range(estimate.neqs)) if estimate.neqs <= _ALL else []
    asked = names_of(equations, "equations", "['y1', 'y2']")
    return [estimate.labels.position(name) for name in asked]


def _top(results: Any, estimate: ManyEstimate, title: str | None) -> SimpleTable:
    ending, P = estimate.ending, estimate.labels.P
    slopes = P - int(estimate.constant.sum())
    first, last = (cut(estimate.labels.name(j), _TOP // 2) for j in (0, estimate.neqs - 1))

    def fixed(value: float) -> str:
        return f"{value:.2f}" if abs(value) >= 1e4 else f"{value:.4f}"

    return summary_top(
        results,
        title=title or "Low-Rank Seemingly Unrelated Regressions",
        gleft=[
            ("Dep. Variables:", [f"{first} .. {last}"]),
            ("Model:", ["LowRankSUR in tiles"]),
            ("Method:", ["ALS, max. likelihood"]),
            ("Rank r:", [f"{estimate.rank:d}"]),
            ("Date:", None),
            ("Time:", None),
            ("Converged:", ["yes" if ending.converged else "NO"]),
            ("Sweeps:", [f"{len(ending.trace) - 1:d}"]),
            ("Covariance Type:", [estimate.choice.cov_type]),
        ],
        gright=[
            ("No. Observations N:", [f"{estimate.nobs:d}"]),
            ("No. Equations K:", [f"{estimate.neqs:d}"]),
            ("No. Coefficients P:", [f"{P:d}"]),
            ("Df Model:", [f"{slopes:d}"]),
            ("Df of Sigma:", [f"{estimate.df_model - P:.0f}"]),
            ("Log-Likelihood:", [fixed(estimate.llf)]),
            ("NLL per Row:", [fixed(ending.nll)]),
            ("AIC:", [fixed(results.aic)]),
            ("BIC:", [fixed(results.bic)]),
        ],
    )


def _coefficients(
    estimate: ManyEstimate, j: int, alpha: float, heading: bool = True
) -> SimpleTable:
    at, labels = estimate.labels.columns(j), estimate.labels.regressors(j)
    b, errors, dist = estimate.params[at], bse(estimate)[at], law(estimate, at)
    t, half = b / errors, dist.ppf(1.0 - alpha / 2.0) * errors
    values = [b, errors, t, 2.0 * dist.sf(np.abs(t)), np.column_stack([b - half, b + half])]
    width = min(_WIDTH, max([14, *(len(label) for label in labels)]))
    title = f"Equation: {cut(estimate.labels.name(j), 2 * _WIDTH)}" if heading else None
    names = [cut(label, width) for label in labels]
    return coefficient_table(values, names, alpha, width, title, estimate.use_t)


def _spread(estimate: ManyEstimate, alpha: float) -> tuple[SimpleTable, list[str]]:
    """How each variable's coefficients are spread over the equations."""
    several = [name for name, count in estimate.labels.counts().items() if count > 1]
    errors, rows = bse(estimate), []
    for name in several[:MOST]:
        at = estimate.labels.of_variable(name)
        b = estimate.params[at]
        p = 2.0 * law(estimate, at).sf(np.abs(b / errors[at]))
        rows.append(moments(b, p, alpha))
    notes = [
        f"P<{alpha:g} is the share of coefficients whose own p-value is below {alpha:g}; of "
        "equations in tiles there are no tests across equations."
    ]
    if len(several) > MOST:
        notes.append(f"{MOST} of {len(several)} variables are shown; tidy() has all.")
    return moments_table(rows, stubs_of(several[:MOST]), alpha), notes


def _equation_lines(estimate: ManyEstimate, at: list[int], title: str) -> SimpleTable:
    """One line an equation: fit, and how much of its error the factors share."""
    F, d = estimate.sigma.loadings[at], estimate.sigma.uniquenesses[at]
    correction, r2 = estimate.df.correction[at], estimate.rsquared[at]
    own, shared = correction * np.sqrt(d), np.square(F).sum(axis=1)
    spread = correction * np.sqrt(shared + d)
    rows = [
        [
            f"{estimate.labels.p[j]:d}",
            f"{r2[i]:#6.3f}" + ("" if estimate.constant[j] else "u"),
            forg(spread[i]),
            forg(own[i]),
            f"{shared[i] / (shared[i] + d[i]):#6.3f}" + (" *" if estimate.at_bound[j] else ""),
        ]
        for i, j in enumerate(at)
    ]
    header = ["p", "R-sq.", "std(e)", "std(unique)", "communality"]
    return equation_table(rows, header, [estimate.labels.name(j) for j in at], title)


def _notes(estimate: ManyEstimate, shown: bool) -> list[str]:
    notes = [
        estimate.choice.description,
        "Communality is the share of an equation's error variance that the factors explain.",
        "One start: a better maximum elsewhere would not have been seen."
        if estimate.rank
        else "Rank 0: errors are uncorrelated between equations, OLS for each.",
    ]
    if not shown:
        notes.append(
            "Coefficients are not shown one by one; summary(equations=[...]) prints some, "
            "equations[name] is one equation's results, tidy(path=...) writes all."
        )
    if not estimate.constant.all():
        notes.append("u: R-squared is uncentered, the equation has no constant.")
    return notes
