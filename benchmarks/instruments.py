"""Instruments: consistency, accuracy and coverage next to peers, weak instruments, J, speed.

    python benchmarks/instruments.py [--reps 500] [--processes 2] [--only PART ...] [--json FILE]

The parts of --only: "consistency" (two equations, N = 200,000), "accuracy" (RMSE and coverage of
the endogenous slope), "weak" (first-stage F of about 3), "j" and "hausman" (sizes of these tests),
"speed".

The systems are those of `instrumented.py`. The rank, 2, is given to ours. Figures are of all slopes
of w, Monte Carlo standard errors over replications in brackets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import numpy as np
from instrumented import (
    FITTED,
    TRUE,
    WEAK,
    crossed,
    draw,
    estimators,
    iv3sls,
    of_ours,
    of_peer,
    ours,
    system_gmm,
)

ACCURACY = [(100, 20), (100, 50), (100, 200)]
# Replications of peers where K >= N: they have nothing to show and take long.
PEERS_BEYOND = 20
PEERS = ("IV3SLS", "IVSystemGMM")
PARTS = ("consistency", "accuracy", "weak", "j", "hausman", "speed")


# -- replications: each has a generator of its own, so that any slice of a run is the same ---


def accuracy_of(N: int, K: int, rep: int) -> dict[str, list[float]]:
    """Mean squared error and coverage of each estimator; NaN where it fails or is singular."""
    warnings.simplefilter("ignore")
    s = draw(N, K, np.random.default_rng([1, N, K, rep]))
    found = {}
    for name, estimate in estimators(K).items():
        if name in PEERS and K >= N and rep >= PEERS_BEYOND:
            found[name] = [np.nan, np.nan]
            continue
        try:
            b, interval = estimate(s)
        except (np.linalg.LinAlgError, ValueError) as error:
            if name not in PEERS:
                raise
            print(f"{name}, N={N}, K={K}: {error}", file=sys.stderr)
            b, interval = np.full(K, np.nan), np.full((K, 2), np.nan)
        inside = (interval[:, 0] <= TRUE) & (TRUE <= interval[:, 1])
        known = np.isfinite(b).all() and np.isfinite(interval).all()
        found[name] = [float(np.mean((b - TRUE) ** 2)), float(inside.mean()) if known else np.nan]
    return found


def weak_of(N: int, K: int, rep: int, strength: float = WEAK) -> dict[str, list[float]]:
    """First-stage F, and coverage of Wald intervals and of Anderson and Rubin's test."""
    warnings.simplefilter("ignore")
    s = draw(N, K, np.random.default_rng([2, N, K, rep]), strength)
    found: dict[str, list[float]] = {}
    for method in ("2sls", "iv", "gmm"):
        res = ours(method, s)
        b, interval = of_ours(res, FITTED)
        inside = (interval[:, 0] <= TRUE) & (TRUE <= interval[:, 1])
        found[f"Wald, {method}"] = [float(np.median(b) - TRUE), float(inside.mean())]
        if method == "iv":
            names = [list(res.params.index)[FITTED + 3 * j] for j in range(K)]
            test = [res.anderson_rubin(name, value=TRUE).pvalue >= 0.05 for name in names]
            found["Anderson-Rubin"] = [np.nan, float(np.mean(test))]
            F = np.asarray(res.first_stage.table["fvalue"], dtype=float)
            found["first-stage F"] = [float(np.mean(F)), np.nan]
    return found


def j_of(N: int, K: int, rep: int) -> dict[str, list[float]]:
    """J of a true model over its degrees of freedom, and whether it is rejected at 5 %."""
    warnings.simplefilter("ignore")
    s = draw(N, K, np.random.default_rng([3, N, K, rep]))
    test, theirs = ours("gmm", s).j_test(), system_gmm(s).j_stat
    return {
        "low-rank": [float(test.statistic / test.df), float(test.pvalue < 0.05)],
        "IVSystemGMM": [float(theirs.stat / theirs.df), float(theirs.pval < 0.05)],
    }


def hausman_of(N: int, K: int, rep: int) -> dict[str, list[float]]:
    """Hausman's statistic of a true model, whether it is rejected, and the share of equations."""
    s = draw(N, K, np.random.default_rng([5, N, K, rep]))
    table = ours("iv", s).hausman().table
    joint, each = table.loc["all"], table["pvalue"].drop("all")
    return {
        "all": [float(joint["statistic"] / joint["df"]), float(joint["pvalue"] < 0.05)],
        "each": [np.nan, float((each < 0.05).mean())],
    }


def replicate(
    one: Callable[[int], dict[str, list[float]]], reps: int, processes: int
) -> dict[str, np.ndarray]:
    """All replications: of each name an array (reps, 2)."""
    if processes == 1:
        found = list(map(one, range(reps)))
    else:
        with ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(one, range(reps), chunksize=max(1, reps // (8 * processes))))
    return {name: np.array([f[name] for f in found]) for name in found[0]}


def mean(x: np.ndarray) -> str:
    """Mean (standard error)."""
    return f"{x.mean():.3f} ({x.std() / np.sqrt(len(x)):.3f})"


def root(x: np.ndarray) -> str:
    """Root of the mean (its standard error by the delta method)."""
    size = np.sqrt(x.mean())
    digits = 3 if size < 10 else 0
    return f"{size:.{digits}f} ({x.std() / np.sqrt(len(x)) / (2 * size):.{digits}f})"


def both(x: np.ndarray) -> str:
    """RMSE / coverage of draws (reps, 2) of mean squared errors and coverages."""
    x = x[np.isfinite(x[:, 0])]
    if not len(x):
        return "singular"
    if not np.isfinite(x[:, 1]).all():
        return f"{root(x[:, 0])} / no standard errors"
    return f"{root(x[:, 0])} / {mean(x[:, 1])}"


# -- tables ---

Verdicts = list[tuple[bool, str]]


def consistency(N: int = 200_000, seed: int = 0) -> Verdicts:
    """Two equations with crossed instruments."""
    s = crossed(N, np.random.default_rng(seed))
    fits = {
        **{f"LowRank3SLS, {m}": ours(m, s, rank="full") for m in ("2sls", "iv", "gmm")},
        "IV3SLS": iv3sls(s, 0),
        "IVSystemGMM": system_gmm(s, 0),
    }
    print(f"N = {N:,}; every slope is 1.\n")
    print("| estimator | slope 1 (se) | slope 2 (se) | distance in se |\n|---|---|---|---|")
    verdicts = []
    for name, fit in fits.items():
        b = np.asarray(fit.params)
        se = np.asarray(fit.bse if name.startswith("Low") else fit.std_errors)
        apart = float(np.abs((b - TRUE) / se).max())
        cells = " | ".join(f"{x:.4f} ({e:.4f})" for x, e in zip(b, se, strict=True))
        print(f"| {name} | {cells} | {apart:.1f} |", flush=True)
        if name.startswith("Low"):
            verdicts.append((apart < 4, f"{name} is {apart:.1f} standard errors from the truth"))
    return verdicts


def accuracy(reps: int, processes: int, kept: dict, cells=ACCURACY) -> Verdicts:
    """RMSE and coverage."""
    names = list(estimators(1))
    print("| N, K | " + " | ".join(names) + " | draws |\n" + "|---" * (len(names) + 2) + "|")
    verdicts = []
    for N, K in cells:
        out = replicate(partial(accuracy_of, N, K), reps, processes)
        kept[f"accuracy {N},{K}"] = {name: x.tolist() for name, x in out.items()}
        shown = [both(x) for x in out.values()]
        print(f"| {N}, {K} | " + " | ".join(shown) + f" | {reps} |", flush=True)
        ours_is = out["low-rank IV"]
        if K >= 50:
            most = 0.13 if K == 50 else 0.125
            rmse = float(np.sqrt(ours_is[:, 0].mean()))
            verdicts.append((rmse <= most, f"RMSE {rmse:.4f} at {N}, {K}, at most {most}"))
        for name in ("low-rank IV", "low-rank GMM"):
            share = float(out[name][:, 1].mean())
            verdicts.append((0.93 <= share <= 0.97, f"{name} covers {share:.3f} at {N}, {K}"))
    return verdicts


def weak(reps: int, processes: int, kept: dict, N: int = 100, K: int = 10) -> Verdicts:
    """Weak instruments."""
    out = replicate(partial(weak_of, N, K), reps, processes)
    kept["weak"] = {name: x.tolist() for name, x in out.items()}
    strength = mean(out.pop("first-stage F")[:, 0])
    print(f"N = {N}, K = {K}, mean first-stage F {strength}, {reps} draws.\n")
    print("| interval or test | median bias | coverage |\n|---|---|---|")
    for name, x in out.items():
        bias = mean(x[:, 0]) if np.isfinite(x[:, 0]).all() else ""
        print(f"| {name} | {bias} | {mean(x[:, 1])} |", flush=True)
    share = float(out["Anderson-Rubin"][:, 1].mean())
    return [(0.93 <= share <= 0.97, f"Anderson-Rubin covers {share:.3f}")]


def j_size(reps: int, processes: int, kept: dict, N: int = 100) -> Verdicts:
    """Size of J at 5 %."""
    print("| N, K | df | low-rank: rejects, J / df | IVSystemGMM | draws |\n|---|---|---|---|---|")
    verdicts = []
    for K in (10, 50):
        out = replicate(partial(j_of, N, K), reps, processes)
        kept[f"j {N},{K}"] = {name: x.tolist() for name, x in out.items()}
        cells = " | ".join(f"{mean(x[:, 1])}, {mean(x[:, 0])}" for x in out.values())
        df = sum(1 + j % 2 for j in range(K))
        print(f"| {N}, {K} | {df} | {cells} | {reps} |", flush=True)
        size = float(out["low-rank"][:, 1].mean())
        verdicts.append((0.035 <= size <= 0.065, f"J rejects {size:.3f} at K={K}"))
    return verdicts


def hausman_size(reps: int, processes: int, kept: dict) -> Verdicts:
    """Size of Hausman's test at 5 %."""
    print("| N, K | all together: rejects | statistic / df | each equation: rejects | draws |")
    print("|---|---|---|---|---|")
    verdicts = []
    for N, K in ((100, 5), (100, 20), (30, 20)):
        out = replicate(partial(hausman_of, N, K), reps, processes)
        kept[f"hausman {N},{K}"] = {name: x.tolist() for name, x in out.items()}
        joint, each = out["all"], out["each"][:, 1]
        print(f"| {N}, {K} | {mean(joint[:, 1])} | {mean(joint[:, 0])} | {mean(each)} | {reps} |")
        verdicts.append((each.mean() <= 0.065, f"Hausman rejects {each.mean():.3f} at {N}, {K}"))
    return verdicts


# -- speed: each run in a fresh process ---

SPEED = {
    "ours 300 120 2": "LowRank3SLS",
    "peer 300 120 2": "linearmodels IV3SLS, cov_type='unadjusted'",
    "default 300 120 2": "linearmodels IV3SLS, as fit() is (robust)",
    "ours 1000 1000 5": "LowRank3SLS",
    "ours 1000 10000 5": "LowRank3SLS",
}


# Equations beyond which two rounds have to do.
_LARGE = 500


def peak() -> float:
    """Peak resident memory, bytes (Linux)."""
    text = Path("/proc/self/status").read_text()
    return 1024.0 * int(text.split("VmHWM:")[1].split()[0])


def timed(job: str) -> dict[str, float]:
    """Processor seconds of a fit and of all standard errors, and growth of peak memory."""
    warnings.simplefilter("ignore")
    who, *numbers = job.split()
    N, K, r = map(int, numbers)
    peer = who != "ours"
    how = {"peer": "unadjusted", "default": "robust"}
    fit = partial(iv3sls, cov_type=how[who]) if peer else partial(ours, "iv", rank=r)
    small = draw(60, 6, np.random.default_rng(9))
    warm = fit(small) if peer else ours("iv", small, rank=1)  # imports
    _ = warm.std_errors if peer else warm.bse
    s = draw(N, K, np.random.default_rng([4, N, K]), rank=r)
    size = s.Y.nbytes + sum(x.nbytes for x in (*s.X, *s.Z))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = peak()
    began = time.process_time()
    res = fit(s)
    fitted = time.process_time() - began
    _ = res.std_errors if peer else res.bse
    both = time.process_time() - began
    grown = peak() - before
    b, interval = of_peer(res, K, FITTED) if peer else of_ours(res, FITTED)
    inside = np.mean((interval[:, 0] <= TRUE) & (TRUE <= interval[:, 1]))
    return {
        "fit": fitted,
        "all": both,
        "data": size / 1e6,
        "memory": grown / 1e6,
        "rmse": float(np.sqrt(np.mean((b - TRUE) ** 2))),
        "coverage": float(inside),
    }


def speed(kept: dict, jobs: Sequence[str] = tuple(SPEED), rounds: int = 9) -> Verdicts:
    """Seconds and memory; medians of some rounds, which alternate, and of large systems two."""
    found: dict[str, list[dict[str, float]]] = {job: [] for job in jobs}
    for number in range(rounds):
        for job in jobs:
            if number > 1 and int(job.split()[2]) > _LARGE:
                continue
            command = [sys.executable, str(Path(__file__).resolve()), "--worker", job]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[job].append(json.loads(done.stdout.splitlines()[-1]))
    kept["speed"] = found
    print("| N, K, r | estimator | fit, s | with all standard errors, s | data, MB ", end="")
    print("| memory beyond it, MB | RMSE | coverage |\n|---|---|---|---|---|---|---|---|")
    best = {}
    for job, rows in found.items():
        row = best[job] = {key: float(np.median([r[key] for r in rows])) for key in rows[0]}
        print(
            f"| {', '.join(job.split()[1:])} | {SPEED[job]} | {row['fit']:.3f} | {row['all']:.3f} "
            f"| {row['data']:.1f} | {row['memory']:.0f} | {row['rmse']:.3f} "
            f"| {row['coverage']:.3f} |",
            flush=True,
        )
    verdicts = []
    one = best.get("ours 300 120 2")
    for job in ("peer 300 120 2", "default 300 120 2"):
        if one is not None and job in best:
            ratio, both = (best[job]["all"] / one[what] for what in ("fit", "all"))
            said = (
                f"{ratio:.1f} times as fast as {SPEED[job]} ({both:.1f} with all standard errors)"
            )
            verdicts.append((ratio >= 25, said))
    # With all standard errors; of 10,000 equations the fit.
    wanted = (("ours 1000 1000 5", "all", 4, 1000), ("ours 1000 10000 5", "fit", 30, None))
    for job, what, seconds, most in wanted:
        if job in best:
            row = best[job]
            verdicts.append((row[what] <= seconds, f"{job}: {row[what]:.1f} s of {seconds}"))
            if most:
                verdicts.append((row["memory"] <= most, f"{job}: {row['memory']:.0f} MB of {most}"))
    return verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=500)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        print(json.dumps(timed(given.worker)))
        return 0
    kept: dict = {}
    tables = {
        "consistency": consistency,
        "accuracy": lambda: accuracy(given.reps, given.processes, kept),
        "weak": lambda: weak(given.reps, given.processes, kept),
        "j": lambda: j_size(2 * given.reps, given.processes, kept),
        "hausman": lambda: hausman_size(given.reps, given.processes, kept),
        "speed": lambda: speed(kept),
    }
    verdicts: Verdicts = []
    for name in given.only:
        print(f"\n## {name}\n")
        verdicts += tables[name]()
    print()
    for ok, text in verdicts:
        print("PASS" if ok else "FAIL", text)
    if given.json:
        given.json.write_text(json.dumps(kept) + "\n", encoding="utf-8")
    return 0 if all(ok for ok, _ in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
