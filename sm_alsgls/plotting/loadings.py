"""Loadings of K equations on r factors: a table in colour, or strips of sorted dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.plotting.canvas import CYCLE, NAMED, SMALL, axes, height_of, plain, short
from sm_alsgls.plotting.ordering import by_factor

Array = np.ndarray


def loadings_plot(
    L: Array,
    names: Sequence[Any],
    factors: Sequence[str],
    *,
    label: str,
    title: str,
    what: str = "equation",
    ax: Any = None,
) -> Any:
    """Up to `NAMED` equations as a table of colours and numbers, more as strips.

    Parameters
    ----------
    L : ndarray (K, r)
    names, factors : sequence of str (K,), (r,)
    label : str
        What a loading is, with its unit.
    title : str
    what : str
        What a row is.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    draw = _table if len(names) <= NAMED else _strips
    ax = draw(L, names, factors, label, what, ax)
    ax.set_title(title)
    return plain(ax)


def _table(
    L: Array, names: Sequence[Any], factors: Sequence[str], label: str, what: str, ax: Any
) -> Any:
    K, r = L.shape
    ax = axes(ax, float(np.clip(3.6 + 0.7 * r, 4.6, 10.0)), height_of(K) + 0.4)
    order, _ = by_factor(L)
    scale = float(np.abs(L).max()) or 1.0
    image = ax.imshow(L[order], cmap="RdBu_r", vmin=-scale, vmax=scale, aspect="auto")
    for i, j in np.ndindex(K, r):
        value = L[order[i], j]
        colour = "white" if abs(value) > 0.6 * scale else "black"
        text = f"{value:.2f}" if scale < 100 else f"{value:.3g}"
        ax.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    ax.set_yticks(np.arange(K), short([names[i] for i in order]), fontsize=SMALL)
    ax.set_xticks(np.arange(r), factors, rotation=30 if r > 6 else 0)
    ax.set_xlabel("factor")
    ax.set_ylabel(what)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.03)
    bar.set_label(label)
    bar.outline.set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def _strips(
    L: Array, names: Sequence[Any], factors: Sequence[str], label: str, what: str, ax: Any
) -> Any:
    """For each factor all loadings in ascending order from left to right; the ends are named."""
    K, r = L.shape
    ax = axes(ax, float(np.clip(2.0 * r + 1.2, 6.4, 14.0)), 5.0)
    labels = short(names)
    low, high = float(L.min()), float(L.max())
    spread = (high - low) or 1.0
    ax.set_ylim(low - 0.22 * spread, high + 0.22 * spread)
    gap = 0.055 * spread
    ax.axhline(0.0, color="0.3", linewidth=0.8, zorder=0)
    for f in range(r):
        order = np.argsort(L[:, f], kind="stable")
        x = f + np.linspace(-0.38, 0.38, K)
        size = float(np.clip(900.0 / K, 1.5, 4.0))
        ax.plot(x, L[order, f], "o", color=CYCLE[f % len(CYCLE)], markersize=size)
        for end, side in ((order[:3], -1), (order[::-1][:3], 1)):
            for i, which in enumerate(end):
                ax.text(
                    x[0] if side < 0 else x[-1],
                    L[end[0], f] + side * gap * (len(end) - i - 0.2),
                    labels[which],
                    fontsize=SMALL,
                    ha="left" if side < 0 else "right",
                    va="center",
                )
        if f:
            ax.axvline(f - 0.5, color="0.85", linewidth=0.8)
    ax.set_xlim(-0.5, r - 0.5)
    ax.set_xticks(np.arange(r), factors, rotation=30 if r > 6 else 0)
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"factor; {K} {what}s sorted within each, the three at each end named")
    ax.set_ylabel(label)
    return ax
