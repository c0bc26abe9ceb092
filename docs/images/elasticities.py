"""The picture of the landing page: python docs/images/elasticities.py, from the top.

The price elasticity of cigarettes in each state, with 95 % intervals: the system beside OLS.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_cigarettes

TOGETHER = "together, one shock in common"


def main() -> None:
    """Draw it."""
    mpl.use("Agg")
    data, intervals = load_cigarettes(), {}
    data["sales"] = np.log(data["sales"])
    data["price"] = np.log(data["price"] / data["cpi"])
    data["income"] = np.log(data["ndi"] / data["cpi"])
    formula, panel = "diff(sales) ~ diff(price) + diff(income)", {"groups": "state", "time": "year"}
    for label, rank in (("one by one, OLS", 0), (TOGETHER, "auto")):
        res = LowRankSUR.from_formula(formula, data, rank=rank, **panel).fit()
        names = [f"{state}_diff(price)" for state in res.model.equations]
        intervals[label] = np.column_stack([res.params[names], res.conf_int().loc[names]])
    order = np.argsort(intervals[TOGETHER][:, 0])
    states = np.array(res.model.equations)[order]
    figure, ax = plt.subplots(figsize=(9.6, 3.7), layout="constrained")
    for shift, color, width, (label, values) in zip(
        (-0.18, 0.18), ("#a8a8a8", "#1f5fa8"), (1.0, 1.4), intervals.items(), strict=True
    ):
        mean, low, high = values[order].T
        at = np.arange(len(states)) + shift
        ax.errorbar(
            at, mean, [mean - low, high - mean], fmt="o", ms=3, lw=width, color=color, label=label
        )
    ax.axhline(0.0, color="black", lw=0.6)
    ax.set_xticks(np.arange(len(states)), states, fontsize=7.5, rotation=90)
    ax.set_xlim(-0.8, len(states) - 0.2)
    ax.set_ylabel("% sales per % price")
    ax.legend(frameon=False, loc="upper left", ncols=2)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
