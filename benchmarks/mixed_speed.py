"""Processor seconds of mixed models with many random slopes, beside R and statsmodels.

    python benchmarks/mixed_speed.py [--cases ten fifty taxa] [--skip lme4 MixedLM] [--limit 900]
        [--memory 6] [--ten rows.csv]

Every fit is one maximum likelihood estimate with standard errors of the fixed effects, on one
thread, in a process of its own (`Rscript mixed_peers.R` for R's); making the model from a formula
is counted, reading data and importing are not. Below a table the seconds of LowRankMixedLM are
taken apart, and those of degrees of freedom and p-values, which no peer gives, are said; they are
not in the table. The system stops a fit after --limit processor seconds, and gives it no more than
--memory gigabytes of address space; an error of a peer's fit is a row, in its words. Without
Rscript, or with packages missing, skip lme4, glmmTMB. LowRankSUR's standard errors count degrees of
freedom (N / (N - p - rank)), glmmTMB's do not.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

# isort: split
import one_thread  # noqa: F401  before NumPy; children inherit it

# isort: split
import numpy as np
import pandas as pd
from random_slopes import random_slopes, taxa

HERE = Path(__file__).parent


class Case(NamedTuple):
    """Groups with rows, slopes and their rank."""

    groups: int
    rows: int
    q: int
    rank: int


CASES = {
    "ten": Case(200, 30, 10, 2),
    "fifty": Case(1_000, 60, 50, 3),
    "taxa": Case(100, 1, 30, 2),
}
PEERS = {
    "rank": ["ours", "glmmTMB"],
    "full": ["ours", "glmmTMB", "lme4", "MixedLM"],
    "taxa": ["LowRankSUR", "glmmTMB"],
}


class Row(NamedTuple):
    """What one fit said."""

    seconds: float
    llf: float
    se: float
    converged: bool
    parts: tuple[float, ...] = ()  # making, fitting, degrees of freedom


class Stopped(NamedTuple):
    """Why there is no fit."""

    reason: str


def ours(frame: pd.DataFrame, names: list[str], rank: int | str) -> Row:
    """LowRankMixedLM."""
    try:
        from sm_alsgls import LowRankMixedLM
    except ImportError as error:
        raise SystemExit("this sm_alsgls has no LowRankMixedLM yet: --skip ours") from error
    terms = " + ".join(names)
    times = [time.process_time()]
    model = LowRankMixedLM.from_formula(
        f"y ~ {terms}", frame, groups="g", re_formula=f"0 + {terms}", rank=rank
    )
    times.append(time.process_time())
    results = model.fit(reml=False)
    se = results.bse_fe.iloc[1]
    times.append(time.process_time())
    results.pvalues.iloc[1]
    times.append(time.process_time())
    parts = tuple(float(step) for step in np.diff(times))
    return Row(sum(parts[:2]), results.llf, se, bool(results.converged), parts)


def mixed_lm(frame: pd.DataFrame, names: list[str]) -> Row:
    """statsmodels' MixedLM, unstructured."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    Z = frame[names]
    start = time.process_time()
    model = MixedLM(frame["y"], Z.assign(const=1.0)[["const", *names]], frame["g"], Z)
    results = model.fit(reml=False)
    se = results.bse_fe.iloc[1]
    return Row(time.process_time() - start, results.llf, se, bool(results.converged))


def seemingly_unrelated(case: Case) -> Row:
    """LowRankSUR, an equation a taxon: the model of glmmTMB's rr with an error variance a taxon."""
    from sm_alsgls import LowRankSUR

    data = taxa(case.groups, case.q, case.rank)
    x = pd.DataFrame({"const": 1.0, "x": data.x})
    pairs = {k: (data.outcomes[k], x) for k in data.outcomes}
    model = LowRankSUR.from_system(pairs, rank=case.rank)
    start = time.process_time()
    results = model.fit()
    se = results.bse.iloc[1]
    return Row(time.process_time() - start, results.llf, se, bool(results.converged))


def child(peer: str, csv: str, q: int, rank: str) -> Row:
    """A Python fit, in this process."""
    warnings.simplefilter("ignore")
    names = [f"X{j + 1}" for j in range(q)]
    if peer == "LowRankSUR":
        return seemingly_unrelated(CASES["taxa"])
    frame = pd.read_csv(csv)
    if peer == "MixedLM":
        return mixed_lm(frame, names)
    return ours(frame, names, rank if rank == "full" else int(rank))


def command(peer: str, kind: str, csv: Path, case: Case) -> list[str]:
    """What to run of a peer."""
    if peer in ("glmmTMB", "lme4"):
        name = peer if peer == "lme4" or kind == "rank" else f"glmmTMB-{kind}"
        name = "taxa" if kind == "taxa" else name
        return ["Rscript", str(HERE / "mixed_peers.R"), name, str(csv), str(case.q), str(case.rank)]
    rank = "full" if kind == "full" else str(case.rank)
    script = str(HERE / "mixed_speed.py")
    return [sys.executable, script, "--child", peer, str(csv), str(case.q), rank]


def limited(words: list[str], seconds: int, gigabytes: int) -> list[str]:
    """The command, stopped by the system after so many processor seconds, with so much memory."""
    limits = f"ulimit -S -t {seconds}; ulimit -v {gigabytes * 2**20}"
    return ["sh", "-c", f'{limits}; exec "$@"', "sh", *words]


def run(words: list[str], seconds: int, gigabytes: int) -> Row | Stopped:
    """Of a fit its row, or why it was stopped."""
    done = subprocess.run(limited(words, seconds, gigabytes), capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        return Stopped(f"stopped after {seconds} s")
    if done.returncode:
        if re.search("alloc|memory", done.stderr, re.IGNORECASE):
            return Stopped(f"needs more than {gigabytes} GB")
        if words[0] == "Rscript" and "Timing stopped" in done.stderr:
            said = re.sub("^.*?Error.*? :", "", done.stderr.partition("Calls:")[0], flags=re.DOTALL)
            return Stopped(f"with {gigabytes} GB: {' '.join(said.split())}")
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    said = done.stdout.splitlines()[-1].split()
    parts = tuple(float(part) for part in said[4:])
    return Row(float(said[0]), float(said[1]), float(said[2]), said[3] == "1", parts)


def shown(peer: str, row: Row | Stopped) -> str:
    """A line of the table."""
    if isinstance(row, Stopped):
        return f"| {peer} | {row.reason} | | | |"
    found = f"{row.seconds:.2f}" if row.seconds < 10 else f"{row.seconds:.1f}"
    return (
        f"| {peer} | {found} | {row.llf:.4f} | {row.se:.6f} | {'yes' if row.converged else 'no'} |"
    )


def table(
    name: str,
    skip: list[str],
    limits: tuple[int, int],
    folder: Path,
    frame: pd.DataFrame | None = None,
) -> None:
    """Run and print one case, of rows that are drawn where none are given."""
    case = CASES[name]
    csv = folder / f"{name}.csv"
    if frame is None:
        data = taxa(case.groups, case.q, case.rank) if name == "taxa" else random_slopes(*case)
        frame = data.frame
    frame.to_csv(csv, index=False)
    for kind in ["taxa"] if name == "taxa" else ["rank", "full"]:
        said = f"{case.groups:,} groups x {case.rows} rows, {case.q} random slopes"
        said = f"{case.q} taxa x {case.groups} subjects" if kind == "taxa" else said
        said += ", unstructured" if kind == "full" else f", rank {case.rank} + diagonal"
        print(f"\n| {said} | seconds | llf | se of a slope | converged |\n|---|---|---|---|---|")
        after = ""
        for peer in PEERS[kind]:
            if peer not in skip:
                row = run(command(peer, kind, csv, case), *limits)
                print(shown(peer, row), flush=True)
                if isinstance(row, Row) and row.parts:
                    words = zip(("making", "fitting", "degrees of freedom"), row.parts, strict=True)
                    after = ", ".join(f"{word} {part:.3f}" for word, part in words)
        if after:
            print(f"\nours: {after}", flush=True)


def main(words: list[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["ten", "taxa", "fifty"])
    every = sorted({peer for peers in PEERS.values() for peer in peers})
    parser.add_argument("--skip", nargs="+", choices=every, default=[])
    parser.add_argument("--limit", type=int, default=900, help="processor seconds of a fit")
    parser.add_argument("--memory", type=int, default=6, help="gigabytes of a fit")
    parser.add_argument("--ten", type=pd.read_csv, help="rows y, g, X1 to X10 for the case ten")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    if args.child:
        peer, csv, q, rank = args.child
        row = child(peer, csv, int(q), rank)
        found = [row.seconds, f"{row.llf:.6f}", f"{row.se:.10f}", int(np.bool_(row.converged))]
        print(*found, *row.parts)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in args.cases:
            given = args.ten if name == "ten" else None
            table(name, args.skip, (args.limit, args.memory), Path(folder), given)


if __name__ == "__main__":
    main()
