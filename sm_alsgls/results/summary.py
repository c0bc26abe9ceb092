"""Summary tables of a fitted system; tables only, every number comes from the estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.iolib.summary import forg, summary_top
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.border.arguments import level, text
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.exceptions import OptionError
from sm_alsgls.markup import cut, listed
from sm_alsgls.results.coefficient_spread import spread_of, spread_tables
from sm_alsgls.results.coefficients import bse, bse_at, bse_of, law_at, law_of
from sm_alsgls.results.equation_tests import conf_int
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.factors import communalities, factors, heywood
from sm_alsgls.results.header import Header
from sm_alsgls.results.in_sample import rsquared, spans_constant
from sm_alsgls.results.laws import law_params
from sm_alsgls.results.row_order import order_note
from sm_alsgls.results.selection import equations_named
from sm_alsgls.results.summary_parts import (
    coefficient_table,
    dropped_note,
    equation_table,
    numbered,
)
from sm_alsgls.results.summary_text import SystemSummary
from sm_alsgls.results.words import words_note

# Nobody reads a thousand tables: beyond this the text has one line an equation.
COMPACT_FROM = 21
# Lines of equations at either end of their order of fit, where there are too many for all.
_ENDS = 10
# Letters of names in tables, and in what stands at the top of a summary.
_WIDTH, _TOP = 32, 20
# Parameters of laws beyond which the text has their distribution.
_MANY = 24


def summary(
    estimate: Estimate,
    yname: str | None = None,
    xname: list[str] | None = None,
    title: str | None = None,
    alpha: float = 0.05,
    *,
    equations: Any = None,
    variables: Any = None,
) -> SystemSummary:
    """Tables of the system and of its equations.

    Parameters
    ----------
    yname, xname : optional
        Other names for the responses (one string for the header) and the coefficients.
    title : str, optional
    alpha : float
        Level of the intervals.
    equations : list of str, "all" or None
        Equations whose coefficients to print. Default: all up to 20 equations. Beyond, each
        variable's coefficients over the equations (mean, deviation, quartiles, share that differs
        from zero, tests that all are zero and that all are equal), and a line of the ten equations
        that fit best and of the ten that fit worst.
    variables : list of str, optional
        Regressors whose coefficients to print, over the equations as well; default all.

    Returns
    -------
    statsmodels.iolib.summary.Summary
    """
    names, position = estimate.equations, estimate.labels.position
    shown = _chosen(names, equations)
    yname, title = text(yname, "yname"), text(title, "title")
    if xname is not None:
        xname = names_of(xname, "xname", "one for each coefficient")
        if len(xname) != estimate.labels.P:
            raise OptionError(f"xname must list {estimate.labels.P} names, got {len(xname)}")
    header, made = estimate.describe(estimate), SystemSummary()
    name = yname or estimate.model.endog_names
    asked = _variables(estimate, variables)
    made.tables.append(
        summary_top(
            estimate,
            title=title or header.title,
            gleft=[("Dep. Variables:", [cut(name, _TOP)]), *header.left],
            gright=list(header.right),
        )
    )
    labels = estimate.labels.terms if xname is None else [str(name) for name in xname]
    alpha, common = level(alpha), estimate.labels.common
    # Of each equation its own coefficients: where they are among its regressors and among all.
    aside = header.aside if equations is None else frozenset()
    wanted = None if asked is None else frozenset(asked)
    own = {name: _own(estimate, position[name], aside, wanted) for name in shown}
    common = common if asked is None else _common_of(estimate, asked)
    printed = [*common, *(i for _, at in own.values() for i in at)]
    width = min(_WIDTH, max([14, *(len(labels[i]) for i in printed)]))
    if len(shown) > 0.1 * len(names):
        # All standard errors at once cost less than many equations' one by one.
        _ = bse(estimate)
    if len(common):
        made.tables.append(_common(estimate, [labels[i] for i in common], alpha, width))
    for name, (inside, at) in own.items():
        if len(at):
            chosen = [labels[i] for i in at]
            heading = f"Equation: {cut(name, 2 * _WIDTH)}"
            made.tables.append(
                _coefficients(estimate, position[name], chosen, alpha, width, heading, inside)
            )
    if estimate.laws is not None:
        made.tables.append(_laws(estimate, alpha, width))
    notes: list[str] = []
    spread = spread_of(estimate, asked) if asked is not None or not shown else []
    if spread:
        tables, notes = spread_tables(estimate, spread, alpha)
        made.tables += tables
    everything = equations is None or (isinstance(equations, str) and equations == "all")
    lines, title = names if everything else shown, "Equations"
    if equations is None and len(names) > 2 * _ENDS:
        lines = _ends(estimate)
        title += f": the {_ENDS} that fit best and worst (R-squared) of {len(names)}"
    made.tables.append(_equation_lines(estimate, lines, title))
    _add_notes(made, [*_notes(estimate, header, bool(shown)), *notes], header)
    return made


def _add_notes(made: SystemSummary, notes: list[str], header: Header) -> None:
    """Notes, what their words and those of the tables mean, and what is in doubt."""
    text = " ".join([str(table) for table in made.tables] + notes + header.doubts)
    made.add_extra_txt(numbered([*notes, *words_note(text), *header.doubts]))


def _variables(estimate: Estimate, variables: Any) -> list[str] | None:
    """Regressors that were asked for; OptionError where no equation has one."""
    if variables is None:
        return None
    asked = [str(name) for name in names_of(variables, "variables")]
    if not asked or len(set(asked)) < len(asked):
        what = "is empty" if not asked else "names a regressor twice"
        raise OptionError(f"variables {what}; give each one that you want once")
    known = list(estimate.labels.by_variable)
    for name in asked:
        if name not in known:
            raise OptionError(
                f"variables: no equation has a regressor {name!r}; the system has {listed(known)}"
            )
    return asked


def _common_of(estimate: Estimate, asked: list[str]) -> np.ndarray:
    """Common coefficients of some regressors."""
    labels = estimate.labels
    found = np.concatenate([labels.by_variable[name] for name in asked])
    return labels.common[np.isin(labels.common, found)]


def _ends(estimate: Estimate) -> list[str]:
    """The equations that fit best and worst, best first."""
    order = np.argsort(-rsquared(estimate), kind="stable")
    return [estimate.equations[j] for j in (*order[:_ENDS], *order[-_ENDS:])]


def equation_summary(
    estimate: Estimate, j: int, top: list[tuple[str, str]], title: str | None, alpha: float
) -> SystemSummary:
    """The summary of one equation, with what stands at its ``top``; see `EquationResults.summary`.

    The lines are two columns, the left one first.
    """
    name, title, alpha = estimate.equations[j], text(title, "title"), level(alpha)
    header, labels = estimate.describe(estimate), estimate.labels.regressors[j]
    model = ("Model:", f"{header.model}, one equation")
    lines = [
        (label, [value]) for label, value in [("Dep. Variable:", cut(name, _TOP)), model, *top]
    ]
    middle = (len(lines) + 1) // 2
    made = SystemSummary()
    made.tables.append(
        summary_top(
            estimate,
            title=title or f"Equation: {cut(name, 2 * _WIDTH)}",
            gleft=lines[:middle],
            gright=lines[middle:],
        )
    )
    width = min(_WIDTH, max(14, *(len(label) for label in labels)))
    made.tables.append(_coefficients(estimate, j, labels, alpha, width, None))
    _add_notes(made, _notes(estimate, header, True), header)
    return made


def _chosen(names: list[str], equations: Any) -> list[str]:
    if equations is None:
        return names if len(names) < COMPACT_FROM else []
    if isinstance(equations, str) and equations == "all":
        return names
    return equations_named(equations, names)


def _own(
    estimate: Estimate, j: int, aside: frozenset[str], wanted: frozenset[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the coefficients that are equation j's alone, among its own and among all."""
    labels = estimate.labels
    at = np.arange(labels.P)[labels.columns(j)]
    printed = np.array(
        [name not in aside if wanted is None else name in wanted for name in labels.regressors[j]],
        dtype=bool,
    )
    inside = np.flatnonzero(~np.isin(at, labels.common) & printed)
    return inside, at[inside]


def _common(estimate: Estimate, labels: list[str], alpha: float, width: int) -> SimpleTable:
    """The coefficients that equations share; of the others no standard error is computed."""
    common = estimate.labels.common
    coefs, errors, law = estimate.params[common], bse_at(estimate, common), law_at(estimate, common)
    ratios = coefs / np.where(errors > 0.0, errors, np.nan)
    half = law.ppf(1.0 - alpha / 2.0) * errors
    intervals = np.column_stack([coefs - half, coefs + half])
    values = [coefs, errors, ratios, 2.0 * law.sf(np.abs(ratios)), intervals]
    return _table(estimate, values, labels, alpha, width, "Common coefficients")


def _coefficients(
    estimate: Estimate,
    j: int,
    labels: list[str],
    alpha: float,
    width: int,
    title: str | None,
    at: np.ndarray | slice = slice(None),
) -> SimpleTable:
    """Some of an equation's coefficients, by their positions."""
    coefs, errors = estimate.beta[j], bse_of(estimate, j)
    ratios = coefs / np.where(errors > 0.0, errors, np.nan)
    pvalues = 2.0 * law_of(estimate, j).sf(np.abs(ratios))
    intervals = conf_int(estimate, j, alpha).to_numpy()
    values = [column[at] for column in (coefs, errors, ratios, pvalues, intervals)]
    return _table(estimate, values, labels, alpha, width, title)


def _table(
    estimate: Estimate,
    values: list[np.ndarray],
    labels: list[str],
    alpha: float,
    width: int,
    title: str | None,
) -> SimpleTable:
    names = [cut(label, width) for label in labels]
    return coefficient_table(values, names, alpha, width, title, estimate.use_t)


def _laws(estimate: Estimate, alpha: float, width: int) -> SimpleTable:
    """Parameters of what errors follow beside Sigma; of many, what they are about."""
    table = law_params(estimate, alpha)
    header = [*table.columns[:3], "P>|z|", *table.columns[4:]]
    if len(table) > _MANY:
        spread = table["coef"].describe()
        rows = [[forg(spread[name], prec=4)] for name in ("mean", "std", "min", "50%", "max")]
        title = f"Errors: {len(table)} parameters, see law_params()"
        stubs = [
            name.ljust(width) for name in ("mean", "std. deviation", "least", "median", "most")
        ]
        return SimpleTable(rows, ["coef"], stubs, title=title, txt_fmt=fmt_params)
    rows = [
        [forg(coef, prec=4), forg(se), forg(z), f"{p:#6.3f}", forg(low), forg(high)]
        for coef, se, z, p, low, high in table.to_numpy()
    ]
    stubs = [str(name).ljust(width) for name in table.index]
    return SimpleTable(rows, header, stubs, title="Errors", txt_fmt=fmt_params)


def _equation_lines(estimate: Estimate, names: list[str], title: str) -> SimpleTable:
    """One line an equation: fit, and how much of its error the factors share, if there are any."""
    sigma, position = estimate.sigma, estimate.labels.position
    r2, correction = rsquared(estimate), estimate.df.correction
    spread = correction * np.sqrt(sigma.diag())
    shared = estimate.has_factors
    floor = set(heywood(estimate))
    if shared:
        communality = communalities(estimate).to_numpy()
        unique = correction * np.sqrt(factors(estimate).uniquenesses)
    centered = spans_constant(estimate)
    counted = not estimate.complete
    rows = [
        [
            *[f"{estimate.counts[j]:d}"] * counted,
            f"{estimate.p[j]:d}",
            f"{r2[j]:#6.3f}" + ("" if centered[j] else "u"),
            forg(spread[j]) + (" *" if name in floor and not shared else ""),
            *(
                [forg(unique[j]), f"{communality[j]:#6.3f}" + (" *" if name in floor else "")]
                if shared
                else []
            ),
        ]
        for name, j in ((name, position[name]) for name in names)
    ]
    header = [*["N"] * counted, "p", "R-sq.", "std(e)"]
    header += ["std(unique)", "communality"] if shared else []
    return equation_table(rows, header, names, title)


def _notes(estimate: Estimate, header: Header, shown: bool) -> list[str]:
    notes = [estimate.choice.description]
    order = order_note(estimate)
    if order is not None:
        notes.append(order)
    notes += header.about
    notes += _cells(estimate)
    if estimate.model.n_dropped:
        why = "without a cell" if not estimate.complete else "with missing values"
        why += " or weight 0" if estimate.usage.weighted else ""
        notes.append(dropped_note(estimate.model.n_dropped, why))
    m = len(estimate.labels.common)
    if m:
        which = "1 coefficient is" if m == 1 else f"{m} coefficients are"
        notes.append(f"{which} common to several equations; restriction_tests() tests that.")
    bound = estimate.model.restrictions
    if bound is not None:
        notes.append(f"{len(bound.q)} linear restrictions hold exactly.")
    notes += header.fit
    own = estimate.labels.P - len(estimate.labels.common)
    if not shown and own:
        what = "Coefficients" if own == estimate.labels.P else "The equations' own coefficients"
        notes.append(
            f"{what} are not shown one by one; summary(equations=[...]) or "
            "summary(equations='all') prints them, equations[name] is one equation's results."
        )
    if not spans_constant(estimate).all():
        notes.append("u: R-squared is uncentered, the equation has no constant.")
    return notes


def _cells(estimate: Estimate) -> list[str]:
    """What the fit uses of the table of rows and equations, and how cells are weighted."""
    notes = []
    if not estimate.complete:
        total, counts = estimate.nobs * estimate.neqs, estimate.counts
        notes.append(
            f"{estimate.n_cells} of {total} cells are used ({estimate.n_cells / total:.1%}), "
            f"{counts.min()} to {counts.max()} rows an equation; cells missing at random (FIML)."
        )
        maximum = estimate.maximum
        if maximum is not None and maximum.sparse is not None:
            named = ", ".join(repr(estimate.equations[j]) for j in maximum.sparse.equations)
            notes.append(
                f"Equations {named} share {maximum.sparse.rows} rows only, too few for a bound "
                f"of the likelihood but that of d_floor, {maximum.options.d_floor:g}."
            )
    if estimate.usage.weighted:
        notes.append("Weighted: Sigma is that of a cell with the mean weight.")
    return notes
