"""The lower bounds of pyproject.toml are those that .ci/run tests."""

import re
import tomllib

from tests.pages import ROOT


def bounds(project, extra=None):
    """Lower bounds of the package and of an extra, with the extras that it names."""
    found = {}
    listed = project["optional-dependencies"][extra] if extra else project["dependencies"]
    for text in listed:
        if nested := re.fullmatch(r"sm_alsgls\[(.*)\]", text):
            for name in nested[1].split(","):
                found |= bounds(project, name)
        else:
            name, _, version = text.partition(">=")
            # Constraints have no extras.
            found[name.partition("[")[0]] = version
    return found


def test_what_is_tested_lowest_is_what_is_allowed_lowest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = bounds(project) | bounds(project, "test")
    lines = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and line[0] != "#")
    for name, version in allowed.items():
        assert version, f"{name} has no lower bound"
        assert name in pinned, name
        parts = pinned[name].split(".")
        assert parts[: version.count(".") + 1] == version.split("."), name
        assert set(parts[version.count(".") + 1 :]) <= {"0"}, name


def test_ci_tests_them():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ".venv-lowest/bin/pip install --no-compile -c .ci/lowest.txt '.[test]'" in text
