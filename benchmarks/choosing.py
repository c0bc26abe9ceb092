"""OLS, textbook SUR and the models of Sigma that are here, next to each other, by Monte Carlo.

    python benchmarks/choosing.py [--reps 120] [--quick] [--csv docs/images/choosing.csv]

Systems and kinds of Sigma as in default_rank.py: a constant and two N(0, 1) regressors of each
equation, drawn anew with Sigma in every replication: two factors; Wishart with 2 K degrees of
freedom, not near a low rank; none, a diagonal Sigma. For each N rows and K equations the
RMSE of all slopes relative to OLS, and the coverage of nominal 95 % intervals, of

OLS          rank=0
textbook     rank="full", two steps, Sigma divided by N, normal quantiles: what programs print
full         rank="full" as `fit()` gives it: the maximum, with corrected standard errors
full, two    the same in two steps
default      rank="auto"

Unrestricted ones need K < N - p and are not fitted beyond. Monte Carlo standard errors of coverage
are over draws, since slopes of one draw go together.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import pandas as pd
from default_rank import draw, root

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import AlsglsWarning

P = 3
SIZES = [(N, K) for N in (30, 100, 300) for K in (3, 5, 10, 20, 50, 200)]
QUICK = [(30, 5), (30, 50)]
KINDS = {"r=2": "two factors", "Wishart": "Wishart", "r=0": "none"}
#: Rank, and options of `fit`.
WAYS = {
    "OLS": (0, {}),
    "textbook": ("full", {"method": "two-step", "debiased": False}),
    "full": ("full", {}),
    "full, two": ("full", {"method": "two-step"}),
    "default": ("auto", {"n_starts": 1}),
}
# An unrestricted maximum of so many equations takes seconds; two steps do not.
MOST_MAXIMISED = 50


def possible(way: str, N: int, K: int) -> bool:
    """Whether there is such a fit."""
    return WAYS[way][0] != "full" or (K < N - P and (way != "full" or K <= MOST_MAXIMISED))


def cell(N: int, K: int, kind: str, reps: int) -> list[dict[str, object]]:
    """A row a way: mean squared errors relative to OLS, and coverage."""
    rng = np.random.default_rng([N, K, list(KINDS).index(kind)])
    errors: dict[str, list[float]] = {way: [] for way in WAYS if possible(way, N, K)}
    covered: dict[str, list[float]] = {way: [] for way in errors}
    ranks: list[int] = []
    for _ in range(reps):
        X, Y, beta = draw(rng, N, root(rng, K, kind), np.inf)
        truth, slope = beta.ravel(), np.tile([False, True, True], K)
        for way in errors:
            rank, options = WAYS[way]
            res = LowRankSUR(Y, X, rank=rank).fit(**options)
            low, high = np.asarray(res.conf_int())[slope].T
            b = truth[slope]
            errors[way].append(float(np.mean((np.asarray(res.params)[slope] - b) ** 2)))
            covered[way].append(float(np.mean((low <= b) & (b <= high))))
            if way == "default":
                ranks.append(res.rank)
    ols = np.sqrt(np.mean(errors["OLS"]))
    return [
        {
            "errors": KINDS[kind],
            "N": N,
            "K": K,
            "way": way,
            "rmse_over_ols": round(float(np.sqrt(np.mean(errors[way])) / ols), 4),
            "coverage": round(float(np.mean(covered[way])), 4),
            "coverage_se": round(float(np.std(covered[way]) / np.sqrt(reps)), 4),
            "mean_rank": round(float(np.mean(ranks)), 2) if way == "default" else "",
            "draws": reps,
        }
        for way in errors
    ]


def table(found: pd.DataFrame, errors: str) -> str:
    """Of one kind of Sigma, in Markdown: RMSE over that of OLS / coverage."""
    lines = ["| N, K | " + " | ".join(WAYS) + " |", "|---" * (1 + len(WAYS)) + "|"]
    found = found[found["errors"] == errors].set_index(["N", "K", "way"])
    for N, K in dict.fromkeys((N, K) for N, K, _ in found.index):
        cells = []
        for way in WAYS:
            if (N, K, way) in found.index:
                row = found.loc[(N, K, way)]
                rmse, share = f"{row['rmse_over_ols']:.2f}", f"{row['coverage']:.3f}"
                cells.append(f"{rmse.removeprefix('0')} / {share.removeprefix('0')}")
            else:
                cells.append("-")
        lines.append(f"| {N}, {K} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=120)
    parser.add_argument("--quick", action="store_true", help="two sizes, five draws")
    parser.add_argument("--csv", type=Path, help="keep the figures there")
    args = parser.parse_args()
    warnings.simplefilter("ignore", AlsglsWarning)
    rows: list[dict[str, object]] = []
    for kind in KINDS:
        for N, K in QUICK if args.quick else SIZES:
            # Large systems have more slopes a draw.
            reps = 5 if args.quick else max(20, args.reps // max(1, K // 10))
            rows += cell(N, K, kind, reps)
            print(f"{kind}, N={N}, K={K} done", file=sys.stderr, flush=True)
            if args.csv:
                pd.DataFrame(rows).to_csv(args.csv, index=False)
    found = pd.DataFrame(rows)
    for errors in KINDS.values():
        print(f"\n{errors}\n\n{table(found, errors)}")


if __name__ == "__main__":
    main()
