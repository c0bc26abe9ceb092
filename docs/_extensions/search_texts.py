"""Texts of pages that the search shows parts of, as scripts: they load from a disk, too.

Each page has one, with its sections and their anchors; `_static/search_texts.js` loads those of the
pages that were found. They have the page's own words and not the menus around them.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.builders.html import StandaloneHTMLBuilder

_SILENT = (nodes.raw, nodes.comment, nodes.math, nodes.math_block, nodes.image)


def _words(node: nodes.Node) -> str:
    """What is read of a node, in one line."""
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, (*_SILENT, nodes.Invisible)):
        return ""
    parts = [_words(child) for child in node.children]
    between = "" if isinstance(node, nodes.TextElement) else " "
    return " ".join(between.join(parts).split()) if between else "".join(parts)


def text_of(tree: nodes.Element) -> str:
    """A document's sections, nested as they are, each with its anchors and the words in it."""
    parts = []
    for child in tree.children:
        if isinstance(child, nodes.section):
            inner = text_of(child)
            for name in reversed(child["ids"]):
                inner = f'<div id="{escape(name)}">{inner}</div>'
            parts.append(inner)
        else:
            parts.append(escape(_words(child), quote=False))
    return " ".join(part for part in parts if part)


def write(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """The script of a page; and on the page of the search, what loads them."""
    if not isinstance(app.builder, StandaloneHTMLBuilder):
        return
    if page == "search":
        app.add_js_file("search_texts.js")
    if tree is not None:
        target = Path(app.outdir) / "_static" / "texts" / f"{page}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = f'<div role="main">{text_of(tree)}</div>'
        said = f"textOfPage({json.dumps(page)}, {json.dumps(text, ensure_ascii=False)});\n"
        target.write_text(said, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Listen where pages are written."""
    app.connect("html-page-context", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
