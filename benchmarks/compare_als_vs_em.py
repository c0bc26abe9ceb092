"""The published case study of ALS against EM: equal coefficients, less memory.

    python benchmarks/compare_als_vs_em.py [--reps 12] [--sizes 50 80 120] [--peer] [--json FILE]

N = 300, three regressors, rank 3, K = 50, 80, 120. The data are those of alsgls' `simulate_sur`,
in distribution: regressors c + w / 2 with c ~ N(0, 1) common to all equations and w ~ N(0, 1) of
each, F ~ N(0, 1), d ~ U(.05, .25). The rank is given; what is compared is

    ALS   LowRankSUR(Y, Xs, rank=3).fit(n_starts=1, max_sweeps=6)
    EM    LowRankSUR(Y, Xs, rank=3).fit(method="em", max_sweeps=45)

and with --peer alsgls' `als_gls` (six sweeps) and, in releases that have it (0.1), `em_gls` (45).

* RMSE of all coefficients against the truth, mean over replications; the paired t test is that of
  the replications' RMSE(EM) - RMSE(ALS).
* Memory is measured, in a fresh process for every (fit, K), the data and all modules being loaded
  and a small system fitted before. "arrays" is the peak of memory that Python and NumPy allocate
  during `fit` (tracemalloc; data and model are there before), "RSS" the growth of ru_maxrss, and
  "iterations" the tracemalloc peak of the loop alone, `als` or `em` of `core.maximise`, without the
  bases of the designs that both share.
* Time is the median over replications, one BLAS thread, the fits alternating.

Six sweeps and 45 iterations are too few for the default criteria, so a ConvergenceWarning is
expected and filtered, and nothing else is. "short" says how far a fit ends above the maximum.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# No NumPy here: on Linux a child's ru_maxrss starts at its parent's size.

N, P, RANK = 300, 3, 3
SIZES = (50, 80, 120)
SWEEPS, ITERATIONS = 6, 45
FITS = {"als": "**ALS**", "em": "**EM**"}
PEERS = {"alsgls als": "alsgls ALS", "alsgls em": "alsgls EM"}
# README of alsgls 2.2.0: RMSE of both methods, and peak MB of EM over that of ALS.
PUBLISHED = {
    50: (0.021, 0.020, 0.002, 10),
    80: (0.020, 0.051, 0.003, 17),
    120: (0.020, 0.115, 0.004, 29),
}


def draw(K: int, rep: int, n: int = N):
    """One replication of the case study."""
    import numpy as np

    from sm_alsgls.simulate import simulate_sur

    # c + w / 2 has variance 5 / 4, four fifths of it in common.
    regressors = {"common": 0.8, "exog_sd": 1.25**0.5, "constant": False}
    rng = np.random.default_rng([K, rep])
    return simulate_sur(n, K, P, RANK, rng, uniqueness=(0.05, 0.25), **regressors)


def fitter(name: str, truth):
    """A function that fits and returns coefficients (P,), and the NLL per row or NaN."""
    import numpy as np

    if name in FITS:
        from sm_alsgls import LowRankSUR
        from sm_alsgls.exceptions import ConvergenceWarning

        model = LowRankSUR(truth.endog, truth.exog, rank=RANK)
        kwds = {"max_sweeps": SWEEPS} if name == "als" else {"max_sweeps": ITERATIONS}

        def fit():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                res = model.fit(method=name, n_starts=1, **kwds)
            return res.params.to_numpy(), res.nll_per_row

        return fit
    import alsgls

    solve = alsgls.als_gls if name == "alsgls als" else alsgls.em_gls
    if name == "alsgls em":
        kwds = {"iters": ITERATIONS}
    else:
        kwds = {"max_sweeps" if "max_sweeps" in solve.__code__.co_varnames else "sweeps": SWEEPS}

    def fit():
        B = solve(truth.exog, truth.endog, RANK, **kwds)[0]
        return np.concatenate([b.ravel() for b in B]), float("nan")

    return fit


def available(peer: bool) -> list[str]:
    """Names of the fits to compare; looks at alsgls' files without importing it, or NumPy."""
    if not peer:
        return list(FITS)
    found = importlib.util.find_spec("alsgls")
    if found is None:
        raise SystemExit("--peer needs alsgls: pip install alsgls")
    has_em = (Path(found.origin).parent / "em.py").exists()
    return [*FITS, "alsgls als", *["alsgls em"] * has_em]


# -- accuracy and time ----------------------------------------------------------------------------


def replicate(K: int, reps: int, names: list[str]) -> dict[str, dict[str, list[float]]]:
    """RMSE, seconds and the NLL's distance from the maximum, of every fit and replication."""
    import numpy as np

    from sm_alsgls import LowRankSUR

    out = {name: {"rmse": [], "seconds": [], "short": []} for name in names}
    for rep in range(reps):
        truth = draw(K, rep)
        best = LowRankSUR(truth.endog, truth.exog, rank=RANK).fit(n_starts=1).nll_per_row
        for name in names if rep % 2 else names[::-1]:
            fit = fitter(name, truth)
            began = time.perf_counter()
            beta, nll = fit()
            out[name]["seconds"].append(time.perf_counter() - began)
            out[name]["rmse"].append(float(np.sqrt(np.mean((beta - truth.params) ** 2))))
            out[name]["short"].append(nll - best)
    return out


def paired(first: list[float], second: list[float]) -> dict[str, float]:
    """Mean, t and p-value of the differences first - second."""
    import numpy as np
    from scipy import stats

    test = stats.ttest_rel(first, second)
    gap = np.subtract(first, second)
    return {"difference": float(gap.mean()), "t": float(test.statistic), "p": float(test.pvalue)}


# -- memory, in a process of its own --------------------------------------------------------------


def memory(name: str, K: int) -> dict[str, float]:
    """Growth of ru_maxrss in a first fit, then peaks of traced allocations; MB."""
    fitter(name, draw(6, 0, 40))()
    fit = fitter(name, draw(K, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024.0  # bytes there, KiB here
    out = {"rss_mb": grown / unit, "arrays_mb": traced(fit)}
    if name in FITS:
        out["iterations_mb"] = traced(loop(name, draw(K, 0)))
    return out


def traced(run) -> float:
    """Peak of what Python and NumPy allocate during ``run()``, MB."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - before) / 1e6


def loop(name: str, truth):
    """The iterations alone, the problem being made."""
    from sm_alsgls.core.maximise.als import ALSOptions, Problem, als
    from sm_alsgls.core.maximise.em import em

    problem = Problem(truth.exog, truth.endog, ALSOptions())
    if name == "als":
        return lambda: als(problem, RANK, max_sweeps=SWEEPS)
    return lambda: em(problem, RANK, max_sweeps=ITERATIONS)


def memory_apart(name: str, K: int) -> dict[str, float]:
    """`memory` in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", name, str(K)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed at K={K}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# -- all of it ------------------------------------------------------------------------------------


def table(rows: list[dict]) -> str:
    """Markdown: a line for every fit, then ratios next to the published."""
    lines = [
        "| K | fit | RMSE | seconds | iterations, MB | arrays, MB | RSS, MB "
        "| NLL above the maximum |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name, fit in row["fits"].items():
            short = f"{fit['short']:.1e}" if name in FITS else ""
            iterations = f"{fit['iterations_mb']:.2f}" if name in FITS else ""
            lines.append(
                f"| {row['K']} | {(FITS | PEERS)[name]} | {fit['rmse']:.5f} | {fit['seconds']:.4f} "
                f"| {iterations} | {fit['arrays_mb']:.2f} | {fit['rss_mb']:.1f} | {short} |"
            )
    lines += [
        "",
        "| K | RMSE ALS / EM | published | EM - ALS, paired t (p) | time EM / ALS "
        "| memory EM / ALS: iterations | arrays | RSS | published |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        als, em, test = row["fits"]["als"], row["fits"]["em"], row["paired"]
        rmse, counted = "", ""
        if row["K"] in PUBLISHED:
            value, em_mb, als_mb, ratio = PUBLISHED[row["K"]]
            rmse, counted = f"{value:.3f} / {value:.3f}", f"{em_mb:.3f} / {als_mb:.3f} = {ratio}"
        lines.append(
            f"| {row['K']} | {als['rmse']:.4f} / {em['rmse']:.4f} | {rmse} "
            f"| {test['difference']:+.1e}, {test['t']:+.2f} ({test['p']:.2f}) "
            f"| {em['seconds'] / als['seconds']:.1f} "
            f"| {ratio_of(em, als, 'iterations_mb')} | {ratio_of(em, als, 'arrays_mb')} "
            f"| {ratio_of(em, als, 'rss_mb')} | {counted} |"
        )
    return "\n".join(lines)


def ratio_of(over: dict, under: dict, key: str) -> str:
    """A ratio, or a dash where the denominator did not show."""
    return f"{over[key] / under[key]:.1f}" if under[key] > 0 else "-"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="ALS against EM: the published case study.")
    parser.add_argument("--reps", type=int, default=12)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--peer", action="store_true", help="alsgls' own fits too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", nargs=2, metavar=("FIT", "K"), help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.worker:
        print(json.dumps(memory(given.worker[0], int(given.worker[1]))))
        return 0
    # Children first: what they report must not start at the size of a parent with data.
    names = available(given.peer)
    used: dict[tuple[str, int], dict[str, float]] = {}
    for K in given.sizes:
        for name in names:
            used[name, K] = memory_apart(name, K)
    rows = []
    for K in given.sizes:
        drawn = replicate(K, given.reps, names)
        fits = {
            name: {
                "rmse": sum(x["rmse"]) / given.reps,
                "seconds": sorted(x["seconds"])[given.reps // 2],
                "short": sum(x["short"]) / given.reps,
                **used[name, K],
            }
            for name, x in drawn.items()
        }
        test = paired(drawn["em"]["rmse"], drawn["als"]["rmse"])
        rows.append({"K": K, "reps": given.reps, "fits": fits, "paired": test, "drawn": drawn})
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
