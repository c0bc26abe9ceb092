"""Printed tables find their places in the pages, and what has no place is said."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def one_run(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("one_run")


def page(*rows, heading="| N | seconds |"):
    return "\n".join(["Words.", "", heading, "|---|---|", *rows, "", "More words.", ""])


def test_a_table_takes_the_place_of_that_of_its_heading(one_run):
    pages = {Path("a.md"): page("| 1 | 2.0 |"), Path("b.md"): page("| 1 | 2.0 |", heading="| K |")}
    printed = one_run.tables("load\n" + page("| 1 | 1.5 |", "| 2 | 3.5 |"))
    after, left = one_run.paste(printed, pages)
    assert after[Path("a.md")] == page("| 1 | 1.5 |", "| 2 | 3.5 |")
    assert after[Path("b.md")] == pages[Path("b.md")]
    assert left == []


def test_a_heading_of_no_place_or_of_two_is_said_and_changes_nothing(one_run):
    printed = one_run.tables(page("| 1 | 1.5 |"))
    for pages in ({}, {Path(f): page("| 1 | 2.0 |") for f in ("a.md", "b.md")}):
        after, left = one_run.paste(printed, pages)
        assert after == pages
        assert left == [f"{len(pages)} places: | N | seconds |"]


def test_lines_that_begin_with_a_bar_are_no_table_without_a_rule(one_run):
    assert one_run.tables("| a | b |\n| c | d |\n\n| x |\n|---|\n") == [["| x |", "|---|"]]


def test_what_is_run_is_there_and_says_no_more_than_its_options(one_run):
    for command in one_run.SCRIPTS.values():
        script, *words = command.split()
        text = (ROOT / "benchmarks" / script).read_text()
        assert all(f'"{word}"' in text for word in words if re.match("--", word)), command


def test_a_script_leaves_its_output_and_its_status(one_run, tmp_path, monkeypatch):
    monkeypatch.setattr(one_run, "SCRIPTS", {"a": "structure.py --nonsense={spreg}"})
    assert one_run.run("a", tmp_path, spreg="x") == 2
    said = (tmp_path / "a.txt").read_text()
    assert said.startswith("load before: ")
    assert "unrecognized arguments: --nonsense=x" in said
    assert said.endswith("exit status 2\n")
