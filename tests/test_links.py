"""Links of the repository's pages lead somewhere, and what checks them sees those that do not."""

import importlib
import sys

import pytest

from tests.pages import ROOT


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    yield importlib.import_module("check_links")
    sys.modules.pop("check_links", None)


def test_no_link_of_the_repository_is_broken(checks):
    links = checks.Links()
    checks.check_repository(links)
    assert links.checked > 200
    assert not links.broken, "\n".join(map(str, links.broken))


@pytest.fixture
def site(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">a</h1><a href="deep/other.html#there">b</a><a href="#top">c</a>'
        '<img src="picture.png"><a href="deep/">d</a><a href="mailto:a@b.org">e</a>'
        '<a href="https://example.org/a#b">f</a>'
    )
    (tmp_path / "deep" / "other.html").write_text('<a name="there" href="../index.html?q=1">b</a>')
    (tmp_path / "picture.png").write_bytes(b"")
    return tmp_path


def broken(checks, site):
    links = checks.Links()
    checks.check_built(site, links)
    return {(item.page, item.link, item.why) for item in links.broken}


def test_a_site_without_broken_links_passes(checks, site, capsys, monkeypatch):
    monkeypatch.setattr(checks, "ROOT", site)  # a repository without pages
    assert not broken(checks, site)
    assert checks.main([str(site)]) == 0
    assert "0 broken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("deep/none.html", "no such file"),
        ("deep/other.html#none", "no such anchor"),
        ("#none", "no such anchor"),
        ("../elsewhere.html", "leads out"),
        ("deep/#there", "an anchor in a directory"),
        ("https://", "no host: ''"),
        ("http://localhost/x", "no host: 'localhost'"),
        ("https://example.org/a b", "a space in it"),
        ("file:///tmp/a", "what is file:?"),
    ],
)
def test_a_broken_link_is_found(checks, site, link, why):
    page = site / "deep" / "more.html"
    page.write_text(f'<a href="{"" if link[0] == "#" else "../"}{link}">x</a>')
    if "://" in link:
        page.write_text(f'<a href="{link}">x</a>')
    ((where, said, reason),) = broken(checks, site)
    assert (where, reason) == ("deep/more.html", why)
    assert said.endswith(link)


def test_a_picture_that_is_not_there_is_found(checks, site, capsys):
    (site / "picture.png").unlink()
    assert broken(checks, site) == {("index.html", "picture.png", "no such file")}
    assert checks.main([str(site)]) == 1
    assert "picture.png" in capsys.readouterr().out


def test_nothing_to_check_is_no_success(checks, tmp_path):
    assert checks.main([str(tmp_path)]) == 1


def test_headings_and_links_of_markdown_are_read_as_a_viewer_reads_them(
    checks, tmp_path, monkeypatch
):
    (tmp_path / "a.md").write_text(
        "# One `two` - three\n\n## Again\n\n## Again\n\n(named)=\n"
        "[a](#one-two---three) [b](#again-1) [c](b.md#x) ![d](d.png) `[e](e.md)` [f]( f.md )\n"
        "```\n[g](g.md)\n```\n[h](#named) [i](https://example.org) <https://example.org/j>\n"
    )
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    links = checks.Links()
    checks.check_repository(links)
    assert {item.link for item in links.broken} == {"b.md#x", "d.png"}
    assert set(links.external) == {"https://example.org", "https://example.org/j"}


def test_every_card_of_the_gallery_has_a_picture_and_is_small():
    thumbnails = ROOT / "docs" / "images" / "thumbnails"
    sizes = {path.stem: path.stat().st_size for path in thumbnails.glob("*.png")}
    assert set(sizes) == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert max(sizes.values()) < 60_000
    rows = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8").split("\n")
    assert {row.split("`")[1] for row in rows if row.startswith("| `")} == set(sizes)
