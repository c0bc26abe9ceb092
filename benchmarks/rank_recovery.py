"""How often each criterion finds the true number of factors, by Monte Carlo.

    python benchmarks/rank_recovery.py [--reps 40] [--quick] [--seed 1]

Systems of `simulate_sur`: N rows, K equations, a constant and standard normal regressors of each
equation, d ~ U(.5, 1.5), loadings N(0, 1) ("strong") or 0.5 N(0, 1) ("weak": a factor explains a
fifth of a variance), all drawn anew in every replication. Candidates are those of `select_rank`,
0 .. min(10, (N - p)/3, largest legal rank). One start for each: these systems have one maximum
(benchmarks/global_optimum.py). Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterable, Sequence

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np

from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.rank.path import path_gtol
from sm_alsgls.core.sigma.factor import largest_rank
from sm_alsgls.data.problem import build_problem
from sm_alsgls.exceptions import RankWarning
from sm_alsgls.rank import select_rank
from sm_alsgls.rank_choice.table import residual_criteria

CRITERIA = (
    "bic_ols", "aic_ols", "bic", "aic", "ebic", "ic1", "ic2", "ic3", "er", "gr", "ed", "lr",
)  # fmt: skip
STRENGTH = {"strong": 1.0, "weak": 0.5}
SIZES = [(N, K) for N in (40, 100, 300) for K in (10, 50, 200)]
# Few rows for each regressor, where the maximum over coefficients and Sigma over-fits.
SCARCE = [(17, 48, 5), (20, 11, 3), (40, 10, 8), (40, 50, 8)]
WITH_CV = [(40, 10, 3), (100, 10, 3), (100, 50, 3)]


def truths(ranks: Iterable[int] = (0, 1, 3, 6)) -> list[tuple[int, str]]:
    """True ranks with their strengths; rank 0 has none."""
    return [(r, s) for r in ranks for s in (STRENGTH if r else ("none",))]


def draw(N: int, K: int, p: int, rank: int, strength: str, seed: Sequence[int]) -> LowRankSUR:
    size = STRENGTH.get(strength, 1.0)
    rng = np.random.default_rng([*seed, N, K, p, rank, int(10 * size)])
    truth = simulate_sur(N, K, p, rank, rng, strength=size)
    return LowRankSUR(truth.endog, truth.exog, rank=0)


def cell(
    N: int, K: int, p: int, rank: int, strength: str, reps: int, seed: int, method: str = "bic_ols"
) -> dict[str, np.ndarray]:
    """The rank that every criterion chooses, in every replication."""
    chosen: dict[str, list[float]] = {}
    for i in range(reps):
        model = draw(N, K, p, rank, strength, (seed, i))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = select_rank(model, method, n_starts=1, rng=i, gtol=path_gtol(N))
        for name, value in found.choices.astype(float).items():
            chosen.setdefault(str(name), []).append(value)
    return {name: np.array(values) for name, values in chosen.items()}


def row(label: str, found: dict[str, np.ndarray], rank: int, names: Sequence[str]) -> str:
    shares = [f"{np.mean(found[name] == rank):.2f}" for name in names]
    return f"| {label} | " + " | ".join(shares) + " |"


def header(first: str, names: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1)


def summary(cells: list[tuple[str, int, dict[str, np.ndarray]]], names: Sequence[str]) -> None:
    """Mean share correct, too high, too low over cells, by strength."""
    print(header("mean over cells", names))
    kinds = [kind for kind in ("none", "strong", "weak") if any(c[0] == kind for c in cells)]
    for kind in kinds:
        mine = [(rank, found) for strength, rank, found in cells if strength == kind]
        for what, test in (("correct", np.equal), ("too high", np.greater), ("too low", np.less)):
            if kind == "none" and what == "too low":
                continue
            shares = [
                f"{np.mean([np.mean(test(found[name], rank)) for rank, found in mine]):.2f}"
                for name in names
            ]
            label = "no factor" if kind == "none" else f"{kind} factors"
            print(f"| {label}, {what} | " + " | ".join(shares) + " |")


def recovery(
    title: str,
    sizes: Sequence[tuple[int, int, int]],
    ranks: Sequence[int],
    reps: int,
    seed: int,
    names: Sequence[str] = CRITERIA,
    method: str = "bic_ols",
) -> list[tuple[str, int, dict[str, np.ndarray]]]:
    """Print one table of shares; return its cells."""
    print(f"\n## {title}\n")
    print(header("N, K, p, true r", names), flush=True)
    cells = []
    for N, K, p in sizes:
        for rank, strength in truths(ranks):
            count = reps if K < 200 else max(2, reps // 2)
            found = cell(N, K, p, rank, strength, count, seed, method)
            kind = "" if rank == 0 else f" {strength}"
            print(row(f"{N}, {K}, {p}, {rank}{kind}", found, rank, names), flush=True)
            cells.append((strength, rank, found))
    print(f"\n{reps} replications (half of them at K=200): standard errors up to "
          f"{0.5 / np.sqrt(reps):.2f}.\n")  # fmt: skip
    summary(cells, names)
    return cells


def warned(N: int, K: int, p: int, rank: int, strength: str, reps: int, seed: int) -> np.ndarray:
    """Share of fits of the true rank, one more and two more that warn of a spare factor."""
    found = np.full((reps, 3), np.nan)
    for i in range(reps):
        truth = draw(N, K, p, rank, strength, (seed, i))
        for more in range(3):
            if not 0 < rank + more <= largest_rank(K, N, p):
                continue
            model = LowRankSUR(truth.endog, truth.exog, rank=rank + more)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(n_starts=1)
            found[i, more] = any(issubclass(w.category, RankWarning) for w in caught)
    return found.mean(axis=0)


def warnings_table(sizes: Sequence[tuple[int, int, int]], reps: int, seed: int) -> None:
    print("\n## Share of fits that warn of a factor that is noise\n")
    print("| N, K, p, true r | true rank | one too many | two too many |\n|---|---|---|---|")
    for N, K, p in sizes:
        for rank, strength in truths((0, 1, 3)):
            count = reps if K < 200 else max(2, reps // 2)
            shares = warned(N, K, p, rank, strength, count, seed)
            cells = " | ".join("-" if np.isnan(x) else f"{x:.2f}" for x in shares)
            kind = "" if rank == 0 else f" {strength}"
            print(f"| {N}, {K}, {p}, {rank}{kind} | {cells} |", flush=True)


def speed(quick: bool) -> None:
    """All candidates against one fit, in one run: medians of alternating repetitions.

    Processor time, which other work on the machine moves less than a clock.
    """
    print("\n## Time, K=300, N=600, p=4, ranks 0..10\n")
    print("| true r | one fit, rank 5, n_starts=1 | criteria of OLS residuals | every criterion |")
    print("|---|---|---|---|")
    for true in (5,) if quick else (3, 5, 8):
        truth = simulate_sur(600, 300, 4, true, 1)
        model = LowRankSUR(truth.endog, truth.exog, rank=5)
        seconds = np.empty((3 if quick else 7, 3))
        for times in seconds:
            marks = [time.process_time()]
            model.fit(n_starts=1)
            marks.append(time.process_time())
            problem = build_problem(model.system, ALSOptions(gtol=path_gtol(600)))
            residual_criteria(problem, range(11), model.parameters.free)
            marks.append(time.process_time())
            select_rank(model, candidates=range(11), n_starts=1)
            marks.append(time.process_time())
            times[:] = np.diff(marks)
        fit, residual, every = np.median(seconds, axis=0)
        print(f"| {true} | {fit:.3f} s | {residual:.3f} s, {residual / fit:.1f} fits | "
              f"{every:.3f} s, {every / fit:.1f} fits |", flush=True)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two sizes, 5 replications")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    reps, quick = (5 if options.quick else options.reps), options.quick
    print("# Share of correct ranks")
    sizes = [(N, K, 3) for N, K in ([(40, 10), (100, 50)] if quick else SIZES)]
    recovery("Rows to spare: p = 3", sizes, (0, 1, 3, 6), reps, options.seed)
    few = max(2, reps // 4)
    recovery("Few rows for each regressor", SCARCE[-1:] if quick else SCARCE, (0, 1, 3), few,
             options.seed)  # fmt: skip
    recovery("Cross-validation, five folds", WITH_CV[:1] if quick else WITH_CV, (0, 1, 3),
             max(2, reps // 4), options.seed, ("cv", "bic_ols", "bic"), "cv")  # fmt: skip
    warnings_table(sizes if quick else sizes + SCARCE, reps, options.seed)
    speed(quick)
    print(f"\n{time.perf_counter() - began:.0f} s in all, one BLAS thread.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
