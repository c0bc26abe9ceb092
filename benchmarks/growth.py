"""How cost grows in N, K, p and r, and what binds: seconds, exponents, bytes a second.

    python benchmarks/growth.py [--rounds 3] [--json FILE]

One start, one BLAS thread, every size in this process; the minimum over rounds. The second table
measures the kernels of one system against what the machine does with memory and with dgemm in the
same run.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import one_thread  # isort: skip  # noqa: F401  before NumPy
import numpy as np

from sm_alsgls import LowRankSUR, simulate_sur
from sm_alsgls.core.design.normal import NormalEquations
from sm_alsgls.core.design.per_equation import Design
from sm_alsgls.core.sigma.block_spectrum import InMemory

BASE = {"N": 1000, "K": 600, "p": 4, "r": 4}
FACTORS = {"N": (1, 2, 4), "K": (1, 2, 4, 8), "p": (1, 2, 4), "r": (1, 2, 4)}


def best(function, rounds: int) -> float:
    """Least seconds of ``rounds`` calls after a first."""
    function()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def seconds(size: dict[str, int], rounds: int) -> tuple[float, int]:
    """Of a fit, and its sweeps."""
    truth = simulate_sur(
        size["N"], size["K"], size["p"], size["r"], np.random.default_rng([1, *size.values()])
    )
    model = LowRankSUR(np.asfortranarray(truth.endog), truth.exog, rank=size["r"])
    sweeps = len(model.fit(n_starts=1).mle_retvals["nll_trace"]) - 1
    return best(lambda: model.fit(n_starts=1), rounds), sweeps


def growth(rounds: int) -> list[dict]:
    """Seconds along each of the four sizes, the others at `BASE`."""
    rows = []
    for name, factors in FACTORS.items():
        found = []
        for factor in factors:
            size = {**BASE, name: BASE[name] * factor}
            spent, sweeps = seconds(size, rounds)
            found.append((size[name], spent, sweeps))
        x, y = np.log([f[0] for f in found]), np.log([f[1] for f in found])
        rows.append(
            {
                "size": name,
                "values": [f[0] for f in found],
                "seconds": [f[1] for f in found],
                "sweeps": [f[2] for f in found],
                "exponent": float(np.polyfit(x, y, 1)[0]),
            }
        )
    return rows


def kernels(K: int, rounds: int) -> dict:
    """Bytes and flops a second of the kernels at N = 1000, p = 4, r = 5."""
    N, p, r = 1000, 4, 5
    truth = simulate_sur(N, K, p, r, np.random.default_rng(0))
    design, cov = Design(truth.exog), truth.sigma
    normal = NormalEquations(design, cov, N)
    E = np.asfortranarray(truth.endog)
    g = np.random.default_rng(1).standard_normal(design.P)
    residuals = InMemory(E)
    W = np.random.default_rng(2).standard_normal((K, 2 * r + 2))
    big = np.ones(40_000_000)
    A = np.random.default_rng(3).standard_normal((1500, 1500))
    read = big.nbytes / best(big.sum, rounds) / 1e9
    gemm = 2 * 1500**3 / best(lambda: A @ A, rounds) / 1e9
    bases, rows = 8 * N * design.P, 8 * N * K
    out = {"K": K, "read": read, "gemm": gemm}
    for name, function, traffic, flops in (
        ("H g", lambda: normal.apply(g), 2 * bases, 4 * N * design.P + 4 * N * K * r),
        (
            "score",
            lambda: normal.projected_solve(E),
            bases + 2 * rows,
            2 * N * (design.P + 2 * K * r),
        ),
        ("S W", lambda: residuals.image(W), 2 * rows, 4 * N * K * (2 * r + 2)),
        ("bases", lambda: Design(truth.exog), 2 * bases, 4 * N * p * design.P),
    ):
        spent = best(function, rounds)
        out[name] = {"ms": 1e3 * spent, "GB/s": traffic / spent / 1e9, "GF": flops / spent / 1e9}
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    rows = growth(given.rounds)
    print("| size | values | seconds of a fit | sweeps | exponent |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['size']} | {', '.join(map(str, row['values']))} "
            f"| {', '.join(f'{s:.3f}' for s in row['seconds'])} "
            f"| {', '.join(map(str, row['sweeps']))} | {row['exponent']:.2f} |"
        )
    found = [kernels(K, given.rounds) for K in (1000, 10_000)]
    print("\n| K | kernel | ms | GB/s | share of reading | GFlops | share of dgemm |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        for name in ("bases", "H g", "score", "S W"):
            k = one[name]
            print(
                f"| {one['K']} | {name} | {k['ms']:.1f} | {k['GB/s']:.1f} "
                f"| {k['GB/s'] / one['read']:.2f} | {k['GF']:.1f} | {k['GF'] / one['gemm']:.2f} |"
            )
        print(f"| {one['K']} | machine | | {one['read']:.1f} | 1 | {one['gemm']:.1f} | 1 |")
    if given.json:
        given.json.write_text(json.dumps({"growth": rows, "kernels": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
