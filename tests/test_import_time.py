"""What an import loads: modules are counted, seconds flicker (benchmarks/import_time.py)."""

import ast
import importlib
import json
import os
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import sm_alsgls
from sm_alsgls import covariance

ROOT = Path(__file__).parents[1]
# What takes a tenth of a second and more.
HEAVY = {"formulaic", "matplotlib", "numpy", "pandas", "patsy", "scipy", "statsmodels"}


def loaded(code, *before):
    """Modules that a statement loads in a process of its own, beyond what others loaded."""
    script = (
        f"import contextlib, io, json, sys, {', '.join(before) or 'os'}\n"
        "first = set(sys.modules)\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n    {code}\n"
        "print(json.dumps(sorted(set(sys.modules) - first)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def tops(modules):
    return {name.partition(".")[0] for name in modules}


def test_an_import_loads_two_modules():
    """The package itself, and what finds its names."""
    new = loaded("import sm_alsgls", "__future__", "typing", "importlib.util", "pkgutil")
    assert new == {"sm_alsgls", "sm_alsgls.lazy"}


@pytest.mark.slow
def test_a_model_loads_nothing_that_statsmodels_models_have_not():
    """But the threads of BLAS, which are set before a fit; and no model that was not asked for."""
    new = loaded("from sm_alsgls import LowRankSUR", "statsmodels.base.model")
    standard = {"__mp_main__", *sys.stdlib_module_names}
    assert tops(new) - standard == {"sm_alsgls", "statsmodels", "threadpoolctl"}
    assert "concurrent.futures.process" not in new  # of the bootstrap on several processes
    assert "statsmodels.api" not in new
    assert not [m for m in new if m.startswith(("sm_alsgls.core.mixed.", "sm_alsgls.models.mixed"))]
    assert not {"sm_alsgls.models.panel", "sm_alsgls.models.three_stage"} & new
    assert not {"sm_alsgls.command_line", "sm_alsgls.datasets"} & new
    # Equations that are not in memory, which workers may hold.
    assert not [m for m in new if m.startswith("sm_alsgls.distributed")]
    assert not {"sm_alsgls.models.many", "sm_alsgls.results.many", "sm_alsgls.core.tiles.fit"} & new


@pytest.mark.parametrize("line", [["--help"], ["--version"], ["panel", "--help"]])
def test_the_command_line_answers_before_anything_heavy_is_loaded(line):
    new = loaded(f"from sm_alsgls.__main__ import main; assert main({line}) == 0")
    assert "sm_alsgls.command_line.options" in new
    assert not tops(new) & HEAVY


@pytest.mark.parametrize("package", [sm_alsgls, covariance], ids=lambda p: p.__name__)
class TestNames:
    def test_are_the_same_for_python_and_for_the_type_checker(self, package):
        tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
        (typed,) = (node for node in tree.body if isinstance(node, ast.If))
        assert typed.test.id == "TYPE_CHECKING"
        seen = {
            alias.name: node.module
            for node in typed.body
            for alias in node.names
            if node.module != "sm_alsgls"  # modules, which need no table
        }
        (table,) = (node for node in ast.walk(typed) if isinstance(node, ast.Dict))
        assert ast.literal_eval(table) == seen
        assert sorted(seen) == sorted(package.__all__)

    def test_are_those_of_their_modules_and_listed(self, package):
        for name in package.__all__:
            found = getattr(package, name)
            home = importlib.import_module(found.__module__)
            assert found is getattr(home, name)
            assert vars(package)[name] is found  # asked for once
        assert set(package.__all__) <= set(dir(package))
        assert dir(package) == sorted(dir(package))

    def test_that_are_none_are_attribute_errors(self, package):
        for name in ("LowRankSURE", "_nothing", "__wrapped__", "__path"):
            assert not hasattr(package, name)
        with pytest.raises(AttributeError, match=f"'{package.__name__}' has no .* 'nope'") as told:
            _ = package.nope
        assert (told.value.name, told.value.obj) == ("nope", package)


def test_star_takes_all_public_names():
    here = {}
    exec("from sm_alsgls import *", here)
    assert set(here) - {"__builtins__"} == set(sm_alsgls.__all__)


@pytest.mark.slow
def test_modules_are_attributes_and_classes_read_after_the_import_of_the_package_alone():
    stored = pickle.dumps([getattr(sm_alsgls, name) for name in sm_alsgls.__all__])
    paths = (
        "exceptions.AlsglsError",
        "covariance.low_rank_diag.LowRankDiag",
        "datasets.load_klein",
        "models.sur.LowRankSUR",
        "models.mixed.LowRankMixedLM",
        "results.panel.LowRankPanelResults",
        "diagnostics.diagonality_test",
        "rank.select_rank",
    )
    seen = ", ".join(f"callable(sm_alsgls.{path})" for path in paths)
    loaded(
        f"import pickle, sm_alsgls; assert all([{seen}]); "
        f"assert len(pickle.loads({stored!r})) == {len(sm_alsgls.__all__)}"
    )


def test_help_lists_the_names():
    text = pydoc.render_doc(sm_alsgls, renderer=pydoc.plaintext)
    for name in sm_alsgls.__all__:
        assert name in text
