"""CPU time of the default search over that of one start, in one process.

    python benchmarks/search_cost.py [--rounds 7] [--everyday]

Default and one start alternate; minima over the rounds. Systems are those of `compare_sur.py`, and
Grunfeld's and Munnell's. ``--everyday`` prints the second table only: `LowRankSUR(Y, X).fit()` as
people write it, on four small systems, in parts, beside a loop of statsmodels OLS fits and
linearmodels' SUR, which alternate with it as well.
"""

from __future__ import annotations

import argparse
import time
import warnings

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from compare_sur import SIZES, fitter
from systems import Arrays, grunfeld, independent, munnell

from sm_alsgls import LowRankSUR


def measure(arrays: Arrays, rank: int, rounds: int) -> tuple[float, float, int]:
    """CPU seconds of the default and of one start, and how many starts the default ran."""
    blocks, Y = arrays
    model = LowRankSUR(Y, blocks, rank=rank)
    best, starts = [np.inf, np.inf], 0
    for _ in range(rounds):
        for i, n_starts in enumerate(("auto", 1)):
            began = time.process_time()
            res = model.fit(n_starts=n_starts)
            best[i] = min(best[i], time.process_time() - began)
            starts = max(starts, len(res.mle_retvals["starts"]))
    return *best, starts


def everyday() -> list[tuple[str, Arrays]]:
    """Four systems of a size that people fit."""
    drawn = [
        (f"N={N}, K={K}, p={p}", independent(np.random.default_rng([K, N, p, r]), N, K, p, r))
        for N, K, p, r in ((20, 5, 3, 1), (60, 20, 3, 2))
    ]
    return [*drawn, ("Grunfeld, 11 firms", grunfeld()), ("Munnell, 48 states", munnell())]


def parts(arrays: Arrays, rounds: int) -> tuple[int, dict[str, float]]:
    """The default rank, and CPU seconds of a default fit, of its parts and of its peers.

    NaN where a peer has no answer: the residual covariance of more equations than rows is singular.
    """
    blocks, Y = arrays
    chosen = LowRankSUR(Y, blocks)
    rank = int(chosen.rank)
    given = LowRankSUR(Y, blocks, rank=rank)
    run = {
        "model and fit": lambda: LowRankSUR(Y, blocks).fit(),
        "the same, rank given": lambda: LowRankSUR(Y, blocks, rank=rank).fit(),
        "model": lambda: LowRankSUR(Y, blocks),
        "model, rank given": lambda: LowRankSUR(Y, blocks, rank=rank),
        "fit": chosen.fit,
        "fit of one start": lambda: given.fit(n_starts=1),
        "loop of OLS": fitter("ols", blocks, Y, rank)[0],
        "linearmodels": fitter("linearmodels", blocks, Y, rank)[0],
    }
    best = dict.fromkeys(run, np.inf)
    for _ in range(rounds):
        for name, function in run.items():
            began = time.process_time()
            try:
                function()
            except np.linalg.LinAlgError:
                best[name] = np.nan
            best[name] = min(best[name], time.process_time() - began)
    return rank, best


def print_everyday(rounds: int) -> None:
    """The table of `parts`."""
    for i, (name, arrays) in enumerate(everyday()):
        rank, seconds = parts(arrays, rounds)
        if i == 0:
            print(f"| system | default rank | {' | '.join(seconds)} |")
            print("|---" * (len(seconds) + 2) + "|")
        cells = ("-" if np.isnan(value) else f"{1e3 * value:.1f}" for value in seconds.values())
        print(f"| {name} | {rank} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The default search over one start.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--everyday", action="store_true", help="the second table only")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if not given.everyday:
        print_search(given.rounds)
        print()
    print_everyday(given.rounds)


def print_search(rounds: int) -> None:
    """The table of `measure`."""
    cases = []
    for K, (N, p, r) in SIZES.items():
        if K <= 1000:
            arrays = independent(np.random.default_rng([K, N, p, r]), N, K, p, r)
            cases.append((f"N={N}, K={K}, p={p}", arrays, r))
    arrays = independent(np.random.default_rng([10, 200, 3, 2]), 200, 10, 3, 2)
    cases.append(("N=200, K=10, p=3", arrays, 2))
    cases += [("Grunfeld, 11 firms", grunfeld(), r) for r in (1, 2)]
    cases += [("Munnell, 48 states", munnell(), r) for r in (1, 2)]
    print("| system | r | default, ms of CPU | one start | ratio | starts |")
    print("|---|---|---|---|---|---|")
    for name, arrays, rank in cases:
        default, one, starts = measure(arrays, rank, rounds)
        ratio = f"{1e3 * default:.1f} | {1e3 * one:.1f} | {default / one:.1f}"
        print(f"| {name} | {rank} | {ratio} | {starts} |", flush=True)


if __name__ == "__main__":
    main()
