"""The axes a picture is drawn on: made as statsmodels makes them, or the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sm_alsgls.exceptions import ArgumentTypeError, MissingExtraError

# Okabe and Ito's colours, which every kind of colour vision tells apart.
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
)
GREY = "0.55"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
SMALL = 8.0
# Up to here every equation is named on an axis of a matrix, and of sorted dots.
NAMED, NAMED_DOTS = 40, 60
_LONGEST = 22


def axes(ax: Any, width: float = 6.4, height: float = 4.0) -> Any:
    """``ax``, or the axes of a new pyplot figure of so many inches.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    try:
        import matplotlib.axes
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib, which the extra 'plot' brings: pip install 'sm_alsgls[plot]'"
        ) from error
    if ax is None:
        # As statsmodels' create_mpl_ax; pyplot is what shows a figure in a notebook or a window.
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(width, height), layout="constrained").add_subplot()
    elif not isinstance(ax, matplotlib.axes.Axes):
        raise ArgumentTypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}")
    return ax


def plain(ax: Any) -> Any:
    """Without the upper and right spine."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.title.set_fontsize("medium")
    return ax


def legend_above(ax: Any) -> None:
    """A legend between title and axes, where no dot can lie below it."""
    ax.legend(
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.1,
        ncols=3,
        fontsize="small",
        columnspacing=1.2,
    )
    ax.set_title(ax.get_title(), pad=22.0)


def height_of(rows: int) -> float:
    """Inches that so many named rows need."""
    return float(np.clip(1.3 + 0.17 * rows, 2.4, 11.0))


def text(name: Any) -> str:
    r"""A name as matplotlib must get it to show what it says: a pair of $ would be mathematics.

    >>> print(text("US$ and C$"))
    US\$ and C\$
    """
    return str(name).replace("$", r"\$")


def short(names: Sequence[Any]) -> list[str]:
    """Names as strings, long ones cut in the middle so that both ends stay.

    >>> short(["IBM", "a_very_long_name_of_an_equation"])
    ['IBM', 'a_very_long…n_equation']
    """
    half = _LONGEST // 2
    return [
        text(name if len(name) <= _LONGEST else f"{name[:half]}…{name[1 - half :]}")
        for name in map(str, names)
    ]


def name_rows(ax: Any, names: Sequence[str], extremes: int = 5, what: str = "equations") -> None:
    """Name the rows 0 .. K-1 of the y axis: all of few, of many the first and the last.

    Names of neighbours among many rows would lie on each other, so they stand spread out beside
    the axis with a line to their row.
    """
    K, names = len(names), short(names)
    ax.set_ylim(-0.5 - 0.01 * K, K - 0.5 + 0.01 * K)
    if K <= NAMED_DOTS:
        ax.set_yticks(np.arange(K), names, fontsize=SMALL)
        return
    ax.set_yticks([])
    places = [(i, 0.02 + 0.045 * i) for i in range(extremes)]
    places += [(K - 1 - i, 0.98 - 0.045 * i) for i in range(extremes)]
    for row, at in places:
        ax.annotate(
            names[row],
            xy=(0.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(-0.05, at),
            textcoords="axes fraction",
            ha="right",
            va="center",
            fontsize=SMALL,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (1.0, 0.5),
                "color": GREY,
                "linewidth": 0.5,
                "shrinkB": 0,
            },
        )
    # The label's own place ends where the names begin, whose width it does not know.
    widest = max(len(names[row]) for row, _ in places)
    ax.set_ylabel(
        f"{K} {what}, sorted; the {extremes} first and last named",
        labelpad=22.0 + 0.62 * SMALL * widest,
    )


def row_axis(ax: Any, rows: Any) -> Any:
    """Positions of rows on the x axis, which is labelled; returns the positions (N,)."""
    index = getattr(rows, "to_timestamp", lambda: rows)()
    ax.set_xlabel("row" if index.name is None else text(index.name))
    if index.dtype.kind in "iuf" or index.dtype.kind == "M":
        if index.dtype.kind in "iu":
            from matplotlib.ticker import MaxNLocator

            ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        return index.to_numpy()
    at = np.linspace(0, len(index) - 1, min(len(index), 7)).round().astype(int)
    many = len(index) > 4
    ax.set_xticks(
        at,
        short([index[i] for i in at]),
        fontsize=SMALL,
        rotation=30 if many else 0,
        ha="right" if many else "center",
    )
    return np.arange(len(index))
