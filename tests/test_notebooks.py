"""Notebooks hold what they printed; that they still do is for python -m tests.notebooks --check."""

import base64
import copy
import io
import json
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tests.notebooks import (
    HOME,
    METADATA,
    ROOT,
    codes,
    differences,
    read,
    renewed,
    same_picture,
    same_text,
    smaller,
    texts,
    unprinted,
)

BOOKS = sorted(HOME.glob("*.ipynb"))
# A viewer of the repository loads all of it, and every execution adds to its history.
MOST = 300_000


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_what_it_printed(path):
    book = read(path)
    cells = codes(book)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    kinds = {output["output_type"] for output in outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    # No warning, no bar.
    assert {output["name"] for output in outputs if "name" in output} <= {"stdout"}
    assert path.stat().st_size < MOST
    # Of whom executed it: nothing.
    assert book["metadata"] == METADATA
    assert all(set(cell["metadata"]) <= {"tags"} for cell in book["cells"])
    for text in texts(outputs):
        assert not re.search(r"/(?:home|tmp|usr|root|work|Users)/|site-packages| at 0x", text), text
        assert len(text.splitlines()) < 120 or "<table" in text, text


# Published by others, or computed in the sentence.
SAID = {
    "als_against_em": {"0.020", "1.4"},
    "french": {".015", ".016", ".019"},
    "klein": {"1.4", "1.6", "7.5"},
    "wages": {".013", "2.3"},
}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_numbers_of_the_prose_are_those_that_are_printed(path):
    assert set(unprinted(read(path))) == SAID.get(path.stem, set())


def test_a_number_that_nothing_prints_is_told():
    book = book_of("coverage 0.871")
    book["cells"][0]["source"] = "They cover .87, or 87 %; before it was .950 (.871)."
    assert unprinted(book) == [".950"]


# -- what is the same, and what is not -------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F=3.049794239787706, p=0.02", "F=3.049794239787711, p=0.02"),
        ("0.871 of 4", "0.872  of 4"),
        ("BIC 1263.4", "BIC 1263.5"),
        ("llf -276863.92", "llf -276863.80"),
        ("p 5e-25", "p 6e-25"),
        ("Date: Thu, 26 Nov 2026\nTime: 13:34:15", "Date: Fri, 27 Nov 2026\nTime: 03:00:00"),
        ("Sweeps:        6   AIC: 5.1", "Sweeps:        5   AIC: 5.1"),
        ("nan", "nan"),
    ],
)
def test_another_rounding_is_the_same(one, other):
    assert same_text(one, other)
    assert same_text(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.871", "0.874"),
        ("4 of 4", "3 of 4"),
        ("-0.064", "0.064"),
        ("BIC 1263.4", "BIC 1265.4"),
        ("smallest 2e-16", "smallest 6e-02"),
        ("nan", "0.1"),
        ("verdict ok", "verdict look"),
        ("one long line", "one\nlong line"),
        ("1.0 2.0", "1.0 2.0 3.0"),
        ("Date: Thu, 26 Nov 2026 4", "Date: Thu, 26 Nov 2026 5"),
    ],
)
def test_another_number_or_word_is_not(one, other):
    assert not same_text(one, other)
    assert not same_text(other, one)


def picture(heights):
    plt = pytest.importorskip("matplotlib.pyplot")
    fig, ax = plt.subplots(figsize=(5, 3))
    ax.plot(heights, lw=3)
    out = io.BytesIO()
    fig.savefig(out, format="png")
    plt.close(fig)
    return base64.b64encode(out.getvalue()).decode("ascii")


def test_pictures_are_compared_as_one_sees_them():
    rising, falling = picture([0, 1, 2]), picture([2, 1, 0])
    assert len(smaller(rising)) < 0.6 * len(rising)
    assert same_picture(rising, smaller(rising))
    assert not same_picture(rising, falling)
    moved = np.array([0, 1, 2]) + 1e-3 * np.array([1, -1, 1])
    assert same_picture(rising, picture(moved))


def book_of(text, tags=()):
    cell = {
        "cell_type": "code",
        "metadata": {"tags": list(tags)},
        "source": "",
        "execution_count": 1,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": text}],
    }
    return {"cells": [{"cell_type": "markdown", "source": "", "metadata": {}}, cell]}


def test_a_stale_output_is_told_and_a_fresh_one_is_left_alone():
    stored = book_of("coverage 0.871")
    assert differences(stored, book_of("coverage 0.8710")) == []
    (told,) = differences(stored, book_of("coverage 0.950"))
    assert told == "cell 1:\n--- stored\ncoverage 0.871\n+++ now\ncoverage 0.950"
    assert renewed(stored, book_of("coverage 0.8710")) == stored
    assert renewed(stored, book_of("coverage 0.950")) == book_of("coverage 0.950")
    # A cell that shows nothing where it showed something, and one that begins to warn.
    silent, warns = copy.deepcopy(stored), copy.deepcopy(stored)
    silent["cells"][1]["outputs"] = []
    warns["cells"][1]["outputs"][0]["name"] = "stderr"
    assert differences(stored, silent)
    assert differences(stored, warns)


def test_seconds_are_not_compared():
    stored, now = book_of("1.2 s", ["times"]), book_of("0.4 s", ["times"])
    assert differences(stored, now) == []
    assert renewed(stored, now) == now


@pytest.mark.slow
def test_the_command_executes_compares_and_stores(tmp_path):
    for needed in ("nbclient", "ipykernel", "nbformat"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is of the extra docs")
    path = tmp_path / "small.ipynb"
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "print(1 + 1)"}
    cell |= {"execution_count": None, "outputs": []}
    book = {"cells": [cell], "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book), encoding="utf-8")

    def run(*options):
        command = [sys.executable, "-m", "tests.notebooks", *options, str(path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    (cell,) = read(path)["cells"]
    assert (cell["execution_count"], cell["outputs"][0]["text"]) == (1, "2\n")
    assert run("--check").returncode == 0
    path.write_text(path.read_text(encoding="utf-8").replace("1 + 1", "1 + 2"), encoding="utf-8")
    before = path.read_bytes()
    last = run("--check")
    assert last.returncode == 1
    assert "--- stored\n2" in last.stdout
    assert "+++ now\n3" in last.stdout
    assert path.read_bytes() == before
