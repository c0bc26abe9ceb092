"""Numbers in an order of their own, as lines: sweeps, eigenvalues, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sm_alsgls.plotting.canvas import (
    BLUE,
    CYCLE,
    GREY,
    SMALL,
    VERMILION,
    axes,
    legend_above,
    plain,
    row_axis,
    text,
)

Array = np.ndarray


def whole_numbers(ax: Any) -> None:
    """Ticks of the x axis at integers only."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))


def falling(
    x: Array,
    series: Mapping[str, Array],
    *,
    rejected: Array,
    bound: float | None,
    bound_label: str,
    ylabel: str,
    title: str,
    ax: Any = None,
) -> Any:
    """Non-negative series against sweeps on a log scale; zeros and NaN are not drawn."""
    ax = axes(ax)
    for (label, values), colour in zip(series.items(), CYCLE, strict=False):
        positive = np.where(values > 0.0, values, np.nan)
        ax.plot(x, positive, "o-", color=colour, markersize=4, linewidth=1.2, label=label)
    if rejected.any():
        first = next(iter(series.values()))
        ax.plot(x[rejected], first[rejected], "x", color="black", label="step rejected", zorder=3)
    drawn = np.concatenate([values[values > 0.0] for values in series.values()])
    if drawn.size:
        ax.set_yscale("log")
        if drawn.max() < 10.0 * drawn.min():
            # Within a decade the ticks would have one label many times.
            ax.set_ylim(drawn.min() / 10.0, drawn.max() * 10.0)
    if bound is not None:
        ax.axhline(bound, color="0.3", linestyle="--", linewidth=0.8, label=bound_label)
    ax.set_xlabel("sweep")
    ax.set_ylabel(ylabel)
    ax.set_title(title)
    whole_numbers(ax)
    ax.legend(frameon=False, fontsize="small")
    return plain(ax)


def scree(values: Array, rank: int, edge: float, ax: Any = None) -> Any:
    """Eigenvalues (m,) in falling order, the first ``rank`` in colour, and the edge of noise."""
    ax = axes(ax)
    number = np.arange(1, len(values) + 1)
    ax.plot(number, values, color=GREY, linewidth=0.8, zorder=1)
    ax.plot(number[:rank], values[:rank], "o", color=VERMILION, label=f"rank of the fit: {rank}")
    ax.plot(number[rank:], values[rank:], "o", color=BLUE, label="not in the fit")
    ax.axhline(edge, color="0.3", linestyle="--", linewidth=0.8, label="largest of pure noise")
    if len(values) and values[0] > 30.0 * max(edge, 1e-300):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0.0)
    ax.set_xlabel("number of the eigenvalue")
    ax.set_ylabel("eigenvalue of the residual correlations")
    ax.set_title("Scree plot of residuals")
    whole_numbers(ax)
    ax.legend(frameon=False, fontsize="small")
    return plain(ax)


def bands(rows: Any, values: Array, names: Sequence[str], ax: Any = None) -> Any:
    """Series (N, r) above each other, each about its own zero line, in common units.

    Each band is as high as the largest of all series needs; ticks give the values.
    """
    N, r = values.shape
    ax = axes(ax, 7.2, float(np.clip(1.4 + 1.0 * r, 2.6, 10.0)))
    x = row_axis(ax, rows)
    known = np.abs(values[np.isfinite(values)])
    reach = max(1.0, float(np.ceil(known.max()))) if known.size else 1.0
    base = -2.0 * reach * 1.08 * np.arange(r)
    tick = max(1.0, float(np.floor(0.75 * reach)))
    places, labels = [], []
    for f in range(r):
        ax.axhline(base[f], color="0.75", linewidth=0.6, zorder=0)
        colour = CYCLE[f % len(CYCLE)]
        ax.plot(x, base[f] + values[:, f], color=colour, linewidth=0.9 if N > 200 else 1.2)
        places += [base[f] - tick, base[f], base[f] + tick]
        labels += [f"\N{MINUS SIGN}{tick:g}", f"{names[f]}   0", f"{tick:g}"]
    ax.set_yticks(places, labels, fontsize=SMALL)
    ax.set_ylim(base[-1] - 1.05 * reach, base[0] + 1.05 * reach)
    ax.margins(x=0.01)
    ax.set_ylabel("factor score\n(standard deviations)")
    ax.set_title("Factor scores" if r > 1 else "Factor score")
    return plain(ax)


def fit(
    rows: Any, observed: Array, fitted: Array, interval: Array, level: float, name: str, ax: Any
) -> Any:
    """Observed values as dots, fitted ones as a line with the interval (N, 2) of their mean."""
    ax = axes(ax, 7.2, 4.0)
    x = row_axis(ax, rows)
    many = len(x) > 200
    ax.fill_between(
        x,
        interval[:, 0],
        interval[:, 1],
        color=BLUE,
        alpha=0.2,
        linewidth=0,
        label=f"{100.0 * level:g}% interval of the mean",
    )
    ax.plot(x, fitted, color=BLUE, linewidth=0.8 if many else 1.4, label="fitted")
    colour, size, order = (GREY, 2, 1) if many else ("black", 4, 3)
    ax.plot(x, observed, "o", color=colour, markersize=size, zorder=order, label="observed")
    ax.set_ylabel("response (its own units)")
    ax.set_title(f"Observed and fitted: {text(name)}")
    legend_above(ax)
    return plain(ax)
