"""Frames of other libraries, dtypes by kind, labels of rows and of columns."""

import datetime as dt
import decimal
import subprocess
import sys

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.api as sm
import xarray as xr
from statsmodels.formula import options

from sm_alsgls import LowRankSUR
from sm_alsgls.border.alignment import (
    by_coefficient,
    by_name,
    check_rows,
    rows_by_label,
    same_labels,
)
from sm_alsgls.border.dtypes import numeric, plain, plain_index
from sm_alsgls.border.frames import table, to_pandas
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import (
    FormulaError,
    OptionError,
    RestrictionError,
    ShapeError,
    SystemInputError,
)
from tests.systems import texts

ARROW_TEXT = pd.ArrowDtype(pa.string())
LONG = {"groups": "firm", "time": "year", "rank": 0}


@pytest.fixture(scope="module")
def wide():
    rng = np.random.default_rng(0)
    n = 40
    d = pd.DataFrame(rng.standard_normal((n, 6)), columns=["y1", "y2", "y3", "x1", "x2", "w"])
    d["y1"] += 2 * d["x1"]
    d["w"] = np.exp(d["w"])
    d["s"] = (list("uvw") * n)[:n]
    return d


FORMULAS = {"a": "y1 ~ x1 + C(s)", "b": "y2 ~ x2", "c": "y3 ~ x1"}


class Exchange:
    """A frame that has nothing but the exchange protocol."""

    def __init__(self, frame):
        self._frame = frame

    def __dataframe__(self, *args, **kwargs):
        return self._frame.__dataframe__(*args, **kwargs)


class Stream:
    """A frame that has nothing but Arrow's stream."""

    def __init__(self, frame):
        self._table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Modin:
    """A frame with modin's method."""

    def __init__(self, frame):
        self._frame = frame

    def _to_pandas(self):
        return self._frame


LIBRARIES = {
    "polars": pl.from_pandas,
    "lazy": lambda d: pl.from_pandas(d).lazy(),
    "narwhals": lambda d: nw.from_native(pl.from_pandas(d)),
    "arrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "batch": lambda d: pa.RecordBatch.from_pandas(d, preserve_index=False),
    "duckdb": lambda d: duckdb.from_arrow(pa.Table.from_pandas(d, preserve_index=False)),
    "exchange": Exchange,
    "stream": Stream,
    "modin": Modin,
    "mapping": lambda d: {name: d[name].to_numpy() for name in d},
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "nullable": lambda d: d.convert_dtypes(dtype_backend="numpy_nullable"),
    "string[pyarrow]": lambda d: d.assign(
        **{c: d[c].astype(pd.ArrowDtype(pa.string())) for c in texts(d)}
    ),
    "dictionaries": lambda d: pa.table(
        {c: pa.array(d[c]).dictionary_encode() if c in texts(d) else d[c] for c in d}
    ),
    "xarray": lambda d: xr.Dataset.from_dataframe(d),
}


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request):
    if request.param == "exchange":
        pytest.importorskip("pandas", minversion="2.2")
        if not hasattr(pd.DataFrame, "__dataframe__"):
            pytest.skip("pandas has no exchange protocol any more")
    return LIBRARIES[request.param]


def without_warnings(f, *args):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' own, of the exchange protocol in this test
        return f(*args)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_formulas_of_every_library(wide, library, engine, monkeypatch):
    monkeypatch.setattr(options, "formula_engine", engine)
    want = LowRankSUR.from_formula(FORMULAS, wide, rank=0, weights="w").fit()
    data = without_warnings(library, wide)
    res = without_warnings(
        lambda: LowRankSUR.from_formula(FORMULAS, data, rank=0, weights="w").fit()
    )
    pd.testing.assert_series_equal(res.params, want.params, rtol=1e-10)
    np.testing.assert_allclose(res.bse, want.bse, rtol=1e-10)
    new = without_warnings(library, wide.iloc[5:9].reset_index(drop=True))
    got = without_warnings(res.predict, new)
    np.testing.assert_allclose(got, want.predict(wide.iloc[5:9]), rtol=1e-10)


def test_arrays_of_every_library(wide, library):
    Y, X = wide[["y1", "y2", "y3"]], sm.add_constant(wide[["x1", "x2"]])
    w = wide[["w"]]
    want = LowRankSUR(Y, X, 0, weights=w).fit()

    def fit():
        frames = [library(part) for part in (Y, X, w)]
        if isinstance(frames[1], dict):
            frames = [Y, X, w]
        return LowRankSUR(*frames[:2], 0, weights=frames[2]).fit()

    res = without_warnings(fit)
    pd.testing.assert_series_equal(res.params, want.params, rtol=1e-10)
    new = without_warnings(library, X.iloc[3:5, ::-1].reset_index(drop=True))
    if not isinstance(new, dict):
        got = without_warnings(res.predict, new)
        np.testing.assert_allclose(got, want.fittedvalues.iloc[3:5], rtol=1e-10)
    one = pl.DataFrame(X.to_numpy(), schema=list(X))
    np.testing.assert_allclose(
        LowRankSUR({"y1": pl.Series(Y["y1"]), "y2": Y["y2"].to_numpy()}, one, 0).fit().params,
        LowRankSUR(Y[["y1", "y2"]], X, 0).fit().params,
        rtol=1e-10,
    )


def test_levels_of_the_index_are_columns():
    d = load_grunfeld()
    want = LowRankSUR.from_formula("invest ~ value", d, **LONG).fit()
    indexed = d.set_index(["firm", "year"])
    bare = indexed.rename_axis([None, None])
    for data, kwds in (
        (indexed, LONG),
        (indexed, {"rank": 0}),
        (bare, {"rank": 0}),
        (bare, {"groups": "entity", "time": "time", "rank": 0}),
        (d.set_index("firm"), LONG),
        (xr.Dataset.from_dataframe(indexed), LONG),
    ):
        res = LowRankSUR.from_formula("invest ~ value", data, **kwds).fit()
        pd.testing.assert_series_equal(
            res.params[want.params.index], want.params, check_names=False, rtol=1e-10
        )
        frame = to_pandas(data)
        got = res.predict(frame.iloc[7:30])
        if frame is not data:  # xarray sorts
            continue
        np.testing.assert_allclose(got, want.predict(d.iloc[7:30]), rtol=1e-10)
        at = got.index
        assert at.equals(frame.index[7:30])
    lagged = [
        LowRankSUR.from_formula("invest ~ lag(value)", data, **LONG).fit().params
        for data in (d, indexed)
    ]
    np.testing.assert_allclose(lagged[0], lagged[1], rtol=1e-10)
    terms = LowRankSUR.from_formula("invest ~ C(year > 1940)", indexed, **LONG)
    assert terms.exog_names[1].endswith("C(year > 1940)[T.True]")


def test_two_levels_of_a_wide_system_label_its_rows(wide):
    index = pd.MultiIndex.from_product([range(10), list("abcd")])
    model = LowRankSUR.from_formula("y1 + y2 ~ x1", wide.set_axis(index), rank=0)
    assert model.equations == ["y1", "y2"]
    assert model.nobs == 40


def test_a_mapping_of_scalars_is_one_row(wide):
    res = LowRankSUR.from_formula(FORMULAS, wide, rank=0).fit()
    row = wide.iloc[4]
    got = res.predict({"x1": row["x1"], "x2": row["x2"], "s": row["s"]})
    np.testing.assert_allclose(got, res.fittedvalues.iloc[[4]], rtol=1e-10)
    X = sm.add_constant(wide[["x1", "x2"]])
    arrays = LowRankSUR(wide[["y1", "y2"]], X, 0).fit()
    got = arrays.predict({"x2": row["x2"], "const": 1.0, "x1": row["x1"]})
    np.testing.assert_allclose(got, arrays.fittedvalues.iloc[[4]], rtol=1e-10)
    with pytest.raises(ShapeError, match=r"lacks column 'const'"):
        arrays.predict({"x2": 1.0, "x1": 2.0})
    d = load_grunfeld()
    panel = LowRankSUR.from_formula("invest ~ value", d, **LONG).fit()
    one = panel.predict({"firm": "IBM", "value": d["value"].iloc[100]})
    np.testing.assert_allclose(one, panel.predict({"firm": ["IBM"], "value": d["value"].iloc[100]}))


def test_linearmodels_forms(wide):
    X = sm.add_constant(wide[["x1", "x2"]])
    y, w = wide["y1"], wide["w"]
    weights = {"a": w, "b": np.ones(len(w))}
    want = LowRankSUR({"a": y, "b": wide["y2"]}, X, 0, weights=weights).fit()
    for forms in (
        {"a": {"dependent": y, "exog": X, "weights": w}, "b": (wide["y2"], X)},
        {"a": (y, X, w), "b": {"exog": pl.from_pandas(X), "dependent": wide["y2"].to_numpy()}},
        {"a": [y, X, w.to_numpy()], "b": (wide["y2"], X, None)},
    ):
        res = LowRankSUR.from_system(forms, 0).fit()
        np.testing.assert_allclose(res.params, want.params, rtol=1e-10)
        np.testing.assert_allclose(res.bse, want.bse, rtol=1e-10)
    with pytest.raises(ShapeError, match="'exgo'.*did you mean 'exog'"):
        LowRankSUR.from_system({"a": {"dependent": y, "exgo": X}})
    with pytest.raises(ShapeError, match="'a' lacks part 'exog'"):
        LowRankSUR.from_system({"a": {"dependent": y}})
    with pytest.raises(OptionError, match="twice"):
        LowRankSUR.from_system({"a": (y, X, w), "b": (y, X)}, weights=w)
    with pytest.raises(ShapeError, match="from_system"):
        LowRankSUR({"a": (y, X)})
    braces = LowRankSUR.from_formula("{a: y1 ~ x1} {b: y2 ~ x2}", wide, rank=0)
    assert braces.exog_names == ["a_Intercept", "a_x1", "b_Intercept", "b_x2"]


# -- dtypes ----------------------------------------------------------------------------------------


def arrow(values, kind):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize(
    ("values", "whole", "gappy"),
    [
        (arrow([1, None], pa.int16()), "int16", "float64"),
        (arrow([1.5, None], pa.float32()), "float64", "float64"),
        (arrow([decimal.Decimal("1.5"), None], pa.decimal128(5, 2)), "float64", "float64"),
        (arrow([True, None], pa.bool_()), "bool", "object"),
        (arrow(["a", None], pa.large_string()), "object", "object"),
        (arrow(["a", None], pa.string()).astype("string"), "object", "object"),
        (pd.Series(pd.arrays.ArrowExtensionArray(pa.array(["a", None]).dictionary_encode())),
         "object", "object"),
        (arrow([dt.datetime(2000, 1, 1), None], pa.timestamp("us")), "datetime64[us]",
         "datetime64[us]"),
        (arrow([dt.datetime(2000, 1, 1), None], pa.timestamp("us", "UTC")), "object", "object"),
        (arrow([dt.date(2000, 1, 1), None], pa.date32()), "datetime64[s]", "datetime64[s]"),
        (arrow([dt.timedelta(1), None], pa.duration("s")), "timedelta64[s]", "timedelta64[s]"),
        (arrow([dt.time(1), None], pa.time64("us")), "object", "object"),
        (pd.Series(pd.PeriodIndex(["2000-01", None], freq="M")), "object", "object"),
        (pd.Series(pd.DatetimeIndex(["2000-01-01", None], tz="UTC")), "object", "object"),
        (pd.Series(pd.arrays.SparseArray([1.0, np.nan])), "float64", "float64"),
        (pd.Series([1, None], dtype="UInt8"), "uint8", "float64"),
        (pd.Series([decimal.Decimal("1.5"), None], dtype=object), "float64", "float64"),
        (pd.Series([2, None], dtype=object), "int64", "float64"),
    ],
    ids=lambda v: str(v.dtype) if isinstance(v, pd.Series) else v,
)  # fmt: skip
def test_plain_goes_by_kind(values, whole, gappy, gap):
    column = (values if gap else values.iloc[:1]).rename("z")
    before = column.copy()
    made = plain(column)
    pd.testing.assert_series_equal(column, before)
    assert made.dtype == (gappy if gap else whole)
    assert made.name == "z"
    assert made.isna().tolist() == [False, True][: len(column)]
    first = values.iloc[0]
    assert made.iloc[0] == (float(first) if isinstance(first, decimal.Decimal) else first) or (
        isinstance(first, dt.date) and made.iloc[0] == pd.Timestamp(first)
    )


def test_categoricals_stay_on_plain_categories():
    s = pd.Series(["b", "a", None]).astype(pd.ArrowDtype(pa.string()))
    made = plain(s.astype(pd.CategoricalDtype(pd.Index(["b", "a", "q"], dtype=s.dtype))))
    assert made.cat.categories.tolist() == ["b", "a", "q"]
    assert made.cat.categories.dtype == object
    same = pd.Series(pd.Categorical([1, 2]))
    assert plain(same) is same


@pytest.mark.parametrize("narwhals", [True, False])
def test_levels_that_a_library_declares(narwhals, monkeypatch):
    """Enums and pandas' own categories keep their order; encodings of text do not make one."""
    if not narwhals:
        monkeypatch.setattr("sm_alsgls.border.frames.find_spec", lambda name: None)
    values = ["b", "a", "b"]
    enum = pl.DataFrame({"s": pl.Series(values, dtype=pl.Enum(["b", "a", "z"]))})
    assert to_pandas(enum)["s"].cat.categories.tolist() == ["b", "a", "z"]
    declared = pd.DataFrame({"s": pd.Categorical(values, ["z", "b", "a"])})
    assert to_pandas(pa.Table.from_pandas(declared))["s"].cat.categories.tolist() == ["z", "b", "a"]
    for encoded in (
        pl.DataFrame({"s": pl.Series(values, dtype=pl.Categorical)}),
        pa.table({"s": pa.array(values).dictionary_encode()}),
    ):
        assert to_pandas(encoded)["s"].dtype == object


def test_what_pandas_wrote_into_a_table_comes_back():
    frame = pd.DataFrame(
        {"m": pd.period_range("2000", periods=2, freq="M"), "x": [1, 2]},
        pd.interval_range(0, 2, name="i"),
    )
    back = to_pandas(pa.Table.from_pandas(frame))
    assert back.index.tolist() == frame.index.tolist()
    assert back["m"].tolist() == frame["m"].tolist()


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_periods_and_zoned_times_are_terms(wide, engine, monkeypatch):
    monkeypatch.setattr(options, "formula_engine", engine)
    month = pd.Series(pd.period_range("2000-01", periods=2, freq="M")).iloc[[0, 1] * 20]
    month = month.reset_index(drop=True)
    for values in (month, month.dt.to_timestamp().dt.tz_localize("Europe/Paris")):
        d = wide.assign(m=values, i=np.arange(40) % 2)
        got = LowRankSUR.from_formula("y1 + y2 ~ C(m)", d, rank=0).fit()
        want = LowRankSUR.from_formula("y1 + y2 ~ i", d, rank=0).fit()
        np.testing.assert_allclose(got.params, want.params, rtol=1e-8)
        part = LowRankSUR.from_formula("y1 + y2 ~ I(m.dt.month - 1)", d, rank=0).fit()
        np.testing.assert_allclose(part.params, want.params, rtol=1e-8)


def test_numeric_names_the_column():
    for dtype in ("str", object, "string", "category"):
        with pytest.raises(TypeError, match="column 's' is .*, not numeric"):
            numeric(pd.DataFrame({"x": [1.0], "s": pd.Series(["a"], dtype=dtype)}))
    frame = pd.DataFrame(np.ones((3, 2)))
    assert np.shares_memory(numeric(frame), frame.to_numpy())


# -- labels ----------------------------------------------------------------------------------------


def test_same_labels():
    t = pd.date_range("2000", periods=2, tz="UTC")
    for one, other in (
        (t, t.tz_convert("Europe/Paris")),
        (t.as_unit("s"), t.as_unit("ns")),
        (pd.Index(["a", None], dtype=ARROW_TEXT), pd.Index(["a", np.nan], dtype=object)),
        (pd.Index([1, 2]), pd.Index([1.0, 2.0])),
        (pd.CategoricalIndex(["a", "b"]), pd.Index(["a", "b"])),
        (
            pd.MultiIndex.from_arrays([["a", "b"], t]),
            pd.MultiIndex.from_arrays(
                [pd.Index(["a", "b"], dtype="string"), t.tz_convert("Asia/Tokyo")]
            ),
        ),
    ):
        assert same_labels(one, other).all()
        assert same_labels(other, one).all()
        check_rows(one, other, "exog", ShapeError)
        assert rows_by_label(one, other, "weights", ShapeError) is None
    for one, other in (
        (t, t.tz_localize(None)),
        (pd.Index(["1", "2"]), pd.Index([1, 2])),
        (pd.Index(["a", None]), pd.Index(["a", "b"])),
        (
            pd.period_range("2000", periods=2, freq="M"),
            pd.period_range("2000", periods=2, freq="D"),
        ),
        (pd.MultiIndex.from_arrays([[1, 2], [1, 2]]), pd.Index([1, 2])),
    ):
        assert not same_labels(one, other).all()
        with pytest.raises(ShapeError, match="row labels of exog differ"):
            check_rows(one, other, "exog", ShapeError)
        with pytest.raises(ShapeError, match="weights has no label for row"):
            rows_by_label(one, other, "weights", ShapeError)


def test_rows_by_label_takes_them_in_any_order():
    t = pd.date_range("2000", periods=3, tz="UTC")
    at = rows_by_label(t[::-1], t[:2].tz_convert("Asia/Tokyo"), "w", ShapeError)
    assert at.tolist() == [2, 1]
    assert plain_index(t).equals(t)


def test_labels_of_rows_in_two_forms(wide):
    Y, X = wide[["y1", "y2"]], wide[["x1"]]
    labels = pd.Index([f"r{i}" for i in range(39)] + [None])
    other = labels.astype(pd.ArrowDtype(pa.string()))
    model = LowRankSUR(Y.set_axis(labels), X.set_axis(other), 0, weights=wide["w"].set_axis(other))
    np.testing.assert_allclose(
        model.fit().params, LowRankSUR(Y, X, 0, weights=wide["w"]).fit().params, rtol=1e-10
    )
    with pytest.raises(ShapeError, match=r"first at position 39 \('z' against (nan|None)\)"):
        LowRankSUR(Y.set_axis(labels), X.set_axis([*labels[:-1], "z"]))


def test_by_name():
    assert by_name(["b", "a", "z"], ["a", "b"], "w", ShapeError, others=True).tolist() == [1, 0]
    assert by_name(["b"], ["a", "b"], "w", ShapeError, some=True).tolist() == [-1, 0]
    assert by_name([("y", 1), 2.0], ["2", "y_1"], "w", ShapeError).tolist() == [1, 0]
    for given, match in (
        (["a"], "w lacks column 'b'$"),
        (["a", "B"], r"lacks column 'b'; it has 'B' \(did you mean 'b'\?\)"),
        (["a", "b", "b"], "w has two columns named 'b'"),
        (["a", "b", "aa"], r"there is no column 'aa' \(did you mean 'a'\?\)"),
    ):
        with pytest.raises(ShapeError, match=match):
            by_name(given, ["a", "b"], "w", ShapeError)


@pytest.fixture(scope="module")
def case(wide):
    X = sm.add_constant(wide[["x1", "x2"]])
    return LowRankSUR(wide[["y1", "y2", "y3"]], X, 0).fit(), X


class TestPredict:
    def test_by_name_in_any_order_and_beside_others(self, case, wide):
        res, X = case
        want = res.fittedvalues.iloc[:2].to_numpy()
        new = X.iloc[:2]
        for form in (
            new,
            new.iloc[:, ::-1],
            new.assign(other="text"),
            new.to_numpy(),
            pd.DataFrame(new.to_numpy()),
            [new, new.iloc[:, ::-1], new.to_numpy()],
        ):
            np.testing.assert_allclose(res.predict(form), want, rtol=1e-10)
        row = X.iloc[1].rename("then")
        got = res.predict(row[::-1])
        np.testing.assert_allclose(got, want[[1]], rtol=1e-10)
        assert got.index.tolist() == ["then"]
        one = res.equations["y2"].predict(new.iloc[:, ::-1])
        np.testing.assert_allclose(one, want[:, 1], rtol=1e-10)
        np.testing.assert_allclose(
            res.model.predict(res.params, new.iloc[:, ::-1]), want, rtol=1e-10
        )
        np.testing.assert_allclose(
            res.get_prediction(new.iloc[:, ::-1]).predicted_mean, want, rtol=1e-10
        )

    def test_misspelt_names_are_named(self, case):
        res, X = case
        bad = X.iloc[:2].rename(columns={"x1": "X1"})
        for form in (bad, bad.iloc[0], pl.from_pandas(bad), {"y1": bad, "y2": X, "y3": X}):
            with pytest.raises(ShapeError, match=r"lacks column 'x1'; it has 'X1' \(did you mean"):
                res.predict(form)
        with pytest.raises(ShapeError, match="there is no equation 'Y1'.*did you mean 'y1'"):
            res.predict({"Y1": X, "y2": X, "y3": X})
        with pytest.raises(ShapeError, match="two columns named 'x1'"):
            res.predict(X.iloc[:2].set_axis(["const", "x1", "x1"], axis=1))

    def test_models_without_names_go_by_position(self, case, wide):
        res, X = case
        arrays = LowRankSUR(wide[["y1", "y2", "y3"]].to_numpy(), X.to_numpy(), 0).fit()
        names = X.iloc[:2].set_axis(["p", "q", "r"], axis=1)
        np.testing.assert_allclose(arrays.predict(names), res.fittedvalues.iloc[:2], rtol=1e-10)

    def test_after_remove_data(self, wide):
        X = sm.add_constant(wide[["x1"]])
        res = LowRankSUR(wide[["y1", "y2"]], X, 0).fit()
        want = res.fittedvalues.iloc[:2]
        res.remove_data()
        np.testing.assert_allclose(res.predict(X.iloc[:2, ::-1]), want, rtol=1e-10)


@pytest.fixture(scope="module")
def res(wide):
    X = sm.add_constant(wide[["x1", "x2"]])
    return LowRankSUR(wide[["y1", "y2", "y3"]], X, 0).fit()


class TestCoefficients:
    def test_labelled_hypotheses(self, res):
        names = res.params.index
        R = pd.DataFrame(0.0, index=["h", "g"], columns=names[::-1])
        R.loc["h", "y1_x1"], R.loc["g", "y2_x2"] = 1.0, 1.0
        want = res.params[["y1_x1", "y2_x2"]]
        some = R[["y2_x2", "y1_x1"]]
        for form in (R, some, pl.from_pandas(R)):
            np.testing.assert_allclose(res.t_test(form).effect, want)
            np.testing.assert_allclose(
                res.wald_test(form).statistic, res.wald_test("y1_x1 = 0, y2_x2 = 0").statistic
            )
        np.testing.assert_allclose(res.f_test(R).fvalue, res.f_test("y1_x1 = 0, y2_x2 = 0").fvalue)
        np.testing.assert_allclose(res.t_test(R.loc["h"]).effect, want.iloc[:1])
        q = pd.Series({"g": 5.0, "h": 1.0})
        np.testing.assert_allclose(res.t_test((R, q)).tvalue, (want - [1, 5]) / res.bse[want.index])
        np.testing.assert_allclose(
            res.model.fit_constrained((R, q), n_starts=1).params[want.index], [1.0, 5.0]
        )
        eq = res.equations["y1"]
        own = pd.Series({"x2": 1.0, "x1": -1.0})
        np.testing.assert_allclose(eq.t_test(own).effect, eq.params["x2"] - eq.params["x1"])
        plainly = pd.DataFrame(R[names].to_numpy())  # numbered columns are no labels
        np.testing.assert_allclose(res.t_test(plainly).effect, want)
        with pytest.raises(RestrictionError, match="no coefficient 'y1_X1'.*did you mean 'y1_x1'"):
            res.t_test(R.rename(columns={"y1_x1": "y1_X1"}))
        with pytest.raises(RestrictionError, match="q lacks row 'g'; it has 'k'"):
            res.t_test((R, q.rename({"g": "k"})))

    def test_labelled_covariances(self, res):
        V = pd.DataFrame(np.diag(np.arange(1.0, 10)), res.params.index, res.params.index)
        want = res.t_test("y1_x1 = y3_x2", cov_p=V.to_numpy()).sd
        np.testing.assert_allclose(res.t_test("y1_x1 = y3_x2", cov_p=V.iloc[::-1, ::-1]).sd, want)
        R = pd.DataFrame([[1.0, -1.0]], columns=["y3_x2", "y1_x1"])
        np.testing.assert_allclose(
            res.cov_params(R), res.cov_params(by_coefficient(R, list(V), "R", ShapeError))
        )
        np.testing.assert_allclose(res.cov_params(R, cov_p=V.iloc[::-1, ::-1]), [[2.0 + 9.0]])
        with pytest.raises(OptionError, match="cov_p lacks coefficient"):
            res.t_test("y1_x1 = 0", cov_p=V.iloc[:, 1:])

    def test_labelled_params(self, res):
        model, shuffled = res.model, res.params.sample(frac=1, random_state=0)
        want = model.loglike(res.params.to_numpy(), res.sigma)
        for form in (shuffled, shuffled.to_dict()):
            np.testing.assert_allclose(model.loglike(form, res.sigma), want)
        np.testing.assert_allclose(model.predict(shuffled), res.fittedvalues)
        np.testing.assert_allclose(
            model.score(shuffled, res.sigma), model.score(res.params, res.sigma), atol=1e-9
        )
        bad = shuffled.rename({"y1_x1": "y1_X1"})
        for call in (
            lambda: model.loglike(bad, res.sigma),
            lambda: model.predict(bad),
            lambda: model.fit(start_params=bad),
        ):
            with pytest.raises(OptionError, match="lacks coefficient 'y1_x1'; it has 'y1_X1'"):
                call()


def test_two_level_columns_are_spelt_one_way(wide):
    d = wide[["y1", "y2", "x1", "x2"]]
    d.columns = pd.MultiIndex.from_tuples([(c[0], int(c[1])) for c in d.columns])
    Y, X = d[["y"]], d[["x"]]
    w = pd.DataFrame(np.arange(1.0, 81).reshape(40, 2), columns=Y.columns)
    res = LowRankSUR(Y, X, 0, weights=w.iloc[:, ::-1]).fit()
    assert res.model.equations == ["y_1", "y_2"]
    for same in (
        LowRankSUR(Y, dict.fromkeys(Y, X), 0, weights=w),
        LowRankSUR({c: Y[c] for c in Y}, X, 0, weights={c: w[c] for c in w}),
    ):
        np.testing.assert_allclose(same.fit().params, res.params, rtol=1e-10)
    np.testing.assert_allclose(res.predict(X.iloc[:, ::-1]), res.fittedvalues, rtol=1e-10)
    given = Y[[("y", 2)]]
    np.testing.assert_allclose(res.predict(given=given), res.predict(given=["y_2"]), rtol=1e-10)
    chosen = res.predict(X, equations=[("y", 2)])
    np.testing.assert_allclose(chosen["y_2"], res.fittedvalues["y_2"], rtol=1e-10)


def test_variables_of_the_caller_go_by_label(wide):
    shuffled = wide.sample(frac=1, random_state=1)
    z = pd.Series(np.arange(40.0) ** 2, name="z")
    want = LowRankSUR.from_formula("y1 + y2 ~ z", wide, rank=0).fit().params
    got = LowRankSUR.from_formula("y1 + y2 ~ z", shuffled, rank=0).fit().params
    np.testing.assert_allclose(got, want, rtol=1e-10)
    part = LowRankSUR.from_formula("y1 + y2 ~ z", shuffled.iloc[:30], rank=0).fit().params
    direct = LowRankSUR.from_formula("y1 + y2 ~ z", shuffled.iloc[:30].assign(z=z), rank=0)
    np.testing.assert_allclose(part, direct.fit().params, rtol=1e-10)


def test_refusals():
    with pytest.raises(SystemInputError, match="data must be a pandas DataFrame.*got int"):
        table(3)
    with pytest.raises(SystemInputError, match="cannot be made a DataFrame"):
        table({"x": [1, 2], "y": [1]})

    class Broken:
        def to_pandas(self):
            raise RuntimeError("no connection")

    with pytest.raises(SystemInputError, match="Broken .* cannot be made.*no connection"):
        LowRankSUR.from_formula("y ~ x", Broken())
    with pytest.raises(FormulaError, match="groups='frim'.*did you mean 'firm'"):
        LowRankSUR.from_formula(
            "invest ~ value", load_grunfeld().set_index("firm"), groups="frim", time="year"
        )


@pytest.mark.slow
def test_nothing_is_imported_for_pandas():
    """Nothing beside what statsmodels and the formula engines import themselves."""
    seen = "sorted({'narwhals', 'polars', 'duckdb', 'xarray', 'pyarrow'} & set(sys.modules))"
    code = (
        f"import sys, statsmodels.api, statsmodels.formula.api, formulaic; before = {seen}\n"
        "from sm_alsgls import LowRankSUR\n"
        "from sm_alsgls.datasets import load_grunfeld\n"
        "d = load_grunfeld()\n"
        "r = LowRankSUR.from_formula('invest ~ value', d, groups='firm', time='year', rank=0)\n"
        f"r.fit().predict(d); print({seen} == before, before)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("True"), out.stdout


@pytest.mark.parametrize("name", ["polars", "lazy", "duckdb", "arrow"])
def test_without_narwhals(wide, name, monkeypatch):
    """Arrow's stream is enough."""
    monkeypatch.setattr("sm_alsgls.border.frames.find_spec", lambda name: None)
    frame = to_pandas(LIBRARIES[name](wide))
    pd.testing.assert_frame_equal(frame.astype({"s": "str"}), wide)
