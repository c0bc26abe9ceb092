import re

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.formula

from sm_alsgls.exceptions import (
    FormulaError,
    NonFiniteError,
    OptionError,
    SystemInputError,
    UnbalancedPanelError,
    UnseenLevelError,
)
from sm_alsgls.formula.build import build_system, caller_scope
from sm_alsgls.formula.replay import replay, replay_panel


@pytest.fixture
def wide():
    rng = np.random.default_rng(0)
    n = 12
    data = pd.DataFrame(
        rng.normal(size=(n, 5)), columns=["y1", "y2", "y3", "x1", "x2"], index=[7, 7, *range(10)]
    )
    data["w"] = np.exp(data["x1"])
    data["s"] = list("abcabcabcabc")
    data["cat"] = data["s"].astype("category")
    data["odd name"] = rng.normal(size=n)
    return data


@pytest.fixture
def panel():
    rng = np.random.default_rng(1)
    cells = pd.MultiIndex.from_product([[1999, 2001, 2000], ["US", "GM", "GE"]])
    data = pd.DataFrame(rng.normal(size=(9, 2)), columns=["y", "x"])
    data["year"], data["firm"] = (cells.get_level_values(i) for i in (0, 1))
    data["s"] = list("abbaabbba")
    return data.set_index(np.array(list("ppqrstuvw")))


def direct(formula, data):
    """patsy alone, on rows numbered so that duplicate labels cannot matter."""
    data = data.reset_index(drop=True)
    strings = [c for c, dtype in data.dtypes.items() if isinstance(dtype, pd.StringDtype)]
    y, x = patsy.dmatrices(formula, data.astype(dict.fromkeys(strings, object)), 1)
    return np.asarray(y), np.asarray(x)


def assert_system(system, formulas, data):
    assert len(system.exog) == len(system.specs) == system.endog.shape[1] == len(formulas)
    for j, formula in enumerate(formulas):
        y, x = direct(formula, data)
        np.testing.assert_allclose(system.endog.iloc[:, j], y[:, 0], rtol=1e-13)
        np.testing.assert_allclose(system.exog[j], x, rtol=1e-12, atol=1e-13)
        assert system.exog[j].index.equals(data.index)
        assert system.specs[j].columns == tuple(system.exog[j].columns)
        assert system.specs[j].name == system.endog.columns[j]
        assert set(system.exog[j].dtypes) == {np.dtype(float)}
        assert type(system.exog[j]) is pd.DataFrame
    assert system.endog.index.equals(data.index)


# ---- forms ----------------------------------------------------------------------------------

FORMULAS = ["y1 ~ x1 + s", "y2 ~ np.log(w) + C(cat) + center(x2)", 'y3 ~ 0 + Q("odd name") + x1:s']


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        (dict(zip("abc", FORMULAS, strict=True)), ["a", "b", "c"]),
        (dict(zip((1, 2, 3), FORMULAS, strict=True)), ["1", "2", "3"]),
        (FORMULAS, ["y1", "y2", "y3"]),
        (tuple(FORMULAS), ["y1", "y2", "y3"]),
        (
            f"{{GM: {FORMULAS[0]}}} {{{FORMULAS[1]}}}\n{{United States : {FORMULAS[2]}}}",
            ["GM", "y2", "United States"],
        ),
        ("\n" + "".join(f"{{{f}}}" for f in FORMULAS).replace(" + ", "\n  + "), None),
    ],
)
def test_one_formula_per_equation(engine, wide, formula, names):
    before = wide.copy(deep=True)
    system = build_system(formula, wide)
    assert_system(system, FORMULAS, wide)
    assert list(system.endog.columns) == (names or ["y1", "y2", "y3"])
    assert {spec.engine for spec in system.specs} == {engine}
    assert (system.n_dropped, system.groups, system.time) == (0, None, None)
    pd.testing.assert_frame_equal(wide, before)
    assert not hasattr(wide, "design_info")


def test_several_responses_share_one_design(engine, wide):
    system = build_system("y1 + np.log(w) + y3 ~ x1 + s", wide)
    assert_system(system, [f"{y} ~ x1 + s" for y in ("y1", "np.log(w)", "y3")], wide)
    assert list(system.endog.columns) == ["y1", "np.log(w)", "y3"]
    assert system.exog[0] is system.exog[1] is system.exog[2]
    assert system.specs[0].rhs is system.specs[2].rhs


def test_single_equation(engine, wide):
    system = build_system("y1 ~ x1", wide)
    assert_system(system, ["y1 ~ x1"], wide)
    assert system.specs[0].formula == "y1 ~ x1"


def test_braces_inside_quotes(engine, wide):
    wide["odd {:~ name"] = wide["x1"]
    system = build_system('{a: y1 ~ Q("odd {:~ name")} {y2 ~ x2}', wide)
    np.testing.assert_array_equal(system.exog[0].iloc[:, 1], wide["x1"])
    assert list(system.endog) == ["a", "y2"]


def test_odd_left_side(engine, wide):
    system = build_system({"a": 'Q("odd name") ~ x1'}, wide)
    np.testing.assert_array_equal(system.endog["a"], wide["odd name"])


def test_mapping_is_converted(engine, wide):
    system = build_system("y1 ~ x1", dict(wide))
    np.testing.assert_array_equal(system.endog["y1"], wide["y1"])


def test_infinity_survives(engine, wide):
    wide.iloc[3, wide.columns.get_loc("x1")] = np.inf
    wide.iloc[4, wide.columns.get_loc("y1")] = -np.inf
    system = build_system("y1 ~ x1", wide)
    assert system.exog[0]["x1"].iloc[3] == np.inf
    assert system.endog["y1"].iloc[4] == -np.inf
    assert system.n_dropped == 0


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "string", "str", "boolean", "category"])
def test_pandas_dtypes_with_and_without_gaps(engine, wide, dtype):
    wide["n"] = [0, 1] * 6
    wide["n"] = wide["n"].astype(bool if dtype == "boolean" else "int64").astype(dtype)
    full = build_system("y1 ~ n", wide)
    np.testing.assert_array_equal(full.exog[0].iloc[:, 1], [0, 1] * 6)
    wide.iloc[0, wide.columns.get_loc("n")] = None
    before = wide.copy(deep=True)
    gapped = build_system("y1 ~ n", wide)
    np.testing.assert_array_equal(gapped.exog[0].iloc[:, 1], ([0, 1] * 6)[1:])
    assert gapped.n_dropped == 1
    pd.testing.assert_frame_equal(wide, before)


def test_integer_levels_keep_their_names(engine, wide):
    wide["n"] = pd.array([1, 2, 3] * 4, dtype="Int64")
    assert list(build_system("y1 ~ C(n)", wide).exog[0])[1:] == ["C(n)[T.2]", "C(n)[T.3]"]


# ---- scope ----------------------------------------------------------------------------------

twice_of_module = 2.0


def test_scope_of_the_caller(engine, wide):
    def double(x):
        return 2 * x

    offset, array = 10.0, np.arange(12.0)  # noqa: F841
    system = build_system("y1 ~ double(x1 + offset) + array + I(twice_of_module * x2)", wide)
    np.testing.assert_allclose(system.exog[0].iloc[:, 1], 2 * (wide["x1"] + 10), rtol=1e-15)
    np.testing.assert_array_equal(system.exog[0].iloc[:, 2], array)
    np.testing.assert_array_equal(system.exog[0].iloc[:, 3], 2 * wide["x2"])
    new = wide.iloc[:2]
    array = array[:2]
    again = replay(system.specs, new) if engine == "formulaic" else None
    if again:  # patsy keeps the array it saw
        np.testing.assert_allclose(again[0], system.exog[0].iloc[:2], rtol=1e-15)


def test_explicit_scope_hides_the_caller(engine, wide):
    offset = 10.0
    system = build_system("y1 ~ I(x1 + offset)", wide, scope={"offset": 1.0})
    np.testing.assert_allclose(system.exog[0].iloc[:, 1], wide["x1"] + 1, rtol=1e-15)
    with pytest.raises(FormulaError, match="'offset'"):
        build_system("y1 ~ I(x1 + offset)", wide, scope={})
    assert offset == 10.0


def test_caller_scope_depth_and_size():
    x = 1  # noqa: F841
    unused = 2  # noqa: F841

    def inner():
        x = 3  # noqa: F841
        return caller_scope(0, "y ~ x"), caller_scope(1, {"a": "y ~ x", "b": "np.log(y) ~ 1"})

    assert caller_scope(0, "y ~ twice_of_module") == {"twice_of_module": 2.0}

    def shadow():
        twice_of_module = 5.0  # noqa: F841
        return caller_scope(0, "y ~ twice_of_module")

    assert shadow() == {"twice_of_module": 5.0}
    assert inner() == ({"x": 3}, {"x": 1, "np": np})
    assert caller_scope(0, ["y ~ x + wide"])["wide"] is wide  # module level, only when mentioned


def test_series_of_the_caller_follow_the_rows(engine, wide):
    z = wide["x2"] * 3
    use = np.arange(12) % 2 == 0
    wide.iloc[2, wide.columns.get_loc("y1")] = np.nan
    system = build_system("y1 ~ z", wide, subset=use)
    expected = z.to_numpy()[use][[0, 2, 3, 4, 5]]
    np.testing.assert_array_equal(system.exog[0]["z"], expected)


# ---- missing values and subset --------------------------------------------------------------


@pytest.fixture
def gapped(wide):
    wide.iloc[0, wide.columns.get_loc("x1")] = np.nan
    wide.iloc[1, wide.columns.get_loc("y2")] = np.nan
    wide.iloc[5, wide.columns.get_loc("s")] = None
    return wide


def test_missing_rows_go_from_every_equation(engine, gapped):
    formulas = ["y1 ~ x1 + s", "y2 ~ x2"]
    system = build_system(formulas, gapped)
    kept = gapped.iloc[[2, 3, 4, 6, 7, 8, 9, 10, 11]]
    assert_system(system, formulas, kept)
    assert system.n_dropped == 3


def test_unused_columns_may_miss(engine, gapped):
    assert build_system("y1 ~ x2", gapped).n_dropped == 0


def test_lags_are_taken_before_rows_are_dropped(engine, gapped):
    system = build_system("y2 ~ x2.shift(1)", gapped)
    rows = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    np.testing.assert_array_equal(
        system.exog[0].iloc[:, 1], gapped["x2"].to_numpy()[np.array(rows) - 1]
    )


@pytest.mark.parametrize("missing", ["raise", "none"])
def test_missing_refused(engine, gapped, missing):
    with pytest.raises(NonFiniteError) as caught:
        build_system({"a": "y1 ~ x2", "b": "y1 ~ x1 + s"}, gapped, missing=missing)
    text = str(caught.value)
    assert "'b'" in text
    assert "2 rows" in text
    assert "in x1, s," in text
    assert "rows 7, 3;" in text
    assert_system(build_system(["y1 ~ x2"], gapped, missing=missing), ["y1 ~ x2"], gapped)


def test_missing_made_by_the_formula(engine, wide):
    with pytest.raises(NonFiniteError, match=r"1 rows .*x2\.shift\(1\).* rows 7;"):
        build_system("y1 ~ x2.shift(1)", wide, missing="raise")


def test_missing_option(wide):
    with pytest.raises(OptionError, match="'omit'"):
        build_system("y1 ~ x1", wide, missing="omit")


def test_no_row_left(engine, gapped):
    with pytest.raises(NonFiniteError, match=r"y1 ~ center\(x1\).*dropna"):
        build_system({"a": "y2 ~ x2", "b": "y1 ~ center(x1)"}, gapped)
    gapped["y1"] = np.where(np.arange(12) % 2, np.nan, 1.0)
    gapped["y2"] = np.where(np.arange(12) % 2, 1.0, np.nan)
    with pytest.raises(NonFiniteError, match="No row is left"):
        build_system(["y1 ~ 1", "y2 ~ 1"], gapped)


@pytest.mark.parametrize("subset", [[1, 3, 5], np.arange(12) % 3 == 0, slice(2, 5), [0, 7]])
def test_subset(engine, wide, subset):
    system = build_system(["y1 ~ x1", "y2 ~ center(x2)"], wide, subset=subset)
    assert_system(system, ["y1 ~ x1", "y2 ~ center(x2)"], wide.loc[subset])
    assert system.n_dropped == 0


def test_bad_subset(wide):
    with pytest.raises(SystemInputError, match="subset"):
        build_system("y1 ~ x1", wide, subset=[99])


# ---- long panels ----------------------------------------------------------------------------


def test_panel(engine, panel):
    before = panel.copy(deep=True)
    system = build_system("y ~ center(x) + s", panel, groups="firm", time="year")
    assert list(system.endog.columns) == ["US", "GM", "GE"]
    assert list(system.endog.index) == [1999, 2000, 2001]
    assert system.endog.index.name == "year"
    assert (system.groups, system.time, system.n_dropped) == ("firm", "year", 0)
    y, x = direct("y ~ center(x) + s", panel)  # global mean, global levels
    for j, firm in enumerate(["US", "GM", "GE"]):
        rows = [
            np.flatnonzero((panel.firm == firm) & (panel.year == t))[0] for t in system.endog.index
        ]
        np.testing.assert_allclose(system.endog[firm], y[rows, 0], rtol=1e-15)
        np.testing.assert_allclose(system.exog[j], x[rows], rtol=1e-12, atol=1e-14)
        assert system.exog[j].index.equals(system.endog.index)
        assert (system.specs[j].name, system.specs[j].rhs) == (firm, system.specs[0].rhs)
    pd.testing.assert_frame_equal(panel, before)


def test_panel_by_order(engine, panel):
    system = build_system("y ~ x", panel, groups="firm")
    assert list(system.endog.index) == [0, 1, 2]
    np.testing.assert_array_equal(system.endog["GM"], panel.loc[panel.firm == "GM", "y"])
    with pytest.raises(UnbalancedPanelError, match=r"GE \(1 absent, 0 with"):
        build_system("y ~ x", panel.iloc[:-1], groups="firm")
    # Equal numbers of complete rows, but not the same ones: order must not pair them.
    panel.iloc[[0, 4], 1] = np.nan
    panel.iloc[8, 0] = np.nan
    with pytest.raises(UnbalancedPanelError, match="3 have missing values"):
        build_system("y ~ x", panel, groups="firm")


@pytest.mark.parametrize("kind", ["category", "Int64", "str"])
def test_panel_key_dtypes(engine, panel, kind):
    panel["firm"] = panel["firm"].map({"US": 30, "GM": 20, "GE": 10}).astype(kind)
    panel["year"] = pd.PeriodIndex(panel["year"].astype(str), freq="Y")
    system = build_system("y ~ x", panel, groups="firm", time="year")
    # Numbers come in their order, names in that of the data.
    assert list(system.endog.columns) == (
        ["30", "20", "10"] if kind == "str" else ["10", "20", "30"]
    )
    assert list(system.endog.index.astype(str)) == ["1999", "2000", "2001"]


def test_panel_absent_and_incomplete_cells(engine, panel):
    panel = panel.drop(index="w")  # GE, 2000
    panel.iloc[[1, 4], 1] = np.nan  # GM, 1999 and 2001
    with pytest.raises(UnbalancedPanelError) as caught:
        build_system("y ~ x", panel, groups="firm", time="year", missing="drop")
    text = str(caught.value)
    assert "3 groups x 3 periods" in text
    assert "1 cells are absent and 2 have missing" in text
    assert "GM (0 absent, 2 with missing values), GE (1 absent, 0 with missing values)." in text
    assert "0 periods are complete in all groups and 1 groups" in text
    assert "subset=data['year']" in text
    with pytest.raises(NonFiniteError, match=r"2 rows .* in x, first rows p, s;"):
        build_system("y ~ x", panel, groups="firm", time="year", missing="raise")
    ok = build_system("y ~ x", panel, groups="firm", time="year", subset=panel.firm == "US")
    assert ok.endog.shape == (3, 1)


@pytest.mark.parametrize("missing", [None, "fiml"])
def test_panel_with_holes(engine, panel, missing):
    """Cells that are absent, or miss something, are NaN; regressors that are known stay."""
    whole = build_system("y ~ x", panel, groups="firm", time="year")
    assert not whole.holes
    panel.iloc[1, 1] = np.nan  # GM's x in 1999
    panel.iloc[4, 0] = np.nan  # GM's y in 2001
    panel = panel.drop(index="w")  # GE, 2000
    assert panel.iloc[[1, 4]][["firm", "year"]].to_numpy().tolist() == [["GM", 1999], ["GM", 2001]]
    before = panel.copy()
    system = build_system("y ~ x", panel, groups="firm", time="year", missing=missing)
    pd.testing.assert_frame_equal(panel, before)
    assert system.holes
    firms = list(system.endog)
    Y = whole.endog.copy()
    Y.loc[2001, "GM"] = Y.loc[2000, "GE"] = np.nan
    pd.testing.assert_frame_equal(system.endog, Y)
    for firm, X, old in zip(firms, system.exog, whole.exog, strict=True):
        gone = {"GM": [1999], "GE": [2000]}.get(firm, [])
        expected = old.copy()
        expected.loc[gone] = np.nan
        pd.testing.assert_frame_equal(X, expected)
    at = system.rows
    assert at.shape == (3, 3)
    np.testing.assert_array_equal(panel.iloc[at[at >= 0]].firm, np.repeat(firms, [3, 3, 2]))
    assert at[firms.index("GE"), 1] == -1
    with pytest.raises(UnbalancedPanelError, match="time= says which row"):
        build_system("y ~ x", panel, groups="firm", missing="fiml")


def test_wide_data_with_holes(engine):
    """A response's gaps do not take the regressors with them, nor other responses."""
    data = pd.DataFrame(
        {
            "a": [1.0, np.nan, 3.0, 4.0, np.nan, 6.0],
            "b": [2.0, 1.0, np.nan, 0.0, np.nan, 1.0],
            "x": [1.0, 2.0, 3.0, np.nan, 5.0, 6.0],
            "s": ["u", "v", "u", "v", "u", None],
        },
        index=list("pqrstu"),
    )
    system = build_system("a + b ~ x + s", data, missing="fiml")
    assert list(system.endog.index) == ["p", "q", "r"]
    assert system.n_dropped == 3
    np.testing.assert_array_equal(system.rows, [0, 1, 2])
    np.testing.assert_array_equal(system.endog["a"], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(system.exog[0]["x"], [1.0, 2.0, 3.0])
    assert system.exog[0] is system.exog[1]
    two = build_system({"A": "np.log(a) ~ x", "B": "b ~ 1"}, data, missing="fiml")
    assert list(two.endog.index) == [*list("pqrstu")[:4], "u"]
    np.testing.assert_array_equal(two.exog[0]["x"], [1.0, 2.0, 3.0, np.nan, 6.0])
    assert not np.isnan(two.exog[1].to_numpy()).any()
    with pytest.raises(FormulaError, match="not numeric"):
        build_system("s ~ x", data, missing="fiml")
    with pytest.raises(FormulaError, match="did you mean 'x'|unknown"):
        build_system("a ~ y", data, missing="fiml")


def test_panel_period_missing_everywhere_is_dropped(engine, panel):
    panel.loc[panel.year == 2000, "x"] = np.nan
    system = build_system("y ~ x", panel, groups="firm", time="year")
    assert list(system.endog.index) == [1999, 2001]
    assert system.n_dropped == 1
    assert list(build_system("y ~ x", panel, groups="firm").endog.index) == [0, 1]


def test_panel_group_without_complete_rows(engine, panel):
    panel.loc[panel.firm == "GM", "x"] = np.nan
    with pytest.raises(UnbalancedPanelError, match=r"GM \(0 absent, 3 with"):
        build_system("y ~ x", panel, groups="firm", time="year", missing="drop")


def test_panel_message_is_short():
    data = pd.DataFrame({"g": np.repeat(np.arange(40), 2), "t": [0, 1] * 40, "y": 1.0, "x": 1.0})
    with pytest.raises(UnbalancedPanelError, match=r"27 \(1 absent, .*\) and 12 more\."):
        build_system(
            "y ~ x", data.drop(index=range(41, 80, 2)), groups="g", time="t", missing="drop"
        )


def test_panel_duplicate_cell(panel):
    panel.iloc[4, 2] = 1999
    with pytest.raises(UnbalancedPanelError, match=r"1 rows .*firm='GM', year=1999"):
        build_system("y ~ x", panel, groups="firm", time="year")


@pytest.mark.parametrize("column", ["firm", "year"])
def test_panel_missing_keys(panel, column):
    panel[column] = panel[column].astype(object)
    panel.iloc[3, panel.columns.get_loc(column)] = None
    with pytest.raises(NonFiniteError, match=f"'{column}' has 1 missing values, first rows r;"):
        build_system("y ~ x", panel, groups="firm", time="year")


def test_panel_refusals(panel):
    for formula in ({"a": "y ~ x"}, ["y ~ x"], "{a: y ~ x}", "{y ~ x}"):
        with pytest.raises(FormulaError, match="groups="):
            build_system(formula, panel, groups="firm", time="year")
    with pytest.raises(FormulaError, match="2 responses"):
        build_system("y + x ~ 1", panel, groups="firm", time="year")
    with pytest.raises(FormulaError, match=r"groups='frim' .*mean 'firm'"):
        build_system("y ~ x", panel, groups="frim", time="year")
    with pytest.raises(FormulaError, match=r"time='Years' .*mean 'year'"):
        build_system("y ~ x", panel, groups="firm", time="Years")
    with pytest.raises(FormulaError, match="needs groups="):
        build_system("y ~ x", panel, time="year")
    panel["firm"] = [1, "1", 2] * 3
    with pytest.raises(FormulaError, match="alike"):
        build_system("y ~ x", panel, groups="firm", time="year")


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ({"eq": "y1 ~ x11"}, ["'eq'", "'x11'", "'x1'"]),
        ({"eq": "y1 ~ X1 + np.log(W_)"}, ["'X1'", "'x1'", "'W_'", "'w'"]),
        ({"eq": 'y1 ~ Q("od name")'}, ["'eq'", "'od name'", "'odd name'"]),
        ({"eq": "y9 ~ x1"}, ["'y9'", "'y1'"]),
        ("y1 ~ zebra", ["'y1'", "'zebra'", "the data have 'y1', 'y2'", "and 1 more"]),
        ({"eq": "y1 ~ x1 +"}, ["'eq'", "'y1 ~ x1 +'"]),
        ({"eq": "y1 ~ x1 +* x2"}, ["'eq'", "'y1 ~ x1 +* x2'"]),
        ({"eq": "y1 ~ np.log(x1"}, ["'eq'", "np.log(x1"]),
        ({"eq": "y1 ~ x1 ~ x2"}, ["'eq'"]),
        ({"eq": "y1 ~ x1.absent"}, ["'eq'", "absent"]),
        ({"eq": "~ x1"}, ["'eq'", "left side"]),
        ({"eq": "x1"}, ["'eq'", "left side"]),
        ("x1", ["left side"]),
        ({"eq": 3}, ["'eq'", "int"]),
        (3, ["int"]),
        ({}, ["no equations"]),
        ([], ["no equations"]),
        ({"eq": "s ~ x1"}, ["'eq'", "not numeric"]),
        ({"eq": "cat ~ x1"}, ["'eq'", "not numeric"]),
        ({"eq": "C(y1) ~ x1"}, ["'eq'", "not numeric"]),
        ({"eq": "0 ~ x1"}, ["'eq'"]),
        (["y1 ~ x1", "y1 ~ x2"], ["'y1'", "dict"]),
        ({1: "y1 ~ x1", "1": "y2 ~ x2"}, ["'1'"]),
        ({"eq": "y1 + y2 ~ x1"}, ["2 responses", "y1, y2"]),
        (["y1 + y2 ~ x1", "y3 ~ x1"], ["2 responses"]),
        ("{y1 ~ x1} {y2 ~ x2", ["left side"]),
        ("{y1 ~ x1} y2 ~ x2 {y3 ~ x1}", ["Braces", "y2 ~ x2"]),
        ("{{y1 ~ x1}", ["Braces"]),
        ("{}", ["left side"]),
    ],
)
def test_formula_errors(engine, wide, formula, parts):
    if formula == "{y1 ~ x1} {y2 ~ x2":  # not braced as a whole, so the engine refuses it
        parts = ["{y1"]
    with pytest.raises(FormulaError) as caught:
        build_system(formula, wide)
    for part in parts:
        assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_engine_errors_are_chained(engine, wide):
    with pytest.raises(FormulaError) as caught:
        build_system("y1 ~ zebra", wide)
    assert type(caught.value.__cause__).__module__.split(".")[0] == engine


@pytest.mark.parametrize("data", [np.ones((3, 2)), [1, 2], None, {"a": [1, 2], "b": [1]}])
def test_data_must_be_a_frame(data):
    with pytest.raises(SystemInputError, match="DataFrame"):
        build_system("a ~ b", data)


def test_repeated_columns(engine, wide):
    both = pd.concat([wide, wide[["x1"]]], axis=1)
    with pytest.raises(FormulaError, match="more than one column 'x1'"):
        build_system("y1 ~ x1", both)
    assert_system(build_system("y1 ~ x2", both), ["y1 ~ x2"], wide)


# ---- replay ---------------------------------------------------------------------------------

STATEFUL = [
    "y1 ~ center(x1) + s",
    "y2 ~ standardize(x2) + C(s):x1",
    "y3 ~ bs(x1, df=4) + cat",
    "y1 ~ 1",
    "y2 ~ np.log(w)",
]


@pytest.mark.parametrize("ordering", ["legacy", "degree"])
@pytest.mark.parametrize("dtype", [object, "category", "str"])
def test_replay_subset_of_levels(engine, wide, dtype, ordering, monkeypatch):
    monkeypatch.setattr(statsmodels.formula.options, "ordering", ordering)
    system = build_system(dict(zip("abcde", STATEFUL, strict=True)), wide)
    rows = [10, 0, 1, 3]
    new = wide.iloc[rows].drop(columns=["y1", "y2", "y3"])
    new["s"] = pd.Series(["b", "a", "b", "a"], index=new.index, dtype=dtype)
    new["cat"] = pd.Series(["b", "a", "b", "a"], index=new.index, dtype=dtype)
    before = new.copy(deep=True)
    for design, old, spec in zip(replay(system.specs, new), system.exog, system.specs, strict=True):
        pd.testing.assert_frame_equal(design, old.iloc[rows], rtol=1e-13)
        assert design.index.equals(new.index)
        assert tuple(design.columns) == spec.columns
    pd.testing.assert_frame_equal(new, before)


def test_replay_missing_rows_are_nan_in_their_place(engine, wide):
    system = build_system(["y1 ~ center(x1)", "y2 ~ x2 + s", "y3 ~ bs(x1, df=4)"], wide)
    new = wide.copy()
    new.iloc[1, new.columns.get_loc("x1")] = np.nan
    new.iloc[2, new.columns.get_loc("s")] = None
    made = replay(system.specs, new)
    for design, old, gap in zip(made, system.exog, [1, 2, 1], strict=True):
        assert design.index.equals(wide.index)
        others = np.arange(12) != gap
        assert design.iloc[gap].isna().all()
        np.testing.assert_allclose(design[others], old[others], rtol=1e-13)


def test_replay_uses_the_engine_of_the_fit(engine, wide, monkeypatch):
    system = build_system("y1 ~ center(x1) + s", wide)
    other = {"patsy": "formulaic", "formulaic": "patsy"}[engine]
    monkeypatch.setattr(statsmodels.formula.options, "_formula_engine", other)
    pd.testing.assert_frame_equal(replay(system.specs, wide)[0], system.exog[0], rtol=1e-13)


def test_replay_scope(engine, wide):
    def power(x, k):
        return x**k

    system = build_system("y1 + y2 ~ power(x1, 2)", wide)
    by_default, shared = replay(system.specs, wide)
    assert by_default is shared
    explicit = replay(system.specs, wide, {"power": power})[0]
    for design in (by_default, explicit):
        np.testing.assert_allclose(design.iloc[:, 1], wide["x1"] ** 2, rtol=1e-15)


@pytest.mark.parametrize("dtype", [object, "category", "str"])
@pytest.mark.parametrize("right", ["x1 + s", "C(s)", "x1:s"])
def test_replay_unseen_level(engine, wide, dtype, right):
    system = build_system({"eq": f"y1 ~ {right}"}, wide)
    new = wide.iloc[:3].copy()
    new["s"] = pd.Series(["a", "zz", "b"], index=new.index, dtype=dtype)
    with pytest.raises(UnseenLevelError, match=r"'eq'.*'s' 'zz' \(known: 'a', 'b', 'c'\)"):
        replay(system.specs, new)
    new["s"] = pd.Categorical(["a", "a", "b"], categories=["a", "b", "zz"])  # declared, not used
    assert replay(system.specs, new)[0].notna().all().all()


def test_replay_missing_columns(engine, wide):
    system = build_system({"eq": 'y1 ~ x1 + np.log(w) + cat + Q("odd name")'}, wide)
    with pytest.raises(FormulaError) as caught:
        replay(system.specs, wide[["x1", "y1", "x2"]])
    for name in ("eq", "w", "cat", "odd name"):
        assert f"'{name}'" in str(caught.value)
    assert "unknown variables: 'cat'" in str(caught.value)


def test_replay_outside_the_knots(engine, wide):
    system = build_system({"eq": "y1 ~ bs(x1, df=4)"}, wide)
    with pytest.raises(FormulaError, match="'eq'"):
        replay(system.specs, pd.DataFrame({"x1": [1e3]}))


def test_replay_panel(engine, panel):
    system = build_system("y ~ center(x) + s", panel, groups="firm", time="year")
    new = panel.iloc[[8, 2, 3, 0]].drop(columns=["y", "year"])
    new.iloc[2, 0] = np.nan
    out = replay_panel(system.specs, new, "firm")
    assert [name for name, _, _ in out] == ["US", "GE"]
    assert [list(rows) for _, rows, _ in out] == [[2, 3], [0, 1]]
    (_, _, us), (_, _, ge) = out
    assert list(us.index) == ["r", "p"]
    assert us.iloc[0].isna().all()
    np.testing.assert_allclose(us.iloc[1], system.exog[0].loc[1999], rtol=1e-14)
    np.testing.assert_allclose(ge, system.exog[2].loc[[2000, 1999]], rtol=1e-14)


def test_replay_panel_errors(engine, panel):
    system = build_system("y ~ x", panel, groups="firm", time="year")
    with pytest.raises(UnseenLevelError, match=re.escape("no equation for 'IBM'")):
        replay_panel(system.specs, panel.replace({"firm": {"GM": "IBM"}}), "firm")
    with pytest.raises(FormulaError, match="groups='firm'"):
        replay_panel(system.specs, panel.drop(columns="firm"), "firm")
    with pytest.raises(NonFiniteError, match="firm"):
        replay_panel(system.specs, panel.assign(firm=[None, *panel.firm[1:]]), "firm")
    with pytest.raises(FormulaError, match="'x'"):
        replay_panel(system.specs, panel.drop(columns="x"), "firm")
