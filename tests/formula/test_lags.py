"""Lags of a long panel: by group and time, whatever the rows' order, the engine and the dtype."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    FormulaError,
    NonFiniteError,
    UnbalancedPanelError,
    UnseenLevelError,
)
from sm_alsgls.formula.build import build_system
from sm_alsgls.formula.replay import replay, replay_panel

PANEL = {"groups": "unit", "time": "t"}


def made(times=range(8), units="abc", seed=0):
    """A balanced panel, shuffled, with numbers, text and categories."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame([(u, t) for u in units for t in times], columns=["unit", "t"])
    data["x"], data["z"], data["y"] = rng.standard_normal((3, len(data)))
    data["s"] = rng.choice(["low", "high"], len(data))
    data["flag"] = data["x"] > 0
    order = rng.permutation(len(data))
    return data.iloc[order].set_axis([f"r{i}" for i in range(len(data))])


def column(formula, data, term, **options):
    """A term of the design, on the rows of the data, NaN where it is missing."""
    return column_of(build_system(formula, data, **{**PANEL, **options}), data, term)


def column_of(system, data, term):
    out = pd.Series(np.nan, index=data.index)
    for rows, X in zip(system.rows, system.exog, strict=True):
        out.iloc[rows[rows >= 0]] = X[term].to_numpy()[rows >= 0]
    return out


def shifted(data, values, k):
    """The dense twin: a merge of each row with that of its unit k times before."""
    past = pd.DataFrame({"unit": data["unit"], "t": data["t"] + k, "v": values})
    return data[["unit", "t"]].merge(past, how="left")["v"].set_axis(data.index)


def assert_column(got, expected):
    np.testing.assert_allclose(got, expected.astype(float), rtol=1e-12, atol=1e-13)


# ---- values ----------------------------------------------------------------------------------


def test_a_balanced_panel_is_groupby_shift(engine):
    data = made()
    ordered = data.sort_values("t").groupby("unit")
    for k in (1, 2, 5):
        assert_column(
            column(f"y ~ lag(x, {k})", data, f"lag(x, {k})"), ordered["x"].shift(k)[data.index]
        )
        assert_column(
            column(f"y ~ lead(x, {k})", data, f"lead(x, {k})"), ordered["x"].shift(-k)[data.index]
        )
        assert_column(
            column(f"y ~ diff(x, {k})", data, f"diff(x, {k})"), ordered["x"].diff(k)[data.index]
        )
    assert_column(column("y ~ lag(x)", data, "lag(x)"), ordered["x"].shift(1)[data.index])
    assert_column(column("y ~ lag(x, -1)", data, "lag(x, -1)"), ordered["x"].shift(-1)[data.index])
    assert_column(column("y ~ lag(x, k=2)", data, "lag(x, k=2)"), ordered["x"].shift(2)[data.index])


def test_a_gap_is_a_missing_value(engine):
    data = made().query("not (unit == 'b' and t == 4)").query("t != 6")
    for k in (1, 2, 3):
        assert_column(column(f"y ~ lag(x, {k})", data, f"lag(x, {k})"), shifted(data, data["x"], k))
    # By row it would be another number.
    lost = column("y ~ lag(x, 1)", data, "lag(x, 1)")[(data["unit"] == "b") & (data["t"] == 5)]
    assert lost.isna().all()
    assert lost.size == 1


def test_expressions_and_nested_lags(engine):
    data = made()
    logs = np.log(np.abs(data["x"]))
    before = shifted(data, logs, 1)
    expected = shifted(data, logs - before, 2)
    term = "lag(diff(np.log(np.abs(x))), 2)"
    assert_column(column(f"y ~ {term}", data, term), expected)
    assert_column(column("y ~ z:lag(x)", data, "z:lag(x)"), data["z"] * shifted(data, data["x"], 1))
    centered = data["x"] - data["x"].mean()  # of all groups together
    assert_column(column("y ~ lag(center(x))", data, "lag(center(x))"), shifted(data, centered, 1))
    assert_column(column("y ~ lag(flag)", data, "lag(flag)"), shifted(data, data["flag"], 1))
    level = shifted(data, data["s"], 1)
    low = (level == "low").astype(float).where(level.notna())
    assert_column(column("y ~ C(lag(s))", data, "C(lag(s))[T.low]"), low)
    both = build_system("y ~ lag(bs(x, df=4))", data, **PANEL).exog[0]
    plain = build_system("y ~ bs(x, df=4)", data, **PANEL).exog[0]
    np.testing.assert_allclose(both.iloc[:, 1:], plain.iloc[:-1, 1:], rtol=1e-12)


def test_lags_of_the_response(engine):
    data = made()
    system = build_system("diff(y) ~ lag(y)", data, **PANEL)
    assert list(system.endog.index) == [*range(1, 8)]  # the first time has no row in any unit
    wide = data.pivot(index="t", columns="unit", values="y")[list(system.endog)]
    np.testing.assert_allclose(system.endog, wide.diff().iloc[1:])
    np.testing.assert_allclose(system.exog[1]["lag(y)"], wide.iloc[:-1, 1])


def test_missing_values_are_those_of_any_regressor(engine):
    data = load_grunfeld()
    panel = {"groups": "firm", "time": "year"}
    model = LowRankSUR.from_formula("invest ~ lag(value, 1)", data, rank=1, **panel)
    assert (model.n_cells, model.nobs, model.n_dropped) == (209, 19, 1)
    dropped = LowRankSUR.from_formula(
        "invest ~ lag(value, 1)", data, rank=1, missing="drop", **panel
    )
    assert dropped.n_cells == 209
    np.testing.assert_allclose(dropped.fit().params, model.fit().params, rtol=1e-8)
    with pytest.raises(ValueError, match="missing values"):
        LowRankSUR.from_formula("invest ~ lag(value)", data, missing="raise", **panel)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    keep=st.floats(0.6, 1.0),
    term=st.sampled_from(["lag(x)", "lead(x, 2) + lag(z)", "diff(lag(x)) + C(s)", "lag(x):z"]),
    formulaic=st.booleans(),
)
@pytest.mark.slow
def test_rows_in_any_order_are_one_model(seed, keep, term, formulaic):
    rng = np.random.default_rng(seed)
    data = made(range(9), "abcd", seed)
    data = data[rng.random(len(data)) < keep]
    options = statsmodels.formula.options
    before = options.formula_engine
    options.formula_engine = "formulaic" if formulaic else "patsy"
    try:
        try:
            one = build_system(f"y ~ {term}", data, **PANEL)
        except NonFiniteError:
            assume(False)  # what is left of the panel has no row with all of its neighbours
        order = rng.permutation(len(data))
        other = data.iloc[order].set_axis(rng.permutation(len(data)))
        two = build_system(f"y ~ {term}", other, **PANEL)
    finally:
        options.formula_engine = before
    names = list(one.endog)
    pd.testing.assert_frame_equal(one.endog, two.endog[names])
    for name, X in zip(names, one.exog, strict=True):
        pd.testing.assert_frame_equal(X, two.exog[list(two.endog).index(name)], rtol=1e-12)
    again = replay_panel(two.specs, data, "unit")
    for name, rows, X in again:
        values = X.set_axis(data["t"].to_numpy()[rows]).reindex(one.endog.index)
        expected = one.exog[names.index(name)]
        known = expected.notna().all(axis=1).to_numpy()
        np.testing.assert_allclose(values[known], expected[known], rtol=1e-12)


# ---- times -----------------------------------------------------------------------------------

MONTHS = pd.period_range("2020-01", periods=8, freq="M")
AXES = {
    "years": range(2000, 2008),
    "every five years": range(1950, 1990, 5),
    "floats": np.arange(8.0),
    "quarters as decimals": 2000 + np.arange(8) / 4,
    "months as rounded decimals": np.round(2000 + np.arange(8) / 12, 3),
    "days": pd.date_range("2020-01-28", periods=8),
    "weeks": pd.date_range("2020-01-03", periods=8, freq="W-FRI"),
    "business days": pd.bdate_range("2020-01-01", periods=8),
    "month ends": pd.date_range("2020-01-31", periods=8, freq="ME"),
    "month starts": pd.date_range("2020-01-01", periods=8, freq="MS"),
    "the 30th": [pd.Timestamp(2020, m, min(30, d)) for m, d in
                 zip(range(1, 9), (31, 29, 31, 30, 31, 30, 31, 31), strict=True)],
    "last business days": pd.date_range("2020-01-31", periods=8, freq="BME"),
    "quarter ends": pd.date_range("2020-03-31", periods=8, freq="QE"),
    "years' ends": pd.date_range("2000-12-31", periods=8, freq="YE"),
    "zoned days over a change of clocks":
        pd.date_range("2020-03-26", periods=8, tz="Europe/Paris"),
    "hours": pd.date_range("2020-03-29 00:30", periods=8, freq="h", tz="Europe/Paris"),
    "daily periods": pd.period_range("2020-02-25", periods=8, freq="D"),
    "monthly periods": MONTHS,
    "quarterly periods": pd.period_range("2019Q3", periods=8, freq="Q"),
    "yearly periods": pd.period_range("2000", periods=8, freq="Y"),
    "dates as objects": [d.date() for d in pd.date_range("2020-01-28", periods=8)],
    "ordered categories": pd.Categorical(
        list("hgfedcba"), categories=list("hgfedcba"), ordered=True),
    "durations": pd.timedelta_range("0s", periods=8, freq="90s"),
    "years as categories": pd.Categorical(range(2000, 2008)),
}  # fmt: skip


@cache
def holed():
    return made().query("not (unit == 'b' and t == 4)").query("t != 6")


@cache
def column_by_number(engine, term):
    """By the engine that is set."""
    return column(f"y ~ {term}", holed(), term)


# Steps are found before an engine sees a term: every second axis has the other engine.
@pytest.mark.parametrize(
    ("kind", "engine"),
    [(kind, ("patsy", "formulaic")[i % 2]) for i, kind in enumerate(AXES)],
    indirect=["engine"],
)
def test_steps_of_any_time_axis(engine, kind):
    """The numbers are those of a panel whose times are 0..7, gaps included, in new data too."""
    numbered = holed()
    times = pd.Series(AXES[kind])
    data = numbered.assign(t=times.iloc[numbered["t"]].set_axis(numbered.index))
    for term in ("lag(x)", "lag(x, 2)", "lead(x, 3)"):
        expected = column_by_number(engine, term)
        system = build_system(f"y ~ {term}", data, **PANEL)
        assert_column(column_of(system, data, term), expected)
        new = data[numbered["t"] == 5]
        for _, rows, X in replay_panel(system.specs, new, "unit"):
            np.testing.assert_allclose(X[term], expected[new.index[rows]])


def test_holidays_are_gaps_among_business_days():
    days = pd.bdate_range("2020-12-21", periods=12).drop("2020-12-25")
    data = pd.DataFrame({"unit": "a", "t": days, "x": np.arange(11.0), "y": np.arange(11.0) ** 2})
    lost = column("y ~ lag(x)", data, "lag(x)").isna()
    assert list(days[lost]) == [pd.Timestamp("2020-12-21"), pd.Timestamp("2020-12-28")]


def test_the_frequency_of_periods_is_the_step(engine):
    data = made().assign(t=lambda d: MONTHS[0] + 3 * d["t"])
    data["t"] = data["t"].astype("period[M]")
    with pytest.raises(
        FormulaError, match=r"lag\(\): no row .* 1 step before it; a step of 't' is M"
    ):
        build_system("y ~ lag(x)", data, **PANEL)
    by_quarter = data.assign(t=data["t"].dt.asfreq("Q"))
    assert_column(
        column("y ~ lag(x, 3)", data, "lag(x, 3)"), column("y ~ lag(x)", by_quarter, "lag(x)")
    )


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([f"wave {t}" for t in range(8)], r"time='t' holds text \('wave \d'\).*PeriodIndex"),
        (pd.Categorical(list("abcdefgh")), "time='t' holds text"),
        (pd.to_datetime(["2020-01-01", "2020-01-03", "2020-01-08", "2020-02-01", "2020-02-20",
                         "2020-03-15", "2020-04-18", "2020-05-30"]), "no regular step"),
        (np.cumsum(np.sqrt(np.arange(1, 9))), "no regular step"),
        (np.r_[np.arange(7.0), np.inf], "infinite"),
    ],
)  # fmt: skip
def test_times_without_steps_are_refused(times, words):
    data = made()
    data["t"] = pd.Series(times).iloc[data["t"]].to_numpy()
    with pytest.raises(FormulaError, match=words):
        build_system("y ~ lag(x)", data, **PANEL)
    if "infinite" not in words:
        build_system("y ~ x", data, **PANEL)  # an order is enough


# ---- new data --------------------------------------------------------------------------------


@pytest.fixture
def fitted(engine):
    data = made(range(10), "abcd")
    model = LowRankSUR.from_formula("y ~ lag(x, 1) + lag(diff(z), 2)", data, rank=0, **PANEL)
    return data, model.fit(n_starts=1)


def test_predict_is_the_fit_on_its_own_rows(fitted):
    data, res = fitted
    inside = res.predict(data)
    for unit in "abcd":
        mine = data[data["unit"] == unit].set_index("t")
        expected = res.fittedvalues[unit]
        got = inside[data["unit"] == unit].set_axis(mine.index).reindex(expected.index)
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert inside[data["t"] < 3].isna().all()
    for t in (3, 9):  # one period: what precedes it comes from the model's own data
        new = data[data["t"] == t].drop(columns="y")
        np.testing.assert_allclose(res.predict(new), inside[new.index], rtol=1e-12)


def test_predict_beyond_the_sample(fitted):
    data, res = fitted
    new = pd.DataFrame({"unit": list("badc") * 2, "t": [10] * 4 + [11] * 4, "x": 1.0, "z": 2.0})
    b = res.params
    past = data.set_index(["unit", "t"])
    for (unit, t), value in zip(
        new[["unit", "t"]].itertuples(index=False), res.predict(new), strict=True
    ):
        x = past["x"][unit, 9] if t == 10 else 1.0
        dz = past["z"][unit, t - 2] - past["z"][unit, t - 3]
        expected = b[f"{unit}_Intercept"] + b[f"{unit}_lag(x, 1)"] * x
        assert value == pytest.approx(expected + b[f"{unit}_lag(diff(z), 2)"] * dz, rel=1e-10)
    far = new.assign(t=20)
    assert res.predict(far.iloc[:4]).isna().all()  # nothing precedes them


def test_new_rows_come_before_the_models_own(fitted):
    data, res = fitted
    changed = data.assign(x=data["x"] + 5)
    own, new = res.predict(data), res.predict(changed)
    step = 5 * np.array([res.params[f"{u}_lag(x, 1)"] for u in data["unit"]])
    known = own.notna()
    np.testing.assert_allclose((new - own)[known], step[known], rtol=1e-9)
    gap = changed.assign(x=changed["x"].mask(changed["t"] == 5))
    lost = res.predict(gap)[gap["t"] == 6]
    assert lost.isna().all()  # a missing value that was given stays missing


def test_one_step_ahead_of_the_response(engine):
    """What stands in lags alone need not be there in new data; what stands elsewhere must."""
    data = made(range(10), "abcd")
    model = LowRankSUR.from_formula("diff(y) ~ lag(y) + lag(log(z), 2) + x", data, 0,
                                    **PANEL, eval_env={"log": lambda v: np.log(v**2)})  # fmt: skip
    res = model.fit()
    new = pd.DataFrame({"unit": list("cb"), "t": 10, "x": [1.0, 2.0]})
    past = data.set_index(["unit", "t"])
    for unit, x, value in zip(new["unit"], new["x"], res.predict(new), strict=True):
        b = res.equations[unit].params
        lags = (
            b["lag(y)"] * past["y"][unit, 9],
            b["lag(log(z), 2)"] * np.log(past["z"][unit, 8] ** 2),
        )
        assert value == pytest.approx(b["Intercept"] + b["x"] * x + sum(lags), rel=1e-10)
    with pytest.raises(FormulaError, match="unknown variables: 'x'"):
        res.predict(new.drop(columns="x"))
    two = pd.concat([new, new.assign(t=11)])
    np.testing.assert_array_equal(res.predict(two).isna(), [False, False, True, True])
    with pytest.raises(ValueError, match="the data hold no response"):
        res.get_prediction(new, given=True)


def test_one_equation_and_selected_ones(fitted):
    data, res = fitted
    new = data[data["t"] == 7]
    expected = res.predict(new)
    one = res.predict(new, equations=["c"])
    np.testing.assert_allclose(one, expected[one.index])
    mine = new[new["unit"] == "c"].drop(columns="unit")
    np.testing.assert_allclose(res.equations["c"].predict(mine), one)
    twice = pd.concat([new, data[data["t"] == 6]]).drop(columns="unit")
    with pytest.raises(UnbalancedPanelError, match="several rows hold group 'c'"):
        res.equations["c"].predict(twice)
    frame = res.get_prediction(new, given=True).summary_frame()
    assert frame["mean"].notna().all()


def test_pickles_keep_what_precedes(fitted):
    data, res = fitted
    new = data[data["t"] == 9]
    expected = res.predict(new)
    again = pickle.loads(pickle.dumps(res))
    np.testing.assert_array_equal(again.predict(new), expected)
    again.remove_data()
    np.testing.assert_array_equal(again.predict(new), expected)


def test_the_memory_is_one_column_a_variable(engine):
    data = made(range(400), "abcdefgh")
    for name in "ghijklmn":
        data[name] = 1.0
    sizes = [
        len(pickle.dumps(build_system(f"y ~ {terms}", data, **PANEL).recipe()))
        for terms in (
            "lag(x)",
            "lag(x) + lag(x, 2) + lead(x) + diff(x)",
            "lag(x) + lag(z)",
            "x + z",
        )
    ]
    one = 8 * len(data)
    assert sizes[1] < sizes[0] + one / 2
    assert one / 2 < sizes[2] - sizes[0] < 1.5 * one
    assert sizes[3] < one / 2


@pytest.mark.parametrize(
    ("kind", "time"),
    [
        ("month ends", "2020-09-15"),
        ("month starts", "2020-09-30"),
        ("the 30th", "2020-09-29"),
        ("business days", "2020-01-18"),
        ("weeks", "2020-03-01"),
        ("hours", "2020-03-29 12:31+02:00"),
        ("durations", "100s"),
        ("every five years", 1991),
        ("quarters as decimals", 2002.1),
        ("ordered categories", "i"),
    ],
)
def test_times_in_other_places_of_an_axis(kind, time):
    data = made()
    data["t"] = pd.Series(AXES[kind]).iloc[data["t"]].set_axis(data.index)
    system = build_system("y ~ lag(x)", data, **PANEL)
    time = pd.Timedelta(time) if kind == "durations" else time
    if "20-0" in str(time):
        time = pd.Timestamp(time)
    new = data.iloc[:1].assign(t=pd.Series([time], index=data.index[:1]))
    with pytest.raises(FormulaError, match="lies between the times|another kind|holds text"):
        replay_panel(system.specs, new, "unit")


def test_replayed_errors(engine):
    data = made()
    system = build_system("y ~ lag(x)", data, **PANEL)
    new = data[data["t"] == 7]
    with pytest.raises(FormulaError, match="need the column 't'.*did you mean 'T'"):
        replay_panel(system.specs, new.rename(columns={"t": "T"}), "unit")
    with pytest.raises(FormulaError, match=r"time='t': 7\.5 lies between .* step is 1"):
        replay_panel(system.specs, new.assign(t=7.5), "unit")
    with pytest.raises(FormulaError, match="another kind of time"):
        replay_panel(system.specs, new.assign(t=pd.Timestamp("2020-01-01")), "unit")
    with pytest.raises(UnseenLevelError, match="no equation for 'q'"):
        replay_panel(system.specs, new.assign(unit="q"), "unit")
    again = pd.concat([new, new.assign(t=6), new.assign(t=6)])
    with pytest.raises(UnbalancedPanelError, match="several rows hold group"):
        replay_panel(system.specs, again, "unit")
    # Repeated rows from which nothing is lagged are two scenarios.
    twice = pd.concat([new, new])
    designs = {name: X for name, _, X in replay_panel(system.specs, twice, "unit")}
    for X in designs.values():
        assert X["lag(x)"].nunique() == 1
    assert (
        replay([system.specs[0]], new[new["unit"] == system.specs[0].name])[0].notna().all().all()
    )


# ---- what is refused --------------------------------------------------------------------------


def test_lags_need_groups_and_time(engine):
    data = made()
    for options in ({}, {"groups": "unit"}):
        for name in ("lag", "lead", "diff"):
            with pytest.raises(FormulaError, match=rf"{name}\(\) goes by group and time.*x\.shift"):
                build_system(f"y ~ {name}(x)", data, **options)


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("lag(x, 1.5)", r"k is a whole number of steps, got 1\.5; several lags"),
        ("lag(x, [1, 2])", r"lag\(x, 1\) \+ lag\(x, 2\)"),
        ("lag(x, True)", "got True"),
        ("diff(x, 0)", "1 or more, got 0"),
        ("diff(s)", "diff.. takes numbers"),
        ("lag(C(s))", r"write C\(lag\(x\)\)"),
        ("lag(3)", "takes a column"),
        ("lag(x, 8)", "no row has another of its group 8 steps before it; a step of 't' is 1"),
        ("lag(xx)", "'xx'.*did you mean 'x'"),
        ("center(lag(x))", r"lag\(center\(x\)\)"),
    ],
)
def test_lags_that_cannot_be(engine, term, words):
    with pytest.raises(ValueError, match=words) as caught:
        build_system(f"y ~ {term}", made(), **PANEL)
    assert type(caught.value).__module__ == "sm_alsgls.exceptions"


def test_groups_that_print_alike_are_refused(engine):
    data = made()
    data["unit"] = data["unit"].map({"a": 1, "b": "1", "c": 2})
    with pytest.raises(FormulaError, match="alike"):
        build_system("y ~ lag(x)", data, **PANEL)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "Int16", "UInt64", "float32", "bool"])
def test_dtypes_of_whole_numbers(engine, dtype):
    times = range(2) if dtype == "bool" else range(8)
    data = made(times)
    expected = column("y ~ lag(x)", data, "lag(x)")
    other = data.assign(t=data["t"].astype(dtype))
    assert_column(column("y ~ lag(x)", other, "lag(x)"), expected)
    system = build_system(
        "y ~ lead(x)", other[data["t"] > 0] if dtype != "bool" else other, **PANEL
    )
    first = other[data["t"] == 0]  # before the model's own times
    following = data[data["t"] == 1].set_index("unit")["x"]
    for name, _, X in replay_panel(system.specs, first, "unit"):
        assert X["lead(x)"].item() == following[name]


def test_repeated_cells_are_refused(engine):
    data = made()
    with pytest.raises(UnbalancedPanelError):
        build_system("y ~ lag(x)", pd.concat([data, data.iloc[:1]]), **PANEL)


def test_a_function_of_the_callers_own(engine):
    def lag(x):
        return 2 * x

    data = made()
    assert_column(column("y ~ lag(x)", data, "lag(x)", scope={"lag": lag}), 2 * data["x"])
    assert_column(
        column("y ~ lag(x)", data, "lag(x)", scope={"lag": 3}), shifted(data, data["x"], 1)
    )
    data["diff"] = data["z"]  # a column may be called so
    np.testing.assert_allclose(column("y ~ diff", data, "diff"), data["z"])
