"""Mutation test: of a sample of small breaks of core, covariance and results, how many a test sees.

    python benchmarks/mutation.py [--size 300] [--seed 0] [--workers 1] [--write] [--json FILE]
    python benchmarks/mutation.py --again FILE [--tests tests/core/test_gls.py ...]

Needs `pip install '.[mutation]'`. The tree is copied first (this one, or --tree DIR); the checkout
is never touched. The whole suite runs once under coverage, to learn which test runs which line and
how long it takes (--measured DIR keeps that between runs); then every mutant (mutants.py) gets the
tests that run its statement until one fails: those in the file of the module's name, and of the
others, the nearest and fastest first, what --budget seconds of their time hold. What is left then
gets the other tests of those files: a result that tests share is computed in the first of them
only. A mutant that no test can tell is a survivor; so is one that only a test beyond the budget
would see. --again runs the survivors of an earlier --json, against the tests given or the chosen
ones. --suite "tests/core tests/results" narrows the suite.

Mutants run in forks of a process that has the libraries imported, one BLAS thread each. --write
puts the table into benchmarks/mutation.md; the exit status is 1 if fewer than 90 % die.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import tomllib
import traceback
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

# isort: split
import one_thread  # noqa: F401  before NumPy

# isort: split
import mutants
from mutants import Mutant
from trial import HERE, Bench, Known, Outcome, copied, measure

PAGE, EQUIVALENT = HERE / "mutation.md", HERE / "equivalent.toml"
ROOMS = ("core", "covariance", "results")
PROMISED = 0.9


def room_of(path: str) -> str:
    """`core/errors` for sm_alsgls/core/errors/observed.py; `covariance` for a file of that name."""
    parts = Path(path).with_suffix("").parts[1:]
    return "/".join(parts[:-1]) or parts[0]


def files_of(tree: Path, rooms: Iterable[str]) -> list[str]:
    """Modules of these folders, or the module of that name, from the top of the tree."""
    found = []
    for room in rooms:
        place = tree / "sm_alsgls" / room
        inside = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
        found += [str(p.relative_to(tree)) for p in inside if p.exists()]
    return sorted(found)


def table(outcomes: list[Outcome]) -> str:
    """Markdown, by room: sampled, killed, without end, survived, equivalent, share that died."""
    rooms: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rooms[room_of(outcome.mutant.path)].append(outcome)
    lines = [
        "| room | sampled | killed | without end | survived | of them equivalent | died |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, some in [*sorted(rooms.items()), ("**all**", outcomes)]:
        killed = sum(o.status == "killed" for o in some)
        late = sum(o.status == "late" for o in some)
        share = (killed + late) / len(some)
        left = len(some) - killed - late
        same = sum(bool(o.reason) for o in some)
        lines.append(
            f"| {name} | {len(some)} | {killed} | {late} | {left} | {same} | {share:.0%} |"
        )
    return "\n".join(lines)


def survivors(outcomes: list[Outcome]) -> str:
    """The survivors as diffs."""
    told = []
    for o in outcomes:
        if o.status in ("killed", "late"):
            continue
        m = o.mutant
        note = o.reason or ("no test runs it" if o.status == "unseen" else f"{o.tests} tests")
        old = "\n".join(f"- {line.strip()}" for line in m.before.splitlines())
        new = "\n".join(f"+ {line.strip()}" for line in m.after.splitlines())
        told.append(f"{m.path}:{m.line} {m.operator} ({note})\n{old}\n{new}")
    return "\n\n".join(told)


def _warm() -> None:
    # What the tests import and what is safe to fork: no pools of threads.
    import pandas  # noqa: F401
    import patsy  # noqa: F401
    import pytest  # noqa: F401
    import scipy.optimize
    import scipy.sparse.linalg
    import scipy.stats  # noqa: F401
    import statsmodels.api
    import statsmodels.formula.api  # noqa: F401


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, default=HERE.parent)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--budget", type=float, default=40.0)
    parser.add_argument("--rooms", nargs="+", default=list(ROOMS))
    parser.add_argument("--measured", type=Path)
    parser.add_argument(
        "--suite", default="", help="arguments of pytest, of the run under coverage"
    )
    parser.add_argument("--again", type=Path)
    parser.add_argument("--tests", nargs="+")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Sample, try, print."""
    options = arguments(argv)
    _warm()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        outcomes = _outcomes(options, Path(folder))
    print(table(outcomes))
    print()
    print(survivors(outcomes))
    if options.write:
        _written(outcomes)
    died = sum(o.status in ("killed", "late") for o in outcomes) / len(outcomes)
    other = sum(not o.reason for o in outcomes)
    print(
        f"\n{'PASS' if died >= PROMISED else 'FAIL'}: {died:.1%} of {len(outcomes)} died, "
        f"{died * len(outcomes) / other:.1%} of those that change anything"
    )
    return int(died < PROMISED)


def _outcomes(options: argparse.Namespace, folder: Path) -> list[Outcome]:
    tree = copied(options.tree.resolve(), folder / "tree")
    kept = (options.measured or folder / "measured").resolve()
    known = measure(tree, kept, options.workers, options.suite)
    if known.failed:
        print(f"{len(known.failed)} tests fail unbroken and are not used: {known.failed}")
    if options.again:
        earlier = json.loads(options.again.read_text(encoding="utf-8"))
        chosen = [Mutant(**o["mutant"]) for o in earlier if o["status"] not in ("killed", "late")]
    else:
        every = [s for path in files_of(tree, options.rooms) for s in mutants.sites(tree, path)]
        chosen = mutants.drawn(tree, every, options.size, options.seed)
        print(f"{len(every)} sites, {len(chosen)} mutants, seed {options.seed}", flush=True)
    return _shared(options, tree, known, chosen, folder)


def _shared(
    options: argparse.Namespace, tree: Path, known: Known, chosen: list[Mutant], folder: Path
) -> list[Outcome]:
    bench = Bench(tree, known, options.budget, folder)
    bench.unbroken()
    told = _rounds(options, tree, known, chosen, folder)
    # A killer is believed if it passes unbroken, now as when it was measured.
    killers = sorted({o["killer"] for o in told if o["status"] == "killed" and o["killer"]})
    liars = set(bench.failing(killers)) & set(killers)
    if liars:
        print(f"{len(liars)} tests fail unbroken: {sorted(liars)}")
        known.failed += sorted(liars)
        again = [Mutant(**o["mutant"]) for o in told if o["killer"] in liars]
        told = [o for o in told if o["killer"] not in liars]
        told += _rounds(options, tree, known, again, folder)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    outcomes = [Outcome(**{**one, "mutant": Mutant(**one["mutant"])}) for one in told]
    reasons = equivalent()
    for outcome in outcomes:
        if outcome.status not in ("killed", "late"):
            outcome.reason = reasons.get(_change(outcome.mutant.before, outcome.mutant.after), "")
    return outcomes


def _rounds(
    options: argparse.Namespace, tree: Path, known: Known, chosen: list[Mutant], folder: Path
) -> list[dict]:
    # Worker w takes every workers-th mutant in a tree of its own, and writes down each as it ends.
    notes = [folder / f"{w}.jsonl" for w in range(options.workers)]
    for w, note in enumerate(notes):
        sys.stdout.flush()
        if os.fork() == 0:
            try:
                place = folder / str(w)
                if not place.exists():
                    shutil.copytree(tree, place / "tree")
                bench = Bench(place / "tree", known, options.budget, place)
                _work(bench, chosen[w :: options.workers], options.tests, note)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
    ended = [os.wait()[1] for _ in notes]
    if any(ended):
        raise SystemExit("a worker ended early")
    return [json.loads(line) for n in notes for line in n.read_text("utf-8").splitlines()]


def equivalent() -> dict[tuple[str, ...], str]:
    """Why a change that survives is none, by its text: benchmarks/equivalent.toml."""
    told = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {_change(one["before"], one["after"]): one["reason"] for one in told}


def _change(before: str, after: str) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in (before, after))


def _work(bench: Bench, some: list[Mutant], tests: list[str] | None, note: Path) -> None:
    with note.open("w", encoding="utf-8") as file:
        for mutant in some:
            outcome = bench.tried(mutant, tests)
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
            place = f"{mutant.path}:{mutant.line}"
            print(f"{outcome.status:9}{place} {outcome.seconds:.1f} s", flush=True)


def _written(outcomes: list[Outcome]) -> None:
    """Replace what stands between the two marks of the page."""
    begin, end = "<!-- table -->", "<!-- end of table -->"
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(begin)
    tail = rest.split(end)[1]
    body = f"{table(outcomes)}\n\nSurvivors:\n\n```diff\n{survivors(outcomes)}\n```"
    PAGE.write_text(f"{head}{begin}\n{body}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
