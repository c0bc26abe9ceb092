"""``RankSelection``: the criteria of every candidate rank, and what each would choose."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from sm_alsgls.border.arguments import choice
from sm_alsgls.core.errors.words import FULL
from sm_alsgls.plotting.canvas import BLUE, VERMILION, axes, plain
from sm_alsgls.plotting.lines import whole_numbers
from sm_alsgls.rank_choice.rules import RULES
from sm_alsgls.results.summary_text import SystemSummary

_NAMES = {
    "auto": "BIC of the factor structure of OLS residuals, among the ranks that N supports",
    "rule": "the rule max(1, min(8, ceil(K/10)))",
    "bic_ols": "BIC of the factor structure of OLS residuals",
    "bic_robust": "BIC of the factor structure of OLS residuals, rows weighted for heavy tails",
    "aic_ols": "AIC of the factor structure of OLS residuals",
    "bic": "BIC",
    "aic": "AIC",
    "ebic": "extended BIC (Chen and Chen 2008)",
    "ic1": "IC1 (Bai and Ng 2002)",
    "ic2": "IC2 (Bai and Ng 2002)",
    "ic3": "IC3 (Bai and Ng 2002)",
    "er": "eigenvalue ratio (Ahn and Horenstein 2013)",
    "gr": "growth ratio (Ahn and Horenstein 2013)",
    "ed": "eigenvalue differences (Onatski 2010)",
    "lr": "sequential likelihood-ratio tests",
    "cv": "cross-validated NLL per row",
}


def choose(criterion: str, values: pd.Series, alpha: float) -> int | str | None:
    """The candidate that a criterion chooses; None where it is known for no candidate.

    Ties go to the smaller rank.
    """
    # NumPy's: of a handful of candidates pandas' take five times as long.
    numbers, ranks = np.asarray(values, dtype=float), values.index
    at = np.flatnonzero(~np.isnan(numbers))
    if not len(at):
        return _label(ranks[0]) if len(ranks) == 1 else None
    known, rule = numbers[at], RULES[criterion]
    if rule == "least":
        return _label(ranks[at[np.argmin(known)]])
    if rule == "most":
        return _label(ranks[at[np.argmax(known)]])
    if rule == "first accepted":
        accepted = at[known > alpha]
        return _label(ranks[accepted[0] if len(accepted) else -1])
    above = at[known >= 1.0]
    return _label(ranks[above[-1] if len(above) else 0])


def _label(candidate: Any) -> int | str:
    """A rank as a whole number, or "full"."""
    return candidate if isinstance(candidate, str) else int(candidate)


@dataclass(frozen=True, eq=False, repr=False)
class RankSelection:
    """Outcome of `select_rank`, and of ``LowRankSUR(rank="bic_ols")`` and the like.

    Attributes
    ----------
    rank : int or str
        The chosen number of factors, or "full" where that was a candidate.
    method : str
        How it was chosen.
    table : DataFrame
        A row for each candidate, indexed by ``rank``: nll (per row) and llf of the fit,
        parameters, aic, bic, ebic; aic_ols, bic_ols, ic1, ic2, ic3, er, gr, ed of OLS residuals; lr
        (p-value that r factors suffice); bic_robust, cv and cv_se when asked; converged, starts.
        A model made with the name of a criterion of OLS residuals as its rank has these criteria
        only, "auto" bic_ols and "bic_robust" itself alone, of the ranks that it looked at.
    choices : Series
        The rank that each criterion would choose; missing where it is not defined.
    alpha : float
        Level of "lr".
    nobs, neqs : int
        N and K.
    notes : list of str
        What a reader of the choice must know.
    least_squares : str
        What residuals are of: "OLS", or "2SLS" where equations have instruments.
    counted : str
        What ``neqs`` counts, equations or random effects.
    words : mapping of str to str
        What criteria are called in sentences.
    automatic : str
        The criterion that "auto" is.
    """

    rank: int | str
    method: str
    table: pd.DataFrame
    choices: pd.Series
    alpha: float
    nobs: int
    neqs: int
    notes: list[str] = field(default_factory=list)
    least_squares: str = "OLS"
    counted: str = "Equations"
    words: Mapping[str, str] = field(default_factory=lambda: _NAMES)
    automatic: str = "bic_ols"

    @property
    def criterion(self) -> pd.Series | None:
        """The column of ``table`` behind the choice; None for "rule", which looks at K alone."""
        return self.table.get(self.automatic if self.method == "auto" else self.method)

    def __repr__(self) -> str:
        return (
            f"<RankSelection: rank {self.rank} by {self.method!r}, candidates "
            f"{self.table.index[0]}..{self.table.index[-1]}>"
        )

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    @property
    def reason(self) -> str:
        """What chose the rank, in a sentence."""
        said = self.words[self.method].replace("OLS", self.least_squares)
        return f"Rank {self.rank} is chosen by {said}."

    def summary(self) -> SystemSummary:
        """Criteria by candidate, the choice of each, and the chosen rank in a sentence."""
        table, summary = self.table, SystemSummary()
        shown = {
            "llf": "llf",
            "parameters": "params",
            "bic": "bic",
            "bic_ols": "bic_ols",
            "ic2": "ic2",
            "gr": "gr",
            "lr": "lr P>",
            "cv": "cv",
        }
        shown = {name: label for name, label in shown.items() if name in table}
        if self.method == "auto" and self.automatic in table:
            shown.setdefault(self.automatic, self.automatic)
        if self.method in table and self.method not in shown:
            shown[self.method] = self.method
        rows = [
            [_cell(name, table.at[r, name], self.choices.get(name) == r) for name in shown]
            for r in table.index
        ]
        headers = list(shown.values())
        if "converged" in table:
            rows = [
                [*row, "yes" if done else "NO"]
                for row, done in zip(rows, table["converged"], strict=True)
            ]
            headers.append("conv.")
        stubs = [f"{r}{' <' if r == self.rank else '  '}" for r in table.index]
        title = f"Number of Factors: {self.neqs} {self.counted}, {self.nobs} Observations"
        summary.tables.append(SimpleTable(rows, headers, stubs, title=title, txt_fmt=fmt_params))
        said = ", ".join(
            f"{name} {'-' if pd.isna(rank) else rank}" for name, rank in self.choices.items()
        )
        text = [
            self.reason,
            f"By criterion: {said}.",
            "* marks what a criterion chooses, < the chosen rank.",
            *self.notes,
        ]
        summary.add_extra_txt([line for note in text for line in textwrap.wrap(note, 90)])
        return summary

    def plot(self, criterion: str | None = None, ax: Any = None) -> Any:
        """A criterion against the number of factors, with what it chooses.

        Parameters
        ----------
        criterion : str, optional
            A column of ``table``. Default: the one behind the choice ("auto": bic_ols).
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        OptionError
        MissingExtraError
            matplotlib is not installed.
        """
        name = self.method if self.method in self.table else self.automatic
        name = choice(name if criterion is None else criterion, "criterion", self.choices.index)
        ax = axes(ax)
        values, rank = self.table[name].copy(), self.choices[name]
        if FULL in values.index:
            last = values.pop(FULL) if name != "cv" else np.nan
            if not pd.isna(last):
                ax.axhline(last, color="0.5", linestyle=":", label="unrestricted")
            rank = np.nan if rank == FULL else rank
        if name == "cv":
            ax.errorbar(
                values.index, values, self.table["cv_se"], color=BLUE, marker="o", capsize=3
            )
        else:
            ax.plot(values.index, values, color=BLUE, marker="o")
        if name == "lr":
            ax.axhline(self.alpha, color="0.5", linestyle="--", label=f"level {self.alpha:g}")
            ax.set_ylim(-0.03, 1.03)
        elif name == "ed":
            ax.axhline(1.0, color="0.5", linestyle="--", label="threshold")
        if not pd.isna(rank):
            chosen = values.get(rank, np.nan)
            if not pd.isna(chosen):
                ax.plot([rank], [chosen], "o", color=VERMILION, markersize=10, zorder=3)
            ax.axvline(rank, color=VERMILION, linewidth=0.8, label=f"chosen: {rank}")
        ax.set_xlabel("number of factors r")
        ax.set_ylabel(_LABELS.get(name, name))
        whole_numbers(ax)
        ax.set_title(self.words[name])
        ax.legend(frameon=False)
        return plain(ax)


_LABELS = {
    "bic_ols": "BIC of residuals",
    "bic_robust": "BIC of weighted residuals",
    "aic_ols": "AIC of residuals",
    "bic": "BIC",
    "bic_groups": "BIC by groups",
    "aic": "AIC",
    "ebic": "EBIC",
    "ic1": "IC1 (log of unexplained share)",
    "ic2": "IC2 (log of unexplained share)",
    "ic3": "IC3 (log of unexplained share)",
    "er": "eigenvalue r / eigenvalue r + 1",
    "gr": "growth ratio",
    "ed": "eigenvalue difference / threshold",
    "lr": "p-value that r factors suffice",
    "cv": "held-out NLL per row",
}


def _cell(name: str, value: float, chosen: bool) -> str:
    if pd.isna(value):
        return "-"
    if name == "parameters":
        text = f"{value:.0f}"
    elif name in ("er", "gr", "ed", "lr"):
        text = f"{value:.3f}" if value < 1000 else f"{value:.0f}"
    elif name.startswith("ic") or name == "cv":
        text = f"{value:.3f}"
    else:
        text = f"{value:.1f}" if abs(value) < 1e6 else f"{value:.0f}"
    return text + ("*" if chosen else " ")
