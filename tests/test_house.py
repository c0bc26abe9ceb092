"""How the house stands: no circle of imports, nobody asks for a type or looks into another.

What is not so yet is listed here with its number. A new one fails, and so does one of the list that
is gone: the lists only shrink. `python -m tests.test_house` prints them as they are.

import-linter checks the floors (pyproject.toml); what it cannot see is here.
"""

import importlib
import pkgutil
import sys
from collections import Counter
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import sm_alsgls

ROOT = Path(__file__).parents[1]

# Groups of modules that import each other, imports for the type checker included.
CIRCLES: list[tuple[str, ...]] = []
CIRCLES_OF_ROOMS: list[tuple[str, ...]] = []
# Concrete classes that are asked for outside their own room (isinstance, type(x) is, case): what a
# user hands to select_rank() is checked by its type.
ASKED: dict[str, int] = {"SystemModel": 1}
# Underscore names that are read of another object, across modules: statsmodels' wrappers of results
# have no other door.
READ: dict[str, int] = {"_results": 1}

# Lines of a module, and those that have more.
MOST_LINES = 400
LONG = {
    "core/laws/maximise.py": 418,
    "core/laws/shrunken_ar.py": 424,
    "covariance/low_rank_diag.py": 488,
    "models/maximum_likelihood.py": 434,
    "models/three_stage.py": 403,
    "results/nlcom.py": 416,
}

# Dataclasses whose fields may be set: what the loops carry from sweep to sweep.
LOOSE = {"_Point", "_State"}


@pytest.fixture(scope="module")
def house():
    return _house()


def _house():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from house import House
    finally:
        sys.path.pop(0)
    return House(ROOT)


def _circles(house, graph):
    from house import circles

    return [tuple(m.removeprefix("sm_alsgls.") for m in c) for c in circles(graph)]


def _by_name(found):
    # A module may move; who is asked for or looked into is the fault.
    names = Counter()
    for what, number in found.items():
        names[what.split()[-1]] += number
    return dict(sorted(names.items()))


def _differences(found, allowed, where):
    told = []
    for name in sorted(found.keys() | allowed.keys()):
        now, then = found.get(name, 0), allowed.get(name, 0)
        if now > then:
            places = [f"{w}: {n}" for w, n in sorted(where.items()) if w.split()[-1] == name]
            told.append(f"{name}: {now} for {then}, new: {'; '.join(places)}")
        elif now < then:
            told.append(f"{name}: {now} for {then}: gone, take it off the list")
    return told


def test_no_module_imports_itself_through_others(house):
    assert _circles(house, house.typed_imports) == CIRCLES


def test_no_room_imports_itself_through_others(house):
    assert _circles(house, house.room_imports) == CIRCLES_OF_ROOMS


def test_nobody_asks_for_a_concrete_type_of_another_room(house):
    assert _differences(_by_name(house.type_tests), ASKED, house.type_tests) == []


def test_nobody_reads_the_underscore_names_of_another_object(house):
    assert _differences(_by_name(house.private_reads), READ, house.private_reads) == []


def test_modules_are_short():
    """One noun a file; a long module that is on the list may not grow, and leaves it when short."""
    lines = _long()
    assert {name: n for name, n in lines.items() if n > LONG.get(name, MOST_LINES)} == {}
    assert LONG.keys() - lines.keys() == set()


def _long():
    package = ROOT / "sm_alsgls"
    lines = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in sorted(package.rglob("*.py"))
    }
    return {name: n for name, n in lines.items() if n > MOST_LINES}


def test_values_are_frozen():
    """A dataclass that is not frozen is the exception, and is listed."""
    loose = set()
    for module in pkgutil.walk_packages(sm_alsgls.__path__, "sm_alsgls."):
        if module.name != "sm_alsgls.__main__":
            for name, one in vars(importlib.import_module(module.name)).items():
                mine = isinstance(one, type) and one.__module__ == module.name
                if mine and is_dataclass(one) and not one.__dataclass_params__.frozen:
                    loose.add(name)
    assert loose == LOOSE


def test_the_lists_can_only_shrink():
    where = {"a reads _x": 2}
    assert _differences({"_x": 2}, {"_x": 2}, where) == []
    assert _differences({"_x": 2}, {"_x": 1}, where) == ["_x: 2 for 1, new: a reads _x: 2"]
    assert _differences({}, {"_x": 1}, {}) == ["_x: 0 for 1: gone, take it off the list"]


if __name__ == "__main__":
    now = _house()
    print("CIRCLES =", _circles(now, now.typed_imports))
    print("CIRCLES_OF_ROOMS =", _circles(now, now.room_imports))
    print("ASKED =", _by_name(now.type_tests))
    print("READ =", _by_name(now.private_reads))
    print("LONG =", _long())
