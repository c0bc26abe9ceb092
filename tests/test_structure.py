"""The counts of benchmarks/structure.py on a house of five modules whose numbers are known."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

FILES = {
    "__init__.py": '"""Front door."""\n',
    "exceptions.py": "class Wrong(ValueError):\n    pass\n",
    "core/__init__.py": "from fake.core.value import Value\n",
    "core/value.py": """\
from typing import TYPE_CHECKING, Protocol

from ..exceptions import Wrong

if TYPE_CHECKING:
    from fake.core.step import Step


class Promise(Protocol):
    rank: int


class Base:
    kind = "base"

    def __init__(self):
        self._seen = 0

    def own(self, other):
        return self._seen + other._seen


class Value(Base):
    size: int

    def told(self):
        if self._lent:
            raise Wrong
        return self.size
""",
    "core/step.py": """\
from typing import Any

from . import value


class Step:
    def run(self, a: Any, b: Any | None, c: "list[Any]", d: int) -> Any:
        if isinstance(a, value.Value):
            return a
""",
    "results/__init__.py": "",
    "results/table.py": """\
from typing import Any

import fake.exceptions
from fake.core import Value
from fake.core.step import Step
from fake.core.value import Promise
from fake.exceptions import Wrong


def shown(results: Any, solution):
    def inner():
        from fake.results.text import words

        return words

    if isinstance(results, (Value, Promise)) or isinstance(results, Wrong):
        return results._seen, results._replace(x=1)
    if type(solution) is Step and solution.complete and solution.rank == 0:
        return getattr(solution, "_state"), solution.__dict__
    match solution:
        case Value():
            return inner
""",
    "results/text.py": "from fake.results.table import shown\n\n\ndef words():\n    return shown\n",
}


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import house
    import structure

    return house, structure


@pytest.fixture
def fake(scripts, tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return scripts[0].House(tmp_path, "fake")


def test_imports_are_found_however_they_are_written(fake):
    assert fake.imports == {
        "fake": set(),
        "fake.exceptions": set(),
        "fake.core": {"fake.core.value"},
        "fake.core.value": {"fake.exceptions"},
        "fake.core.step": {"fake.core.value"},
        "fake.results": set(),
        "fake.results.table": {
            "fake.exceptions",
            "fake.core",
            "fake.core.step",
            "fake.core.value",
            "fake.results.text",
        },
        "fake.results.text": {"fake.results.table"},
    }


def test_circles_and_floors(scripts, fake):
    house = scripts[0]
    running = house.circles(fake.imports)
    assert running == [("fake.results.table", "fake.results.text")]
    assert house.circles(fake.typed_imports) == [
        ("fake.core.step", "fake.core.value"),
        *running,
    ]
    # exceptions, value, step | the circle of table and text counts as one floor.
    assert house.floors(fake.imports) == 4
    assert house.floors(house.inside(fake.imports, "fake.core")) == 2
    assert house.circles(fake.room_imports) == []
    assert fake.room_imports["fake.results"] == {"fake.core", "fake.exceptions"}


def test_a_chain_of_a_thousand_modules_has_a_thousand_floors(scripts):
    house = scripts[0]
    chain = {str(i): {str(i + 1)} for i in range(300)} | {"300": set()}
    assert house.floors(chain) == 301
    assert house.circles(chain) == []
    assert house.circles({**chain, "300": {"0"}}) == [tuple(sorted(chain))]


def test_private_reads(fake):
    # other._seen is read where _seen is defined, results._seen is not; _replace is public.
    assert fake.private_reads == {
        "fake.results.table reads _seen": 1,
        "fake.results.table reads _state": 1,
        "fake.results.table reads __dict__": 1,
    }
    assert fake.borrowed == {"fake.core.value borrows _lent": 1}


def test_concrete_types_asked_for_outside_their_room(fake):
    # Not the protocol, not the exception, not Value in its own room; through re-exports too.
    assert fake.type_tests == {
        "fake.results.table asks Value": 2,
        "fake.results.table asks Step": 1,
    }


def test_any_and_flags(fake):
    assert fake.any_parameters == {"fake.core": 2, "fake.results": 1}
    assert fake.flags == {".complete": 1, "rank ==": 1}


def test_counts_and_the_table_of_two(scripts, fake, capsys, tmp_path):
    structure = scripts[1]
    counts = structure.counts(fake)
    assert counts["files"] == 8
    assert counts["lines"] == sum(text.count("\n") for text in FILES.values())
    assert counts["longest file"] == "29 (core.value)"
    assert counts["folders"] == 3
    assert counts["circles"] == "1 (of 2 modules)"
    assert counts["circles with imports for types"] == "1 (of 2 modules)"
    assert counts["imports"] == 9
    assert counts["imports from room to room"] == 5
    assert counts["pairs of rooms"] == 3
    # kind, own, size, told | _seen; Base and Value together.
    assert counts["largest class"] == "Value"
    assert (counts["- public names"], counts["- private names"]) == (4, 1)
    assert counts["- bases in the package"] == 1
    assert structure.table({"files": 8}, {"files": 9, "folders": 3}).splitlines() == [
        "| | before | after |",
        "|---|---|---|",
        "| files | 8 | 9 |",
        "| folders | 0 | 3 |",
    ]


@pytest.mark.slow
def test_the_command_counts_this_checkout(scripts, capsys, tmp_path):
    structure = scripts[1]
    assert structure.main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    root = BENCHMARKS.parent / "sm_alsgls"
    assert told["files"] == len(list(root.rglob("*.py")))
    (tmp_path / "sm_alsgls").mkdir()
    (tmp_path / "sm_alsgls" / "__init__.py").write_text("class Only:\n    size = 1\n")
    assert structure.main(["--before", str(tmp_path), "--after", str(tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert "| files | 1 | 1 |" in rows
    assert "| largest class | Only | Only |" in rows
