"""What the README says is so: its code runs, its output is real, its commands are those of CI."""

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

import pytest

from sm_alsgls.__main__ import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"
DEMO = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python -m sm_alsgls"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def alike(shown, printed):
    """The same words, and numbers within 1 % or 0.002: another BLAS rounds the last digit."""
    shown, printed = shown.split(), printed.split()
    if len(shown) != len(printed):
        return False
    for one, other in zip(shown, printed, strict=True):
        try:
            close = float(one) == pytest.approx(float(other), rel=1e-2, abs=2e-3)
        except ValueError:
            close = one == other
        if not close:
            return False
    return True


def test_code_and_commands_run_and_print_what_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    names: dict[str, object] = {}
    for code in blocks("python"):
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
    output = printed.getvalue().splitlines()
    (text,) = blocks("text")
    shown = [line for line in text.splitlines() if line != "..."]
    assert len(shown) > 10
    assert not [line for line in shown if not any(alike(line, other) for other in output)]

    (command,) = blocks("sh")
    python, dash_m, module, *arguments = shlex.split(command)
    assert (python, dash_m, module) == ("python", "-m", "sm_alsgls")
    assert main(arguments) == 0
    files = re.findall(r"`((?:params|loadings|trace)\.csv|summary\.\w+)`", README)
    assert sorted(os.listdir("results")) == sorted(files)


def test_set_up_is_two_commands_and_ci_calls_the_second():
    commands = re.findall(r"^    (python3 .*)$", README, re.MULTILINE)
    assert commands == [DEMO, TEST]
    assert TEST in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_layout_names_what_exists():
    layout = README.partition("## Where things are")[2]
    for path in re.findall(r"^    (\S+)", layout, re.MULTILINE):
        assert (ROOT / path).exists(), path
