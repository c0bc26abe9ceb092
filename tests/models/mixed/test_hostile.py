"""Uses of a mixed model that gave wrong numbers without a word, or another package's error, and
places that could be broken without a test that noticed."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula

from sm_alsgls import LowRankMixedLM
from sm_alsgls.exceptions import (
    InsufficientRowsError,
    NotApplicableError,
    OptionError,
    ShapeError,
)
from sm_alsgls.rank_choice.mixed import Fit, candidates_of, select_structure
from tests.models.mixed.data import frame, made

pytestmark = [
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.HeywoodWarning"),
    pytest.mark.filterwarnings("ignore::sm_alsgls.exceptions.ConvergenceWarning"),
]
DATA = frame(m=30, seed=5, most=10)


def simple(data=DATA, **how):
    return made(data, 0, "y ~ x1 + x2", "~ x1", **how)


def same(one, other):
    assert other.llf == pytest.approx(one.llf, abs=1e-8)
    np.testing.assert_allclose(other.params, one.params, atol=1e-7)


class TestLabels:
    """1 and "1" are a slip, wherever labels come from: each would be a group of its own."""

    MIXED = pd.Series([g if i % 2 else str(g) for i, g in enumerate(DATA["g"])], DATA.index, object)

    def test_of_one_table(self):
        said = r"groups \('g'\): labels '?\d+'? are (int|str) in some rows and (int|str) in others"
        with pytest.raises(ShapeError, match=said):
            simple(DATA.assign(g=self.MIXED))
        with pytest.raises(ShapeError, match="in some rows and"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], self.MIXED)

    def test_of_chunks_each_of_which_is_of_one_type(self):
        parts = [DATA.iloc[::2], DATA.iloc[1::2].assign(g=DATA["g"].iloc[1::2].astype(str))]
        with pytest.raises(ShapeError, match="'g'.* are int in some rows and str in others"):
            simple(iter(parts))

    def test_of_residual_levels(self):
        level = pd.Series([1, "1", 2, "2"] * len(DATA), dtype=object).iloc[: len(DATA)]
        with pytest.raises(ShapeError, match="residual: labels '1' are int in some rows and str"):
            LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"], residual=level.to_numpy())

    def test_chunks_of_numbers_of_two_types_are_one(self):
        halves = [DATA.iloc[::2], DATA.iloc[1::2].assign(g=DATA["g"].iloc[1::2].astype(float))]
        same(simple().fit(), simple(iter(halves)).fit())

    def test_objects_of_one_type_are_labels(self):
        pairs = [(g, "a") for g in DATA["g"]]
        same(simple().fit(), simple(DATA.assign(g=pairs)).fit())
        same(simple().fit(), simple(DATA.assign(g=DATA["g"].astype(object))).fit())

    def test_that_have_no_hash(self):
        with pytest.raises(ShapeError, match=r"groups \('g'\): labels are numbers, text, dates"):
            simple(DATA.assign(g=[[g] for g in DATA["g"]]))

    def test_categories_without_rows_are_no_groups(self):
        again = DATA.assign(g=pd.Categorical(DATA["g"], range(100)))
        model = simple(again)
        assert model.n_groups == 30
        same(simple().fit(), model.fit())


class TestRows:
    def test_all_of_weight_zero(self):
        with pytest.raises(InsufficientRowsError, match="every one has weight 0$"):
            simple(weights=0.0 * DATA["w"])
        with pytest.raises(InsufficientRowsError, match="endog .* is missing in 3 rows"):
            LowRankMixedLM(np.full(3, np.nan), np.ones((3, 1)), [0, 1, 1], missing="drop")

    def test_the_models_arrays_are_not_the_callers_to_write_on(self):
        model = simple()
        for name in ("endog", "exog", "exog_re"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(model, name)[0] = 7.0

    def test_an_index_of_two_levels_has_the_times_of_autoregression(self):
        data = DATA.assign(t=2 * DATA["t"])
        one = simple(data, time="t", ar="groups")
        shuffled = data.sample(frac=1.0, random_state=0).set_index(["g", "t"])
        other = LowRankMixedLM.from_formula("y ~ x1 + x2", shuffled, "~ x1", 0, ar="groups")
        assert one.law.gaps == other.law.gaps
        same(one.fit(), other.fit())

    @pytest.mark.parametrize("column", ["x3", "kind", "x2"])
    def test_a_row_that_misses_any_part_is_dropped(self, column):
        lost = DATA.copy()
        lost.iloc[[2, 9], lost.columns.get_loc(column)] = np.nan
        how = {"residual": "~ 0 + kind"}
        one = made(lost, 0, "y ~ x1 + x2", "~ x3", **how)
        assert one.n_dropped == 2
        same(made(DATA.drop(DATA.index[[2, 9]]), 0, "y ~ x1 + x2", "~ x3", **how).fit(), one.fit())

    def test_groups_in_which_a_regressor_is_negative_only_have_seen_it(self):
        z = np.where(DATA["g"] < 10, -1.0 - DATA["x3"] ** 2, 0.0)
        model = made(DATA.assign(z=z), 0, "y ~ x1", "~ z")
        assert model.data.rows.seen.tolist() == [30, 10]

    def test_chunks_of_other_columns(self):
        X = DATA[["x1", "x2"]]
        chunks = [(DATA["y"], X, DATA["g"]), (DATA["y"], X[["x2", "x1"]], DATA["g"])]
        with pytest.raises(ShapeError, match=r"chunk 2.*exog has 2 columns \('x2', 'x1'\)"):
            LowRankMixedLM.from_chunks(chunks)
        chunks = [(*c, c[1]) for c in [chunks[0]] * 2]
        chunks[1] = (*chunks[1][:3], X.rename(columns={"x2": "z"}))
        with pytest.raises(ShapeError, match="chunk 2.*exog_re has 2 columns"):
            LowRankMixedLM.from_chunks(chunks)


def test_columns_with_row_labels_beside_arrays_go_by_those_of_one_another():
    y, X, w = DATA["y"].to_numpy(), DATA[["x1"]].to_numpy(), np.exp(DATA["x2"])
    turned = np.random.default_rng(0).permutation(len(DATA))
    expected = LowRankMixedLM(y, X, DATA["g"], weights=w).fit()
    found = LowRankMixedLM(y, X, DATA["g"], weights=w.iloc[turned]).fit()
    assert found.llf == pytest.approx(expected.llf, abs=1e-9)
    with pytest.raises(ShapeError, match="weights has no label for row"):
        LowRankMixedLM(y, X, DATA["g"], weights=w.set_axis(range(len(w))))


class TestNewRows:
    """Rows go by their labels, or are refused: never by position where labels say otherwise."""

    @pytest.fixture(scope="class")
    @classmethod
    def res(cls):
        return LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"], DATA[["x2"]], 0).fit()

    def test_random_regressors_of_other_rows(self, res):
        new, turned = DATA.iloc[:4], DATA.iloc[[3, 2, 1, 0]]
        with pytest.raises(ShapeError, match="row labels of exog_re differ .*'r3' against 'r0'"):
            res.predict(new[["x1"]], groups=new["g"], exog_re=turned[["x2"]])
        with pytest.raises(ShapeError, match="row labels of exog_re"):
            res.get_prediction(new[["x1"]], exog_re=turned[["x2"]])
        # One side without labels has the other's.
        named = res.predict(new[["x1"]], groups=new["g"], exog_re=new[["x2"]])
        for X, Z in ((new[["x1"]].to_numpy(), new[["x2"]]), (new[["x1"]], new[["x2"]].to_numpy())):
            found = res.predict(X, groups=new["g"], exog_re=Z)
            pd.testing.assert_series_equal(found, named)

    def test_observed_responses_go_by_label(self, res):
        seen = DATA.iloc[:4]
        how = {"exog": seen[["x1"]], "groups": [99] * 4, "exog_re": seen[["x2"]]}
        new = {
            "exog": DATA[["x1"]].iloc[4:6],
            "groups": [99, 99],
            "exog_re": DATA[["x2"]].iloc[4:6],
        }
        one = res.predict(**new, observed={"endog": seen["y"], **how})
        for y in (seen["y"].iloc[[3, 2, 1, 0]], seen["y"].to_numpy(), seen[["y"]], list(seen["y"])):
            pd.testing.assert_series_equal(res.predict(**new, observed={"endog": y, **how}), one)
        with pytest.raises(ShapeError, match="endog"):
            res.predict(**new, observed={"endog": list("abcd"), **how})
        with pytest.raises(ShapeError, match="endog has 3 rows"):
            res.predict(**new, observed={"endog": [1.0, 2.0, 3.0], **how})

    def test_groups_that_were_not_seen_beside_those_that_were(self):
        res = simple().fit()
        new = DATA.iloc[[0, 20, 40, 60]].copy()
        new.iloc[1, new.columns.get_loc("g")] = 777
        population, own = res.predict(new), res.predict(new, level="group")
        assert own.iloc[1] == population.iloc[1]
        assert (own.drop(own.index[1]) != population.drop(own.index[1])).all()
        each = [res.predict(new.iloc[[i]], level="group").item() for i in range(4)]
        np.testing.assert_allclose(own, each, rtol=1e-12)
        whole = res.get_prediction(new, level="group").summary_frame()
        parts = [res.get_prediction(new.iloc[[i]], level="group").summary_frame() for i in range(4)]
        np.testing.assert_allclose(whole, pd.concat(parts), rtol=1e-10)
        # Of a group without rows the mean is no better known than one of its observations, but s2.
        x = np.array([1.0, new["x1"].iloc[1]])
        between = x @ res.cov_re.to_numpy() @ x
        found = res.get_prediction(new.iloc[[1]], level="group").var_pred_mean.item()
        plain = res.get_prediction(new.iloc[[1]]).var_pred_mean.item()
        assert found == pytest.approx(plain + between, rel=1e-9)

    def test_the_populations_mean_needs_no_random_regressor(self):
        res = made(DATA, 0, "y ~ x2", "~ x1").fit()
        new = DATA.iloc[:3]
        found = res.get_prediction(new[["x2"]])
        full = res.get_prediction(new)
        pd.testing.assert_series_equal(found.predicted_mean, full.predicted_mean)
        pd.testing.assert_frame_equal(found.conf_int(), full.conf_int())
        with pytest.raises(OptionError, match="columns of re_formula"):
            found.conf_int(obs=True)

    def test_observed_rows_of_no_level_are_left_out(self):
        res = simple(residual="~ 0 + kind").fit()
        new = DATA.iloc[:5].assign(g=99)
        lost = new.copy()
        lost["kind"] = lost["kind"].where(lost.index != "r2", None)
        one = res.predict(new, observed=new.drop("r2"))
        pd.testing.assert_series_equal(res.predict(new, observed=lost), one)

    def test_which_level_is_first_changes_no_interval(self):
        turned = DATA.assign(kind=DATA["kind"].map({"high": "z", "low": "a"}))
        one, two = (simple(d, residual="~ 0 + kind").fit() for d in (DATA, turned))
        assert one.model.law.labels == ("high", "low")
        assert two.model.law.labels == ("a", "z")
        for level in ("population", "group"):
            a, b = (
                r.get_prediction(d.iloc[:12], level=level) for r, d in ((one, DATA), (two, turned))
            )
            np.testing.assert_allclose(a.df(obs=True), b.df(obs=True), rtol=2e-3)
            np.testing.assert_allclose(a.summary_frame(), b.summary_frame(), rtol=1e-4)


class TestPairs:
    """By the engine that read the formula, whatever statsmodels' is when pairs are asked for."""

    THREE = DATA.assign(three=np.resize(["a", "b", "c"], len(DATA)))

    @staticmethod
    def fit(engine, formula="y ~ x1 + C(three)"):
        options, old = statsmodels.formula.options, statsmodels.formula.options.formula_engine
        if engine == "formulaic":
            pytest.importorskip("formulaic")
        options.formula_engine = engine
        try:
            return made(TestPairs.THREE, 0, formula, "~ 1").fit()
        finally:
            options.formula_engine = old

    @pytest.mark.parametrize("engine", ["patsy", "formulaic"])
    def test_are_differences_of_coefficients(self, engine):
        res = self.fit(engine)
        table = res.t_test_pairwise("C(three)").result_frame
        assert table.index.tolist() == ["b-a", "c-a", "c-b"]
        b, c = "C(three)[T.b]", "C(three)[T.c]"
        wanted = [res.params[b], res.params[c], res.params[c] - res.params[b]]
        np.testing.assert_allclose(table["coef"], wanted)
        one = res.t_test(f"{c} - {b} = 0")
        assert table.loc["c-b", "std err"] == pytest.approx(one.sd.item())
        assert table.loc["c-b", "P>|t|"] == pytest.approx(one.pvalue.item())
        named = res.t_test_pairwise("C(three)", factor_labels=["x", "y", "z"], method="bonferroni")
        assert named.result_frame.index.tolist() == ["y-x", "z-x", "z-y"]

    @pytest.mark.parametrize("engine", ["patsy", "formulaic"])
    @pytest.mark.parametrize("formula", ["y ~ 0 + three + x1", "y ~ C(three, Sum) + x1"])
    def test_do_not_depend_on_the_coding(self, engine, formula):
        if engine == "formulaic":
            formula = formula.replace("Sum", "contr.sum")
        term = formula.split("~")[1].split("+")[1 if "0 +" in formula else 0].strip()
        one = self.fit("patsy").t_test_pairwise("C(three)").result_frame
        other = self.fit(engine, formula).t_test_pairwise(term).result_frame
        columns = ["coef", "std err", "P>|t|"]
        np.testing.assert_allclose(other[columns], one[columns], rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("engine", ["patsy", "formulaic"])
    def test_of_what_is_no_factor(self, engine):
        res = self.fit(engine, "y ~ x1 + C(three) + C(three):kind")
        with pytest.raises(OptionError, match="'three' is no term of 'y ~ .*'C\\(three\\)'"):
            res.t_test_pairwise("three")
        for term in ("x1", "Intercept" if engine == "patsy" else "1", "C(three):kind"):
            with pytest.raises(OptionError, match="is not one categorical variable"):
                res.t_test_pairwise(term)
        with pytest.raises(OptionError, match="factor_labels must list 3 labels"):
            res.t_test_pairwise("C(three)", factor_labels=["a"])
        with pytest.raises(OptionError, match="method"):
            res.t_test_pairwise("C(three)", method="nope")
        with pytest.raises(OptionError, match="alpha"):
            res.t_test_pairwise("C(three)", alpha=5)

    def test_of_a_model_of_arrays(self):
        res = LowRankMixedLM(DATA["y"], DATA[["x1"]], DATA["g"]).fit()
        with pytest.raises(NotApplicableError, match="made of arrays"):
            res.t_test_pairwise("x1")


class TestCandidates:
    def test_full_is_compared_although_factors_are_given_up(self):
        found = select_structure(lambda structure: Fit(-100.0, True), (500, 50, 8), 4, "auto")
        assert found.table.index.tolist() == [0, 1, 2, "full"]

    def test_no_more_factors_than_groups_can_have(self):
        assert candidates_of(None, 8, 3) == [0, 1, 2, "full"]
        assert candidates_of(None, 8, 50) == [0, 1, 2, 3, 4, "full"]
        assert candidates_of(None, 13, 4) == [0, 1, 2, 3]


def test_fits_of_other_weights_are_not_compared():
    one = simple(weights="w").fit(reml=False)
    other = made(DATA, 0, "y ~ x1", "~ x1").fit(reml=False)
    with pytest.raises(ShapeError, match="weights"):
        one.compare_lr(other)
    again = made(DATA.assign(w=3.0 * DATA["w"]), 0, "y ~ x1", "~ x1", weights="w").fit(reml=False)
    assert one.compare_lr(again)[2] == 1


def test_the_bootstrap_has_the_standard_errors_of_what_it_refits():
    res = simple().fit(cov_type="nonrobust")
    made_ = res.bootstrap(3)
    np.testing.assert_allclose(made_.estimate_bse, res.bse)
    np.testing.assert_allclose(made_.estimate, res.params)
