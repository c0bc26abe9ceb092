"""Equations in tiles beside the same in memory: everything that both have."""

import copy
import functools
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import (
    CallableError,
    ConvergenceWarning,
    DataChangedError,
    DataRemovedError,
    DegenerateResponseError,
    HeywoodWarning,
    IllegalRankError,
    InsufficientRowsError,
    NonFiniteError,
    NotApplicableError,
    OptionError,
    RankDeficientError,
    RankWarning,
    ShapeError,
    SystemInputError,
    UnknownArgumentError,
    UnknownEquationError,
)
from sm_alsgls.models.many import ManySUR

# Where both stop is as far from the maximum as gtol says; figures agree to its square, or nearly.
TIGHT = {"gtol": 1e-10, "rel_tol": 1e-14}


def data(K=30, N=40, p=3, r=2, seed=0, constant=True):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((K, N, p))
    if constant:
        X[:, :, 0] = 1.0
    E = 1.5 * rng.standard_normal((N, r)) @ rng.standard_normal((r, K))
    return X, np.einsum("knp->nk", X) + E + rng.standard_normal((N, K))


def mapped(path, value, order="C"):
    """A memory map of ``value``, as it is or of its last two axes turned."""
    stored = value if order == "C" else np.swapaxes(value, -1, -2)
    file = np.memmap(path, dtype=value.dtype, mode="w+", shape=stored.shape)
    file[:] = stored
    return file if order == "C" else np.swapaxes(file, -1, -2)


@pytest.fixture(scope="module", autouse=True)
def tight_intervals():
    """The Sigma of intervals is a Sigma-step that ends at 1e-8, here and there by other routes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sm_alsgls.core.errors.loading_prior._GTOL", 1e-11)
        patch.setattr("sm_alsgls.core.tiles.interval._GTOL", 1e-11)
        yield


def gap(one, other):
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    assert one.shape == other.shape
    return np.abs(one - other).max() / np.abs(one).max()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same fit in memory and from a map."""
    X, Y = data()
    whole = LowRankSUR(Y, list(X), rank=2).fit(n_starts=1, **TIGHT)
    path = tmp_path_factory.mktemp("maps")
    tiles = LowRankSUR(Y, mapped(path / "x", X, "F"), rank=2).fit(**TIGHT)
    return whole, tiles


def test_estimates_are_those_of_arrays(pair):
    whole, tiles = pair
    for name in ("params", "loadings", "uniquenesses", "communalities"):
        assert gap(getattr(whole, name), getattr(tiles, name)) < 1e-10, name
    for name in ("llf", "aic", "bic", "df_model", "df_resid", "nll_per_row", "nobs", "neqs"):
        assert getattr(whole, name) == pytest.approx(getattr(tiles, name), rel=1e-12), name
    assert gap(whole.sigma.to_dense(), tiles.sigma.to_dense()) < 1e-10
    assert gap([one.rsquared for one in whole.equations.values()], tiles.rsquared) < 1e-10
    assert tiles.converged
    assert tiles.rank == 2
    assert tiles.trace.columns.tolist() == whole.trace.columns.tolist()
    assert (tiles.mle_retvals.keys() | {"starts", "starts_at_best", "worst_gap"}) == (
        whole.mle_retvals.keys() - {"lowest_curvature"}
    )
    assert tiles.mle_settings == whole.mle_settings


def test_standard_errors_are_those_of_arrays(pair):
    whole, tiles = pair
    for name in ("bse", "tvalues", "pvalues"):
        assert gap(getattr(whole, name), getattr(tiles, name)) < 1e-9, name
    assert gap(whole.conf_int(0.1), tiles.conf_int(0.1)) < 1e-10
    assert gap(whole.bse, tiles.bse) < 1e-10
    assert gap(whole.sigma_inference.to_dense(), tiles.sigma_inference.to_dense()) < 1e-9
    assert gap(whole.equations["y7"].cov_params(), tiles.cov_params("y7")) < 1e-10


_FIVES = np.arange(40) // 5


@pytest.mark.parametrize(
    ("cov_type", "kwds"),
    [
        ("HC0", {}),
        ("HC1", {}),
        ("HC1", {"dof": "p"}),
        ("HC2", {}),
        ("HC3", {"dof": "p"}),
        ("cluster", {"groups": _FIVES}),
        *[("cluster", {"groups": _FIVES, "correction": f"CR{k}"}) for k in (0, 1, 3)],
        ("HAC", {"maxlags": 3}),
        ("HAC", {"maxlags": 3, "use_correction": False}),
        ("HAC", {"kernel": "cosine", "terms": 7}),
    ],
)
def test_robust_standard_errors_are_those_of_arrays(pair, cov_type, kwds):
    whole, tiles = (one.get_robustcov_results(cov_type, **kwds) for one in pair)
    assert gap(whole.bse, tiles.bse) < 1e-10
    assert gap(whole.pvalues, tiles.pvalues) < 1e-9
    assert gap(whole.conf_int(), tiles.conf_int()) < 1e-9
    assert whole.cov_type == tiles.cov_type == cov_type
    assert whole.cov_kwds["description"] == tiles.cov_kwds["description"]
    one, other = (fit.equations["y3"] for fit in (whole, tiles))
    assert gap(one.cov_params(), other.cov_params()) < 1e-9
    for said in ("x1 = 1", "x1 - x2 = 0"):
        a, b = one.t_test(said), other.t_test(said)
        assert gap(a.pvalue, b.pvalue) < 1e-9
        assert gap(a.df_denom, b.df_denom) < 1e-9


def test_covariance_types_that_are_not_there(pair):
    _, tiles = pair
    for cov_type in ("sandwich", "KH", "pcse"):
        with pytest.raises(OptionError, match=f"'{cov_type}'.* use one of"):
            tiles.get_robustcov_results(cov_type)
    with pytest.raises(NotApplicableError, match="two groupings"):
        tiles.get_robustcov_results("cluster", groups=np.column_stack([_FIVES, _FIVES % 3]))


@pytest.mark.parametrize("kwds", [{"debiased": False}, {"use_t": False}])
def test_plain_standard_errors_are_those_of_arrays(tmp_path, kwds):
    X, Y = data(K=12)
    whole = LowRankSUR(Y, list(X), rank=1).fit(n_starts=1, **TIGHT, **kwds)
    tiles = LowRankSUR(Y, mapped(tmp_path / "x", X), rank=1).fit(**TIGHT, **kwds)
    assert gap(whole.bse, tiles.bse) < 1e-10
    assert gap(whole.pvalues, tiles.pvalues) < 1e-9
    assert tiles.use_t is whole.use_t


def test_tests_within_an_equation_are_those_of_arrays(pair):
    whole, tiles = (one.equations["y5"] for one in pair)
    for said in ("x1 = 1", "x1 = x2", "x1 - 2 * x2 = 1"):
        one, other = whole.t_test(said), tiles.t_test(said)
        assert gap(one.tvalue, other.tvalue) < 1e-9
        assert one.df_denom == other.df_denom
    one, other = (eq.wald_test("x1 = 1, x2 = 1", scalar=True) for eq in (whole, tiles))
    assert gap(one.statistic, other.statistic) < 1e-9
    assert one.df_denom == other.df_denom
    assert gap(whole.conf_int(), tiles.conf_int()) < 1e-10
    for name in ("params", "bse", "tvalues", "pvalues", "loadings"):
        assert gap(getattr(whole, name), getattr(tiles, name)) < 1e-9
        assert list(getattr(whole, name).index) == list(getattr(tiles, name).index)
    for name in ("rsquared", "std_error", "uniqueness", "communality", "df_resid", "nobs"):
        assert getattr(whole, name) == pytest.approx(getattr(tiles, name), rel=1e-10)
    assert gap(whole.resid, tiles.resid) < 1e-10
    assert list(whole.tidy().columns) == list(tiles.tidy().columns)


def test_rows_are_those_of_arrays_and_come_in_pieces(pair, tmp_path):
    whole, tiles = pair
    assert gap(whole.resid, tiles.resid.to_numpy()) < 1e-10
    assert gap(whole.fittedvalues, tiles.fittedvalues.to_numpy()) < 1e-10
    assert gap(whole.resid["y7"], tiles.resid["y7"]) < 1e-10
    assert gap(whole.resid[["y9", "y2"]], tiles.resid[["y9", "y2"]]) < 1e-10
    assert gap(whole.resid.iloc[:, 4:9:2], tiles.resid[4:9:2]) < 1e-10
    names, blocks = zip(*tiles.resid, strict=True)
    assert [name for some in names for name in some] == list(whole.resid.columns)
    assert gap(whole.resid, np.hstack(blocks)) < 1e-10
    written = tiles.resid.to_memmap(tmp_path / "resid.npy")
    assert gap(whole.resid, written) < 1e-10
    assert gap(whole.resid, np.load(tmp_path / "resid.npy", mmap_mode="r").T) < 1e-10
    assert tiles.resid.shape == whole.resid.shape


def test_predictions_of_new_rows(pair, tmp_path):
    whole, tiles = pair
    new = data(N=6, seed=5)[0]
    right = whole.predict(list(new))
    chunks = [new[:11], new[11:]]
    for exog in (new, mapped(tmp_path / "n", new, "F"), chunks, iter(chunks), lambda: iter(chunks)):
        made = tiles.predict(exog)
        assert made.shape == (6, 30)
        assert gap(right, made.to_numpy()) < 1e-10
    assert gap(right["y4"], tiles.predict(new)["y4"]) < 1e-10
    assert gap(whole.fittedvalues, tiles.predict().to_numpy()) < 1e-10
    for bad, said in [
        (new[:-1], "29 equations, and the fit 30"),
        (new[:, :, :-1], "equation 'y1' has 2 columns, and the fit has 3"),
        (new[0], "shape"),
    ]:
        with pytest.raises(ShapeError, match=said):
            tiles.predict(bad)
    with pytest.raises(OptionError, match="exog must be"):
        tiles.predict("x")


def test_tables_are_those_of_arrays(pair, tmp_path):
    whole, tiles = pair
    assert gap(whole.factor_scores, tiles.factor_scores) < 1e-9
    assert list(whole.factor_scores.columns) == list(tiles.factor_scores.columns)
    one, other = whole.glance(), tiles.glance()
    same = [name for name in one.columns if name != "sweeps"]
    assert list(one.columns) == list(other.columns)
    pd.testing.assert_frame_equal(one[same], other[same], check_dtype=False, rtol=1e-10)
    one, other = whole.tidy(), tiles.tidy()
    pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-8)
    assert list(tiles.tidy(conf_int=False).columns) == list(whole.tidy(conf_int=False).columns)
    one, other = (fit.equations["y4"].summary().as_text() for fit in (whole, tiles))
    assert [x for x in one.splitlines() if "start" not in x.lower()] == [
        x for x in other.splitlines() if "start" not in x.lower()
    ]
    text, right = tiles.summary(equations=["y4"]).as_text(), whole.summary(equations=["y4"])
    lines = [
        line for line in right.as_text().splitlines() if line.startswith(("x1", "y4", "const"))
    ]
    assert lines
    assert set(lines) <= set(text.splitlines())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_table_of_all_coefficients_is_written_in_pieces(pair, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("sm_alsgls.results.many.tables._PIECE", 7)
    _, tiles = pair
    path = tmp_path / f"table.{kind}"
    assert tiles.tidy(path=path, style="broom", alpha=0.1) is None
    read = pd.read_csv(path) if kind == "csv" else pd.read_parquet(path)
    right = tiles.tidy(style="broom", alpha=0.1)
    pd.testing.assert_frame_equal(read, right, check_dtype=False, rtol=1e-12)
    with pytest.raises(OptionError, match=r"\.csv or \.parquet"):
        tiles.tidy(path=tmp_path / "table.xlsx")


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC3", "HAC"])
def test_variances_alone_are_kept_of_very_many(pair, monkeypatch, cov_type):
    whole, tiles = (fit.get_robustcov_results(cov_type) for fit in pair)
    monkeypatch.setattr("sm_alsgls.results.many.covariance.WHOLE", 100)
    assert gap(whole.bse, tiles.bse) < 1e-10
    equation = tiles.equations["y4"]
    assert gap(whole.equations["y4"].pvalues, equation.pvalues) < 1e-9
    assert gap(whole.equations["y4"].conf_int(), equation.conf_int()) < 1e-9
    with pytest.raises(NotApplicableError, match="270 numbers, and more than 100"):
        equation.t_test("x1 = x2")


@functools.cache
def of_whole_numbers():
    """Data that numbers of every type hold, and their fit in memory."""
    X, Y = (np.round(100 * value) for value in data(K=9, N=30))
    X[:, :, 0] = 1
    return X, Y, LowRankSUR(Y, list(X), rank=1).fit(n_starts=1, **TIGHT)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", "float32", ">f8", "int16"])
def test_maps_of_any_order_and_type(tmp_path, order, dtype):
    *numbers, right = of_whole_numbers()
    X, Y = (value.astype(dtype) for value in numbers)
    x, y = mapped(tmp_path / "x", X, order), mapped(tmp_path / "y", Y, order)
    made = LowRankSUR(y, x, rank=1).fit(**TIGHT)
    assert gap(right.params, made.params) < 1e-10
    assert gap(right.bse, made.bse) < 1e-10


@pytest.mark.slow
def test_rsquared_is_about_the_mean_where_a_design_spans_the_constant(tmp_path):
    X, Y = data(K=12, N=30, p=3, constant=False)
    X[:6, :, 1] = np.arange(30) % 2
    X[:6, :, 2] = 1.0 - X[:6, :, 1]
    right = LowRankSUR(Y + 3.0, list(X), rank=1).fit(n_starts=1, **TIGHT)
    made = LowRankSUR(Y + 3.0, mapped(tmp_path / "x", X), rank=1).fit(**TIGHT)
    assert gap([one.rsquared for one in right.equations.values()], made.rsquared) < 1e-9
    for name in ("k_constant", "rsquared_adj", "df_model"):
        one, other = ([getattr(e, name) for e in f.equations.values()] for f in (right, made))
        assert gap(one, other) < 1e-9
    assert "u: R-squared is uncentered" in made.summary().as_text()


def test_chunks_that_are_not_kept_come_again(pair, monkeypatch):
    monkeypatch.setattr("sm_alsgls.data.many.chunks._KEPT_BYTES", 0)
    monkeypatch.setattr("sm_alsgls.data.many.chunks._KEPT", 1)
    whole, _ = pair
    chunks, begun = chunked(*data(), (7, 1, 12, 10)), []

    def tiles():
        begun.append(len(begun))
        yield from chunks

    res = LowRankSUR.from_equations(tiles, 2).fit(**TIGHT)
    assert gap(whole.params, res.params) < 1e-10
    # A pass each, and few more: tiles are asked for nearly in order.
    assert len(begun) > 20
    assert gap(whole.resid[["y30", "y1", "y8"]], res.resid[["y30", "y1", "y8"]]) < 1e-10


def test_columns_of_which_some_have_names():
    X, Y = data(K=6, N=20)
    X[4, :, 0] = 2.0
    frames = [pd.DataFrame(x, columns=["c", "b", "a"]) for x in X[:3]]
    right = LowRankSUR(Y, [*frames, *X[3:]], rank=1)
    chunks = [(Y[:, :2], frames[:2]), (Y[:, 2:4], [frames[2], X[3]]), (Y[:, 4:], X[4:])]
    made = LowRankSUR.from_equations(chunks, 1)
    assert [f"{a}_{b}" for a, b in made.exog_names] == right.exog_names


def chunked(X, Y, sizes):
    stops = np.cumsum(sizes)
    assert stops[-1] == len(X)
    return [(Y[:, b - a : b], X[b - a : b]) for a, b in zip(sizes, stops, strict=True)]


# A list, a callable and an object only begin anew in other words; an iterator is kept in a file.
@pytest.mark.parametrize(
    ("form", "sizes"),
    [
        *[(form, sizes) for form in ("list", "iterator")
          for sizes in ((30,), (1,) * 30, (7, 1, 12, 10))],
        ("callable", (7, 1, 12, 10)),
        ("object", (7, 1, 12, 10)),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_chunks_of_any_size_and_form(pair, sizes, form):
    whole, _ = pair
    X, Y = data()
    chunks = chunked(X, Y, sizes)

    class Again:
        def __iter__(self):
            return iter(chunks)

    forms = {"list": chunks, "callable": lambda: iter(chunks), "object": Again()}
    model = LowRankSUR.from_equations(forms.get(form, iter(chunks)), 2)
    assert model.spooled == (8 * (X.size + Y.size) if form == "iterator" else 0)
    assert ("temporary file" in repr(model)) is (form == "iterator")
    res = model.fit(**TIGHT)
    assert gap(whole.params, res.params) < 1e-10
    assert gap(whole.bse, res.bse) < 1e-10
    assert gap(whole.resid, res.resid.to_numpy()) < 1e-10


def test_chunks_of_unequal_designs_with_labels():
    rng = np.random.default_rng(3)
    N, index = 30, pd.date_range("2000-01-31", periods=30, freq="ME")
    sizes = [2, 2, 3, 1, 2, 2, 2, 4, 2]
    frames = [
        pd.DataFrame(rng.standard_normal((N, p)), index, [f"v{i}" for i in range(p)]) for p in sizes
    ]
    Y = pd.DataFrame(rng.standard_normal((N, 9)) + rng.standard_normal((N, 1)), index)
    Y.columns = [f"firm {j}" for j in range(9)]
    chunks = [(Y.iloc[:, :4], frames[:4]), (Y.iloc[:, 4:], frames[4:])]
    right = LowRankSUR(Y, frames, rank=1).fit(n_starts=1, **TIGHT)
    res = LowRankSUR.from_equations(chunks, rank=1).fit(**TIGHT)
    assert gap(right.params, res.params) < 1e-10
    assert gap(right.bse, res.bse) < 1e-10
    assert res.params.index[4:7].tolist() == [("firm 2", "v0"), ("firm 2", "v1"), ("firm 2", "v2")]
    assert res.resid["firm 2"].index.equals(index)
    assert list(res.equations) == list(Y.columns)
    assert [f"{a}_{b}" for a, b in res.params.index] == list(right.params.index)
    assert "u" in res.summary().as_text()
    groups = pd.Series(index.year, index)
    one, other = (
        fit.get_robustcov_results("cluster", groups=groups[::-1], correction="CR1")
        for fit in (right, res)
    )
    assert gap(one.bse, other.bse) < 1e-10


def test_names_of_columns_are_those_of_arrays(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 20, 3))
    X[:2, :, 1] = 1.0
    X[3, :, 0] = X[3, :, 2] = 1.0
    X[3, 4, 2] = 2.0
    X[4, :, 1] = 1.0
    X[4, 9, 1] = 2.0
    Y = rng.standard_normal((20, 5))
    right = LowRankSUR(Y, list(X), rank=0)
    made = LowRankSUR(Y, mapped(tmp_path / "x", X), rank=0)
    assert [f"{a}_{b}" for a, b in made.exog_names] == right.exog_names
    assert list(made.equations) == right.equations


# -- what cannot be used ------------------------------------------------------------------------


def test_bad_data_are_named(tmp_path):
    X, Y = data(K=8, N=20)

    def model(X=X, Y=Y, **kwds):
        return LowRankSUR(Y, mapped(tmp_path / "x", X), **{"rank": 1, **kwds})

    bad = X.copy()
    bad[5, 3, 1] = np.nan
    with pytest.raises(NonFiniteError, match="column number 1 of equation 'y6' has 1 missing"):
        model(bad)
    worse = pd.DataFrame(Y.copy(), columns=list("abcdefgh"), index=[f"row {n}" for n in range(20)])
    worse.iloc[4, 6] = np.inf
    with pytest.raises(NonFiniteError, match="equation 'g' has 1 infinite value, .* row 'row 4'"):
        model(Y=worse)
    still = Y.copy()
    still[:, 2] = 7.0
    with pytest.raises(DegenerateResponseError, match="equation 'y3' is constant \\(7 in all 20"):
        model(Y=still)
    twice = X.copy()
    twice[4, :, 2] = 2.0 * twice[4, :, 1]
    with pytest.raises(RankDeficientError, match="equation 'y5': .*'x2' is a combination of"):
        model(twice).fit()
    exact = Y.copy()
    exact[:, 1] = X[1].sum(axis=1)
    with pytest.raises(DegenerateResponseError, match="equation 'y2' is fitted exactly"):
        model(Y=exact).fit()
    with pytest.raises(InsufficientRowsError, match="equation 'y1' has 3 regressors but only 3"):
        model(X[:, :3], Y[:3])
    for value, said in [
        (X[:-1], r"must begin with \(8, 20\)"),
        (X.transpose(0, 2, 1), r"give exog.transpose\(0, 2, 1\)"),
    ]:
        with pytest.raises(ShapeError, match=said):
            model(np.ascontiguousarray(value))
    with pytest.raises(ShapeError, match="endog"):
        model(Y=list(Y))
    with pytest.raises(SystemInputError, match="complex128"):
        model(X.astype(complex))
    with pytest.raises(ShapeError, match="'a' is repeated"):
        model(Y=pd.DataFrame(Y, columns=list("abcdefga")))


@pytest.mark.slow
def test_the_default_rank_is_that_of_memory(tmp_path):
    X, Y = data(K=250, N=50, r=3, seed=4)
    here = LowRankSUR(Y, list(X))
    tiled = LowRankSUR(Y, mapped(tmp_path / "x", X))
    assert isinstance(tiled, ManySUR)
    assert tiled.rank == here.rank == 3
    chosen, expected = tiled.rank_selection, here.rank_selection
    pd.testing.assert_frame_equal(chosen.table, expected.table, rtol=0, atol=2 * Y.size * 1e-8)
    assert chosen.reason == expected.reason
    assert chosen.notes == expected.notes
    assert str(chosen.summary()) == str(expected.summary())
    assert tiled.rank_method == here.rank_method == "auto"
    assert chosen.reason in " ".join(str(tiled.fit().summary()).split())
    given = LowRankSUR(Y, mapped(tmp_path / "y", X), rank=2)
    assert given.rank_selection is given.rank_method is None
    assert "chosen by" not in str(given.fit().summary())


def test_few_rows_carry_few_factors_in_tiles_too(tmp_path):
    X, Y = data(K=400, N=30, r=6, seed=2)
    tiled = LowRankSUR(Y, mapped(tmp_path / "x", X))
    here = LowRankSUR(Y, list(X))
    assert tiled.rank == here.rank == 4
    assert tiled.rank_selection.notes == here.rank_selection.notes != []


def test_collinear_regressors_are_named_where_the_rank_is_looked_for(tmp_path):
    X, Y = data(K=40, N=30)
    X[7, :, 2] = 2.0 * X[7, :, 1]
    with pytest.raises(RankDeficientError, match="equation 'y8'"):
        LowRankSUR(Y, mapped(tmp_path / "x", X))


def test_ranks_that_are_not_there(tmp_path):
    X, Y = data(K=8, N=20)
    x = mapped(tmp_path / "x", X)
    for rank in ("full", "bic", -1, True, 1.0):
        with pytest.raises(IllegalRankError, match="'auto' or a whole number"):
            LowRankSUR(Y, x, rank=rank)
    with pytest.raises(IllegalRankError, match="largest legal rank is 4"):
        LowRankSUR(Y, x, rank=5)
    few = mapped(tmp_path / "few", np.ascontiguousarray(X[:, :6]))
    with pytest.raises(IllegalRankError, match="largest legal rank"):
        LowRankSUR(Y[:6], few, rank=4)


def test_misspelt_ranks_are_told_from_rules_that_tiles_do_not_have(tmp_path):
    X, Y = data(K=8, N=20)
    x = mapped(tmp_path / "x", X)
    for rank, said in (
        ("AUTO", r"got 'AUTO' \(did you mean 'auto'\?\)$"),
        ("Full", "got 'Full'$"),  # the other that is near is not there
        ("bicc", "got 'bicc'$"),
        (1.5, "got 1.5$"),
        (-1, "got -1$"),
        (None, "got None$"),
    ):
        with pytest.raises(IllegalRankError, match=f"^rank must be 'auto' or .* in tiles, {said}"):
            LowRankSUR(Y, x, rank=rank)
    for rank in ("bic", "er", "rule"):
        with pytest.raises(IllegalRankError, match="other rules take every eigenvalue"):
            LowRankSUR(Y, x, rank=rank)
    with pytest.raises(IllegalRankError, match="unrestricted Sigma is a K x K array"):
        LowRankSUR(Y, x, rank="full")


@pytest.mark.parametrize(
    ("K", "N", "why"),
    [(2, 40, "two equations identify no factor"), (9, 4, "4 rows less 3 regressors leave no")],
)
def test_no_factor_is_warned_of_as_it_is_in_memory(tmp_path, K, N, why):
    X, Y = data(K=K, N=N, r=1)
    x = mapped(tmp_path / "x", X)
    for regressors in (x, list(X)):
        with pytest.warns(RankWarning, match=f"^rank='auto' is 0.* OLS .*: {why}") as said:
            assert LowRankSUR(Y, regressors).rank == 0
        assert [one.filename for one in said] == [__file__]
    LowRankSUR(Y, x, rank=0)
    LowRankSUR(Y[:, :1], x[:1], rank="auto")


def test_keywords_that_do_not_go_with_tiles(tmp_path):
    X, Y = data(K=8, N=20)
    x = mapped(tmp_path / "x", X)
    known = inspect.signature(LowRankSUR.__init__).parameters
    ours = {"self", "endog", "exog", "rank", "missing", "_formula", "unknown"}
    for name in known.keys() - ours:
        with pytest.raises(OptionError, match=f"{name}= does not go"):
            LowRankSUR(Y, x, rank=1, **{name: 1})
    for missing in ("drop", "fiml"):
        with pytest.raises(OptionError, match=f"missing='{missing}' does not go"):
            LowRankSUR(Y, x, rank=1, missing=missing)
    with pytest.raises(UnknownArgumentError, match="use rank="):
        LowRankSUR(Y, x, 1, n_factors=2)
    model = LowRankSUR(Y, x, rank=1, missing="raise")
    theirs = inspect.signature(LowRankSUR.fit).parameters
    mine = inspect.signature(ManySUR.fit).parameters
    for name in theirs.keys() - mine.keys():
        with pytest.raises(OptionError, match=f"{name}= does not go"):
            model.fit(**{name: 1})
    with pytest.raises(UnknownArgumentError, match="max_sweeps"):
        model.fit(maxiter=3)
    for bad in (2, True, "all", 0):
        with pytest.raises(OptionError, match="n_starts"):
            model.fit(n_starts=bad)


def test_chunks_that_cannot_be_used():
    X, Y = data(K=6, N=20)

    def refused(tiles, error, said):
        with pytest.raises(error, match=said):
            LowRankSUR.from_equations(tiles, 1)

    refused(5, OptionError, "tiles must be an iterator")
    refused("ab", OptionError, "tiles must be an iterator")
    refused(lambda: 5, OptionError, "function that returned int")
    refused([], ShapeError, "tiles are empty")
    refused([Y], ShapeError, "chunk 0: a chunk of equations is a pair")
    refused([(Y, X), (Y[:-1], X[:, :-1])], ShapeError, "chunk 1 has 19 rows")
    refused([(Y, X[:-1])], ShapeError, r"chunk 0: .*must begin with \(6, 20\)")
    refused([(Y, X), (Y, list(X)[:-1])], ShapeError, "chunk 1: exog lists 5 designs")
    refused([(Y, X), (pd.DataFrame(Y), X)], ShapeError, "chunk 1 have names and those of chunk 0")
    frame = pd.DataFrame(Y, columns=list("abcdef"))
    refused([(frame, X), (frame, X)], ShapeError, "'a' is repeated")
    other = frame.set_axis(range(5, 25)).add_prefix("z")
    refused([(frame, X), (other, X)], ShapeError, "row labels of chunk 1")

    def raises():
        yield Y, X
        raise RuntimeError("lost")

    refused(raises, CallableError, r"RuntimeError \(lost\) at chunk 1")
    bad = X.copy()
    bad[2, 3, 1] = np.inf
    refused([(Y, X), (Y, bad)], NonFiniteError, "column number 1 of equation 'y9'")


def test_chunks_that_change_between_passes():
    rng = np.random.default_rng(0)

    def tiles():
        yield rng.standard_normal((20, 6)), np.ones((6, 20, 1))

    with pytest.raises(DataChangedError, match="chunk 0 of tiles is another"):
        LowRankSUR.from_equations(tiles, 1)
    left = [data(K=6, N=20)[::-1]] * 2

    def fewer():
        yield from left
        del left[1:]

    with pytest.raises(DataChangedError, match="2 chunks in the first pass and 1"):
        LowRankSUR.from_equations(fewer, 1)


def test_what_is_not_there_says_so(pair):
    _, tiles = pair
    for name in ("t_test", "wald_test", "f_test", "test_across"):
        with pytest.raises(NotApplicableError, match=r"equations\[name\]"):
            getattr(tiles, name)("y1_x1 = 0")
        assert name not in dir(tiles)
    with pytest.raises(UnknownEquationError, match="'y1' to 'y30'"):
        tiles.equations["y31"]
    for name in ("y0", "y01", "1", 3, "y1 "):
        with pytest.raises(UnknownEquationError):
            tiles.resid[name] if isinstance(name, str) else tiles.equations[name]
    with pytest.raises(AttributeError, match="use bse"):
        _ = tiles.std_errors
    for owner, name in [
        (tiles, "bootstrap"),
        (tiles, "diagnostics"),
        (tiles.equations["y1"], "get_prediction"),
        (tiles.model, "fit_constrained"),
        (tiles.resid, "std"),
    ]:
        assert not hasattr(owner, name)
        with pytest.raises(AttributeError, match="tile"):
            getattr(owner, name)
    with pytest.raises(NotApplicableError, match="cov_params"):
        tiles.cov_params()
    with pytest.raises(OptionError, match="positions"):
        _ = tiles.resid["y1":"y3"]


# -- copies, pickles, and the data that they leave behind ----------------------------------------


def test_pickles_leave_the_data_behind_and_copies_share_them(tmp_path):
    X, Y = data(K=8, N=20)
    res = LowRankSUR(Y, mapped(tmp_path / "x", X), rank=1).fit()
    fresh = pickle.loads(pickle.dumps(res))
    assert gap(res.params, fresh.params) == 0.0
    with pytest.raises(DataRemovedError, match="pickled without their data"):
        _ = fresh.bse
    errors = res.bse
    assert len(pickle.dumps(res)) < 30_000
    again = pickle.loads(pickle.dumps(res))
    assert gap(errors, again.bse) == 0.0
    assert repr(again) == repr(res)
    assert again.equations["y2"].t_test("x1").pvalue == res.equations["y2"].t_test("x1").pvalue
    assert not hasattr(again, "resid")
    assert gap(copy.deepcopy(res).resid.to_numpy(), res.resid.to_numpy()) == 0.0
    res.save(tmp_path / "saved.pickle", remove_data=True)
    loaded = type(res).load(tmp_path / "saved.pickle")
    assert gap(errors, loaded.bse) == 0.0
    with pytest.raises(DataRemovedError, match=r"remove_data\(\) was called"):
        _ = res.resid
    with pytest.raises(DataRemovedError):
        res.model.fit()
    assert "y1 .. y8" in loaded.summary().as_text()


def test_models_in_memory_are_what_they_were():
    X, Y = data(K=4, N=20)
    model = LowRankSUR(Y, list(X), rank=1)
    assert type(copy.copy(model)) is type(copy.deepcopy(model)) is LowRankSUR
    assert pickle.loads(pickle.dumps(model)).equations == model.equations
    parameters = inspect.signature(LowRankSUR).parameters
    assert list(parameters)[:3] == ["endog", "exog", "rank"]

    class Mine(LowRankSUR):
        def __init__(self, other):
            super().__init__(Y, list(X), rank=other)

    assert Mine(1).rank == 1
    with pytest.raises(ShapeError, match="3 dimensions"):
        LowRankSUR(Y, X, rank=1)


def test_a_fit_that_is_stopped_or_doubtful_says_so(tmp_path):
    X, Y = data(K=8, N=20)
    model, seen = LowRankSUR(Y, mapped(tmp_path / "x", X), rank=1), []
    with pytest.warns(ConvergenceWarning, match="max_sweeps=1"):
        res = model.fit(max_sweeps=1, callback=seen.append)
    assert len(seen) == 2
    assert not res.converged
    assert "NOT CONVERGED" in repr(res)
    assert "NOT CONVERGED" in res.summary().as_text()
    assert res.warnings
    with pytest.raises(CallableError, match="sweep 0 of start 1"):
        model.fit(callback=lambda sweep: 1 / 0)
    X, Y = data(K=5, N=12, r=1, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.warns(HeywoodWarning, match="uniqueness of 'y"):
            res = LowRankSUR(Y, mapped(tmp_path / "x", X), rank=2).fit()
    assert res.heywood
    assert "Heywood case" in res.summary().as_text()


def test_what_disp_prints_is_what_memory_prints(pair, capsys, tmp_path):
    X, Y = data(K=8, N=20)
    LowRankSUR(Y, mapped(tmp_path / "x", X), rank=1).fit(disp=True)
    LowRankSUR(Y, list(X), rank=1).fit(disp=True, n_starts=1)
    lines = capsys.readouterr().out.splitlines()
    # Sweeps are another number: in memory small systems have Newton steps.
    assert lines[:2] == lines[3:5]
