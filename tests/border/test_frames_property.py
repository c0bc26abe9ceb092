"""However data are handed in, the numbers are the same.

Rows in another order, columns in another order, other row labels, another library or dtype
backend, rows dropped before or inside, wide and long: the same coefficients, standard errors,
cluster-robust ones and predictions to 1e-10.
"""

import functools
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from tests.systems import texts

N, FIRMS, YEARS = 24, list("pqrs"), range(1990, 2002)
FORMULAS = {"a": "y1 ~ x1 + C(s)", "b": "y2 ~ x2", "c": "y3 ~ x1 + x2"}
RESPONSES, REGRESSORS = ["y1", "y2", "y3"], ["x1", "x2"]
PANEL = {"groups": "firm", "time": "year", "rank": 0}
FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a case says itself what it is; shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)


def _wide():
    rng = np.random.default_rng(5)
    d = pd.DataFrame(rng.standard_normal((N, 6)), columns=["y1", "y2", "y3", "x1", "x2", "w"])
    d["w"] = np.exp(d["w"])
    d["s"] = ["v" if u > 0 else "u" for u in rng.standard_normal(N)]
    d["cluster"] = [f"c{i}" for i in rng.integers(0, 6, N)]
    d["id"] = np.arange(N)
    return d


def _long():
    rng = np.random.default_rng(6)
    cells = pd.MultiIndex.from_product([FIRMS, YEARS], names=["firm", "year"])
    d = pd.DataFrame(rng.standard_normal((len(cells), 3)), cells, ["y", "x", "w"]).reset_index()
    d["w"] = np.exp(d["w"])
    d["cluster"] = d["year"] // 2
    d["id"] = np.arange(len(d))
    return d


WIDE, LONG = _wide(), _long()
HOLES = [3, 8, 17]  # rows that miss something


def labels(kind, n):
    if kind == "none":
        return pd.RangeIndex(n)
    if kind == "text":
        return pd.Index([f"r{(7 * i) % n}" for i in range(n)])
    if kind == "arrow":
        return pd.Index([f"r{i}" for i in range(n)], dtype=pd.ArrowDtype(pa.string()))
    if kind == "zoned":
        return pd.date_range("2000-03-01", periods=n, tz="Europe/Paris")
    if kind == "periods":
        return pd.period_range("2000-03", periods=n, freq="M")
    if kind == "levels":
        return pd.MultiIndex.from_arrays([[i // 3 for i in range(n)], [i % 3 for i in range(n)]])
    return pd.Index(["same"] * n)


BACKENDS = {
    "pandas": lambda d: d,
    "object": lambda d: d.astype(object),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "nullable": lambda d: d.convert_dtypes(dtype_backend="numpy_nullable"),
    "category": lambda d: d.astype(dict.fromkeys(texts(d), "category")),
    "polars": lambda d: pl.from_pandas(d.reset_index(drop=True)),
    "lazy": lambda d: pl.from_pandas(d.reset_index(drop=True)).lazy(),
    "arrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "arrow with index": pa.Table.from_pandas,
    "duckdb": lambda d: duckdb.from_arrow(pa.Table.from_pandas(d, preserve_index=False)),
}
UNLABELLED = ("polars", "lazy", "arrow", "duckdb")

cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "index": st.sampled_from(["none", "text", "arrow", "zoned", "periods", "levels", "same"]),
        "backend": st.sampled_from(list(BACKENDS)),
        "new": st.sampled_from(list(BACKENDS)),
        "drop": st.sampled_from(["none", "before", "inside"]),
        "weights": st.sampled_from([None, "name", "array", "series", "other order"]),
        "clusters": st.sampled_from(["name", "array", "series", "other order", "kept"]),
    }
)


def handed_in(d, case, column):
    """The frame with shuffled rows and columns and other labels, and the one it stands for."""
    rng = np.random.default_rng(case["seed"])
    d = d.copy()
    if case["drop"] == "before":
        d = d.drop(index=HOLES)
    elif case["drop"] == "inside":
        d.loc[HOLES, column] = np.nan
    index = labels(case["index"], len(d))
    d = d.set_axis(index).iloc[rng.permutation(len(d)), rng.permutation(d.shape[1])]
    return d, rng


def vector(d, name, how, rng):
    """A variable of the rows of ``d``, as somebody might pass it."""
    if how == "name":
        return name
    if how == "array":
        return d[name].to_numpy()
    if how == "series":
        return d[name]
    return d[name].iloc[rng.permutation(len(d))]


def check(d, case, fit, want, robust, rng, complete):
    """Fit what was handed in and compare; d is it, in pandas."""
    backend, label_free = BACKENDS[case["backend"]], case["backend"] in UNLABELLED
    weights, clusters = case["weights"], case["clusters"]
    # In another order values say by labels where they belong, if there are any and they differ.
    if "other order" in (weights, clusters) and (label_free or case["index"] == "same"):
        return None
    data = backend(d)
    event(f"{case['backend']}, {case['index']}")
    w = None if weights is None else vector(d, "w", weights, rng)
    if clusters == "kept":
        groups = d.loc[complete, "cluster"].to_numpy()
    else:
        groups = vector(d, "cluster", clusters, rng)
    if label_free:
        w, groups = (v.to_numpy() if isinstance(v, pd.Series) else v for v in (w, groups))
    res = fit(data, w)
    names = want.params.index
    np.testing.assert_allclose(res.params[names], want.params, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(res.bse[names], want.bse, rtol=1e-10)
    got = res.get_robustcov_results("cluster", groups=groups).bse[names]
    np.testing.assert_allclose(got, robust, rtol=1e-10)
    return res


@functools.cache
def wanted(form, whole, weighted):
    """Results of the data as they are, and cluster-robust standard errors; nobody changes them."""
    d = (LONG if form == "long" else WIDE).drop(index=[] if whole else HOLES)
    w = "w" if weighted else None
    if form == "wide":
        res = LowRankSUR.from_formula(FORMULAS, d, rank=0, weights=w).fit()
    elif form == "long":
        res = LowRankSUR.from_formula("y ~ x", d, weights=w, **PANEL).fit()
    else:
        res = LowRankSUR(d[RESPONSES], d[REGRESSORS], 0, weights=d["w"] if weighted else None).fit()
    groups = d["cluster"] if form == "arrays" else "cluster"
    return res, res.get_robustcov_results("cluster", groups=groups).bse


@FEW
@given(cases)
@pytest.mark.slow
def test_wide_formulas(case):
    d, rng = handed_in(WIDE, case, "x2")
    complete = d["x2"].notna().to_numpy()
    want, robust = wanted("wide", case["drop"] == "none", case["weights"] is not None)

    def fit(data, w):
        return LowRankSUR.from_formula(FORMULAS, data, rank=0, weights=w).fit()

    res = check(d, case, fit, want, robust, rng, complete)
    if res is None:
        return
    new = WIDE.iloc[rng.permutation(N)[:5], rng.permutation(WIDE.shape[1])]
    got = res.predict(BACKENDS[case["new"]](new))
    np.testing.assert_allclose(got, want.predict(new), rtol=1e-10, atol=1e-10)


@FEW
@given(cases)
@pytest.mark.slow
def test_long_panels(case):
    case = {**case, "index": "none" if case["index"] == "levels" else case["index"]}
    d, rng = handed_in(LONG, case, "x")
    want, robust = wanted("long", case["drop"] == "none", case["weights"] is not None)
    if case["clusters"] == "kept":
        case["clusters"] = "name"  # rows of the data are cells, and those kept are periods

    def fit(data, w):
        return LowRankSUR.from_formula("y ~ x", data, weights=w, **PANEL).fit()

    res = check(d, case, fit, want, robust, rng, None)
    if res is None:
        return
    new = LONG.iloc[rng.permutation(len(LONG))[:9], rng.permutation(LONG.shape[1])]
    got = res.predict(BACKENDS[case["new"]](new))
    np.testing.assert_allclose(got, want.predict(new), rtol=1e-10, atol=1e-10)


@FEW
@given(cases)
@pytest.mark.slow
def test_arrays_with_labels(case):
    """Responses, regressors, weights and clusters as separate frames."""
    case = {**case, "backend": case["backend"], "drop": "none"}
    d, rng = handed_in(WIDE, case, "x2")
    want, robust = wanted("arrays", True, case["weights"] is not None)
    for key in ("weights", "clusters"):
        if case[key] in ("name", "kept"):
            case[key] = "array"

    def fit(_, w):
        backend = BACKENDS[case["backend"]]
        columns = rng.permutation(REGRESSORS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return LowRankSUR(backend(d[RESPONSES]), backend(d[list(columns)]), 0, weights=w).fit()

    res = check(d, case, fit, want, robust, rng, None)
    if res is None:
        return
    new = WIDE.iloc[rng.permutation(N)[:5]][list(rng.permutation(REGRESSORS))]
    got = res.predict(BACKENDS[case["new"]](new))
    np.testing.assert_allclose(got, want.predict(new), rtol=1e-10, atol=1e-10)
