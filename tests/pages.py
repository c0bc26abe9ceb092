"""Pages of documentation, read as tests: their code runs and prints what they show."""

import contextlib
import functools
import io
import pydoc
import re
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```([\w{}-]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_REQUIRES = re.compile(r"^% requires: (\S+)$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\.\. code-block:: (\w+)\n\n((?: {3}.*\n|\n)+)", re.MULTILINE)


@dataclass
class Page:
    """One file with its fenced blocks (Markdown) or code-block directives (reStructuredText).

    A block ``python`` is code, which is run with the names of those before it; a block ``text`` is
    what the page has printed until there, with ``...`` for lines left out. Other languages are
    not looked at. A comment ``% requires: module.name`` hides what follows while there is no such
    name, so that a page can be written before the code that it describes is there.
    """

    path: Path
    names: dict[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self, *languages: str) -> list[tuple[str, str]]:
        """Language and content of each block in one of ``languages``, in order."""
        pattern = _DIRECTIVE if self.path.suffix == ".rst" else _FENCE
        return [
            (m[1], textwrap.dedent(m[2]))
            for m in pattern.finditer(self.text, 0, self.end)
            if m[1] in languages
        ]

    @property
    def end(self) -> int:
        """Where the page begins to describe code that is not there."""
        missing = [m.start() for m in _REQUIRES.finditer(self.text) if pydoc.locate(m[1]) is None]
        return min(missing, default=len(self.text))

    def run(self) -> list[str]:
        """Run the code and return the lines that are shown but were not printed."""
        printed, wrong = io.StringIO(), []
        for language, content in self.blocks("python", "text"):
            if language == "python":
                with contextlib.redirect_stdout(printed):
                    exec(compile(content, str(self.path), "exec"), self.names)
            else:
                output = printed.getvalue().splitlines()
                wrong += [
                    line
                    for line in content.splitlines()
                    if line.strip() not in ("", "...")
                    and not any(alike(line, other) for other in output)
                ]
        return wrong


@functools.cache
def ran(name: str) -> tuple[Page, list[str]]:
    """A page of docs/ after its code ran, and what it shows wrongly; nobody changes its names."""
    page = Page(ROOT / "docs" / name)
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        return page, page.run()


def alike(shown: str, printed: str) -> bool:
    """The same words, and numbers within 1 % or 0.002: another BLAS rounds the last digit."""
    one, other = shown.split(), printed.split()
    if len(one) != len(other):
        return False
    for a, b in zip(one, other, strict=True):
        try:
            close = float(a) == pytest.approx(float(b), rel=1e-2, abs=2e-3, nan_ok=True)
        except ValueError:
            close = a == b
        if not close:
            return False
    return True


def _words(line: str) -> tuple[str, ...]:
    return tuple(re.sub(r"-?\d[\d.]*", "", line).split())


def renewed(page: Page) -> str:
    """The page with what its code prints now in its blocks of output.

    A block is replaced whole; one with ``...`` line by line, by the printed line that has the same
    words and other numbers.
    """
    out, last, printed = [], 0, ""
    for m in _FENCE.finditer(page.text, 0, page.end):
        out.append(page.text[last : m.start(2)])
        block, last = m[2], m.end(2)
        if m[1] == "python":
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream):
                exec(compile(block, str(page.path), "exec"), page.names)
            printed += stream.getvalue()
        elif m[1] == "text":
            lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
            if "..." in block:
                at = {_words(line): line for line in lines}
                lines = [
                    at.get(_words(line), line) if line.strip() != "..." else line
                    for line in block.splitlines()
                ]
            block, printed = "\n".join(lines) + "\n", ""
        out.append(block)
    return "".join([*out, page.text[last:]])


if __name__ == "__main__":
    # python -m tests.pages docs/guide/rank.md ...: write what each page prints now onto it.
    import sys

    for path in [Path(name).resolve() for name in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            path.write_text(renewed(Page(path)), encoding="utf-8")
