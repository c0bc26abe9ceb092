"""The reference has every public member of results and models on one page, and once."""

import importlib
import re

import pytest

import sm_alsgls
from sm_alsgls.results.equation import EquationResults
from tests.pages import ROOT
from tests.results.test_shown import LISTED

DOCS = ROOT / "docs"
OF_EQUATION = "sm_alsgls.results.equation.EquationResults"
MODELS = [f"sm_alsgls.{name}" for name in ("LowRankSUR", "LowRankPanel", "LowRank3SLS")]
MODELS += [f"sm_alsgls.{name}" for name in ("LowRankMixedLM", "InteractivePanel", "CCEPanel")]
IN_TILES = [
    "sm_alsgls.models.many.ManySUR",
    "sm_alsgls.results.many.results.ManySURResults",
    "sm_alsgls.results.many.equation.ManyEquationResults",
]
RESULTS = {f"{model}Results": model for model in MODELS}
FITS = {
    "sm_alsgls.LowRankSURResults": ("sur", "full", "ar"),
    "sm_alsgls.LowRankPanelResults": ("panel", "effects"),
    "sm_alsgls.LowRank3SLSResults": ("3sls",),
    "sm_alsgls.LowRankMixedLMResults": ("mixed",),
    "sm_alsgls.InteractivePanelResults": ("fixed",),
    "sm_alsgls.CCEPanelResults": ("cce",),
}


@pytest.fixture
def topics(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    return importlib.import_module("topics")


@pytest.mark.parametrize("kind", [*MODELS, *RESULTS, OF_EQUATION, *IN_TILES])
def test_every_public_member_is_documented_once(kind, topics):
    entries = topics.read_entries()
    found = topics.entries_of(kind, entries)
    assert len(found) > 10 or kind == IN_TILES[0]
    assert {name: len(those) for name, those in found.items()} == dict.fromkeys(found, 1)
    listed = {entry.name for entry in entries if entry.kind == kind}
    assert not listed - set(found)


@pytest.mark.parametrize("kind", RESULTS)
def test_what_dir_lists_is_documented(kind, topics):
    found = topics.entries_of(kind, topics.read_entries())
    shown = set().union(*(LISTED[which] for which in FITS[kind]))
    assert not shown - set(found)


def test_a_new_member_is_missed(topics, monkeypatch):
    monkeypatch.setattr(EquationResults, "brand_new", property(lambda self: 0), raising=False)
    assert topics.entries_of(OF_EQUATION, topics.read_entries())["brand_new"] == []


def test_an_overriding_member_is_missed(topics, monkeypatch):
    """Otherwise a panel's own method would be described by that of systems."""
    own = property(lambda self: 0)
    monkeypatch.setattr(sm_alsgls.LowRankPanelResults, "bse", own, raising=False)
    found = topics.entries_of("sm_alsgls.LowRankPanelResults", topics.read_entries())
    assert found["bse"] == []


def test_every_page_of_the_reference_is_in_its_table_of_contents(topics):
    text = (DOCS / "api" / "index.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w[\w/]*)$", text, re.MULTILINE))
    pages = {
        str(path.relative_to(DOCS / "api").with_suffix(""))
        for path in (DOCS / "api").rglob("*.rst")
    }
    assert listed == pages - {"index"}


def test_the_source_of_a_member_is_where_it_is_written(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    written = importlib.import_module("written_where").written
    conf_int = written("sm_alsgls", "LowRankPanelResults.conf_int")
    assert conf_int == ("sm_alsgls.results.coefficients", "conf_int")
    nobs = written("sm_alsgls", "LowRankSURResults.nobs")
    assert nobs == ("sm_alsgls.results.coefficient", "CoefficientResults.nobs")
    assert written("sm_alsgls", "LowRankSUR.has_likelihood") is None


def test_the_search_has_a_pages_words_by_its_anchors(monkeypatch):
    pytest.importorskip("sphinx")
    from docutils.core import publish_doctree

    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    text_of = importlib.import_module("search_texts").text_of
    page = "One\n===\n\nA <b> *word*.\n\nTwo\n---\n\n.. raw:: html\n\n   <i>no</i>\n\n* x\n* y\n"
    tree = publish_doctree(page, settings_overrides={"doctitle_xform": False})
    assert text_of(tree) == (
        '<div id="one">One A &lt;b&gt; word. <div id="two">Two x y</div></div>'
    )
