"""The picture of the landing page: python docs/images/coefficients.py, from the top.

One coefficient in every equation, with 95 % intervals: the low-rank system beside OLS.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld


def main() -> None:
    """Draw it."""
    mpl.use("Agg")
    data, intervals = load_grunfeld(), {}
    for label, rank in (("OLS, equation by equation", 0), ("system, two factors", 2)):
        res = LowRankSUR.from_formula(
            "invest ~ value + capital", data, groups="firm", time="year", rank=rank
        ).fit()
        names = [f"{firm}_value" for firm in res.model.equations]
        intervals[label] = np.column_stack([res.params[names], res.conf_int().loc[names]])
    order = np.argsort(intervals["system, two factors"][:, 0])
    firms = np.array(res.model.equations)[order]
    figure, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for shift, color, (label, values) in zip(
        (0.17, -0.17), ("#9a9a9a", "#1f5fa8"), intervals.items(), strict=True
    ):
        mean, low, high = values[order].T
        at = np.arange(len(firms)) + shift
        ax.errorbar(
            mean, at, xerr=[mean - low, high - mean], fmt="o", ms=4, color=color, label=label
        )
    ax.axvline(0.0, color="black", lw=0.6)
    ax.set_yticks(np.arange(len(firms)), firms)
    ax.set_xlabel("coefficient of value: dollars of investment per dollar of market value")
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
