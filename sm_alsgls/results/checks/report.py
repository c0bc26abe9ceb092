"""``Report``: what is doubtful about a fit, by name, and what to do about it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.results.summary_text import SystemSummary

# Characters of names that a line has room for.
_LONG = 120


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Report:
    """Checks of a fit with their verdicts.

    Attributes
    ----------
    table : DataFrame
        A row for each check: statistic, pvalue (of the whole family of equations or rows, by
        Holm; NaN where a check has none), verdict ("ok", "look", or "-" where it cannot be made),
        found (in words, naming equations and rows) and advice.
    alpha : float
        Level of each check.
    """

    table: pd.DataFrame
    alpha: float

    _families: ClassVar[str] = "equations, factors or rows"

    def _about(self) -> str:
        """What the report is of, for its title."""
        raise NotImplementedError(f"{type(self).__name__} says what it is of")

    @property
    def doubts(self) -> list[str]:
        """Checks whose verdict is "look"."""
        return list(self.table.index[self.table["verdict"] == "look"])

    def __repr__(self) -> str:
        doubts = self.doubts
        said = f"<{type(self).__name__}: {len(doubts)} of {len(self.table)} checks want a look"
        named = ", ".join(doubts)
        if len(named) > _LONG:
            ends = np.cumsum([len(name) + 2 for name in doubts])
            kept = max(1, int(np.searchsorted(ends, _LONG)))
            named = ", ".join(doubts[:kept]) + f" and {len(doubts) - kept} more"
        return said + (f": {named}>" if doubts else ">")

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def summary(self) -> SystemSummary:
        """Checks with their verdicts, then what was found and what to do about it."""
        summary = SystemSummary()
        body = [
            [_number(row.statistic), _number(row.pvalue, 3), row.verdict]
            for row in self.table.itertuples()
        ]
        title = f"Diagnostics: {self._about()}"
        width = max(map(len, self.table.index))
        stubs = [name.ljust(width) for name in self.table.index]
        header = ["statistic", "P>", "verdict"]
        summary.tables.append(SimpleTable(body, header, stubs, title=title, txt_fmt=fmt_params))
        lines = []
        said: dict[str, str] = {}
        for name, row in self.table.iterrows():
            mark = "! " if row["verdict"] == "look" else "  "
            lines += textwrap.wrap(
                f"{name}: {row['found']}", 90, initial_indent=mark, subsequent_indent="    "
            )
            if row["verdict"] == "look":
                advice = said.get(row["advice"], row["advice"])
                said[row["advice"]] = f"as for {name}" if advice == row["advice"] else advice
                lines += textwrap.wrap(
                    "-> " + advice, 90, initial_indent="    ", subsequent_indent="       "
                )
        lines += textwrap.wrap(
            f"P> is that of the smallest p-value among all {self._families}, by Holm; ! is below "
            f"{self.alpha:g}, or past a limit that is named.",
            90,
        )
        summary.add_extra_txt(lines)
        return summary


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diagnostics(Report):
    """Outcome of `LowRankSURResults.diagnostics`.

    Attributes
    ----------
    table : DataFrame
        A row for each check: statistic, pvalue (of the whole family of equations or rows, by
        Holm; NaN where a check has none), verdict ("ok", "look", or "-" where it cannot be made),
        found (in words, naming equations and rows) and advice.
    equations : DataFrame
        Indexed by equation: condition (number of the design), communality, heywood, jarque_bera,
        normality, durbin_watson, ljung_box, arch, koenker: the last five but Durbin-Watson are
        p-values of one equation alone, not adjusted. With instruments strength (least F of its
        endogenous regressors over the critical value) and sargan (p-value) as well.
    factors : DataFrame
        Indexed by factor: ljung_box (p-value), durbin_watson.
    rows : DataFrame
        Indexed by row: distance e_n' Sigma^-1 e_n, pvalue (chi2(K), of one row alone), leverage
        (mean over equations).
    pairs : DataFrame
        The worst residual correlations that the factors leave: equation, other, correlation.
    alpha : float
        Level of each check.
    lags : int
        Of Ljung-Box.
    nobs, neqs : int
        N and K.
    """

    equations: pd.DataFrame
    factors: pd.DataFrame
    rows: pd.DataFrame
    pairs: pd.DataFrame
    lags: int
    nobs: int
    neqs: int

    def _about(self) -> str:
        return f"{self.neqs} Equations, {self.nobs} Observations"


def _number(value: float, digits: int | None = None) -> str:
    if pd.isna(value):
        return "-"
    if digits is not None:
        return f"{value:.{digits}f}"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.4g}"


def listed(names: pd.Index | list[Any], most: int = 4) -> str:
    """The first few names in quotes, and how many more there are."""
    shown = ", ".join(repr(str(name)) for name in list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def smallest(pvalues: np.ndarray) -> float:
    """The smallest known p-value; NaN where none is."""
    known = pvalues[np.isfinite(pvalues)]
    return float(known.min()) if len(known) else np.nan
