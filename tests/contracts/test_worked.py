"""The worked examples of CONTRIBUTING: there, a page each, and held to their protocols."""

import re
from pathlib import Path

import pytest

from tests.contracts import inhabitants

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/worked/\w+\.py)`", (ROOT / "CONTRIBUTING.md").read_text())


def test_each_is_named():
    there = {f"tests/worked/{path.name}" for path in (ROOT / "tests" / "worked").glob("[a-z]*.py")}
    assert set(NAMED) == there


@pytest.mark.parametrize("name", NAMED)
def test_is_a_page(name):
    assert len((ROOT / name).read_text().splitlines()) < 60


def test_the_suites_have_them():
    source = Path(inhabitants.__file__).read_text()
    for kind in ("covariance", "design", "law"):
        assert f"from tests.worked.{kind} import" in source
