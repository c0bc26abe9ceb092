"""The picture of the guide to panels: python docs/images/which_dimension.py, from the top.

What is a draw, periods or units, and which the default takes at which size.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sm_alsgls.data.panel_layout import default_independent
from sm_alsgls.datasets import load_cigarettes, load_grunfeld

TIME, ENTITY = "#1f5fa8", "#c0652a"
#: Data sets that the documentation uses, with what their columns of units and periods are called.
HERE = {
    "Grunfeld": (load_grunfeld, "firm", "year"),
    "cigarettes": (load_cigarettes, "state", "year"),
}
#: Sizes of those that need linearmodels, and of the guide's example.
SIZES = {"Munnell": (48, 17), "wages": (545, 8), "people, below": (500, 6)}


def schema(ax: Axes, color: str, rows: bool, words: tuple[str, str, str]) -> None:
    """A table of units by periods, in which one draw is filled."""
    periods, units = 5, 8
    for t in range(periods):
        for i in range(units):
            drawn = t == 1 if rows else i == 2
            ax.add_patch(
                Rectangle((i, t), 0.9, 0.9, fc=color if drawn else "#ececec", ec="white", lw=0)
            )
    ax.set_xlim(-0.3, units)
    ax.set_ylim(periods, -0.3)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("units")
    ax.set_ylabel("periods")
    ax.spines[:].set_visible(False)
    title, draw, sigma = words
    ax.set_title(title, color=color, family="monospace", fontsize=10)
    ax.text(
        0.5, -0.22, f"{draw}\n{sigma}", transform=ax.transAxes, ha="center", va="top", fontsize=9
    )


def main() -> None:
    """Draw it."""
    mpl.use("Agg")
    sizes = dict(SIZES)
    for name, (load, unit, period) in HERE.items():
        data = load()
        sizes[name] = (data[unit].nunique(), data[period].nunique())
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10.5, 3.7), layout="constrained", width_ratios=(1, 1.35, 1)
    )
    schema(
        left,
        TIME,
        True,
        ('independent="time"', "a period is a draw:", "Sigma is among units"),
    )
    schema(
        right,
        ENTITY,
        False,
        ('independent="entity"', "a unit is a draw:", "Sigma is among periods"),
    )
    units = np.geomspace(2.0, 1e4)
    border = units / 10.0
    middle.fill_between(units, border, 1e3, color=TIME, alpha=0.12, lw=0)
    middle.fill_between(units, 1.0, np.maximum(border, 1.0), color=ENTITY, alpha=0.15, lw=0)
    middle.plot(units, border, color="black", lw=0.8)
    middle.text(3, 330, "periods are draws", color=TIME, fontsize=10)
    middle.text(330, 2.1, "units are draws", color=ENTITY, fontsize=10)
    middle.text(700, 115, "units = 10 x periods", fontsize=8, rotation=40, ha="center", va="center")
    for name, (n, t) in sizes.items():
        micro = default_independent(n, t) == "entity"
        middle.plot(n, t, "o", color=ENTITY if micro else TIME, ms=5)
        below = name in ("Munnell", "people, below")
        middle.annotate(
            name,
            (n, t),
            xytext=(-4 if name == "Munnell" else 5, -11 if below else 4),
            textcoords="offset points",
            ha="right" if name == "Munnell" else "left",
            fontsize=8,
        )
    middle.set(xscale="log", yscale="log", xlim=(2, 1e4), ylim=(1.5, 1e3))
    middle.set_xlabel("units")
    middle.set_ylabel("periods")
    middle.set_title("what is taken where nothing is said", fontsize=10)
    middle.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
