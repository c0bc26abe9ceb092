"""The command line: every input, every complaint, and files that agree with the API."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR, __main__, __version__
from sm_alsgls.__main__ import main
from sm_alsgls.datasets import load_grunfeld

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


def test_an_existing_directory_keeps_its_other_files(here):
    out = here / "o"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (out / "params.csv").write_text("old")
    assert main(["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--out", "o"]) == 0
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
    assert main(["g.csv", *PANEL, "--n-starts", "1", "--quiet", "--out", "o"]) == 2
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
    Path("d.xlsx").touch()
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
    "unknown suffix": (on("d.xlsx"), "unknown kind of file '.xlsx'; DATA must end in .csv"),
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
    "option": (on("g.csv", "--ranks", "2"), "unrecognized arguments: --ranks 2"),
    "abbreviation": (on("g.csv", "--form", "y ~ x"), "unrecognized arguments: --form"),
    "out is a file": (on("g.csv", "--out", "g.csv"), "--out g.csv: g.csv is not a directory"),
    "out below a file": (on("g.csv", "--out", "g.csv/o/p"), "g.csv is not a directory"),
    "out holds a directory of that name": (on("g.csv", "--out", "blocked"), "summary.txt is a dir"),
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

    monkeypatch.setattr(__main__.pd, "read_parquet", absent)
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


def test_as_a_program(here, res):
    done = python(*on("g.csv"), "--n-starts", "2", "--out", "o")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err.decode()
    assert without_clock(out.decode()) == without_clock(str(res.summary()) + "\n")
    assert sorted(os.listdir("o")) == FILES
    done = python("nowhere.csv", "--formula", "y ~ x")
    out, err = done.communicate(timeout=120)
    assert (done.returncode, out) == (2, b"")
    assert err.startswith(b"sm_alsgls: error: nowhere.csv: ")


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and signals")
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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_messages_that_cannot_be_written_leave_results_and_status(here, res):
    with open("/dev/full", "w") as full:
        done = python(*on("g.csv"), "--n-starts", "2", stderr=full)
        out, _ = done.communicate(timeout=120)
        assert done.returncode == 0
        assert without_clock(out.decode()) == without_clock(str(res.summary()) + "\n")
        done = python("nowhere.csv", "--formula", "y ~ x", stderr=full)
        assert done.communicate(timeout=120)[0] == b""
        assert done.returncode == 2


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
