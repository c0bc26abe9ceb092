"""Trying a mutant: which tests run a line, how long they take, pytest in a fork of this process."""

from __future__ import annotations

import ast
import compileall
import json
import os
import py_compile
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import mutants
from mutants import Mutant

HERE = Path(__file__).parent
# coverage.py here is not the coverage of pytest-cov, and the package to break is the copy.
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() not in (HERE, HERE.parent)]
NOT_COPIED = (".git", ".venv*", ".hypothesis", "__pycache__", ".*_cache", "build", "_build")
# Of what a test took under coverage; then the process is ended. A loop without end is seen so.
SLOWER, AT_LEAST = 10.0, 20.0
LATE = 99


@dataclass
class Known:
    """Which test runs which line, and how long each test takes."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]
    failed: list[str] = field(default_factory=list)
    tree: Path = Path()  # as it was measured


@dataclass
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    status: str  # killed, late (no end), survived, unseen (no test runs the line)
    killer: str = ""
    tests: int = 0
    seconds: float = 0.0
    reason: str = ""  # why it is equivalent


class Watch:
    """In the run under coverage: the time of each test, and which did not pass."""

    def __init__(self, out: Path) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []
        self.out = out

    def pytest_runtest_logreport(self, report) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        text = json.dumps({"seconds": self.seconds, "failed": self.failed})
        self.out.write_text(text, encoding="utf-8")


class Chosen:
    """In the run of a mutant: the wanted tests only, in their order, each with an alarm."""

    def __init__(self, order: list[str], seconds: dict[str, float]) -> None:
        self._rank = {name: i for i, name in enumerate(order)}
        self._seconds = seconds
        self.killer = ""
        self.failed: list[str] = []

    def pytest_configure(self) -> None:
        from hypothesis import settings

        # The same examples for every mutant, and none remembered from another one's failure.
        settings.register_profile("mutation", database=None, derandomize=True)
        settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items) -> None:
        items[:] = sorted(filter(self._wanted, items), key=self._place)

    def _wanted(self, item) -> bool:
        # Of a whole file its new tests.
        if item.nodeid in self._rank:
            return True
        return item.nodeid.partition("::")[0] in self._rank and item.nodeid not in self._seconds

    def _place(self, item) -> int:
        return self._rank.get(item.nodeid, len(self._rank))

    def pytest_runtest_logstart(self, nodeid) -> None:
        allowed = SLOWER * self._seconds.get(nodeid, 0.0) + AT_LEAST
        signal.signal(signal.SIGALRM, lambda *_: os._exit(LATE))
        signal.setitimer(signal.ITIMER_REAL, allowed)

    def pytest_runtest_logfinish(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.killer = self.killer or report.nodeid
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report) -> None:
        if report.failed and not self.killer:
            self.killer = f"{report.nodeid} (import)"


def in_fork(work: Callable[[], int], seconds: float, log: Path) -> int:
    """Exit status of `work` in a child in a session of its own, ended after `seconds`."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = 98
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return LATE


def run_tests(tree: Path, arguments: list[str], plugin: object) -> int:
    """pytest in this process, on the copy."""
    import pytest

    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = not isinstance(plugin, Watch)
    return int(
        pytest.main(["-q", "-p", "no:cacheprovider", "-m", "", *arguments], plugins=[plugin])
    )


def copied(tree: Path, into: Path) -> Path:
    """A copy whose byte code is checked by hash: times of files say nothing after a mutation."""
    shutil.copytree(tree, into, ignore=shutil.ignore_patterns(*NOT_COPIED))
    how = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(into / "sm_alsgls", quiet=2, invalidation_mode=how)
    return into


def measure(tree: Path, kept: Path, workers: int = 1, suite: str = "") -> Known:
    """Run the suite once under coverage, with the test as the context of each line."""
    kept.mkdir(parents=True, exist_ok=True)
    if not (kept / "tests.json").exists():
        print("running the suite under coverage ...", flush=True)
        # A line tracer that knows contexts; sys.monitoring's does not.
        settings = kept / "coveragerc"
        settings.write_text(
            f"[run]\nsource = sm_alsgls\ncore = ctrace\ndata_file = {kept / 'data'}\n[report]\n",
            encoding="utf-8",
        )
        flags = ["--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report="]
        flags += ["-n", str(workers)] * (workers > 1) + shlex.split(suite)
        in_fork(
            lambda: run_tests(tree, flags, Watch(kept / "tests.json")), 7200.0, kept / "log.txt"
        )
        shutil.copytree(tree, kept / "tree", ignore=shutil.ignore_patterns(*NOT_COPIED))
    told = json.loads((kept / "tests.json").read_text(encoding="utf-8"))
    return Known(_lines(kept), told["seconds"], told["failed"], kept / "tree")


def _lines(kept: Path) -> dict[str, dict[int, list[str]]]:
    """Tests by file and line; "" is what ran at import, where the first test says nothing."""
    from coverage import CoverageData

    read = CoverageData(str(kept / "data"))
    read.read()
    found = {}
    for name in read.measured_files():
        inside = name[name.rindex("/sm_alsgls/") + 1 :]
        found[inside] = {
            line: sorted({c.rpartition("|")[0] for c in contexts} - {""})
            for line, contexts in read.contexts_by_lineno(name).items()
        }
    return found


def carried(by_line: dict[int, list[str]], old: str, new: str) -> dict[int, list[str]]:
    """The tests of each line of ``new``, known for the lines of ``old`` that are still there."""
    if old == new:
        return by_line
    same = SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    return {
        b + i + 1: by_line[a + i + 1]
        for a, b, size in same.get_matching_blocks()
        for i in range(size)
        if a + i + 1 in by_line
    }


def changed(tree: Path, old: Path) -> set[str]:
    """Files of tests that are new or not what they were."""
    found = set()
    for path in (tree / "tests").rglob("test_*.py"):
        name = path.relative_to(tree)
        if not (old / name).exists() or (old / name).read_bytes() != path.read_bytes():
            found.add(str(name))
    return found


def statement_lines(text: str, line: int) -> tuple[range, range]:
    """Lines of the innermost statement (its header, if compound), and of its function or module."""
    inner, around = range(line, line + 1), range(1, len(text.splitlines()) + 1)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        decorators = getattr(node, "decorator_list", None) or [node]
        first, last = min(d.lineno for d in decorators), node.end_lineno
        if not first <= line <= last:
            continue
        body = getattr(node, "body", None)
        head = body[0].lineno - 1 if body else last
        if first <= line <= max(head, first):
            inner = range(first, max(head, first) + 1)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and last - first < len(around):
            around = range(first, last + 1)
    return inner, around


def ordered(known: Known, root: Path, mutant: Mutant) -> tuple[list[str], list[str]]:
    """Tests that run the mutated statement, and the others of their files; each in its order."""
    text = (root / mutant.path).read_text(encoding="utf-8")
    before = known.tree / mutant.path
    by_line = known.lines.get(mutant.path, {})
    old = before.read_text(encoding="utf-8") if before.exists() else ""
    by_line = carried(by_line, old, text)
    told: set[str] = set()
    for lines in statement_lines(text, mutant.line):
        told = {test for n in lines for test in by_line.get(n, ())}
        if told:
            break
    if not told and old != text:
        # A function that is new since the measurement: the tests of its room.
        own, room = f"/test_{Path(mutant.path).stem}.py::", _room(mutant.path)
        told = {n for n in known.seconds if own in n or n.startswith(f"{room}/")}
    touched = (told & known.seconds.keys()) - set(known.failed)
    files = {name.partition("::")[0] for name in touched}
    others = {n for n in known.seconds if n.partition("::")[0] in files} - touched
    return by_use(known, mutant.path, touched), by_use(
        known, mutant.path, others - set(known.failed)
    )


def _room(path: str) -> str:
    """The folder of the tests that mirrors a module's."""
    return str(Path("tests", *Path(path).parts[1:-1]))


def by_use(known: Known, path: str, names: Iterable[str]) -> list[str]:
    """Tests of the module's own name, of its room, others; a few of each file in turn, fast first.

    A file of a thousand quick tests of one kind would use up the budget before any other is asked.
    """
    own, room = f"/test_{Path(path).stem}.py", _room(path)
    files: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: (known.seconds[name], name)):
        files[name.partition("::")[0]].append(name)
    ranked = []
    for file, tests in files.items():
        far = 0 if file.endswith(own) else 1 if str(Path(file).parent) == room else 2
        ranked += [
            (far, i // 4 if far else 0, known.seconds[name], name) for i, name in enumerate(tests)
        ]
    return [name for *_, name in sorted(ranked)]


def within(names: Iterable[str], known: Known, budget: float) -> list[str]:
    """The first of them that fit into the budget; one at least."""
    kept: list[str] = []
    for name in names:
        budget -= known.seconds[name] + 0.005
        if kept and budget < 0.0:
            break
        kept.append(name)
    return kept


class Bench:
    """A copy of the tree in which mutants are tried one after another."""

    def __init__(self, tree: Path, known: Known, budget: float, folder: Path) -> None:
        self.tree, self.known, self.budget = tree, known, budget
        self.killer, self.log = folder / "killer", folder / "log.txt"
        self.changed = changed(tree, known.tree)

    def tried(self, mutant: Mutant, tests: list[str] | None = None) -> Outcome:
        """What becomes of a mutant; `tests` are files that are run instead of the chosen ones."""
        began = time.monotonic()
        outcome = Outcome(mutant, "unseen")
        target = self.tree / mutant.path
        whole = target.read_text(encoding="utf-8")
        broken = mutants.text_of(self.tree, mutant)
        if tests is None:
            stages = self._stages(mutant)
        else:
            inside = [n for n in self.known.seconds if n.partition("::")[0] in tests]
            stages = [[*inside, *tests]]
        try:
            target.write_text(broken, encoding="utf-8")
            for names in stages:
                if not names:
                    continue
                outcome.tests += len(names)
                outcome.status, outcome.killer = self._run(names)
                if outcome.status != "survived":
                    break
        finally:
            target.write_text(whole, encoding="utf-8")
        outcome.seconds = time.monotonic() - began
        return outcome

    def unbroken(self) -> None:
        """Stop if tests fail without a mutation: then every mutant would seem to die."""
        passing = self.known.seconds.keys() - set(self.known.failed)
        quick = sorted(passing, key=lambda name: self.known.seconds[name])
        status, killer = self._run(quick[:300])
        if status != "survived":
            raise SystemExit(f"unbroken, {killer} fails:\n{self.log.read_text(encoding='utf-8')}")

    def failing(self, names: list[str]) -> list[str]:
        """Those that fail unbroken, though they passed when they were measured."""
        files = sorted({name.partition("::")[0] for name in names})

        def work() -> int:
            chosen = Chosen(names, self.known.seconds)
            code = run_tests(self.tree, ["--no-header", *files], chosen)
            self.killer.write_text("\n".join(chosen.failed), encoding="utf-8")
            return code

        self.killer.write_text("", encoding="utf-8")
        in_fork(work, 3600.0, self.log)
        return self.killer.read_text(encoding="utf-8").split("\n")

    def _stages(self, mutant: Mutant) -> list[list[str]]:
        touched, others = ordered(self.known, self.tree, mutant)
        # A few files first: collecting all of them takes longer than most mutants live.
        first = within(touched, self.known, min(3.0, self.budget / 4))
        few = list(dict.fromkeys(n.partition("::")[0] for n in touched))[:4]
        first = [n for n in first if n.partition("::")[0] in few]
        # All of the module's own file, whatever it takes.
        mine = [n for n in touched if f"/test_{Path(mutant.path).stem}.py::" in n]
        most = self.budget + sum(self.known.seconds[n] for n in mine)
        then = [n for n in within(touched, self.known, most) if n not in set(first)]
        # Files that were written since have tests whose lines and times nobody knows.
        near = {n.partition("::")[0] for n in touched}
        own = f"/test_{Path(mutant.path).stem}"
        since = sorted(f for f in self.changed if f in near or own in f)
        return [first, then, within(others, self.known, self.budget / 4), since]

    def _run(self, names: list[str]) -> tuple[str, str]:
        files = sorted({name.partition("::")[0] for name in names})
        self.killer.write_text("", encoding="utf-8")

        def work() -> int:
            chosen = Chosen(names, self.known.seconds)
            code = run_tests(self.tree, ["-x", "--no-header", *files], chosen)
            self.killer.write_text(chosen.killer, encoding="utf-8")
            return code

        total = sum(self.known.seconds.get(n, self.budget) for n in names)
        code = in_fork(work, SLOWER * total + 2.0 * AT_LEAST + 40.0, self.log)
        if code in (0, 5):
            return "survived", ""
        # 1: a test failed; 2: a test module does not import; negative: the process was ended.
        if code not in (1, 2, LATE) and code >= 0:
            raise RuntimeError(f"pytest ended with {code}:\n{self.log.read_text(encoding='utf-8')}")
        killer = self.killer.read_text(encoding="utf-8")
        return ("late" if code == LATE else "killed"), killer
