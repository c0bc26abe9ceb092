"""Common coefficients as a user meets them: names, tables, tests, predictions, and what is refused.

``strings`` is the same model by restrictions, which is another way to the same numbers.
"""

import pickle

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.exceptions import DataRemovedError, OptionError, RestrictionError, ShapeError
from sm_alsgls.rank import select_rank
from sm_alsgls.results import persistence
from tests.reference.common_today import TIGHT, simulated

K = 12


@pytest.fixture(scope="module")
def data():
    return simulated()


@pytest.fixture(scope="module")
def res(data):
    return LowRankSUR(*data, rank=2, common=["x1", "x2"]).fit(**TIGHT)


@pytest.fixture(scope="module")
def strings(data):
    model = LowRankSUR(*data, rank=2)
    rows = [
        f"{first} = {name}"
        for x in ("x1", "x2")
        for first, *others in [[n for n in model.exog_names if n.endswith(x)]]
        for name in others
    ]
    return model.fit_constrained(rows, **TIGHT)


def of_strings(name):
    """What a coefficient is called in the restricted fit."""
    return f"e00_{name}" if name in ("x1", "x2") else name


class TestNames:
    def test_params_are_distinct_and_common_ones_come_first(self, res, data):
        names = list(res.params.index)
        assert names[:4] == ["x1", "x2", "e00_const", "e01_z"]
        assert len(names) == len(set(names)) == 2 + 12 + 3
        assert res.model.exog_names == names == list(res.bse.index)
        assert list(res.cov_params().columns) == names
        assert res.model.restrictions is None
        own = [f"{e}_{c}" for e, X in data[1].items() for c in X if c not in ("x1", "x2")]
        assert names[2:] == own

    def test_one_name_or_true(self, data):
        assert LowRankSUR(*data, 1, common="x1").exog_names[0] == "x1"
        every = LowRankSUR(*data, 1, common=True)
        assert every.exog_names == ["const", "x1", "x2", "z"]
        assert LowRankSUR(*data, 1, common=False).exog_names[0] == "e00_const"

    def test_an_equation_has_the_common_ones_among_its_own(self, res, strings):
        one, other = res.equations["e01"], strings.equations["e01"]
        assert list(one.params.index) == ["z", "const", "x1"]
        for what in ("params", "bse", "pvalues"):
            np.testing.assert_allclose(getattr(one, what), getattr(other, what), rtol=1e-7)
        assert one.params["x1"] == res.params["x1"]
        assert one.t_test("x1 = z").pvalue == pytest.approx(other.t_test("x1 = z").pvalue, rel=1e-6)
        assert "Equation: e01" in str(one.summary())
        assert "x1" in str(one.summary())

    def test_clashes_are_named(self):
        rng = np.random.default_rng(0)
        names = ["a", "b", "c"]
        Y = pd.DataFrame(rng.standard_normal((30, 3)), columns=names)
        frame = pd.DataFrame(rng.standard_normal((30, 2)), columns=["x", "a_x"])
        with pytest.raises(ShapeError, match="common coefficient 'a_x' would be called"):
            LowRankSUR(Y, frame, 0, common=["a_x"])
        assert LowRankSUR(Y, frame, 0, common=["x"]).exog_names[0] == "x"

    @pytest.mark.parametrize(
        "ask",
        [
            lambda res: res.t_test("e03_x1 = 0"),
            lambda res: res.wald_test("e03_x1 = 0, e00_const = 0"),
            lambda res: res.cov_params(column="e03_x1"),
            lambda res: res.conf_int(cols=["e03_x1"]),
            lambda res: res.nlcom("e03_x1 / e00_const"),
            lambda res: res.model.fit_constrained("e03_x1 = 0"),
            lambda res: res.model.fit(start_params=res.params.rename({"x1": "e03_x1"})),
        ],
    )
    def test_the_name_an_equation_would_have_leads_to_the_new_one(self, res, ask):
        with pytest.raises((OptionError, RestrictionError), match="e03_x1.*'x1'"):
            ask(res)

    def test_names_that_fewer_than_two_equations_have(self, data):
        with pytest.raises(RestrictionError, match="fewer than two equations.*'wage'"):
            LowRankSUR(*data, 1, common=["wage"])


class TestTables:
    def test_the_summary_prints_common_ones_once(self, res):
        text = str(res.summary())
        assert text.count("Common coefficients") == 1
        lines = [line for line in text.splitlines() if line.startswith("x1 ")]
        assert len(lines) == 1
        assert f"{res.params['x1']:.4f}" in lines[0]
        assert f"{res.tvalues['x1']:.3f}" in lines[0]
        assert "2 coefficients are common" in text
        assert "linear restrictions" not in text
        assert "No. Coefficients P:                 17" in text

    def test_the_compact_summary_has_them_without_other_standard_errors(self, data):
        many = LowRankSUR(*data, 0, common=["x1", "x2"]).fit()
        text = str(many.summary(equations=["e03", "e01"]))
        assert "Common coefficients" in text
        assert text.index("Equation: e03") < text.index("Equation: e01")
        with pytest.raises(OptionError, match="xname must list 17 names"):
            many.summary(xname=["a"])
        named = str(many.summary(xname=[f"b{i}" for i in range(17)]))
        assert [line.split()[0] for line in named.splitlines() if line.startswith("b")][:3] == [
            "b0", "b1", "b2",
        ]  # fmt: skip

    def test_an_equation_without_own_coefficients_has_no_table(self, data):
        res = LowRankSUR(*data, 1, common=True).fit()
        text = str(res.summary())
        assert "Equation: e" not in text
        assert "4 coefficients are common" in text

    def test_tidy_and_glance(self, res):
        table = res.tidy()
        assert table["equation"].tolist()[:3] == ["", "", "e00"]
        assert table["term"].tolist()[:3] == ["x1", "x2", "const"]
        np.testing.assert_array_equal(table["estimate"], res.params)
        np.testing.assert_array_equal(table["std_error"], res.bse)
        assert res.glance()["n_params"].item() == 17


class TestNumbers:
    def test_estimates(self, res, strings):
        names = [of_strings(n) for n in res.params.index]
        np.testing.assert_allclose(res.params, strings.params[names], rtol=1e-9)
        np.testing.assert_allclose(res.bse, strings.bse[names], rtol=1e-8)
        np.testing.assert_allclose(
            res.cov_params(), strings.cov_params().loc[names, names], rtol=1e-6, atol=1e-12
        )
        assert (res.df_model, res.df_resid) == (strings.df_model, strings.df_resid)
        assert res.llf == pytest.approx(strings.llf, abs=1e-9)

    def test_overall_tests(self, res, strings):
        assert res.fvalue == pytest.approx(strings.fvalue, rel=1e-6)
        robust = [one.get_robustcov_results("HC3") for one in (res, strings)]
        assert robust[0].f_pvalue == pytest.approx(robust[1].f_pvalue, rel=1e-5)
        np.testing.assert_allclose(res.system_rsquared, strings.system_rsquared, rtol=1e-8)
        assert res.equations["e02"].fvalue == pytest.approx(
            strings.equations["e02"].fvalue, rel=1e-6
        )

    def test_across_and_terms(self, res, strings):
        got, want = res.test_across("x1"), strings.test_across("x1")
        assert (got.fvalue, got.df_num) == (pytest.approx(want.fvalue, rel=1e-7), 1.0)
        assert res.test_across("const").df_num == 12.0
        with pytest.raises(OptionError, match=r"common coefficient.*restriction_tests"):
            res.test_across("x1", null="equal")
        table = res.wald_test_terms().table
        assert table["df_constraint"].to_dict() == {"const": 12, "x1": 1, "x2": 1, "z": 3}

    def test_predictions(self, res, strings):
        for got, want in ((res, strings),):
            a, b = got.get_prediction(), want.get_prediction()
            np.testing.assert_allclose(a.predicted_mean, b.predicted_mean, rtol=1e-8)
            np.testing.assert_allclose(a.se_mean, b.se_mean, rtol=1e-8)
            np.testing.assert_allclose(a.cov_mean(3), b.cov_mean(3), rtol=1e-6, atol=1e-12)
            a, b = got.get_prediction(given=True), want.get_prediction(given=True)
            np.testing.assert_allclose(a.se_mean, b.se_mean, rtol=1e-7)
            np.testing.assert_allclose(got.predict(given=True), want.predict(given=True), rtol=1e-8)
        np.testing.assert_allclose(res.model.predict(res.params), res.predict(), rtol=1e-10)

    @pytest.mark.slow
    def test_exogeneity_and_checks(self, res, strings):
        got, want = res.exogeneity_test(), strings.exogeneity_test()
        assert got.pvalue == pytest.approx(want.pvalue, rel=1e-6)
        table, other = res.diagnostics().table, strings.diagnostics().table
        assert table.index.tolist() == other.index.tolist()
        # The first two are of the order of the tolerance, the others count coefficients.
        other_ways = ["convergence", "curvature", "factors left", "last factor"]
        same = table.index.difference(other_ways)
        np.testing.assert_allclose(
            table.loc[same, "statistic"], other.loc[same, "statistic"], rtol=1e-5
        )

    def test_restriction_tests_are_against_free_coefficients(self, res, strings):
        pd.testing.assert_frame_equal(
            res.restriction_tests(), strings.restriction_tests(), rtol=1e-5
        )
        both = res.model.fit_constrained("x1 = 1, e00_const = e02_const", **TIGHT)
        table = both.restriction_tests()
        assert table.loc["LR", "df"] == 19 + 2
        again = strings.model.without_restrictions().fit()
        assert both.restriction_tests(again).loc["Wald", "statistic"] == pytest.approx(
            table.loc["Wald", "statistic"], rel=1e-6
        )
        with pytest.raises(OptionError, match="no restrictions"):
            again.restriction_tests()

    def test_compare_lr(self, res, strings):
        free = strings.model.without_restrictions().fit(**TIGHT)
        got, want = free.compare_lr(res), free.compare_lr(strings)
        assert got == pytest.approx(want, rel=1e-6)
        assert got.df_diff == 19

    def test_ratio_by_the_delta_method(self, res, strings):
        got, want = res.nlcom("x1 / e00_const"), strings.nlcom("e00_x1 / e00_const")
        np.testing.assert_allclose(got.bse, want.bse, rtol=1e-7)

    def test_bootstrap(self, res, strings):
        got = res.bootstrap(4, rng=3)
        want = strings.bootstrap(4, rng=3)
        assert list(got.params.columns) == list(res.params.index)
        names = [of_strings(n) for n in res.params.index]
        np.testing.assert_allclose(got.params, want.params[names], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got.bse, want.bse[names], rtol=1e-4)

    def test_start_params(self, res):
        again = res.model.fit(start_params=res.params + 0.1 * res.bse, n_starts=1)
        assert again.llf == pytest.approx(res.llf, abs=1e-8)

    def test_chunks(self, data):
        Y, X = data
        pieces = [
            (Y.iloc[i : i + 20], [x.iloc[i : i + 20] for x in X.values()]) for i in (0, 20, 40)
        ]
        res = LowRankSUR.from_chunks(pieces, rank=2, common=["x1", "x2"]).fit(**TIGHT)
        whole = LowRankSUR(Y, X, rank=2, common=["x1", "x2"]).fit(**TIGHT)
        np.testing.assert_allclose(res.params, whole.params, rtol=1e-8)
        np.testing.assert_allclose(res.bse, whole.bse, rtol=1e-8)

    @pytest.mark.slow
    def test_rank_is_chosen_with_them(self, data):
        model = LowRankSUR(*data, rank="bic", common=["x1", "x2"])
        chosen = select_rank(LowRankSUR(*data, rank=0, common=["x1", "x2"]), "bic")
        assert model.rank == chosen.rank == 2
        assert chosen.table.loc[0, "parameters"] == 17 + K

    def test_another_start_is_as_good_in_odd_units(self, data):
        Y, X = data
        res = LowRankSUR(Y * 1e-80, X, rank=2, common=["x1", "x2"]).fit(n_starts=2)
        plain = LowRankSUR(Y, X, rank=2, common=["x1", "x2"]).fit(n_starts=2)
        np.testing.assert_allclose(res.params * 1e80, plain.params, rtol=1e-6)


@pytest.fixture(scope="module")
def point(res):
    rng = np.random.default_rng(1)
    return np.asarray(res.params) + 0.1 * rng.standard_normal(len(res.params))


class TestLikelihood:
    @pytest.mark.parametrize("holes", [False, True])
    def test_derivatives(self, res, data, point, holes):
        model = res.model
        if holes:
            Y = data[0].mask(np.random.default_rng(8).random(data[0].shape) < 0.1)
            model = LowRankSUR(Y, data[1], 2, missing="fiml", common=["x1", "x2"])
        sigma = res.sigma
        score = model.score(point, sigma)
        h = 1e-6
        for i in (0, 1, 2, 5):
            step = h * np.eye(len(point))[i]
            up, down = (model.loglike(point + s, sigma) for s in (step, -step))
            assert score[i] == pytest.approx((up - down) / (2 * h), rel=1e-5)
        np.testing.assert_allclose(model.score_obs(point, sigma).sum(axis=0), score, rtol=1e-9)
        H = model.hessian(point, sigma)
        moved = model.score(point + 0.5, sigma)
        np.testing.assert_allclose(moved - score, H @ np.full(len(point), 0.5), rtol=1e-8)

    def test_score_is_zero_at_the_estimates(self, res):
        score = res.model.score(res.params, res.sigma)
        assert np.abs(score * res.bse).max() < 1e-7


class TestRemoved:
    @pytest.mark.parametrize("whole", [True, False])
    def test_results_without_their_data(self, data, whole, monkeypatch):
        if not whole:
            monkeypatch.setattr(persistence, "DENSE_LIMIT", 10)
        res = LowRankSUR(*data, rank=2, common=["x1", "x2"]).fit(n_starts=1)
        bse, text = res.bse.copy(), str(res.equations["e03"].summary())
        t = res.t_test("x1 - e03_const = 0").pvalue
        across = res.t_test("e00_const - e03_const = 0").pvalue
        res.remove_data()
        again = pickle.loads(pickle.dumps(res))
        pd.testing.assert_series_equal(again.bse, bse)
        assert again.t_test("x1 - e03_const = 0").pvalue == pytest.approx(float(t), rel=1e-9)
        assert str(again.equations["e03"].summary()).splitlines()[4:] == text.splitlines()[4:]
        assert "Common coefficients" in str(again.summary())
        if whole:
            assert again.t_test("e00_const - e03_const = 0").pvalue == pytest.approx(
                float(across), rel=1e-9
            )
        else:
            with pytest.raises(DataRemovedError, match="different equations"):
                again.t_test("e00_const - e03_const = 0")


class TestRefused:
    def test_ridges_and_em(self, res):
        with pytest.raises(OptionError, match="lam_B"):
            res.model.fit(lam_B=0.1)
        with pytest.raises(OptionError, match="method='em' cannot"):
            res.model.fit(method="em")

    def test_grs(self, data):
        Y, X = data
        res = LowRankSUR(Y, X["e00"], rank=1, common=["x1"]).fit(n_starts=1)
        with pytest.raises(OptionError, match="without restrictions"):
            res.grs_test()

    def test_restrictions_are_named_by_the_new_names(self, res):
        with pytest.raises(RestrictionError, match="contradict.*'x1 = 1'"):
            res.model.fit_constrained(["x1 = 0", "x1 = 1"])

    def test_dependent_columns_keep_their_names(self, data):
        Y, X = data
        X = {**X, "e02": X["e02"].assign(twice=2.0 * X["e02"]["x1"])}
        with pytest.raises(ValueError, match="'e02'.*dependent.*('x1'|'twice')"):
            LowRankSUR(Y, X, 1, common=["x1", "x2"]).fit()


def test_two_equations_that_share_all_but_one():
    rng = np.random.default_rng(5)
    X = [np.column_stack([np.ones(40), rng.standard_normal((40, 2))]) for _ in range(2)]
    Y = np.column_stack([x @ [1.0, 2.0, 3.0] for x in X]) + rng.standard_normal((40, 2))
    res = LowRankSUR(Y, X, rank=0, common=["x1", "x2"]).fit(cov_type="pcse")
    Z = np.vstack([np.column_stack([x[:, 1:], d * x[:, 0:1]]) for x, d in zip(
        X, (np.array([1.0, 0.0]), np.array([0.0, 1.0])), strict=True)])  # fmt: skip
    want = np.linalg.lstsq(Z, Y.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(res.params, want, rtol=1e-9)


@pytest.mark.parametrize("holes", [False, True])
def test_nothing_own(data, holes):
    """Few parameters stand for many, of rows that are whole or not."""
    Y, X = data
    if holes:
        Y = Y.mask(np.random.default_rng(8).random(Y.shape) < 0.1)
    kwds = {"rank": 1, "missing": "fiml" if holes else "none"}
    res = LowRankSUR(Y, X, common=True, **kwds).fit(**TIGHT)
    free = LowRankSUR(Y, X, **kwds)
    rows = [
        f"{first} = {name}"
        for x in ("const", "x1", "x2", "z")
        for first, *others in [[n for n in free.exog_names if n.endswith(f"_{x}")]]
        for name in others
    ]
    other = free.fit_constrained(rows, **TIGHT)
    names = ["e00_const", "e00_x1", "e00_x2", "e01_z"]
    np.testing.assert_allclose(res.params, other.params[names], rtol=1e-8)
    np.testing.assert_allclose(res.bse, other.bse[names], rtol=1e-8)
    assert res.llf == pytest.approx(other.llf, abs=1e-8)


@pytest.mark.parametrize("kind", ["nonrobust", "HC0", "KH"])
@pytest.mark.parametrize("common", [["x1", "x2"], True])
def test_under_an_unrestricted_sigma(data, common, kind):
    """The design asks no law which it is."""
    Y, X = data[0].iloc[:, :5], {name: data[1][name] for name in data[0].columns[:5]}
    res = LowRankSUR(Y, X, rank="full", common=common).fit(cov_type=kind, **TIGHT)
    free = LowRankSUR(Y, X, rank="full")
    shared = [n for n in res.params.index if "_" not in n]
    places = {x: [n for n in free.exog_names if n.endswith(f"_{x}")] for x in shared}
    rows = [f"{at[0]} = {name}" for at in places.values() for name in at[1:]]
    other = free.fit_constrained(rows, cov_type=kind, **TIGHT)
    names = [places[n][0] if n in places else n for n in res.params.index]
    np.testing.assert_allclose(res.params, other.params[names], rtol=1e-7)
    np.testing.assert_allclose(res.bse, other.bse[names], rtol=1e-6)
    assert res.llf == pytest.approx(other.llf, abs=1e-7)


@pytest.mark.parametrize("kind", ["nonrobust", "KH", "HC3", "sandwich", "HAC"])
def test_results_with_their_data_are_pickled(data, kind):
    res = LowRankSUR(*data, rank=2, common=["x1", "x2"]).fit(n_starts=1, cov_type=kind)
    _ = res.bse
    again = pickle.loads(pickle.dumps(res))
    np.testing.assert_array_equal(again.bse, res.bse)
    np.testing.assert_allclose(
        again.t_test("x1 - e03_const = 0").sd, res.t_test("x1 - e03_const = 0").sd, rtol=1e-12
    )


@pytest.mark.parametrize("common", [False, ["x1", "x2"]])
def test_restrictions_in_odd_units(data, common):
    """Equations of unlike size are searched in units of their own."""
    Y, X = data
    text = "e00_const = e09_const" if common else "e00_const = e09_const, e00_x1 = e09_x1"
    odd = LowRankSUR(Y * 1e80, X, rank=2, common=common).fit_constrained(text, n_starts=1)
    plain = LowRankSUR(Y, X, rank=2, common=common).fit_constrained(text, n_starts=1)
    np.testing.assert_allclose(odd.params * 1e-80, plain.params, rtol=1e-5, atol=1e-5)
    assert odd.params["e00_const"] == pytest.approx(odd.params["e09_const"], rel=1e-12)
