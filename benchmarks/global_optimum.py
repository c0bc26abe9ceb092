"""Does the default `fit()` find the maximum? Random restarts of another kind look for a better.

    python benchmarks/global_optimum.py [--restarts 100] [--quick] [--only WORD] [--json FILE]

For every system of `systems.simulated`, `systems.real` and `treacherous.treacherous`: the default
fit, a fit of one start, and restarts that share nothing with the search's own: communalities
U(.05, .95), directions uniform on the sphere, another seed, each run through the loop to
convergence. Every second one starts, where designs differ, from coefficients ten standard errors
of the response's noise from OLS. The best known NLL is the lowest of all of these.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
import systems
from treacherous import treacherous

from sm_alsgls import LowRankSUR
from sm_alsgls.core.maximise.als import Solution, Start, als
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.problem import Problem
from sm_alsgls.covariance import LowRankDiag

SEED = 20_261_122
TOLERANCE = 1e-6  # NLL per row
FRENCH = ("French, three common factors", 3, -75.2726955)


def random_start(problem: Problem, rank: int, rng: np.random.Generator) -> Start:
    """A Sigma with OLS variances, communalities U(.05, .95) and random directions."""
    share = rng.uniform(0.05, 0.95, problem.K)
    F = rng.standard_normal((problem.K, rank))
    F *= np.sqrt(problem.s_ols * share / np.einsum("kr,kr->k", F, F))[:, None]
    cov = LowRankDiag.from_factors(F, problem.s_ols * (1.0 - share))
    return Start("restart", cov=cov)


def far_start(problem: Problem, rng: np.random.Generator) -> Start:
    """Coefficients far from OLS, in units of the residuals' lengths."""
    size = problem.design.expand(np.sqrt(problem.s_ols * problem.n_obs))
    step = 10.0 * size * rng.standard_normal(problem.design.P)
    return Start("restart", gamma=problem.gamma_ols + step)


def restart(system: systems.System, restarts: int, seed: int = SEED) -> list[Solution]:
    """Runs from random starts, each to convergence."""
    rng = np.random.default_rng([seed, system.rank])
    problem = Problem(system.blocks, system.Y, ALSOptions())
    runs = []
    for i in range(restarts):
        start = random_start(problem, system.rank, rng)
        if i % 2 and not problem.design.shared:
            start = far_start(problem, rng)
        runs.append(als(problem, system.rank, start))
    return runs


def examine(system: systems.System, restarts: int) -> dict:
    """One line of the table."""
    model = LowRankSUR(system.Y, system.blocks, rank=system.rank)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        res = model.fit()
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        one = model.fit(n_starts=1)
        seconds_one = time.perf_counter() - began
    nll = np.array([s.nll for s in restart(system, restarts)])
    starts = res.mle_retvals["starts"]
    best = min(res.nll_per_row, one.nll_per_row, nll.min())
    return {
        "system": system.name,
        "rank": system.rank,
        "default": float(res.nll_per_row),
        "one_start": float(one.nll_per_row),
        "restarts": float(nll.min()),
        "worse": float(res.nll_per_row - nll.min()),
        "share": float(np.mean(nll <= best + TOLERANCE)),
        "starts": len(starts),
        "hits": int((starts["gap"] <= TOLERANCE).sum()),
        "winner": str(starts["start"][starts["gap"].idxmin()]),
        "converged": bool(res.converged),
        "sweeps": int(res.mle_retvals["iterations"]),
        "seconds": seconds,
        "seconds_one": seconds_one,
        "seconds_restarts": time.perf_counter() - began - seconds_one,
    }


HEAD = """\
| system | r | default, NLL per row | one start - default | default - restarts | restarts at best \
| starts (at best) | sweeps | seconds | one start |
|---|---|---|---|---|---|---|---|---|---|"""


def line(row: dict) -> str:
    """Markdown of a row."""
    return (
        f"| {row['system']} | {row['rank']} | {row['default']:.7f}"
        f"{'' if row['converged'] else ' (not converged)'} "
        f"| {row['one_start'] - row['default']:.1e} | {row['worse']:+.1e} | {row['share']:.0%} "
        f"| {row['starts']} ({row['hits']}) | {row['sweeps']} | {row['seconds']:.3f} "
        f"| {row['seconds_one']:.3f} |"
    )


def verdicts(rows: list[dict]) -> list[tuple[bool, str]]:
    """The requirements that the systems allow to check."""
    lost = [row for row in rows if row["worse"] > TOLERANCE]
    found = [
        (
            not lost,
            f"restarts beat the default by more than {TOLERANCE:g} per row in {len(lost)} of "
            f"{len(rows)} systems",
        )
    ]
    for row in rows:
        if (row["system"], row["rank"]) == FRENCH[:2]:
            text = f"French portfolios, r=3: {row['default']:.7f}, {FRENCH[2]} +- {TOLERANCE:g}"
            found.append((abs(row["default"] - FRENCH[2]) <= TOLERANCE, text))
    return found


def costs(rows: list[dict]) -> str:
    """What the search spends and buys: a sentence each."""
    short = sum(row["one_start"] - row["default"] > TOLERANCE for row in rows)
    total, one = (sum(row[key] for row in rows) for key in ("seconds", "seconds_one"))
    winners = Counter(
        row["winner"] for row in rows if row["default"] < row["one_start"] - TOLERANCE
    )
    kinds = ", ".join(f"{kind} {n}" for kind, n in winners.most_common()) or "none"
    return (
        f"One start falls short in {short} of {len(rows)} systems; then first at the best: "
        f"{kinds}. The default took {total:.1f} s in all, one start {one:.1f} s. Not converged: "
        f"{sum(not row['converged'] for row in rows)}."
    )


def chosen(quick: bool, only: str = "") -> Iterable[systems.System]:
    """All systems whose names have a word, or four small ones."""
    simulated = list(systems.simulated())
    if quick:
        return [simulated[i] for i in (0, 4, 8, 11)]
    every = [*simulated, *systems.real(), *treacherous()]
    return [system for system in every if only in system.name]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The default search against random restarts.")
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--only", default="", metavar="WORD", help="systems with it in their name")
    parser.add_argument("--quick", action="store_true", help="four small simulated systems")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(argv)
    print(HEAD, flush=True)
    rows = []
    for system in chosen(given.quick, given.only):
        rows.append(examine(system, given.restarts))
        print(line(rows[-1]), flush=True)
    print("", costs(rows), sep="\n")
    found = verdicts(rows)
    for ok, text in found:
        print("PASS" if ok else "FAIL", text)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(ok for ok, _ in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
