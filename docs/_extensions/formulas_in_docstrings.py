"""Docstrings write formulas as indented lines; this keeps the lines and the stars of them.

To reStructuredText an indented block is a quotation, whose lines run together and whose `|e_j|^2`
names a substitution. Indented blocks become literal ones before numpydoc reads the docstring, and
bars outside them are bars.
"""

from __future__ import annotations

import re
from typing import Any

_OPENS = re.compile(r"\s*(\.\. |[*+-] |\d+\. |>>> |\.\.\. |:\w)")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def literal(lines: list[str]) -> list[str]:
    """The lines with `::` before every indented block of formulas, and bars escaped elsewhere.

    A block is indented deeper than the last line before it, after a blank line, and that line
    opens no directive, list item, example or section of numpydoc.
    """
    out: list[str] = []
    inside: int | None = None  # the indentation of the block that is being copied
    previous, blank, code = "", True, False
    for i, line in enumerate(lines):
        if not line.strip():
            out.append(line)
            blank = True
            code = False
            continue
        if inside is not None and _indent(line) < inside:
            inside = None
        if inside is None:
            code = code or line.lstrip().startswith(">>> ")
            deeper = blank and previous and _indent(line) > _indent(previous)
            underline = bool(re.fullmatch(r"\s*-{3,}\s*", previous))
            if deeper and not underline and not _OPENS.match(previous) and not _OPENS.match(line):
                inside = _indent(line)
                out += [" " * _indent(previous) + "::", ""]
        table = bool(re.match(r"\s*={2,}( |$)", line))
        if inside is None and not code and not table:
            line = re.sub(r"\|", r"\\|", line)
            line = re.sub(r"\b(F|D|X|Y|E|Q|R|nll)_(?=[\s,.;:)])", r"\1\\_", line)
        out.append(line)
        previous, blank = lines[i], False
    return out


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Of `autodoc-process-docstring`."""
    lines[:] = literal(lines)


def setup(app: Any) -> dict[str, Any]:
    """Go before numpydoc, whose priority is 500."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
