"""What ``rank="auto"`` chooses, and what that does to slopes and intervals, by Monte Carlo.

    python benchmarks/default_rank.py [--reps 20] [--fits 24] [--quick] [--only ranks|slopes]

Systems as in coverage.py: a constant and two N(0, 1) regressors of each equation, drawn anew with
Sigma in every replication. Two tables.

ranks    Sigma = F F' + D with loadings N(0, 1) ("strong") or 0.5 N(0, 1) ("weak"), d ~ U(.5, 1.5),
         true ranks 0 .. 6 (as far as they are legal); rows Gaussian or multivariate t. A cell is
         the share of draws in which the default is the true rank / is larger, over all true ranks.
slopes   the same, and Sigma that is not low rank; coverage of nominal 95 % intervals of slopes and
         their RMSE relative to OLS under the default, bic_ols without its cap, and the seed's
         rule; one start. "best" is the fixed rank with the least RMSE in the cell.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls import LowRankSUR
from sm_alsgls.core.default_rank import default_criterion, supported_rank
from sm_alsgls.core.factor import auto_rank, largest_rank
from sm_alsgls.core.problem import ALSOptions, Problem
from sm_alsgls.core.rank_path import path_gtol

P = 3
MOST = 10
STRENGTH = {"strong": 1.0, "weak": 0.5}
TAILS = {"Gaussian": np.inf, "t(5)": 5.0, "t(3)": 3.0}
SIZES = [(N, K) for N in (20, 30, 40, 100, 300) for K in (5, 10, 20, 50, 100, 200)]
SLOPES = [(20, 10), (20, 50), (30, 100), (40, 10), (40, 50), (100, 20), (100, 50)]
# What the errors are like in the table of slopes: a rank with a strength and tails, or a Sigma.
KINDS = (
    "r=2", "r=2 t(3)", "r=2 t(5)", "r=0", "r=0 t(3)",
    "AR .7", "AR .9", "blocks", "spatial", "Wishart",
)  # fmt: skip
FIXED = (0, 1, 2, 3, 5)


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


def chosen(X, Y, capped: bool = True) -> int:
    """The rank of "auto", or of "bic_ols" where nothing caps it."""
    N, K = Y.shape
    top = min(MOST, largest_rank(K, N, P), *([supported_rank(N - P, K)] if capped else []))
    problem = Problem(X, Y, ALSOptions(gtol=path_gtol(N)))
    found = default_criterion(problem, range(top + 1), K * P)
    return min(found, key=lambda r: found[r])


def truths(K: int) -> list[tuple[int, str]]:
    return [(0, "strong")] + [
        (r, s) for r in range(1, 7) for s in STRENGTH if r <= largest_rank(K) and r < K - 2
    ]


def rank_cell(N: int, K: int, tails: str, reps: int, seed: int) -> np.ndarray:
    """True rank, whether it is weak, and the rank chosen, of every draw, (draws, 3)."""
    rng = np.random.default_rng([seed, N, K, sorted(TAILS).index(tails)])
    out = []
    for r, strength in truths(K):
        for _ in range(reps):
            half = factors(rng, K, r, STRENGTH[strength])
            X, Y, _ = draw(rng, N, half, TAILS[tails])
            out.append((r, strength == "weak", chosen(X, Y)))
    return np.array(out)


def ranks(sizes, reps: int, seed: int) -> None:
    print("\n## The rank that the default chooses: share right / too high\n")
    names = [f"{t}, {s}" for t in TAILS for s in ("r=0", *STRENGTH)]
    print("| N, K | cap | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|")
    for N, K in sizes:
        cells = []
        for tails in TAILS:
            found = rank_cell(N, K, tails, reps if K < 200 else max(2, reps // 2), seed)
            r, weak, rank = found.T
            for mine in (r == 0, (r > 0) & (weak == 0), (r > 0) & (weak == 1)):
                right, high = np.mean((rank == r)[mine]), np.mean((rank > r)[mine])
                cells.append(f"{right:.2f} / {high:.2f}")
        cap = min(MOST, supported_rank(N - P, K), largest_rank(K, N, P))
        print(f"| {N}, {K} | {cap} | " + " | ".join(cells) + " |", flush=True)
    draws = reps * 6
    print(
        f"\n{reps} draws of each true rank (half at K=200): standard errors up to "
        f"{0.5 / np.sqrt(reps):.2f} where r=0, {0.5 / np.sqrt(draws):.2f} elsewhere."
    )


def slopes_cell(N: int, K: int, kind: str, reps: int, seed: int) -> dict[str, np.ndarray]:
    """Coverage, squared error of slopes and rank of each way to a rank, (reps, 3)."""
    rng = np.random.default_rng([seed, N, K, KINDS.index(kind)])
    df = TAILS[kind.split()[1]] if " t(" in kind else np.inf
    legal = [r for r in FIXED if r <= largest_rank(K, N, P)]
    names = ["default", "bic_ols", "rule", *map(str, legal)]
    out = {name: np.empty((reps, 3)) for name in names}
    for i in range(reps):
        X, Y, beta = draw(rng, N, root(rng, K, kind), df)
        picks = {
            "default": chosen(X, Y),
            "bic_ols": chosen(X, Y, False),
            "rule": auto_rank(K, N, P),
        }
        picks |= {str(r): r for r in legal}
        known = {}
        for rank in set(picks.values()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                res = LowRankSUR(Y, X, rank=rank).fit(n_starts=1)
            interval = res.conf_int().to_numpy().reshape(K, P, 2)[:, 1:]
            true = beta[:, 1:]
            inside = (interval[..., 0] <= true) & (true <= interval[..., 1])
            error = res.params.to_numpy().reshape(K, P)[:, 1:] - true
            known[rank] = inside.mean(), np.square(error).mean(), rank
        for name, rank in picks.items():
            out[name][i] = known[rank]
    return out


def slopes(sizes, kinds, reps: int, seed: int) -> None:
    print("\n## Slopes under the default\n")
    print(
        "| N, K, errors | ranks | coverage: default | bic_ols | rule | "
        "RMSE / OLS: default | bic_ols | rule | best |\n" + "|---" * 9 + "|"
    )
    worst = []
    for N, K in sizes:
        for kind in kinds:
            out = slopes_cell(N, K, kind, max(6, reps * 20 // max(20, K)), seed)
            rmse = {name: np.sqrt(x[:, 1].mean()) for name, x in out.items()}
            covers = [
                f"{x[:, 0].mean():.3f} ({x[:, 0].std() / np.sqrt(len(x)):.3f})"
                for x in (out["default"], out["bic_ols"], out["rule"])
            ]
            ratios = [f"{rmse[name] / rmse['0']:.2f}" for name in ("default", "bic_ols", "rule")]
            best = min((name for name in rmse if name.isdigit()), key=lambda name: rmse[name])
            values, counts = np.unique(out["default"][:, 2].astype(int), return_counts=True)
            tally = ", ".join(
                f"{v}: {c / counts.sum():.2f}" for v, c in zip(values, counts, strict=True)
            )
            print(
                f"| {N}, {K}, {kind} | {tally} | " + " | ".join([*covers, *ratios])
                + f" | {rmse[best] / rmse['0']:.2f} (r={best}) |",
                flush=True,
            )  # fmt: skip
            worst.append(
                [out[name][:, 0].mean() for name in ("default", "bic_ols", "rule")]
                + [rmse[name] / rmse[best] for name in ("default", "bic_ols", "rule")]
            )
    table = np.array(worst)
    means = [f"{x:.3f}" for x in table.mean(axis=0)]
    print(f"| mean of cells (RMSE: over the best) | | {' | '.join(means)} | |")
    print(f"| lowest | | {' | '.join(f'{x:.3f}' for x in table[:, :3].min(axis=0))} | | | | |")
    print(f"\n{reps} draws up to K=20, in inverse proportion beyond; standard errors in brackets.")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=20, help="draws of each true rank")
    parser.add_argument("--fits", type=int, default=60, help="draws behind coverage and RMSE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two sizes, few draws")
    parser.add_argument("--only", choices=["ranks", "slopes"])
    options = parser.parse_args(arguments)
    began = time.process_time()
    quick = options.quick
    if options.only != "slopes":
        ranks([(20, 10), (40, 10)] if quick else SIZES, 3 if quick else options.reps, options.seed)
    if options.only != "ranks":
        kinds = KINDS[:2] if quick else KINDS
        slopes(SLOPES[:1] if quick else SLOPES, kinds, 6 if quick else options.fits, options.seed)
    print(f"\n{time.process_time() - began:.0f} s of processor time, one BLAS thread.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
