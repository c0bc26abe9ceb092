"""What docs/ says is so: its code runs and prints what it shows, and it leaves nothing out."""

import dataclasses
import importlib
import inspect
import json
import re

import numpy as np
import pandas as pd
import pytest

import sm_alsgls
from sm_alsgls import LowRankSUR, datasets, diagnostics, exceptions
from sm_alsgls.__main__ import main
from sm_alsgls.core.options import ALSOptions
from tests.pages import ROOT, Page, ran

DOCS = ROOT / "docs"
MADE = {"_build", "gallery", "benchmarks"}  # by docs/conf.py
PAGES = sorted(
    path
    for pattern in ("*.md", "*.rst")
    for path in DOCS.rglob(pattern)
    if path.relative_to(DOCS).parts[0] not in MADE
)


def page_id(path):
    return str(path.relative_to(DOCS))


# Pages whose numbers are compared with those of other programs below.
COMPARED = {
    "guide/rr.md",
    *(f"migrate/{name}.md" for name in ("linearmodels", "lme4", "plm", "spreg", "systemfit")),
}


# Those of the textbook are run by tests/test_textbook.py, which compares what they make.
RUN = [p for p in PAGES if Page(p).blocks("python") and p.parent.name != "textbook"]


@pytest.mark.parametrize("path", RUN, ids=page_id)
def test_code_runs_and_prints_what_is_shown(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = page_id(path)
    assert not (ran(name)[1] if name in COMPARED else Page(path).run())


def test_a_page_that_shows_what_was_not_printed_fails(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("```python\nprint('a 1.000')\n```\n\n```text\na 1.001\nb\n```\n")
    assert Page(path).run() == ["b"]


@pytest.mark.parametrize("path", [p for p in PAGES if p.suffix == ".md"], ids=page_id)
def test_output_belongs_to_code(path):
    """A block of output without code before it would be checked against nothing."""
    languages = [language for language, _ in Page(path).blocks("python", "text")]
    assert not languages or languages[0] == "python"
    fences = re.findall(r"^```([^\n]*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    known = {"python", "text", "r", "stata", "sh", "{toctree}", "{eval-rst}", "{raw} html"}
    known.add("{include} ../CHANGELOG.md")
    assert set(fences[::2]) <= known


# -- the same example in other programs -----------------------------------------------------------


def test_linearmodels_has_the_same_numbers():
    page, _ = ran("migrate/linearmodels.md")
    ours, theirs = page.names["ours"], page.names["theirs"]
    np.testing.assert_allclose(ours.params, theirs.params, rtol=2e-5)
    # Theirs stops where parameters move by less than its tol, ours at the maximum.
    np.testing.assert_allclose(ours.bse, theirs.std_errors, rtol=1e-5)


def test_systemfits_numbers_are_the_stored_ones():
    path = DOCS / "migrate" / "systemfit.md"
    stored = pd.read_csv(ROOT / "tests" / "reference" / "grunfeld_systemfit.csv", comment="#")
    rows = re.findall(
        r"^\| (\S.*_\w+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", path.read_text(), re.MULTILINE
    )
    assert [row[0] for row in rows] == list(stored["firm"] + "_" + stored["variable"])
    shown = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_allclose(shown[:, :2], stored[["coef", "std_err"]], rtol=0, atol=5.1e-6)
    res = ran("migrate/systemfit.md")[0].names["res"]
    names = [row[0] for row in rows]
    np.testing.assert_allclose(shown[:, 2], res.params[names], rtol=0, atol=2e-5)
    np.testing.assert_allclose(shown[:, 3], res.bse[names], rtol=0, atol=2e-5)


def stored(name):
    """Values of a reference file by what they are of, in their order."""
    table = pd.read_csv(ROOT / "tests" / "reference" / f"{name}.csv", skipinitialspace=True)
    return {what: part["value"].to_numpy() for what, part in table.groupby("name", sort=False)}


def test_plms_numbers_are_those_of_its_page():
    (page, _), theirs = ran("migrate/plm.md"), stored("panel_gls_plm")
    ours = page.names
    for name in ("pooling", "within", "fd"):
        slopes = ours[name].params[: len(theirs[f"pggls.{name}.b"])]
        np.testing.assert_allclose(slopes, theirs[f"pggls.{name}.b"], rtol=1e-8)
        errors = ours[name].bse[: len(slopes)]
        np.testing.assert_allclose(errors, theirs[f"pggls.{name}.se"], rtol=1e-8)
    np.testing.assert_allclose(ours["beck_katz"].bse, theirs["pcse.se"], rtol=1e-8)
    np.testing.assert_allclose(ours["beck_katz"].params, theirs["pooling.b"], rtol=1e-8)
    factor = np.sqrt(20 / 17)
    np.testing.assert_allclose(ours["driscoll_kraay"].bse, factor * theirs["scc.se"], rtol=1e-8)
    np.testing.assert_allclose(ours["arellano"].bse, theirs["arellano.se"], rtol=1e-8)
    # Theirs stop where the likelihood is flat: it agrees to more digits than the coefficients.
    np.testing.assert_allclose(ours["random"].params, theirs["lme.b"], rtol=1e-5)
    np.testing.assert_allclose(ours["random"].llf, theirs["lme.llf"], rtol=1e-9)
    fits = {"ML": ours["ar"].fit(reml=False), "REML": ours["ar"].fit()}
    for method, fit in fits.items():
        rho = fit.ar["coef"].to_numpy()
        np.testing.assert_allclose(rho, theirs[f"ar.{method}.rho"], rtol=2e-5)
    np.testing.assert_allclose(fits["ML"].llf, theirs["ar.ML.llf"], rtol=1e-9)


def test_spregs_numbers_are_those_of_its_page():
    (page, _), theirs = ran("migrate/spreg.md"), stored("panel_spreg")
    for name, at in (("Panel_FE_Error", 0), ("Panel_FE_Lag", 0), ("Panel_RE_Lag", 1)):
        fit = page.names["fits"][name]
        found = [fit.params["x"], fit.spatial["coef"].iloc[0]]
        np.testing.assert_allclose(found, theirs[f"{name}.b"][at : at + 2], rtol=2e-6)
        # Beside a lag theirs are of the expected information, ours of the curvature.
        tight = 1e-5 if name == "Panel_FE_Error" else 2e-3
        np.testing.assert_allclose(fit.bse["x"], theirs[f"{name}.se"][at], rtol=tight)


def kept(name):
    """Fits of a reference file of mixed models."""
    return json.loads((ROOT / "tests" / "reference" / f"{name}.json").read_text(encoding="utf-8"))


def test_lme4s_numbers_are_those_of_its_page():
    page, _ = ran("migrate/lme4.md")
    ours, lme4, nlme = page.names, kept("mixed_lme4"), kept("mixed_nlme")
    tables = [line for line in page.text.splitlines() if line.startswith("| ")]
    said = set(re.findall(r"(?<![\w.])-?\d*\.\d+", "\n".join(tables)))

    def stands(*values):
        """Each is in a table, to as many digits as are there."""
        for value in values:
            rounded = {f"{value:.{digits}f}".replace("0.", ".", 1) for digits in range(3, 7)}
            rounded |= {f"{value:.{digits}f}" for digits in range(3, 7)}
            assert said & rounded, value

    theirs = lme4["sleepstudy slope REML"]
    np.testing.assert_allclose(ours["m"].llf, theirs["llf"], rtol=1e-10)
    np.testing.assert_allclose(ours["m"].params, theirs["fixef"], rtol=1e-6)
    np.testing.assert_allclose(ours["m"].bse, theirs["se"], rtol=1e-6)
    stands(theirs["llf"], *theirs["fixef"], *theirs["se"], theirs["sigma"])
    stands(*np.sqrt(np.diag(theirs["cov_re"])))

    theirs = lme4["orthodont interaction REML"]
    names = page.names["names"]
    for name, key, df in (
        ("satterthwaite", "satterthwaite", "df"),
        ("growth", "kenward_roger", "ddf"),
    ):
        one = ours[name].t_test(f"{names[2]} = 0")
        joint = ours[name].wald_test([f"{name} = 0" for name in names])
        np.testing.assert_allclose(float(one.df_denom), theirs[key][df][3], rtol=2e-4)
        np.testing.assert_allclose(float(joint.statistic), theirs[key]["joint"]["F"], rtol=1e-4)
        np.testing.assert_allclose(joint.df_denom, theirs[key]["joint"]["ddf"], rtol=2e-4)
        stands(theirs[key][df][3], theirs[key]["joint"]["F"], theirs[key]["joint"]["ddf"])
    stands(theirs["fixef"][3], theirs["se"][3], theirs["kenward_roger"]["se"][3])

    theirs = kept("mixed_cluster")["orthodont interaction few REML"]["CR2"]
    np.testing.assert_allclose(ours["test"].sd[0, 0], theirs["se"][3], rtol=1e-5)
    np.testing.assert_allclose(float(ours["test"].df_denom), theirs["df"][3], rtol=1e-4)
    stands(theirs["se"][3], theirs["df"][3])

    theirs = lme4["sleepstudy slope ML"]
    found = ours["ml"].conf_int_re()
    for side in ("lower", "upper"):
        wanted = dict(zip(theirs["profile"]["names"], theirs["profile"][side], strict=True))
        wanted = [value for name, value in wanted.items() if name[0] == "s" or name[0] == "c"]
        order = ["sd Group", "corr Group, Days", "sd Days", "sigma"]
        np.testing.assert_allclose(found.loc[order, side], wanted, rtol=5e-4)
    np.testing.assert_allclose(
        ours["ml"].r2(), [theirs["r2"]["marginal"], theirs["r2"]["conditional"]], rtol=1e-5
    )
    stands(theirs["r2"]["marginal"], theirs["r2"]["conditional"], theirs["r2"]["icc_adjusted"])

    theirs = nlme["orthodont levels REML"]
    np.testing.assert_allclose(ours["levels"].llf, theirs["llf"], rtol=1e-9)
    ratio = theirs["ratios"]["Male"]
    np.testing.assert_allclose(
        ours["levels"].residual_params.iloc[0], -2 * np.log(ratio), rtol=1e-4
    )
    stands(theirs["llf"], ratio)
    theirs = nlme["sleepstudy ar intercept REML"]
    np.testing.assert_allclose(ours["ar"].llf, theirs["llf"], rtol=1e-9)
    np.testing.assert_allclose(ours["ar"].residual_params.iloc[0], theirs["phi"], rtol=1e-5)
    stands(theirs["llf"], theirs["phi"], theirs["sigma"])


def test_glmmtmbs_numbers_are_those_of_its_page():
    (page, _), theirs = ran("guide/rr.md"), kept("mixed_rr")
    res, plain = page.names["res"], page.names["plain"]
    np.testing.assert_allclose(res.llf, theirs["llf"], rtol=1e-9)
    order = [f"{taxon}_{name}" for name in ("Intercept", "x") for taxon in page.names["taxa"]]
    # Theirs ends where steps change the likelihood little.
    np.testing.assert_allclose(res.params[order], theirs["b"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(plain.bse[order], theirs["se"], rtol=5e-5)
    np.testing.assert_allclose(np.asarray(res.sigma.to_dense()), theirs["sigma"], rtol=0, atol=1e-3)
    slope = f"| slope of t00 | {theirs['b'][30]:.6f} | {res.params['t00_x']:.6f} |"
    assert slope.replace("0.", ".") in page.path.read_text(encoding="utf-8")


# -- completeness ----------------------------------------------------------------------------------


def public(module):
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def test_every_public_name_is_in_the_reference():
    api = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").rglob("*.rst"))
    for name in sm_alsgls.__all__:
        assert f"sm_alsgls.{name}\n" in api, name
    for name in diagnostics.__all__:
        assert name in api, name
    for module in (datasets, exceptions):
        assert public(module)
        assert f".. automodule:: {module.__name__}\n   :members:\n" in api


def test_every_knob_warning_and_error_has_its_line():
    guide = (DOCS / "guide" / "tuning.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)`", guide))
    knobs = {field.name for field in dataclasses.fields(ALSOptions)}
    arguments = set(inspect.signature(LowRankSUR.fit).parameters) - {"self", "unknown"}
    arguments -= {"cov_type", "cov_kwds", "use_t"}  # guide/inference.md
    roots = {"AlsglsError", "SystemInputError", "AlsglsWarning"}
    assert not (knobs | arguments | set(public(exceptions)) - roots) - listed


def test_every_option_of_the_command_line_has_its_line(capsys):
    for command in ([], ["panel"], ["3sls"], ["mixed"]):
        assert main([*command, "--help"]) == 0
    usage = capsys.readouterr().out
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", usage))
    assert len(options) > 10
    page = (DOCS / "guide" / "command_line.md").read_text(encoding="utf-8")
    assert options == set(re.findall(r"`(--[a-z-]+)`", page))


@pytest.mark.parametrize(
    ("short", "braced"), [(r"\tfrac12 a", r"\tfrac{1}{2} a"), (r"\sqrt 2 a", r"\sqrt{2} a")]
)
def test_a_digit_without_braces_is_one_argument(short, braced, monkeypatch):
    """The converter of docutils took \\tfrac12 for 12 over what follows."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    to_mathml = importlib.import_module("mathml").to_mathml
    assert to_mathml(short, None, False) == to_mathml(braced, None, False)


# -- the guide -------------------------------------------------------------------------------------


def test_every_page_of_the_guide_has_its_line_and_its_place():
    index = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    words, _, _ = index.partition("```{toctree}")
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
    assert all(":caption: " in block for block in blocks)
    entries = re.findall(r"^(?:.*<)?([\w./]+)>?$", "\n".join(blocks), re.MULTILINE)
    pages = {page.stem for page in (DOCS / "guide").glob("*.md")} - {"index"}
    assert sorted(entries) == sorted(pages)  # once each; what is measured is not among them
    assert pages == set(re.findall(r"\]\((\w+)\.md\)", words))


def test_what_was_measured_for_choosing_is_on_its_page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = importlib.import_module("choosing")
    found = pd.read_csv(DOCS / "images" / "choosing.csv")
    page = (DOCS / "measured" / "choosing.md").read_text(encoding="utf-8")
    assert set(found["errors"]) == set(script.KINDS.values())
    for errors in script.KINDS.values():
        assert script.table(found, errors) in page
