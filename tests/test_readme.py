"""What the README says is so: its code runs, its output is real, its commands are those of CI."""

import os
import re
import shlex

from sm_alsgls.__main__ import main
from tests.pages import ROOT, Page

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"
DEMO = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python -m sm_alsgls"


def test_code_and_commands_run_and_print_what_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = Page(ROOT / "README.md")
    shown = [line for _, text in page.blocks("text") for line in text.splitlines()]
    assert len(shown) > 10
    assert not page.run()

    ((_, command),) = page.blocks("sh")
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
        assert list(ROOT.glob(path)), path
