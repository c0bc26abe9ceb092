"""What comes before numbers: text in them, other packages' formulas, code, forgotten groups."""

import io
import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.__main__ import main
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    FormulaError,
    NonFiniteError,
    NumberTextError,
    OneEquationWarning,
    SystemInputError,
)
from sm_alsgls.formula.build import build_system
from sm_alsgls.formula.panel_guess import guess_panel
from sm_alsgls.formula.replay import replay, replay_panel

PANEL = {"groups": "firm", "time": "year"}


@pytest.fixture
def data():
    return load_grunfeld()


# ---- numbers that are text -------------------------------------------------------------------


def spoilt(data, kind):
    value = data["value"]
    texts = {
        "a dot": value.map("{:.3f}".format).where(data.index != 17, "."),
        "a word among numbers": value.astype(object).where(data.index != 17, "n/a"),
        "decimal commas": value.map("{:.1f}".format).str.replace(".", ","),
        "one decimal comma": value.map("{:.1f}".format).where(data.index != 17, "3,5"),
        "thousands": value.map("{:,.2f}".format),
        "currency": value.map("${:.2f}".format),
        "percent": value.map("{:.1f} %".format),
    }
    return data.assign(value=texts[kind])


SPOILT = [
    ("a dot", r"'\.' in row 17\.", r"na_values=\['\.'\]"),
    ("a word among numbers", r"'n/a' in row 17\.", "errors='coerce'"),
    ("decimal commas", r"'3078,5' in row 0 \(and 219 more\)", "decimal=','"),
    ("one decimal comma", "'3,5' in row 17", "decimal=','"),
    ("thousands", "'3,078.50' in row 0", "thousands=','"),
    ("currency", r"'\$3078\.50' in row 0", "Take the signs off"),
    ("percent", "'3078.5 %' in row 0", "Take the signs off"),
]
FORMULAS = ["invest ~ value", "value ~ invest", "invest ~ np.log(value)", "invest ~ value:capital",
            'invest ~ Q("value")', "invest ~ lag(value)"]  # fmt: skip


# Each of both dtypes with every kind and with every formula.
@pytest.mark.parametrize(
    ("kind", "first", "hint", "formula", "dtype"),
    [
        (*spoiling, formula, (object, "string")[(i + j) % 2])
        for i, spoiling in enumerate(SPOILT)
        for j, formula in enumerate(FORMULAS)
    ],
)
def test_text_among_numbers_is_named(engine, data, kind, first, hint, formula, dtype):
    bad = spoilt(data, kind)
    if dtype == "string" and kind == "a word among numbers":
        bad["value"] = bad["value"].astype(str)
    bad["value"] = bad["value"].astype(dtype)
    before = bad.copy()
    with pytest.raises(NumberTextError, match=f"Column 'value' is text.*{first}.*{hint}"):
        build_system(formula, bad, **PANEL)
    pd.testing.assert_frame_equal(bad, before)


def test_text_that_is_meant(engine, data):
    data["code"] = data["firm"].map({firm: str(i) for i, firm in enumerate(data["firm"].unique())})
    data["mixed"] = data["code"].where(data["code"] != "3", "none")
    data["kind"] = data["code"].map(lambda code: f"k{code}" if code < "5" else "5")
    for term in ("code", "C(mixed)", "kind", "C(mixed):value", "firm"):
        build_system(f"invest ~ {term}", data)
    build_system("invest ~ value", data)  # other columns may hold what they like
    with pytest.raises(NumberTextError, match=r"'none' in row \d+ .*write C\(mixed\)"):
        build_system("invest ~ mixed", data)
    data["odd name"] = data["mixed"]
    with pytest.raises(NumberTextError, match=r"write C\(Q\('odd name'\)\)"):
        build_system('invest ~ Q("odd name")', data)


def test_text_among_times(engine, data):
    data["year"] = data["year"].astype(str).where(data.index != 3, "x")
    with pytest.raises(NumberTextError, match="'year' is text.*'x' in row 3"):
        build_system("invest ~ value", data, **PANEL)


def test_rows_are_called_by_their_labels(data):
    bad = spoilt(data, "a dot").set_axis([f"row {i}" for i in data.index])
    for term in ("value", "np.log(value)"):
        with pytest.raises(NumberTextError, match="'.' in row 'row 17'"):
            build_system(f"invest ~ {term}", bad, subset=slice("row 5", None))


def test_a_group_called_na(data):
    file = io.StringIO(data.replace({"firm": {"IBM": "NA"}}).to_csv(index=False))
    with pytest.raises(NonFiniteError, match="20 missing values.*keep_default_na=False"):
        build_system("invest ~ value", pd.read_csv(file), **PANEL)
    file.seek(0)
    kept = pd.read_csv(file, keep_default_na=False)
    assert "NA" in build_system("invest ~ value", kept, **PANEL).endog


def test_the_command_line_names_them_too(tmp_path, capsys, data):
    path = tmp_path / "g.csv"
    panel = ["--formula", "invest ~ value", "--groups", "firm", "--time", "year"]
    for kind, words in (("a dot", "'.' in row 17"), ("decimal commas", "decimal=','")):
        spoilt(data, kind).to_csv(path, index=False)
        assert main([str(path), *panel]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert words in err
        assert "mend DATA" in err


# ---- formulas of other packages --------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("invest ~ value | firm", r"'\|'.*C\(x\)"),
        ("invest ~ value | firm + year | capital ~ value", r"'\|'"),
        ("invest ~ 1 + [value ~ capital]", "instruments"),
        ("invest ~ 1 + value + EntityEffects", "intercept of its own"),
        ("invest ~ 1 + value + TimeEffects", "factors"),
        ("invest ~ L.value", r"lag\(x, 1\)"),
        ("invest ~ L2.value", r"lag\(x, 1\)"),
        ("invest ~ l(value, 1)", r"lag\(x, 1\)"),
    ],
)
def test_formulas_of_other_packages(engine, data, formula, words):
    with pytest.raises(FormulaError, match=words):
        build_system(formula, data, **PANEL)
    with pytest.raises(FormulaError, match=words):
        build_system({"a": formula, "b": "capital ~ 1"}, data)


@pytest.mark.parametrize("term", ["I((value > 9) | (capital > 9))", 'Q("a | b")'])
def test_bars_that_are_pythons(engine, data, term):
    data["a | b"] = data["value"]
    assert build_system(f"invest ~ {term}", data).exog[0].shape[1] == 2


@pytest.mark.parametrize("argument", ["groups", "time"])
def test_names_of_columns_that_are_none(data, argument):
    column = PANEL[argument]
    for value, words in (
        ([column], f"got a list; write {argument}='{column}'"),
        (data[column], f"got a Series; write {argument}='{column}'"),
        (["firm", "year"], r"one column of several, .*astype\(str\)"),
        (data[["firm", "year"]], "got a DataFrame; make one column"),
        ({1: 2}, "got a dict; put the values into a column"),
        (np.zeros((2, 2, 2)), "got a ndarray; put the values"),
        (3, "3 is not a column"),
    ):
        with pytest.raises(FormulaError, match=f"{argument}=.*{words}"):
            build_system("invest ~ value", data, **{**PANEL, argument: value})


@pytest.mark.parametrize(
    "formula",
    [
        "{a: invest ~ value} {b: capital ~ value}",
        "{a: invest ~ value}\n{b: capital ~ value}",
        " {a : invest ~ value}{b: capital ~ value} ",
    ],
)
def test_braces_of_linearmodels(engine, data, formula):
    system = build_system(formula, data)
    assert list(system.endog) == ["a", "b"]
    assert [list(X)[-1] for X in system.exog] == ["value", "value"]


# ---- code ------------------------------------------------------------------------------------

EXITS = ["exit()", "I(quit(3))", "I(__import__('sys').exit(0))", "stop(value)"]


def stop(x):
    raise SystemExit(0)


@pytest.mark.parametrize("term", EXITS)
def test_a_formula_does_not_end_the_process(engine, data, term, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # exit() closes it
    for formula, options in (
        (f"invest ~ {term}", PANEL),
        (f"{term} ~ value", PANEL),
        (f"invest ~ {term}", {}),
        ({"a": f"invest ~ {term}", "b": "capital ~ value"}, {}),
    ):
        with pytest.raises(FormulaError, match="asks to end the process"):
            LowRankSUR.from_formula(formula, data, **options)


def test_nor_do_new_data(engine, data):
    late = []

    def pause(x):
        if late:
            raise SystemExit
        return x

    wide = build_system(["invest ~ pause(value)", "capital ~ 1"], data)
    long = build_system("invest ~ pause(value)", data, **PANEL)
    late.append(True)
    with pytest.raises(FormulaError, match="asks to end the process"):
        replay(wide.specs, data)
    with pytest.raises(FormulaError, match="asks to end the process"):
        replay_panel(long.specs, data, "firm")


def test_ctrl_c_does(engine, data):
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_system("invest ~ interrupt(value)", data, scope={"interrupt": interrupt})


@pytest.mark.parametrize("formula", ["invest ~ exit()", "exit() ~ value", "invest ~ quit(0)"])
def test_the_command_line_says_that_nothing_was_done(tmp_path, capsys, data, formula, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    data.to_csv(tmp_path / "g.csv", index=False)
    out = tmp_path / "out"
    panel = ["--groups", "firm", "--time", "year", "--out", str(out)]
    assert main([str(tmp_path / "g.csv"), "--formula", formula, *panel]) == 2
    printed, err = capsys.readouterr()
    assert printed == ""
    assert err.startswith("sm_alsgls: error: ")
    assert err.count("\n") == 1
    assert not out.exists()


# ---- saved results ---------------------------------------------------------------------------


def test_loading_something_else(tmp_path, data):
    res = LowRankSUR.from_formula("invest ~ value", data, 0, **PANEL).fit()
    path = tmp_path / "r.pickle"
    res.save(path)
    for kind in (type(res), type(res._results)):
        assert kind.load(path).llf == res.llf
        assert kind.load(str(path)).predict(data).equals(res.predict(data))
    content = path.read_bytes()
    for bad, words in (
        (pickle.dumps({"llf": 1.0}), r"holds builtins\.dict, not results"),
        (pickle.dumps(res.model), "holds sm_alsgls.models.sur.LowRankSUR, not results"),
        (content[: len(content) // 2], "cannot be read as saved results"),
        (b"", "EOFError"),
        (b"a,b\n1,2\n", "cannot be read as saved results"),
        (content.replace(b"sm_alsgls.results.sur", b"sm_alsgls.results.sux"), "sux"),
    ):
        path.write_bytes(bad)
        for kind in (type(res), type(res._results)):
            with pytest.raises(SystemInputError, match=words) as caught:
                kind.load(path)
            assert "r.pickle" in str(caught.value)
    with pytest.raises(FileNotFoundError):
        type(res).load(tmp_path / "none.pickle")


# ---- one equation ----------------------------------------------------------------------------


def test_a_forgotten_groups(engine, data):
    with pytest.warns(OneEquationWarning, match="'invest'.*220 rows; did you mean groups='firm', "
                      "time='year'"):  # fmt: skip
        model = LowRankSUR.from_formula("invest ~ value + capital", data)
    assert model.neqs == 1


def test_one_equation_that_is_none(engine, data):
    ibm = data[data["firm"] == "IBM"]
    for formula in ("invest ~ value", {"a": "invest ~ value"}, ["invest ~ value"]):
        with pytest.warns(OneEquationWarning, match="this is OLS on 20 rows; a system has several"):
            LowRankSUR.from_formula(formula, ibm)
    with pytest.warns(OneEquationWarning, match="groups='firm' has one value"):
        LowRankSUR.from_formula("invest ~ value", ibm, **PANEL)
    chunks = iter([ibm.iloc[:9], ibm.iloc[9:]])
    with pytest.warns(OneEquationWarning, match="OLS on 20 rows"):
        LowRankSUR.from_formula("invest ~ value", chunks)


def test_the_warning_is_the_callers(data):
    with pytest.warns(OneEquationWarning) as seen:
        LowRankSUR.from_formula("invest ~ value", data)
    assert [w.filename for w in seen] == [__file__]


def test_columns_that_look_like_a_panel(data):
    assert guess_panel(data) == ("firm", "year")
    assert guess_panel(data[["year", "invest", "firm"]]) == ("firm", "year")
    assert guess_panel(data.drop(index=[3, 70, 71])) == ("firm", "year")
    numbered = data.assign(firm=pd.factorize(data["firm"])[0])
    assert guess_panel(numbered[["year", "firm"]]) == ("firm", "year")
    dated = data.assign(year=pd.PeriodIndex(data["year"].astype(str), freq="Y"))
    assert guess_panel(dated.rename(columns={"year": "when"})) == ("firm", "when")
    assert guess_panel(data.assign(firm=data["firm"].astype("category"))) == ("firm", "year")
    assert guess_panel(data.set_index(["firm", "year"])) == ("firm", "year")
    assert guess_panel(data, {"firm"}) is None
    assert guess_panel(pd.concat([data, data.iloc[:1]])) is None
    assert guess_panel(data.drop(columns="year")) is None
    assert guess_panel(data.assign(firm=np.nan)) is None
    assert guess_panel(data.iloc[:0]) is None


def test_counts_are_no_panel():
    rng = np.random.default_rng(0)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        counts = pd.DataFrame(rng.poisson(4, (60, 4)), columns=list("abcd"))
        counts["s"] = rng.choice(list("uvw"), 60)
        assert guess_panel(counts) is None


def test_columns_that_happen_to_differ_are_no_panel():
    """Every pair once, but of few of all pairs: buyers and sellers, not units and times."""
    n = 60
    data = pd.DataFrame({"buyer": np.arange(n) // 2, "seller": np.arange(n) * 7 % 30})
    assert not data.duplicated().any()
    assert guess_panel(data) is None


def test_an_unknown_name_beside_many_columns_brings_no_warning(data, engine):
    """pandas' of a frame with many blocks, to which the search for names adds a column."""
    many = data.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        for i in range(150):
            many[f"c{i}"] = float(i)
    with pytest.raises(FormulaError, match="uses unknown variables: 'nope'"):
        LowRankSUR.from_formula("invest ~ nope", many, **PANEL)
