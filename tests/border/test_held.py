"""The caller's arrays: what a model has read stays what it was, or a named error says otherwise."""

import copy
import gc
import pickle
import tracemalloc
import types
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sm_alsgls import LowRankSUR
from sm_alsgls.border import held
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.exceptions import AlsglsError, DataChangedError
from sm_alsgls.simulate import simulate_sur

N, K = 40, 4
N0 = N
GROUPS = np.arange(N) // 5


def data(N=N, K=K, seed=0):
    drawn = simulate_sur(N, K, 3, 1, np.random.default_rng(seed))
    return np.array(drawn.endog), [np.array(X) for X in drawn.exog]


# -- fingerprints ---------------------------------------------------------------------------------


SHAPES = [(3,), (7, 1), (1000, 4), (4, 1000), (300, 700), (70_000, 3), (1, 70_000), (65_536,)]


def as_laid_out(A, layout):
    if layout == "F":
        return np.asfortranarray(A)
    if layout == "strided" and A.ndim == 2:
        wide = np.zeros((A.shape[0], 2 * A.shape[1] + 3))
        wide[:, 2 : 2 + 2 * A.shape[1] : 2] = A
        return wide[:, 2 : 2 + 2 * A.shape[1] : 2]
    return A


class TestFingerprints:
    @settings(deadline=None, max_examples=60)
    @given(
        shape=st.sampled_from(SHAPES),
        layout=st.sampled_from(["C", "F", "strided"]),
        how=st.sampled_from(["one", "last bit", "swap", "shuffle", "reverse", "sign of zero"]),
        dummies=st.booleans(),
        seed=st.integers(0, 999),
    )
    def test_any_change_shows(self, shape, layout, how, dummies, seed):
        rng = np.random.default_rng(seed)
        A = rng.integers(0, 2, shape).astype(float) if dummies else rng.standard_normal(shape)
        A = as_laid_out(A, layout)
        before, original = held.fingerprints([A])[0], A.copy()
        i, j = (tuple(rng.integers(0, n) for n in shape) for _ in range(2))
        if how == "one":
            A[i] += 1.0
        elif how == "last bit":
            A[i] = np.nextafter(A[i], np.inf)
        elif how == "swap":
            A[i], A[j] = A[j], A[i]
        elif how == "shuffle":
            rng.shuffle(A)
        elif how == "reverse":
            A[...] = A[::-1].copy()
        else:
            A[i] = 0.0
            before, original = held.fingerprints([A])[0], A.copy()
            A[i] = -0.0
        same = A.tobytes() == original.tobytes()
        assert (held.fingerprints([A])[0] == before) == same

    def test_of_one_array_do_not_depend_on_the_others(self):
        rng = np.random.default_rng(1)
        arrays = [rng.standard_normal(shape) for shape in SHAPES + [(5, 2)] * 40]
        arrays += [as_laid_out(A, "strided") for A in arrays] + [np.full((9, 2), np.nan)]
        alone = [held.fingerprints([A])[0] for A in arrays]
        assert list(held.fingerprints(arrays)) == alone

    def test_make_no_copy(self):
        A = np.random.default_rng(0).standard_normal((4_000, 500))
        arrays = [A, A[:, 3:490], np.asfortranarray(A)]
        held.fingerprints(arrays)
        tracemalloc.start()
        held.fingerprints(arrays)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < A.nbytes / 4


# -- everything that results say ------------------------------------------------------------------


def numbers(value):
    """What can be compared of anything that an attribute may be."""
    if isinstance(value, pd.DataFrame):
        return numbers(value.drop(columns="seconds", errors="ignore").to_numpy())
    if isinstance(value, (pd.Series, pd.Index)):
        return numbers(value.to_numpy())
    if isinstance(value, np.ndarray):
        return value.astype(str).tolist() if value.dtype.kind not in "fiub" else value
    if isinstance(value, (float, int, str, type(None), np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        return [numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: numbers(item) for name, item in value.items()}
    if hasattr(value, "loadings") and hasattr(value, "to_dense"):
        return value.to_dense()
    return type(value).__name__


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (np.ndarray, float)):
        if np.asarray(one).dtype.kind != "f":
            return np.array_equal(one, other)
        return np.shape(one) == np.shape(other) and np.allclose(
            one, other, rtol=1e-7, atol=1e-9, equal_nan=True
        )
    return one == other


def attributes(thing):
    """Its public attributes that are no methods, by name."""
    for name in sorted(set(dir(type(thing))) | set(vars(thing))):
        if name.startswith("_") or name in ("model", "system", "cov_kwds"):
            continue
        found = getattr(type(thing), name, None)
        if not isinstance(found, types.FunctionType | types.MethodType | classmethod):
            yield name


def everything(thing):
    return {name: said(lambda name=name: getattr(thing, name)) for name in attributes(thing)}


METHODS = {
    "HC0": lambda r: r.get_robustcov_results("HC0").bse,
    "HC1": lambda r: r.get_robustcov_results("HC1").equations[r.model.equations[1]].bse,
    "sandwich": lambda r: r.get_robustcov_results("sandwich").bse,
    "KH": lambda r: r.get_robustcov_results("KH").bse,
    "cluster": lambda r: r.get_robustcov_results("cluster", groups=GROUPS).bse,
    "HAC": lambda r: r.get_robustcov_results("HAC").cov_params(r_matrix=np.eye(len(r.params))[:3]),
    "predict": lambda r: r.predict(),
    "one equation": lambda r: r.predict(equations=r.model.equations[2]),
    "given": lambda r: r.predict(given=True),
    "prediction": lambda r: r.get_prediction().summary_frame(),
    "cov_mean": lambda r: r.get_prediction().cov_mean(r.resid.index[3]),
    "summary": lambda r: [str(table.data[1:4]) for table in r.summary().tables[1:3]],
    "diagnostics": lambda r: r.diagnostics().table.to_string(),
    "bootstrap": lambda r: r.bootstrap(reps=2, method="residual", rng=1).params,
    "curvature": lambda r: r.curvature().lowest,
    "augment": lambda r: r.augment(),
    "again": lambda r: r.model.fit().params,
    "loglike": lambda r: r.model.loglike(r.params, r.sigma),
    "score": lambda r: r.model.score(r.params, r.sigma),
    "score_obs": lambda r: r.model.score_obs(r.params, r.sigma),
    "information": lambda r: r.model.information(r.params, r.sigma),
    "model.predict": lambda r: r.model.predict(r.params),
    "endog": lambda r: r.model.endog,
    "exog": lambda r: list(r.model.exog),
    "orig_endog": lambda r: r.model.data.orig_endog,
    "system": lambda r: everything(r._results),
    "equation": lambda r: everything(r.equations[r.model.equations[1]]),
}


def outcome(results, name):
    """What a method says: numbers, or the kind of its error."""
    return said(lambda: METHODS[name](results))


def said(ask):
    try:
        return numbers(ask())
    except DataChangedError:
        raise
    except (AlsglsError, NotImplementedError) as error:
        return type(error).__name__


# -- every kind of input --------------------------------------------------------------------------
# Each returns a function that makes the model and the arrays that its caller still has.


def in_c_order(Y, X):
    return lambda: LowRankSUR(Y, X, rank=1), [Y, *X]


def in_f_order(Y, X):
    Y, X = np.asfortranarray(Y), [np.asfortranarray(x) for x in X]
    return lambda: LowRankSUR(Y, X, rank=1), [Y, *X]


def views_of_one_table(Y, X):
    table = np.concatenate([Y, *X], axis=1)
    designs = [table[:, K + 3 * j : K + 3 * j + 3] for j in range(K)]
    return lambda: LowRankSUR(table[:, :K], designs, rank=1), [table]


def one_shared_design(Y, X):
    return lambda: LowRankSUR(Y, X[0], rank=1), [Y, X[0]]


def mappings(Y, X):
    y, x = {f"e{j}": Y[:, j] for j in range(K)}, {f"e{j}": X[j] for j in range(K)}
    return lambda: LowRankSUR(y, x, rank=1), [Y, *X]


def frames(Y, X):
    y = pd.DataFrame(Y, columns=list("abcd"), index=np.arange(N) * 2)
    x = [pd.DataFrame(A, columns=["one", "u", "v"], index=y.index) for A in X]
    return lambda: LowRankSUR(y, x, rank=1), [y, *x, Y, *X]


def with_holes(Y, X):
    Y[:3, 1], X[2][4, 1] = np.nan, np.nan
    return lambda: LowRankSUR(Y, X, rank=1, missing="fiml"), [Y, *X]


def with_row_weights(Y, X):
    w = np.linspace(0.5, 1.5, N)
    return lambda: LowRankSUR(Y, X, rank=1, weights=w), [Y, *X, w]


def with_cell_weights(Y, X):
    w = np.linspace(0.5, 1.5, N * K).reshape(N, K)
    return lambda: LowRankSUR(Y, X, rank=1, weights=w), [Y, *X, w]


def restricted(Y, X):
    return lambda: LowRankSUR(Y, X, rank=1, common=["x1"]), [Y, *X]


def formula(Y, X):
    table = pd.DataFrame(np.concatenate([Y, X[0]], axis=1), columns=[*"abcd", "one", "u", "v"])
    shift = np.linspace(0.0, 1.0, N)
    text = "a + b + c + d ~ u + I(v + shift)"
    scope = {"shift": shift}
    return lambda: LowRankSUR.from_formula(text, table, rank=1, eval_env=scope), [table, shift]


def chunks(Y, X):
    parts = [(Y[at], [x[at] for x in X]) for at in (slice(0, 15), slice(15, N))]
    return lambda: LowRankSUR.from_chunks(iter(parts), rank=1), [Y, *X]


KINDS = [
    in_c_order,
    in_f_order,
    views_of_one_table,
    one_shared_design,
    mappings,
    frames,
    with_holes,
    with_row_weights,
    with_cell_weights,
    restricted,
    formula,
    chunks,
]


def write(arrays, how, which, rng):
    """Change one of the caller's arrays, or all, in place."""
    for array in arrays if which < 0 else [arrays[which % len(arrays)]]:
        frame = array if isinstance(array, pd.DataFrame) else None
        values = array.to_numpy() if frame is not None else array
        if how == "scale":
            new = values * 10.0
        elif how == "one cell":
            new = values.copy()
            new[tuple(rng.integers(0, n) for n in new.shape)] += 3.0
        else:
            new = rng.permutation(values, axis=0)
        if frame is None:
            array[...] = new
        else:
            frame.iloc[:, :] = new


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
class TestWhatAModelHasReadStays:
    known: ClassVar[dict] = {}

    def reference(self, kind):
        """What the same model says where nobody writes into anything."""
        if kind not in self.known:
            make, _ = kind(*data())
            results = make().fit()
            self.known[kind] = {name: outcome(results, name) for name in METHODS}
        return self.known[kind]

    # Without shrinking: an example is small, and a fit takes its time.
    @settings(deadline=None, max_examples=40, phases=[Phase.reuse, Phase.generate])
    @given(
        kind=st.sampled_from(KINDS),
        when=st.sampled_from(["model", "fit", "half"]),
        how=st.sampled_from(["scale", "one cell", "rows"]),
        which=st.integers(-1, 6),
        names=st.lists(st.sampled_from(sorted(METHODS)), min_size=1, max_size=6, unique=True),
        watched=st.booleans(),
        seed=st.integers(0, 99),
    )
    @pytest.mark.slow
    def test_or_an_error_says_so(self, kind, when, how, which, names, watched, seed):
        expected = self.reference(kind)
        make, arrays = kind(*data())
        rng = np.random.default_rng(seed)
        with pytest.MonkeyPatch.context() as patch:
            if watched:
                patch.setattr(held, "COPIED", 0)
            model = make()
            if when == "model":
                write(arrays, how, which, rng)
            try:
                results = model.fit()
            except DataChangedError:
                assert watched
                return
            if when == "half":
                for name in names[::2]:
                    outcome(results, name)
            if when != "model":
                write(arrays, how, which, rng)
            for name in names:
                try:
                    got = outcome(results, name)
                except DataChangedError:
                    assert watched, name
                else:
                    assert same(expected[name], got), name

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    def test_all_of_it_small(self, kind):
        """After Y *= 10 every attribute and method says what it said: the data were copied."""
        make, arrays = kind(*data())
        results = make().fit()
        write(arrays, "scale", -1, np.random.default_rng(0))
        for name, value in self.reference(kind).items():
            assert same(value, outcome(results, name)), name

    @pytest.mark.parametrize("kind", [in_c_order, in_f_order, views_of_one_table, frames])
    @pytest.mark.parametrize("rows", [N, 14], ids=["compressed", "as they are"])
    def test_large_data_are_watched(self, kind, rows, monkeypatch):
        monkeypatch.setattr(held, "COPIED", 0)
        monkeypatch.setitem(globals(), "N", rows)
        make, arrays = kind(*data(rows))
        results = make().fit()
        before = results.params.copy()
        assert results.resid.shape == (rows, K)
        write(arrays, "scale", -1, np.random.default_rng(0))
        np.testing.assert_array_equal(results.params, before)
        # Compressed rows are the model's own: it can be fitted again.
        asked = ["predict", "HC1", "endog", "exog", "one equation", "score_obs"]
        for ask in asked + (["again", "loglike"] if rows < N0 else []):
            with pytest.raises(DataChangedError, match="changed after the model was made"):
                METHODS[ask](results)


# -- one by one -----------------------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr(held, "COPIED", 0)


@pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.AlsglsWarning")
class TestHeld:
    def test_the_error_names_the_array(self, watched):
        Y, X = data()
        res = LowRankSUR(Y, X, rank=1).fit()
        X[2][5, 1] += 1e-9
        assert res.equations["y2"].fittedvalues.shape == (N,)
        with pytest.raises(DataChangedError, match="exog of equation 'y3' was changed"):
            _ = res.equations["y3"].fittedvalues

    def test_the_error_names_the_first_that_has_it(self, watched):
        Y, X = data()
        model = LowRankSUR(Y, [X[0], X[1], X[1], X[0]], rank=1)
        X[1][3] += 1.0
        with pytest.raises(DataChangedError, match="exog of equation 'y2' was changed"):
            _ = model.exog[2]
        _ = model.exog[3]

    def test_each_array_is_read_once_until_it_is_used(self, watched, monkeypatch):
        Y, X = data()
        read = []

        def counted(arrays):
            read.append(len(arrays))
            return prints(arrays)

        prints = held.fingerprints
        monkeypatch.setattr(held, "fingerprints", counted)
        model = LowRankSUR(Y, X, rank=1)
        # Responses: fingerprints of designs are taken where they are read.
        assert read == [1]
        np.testing.assert_array_equal(model.data.endog, Y)
        model.fit(n_starts=1)
        assert read[1] == 1
        assert sum(read[2:]) <= 2 * (1 + len(X))

    def test_data_put_back_are_good_again(self, watched):
        Y, X = data()
        res = LowRankSUR(Y, X, rank=1).fit()
        kept = Y.copy()
        Y[:] = 0.0
        with pytest.raises(DataChangedError):
            _ = res.resid
        Y[:] = kept
        assert np.isfinite(res.resid.to_numpy()).all()

    def test_large_data_are_not_copied(self, watched):
        Y, X = data()
        model = LowRankSUR(Y, X, rank=1)
        assert np.shares_memory(model.endog, Y)
        assert all(np.shares_memory(mine, x) for mine, x in zip(model.exog, X, strict=True))

    @pytest.mark.parametrize("limit", [0, 10**9])
    def test_nobody_writes_into_them_through_the_model(self, limit, monkeypatch):
        monkeypatch.setattr(held, "COPIED", limit)
        Y, X = data()
        model = LowRankSUR(Y, X, rank=1)
        with pytest.raises(ValueError, match="read-only"):
            model.endog[0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            model.exog[1][0] = 1.0
        Y[0], X[1][0] = 1.0, 1.0  # the owner may

    def test_a_memory_map_that_is_written_to(self, watched, tmp_path):
        Y, X = data()
        file = np.memmap(tmp_path / "y.bin", dtype=float, mode="w+", shape=Y.shape)
        file[:] = Y
        file.flush()
        res = LowRankSUR(np.memmap(file.filename, mode="r", dtype=float, shape=Y.shape), X, 1).fit()
        file[3, 2] += 1.0
        file.flush()
        with pytest.raises(DataChangedError, match="endog"):
            _ = res.resid

    def test_copies_and_pickles_have_their_own(self, watched):
        Y, X = data()
        res = LowRankSUR(Y, [X[0][:, :2], *X[1:]], rank=1).fit()
        resid = res.resid
        others = [copy.deepcopy(res), pickle.loads(pickle.dumps(res))]
        Y *= 10.0
        for other in others:
            pd.testing.assert_frame_equal(other.resid, resid)
            pd.testing.assert_series_equal(other.model.fit().bse, res.bse, rtol=1e-6)

    def test_equal_designs_stay_one(self, watched):
        Y, X = data()
        model = LowRankSUR(Y, X[0], rank=1)
        assert len({id(x) for x in model.exog}) == 1
        assert len({id(x) for x in model.exog[1:3]}) == 1

    def test_a_prediction_is_of_the_regressors_it_was_given(self):
        Y, X = data()
        res = LowRankSUR(Y, X, rank=1).fit()
        new = [x[:5].copy() for x in X]
        made = res.get_prediction(new)
        before = made.cov_mean(1)
        new[0] *= 10.0
        pd.testing.assert_frame_equal(made.cov_mean(1), before)

    def test_a_large_prediction_is_watched(self, watched):
        Y, X = data()
        res = LowRankSUR(Y, X, rank=1).fit()
        new = [x[:5].copy() for x in X]
        made = res.get_prediction(new)
        assert made.cov_mean(1).shape == (K, K)
        new[3] *= 10.0
        assert made.summary_frame().notna().all(axis=None)
        with pytest.raises(DataChangedError, match="'y4' was changed after the prediction was"):
            made.cov_mean(1)

    def test_restrictions_stay(self):
        Y, X = data()
        R, q = np.zeros((1, 12)), np.zeros(1)
        R[0, 1], R[0, 4] = 1.0, -1.0
        res = LowRankSUR(Y, X, rank=1).fit_constrained((R, q))
        before = res.restriction_tests()
        R[:], q[:] = 7.0, 3.0
        pd.testing.assert_frame_equal(res.restriction_tests(), before)
        assert res.model.restrictions.R[0, 1] == 1.0

    def test_groups_stay(self):
        Y, X = data()
        groups = GROUPS.copy()
        res = LowRankSUR(Y, X, rank=1).fit(cov_type="cluster", cov_kwds={"groups": groups})
        groups[:] = 0
        np.testing.assert_array_equal(res.cov_kwds["groups"], GROUPS)
        assert np.isfinite(res.bse).all()

    def test_values_that_a_formula_uses_stay(self):
        table = pd.DataFrame(data()[0], columns=[*"abcd"])
        knots = np.array([0.25])
        table["x"] = np.linspace(0.0, 1.0, N)
        res = LowRankSUR.from_formula("a + b + c ~ bs(x, knots=knots, degree=1)", table, 0).fit()
        shift = np.array(2.0)
        other = LowRankSUR.from_formula("a + b + c ~ I(x * shift)", table, 0).fit()
        before, known = other.predict(table), res.predict(table)
        shift[...], knots[0] = 5.0, 0.75
        pd.testing.assert_frame_equal(other.predict(table), before)
        pd.testing.assert_frame_equal(res.predict(table), known)

    def test_row_labels_stay(self):
        Y, X = data()
        labels = np.arange(100, 100 + N)
        frame = pd.DataFrame(Y, index=labels)
        res = LowRankSUR(frame, X, rank=1).fit()
        labels[:] = 0
        assert res.resid.index[0] == 100

    def test_a_watched_system_is_let_go(self, watched):
        Y, X = data()
        res = LowRankSUR(Y, X, rank=1).fit()
        res.remove_data()
        Y *= 10
        gc.collect()
        assert np.isfinite(res.bse).all()
        assert not hasattr(res, "resid")


@pytest.mark.parametrize("order", ["C", "F"])
def test_small_responses_are_copied_once(order):
    """By columns, so that the problem of a fit takes the copy that the model has."""
    y, X = data(K=20)  # which no compression would shorten
    y = np.asarray(y, order=order)
    model = LowRankSUR(y, X, rank=1)
    assert not np.shares_memory(model.system.Y, y)
    assert np.array_equal(model.system.Y, y)
    assert np.shares_memory(model._problem(ALSOptions()).Y, model.system.Y)
