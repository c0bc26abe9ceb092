"""CPU time of the default search over that of one start, in one process.

    python benchmarks/search_cost.py [--rounds 7]

Default and one start alternate; minima over the rounds. Systems are those of `compare_sur.py`, and
Grunfeld's and Munnell's.
"""

from __future__ import annotations

import argparse
import time
import warnings

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from compare_sur import SIZES
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The default search over one start.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
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
