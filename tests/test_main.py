"""The command line: every input, every complaint, and files that agree with the API."""

import csv
import gzip
import importlib
import io
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import (
    LowRank3SLS,
    LowRankMixedLM,
    LowRankPanel,
    LowRankSUR,
    __main__,
    __version__,
    progress,
)
from sm_alsgls.__main__ import main
from sm_alsgls.command_line.reading import separator_of
from sm_alsgls.datasets import load_grunfeld, load_klein
from sm_alsgls.exceptions import WeakInstrumentWarning

FORMULA = "invest ~ value + capital"
PANEL = ["--formula", FORMULA, "--groups", "firm", "--time", "year", "--rank", "2"]
FILES = ["loadings.csv", "params.csv", "summary.html", "summary.txt", "trace.csv"]


@pytest.fixture(scope="module")
def data():
    return load_grunfeld()


@pytest.fixture(scope="module")
def wide(data):
    table = data.pivot(index="year", columns="firm", values=["invest", "value"])
    table.columns = [f"{what[:3]}_{firm.split()[-1].lower()}" for what, firm in table.columns]
    return table.reset_index()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR.from_formula(FORMULA, data, 2, groups="firm", time="year").fit(n_starts=2)


@pytest.fixture
def here(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    data.to_csv("g.csv", index=False)
    return tmp_path


def tree(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


def without_clock(text):
    return re.sub(r"\w{3}, \d\d \w{3} \d{4}|\d\d:\d\d:\d\d", "", text)


# ---- what it prints ----------------------------------------------------------------------------


def test_the_demo_prints_summary_and_trace(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    full = LowRankSUR.from_formula(FORMULA, load_grunfeld(), 2, groups="firm", time="year").fit()
    opening, out = out.split("\n", 1)
    assert opening.startswith("A demo, of 11 US firms")
    summary, trace = out.split(" " * 10 + "Trace of the winning start")
    assert without_clock(str(full.summary())).split() == without_clock(summary).split()
    rows = [line.split() for line in trace.splitlines() if re.match(r" +\d+ ", line)]
    assert [int(row[0]) for row in rows] == list(full.trace.index)
    np.testing.assert_allclose([float(row[1]) for row in rows], full.trace["nll"], atol=1e-8)
    steps = ["" if i == 0 else "accepted" if t else "rejected" for i, t in
             enumerate(full.trace["accept_t"])]  # fmt: skip
    assert [next((w for w in row if w.endswith("ed")), "") for row in rows] == steps
    assert [int(row[-5]) for row in rows] == list(full.trace["cg_iterations"])
    assert max(len(line) for line in trace.splitlines()) < 100
    assert err == ""


def test_a_line_per_sweep_on_stderr(here, capsys, data):
    seen = []
    model = LowRankSUR.from_formula(FORMULA, data, 2, groups="firm", time="year")
    model.fit(n_starts=3, rng=5, callback=lambda s: seen.append(s))
    assert main(["g.csv", *PANEL, "--n-starts", "3", "--seed", "5"]) == 0
    heading, *lines = capsys.readouterr().err.splitlines()
    assert heading.split()[:2] == ["start", "sweep"]
    assert [int(line.split()[1]) for line in lines] == [s.sweep for s in seen]
    assert [int(line.split()[0]) for line in lines] == list(np.cumsum([s.sweep == 0 for s in seen]))
    np.testing.assert_allclose([float(x.split()[2]) for x in lines], [s.nll for s in seen], 1e-8)


def test_lines_or_a_bar_and_quietly_neither(here, capsys, monkeypatch):
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    mixed = ["mixed", "g.csv", "--formula", "invest ~ value", "--groups", "firm", "--rank", "full"]
    assert main(["g.csv", *PANEL]) == 0
    said = capsys.readouterr().err
    assert said.startswith("start sweep")
    assert "starts: " not in said
    assert main(mixed) == 0
    assert capsys.readouterr().err.startswith("starts: ")
    for quiet in (["g.csv", *PANEL], mixed):
        assert main([*quiet, "--quiet"]) == 0
        assert capsys.readouterr().err == ""


def test_quiet(here, capsys):
    assert main(["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--out", "o"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("asked", [["IBM", "US Steel"], ["all"]])
def test_equations(here, capsys, asked):
    assert main(["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--equations", *asked]) == 0
    titles = re.findall(r"Equation: (.+?) *\n", capsys.readouterr().out)
    assert titles == asked if asked != ["all"] else len(titles) == 11


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sm_alsgls {__version__}\n"
    assert main(["--help"]) == 0
    assert "--groups COLUMN" in capsys.readouterr().out


# ---- what it reads and writes ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "D.CSV", "d.parquet", "index.parquet",
                                  "d.dta"])  # fmt: skip
def test_inputs_and_outputs(here, capsys, data, res, name):
    if name == "index.parquet":
        data.set_index(["firm", "year"]).to_parquet(name)
    elif name.endswith("parquet"):
        data.to_parquet(name)
    elif name.endswith("dta"):
        data.assign(firm=data["firm"].astype("category")).to_stata(name, write_index=False)
    else:
        data.to_csv(name, index=False)
    assert main([name, *PANEL, "--n-starts", "2", "--out", "a/b"]) == 0
    out, err = capsys.readouterr()
    assert "wrote params.csv, " in err.splitlines()[-1]
    assert sorted(os.listdir("a/b")) == FILES
    assert tree(here) == sorted(["g.csv", name, "a", "a/b", *(f"a/b/{f}" for f in FILES)])

    params = pd.read_csv("a/b/params.csv")
    expected = {
        "coef": res.params, "std_err": res.bse, "t": res.tvalues, "p": res.pvalues,
        "ci_low": res.conf_int().iloc[:, 0], "ci_high": res.conf_int().iloc[:, 1],
    }  # fmt: skip
    assert list(params) == ["equation", "variable", *expected]
    assert list(params["equation"] + "_" + params["variable"]) == list(res.params.index)
    for column, values in expected.items():
        # Stata and Parquet hold the same doubles as the CSV, so only summation order may differ.
        np.testing.assert_allclose(params[column], values, rtol=1e-9)

    loadings = pd.read_csv("a/b/loadings.csv", index_col="equation")
    assert list(loadings) == ["factor1", "factor2", "uniqueness", "communality"]
    np.testing.assert_allclose(loadings.iloc[:, :2], res.loadings, rtol=1e-7)
    np.testing.assert_allclose(loadings["uniqueness"], res.uniquenesses, rtol=1e-7)
    np.testing.assert_allclose(loadings["communality"], res.communalities, rtol=1e-7)

    trace = pd.read_csv("a/b/trace.csv", index_col="sweep")
    pd.testing.assert_frame_equal(trace.drop(columns="seconds"), res.trace.drop(columns="seconds"))

    text, html = Path("a/b/summary.txt").read_text(), Path("a/b/summary.html").read_text()
    assert text == out
    assert without_clock(text) == without_clock(str(res.summary()) + "\n")
    assert without_clock(html) == without_clock(res.summary().as_html() + "\n")


def test_files_hold_full_precision(here, res):
    assert main(["g.csv", *PANEL, "--n-starts", "2", "--quiet", "--out", "o"]) == 0
    with open("o/params.csv", encoding="utf-8", newline="") as file:  # pandas reads to 1 ulp
        coefs = [float(row["coef"]) for row in csv.DictReader(file)]
    np.testing.assert_array_equal(coefs, res.params)


def test_plain_ml(here, data):
    assert main(["g.csv", *PANEL, "--n-starts", "2", "--plain-ml", "--quiet", "--out", "o"]) == 0
    model = LowRankSUR.from_formula(FORMULA, data, 2, groups="firm", time="year")
    plain = model.fit(n_starts=2, debiased=False)
    np.testing.assert_allclose(pd.read_csv("o/params.csv")["std_err"], plain.bse, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--formula", "inv_ibm ~ val_ibm", "--formula", "inv_oil ~ 1"], ["inv_ibm", "inv_oil"]),
        (["--formula", "{I: inv_ibm ~ val_ibm} {G: inv_oil ~ val_oil}"], ["I", "G"]),
        (["--formula", "inv_ibm + inv_oil + inv_motors ~ year"], ["inv_ibm", "inv_oil",
                                                                  "inv_motors"]),
        (["--formula", "np.log(inv_ibm) ~ np.log(val_ibm)"], ["np.log(inv_ibm)"]),
    ],
)  # fmt: skip
def test_formula_forms(here, wide, arguments, names):
    wide.to_csv("w.csv", index=False)
    assert main(["w.csv", *arguments, "--rank", "auto", "--quiet", "--out", "o"]) == 0
    assert list(pd.read_csv("o/loadings.csv")["equation"]) == names


def test_an_existing_directory_keeps_its_other_files(here, capsys):
    out = here / "o"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (out / "params.csv").write_text("old")
    call = ["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--out", "o"]
    assert main(call) == 2
    assert (out / "params.csv").read_text() == "old"
    assert "params.csv already; give another directory, or --force" in capsys.readouterr().err
    assert main([*call, "--force"]) == 0
    assert tree(out) == sorted([*FILES, "mine.txt"])
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "params.csv").read_text().startswith("equation,variable,coef")


@pytest.mark.parametrize(("existing", "failing"), [(False, 0), (True, 0), (True, 3)])
def test_a_failure_while_writing_leaves_what_was_there(
    here, capsys, monkeypatch, existing, failing
):
    if existing:
        Path("o").mkdir()
        Path("o/trace.csv").write_text("old")
    before = tree(here)
    replace, calls = os.replace, []

    def fail(source, target):
        if Path(source).parent.name == "new":
            calls.append(target)
            if len(calls) > failing:
                raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    call = ["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--out", "o", "--force"]
    assert main(call) == 2
    assert tree(here) == before
    assert not existing or Path("o/trace.csv").read_text() == "old"
    assert "No space left on device; nothing written" in capsys.readouterr().err


# ---- what it refuses ---------------------------------------------------------------------------


def make_files(here, data):
    data.iloc[:-3].to_csv("unbalanced.csv", index=False)
    data.assign(value=data["value"].where(data.index != 30)).to_csv("nan.csv", index=False)
    data.head(0).to_csv("header.csv", index=False)
    Path("empty.csv").touch()
    for name in ("broken.parquet", "broken.dta", "broken.csv.gz", "broken.csv"):
        Path(name).write_bytes(bytes(range(128, 256)))
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    Path("d.sav").touch()
    Path("folder.csv").mkdir()
    Path("blocked").mkdir()
    Path("blocked/summary.txt").mkdir()


def on(name, *more):
    return [name, *PANEL, *more]


BAD = {
    "no formula": (["g.csv"], "DATA needs a formula"),
    "no data": (["--formula", FORMULA], "--formula needs a data file"),
    "groups without data": (["--groups", "firm"], "--groups needs a data file"),
    "missing file": (on("nowhere.csv"), "nowhere.csv: does not exist"),
    "directory": (on("folder.csv"), "folder.csv: is a directory"),
    "unknown suffix": (on("d.sav"), "unknown kind of file '.sav'; DATA must end in .csv"),
    "empty file": (on("empty.csv"), "empty.csv: cannot be read as .csv"),
    "header only": (on("header.csv"), "header.csv: holds no rows"),
    "ragged": (on("ragged.csv"), "Expected 2 fields in line 3, saw 3"),
    "not UTF-8": (on("broken.csv"), "broken.csv: cannot be read as .csv"),
    "broken gz": (on("broken.csv.gz"), "broken.csv.gz: cannot be read as .csv.gz"),
    "broken parquet": (on("broken.parquet"), "broken.parquet: cannot be read as .parquet"),
    "broken dta": (on("broken.dta"), "broken.dta: cannot be read as .dta"),
    "unknown variable": (["g.csv", "--formula", "invest ~ valu"], "did you mean 'value'?"),
    "module's names": (["g.csv", "--formula", "invest ~ argparse"], "unknown variables"),
    "no left side": (["g.csv", "--formula", "~ value"], "no left side"),
    "syntax": (["g.csv", "--formula", "invest ~ value + ("], "fails"),
    "no such group": (["g.csv", "--formula", FORMULA, "--groups", "frim"], "did you mean 'firm'?"),
    "time alone": (["g.csv", "--formula", FORMULA, "--time", "year"], "needs groups"),
    "unbalanced": (on("unbalanced.csv", "--missing", "drop"), "American Steel (3 absent"),
    "NaN": (on("nan.csv", "--missing", "drop"), "The panel is not balanced"),
    "NaN, raise": (on("nan.csv", "--missing", "raise"), "missing values in value"),
    "illegal rank": (on("g.csv", "--rank", "7"), "largest legal rank is 6"),
    "negative rank": (on("g.csv", "--rank", "-1"), "whole number >= 0, got -1"),
    "rank": (on("g.csv", "--rank", "2.0"), "a whole number, full or auto, got '2.0'"),
    "dependent": (["g.csv", "--formula", "invest ~ value + I(2 * value)", "--groups", "firm"],
                  "linearly dependent"),
    "n_starts": (on("g.csv", "--n-starts", "0"), "n_starts must be"),
    "seed": (on("g.csv", "--seed", "-1"), "--seed: expected a whole number"),
    "gtol": (on("g.csv", "--gtol", "nan"), "gtol must be positive"),
    "huge gtol": (on("g.csv", "--gtol", "1e300"), "gtol must be positive and at most 1"),
    "device": (on(os.devnull), f"{os.devnull}: is no file on a disk; DATA must be a file"),
    "gtol text": (on("g.csv", "--gtol", "tiny"), "--gtol: invalid float value: 'tiny'"),
    "max_sweeps": (on("g.csv", "--max-sweeps", "0"), "max_sweeps"),
    "missing": (on("g.csv", "--missing", "fill"), "--missing: invalid choice: 'fill'"),
    "equation": (on("g.csv", "--equations", "IBN"), "no equation is called 'IBN' (did you mean"),
    "cluster of nothing": (on("g.csv", "--cluster", "year"), "are of a --cov-type"),
    "cov_type": (on("g.csv", "--cov-type", "HC9"), "cov_type"),
    "weights": (on("g.csv", "--weights", "captal"), "captal"),
    "sheet of text": (on("g.csv", "--sheet", "a"), "--sheet is for Excel, and g.csv is .csv"),
    "decimal": (on("g.csv", "--decimal", ",,"), "--decimal must be one character"),
    "panel of two formulas": (["panel", *on("g.csv", "--formula", "value ~ 1")], "unrecognized"),
    "panel, two": (["panel", "g.csv", "--formula", FORMULA, "--formula", "value ~ 1"],
                   "panel takes one --formula, got 2"),
    "mixed without data": (["mixed", "--formula", FORMULA], "mixed needs a data file"),
    "mixed, equations": (["mixed", *on("g.csv", "--equations", "IBM")], "unrecognized"),
    "option": (on("g.csv", "--ranks", "2"), "unrecognized arguments: --ranks 2"),
    "abbreviation": (on("g.csv", "--form", "y ~ x"), "unrecognized arguments: --form"),
    "out is a file": (on("g.csv", "--out", "g.csv"), "--out g.csv: g.csv is not a directory"),
    "out below a file": (on("g.csv", "--out", "g.csv/o/p"), "g.csv is not a directory"),
    "out holds a directory of that name": (on("g.csv", "--out", "blocked", "--force"),
                                           "summary.txt is a dir"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_one_line_for_bad_input(here, capsys, data, case):
    arguments, words = BAD[case]
    make_files(here, data)
    before = tree(here)
    limits = [] if "--n-starts" in arguments else ["--n-starts", "1"]
    writes = [] if "--out" in arguments else ["--out", "o/p"]
    assert main([*arguments, *limits, *writes, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"sm_alsgls: error: [^\n]+\n", err)
    assert words in err
    assert "Traceback" not in err
    assert tree(here) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_directory_that_cannot_be_written_to(here, capsys):
    Path("locked").mkdir(mode=0o500)
    assert main([*on("g.csv"), "--quiet", "--out", "locked/o"]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_parquet_without_pyarrow(here, capsys, monkeypatch, data):
    data.to_parquet("d.parquet")

    def absent(*_, **__):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", absent)
    assert main(on("d.parquet")) == 2
    assert capsys.readouterr().err.endswith("needs pyarrow; install it with: pip install pyarrow\n")


# ---- how it ends -------------------------------------------------------------------------------


def test_not_converged_is_a_warning_and_still_written(here, capsys):
    assert (
        main([*on("g.csv"), "--max-sweeps", "2", "--n-starts", "1", "--quiet", "--out", "o"]) == 0
    )
    out, err = capsys.readouterr()
    assert re.fullmatch(r"sm_alsgls: warning: LowRankSUR did not converge: [^\n]+\n", err)
    assert re.search(r"Converged: +NO", out)
    assert sorted(os.listdir("o")) == FILES


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (MemoryError, 2)])
def test_interruptions_leave_nothing(here, capsys, monkeypatch, error, status):
    def stop(*_, **__):
        raise error

    monkeypatch.setattr(LowRankSUR, "fit", stop)
    assert main([*on("g.csv"), "--out", "o"]) == status
    assert capsys.readouterr().err.count("\n") == 1
    assert tree(here) == ["g.csv"]


def python(*arguments, **how):
    root = Path(__main__.__file__).parents[1]
    command = [sys.executable, "-m", "sm_alsgls", *arguments]
    env = os.environ | {
        "PYTHONPATH": str(root),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "",
    }
    return subprocess.Popen(command, **{"env": env, "stdout": -1, "stderr": -1, **how})


@pytest.mark.slow
def test_as_a_program_with_its_status_though_messages_cannot_be_written(here, res):
    """To a device that is always full, where there is one; that they are said is shown above."""
    path = "/dev/full" if os.path.exists("/dev/full") else os.devnull
    with open(path, "w") as full:
        done = python(*on("g.csv"), "--n-starts", "2", "--out", "o", stderr=full)
        out, _ = done.communicate(timeout=120)
        assert done.returncode == 0
        assert without_clock(out.decode()) == without_clock(str(res.summary()) + "\n")
        assert sorted(os.listdir("o")) == FILES
        done = python("nowhere.csv", "--formula", "y ~ x", stderr=full)
        assert done.communicate(timeout=120)[0] == b""
        assert done.returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and signals")
@pytest.mark.slow
def test_a_reader_that_leaves_and_ctrl_c(here):
    done = python(*on("g.csv"), "--quiet", "--equations", "IBM")  # fits into a buffer
    done.stdout.close()
    assert done.wait(timeout=120) == 141
    assert done.stderr.read() == b""
    done.stderr.close()
    # A million starts never end by themselves. A shell's background job hands down SIGINT ignored.
    done = python(
        *on("g.csv"), "--n-starts", "1000000", "--out", "o",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    done.stderr.readline()
    done.send_signal(signal.SIGINT)
    out, err = done.communicate(timeout=120)
    assert (done.returncode, out) == (130, b"")
    assert err.endswith(b"sm_alsgls: interrupted\n")
    assert tree(here) == ["g.csv"]


def test_columns_that_no_formula_uses_cost_little(here, monkeypatch):
    looked = []
    isna = pd.Series.isna
    monkeypatch.setattr(pd.Series, "isna", lambda self: looked.append(1) or isna(self))
    rng = np.random.default_rng(0)
    columns = ["y1", "y2", "y3", "x", *(f"c{i}" for i in range(3000))]
    frame = pd.DataFrame(rng.standard_normal((20, len(columns))), columns=columns)
    frame.to_csv("wide.csv", index=False)
    assert main(["wide.csv", "--formula", "y1 + y2 + y3 ~ x", "--quiet", "--n-starts", "1"]) == 0
    assert len(looked) < 100


# ---- kinds of files ----------------------------------------------------------------------------


def coefficients(directory="o"):
    return pd.read_csv(Path(directory, "params.csv"))["coef"]


@pytest.mark.parametrize(
    ("name", "separator", "said"),
    [
        ("d.csv", ";", "a semicolon"),
        ("d.csv", "\t", "a tab"),
        ("d.csv.gz", "|", "a bar"),
        ("d.tsv", "\t", "a tab"),
        ("d.txt", ",", None),
    ],
)
def test_separators_are_found_and_said(here, capsys, data, res, name, separator, said):
    # A comma within a name is no separator.
    data.assign(firm=data["firm"].replace("IBM", "IBM, Inc.")).to_csv(
        name, index=False, sep=separator
    )
    call = [name, *PANEL, "--n-starts", "2", "--out", "o"]
    assert main(call) == 0
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-7)
    err = capsys.readouterr().err
    assert (f"sm_alsgls: {name}: columns are separated by {said}\n" in err) == (said is not None)
    assert main([*call, "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b;c,d\n1,2\n3,4\n", ","),  # a name with semicolons: only commas split all lines alike
        ('a|b\n"1,2,3"|4\n', "|"),
        ("a,b\n1,2\n1,2,3\n", ","),  # ragged: pandas says where
        ("a\n1\n", ","),
        ("", ","),
    ],
)
def test_what_splits_every_line_alike(text, separator):
    assert separator_of(text) == separator


def test_decimal_commas(here, capsys, data, res):
    data.to_csv("d.csv", index=False, sep=";", decimal=",")
    call = ["d.csv", *PANEL, "--n-starts", "2", "--quiet", "--out", "o"]
    assert main(call) == 2
    assert "row" in capsys.readouterr().err
    assert main([*call, "--decimal", ","]) == 0
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-7)


def test_feather(here, data, res):
    data.to_feather("d.feather")
    assert main(["d.feather", *PANEL, "--n-starts", "2", "--quiet", "--out", "o"]) == 0
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-7)


@pytest.mark.parametrize("sheet", [None, "numbers", "2"])
def test_excel(here, capsys, data, res, sheet):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter("d.xlsx") as book:
        first = data if sheet is None else data.head(0)
        first.to_excel(book, sheet_name="notes", index=False)
        data.to_excel(book, sheet_name="numbers", index=False)
    call = ["d.xlsx", *PANEL, "--n-starts", "2", "--quiet", "--out", "o"]
    assert main([*call, *([] if sheet is None else ["--sheet", sheet])]) == 0
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-7)
    assert main([*call, "--sheet", "absent", "--force"]) == 2
    assert "Worksheet named 'absent' not found" in capsys.readouterr().err


def test_excel_without_openpyxl(here, capsys, monkeypatch):
    Path("d.xlsx").touch()

    def absent(*_, **__):
        raise ImportError("Missing optional dependency")

    monkeypatch.setattr(pd, "read_excel", absent)
    assert main(on("d.xlsx")) == 2
    assert capsys.readouterr().err.endswith("reading Excel needs openpyxl; install it with: pip "
                                            "install openpyxl\n")  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "gz", "parquet", "feather"])
def test_stdin(here, monkeypatch, data, res, kind):
    held = io.BytesIO()
    if kind == "csv":
        held.write(data.to_csv(index=False, sep=";").encode())
    elif kind == "gz":
        held.write(gzip.compress(data.to_csv(index=False).encode()))
    else:
        getattr(data, f"to_{kind}")(held)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(held.getvalue())))
    assert main(["-", *PANEL, "--n-starts", "2", "--quiet", "--out", "o"]) == 0
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-7)


def test_nothing_on_stdin(here, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(on("-")) == 2
    assert "error: stdin: cannot be read" in capsys.readouterr().err


# ---- options of models -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "cov_type", "kwds"),
    [
        (["--cov-type", "HC1"], "HC1", {}),
        (["--cov-type", "HAC", "--maxlags", "4"], "HAC", {"maxlags": 4}),
        (["--cov-type", "cluster", "--cluster", "decade"], "cluster", {"groups": "decade"}),
    ],
)
@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.CovarianceWarning")
def test_covariances(here, data, options, cov_type, kwds):
    data = data.assign(decade=data["year"] // 3)
    data.to_csv("g.csv", index=False)
    assert main(["g.csv", *PANEL, "--n-starts", "2", "--quiet", "--out", "o", *options]) == 0
    model = LowRankSUR.from_formula(FORMULA, data, 2, groups="firm", time="year")
    res = model.fit(n_starts=2, cov_type=cov_type, cov_kwds=kwds or None)
    np.testing.assert_allclose(pd.read_csv("o/params.csv")["std_err"], res.bse, rtol=1e-6)


def test_weights_common_and_ar(here, data):
    data = data[data["firm"].isin(["General Motors", "US Steel", "IBM"])].assign(
        w=1.0 / data["capital"]
    )
    data.to_csv("g.csv", index=False)
    panel = ["--formula", FORMULA, "--groups", "firm", "--time", "year", "--quiet"]
    call = ["g.csv", *panel, "--rank", "full", "--common", "value", "--weights", "w"]
    assert main([*call, "--out", "o"]) == 0
    res = LowRankSUR.from_formula(
        FORMULA, data, "full", groups="firm", time="year", common=["value"], weights="w"
    ).fit()
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-6)
    assert main(["g.csv", *panel, "--rank", "0", "--ar", "common", "--out", "ar"]) == 0
    res = LowRankSUR.from_formula(FORMULA, data, 0, groups="firm", time="year", ar="common").fit()
    np.testing.assert_allclose(coefficients("ar"), res.params, rtol=1e-5)


def test_panel(here, data):
    call = ["panel", "g.csv", "--formula", FORMULA, "--entity", "firm", "--time", "year"]
    call += ["--rank", "0", "--effects", "entity", "--cov-type", "pcse", "--quiet", "--out", "o"]
    assert main(call) == 0
    res = LowRankPanel.from_formula(
        FORMULA, data, 0, entity="firm", time="year", effects="entity"
    ).fit(cov_type="pcse")
    table = pd.read_csv("o/params.csv")
    np.testing.assert_allclose(table["coef"], res.params, rtol=1e-7)
    np.testing.assert_allclose(table["std_err"], res.bse, rtol=1e-7)


def test_3sls(here, capsys):
    klein = load_klein()
    klein.to_csv("k.csv", index=False)
    formulas = ["consump ~ wages + corpProfLag", "invest ~ corpProf + capitalLag"]
    exogenous = "~ govExp + taxes + govWage + trend + capitalLag + corpProfLag"
    call = ["3sls", "k.csv", *(x for f in formulas for x in ("--formula", f)), "--quiet"]
    call += ["--instruments", exogenous, "--rank", "full", "--method", "gmm", "--out", "o"]
    assert main(call) == 0
    assert "instruments are weak" in capsys.readouterr().err
    with pytest.warns(WeakInstrumentWarning):
        res = LowRank3SLS.from_formula(formulas, klein, "full", instruments=exogenous).fit("gmm")
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-9)
    assert sorted(os.listdir("o")) == [
        "first_stage.csv", "iterations.csv", "params.csv", "sigma.csv", "summary.html",
        "summary.txt",
    ]  # fmt: skip


def test_mixed(here, data):
    call = ["mixed", "g.csv", "--formula", FORMULA, "--groups", "firm", "--rank", "0", "--ml"]
    assert main([*call, "--quiet", "--out", "o"]) == 0
    res = LowRankMixedLM.from_formula(FORMULA, data, groups="firm", rank=0).fit(reml=False)
    np.testing.assert_allclose(coefficients(), res.params, rtol=1e-6)
    cov = pd.read_csv("o/cov_re.csv", index_col=0)
    np.testing.assert_allclose(cov, res.cov_re, rtol=1e-5)
    assert "random_effects.csv" in os.listdir("o")


@pytest.mark.parametrize("command", ["panel", "3sls", "mixed"])
def test_help_of_each(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"python -m sm_alsgls {command}" in capsys.readouterr().out


def test_help_says_that_formulas_are_run(capsys):
    assert main(["--help"]) == 0
    assert "A formula is Python code and is run" in capsys.readouterr().out


def test_the_console_script_is_the_program():
    root = Path(__main__.__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["sm-alsgls"].partition(":")
    assert getattr(importlib.import_module(module), name) is __main__.program
