"""The picture of the guide to choosing: python docs/images/choosing.py, from the top.

What benchmarks/choosing.py measured, which is in choosing.csv beside this: the error of slopes and
the coverage of their intervals by the number of equations.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

ROWS = 100
TITLES = {
    "two factors": "two common shocks",
    "Wishart": "all errors correlated, no pattern",
    "none": "errors not correlated",
}
#: Colour, mark and name of each way.
WAYS = {
    "OLS": ("#8c8c8c", "s", "OLS, one by one"),
    "textbook": ("#c0652a", "v", "textbook SUR"),
    "full, two": ("#d9a441", "^", 'rank="full", two steps'),
    "default": ("#1f5fa8", "o", "the default, a low rank"),
}


def main() -> None:
    """Draw it."""
    mpl.use("Agg")
    found = pd.read_csv(Path(__file__).with_suffix(".csv"))
    found = found[found["N"] == ROWS]
    figure, axes = plt.subplots(
        2, 3, figsize=(9.6, 5.2), layout="constrained", sharex=True, sharey="row"
    )
    for (errors, title), (error, cover) in zip(TITLES.items(), axes.T, strict=True):
        for way, (color, mark, label) in WAYS.items():
            line = found[(found["errors"] == errors) & (found["way"] == way)].sort_values("K")
            style = {"color": color, "marker": mark, "ms": 4.5, "lw": 1.4, "label": label}
            # The same coefficients, of which textbook intervals are the short ones.
            if way != "textbook":
                error.plot(line["K"], line["rmse_over_ols"], **style)
            cover.plot(line["K"], line["coverage"], **style)
        error.set_title(title, fontsize=10)
        cover.axhline(0.95, color="black", lw=0.6, zorder=0)
        cover.set_xscale("log")
        cover.set_xticks([3, 5, 10, 20, 50, 200], ["3", "5", "10", "20", "50", "200"])
        cover.minorticks_off()
        cover.set_xlabel(f"equations, of {ROWS} rows")
    axes[0, 0].set_ylabel("error of slopes,\nthat of OLS being 1")
    axes[1, 0].set_ylabel("share of truths that\n95 % intervals cover")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=4, fontsize=9)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
