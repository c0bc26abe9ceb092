"""Treated less untreated responses by time since treatment."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_alsgls.plotting.canvas import BLUE, GREY, axes, legend_above, plain
from sm_alsgls.plotting.lines import whole_numbers

Array = np.ndarray


def gap_plot(
    before: Array,
    residual: Array,
    since: Array,
    effect: Array,
    interval: Array,
    level: float,
    ax: Any = None,
) -> Any:
    """Mean residuals before treatment, effects with the interval (m, 2) from it on.

    Parameters
    ----------
    before, residual : ndarray, shape (m0,)
    since, effect : ndarray, shape (m,)
    interval : ndarray, shape (m, 2)
    level : float
        Of the interval, in per cent.
    ax : Axes, optional
    """
    ax = axes(ax, 7.2, 4.0)
    ax.axhline(0.0, color="0.3", linewidth=0.8)
    ax.axvline(-0.5, color="0.3", linestyle="--", linewidth=0.8)
    ax.plot(before, residual, color=GREY, linewidth=1.2, label="before: mean residual")
    ax.fill_between(
        since, interval[:, 0], interval[:, 1], color=BLUE, alpha=0.2, linewidth=0,
        label=f"{level:g}% interval",
    )  # fmt: skip
    ax.plot(since, effect, color=BLUE, linewidth=1.4, marker="o", markersize=3, label="mean effect")
    ax.set_xlabel("periods since treatment")
    ax.set_ylabel("response less untreated response")
    ax.set_title("Gap between treated units and what they would have been")
    whole_numbers(ax)
    legend_above(ax)
    return plain(ax)
