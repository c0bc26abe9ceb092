"""Coverage and size with rows in time, by what the standard errors allow for.

    python benchmarks/short_series.py [--reps 200] [--write]

N rows, K equations with a constant and two regressors of their own; regressors, two factors and the
errors beside them are AR(1) with the same coefficient. Coverage is of 95 % intervals of the slopes
(mean over equations; Monte Carlo error that of the mean over draws), size that of the joint test,
at 5 %, of the first slope of five equations. --write puts the table into docs/measured/time.md.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls import LowRankSUR

PAGE = Path(__file__).parent.parent / "docs" / "measured" / "time.md"
CELLS = [(17, 10, 0.5), (40, 10, 0.0), (40, 10, 0.5), (40, 10, 0.8), (100, 10, 0.5), (300, 10, 0.5)]
KINDS = {
    "nonrobust": ("nonrobust", {}),
    "HC1": ("HC1", {}),
    "HAC, Bartlett": ("HAC", {}),
    "HAC, cosines": ("HAC", {"kernel": "cosine"}),
}
Q = 5


def autoregressive(rng: np.random.Generator, N: int, m: int, rho: float) -> np.ndarray:
    e = rng.standard_normal((N, m))
    e[0] /= np.sqrt(1.0 - rho * rho)
    for n in range(1, N):
        e[n] += rho * e[n - 1]
    return e


def draw(seed: int, N: int, K: int, rho: float):
    rng = np.random.default_rng([seed, N, round(100 * rho)])
    X = [np.column_stack([np.ones(N), autoregressive(rng, N, 2, rho)]) for _ in range(K)]
    F, d = rng.standard_normal((K, 2)), rng.uniform(0.5, 1.5, K)
    E = autoregressive(rng, N, 2, rho) @ F.T + autoregressive(rng, N, K, rho) * np.sqrt(d)
    return X, E  # coefficients are zero


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        "| N, K | AR(1) | " + " | ".join(KINDS) + " |",
        "|---|---|" + "---|" * len(KINDS),
    ]
    for N, K, rho in CELLS:
        covered = {name: [] for name in KINDS}
        rejected = {name: [] for name in KINDS}
        slopes = np.arange(3 * K) % 3 > 0
        R = np.zeros((Q, 3 * K))
        R[np.arange(Q), 3 * np.arange(Q) + 1] = 1.0
        for seed in range(args.reps):
            X, Y = draw(seed, N, K, rho)
            fit = LowRankSUR(Y, X, rank=2).fit(n_starts=1, gtol=1e-4)
            for name, (kind, options) in KINDS.items():
                res = fit.get_robustcov_results(kind, **options)
                interval = np.asarray(res.conf_int())[slopes]
                covered[name].append(np.mean((interval[:, 0] <= 0) & (0 <= interval[:, 1])))
                try:
                    rejected[name].append(float(res.f_test(R).pvalue) < 0.05)
                except ValueError:  # more hypotheses than degrees of freedom
                    rejected[name].append(np.nan)
        cells = []
        for name in KINDS:
            mean, se = np.mean(covered[name]), np.std(covered[name]) / np.sqrt(args.reps)
            size = np.mean(rejected[name])
            shown = "refused" if np.isnan(size) else f"{size:.3f}"
            cells.append(f"{mean:.3f} ({se:.3f}) / {shown}")
        lines.append(f"| {N},&nbsp;{K} | {rho:g} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    text = [
        "# Rows in time",
        f"`python benchmarks/short_series.py --reps {args.reps} --write`: coverage of 95 % "
        "intervals of slopes (Monte Carlo standard error) / size of the joint test of five slopes "
        f"at 5 % (standard error {np.sqrt(0.05 * 0.95 / args.reps):.3f} at 5 %). Regressors, "
        "factors and errors are AR(1) with the same coefficient; two factors, the true rank.",
        "\n".join(lines),
        "Cosines cover more than a kernel in every row, and less than they say where "
        "correlation is strong against N: a lagged response or trends, where they belong into the "
        "model, are better. `refused` means more hypotheses than degrees of freedom.",
    ]
    if args.write:
        PAGE.write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
