"""Sphinx configuration; `python -m sphinx -W --keep-going -b html docs docs/_build/html` builds it.

Nothing is fetched: formulas become MathML (`mathml.py`), there is no intersphinx, and data come
with the packages. Notebooks are shown with the outputs that are stored in them; that these are what
they print is for `python -m tests.notebooks --check`.
"""

import filecmp
import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "sm_alsgls"
author = "the sm_alsgls developers"
project_copyright = author
root_doc = "index"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "mathml",
    "directives",
    "search_texts",
    "written_where",
    "formulas_in_docstrings",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "jupyter_execute"]

# -- Markdown and notebooks ------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True


def _copy_notebooks() -> None:
    """Notebooks live beside docs/; Sphinx reads below docs/ only."""
    source, gallery = HERE.parent / "notebooks", HERE / "gallery"
    gallery.mkdir(exist_ok=True)
    kept = {notebook.name for notebook in source.glob("*.ipynb")}
    for old in gallery.glob("*.ipynb"):
        if old.name not in kept:
            old.unlink()
    for name in kept:
        if not (gallery / name).exists() or not filecmp.cmp(source / name, gallery / name, False):
            shutil.copyfile(source / name, gallery / name)


def _copy_benchmarks() -> None:
    """The tables of benchmarks/ are pages too; their links into docs/ are then links beside."""
    target = HERE / "benchmarks"
    target.mkdir(exist_ok=True)
    for page in (HERE.parent / "benchmarks").glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../docs/", "](../")
        if text.startswith("## "):  # a page here, a section of its script's output there
            text = re.sub(r"^#(?=#+ )", "", text, flags=re.MULTILINE)
        copy = target / page.name
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def _links_to_benchmarks(app: Any, docname: str, source: list[str]) -> None:
    """Links that are right in the repository, ../../benchmarks/, lead to the copies."""
    up = "../" * docname.count("/")
    source[0] = source[0].replace(f"]({up}../benchmarks/", f"]({up}benchmarks/")


_ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)


def _card(name: str, question: str) -> str:
    """A notebook's picture, title and question."""
    picture = f"images/thumbnails/{name}.png"
    shown = f"[![{name}]({picture})](gallery/{name}.ipynb)" if (HERE / picture).exists() else ""
    title = f"**[](gallery/{name}.ipynb)**"
    return f":::{{container}} card-of-gallery\n{shown}\n\n{title}\n\n{question}\n:::"


def _list_notebooks(app: Any, docname: str, source: list[str]) -> None:
    """Make cards of the gallery's table, and a table of contents of the notebooks."""
    if docname != "gallery":
        return
    there = {notebook.stem for notebook in (HERE / "gallery").glob("*.ipynb")}
    text = source[0]
    rows = [row for row in _ROW.finditer(text) if row[1] in there]
    cards = "\n".join(_card(row[1], row[2]) for row in rows)
    table = re.compile(r"^\| notebook.*\n\|[-|]+\n(\|.*\n)+", re.MULTILINE)
    text = table.sub(lambda _: f"::::{{container}} gallery\n{cards}\n::::\n", text)
    listed = [row[1] for row in rows]
    entries = [f"gallery/{name}" for name in [*listed, *sorted(there - set(listed))]]
    source[0] = text.replace("NOTEBOOKS", "\n".join(entries))


_copy_notebooks()
_copy_benchmarks()

# -- API -------------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"
smartquotes = False
# Single backquotes in docstrings name Python objects; what is none stays as it is.
default_role = "py:obj"
highlight_language = "none"  # formulas; code says that it is Python
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
add_module_names = False

# -- HTML ------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "sm_alsgls"
html_static_path = ["_static"]
html_css_files = ["sm_alsgls.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars: dict[str, list[str]] = {"index": [], "changelog": []}


# Of these, users are given objects, and make none: how they are made is not shown.
_RETURNED = re.compile(
    r"sm_alsgls\.(LowRank\w+Results|RankSelection|results\.|simulate\.|diagnostics\.|data\.)"
)


def _public_signature(*arguments: Any) -> tuple[str | None, str | None]:
    """Without arguments that begin with an underscore; none, of what nobody makes."""
    _, what, name, *_, signature, returns = arguments
    if what == "class" and _RETURNED.match(name):
        return "", None
    return re.sub(r", _\w+=\w+", "", signature or "") or signature, returns


def _skip_fields(*arguments: Any) -> bool | None:
    """Fields of named tuples whose docstring is Python's, "Alias for field number 0"."""
    *_, value, _, _ = arguments
    return True if str(getattr(value, "__doc__", "")).startswith("Alias for field") else None


def setup(app: Any) -> None:
    """Of Sphinx."""
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-process-signature", _public_signature)
    app.connect("source-read", _links_to_benchmarks)
    app.connect("source-read", _list_notebooks)
    app.connect("env-get-outdated", lambda *_: ["gallery"])  # it looks at what notebooks there are
