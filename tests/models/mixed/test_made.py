"""A `LowRankMixedLM` is the same however its rows come in."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula import options

import sm_alsgls.data.grouped_stream as stream
from sm_alsgls import LowRankMixedLM, select_rank
from sm_alsgls.datasets import load_orthodont, load_sleepstudy
from sm_alsgls.exceptions import DataRemovedError, FewGroupsWarning, OptionError, UnseenLevelError
from sm_alsgls.formula.mixed import new_designs
from tests.models.mixed.data import dense_llf, frame, made

pytestmark = pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning")


def same(one, other, rtol=1e-10):
    """The same fit; of the products that fits are of, not of where a climb stopped."""
    np.testing.assert_allclose(one.llf, other.llf, rtol=rtol)
    np.testing.assert_allclose(one.params, other.params[one.params.index], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(one.cov_re, other.cov_re, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(one.scale, other.scale, rtol=1e-6)


@functools.cache
def of_frame(rank=1, m=25, **how):
    """Results of a frame as it is made; no test changes them."""
    return made(frame(m), rank, **how).fit()


class TestLikelihood:
    @pytest.mark.parametrize("reml", [False, True])
    @pytest.mark.parametrize("rank", [0, 1, "full"])
    def test_is_that_of_dense_algebra(self, rank, reml):
        res = of_frame(rank) if reml else made(frame(), rank).fit(reml=False)
        model = res.model
        np.testing.assert_allclose(res.llf, dense_llf(model, res, reml), rtol=1e-10)

    def test_is_that_of_dense_algebra_with_weights(self):
        model = made(frame(), "full", weights="w")
        res = model.fit(reml=False)
        np.testing.assert_allclose(res.llf, dense_llf(model, res, False), rtol=1e-10)

    def test_is_lme4s_of_sleepstudy(self):
        """RELATIVES' values, of lme4; the scripts are with the results."""
        data = load_sleepstudy()
        model = LowRankMixedLM.from_formula("Reaction ~ Days", data, "~ Days", groups="Subject")
        assert (model.rank, model.rank_method) == (2, "auto")
        ml, reml = model.fit(reml=False), model.fit()
        np.testing.assert_allclose([ml.llf, reml.llf], [-875.9696722, -871.814136], atol=5e-7)
        np.testing.assert_allclose(ml.params, [251.405105, 10.467286], atol=5e-7)
        np.testing.assert_allclose(np.sqrt(reml.scale), 25.5918, atol=5e-5)

    def test_is_nlmes_of_orthodont(self):
        model = LowRankMixedLM.from_formula(
            "distance ~ age", load_orthodont(), "~ age", "full", groups="Subject"
        )
        res = model.fit(reml=False)
        np.testing.assert_allclose(res.llf, -219.6058006, atol=5e-8)
        np.testing.assert_allclose(res.params, [16.76111111, 0.66018519], atol=5e-9)


class TestOrder:
    def test_rows_come_in_any_order(self):
        data = frame()
        mixed = data.sample(frac=1.0, random_state=3)
        other = made(mixed)
        same(of_frame(), other.fit())
        # What has rows is in the caller's order.
        np.testing.assert_array_equal(other.endog, mixed["y"])
        np.testing.assert_array_equal(other.exog_re[:, 1], mixed["x1"])
        assert other.groups.tolist() == mixed["g"].tolist()
        assert other.data.row_labels.equals(mixed.index)

    def test_rows_are_sorted_by_group_and_time_inside(self):
        mixed = frame().sample(frac=1.0, random_state=3)
        rows = made(mixed, time="t").rows
        assert (np.diff(rows.codes) >= 0).all()
        inside = np.diff(rows.codes) == 0
        assert (np.diff(rows.times)[inside] > 0).all()
        np.testing.assert_array_equal(rows.restored(rows.y), mixed["y"])
        np.testing.assert_array_equal(rows.sorted(mixed["y"]), rows.y)

    def test_without_time_rows_of_a_group_keep_their_order(self):
        mixed = frame().sample(frac=1.0, random_state=3)
        rows = made(mixed).rows
        for code, label in enumerate(rows.labels):
            np.testing.assert_array_equal(
                rows.y[rows.codes == code], mixed["y"][mixed["g"] == label]
            )

    @pytest.mark.parametrize("ar", [None, "groups"])
    def test_labels_decide(self, ar):
        """Groups, weights, times and regressors by label, whatever the order of each."""
        data = frame()
        X = data[["x1", "x2"]].assign(const=1.0)
        order = data.sample(frac=1.0, random_state=5).index
        how = {"weights": data["w"], "time": data["t"], "ar": ar, "rank": 0}
        one = LowRankMixedLM(data["y"], X, data["g"], X, **how)
        other = LowRankMixedLM(
            data["y"][order], X.loc[order], data["g"].iloc[::-1], X.loc[order], **how
        )
        same(one.fit(), other.fit())

    @pytest.mark.parametrize(
        "spelled",
        [lambda g: "s" + g.astype(str), lambda g: g.astype("category"), lambda g: g - 7.0],
    )
    def test_groups_are_labels_of_any_kind(self, spelled):
        data = frame()
        other = made(data.assign(g=spelled(data["g"])))
        same(of_frame(), other.fit())
        assert other.n_groups == data["g"].nunique()
        label = other.group_labels[3]
        assert other.counts[label] == (spelled(data["g"]) == label).sum()

    def test_groups_that_are_numbers_are_in_order_and_names_as_they_appear(self):
        data = frame().iloc[::-1]
        assert made(data).group_labels.tolist() == sorted(data["g"].unique())
        names = data.assign(g="s" + data["g"].astype(str))
        assert made(names).group_labels.tolist() == list(dict.fromkeys(names["g"]))

    def test_arrays_are_the_same_as_frames(self):
        data = frame()
        X = np.column_stack([np.ones(len(data)), data["x1"]])
        model = LowRankMixedLM(data["y"].to_numpy(), X, data["g"].tolist(), X, rank="full")
        assert model.exog_names == ["const", "x1"]
        assert model.exog_re_names == ["const", "x_re1"]
        other = made(data, "full", "y ~ x1", "~ x1")
        assert other.exog_re_names == ["Group", "x1"]
        one, two = model.fit(), other.fit()
        np.testing.assert_allclose(one.llf, two.llf, rtol=1e-12)

    def test_a_random_intercept_is_the_default(self):
        data = frame()
        model = LowRankMixedLM(data["y"], data[["x1"]], data["g"])
        assert (model.exog_re_names, model.rank, model.structure.n_free) == (["Group"], 0, 1)

    def test_the_index_of_two_levels_says_groups_and_times(self):
        data = frame()
        model = LowRankMixedLM.from_formula("y ~ x1", data.set_index(["g", "t"]), ar="groups")
        same(of_frame(0, formula="y ~ x1", re_formula="~ 1", time="t", ar="groups"), model.fit())

    def test_frames_of_other_libraries(self):
        polars = pytest.importorskip("polars")
        data = frame()
        same(of_frame(), made(polars.from_pandas(data)).fit())

    def test_the_callers_data_are_read_once(self):
        data = frame()
        X = data[["x1", "x2"]].to_numpy().copy()
        model = LowRankMixedLM(data["y"], X, data["g"], rank=0)
        before = model.fit().llf
        X *= 3.0
        assert model.fit().llf == before
        assert (model.exog * 3.0 == X).all()

    def test_survives_pickle_and_copy(self):
        data = frame()
        model = made(data, formula="y ~ center(x1)")
        res = model.fit()
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            same(res, other.fit())
            X, Z = new_designs(other.formula_system, data.iloc[:3])
            np.testing.assert_allclose(X, model.exog[:3])
            np.testing.assert_allclose(Z, model.exog_re[:3])


class TestMissing:
    def holes(self):
        data = frame()
        data.loc["r1", "y"] = np.nan
        data.loc["r3", "x2"] = np.nan
        data["g"] = data["g"].astype(object)
        data.loc["r5", "g"] = None
        data.loc["r7", "w"] = np.nan
        data.loc["r8", "w"] = 0.0
        data.loc["r9", "kind"] = None
        return data

    def test_rows_are_dropped_and_counted(self):
        data = self.holes()
        gone = ["r1", "r3", "r5", "r7", "r8", "r9"]
        kept = data.drop(gone)
        kept["g"] = kept["g"].astype(int)
        for residual in ("~ 0 + kind", "kind"):
            one = made(data, 0, weights="w", residual=residual)
            assert one.n_dropped == len(gone)
            assert one.data.row_labels.equals(kept.index)
            same(one.fit(), made(kept, 0, weights="w", residual=residual).fit())

    def test_arrays_drop_as_formulas_do(self):
        data = self.holes()
        X = data[["x1", "x2", "x3"]].assign(Intercept=1.0)[["Intercept", "x1", "x2", "x3"]]
        how = {"weights": data["w"], "residual": data["kind"], "missing": "drop"}
        one = LowRankMixedLM(data["y"], X, data["g"], X, rank=0, **how)
        other = made(data, 0, weights="w", residual="kind")
        assert one.n_dropped == other.n_dropped == 6
        same(one.fit(), other.fit())

    def test_a_subset_drops_no_row(self):
        data = frame()
        model = made(data, 0, subset=data["x1"] > -1.0, weights=data["w"])
        assert (model.n_dropped, model.nobs) == (0, (data["x1"] > -1.0).sum())
        same(model.fit(), made(data[data["x1"] > -1.0], 0, weights="w").fit())


class TestFormulas:
    def test_formulaic_is_as_patsy(self):
        pytest.importorskip("formulaic")
        data = frame()
        formula, how = "y ~ center(x1) + C(kind) * x2", {"residual": "~ 0 + C(kind)"}
        one = made(data, 0, formula, **how)
        before = options.formula_engine
        try:
            options.formula_engine = "formulaic"
            other = made(data, 0, formula, **how)
        finally:
            options.formula_engine = before
        same(one.fit(), other.fit())
        assert one.law.labels == other.law.labels == ("high", "low")
        assert one.exog_re_names == other.exog_re_names
        new = data.iloc[:4].drop(columns="y")
        for a, b in zip(*(new_designs(m.formula_system, new) for m in (one, other)), strict=True):
            np.testing.assert_allclose(a, b)

    def test_transforms_remember_what_they_learned(self):
        data = frame()
        model = made(data, 0, "y ~ center(x1)", "~ standardize(x2)")
        X, Z = new_designs(model.formula_system, pd.DataFrame({"x1": [3.0], "x2": [1.0]}))
        np.testing.assert_allclose(X.iloc[0], [1.0, 3.0 - data["x1"].mean()])
        expected = (1.0 - data["x2"].mean()) / data["x2"].std(ddof=0)
        np.testing.assert_allclose(Z.iloc[0], [1.0, expected])
        assert list(Z) == ["Group", "standardize(x2)"]

    def test_new_levels_are_told(self):
        model = made(frame(), 0, "y ~ kind")
        with pytest.raises(UnseenLevelError, match="middle"):
            new_designs(model.formula_system, pd.DataFrame({"kind": ["middle"]}), random=False)

    def test_lags_go_by_group_and_time(self):
        data = frame()
        mixed = data.sample(frac=1.0, random_state=2)
        model = made(mixed, 0, "y ~ lag(x1)", "~ 1", time="t")
        assert model.n_dropped == data["g"].nunique()
        expected = data.groupby("g")["x1"].shift(1).dropna()
        np.testing.assert_array_equal(
            pd.Series(model.exog[:, 1], model.data.row_labels).loc[expected.index], expected
        )

    def test_the_names_of_the_caller_are_seen(self):
        shift, data = 2.0, frame()
        text = "I(x1 + shift)"
        model = LowRankMixedLM.from_formula(f"y ~ {text}", data, f"~ {text}", 0, groups="g")
        assert model.exog_names[1] == model.exog_re_names[1] == text
        np.testing.assert_array_equal(model.exog_re[:, 1], data["x1"] + shift)

    def test_re_formula_may_lack_its_tilde(self):
        """As statsmodels' MixedLM takes it."""
        same(made(frame(), re_formula="x1 + x2 + x3").fit(), of_frame())


class TestLaws:
    def test_levels_have_variances(self):
        data = frame()
        rng = np.random.default_rng(4)
        data["y"] += np.where(data["kind"] == "low", 3.0, 0.0) * rng.standard_normal(len(data))
        for residual in ("~ 0 + kind", "kind", data["kind"].to_numpy()):
            model = made(data, 0, residual=residual)
            res = model.fit()
            ratio = np.exp(res.estimate.theta[0])
            first = model.law.labels[0]
            assert set(model.law.labels) == {"low", "high"}
            assert ratio > 5.0 if first == "high" else ratio < 0.2

    def test_one_level_is_none(self):
        data = frame()
        assert made(data, residual=np.full(len(data), "a")).law.size == 0

    def test_autoregression_goes_by_time(self):
        """A missing row is a gap, and the order of rows does not matter."""
        rng = np.random.default_rng(1)
        data = frame(40, most=12)
        e = np.zeros(len(data))
        for i in range(len(data)):
            start = data["t"].iloc[i] == 0
            e[i] = rng.standard_normal() + (0.0 if start else 0.8 * e[i - 1])
        data["y"] = data["x1"] + e
        holed = data[rng.random(len(data)) > 0.2].sample(frac=1.0, random_state=1)
        how = {"formula": "y ~ x1", "re_formula": "~ 1", "rank": 0, "ar": "groups"}
        model = made(holed, time="t", **how)
        assert 1.0 in model.law.gaps
        assert 2.0 in model.law.gaps
        res = model.fit()
        np.testing.assert_allclose(res.llf, dense_llf(model, res, True), rtol=1e-10)
        months = holed.assign(t=pd.Timestamp("2000-01-01") + pd.to_timedelta(holed["t"], "D"))
        same(res, made(months, time="t", **how).fit())

    def test_irregular_times_are_as_they_are(self):
        data = frame()
        data["t"] = data["t"] + 0.375 * (data["t"] % 2)
        model = made(data, 0, time="t", ar="groups")
        assert model.law.gaps == (0.625, 1.375)
        res = model.fit()
        np.testing.assert_allclose(res.llf, dense_llf(model, res, True), rtol=1e-10)


@functools.cache
def of_spread_rows(residual):
    """Data in no order, one cell missing, and the fit of them in one piece."""
    data = frame(40).sample(frac=1.0, random_state=0)
    data["x1"] += 1e3
    data["kind"] = pd.Categorical(data["kind"])
    data.iloc[5, data.columns.get_loc("x2")] = np.nan
    return data, made(data, "full", weights="w", residual=residual).fit()


class TestStreams:
    @pytest.mark.parametrize("batch", [1, 50, 10**6])
    @pytest.mark.parametrize("residual", [None, "~ 0 + kind"])
    def test_chunks_are_the_whole(self, batch, residual, monkeypatch):
        """Groups are spread over chunks, and levels over some of them."""
        monkeypatch.setattr(stream, "_BATCH", batch)
        data, res = of_spread_rows(residual)
        how = {"weights": "w", "residual": residual}
        whole = res.model
        parts = [data.iloc[i : i + 23] for i in range(0, len(data), 23)]
        streamed = made(iter(parts), "full", **how)
        assert (streamed.nobs, streamed.n_dropped) == (whole.nobs, 1)
        assert streamed.group_labels.equals(whole.group_labels)
        pd.testing.assert_series_equal(streamed.counts, whole.counts)
        assert streamed.law == whole.law
        one, other = whole.products.in_user_units(), streamed.products.in_user_units()
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-10 * np.abs(one).max())
        same(res, streamed.fit())

    def test_chunks_of_arrays_are_the_whole(self):
        data = frame(40)
        X = data[["x1", "x2"]].assign(const=1.0)
        parts = [data.index[i::5] for i in range(5)]
        chunks = [
            {"endog": data["y"][at], "exog": X.loc[at], "groups": data["g"][at],
             "exog_re": X.loc[at], "residual": data["kind"][at], "weights": data["w"][at]}
            for at in parts
        ]  # fmt: skip
        whole = LowRankMixedLM(
            data["y"], X, data["g"], X, rank=0, residual=data["kind"], weights=data["w"]
        )
        same(whole.fit(), LowRankMixedLM.from_chunks(chunks, 0).fit())
        tuples = [(c["endog"], c["exog"], c["groups"], c["exog_re"]) for c in chunks]
        same(LowRankMixedLM(data["y"], X, data["g"], X, rank=0).fit(),
             LowRankMixedLM.from_chunks(tuples, 0).fit())  # fmt: skip

    def test_a_response_that_varies_in_one_chunk_does(self):
        """The last is constant, at the first row's value."""
        data = frame(40).iloc[:80]
        last = data.iloc[60:].assign(y=data["y"].iloc[0])
        whole = pd.concat([data.iloc[:60], last])
        same(made(whole, 0).fit(), made(iter([data.iloc[:60], last]), 0).fit())

    def test_levels_without_rows_are_none(self):
        data = frame(40)
        data["kind"] = pd.Categorical(data["kind"], ["none", "low", "high"])
        parts = [data.iloc[:60], data.iloc[60:]]
        model = made(iter(parts), 0, residual="~ 0 + kind")
        assert set(model.law.labels) == {"low", "high"}
        same(made(data, 0, residual="~ 0 + kind").fit(), model.fit())

    def test_chunks_do_not_wait_for_the_last(self, monkeypatch):
        """Rows are added up as soon as there are enough."""
        monkeypatch.setattr(stream, "_BATCH", 50)
        data, held = frame(40), []
        add = stream._Stream.add

        def watched(self, read, missing):
            add(self, read, missing)
            held.append(self.waiting)

        monkeypatch.setattr(stream._Stream, "add", watched)
        made(iter([data.iloc[i : i + 20] for i in range(0, len(data), 20)]), 0)
        assert max(held) < 70

    def test_rows_are_gone(self):
        data = frame()
        model = made(iter([data]), 0)
        assert not model.has_data
        with pytest.raises(DataRemovedError, match="stream"):
            model.rows.y  # noqa: B018
        with pytest.raises(DataRemovedError, match="stream"):
            model.endog[0]
        whole = made(data, 0)
        res = of_frame(0)
        whole.remove_data()
        with pytest.raises(DataRemovedError, match="remove_data"):
            whole.rows.y  # noqa: B018
        same(model.fit(), res)


class TestRanks:
    @pytest.mark.slow
    def test_bic_finds_the_rank(self):
        rng = np.random.default_rng(0)
        m, T, q = 150, 12, 5
        Z = rng.standard_normal((m * T, q))
        g = np.repeat(np.arange(m), T)
        effects = rng.standard_normal((m, 1)) @ np.ones((1, q)) + 0.4 * rng.standard_normal((m, q))
        y = np.einsum("nq,nq->n", Z, effects[g]) + rng.standard_normal(m * T)
        model = LowRankMixedLM(y, Z, g, Z)
        chosen = model.rank_selection
        assert (model.rank, model.rank_method, chosen.rank) == (1, "auto", 1)
        assert chosen.criterion.idxmin() == 1
        assert "Random Effects" in str(chosen.summary())
        again = select_rank(model, "bic", [0, 1, "full"])
        row = again.table.loc["full"]
        free = q * (q + 1) // 2
        assert row["parameters"] == q + free + 1
        np.testing.assert_allclose(row["bic"], -2 * row["llf"] + np.log(m * T) * (q + free + 1))
        groups = -2 * row["llf"] + np.log(m * T) * (q + 1) + np.log(m) * free
        np.testing.assert_allclose(row["bic_groups"], groups)
        full = LowRankMixedLM(y, Z, g, Z, rank="full").fit(reml=False)
        np.testing.assert_allclose(row["llf"], full.llf, rtol=1e-9)
        assert LowRankMixedLM(y, Z, g, Z, rank="aic").rank_method == "aic"
        with pytest.raises(OptionError, match="folds"):
            select_rank(model, folds=3)

    def test_names_of_structures(self):
        data = frame()
        assert made(data, "diagonal").structure == made(data, 0).structure
        alone = made(data, 2, uniquenesses=False)
        assert np.linalg.matrix_rank(alone.fit().cov_re, tol=1e-6) <= 2
        assert alone.df_model == 4 + (4 * 2 - 1) + 1

    def test_a_diagonal_takes_dependent_columns(self):
        """A constant and dummies for all kinds: variances that the data tell apart."""
        data = frame()
        model = made(data, "diagonal", "y ~ x1", "~ 1 + C(kind, Treatment) - 1 + I(1.0 + 0 * x1)")
        assert model.k_re == 3
        assert model.fit().converged

    def test_a_random_effect_in_few_groups_is_doubted(self):
        data = frame()
        data["rare"] = np.where(data["g"] < 3, data["x1"], 0.0)
        with pytest.warns(FewGroupsWarning, match=r"'rare' \(3\)"):
            made(data, 0, re_formula="~ rare")

    def test_five_groups_are_enough(self):
        data = frame()
        data["rare"] = np.where(data["g"] < 5, data["x1"], 0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", FewGroupsWarning)
            made(data, 0, re_formula="~ rare")
