"""Parts of summaries that every estimator has: a table of coefficients, numbered notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from statsmodels.iolib.summary import forg
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.markup import cut

# Letters of the names of equations that begin a line.
_LINE = 23


def coefficient_table(
    values: Sequence[np.ndarray],
    labels: Sequence[str],
    alpha: float,
    width: int,
    title: str | None,
    use_t: bool,
) -> SimpleTable:
    """Coefficients with their tests.

    Parameters
    ----------
    values : sequence of ndarray
        Estimates, standard errors, ratios, p-values (m,), and intervals (m, 2).
    labels : sequence of str (m,)
    alpha : float
        The intervals' level is 1 - alpha.
    width : int
        Letters of the column of labels.
    title : str, optional
    use_t : bool
        Whether ratios are called t, or z.
    """
    letter = "t" if use_t else "z"
    rows = [
        [forg(coef, prec=4), forg(error), forg(t), f"{p:#6.3f}", forg(low), forg(high)]
        for coef, error, t, p, (low, high) in zip(*values, strict=True)
    ]
    header = ["coef", "std err", letter, f"P>|{letter}|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]
    stubs = [label.ljust(width) for label in labels]
    return SimpleTable(rows, header, stubs, title=title, txt_fmt=fmt_params)


def equation_table(
    rows: list[list[str]], header: list[str], names: Sequence[str], title: str
) -> SimpleTable:
    """A line for each of some equations, under their names."""
    width = min(_LINE, max([14, *(len(name) for name in names)]))
    stubs = [cut(name, width).ljust(width) for name in names]
    return SimpleTable(rows, header, stubs, title=title, txt_fmt=fmt_params)


def dropped_note(n: int, why: str) -> str:
    """How many rows are not used.

    Examples
    --------
    >>> dropped_note(1, "with missing values")
    '1 row with missing values was dropped.'
    """
    return f"{n} rows {why} were dropped." if n > 1 else f"{n} row {why} was dropped."


def numbered(notes: Iterable[str]) -> list[str]:
    """Lines of the notes under a summary."""
    lines = ["Notes:"]
    for i, note in enumerate(notes, start=1):
        lines += textwrap.wrap(note, 80, initial_indent=f"[{i}] ", subsequent_indent="    ")
    return lines
