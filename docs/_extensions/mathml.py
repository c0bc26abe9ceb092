"""Formulas as MathML, made while building: no script to load, and none to be offline without.

docutils brings the converter; browsers of 2023 and later draw the result (MathML Core).
"""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", _NAMESPACE)
# Functions without space around them.
_SPACE = [
    (re.compile(r"\\(log|det) (?=[A-Za-z0-9\\|])"), r"\\\1\\,"),
    (re.compile(r"(?<=[\w)}]) \\log"), r"\\,\\log"),
]
# Arguments without braces are one digit each to TeX, and one number of two to the converter.
_DIGITS = [
    (re.compile(r"\\([td]?frac) ?(\d)(\d)"), r"\\\1{\2}{\3}"),
    (re.compile(r"\\sqrt ?(\d)"), r"\\sqrt{\1}"),
]
# Operators that are none, with the space around them: a prime, bars, a slash.
_TIGHT = {"'": ("\N{PRIME}", "0"), "|": ("|", "0.05em"), "/": ("/", "0.05em")}
_ACCENTS = {"\u02c6", "~", "\u02c9", "\u02d9"}  # hat, tilde, bar, dot


def to_mathml(latex: str, node: nodes.Node | None, as_block: bool) -> str:
    """MathML of a formula; a warning, which fails the build, if it cannot be read."""
    latex = latex.replace(r"\dots", r"\ldots")
    for pattern, meant in _SPACE + _DIGITS:
        latex = pattern.sub(meant, latex)
    try:
        mathml = str(latex2mathml.tex2mathml(latex, as_block=as_block))
    except Exception as error:
        logger.warning("formula cannot be read: %s (%s)", latex, error, location=node)
        return f"<code>{latex}</code>"
    # XML knows five entities, MathML two thousand.
    named = re.compile(r"&(?!lt;|gt;|amp;)\w+;")
    root = ElementTree.fromstring(named.sub(lambda entity: html.unescape(entity[0]), mathml))
    for element in root.iter():
        _improve(element)
    return ElementTree.tostring(root, encoding="unicode")


def _improve(element: ElementTree.Element) -> None:
    """What the converter leaves to chance, and browsers then draw badly."""
    tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
    if tag == "mtable":
        element.set("displaystyle", "true")
    elif tag == "mo" and element.text in _TIGHT:
        element.text, space = _TIGHT[element.text]
        element.attrib.update(stretchy="false", lspace=space, rspace=space)
    elif tag == "munderover" and element[2].text in _ACCENTS:
        # An accented letter with an index: the index goes beside, not below.
        base, index, accent = list(element)
        accented = ElementTree.Element(f"{{{_NAMESPACE}}}mover", accent="true")
        accented.extend([base, accent])
        element.tag = f"{{{_NAMESPACE}}}msub"
        element[:] = [accented, index]


def visit_math(self: Any, node: nodes.Node) -> None:
    """A formula in a line of text."""
    self.body.append(to_mathml(node.astext(), node, False))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.Node) -> None:
    """A formula on lines of its own, with its number if it has a label."""
    latex = node.astext()
    if "\\\\" in latex and "\\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    self.body.append(self.starttag(node, "div", CLASS="formula"))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({node["number"]})</span>')
    self.body.append(to_mathml(latex, node, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer and choose it."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
