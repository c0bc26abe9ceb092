"""Links that lead nowhere: of the repository's own pages, and of the built ones.

    python docs/check_links.py                      README.md, docs/**/*.md, notebooks/*.ipynb ...
    python docs/check_links.py docs/_build/html     the same, and every page that Sphinx wrote
    python docs/check_links.py --external [built]   the addresses elsewhere, a line each

A link is right if its file is there and, with ``#anchor``, something in that file has this name.
Addresses elsewhere are not asked: it is checked that they are whole. Nothing is fetched and
nothing but Python is needed; the exit code is 1 if anything is broken.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
# Copies that docs/conf.py makes, and what it builds: their originals are checked.
_MADE = {"_build", "gallery", "benchmarks", "jupyter_execute"}
_ATTRIBUTES = ("href", "src", "data-src", "poster")
_OTHERS = ("mailto", "data", "javascript", "blob", "about")


@dataclass(frozen=True)
class Broken:
    """A link that leads nowhere."""

    page: str
    link: str
    why: str

    def __str__(self) -> str:
        return f"{self.page}: {self.link} ({self.why})"


@dataclass
class Links:
    """What was found."""

    broken: list[Broken] = field(default_factory=list)
    external: dict[str, set[str]] = field(default_factory=dict)
    checked: int = 0


def whole(link: str) -> str | None:
    """What is wrong with an address elsewhere; None if nothing is seen."""
    try:
        parts = urlsplit(link)
    except ValueError as error:
        return str(error)
    host = parts.hostname or ""
    if not re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", host):
        return f"no host: {host!r}"
    return "a space in it" if re.search(r"\s", link) else None


# -- built pages -----------------------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value is None:
                continue
            if key == "id" or (key == "name" and tag == "a"):
                self.names.add(value)
            elif key in _ATTRIBUTES:
                self.links.append(value)


@cache
def read_html(path: Path) -> _Page:
    """Names and links of a built page."""
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def check_built(site: Path, links: Links) -> None:
    """All pages below a directory; nothing outside of it counts as there."""
    site = site.resolve()
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.relative_to(site).parts:
            continue  # the theme's own
        here = str(path.relative_to(site))
        for link in sorted(set(read_html(path).links)):
            _check(link, here, path, site, links, _html_names)


def _html_names(path: Path) -> set[str] | None:
    return read_html(path).names if path.suffix == ".html" else None


# -- the repository's pages ------------------------------------------------------------------------


def markdown_text(path: Path) -> str:
    """A page's words: Markdown, or the Markdown cells of a notebook; code is left out."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        told = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(source) for source in told)
    text = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", text)


def _slug(heading: str) -> str:
    """The anchor that GitHub and myst give a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().replace("`", "")
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")


def _markdown_names(path: Path) -> set[str] | None:
    if path.suffix not in (".md", ".ipynb"):
        return None
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else markdown_text(path)
    counted: dict[str, int] = {}
    names = set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        slug = _slug(heading)
        counted[slug] = counted.get(slug, -1) + 1
        names.add(slug if not counted[slug] else f"{slug}-{counted[slug]}")
    return names


def markdown_pages() -> Iterator[Path]:
    """Pages that a reader of the repository sees."""
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "benchmarks").glob("*.md"))
    yield from sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in sorted((ROOT / "docs").rglob("*.md")):
        if path.relative_to(ROOT / "docs").parts[0] not in _MADE:
            yield path


def check_repository(links: Links) -> None:
    """Links of Markdown and notebooks, as they are in the repository."""
    for path in markdown_pages():
        here, text = str(path.relative_to(ROOT)), markdown_text(path)
        found = re.findall(r"\]\(<?([^()\s>]+(?:\([^()\s]*\))?[^()\s>]*)>?(?: \"[^\"]*\")?\)", text)
        found += re.findall(r"^\[[^\]]+\]: +(\S+)", text, re.MULTILINE)
        found += re.findall(r"<(https?://[^>\s]+)>", text)
        for link in sorted(set(found)):
            _check(_in_repository(link), here, path, ROOT, links, _markdown_names)


def _in_repository(link: str) -> str:
    """docs/gallery/ is made of notebooks/ when pages are built."""
    return re.sub(r"^((?:\.\./)?)gallery/(\w+)\.ipynb", r"\1../notebooks/\2.ipynb", link)


# -- either ----------------------------------------------------------------------------------------


def _check(link: str, here: str, path: Path, top: Path, links: Links, names_of: object) -> None:
    links.checked += 1
    scheme = urlsplit(link).scheme if not re.match(r"https?:", link) else "http"
    if scheme == "http" or link.startswith("//"):
        links.external.setdefault(link, set()).add(here)
        why = whole(link)
    elif scheme in _OTHERS:
        why = None
    elif scheme:
        why = f"what is {scheme}:?"
    else:
        why = _missing(link, path, top, names_of)
    if why is not None:
        links.broken.append(Broken(here, link, why))


def _missing(link: str, path: Path, top: Path, names_of: object) -> str | None:
    """What is not there of a link within."""
    assert callable(names_of)
    file, _, anchor = link.partition("#")
    target = path if not file else (path.parent / unquote(file.partition("?")[0])).resolve()
    if not target.is_relative_to(top):
        return "leads out"
    if not target.exists():
        return "no such file"
    if target.is_dir():
        return None if not anchor else "an anchor in a directory"
    names = names_of(target)
    known = names is None or not anchor or {anchor, unquote(anchor)} & names
    return None if known else "no such anchor"


def main(arguments: list[str]) -> int:
    """Check, print, and return the exit code."""
    links = Links()
    check_repository(links)
    sites = [Path(argument) for argument in arguments if argument != "--external"]
    for site in sites:
        if not any(site.rglob("*.html")):
            print(f"{site}: no pages; build them first")
            return 1
        check_built(site, links)
    if "--external" in arguments:
        for link, pages in sorted(links.external.items()):
            print(f"{link}  {min(pages)}" + (f" and {len(pages) - 1} more" * (len(pages) > 1)))
    for broken in links.broken:
        print(broken)
    print(f"{links.checked} links, {len(links.external)} elsewhere, {len(links.broken)} broken")
    return int(bool(links.broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
