"""How often the checks of `diagnostics()` and the tests of a diagonal Sigma look, by Monte Carlo.

    python benchmarks/checks.py [--reps 300] [--write]

Each row is a design: N rows, K equations with a constant and two regressors, rank r given. A cell
is the share of draws in which the check says "look" (its p-value below 5 %). --write puts the
tables into docs/measured/checks.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import pandas as pd

from sm_alsgls import LowRankSUR
from sm_alsgls.core.residuals.correlation import robust_squares
from sm_alsgls.core.residuals.wild_signs import wild_pvalue
from sm_alsgls.diagnostics import diagonality_test

PAGE = Path(__file__).parent.parent / "docs" / "measured" / "checks.md"
CHECKS = {
    "serial correlation, jointly": "serial, jointly",
    "serial correlation, equations": "serial, equations",
    "heteroscedasticity, equations": "variance, equations",
    "heteroscedasticity, rows": "variance, rows",
    "factors and regressors": "factors and regressors",
}
# Draws of slopes under factors that move with the regressors.
BIASED = 40
Errors = Callable[[np.random.Generator, int, int], np.ndarray]


def _normal(rng: np.random.Generator, N: int, K: int) -> np.ndarray:
    return rng.standard_normal((N, K))


def _t3(rng: np.random.Generator, N: int, K: int) -> np.ndarray:
    return rng.standard_normal((N, K)) / np.sqrt(rng.chisquare(3, (N, 1)) / 3)


def _lognormal(rng: np.random.Generator, N: int, K: int) -> np.ndarray:
    return rng.standard_normal((N, K)) * np.exp(0.7 * rng.standard_normal((N, 1)))


def _skewed(rng: np.random.Generator, N: int, K: int) -> np.ndarray:
    return rng.chisquare(2, (N, K)) - 2.0


def drawn(
    rng: np.random.Generator, N: int, K: int, r: int, x: str, what: str
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Responses and designs by equation; slopes are 1."""
    draw = _t3 if what == "t(3) rows" else _normal
    F, d = rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)
    shocks = draw(rng, N, r + K)
    f = shocks[:, :r]
    e = f @ F.T + shocks[:, r:] * np.sqrt(d)
    if what.startswith("rho"):
        rho = float(what.split()[1])
        for n in range(1, N):
            e[n] += rho * e[n - 1]
    common = rng.standard_normal((N, 2))
    names = [f"e{j}" for j in range(K)]
    X = {}
    for j, name in enumerate(names):
        z = rng.standard_normal((N, 2))
        if x == "slow":
            z = np.column_stack([np.arange(N) / N, np.cumsum(z[:, 1])])
        elif x == "equal":
            z = common
        if what == "Bai":
            z = z + 1.0 + (f @ (F[j] + 1.0))[:, None] + F[j].sum() + f.sum(axis=1)[:, None]
        if what == "variance by own x":
            e[:, j] *= np.exp(0.3 * z[:, 1])
        X[name] = pd.DataFrame(np.column_stack([np.ones(N), z]), columns=["one", "x", "z"])
    if what == "Bai":
        e = f @ (F + 1.0).T + shocks[:, r:] * np.sqrt(d)
    Y = np.column_stack([X[name][["x", "z"]].sum(axis=1) for name in names]) + e
    return pd.DataFrame(Y, columns=names), X


# N, K, rank, regressors, what else, common slopes
CLEAN = [
    (17, 48, 1, "own", "", False),
    (17, 48, 1, "slow", "", False),
    (20, 10, 2, "own", "", False),
    (40, 10, 2, "own", "", False),
    (40, 10, 2, "slow", "", False),
    (40, 10, 2, "equal", "", False),
    (40, 10, 2, "own", "t(3) rows", False),
    (100, 10, 2, "own", "t(3) rows", False),
    (100, 50, 2, "own", "", False),
    (50, 20, 2, "own", "", True),
]
FAULTY = [
    (40, 10, 2, "own", "rho .2", False),
    (17, 48, 1, "slow", "rho .3", False),
    (100, 10, 2, "own", "variance by own x", False),
    (40, 20, 2, "own", "variance by own x", False),
    (50, 20, 2, "own", "Bai", False),
    (50, 20, 2, "own", "Bai", True),
]
DIAGONAL: list[tuple[int, int, str, Errors, str]] = [
    (30, 50, "normal", _normal, "own"),
    (30, 50, "multivariate t(3)", _t3, "own"),
    (30, 50, "multivariate t(3)", _t3, "equal"),
    (30, 10, "lognormal row scale", _lognormal, "own"),
    (100, 50, "multivariate t(3)", _t3, "own"),
    (60, 20, "multivariate t(3)", _t3, "equal"),
    (30, 10, "chi2(2)", _skewed, "own"),
    (60, 2, "normal", _normal, "own"),
]


def diagnosed(rows: list, reps: int) -> list[str]:
    lines = [
        "| N, K, r | regressors | errors | " + " | ".join(CHECKS.values()) + " |",
        "|---|---|---|" + "---|" * len(CHECKS),
    ]
    for N, K, r, x, what, common in rows:
        looks = {name: [] for name in CHECKS}
        for seed in range(reps):
            Y, X = drawn(np.random.default_rng(1000 + seed), N, K, r, x, what)
            slopes = ["x", "z"] if common else False
            fit = LowRankSUR(Y, X, rank=r, common=slopes).fit(n_starts=1, gtol=1e-4)
            verdicts = fit.diagnostics().table["verdict"]
            for name, values in looks.items():
                values.append(np.nan if verdicts[name] == "-" else verdicts[name] == "look")
        cells = [np.mean(v) for v in looks.values()]
        shown = " | ".join("-" if np.isnan(c) else f"{c:.3f}" for c in cells)
        which = x + (", common slopes" if common else "")
        errors = {"": "normal", "Bai": "move with x (Bai 2009)"}.get(what, what)
        lines.append(f"| {N},&nbsp;{K},&nbsp;{r} | {which} | {errors} | {shown} |")
        print(lines[-1], flush=True)
    return lines


def biased(reps: int) -> list[str]:
    """What factors that move with the regressors do to slopes, and what the means of these mend."""
    lines = [
        "| N, K, r | slopes | mean error | coverage | with means: mean error | coverage |",
        "|---|---|---|---|---|---|",
    ]
    for N, K in ((50, 50), (200, 50)):
        for common in (True, False):
            off, inside = np.empty((reps, 2)), np.empty((reps, 2))
            for seed in range(reps):
                Y, X = drawn(np.random.default_rng(seed), N, K, 2, "own", "Bai")
                means = pd.concat(X).groupby(level=1)[["x", "z"]].mean().add_prefix("mean_")
                more = {name: x.join(means) for name, x in X.items()}
                for at, designs in enumerate((X, more)):
                    slopes = ["x", "z"] if common else False
                    fit = LowRankSUR(Y, designs, rank=2, common=slopes).fit(n_starts=1)
                    names = ["x"] if common else [f"{name}_x" for name in X]
                    off[seed, at] = fit.params[names].mean() - 1.0
                    low, high = fit.conf_int().loc[names].to_numpy().T
                    inside[seed, at] = np.mean((low <= 1.0) & (high >= 1.0))
            cells = [
                f"{values[:, at].mean():+.3f} ({values[:, at].std() / reps**0.5:.3f})"
                if values is off
                else f"{values[:, at].mean():.3f} ({values[:, at].std() / reps**0.5:.3f})"
                for at in (0, 1)
                for values in (off, inside)
            ]
            which = "common" if common else "own"
            lines.append(f"| {N},&nbsp;{K},&nbsp;2 | {which} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return lines


def diagonal(reps: int) -> list[str]:
    lines = [
        "| N, K | errors | regressors | lm | lm_adj | cd | lm_robust |",
        "|---|---|---|---|---|---|---|",
    ]
    for N, K, name, draw, x in DIAGONAL:
        rejected = dict.fromkeys(("lm", "lm_adj", "cd", "lm_robust"), 0)
        for seed in range(reps):
            rng = np.random.default_rng(seed)
            one = np.ones(N)
            own = [np.column_stack([one, rng.standard_normal((N, 2))]) for _ in range(K)]
            fit = LowRankSUR(draw(rng, N, K), own[0] if x == "equal" else own, rank=0).fit()
            for method in ("lm", "lm_adj", "cd"):
                rejected[method] += diagonality_test(fit, method).pvalue <= 0.05
            problem = fit.model.system
            design = fit.estimate.sample.problem.full_design(problem.used_blocks)
            E = fit.resid.to_numpy()
            rejected["lm_robust"] += wild_pvalue(robust_squares, E, design, 99, seed)[1] <= 0.05
        cells = " | ".join(f"{n / reps:.3f}" for n in rejected.values())
        lines.append(f"| {N},&nbsp;{K} | {name} | {x} | {cells} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    se = np.sqrt(0.05 * 0.95 / args.reps)
    parts = [
        "# Checks: how often they look",
        f"`python benchmarks/checks.py --reps {args.reps} --write`: shares of {args.reps} draws at "
        f"the level 5 %. The Monte Carlo standard error of a share of .05 is {se:.3f}, of .5 it is "
        f"{0.5 / np.sqrt(args.reps):.3f}.",
        "## Nothing is wrong",
        "\n".join(diagnosed(CLEAN, args.reps)),
        "## Something is wrong",
        'Here "look" is right in the column that is meant.',
        "\n".join(diagnosed(FAULTY, args.reps)),
        "### What such factors do to slopes",
        f"The last two designs with 50 equations, {BIASED} draws: the first slope's mean error, "
        "and the coverage of its nominal 95 % intervals; and with the equations' means of both "
        "regressors in every equation, with coefficients of its own. Monte Carlo standard errors "
        "in brackets.",
        "\n".join(biased(BIASED)),
        "More rows do not help, and the means take most of it, not all.",
        "## Tests of a diagonal Sigma, which it is",
        "\n".join(diagonal(args.reps)),
        "`lm`, `lm_adj` and `cd` by their asymptotic laws, `lm_robust` by 99 draws of signs.",
    ]
    if args.write:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
