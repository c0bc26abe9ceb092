"""from_formula and from_system of models with instruments, on a class that only records."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from linearmodels.system import IV3SLS

from sm_alsgls import LowRank3SLS
from sm_alsgls.data.instrumented import read_instrumented
from sm_alsgls.exceptions import (
    FormulaError,
    InstrumentError,
    OneEquationWarning,
    OptionError,
    RankDeficientError,
    ShapeError,
    UnderidentifiedError,
    UnknownArgumentError,
)
from sm_alsgls.models.instrumented_construction import InstrumentedConstruction

# Systems of noise.
pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.WeakInstrumentWarning")
N = 24
BOTH = {"a": "y1 ~ x1 + [p1 + p2 ~ z1 + z2 + z3]", "b": "y2 ~ x2 + [p2 ~ z1]"}


class Recorded(InstrumentedConstruction):
    laws = None

    def __init__(self, endog, exog, instruments, rank="auto", *, missing="none", weights=None,
                 common_instruments=False, common=False, _formula=None):  # fmt: skip
        self.system = read_instrumented(
            endog, exog, instruments, missing, weights, common_instruments
        )
        self.rank, self.common, self.formula_system = rank, common, _formula
        self.equations, self.nobs = self.system.names, self.system.nobs
        self.data = SimpleNamespace()

    @property
    def provenance(self):
        return self.__dict__.get("_source", self.system.provenance)


@pytest.fixture
def wide():
    rng = np.random.default_rng(0)
    names = ["y1", "y2", "p1", "p2", "x1", "x2", "z1", "z2", "z3"]
    data = pd.DataFrame(rng.standard_normal((N, len(names))), columns=names)
    data["w"] = np.exp(data["x1"])
    data["g"] = list("abc") * (N // 3)
    return data.set_index(np.arange(100, 100 + N))


@pytest.fixture
def panel():
    rng = np.random.default_rng(1)
    cells = pd.MultiIndex.from_product([range(2000, 2012), ["US", "GM"]])
    data = pd.DataFrame(rng.standard_normal((24, 4)), columns=["y", "x", "p", "z"])
    data["year"], data["firm"] = (cells.get_level_values(i) for i in (0, 1))
    return data


# ---- formulas ----------------------------------------------------------------------------------


def test_a_model_of_formulas(engine, wide):
    model = Recorded.from_formula(BOTH, wide, 2, common=["p2"])
    system = model.system
    assert system.instrument_names == {
        "a": ["Intercept", "x1", "z1", "z2", "z3"],
        "b": ["Intercept", "x2", "z1"],
    }
    assert system.endogenous_names == {"a": ["p1", "p2"], "b": ["p2"]}
    assert (model.rank, model.formula, model.common) == (2, BOTH, ["p2"])
    pd.testing.assert_frame_equal(model.data.frame, wide)
    assert model.formula_system.specs[0].formula == "y1 ~ x1 + p1 + p2"
    # The model's data are as they were.
    wide["z1"] = 0.0
    assert model.data.frame["z1"].abs().min() > 0.0


def test_rows_know_where_they_come_from(wide):
    wide.loc[103, "z1"] = np.nan
    w = pd.Series(np.arange(N, dtype=float), index=wide.index)
    model = Recorded.from_formula(BOTH, wide.assign(w=w), weights="w")
    assert (model.nobs, model.formula_system.n_dropped, model.system.n_dropped) == (22, 1, 1)
    rows = [i for i in range(1, N) if i != 3]
    assert model._source.rows.tolist() == rows
    assert model.system.index.tolist() == [100 + i for i in rows]
    np.testing.assert_allclose(model.system.cells.weights, w.iloc[rows] / w.iloc[rows].mean())
    (groups,) = model._source.per_row("g", "groups")
    assert groups.tolist() == wide["g"].iloc[rows].tolist()
    other = Recorded.from_formula(BOTH, wide, weights=w.iloc[::-1])
    np.testing.assert_array_equal(other.system.cells.weights, model.system.cells.weights)


def test_common_instruments_are_those_of_all_formulas(engine, wide):
    with pytest.raises(InstrumentError, match="'p1' is endogenous in equation 'a', but an instr"):
        Recorded.from_formula({**BOTH, "b": "y2 ~ p1"}, wide, common_instruments=True)
    model = Recorded.from_formula(BOTH, wide, common_instruments=True)
    union = ["Intercept", "x1", "z1", "z2", "z3", "x2"]
    assert model.system.instrument_names == {"a": union, "b": union}


@pytest.mark.parametrize("common", [False, True])
def test_a_list_for_all_is_what_its_brackets_say(engine, wide, common):
    one = Recorded.from_formula(
        {"a": "y1 ~ x1 + p1", "b": "y2 ~ x2 + p2"},
        wide,
        instruments="~ x1 + x2 + z1",
        common_instruments=common,
    )
    other = Recorded.from_formula(
        {"a": "y1 ~ x1 + [p1 ~ x2 + z1]", "b": "y2 ~ x2 + [p2 ~ x1 + z1]"}, wide
    )
    assert one.system.endogenous_names == other.system.endogenous_names
    assert one.system.exogenous_names == other.system.exogenous_names
    for j in range(2):
        labels = one.system.instrument_columns[j]
        at = [other.system.instrument_columns[j].index(label) for label in labels]
        np.testing.assert_array_equal(one.system.instruments[j], other.system.instruments[j][:, at])


def test_names_are_looked_up_where_the_caller_is(engine, wide):
    def halved(x):
        return x / 2

    model = Recorded.from_formula({"a": "y1 ~ x1 + [p1 ~ halved(z1)]", "b": "y2 ~ x2"}, wide)
    np.testing.assert_array_equal(model.system.instruments[0][:, 2], wide["z1"] / 2)
    lists = {"a": "~ x1 + halved(z1)", "b": "~ x2"}
    model = Recorded.from_formula({"a": "y1 ~ x1 + p1", "b": "y2 ~ x2"}, wide, instruments=lists)
    np.testing.assert_array_equal(model.system.instruments[0][:, 2], wide["z1"] / 2)
    with pytest.raises(FormulaError, match="'halved'"):
        Recorded.from_formula(BOTH | {"b": "y2 ~ [p2 ~ halved(z1)]"}, wide, eval_env=-1)
    Recorded.from_formula(BOTH | {"b": "y2 ~ [p2 ~ h(z1)]"}, wide, eval_env={"h": lambda x: x / 3})


def test_weights_of_a_panel_are_of_its_periods(panel):
    panel["w"] = panel["year"] - 1999.0
    model = Recorded.from_formula("y ~ x + [p ~ z]", panel, groups="firm", time="year", weights="w")
    w = np.arange(1.0, 13.0)
    np.testing.assert_allclose(model.system.cells.weights, w / w.mean())
    panel.loc[3, "w"] = 7.0
    with pytest.raises(ShapeError, match="weights differs within row 2001"):
        Recorded.from_formula("y ~ x + [p ~ z]", panel, groups="firm", time="year", weights="w")


def test_brackets_and_values_agree(engine, wide):
    with pytest.raises(InstrumentError, match="equation 'a': 'p1' is endogenous in brackets, but"):
        Recorded.from_formula({"a": "y1 ~ x1 + [p1 ~ z1 + I(2 * p1)]", "b": "y2 ~ x2"}, wide)
    with pytest.raises(InstrumentError, match="equation 'a': 'x1' stands outside of the brackets"):
        Recorded.from_formula({"a": "y1 ~ x1 + [p1 ~ z1 + z2 - x1]", "b": "y2 ~ x2"}, wide)


def test_one_equation_is_two_stage_least_squares(wide):
    with pytest.warns(OneEquationWarning, match=f"one equation, 'a': this is 2SLS on {N} rows"):
        Recorded.from_formula({"a": BOTH["a"]}, wide)


def test_what_formulas_of_instruments_do_not_know(wide):
    with pytest.raises(OptionError, match="missing='fiml' is of a likelihood"):
        Recorded.from_formula(BOTH, wide, missing="fiml")
    for bad in ("some", np.ones(2), pd.NA):
        with pytest.raises(OptionError, match="missing must be"):
            Recorded.from_formula(BOTH, wide, missing=bad)
    with pytest.raises(FormulaError, match="iterator of chunks"):
        Recorded.from_formula(BOTH, iter([wide]))
    with pytest.raises(UnknownArgumentError, match="instrument"):
        Recorded.from_formula(BOTH, wide, instrument="~ z1")
    with pytest.raises(FormulaError, match="groups must be the name of a column"):
        Recorded.from_formula(BOTH, wide, groups=wide["g"])
    with pytest.raises(OptionError, match="common_instruments"):
        Recorded.from_formula(BOTH, wide, common_instruments="a")
    with pytest.raises(OptionError, match="weights: a system with instruments has one weight a r"):
        Recorded.from_formula(BOTH, wide, weights=wide[["w", "z1"]])
    with pytest.raises(OptionError, match="weights must be a column"):
        Recorded.from_formula(BOTH, wide, weights=2.0)
    with pytest.raises(OptionError, match="not so many frames"):
        Recorded.from_formula(BOTH, wide, eval_env=900)


def test_equations_that_cannot_be_identified_are_named(wide):
    with pytest.raises(UnderidentifiedError, match=r"'a' has 3 instruments for 4 regressors: 1 th"):
        Recorded.from_formula({"a": "y1 ~ x1 + [p1 + p2 ~ z1]", "b": "y2 ~ x2"}, wide)
    with pytest.raises(RankDeficientError, match="equation 'a': the columns of instruments"):
        Recorded.from_formula({"a": "y1 ~ x1 + [p1 ~ z1 + I(3 * x1)]", "b": "y2 ~ x2"}, wide)


# ---- parts of equations --------------------------------------------------------------------------


def parts(wide, name):
    one = wide.assign(const=1.0)
    exog = {"a": ["const", "x1"], "b": ["const", "x2"]}[name]
    endog = {"a": ["p1", "p2"], "b": ["p2"]}[name]
    instruments = {"a": ["z1", "z2", "z3"], "b": ["z1"]}[name]
    y = one[{"a": "y1", "b": "y2"}[name]]
    return {"dependent": y, "exog": one[exog], "endog": one[endog], "instruments": one[instruments]}


def test_mappings_and_tuples_of_linearmodels(wide):
    mappings = {name: parts(wide, name) for name in "ab"}
    theirs = IV3SLS(mappings)
    for given in (mappings, {name: tuple(one.values()) for name, one in mappings.items()}):
        system = Recorded.from_system(given, 1).system
        for j in range(2):
            np.testing.assert_array_equal(system.Y[:, [j]], theirs._y[j])
            np.testing.assert_array_equal(system.blocks[j], theirs._x[j])
            np.testing.assert_array_equal(system.instruments[j], theirs._z[j])
        assert system.columns == [["const", "x1", "p1", "p2"], ["const", "x2", "p2"]]
        assert system.instrument_columns[1] == ["const", "x2", "z1"]
        assert system.endogenous_names == {"a": ["p1", "p2"], "b": ["p2"]}
        assert system.index.equals(wide.index)


def test_triples_have_every_regressor_and_every_instrument(wide):
    triples = {}
    for name in "ab":
        one = parts(wide, name)
        X = pd.concat([one["exog"], one["endog"]], axis=1)
        triples[name] = one["dependent"], X, pd.concat([one["exog"], one["instruments"]], axis=1)
    system = Recorded.from_system(triples).system
    reference = Recorded.from_system({name: parts(wide, name) for name in "ab"}).system
    for j in range(2):
        np.testing.assert_array_equal(system.blocks[j], reference.blocks[j])
        np.testing.assert_array_equal(system.instruments[j], reference.instruments[j])


def test_parts_may_lack_names_or_be_lacking(wide):
    one = parts(wide, "a")
    arrays = {key: value.to_numpy() for key, value in one.items()}
    system = Recorded.from_system({"a": arrays, "b": parts(wide, "b")}).system
    assert system.columns[0] == ["const", "x1", "x2", "x3"]
    assert system.instrument_columns[0] == ["const", "z1", "z2", "z3", "z4"]
    mixed = {**one, "endog": arrays["endog"], "instruments": arrays["instruments"]}
    system = Recorded.from_system({"a": mixed}).system
    assert system.columns[0] == ["const", "x1", "x2", "x3"]
    assert system.instrument_columns[0] == ["const", "x1", "z1", "z2", "z3"]
    assert system.endogenous_names == {"a": ["x2", "x3"]}
    # No exogenous regressors, or no endogenous ones.
    bare = {**one, "exog": None}
    assert Recorded.from_system({"a": bare}).system.instrument_columns == [["z1", "z2", "z3"]]
    without = {key: one[key] for key in ("dependent", "exog")}
    system = Recorded.from_system({"a": one, "b": without}).system
    np.testing.assert_array_equal(system.instruments[1], system.blocks[1])


def test_equal_parts_are_one_design(wide):
    one = parts(wide, "a")
    system = Recorded.from_system({"a": one, "b": {**one, "dependent": wide["y2"]}}).system
    assert system.blocks[0] is system.blocks[1]
    assert system.instruments[0] is system.instruments[1]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weights": np.ones(N)}, OptionError, "equation 'a' has weights of its own"),
        ({"dependent": None}, ShapeError, "equation 'a' lacks part 'dependent'"),
        ({"instrument": 1}, ShapeError, r"no part 'instrument' \(did you mean 'instruments'"),
        ({"exog": None, "endog": None}, ShapeError, "equation 'a' has no regressors"),
        ({"exog": None, "instruments": None}, InstrumentError, "equation 'a' has no instruments"),
        ({"exog": 2.0}, ShapeError, r"exog of equation 'a' must be \(N, p\), got 0 dimensions"),
        ({"endog": np.ones((3, 1))}, ShapeError, r"endog of equation 'a' has shape \(3, 1\)"),
    ],
)
def test_parts_that_do_not_fit(wide, change, error, message):
    with pytest.raises(error, match=message):
        Recorded.from_system({"a": {**parts(wide, "a"), **change}})


def test_labels_of_parts_decide(wide):
    one = parts(wide, "a")
    with pytest.raises(ShapeError, match="row labels of endog of equation 'a' differ"):
        Recorded.from_system({"a": {**one, "endog": one["endog"].iloc[::-1]}})
    twice = one["instruments"].rename(columns={"z1": "x1"})
    with pytest.raises(ShapeError, match="equation 'a': instruments has two columns named 'x1'"):
        Recorded.from_system({"a": {**one, "instruments": twice}})
    for bad in ({}, None, [1]):
        with pytest.raises(ShapeError, match="from_system takes a mapping"):
            Recorded.from_system(bad)
    with pytest.raises(ShapeError, match=r"equation 'a': expected a triple \(y, X, Z\)"):
        Recorded.from_system({"a": (1, 2)})


# ---- the model itself ----------------------------------------------------------------------------


@pytest.fixture
def strong(wide):
    """Instruments that say what their regressors are."""
    return wide.assign(p1=wide["p1"] + 20 * wide["z2"], p2=wide["p2"] + 20 * wide["z1"])


def test_three_ways_to_one_model(engine, strong):
    """Brackets, lists beside the formulas, and linearmodels' parts."""
    ways = [
        LowRank3SLS.from_formula(BOTH, strong, 0),
        LowRank3SLS.from_formula(
            {"a": "y1 ~ x1 + p1 + p2", "b": "y2 ~ x2 + p2"},
            strong,
            0,
            instruments={"b": "~ x2 + z1", "a": "~ z1 + x1 + z2 + z3"},
        ),
        LowRank3SLS.from_system({name: parts(strong, name) for name in "ab"}, 0),
    ]
    params = [model.fit().params for model in ways]
    theirs = IV3SLS.from_formula({k: v.replace("~", "~ 1 +", 1) for k, v in BOTH.items()}, strong)
    own = theirs.fit(method="ols", iterate=False)  # "ols" is 2SLS there
    for found in params:
        np.testing.assert_allclose(found, own.params, rtol=1e-8)
    assert ways[0].excluded == {"a": ["z1", "z2", "z3"], "b": ["z1"]}


def test_predictions_need_regressors_and_no_instruments(engine, strong):
    text = BOTH | {"b": "y2 ~ center(x2) + [p2 ~ z1]"}
    res = LowRank3SLS.from_formula(text, strong, 0).fit()
    new = strong[["x1", "x2", "p1", "p2"]].iloc[:5]
    again = pickle.loads(pickle.dumps(res))
    for one in (res, again):
        np.testing.assert_allclose(one.predict(new), res.fittedvalues.iloc[:5], rtol=1e-10)


def test_frames_have_the_names_of_formulas(wide):
    wide.loc[104, "z2"] = np.nan
    model = LowRank3SLS.from_formula(BOTH, wide, 0)
    assert model.n_dropped == 1
    groups = model.provenance.per_row("g", "groups")[0]
    assert groups.index.tolist() == wide.index.drop(104).tolist()
