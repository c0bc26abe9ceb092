"""What ``rank="auto"`` chooses, and what that does to slopes and intervals, by Monte Carlo.

    python benchmarks/default_rank.py [--reps 6] [--times 1] [--quick] [--only ranks|slopes]

Systems as in coverage.py: a constant and two N(0, 1) regressors of each equation, drawn anew with
Sigma in every replication. Two tables.

ranks    Sigma = F F' + D with loadings N(0, 1) ("strong") or 0.5 N(0, 1) ("weak"), d ~ U(.5, 1.5),
         true ranks 0 .. 6 (as far as they are legal); rows Gaussian or multivariate t. A cell is
         the share of draws in which the default is the true rank / is larger, over all true ranks;
         the same of ``bic_robust`` on the same draws; and means of both, and of ``bic_ols``, the
         default without its limit, over sizes.
slopes   the same with strong factors, and Sigma that is not low rank: AR with .7 and .9, two blocks
         with correlation .6, exp(-distance / .3) on the unit square, Wishart with 2 K degrees of
         freedom. Coverage of nominal 95 % intervals of slopes, and RMSE relative to OLS, under the
         default, bic_ols without its limit (but at most rank 4), and the rule (the same); one
         start. "best" is the fixed rank with the least RMSE. Means over the sizes of `SLOPES`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls import LowRankSUR
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rank.default import default_criterion, supported_rank
from sm_alsgls.core.rank.path import path_gtol, residual_path
from sm_alsgls.core.rank.robust import robust_criterion
from sm_alsgls.core.sigma.factor import auto_rank, largest_rank, sigma_parameters

P = 3
MOST = 10
STRENGTH = {"strong": 1.0, "weak": 0.5}
TAILS = {"Gaussian": np.inf, "t(5)": 5.0, "t(3)": 3.0}
SIZES = [(N, K) for N in (20, 30, 40, 100, 300) for K in (5, 10, 20, 50, 100, 200)]
# Draws of each size in the tables of slopes.
SLOPES = {
    (20, 10): 12, (20, 50): 4, (40, 10): 12, (30, 100): 2, (30, 20): 6, (40, 50): 3, (20, 20): 6,
}  # fmt: skip
# What the errors are like there: a true rank with tails, or a Sigma.
KINDS = (
    "r=2", "r=2 t(3)", "r=2 t(5)", "r=0", "AR .7", "AR .9", "blocks", "spatial", "Wishart",
    "r=0 t(3)",
)  # fmt: skip
MOST_FITTED = 4


def factors(rng: np.random.Generator, K: int, r: int, strength: float) -> np.ndarray:
    """A root (K, r + K) of a low-rank Sigma."""
    F, d = strength * rng.standard_normal((K, r)), rng.uniform(0.5, 1.5, K)
    return np.column_stack([F, np.diag(np.sqrt(d))])


def root(rng: np.random.Generator, K: int, kind: str) -> np.ndarray:
    """A root of the Sigma of a ``kind``."""
    lag = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
    if kind.startswith("r="):
        return factors(rng, K, int(kind[2]), 1.0)
    if kind.startswith("AR"):
        S = float(kind[3:]) ** lag
    elif kind == "blocks":
        half = np.arange(K) < K // 2
        S = np.where(np.equal.outer(half, half), 0.6, 0.0) + 0.4 * np.eye(K)
    elif kind == "spatial":
        at = rng.random((K, 2))
        S = np.exp(-np.linalg.norm(at[:, None] - at, axis=2) / 0.3)
    else:
        A = rng.standard_normal((K, 2 * K))
        S = A @ A.T / (2 * K)
    return np.linalg.cholesky(S)


def draw(rng: np.random.Generator, N: int, half: np.ndarray, df: float):
    """Designs, responses and coefficients; rows are multivariate t with variance that of df=inf."""
    K, m = half.shape
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, P - 1))]) for _ in range(K)]
    E = rng.standard_normal((N, m)) @ half.T
    if np.isfinite(df):
        E *= np.sqrt((df - 2.0) / rng.chisquare(df, N))[:, None]
    beta = rng.standard_normal((K, P))
    return X, np.column_stack([x @ b for x, b in zip(X, beta, strict=True)]) + E, beta


WAYS = ("default", "bic_ols", "bic_robust")


def chosen(X, Y) -> tuple[int, int, int]:
    """The ranks of `WAYS`."""
    N, K = Y.shape
    largest = largest_rank(K, N, P)
    candidates = range(min(MOST, largest, (N - P) // 3) + 1)
    problem = Problem(X, Y, ALSOptions(gtol=path_gtol(N)))
    found = default_criterion(problem, candidates, K * P)
    capped = [r for r in found if r <= supported_rank(N - P, K)]
    E = np.column_stack([y - x @ np.linalg.lstsq(x, y)[0] for x, y in zip(X, Y.T, strict=True)])
    robust = robust_criterion(E, candidates, float(N - P)).values
    return (
        min(capped, key=lambda r: found[r]),
        min(found, key=lambda r: found[r]),
        min(robust, key=lambda r: robust[r]),
    )


def truths(K: int) -> list[tuple[int, str]]:
    return [(0, "strong")] + [
        (r, s) for r in range(1, 7) for s in STRENGTH if r <= largest_rank(K) and r < K - 2
    ]


def rank_cell(N: int, K: int, tails: str, reps: int, seed: int) -> np.ndarray:
    """True rank, whether it is weak, and the ranks of `WAYS`, of every draw, (draws, 5)."""
    rng = np.random.default_rng([seed, N, K, sorted(TAILS).index(tails)])
    out = []
    for r, strength in truths(K):
        for _ in range(reps):
            half = factors(rng, K, r, STRENGTH[strength])
            X, Y, _ = draw(rng, N, half, TAILS[tails])
            out.append((r, strength == "weak", *chosen(X, Y)))
    return np.array(out)


def ranks(sizes, reps: int, seed: int) -> None:
    names = [f"{t}, {s}" for t in TAILS for s in ("r=0", *STRENGTH)]
    shares = np.empty((len(WAYS), len(sizes), len(names), 2))
    for i, (N, K) in enumerate(sizes):
        for j, tails in enumerate(TAILS):
            found = rank_cell(N, K, tails, reps if K < 200 else max(2, reps // 2), seed)
            r, weak = found[:, 0], found[:, 1]
            for k, mine in enumerate((r == 0, (r > 0) & (weak == 0), (r > 0) & (weak == 1))):
                for way in range(len(WAYS)):
                    rank = found[:, 2 + way]
                    right, high = np.mean((rank == r)[mine]), np.mean((rank > r)[mine])
                    shares[way, i, 3 * j + k] = right, high
        print(f"N={N}, K={K} done", file=sys.stderr, flush=True)
    heads = " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|"
    for way in ("default", "bic_robust"):
        print(f"\n## The rank that {way} chooses: share right / too high\n")
        print(f"| N, K | {'cap' if way == 'default' else 'most'} | " + heads)
        for (N, K), cells in zip(sizes, shares[WAYS.index(way)], strict=True):
            cap = supported_rank(N - P, K) if way == "default" else (N - P) // 3
            print(f"| {N}, {K} | {min(MOST, cap, largest_rank(K, N, P))} | {_row(cells)}")
    print(
        f"\n{reps} draws of each true rank (half at K=200): standard errors up to "
        f"{0.5 / np.sqrt(reps):.2f} where r=0, {0.5 / np.sqrt(reps * 6):.2f} elsewhere."
    )
    print(f"\n## Means over sizes: share right / too high\n\n| | N | {heads}")
    for rows in ((20, 30, 40), (100, 300)):
        mine = [N in rows for N, _ in sizes]
        for way, cells in zip(WAYS, shares, strict=True):
            if any(mine):
                print(f"| {way} | {rows[0]} to {rows[-1]} | {_row(cells[mine].mean(axis=0))}")


def _row(cells: np.ndarray) -> str:
    """Shares right/too high; where r=0 all that is not right is too high."""
    text = []
    for i, pair in enumerate(cells):
        right, high = (f"{x:.2f}".removeprefix("0") for x in pair)
        right, high = (x.replace("1.00", "1") for x in (right, high))
        text.append(right if i % (1 + len(STRENGTH)) == 0 else f"{right}/{high}")
    return " | ".join(text) + " |"


def slopes_cell(N: int, K: int, kind: str, reps: int, seed: int) -> np.ndarray:
    """bic_ols, coverage and squared error of slopes at every rank 0 .. MOST_FITTED, (reps, 3, r).

    Fits are loose, as ranks beyond the rows converge slowly: 60 sweeps, gradient 1e-3.
    """
    rng = np.random.default_rng([seed, N, K, KINDS.index(kind)])
    df = TAILS[kind.split()[1]] if " t(" in kind else np.inf
    candidates = range(min(MOST_FITTED, largest_rank(K, N, P)) + 1)
    m = np.array([sigma_parameters(K, r) for r in candidates])
    out = np.empty((reps, 3, len(candidates)))
    for i in range(reps):
        X, Y, beta = draw(rng, N, root(rng, K, kind), df)
        problem = Problem(X, Y, ALSOptions(gtol=path_gtol(N)))
        out[i, 0] = 2 * (N - P) * residual_path(problem, candidates) + np.log(N - P) * m
        true = beta[:, 1:]
        for r in candidates:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                res = LowRankSUR(Y, X, rank=r).fit(n_starts=1, max_sweeps=60, gtol=1e-3)
            interval = res.conf_int().to_numpy().reshape(K, P, 2)[:, 1:]
            out[i, 1, r] = ((interval[..., 0] <= true) & (true <= interval[..., 1])).mean()
            error = res.params.to_numpy().reshape(K, P)[:, 1:] - true
            out[i, 2, r] = np.square(error).mean()
    return out


def picks(cell: np.ndarray, cap: int) -> np.ndarray:
    """The rank with the least bic_ols up to ``cap``, of every draw."""
    return cell[:, 0, : cap + 1].argmin(axis=1)


def limits(N: int, K: int) -> dict[str, int]:
    """Other limits than the default's."""
    rows = {"n / (6 + 100 / K)": (6, 100), "n / (6 + 60 / K)": (6, 60), "n / (5 + 35 / K)": (5, 35)}
    out = {name: max(1, int((N - P) / (a + b / K))) for name, (a, b) in rows.items()}
    return {**out, "default": supported_rank(N - P, K), "none below 4": MOST_FITTED}


def slopes_tables(cells: dict[tuple[int, int, str], np.ndarray]) -> None:
    """Print what the default, bic_ols and the rule do, by kind of error, and other limits."""
    print(
        "\n## Slopes under the default\n\n"
        "| errors | mean rank | coverage: default | bic_ols | rule | RMSE / OLS: default | bic_ols "
        "| rule | best |\n" + "|---" * 9 + "|"
    )
    for kind in dict.fromkeys(kind for _, _, kind in cells):
        covers, ratios, ranks = [], [], []
        for (N, K, other), cell in cells.items():
            if other != kind:
                continue
            rows = np.arange(len(cell))
            ways = [
                picks(cell, supported_rank(N - P, K)),
                picks(cell, MOST_FITTED),
                np.full(len(cell), min(auto_rank(K, N, P), cell.shape[2] - 1)),
            ]
            covers.append([cell[rows, 1, way] for way in ways])
            ols = cell[:, 2, 0].mean()
            error = [cell[rows, 2, way].mean() for way in ways] + [cell[:, 2].mean(axis=0).min()]
            ratios.append(np.sqrt(np.array(error) / ols))
            ranks.append(ways[0])
        shares = [np.concatenate(way) for way in zip(*covers, strict=True)]
        text = [f"{x.mean():.3f} ({x.std() / np.sqrt(len(x)):.3f})" for x in shares]
        text += [f"{x:.2f}" for x in np.mean(ratios, axis=0)]
        print(f"| {kind} | {np.concatenate(ranks).mean():.1f} | " + " | ".join(text) + " |")
    print(
        "\n## Other limits\n\n| limit | mean coverage | cells below .93 | RMSE / best fixed rank | "
        "worst |\n|---|---|---|---|---|"
    )
    for name in limits(20, 10):
        coverage, ratio = [], []
        for (N, K, _), cell in cells.items():
            way, rows = picks(cell, limits(N, K)[name]), np.arange(len(cell))
            coverage.append(cell[rows, 1, way].mean())
            best = cell[:, 2].mean(axis=0).min()
            ratio.append(np.sqrt(cell[rows, 2, way].mean() / best))
        low = sum(x < 0.93 for x in coverage)
        print(
            f"| {name} | {np.mean(coverage):.3f} | {low} of {len(coverage)} | "
            f"{np.mean(ratio):.3f} | {np.max(ratio):.2f} |"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=6, help="draws of each true rank")
    parser.add_argument("--times", type=int, default=1, help="multiples of the draws of slopes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two sizes, few draws")
    parser.add_argument("--only", choices=["ranks", "slopes"])
    options = parser.parse_args(arguments)
    began = time.process_time()
    quick = options.quick
    if options.only != "slopes":
        ranks([(20, 10), (40, 10)] if quick else SIZES, 3 if quick else options.reps, options.seed)
    if options.only != "ranks":
        sizes = {(20, 10): 3} if quick else SLOPES
        slopes_tables(
            {
                (N, K, kind): slopes_cell(N, K, kind, reps * options.times, options.seed + 76)
                for (N, K), reps in sizes.items()
                for kind in (KINDS[:2] if quick else KINDS)
            }
        )
    print(f"\n{time.process_time() - began:.0f} s of processor time, one BLAS thread.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
