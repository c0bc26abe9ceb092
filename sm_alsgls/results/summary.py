"""Summary tables of a fitted system; tables only, every number comes from the results."""

from __future__ import annotations

import copy
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from statsmodels.iolib.summary import Summary, forg, summary_return, summary_top
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.border.arguments import level, text
from sm_alsgls.border.arguments import names as names_of
from sm_alsgls.exceptions import OptionError
from sm_alsgls.results.row_order import order_note
from sm_alsgls.results.selection import equations_named

# Nobody reads a thousand tables: beyond this the text has one line an equation.
COMPACT_FROM = 21


class SystemSummary(Summary):
    """A Summary whose names and notes are text in LaTeX and HTML, whatever they hold.

    statsmodels escapes some of LaTeX's symbols in cells, and nothing in HTML: an equation called
    ``a<b>`` would open a tag.
    """

    def as_latex(self) -> str:
        """Tables with their titles, and notes, as LaTeX."""
        parts = []
        for table in self.tables:
            title = rf"\textbf{{{latex(table.title)}}}" + "\\\\\n" if table.title else ""
            tabular = _escaped(table, latex).as_latex_tabular(center=False, replacements={})
            parts.append(f"\\begin{{center}}\n{title}{tabular}\n\\end{{center}}")
        notes = latex(self.extra_txt or "").replace("\n", " \\newline\n ")
        return "\n".join([*parts, "", notes])

    def as_html(self) -> str:
        """Tables and notes as HTML."""
        notes = html(self.extra_txt or "").replace("\n", "<br/>")
        tables = [_escaped(table, html) for table in self.tables]
        return summary_return(tables, return_fmt="html") + "<br/><br/>" + notes


def system_summary(
    results: Any,
    yname: str | None,
    xname: list[str] | None,
    title: str | None,
    alpha: float,
    equations: Any,
) -> SystemSummary:
    """The summary of a system; see `LowRankSURResults.summary`."""
    names = results.model.equations
    shown = _chosen(names, equations)
    yname, title = text(yname, "yname"), text(title, "title")
    if xname is not None:
        xname = names_of(xname, "xname", "one for each coefficient")
        if len(xname) != len(results.params):
            raise OptionError(f"xname must list {len(results.params)} names, got {len(xname)}")
    summary = SystemSummary()
    summary.tables.append(_header(results, yname, title))
    labels = _labels(results, xname)
    width = max((len(label) for name in shown for label in labels[name]), default=0)
    alpha = level(alpha)
    if len(shown) > 0.1 * len(names):
        # All standard errors at once cost less than many equations' one by one.
        _ = results.bse
    for name in shown:
        view = results.equations[name]
        summary.tables.append(_coefficients(view, labels[name], alpha, max(width, 14)))
    everything = equations is None or (isinstance(equations, str) and equations == "all")
    summary.tables.append(_equation_lines(results, names if everything else shown))
    summary.add_extra_txt(_notes(results, bool(shown)))
    return summary


def equation_summary(view: Any, title: str | None, alpha: float) -> SystemSummary:
    """The summary of one equation; see `EquationResults.summary`."""
    results, title, alpha = view.system, text(title, "title"), level(alpha)
    labels = list(view.params.index)
    summary = SystemSummary()
    left = [
        ("Dep. Variable:", [view.name]),
        ("Model:", ["LowRankSUR, one equation"]),
        ("No. Observations:", [f"{view.nobs:d}"]),
        ("Df Residuals:", [f"{view.df_resid:.0f}"]),
    ]
    right = [
        (view.rsquared_label + ":", [f"{view.rsquared:.3f}"]),
        ("Adj. R-squared:", [f"{view.rsquared_adj:.3f}"]),
        ("Std. Error of Reg.:", [f"{view.std_error:.4g}"]),
        ("Communality:", [f"{view.communality:.3f}"]),
    ]
    summary.tables.append(
        summary_top(results, title=title or f"Equation: {view.name}", gleft=left, gright=right)
    )
    width = max(14, *(len(label) for label in labels))
    summary.tables.append(_coefficients(view, labels, alpha, width, title=""))
    summary.add_extra_txt(_notes(results, True))
    return summary


def _chosen(names: list[str], equations: Any) -> list[str]:
    if equations is None:
        return names if len(names) < COMPACT_FROM else []
    if isinstance(equations, str) and equations == "all":
        return names
    return equations_named(equations, names)


def _header(results: Any, yname: str | None, title: str | None) -> SimpleTable:
    fit, method = results.mle_retvals, results.model.rank_method
    now = time.localtime()
    left = [
        ("Dep. Variables:", [yname or results.model.endog_names]),
        ("Model:", ["LowRankSUR"]),
        ("Method:", [_method(results.mle_settings["optimizer"])]),
        ("Rank r:", [f"{results.rank:d}" + (f" ({method})" if method else "")]),
        ("Date:", [time.strftime("%a, %d %b %Y", now)]),
        ("Time:", [time.strftime("%H:%M:%S", now)]),
        ("Converged:", ["yes" if results.converged else "NO"]),
        ("Sweeps:", [f"{fit['iterations']:d}"]),
        ("Covariance Type:", [results.cov_type]),
    ]
    at_best = f"{fit['starts_at_best']} of {len(fit['starts'])}"
    right = [
        ("No. Observations N:", [f"{results.nobs:d}"]),
        ("No. Equations K:", [f"{results.neqs:d}"]),
        ("No. Coefficients P:", [f"{len(results.params):d}"]),
        ("Df Model:", [f"{results.df_model:.0f}"]),
        ("Log-Likelihood:", [_fixed(results.llf)]),
        ("NLL per Row:", [_fixed(results.nll_per_row)]),
        ("AIC:", [_fixed(results.aic)]),
        ("BIC:", [_fixed(results.bic)]),
        ("Starts at the Best:", [at_best]),
    ]
    return summary_top(
        results,
        title=title or "Low-Rank Seemingly Unrelated Regressions",
        gleft=left,
        gright=right,
    )


def _method(optimizer: str) -> str:
    return "Least squares" if optimizer == "ols" else f"{optimizer.upper()}, max. likelihood"


def _fixed(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 1e4 else f"{value:.4f}"


def _labels(results: Any, xname: list[str] | None) -> dict[str, list[str]]:
    columns = results.model._system.columns
    if xname is None:
        return dict(zip(results.model.equations, columns, strict=True))
    stops = np.cumsum([len(c) for c in columns])[:-1]
    parts = np.split(np.array([str(name) for name in xname], dtype=object), stops)
    return {name: list(p) for name, p in zip(results.model.equations, parts, strict=True)}


def _coefficients(
    view: Any, labels: list[str], alpha: float, width: int, title: str | None = None
) -> SimpleTable:
    letter = "t" if view.use_t else "z"
    rows = [
        [
            forg(coef, prec=4),
            forg(error),
            forg(t),
            f"{p:#6.3f}",
            forg(low),
            forg(high),
        ]
        for coef, error, t, p, (low, high) in zip(
            view.params,
            view.bse,
            view.tvalues,
            view.pvalues,
            view.conf_int(alpha).to_numpy(),
            strict=True,
        )
    ]
    header = ["coef", "std err", letter, f"P>|{letter}|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]
    stubs = [label.ljust(width) for label in labels]
    heading = f"Equation: {view.name}" if title is None else title or None
    return SimpleTable(rows, header, stubs, title=heading, txt_fmt=fmt_params)


def _equation_lines(results: Any, names: list[str]) -> SimpleTable:
    """One line an equation: fit, and how much of its error the factors share."""
    sigma = results.sigma
    r2 = results._rsquared
    communality = results.communalities.to_numpy()
    correction = results._df_correction
    spread = correction * np.sqrt(sigma.diag())
    floor = set(results.heywood)
    centered = results._spans_constant
    counted = not results._complete
    rows = [
        [
            *[f"{results._counts[j]:d}"] * counted,
            f"{results._p[j]:d}",
            f"{r2[j]:#6.3f}" + ("" if centered[j] else "u"),
            forg(spread[j]),
            forg(correction[j] * np.sqrt(sigma.uniquenesses[j])),
            f"{communality[j]:#6.3f}" + (" *" if name in floor else ""),
        ]
        for name, j in ((name, results._position[name]) for name in names)
    ]
    header = [*["N"] * counted, "p", "R-sq.", "std(e)", "std(unique)", "communality"]
    width = min(32, max([14, *(len(name) for name in names)]))
    stubs = [name.ljust(width) for name in names]
    return SimpleTable(rows, header, stubs, title="Equations", txt_fmt=fmt_params)


def _notes(results: Any, shown: bool) -> list[str]:
    notes = [results.cov_kwds["description"]]
    order = order_note(results)
    if order is not None:
        notes.append(order)
    notes.append(
        "Communality is the share of an equation's error variance that the factors explain."
    )
    fit = results.mle_retvals
    notes += _cells(results)
    if results.model.n_dropped:
        why = "without a cell" if not results._complete else "with missing values"
        why += " or weight 0" if results._weighted else ""
        notes.append(f"{results.model.n_dropped} rows {why} were dropped.")
    bound = results.model.restrictions
    if bound is not None:
        notes.append(f"{len(bound.q)} linear restrictions hold exactly.")
    if results.model.rank_selection is not None:
        notes.append(results.model.rank_selection.reason)
    tried, reached = len(fit["starts"]), fit["starts_at_best"]
    if results.rank == 0:
        notes.append("Rank 0: errors are uncorrelated between equations, OLS for each.")
    elif tried == 1:
        notes.append("One start: a better maximum elsewhere would not have been seen.")
    elif reached == tried:
        notes.append(f"All {tried} starts reached this likelihood.")
    else:
        notes.append(
            f"{reached} of {tried} starts reached this likelihood; the worst ended "
            f"{results.nobs * fit['worst_gap']:.4g} log-likelihood units below."
        )
    if not shown:
        notes.append(
            "Coefficients are not shown; summary(equations=[...]) or summary(equations='all') "
            "prints them, equations[name] is one equation's results."
        )
    if not results._spans_constant.all():
        notes.append("u: R-squared is uncentered, the equation has no constant.")
    notes += results.warnings
    lines = ["Notes:"]
    for i, note in enumerate(notes, start=1):
        lines += textwrap.wrap(note, 80, initial_indent=f"[{i}] ", subsequent_indent="    ")
    return lines


def _cells(results: Any) -> list[str]:
    """What the fit uses of the table of rows and equations, and how cells are weighted."""
    notes = []
    if not results._complete:
        total, counts = results.nobs * results.neqs, results._counts
        notes.append(
            f"{results.n_cells} of {total} cells are used ({results.n_cells / total:.1%}), "
            f"{counts.min()} to {counts.max()} rows an equation; cells missing at random (FIML)."
        )
        if results._sparse is not None:
            named = ", ".join(repr(results.model.equations[j]) for j in results._sparse.equations)
            notes.append(
                f"Equations {named} share {results._sparse.rows} rows only, too few for a bound "
                f"of the likelihood but that of d_floor, {results.mle_settings['d_floor']:g}."
            )
    if results._weighted:
        notes.append("Weighted: Sigma is that of a cell with the mean weight.")
    return notes


def _escaped(table: SimpleTable, escape: Callable[[str], str]) -> SimpleTable:
    """A copy with escaped title and cells."""
    out = copy.deepcopy(table)
    out.title = escape(out.title) if out.title else out.title
    for row in out:
        for cell in row:
            if isinstance(cell.data, str):
                cell.data = escape(cell.data)
    return out


_LATEX = str.maketrans(
    {
        **{symbol: "\\" + symbol for symbol in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "|": r"\textbar{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def latex(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    Examples
    --------
    >>> from sm_alsgls.results.summary import latex
    >>> print(latex("x^2_{a}"))
    x\textasciicircum{}2\_\{a\}
    """
    return text.translate(_LATEX)


def html(text: str) -> str:
    """Text that a browser shows as it is."""
    return text.translate(_HTML)
