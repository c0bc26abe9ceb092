"""Pickles, copies, save and load, remove_data(): what comes back predicts and tests as before."""

import copy
import functools
import io
import json
import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula
from statsmodels.iolib.summary2 import summary_col

from sm_alsgls import LowRankSUR, LowRankSURResults
from sm_alsgls.datasets import load_grunfeld
from sm_alsgls.exceptions import DataRemovedError, FormulaError, UnseenLevelError
from sm_alsgls.formula.pickling import Names, pack, used_names
from sm_alsgls.results import persistence
from tests.systems import simulate


def frame(n=40, seed=0):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.standard_normal((n, 4)), columns=["y1", "y2", "y3", "y4"])
    data += 1.5 * rng.standard_normal((n, 1))  # a factor, so that no fit is a Heywood case
    data["x"] = rng.uniform(1.0, 3.0, n)
    data["z"] = rng.uniform(1.0, 3.0, n)
    data["s"] = np.array(list("abc"))[np.arange(n) % 3]
    return data


# Half as many rows, from another range: a mean, knot or level learned again would show.
def new_frame():
    data = frame(20, seed=1)
    return data.assign(x=1.2 + data["x"] / 4, s=list("bc" * 10))


def without_stamp(summary):
    return [
        line for line in str(summary).splitlines() if "Date:" not in line and "Time:" not in line
    ]


ROUND_TRIPS = {
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "protocol 2": lambda obj: pickle.loads(pickle.dumps(obj, protocol=2)),
    "cloudpickle": lambda obj: cloudpickle.loads(cloudpickle.dumps(obj)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "twice": lambda obj: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(obj)))),
}


@pytest.fixture(params=list(ROUND_TRIPS))
def round_trip(request):
    return ROUND_TRIPS[request.param]


FORMULAS = {
    "patsy": [
        "center(x) + bs(z, df=4) + C(s)",
        "standardize(x) + cr(z, df=4, constraints='center') + C(s, Treatment('b'))",
        "C(s, Sum):x + I(z ** 2) + np.log(x)",
        "C(s, Poly) + te(cr(x, df=3), cr(z, df=3), constraints='center')",
    ],
    "formulaic": [
        "center(x) + bs(z, df=4) + C(s)",
        "scale(x) + cr(z, df=4, constraints='center') + C(s, contr.sum)",
        "C(s):x + I(z ** 2) + np.log(x)",
        "poly(x, 2) + C(s, contr.helmert) - 1",
    ],
}


@functools.cache
def of_formulas(engine, formulas):
    """Results of a formula, or of one an equation, that many tests look at and none changes.

    ``engine`` is the one that is on: what the fixture of that name gives.
    """
    assert statsmodels.formula.options.formula_engine == engine
    right = dict(formulas) if isinstance(formulas, tuple) else formulas
    return LowRankSUR.from_formula(right, frame(), rank=1).fit()


@functools.cache
def of_a_panel(engine):
    """A model of long data and its results."""
    assert statsmodels.formula.options.formula_engine == engine
    model = LowRankSUR.from_formula(
        "invest ~ center(value) + capital", load_grunfeld(), groups="firm", time="year", rank=2
    )
    return model, model.fit()


class TestFormulas:
    @pytest.mark.parametrize("which", range(4))
    def test_predictions_survive(self, engine, round_trip, which):
        res = of_formulas(engine, f"y1 + y2 + y3 + y4 ~ {FORMULAS[engine][which]}")
        expected = res.predict(new_frame())
        again = round_trip(res)
        pd.testing.assert_frame_equal(again.predict(new_frame()), expected, rtol=1e-12)
        pd.testing.assert_frame_equal(again.predict(), res.predict())
        pd.testing.assert_series_equal(again.params, res.params)
        assert without_stamp(again.summary()) == without_stamp(res.summary())

    def test_what_is_replayed_is_what_was_memorised(self, engine):
        old, new = frame(), new_frame()
        res = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ center(x)", old, rank=1).fit()
        again = pickle.loads(pickle.dumps(res)).predict(new)["y2"]
        b = res.equations["y2"].params
        by_hand = b["Intercept"] + b["center(x)"] * (new["x"] - old["x"].mean())
        np.testing.assert_allclose(again, by_hand, rtol=1e-12)

    def test_equations_with_formulas_of_their_own(self, engine, round_trip):
        formulas = (
            ("a", "y1 ~ center(x)"),
            ("b", "np.exp(y2) ~ C(s)"),
            ("c", "y3 ~ bs(z, df=5)"),
            ("d", "y4 ~ 1"),
        )
        res = of_formulas(engine, formulas)
        again = round_trip(res)
        pd.testing.assert_frame_equal(again.predict(new_frame()), res.predict(new_frame()))
        pd.testing.assert_frame_equal(again.augment(new_frame()), res.augment(new_frame()))

    def test_panel(self, engine, round_trip):
        model, res = of_a_panel(engine)
        data = load_grunfeld()
        new = data[data["year"] > 1950].sample(frac=1.0, random_state=0)
        again = round_trip(res)
        pd.testing.assert_series_equal(again.predict(new), res.predict(new))
        refitted = round_trip(model).fit()
        assert refitted.llf == res.llf

    def test_unseen_levels_are_still_found(self, engine):
        res = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ C(s)", frame(), rank=1).fit()
        again = pickle.loads(pickle.dumps(res))
        with pytest.raises(UnseenLevelError, match="'s' 'q'"):
            again.predict(new_frame().assign(s="q"))

    def test_right_hand_sides_stay_shared(self, engine):
        model = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ bs(x, df=4)", frame(), rank=1)
        specs = pickle.loads(pickle.dumps(model)).formula_system.specs
        assert all(spec.rhs is specs[0].rhs for spec in specs)

    def test_a_pickle_holds_no_second_copy_of_the_designs(self):
        model = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ x + z", frame(4000), rank=1)
        arrays = 4000 * 8 * (4 + 3)
        everything = len(pickle.dumps(model)) - len(pickle.dumps(model.data.frame))
        assert everything < 1.2 * arrays

    def test_a_local_variable_that_only_names_an_argument_is_not_kept(self, engine):
        df = frame(2000)  # the formula says df=4
        model = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ bs(x, df=4)", df, rank=1)
        assert "df" not in model.formula_system.scope
        assert used_names({"log": 1, "np": 2}, ["y ~ np.log(x)"], ["y", "x"]) == {"np": 2}

    @pytest.mark.slow
    def test_a_new_process(self, tmp_path, monkeypatch):
        """One for both engines: what it has to import takes longer than what it does."""
        expected = {}
        for name in FORMULAS:
            monkeypatch.setattr(statsmodels.formula.options, "formula_engine", name)
            res = LowRankSUR.from_formula(
                "y1 + y2 + y3 + y4 ~ center(x) + bs(z, df=4) + C(s) + np.log(x)", frame(), rank=1
            ).fit()
            res.save(tmp_path / f"{name}.pickle")
            expected[name] = res.predict(new_frame()).to_numpy().sum()
        new_frame().to_pickle(tmp_path / "new.pickle")
        code = (
            "import json, pandas as pd, statsmodels.api as sm\n"
            f"new = pd.read_pickle(r'{tmp_path}/new.pickle')\n"
            "def total(name):\n"
            f"    res = sm.load(rf'{tmp_path}/{{name}}.pickle')\n"
            "    return float(res.predict(new).to_numpy().sum())\n"
            f"print(json.dumps({{name: total(name) for name in {list(FORMULAS)}}}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == pytest.approx(expected, rel=1e-13)


def half(values):
    return values / 2.0


class TestFunctionsOfTheCaller:
    def fit(self, twice):
        return LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ twice(x)", frame(), rank=1).fit()

    def test_a_function_of_a_module_is_found_again(self, engine, monkeypatch):
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        res = self.fit(half)
        again = pickle.loads(pickle.dumps(res))
        pd.testing.assert_frame_equal(again.predict(new_frame()), res.predict(new_frame()))

    def test_cloudpickle_carries_a_lambda(self, engine, round_trip):
        res = self.fit(lambda v: v * 2.0)
        again = round_trip(res)
        pd.testing.assert_frame_equal(again.predict(new_frame()), res.predict(new_frame()))

    def test_without_cloudpickle_prediction_names_the_function(self, engine, monkeypatch):
        res = self.fit(lambda v: v * 2.0)
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        again = pickle.loads(pickle.dumps(res))
        pd.testing.assert_series_equal(again.bse, res.bse)
        pd.testing.assert_frame_equal(again.predict(), res.predict())
        again = pickle.loads(pickle.dumps(again))
        with pytest.raises(FormulaError, match="uses 'twice', a function that was not saved"):
            again.predict(new_frame())
        designs = sm.add_constant(2.0 * new_frame()[["x"]])
        designs.columns = res.model.labels.regressors[0]
        np.testing.assert_allclose(
            again.predict(designs, transform=False), res.predict(new_frame()), rtol=1e-13
        )

    def test_copies_keep_a_function_without_cloudpickle(self, engine, monkeypatch):
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        res = self.fit(lambda v: v * 2.0)
        again = copy.deepcopy(res)
        pd.testing.assert_frame_equal(again.predict(new_frame()), res.predict(new_frame()))

    def test_a_function_that_is_gone(self, engine, monkeypatch):
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        content = pickle.dumps(self.fit(half))
        monkeypatch.delattr(sys.modules[__name__], "half")
        again = pickle.loads(content)
        with pytest.raises(FormulaError, match="uses 'twice'.*half"):
            again.predict(new_frame())

    def test_prediction_looks_nowhere_else_for_names(self):
        # `exog` is a variable inside predict(): it must not stand in for a column.
        data = frame().rename(columns={"x": "exog"})
        res = LowRankSUR.from_formula("y1 + y2 + y3 + y4 ~ exog", data, rank=1).fit()
        with pytest.raises(FormulaError, match="'exog'"):
            res.predict(data[["z"]])

    def test_memory_that_cannot_be_saved(self):
        packed = pack({"open file": io.StringIO})
        assert packed.content is not None
        packed = pack({"generator": (i for i in range(3))})
        with pytest.raises(FormulaError, match="could not be saved.*generator"):
            packed.open()
        names = pack(Names(f=len, g=(i for i in range(3)))).open()
        assert names["f"] is len
        for use in (lambda g: g(1), lambda g: g + 1, lambda g: np.exp(g), lambda g: g.send):
            with pytest.raises(FormulaError, match="uses 'g', a generator"):
                use(names["g"])


@pytest.fixture(scope="module", params=["shared arrays", "own designs", "ridge", "rank 0"])
def array_results(request):
    X, Y, _ = simulate(60, 6, 3, 1, seed=4)
    if request.param == "shared arrays":
        return LowRankSUR(Y, X[0], rank=1).fit()
    X = [x[:, : 2 + j % 2] for j, x in enumerate(X)]
    if request.param == "ridge":
        return LowRankSUR(Y, X, rank=1).fit(lam_F=0.01, lam_B=0.01, debiased=False)
    return LowRankSUR(Y, X, rank=0 if request.param == "rank 0" else 1).fit()


class TestArrays:
    def test_round_trip(self, array_results, round_trip):
        res, again = array_results, round_trip(array_results)
        for name in ("params", "bse", "tvalues", "pvalues"):
            pd.testing.assert_series_equal(getattr(again, name), getattr(res, name))
        pd.testing.assert_frame_equal(again.cov_params(), res.cov_params())
        pd.testing.assert_frame_equal(again.resid, res.resid)
        pd.testing.assert_frame_equal(again.trace, res.trace)
        assert without_stamp(again.summary()) == without_stamp(res.summary())
        new = res.model.exog if len(set(res.model.labels.p)) > 1 else res.model.exog[0]
        pd.testing.assert_frame_equal(again.predict(new), res.predict(new))
        pd.testing.assert_series_equal(again.equations["y3"].bse, res.equations["y3"].bse)

    def test_sigma_stays_frozen(self, array_results, round_trip):
        again = round_trip(array_results)
        with pytest.raises(ValueError, match="read-only"):
            again.sigma.loadings[:] = 0.0
        with pytest.raises(ValueError, match="read-only"):
            again.sigma.uniquenesses[0] = 1.0

    def test_a_deep_copy_shares_nothing_that_can_be_written(self, array_results):
        again = copy.deepcopy(array_results)
        before = array_results.params.copy()
        again._results.params[:] = 0.0
        again.model.endog[:] = 0.0
        pd.testing.assert_series_equal(array_results.params, before)
        assert np.ptp(array_results.model.endog) > 0

    def test_model_refits(self, array_results, round_trip):
        model = round_trip(array_results.model)
        start = array_results.params
        again = model.fit(start_params=start)
        first = array_results.model.fit(start_params=start)
        assert again.llf == first.llf

    @pytest.mark.parametrize("load", [sm.load, LowRankSURResults.load])
    def test_save_and_load(self, array_results, tmp_path, load):
        array_results.save(tmp_path / "res.pickle")
        again = load(tmp_path / "res.pickle")
        assert again.llf == array_results.llf
        pd.testing.assert_frame_equal(again.conf_int(), array_results.conf_int())

    def test_views(self, array_results, round_trip):
        view = round_trip(array_results.equations["y2"])
        pd.testing.assert_series_equal(view.pvalues, array_results.equations["y2"].pvalues)


@pytest.mark.parametrize(
    ("cov_type", "kwds"),
    [
        ("HC1", {}),
        ("sandwich", {}),
        ("cluster", {"groups": np.arange(60) // 4}),
        ("HAC", {"maxlags": 2}),
        ("KH", {}),
    ],
)
def test_other_covariances(cov_type, kwds):
    X, Y, _ = simulate(60, 6, 3, 1, seed=4)
    res = LowRankSUR(Y, X, rank=1).fit(cov_type=cov_type, cov_kwds=kwds)
    expected = res.cov_params()
    again = pickle.loads(pickle.dumps(res))
    pd.testing.assert_series_equal(again.bse, res.bse)
    again.remove_data()
    pd.testing.assert_frame_equal(again.cov_params(), expected, rtol=1e-13)
    pd.testing.assert_series_equal(again.bse, res.bse)
    assert again.cov_type == cov_type
    assert without_stamp(again.summary()) == without_stamp(res.summary())


def largest_rows(obj, N):
    """Paths of every array with N rows that can be reached from an object."""
    found, seen, queue = [], set(), [("", obj)]
    while queue:
        path, item = queue.pop()
        if id(item) in seen or isinstance(item, (type, str, bytes)):
            continue
        seen.add(id(item))
        if isinstance(item, (np.ndarray, pd.Series, pd.DataFrame, pd.Index)):
            if N in item.shape:
                found.append(path)
        elif isinstance(item, dict):
            queue += [(f"{path}[{key!r}]", value) for key, value in item.items()]
        elif isinstance(item, (list, tuple)):
            if len(item) == N:
                found.append(path)
            queue += [(f"{path}[{i}]", value) for i, value in enumerate(item)]
        elif hasattr(item, "__dict__"):
            queue += [(f"{path}.{key}", value) for key, value in vars(item).items()]
    return found


N = 331  # of nothing else there are so many


@pytest.fixture(scope="module", params=["formula", "arrays", "cluster"])
def fitted(request):
    """Results with data, and the same; everything was looked at before, or nothing."""
    if request.param == "formula":
        formula = "y1 + y2 + y3 + y4 ~ center(x) + bs(z, df=4) + C(s)"
        res = LowRankSUR.from_formula(formula, frame(N), rank=1).fit()
        return res, copy.deepcopy(res)
    X, Y, _ = simulate(N, 6, 3, 1, seed=4)
    kwds = {}
    if request.param == "cluster":
        kwds = {"cov_type": "cluster", "cov_kwds": {"groups": list(np.arange(N) // 5)}}
    res = LowRankSUR(Y, [x[:, : 2 + j % 2] for j, x in enumerate(X)], rank=1).fit(**kwds)
    without = copy.deepcopy(res)
    _ = without.resid, without.factor_scores, without.augment(), without.summary()
    return res, without


class TestRemoveData:
    @pytest.fixture
    def pair(self, fitted):
        """Copies of them, which a test may take the data from."""
        return copy.deepcopy(fitted[0]), copy.deepcopy(fitted[1])

    def test_nothing_with_rows_is_left(self, pair):
        res, without = pair
        assert largest_rows(without, N)
        without.remove_data()
        assert largest_rows(without, N) == []
        _ = res.system_rsquared, res.fvalue, res.cov_params()
        K, columns = res.neqs, len({id(X): X for X in res.model.exog})
        numbers = N * (K + columns * 2)
        assert len(pickle.dumps(without)) < len(pickle.dumps(res)) - 8 * numbers

    def test_what_needs_no_data_is_the_same(self, pair):
        res, without = pair
        without.remove_data()
        for name in ("params", "bse", "tvalues", "pvalues", "uniquenesses", "communalities"):
            pd.testing.assert_series_equal(getattr(without, name), getattr(res, name), rtol=1e-13)
        for name in ("loadings", "trace"):
            pd.testing.assert_frame_equal(getattr(without, name), getattr(res, name))
        for name in ("llf", "aic", "bic", "nobs", "df_model", "df_resid", "converged", "heywood"):
            assert getattr(without, name) == getattr(res, name)
        assert without.mle_retvals["message"] == res.mle_retvals["message"]
        pd.testing.assert_frame_equal(without.mle_retvals["starts"], res.mle_retvals["starts"])
        pd.testing.assert_frame_equal(without.conf_int(0.1), res.conf_int(0.1), rtol=1e-12)
        pd.testing.assert_frame_equal(without.cov_params(), res.cov_params(), rtol=1e-12)
        P = len(res.params)
        R = np.eye(P)[[0, 1, P - 1]] - np.eye(P)[[2, 5, 3]]
        np.testing.assert_allclose(without.cov_params(R), res.cov_params(R), rtol=1e-9)
        np.testing.assert_allclose(
            without.cov_params(R, other=R[:1]), res.cov_params(R, other=R[:1]), rtol=1e-9
        )
        same = np.testing.assert_allclose
        same(without.t_test(np.eye(P)[:2]).pvalue, res.pvalues.iloc[:2], rtol=1e-9)
        for use_f in (False,) if res.cov_type == "cluster" else (False, True):
            mine, theirs = (one.wald_test(R, use_f=use_f, scalar=True) for one in (without, res))
            same(mine.statistic, theirs.statistic, rtol=1e-9)
        if res.cov_type == "cluster":  # Satterthwaite's degrees of freedom need the rows
            for test in (without.t_test, without.f_test):
                with pytest.raises(DataRemovedError, match="cluster"):
                    test(R)
        else:
            same(without.t_test(R).pvalue, res.t_test(R).pvalue, rtol=1e-9)
        assert without_stamp(without.summary()) == without_stamp(res.summary())
        assert without.summary().as_latex().count("tabular") > 2
        pd.testing.assert_frame_equal(without.tidy(), res.tidy(), rtol=1e-12)
        pd.testing.assert_frame_equal(without.glance(), res.glance())
        pd.testing.assert_series_equal(without.system_rsquared, res.system_rsquared, rtol=1e-12)
        assert (without.fvalue, without.f_pvalue) == pytest.approx((res.fvalue, res.f_pvalue))
        assert without.curvature().lowest == res.curvature().lowest

    def test_equations(self, pair):
        res, without = pair
        without.remove_data()
        for name in res.model.equations[:2]:
            view, full = without.equations[name], res.equations[name]
            assert without_stamp(view.summary()) == without_stamp(full.summary())
            assert view.fvalue == pytest.approx(full.fvalue, rel=1e-10)
            assert view.rsquared_adj == full.rsquared_adj
            pd.testing.assert_frame_equal(view.cov_params(), full.cov_params(), rtol=1e-12)
            assert list(summary_col([view]).tables[0].columns) == [name]

    def test_predictions(self, pair):
        res, without = pair
        without.remove_data()
        new = new_frame() if res.model.formula_system else [X[:3] for X in res.model.exog]
        pd.testing.assert_frame_equal(without.predict(new), res.predict(new))
        pd.testing.assert_frame_equal(without.augment(new), res.augment(new))

    @pytest.mark.parametrize(
        "use",
        [
            lambda res: res.resid,
            lambda res: res.fittedvalues,
            lambda res: res.factor_scores,
            lambda res: res.predict(),
            lambda res: res.augment(),
            lambda res: res.model.fit(),
            lambda res: res.model.loglike(res.params, res.sigma),
            lambda res: res.get_robustcov_results("HC1"),
            lambda res: res.equations[res.model.equations[0]].resid,
            lambda res: np.asarray(res.model.endog),
            lambda res: res.model.exog[0],
            lambda res: res.model.endog.shape,
            lambda res: res.model.data.orig_endog,
            lambda res: len(res.model.data.row_labels),
            lambda res: list(res.model.exog),
        ],
    )
    @pytest.mark.parametrize("pickled", [False, True])
    def test_what_needs_data_says_so(self, pair, use, pickled):
        _, without = pair
        without.remove_data()
        if pickled:
            without = pickle.loads(pickle.dumps(without))
        with pytest.raises(DataRemovedError, match=r"remove_data\(\) was called"):
            use(without)

    def test_has_no_residuals(self, pair):
        _, without = pair
        without.remove_data()
        assert not hasattr(without, "resid")
        assert hasattr(without, "params")
        assert "removed by remove_data()" in repr(without.model.endog)

    def test_twice_and_save(self, pair, tmp_path):
        res, without = pair
        without.remove_data()
        without.remove_data()
        without.save(tmp_path / "res.pickle", remove_data=True)
        again = copy.deepcopy(sm.load(tmp_path / "res.pickle"))
        assert largest_rows(again, N) == []
        assert without_stamp(again.summary()) == without_stamp(res.summary())
        pd.testing.assert_frame_equal(again.cov_params(), res.cov_params(), rtol=1e-12)

    def test_another_result_of_the_same_model(self, pair):
        res, _ = pair
        other = res.get_robustcov_results("nonrobust")
        expected = other.cov_params().copy()
        res.remove_data()
        assert res.model is other.model
        pd.testing.assert_frame_equal(other.cov_params(), expected)
        other.remove_data()
        pd.testing.assert_frame_equal(other.cov_params(), expected)
        assert largest_rows(other, N) == []


def test_beyond_the_limit_blocks_are_kept(monkeypatch):
    monkeypatch.setattr(persistence, "DENSE_LIMIT", 10)
    X, Y, _ = simulate(60, 6, 3, 1, seed=4)
    res = LowRankSUR(Y, [x[:, : 2 + j % 2] for j, x in enumerate(X)], rank=1).fit()
    V = res.cov_params().to_numpy()
    without = copy.deepcopy(res)
    without.remove_data()
    pd.testing.assert_series_equal(without.bse, res.bse)
    assert without_stamp(without.summary()) == without_stamp(res.summary())
    pd.testing.assert_frame_equal(
        without.equations["y4"].cov_params(), res.equations["y4"].cov_params(), rtol=1e-12
    )
    R = np.zeros((2, len(V)))
    R[0, 7], R[1, 8], R[1, 9] = 1.0, 1.0, -1.0  # coefficients 7, 8, 9 are those of y4
    np.testing.assert_allclose(without.cov_params(R), R @ V @ R.T, rtol=1e-10)
    assert without.t_test(R).pvalue.shape == (2,)
    across = np.zeros((1, len(V)))
    across[0, 6], across[0, 7] = 1.0, -1.0
    for ask in (lambda: without.cov_params(across), lambda: without.cov_params()):
        with pytest.raises(DataRemovedError, match=r"different equations.*remove_data\(\)"):
            ask()


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC2", "KH"])
@pytest.mark.parametrize("rank", [1, "full"])
def test_common_coefficients_are_saved_with_their_covariance(rank, cov_type):
    """Also after standard errors were read, which leave an operator behind."""
    X, Y, _ = simulate(60, 4, 3, 1, seed=3)
    res = LowRankSUR(Y, X, rank=rank, common=["x2"]).fit(n_starts=1, cov_type=cov_type)
    bse, table = res.bse, res.tidy()
    again = pickle.loads(pickle.dumps(res))
    assert again.tidy().equals(table)
    np.testing.assert_array_equal(again.bse, bse)
    R = np.eye(len(bse))[:2] - np.eye(len(bse))[1:3]
    np.testing.assert_allclose(again.cov_params(r_matrix=R), res.cov_params(r_matrix=R))
