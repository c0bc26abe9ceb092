"""Import time of the package beyond what statsmodels takes, and the command line's first line.

    python benchmarks/import_time.py
    python benchmarks/import_time.py --rounds 20 --before OTHER_CHECKOUT

Each statement runs in a process of its own after ``import statsmodels.api``, and is timed in it by
processor time; the least of all rounds is shown, and checkouts alternate. Byte code is compiled
first: an installed package has it. Times of whole programs are by the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import one_thread  # noqa: F401

ROOT = Path(__file__).parents[1]
STATEMENTS = (
    "import sm_alsgls",
    "from sm_alsgls import LowRankDiag",
    "from sm_alsgls import LowRankSUR",
    "from sm_alsgls import LowRank3SLS",
    "from sm_alsgls import LowRankPanel",
    "from sm_alsgls import LowRankMixedLM",
    "from sm_alsgls import *",
)
PROGRAMS = (
    ("-c", "import statsmodels.api"),
    ("-m", "sm_alsgls", "--version"),
    ("-m", "sm_alsgls", "--help"),
    ("-m", "sm_alsgls"),
)
# Beyond statsmodels, milliseconds; to the first line, seconds (issue 19).
MOST_IMPORT, MOST_LINE = 50.0, 1.5

TIMED = """
import sys, time
import statsmodels.api
before = set(sys.modules)
start = time.process_time()
exec({statement!r})
print(1e3 * (time.process_time() - start), len(set(sys.modules) - before))
"""


def environment(checkout: Path, kept: str) -> dict[str, str]:
    """Byte code of every checkout is kept in a directory outside it.

    And Python runs with -P: the directory where this is called, which may hold the package too,
    would come first.
    """
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": kept}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def imported(statement: str, env: dict[str, str]) -> tuple[float, int]:
    """Milliseconds of a statement, and how many modules it loads."""
    command = [sys.executable, "-P", "-c", TIMED.format(statement=statement)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    taken, modules = done.stdout.split()
    return float(taken), int(modules)


def first_line(arguments: tuple[str, ...], env: dict[str, str]) -> float:
    """Seconds until a program has said something, or until its end where it says nothing."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        taken = time.perf_counter() - start
        program.stdout.read()
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="another checkout, in the same rounds")
    args = parser.parse_args()
    checkouts = [ROOT] if args.before is None else [args.before.resolve(), ROOT]
    with tempfile.TemporaryDirectory() as kept:
        envs = [environment(c, f"{kept}/{i}") for i, c in enumerate(checkouts)]
        # One round that compiles.
        runs = [
            [[imported(s, e) for e in envs] for s in STATEMENTS] for _ in range(args.rounds + 1)
        ][1:]
        lines = [
            [[first_line(p, e) for e in envs] for p in PROGRAMS] for _ in range(args.rounds + 1)
        ][1:]
    last = len(checkouts) - 1
    heads = ["before", "now"][-len(checkouts) :]
    print("| after `import statsmodels.api` |" + "".join(f" {h}, ms | modules |" for h in heads))
    print("|---|" + "---|---|" * len(heads))
    for i, statement in enumerate(STATEMENTS):
        best = [min(run[i][c] for run in runs) for c in range(len(envs))]
        print(f"| `{statement}` |" + "".join(f" {ms:.1f} | {n} |" for ms, n in best))
    print("\n| first line |" + "".join(f" {h}, s |" for h in heads))
    print("|---|" + "---|" * len(heads))
    for i, program in enumerate(PROGRAMS):
        best = [min(line[i][c] for line in lines) for c in range(len(envs))]
        print(f"| `python {' '.join(program)}` |" + "".join(f" {s:.2f} |" for s in best))
    package = min(run[0][last][0] for run in runs)
    demo = min(line[-1][last] for line in lines)
    fine = {
        f"import sm_alsgls: {package:.1f} ms of {MOST_IMPORT:.0f}": package <= MOST_IMPORT,
        f"python -m sm_alsgls: {demo:.2f} s of {MOST_LINE}": demo <= MOST_LINE,
    }
    print()
    for what, good in fine.items():
        print("PASS" if good else "FAIL", what)
    return 0 if all(fine.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
