"""What scripts of benchmarks/ take from the package and from tests is there, run or not."""

import ast
import importlib
import types
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").rglob("*.py"))


def taken(tree):
    """Pairs (module, name) of imports from the package and from tests, wherever they are made."""
    for node in ast.walk(tree):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module and module.partition(".")[0] in ("sm_alsgls", "tests"):
            yield from ((module, alias) for alias in node.names)


def missing(source):
    """Names that are not there, and attributes of modules that have none of the name."""
    tree = ast.parse(source)
    modules = {}
    for module, alias in taken(tree):
        home = importlib.import_module(module)
        if not hasattr(home, alias.name):
            try:
                importlib.import_module(f"{module}.{alias.name}")
            except ModuleNotFoundError:
                yield f"{module}.{alias.name}"
                continue
        found = getattr(home, alias.name)
        if isinstance(found, types.ModuleType):
            modules[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None and not hasattr(module, node.attr):
                yield f"{module.__name__}.{node.attr}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_names_are_there(script):
    assert not list(missing(script.read_text(encoding="utf-8")))


def test_a_name_that_has_moved_is_seen():
    source = "from tests import border\nfrom sm_alsgls.core import als\nborder.outcome(als)\n"
    assert list(missing(source)) == ["sm_alsgls.core.als", "tests.border.outcome"]
