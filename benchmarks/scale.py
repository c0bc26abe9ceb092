"""How far one machine goes: fits and standard errors of 1,000 to 100,000 equations.

    python benchmarks/scale.py [--sizes 1000 10000 100000] [--progress] [--json FILE]

Each size runs in a fresh process with one BLAS thread, one start: seconds of the first fit, of the
standard errors of one equation and of all, and growth of resident memory over that of the data.
The data are float64 and are not copied: responses (N, K) in either order, designs K views (N, p).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import one_thread  # noqa: F401  before NumPy

SIZES = {1000: (1000, 4, 5), 10_000: (1000, 4, 5), 100_000: (500, 3, 5)}  # K: N, p, r


def draw(K: int, N: int, p: int, r: int):
    """Designs with a constant, views of one array, and responses; no second copy."""
    import numpy as np

    rng = np.random.default_rng([K, N, p, r])
    D = rng.standard_normal((K, N, p))
    D[:, :, 0] = 1.0
    Yt = rng.standard_normal((K, r)) @ rng.standard_normal((r, N))
    for start in range(0, K, 1000):
        at = slice(start, start + 1000)
        Yt[at] += rng.standard_normal(Yt[at].shape) + D[at].sum(axis=2)
    return list(D), Yt.T, D.nbytes + Yt.nbytes


def resident() -> float:
    """Peak resident memory of this process, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def measure(K: int, progress: bool) -> dict:
    """One size, in this process."""
    from sm_alsgls import LowRankSUR
    from sm_alsgls.results.covariance import covariance

    warnings.simplefilter("ignore")
    N, p, r = SIZES[K]
    X, Y, size = draw(K, N, p, r)
    LowRankSUR(Y[:60, :6].copy(), [x[:60].copy() for x in X[:6]], rank=1).fit(n_starts=1)
    before = resident()
    began = time.perf_counter()
    res = LowRankSUR(Y, X, rank=r).fit(n_starts=1, progress=progress)
    fitted = time.perf_counter() - began
    grown = resident() - before
    began = time.perf_counter()
    one = res.equations["y7"].bse
    single = time.perf_counter() - began
    began = time.perf_counter()
    bse = res.bse
    return {
        "K": K,
        "N": N,
        "p": p,
        "r": r,
        "input_mb": size / 1e6,
        "fit_seconds": fitted,
        "fit_mb": grown / 1e6,
        "fit_over_input": grown / size,
        "sweeps": int(res.mle_retvals["iterations"]),
        "converged": bool(res.converged),
        "one_equation_seconds": single,
        "bse_seconds": time.perf_counter() - began,
        "bse_route": covariance(res.estimate).route,
        "all_mb": (resident() - before) / 1e6,
        "apart": float(abs(one.to_numpy() / bse.to_numpy()[6 * p : 7 * p] - 1.0).max()),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--progress", action="store_true", help="needs tqdm")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.worker:
        print(json.dumps(measure(given.worker, given.progress)))
        return 0
    rows = []
    print(
        "| N, K, p, r | data, MB | fit, s | sweeps | fit's memory / data | bse of one equation, s "
        "| bse of all, s (route) | memory with all bse / data | the two agree to |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for K in given.sizes:
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(K)]
        command += ["--progress"] * given.progress
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"| {row['N']}, {K}, {row['p']}, {row['r']} | {row['input_mb']:.0f} "
            f"| {row['fit_seconds']:.2f} | {row['sweeps']} | {row['fit_over_input']:.2f} "
            f"| {row['one_equation_seconds']:.2f} | {row['bse_seconds']:.1f} ({row['bse_route']}) "
            f"| {row['all_mb'] / row['input_mb']:.2f} | {row['apart']:.0e} |",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    ok = all(row["converged"] and row["apart"] < 1e-9 for row in rows)
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
