"""Models of data that come in chunks: the fits of all rows in memory, in bounded memory."""

import copy
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.border import held
from sm_alsgls.core.rows import compress
from sm_alsgls.diagnostics import rank_test
from sm_alsgls.exceptions import (
    DataRemovedError,
    DegenerateResponseError,
    FormulaError,
    InsufficientRowsError,
    NonFiniteError,
    OptionError,
    RankDeficientError,
    ShapeError,
    SystemInputError,
    UnseenLevelError,
)
from sm_alsgls.results.in_sample import rsquared

N, K = 420, 5


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 60 rows, so that a few hundred rows are many."""
    monkeypatch.setattr(compress, "_BLOCK", 60)
    monkeypatch.setattr(compress, "_NARROW", 0)
    monkeypatch.setattr(compress, "_FIRST", 20)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(4)
    X = [np.column_stack([np.ones(N), rng.standard_normal((N, 1 + j % 2))]) for j in range(K)]
    # A factor that all share, so that no fit is a Heywood case.
    Y = np.column_stack([0.5 * x.sum(axis=1) for x in X]) + 1.5 * rng.standard_normal((N, 1))
    return X, Y + rng.standard_normal((N, K))


@pytest.fixture(scope="module")
def full(arrays):
    X, Y = arrays
    return LowRankSUR(Y, X, rank=1).fit()


def numbers(summary):
    """Lines of a summary but for the time."""
    return [
        line for line in str(summary).splitlines() if "Date:" not in line and "Time:" not in line
    ]


def assert_same_fit(res, full):
    assert list(res.params.index) == list(full.params.index)
    assert res.nobs == full.nobs
    for name in ("params", "bse", "tvalues", "pvalues"):
        np.testing.assert_allclose(getattr(res, name), getattr(full, name), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(res.conf_int(), full.conf_int(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(res.sigma.to_dense(), full.sigma.to_dense(), rtol=0, atol=1e-8)
    for name in ("llf", "aic", "bic", "fvalue", "df_resid"):
        assert getattr(res, name) == pytest.approx(getattr(full, name), rel=1e-9)
    np.testing.assert_allclose(res.system_rsquared, full.system_rsquared, rtol=1e-9)
    for name in full.model.equations:
        one, other = res.equations[name], full.equations[name]
        assert one.rsquared == pytest.approx(other.rsquared, abs=1e-9)
        assert one.rsquared_adj == pytest.approx(other.rsquared_adj, abs=1e-9)
        assert one.fvalue == pytest.approx(other.fvalue, rel=1e-8, nan_ok=True)
        assert one.rsquared_label == other.rsquared_label
    assert numbers(res.summary()) == numbers(full.summary())


CUTS = {
    "one chunk": [],
    "even": list(range(70, N, 70)),
    "uneven": [1, 3, 200, 200, 419],
    "rows": list(range(1, N)),
}


@pytest.fixture(params=list(CUTS))
def slices(request):
    cuts = CUTS[request.param]
    return [slice(*pair) for pair in zip([0, *cuts], [*cuts, N], strict=True)]


def test_arrays(arrays, full, slices):
    X, Y = arrays
    chunks = ((Y[at], [x[at] for x in X]) for at in slices)
    assert_same_fit(LowRankSUR.from_chunks(chunks, rank=1).fit(), full)


def test_the_constructor_takes_an_iterator(arrays, full):
    X, Y = arrays
    chunks = [(Y[:100], [x[:100] for x in X]), (Y[100:], [x[100:] for x in X])]
    model = LowRankSUR(iter(chunks), rank=1)
    assert_same_fit(model.fit(), full)
    assert_same_fit(LowRankSUR.from_chunks(chunks, rank=1).fit(), full)
    with pytest.raises(ShapeError, match="no exog"):
        LowRankSUR(iter(chunks), X)
    with pytest.raises(ShapeError, match="exog is missing"):
        LowRankSUR(Y)


def test_mappings_of_frames(arrays, slices):
    X, Y = arrays
    X, Y = [x[:160] for x in X], Y[:160]
    endog = {f"e{j}": pd.Series(y, name=f"s{j}") for j, y in enumerate(Y.T)}
    exog = {
        f"e{j}": pd.DataFrame(x, columns=["one", "u", "v"][: x.shape[1]]) for j, x in enumerate(X)
    }
    expected = LowRankSUR(endog, exog, rank=1).fit()
    chunks = (
        ({k: y.iloc[at] for k, y in endog.items()}, {k: x.iloc[at] for k, x in exog.items()})
        for at in slices
        if at.start < 160
    )
    res = LowRankSUR.from_chunks(chunks, rank=1).fit()
    assert res.params.index[1] == "e0_u"
    assert_same_fit(res, expected)


def test_one_design_for_all(arrays, slices):
    X, Y = arrays
    Y = pd.DataFrame(Y, columns=list("abcde"))
    expected = LowRankSUR(Y, X[1], rank=1).fit()
    res = LowRankSUR.from_chunks(((Y.iloc[at], X[1][at]) for at in slices), rank=1).fit()
    assert len(res.model.system.rows.Y) == 3 + K
    assert_same_fit(res, expected)


def test_columns_that_are_equal_in_the_first_chunks_only(arrays, slices):
    X, Y = arrays
    rng = np.random.default_rng(1)
    designs = [X[1].copy() for _ in range(K)]
    designs[2][150:, 1] = rng.standard_normal(N - 150)
    designs[3][-1, 2] += 1.0
    designs[4] = np.column_stack([designs[4], np.where(np.arange(N) < 230, 1.0, 2.0)])
    expected = LowRankSUR(Y, designs, rank=1).fit()
    res = LowRankSUR.from_chunks(((Y[at], [x[at] for x in designs]) for at in slices), rank=1)
    assert "y5_x3" in res.exog_names  # ones at first: no second constant
    assert_same_fit(res.fit(), expected)


def test_a_constant_is_one_in_every_chunk(arrays):
    X, Y = arrays
    x = np.where(np.arange(N) < 100, 1.0, X[0][:, 1])
    designs = [np.column_stack([x, np.ones(N)])] * K
    chunks = ((Y[at], [d[at] for d in designs]) for at in (slice(0, 50), slice(50, N)))
    model = LowRankSUR.from_chunks(chunks, rank=1)
    assert model.exog_names[:2] == ["y1_x1", "y1_const"]
    assert_same_fit(model.fit(), LowRankSUR(Y, designs, rank=1).fit())


def test_offsets(arrays, full):
    X, Y = arrays
    moved = [x + np.r_[0.0, np.full(x.shape[1] - 1, 1e8)] for x in X]
    chunks = ((Y[at] + 1e8, [x[at] for x in moved]) for at in (slice(0, 150), slice(150, N)))
    res = LowRankSUR.from_chunks(chunks, rank=1).fit()
    slopes = [name for name in full.params.index if not name.endswith("const")]
    # Adding 1e8 rounds the data to 1e-8.
    np.testing.assert_allclose(res.params[slopes], full.params[slopes], rtol=0, atol=1e-7)
    np.testing.assert_allclose(res.bse[slopes], full.bse[slopes], rtol=1e-6)
    np.testing.assert_allclose(rsquared(res.estimate), rsquared(full.estimate), rtol=0, atol=1e-7)


@pytest.mark.parametrize("power", [-100, 100])
def test_scales(arrays, full, power):
    X, Y = arrays
    scale = 10.0**power
    scaled = [x * np.r_[1.0, np.full(x.shape[1] - 1, scale)] for x in X]
    chunks = ((Y[at], [x[at] for x in scaled]) for at in (slice(0, 150), slice(150, N)))
    res = LowRankSUR.from_chunks(chunks, rank=1).fit()
    slopes = [name for name in full.params.index if not name.endswith("const")]
    np.testing.assert_allclose(res.params[slopes] * scale, full.params[slopes], rtol=1e-9)
    np.testing.assert_allclose(res.tvalues, full.tvalues, rtol=1e-9)
    np.testing.assert_allclose(rsquared(res.estimate), rsquared(full.estimate), rtol=1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_maps(arrays, full, tmp_path, order, monkeypatch):
    monkeypatch.setattr(held, "COPIED", 0)  # smaller ones are copied
    X, Y = arrays
    path = tmp_path / "data"
    whole = np.column_stack([*X, Y])
    data = np.memmap(path, dtype=float, mode="w+", shape=whole.shape, order=order)
    data[:] = whole
    data.flush()
    data = np.memmap(path, dtype=float, mode="r", shape=whole.shape, order=order)
    stops = np.cumsum([x.shape[1] for x in X])
    exog = [data[:, stop - x.shape[1] : stop] for stop, x in zip(stops, X, strict=True)]
    model = LowRankSUR(data[:, stops[-1] :], exog, rank=1)
    assert np.shares_memory(model.endog, data)
    assert np.shares_memory(model.exog[3], data)
    res = model.fit()
    assert_same_fit(res, full)
    np.testing.assert_allclose(res.resid, full.resid, atol=1e-8)


def test_memory_maps_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.undo()
    rows, columns = 200_000, 20
    data = np.memmap(tmp_path / "data", dtype=float, mode="w+", shape=(rows, columns + 4))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 10_000):
        data[start : start + 10_000] = rng.standard_normal((10_000, columns + 4))
    tracemalloc.start()
    model = LowRankSUR(data[:, columns:], [data[:, 5 * j : 5 * j + 5] for j in range(4)], rank=1)
    res = model.fit()
    _ = res.summary()
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The data are 38 MB; R-squared, checks and constants must not make such arrays either.
    assert high < 5e6


def test_bounded_memory(monkeypatch):
    monkeypatch.undo()
    rng = np.random.default_rng(0)

    def chunk():
        data = rng.standard_normal((10_000, 24))
        return data[:, :4], [data[:, 4 + 5 * j : 9 + 5 * j] for j in range(4)]

    tracemalloc.start()
    model = LowRankSUR.from_chunks((chunk() for _ in range(20)), rank=1)
    model.fit()
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.nobs == 200_000
    # One chunk, not two, and two blocks of 4,000 rows and 25 columns.
    assert high < 8 * 10_000 * 24 + 1.9e6


# -- what works without rows, and what does not -------------------------------------------------


@pytest.fixture
def stream(arrays):
    X, Y = arrays
    return LowRankSUR.from_chunks(
        [(Y[:130], [x[:130] for x in X]), (Y[130:], [x[130:] for x in X])], rank=1
    )


def test_what_needs_cross_products_only(arrays, full, stream):
    X, _ = arrays
    res = stream.fit()
    other = stream.fit(cov_type="KH")
    np.testing.assert_allclose(other.bse, full.get_robustcov_results("KH").bse, rtol=1e-8)
    np.testing.assert_allclose(
        res.get_robustcov_results("sandwich").bse,
        full.get_robustcov_results("sandwich").bse,
        rtol=1e-8,
    )
    new = [x[:4] for x in X]
    pd.testing.assert_frame_equal(res.predict(new), full.predict(new), rtol=1e-9)
    pd.testing.assert_frame_equal(
        res.get_prediction(new).conf_int(), full.get_prediction(new).conf_int(), rtol=1e-9
    )
    bound = stream.fit_constrained("y1_x1 = y2_x1")
    expected = full.model.fit_constrained("y1_x1 = y2_x1")
    np.testing.assert_allclose(bound.params, expected.params, rtol=1e-9)
    pd.testing.assert_frame_equal(
        bound.restriction_tests(), expected.restriction_tests(), rtol=1e-6
    )
    test, known = rank_test(res), rank_test(full)
    assert test.statistic == pytest.approx(known.statistic, rel=1e-7)
    params = 1.1 * np.asarray(full.params)
    for name in ("loglike", "score", "information"):
        np.testing.assert_allclose(
            getattr(stream, name)(params, full.sigma),
            getattr(full.model, name)(params, full.sigma),
            rtol=1e-9,
            atol=1e-9,
        )
    pd.testing.assert_frame_equal(res.tidy(), full.tidy(), rtol=1e-8)
    assert_same_fit(res, full)


def test_common_and_ridges(arrays):
    X, Y = arrays
    chunks = [(Y[:130], [x[:130] for x in X]), (Y[130:], [x[130:] for x in X])]
    res = LowRankSUR.from_chunks(chunks, rank=1, common=["x1"]).fit()
    assert_same_fit(res, LowRankSUR(Y, X, rank=1, common=["x1"]).fit())
    res = LowRankSUR.from_chunks(chunks, rank=1).fit(lam_B=0.1, lam_F=0.01)
    assert_same_fit(res, LowRankSUR(Y, X, rank=1).fit(lam_B=0.1, lam_F=0.01))


@pytest.mark.parametrize(
    "use",
    [
        lambda res: res.resid,
        lambda res: res.fittedvalues,
        lambda res: res.factor_scores,
        lambda res: res.predict(),
        lambda res: res.augment(),
        lambda res: res.model.endog.shape,
        lambda res: res.model.exog[0],
        lambda res: np.asarray(res.model.endog),
        lambda res: res.model.data.orig_endog,
        lambda res: list(res.model.data.row_labels),
        lambda res: res.model.score_obs(res.params, res.sigma),
        lambda res: res.get_robustcov_results("HC1"),
        lambda res: res.get_robustcov_results("HAC"),
        lambda res: res.get_robustcov_results("cluster", groups=np.arange(N)),
        lambda res: res.model.fit(cov_type="HC0"),
        lambda res: res.bootstrap(5),
        lambda res: rank_test(res, reps=3),
        lambda res: res.equations["y1"].resid,
        lambda res: res.equations["y1"].predict(),
    ],
)
@pytest.mark.parametrize("pickled", [False, True])
def test_what_needs_rows_says_so(stream, use, pickled):
    res = stream.fit()
    res = pickle.loads(pickle.dumps(res)) if pickled else res
    with pytest.raises(DataRemovedError, match="read as a stream.*memory-mapped"):
        use(res)


def test_hc_is_refused_before_the_fit(stream):
    sweeps = []
    with pytest.raises(DataRemovedError):
        stream.fit(cov_type="HC1", callback=sweeps.append)
    assert not sweeps


def test_persistence(stream, full, tmp_path):
    res = stream.fit()
    assert_same_fit(pickle.loads(pickle.dumps(res)), full)
    assert_same_fit(copy.deepcopy(stream).fit(), full)
    assert "not kept of a stream" in repr(stream.endog)
    assert not hasattr(res, "resid")
    # Rows of the triangle, not of the data.
    assert len(pickle.dumps(res)) < 8 * full.model.endog.size * 8
    res.remove_data()
    assert numbers(res.summary()) == numbers(full.summary())
    with pytest.raises(DataRemovedError, match=r"remove_data\(\)"):
        res.model.fit()


# -- errors -------------------------------------------------------------------------------------


def chunked(*chunks):
    return LowRankSUR.from_chunks(chunks)


def test_errors_name_the_chunk(arrays):
    X, Y = arrays
    X, good = X[1], (Y[:100], X[1][:100])
    hole = Y[:50].copy()
    hole[7, 2] = np.nan
    wall = X[:50].copy()
    wall[3, 1] = np.inf
    with pytest.raises(NonFiniteError, match=r"chunk 2: endog: equation 'y3'.* in row 7"):
        chunked(good, (hole, X[:50]))
    wall = pd.DataFrame(wall, [f"r{i}" for i in range(50)], ["const", "x1", "x2"])
    with pytest.raises(NonFiniteError, match=r"chunk 3: exog: column 'x1' .* infinite .* row 'r3'"):
        chunked((Y[:9], X[:9]), (Y[9:20], X[9:20]), (Y[:50], wall))
    with pytest.raises(ShapeError, match=r"chunk 2: .* 'y1', 'y2', 'y3', 'y4', those of the first"):
        chunked(good, (Y[:50, :4], X[:50]))
    with pytest.raises(ShapeError, match=r"chunk 2: exog of equation 'y1' has 2 columns"):
        chunked(good, (Y[:50], X[:50, :2]))
    one, two = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(X, columns=list("bac"))
    with pytest.raises(ShapeError, match=r"chunk 2: exog of.*'b', 'a', 'c'.*'a', 'b', 'c'"):
        chunked((Y, one), (Y, two))
    with pytest.raises(ShapeError, match="chunk 2: equation 'y1': exog has 9 rows but endog has 8"):
        chunked(good, (Y[:8], X[:9]))
    with pytest.raises(ShapeError, match=r"chunk 1: expected a pair \(endog, exog\), got ndarray"):
        chunked(Y)
    with pytest.raises(ShapeError, match=r"chunk 2: expected a pair \(endog, exog\), got NoneType"):
        chunked(good, None)


def test_errors_of_the_whole(arrays):
    X, Y = arrays
    X = X[1]
    with pytest.raises(ShapeError, match="iterator of chunks is empty"):
        chunked()
    with pytest.raises(ShapeError, match="0 rows in 2 chunks"):
        chunked((Y[:0], X[:0]), (Y[:0], X[:0]))
    with pytest.raises(InsufficientRowsError, match="3 regressors but only 3 rows"):
        chunked((Y[:1], X[:1]), (Y[1:3], X[1:3]))
    with pytest.raises(OptionError, match="missing must be"):
        LowRankSUR.from_chunks([(Y, X)], missing="omit")
    flat = Y.copy()
    flat[:, 1] = 7.5
    with pytest.raises(DegenerateResponseError, match=r"'y2' is constant \(7.5 in all 420 rows\)"):
        chunked((flat[:200], X[:200]), (flat[200:], X[200:]))
    flat[300, 1] = 7.6
    chunked((flat[:200], X[:200]), (flat[200:], X[200:]))
    twice = np.column_stack([X, X[:, 1] - X[:, 2]])
    with pytest.raises(RankDeficientError, match="'y1'.*'x3' is a combination"):
        chunked((Y[:200], twice[:200]), (Y[200:], twice[200:])).fit()


def test_missing_values(arrays):
    X, Y = arrays
    X, Y = X[1].copy(), Y.copy()
    Y[[3, 170, 171], [0, 1, 1]] = np.nan
    X[[3, 200], 1] = np.nan
    Y[400:] = np.nan  # a chunk of which nothing is left
    chunks = [(Y[at], X[at]) for at in (slice(0, 100), slice(100, 400), slice(400, N))]
    model = LowRankSUR.from_chunks(chunks, rank=1, missing="drop")
    assert (model.n_dropped, model.nobs) == (24, N - 24)
    expected = LowRankSUR(Y, X, rank=1, missing="drop")
    assert expected.n_dropped == 24
    assert_same_fit(model.fit(), expected.fit())
    with pytest.raises(NonFiniteError, match="chunk 1: .*missing='drop'"):
        LowRankSUR.from_chunks(chunks, rank=1, missing="raise")


# -- formulas -----------------------------------------------------------------------------------


def frame(n=300, seed=0):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.standard_normal((n, 4)), columns=["y1", "y2", "y3", "y4"])
    data += 1.5 * rng.standard_normal((n, 1))
    data["x"] = rng.uniform(1.0, 3.0, n)
    data["z"] = rng.uniform(1.0, 3.0, n)
    data["s"] = np.array(list("abc"))[rng.integers(0, 3, n)]
    return data


def pieces(data, *cuts):
    return (data.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))


FORMS = {
    "responses": "y1 + y2 + np.exp(y3) + y4 ~ x + C(s) + np.log(z)",
    "mapping": {"a": "y1 ~ x + s", "b": "y2 ~ I(x ** 2) * z", "c": "y3 ~ 0 + s", "d": "y4 ~ z"},
    "list": ["y1 ~ x", "y2 ~ z", "np.exp(y3) ~ x + z", "y4 ~ 1"],
    "braces": "{a: y1 ~ x + z} {b: y2 ~ scale(z)} {c: y3 ~ x} {d: y4 ~ x}",
}


#: Fits of all rows in memory, which streams of any cuts are compared with.
of_whole_frames = {}


@pytest.mark.parametrize(
    ("form", "cuts"),
    [
        ("responses", ()),
        *((form, cuts) for form in FORMS for cuts in [(100, 200), (40, 40, 41, 299)]),
    ],
)
def test_formulas(engine, form, cuts):
    def scale(values):
        return values / 2.0

    data, formula = frame(), FORMS[form]
    scope = {"np": np, "scale": scale}
    if (engine, form) not in of_whole_frames:
        fit = LowRankSUR.from_formula(formula, data, rank=1, eval_env=scope).fit()
        of_whole_frames[engine, form] = fit
    expected = of_whole_frames[engine, form]
    model = LowRankSUR.from_formula(formula, pieces(data, *cuts), rank=1, eval_env=scope)
    res = model.fit()
    assert_same_fit(res, expected)
    new = frame(20, seed=1)
    pd.testing.assert_frame_equal(res.predict(new), expected.predict(new), rtol=1e-8)
    pd.testing.assert_frame_equal(res.augment(new), expected.augment(new), rtol=1e-7)
    with pytest.raises(DataRemovedError, match="stream"):
        _ = model.data.frame.columns


def test_formulas_see_the_caller(engine):
    shift = 2.0
    data = frame()
    res = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ I(x + shift)", pieces(data, 50), rank=1)
    assert res.exog_names[1] == "y1_I(x + shift)"
    assert shift == 2.0


def test_formula_of_a_csv_reader(tmp_path):
    data = frame()
    data.to_csv(tmp_path / "data.csv", index=False)
    with pd.read_csv(tmp_path / "data.csv", chunksize=70) as reader:
        model = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ x + C(s)", reader, rank=1)
    expected = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ x + C(s)", data, rank=1)
    assert_same_fit(model.fit(), expected.fit())


def test_missing_values_of_formulas(engine):
    data = frame()
    data.loc[[5, 120, 121, 299], "x"] = np.nan
    data.loc[[120, 200], "y2"] = np.nan
    formula = {"a": "y1 ~ z", "b": "y2 ~ x", "c": "y3 ~ s", "d": "y4 ~ 1"}
    model = LowRankSUR.from_formula(formula, pieces(data, 0, 100, 120, 122), rank=1)
    expected = LowRankSUR.from_formula(formula, data, rank=1)
    assert model.n_dropped == expected.n_dropped == 5
    assert_same_fit(model.fit(), expected.fit())
    with pytest.raises(
        NonFiniteError, match="chunk 2: 4 rows have missing values, first rows 120, 121"
    ):
        LowRankSUR.from_formula(formula, pieces(data.drop(5), 99), rank=1, missing="raise")
    with pytest.raises(NonFiniteError, match="chunk 1: .*missing"):
        LowRankSUR.from_formula(formula, pieces(data, 100), rank=1, missing="none")


def test_levels_are_those_of_the_first_chunk(engine):
    data = frame().sort_values("s", ignore_index=True)
    formula = "y1 + y2 + y3 + y4 ~ x + s"
    with pytest.raises(UnseenLevelError, match=r"chunk 2: .*'s' 'c'.*pd\.Categorical"):
        LowRankSUR.from_formula(formula, pieces(data, 150), rank=1)
    # Declared levels need not occur: two columns of zeros, which part in the second chunk.
    data["s"] = pd.Categorical(data["s"], categories=list("abc"))
    expected = LowRankSUR.from_formula(formula, data, rank=1).fit()
    assert_same_fit(LowRankSUR.from_formula(formula, pieces(data, 50, 150), rank=1).fit(), expected)


@pytest.mark.parametrize("side", ["y1 + y2 + y3 + y4 ~ center(x)", "center(y1) + y2 + y3 ~ x"])
def test_transforms_that_learn_are_refused(engine, side):
    with pytest.raises(FormulaError, match=r"chunk 1: .*center\((x|y1)\).* learns from the data"):
        LowRankSUR.from_formula(side, pieces(frame(), 100), rank=1)
    with pytest.raises(FormulaError, match=r"bs\(x, df=4\).* learns"):
        LowRankSUR.from_formula("y1 + y2 + y3 ~ bs(x, df=4)", pieces(frame(), 100), rank=1)


def test_errors_of_formula_streams(engine):
    formula = "y1 + y2 + y3 + y4 ~ x"
    with pytest.raises(FormulaError, match="groups= does not go with an iterator"):
        LowRankSUR.from_formula("y1 ~ x", pieces(frame(), 100), groups="s")
    with pytest.raises(FormulaError, match="subset= does not go .* before"):
        LowRankSUR.from_formula(formula, pieces(frame(), 100), subset=[1, 2])
    with pytest.raises(FormulaError, match="chunk 2: .*unknown variables: 'x'"):
        LowRankSUR.from_formula(formula, iter([frame(), frame().drop(columns="x")]))
    with pytest.raises(FormulaError, match="chunk 3: .*unknown variables: 'y2'"):
        LowRankSUR.from_formula(formula, iter([frame(), frame(), frame().drop(columns="y2")]))
    with pytest.raises(SystemInputError, match="chunk 1: data must be an iterator of DataFrames"):
        LowRankSUR.from_formula(formula, iter([[1.0]]))
    with pytest.raises(ShapeError, match="iterator of chunks is empty"):
        LowRankSUR.from_formula(formula, iter([]))
    with pytest.raises(ShapeError, match="iterator of chunks is empty"):
        LowRankSUR.from_formula(formula, iter([frame().iloc[:0]]))
    bad = frame().replace({"y1": {frame()["y1"][7]: np.inf}})
    with pytest.raises(NonFiniteError, match="chunk 2: endog: equation 'y1' .* infinite"):
        LowRankSUR.from_formula(formula, iter([frame(), bad]))
