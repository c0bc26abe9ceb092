"""The summary of interactive effects; every number comes from the estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from statsmodels.iolib.summary import forg, summary_top

from sm_alsgls.border.arguments import level, text
from sm_alsgls.border.names import listed
from sm_alsgls.core.interactive.serial import MOST
from sm_alsgls.data.panel_cells import EFFECTS, PanelCells
from sm_alsgls.markup import cut
from sm_alsgls.results.coefficients import bse, conf_int, pvalues, tvalues
from sm_alsgls.results.fitted import Fitted
from sm_alsgls.results.header import Line
from sm_alsgls.results.interactive_estimate import InteractiveEstimate, influence_of
from sm_alsgls.results.interactive_parts import retvals, rsquared
from sm_alsgls.results.summary_parts import coefficient_table, numbered
from sm_alsgls.results.summary_text import SystemSummary


class OfCells(Protocol):
    """An estimate of a panel's cells, as far as its header asks."""

    @property
    def cells(self) -> PanelCells: ...  # noqa: D102
    @property
    def sizes(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def nobs(self) -> int: ...  # noqa: D102


_WORDS = {None: "none", "entity": "units", "time": "periods", "both": "units, periods"}


def summary(
    estimate: InteractiveEstimate,
    yname: str | None = None,
    title: str | None = None,
    alpha: float = 0.05,
) -> SystemSummary:
    """Slopes, what they stand beside, and how the fit went.

    Parameters
    ----------
    yname : str, optional
    title : str, optional
    alpha : float
        Level of the intervals.

    Returns
    -------
    statsmodels.iolib.summary.Summary
    """
    yname, alpha = text(yname, "yname"), level(alpha)
    left, right = _header(estimate, yname)
    title = text(title, "title") or "Panel with Interactive Effects"
    return table_of(estimate, title, left, right, alpha, [*_notes(estimate)])


def table_of(
    estimate: Fitted,
    title: str,
    left: Sequence[Line],
    right: Sequence[Line],
    alpha: float,
    notes: Sequence[str],
) -> SystemSummary:
    """A header, the coefficients, and notes."""
    made, names = SystemSummary(), estimate.labels.params
    made.tables.append(summary_top(estimate, title=title, gleft=left, gright=right))
    width = min(32, max([14, *map(len, names)]))
    values = [
        estimate.params, bse(estimate), tvalues(estimate), pvalues(estimate),
        conf_int(estimate, alpha),
    ]  # fmt: skip
    shown = [cut(name, width) for name in names]
    made.tables.append(coefficient_table(values, shown, alpha, width, None, estimate.use_t))
    made.add_extra_txt(numbered(notes))
    return made


def header_of(
    estimate: OfCells, yname: str | None, model: str, method: str
) -> tuple[list[Line], list[Line]]:
    """What the headers of panels of cells begin with, left and right."""
    cells, (T, n) = estimate.cells, estimate.sizes
    left: list[Line] = [
        ("Dep. Variable:", [cut(yname or cells.response, 26)]),
        ("Model:", [model]),
        ("Method:", [method]),
        ("Date:", None),
        ("Time:", None),
    ]
    right: list[Line] = [
        ("No. Observations:", [f"{estimate.nobs:d}"]),
        (f"{cut(str(cells.units.name), 14)}, units:", [f"{n}"]),
        (f"{cut(str(cells.periods.name), 12)}, periods:", [f"{T}"]),
    ]
    return left, right


def _header(estimate: InteractiveEstimate, yname: str | None) -> tuple[list[Line], list[Line]]:
    fit, how = estimate.fit, retvals(estimate)
    chosen, (T, n) = estimate.model.rank_method, estimate.sizes
    method = "Weighted LS" if estimate.weights.by_unit else "LS (Bai 2009)"
    left, right = header_of(estimate, yname, "Interactive effects", method)
    left += [
        ("Factors:", [f"{estimate.rank}" + (f" ({chosen})" if chosen else "")]),
        ("Effects:", [_WORDS[estimate.model.effects]]),
        ("Bias Correction:", [estimate.corrected or "none"]),
        ("Covariance Type:", [estimate.choice.cov_type]),
        ("AR(1) of Errors:", [f"{fit.rho:.3f}" if fit.rho else "none"]),
    ]
    sd = np.sqrt(fit.d)
    spread = forg(sd.mean(), prec=4).strip()
    if math.isfinite(fit.variances.nu0):
        spread = " - ".join(forg(v, prec=4).strip() for v in (sd.min(), sd.max()))
    right += [
        ("Missing Cells:", [f"{T * n - estimate.nobs}"]),
        ("Df Residuals:", [f"{estimate.df_resid:.0f}"]),
        ("R-squared:", [f"{rsquared(estimate):.4f}"]),
        ("Error std. dev.:", [spread]),
        ("Df of t:", [f"{estimate.df_inference:.0f}"]),
        ("Converged:", ["yes" if estimate.converged else "NO"]),
        ("Starts at the Best:", [f"{how['starts_at_best']} of {len(how['starts'])}"]),
    ]
    return left, right


def _notes(estimate: InteractiveEstimate) -> list[str]:
    notes, how = [estimate.choice.description], retvals(estimate)
    unit, time = EFFECTS[estimate.model.effects]
    held = estimate.cells.constant
    if held is not None:
        what = "effects" if unit or time else "factors"
        notes.append(f"The constant {held!r} is among the {what}, and has no coefficient.")
    notes += own_series(estimate.cells)
    if estimate.rank:
        notes.append(
            "Factors and loadings are parameters, which may move with the regressors (Bai 2009)."
        )
    if estimate.corrected == "analytic" and estimate.rank:
        said = "Coefficients are less the bias that estimated factors and loadings give them"
        if estimate.predetermined:
            said += f", and that lags of {estimate.model.endog_names!r} give"
        notes.append(said + " (see bias_table).")
    if estimate.cells.n_dropped:
        notes.append(f"Periods that were left out: {estimate.cells.n_dropped}.")
    notes += warnings_of(estimate)
    if how["worst_gap"] > 1e-8:
        tried = len(how["starts"])
        notes.append(
            f"{how['starts_at_best']} of {tried} starts reached this sum of squares; the worst "
            f"ended {100.0 * how['worst_gap']:.2g} % above."
        )
    return notes


def own_series(cells: PanelCells) -> list[str]:
    """Which series have coefficients of units, as a note."""
    if not cells.series_names:
        return []
    return [f"Each unit has its own coefficients of {listed(map(repr, cells.series_names))}."]


def warnings_of(estimate: InteractiveEstimate) -> list[str]:
    """What a reader of the estimates must know, as the summary prints it."""
    notes = []
    if not estimate.converged:
        notes.append(f"NOT CONVERGED: {estimate.fit.status}.")
    if estimate.weights.rho is None and abs(estimate.fit.rho) >= MOST:
        notes.append(
            f"The correlation of errors in time is at its bound, {estimate.fit.rho:.2f}: they are "
            "next to a random walk; take differences, or a lag of the response as a regressor."
        )
    if not influence_of(estimate).curved:
        notes.append(
            "The sum of squares has little curvature at its minimum beside what the regressors "
            "have: another number of factors, or starts (n_starts=), may find another."
        )
    return notes
