"""Sizes and powers of the tests of no AR, by the core alone: thousands of draws in minutes.

    python benchmarks/ar_sizes.py [--periods 20] [--units 40] [--draws 2000] [--rho 0.1]

One factor, a common constant and slope, a common coefficient, all as `law_tests()` has them with
`ar="common"`: the restricted likelihood ratio times (N - r) / N, and the score. Beside them what
other factors would make of the ratio: none, and the likelihood's ratio in the place of the
restricted one's. One start, and the null from there: further ones moved no ratio by 1e-6.
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
from panel_laws import ar_draw
from scipy import stats

from sm_alsgls.core.design.places import Places
from sm_alsgls.core.design.pooled import Pooling
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.maximise import maximise
from sm_alsgls.core.laws.no_ar import no_ar
from sm_alsgls.core.laws.profile import Profile
from sm_alsgls.core.laws.raw_system import RawSystem
from sm_alsgls.core.options import ALSOptions

RANK = 1
NAMES = ("restricted likelihood ratio", "likelihood ratio", "score")


def tests(Y: np.ndarray, x: np.ndarray) -> tuple[float, float, float]:
    """The statistics of `NAMES`, without factors."""
    T, K = Y.shape
    blocks = [np.column_stack([np.ones(T), column]) for column in x.T]
    law = AR.of(T, np.zeros(1), K)
    binding = Pooling(Places([np.array([0, 1])] * K))
    raw = RawSystem(Y, blocks, law, ALSOptions(), binding=binding)
    fit, zero = maximise(raw, RANK, n_starts=1), np.zeros(1)
    around, plain = Profile(fit, RANK, True), Profile(fit, RANK, False)
    null = around.held(zero)
    return around.ratio(null), plain.ratio(plain.held(zero)), no_ar(raw, null).statistic


def run(T: int, K: int, draws: int, rho: float) -> np.ndarray:
    """Statistics (draws, 3)."""
    found = []
    for i in range(draws):
        Y, x, _, _ = ar_draw(np.random.default_rng([16, T, K, i]), T, K, rho)
        found.append(tests(Y, x))
    return np.array(found)


def rejections(found: np.ndarray, factor: float) -> list[tuple[str, float, float]]:
    """Name, share that rejects at 5 % and its standard error."""
    rows = []
    for name, column in zip(NAMES, found.T, strict=True):
        factors = {"": 1.0} if name == "score" else {"": 1.0, ", times (N - r) / N": factor}
        for said, times in factors.items():
            share = float(np.mean(times * column > stats.chi2.ppf(0.95, 1)))
            rows.append((name + said, share, (share * (1.0 - share) / len(column)) ** 0.5))
    return rows


def main(argv: Sequence[str] | None = None) -> dict[float, list[tuple[str, float, float]]]:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--periods", type=int, default=20)
    parser.add_argument("--units", type=int, default=40)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--power-draws", type=int, default=500)
    parser.add_argument("--rho", type=float, default=0.1, help="where power is")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    out = {}
    for rho, draws in ((0.0, args.draws), (args.rho, args.power_draws)):
        start = time.perf_counter()
        found = run(args.periods, args.units, draws, rho)
        out[rho] = rejections(found, (args.periods - RANK) / args.periods)
        print(
            f"\nrho = {rho:g}: {args.periods} periods, {args.units} units, {draws} draws, "
            f"{time.perf_counter() - start:.0f} s"
        )
        print("| | rejects at 5 % |\n|---|---|")
        for name, share, se in out[rho]:
            print(f"| {name} | {share:.3f} ({se:.3f}) |")
        print("means of the statistics:", found.mean(axis=0).round(3), flush=True)
    return out


if __name__ == "__main__":
    main()
