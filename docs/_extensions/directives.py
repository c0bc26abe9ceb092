"""The reference by topic: ``members`` documents members, ``overview`` lists all of a class.

A member that several classes have unchanged is documented once; references to it by the name of
any of these classes lead there.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.util.docutils import SphinxDirective
from topics import Entry, class_of, entries_of, member, read_entries

# Classes of which every public member is on a page.
KINDS = (
    "sm_alsgls.LowRankSUR",
    "sm_alsgls.LowRankPanel",
    "sm_alsgls.LowRank3SLS",
    "sm_alsgls.LowRankMixedLM",
    "sm_alsgls.InteractivePanel",
    "sm_alsgls.CCEPanel",
    "sm_alsgls.results.equation.EquationResults",
    "sm_alsgls.LowRankSURResults",
    "sm_alsgls.LowRankPanelResults",
    "sm_alsgls.LowRank3SLSResults",
    "sm_alsgls.LowRankMixedLMResults",
    "sm_alsgls.InteractivePanelResults",
    "sm_alsgls.CCEPanelResults",
)


@cache
def _entries() -> list[Entry]:
    return read_entries()


@cache
def _owners() -> dict[str, dict[str, list[Entry]]]:
    return {kind: entries_of(kind, _entries()) for kind in KINDS}


def _also(kind: str, name: str) -> list[str]:
    """Other classes whose member this is."""
    return [
        other
        for other, owners in _owners().items()
        if other != kind and any(entry.kind == kind for entry in owners.get(name, []))
    ]


def _directive(kind: str, name: str) -> str:
    found = member(class_of(kind), name)
    if isinstance(found, (staticmethod, classmethod)) or inspect.isfunction(found):
        return "automethod"
    return "autoproperty" if isinstance(found, property) else "autoattribute"


class Members(SphinxDirective):
    """Objects of the named members, in this order."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Text of autodoc's directives, parsed."""
        kind, lines = self.arguments[0], []
        for name in " ".join(self.content).split():
            lines += [f".. {_directive(kind, name)}:: {kind}.{name}"]
            if isinstance(member(class_of(kind), name), type):
                lines += ["   :no-value:"]  # its own name, and longer than a phone is wide
            lines += [""]
            also = ", ".join(f":class:`~{other}`" for other in _also(kind, name))
            if also:
                lines += ["   .. container:: also", "", f"      Also of {also}.", ""]
        return self.parse_text_to_nodes("\n".join(lines))


class Overview(SphinxDirective):
    """All members of a class, one line each, by topic."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Text of sections with autosummary's tables, parsed."""
        kind = self.arguments[0]
        topics: dict[tuple[str, str], list[str]] = {}
        owners = _owners()[kind]
        for entry in _entries():
            if entry in owners.get(entry.name, []):
                topics.setdefault((entry.page, entry.title), []).append(entry.name)
        lines = []
        for (page, title), names in topics.items():
            heading = f":doc:`{title} </api/{page}>`"
            lines += [heading, "-" * len(heading), ""]
            lines += [".. autosummary::", "   :nosignatures:", ""]
            lines += [f"   ~{kind}.{name}" for name in names] + [""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Inherited(SphinxDirective):
    """The members of a class that are documented under another one, a line each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Text of one of autosummary's tables, parsed."""
        kind = self.arguments[0]
        owners = _owners()[kind]
        names = [
            entry.name
            for entry in _entries()
            if entry.kind != kind and entry in owners.get(entry.name, [])
        ]
        lines = [".. autosummary::", "   :nosignatures:", ""]
        return self.parse_text_to_nodes("\n".join(lines + [f"   ~{kind}.{n}" for n in names]))


def resolve(app: Any, env: Any, node: nodes.Element, contnode: nodes.Element) -> Any:
    """A member by the name of a class that inherits it: where it is documented."""
    kind, _, name = node.get("reftarget", "").rpartition(".")
    kind = kind if kind in KINDS else f"sm_alsgls.{kind}"
    for entry in _owners().get(kind, {}).get(name, []):
        domain, target = env.domains["py"], f"{entry.kind}.{entry.name}"
        source = node.get("refdoc", env.docname)
        found = domain.resolve_xref(env, source, app.builder, "obj", target, node, contnode)
        if found is not None:
            return found
    return None


def setup(app: Any) -> dict[str, Any]:
    """Register both."""
    directives: dict[str, type[Directive]] = {
        "members": Members,
        "overview": Overview,
        "inherited": Inherited,
    }
    for name, made in directives.items():
        app.add_directive(name, made)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
