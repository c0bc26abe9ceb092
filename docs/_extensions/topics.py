"""Which page of the reference has which member; read from the pages, without Sphinx.

A page lists members in blocks

    .. members:: sm_alsgls.LowRankSURResults

       bse
       conf_int

and whatever else inherits one of them unchanged has it there as well, so that a docstring stands
once. `directives.py` makes objects of the blocks, `tests/test_reference_pages.py` compares them
with what the classes have.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

API = Path(__file__).parents[1] / "api"
_BLOCK = re.compile(r"^\.\. members:: (?P<kind>[\w.]+)\n\n(?P<names>(?: {3}\w+\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A member that a page documents: of which class, and on which page, with its title."""

    kind: str
    name: str
    page: str
    title: str


def read_entries() -> list[Entry]:
    """All entries, in the order of the pages in the reference's table of contents."""
    listed = re.findall(r"^   (\w[\w/]*)$", (API / "index.rst").read_text(encoding="utf-8"), re.M)
    found = []
    for page in listed:
        text = (API / f"{page}.rst").read_text(encoding="utf-8")
        title = text.split("\n", 1)[0]
        for block in _BLOCK.finditer(text):
            found += [Entry(block["kind"], name, page, title) for name in block["names"].split()]
    return found


def class_of(kind: str) -> type:
    """The class of a dotted name."""
    module, name = kind.rsplit(".", 1)
    made: type = getattr(importlib.import_module(module), name)
    return made


def member(kind: type, name: str) -> Any:
    """What a class has under a name, as it stands there: a property, and not its value."""
    return inspect.getattr_static(kind, name)


def public(kind: type) -> set[str]:
    """Names that are for users: what ``dir()`` of an instance may list.

    Of results, less what they do not list (`Shown`); of models, less what is statsmodels' alone.
    """
    names = {name for name in dir(kind) if not name.startswith("_")}
    names -= {"initialize"}  # what statsmodels' constructors call
    for base in kind.__mro__:
        names -= vars(base).get("_unlisted", frozenset())
    return names


def entries_of(kind: str, entries: list[Entry]) -> dict[str, list[Entry]]:
    """Of each member of a class, the entries that document it: one, if the pages are right."""
    made, found = class_of(kind), {}
    for name in sorted(public(made)):
        own = [entry for entry in entries if entry.kind == kind and entry.name == name]
        same = [
            entry
            for entry in entries
            if entry.name == name
            and entry.kind != kind
            and member(class_of(entry.kind), name) is member(made, name)
        ]
        found[name] = own or same
    return found
