"""One number for each equation, sorted, as dots; with intervals where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.plotting.canvas import (
    BLUE,
    GREY,
    NAMED_DOTS,
    VERMILION,
    axes,
    height_of,
    legend_above,
    name_rows,
    plain,
    text,
)

Array = np.ndarray


def sorted_dots(
    values: Array,
    names: Sequence[Any],
    *,
    xlabel: str,
    title: str,
    intervals: Array | None = None,
    marked: Array | None = None,
    marked_label: str = "",
    other_label: str = "",
    line: float | None = None,
    limits: tuple[float, float] | None = None,
    what: str = "equations",
    ax: Any = None,
) -> Any:
    """Draw values (K,) in ascending order from below.

    Parameters
    ----------
    values : ndarray (K,)
        NaN sorts to the top and is not drawn.
    names : sequence (K,)
    xlabel, title : str
    intervals : ndarray (K, 2), optional
        Lower and upper ends.
    marked : ndarray of bool (K,), optional
        Rows of the other colour, with ``marked_label`` and ``other_label`` in a legend.
    line : float, optional
        A vertical reference.
    limits : (float, float), optional
        Of the x axis.
    what : str
        What the rows are.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    K = len(values)
    ax = axes(ax, 6.4, height_of(min(K, NAMED_DOTS)) if K <= NAMED_DOTS else 6.0)
    order = np.argsort(values, kind="stable")
    marked = np.zeros(K, dtype=bool) if marked is None else marked
    size = 5.0 if K <= NAMED_DOTS else float(np.clip(900.0 / K, 1.5, 4.0))
    rows = np.arange(K)
    if line is not None:
        ax.axvline(line, color="0.3", linewidth=0.8, zorder=0)
    for flag, colour, label in ((True, BLUE, marked_label), (False, GREY, other_label)):
        flags = marked[order] == flag
        if not flags.any():
            continue
        if not marked_label:
            colour, label = BLUE, ""
        elif limits is not None and flag:
            colour = VERMILION
        elif limits is not None:
            colour = BLUE
        at, here = rows[flags], order[flags]
        if intervals is not None:
            width = 1.2 if K <= NAMED_DOTS else 0.5
            ax.hlines(at, intervals[here, 0], intervals[here, 1], color=colour, linewidth=width)
        ax.plot(values[here], at, "o", color=colour, markersize=size, label=label or None)
    name_rows(ax, [names[i] for i in order], what=what)
    if limits is not None:
        ax.set_xlim(limits)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(text(xlabel))
    ax.set_title(text(title))
    if marked_label:
        legend_above(ax)
    return plain(ax)
