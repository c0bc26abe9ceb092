"""The mutation test tells a tested line from an untested one, on a package of one module."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")
pytest.importorskip("pytest_cov")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

MODULE = '''\
"""Two functions, one tested."""
from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["seen", "unseen"]


def seen(a: int | None, b: Sequence[int] | int) -> int | float:
    if a < 0:
        raise ValueError("a")
    return a + b


class Promise(Protocol):
    @property
    def size(self, default: int = 0) -> int: ...


def unseen(A, *, B):
    """Never called."""
    return A.T @ B
'''

TESTS = """\
import pytest

from sm_alsgls.core.thing import seen


def test_sum():
    assert seen(0, 5) == 5
    assert seen(1, 5) == 6
    assert seen(2, 5) == 7


def test_negative():
    with pytest.raises(ValueError, match="a"):
        seen(-1, 2)
"""


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import mutants

    return mutants


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "sm_alsgls" / "core").mkdir(parents=True)
    for folder in ("sm_alsgls", "sm_alsgls/core"):
        (root / folder / "__init__.py").write_text("")
    (root / "sm_alsgls" / "core" / "thing.py").write_text(MODULE)
    (root / "tests").mkdir()
    (root / "tests" / "__init__.py").write_text("")
    (root / "tests" / "test_thing.py").write_text(TESTS)
    return root


def test_sites_are_code_and_not_annotations(mutants, tree):
    found = mutants.sites(tree, "sm_alsgls/core/thing.py")
    assert {(s.line, s.kind) for s in found} == {
        (13, "AddNot"),
        (13, "NumberReplacer"),
        (13, "ReplaceComparisonOperator"),
        (14, "DropStatement"),
        (15, "ReplaceBinaryOperator"),
        (25, "DropTranspose"),
        (25, "ExchangeMatmul"),
    }


def test_mutants_change_one_line_and_compile(mutants, tree):
    found = mutants.sites(tree, "sm_alsgls/core/thing.py")
    drawn = mutants.drawn(tree, found, 100, seed=3)
    assert len(drawn) == len(found)
    for one in drawn:
        text = mutants.text_of(tree, one)
        ast.parse(text)
        changed = [
            (a, b) for a, b in zip(MODULE.splitlines(), text.splitlines(), strict=True) if a != b
        ]
        assert [(a.rstrip(), b.rstrip()) for a, b in changed] == [(one.before, one.after)]
    after = {one.operator: one.after.strip() for one in drawn}
    assert after["DropTranspose"] == "return A @ B"
    assert after["ExchangeMatmul"] == "return B @ A.T"
    assert after["DropStatement"] == "pass"
    assert drawn == mutants.drawn(tree, found, 100, seed=3)


def test_what_is_tested_dies_and_the_checkout_stays(tree, tmp_path):
    told = tmp_path / "told.json"
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "mutation.py", "--tree", tree, "--json", told, "--budget=9"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 1, run.stderr
    status = {(o["mutant"]["line"], o["status"]) for o in json.loads(told.read_text())}
    assert status == {(13, "killed"), (14, "killed"), (15, "killed"), (25, "unseen")}
    assert "| core | 7 | 5 | 0 | 2 | 0 | 71% |" in run.stdout
    assert "+ return B @ A.T" in run.stdout
    assert (tree / "sm_alsgls" / "core" / "thing.py").read_text() == MODULE
    assert not list(tree.rglob("__pycache__"))


def test_what_is_known_of_lines_is_carried_to_where_they_are_now(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import trial

    old, new = "a = 1\nb = 2\nc = 3\n", "import d\na = 1\nb = 4\nc = 3\n"
    known = {1: ["one"], 2: ["two"], 3: ["three"]}
    assert trial.carried(known, old, new) == {2: ["one"], 4: ["three"]}
    assert trial.carried(known, old, old) == known


def test_a_statement_is_all_its_lines_and_a_compound_one_its_head(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import trial

    text = "x = 1\n\n\ndef f(\n    a,\n):\n    if a:\n        return (\n            a\n        )\n"
    spans = {line: trial.statement_lines(text, line) for line in (1, 5, 7, 9)}
    assert [list(inner) for inner, _ in spans.values()] == [[1], [4, 5, 6], [7], [8, 9, 10]]
    assert list(spans[1][1]) == list(range(1, 11))
    assert list(spans[9][1]) == list(range(4, 11))
