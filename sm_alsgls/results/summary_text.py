"""Summaries whose names and notes are text in LaTeX and HTML, whatever they hold."""

from __future__ import annotations

import copy
from collections.abc import Callable

from statsmodels.iolib.summary import Summary, summary_return
from statsmodels.iolib.table import SimpleTable

from sm_alsgls.markup import html, scrolled


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
        tables = [_escaped(table, html) for table in self.tables]
        notes = "\n".join(f"<p>{html(note)}</p>" for note in _paragraphs(self.extra_txt or ""))
        return scrolled(summary_return(tables, return_fmt="html")) + "\n" + notes


def _paragraphs(notes: str) -> list[str]:
    """Notes whose lines are broken for a terminal, which a browser breaks itself.

    A line that is set in goes on with the one before it.
    """
    found: list[str] = []
    for line in notes.splitlines():
        if found and line.startswith("   "):
            found[-1] += " " + line.strip()
        elif line.strip():
            found.append(line)
    return found


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
        "…": r"\ldots{}",
        ">": r"\textgreater{}",
    }
)


def latex(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    Examples
    --------
    >>> from sm_alsgls.results.summary_text import latex
    >>> print(latex("x^2_{a}"))
    x\textasciicircum{}2\_\{a\}
    """
    return text.translate(_LATEX)
