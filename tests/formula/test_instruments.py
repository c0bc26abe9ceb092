"""Formulas with instruments, in brackets or beside, against linearmodels and against themselves."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linearmodels.system import IV3SLS

from sm_alsgls.exceptions import (
    FormulaError,
    InstrumentError,
    NonFiniteError,
    NumberTextError,
    UnbalancedPanelError,
)
from sm_alsgls.formula.build import build_system
from sm_alsgls.formula.instruments import build_instrumented, split
from sm_alsgls.formula.replay import replay, replay_panel, replay_responses

N = 24


@pytest.fixture
def wide():
    rng = np.random.default_rng(0)
    names = ["y1", "y2", "p1", "p2", "x1", "x2", "z1", "z2", "z3"]
    data = pd.DataFrame(rng.standard_normal((N, len(names))), columns=names)
    data["w"] = np.exp(data["x1"])
    data["g"] = list("abc") * (N // 3)
    data["h"] = list("uvwx") * (N // 4)
    data["odd name"] = rng.standard_normal(N)
    return data.set_index(np.arange(100, 100 + N))


@pytest.fixture
def panel():
    rng = np.random.default_rng(1)
    cells = pd.MultiIndex.from_product([range(2000, 2012), ["US", "GM"]])
    data = pd.DataFrame(rng.standard_normal((24, 4)), columns=["y", "x", "p", "z"])
    data["year"], data["firm"] = (cells.get_level_values(i) for i in (0, 1))
    return data


def made(formula, data, **more):
    return build_instrumented(formula, data, scope={"np": np}, **more)


BOTH = {"a": "y1 ~ x1 + [p1 + p2 ~ z1 + z2 + z3]", "b": "y2 ~ x2 + [p2 ~ z1]"}


# ---- what linearmodels reads -----------------------------------------------------------------


@pytest.mark.parametrize(
    "formulas",
    [
        BOTH,
        {"a": "y1 ~ [p1 ~ z1]", "b": "y2 ~ x1 + x2 + [p1 + p2 ~ z1 + np.exp(z2) + z3]"},
        {"a": "y1 ~ x1 + np.log(w + 1) + [p1 ~ z1 + z1:z2]", "b": "y2 ~ x2"},
        {"a": "y1 ~ x1 + C(g) + [p1 ~ z2 + z1]", "b": "y2 ~ C(h) + [p2 ~ z1]"},
    ],
)
def test_arrays_are_those_of_linearmodels(engine, wide, formulas):
    # Its formulas have no constant of their own.
    theirs = {name: text.replace("~", "~ 1 +", 1) for name, text in formulas.items()}
    model = IV3SLS.from_formula(theirs, wide)
    for ours in (formulas, theirs):
        system = made(ours, wide)
        for j in range(2):
            np.testing.assert_allclose(system.endog.iloc[:, j], model._y[j][:, 0], rtol=1e-14)
            exog, endog = model._exog[j].ndarray, model._endog[j].ndarray
            same_columns(system.exog[j], np.hstack([exog, endog]))
            same_columns(system.instruments[j], np.hstack([exog, model._instr[j].ndarray]))
            assert list(system.endogenous[j]) == model._endog[j].cols


def same_columns(ours, theirs):
    """The same columns; exogenous terms of several kinds are in the engine's order."""
    assert ours.shape == theirs.shape
    order = [np.lexsort(np.round(M, 9)) for M in (np.asarray(ours), theirs)]
    np.testing.assert_allclose(np.asarray(ours)[:, order[0]], theirs[:, order[1]], rtol=1e-13)


def test_numbers_come_exogenous_first(engine, wide):
    system = made({"a": "y1 ~ [p1 + p2 ~ z1 + z2] + x2 + x1"}, wide)
    assert list(system.exog[0]) == ["Intercept", "x2", "x1", "p1", "p2"]
    assert list(system.instruments[0]) == ["Intercept", "x2", "x1", "z1", "z2"]
    assert system.endogenous == (("p1", "p2"),)


# ---- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        list(BOTH.values()),
        tuple(BOTH.values()),
        "{" + "} {".join(BOTH.values()) + "}",
        "{a: " + BOTH["a"].replace(" + ", "\n + ") + "}\n{b : " + BOTH["b"] + "}",
    ],
)
def test_one_formula_per_equation(engine, wide, formula):
    system, reference = made(formula, wide), made(BOTH, wide)
    for one, other in zip(
        (*system.exog, *system.instruments), (*reference.exog, *reference.instruments), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)
    assert system.endogenous == reference.endogenous == (("p1", "p2"), ("p2",))
    assert system.exog[0].index.equals(wide.index)


def test_several_responses_share_their_instruments(engine, wide):
    system = made("y1 + y2 ~ x1 + [p1 ~ z1 + z2]", wide)
    assert list(system.endog) == ["y1", "y2"]
    assert system.exog[0] is system.exog[1]
    assert system.instruments[0] is system.instruments[1]
    assert system.endogenous == (("p1",), ("p1",))


def test_the_equation_is_that_of_its_plain_formula(engine, wide):
    """Regressors, in their order, and what new data need: no instruments."""
    plain = {"a": "y1 ~ x1 + C(g) + p1 + C(h)", "b": "y2 ~ x2 + p2"}
    system = made({"a": "y1 ~ x1 + C(g) + [p1 + C(h) ~ z1 + z2 + x2 + z3]",
                   "b": "y2 ~ x2 + [p2 ~ center(z1)]"}, wide)  # fmt: skip
    reference = build_system(plain, wide, scope={})
    new = wide.drop(columns=["z1", "z2", "z3"]).iloc[::-1]
    for one, other in zip(system.exog, reference.exog, strict=True):
        pd.testing.assert_frame_equal(one, other)
    for one, other in zip(
        replay(system.specs, new, {}), replay(reference.specs, new, {}), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)
    np.testing.assert_array_equal(replay_responses(system.specs, new, {})[1], new["y2"])
    assert set(system.endogenous[0]) == {"C(h)[T.v]", "C(h)[T.w]", "C(h)[T.x]", "p1"}


@pytest.mark.parametrize(
    ("formula", "exog", "instruments"),
    [
        ("y1 ~ x1 + [p1 ~ z1]", ["Intercept", "x1", "p1"], ["Intercept", "x1", "z1"]),
        ("y1 ~ 0 + x1 + [p1 ~ z1]", ["x1", "p1"], ["x1", "z1"]),
        ("y1 ~ x1 + [p1 ~ z1] - 1", ["x1", "p1"], ["x1", "z1"]),
        ("y1 ~ [p1 ~ z1] - 1", ["p1"], ["z1"]),
        ("y1 ~ [p1 ~ z1]", ["Intercept", "p1"], ["Intercept", "z1"]),
        ("y1 ~ x1 + [0 + p1 ~ 0 + z1]", ["Intercept", "x1", "p1"], ["Intercept", "x1", "z1"]),
        ("y1 ~ x1 + [p1 - 1 ~ z1 - 1]", ["Intercept", "x1", "p1"], ["Intercept", "x1", "z1"]),
        ("y1 ~ x1 + [1 + p1 ~ 1 + z1]", ["Intercept", "x1", "p1"], ["Intercept", "x1", "z1"]),
        ("y1~x1+[p1~z1+x1]", ["Intercept", "x1", "p1"], ["Intercept", "x1", "z1"]),
    ],
)
def test_the_constant_is_the_equations(engine, wide, formula, exog, instruments):
    system = made({"a": formula}, wide)
    assert list(system.exog[0]) == exog
    assert list(system.instruments[0]) == instruments


def test_functions_categories_and_brackets_within_brackets(engine, wide):
    levels = "C(g, levels=['a', 'b', 'c'])"
    inside = f'{levels} + I(z1 ** 2) + np.where(z2 > 0, z2, [0][0]) + Q("odd name")'
    text = f"y1 ~ x1 + [np.exp(p1) ~ {inside}]"
    system = made({"a": text}, wide)
    assert system.endogenous == (("np.exp(p1)",),)
    assert system.instruments[0].shape[1] == 2 + 2 + 1 + 1 + 1
    np.testing.assert_allclose(system.exog[0]["np.exp(p1)"], np.exp(wide["p1"]))
    # A bracket after a name is Python's.
    keep = wide["g"].to_numpy() == "a"
    system = build_instrumented(
        {"a": "y1 ~ x1 + [p1 ~ np.where(keep, z1, 0)]"}, wide, scope={"np": np, "keep": keep}
    )
    np.testing.assert_array_equal(system.instruments[0].iloc[:, 2], np.where(keep, wide["z1"], 0.0))


# ---- lists beside the formulas ----------------------------------------------------------------


def test_one_list_for_all_equations(engine, wide):
    equations = {"a": "y1 ~ x1 + p1", "b": "y2 ~ x2 + p2"}
    system = made(equations, wide, instruments="~ x1 + x2 + center(z1) + C(g)")
    assert system.instruments[0] is system.instruments[1]
    assert set(system.instruments[0]) == {
        *("Intercept", "x1", "x2", "center(z1)", "C(g)[T.b]", "C(g)[T.c]")
    }
    assert system.endogenous == ()
    bare = made(equations, wide, instruments="~ 0 + x1 + x2 + z1")
    assert list(bare.instruments[1]) == ["x1", "x2", "z1"]


def test_a_list_for_each_equation(engine, wide):
    equations = {"a": "y1 ~ x1 + p1", "b": "y2 ~ x2 + p2"}
    given = {"b": "~ x2 + z2", "a": "~ x1 + z1"}
    system = made(equations, wide, instruments=given)
    assert [list(Z)[1:] for Z in system.instruments] == [["x1", "z1"], ["x2", "z2"]]
    # Of formulas without names by their responses.
    lists = {"y1": given["a"], "y2": given["b"]}
    other = made(list(equations.values()), wide, instruments=lists)
    pd.testing.assert_frame_equal(other.instruments[1], system.instruments[1])
    other = made("y1 + y2 ~ x1 + p1", wide, instruments=lists)
    assert [list(Z)[1:] for Z in other.instruments] == [["x1", "z1"], ["x2", "z2"]]
    with pytest.raises(FormulaError, match=r"instruments lacks equation 'b'; it has 'B'"):
        made(equations, wide, instruments={"a": "~ z1", "B": "~ z1"})


def test_equations_without_brackets_are_their_own_instruments(engine, wide):
    system = made({"a": BOTH["a"], "b": "y2 ~ x2 + C(g)"}, wide)
    pd.testing.assert_frame_equal(system.instruments[1], system.exog[1])
    assert system.endogenous[1] == ()


# ---- rows ------------------------------------------------------------------------------------


def test_rows_are_dropped_for_instruments_too(engine, wide):
    wide.loc[103, "z1"] = wide.loc[105, "y1"] = wide.loc[107, "p2"] = np.nan
    system = made(BOTH, wide)
    whole = made(BOTH, wide.dropna())
    assert system.n_dropped == 3
    assert system.rows.tolist() == [i for i in range(N) if i not in (3, 5, 7)]
    for one, other in zip(
        (system.endog, *system.exog, *system.instruments),
        (whole.endog, *whole.exog, *whole.instruments),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other)
    with pytest.raises(NonFiniteError, match=r"Equation 'b': .*in z1, first rows 103"):
        made({"b": BOTH["b"]}, wide.drop(index=[105, 107]), missing="raise")
    with pytest.raises(NonFiniteError, match="Columns without any value: 'z1'"):
        made(BOTH, wide.assign(z1=np.nan))


def test_subsets_are_of_instruments_too(engine, wide):
    rows = wide.index[::2]
    system = made({"a": "y1 ~ x1 + [p1 ~ center(z1)]"}, wide, subset=rows)
    z = wide.loc[rows, "z1"]
    np.testing.assert_allclose(system.instruments[0]["center(z1)"], z - z.mean())
    assert system.instruments[0].index.equals(rows)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(N)), st.permutations(["a", "b"]))
@pytest.mark.slow
def test_permuted_rows_and_equations_give_the_same_system(order, names):
    rng = np.random.default_rng(3)
    columns = ["y1", "y2", "p1", "p2", "x1", "x2", "z1", "z2", "z3"]
    data = pd.DataFrame(rng.standard_normal((N, len(columns))), columns=columns)
    data.loc[5, "z1"] = np.nan
    one = made(BOTH, data)
    other = made({name: BOTH[name] for name in names}, data.iloc[order])
    for j, name in enumerate(["a", "b"]):
        k = names.index(name)
        for ours, theirs in ((one.exog, other.exog), (one.instruments, other.instruments)):
            pd.testing.assert_frame_equal(ours[j], theirs[k].sort_index(), check_freq=False)


# ---- long panels -----------------------------------------------------------------------------


def test_lags_in_brackets_go_by_group_and_time(engine, panel):
    shuffled = panel.sample(frac=1.0, random_state=2)
    text = "y ~ x + [p ~ lag(p, 1) + lag(z, 2)]"
    system = made(text, shuffled, groups="firm", time="year")
    assert list(system.endog.index) == list(range(2002, 2012))
    for name, Z in zip(system.endog, system.instruments, strict=True):
        own = panel[panel["firm"] == name].set_index("year")
        np.testing.assert_array_equal(Z["lag(p, 1)"], own["p"].shift(1).loc[2002:])
        np.testing.assert_array_equal(Z["lag(z, 2)"], own["z"].shift(2).loc[2002:])
    assert system.endogenous == (("p",), ("p",))
    # What new data need is the equation.
    new = pd.DataFrame({"firm": ["GM"], "year": [2012], "x": [1.0], "p": [2.0]})
    ((name, rows, X),) = replay_panel(system.specs, new, "firm", {})
    assert (name, rows.tolist(), X.to_numpy().tolist()) == ("GM", [0], [[1.0, 1.0, 2.0]])


def test_panels_know_lists_by_group(engine, panel):
    given = {"GM": "~ x + z", "US": "~ x + lag(z, 1)"}
    system = made("y ~ x + p", panel, groups="firm", time="year", instruments=given)
    own = {"US": "lag(z, 1)", "GM": "z"}
    assert [list(Z)[2] for Z in system.instruments] == [own[name] for name in system.endog]
    assert list(system.endog.index) == list(range(2001, 2012))
    # An instrument of one group may be missing in another.
    panel["u"] = np.where(panel["firm"] == "US", panel["z"], np.nan)
    given = {"GM": "~ x + z", "US": "~ x + u"}
    system = made("y ~ x + p", panel, groups="firm", time="year", instruments=given)
    assert len(system.endog) == 12
    with pytest.raises(FormulaError, match="instruments lacks equation 'GM'"):
        made("y ~ x + p", panel, groups="firm", time="year", instruments={"US": "~ x + z"})


def test_periods_are_dropped_whole(engine, panel):
    """A row of the system is a period: it is left out where any group misses something."""
    panel.loc[4, "z"] = panel.loc[9, "y"] = np.nan  # 2002 of US, 2004 of GM
    text = "y ~ x + [p ~ z]"
    system = made(text, panel, groups="firm", time="year")
    assert list(system.endog.index) == [y for y in range(2000, 2012) if y not in (2002, 2004)]
    assert system.n_dropped == 2
    whole = made(text, panel[~panel["year"].isin([2002, 2004])], groups="firm", time="year")
    for one, other in zip(system.instruments, whole.instruments, strict=True):
        pd.testing.assert_frame_equal(one, other)
    with pytest.raises(NonFiniteError, match="missing values in"):
        made(text, panel, groups="firm", time="year", missing="raise")
    lists = {"US": "~ x + z", "GM": "~ x + p"}
    with pytest.raises(NonFiniteError, match="instruments of their groups, first rows 4"):
        made("y ~ x", panel.assign(y=1.0 + panel["x"]), groups="firm", time="year",
             missing="raise", instruments=lists)  # fmt: skip
    with pytest.raises(UnbalancedPanelError, match="1 cells are absent") as told:
        made(text, panel.drop(index=7), groups="firm", time="year")
    assert "fiml" not in str(told.value)
    odd = panel["year"] % 2 == (panel["firm"] == "US")
    with pytest.raises(NonFiniteError, match="No period is left: of 12"):
        made(text, panel.assign(z=panel["z"].where(odd)), groups="firm", time="year")


def test_an_index_of_entities_and_times_is_a_panel(engine, panel):
    indexed = panel.set_index(["firm", "year"])
    system = made("y ~ x + [p ~ z]", indexed)
    assert (system.groups, system.time) == ("firm", "year")
    reference = made("y ~ x + [p ~ z]", panel, groups="firm", time="year")
    pd.testing.assert_frame_equal(system.instruments[1], reference.instruments[1])


def test_instruments_that_depend_on_the_order_of_rows_are_refused(panel):
    with pytest.raises(FormulaError, match=r"lag\(z, 1\)"):
        made("y ~ x + [p ~ z.shift(1)]", panel, groups="firm", time="year")


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y1 ~ x1 + [p1 ~ z1] + [p2 ~ z2]", "has 2 brackets; all endogenous regressors"),
        ("y1 ~ x1 - [p1 ~ z1]", "a term by themselves"),
        ("y1 ~ x1 * [p1 ~ z1]", "a term by themselves"),
        ("y1 ~ (x1 + [p1 ~ z1])", "a term by themselves"),
        ("y1 ~ x1 + [p1 ~ ]", "the right side is empty"),
        ("y1 ~ x1 + [p1 ~ 1]", "the right side is empty"),
        ("y1 ~ x1 + [ ~ z1]", "the left side is empty"),
        ("y1 ~ x1 + [p1 ~ z1 ~ z2]", "brackets have one '~'"),
        ("y1 ~ x1 + [p1 ~ zz1]", r"Equation 'a': .* unknown variables: 'zz1' \(did you mean 'z1'"),
        ("y1 ~ x1 + [p1 ~ z1] | z2", r"a part after '\|'"),
    ],
)
def test_brackets_that_cannot_be_read(engine, wide, text, message):
    with pytest.raises(FormulaError, match=message):
        made({"a": text}, wide)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y1 ~ x1 + [p1 ~ p1 + z1]", "'p1' is endogenous in brackets, and an instrument as well"),
        ("y1 ~ p1 + [p1 ~ z1]", "'p1' is endogenous in brackets, and an exogenous regressor"),
        ("y1 ~ x1 + [np.exp(p1) ~ z1 + np.exp( p1 )]", r"'np.exp\(p1\)' is endogenous"),
    ],
)
def test_endogenous_variables_are_that_alone(engine, wide, text, message):
    with pytest.raises(InstrumentError, match=f"equation 'a': {message}"):
        made({"a": text}, wide)


def test_instruments_are_given_once_and_as_formulas(engine, wide):
    with pytest.raises(FormulaError, match="give one of the two"):
        made(BOTH, wide, instruments="~ z1")
    with pytest.raises(InstrumentError, match=r"no formula has instruments: write .*LowRankSUR"):
        made({"a": "y1 ~ x1"}, wide)
    with pytest.raises(InstrumentError, match="empty mapping"):
        made({"a": "y1 ~ x1"}, wide, instruments={})
    for bad in ("z1 + z2", "p1 ~ z1", "~ ", {"a": "z1"}):
        with pytest.raises(FormulaError, match="a formula without a left side"):
            made({"a": "y1 ~ x1"}, wide, instruments=bad)
    with pytest.raises(FormulaError, match="must be a formula, .*got a list"):
        made({"a": "y1 ~ x1"}, wide, instruments=["z1"])
    with pytest.raises(FormulaError, match="Equation 'a': '~ x1 . qq' uses unknown .* 'qq'"):
        made({"a": "y1 ~ x1"}, wide, instruments="~ x1 + qq")


def test_numbers_that_are_text_are_found_among_instruments(engine, wide):
    text = wide.assign(z1=wide["z1"].astype(str).where(wide.index != 104, "n/a"))
    with pytest.raises(NumberTextError, match="z1"):
        made({"a": "y1 ~ x1 + [p1 ~ z1]"}, text)


def test_low_rank_sur_points_to_the_model_that_has_instruments(wide):
    with pytest.raises(FormulaError, match="has instruments, .*take LowRank3SLS"):
        build_system({"a": "y1 ~ x1 + [p1 ~ z1]"}, wide)


# ---- what is kept ------------------------------------------------------------------------------


def test_systems_are_copied_and_saved(engine, wide):
    system = made({"a": "y1 ~ x1 + [np.exp(p1) ~ center(z1)]"}, wide)
    recipe = system.recipe()
    assert (recipe.exog, recipe.instruments) == ((), ())
    again = pickle.loads(pickle.dumps(recipe))
    pd.testing.assert_frame_equal(replay(again.specs, wide, again.scope)[0], system.exog[0])
    assert again.endogenous == system.endogenous
    deep = copy.deepcopy(system)
    assert deep.instruments[0] is not system.instruments[0]
    pd.testing.assert_frame_equal(deep.instruments[0], system.instruments[0])


def test_formulas_without_brackets_are_untouched():
    text = "y ~ x[~mask] + I(~flag) + Q('[a ~ b]') + z"
    one = split(text)
    assert one.equation == text
    assert (one.instruments, one.endogenous) == ("~ x[~mask] + I(~flag) + Q('[a ~ b]') + z", "")
