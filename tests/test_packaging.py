"""What packagers read says the same in every place."""

import re
import tomllib

import pytest

import sm_alsgls
from tests.pages import ROOT


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_and_one_licence(project):
    assert project["version"] == sm_alsgls.__version__
    citation, recipe = text("CITATION.cff"), text(".ci/conda/recipe.yaml")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [project["version"]]
    assert re.findall(r'^  version: "(.*)"$', recipe, re.MULTILINE) == [project["version"]]
    for said in re.findall(r"^ *license: (.*)$", citation + "\n" + recipe, re.MULTILINE):
        assert said == project["license"]


def test_the_recipe_requires_what_the_project_does(project):
    listed = text(".ci/conda/recipe.yaml").partition("  run:\n")[2].partition("\ntests:")[0]
    named = dict(line.strip(" -").split(" ") for line in listed.splitlines() if line.strip())
    assert named.pop("python") == project["requires-python"]
    assert {f"{name}{bound}" for name, bound in named.items()} == set(project["dependencies"])
    scripts = re.findall(r"- (\S+) = (\S+)", text(".ci/conda/recipe.yaml"))
    assert dict(scripts) == project["scripts"]


def test_pythons_are_those_that_the_tests_ran_on(project):
    ran = set(re.findall(r"^\| (3\.\d+)\.\d+ \|", text("docs/versions.md"), re.MULTILINE))
    name = "Programming Language :: Python :: 3."
    said = {one.rpartition(" ")[2] for one in project["classifiers"] if one.startswith(name)}
    assert said == ran
    assert min(ran, key=lambda v: int(v[2:])) == project["requires-python"].removeprefix(">=")


def test_ci_checks_what_would_go_to_an_index():
    lines = text(".ci/run").splitlines()
    assert ".venv/bin/twine check --strict .venv/dist/*" in lines
    assert ".venv/bin/check-wheel-contents .venv/dist/*.whl" in lines


def test_rattler_build_renders_the_recipe(project):
    rattler = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    recipe = rattler.Stage0Recipe.from_yaml(text(".ci/conda/recipe.yaml"))
    (made,) = recipe.render(rattler.VariantConfig(), rattler.RenderConfig())
    assert (made.recipe.package.name, str(made.recipe.package.version)) == (
        project["name"],
        project["version"],
    )
